"""What a GPU makes of the four models: scan kernels, training steps, loading.

python benchmarks/gpu.py --out benchmarks/results/gpu [--steps card scan …]

Every step writes its own CSV file, with the card and the versions, before the next begins; a part
that fails is a row that says how. On a machine without CUDA everything runs small, on the
processor, only to see that it runs.

scan: 4 x 512 x 600 x 16, ours beside mamba-ssm's kernel (where it is installed) and a PyTorch loop;
both called as a model calls them and replayed as one CUDA graph, which leaves out the cost of
launching. tuning: our kernels with other tiles. lengths: 150 to 20,000 frames. Papers: forward,
loss, backward, optimiser step; plain is the published network written plainly (CFRAFN and
DynMultiDep: ours, in 32 bits). loading: a training loop fed by `ClipBatches` beside the same steps
on one clip that is there already.
"""

import argparse
import time
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from aafn_training_step import PlainAAFN
from paired import compare
from selective_scan import both_ways, draw, must_agree, ours
from training_step import plain_network

from depnb import runs
from depnb.features.clips import ClipBatches
from depnb.files import write_atomically
from depnb.models import aafn, cfrafn, dynmultidep, ordinal, scan_cpu, sta_drn
from depnb.models.selective_scan import selective_scan

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
# lanes, frames of a chunk, warps
TILES = [(8, 16, 4), (16, 16, 8), (4, 16, 2), (2, 16, 1), (8, 8, 4), (16, 8, 8), (8, 32, 8),
         (8, 32, 4), (32, 16, 16), (4, 32, 4), (2, 32, 2)]


def synchronise():
    """Wait for the device."""
    if CUDA:
        torch.cuda.synchronize()


def microseconds(run, rounds):
    """Median time of a call, waiting for the device -> microseconds."""
    times = []
    for _ in range(3 + rounds):
        synchronise()
        start = time.perf_counter()
        run()
        synchronise()
        times.append(time.perf_counter() - start)
    return 1e6 * median(times[3:])


def replayed(run, rounds):
    """The same as one CUDA graph, without launches -> microseconds, NaN without CUDA."""
    if not CUDA:
        return float("nan")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return microseconds(graph.replay, rounds)


def peak(run):
    """Peak of device memory in a call, beyond what was there before -> MB, NaN without CUDA."""
    if not CUDA:
        return float("nan")
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    synchronise()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def tried(name, measure):
    """A row of a table, or one that says how it failed."""
    try:
        return {"what": name, **measure()}
    except Exception as error:
        if CUDA:
            torch.cuda.empty_cache()
        return {"what": name,
                "failed": f"{type(error).__name__}: {str(error).splitlines()[0][:150]}"}


def card():
    """Which card and versions, and two ceilings: bytes copied and bf16 products a second."""
    a = torch.randn(*[8192 if CUDA else 256] * 2, device=DEVICE, dtype=torch.bfloat16)
    source = torch.randn(2**30 if CUDA else 2**20, device=DEVICE)
    target = torch.empty_like(source)
    copied = microseconds(lambda: target.copy_(source), 10)
    product = microseconds(lambda: a @ a, 10)
    yield {"copy, TB/s": 8 * source.numel() / copied / 1e6,
           "bf16 product, TFLOP/s": 2 * len(a)**3 / product / 1e6,
           "capability": ".".join(map(str, torch.cuda.get_device_capability())) if CUDA else "",
           "CUDA": torch.version.cuda, "cuDNN": torch.backends.cudnn.version(),
           "triton": version("triton"), "mamba-ssm": version("mamba_ssm"), "numpy": np.__version__,
           "cores": runs.hardware(DEVICE)["cores"],
           "GPU memory, GB": torch.cuda.get_device_properties(0).total_memory / 1e9 if CUDA else ""}


def version(name):
    """Version of a package, or why there is none."""
    try:
        return __import__(name).__version__
    except Exception as error:
        return f"not here ({type(error).__name__})"


def scan_row(inputs, g, backend, expected=None):
    """One backend, forward alone and forward with backward."""
    run = both_ways(ours(backend), inputs, g)

    def forward():
        with torch.no_grad():
            return selective_scan(**inputs, delta_softplus=True, backend=backend)

    if expected is not None:
        must_agree(run(), expected)  # nothing of it is kept: a graph of the device holds no other
    rounds = 3 if backend == "loop" else 30
    row = {"forward, us": microseconds(forward, rounds), "both, us": microseconds(run, rounds)}
    if backend != "loop":
        row |= {"forward replayed, us": replayed(forward, rounds),
                "both replayed, us": replayed(run, rounds)}
    return row | {"peak, MB": peak(run)}


