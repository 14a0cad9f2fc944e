"""Areas under the ROC curve: of one model, of pooled folds, and of two models on the same participants."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from depnb.scores import metrics


def delong(y_true, first, second, level=0.95):
    """Test of two ROC AUCs on the same participants (DeLong 1988, by mid-ranks: Sun & Xu 2014) -> dict of floats.

    y_true (n,) 0/1; first, second (n,) probabilities; rows must be independent: give one a participant. auc_1, auc_2,
    difference, its interval [low, high], z and two-sided p. All but the AUCs are NaN with fewer than two of a class, or
    where different AUCs have no variance.
    """
    y_true, first = metrics.checked(y_true, first)
    one, zero = y_true == 1, y_true == 0
    in_ones, in_zeros = [], []                                              # structural components V10 and V01
    for score in (first, metrics.checked(y_true, second)[1]):
        rank = stats.rankdata(score)
        in_ones.append((rank[one] - stats.rankdata(score[one])) / max(zero.sum(), 1))
        in_zeros.append(1 - (rank[zero] - stats.rankdata(score[zero])) / max(one.sum(), 1))
    auc = [float(v.mean()) if one.any() and zero.any() else float("nan") for v in in_ones]
    found = {"auc_1": auc[0], "auc_2": auc[1], "difference": auc[0] - auc[1], "interval": [float("nan")] * 2,
             "z": float("nan"), "p": float("nan")}
    if min(one.sum(), zero.sum()) < 2:
        return found
    covariance = np.cov(in_ones) / one.sum() + np.cov(in_zeros) / zero.sum()
    error = float(np.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    if error < 1e-8:                # the same order of participants, or two perfect separations
        return found if auc[0] != auc[1] else found | {"interval": [0.0, 0.0], "z": 0.0, "p": 1.0}
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    z = found["difference"] / error
    return found | {"interval": [found["difference"] - half, found["difference"] + half], "z": z,
                    "p": float(2 * stats.norm.sf(abs(z)))}


COLUMNS = ("model", "seed", "fold", "participant", "y_true", "y_pred")


class Scores(NamedTuple):
    """Out-of-fold scores of one model: n participants, S seeds."""

    people: pd.Index    # (n,)
    y: np.ndarray       # (n,) bool
    seeds: list
    raw: np.ndarray     # (S, n)
    ranks: np.ndarray   # (S, n), within fold and seed, between 0 and 1
    folds: np.ndarray   # (S, n)


def out_of_fold(predictions):
    """The rows of one model -> Scores. Raises ValueError for what is missing, twice, not finite or not 0 or 1."""
    missing = [c for c in COLUMNS if c not in predictions]
    if missing:
        raise ValueError(f"predictions have no column {missing[0]}; expected {', '.join(COLUMNS)}.")
    if predictions.empty:
        raise ValueError("predictions hold no row; expected the out-of-fold scores of at least one model.")
    model = predictions["model"].iloc[0]
    if not np.isfinite(predictions["y_pred"].astype(float)).all():
        raise ValueError(f"model {model}: some scores are not finite numbers. Look at its training history.")
    if not predictions["y_true"].isin([0, 1]).all():
        raise ValueError(f"model {model}: y_true holds other values than 0 (control) and 1 (depressed).")
    table = predictions.groupby(["seed", "participant"]).agg(
        y=("y_true", "mean"), raw=("y_pred", "mean"), fold=("fold", "first"), folds=("fold", "nunique"))
    classes = table["y"].groupby("participant").agg(["min", "max"])
    if (table["folds"] > 1).any() or (classes["min"] != classes["max"]).any():
        what = "in two test folds of one seed" if (table["folds"] > 1).any() else "of both classes"
        raise ValueError(f"model {model}: a participant is {what}. Give out-of-fold scores, one class a participant.")
    by_fold = table.groupby(["seed", "fold"])["raw"]
    table["rank"] = (by_fold.rank() - 0.5) / by_fold.transform("size")
    wide = {column: table[column].unstack("seed") for column in ("raw", "rank", "fold")}
    lacking = wide["raw"].isna().any(axis=1)
    if lacking.any():
        raise ValueError(f"model {model}: {int(lacking.sum())} participants have no score in some seed. Predict all in "
                         "every seed, or leave them out.")
    y = classes["max"].reindex(wide["raw"].index).to_numpy() == 1
    return Scores(wide["raw"].index, y, [*wide["raw"]], *(wide[c].to_numpy().T for c in ("raw", "rank", "fold")))


def of_models(predictions, by="model"):
    """Scores of every model, in the order of the table -> dict; by: column or columns that tell what counts as one."""
    return {name: out_of_fold(rows) for name, rows in predictions.groupby(by, sort=False)}


def wins(first, second, y):
    """How often cases, scored by `first`, rank above controls, scored by `second` -> (cases, controls), mean over seeds.

    first, second: (S, n) ranks; ties count half.
    """
    above = first[:, y, None] - second[:, None, ~y]
    return (0.5 * (np.sign(above) + 1)).mean(0)


def auc_of(won, y, weight):
    """AUC of weighted participants. won from `wins`, weight (..., n) -> (...); NaN without one of the classes."""
    cases, controls = weight[..., y], weight[..., ~y]
    return metrics.ratio(((cases @ won) * controls).sum(-1), cases.sum(-1) * controls.sum(-1))


def classes(y):
    """Numbers of the cases and of the controls: the strata of a bootstrap."""
    return [np.flatnonzero(y), np.flatnonzero(~y)]


def swap_test(a, b, y, flips):
    """Two-sided p of equal AUCs: the scores a and b, (S, n), swapped within the participants where flips (p, n) are -1.

    Such a swap turns the difference of the AUCs into a sum of signs times constants: nothing is ranked again.
    """
    gain, crossed = wins(a, a, y) - wins(b, b, y), wins(a, b, y) - wins(b, a, y)
    share = np.empty(len(y))
    share[y], share[~y] = (gain + crossed).mean(1) / (2 * y.sum()), (gain - crossed).mean(0) / (2 * (~y).sum())
    return (1 + int((np.abs(flips @ share) >= abs(gain.mean()) - 1e-12).sum())) / (1 + len(flips))
