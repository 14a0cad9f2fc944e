"""The selective scan, forward and backward: batch 4, 512 channels, 600 frames, 16 states.

python benchmarks/selective_scan.py --save benchmarks/results/selective_scan.csv

With D, z, bias and softplus. On a CPU, ours (`backend="cpu"`) beside: the parallel scan of mambapy
1.2.0 (pip install --no-deps mambapy==1.2.0; left out where it is missing); a plain PyTorch loop
that keeps only the states (`backend="loop"`); and the formula of the published reference, which
makes all decays and drives first and slices them frame by frame (once: it takes minutes). With
--save, <name>_length.csv holds ours for 60 to 20,000 frames: seconds, microseconds a frame, and the
peak of resident memory beyond inputs and outputs (Linux). On CUDA, our Triton kernels beside the
CUDA kernel of mamba-ssm, where that can be imported. All start from the same numbers and must agree
to 1e-4. A second row has freed memory kept for both, as in the notebooks
(`loop.keep_freed_memory`): page faults are most of what the plain ways cost. --quick: small sizes,
only to see that it runs.
"""

import importlib.util
import statistics
import time
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from paired import arguments, compare, report
from training_step import default_allocator

from depnb import runs
from depnb.files import write_atomically
from depnb.models.selective_scan import selective_scan
from depnb.runs import loop

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
LENGTHS = (60, 120, 300, 600, 1200, 3600, 10_000, 20_000)


def draw(batch, channels, length, states, device):
    """Inputs and dL/dy, steps near those of a trained network."""
    random = torch.Generator().manual_seed(0)
    shapes = {"u": (batch, channels, length), "delta": (batch, channels, length),
              "A": (channels, states), "B": (batch, states, length), "C": (batch, states, length),
              "D": (channels,), "z": (batch, channels, length), "delta_bias": (channels,)}
    inputs = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
    inputs["A"] = -torch.arange(1.0, states + 1).repeat(channels, 1)
    inputs["delta_bias"] -= 4
    return {name: x.to(device).requires_grad_()
            for name, x in inputs.items()}, torch.ones(shapes["u"], device=device)


def reference(u, delta, A, B, C, D, z, delta_bias):
    """The published formula: all of size (b, e, t, n) first, then a loop that cuts out frames."""
    step = F.softplus(delta + delta_bias[:, None])
    decay = torch.exp(torch.einsum("bet,en->betn", step, A))
    drive = torch.einsum("bet,bnt,bet->betn", step, B, u)
    state, out = u.new_zeros(*u.shape[:2], A.shape[1]), []
    for t in range(u.shape[2]):
        state = decay[:, :, t] * state + drive[:, :, t]
        out.append(torch.einsum("ben,bn->be", state, C[:, :, t]))
    return (torch.stack(out, 2) + D[:, None] * u) * F.silu(z)


def mambapy_scan(u, delta, A, B, C, D, z, delta_bias):
    """The parallel scan of mambapy in its layout (b, t, e, n), whose change costs nothing here."""
    from mambapy.pscan import pscan

    u, delta, z, B, C = (x.mT for x in (u, delta, z, B, C))
    step = F.softplus(delta + delta_bias)
    states = pscan(torch.exp(step[..., None] * A), (step * u)[..., None] * B[:, :, None])
    return (((states @ C[..., None]).squeeze(3) + D * u) * F.silu(z)).mT


def ours(backend):
    """Our scan by a backend, as a function of the inputs."""
    def scan(**inputs):
        return selective_scan(**inputs, delta_softplus=True, backend=backend)

    return scan


def both_ways(scan, inputs, g):
    """Forward and backward pass as a function -> y and the gradients."""
    def run():
        y = scan(**inputs)
        return y, *torch.autograd.grad(y, list(inputs.values()), g)

    return run


