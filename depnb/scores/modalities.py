"""Whether what a model weighs, or answers, follows what was planted."""

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from depnb.scores.intervals import mean_interval
from depnb.scores.metrics import roc_auc


def notices(weights, degraded, modalities):
    """Does a fusion give less weight to the modality that is really worse?

    Parameters
    ----------
    weights : (sessions, modalities)
    degraded : list of names of modalities or None, one a session

    Returns
    -------
    table, one row a modality; NaN without such sessions

    auc
        How often its weight is lower in a session where it is degraded than in one where nothing
        is (0.5: chance, 1: always).
    degraded sessions
        How many.
    p
        Of a one-sided Mann-Whitney test (1947).
    """
    degraded = np.array([d or "" for d in degraded])
    rows = []
    for number, modality in enumerate(modalities):
        value = weights[:, number]
        known = np.isfinite(value)
        worse, fine = known & (degraded == modality), known & (degraded == "")
        row = {"modality": modality, "degraded sessions": int(worse.sum()), "auc": np.nan,
               "p": np.nan}
        if worse.any() and fine.any():
            both = worse | fine
            row["auc"] = float(roc_auc(worse[both], -value[both]))
            row["p"] = float(mannwhitneyu(value[worse], value[fine], alternative="less").pvalue)
        rows.append(row)
    return pd.DataFrame(rows)


def twin_response(low, high):
    """How a model answers twins that differ in one kind of cue alone.

    Parameters
    ----------
    low, high : (n,) logits of the less and the more depressed twin

    Returns
    -------
    dict; NaN where the lower twins' logits do not differ

    pairs
        How many.
    share
        Of pairs in which the more depressed twin has the higher logit; ties count half, 0.5 is
        chance.
    shift, shift_interval
        Mean difference over the standard deviation of the lower twins' logits (Glass's delta
        (1976) of pairs), with its t interval.
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    share = float(np.mean((high > low) + 0.5 * (high == low)))
    shifts = (high - low) / low.std() if low.std() > 0 else np.full(len(low), np.nan)
    mean, *ends, _ = mean_interval(shifts)
    return {"pairs": len(low), "share": share, "shift": mean, "shift_interval": ends}


def row_score(values, inside):
    """How well numbers per row tell planted rows from the others of the same session.

    Parameters
    ----------
    values : list of (T,) numbers, one array a session
    inside : list of (T,) bool

    Returns
    -------
    mean AUC over the sessions that have both kinds of rows (NaN where none has), how many these are
    """
    aucs = [float(roc_auc(rows, numbers)) for numbers, rows in zip(values, inside, strict=True)
            if 0 < np.sum(rows) < len(rows)]
    return (float(np.mean(aucs)) if aucs else float("nan")), len(aucs)
