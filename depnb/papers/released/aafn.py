"""The numbers of the inference script of Wei et al., as it computes them."""

import numpy as np
from scipy import stats

from depnb.corpora.corpus import PHQ8
from depnb.scores import metrics


def as_released(table, cutoff=PHQ8.cutoff):
    """The authors' decisions from whole-number totals of windows (main_inference.py) -> one row a
    participant.

    decision: depressed when at least half of the windows are (a tie counts as depressed); y_pred:
    mean of the windows' totals, cut to a whole number before any error is measured. table:
    participant, y_true, y_pred.
    """
    rows = table.assign(decision=table["y_pred"] >= cutoff).groupby("participant", sort=False)
    participants = rows[["y_true", "y_pred"]].mean()
    return participants.assign(y_pred=np.trunc(participants["y_pred"]),
                               decision=rows["decision"].mean() >= 0.5).reset_index()


def released_metrics(y_true, y_pred, decision=None, cutoff=PHQ8.cutoff):
    """The numbers of the authors' inference script -> dict; undefined ones are NaN, where their
    script stops.

    y_true, y_pred (n,) totals; decision (n,) bool, None: y_pred at or above the cut-off.
    """
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    decision = y_pred >= cutoff if decision is None else np.asarray(decision)
    measures = metrics.classification(y_true >= cutoff, decision.astype(float))
    error = y_pred - y_true
    spread = ((y_true - y_true.mean()) ** 2).sum()
    constant = np.ptp(y_true) == 0 or np.ptp(y_pred) == 0
    return {"accuracy": measures["accuracy"], "sensitivity": measures["sensitivity"],
            "specificity": measures["specificity"],
            "precision": measures["ppv"], "f1": measures["f1"], "mae": float(np.abs(error).mean()),
            "mse": float((error**2).mean()), "rmse": float(np.sqrt((error**2).mean())),
            "r2": float(1 - (error**2).sum() / spread) if spread else float("nan"),
            "spearman": float("nan") if constant
            else float(stats.spearmanr(y_true, y_pred).statistic)}