def backends():
    """What this machine can scan with."""
    return ("triton", "mamba_ssm", "loop") if CUDA else ("cpu", "loop")


def scan():
    """The scan at one size, every backend."""
    size = (4, 512, 600, 16) if CUDA else (2, 64, 40, 16)
    inputs, g = draw(*size, DEVICE)
    expected = [x.detach() for x in both_ways(ours("loop"), inputs, g)()]
    for backend in backends():
        yield tried(f"{backend}, {' x '.join(map(str, size))}",
                    lambda b=backend: scan_row(inputs, g, b, expected))


def tuning():
    """Our kernels with other tiles; `scan_cpu` has none of the kind."""
    if not CUDA:
        yield {"what": "only on CUDA", "lanes": scan_cpu.LANES}
        return
    from depnb.models import scan_triton

    inputs, g = draw(4, 512, 600, 16, DEVICE)
    expected = [x.detach() for x in both_ways(ours("loop"), inputs, g)()]
    own = scan_triton.LANES, scan_triton.CHUNK, scan_triton.WARPS
    for lanes, chunk, warps in (own, *(tile for tile in TILES if tile != own)):
        scan_triton.LANES, scan_triton.CHUNK, scan_triton.WARPS = lanes, chunk, warps
        yield tried(f"{lanes} lanes, {chunk} frames, {warps} warps",
                    lambda: scan_row(inputs, g, "triton", expected))
    scan_triton.LANES, scan_triton.CHUNK, scan_triton.WARPS = own


def lengths():
    """The scan by length, the fast backends."""
    for length in (150, 600, 2400, 5000, 20_000) if CUDA else (60, 300):
        inputs, g = draw(4, 512 if CUDA else 16, length, 16, DEVICE)
        for backend in backends()[:-1]:
            yield tried(f"{backend}, {length} frames", lambda b=backend, i=inputs,
                        d=g: scan_row(i, d, b))


def task(paper):
    """(plain network, ours, inputs, loss(outputs)) at the paper's size."""
    small = not CUDA
    if paper == "sta_drn":
        sizes = {"features": 4, "stem_features": 4, "units": (1, 1, 1, 1)} if small else {}
        model = sta_drn.STADRN(**sizes)
        plain = sta_drn.STADRN(**sizes) if small else plain_network()
        clip = torch.randn(*((2, 3, 8, 32, 32) if small else (5, 3, 64, 224, 224)), device=DEVICE)
        targets = torch.rand(len(clip), device=DEVICE)
        inputs = {"clips": clip}
        model.to(memory_format=torch.channels_last_3d)
        criterion = lambda y: F.mse_loss(y[:, 0].float(), targets)  # noqa: E731
    elif paper == "cfrafn":
        model, plain = cfrafn.CFRAFN(), cfrafn.CFRAFN()
        inputs = {"egemaps": torch.randn(256, 88, device=DEVICE),
                  "vggish": torch.randn(256, 128, device=DEVICE)}
        labels = (torch.arange(256, device=DEVICE) % 2).float()
        criterion = lambda y: F.binary_cross_entropy_with_logits(y.float(), labels)  # noqa: E731
    elif paper == "aafn":
        sizes = {"conv_width": 16, "lstm_width": 16, "width": 16, "base_width": 64} if small else {}
        model, batch, frames = aafn.AAFN(**sizes), 4 if small else 60, 60 if small else 1800
        plain = PlainAAFN(model, 72, 4, sizes.get("base_width", 256), (256, 128, 64))
        inputs = {"visual": torch.rand(batch, frames, 72, 3, device=DEVICE),
                  "audio": torch.randn(batch, 80, frames, device=DEVICE),
                  "text": torch.randn(batch, 10, 512, device=DEVICE) / 512**0.5}
        labels = ordinal.soft_labels(torch.randint(4, (batch, 8)).float()).to(DEVICE)
        criterion = lambda y: ordinal.kl_loss(y.float(), labels)  # noqa: E731
    else:
        sizes = {"width": 32} if small else {}
        model, plain = (dynmultidep.DynMultiDep("released", **sizes) for _ in range(2))
        batch, frames = (2, 40) if small else (16, 600)
        inputs = {"audio": torch.randn(batch, frames, 25, device=DEVICE),
                  "visual": torch.randn(batch, frames, 136, device=DEVICE)}
        labels = (torch.arange(batch, device=DEVICE) % 2).float()
        criterion = lambda y: F.binary_cross_entropy_with_logits(y.float(), labels)  # noqa: E731
    return plain.to(DEVICE), model.to(DEVICE), inputs, criterion


