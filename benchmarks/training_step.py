"""One training step of STA-DRN (attention fusion, released size) on one clip of 64 frames of 224 x 224.

python benchmarks/training_step.py --save benchmarks/results/training_step_cpu.csv

Plain: the network written as the paper reads, two feature convolutions, contiguous memory, PyTorch's defaults.
Ours: `depnb.models.sta_drn` as the notebook trains it: channels last, one joint convolution, freed memory kept; on a GPU
also bfloat16 and torch.compile. Both start from the same weights, and loss and gradients must agree. The setting of the
C library's allocator (`keep_freed_memory`) holds for a whole process, so it speeds up the plain network too; by default
it is on for both, and the ratio counts only what is left. --allocator off leaves it off for both.
"""

import torch
from paired import arguments, compare, report
from torch import nn

from depnb import training
from depnb.models import sta_drn


class PlainAttention(nn.Module):
    """Paper, section 3: two branches, softmax over the groups, product of both maps times the sum of the features."""

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
        a_t = self.temporal.fc(z_t.mean((3, 4), keepdim=True)).view(n, self.k, c // self.k, t, 1, 1).softmax(1)
        a_s = self.spatial.fc(z_s.mean(2, keepdim=True)).view(n, self.k, c // self.k, 1, h, w).softmax(1)
        return (a_t * a_s).view(n, c, t, h, w) * (z_s + z_t)


class PlainUnit(sta_drn.Unit):
    def __init__(self, in_channels, width, out_channels, k, stride, variant, shortcut):
        super().__init__(in_channels, width, out_channels, k, stride, variant, shortcut)
        self.conv2 = PlainAttention(width, k, stride)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class PlainSTADRN(sta_drn.STADRN):
    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv_1(x))))
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


def step(model, clips, target, precision=None):
    """Forward, loss, backward, optimiser step -> loss."""
    def run():
        optimiser.zero_grad()
        with torch.autocast(clips.device.type, precision, enabled=precision is not None):
            loss = nn.functional.mse_loss(model(clips)[:, 0].float(), target)
        loss.backward()
        optimiser.step()
        return loss.detach()

    optimiser = torch.optim.Adam(model.parameters(), 1e-5, fused=True)
    return run


def check_equal(plain, ours, clips, tolerance):
    """Loss and gradient of both networks agree (relative to the gradient's own size)."""
    target = torch.full((len(clips),), 0.3, device=clips.device)
    found = []
    for model in (plain, ours):
        loss = nn.functional.mse_loss(model(clips)[:, 0], target)
        loss.backward()
        found.append((loss.detach(), {n: p.grad.clone() for n, p in model.named_parameters()}))
        model.zero_grad()
    (loss_a, a), (loss_b, b) = found
    assert a.keys() == b.keys()
    torch.testing.assert_close(loss_a, loss_b, rtol=tolerance, atol=tolerance)
    apart = sum((a[n] - b[n]).square().sum() for n in a).sqrt() / sum(a[n].square().sum() for n in a).sqrt()
    assert apart < tolerance, f"gradients differ by {apart:.1e}"
    return float(apart)


def main():
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--allocator", choices=("on", "off"), default="on", help="keep_freed_memory, for both")
    a = parser.parse_args()
    if a.allocator == "on":
        training.keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    ours = sta_drn.STADRN().to(device, memory_format=torch.channels_last_3d)
    plain = plain_network().to(device)
    plain.load_state_dict(ours.state_dict())
    clips = torch.randn(a.batch, 3, a.frames, a.size, a.size, device=device)
    target = torch.rand(a.batch, device=device)
    apart = check_equal(plain, ours, clips, 1e-3)
    name = f"{a.frames} frames of {a.size} x {a.size}, batch {a.batch}"
    last = clips.to(memory_format=torch.channels_last_3d)
    rows = {f"{name}, 32 bits": compare(step(plain, clips, target), step(ours, last, target), a.rounds)}
    if device.type == "cuda":
        ours.compile()
        rows[f"{name}, ours in bfloat16 and compiled"] = compare(
            step(plain, clips, target), step(ours, last, target, torch.bfloat16), a.rounds)
    print(f"gradients of both agree within {apart:.1e} of their size")
    report({f"{k}, allocator setting {a.allocator} for both": v for k, v in rows.items()}, a.save, device)


if __name__ == "__main__":
    main()
