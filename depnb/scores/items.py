"""Windows with eight predicted PHQ-8 items to people: totals, items, decisions.

A window table has one row a window: participant, session, split, start (of the window, a frame),
the true items `true_<item>` (NaN where unknown) and total `y_true`, the predicted items
`pred_<item>`, each 0 to 3, and total `y_pred`. A prediction table has the means over windows, one
row a participant.
"""

import numpy as np

from depnb.corpora.corpus import PHQ8
from depnb.corpora.corpus import PHQ8_ITEMS as ITEMS
from depnb.scores import intervals, metrics

# What a total that is no probability can be judged by.
DECISIONS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1",
             "mcc", "kappa", "roc_auc", "average_precision")
CUT = PHQ8.cutoff / PHQ8.high           # of a total as a share of the scale


def window_table(windows, items, known=None):
    """Predicted items beside the truth.

    Parameters
    ----------
    windows : table with participant, session, split, start, y_true and, where known, phq8_<item>
    items : (windows, 8) predicted, 0 to 3
    known : table of true items by session, of a simulation, which fills what the corpus lacks

    Returns
    -------
    window table
    """
    columns = ["participant", "session", "split", "start", "y_true"]
    table = windows[columns].reset_index(drop=True)
    for number, name in enumerate(ITEMS):
        true = windows[f"phq8_{name}"].to_numpy(float)
        if known is not None:
            planted = known[f"phq8_{name}"].reindex(windows["session"]).to_numpy(float)
            true = np.where(np.isnan(true), planted, true)
        table[f"true_{name}"], table[f"pred_{name}"] = true, items[:, number]
    return table.assign(y_pred=np.asarray(items).sum(1))


def items_by_participant(table):
    """Window table -> one row a participant (and session): means over the windows, their count."""
    keys = ["participant", "session", "split"]
    groups = table.groupby(keys, as_index=False, sort=False)
    means = groups.mean(numeric_only=True).drop(columns="start")
    return means.assign(windows=table.groupby(keys, sort=False).size().to_numpy())


def as_decisions(table):
    """Totals as a classification, to be cut at `CUT`: depressed from 10, probability total / 24."""
    return table.assign(y_true=(table["y_true"] >= PHQ8.cutoff).astype(int),
                        y_pred=table["y_pred"].clip(0, PHQ8.high) / PHQ8.high)


def decisions(y_true, y_pred):
    """Metrics of DECISIONS for totals 0 to 24, depressed from 10; the AUC ranks by the total.

    Parameters
    ----------
    y_true, y_pred : (n,) totals

    Returns
    -------
    dict of floats
    """
    shares = np.clip(y_pred, 0, PHQ8.high) / PHQ8.high
    values = metrics.classification(np.asarray(y_true) >= PHQ8.cutoff, shares, CUT)
    return {name: values[name] for name in DECISIONS}


def item_errors(people, train, name, seed=0):
    """MAE of one item with its interval over participants, and the MAE of the training mean.

    Parameters
    ----------
    people, train : prediction tables, of the split and of the training participants
    name : of the item

    Returns
    -------
    dict with mae and mae_interval, dict with mae of the constant
    """
    known = people[people[f"true_{name}"].notna()]
    pair = known[["participant"]].assign(y_true=known[f"true_{name}"], y_pred=known[f"pred_{name}"])
    constant = float(train[f"true_{name}"].mean())
    ends = intervals.interval(pair, lambda t, p: np.abs(t - p).mean(), seed, resamples=500)
    own = {"mae": float((pair["y_true"] - pair["y_pred"]).abs().mean()),
           "mae_interval": np.stack(ends).tolist()}
    return own, {"mae": float((pair["y_true"] - constant).abs().mean())}


def totals_by_person(windows, y_pred):
    """Error and AUC by participant of totals (rows,) predicted for a table of windows.

    Returns
    -------
    dict with mae and roc_auc
    """
    people = windows.assign(y_pred=y_pred).groupby("participant", sort=False)
    people = people[["y_true", "y_pred"]].mean()
    return {"mae": float((people["y_true"] - people["y_pred"]).abs().mean()),
            "roc_auc": decisions(people["y_true"], people["y_pred"])["roc_auc"]}


def epoch_choices(history):
    """What each rule of choosing the epoch would have reported of one training.

    Rules that look at the test set pick the luckiest epoch for their own measure.

    Parameters
    ----------
    history : rows of `loop.fit` with val_mae (of validation participants, absent where there are
        none) and val_test_*, the test measures that were written down beside it: accuracy and f1
        of windows, mae and auc of people

    Returns
    -------
    dict rule -> dict of test measures
    """
    rows = history.rename(columns=lambda name: name.replace("val_test_", "test_"))
    rows = rows.reset_index(drop=True).dropna(subset=["test_accuracy"])
    measures = ["epoch", "test_accuracy", "test_f1", "test_mae", "test_auc"]
    best = {"lowest validation error": rows["val_mae"].idxmin()} if "val_mae" in rows else {}
    best |= {f"best {measure} on test": rows[f"test_{column}"].idxmax()
             for measure, column in (("accuracy", "accuracy"), ("F1", "f1"), ("AUC", "auc"))
             if rows[f"test_{column}"].notna().any()}
    best |= {"last epoch": rows.index[-1]}
    reported = {rule: {name: float(rows.loc[row, name]) for name in measures}
                for rule, row in best.items()}
    mean = {name: float(rows[name].mean()) for name in measures if name != "epoch"}
    return reported | {"mean of all epochs": mean}
