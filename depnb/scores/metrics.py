"""Metrics of scores and of decisions, of one sample or of many at once.

A prediction table has one row a recording or session: participant, session, split, y_true and
y_pred; in a classification y_true is 0 (control) or 1 (depressed) and y_pred the probability of 1.
Metrics that a sample leaves undefined (ROC AUC of one class, PPV without a positive decision) are
NaN.
"""

import numpy as np
import pandas as pd
from sklearn import metrics as library

METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1",
           "gmean", "mcc", "kappa", "roc_auc", "aupr", "average_precision", "brier",
           "calibration_error")
REGRESSION = ("mae", "rmse", "ccc", "pearson")


def classification(y_true, y_pred, threshold=0.5):
    """Every metric of METRICS, of one sample; `scores` has their formulas.

    Parameters
    ----------
    y_true : (n,) of 0 and 1
    y_pred : (n,) probabilities of 1
    threshold : from which on a probability is a decision for 1

    Returns
    -------
    dict of floats

    Raises
    ------
    ValueError
        Empty or unequal inputs, other labels, or values that are not probabilities.
    """
    values = scores(*checked(y_true, y_pred), threshold)
    return {name: float(value) for name, value in values.items()}


def checked(y_true, y_pred):
    """Truth and probabilities as float arrays (n,), or one sentence on what is wrong with them."""
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    if y_true.size == 0 or y_true.ndim != 1 or y_true.shape != y_pred.shape:
        raise ValueError(f"truth has shape {y_true.shape}, prediction {y_pred.shape}; expected two "
                         "equal, non-empty lists.")
    other = y_true[(y_true != 0) & (y_true != 1)]
    if other.size:
        raise ValueError(f"truth holds {other[0]:g}; expected 0 (control) and 1 (depressed) only.")
    outside = ~((y_pred >= 0) & (y_pred <= 1))
    if outside.any():
        raise ValueError(f"{int(outside.sum())} of {y_pred.size} predictions are not probabilities "
                         "in 0..1; give the sigmoid of the logits, and look at the training "
                         "history if they are NaN.")
    return y_true, y_pred


def scores(y_true, y_pred, threshold=0.5, weight=1.0):
    """The metrics of METRICS for many samples at once.

    One kernel for single values, bootstrap draws and repeated runs. All formulas agree with
    scikit-learn to rounding, but the bins of the calibration error, which are exact on their edges.

    Parameters
    ----------
    y_true, y_pred : (..., n), as of `classification`
    threshold : from which on a probability is a decision for 1
    weight : (..., n), how often each row counts; a row of weight 0 is as if it were absent

    Returns
    -------
    dict of arrays (...)
    """
    y, p, w = broadcast(y_true, y_pred, weight)
    decided = p >= threshold
    # The confusion matrix: decisions by truth.
    tp, fp = (w * y * decided).sum(-1), (w * (1 - y) * decided).sum(-1)
    fn, tn = (w * y * ~decided).sum(-1), (w * (1 - y) * ~decided).sum(-1)
    n, both_classes = tp + fp + fn + tn, (tp + fn > 0) & (fp + tn > 0)
    # Sensitivity (recall, true positive rate) and specificity (true negative rate).
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    # Denominator of Matthews' correlation (1975), and Cohen's agreement by chance (1960).
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    # Precision-recall curve, from (0, 1): one point a threshold.
    true, false = ranked_counts(y, p, w)                                # (..., n + 1)
    recall, precision = ratio(true, (tp + fn)[..., None]), ratio(true, true + false, 1.0)
    bins = bin_of(p)
    gaps = [np.abs((w * (p - y) * (bins == b)).sum(-1)) for b in range(10)]
    return {
        "accuracy": (tp + tn) / n,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        # Positive and negative predictive value: share of right ones among the decisions for 1, 0.
        "ppv": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        # F1: harmonic mean of PPV and sensitivity. G-mean: geometric mean of both rates.
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "gmean": np.sqrt(sensitivity * specificity),
        # Matthews' correlation of truth and decision; 0 when all decisions are alike.
        "mcc": np.where(both_classes, ratio(tp * tn - fp * fn, spread, 0.0), np.nan),
        # Cohen's kappa: agreement beyond chance, over what beyond chance is possible.
        "kappa": np.where(both_classes, ratio((tp + tn) / n - chance, 1 - chance), np.nan),
        "roc_auc": area(true, false),
        # Area under the precision-recall curve by trapezoids, as the CFRAFN authors compute it;
        # average precision takes steps instead, which does not flatter between points.
        "aupr": np.trapezoid(precision, recall),
        "average_precision": (np.diff(recall) * precision[..., 1:]).sum(-1),
        # Brier score (1950): mean squared error of the probability.
        "brier": (w * (p - y) ** 2).sum(-1) / n,
        # Expected calibration error (Naeini et al. 2015): mean distance of probability and share
        # of ones in ten bins of equal width, weighted by their size.
        "calibration_error": sum(gaps) / n}


