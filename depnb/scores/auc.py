"""ROC AUCs of pooled folds, and tests of two models on the same participants.

The area itself is `depnb.scores.metrics.roc_auc`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from depnb.scores import metrics

COLUMNS = ("model", "seed", "fold", "participant", "y_true", "y_pred")


def delong(y_true, first, second, level=0.95):
    """Test of two ROC AUCs on the same participants (DeLong et al. 1988).

    Parameters
    ----------
    y_true : (n,) of 0 and 1; rows must be independent: give one a participant
    first, second : (n,) probabilities of two models
    level : of the interval

    Returns
    -------
    dict: auc_1, auc_2, difference, its interval [low, high], z and two-sided p. All but the AUCs
    are NaN with fewer than two of a class, or where different AUCs have no variance.
    """
    y_true, first = metrics.checked(y_true, first)
    models, cases = (first, metrics.checked(y_true, second)[1]), y_true == 1
    one, two = (float(metrics.roc_auc(y_true, scores)) for scores in models)
    result = {"auc_1": one, "auc_2": two, "difference": one - two,
              "interval": [float("nan")] * 2, "z": float("nan"), "p": float("nan")}
    if min(cases.sum(), (~cases).sum()) < 2:
        return result
    # Structural components: V10 of every case, V01 of every control, its share of pairs won.
    won = [pairs(scores, scores, cases) for scores in models]
    of_cases = np.cov([shares.mean(1) for shares in won])
    of_controls = np.cov([shares.mean(0) for shares in won])
    # Covariance of both AUCs S10 / m + S01 / n, and from it the variance of their difference.
    covariance = of_cases / cases.sum() + of_controls / (~cases).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = float(np.sqrt(max(0.0, variance)))
    if error < 1e-8:                # the same order of participants, or two perfect separations
        return result | ({"interval": [0.0, 0.0], "z": 0.0, "p": 1.0} if one == two else {})
    z, half = (one - two) / error, float(stats.norm.ppf((1 + level) / 2)) * error
    return result | {"interval": [one - two - half, one - two + half], "z": z,
                     "p": float(2 * stats.norm.sf(abs(z)))}


class Scores(NamedTuple):
    """Out-of-fold scores of one model: n participants, S seeds."""

    people: pd.Index    # (n,)
    y: np.ndarray       # (n,) bool
    seeds: list
    raw: np.ndarray     # (S, n)
    ranks: np.ndarray   # (S, n), within fold and seed, between 0 and 1
    folds: np.ndarray   # (S, n)

    def auc(self, weight=1.0):
        """Mean over seeds of the AUC of ranks, of weighted participants: (..., n) -> (...)."""
        return metrics.roc_auc(self.y, self.ranks, np.asarray(weight)[..., None, :]).mean(-1)


def out_of_fold(predictions):
    """The rows of one model -> Scores.

    Raises
    ------
    ValueError
        For what is missing, twice, not finite or not 0 or 1.
    """
    missing = [c for c in COLUMNS if c not in predictions]
    if missing:
        raise ValueError(f"predictions have no column {missing[0]}; expected {', '.join(COLUMNS)}.")
    if predictions.empty:
        raise ValueError("predictions hold no row; expected the out-of-fold scores of at least one "
                         "model.")
    model = predictions["model"].iloc[0]
    if not np.isfinite(predictions["y_pred"].astype(float)).all():
        raise ValueError(f"model {model}: some scores are not finite numbers. Look at its training "
                         "history.")
    if not predictions["y_true"].isin([0, 1]).all():
        raise ValueError(f"model {model}: y_true holds other values than 0 (control) and 1 "
                         "(depressed).")
    table = predictions.groupby(["seed", "participant"]).agg(
        y=("y_true", "mean"), raw=("y_pred", "mean"), fold=("fold", "first"),
        folds=("fold", "nunique"))
    classes = table["y"].groupby("participant").agg(["min", "max"])
    if (table["folds"] > 1).any() or (classes["min"] != classes["max"]).any():
        what = "in two test folds of one seed" if (table["folds"] > 1).any() else "of both classes"
        raise ValueError(f"model {model}: a participant is {what}. Give out-of-fold scores, one "
                         "class a participant.")
    # Ranks within fold and seed, (rank - 0.5) / n: scores of different networks have no common
    # scale, ranks do.
    by_fold = table.groupby(["seed", "fold"])["raw"]
    table["rank"] = (by_fold.rank() - 0.5) / by_fold.transform("size")
    wide = {column: table[column].unstack("seed") for column in ("raw", "rank", "fold")}
    lacking = wide["raw"].isna().any(axis=1)
    if lacking.any():
        raise ValueError(f"model {model}: {int(lacking.sum())} participants have no score in some "
                         "seed. Predict all in every seed, or leave them out.")
    y = classes["max"].reindex(wide["raw"].index).to_numpy() == 1
    return Scores(wide["raw"].index, y, [*wide["raw"]],
                  *(wide[c].to_numpy().T for c in ("raw", "rank", "fold")))


def of_models(predictions, by="model"):
    """Scores of every model, in the order of the table.

    Parameters
    ----------
    predictions : table with COLUMNS
    by : column or columns that tell what counts as one model

    Returns
    -------
    dict name -> Scores
    """
    return {name: out_of_fold(rows) for name, rows in predictions.groupby(by, sort=False)}


def pairs(first, second, y):
    """How often cases, scored by `first`, rank above controls, scored by `second`: 1, 0.5 or 0.

    Parameters
    ----------
    first, second : (..., n) scores
    y : (n,) bool, the cases

    Returns
    -------
    array (..., cases, controls), whose mean is the AUC
    """
    above = first[..., y, None] - second[..., None, ~y]
    return 0.5 * (np.sign(above) + 1)


def classes(y):
    """Numbers of the cases and of the controls: the strata of a bootstrap."""
    return [np.flatnonzero(y), np.flatnonzero(~y)]


def swap_test(a, b, y, flips):
    """Two-sided p of equal AUCs, from scores swapped within participants.

    Such a swap turns the difference of the AUCs into a sum of signs times constants, half of what
    changes in the pairs of the participant: nothing is ranked again.

    Parameters
    ----------
    a, b : (S, n) scores of two models
    y : (n,) bool
    flips : (p, n), -1 where a permutation swaps a participant's scores, else 1
    """
    gain = (pairs(a, a, y) - pairs(b, b, y)).mean(0)                    # (cases, controls)
    crossed = (pairs(a, b, y) - pairs(b, a, y)).mean(0)
    share = np.empty(len(y))
    share[y] = (gain + crossed).mean(1) / (2 * y.sum())
    share[~y] = (gain - crossed).mean(0) / (2 * (~y).sum())
    # Monte Carlo p with the observed order among the permutations (Phipson & Smyth 2010).
    extreme = np.abs(flips @ share) >= abs(gain.mean()) - 1e-12
    return (1 + int(extreme.sum())) / (1 + len(flips))
