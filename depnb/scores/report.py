"""Everything a run reports about one split: one schema for all papers.

A report is a nested dict of floats, ready for metrics.json:

task
    binary (depressed or not), severity (a score) or items (eight PHQ-8 items and their total).
unit
    What the paper's network answers once, and its authors count: recording, video, window, vlog.
by_participant
    Metrics with their 95 % intervals, `participants` (how many), and the improvement over the
    constant with interval and permutation p. Of a binary task also the threshold and the counts of
    the confusion matrix; of items also `depressed` (how many) and `items`, the error of each.
by_unit
    The same metrics, of single units, and `units` (how many).
constant
    The metrics of always saying the same, learnt from the training participants: by_participant and
    by_unit. Of items, errors are those of the training mean, decisions those of "never depressed",
    and `median` are the errors of the training median.

An improvement is 1 - error / the constant's error; the error is the Brier score of a binary task,
else the MAE.
"""

import numpy as np

from depnb.scores import intervals
from depnb.scores.items import (
    CUT,
    DECISIONS,
    ITEMS,
    as_decisions,
    decisions,
    item_errors,
    items_by_participant,
)
from depnb.scores.metrics import (
    METRICS,
    REGRESSION,
    checked,
    classification,
    confusion,
    regression,
)

TASKS = ("binary", "severity", "items")


def binary(predictions, unit, prevalence, threshold=0.5, seed=0):
    """Report of a classification.

    Parameters
    ----------
    predictions : table of one split; y_pred is the probability of 1
    unit : what a row is
    prevalence : share of ones in training, the probability that the constant says
    threshold : from which on a probability is a decision for 1

    Raises
    ------
    ValueError
        Where `classification` does, and for a prevalence that is not strictly between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence {prevalence}: expected the share of class 1 in training, "
                         "above 0 and below 1; train on both classes.")
    people = probabilities_by_participant(predictions)
    truth, guess = people["y_true"].to_numpy(float), people["y_pred"].to_numpy()

    def judged(table):
        values = classification(table["y_true"], table["y_pred"], threshold)
        ends = intervals.metric_intervals(table, threshold, seed)
        return values | {f"{name}_interval": ends[name] for name in METRICS
                         if np.isfinite(ends[name]).all()}

    def gain(t, p):             # Brier skill score: 1 - Brier / Brier of the constant
        return 1 - np.mean((p - t) ** 2) / np.mean((prevalence - t) ** 2)

    counts = confusion(truth, guess, threshold).to_numpy().ravel().tolist()
    return {
        "task": "binary", "unit": unit,
        "by_participant": {
            "participants": int(people["participant"].nunique()), "threshold": threshold,
            **judged(people), "confusion": dict(zip(("tn", "fp", "fn", "tp"), counts, strict=True)),
            **improvement(people, gain, (guess - truth) ** 2, (prevalence - truth) ** 2, seed)},
        "by_unit": {"units": len(predictions), **judged(predictions)},
        "constant": {"by_participant": always(truth, prevalence),
                     "by_unit": always(predictions["y_true"], prevalence)}}


def severity(predictions, unit, constant, seed=0):
    """Report of a regression.

    Parameters
    ----------
    predictions : table of one split; y_true and y_pred are scores
    unit : what a row is
    constant : what the mean predictor says, the training mean
    """
    people = scores_by_participant(predictions)
    return {
        "task": "severity", "unit": unit,
        "by_participant": errors_of(people, constant, seed),
        "by_unit": {"units": len(predictions),
                    **regression(predictions["y_true"], predictions["y_pred"])},
        "constant": {name: regression(table["y_true"], np.full(len(table), float(constant)))
                     for name, table in (("by_participant", people), ("by_unit", predictions))}}


def items(table, unit, train, seed=0):
    """Report of eight PHQ-8 items and their total.

    Parameters
    ----------
    table : window table of one split
    unit : what a row is
    train : prediction table of the training participants, whose true means the constant says
    """
    people = items_by_participant(table)
    totals, judged = scores_by_participant(people), as_decisions(people)
    mean, median = float(train["y_true"].mean()), float(train["y_true"].median())
    ends = intervals.metric_intervals(judged, CUT, seed)
    single = {name: item_errors(people, train, name, seed) for name in ITEMS
              if people[f"true_{name}"].notna().any()}
    constant = {
        name: regression(scores["y_true"], np.full(len(scores), mean))
        | decisions(rows["y_true"], np.zeros(len(rows)))
        for name, scores, rows in (("by_participant", totals, people), ("by_unit", table, table))}
    constant["by_participant"]["items"] = {name: mean_of for name, (_, mean_of) in single.items()}
    return {
        "task": "items", "unit": unit,
        "by_participant": {
            **errors_of(totals, mean, seed),
            **decisions(people["y_true"], people["y_pred"]),
            **{f"{name}_interval": ends[name] for name in DECISIONS},
            "depressed": int(judged["y_true"].sum()),
            "items": {name: own for name, (own, _) in single.items()}},
        "by_unit": {"units": len(table), **regression(table["y_true"], table["y_pred"]),
                    **decisions(table["y_true"], table["y_pred"])},
        "constant": {**constant,
                     "median": regression(people["y_true"], np.full(len(people), median))}}


def errors_of(people, constant, seed=0):
    """Errors of scores by participant, with intervals, and the improvement over a constant.

    Parameters
    ----------
    people : table of one row a participant, with y_true and y_pred
    constant : what the mean predictor says
    """
    truth, guess = people["y_true"].to_numpy(), people["y_pred"].to_numpy()

    def gain(t, p):             # 1 - MAE / MAE of the constant
        return 1 - np.abs(p - t).mean() / np.abs(constant - t).mean()

    values = regression(truth, guess)
    ends = intervals.interval(people, lambda t, p: [*regression(t, p).values()], seed)
    ends = dict(zip(REGRESSION, np.transpose(ends).tolist(), strict=True))
    return {"participants": len(people), **values,
            **{f"{name}_interval": ends[name] for name in REGRESSION if np.isfinite(values[name])},
            **improvement(people, gain, guess - truth, constant - truth, seed)}


def improvement(people, gain, errors, constant_errors, seed):
    """Improvement over a constant: value, interval, and p of equal absolute errors."""
    return {"improvement": float(gain(people["y_true"].to_numpy(float),
                                      people["y_pred"].to_numpy())),
            "improvement_interval": np.stack(intervals.interval(people, gain, seed)).tolist(),
            "improvement_p": intervals.paired_permutation(errors, constant_errors, seed)}


def always(y_true, prevalence):
    """Metrics of always saying the probability `prevalence`, and so the larger class."""
    return classification(y_true, np.full(len(y_true), float(prevalence)))


def probabilities_by_participant(predictions):
    """One row a participant: probability averaged over the recordings.

    Who has recordings of both classes (before and after treatment) gets a row for each; the
    bootstrap keeps them together.

    Returns
    -------
    table with participant, y_true, y_pred

    Raises
    ------
    ValueError
        Where `classification` does.
    """
    checked(predictions["y_true"], predictions["y_pred"])
    groups = predictions.groupby(["participant", "y_true"], as_index=False, sort=False)
    return groups["y_pred"].mean()


def scores_by_participant(predictions):
    """One row a participant: mean of truth and prediction over the sessions of each, and before
    that over the recordings of a session."""
    sessions = predictions.groupby(["participant", "session"], as_index=False, sort=False)
    sessions = sessions[["y_true", "y_pred"]].mean()
    people = sessions.groupby("participant", as_index=False, sort=False)
    return people[["y_true", "y_pred"]].mean()
