"""One protocol for all pipelines: a shared cohort, participant-disjoint folds, one training, what a model costs.

The epoch of the lowest validation loss is kept; the test participants are seen once. What the authors' programs do instead
is done, on purpose and under its own name, in `depnb.inflation`.
"""

import hashlib
import io
import json
import multiprocessing
import re
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from joblib import Parallel, delayed
from lightning_fabric import Fabric
from sklearn.model_selection import StratifiedKFold
from torch.utils.flop_counter import FlopCounterMode

from depnb import runs, training, verify
from depnb.models import dynmultidep
from depnb.simulation import cohort as cohorts
from depnb.simulation import face, severity, vlog, voice

SECONDS = {"speech_folder": 5.0}        # shorter recordings than a chapter's: two or three of each participant
COMPARED = ("participants", "effect", "cohort_seed", "folds", "epochs", "seed")    # of the comparison, as of who reads it
# What an oracle of a layout sees: the latent cues themselves, before anyone speaks or moves.
CUES = {"speech_folder": tuple(voice.CUES), "avec2014": tuple(face.CUES), "dvlog": tuple(vlog.CUES),
        "daic_woz": (*voice.CUES, *face.CUES, *severity.PHQ8_ITEMS)}


class Cohort:
    """A rendered cohort as `runs` and `plots` see a corpus. people: table by participant; root: folder."""

    name, restricted = "cohort", False

    def __init__(self, participants, seed=0, effect=1.0, workers=-1, root=None):
        """root: folder of a rendered cohort, whose own arguments then count; None: rendered where the notebooks share it."""
        self.root = Path(root or runs.path(f"data/simulated/cohort-{participants}-effect{effect:g}-seed{seed}"))
        if root is None:
            cohorts.render(self.root, participants, seed, effect, seconds=SECONDS, workers=workers)
        self.sessions = cohorts.participants(self.root)
        self.people = self.sessions.set_index("participant")
        content = (self.root / cohorts.TABLE).read_bytes()
        self.truth, self.fingerprint = json.loads(content), hashlib.sha256(content).hexdigest()[:16]
        held = self.truth["arguments"]
        if held["effect"] != effect:
            raise ValueError(f"{self.root.name}: holds a cohort of effect {held['effect']:g}, {effect:g} was asked for. Set "
                             "effect to the same value, or data_root to another folder.")

    def __len__(self):
        return len(self.people)

    def oracle(self, layout):
        """Sum of the latent cues that this layout shows: nobody can know more than this -> Series by participant."""
        return self.people[[f"cue_{cue}" for cue in CUES[layout]]].sum(axis=1)


def folds(people, k, seed):
    """Fold of every participant, 0 to k - 1, alike in class and, where there are enough, in PHQ-8 totals -> Series.

    Raises ValueError where a class has fewer than k participants.
    """
    fewest = people["label"].value_counts().reindex([0, 1], fill_value=0).min()
    if fewest < k:
        raise ValueError(f"{k} folds: the smaller class has {fewest} participants. Choose fewer folds or more participants.")
    strata = people["label"] * 2 + (people["phq8_total"] > people.groupby("label")["phq8_total"].transform("median"))
    strata = strata if strata.value_counts().min() >= k else people["label"]
    found = pd.Series(0, index=people.index, name="fold")
    for number, (_, held) in enumerate(StratifiedKFold(k, shuffle=True, random_state=seed).split(people, strata)):
        found.iloc[held] = number
    return found


def parts(people, fold, test, seed):
    """train, validation (a fifth of the rest, more in small cohorts) and test of every participant -> Series.

    fold: of `folds`; test: number of the fold that is the test set.
    """
    split = pd.Series("train", index=people.index, name="split").mask(fold == test, "test")
    rest = people[split == "train"]
    inner = folds(rest, min(5, rest["label"].value_counts().min()), seed + 1)
    split[inner.index[inner == 0]] = "validation"
    return split


def by_participant(table, scores):
    """Mean score of a participant's units -> Series by participant."""
    return pd.Series(scores).groupby(table["participant"].to_numpy()).mean()


