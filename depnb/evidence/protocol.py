"""One protocol for all pipelines: a shared cohort, participant-disjoint folds, one training, what a model costs.

The epoch of the lowest validation error is kept; the test participants are seen once. What the authors' programs do instead
is done, on purpose and under its own name, in `depnb.evidence.null`.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from lightning_fabric import Fabric

from depnb import runs
from depnb.files import write_atomically
from depnb.runs import loop, verify

COMPARED = ("participants", "effect", "cohort_seed", "folds", "epochs", "seed")    # of the comparison, as of who reads it


class Batches:
    """Training batches of a pipeline; what an epoch draws depends on (seed, epoch) alone."""

    def __init__(self, pipeline, rows, targets, prepared, seed):
        self.pipeline, self.rows, self.targets, self.prepared, self.seed = pipeline, rows, targets, prepared, seed

    def __len__(self):
        size = self.pipeline.p.batch_size or len(self.rows)          # 0: all in one
        return -(-len(self.rows) // size)

    def __call__(self, epoch):
        rng = np.random.default_rng([self.seed, epoch])
        for part in np.array_split(rng.permutation(self.rows), len(self)):
            yield self.pipeline.inputs(part, self.prepared, rng), self.targets[part]


class Fitted:
    """A trained model of a pipeline: network, prepared, seconds, history, and watched, (epochs, units) scores or None."""

    def __init__(self, network, prepared, seconds, history, watched):
        self.network, self.prepared, self.seconds, self.history, self.watched = network, prepared, seconds, history, watched

    def scores(self, pipeline, rows=None, without=None):
        """Scores of units of a pipeline, damaged or not -> (units,) array. without: a sense that the model is not given."""
        rows = np.arange(len(pipeline.table)) if rows is None else rows
        return scored(pipeline, self.network, rows, self.prepared, without)


def scored(pipeline, network, rows, prepared, without=None):
    """(len(rows),) array: what the network says of these units."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), 32):
            inputs = pipeline.inputs(rows[start:start + 32], prepared)
            found.append(pipeline.score(network, pipeline.without(inputs, without) if without else inputs, prepared))
    return np.concatenate(found)


def fit(pipeline, people, split, seed, folder, epochs=None, watch=False):
    """Train one pipeline -> Fitted. The epoch of the lowest validation error, as its paper counts it, is kept.

    people: table by participant: label, bdi2, the eight ITEMS. split: (units,) array of train, validation, test or "".
    folder: of the run; one that is finished is read, one that was interrupted goes on. watch: keep the scores of all units
    that are not trained on (NaN elsewhere) after every epoch, in folder/watched.npy.
    """
    fabric = Fabric(accelerator="cpu", devices=1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {part: np.flatnonzero(split == part) for part in ("train", "validation")}
    prepared = pipeline.prepare(rows["train"], people)
    targets = pipeline.targets(people, prepared)
    fabric.seed_everything(seed, verbose=False)
    network, watched = pipeline.build(), []

    def validate(model):
        if watch:
            seen = np.full(len(split), np.nan)
            seen[split != "train"] = scored(pipeline, model, np.flatnonzero(split != "train"), prepared)
            watched.append(seen)
        answers = scored(pipeline, model, rows["validation"], prepared)
        return {"error": pipeline.error(answers, rows["validation"], people, prepared)}

    recipe = loop.Recipe(**pipeline.recipe(epochs), select="error")
    if watch and not (folder / "watched.npy").exists():
        (folder / "state.safetensors").unlink(missing_ok=True)      # an interrupted one has not seen its first epochs
    history = loop.fit(network, lambda model, batch: pipeline.loss(model, *batch),
                           Batches(pipeline, rows["train"], targets, prepared, seed), validate, recipe, fabric, folder,
                           {"pipeline": pipeline.name, "units": len(pipeline.table)})
    if watched:
        content = io.BytesIO()
        np.save(content, np.stack(watched).astype(np.float32))
        write_atomically(folder / "watched.npy", content.getvalue())
    return Fitted(network.eval(), prepared, sum(row["seconds"] for row in history), pd.DataFrame(history),
                  np.load(folder / "watched.npy") if watch else None)


def fit_many(models, people, jobs, workers=-1, epochs=None, watch=False):
    """Train many networks, several at a time, one core each -> mapping job -> Fitted.

    jobs: mapping job -> (pipeline's name, split by unit, seed, folder and, where its participants have other scores than
    `people` says, their table); models: mapping name -> Pipeline; epochs: of all, or mapping name -> epochs, or None.
    """
    epochs = epochs if isinstance(epochs, dict) else dict.fromkeys(models, epochs)
    found = in_parallel(_fit_alone, [(models[name], own[0] if own else people, split, seed, folder, epochs[name], watch)
                                     for name, split, seed, folder, *own in jobs.values()], workers)
    return dict(zip(jobs, found, strict=True))


def trainings(folder, cohort, parameters, needed=False):
    """Folder of the trainings that a run of the comparison in `folder` leaves to other pages, or None without such a run.

    Raises ValueError where that run is of another cohort, or of other folds, epochs or seed than `parameters` (a mapping),
    so that participants would be tested who were trained on; and, if needed, where no finished run can be believed.
    """
    run = runs.Run(folder)
    refused = verify.refusal(folder)
    if needed and refused:
        raise ValueError(f"{refused} This page reads it: run notebooks/evidence/comparison.ipynb first, with the same "
                         "cohort.")
    if not (run.folder / "params.yaml").exists():
        return None
    theirs = run.parameters
    other = [f"{k} {theirs[k]} instead of {parameters[k]}" for k in COMPARED if theirs[k] != parameters[k]]
    if not other and not refused and run.provenance["corpus"]["fingerprint"] != cohort.fingerprint:
        other = ["another cohort"]
    if other:
        raise ValueError(f"comparison_run {run.name}: was made with {', '.join(other)}. Give the same parameters, or "
                         "the folder of a comparison that has them.")
    return run.folder / "fits"


def in_parallel(function, calls, workers=-1, prefer=None):
    """function(*arguments) for every entry of calls, in several processes (prefer "threads": threads) -> list."""
    with warnings.catch_warnings():         # loky replaces workers that have grown, and says so
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        return Parallel(workers, prefer=prefer)(delayed(function)(*arguments) for arguments in calls)


def _fit_alone(*arguments):
    torch.set_num_threads(1)
    loop.keep_freed_memory()
    return fit(*arguments)