def roc_auc(y_true, y_pred, weight=1.0):
    """Area under the ROC curve of many weighted samples: the one of this library.

    It is the share of pairs of a case and a control in which the case has the higher score; ties
    count half (Hanley & McNeil 1982).

    Parameters
    ----------
    y_true : (..., n) of 0 and 1, or bool
    y_pred : (..., n), any numbers that grow with the class
    weight : (..., n), how often each row counts

    Returns
    -------
    array (...); NaN without one of the classes
    """
    return area(*ranked_counts(*broadcast(y_true, y_pred, weight)))


def area(true, false):
    """Trapezoids under the ROC curve of counts (..., n + 1), as of `ranked_counts`, in units of all
    pairs of a case and a control."""
    return ratio(np.trapezoid(true, false), true[..., -1] * false[..., -1])


def broadcast(*arrays):
    """Arrays of one shape, of floats."""
    return np.broadcast_arrays(*(np.asarray(array, float) for array in arrays))


def bin_of(p):
    """Which of ten bins of width 0.1 a probability falls into: 0 to 9."""
    return np.minimum((10 * p).astype(int), 9)


def ratio(over, under, otherwise=np.nan):
    """over / under, and `otherwise` where there is nothing to divide by."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.full(over.shape, otherwise), where=under > 0)


def ranked_counts(y, p, w):
    """True and false positives when the threshold falls from above all scores to below all.

    Rows of equal score are decided together: each has the counts after the last of them.

    Parameters
    ----------
    y, p, w : (..., n) truth, scores and weights, of one shape

    Returns
    -------
    list of two arrays (..., n + 1)
    """
    order = np.argsort(-p, axis=-1)
    y, p, w = (np.take_along_axis(a, order, -1) for a in (y, p, w))
    tied = np.concatenate((p[..., 1:] == p[..., :-1], np.zeros_like(p[..., :1], bool)), -1)
    counts = []
    for hits in (w * y, w * (1 - y)):
        total = np.where(tied, np.inf, hits.cumsum(-1))
        total = np.minimum.accumulate(total[..., ::-1], -1)[..., ::-1]
        counts.append(np.concatenate((np.zeros_like(total[..., :1]), total), -1))
    return counts


def confusion(y_true, y_pred, threshold=0.5):
    """Counts: rows truth (control, depressed), columns decision -> table (2, 2)."""
    y_true, y_pred = checked(y_true, y_pred)
    names = ["control", "depressed"]
    return pd.DataFrame(library.confusion_matrix(y_true, y_pred >= threshold, labels=[0, 1]),
                        pd.Index(names, name="truth"), pd.Index(names, name="decision"))


def regression(y_true, y_pred):
    """MAE, RMSE, concordance and Pearson correlation of (n,) scores.

    Returns
    -------
    dict of floats; both correlations are NaN for a constant

    Raises
    ------
    ValueError
        Empty or unequal inputs, or numbers that are not finite.
    """
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    if y_true.size == 0 or y_true.shape != y_pred.shape:
        raise ValueError(f"truth has shape {y_true.shape}, prediction {y_pred.shape}; expected two "
                         "equal, non-empty lists.")
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        raise ValueError(f"{int((~np.isfinite(y_pred)).sum())} predictions and "
                         f"{int((~np.isfinite(y_true)).sum())} true values are not finite numbers. "
                         "Look at the training history.")
    error = y_pred - y_true
    covariance = np.mean((y_true - y_true.mean()) * (y_pred - y_pred.mean()))
    spread = y_true.var() + y_pred.var() + (y_true.mean() - y_pred.mean()) ** 2
    deviations = y_true.std() * y_pred.std()
    constant = deviations < 1e-12
    # Mean absolute error, root mean squared error; concordance correlation with 1/n (Lin 1989;
    # torchmetrics divides by n - 1); Pearson's correlation.
    return {"mae": float(np.abs(error).mean()),
            "rmse": float(np.sqrt((error**2).mean())),
            "ccc": float("nan") if constant else float(2 * covariance / spread),
            "pearson": float("nan") if constant else float(covariance / deviations)}
