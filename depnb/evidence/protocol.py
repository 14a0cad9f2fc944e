"""One protocol for all pipelines: a shared cohort, participant-disjoint folds, one training.

The epoch of the lowest validation error counts; the test participants are seen once. What the
authors' programs do instead is done, on purpose and under its own name, in `depnb.evidence.null`.
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
from depnb.runs import loop, training, verify

# Parameters of the comparison, as of who reads its trainings.
COMPARED = ("participants", "effect", "cohort_seed", "folds", "epochs", "seed")


class Fitted:
    """A trained model of a pipeline.

    Attributes
    ----------
    network, state : the model, and what was learnt from the training units before
    seconds : that the training took
    history : table
    watched : (epochs, units) scores, or None
    """

    def __init__(self, network, state, seconds, history, watched):
        self.network, self.state, self.seconds = network, state, seconds
        self.history, self.watched = history, watched

    def scores(self, pipeline, rows=None, without=None):
        """Scores of units of a pipeline, damaged or not -> (units,) array.

        without: a modality that the model is not given
        """
        rows = np.arange(len(pipeline.table)) if rows is None else rows
        return pipeline.paper.answers(self.network, pipeline.units, rows, self.state, without)


def fit(pipeline, people, split, seed, folder, epochs=None, watch=False):
    """Train one pipeline. The epoch that its chapter would choose on validation is kept.

    Parameters
    ----------
    pipeline : Pipeline
    people : table by participant: label, bdi2, the eight ITEMS and their total
    split : (units,) array of train, validation, test or ""
    folder : of the run; one that is finished is read, one that was interrupted goes on
    epochs : None: the paper's own
    watch : keep the scores of all units that are not trained on (NaN elsewhere) after every epoch,
        in folder/watched.npy

    Returns
    -------
    Fitted
    """
    fabric, folder, asked = Fabric(accelerator="cpu", devices=1), Path(folder), pipeline.paper
    folder.mkdir(parents=True, exist_ok=True)
    units, watched = pipeline.labelled(people, split), []
    rows = {part: units.rows(part) for part in ("train", "validation")}
    state = asked.prepare(units, rows["train"])
    network = asked.network(state, seed)
    unseen = np.flatnonzero(np.asarray(split) != "train")

    def validate(model):
        if watch:
            seen = np.full(len(units), np.nan)
            seen[unseen] = asked.answers(model, units, unseen, state)
            watched.append(seen)
        guess = asked.decoded(asked.answers(model, units, rows["validation"], state), state)
        told = asked.told(units.table.iloc[rows["validation"]].reset_index(drop=True), guess)
        return {"error": asked.measures(told)[asked.select]}

    recipe = training.recipe_of(asked, select="error", **({"epochs": epochs} if epochs else {}))
    if watch and not (folder / "watched.npy").exists():
        # an interrupted one has not seen its first epochs
        (folder / "state.safetensors").unlink(missing_ok=True)
    batches = asked.batches(units, rows["train"], state, seed)
    history = loop.fit(network, asked.loss, batches, validate, recipe, fabric, folder,
                       {"pipeline": pipeline.name, "units": len(units)},
                       data=training.fingerprint(units, state))
    if watched:
        content = io.BytesIO()
        np.save(content, np.stack(watched).astype(np.float32))
        write_atomically(folder / "watched.npy", content.getvalue())
    history = pd.DataFrame(history)
    return Fitted(network.eval(), state, training.seconds(history), history,
                  np.load(folder / "watched.npy") if watch else None)


def fit_many(models, people, jobs, workers=-1, epochs=None, watch=False):
    """Train many networks, several at a time, one core each.

    Parameters
    ----------
    models : mapping name -> Paper
    people : table by participant
    jobs : mapping job -> (pipeline's name, split by unit, seed, folder and, where its participants
        have other scores than `people` says, their table)
    epochs : of all, or mapping name -> epochs, or None

    Returns
    -------
    mapping job -> Fitted
    """
    epochs = epochs if isinstance(epochs, dict) else dict.fromkeys(models, epochs)
    calls = [(models[name], own[0] if own else people, split, seed, folder, epochs[name], watch)
             for name, split, seed, folder, *own in jobs.values()]
    return dict(zip(jobs, in_parallel(_fit_alone, calls, workers), strict=True))


def trainings(folder, cohort, parameters, needed=False):
    """Folder of the trainings that a run of the comparison leaves to other pages, or None.

    Parameters
    ----------
    folder : of the comparison's run
    cohort : Cohort of the page that reads it
    parameters : mapping, of that page
    needed : whether the page cannot do without

    Raises
    ------
    ValueError
        Where that run is of another cohort, or of other folds, epochs or seed than `parameters`, so
        that participants would be tested who were trained on; and, if needed, where no finished run
        can be believed.
    """
    run = runs.Run(folder)
    refused = verify.refusal(folder)
    if needed and refused:
        raise ValueError(f"{refused} This page reads it: run notebooks/evidence/comparison.ipynb "
                         "first, with the same cohort.")
    if not (run.folder / "params.yaml").exists():
        return None
    theirs = run.parameters
    other = [f"{k} {theirs[k]} instead of {parameters[k]}" for k in COMPARED
             if theirs[k] != parameters[k]]
    if theirs["seeds"] < parameters.get("seeds", 1):
        other.append(f"seeds {theirs['seeds']}, fewer than {parameters['seeds']}")
    if not other and not refused and (
            run.provenance["corpus"]["fingerprint"] != cohort.fingerprint):
        other = ["another cohort"]
    if other:
        raise ValueError(f"comparison_run {run.name}: was made with {', '.join(other)}. Give the "
                         "same parameters, or the folder of a comparison that has them.")
    return run.folder / "fits"


def in_parallel(function, calls, workers=-1, prefer=None):
    """function(*arguments) for every entry of calls, in several processes -> list.

    prefer: "threads" for threads.
    """
    with warnings.catch_warnings():         # loky replaces workers that have grown, and says so
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given",
                                UserWarning)
        return Parallel(workers, prefer=prefer)(delayed(function)(*arguments)
                                                for arguments in calls)


def _fit_alone(*arguments):
    torch.set_num_threads(1)
    loop.keep_freed_memory()
    return fit(*arguments)