def stepper(model, inputs, criterion, precision=None):
    """Forward, loss, backward, optimiser step, as a function."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-6, fused=True)

    def step():
        optimiser.zero_grad()
        with torch.autocast(DEVICE.type, precision, enabled=precision is not None):
            loss = criterion(model(**inputs))
        loss.backward()
        optimiser.step()

    return step


def tf32(on):
    """A function that switches TF32 on or off."""
    def switch():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on

    return switch


def training(paper):
    """Training steps: the plain network beside ours in 32 bits, TF32, bf16, and compiled."""
    torch.manual_seed(0)
    plain, model, inputs, criterion = task(paper)
    batch = len(next(iter(inputs.values())))
    layout = torch.channels_last_3d if paper == "sta_drn" else torch.contiguous_format
    ordered = {name: x.contiguous(memory_format=layout) for name, x in inputs.items()}
    baseline, rounds = stepper(plain, inputs, criterion), 5 if CUDA else 1

    def row(step, switch):
        times = compare(baseline, step, rounds, tf32(False), switch)
        switch()
        return {"batch": batch, "plain, ms": 1e3 * times["plain_seconds"],
                "ours, ms": 1e3 * times["ours_seconds"], "ratio": times["ratio"],
                "lowest": times["ratio_lowest"], "highest": times["ratio_highest"],
                "ours, examples/s": batch / times["ours_seconds"], "ours, peak MB": peak(step),
                "plain, peak MB": peak(baseline)}

    for name, precision, fast in (("32 bits", None, False), ("32 bits, TF32 products", None, True),
                                  ("bf16", torch.bfloat16, True)):
        yield tried(f"{paper}, {name}", lambda p=precision,
                    f=fast: row(stepper(model, ordered, criterion, p), tf32(f)))
    if CUDA:
        model.compile()
        yield tried(f"{paper}, bf16, compiled",
                    lambda: row(stepper(model, ordered, criterion, torch.bfloat16), tf32(True)))


def loading():
    """STA-DRN fed by `ClipBatches`, beside steps on a batch that is there: share it waits."""
    torch.manual_seed(0)
    frames, side, batch = (64, 224, 5) if CUDA else (8, 32, 2)
    _, model, inputs, criterion = task("sta_drn")
    random = np.random.default_rng(0)
    videos = [random.integers(0, 255, (frames + 20, side, side, 3), np.uint8)
              for _ in range(2 * batch)]
    batches = ClipBatches(videos, np.zeros(len(videos)), lambda n,
                          r: sta_drn.training_clip(n, frames, r), batch, 0, jitter=0.2)

    def fed(source, epochs=2):
        synchronise()
        start, count = time.perf_counter(), 0
        for epoch in range(epochs):
            for clips, _ in source(epoch):
                inputs["clips"] = clips.to(DEVICE, memory_format=torch.channels_last_3d)
                step()
                count += 1
        synchronise()
        return 1e3 * (time.perf_counter() - start) / count

    for name, precision in (("32 bits", None), ("bf16", torch.bfloat16)):
        tf32(precision is not None)()
        step = stepper(model, inputs, criterion, precision)
        still = next(iter(batches(0)))
        fed(lambda epoch, b=still: [b])
        alone = fed(lambda epoch, b=still: [b] * 2)
        with_loading = fed(batches)
        yield {"what": f"sta_drn, {name}", "batch": batch, "step alone, ms": alone,
               "with loading, ms": with_loading, "share of time computing": alone / with_loading}


STEPS = {"card": card, "scan": scan, "tuning": tuning, "lengths": lengths,
         **{paper: lambda p=paper: training(p)
            for paper in ("cfrafn", "dynmultidep", "aafn", "sta_drn")}, "loading": loading}


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the CSV files")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    machine = {"machine": runs.hardware(DEVICE)["device"], "torch": torch.__version__,
               "date": date.today().isoformat()}
    for name in a.steps:
        rows = []
        for row in STEPS[name]():
            rows.append(row | machine)
            table = pd.DataFrame(rows)
            write_atomically(a.out / f"{name}.csv", table.to_csv(index=False, float_format="%.4g"))
            print(name, {key: f"{value:.4g}" if isinstance(value, float) else value
                         for key, value in row.items()}, flush=True)


if __name__ == "__main__":
    main()
