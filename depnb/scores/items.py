"""Windows with eight predicted PHQ-8 items to people: totals, items, decisions, and how they are judged.

A window table has one row a window: participant, session, split, start (of the window, a frame), the true items
`true_<item>` (NaN where unknown) and total `y_true`, the predicted items `pred_<item>`, each 0 to 3, and total `y_pred`.
A prediction table has the means over windows, one row a participant.
"""

import numpy as np

from depnb.corpora.corpus import PHQ8
from depnb.corpora.corpus import PHQ8_ITEMS as ITEMS
from depnb.scores import intervals, metrics
from depnb.scores.metrics import regression
from depnb.scores.report import evaluate_regression

DECISIONS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "mcc", "kappa", "roc_auc",
             "average_precision")       # what a total that is no probability can be judged by


def window_table(windows, items, known=None):
    """Predicted items beside the truth. windows: table with participant, session, split, start, y_true and, where known,
    phq8_<item>; items (windows, 8) predicted, 0 to 3; known: table of true items by session, of a simulation, which fills
    what the corpus does not give -> window table."""
    table = windows[["participant", "session", "split", "start", "y_true"]].reset_index(drop=True)
    for number, name in enumerate(ITEMS):
        true = windows[f"phq8_{name}"].to_numpy(float)
        if known is not None:
            true = np.where(np.isnan(true), known[f"phq8_{name}"].reindex(windows["session"]).to_numpy(float), true)
        table[f"true_{name}"], table[f"pred_{name}"] = true, items[:, number]
    return table.assign(y_pred=np.asarray(items).sum(1))


def items_by_participant(table):
    """Window table -> one row a participant (and session): means of items and totals over the windows, and their count."""
    keys = ["participant", "session", "split"]
    means = table.groupby(keys, as_index=False, sort=False).mean(numeric_only=True).drop(columns="start")
    return means.assign(windows=table.groupby(keys, sort=False).size().to_numpy())


def decisions(y_true, y_pred):
    """Metrics of DECISIONS for totals 0 to 24, depressed from 10 -> dict; the AUC ranks people by the predicted total."""
    found = metrics.classification(np.asarray(y_true) >= PHQ8.cutoff, np.clip(y_pred, 0, PHQ8.high) / PHQ8.high,
                                          PHQ8.cutoff / PHQ8.high)
    return {name: found[name] for name in DECISIONS}


def evaluate_items(table, train, seed=0):
    """Everything a run reports about one split -> nested dict of floats for metrics.json.

    table: window table of the split; train: prediction table of the training participants, whose true means the constant
    predictor says. Of people: errors of the total as in `evaluate_regression`, beside the training median too, decisions
    with intervals, `items`: MAE of each item, of its constant, and the interval of the first; `windows`: the same of single
    windows, as the authors count.
    """
    people = items_by_participant(table)
    constant, median = float(train["y_true"].mean()), float(train["y_true"].median())
    found = evaluate_regression(people, constant, seed)
    found["median_predictor"] = regression(people["y_true"], np.full(len(people), median))
    found |= decisions(people["y_true"], people["y_pred"])
    judged = people.assign(y_true=(people["y_true"] >= PHQ8.cutoff).astype(int),
                           y_pred=people["y_pred"].clip(0, PHQ8.high) / PHQ8.high)
    bounds = intervals.metric_intervals(judged, PHQ8.cutoff / PHQ8.high, seed)
    found |= {f"{name}_interval": bounds[name] for name in DECISIONS}
    found["depressed"] = int(judged["y_true"].sum())
    found["never"] = decisions(people["y_true"], np.zeros(len(people)))
    found["items"] = {name: item_errors(people, train, name, seed) for name in ITEMS if people[f"true_{name}"].notna().any()}
    never = decisions(table["y_true"], np.zeros(len(table)))
    found["windows"] = {"count": len(table), **regression(table["y_true"], table["y_pred"]),
                        **decisions(table["y_true"], table["y_pred"]), "never": never,
                        "mean_predictor": regression(table["y_true"], np.full(len(table), constant))}
    return found


def item_errors(people, train, name, seed=0):
    """MAE of one item, its participant interval, and the MAE of the training mean -> dict."""
    known = people[people[f"true_{name}"].notna()]
    pair = known[["participant"]].assign(y_true=known[f"true_{name}"], y_pred=known[f"pred_{name}"])
    always = float(train[f"true_{name}"].mean())
    low, high = intervals.interval(pair, lambda t, p: np.abs(t - p).mean(), seed, resamples=500)
    return {"mae": float((pair["y_true"] - pair["y_pred"]).abs().mean()), "interval": [low, high],
            "mean_predictor": float((pair["y_true"] - always).abs().mean())}


def totals_by_person(windows, y_pred):
    """Error and AUC by participant of totals (rows,) predicted for a table of windows -> dict mae, roc_auc."""
    people = windows.assign(y_pred=y_pred).groupby("participant", sort=False)[["y_true", "y_pred"]].mean()
    return {"mae": float((people["y_true"] - people["y_pred"]).abs().mean()),
            "roc_auc": decisions(people["y_true"], people["y_pred"])["roc_auc"]}


def epoch_choices(history):
    """What each rule of choosing the epoch would have reported of one training -> rule -> dict of test measures.

    history: rows of `loop.fit` with val_mae (of validation participants, absent where there are none) and val_test_*,
    the test measures that were written down beside it: accuracy and f1 of windows, mae and auc of people. Rules that look
    at the test set pick the luckiest epoch for their own measure.
    """
    seen = history.rename(columns=lambda name: name.replace("val_test_", "test_")).reset_index(drop=True)
    seen = seen.dropna(subset=["test_accuracy"])
    shown = ["epoch", "test_accuracy", "test_f1", "test_mae", "test_auc"]
    rows = {"lowest validation error": seen["val_mae"].idxmin()} if "val_mae" in seen else {}
    rows |= {f"best {measure} on test": seen[f"test_{column}"].idxmax() for measure, column in
             (("accuracy", "accuracy"), ("F1", "f1"), ("AUC", "auc")) if seen[f"test_{column}"].notna().any()}
    rows |= {"last epoch": seen.index[-1]}
    found = {rule: {name: float(seen.loc[row, name]) for name in shown} for rule, row in rows.items()}
    return found | {"mean of all epochs": {name: float(seen[name].mean()) for name in shown if name != "epoch"}}
