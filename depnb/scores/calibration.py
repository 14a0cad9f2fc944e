"""Calibration: probabilities in bins, on a logistic line, and after a refit on other folds."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from depnb.scores import metrics

MEASURES = ("in_the_large", "slope", "ici", "brier")
PENALTY = 0.01          # of a logistic line's coefficients: finite where the classes separate


def calibration_table(y_true, y_pred, level=0.95):
    """Probability and share of ones in bins of width 0.1.

    Parameters
    ----------
    y_true : (n,) of 0 and 1
    y_pred : (n,) probabilities

    Returns
    -------
    table, one row a bin that is not empty: predicted (mean probability), observed (share of ones),
    rows, and low and high, the interval of Wilson (1927), which takes rows as independent
    """
    bins = pd.DataFrame({"y": y_true, "p": y_pred}).groupby(metrics.bin_of(y_pred))
    table = bins.agg(predicted=("p", "mean"), observed=("y", "mean"), rows=("y", "size"))
    wilson = [stats.binomtest(int(ones), int(n)).proportion_ci(level, "wilson")
              for ones, n in zip(bins["y"].sum(), table["rows"], strict=True)]
    return table.assign(low=[w.low for w in wilson], high=[w.high for w in wilson]).reset_index(
        drop=True)


def recalibrated(s):
    """Probabilities of every participant from the scores of the other folds (Platt 1999).

    A logistic curve is fitted to the scores of all other folds of a seed. Scikit-learn's leaves the
    intercept without a penalty and takes one weighting at a time; `logistic_line` takes many.

    Parameters
    ----------
    s : Scores, as of `depnb.scores.auc.out_of_fold`

    Returns
    -------
    (S, n) probabilities

    Raises
    ------
    ValueError
        Where a seed has one fold only.
    """
    probabilities = np.empty(s.raw.shape)
    for number, (raw, folds) in enumerate(zip(s.raw, s.folds, strict=True)):
        if len(set(folds)) < 2:
            raise ValueError(f"seed {s.seeds[number]}: one fold; recalibration needs at least two. "
                             "Predict out of fold.")
        for fold in set(folds):
            inside = folds == fold
            # Standardised by the other folds, so that the penalty means the same for every model.
            x = (raw - raw[~inside].mean()) / max(raw[~inside].std(), 1e-9)
            a, b = logistic_line(s.y, x, (~inside).astype(float))
            probabilities[number, inside] = expit(a + b * x[inside])
    return probabilities


def logistic_line(y, x, weight, steps=15):
    """Intercept and slope of the class on x by weighted, weakly penalised maximum likelihood.

    Parameters
    ----------
    y, x, weight : (..., n)
    steps : of Newton's method, each of at most 2

    Returns
    -------
    a, b : (...), of the log odds a + b x
    """
    y, x, weight = np.broadcast_arrays(y, x, weight)
    a = b = np.zeros(x.shape[:-1])
    for _ in range(steps):
        q = expit(a[..., None] + b[..., None] * x)
        # Gradient (da, db) and negative Hessian (aa, ab; ab, bb) of the penalised log likelihood.
        error, spread = weight * (y - q), weight * q * (1 - q)
        da, db = error.sum(-1) - PENALTY * a, (error * x).sum(-1) - PENALTY * b
        aa, ab = spread.sum(-1) + PENALTY, (spread * x).sum(-1)
        bb = (spread * x**2).sum(-1) + PENALTY
        det = aa * bb - ab**2
        a = a + np.clip((bb * da - ab * db) / det, -2, 2)
        b = b + np.clip((aa * db - ab * da) / det, -2, 2)
    return a, b


def calibration(y, p, weight):
    """The MEASURES of weighted participants, means over seeds.

    Parameters
    ----------
    y : (n,) bool
    p : (S, n) probabilities
    weight : (..., n)

    Returns
    -------
    (4, ...) array

    in_the_large
        Share of cases less mean probability; above 0, risk is underestimated.
    slope
        Of the class on the logit of the probability (Cox 1958); below 1, probabilities are too
        extreme; it means nothing where a model knows nothing.
    ici
        Integrated calibration index (Austin & Steyerberg 2019): mean distance of the probability
        from a smooth calibration curve, here the logistic one, not from shares in bins, most of
        which a few dozen participants leave empty.
    brier
        Mean squared error (Brier 1950).
    """
    share = metrics.ratio(weight, weight.sum(-1, keepdims=True))[..., None, :]
    x = logit(np.clip(p, 1e-6, 1 - 1e-6))
    a, b = logistic_line(y, x, weight[..., None, :])
    curve = expit(a[..., None] + b[..., None] * x)
    in_the_large = (share * (y - p)).sum(-1)
    ici = (share * np.abs(p - curve)).sum(-1)
    brier = (share * (p - y) ** 2).sum(-1)
    return np.stack([in_the_large, b, ici, brier]).mean(-1)
