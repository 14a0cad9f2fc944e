"""A paper's network in its run: trained, taken from a checkpoint, or of the authors."""

import hashlib
import json
import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader, Sampler

from depnb.files import located
from depnb.runs import loop

WORKERS = 4                     # processes that make batches beside a GPU
PIECES, PIECE = 64, 1 << 14     # of a large array: rows that are looked at, bytes of each


def fabric_of(parameters):
    """Lightning Fabric on the device and in the precision that a chapter's parameters name."""
    device = parameters["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Fabric(accelerator=device, devices=1, precision=parameters["precision"])


def recipe_of(paper, **changed):
    """How a paper is trained -> loop.Recipe."""
    return loop.Recipe(**paper.recipe() | changed)


class Epochs(Sampler):
    """The plan of one epoch of a dataset of batches: the same whenever it is asked for."""

    def __init__(self, batches):
        self.batches, self.epoch = batches, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches.plan(self.epoch))


class Loader:
    """Batches of `Paper.batches`, as `loop.fit` asks for them, made by workers.

    Beside a GPU some processes make batches in pinned memory while it computes; on a CPU, which has
    no time to spare, this process does. Whoever makes them, they are the same.

    Parameters
    ----------
    batches : papers.paper.Batches
    device : where they will go
    workers : processes; None: WORKERS beside a GPU, none on a CPU or where none can fork (Windows)
    """

    def __init__(self, batches, device, workers=None):
        beside = torch.device(device).type == "cuda"
        if workers is None:     # where processes fork: nothing of a paper needs to be pickled
            forks = "fork" in torch.multiprocessing.get_all_start_methods()
            workers = min(WORKERS, (os.cpu_count() or 1) - 1) if beside and forks else 0
        self.epochs = Epochs(batches)
        # Without a generator of its own it would draw from the one that dropout draws from.
        self.loader = DataLoader(batches, sampler=self.epochs, batch_size=None, collate_fn=as_it_is,
                                 num_workers=workers, pin_memory=beside,
                                 generator=torch.Generator(), persistent_workers=workers > 0,
                                 multiprocessing_context="fork" if workers else None)

    def __len__(self):
        return len(self.epochs)

    def __call__(self, epoch):
        self.epochs.set_epoch(epoch)
        return iter(self.loader)


def as_it_is(batch):
    """A batch is made whole: there is nothing to collate."""
    return batch


def loss_of(paper, fabric):
    """The loss of a batch, wherever it lies, as `loop.fit` asks for it."""
    return lambda network, batch: paper.loss(network, fabric.to_device(batch))


def fingerprint(units, state):
    """64 hexadecimal digits of what is trained and judged on: labels, parts, features of all
    recordings, and what was learnt before.
    """
    content = hashlib.sha256(json.dumps(state).encode() + units.table.to_csv().encode())
    _digest(units.data, content)
    return content.hexdigest()


def _digest(value, content):
    """Add arrays, tables and numbers, however nested, to a hash; of a large array pieces of it."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        content.update(f"{value.shape} {value.dtype}".encode())
        rows = value.reshape(len(value), -1) if value.ndim and len(value) else value.reshape(1, -1)
        if value.nbytes > PIECES * PIECE:
            rows = rows[np.linspace(0, len(rows) - 1, PIECES).astype(int)]
            rows = rows[:, ::max(1, rows.nbytes // (PIECES * PIECE))]
        content.update(np.ascontiguousarray(rows).tobytes() if value.dtype != object else
                       repr(rows.tolist()).encode())
    elif isinstance(value, (pd.DataFrame, pd.Series)):
        content.update(value.to_csv().encode())
    elif isinstance(value, Mapping):
        for name, part in value.items():
            content.update(str(name).encode())
            _digest(part, content)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _digest(part, content)
    elif isinstance(value, (str, int, float, bool, np.generic)):
        content.update(repr(value).encode())
    elif hasattr(value, "__dict__"):
        _digest(vars(value), content)


def seconds(history):
    """How long a training took, earlier ones of a chain aside. history: of `train`."""
    return 0.0 if history is None else float(history["seconds"].sum())


def train(paper, network, units, state, run, fabric, **changed):
    """The network that a run judges: trained here, unless the parameters name a checkpoint.

    Parameters
    ----------
    paper : papers.paper.Paper
    network : of `paper.network`, or the authors'; its weights are changed in place
    units, state : of `paper.features` and `paper.prepare`; the state is kept as scaler.json
    run : Run, whose corpus is in use
    fabric : of `fabric_of`
    changed : of the paper's recipe

    Returns
    -------
    DataFrame or None
        The history of the training; None where nothing was trained.
    """
    p, about = paper.p, paper.about(state)
    run.save("scaler.json", json.dumps(state))
    if paper.theirs:
        fabric.setup_module(network)
        return None
    if p.checkpoint:
        loop.load_checkpoint(located(p.checkpoint), fabric.setup_module(network).module, about)
        return None
    items = paper.batches(units, units.rows("train"), state)
    batches, data = Loader(items, fabric.device), fingerprint(units, state)
    compiled = getattr(p, "compile", False)

    def validate(model):        # a compiled network would be compiled once more
        return paper.validation(network if compiled else model, units, state)

    def fit(folder, tracker=None):
        folder.mkdir(exist_ok=True)
        return loop.fit(network, loss_of(paper, fabric), batches, validate,
                        recipe_of(paper, **changed), fabric, folder, about, tracker, compiled,
                        data)

    for link in range(paper.earlier_trainings()):
        fit(run.folder / f"chain-{link}")
    tracker = loop.make_tracker(p.tracker, run.folder, run.name, run.restricted)
    return pd.DataFrame(fit(run.folder, tracker))
