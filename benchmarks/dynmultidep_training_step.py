"""One training step of the released DynMultiDep at D-Vlog size, on 600 frames a vlog.

python benchmarks/dynmultidep_training_step.py --save
benchmarks/results/dynmultidep_training_step.csv

A step is forward, loss, backward, Adam. Plain: the released slow path, as its authors' code runs
where no CUDA kernel is: the scan written out under autograd, with exp(step A) and step B u of all
frames in memory, then a loop over the frames. Ours: `depnb.models.selective_scan`. All else is the
same model with the same weights; the losses before and after the first step must agree to 1e-4
(without dropout). The gradient of every frame's slice is a tensor of all frames, so that the slow
path takes tens of minutes at batch 16: by default it is measured at batch 1 and 2 beside ours, and
ours alone at batch 16 (--alone; its row has no ratio). Freed memory is kept for both
(`loop.keep_freed_memory`). --quick: small sizes, only to see that it runs.
"""

import copy
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from paired import arguments, compare, report
from selective_scan import reference

from depnb.models import dynmultidep
from depnb.runs import loop


def scan_written_out(u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse=False):
    """The scan of one direction as its definition reads. Softplus always on."""
    assert delta_softplus
    if reverse:
        u, delta, B, C, z = (x.flip(2) for x in (u, delta, B, C, z))
    y = reference(u, delta, A, B, C, D, z, delta_bias)
    return y.flip(2) if reverse else y


@contextmanager
def scanned_by(function):
    """The model's scan is another function."""
    ours, dynmultidep.selective_scan = dynmultidep.selective_scan, function
    try:
        yield
    finally:
        dynmultidep.selective_scan = ours


def trainer(model, scan, inputs, labels):
    """A training step at the authors' learning rate, as a function, and the list of its losses."""
    model = copy.deepcopy(model)
    optimiser, losses = torch.optim.Adam(model.parameters(), 5e-4), []

    def step():
        with scanned_by(scan):
            optimiser.zero_grad()
            loss = F.binary_cross_entropy_with_logits(model(**inputs), labels)
            loss.backward()
            optimiser.step()
        losses.append(loss.item())

    return step, losses


def main():
    """The command line."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--alone", type=int, nargs="*", default=[16])
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches, frames, sizes = ([2, 4], 40,
                              {"width": 32}) if a.quick else (a.batches + a.alone, a.frames, {})
    alone = [4] if a.quick else a.alone
    loop.keep_freed_memory()
    torch.manual_seed(0)
    model, rows = dynmultidep.DynMultiDep("released", dropout=0.0, **sizes).to(device), {}
    for batch in batches:
        inputs = {"audio": torch.randn(batch, frames, 25, device=device),
                  "visual": torch.randn(batch, frames, 136, device=device)}
        labels = (torch.arange(batch, device=device) % 2).float()
        ours, our_losses = trainer(model, dynmultidep.selective_scan, inputs, labels)
        name = f"batch {batch}, {frames} frames, 32 bits"
        if batch in alone:
            rows[f"{name}, ours alone"] = compare(lambda: None, ours, 3) | dict.fromkeys(
                ("plain_seconds", "ratio", "ratio_lowest", "ratio_highest"), float("nan"))
            continue
        plain, losses = trainer(model, scan_written_out, inputs, labels)
        rows[name] = compare(plain, ours, a.rounds)
        apart = max(abs(x - y) for x, y in zip(losses[:2], our_losses[:2], strict=True))
        assert apart < 1e-4, f"losses differ by {apart}"
        print(f"batch {batch}: losses of two steps {losses[:2]} and {our_losses[:2]}; "
              f"{torch.get_num_threads()} threads")
    report(rows, a.save, device)


if __name__ == "__main__":
    main()
