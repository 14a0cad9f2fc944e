"""What leaks and choices add to an AUC where nothing can be found: one training, scored in many ways.

A null corpus holds no relation between scores and recordings, so that shuffling the participants' scores gives another
null corpus at no cost: each repetition does so anew. In each, networks are trained on a split by participant and on a split
by unit (recordings, videos, windows), from several starts, and the scores of every unit after every epoch are kept. Every
practice below is then a way of reading the same numbers.
"""

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from depnb.evidence import cohort
from depnb.scores.auc import delong

FLAGS = ("clips", "shared", "test", "restarts")
SINGLE = {"clean": (), "clips": ("clips",), "shared": ("shared",), "test": ("test",), "restarts": ("restarts",)}
TOGETHER = {"two": ("clips", "shared"), "three": ("clips", "shared", "test"), "all": FLAGS}
PRACTICES = SINGLE | TOGETHER
STAIRS = ("clean", "clips", "two", "three", "all")          # each includes the one before
WORDS = {"clean": "participants apart, epoch by validation", "clips": "clips counted as people",
         "shared": "participants in both training and test", "test": "epoch chosen on test",
         "restarts": "best of the restarts",
         "two": "clips counted, participants shared", "three": "… and epoch chosen on test",
         "all": "… and the best of the restarts", "as_published": "as published"}


def shuffled(people, repetition):
    """The participants with other participants' scores; repetition 0 keeps them. Scores of one person stay together."""
    if repetition == 0:
        return people
    order = np.random.default_rng([repetition, 7]).permutation(len(people))
    columns = [c for c in people if c in ("label", "bdi2", "severity") or c.startswith("phq8_")]
    return people.assign(**{c: people[c].to_numpy()[order] for c in columns})


def split_of(table, people, shared, repetition):
    """train, validation or test of every unit: whole participants, or (shared) units of everyone on all sides."""
    part = cohort.parts(people, cohort.cohort_folds(people, 3, repetition), 0, repetition)
    by_person = part.reindex(table["participant"]).to_numpy(object)
    return np.random.default_rng([repetition, 8]).permutation(by_person) if shared else by_person


def jobs(models, people, repetitions, restarts, folder):
    """What has to be trained: mapping (pipeline, repetition, shared, restart) -> arguments of `protocol.fit_many`."""
    found = {}
    for name, r, shared, start in itertools.product(models, range(repetitions), (False, True), range(restarts)):
        own, where = shuffled(people, r), folder / f"{name}-{r}-{'shared' if shared else 'apart'}-{start}"
        found[name, r, shared, start] = (name, split_of(models[name].table, own, shared, r), start, where, own)
    return found


def read(table, label, split, watched, losses, flags):
    """AUC on the test units of several trainings, read as a practice does -> (auc, whether its interval excludes 0.5).

    label (units,); split (units,); watched: list of (epochs, units); losses: list of (epochs,), on validation; flags: of
    FLAGS; without `restarts` the first training counts.
    """
    here = split == "test"
    share = np.eye(int(here.sum()))                 # (observations, units): which units one observation is the mean of
    if "clips" not in flags:
        share = pd.get_dummies(table["participant"][here]).to_numpy(float).T
        share = share / share.sum(1, keepdims=True)
    y = share @ label[here] > 0.5
    found = []
    for scores, loss in zip(watched, losses, strict=True):
        epochs = slice(None) if "test" in flags else [int(np.argmin(loss))]
        counted = scores[epochs][:, here] @ share.T                 # (epochs, observations)
        aucs = ranked(y, counted)
        found.append((aucs.max(), counted[aucs.argmax()]))
        if "restarts" not in flags:
            break
    auc, counted = max(found, key=lambda x: x[0])
    ranks = stats.rankdata(counted) / (len(counted) + 1)
    compared = delong(y.astype(int), ranks, np.full(len(counted), 0.5))
    return float(auc), bool(compared["interval"][0] > 0)


def ranked(y, scores):
    """ROC AUC of every row of scores (rows, n), by mid-ranks; y (n,) of bool -> (rows,)."""
    ones, zeros = int(y.sum()), int((~y).sum())
    return (stats.rankdata(scores, axis=1)[:, y].mean(1) - (ones + 1) / 2) / zeros


def measure(models, people, fitted):
    """Every practice in every repetition -> table pipeline, repetition, practice, auc, significant.

    fitted: mapping of `jobs` -> Fitted, watched; significant: the interval that the practice would report lies above 0.5.
    """
    rows = []
    for name, r in dict.fromkeys((name, r) for name, r, _, _ in fitted):
        table, own = models[name].table, shuffled(people, r)
        label = own["label"].reindex(table["participant"]).to_numpy()
        splits = {shared: split_of(table, own, shared, r) for shared in (False, True)}
        for practice, flags in (PRACTICES | {"as_published": models[name].as_published}).items():
            shared = "shared" in flags
            trained = [f for key, f in fitted.items() if key[:3] == (name, r, shared)]
            auc, significant = read(table, label, splits[shared], [f.watched for f in trained],
                                    [f.history["val_error"].to_numpy() for f in trained], flags)
            rows.append({"pipeline": name, "repetition": r, "practice": practice, "auc": auc, "significant": significant})
    return pd.DataFrame(rows)
