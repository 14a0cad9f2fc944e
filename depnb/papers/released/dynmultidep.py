"""What the program of DynMultiDep (3166074787/DynMultiDep, 5fd29e3) did with data and scores.

The crops and the score are DepMamba's too (Jiaxin-Ye/DepMamba, 6e96fd2); the split of the input is
DynMultiDep's own.
"""

import numpy as np
import pandas as pd

from depnb.features import vlog
from depnb.scores.metrics import classification


def released_halves(joined):
    """The features of a row cut in half, "first half is audio, second half is video".

    Parameters
    ----------
    joined : (B, T, F) tensor; the loaders put the face first

    Returns
    -------
    (B, T, F // 2), (B, T, F - F // 2)
    """
    half = joined.shape[2] // 2
    return joined[..., :half], joined[..., half:]


def released_score(measured):
    """The mean of accuracy, precision, recall and F1, by which the program keeps an epoch.

    What is not defined counts as 0. measured: of `scores.metrics.classification`.
    """
    chosen = [measured[name] for name in ("accuracy", "ppv", "sensitivity", "f1")]
    return float(np.nansum(chosen) / 4)


def scores_without_skill(predictions, right=0.65, draws=500, seed=0):
    """`released_score` of two deciders on the validation vlogs -> table: decisions, score.

    Parameters
    ----------
    predictions : of a run
    right : how often the second one is right, in each class
    draws : how often the second one decides; its mean is told
    """
    truth = predictions.query("split == 'validation'")["y_true"].to_numpy()
    drawn = np.random.default_rng(seed).random((draws, len(truth)))
    deciders = {"always depressed": [np.ones(len(truth))],
                f"right about {right:.0%} of each class (mean of {draws})":
                np.where(drawn < right, truth, 1 - truth).astype(float)}
    return pd.DataFrame([
        {"decisions": name, "released score": np.mean([
            released_score(classification(truth, decided)) for decided in decided_alike])}
        for name, decided_alike in deciders.items()])


def crop_counts(vlogs, seed, shortest):
    """How often the vlogs of each quarter of lengths count after the released cropping.

    Parameters
    ----------
    vlogs : training rows of `papers.dynmultidep.Paper.lengths`
    seed, shortest : of `vlog.released_crops`

    Returns
    -------
    table, one row a quarter: vlogs, items, items a vlog; share of depressed among vlogs, and among
    items
    """
    seconds = vlogs.set_index("session")["seconds"]
    cuts = pd.Series([session for session, _, _ in
                      vlog.released_crops(seconds.to_dict(), seed, shortest)], dtype=object)
    times = cuts.value_counts().reindex(seconds.index, fill_value=0) + 1
    quarter = pd.qcut(seconds, 4, labels=["shortest quarter", "second", "third",
                                          "longest quarter"])
    items = times.groupby(quarter, observed=True)
    table = pd.DataFrame({"vlogs": quarter.value_counts(sort=False), "items": items.sum(),
                          "items a vlog": items.mean()})
    table.index.name = None
    depressed = (vlogs["group"] == "depressed").to_numpy(float)
    return table, float(depressed.mean()), float(np.average(depressed, weights=times))
