"""Everything a run reports about one split, by participant and as the authors count."""

import numpy as np

from depnb.scores.intervals import interval, metric_intervals, paired_permutation
from depnb.scores.metrics import METRICS, REGRESSION, checked, classification, confusion, majority_predictor, regression


def probabilities_by_participant(predictions):
    """One row a participant: probability averaged over the recordings. Columns participant, y_true, y_pred.

    Who has recordings of both classes (before and after treatment) gets a row for each; the bootstrap keeps them together.
    Raises ValueError where `classification` does.
    """
    checked(predictions["y_true"], predictions["y_pred"])
    return predictions.groupby(["participant", "y_true"], as_index=False, sort=False)["y_pred"].mean()


def evaluate_classification(predictions, prevalence, threshold=0.5, seed=0):
    """Everything a run reports about one split of a classification -> nested dict of floats, ready for metrics.json.

    predictions: table of one split; prevalence: share of ones in training, what the majority predictor goes by. Per
    participant: metrics with 95 % intervals, counts of the confusion matrix, the majority predictor's metrics, the
    improvement (1 - Brier / majority predictor's Brier) with interval and permutation p; per recording: the same metrics
    and intervals, clustered by participant, and the majority predictor's.
    Raises ValueError where `classification` does, and for a prevalence that is not strictly between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence {prevalence}: expected the share of class 1 in training, above 0 and below 1; train "
                         "on both classes.")
    people = probabilities_by_participant(predictions)
    truth, guess = people["y_true"].to_numpy(float), people["y_pred"].to_numpy()

    def report(table):
        metrics = classification(table["y_true"], table["y_pred"], threshold)
        ends = metric_intervals(table, threshold, seed)
        return metrics | {f"{name}_interval": ends[name] for name in METRICS if np.isfinite(ends[name]).all()}

    def gain(t, p):
        return 1 - np.mean((p - t) ** 2) / np.mean((prevalence - t) ** 2)

    counts = confusion(truth, guess, threshold).to_numpy().ravel().tolist()
    return {"participants": int(people["participant"].nunique()), "recordings": len(predictions), "threshold": threshold,
            **report(people), "confusion": dict(zip(("tn", "fp", "fn", "tp"), counts, strict=True)),
            "majority_predictor": majority_predictor(truth, prevalence), "improvement": float(gain(truth, guess)),
            "improvement_interval": list(interval(people, gain, seed)),
            "improvement_p": paired_permutation((guess - truth) ** 2, (prevalence - truth) ** 2, seed),
            "per_recording": report(predictions),
            "per_recording_majority_predictor": majority_predictor(predictions["y_true"], prevalence)}


def scores_by_participant(predictions):
    """One row a participant: mean of truth and prediction over the sessions (and recordings) of each."""
    sessions = predictions.groupby(["participant", "session"], as_index=False, sort=False)[["y_true", "y_pred"]].mean()
    return sessions.groupby("participant", as_index=False, sort=False)[["y_true", "y_pred"]].mean()


def evaluate_regression(predictions, constant, seed=0):
    """Everything a run reports about one split of a regression -> nested dict of floats, ready for metrics.json.

    predictions: table of one split; constant: what the mean predictor says (the training mean). Per participant:
    metrics with 95 % intervals, the mean predictor's, the improvement (1 - MAE / mean predictor's MAE) with interval
    and permutation p; per recording: the metrics, as the authors report them.
    """
    people = scores_by_participant(predictions)
    truth, guess = people["y_true"].to_numpy(), people["y_pred"].to_numpy()
    always = np.full_like(truth, constant)

    def gain(t, p):
        return 1 - np.abs(p - t).mean() / np.abs(constant - t).mean()

    metrics = regression(truth, guess)
    intervals = {f"{name}_interval": list(interval(people, lambda t, p, name=name: regression(t, p)[name], seed))
                 for name in REGRESSION if np.isfinite(metrics[name])}
    return {"participants": len(people), "recordings": len(predictions), **metrics, **intervals,
            "mean_predictor": regression(truth, always), "improvement": float(gain(truth, guess)),
            "improvement_interval": list(interval(people, gain, seed)),
            "improvement_p": paired_permutation(guess - truth, always - truth, seed),
            "per_recording": regression(predictions["y_true"], predictions["y_pred"]),
            "per_recording_mean_predictor": regression(predictions["y_true"], np.full(len(predictions), constant))}
