"""One training step of STA-DRN (attention fusion, released size) on one clip of 64 frames.

python benchmarks/training_step.py --save benchmarks/results/training_step_cpu.csv

Plain: the network written as the paper reads, two feature convolutions, contiguous memory,
PyTorch's defaults. Ours: `depnb.models.sta_drn` as the notebook trains it: channels last, one joint
convolution, freed memory kept; on a GPU also bfloat16 and torch.compile. Both start from the same
weights; outputs and, in 64 bits, gradients must agree. The C library's allocator serves a whole
process. It is set before each step, to its defaults for the plain one, to ours
(`keep_freed_memory`) for ours; a second row gives both of them ours, so that it shows the network's
share alone.
"""

import copy
import ctypes

import torch
from paired import arguments, compare, report
from torch import nn

from depnb.models import sta_drn
from depnb.runs import loop


class PlainAttention(nn.Module):
    """Paper, section 3: softmax over groups, both maps times the sum of the features."""

    def __init__(self, channels, k, stride):
        super().__init__()
        self.k = k
        for kind in ("temporal", "spatial"):
            branch = nn.Module()
            branch.group_conv = nn.Conv3d(channels, channels, 3, stride, 1, groups=k)
            branch.fc = nn.Conv3d(channels, channels, 1, groups=k)
            branch.bn = nn.BatchNorm3d(channels)
            setattr(self, kind, branch)

    def forward(self, x):
        z_t = torch.relu(self.temporal.bn(self.temporal.group_conv(x)))
        z_s = torch.relu(self.spatial.bn(self.spatial.group_conv(x)))
        n, c, t, h, w = z_t.shape
        a_t = self.temporal.fc(z_t.mean((3, 4), keepdim=True)).view(n, self.k, c // self.k, t,
                                                                    1, 1).softmax(1)
        a_s = self.spatial.fc(z_s.mean(2, keepdim=True)).view(n, self.k, c // self.k, 1,
                                                              h, w).softmax(1)
        return (a_t * a_s).view(n, c, t, h, w) * (z_s + z_t)


class PlainUnit(sta_drn.Unit):
    """A unit with that attention, written step by step."""
    def __init__(self, in_channels, width, out_channels, k, stride, variant, shortcut):
        super().__init__(in_channels, width, out_channels, k, stride, variant, shortcut)
        self.conv2 = PlainAttention(width, k, stride)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class PlainSTADRN(sta_drn.STADRN):
    """The network of such units."""

    def forward(self, clips):
        x = self.pool(torch.relu(self.bn1(self.conv_1(clips))))
        for stage in range(self.stages):
            x = getattr(self, f"layer_{stage + 1}")(x)
        return self.fc(x.mean((2, 3, 4)))


def plain_network():
    """The same network with the plain modules in place of ours."""
    ours, sta_drn.Unit = sta_drn.Unit, PlainUnit
    try:
        return PlainSTADRN()
    finally:
        sta_drn.Unit = ours


def default_allocator():
    """glibc's mallopt back to what it adapts to by itself; no effect elsewhere."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        # M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_…
        for option, value in ((-4, 65536), (-3, 32 << 20), (-1, 64 << 20)):
            libc.mallopt(option, value)
        libc.malloc_trim(0)
    except (OSError, AttributeError):
        pass


def step(model, clips, target, precision=None):
    """Forward, loss, backward, optimiser step, as a function."""
    def run():
        optimiser.zero_grad()
        with torch.autocast(clips.device.type, precision, enabled=precision is not None):
            loss = nn.functional.mse_loss(model(clips)[:, 0].float(), target)
        loss.backward()
        optimiser.step()

    optimiser = torch.optim.Adam(model.parameters(), 1e-5, fused=True)
    return run


def check_equal(plain, ours, clips):
    """Loss at full size, in 32 bits; loss and all gradients on a small clip in 64 bits.

    In 32 bits gradients of this network differ by per cents between any two orders of summation:
    rounding decides on which side of zero some ReLUs fall.
    """
    with torch.no_grad():
        torch.testing.assert_close(plain(clips), ours(clips), rtol=1e-3, atol=1e-3)
    small = torch.randn(2, 3, 16, 64, 64, dtype=torch.float64)
    gradients = []
    for model in (plain, ours):
        double = copy.deepcopy(model).cpu().double()
        double(small).square().mean().backward()
        gradients.append({name: p.grad for name, p in double.named_parameters()})
    apart = max(float((gradients[0][n] - gradients[1][n]).norm()
                      / gradients[0][n].norm().clamp_min(1e-6)) for n in gradients[0])
    assert apart < 1e-6, f"gradients differ by {apart:.1e}"
    return apart


def main():
    """The command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    a = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    ours = sta_drn.STADRN().to(device, memory_format=torch.channels_last_3d)
    plain = plain_network().to(device)
    plain.load_state_dict(ours.state_dict())
    clips = torch.randn(a.batch, 3, a.frames, a.size, a.size, device=device)
    target = torch.rand(a.batch, device=device)
    apart = check_equal(plain, ours, clips)
    name = f"{a.frames} frames of {a.size} x {a.size}, batch {a.batch}"
    last = clips.to(memory_format=torch.channels_last_3d)
    one, other = step(plain, clips, target), step(ours, last, target)
    keep = loop.keep_freed_memory
    rows = {f"{name}, 32 bits": compare(one, other, a.rounds, default_allocator, keep),
            f"{name}, 32 bits, our allocator setting for both": compare(one, other,
                                                                        a.rounds, keep, keep)}
    if device.type == "cuda":
        ours.compile()
        rows[f"{name}, ours in bfloat16 and compiled"] = compare(
            one, step(ours, last, target, torch.bfloat16), a.rounds)
    print(f"gradients of both agree within {apart:.0e} of their size in 64 bits")
    report(rows, a.save, device)


if __name__ == "__main__":
    main()