class Batches:
    """Training batches of a pipeline; what an epoch draws depends on (seed, epoch) alone."""

    def __init__(self, pipeline, rows, targets, prepared, seed):
        self.pipeline, self.rows, self.targets, self.prepared, self.seed = pipeline, rows, targets, prepared, seed

    def __len__(self):
        return max(1, len(self.rows) // self.pipeline.batch_size)

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
    """Train one pipeline -> Fitted. The epoch of the lowest validation loss is kept.

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
        total = sum(float(pipeline.loss(model, pipeline.inputs(part, prepared), targets[part])) * len(part)
                    for part in np.array_split(rows["validation"], -(-len(rows["validation"]) // 32)))
        return {"loss": total / len(rows["validation"])}

    recipe = training.Recipe(epochs or pipeline.epochs, pipeline.learning_rate, pipeline.schedule, pipeline.weight_decay,
                             clip_norm=pipeline.clip_norm, select="loss", optimiser=pipeline.optimiser)
    if watch and not (folder / "watched.npy").exists():
        (folder / "state.safetensors").unlink(missing_ok=True)      # an interrupted one has not seen its first epochs
    history = training.fit(network, lambda model, batch: pipeline.loss(model, *batch),
                           Batches(pipeline, rows["train"], targets, prepared, seed), validate, recipe, fabric, folder,
                           {"pipeline": pipeline.name, "units": len(pipeline.table)})
    if watched:
        content = io.BytesIO()
        np.save(content, np.stack(watched).astype(np.float32))
        runs.write_atomically(folder / "watched.npy", content.getvalue())
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
        raise ValueError(f"{refused} This page reads it: run notebooks/comparison.ipynb first, with the same cohort.")
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
    training.keep_freed_memory()
    return fit(*arguments)


def multiply_adds(network, call):
    """Multiply-adds of call(network): matrix products and convolutions as PyTorch counts them, and what it does not.

    That is LSTMs, and of a Mamba block the short convolution and the scan (three a channel, state and step).
    """
    uncounted = []

    def recurrent(module, inputs, _):
        b, t, n = inputs[0].shape
        ways, h = 2 if module.bidirectional else 1, module.hidden_size
        uncounted.extend(b * t * ways * 4 * h * ((n if layer == 0 else ways * h) + h) for layer in range(module.num_layers))

    def scanning(module, inputs, _):
        b, e, t = inputs[0].shape
        uncounted.append(b * e * t * (module.conv.kernel_size[0] + 3 * module.sizes[1]))

    kinds = {torch.nn.LSTM: recurrent, dynmultidep.Direction: scanning}
    hooks = [m.register_forward_hook(kinds[type(m)]) for m in network.modules() if type(m) in kinds]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call(network.eval())
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() // 2 + sum(uncounted)


def costs(pipeline, people):
    """What one model costs, measured in a process of its own -> dict: parameters, multiply_adds (of one participant's
    recordings, on average) and memory_mb, what a training epoch and scoring take beyond the data (peak).
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_costs, pipeline, people).result()


def _costs(pipeline, people):
    torch.set_num_threads(1)
    rows = np.arange(len(pipeline.table))
    prepared, network = pipeline.prepare(rows, people), pipeline.build()
    targets = pipeline.targets(people, prepared)
    chosen = rows[:: max(1, len(rows) // 32)]
    adds = multiply_adds(network, lambda net: [pipeline.score(net, pipeline.inputs(chosen[i:i + 1], prepared), prepared)
                                               for i in range(len(chosen))])
    optimiser = torch.optim.Adam(network.train().parameters())

    def epoch():
        for batch in Batches(pipeline, rows, targets, prepared, 0)(0):
            pipeline.loss(network, *batch).backward()
            optimiser.step()
            optimiser.zero_grad()
        scored(pipeline, network.eval(), rows, prepared)

    memory = growth(epoch)
    units = len(rows) / pipeline.table["participant"].nunique()
    return {"parameters": sum(p.numel() for p in network.parameters()),
            "multiply_adds": float(adds / len(chosen) * units), "memory_mb": memory / 1e6}


def growth(call):
    """Bytes that a call takes at its peak beyond what the process held; NaN where the system (not Linux) does not tell."""
    if not Path("/proc/self/clear_refs").exists():
        call()
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")           # the peak so far is forgotten
    before = psutil.Process().memory_info().rss
    call()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) - before
