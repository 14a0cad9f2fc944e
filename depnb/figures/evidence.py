"""Figures of the evidence: models side by side, leaks in the null corpus, damage, and groups of participants.

As in `plots`: each draws the tables of `comparison`, writes the corpus on the picture, and neither shows nor saves. What is
told apart by colour is told apart by the mark as well.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

from depnb.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, axes_or_new

LOOKS = [(colour, mark, style) for style in ("-", "--") for colour, mark in zip(
    (BLUE, ORANGE, GREEN, PURPLE, "#56B4E9", "#000000"), "os^DvP", strict=True)]
MEASURES = {"auc": "AUC", "in_the_large": "share of cases less mean probability", "slope": "calibration slope",
            "calibration_error": "calibration error", "brier": "Brier score"}
IDEAL = {"auc": None, "in_the_large": 0.0, "slope": 1.0, "calibration_error": 0.0, "brier": 0.0}
# What a model is beside the reference: mark, colour, its inside.
VERDICTS = {"reference": ("s", "black", "black"), "better": ("^", BLUE, BLUE), "not told apart": ("o", GREY, "white"),
            "worse": ("v", ORANGE, ORANGE), "": ("o", BLUE, BLUE)}


def between(rows, value="value", low="low", high="high"):
    """Lengths of error bars, (2, n); none where the interval is not known."""
    return np.nan_to_num(np.stack([rows[value] - rows[low], rows[high] - rows[value]])).clip(min=0)


def verdict(differences):
    """What the corrected tests against the reference say of each model -> dict, words of VERDICTS."""
    tests = differences[differences["family"] == "reference"]
    words = np.where(tests["p_adjusted"] >= 0.05, "not told apart", np.where(tests["difference"] > 0, "better", "worse"))
    return {tests["second"].iloc[0]: "reference", **dict(zip(tests["first"], words, strict=True))}


def forest(table, corpus, differences=None, oracle=None, names=None, ax=None):
    """AUC of every model with its interval, one row each, beside chance and the oracle.

    table: of `comparison.auc_table`; differences: of `comparison.paired`; the reference is then a square, filled marks are
    models that differ from it after correction (p_adjusted below 0.05), open ones are not told apart from it. oracle: AUC of
    whoever knows what was planted; names: mapping model -> words.
    """
    ax = axes_or_new(ax, (6.2, 0.34 * len(table) + 1.7))
    verdicts = {} if differences is None else verdict(differences)
    table = table.assign(y=range(len(table))[::-1], verdict=[verdicts.get(m, "") for m in table["model"]])
    for kind, (mark, colour, inside) in VERDICTS.items():
        rows = table[table["verdict"] == kind]
        if len(rows):
            ax.errorbar(rows["auc"], rows["y"], xerr=between(rows, "auc"), fmt=mark, color=colour, mfc=inside, ms=6,
                        capsize=3, label=kind or None)
    ax.axvline(0.5, color=GREY, ls=":", label="chance")
    if oracle is not None:
        ax.axvline(oracle, color=GREEN, ls="--", label="oracle")
    ax.set_yticks(table["y"], [textwrap.fill((names or {}).get(m, m), 34) for m in table["model"]])
    ax.set(xlabel="AUC with 95 % interval over participants", title=corpus, ylim=(-0.6, len(table) - 0.4))
    ax.figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8, columnspacing=1.2)
    return ax


def null_steps(table, corpus, names=None, stairs=(), pipelines=None, ax=None):
    """How each practice lifts the AUC where there is nothing to find: a bar from 0.5 to the mean of all pipelines.

    table: of `comparison.inflation`; names: mapping practice -> words, rows in this order; stairs: practices of which each
    includes the one before, joined by a line. Diamonds: mean of all pipelines; small marks: single pipelines (pipelines:
    mapping pipeline -> words); all with 95 % intervals over repetitions.
    """
    names = names or {practice: practice for practice in dict.fromkeys(table["practice"])}
    shown = [p for p in names if p in set(table["practice"])]
    ax = axes_or_new(ax, (7.2, 0.62 * len(shown) + 1.7))
    y = dict(zip(shown, range(len(shown))[::-1], strict=True))
    mean = table[table["pipeline"] == "all"].set_index("practice").loc[shown].reset_index()
    height = mean["practice"].map(y)
    ax.barh(height, mean["auc"] - 0.5, left=0.5, height=0.62, color="#F0E442", alpha=0.55, lw=0)
    singles = [p for p in dict.fromkeys(table["pipeline"]) if p != "all"]
    for number, (pipeline, (colour, mark, _)) in enumerate(zip(singles, LOOKS, strict=False)):
        rows = table[(table["pipeline"] == pipeline) & table["practice"].isin(shown)]
        at = rows["practice"].map(y) + 0.13 - 0.42 * number / max(1, len(singles) - 1)
        ax.errorbar(rows["auc"], at, xerr=between(rows, "auc"), fmt=mark, ms=3.5, lw=0.9, color=colour, alpha=0.9,
                    label=(pipelines or {}).get(pipeline, pipeline))
    at = height + 0.26
    ax.errorbar(mean["auc"], at, xerr=between(mean, "auc"), fmt="D", ms=6, color="black", capsize=3, label="mean of all")
    ends = table.loc[table["practice"].isin(shown), ["auc", "low", "high"]]
    left, right = min(0.42, *(ends.min() - 0.02)), max(ends.max())
    for value, up in zip(mean["auc"], height, strict=True):
        ax.text(right + 0.025, up, f"{value:.2f}", va="center", ha="left", fontsize=11, fontweight="bold")
    joined = mean["practice"].isin(stairs)
    ax.plot(mean["auc"][joined], at[joined], color="black", lw=1.2, ls=":", drawstyle="steps-post")
    ax.axvline(0.5, color=GREEN, lw=1.6, label="truth: nothing to find")
    ax.set_yticks(height, [textwrap.fill(names[p], 30) for p in mean["practice"]])
    ax.set(xlabel="reported AUC (bold: mean of all pipelines)", title=corpus,
           xlim=(left, right + 0.11), ylim=(-0.6, len(shown) - 0.4))
    ax.set_xticks([tick for tick in ax.get_xticks() if left <= tick <= 1])
    ax.figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return ax


def dose_response(table, corpus, names=None, units=None, chance=0.5):
    """AUC against the dose of damage, one panel a kind, one line a model, with 95 % intervals.

    table: of `comparison.dose_response`; names: mapping model -> words; units: mapping kind -> label of its horizontal axis.
    """
    kinds, models = (list(dict.fromkeys(table[c])) for c in ("kind", "model"))
    columns = 2 if len(kinds) == 4 else min(3, len(kinds))
    rows = -(-len(kinds) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.45 * columns + 0.4, 2.2 * rows + 0.9), sharey=True, squeeze=False)
    for ax in axes.flat[len(kinds):]:
        ax.axis("off")
    for number, (kind, ax) in enumerate(zip(kinds, axes.flat, strict=False)):
        part = table[table["kind"] == kind]
        step = np.diff(np.sort(part["dose"].unique())).min(initial=np.ptp(part["dose"]) or 1.0)
        for model, (colour, mark, style), shift in zip(models, LOOKS, np.linspace(-0.12, 0.12, len(models)), strict=False):
            line = part[part["model"] == model].sort_values("dose")
            ax.errorbar(line["dose"] + shift * step, line["auc"], yerr=between(line, "auc"), fmt=mark, ls=style, ms=3.5,
                        lw=1.1, elinewidth=0.8, color=colour, label=(names or {}).get(model, model))
        ax.axhline(chance, color=GREY, ls=":", label="chance")
        ax.set(title=kind, xlabel=(units or {}).get(kind, "dose"), ylabel="AUC" if number % columns == 0 else "")
    fig.suptitle(corpus, fontsize=9)
    found = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(found.values(), found, loc="outside lower center", ncols=3, frameon=False, fontsize=7)
    return axes


def fairness(table, measure, corpus, names=None):
    """One measure by model and group, and beside it the gap between the groups, with 95 % intervals.

    table: of `comparison.by_group`; measure: one of MEASURES; names: mapping model -> words. With more than two groups every
    pair has its gap. Dotted: what a perfectly calibrated model has, or no gap.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure {measure!r}: choose {', '.join(MEASURES)}.")
    rows = table[table["measure"] == measure]
    gap = rows["group"].astype(str).str.contains(" - ", regex=False)
    models = list(dict.fromkeys(rows["model"]))
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 0.42 * len(models) + 1.7), sharey=True, width_ratios=(1.5, 1))
    looks = dict(zip(dict.fromkeys(rows["group"]), LOOKS, strict=False))
    for ax, part in zip(axes, (rows[~gap], rows[gap]), strict=True):
        groups = list(dict.fromkeys(part["group"]))
        for number, group in enumerate(groups):
            colour, mark, _ = looks[group]
            here = part[part["group"] == group]
            y = np.array([len(models) - 1 - models.index(m) for m in here["model"]])
            shift = 0.0 if len(groups) == 1 else 0.22 - 0.44 * number / (len(groups) - 1)
            ax.errorbar(here["value"], y + shift, xerr=between(here), fmt=mark, ms=4.5, color=colour, capsize=2,
                        label=str(group).replace(" - ", " less "))
    if IDEAL[measure] is not None:
        axes[0].axvline(IDEAL[measure], color=GREY, ls=":")
    elif measure == "auc":
        axes[0].axvline(0.5, color=GREY, ls=":")
    axes[1].axvline(0, color=GREY, ls=":")
    axes[0].set_yticks(range(len(models))[::-1], [textwrap.fill((names or {}).get(m, m), 26) for m in models])
    axes[0].set(xlabel=MEASURES[measure], ylim=(-0.6, len(models) - 0.4))
    axes[1].set(xlabel="gap")
    fig.suptitle(corpus, fontsize=9)
    handles, labels = (a + b for a, b in zip(*(ax.get_legend_handles_labels() for ax in axes), strict=True))
    fig.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return axes


def trained_and_random(table, corpus, names=None, ax=None):
    """Attribution on planted places, of the trained network and of random weights, with 95 % intervals; 1 is chance.

    table: columns model, method, input, and trained, random, each with _low and _high; names: mapping model -> words.
    """
    ax = axes_or_new(ax, (6.6, 0.3 * len(table) + 1.6))
    y = np.arange(len(table))[::-1]
    for kind, title, mark, colour, up in (("trained", "trained", "o", BLUE, 0.14),
                                          ("random", "random weights", "s", ORANGE, -0.14)):
        ax.errorbar(table[kind], y + up, xerr=between(table, kind, f"{kind}_low", f"{kind}_high"), fmt=mark, color=colour,
                    ms=4, lw=1, capsize=2, label=title)
    ax.axvline(1, color=GREY, ls=":", label="chance")
    ax.set_yticks(y, [f"{(names or {}).get(r.model, r.model)}, {r.method}, {r.input}" for r in table.itertuples()],
                  fontsize=7.5)
    shown = table[["trained", "random"]].to_numpy()
    ax.set(xlabel="mass on planted places over their share", title=corpus, xlim=(min(0, np.nanmin(shown)), None),
           ylim=(-0.7, len(table) - 0.3))
    ax.figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return ax
