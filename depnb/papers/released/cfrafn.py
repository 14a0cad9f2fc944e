"""What the CFRAFN authors' program does: its split, its numbers and names, its wrong interval."""

import numpy as np
import pandas as pd
from scipy import stats

from depnb.corpora.speech_folder import split_by_file
from depnb.scores import rounded
from depnb.scores.metrics import checked, scores

# The CFRAFN authors' names and order.
RELEASED = {"acc": "accuracy", "ppv": "ppv", "sensitivity": "sensitivity", "f1": "f1",
            "roc_auc": "roc_auc", "mcc": "mcc", "aupr": "aupr", "gmean": "gmean", "kappa": "kappa",
            "npv": "npv", "specificity": "specificity"}
RELEASED_INTERVALS = ("acc", "ppv", "sensitivity", "specificity", "f1", "roc_auc", "gmean", "kappa",
                      "npv")


def shared_voices(corpus):
    """Voices that the authors' split by file both trains and tests on -> how many, of how many."""
    parts = split_by_file(corpus)
    people = corpus.sessions.set_index("session")["participant"]
    train, test = (set(people[parts.index[parts == part]]) for part in ("train", "test"))
    return len(train & test), len(test)


def shared_in_words(corpus):
    """`shared_voices` as a page may say it."""
    if not corpus.people_known:
        return ("how many test voices are also in training is not known, because nobody told who "
                "speaks (participants.csv, or the parameter pattern)")
    shared, tested = shared_voices(corpus)
    return f"{corpus.few(shared)} of {tested} test voices are also in training"


def released_metrics(y_true, y_pred, threshold=0.5):
    """The CFRAFN authors' metrics under their names -> dict of floats; 0 where they write 0 for an
    empty denominator.
    """
    measures = released_names(scores(*checked(y_true, y_pred), threshold))
    return {name: float(value) for name, value in measures.items()}


def released_names(measures):
    zero = ("ppv", "specificity", "npv", "f1")
    return {name: np.nan_to_num(measures[ours]) if name in zero else measures[ours]
            for name, ours in RELEASED.items()}


def released_bootstrap(y_true, y_pred, threshold=0.5, resamples=1000, seed=42):
    """The authors' resamples, of recordings, whoever spoke -> dict name -> (value, values on
    resamples).
    """
    y_true, y_pred = checked(y_true, y_pred)
    random = np.random.RandomState(seed)
    drawn = np.array([random.choice(y_true.size, y_true.size) for _ in range(resamples)])
    values = released_metrics(y_true, y_pred, threshold)
    resampled = released_names(scores(y_true[drawn], y_pred[drawn], threshold))
    return {name: (values[name], resampled[name]) for name in RELEASED_INTERVALS}


def released_interval(value, resampled, level=0.95):
    """The authors' interval -> (low, high). It is wrong: kept to show the difference to
    `intervals`.

    Their bias correction takes the share of resamples below the value for its normal quantile: with
    no bias at all (share 0.5, quantile 0) the interval runs from the 17th to the 99.8th percentile
    instead of the 2.5th to the 97.5th.
    """
    known = resampled[np.isfinite(resampled)]
    if not known.size or not np.isfinite(value):
        return float("nan"), float("nan")
    share, z = np.mean(known < value), stats.norm.ppf((1 + level) / 2)
    low, high = np.quantile(known, stats.norm.cdf([2 * share - z, 2 * share + z]))
    return float(low), float(high)


def released_intervals(table, threshold=0.5):
    """The authors' intervals of a prediction table, by recording, under our names -> dict name ->
    [low, high].
    """
    resampled = released_bootstrap(table["y_true"], table["y_pred"], threshold)
    return {RELEASED[name]: list(released_interval(*values)) for name, values in resampled.items()}


def compared_intervals(by_unit):
    """The authors' intervals beside ours, of one report `by_unit` -> table, one row a metric."""
    return pd.DataFrame([{
        "metric": name, "value": by_unit[name], "released formula": rounded.interval(*ends),
        "by participant": rounded.interval(*by_unit.get(f"{name}_interval", (None, None)))}
        for name, ends in by_unit["released_intervals"].items() if name in by_unit])


def released_tables(repetitions, threshold=0.5):
    """What the authors' program writes as metrics.csv and metrics_meanstd.csv -> two tables.

    repetitions: mapping split -> list of prediction tables, one a repeated run (theirs is one). Per
    recording, under their names; metrics: one row a split and run; metrics_meanstd: one row a
    split, <name>_mean and <name>_std (population).
    """
    rows = [{"split": split, "run": run, **released_metrics(t["y_true"], t["y_pred"], threshold)}
            for split, tables in repetitions.items() for run, t in enumerate(tables)]
    metrics = pd.DataFrame(rows, columns=["split", "run", *RELEASED])
    by_split = metrics.groupby("split", sort=False)[[*RELEASED]]
    mean, std = by_split.mean(), by_split.std(ddof=0)
    both = {f"{name}_{kind}": table[name] for name in RELEASED
            for kind, table in (("mean", mean), ("std", std))}
    return metrics, pd.DataFrame(both).reset_index()
