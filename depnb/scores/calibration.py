"""Calibration: probabilities in bins, on a logistic line, and after a refit on other folds."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from depnb.scores import metrics


def calibration_table(y_true, y_pred, level=0.95):
    """The calibration table of `curves`, from (n,) and (n,)."""
    rows = pd.DataFrame({"y": y_true, "p": y_pred}).groupby(metrics.bin_of(y_pred))
    found = rows.agg(predicted=("p", "mean"), observed=("y", "mean"), rows=("y", "size"))
    wilson = [stats.binomtest(int(ones), int(n)).proportion_ci(level, "wilson")
              for ones, n in zip(rows["y"].sum(), found["rows"], strict=True)]
    return found.assign(low=[w.low for w in wilson], high=[w.high for w in wilson]).reset_index(drop=True)


PENALTY = 0.01          # of a logistic line's coefficients: finite where the classes separate


def recalibrated(s):
    """Probabilities of every participant by the scores of the other folds, Platt's way. Scores -> (S, n)."""
    found = np.empty(s.raw.shape)
    for number, (raw, folds) in enumerate(zip(s.raw, s.folds, strict=True)):
        if len(set(folds)) < 2:
            raise ValueError(f"seed {s.seeds[number]}: one fold; recalibration needs at least two. Predict out of fold.")
        for fold in set(folds):
            here = folds == fold
            x = (raw - raw[~here].mean()) / max(raw[~here].std(), 1e-9)
            a, b = logistic_line(s.y, x, (~here).astype(float))
            found[number, here] = expit(a + b * x[here])
    return found


def logistic_line(y, x, weight, steps=15):
    """Intercept and slope of the class on x by weighted, weakly penalised maximum likelihood. (..., n) -> (...), (...)."""
    y, x, weight = np.broadcast_arrays(y, x, weight)
    a = b = np.zeros(x.shape[:-1])
    for _ in range(steps):                                                          # Newton
        q = expit(a[..., None] + b[..., None] * x)
        error, spread = weight * (y - q), weight * q * (1 - q)
        da, db = error.sum(-1) - PENALTY * a, (error * x).sum(-1) - PENALTY * b
        aa, ab, bb = spread.sum(-1) + PENALTY, (spread * x).sum(-1), (spread * x**2).sum(-1) + PENALTY
        det = aa * bb - ab**2
        a = a + np.clip((bb * da - ab * db) / det, -2, 2)
        b = b + np.clip((aa * db - ab * da) / det, -2, 2)
    return a, b


def calibration(y, p, weight):
    """Calibration of weighted participants, means over seeds. p (S, n), weight (..., n) -> (4, ...).

    in_the_large: share of cases less mean probability (above 0: risk is underestimated); slope of the class on the logit of
    the probability (below 1: too extreme; meaningless where a model knows nothing); calibration_error: mean distance of the
    probability from the logistic curve with this slope (not from shares in bins, most of which a few dozen participants
    leave empty); brier: mean squared error.
    """
    share, x = metrics.ratio(weight, weight.sum(-1, keepdims=True))[..., None, :], logit(np.clip(p, 1e-6, 1 - 1e-6))
    a, b = logistic_line(y, x, weight[..., None, :])
    curve = expit(a[..., None] + b[..., None] * x)
    return np.stack([(share * (y - p)).sum(-1), b, (share * np.abs(p - curve)).sum(-1),
                     (share * (p - y) ** 2).sum(-1)]).mean(-1)
