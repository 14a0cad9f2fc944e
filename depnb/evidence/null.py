"""What leaks and choices add to an AUC where nothing can be learnt: one training, many scores.

A null corpus holds no relation between scores and recordings, so that shuffling the participants'
scores gives another null corpus at no cost: each repetition does so anew. In each, networks are
trained on a split by participant and on a split by unit (recordings, videos, windows), from several
starts, and the scores of every unit after every epoch stay. Every practice below is then a way of
reading the same numbers.
"""

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from depnb.evidence import cohort
from depnb.scores.auc import delong
from depnb.scores.intervals import separated
from depnb.scores.metrics import roc_auc

FLAGS = ("clips", "shared", "test", "restarts")
SINGLE = {"clean": (), "clips": ("clips",), "shared": ("shared",), "test": ("test",),
          "restarts": ("restarts",)}
TOGETHER = {"two": ("clips", "shared"), "three": ("clips", "shared", "test"), "all": FLAGS}
PRACTICES = SINGLE | TOGETHER
STAIRS = ("clean", "clips", "two", "three", "all")          # each includes the one before
WORDS = {"clean": "participants apart, epoch by validation", "clips": "clips counted as people",
         "shared": "participants in both training and test", "test": "epoch chosen on test",
         "restarts": "best of the restarts",
         "two": "clips counted, participants shared", "three": "… and epoch chosen on test",
         "all": "… and the best of the restarts", "as_published": "as published"}


def shuffled(people, repetition):
    """The participants with other participants' scores; repetition 0 keeps them.

    Scores of one person stay together.
    """
    if repetition == 0:
        return people
    order = np.random.default_rng([repetition, 7]).permutation(len(people))
    columns = [c for c in people if c in ("label", "bdi2", "severity") or c.startswith("phq8_")]
    return people.assign(**{c: people[c].to_numpy()[order] for c in columns})


def part_of(people, repetition):
    """train, validation or test of every participant, as of `cohort.parts`."""
    return cohort.parts(people, cohort.cohort_folds(people, 3, repetition), 0, repetition)


def split_of(table, people, shared, repetition):
    """train, validation or test of every unit.

    Whole participants, or (shared) units of everyone on all sides.
    """
    part = part_of(people, repetition)
    by_person = part.reindex(table["participant"]).to_numpy(object)
    if not shared:
        return by_person
    return np.random.default_rng([repetition, 8]).permutation(by_person)


def jobs(models, people, repetitions, restarts, folder):
    """What has to be trained.

    Returns
    -------
    mapping (pipeline, repetition, shared, restart) -> arguments of `protocol.fit_many`
    """
    arguments = {}
    for name, r, shared, start in itertools.product(models, range(repetitions), (False, True),
                                                    range(restarts)):
        own = shuffled(people, r)
        where = folder / f"{name}-{r}-{'shared' if shared else 'apart'}-{start}"
        split = split_of(models[name].table, own, shared, r)
        arguments[name, r, shared, start] = (name, split, start, where, own)
    return arguments


def read(table, label, split, watched, losses, flags):
    """AUC on the test units of several trainings, read as a practice does.

    Parameters
    ----------
    table : of the units
    label : (units,)
    split : (units,)
    watched : list of (epochs, units) scores, one array a training
    losses : list of (epochs,), on validation
    flags : of FLAGS; without `restarts` the first training counts

    Returns
    -------
    auc, whether its interval lies above 0.5
    """
    tested = split == "test"
    # (observations, units): which units one observation is the mean of.
    share = np.eye(int(tested.sum()))
    if "clips" not in flags:
        share = pd.get_dummies(table["participant"][tested]).to_numpy(float).T
        share = share / share.sum(1, keepdims=True)
    y = share @ label[tested] > 0.5
    best = []
    for scores, loss in zip(watched, losses, strict=True):
        epochs = slice(None) if "test" in flags else [int(np.argmin(loss))]
        counted = scores[epochs][:, tested] @ share.T               # (epochs, observations)
        aucs = roc_auc(y, counted)
        best.append((aucs.max(), counted[aucs.argmax()]))
        if "restarts" not in flags:
            break
    auc, counted = max(best, key=lambda pair: pair[0])
    return float(auc), alarm(y, counted)


def alarm(y, scores, level=0.95):
    """Whether the interval of an AUC lies above 0.5: DeLong's, of `separated` where that is none.

    Parameters
    ----------
    y : (n,) bool
    scores : (n,), any numbers
    """
    ranks = stats.rankdata(scores) / (len(scores) + 1)              # DeLong's test of a constant
    compared = delong(y.astype(int), ranks, np.full(len(scores), 0.5), level)
    low = compared["interval"][0]
    if np.isnan(low):
        low = separated(compared["auc_1"], y.sum(), (~y).sum(), level)[0] - 0.5
    return bool(low > 0)


def held_out(people, repetition):
    """How many cases and controls are tested in a repetition."""
    own = shuffled(people, repetition)
    test = own[part_of(own, repetition) == "test"]
    return int(test["label"].sum()), int((test["label"] == 0).sum())


def alarm_rate(cases, controls, draws=4000, seed=0):
    """How often `alarm` sounds where scores know nothing of the classes -> share of draws.

    With few participants DeLong's interval is too short, so that this is more than the one in forty
    which a 95 % interval promises.
    """
    y, rng = np.arange(cases + controls) < cases, np.random.default_rng(seed)
    return float(np.mean([alarm(y, rng.random(len(y))) for _ in range(draws)]))


def measure(models, people, fitted):
    """Every practice in every repetition.

    Parameters
    ----------
    models : mapping name -> Paper
    people : table by participant
    fitted : mapping of `jobs` -> Fitted, watched

    Returns
    -------
    table with pipeline, repetition, practice, auc, significant: whether the interval that the
    practice would report lies above 0.5
    """
    rows = []
    for name, r in dict.fromkeys((name, r) for name, r, _, _ in fitted):
        table, own = models[name].table, shuffled(people, r)
        label = own["label"].reindex(table["participant"]).to_numpy()
        splits = {shared: split_of(table, own, shared, r) for shared in (False, True)}
        practices = PRACTICES | {"as_published": models[name].as_published}
        for practice, flags in practices.items():
            shared = "shared" in flags
            trained = [f for key, f in fitted.items() if key[:3] == (name, r, shared)]
            auc, significant = read(table, label, splits[shared], [f.watched for f in trained],
                                    [f.history["val_error"].to_numpy() for f in trained], flags)
            rows.append({"pipeline": name, "repetition": r, "practice": practice, "auc": auc,
                         "significant": significant})
    return pd.DataFrame(rows)
