"""What the logs of AAFN's authors say of the real DAIC-WOZ, as tables and as a sentence.

Read from book/data/aafn_logs, where a README tells which log is which. None of it is a run of ours.
"""

from functools import cache

import pandas as pd

from depnb.files import located

FOLDER = "book/data/aafn_logs"
# The two models to which the abstract's numbers lead.
MAIN, SECOND = "audio visual text, sub-attention", "audio visual, attention"
ABSTRACT_MAE = 4.92
COPY_ACCURACY = 89.4                # README of the copy at 2a264da, "Performance Metrics"; per cent
INFERENCE = "Authors' inference logs, real DAIC-WOZ, test part"


@cache
def epochs(split="test"):
    """Every epoch of the training logs: model, epoch, accuracy_percent, f1, mae, rmse -> table."""
    logs = pd.read_csv(located(f"{FOLDER}/epochs.csv"))
    return logs[logs["split"] == split].drop(columns="split")


def accuracies(model=MAIN, split="test"):
    """Accuracy of the windows after each epoch of one training, per cent -> Series by epoch."""
    logs = epochs(split)
    return logs[logs["model"] == model].set_index("epoch")["accuracy_percent"]


@cache
def counts():
    """What the inference logs count, and who never says "depressed" on the same people -> table.

    A row is a model, a level (participant or window) and a group (all, women or men), with count,
    depressed, tp, fp, fn, tn, right, accuracy, precision, F1, mae and rmse.
    """
    logs = pd.read_csv(located(f"{FOLDER}/participants.csv"))
    groups = logs.drop_duplicates(["level", "group"])[["level", "group", "count", "depressed"]]
    nobody = groups.assign(model="constant: never depressed", tp=0, fp=0, fn=groups["depressed"],
                           tn=groups["count"] - groups["depressed"])
    logs = pd.concat([logs.drop(columns=["precision", "f1"]), nobody], ignore_index=True)
    right, positive = logs["tp"] + logs["tn"], logs["tp"] + logs["fp"]
    return logs.assign(right=right, accuracy=right / logs["count"],
                       precision=logs["tp"] / positive,
                       F1=2 * logs["tp"] / (positive + logs["tp"] + logs["fn"]))


def counted(level, model, group="all"):
    """One row of `counts` -> Series."""
    return counts().set_index(["level", "model", "group"]).loc[(level, model, group)]


def never_depressed():
    """Accuracy of the test windows of a program that never says "depressed", per cent."""
    return 100 * float(counted("window", "constant: never depressed")["accuracy"])


def best_epoch(accuracy):
    """The best epoch of a training beside its neighbours and the others -> dict.

    accuracy: as of `accuracies`
    """
    best = accuracy.idxmax()
    others = accuracy.drop(best)
    return {"kept epoch": best, "its accuracy, %": accuracy[best],
            "epoch before": accuracy[best - 1], "epoch after": accuracy[best + 1],
            "second best": others.max(), "mean of the others": others.mean(),
            "never depressed": never_depressed()}


def models():
    """Best, median and last epoch of every training log -> Styler."""
    logs = epochs()
    by_model = logs.groupby("model")
    best = logs.loc[by_model["accuracy_percent"].idxmax()].set_index("model")
    table = pd.DataFrame({"best epoch, %": best["accuracy_percent"], "which": best["epoch"],
                          "best F1, any epoch": by_model["f1"].max(), "epochs": by_model.size(),
                          "median epoch, %": by_model["accuracy_percent"].median(),
                          "last epoch, %": by_model["accuracy_percent"].last()})
    table = table.sort_values("best epoch, %", ascending=False)
    return table.style.format(precision=1).format(
        "{:.3f}", subset="best F1, any epoch").set_caption(
        "Authors' logs, real DAIC-WOZ: accuracy and F1 of the 490 test windows")


def headline():
    """The two models of the abstract's numbers and constants, by participant and window -> Styler.
    """
    table = counts()
    table = table[(table["group"] == "all") & (table["model"].isin([MAIN, SECOND])
                                               | table["model"].str.startswith("constant"))]
    table = table.rename(columns={"level": "by", "mae": "MAE", "rmse": "RMSE"})
    measures, whole_numbers = ["accuracy", "precision", "F1", "MAE", "RMSE"], ["right", "count"]
    table = table.sort_values("by", kind="stable")[["by", "model", *whole_numbers, *measures]]
    return table.style.hide(axis="index").format("{:.4f}", measures, na_rep="–").format(
        "{:.0f}", whole_numbers, na_rep="–").set_caption(INFERENCE)


def numbers():
    """What other pages quote of these logs -> dict of floats."""
    person, best = counted("participant", MAIN), best_epoch(accuracies())
    return {name: float(value) for name, value in {
        "right": person["right"], "count": person["count"],
        "never": person["count"] - person["depressed"], "log_never": best["never depressed"],
        "log_others": best["mean of the others"], "log_reported": best["its accuracy, %"]}.items()}


def headline_in_words():
    """Where the abstract's three numbers stand in the logs -> Markdown."""
    person, window = counted("participant", MAIN), counted("window", MAIN)
    other, logs = counted("window", SECOND), epochs()
    logs = logs.assign(near=logs["mae"].round(2) == ABSTRACT_MAE)
    near = "; ".join(f"*{model}* {', '.join(map(str, rows['epoch']))}"
                     for model, rows in logs[logs["near"]].groupby("model"))
    sub = logs[logs["model"].str.endswith("sub-attention")]
    return (f"*{MAIN}*, by participant: {person['right']:.0f} of {person['count']:.0f} right, "
            f"{person['tp']:.0f} of {person['tp'] + person['fp']:.0f} positive answers right, "
            f"which is the precision of {person['precision']:.4f}, and an F1 of "
            f"{person['F1']:.4f}. The same weights miss the PHQ-8 total by {person['mae']:.4f} by "
            f"participant and by {window['mae']:.4f} by window. *{SECOND}*, by window: MAE "
            f"{other['mae']:.4f}. In the training logs an MAE that rounds to {ABSTRACT_MAE} stands "
            f"in these epochs: {near}. Of the {len(sub)} epochs of the two models with "
            f"sub-attention {sub['near'].sum()} have it.")


def by_gender():
    """Women and men of every model whose inference log was read, by participant -> Styler."""
    table = counts()
    table = table[(table["level"] == "participant") & (table["group"] != "all")]
    sides = {group: rows.set_index("model")
             for group, rows in table.groupby("group", sort=False)}
    about = "; ".join(f"{rows['count'].iloc[0]} {group}, {rows['depressed'].iloc[0]} depressed"
                      for group, rows in sides.items())
    both = pd.concat({group: rows[["right", "accuracy", "precision", "F1"]]
                      for group, rows in sides.items()}, axis=1)
    return both.style.format("{:.2f}", na_rep="–").format(
        "{:.0f}", [(group, "right") for group in sides]).set_caption(
        f"{INFERENCE}, by participant: {about}")
