"""Tables of the chapter on AAFN: what a rule of choosing the epoch reports, what damage costs.

Runs are asked for what they wrote down; nothing is computed again.
"""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from depnb import runs
from depnb.book import chapter
from depnb.corpora import daic_woz

NEAR = 0.1      # concentrations that differ by no more are not told apart
WORDS = {"test_accuracy": "test accuracy", "test_f1": "test F1", "test_mae": "test MAE",
         "test_auc": "test AUC"}


def parts(data, label):
    """Participants, how many are depressed, and the mean total of each part -> Styler."""
    counts = data.sessions.groupby("split").agg(
        participants=("participant", "nunique"), depressed=("label", "sum"), mean=("score", "mean"),
        known=(daic_woz.ITEMS[0], "count")).reindex(["train", "validation", "test"])
    counts = counts.rename(columns={"mean": "mean total", "known": "with items"})
    return data.printable(counts).style.format(precision=1).set_caption(
        f"{label}; depressed: PHQ-8 of 10 and more")


def rules(run, label):
    """What each rule of choosing the epoch reports of one training -> Styler or Markdown."""
    table = pd.DataFrame(run.metrics["choices"]).T.rename_axis("rule").reset_index()
    if table.empty:
        return Markdown("Nothing was trained here, so there is no epoch to choose.")
    table = chapter.listed(table.rename(columns=WORDS), f"{label}: one training, different epochs")
    return table.format("{:.0f}", subset="epoch", na_rep="–")


def best_of_all_epochs():
    """What the best of all epochs on the test set reports, run by run -> table.

    Of seeds, null corpora and the published protocol; accuracy in per cent of the test windows, AUC
    by participant; gain: best less mean accuracy.
    """
    rows, entries = [], runs.planned("aafn")["runs"]
    for name, run in runs.finished("aafn").items():
        choices, entry = run.metrics.get("choices") or {}, entries.get(name, {"group": ""})
        if (entry["group"] not in ("seeds", "null", "published")
                or "best accuracy on test" not in choices):
            continue
        best, mean = choices["best accuracy on test"], choices["mean of all epochs"]
        never = run.metrics["test"]["constant"]["by_unit"]["accuracy"]
        rows.append({"run": entry["label"], "corpus":
                     "null" if run.parameters["simulated_effect"] == 0 else "effect 1",
                     "protocol": run.parameters["protocol"], "never depressed": 100 * never,
                     "mean epoch": 100 * mean["test_accuracy"],
                     "best on test": 100 * best["test_accuracy"],
                     "gain": 100 * (best["test_accuracy"] - mean["test_accuracy"]),
                     "AUC, mean epoch": mean["test_auc"], "AUC, best on test":
                     choices.get("best AUC on test", {}).get("test_auc", np.nan)})
    columns = ["run", "corpus", "protocol", "never depressed", "mean epoch", "best on test", "gain",
               "AUC, mean epoch", "AUC, best on test"]
    return pd.DataFrame(rows, columns=columns).sort_values(["corpus", "protocol"])


def luck(table):
    """What choosing on the test set lifts where nothing can be learnt -> Markdown.

    table: as of `best_of_all_epochs`
    """
    null = table[table["corpus"] == "null"]
    if null.empty:
        return Markdown("No null run yet.")
    rise = (null["AUC, best on test"] - null["AUC, mean epoch"]).mean()
    return Markdown("On the null corpus, choosing the epoch on the test set lifts accuracy by "
                    f"{null['gain'].mean():.1f} points and AUC by {rise:.2f} on average over "
                    f"{len(null)} runs.")


def under_damage(run):
    """Error against the strength of damage: of every fusion where all were trained, else of a run.

    -> table fusion, modality, kind, strength, mae, roc_auc
    """
    fusions, finished = {name: entry for name, entry in runs.planned("aafn")["runs"].items()
                         if entry["group"] == "fusion" or name == "quick"}, runs.finished("aafn")
    if not set(fusions) <= set(finished):
        return pd.DataFrame(run.metrics["robustness"]).assign(fusion="this run")
    return pd.concat([pd.DataFrame(finished[name].metrics["robustness"]).assign(
        fusion=entry.get("fusion", entry["label"])) for name, entry in fusions.items()])


def cost_of_damage(curves, label):
    """Points of error that damage costs, mean over modalities and strengths -> Styler.

    curves: as of `under_damage`
    """
    undamaged = curves[curves["strength"] == 0].groupby("fusion")["mae"].mean()
    worse = curves[curves["strength"] > 0]
    worse = worse.assign(lost=worse["mae"] - worse["fusion"].map(undamaged))
    table = worse.groupby(["fusion", "kind"])["lost"].mean().unstack()
    table.insert(0, "undamaged MAE", undamaged)
    table["all kinds"] = worse.groupby("fusion")["lost"].mean()
    return table.sort_values("all kinds").style.format(precision=2).set_caption(
        f"{label}: what damage costs, in points of MAE, mean over modalities and strengths")


def how_many_notice(noticed):
    """Of how many modalities the weights notice the damage, and how often -> Markdown or None.

    noticed: table of `papers.aafn.Paper.noticed`
    """
    tests = noticed.dropna()
    if tests.empty:
        return None
    tests = tests.assign(passed=tests["p"] < 0.05 / tests.groupby("network")["p"].transform("size"))
    counts = {name: f"{int(own['passed'].sum())} of {len(own)} modalities"
              for name, own in tests.groupby("network")}
    trained = tests.loc[tests["network"] == "trained", "auc"]
    return Markdown(f"The trained weights notice {counts['trained']}, the untrained ones "
                    f"{counts['untrained']} (p below 0.05, corrected for {len(trained)} tests of a "
                    f"network). Damaged sessions have the lower trained weight in "
                    f"{100 * trained.mean():.0f} % of the pairs, mean over the modalities; "
                    "50 % is chance.")


def where_it_looks(scores):
    """What the concentration on planted sentences means -> Markdown, None without one.

    scores: table of `papers.aafn.Paper.concentrations`
    """
    if scores.empty or scores["concentration"].isna().any():
        return None
    trained, untrained = (scores.set_index("network")["concentration"].round(2)[name]
                          for name in ("trained", "untrained"))
    against_chance, against_untrained = _side(trained, 1), _side(trained, untrained)
    meaning = ("Sentences with planted words move its answer more than others do, and more than "
               "without training." if against_chance == against_untrained == "above" else
               "Nothing here says that training has turned the network towards the planted words.")
    return Markdown(f"The trained network's concentration of {trained:.2f} is {against_chance} "
                    f"chance and {against_untrained} the untrained network's {untrained:.2f} "
                    f"(near: within {NEAR}; no interval was computed). {meaning}")


def _side(value, other):
    """Of numbers with two digits."""
    apart = round(value - other, 2)
    return "near" if abs(apart) <= NEAR else "above" if apart > 0 else "below"
