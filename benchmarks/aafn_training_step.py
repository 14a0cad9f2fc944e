"""Forward and backward pass of AAFN (three modalities, iAFF, released size) on 1,800 frames.

python benchmarks/aafn_training_step.py --save benchmarks/results/aafn_training_step.csv

Plain: the network as released, visual convolution in 2-D, PyTorch's bidirectional LSTM in full,
eight heads in a loop. Ours: `depnb.models.aafn`: 1-D convolution, no backward direction in the top
LSTM layer but one step, heads in one call. Both start from the same weights; without dropout their
losses must agree to 1e-4 (before timing). Timed with dropout 0.7, in 32 bits; the stacked heads
need freed memory to be kept (`loop.keep_freed_memory`), or page faults cost more than the loop, so
it is set for ours, and in a second row for both. SAM takes two such passes a step. --quick: small
sizes, only to see that it runs.

On a machine that others use too, set OMP_WAIT_POLICY=PASSIVE or OMP_NUM_THREADS=1 for both:
PyTorch's LSTM on a CPU waits for all threads at every one of the 600 steps, and a thread that spins
while another has no processor costs tenfold.
"""

import copy
import time
from collections import defaultdict
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from paired import arguments, compare, report
from torch import nn
from training_step import default_allocator

from depnb.models import aafn, ordinal
from depnb.runs import loop