def must_agree(one, other):
    """AssertionError where a result differs by more than 1e-4 of its largest value."""
    for name, x, y in zip(("y", *NAMES), one, other, strict=True):
        difference = float(((x - y).abs().max() / y.abs().max()).detach())
        assert difference < 1e-4, f"{name} differs by {difference:.1e} of its largest value"


def seconds(run, rounds):
    """The median time of a run."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare_once(plain, run, rounds):
    """As `compare`, for a plain way that takes minutes: it runs once, ours first, several times."""
    run()
    fast, start = seconds(run, rounds), time.perf_counter()
    must_agree(run(), plain())
    slow = time.perf_counter() - start
    return {"plain_seconds": slow, "ours_seconds": fast, "ratio": slow / fast,
            "ratio_lowest": slow / fast, "ratio_highest": slow / fast, "rounds": 1}


def resident(name):
    """A line of /proc/self/status, in kB."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines()
                    if line.startswith(name)).split()[1])


def memory(run):
    """Peak of resident memory in a run beyond inputs and outputs, in MB; empty where unknown."""
    if not Path("/proc/self/clear_refs").exists():
        return ""
    default_allocator()  # and what is free goes back to the system
    before = resident("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")
    outputs = run()
    own = sum(4 * x.numel() for x in outputs)               # bytes
    return f"{((resident('VmHWM:') - before) * 1024 - own) / 1e6:.1f}"


def by_length(lengths, channels, states, rounds):
    """Ours at batch 4 for growing lengths -> table."""
    # compiled, or read from the cache
    both_ways(ours("cpu"), *draw(4, channels, lengths[0], states, "cpu"))()
    rows = []
    for length in lengths:
        inputs, g = draw(4, channels, length, states, "cpu")
        run = both_ways(ours("cpu"), inputs, g)
        extra = memory(run)
        taken = seconds(run, rounds)
        rows.append({"frames": length, "forward and backward, s": f"{taken:.4f}",
                     "microseconds a frame": f"{taken / length * 1e6:.1f}",
                     "MB beyond inputs and outputs": extra,
                     "machine": runs.hardware("cpu")["device"], "torch": torch.__version__})
    return pd.DataFrame(rows)


def main():
    """The command line."""
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch, channels, length, states = (2, 32, 70, 5) if a.quick else (4, 512, 600, 16)
    rounds, lengths = (1, (30, 60)) if a.quick else (a.rounds, LENGTHS)
    inputs, g = draw(batch, channels, length, states, device)
    rows = {}
    if device == "cuda":
        pairs = {"mamba-ssm's CUDA kernel, ours in Triton": ("mamba_ssm", ours("mamba_ssm"),
                                                             ours("triton"))}
    else:
        table = by_length(lengths, channels, states, rounds)
        print(table.to_string(index=False))
        if a.save:
            write_atomically(a.save.with_stem(f"{a.save.stem}_length"), table.to_csv(index=False))
        pairs = {"mambapy 1.2.0, parallel scan": ("mambapy", mambapy_scan, ours("cpu")),
                 "PyTorch loop, states only": ("torch", ours("loop"), ours("cpu"))}
    for name, (package, plain, fast) in pairs.items():
        if importlib.util.find_spec(package) is None:
            print(f"{name}: left out, {package} is not installed")
            continue
        plain, fast = both_ways(plain, inputs, g), both_ways(fast, inputs, g)
        must_agree(fast(), plain())
        rows[name] = compare(plain, fast, rounds)
        if device == "cpu":
            keep = loop.keep_freed_memory
            rows[f"{name}, freed memory kept for both"] = compare(plain, fast, rounds, keep, keep)
            default_allocator()
    if device == "cpu":
        rows["published reference formula"] = compare_once(both_ways(reference, inputs, g),
                                                           both_ways(ours("cpu"),
                                                                     inputs, g), rounds)
    print(f"batch {batch}, {channels} channels, {length} frames, {states} states, "
          f"{torch.get_num_threads()} threads")
    if rows:
        report(rows, a.save, device)


if __name__ == "__main__":
    main()
