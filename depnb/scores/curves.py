"""Points of ROC, precision-recall and calibration curves, with bands over participants."""

import numpy as np
import pandas as pd
from sklearn import metrics as library

from depnb.scores import calibration, intervals, metrics


def curves(table, seed=0, resamples=1000, level=0.95):
    """Points of the ROC, precision-recall and calibration curves.

    Parameters
    ----------
    table : predictions, with participant, y_true and y_pred

    Returns
    -------
    dict of tables

    roc
        fpr, tpr, threshold (points on a straight line dropped), low and high: pointwise percentile
        band of tpr from the participant-clustered bootstrap.
    precision_recall
        recall, precision, low, high.
    calibration
        As of `depnb.scores.calibration.calibration_table`.

    Raises
    ------
    ValueError
        When the table holds one class only.
    """
    y_true, y_pred = metrics.checked(table["y_true"], table["y_pred"])
    if y_true.min() == y_true.max():
        raise ValueError(f"all {y_true.size} rows are of class {y_true[0]:g}; a ROC curve needs "
                         "both classes.")
    fpr, tpr, threshold = library.roc_curve(y_true, y_pred)
    precision, recall, _ = library.precision_recall_curve(y_true, y_pred)
    roc = pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": threshold})
    pr = pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})
    person, people = pd.factorize(table["participant"])

    def heights(times):
        """tpr and precision over the points of both curves, (draws, people) -> (points, draws)."""
        counts = metrics.ranked_counts(*metrics.broadcast(y_true, y_pred, times[..., person]))
        return np.stack([height(true, false) for true, false in zip(*counts, strict=True)], -1)

    def height(true, false):
        if not (true[-1] and false[-1]):                        # one class: no curve
            return np.full(len(roc) + len(pr), np.nan)
        # Sensitivity at a false positive rate, on a straight line between its neighbours; precision
        # at the first threshold that reaches the recall.
        reached = np.searchsorted(true / true[-1], pr["recall"] - 1e-12)
        return np.concatenate([np.interp(roc["fpr"], false / false[-1], true / true[-1]),
                               metrics.ratio(true, true + false, 1.0)[reached]])

    band = intervals.bootstrap(
        lambda drawn: heights(np.atleast_2d(intervals.times_drawn(drawn, len(people)))),
        [np.arange(len(people))], seed, resamples, level, ("percentile",))
    for points, ends in ((roc, np.stack(band)[:, :len(roc)]), (pr, np.stack(band)[:, len(roc):])):
        points["low"], points["high"] = ends.reshape(2, -1)
    return {"roc": roc, "precision_recall": pr,
            "calibration": calibration.calibration_table(y_true, y_pred, level)}