class PlainBranch(nn.Module):
    """A branch as released, with the weights of ours."""

    def __init__(self, ours, points):
        super().__init__()
        self.bn, self.pool, self.dropout, self.fc, self.bn_out = (
            copy.deepcopy(getattr(ours, name))
            for name in ("bn", "pool", "dropout", "fc", "bn_out"))
        self.conv = copy.deepcopy(ours.conv)
        if points:
            out, channels, _ = ours.conv.weight.shape
            self.conv = nn.Conv2d(channels // points, out, (points, 3), padding=(0, 1))
            self.conv.load_state_dict({"weight": ours.conv.weight.unflatten(1, (-1, points)),
                                       "bias": ours.conv.bias})
        self.lstm = full_lstm(ours.lstm)

    def forward(self, x):
        x = self.conv(x)
        x = F.relu(self.bn(x.squeeze(2) if x.ndim == 4 else x))
        x = self.dropout(self.pool(x))
        return F.relu(self.bn_out(self.fc(self.lstm(x.transpose(1, 2))[0][:, -1])))


def full_lstm(ours):
    """PyTorch's bidirectional LSTM with the weights of our stack."""
    below = ours.lower.num_layers if hasattr(ours, "lower") else 0
    features = ours.lower.input_size if below else ours.top.input_size
    full = nn.LSTM(features, ours.top.hidden_size, below + 1, batch_first=True, bidirectional=True,
                   dropout=ours.dropout.p if below else 0.0)
    state = ours.lower.state_dict() if below else {}
    for part, ending in ((ours.top, ""), (ours.top_reverse, "_reverse")):
        state |= {name.replace("_l0", f"_l{below}{ending}"): value
                  for name, value in part.state_dict().items()}
    full.load_state_dict(state)
    return full


class PlainAAFN(nn.Module):
    """The released network: branches, then one head after the other."""

    def __init__(self, ours, points, planes, base_width, widths):
        super().__init__()
        self.branches = nn.ModuleDict({name: PlainBranch(getattr(ours, f"{name}_branch"),
                                                         points if name == "visual" else 0)
                                       for name in ours.modalities})
        self.heads = nn.ModuleList()
        state, bins = ours.heads.state_dict(), ours.heads.classifier[-1].weight.shape[1]
        for head in range(ours.heads.heads):
            one = aafn.Heads(1, ours.width * len(ours.modalities), widths, bins, True,
                             aafn.SubAttention(1, planes, base_width, "iaff"))
            one.load_state_dict({key: value.chunk(ours.heads.heads)[head] if value.ndim else value
                                 for key, value in state.items()})
            self.heads.append(one)

    def forward(self, visual, audio, text):
        inputs = {"visual": visual.permute(0, 3, 2, 1), "audio": audio,
                  "text": text.transpose(1, 2)}
        x = torch.stack([branch(inputs[name]) for name, branch in self.branches.items()], 1)
        return torch.cat([head(x) for head in self.heads], 1)


def step(model, inputs, targets):
    """Forward, loss, backward, as a function -> loss."""
    def run():
        model.zero_grad()
        loss = ordinal.kl_loss(model(**inputs), targets)
        loss.backward()
        return loss

    return run


def breakdown(model, inputs, device):
    """Seconds in each part of our training step, once, forward and backward apart: dict."""
    seconds = defaultdict(float)

    @contextmanager
    def timed(name):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        yield
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds[name] += time.perf_counter() - start

    columns = []
    for name in model.modalities:
        branch, x = getattr(model, f"{name}_branch"), inputs[name]
        x = (x.permute(0, 3, 2, 1).flatten(1, 2) if name == "visual" else x if name == "audio"
             else x.transpose(1, 2))
        with timed("convolutions, forward"):
            y = branch.dropout(branch.pool(F.relu(branch.bn(branch.conv(x)))))
        x = y.detach().transpose(1, 2).requires_grad_()
        with timed("recurrent, forward"):
            out = branch.lstm(x)
        with timed("recurrent, backward"):
            out.backward(torch.ones_like(out))
        with timed("convolutions, backward"):
            y.backward(x.grad.transpose(1, 2))
        columns.append(F.relu(branch.bn_out(branch.fc(out.detach()))).detach())
    stacked = torch.stack(columns, 1).requires_grad_()
    with timed("heads, forward"):
        logits = model.fuse(stacked)
    with timed("heads, backward"):
        logits.sum().backward()
    return seconds


def main():
    """The command line."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=1800)
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = {"conv_width": 16, "lstm_width": 16, "width": 16, "base_width": 64} if a.quick else {}
    frames, batch, rounds = (60, 4, 1) if a.quick else (a.frames, a.batch, a.rounds)
    torch.manual_seed(0)
    ours = aafn.AAFN(**sizes).to(device)
    plain = PlainAAFN(ours, 72, 4, sizes.get("base_width", 256), (256, 128, 64)).to(device)
    inputs = {"visual": torch.rand(batch, frames, 72, 3), "audio": torch.randn(batch, 80, frames),
              "text": torch.randn(batch, 10, 512) / 512**0.5}
    inputs = {name: x.to(device) for name, x in inputs.items()}
    targets = ordinal.soft_labels(torch.randint(4, (batch, 8)).float()).to(device)
    losses = []
    for model in (plain, ours):  # equal without dropout, in training mode
        still = copy.deepcopy(model)
        for module in still.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            elif isinstance(module, nn.LSTM):
                module.dropout = 0.0
        losses.append(float(step(still, inputs, targets)().detach()))
    assert abs(losses[0] - losses[1]) < 1e-4, f"losses differ: {losses}"
    name, keep = f"{frames:,} frames, batch {batch}, 32 bits", loop.keep_freed_memory
    one, other = step(plain, inputs, targets), step(ours, inputs, targets)
    rows = {name: compare(one, other, rounds, default_allocator, keep),
            f"{name}, our allocator setting for both": compare(one, other, rounds, keep, keep)}
    print(f"losses without dropout: plain {losses[0]:.7f}, ours {losses[1]:.7f}; "
          f"{torch.get_num_threads()} threads")
    breakdown(ours, inputs, device)  # once before timing, as in `compare`
    for part, seconds in breakdown(ours, inputs, device).items():
        print(f"    ours, {part}: {seconds:.3f} s")
    report(rows, a.save, device)


if __name__ == "__main__":
    main()
