"""Points of ROC, precision-recall and calibration curves, with bands over participants."""

import numpy as np
import pandas as pd
from sklearn import metrics as library

from depnb.scores import calibration, intervals, metrics


def curves(table, seed=0, resamples=1000, level=0.95):
    """Points of the ROC, precision-recall and calibration curves -> dict of tables roc, precision_recall, calibration.

    roc: fpr, tpr, threshold (points on a straight line dropped), low and high: pointwise percentile band of tpr from the
    participant-clustered bootstrap; precision_recall: recall, precision, low, high; calibration: one row a bin of width 0.1
    that is not empty: predicted (mean probability), observed (share of ones), rows, low and high: Wilson interval, which
    takes rows as independent. Raises ValueError when the table holds one class only.
    """
    y_true, y_pred = metrics.checked(table["y_true"], table["y_pred"])
    if y_true.min() == y_true.max():
        raise ValueError(f"all {y_true.size} rows are of class {y_true[0]:g}; a ROC curve needs both classes.")
    fpr, tpr, threshold = library.roc_curve(y_true, y_pred)
    precision, recall, _ = library.precision_recall_curve(y_true, y_pred)
    roc = pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": threshold})
    pr = pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})
    person, people = pd.factorize(table["participant"])
    drawn = np.random.default_rng(seed).integers(0, len(people), (resamples, len(people)))
    over_fpr, over_recall = [], []
    for times in intervals.times_drawn(drawn, len(people)):
        true, false = metrics.ranked_counts(y_true, y_pred, times[person].astype(float))
        if true[-1] and false[-1]:
            over_fpr.append(np.interp(roc["fpr"], false / false[-1], true / true[-1]))
            reached = np.searchsorted(true / true[-1], pr["recall"] - 1e-12)
            over_recall.append(metrics.ratio(true, true + false, 1.0)[reached])
    for points, band in ((roc, over_fpr), (pr, over_recall)):
        points[["low", "high"]] = np.quantile(band, [(1 - level) / 2, (1 + level) / 2], axis=0).T if band else np.nan
    return {"roc": roc, "precision_recall": pr, "calibration": calibration.calibration_table(y_true, y_pred, level)}
