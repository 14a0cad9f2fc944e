"""Figures of the evidence: models side by side, leaks in the null corpus, damage, and groups.

Each draws the tables of `depnb.evidence`, writes the corpus on the picture, and neither shows nor
saves. What is told apart by colour is told apart by the mark as well.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from depnb.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    axes_or_new,
    headline,
    heat,
    legend_below,
    points,
)

LOOKS = [(colour, mark, style) for style in ("-", "--") for colour, mark in zip(
    (BLUE, ORANGE, GREEN, PURPLE, "#56B4E9", "#000000"), "os^DvP", strict=True)]
MEASURES = {"auc": "AUC", "in_the_large": "share of cases less mean probability", "slope":
            "calibration slope", "ici": "integrated calibration index", "brier": "Brier score"}
IDEAL = {"auc": None, "in_the_large": 0.0, "slope": 1.0, "ici": 0.0, "brier": 0.0}
# What a model is beside the reference: mark, colour, its inside.
VERDICTS = {"reference": ("s", "black", "black"), "better": ("^", BLUE, BLUE), "not told apart":
            ("o", GREY, "white"), "worse": ("v", ORANGE, ORANGE), "": ("o", BLUE, BLUE)}


def between(rows, value="value", low="low", high="high"):
    """Lengths of error bars, (2, n); none where the interval is not known."""
    return np.nan_to_num(np.stack([rows[value] - rows[low], rows[high] - rows[value]])).clip(min=0)


def verdict(differences):
    """What the corrected tests against the reference say of each model: words of VERDICTS."""
    tests = differences[differences["family"] == "reference"]
    words = np.where(tests["p_adjusted"] >= 0.05, "not told apart",
                     np.where(tests["difference"] > 0, "better", "worse"))
    return {tests["second"].iloc[0]: "reference", **dict(zip(tests["first"], words, strict=True))}


def forest(table, corpus, differences=None, oracle=None, names=None, ax=None):
    """AUC of every model with its interval, one row each, beside chance and the oracle.

    Parameters
    ----------
    table : of `comparison.auc_table`
    differences : of `comparison.paired`
        The reference is then a square, filled marks are models that differ from it after correction
        (p_adjusted below 0.05), open ones are not told apart from it.
    oracle : AUC of whoever knows what was planted
    names : mapping model -> words
    """
    ax = axes_or_new(ax, (6.2, 0.34 * len(table) + 1.7))
    verdicts = {} if differences is None else verdict(differences)
    models, of_model = list(table["model"]), table["model"].map(lambda m: verdicts.get(m, ""))
    for kind, (mark, colour, inside) in VERDICTS.items():
        if len(rows := table[of_model == kind]):
            points(ax, rows, "auc", "model", order=models, color=colour, marker=mark,
                   markerfacecolor=inside, markersize=6, label=kind or None)
    ax.axvline(0.5, color=GREY, ls=":", label="chance")
    if oracle is not None:
        ax.axvline(oracle, color=GREEN, ls="--", label="oracle")
    ax.set_yticks(range(len(models)), [textwrap.fill((names or {}).get(m, m), 34) for m in models])
    ax.set(xlabel="AUC with 95 % interval over participants", ylabel="", title=corpus,
           ylim=(len(models) - 0.4, -0.6))
    legend_below(ax.figure, 6, fontsize=8, columnspacing=1.2)
    return ax


def null_steps(table, corpus, names=None, stairs=(), pipelines=None, ax=None):
    """How each practice lifts the AUC of a null corpus: a bar from 0.5 to the pipelines' mean.

    Diamonds: mean of all pipelines; small marks: single pipelines; all with 95 % intervals over
    repetitions.

    Parameters
    ----------
    table : of `comparison.inflation`
    names : mapping practice -> words, rows in this order
    stairs : practices of which each includes the one before, joined by a line
    pipelines : mapping pipeline -> words
    """
    names = names or {practice: practice for practice in dict.fromkeys(table["practice"])}
    practices = [p for p in names if p in set(table["practice"])]
    ax = axes_or_new(ax, (7.2, 0.62 * len(practices) + 1.7))
    y = dict(zip(practices, range(len(practices))[::-1], strict=True))
    mean = table[table["pipeline"] == "all"].set_index("practice").loc[practices].reset_index()
    height = mean["practice"].map(y)
    ax.barh(height, mean["auc"] - 0.5, left=0.5, height=0.62, color="#F0E442", alpha=0.55, lw=0)
    singles = [p for p in dict.fromkeys(table["pipeline"]) if p != "all"]
    for number, (pipeline, (colour, mark, _)) in enumerate(zip(singles, LOOKS, strict=False)):
        rows = table[(table["pipeline"] == pipeline) & table["practice"].isin(practices)]
        at = rows["practice"].map(y) + 0.13 - 0.42 * number / max(1, len(singles) - 1)
        ax.errorbar(rows["auc"], at, xerr=between(rows, "auc"), fmt=mark, ms=3.5, lw=0.9,
                    color=colour, alpha=0.9, label=(pipelines or {}).get(pipeline, pipeline))
    at = height + 0.26
    ax.errorbar(mean["auc"], at, xerr=between(mean, "auc"), fmt="D", ms=6, color="black", capsize=3,
                label="mean of all")
    ends = table.loc[table["practice"].isin(practices), ["auc", "low", "high"]]
    left, right = min(0.42, *(ends.min() - 0.02)), max(ends.max())
    for value, up in zip(mean["auc"], height, strict=True):
        ax.text(right + 0.025, up, f"{value:.2f}", va="center", ha="left", fontsize=11,
                fontweight="bold")
    joined = mean["practice"].isin(stairs)
    ax.plot(mean["auc"][joined], at[joined], color="black", lw=1.2, ls=":", drawstyle="steps-post")
    ax.axvline(0.5, color=GREEN, lw=1.6, label="truth: nothing to find")
    ax.set_yticks(height, [textwrap.fill(names[p], 30) for p in mean["practice"]])
    ax.set(xlabel="reported AUC (bold: mean of all pipelines)", title=corpus,
           xlim=(left, right + 0.11), ylim=(-0.6, len(practices) - 0.4))
    ax.set_xticks([tick for tick in ax.get_xticks() if left <= tick <= 1])
    legend_below(ax.figure, 3, fontsize=8)
    return ax


def clean_and_leaking(table, measured, corpus, names=None, ax=None):
    """AUC of every pipeline of a null corpus, read cleanly and with all leaks, beside a constant's.

    Small marks: repetitions; large ones: their mean, with 95 % interval.

    Parameters
    ----------
    table : of `tables.inflation`
    measured : of `null.measure`, the repetitions that it is the mean of
    names : mapping pipeline -> words
    """
    ax = axes_or_new(ax, (3.9, 3.5))
    pair = {"clean": "evaluated cleanly", "all": "with leaks and choices"}
    names = {**(names or {}), "all": "mean of all"}
    of_all = measured.groupby(["repetition", "practice"], as_index=False)["auc"].mean()
    measured = pd.concat([measured, of_all.assign(pipeline="all")])
    rows, single = (t[t["practice"].isin(pair)].replace({"practice": pair})
                    for t in (table, measured))
    look = {"hue": "practice", "hue_order": list(pair.values()), "palette": (BLUE, ORANGE)}
    order = list(dict.fromkeys(rows["pipeline"]))
    sns.stripplot(single, x="auc", y="pipeline", order=order, dodge=True, jitter=False, size=4.5,
                  alpha=0.45, linewidth=0, legend=False, ax=ax, **look)
    points(ax, rows, "auc", "pipeline", order=order, dodge=0.4, markers=["o", "^"], markersize=6,
           **look)
    ax.get_legend().remove()
    ax.axvline(0.5, color=GREEN, lw=1.4, label="constant: 0.5")
    ax.set_yticks(range(len(order)), [textwrap.fill(names.get(name, name), 18) for name in order])
    ax.set(xlabel="AUC on the test set", ylabel="", title=corpus)
    legend_below(ax.figure, 2, fontsize=8)
    return ax


def ledger(counts, ax=None):
    """How many rows of the claims ledger each paper has, by verdict: numbers on shades of blue.

    Parameters
    ----------
    counts : table, index (part of the ledger, words), a column a paper
        A part with several rows has its name above them; "all of them" of a part goes by its name
        and has no shade, as a sum has no verdict.
    """
    ax = axes_or_new(ax, (3.9, 4.1))
    table, labels, parts, sums = [], [], [], []
    for part, rows in counts.groupby(level=0, sort=False):
        words = [word for _, word in rows.index]
        parts.append(len(table))
        if len(rows) > 1:
            table.append(np.full(len(counts.columns), np.nan))
            labels.append(part)
        else:
            words = [part if words == ["all of them"] else f"{part}: {words[0]}"]
            sums += [len(table)] * (words == [part])
        table += list(rows.to_numpy(float))
        labels += [textwrap.fill(word, 27) for word in words]
    texts = [["" if np.isnan(n) else f"{n:.0f}" for n in row] for row in table]
    shades = np.array(table)
    shades[sums] = 0
    heat(ax, shades, texts, vmin=0, xticklabels=counts.columns, yticklabels=labels)
    for number, label in enumerate(ax.get_yticklabels()):
        label.set(fontsize=7.5, fontweight="bold" if number in parts else "normal")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_xticks(ax.get_xticks(), counts.columns, rotation=30, ha="left", rotation_mode="anchor")
    ax.set_xlabel("rows of the claims ledger")
    return ax


def dose_response(table, corpus, names=None, units=None, chance=0.5):
    """AUC against the dose of damage, one panel a kind, one line a model, with 95 % intervals.

    Parameters
    ----------
    table : of `comparison.dose_response`
    names : mapping model -> words
    units : mapping kind -> label of its horizontal axis
    """
    kinds, models = (list(dict.fromkeys(table[c])) for c in ("kind", "model"))
    columns = 2 if len(kinds) == 4 else min(3, len(kinds))
    rows = -(-len(kinds) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.45 * columns + 0.4, 2.2 * rows + 0.9),
                             sharey=True, squeeze=False)
    for ax in axes.flat[len(kinds):]:
        ax.axis("off")
    for number, (kind, ax) in enumerate(zip(kinds, axes.flat, strict=False)):
        part = table[table["kind"] == kind]
        step = np.diff(np.sort(part["dose"].unique())).min(initial=np.ptp(part["dose"]) or 1.0)
        for model, (colour, mark, style), shift in zip(
            models, LOOKS, np.linspace(-0.12, 0.12, len(models)), strict=False):
            line = part[part["model"] == model].sort_values("dose")
            ax.errorbar(line["dose"] + shift * step, line["auc"], yerr=between(line, "auc"),
                        fmt=mark, ls=style, ms=3.5, lw=1.1, elinewidth=0.8, color=colour,
                        label=(names or {}).get(model, model))
        ax.axhline(chance, color=GREY, ls=":", label="chance")
        ax.set(title=kind, xlabel=(units or {}).get(kind, "dose"),
               ylabel="AUC" if number % columns == 0 else "")
    headline(fig, corpus)
    handles = {label: handle for ax in axes.flat
               for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    legend_below(fig, 3, handles.values(), handles, fontsize=7)
    return axes


def fairness(table, measure, corpus, names=None):
    """One measure by model and group, and the gap between the groups, with 95 % intervals.

    With more than two groups every pair has its gap. Dotted: what a perfectly calibrated model has,
    or no gap.

    Parameters
    ----------
    table : of `comparison.by_group`
    measure : one of MEASURES
    names : mapping model -> words

    Raises
    ------
    ValueError
        For another measure.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure {measure!r}: choose {', '.join(MEASURES)}.")
    rows = table[table["measure"] == measure]
    gap = rows["group"].astype(str).str.contains(" - ", regex=False)
    models = list(dict.fromkeys(rows["model"]))
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 0.42 * len(models) + 1.7), sharey=True,
                             width_ratios=(1.5, 1))
    looks = dict(zip(dict.fromkeys(rows["group"]), LOOKS, strict=False))
    for ax, part in zip(axes, (rows[~gap], rows[gap]), strict=True):
        groups = list(dict.fromkeys(part["group"]))
        colours, marks, _ = map(list, zip(*(looks[group] for group in groups), strict=True))
        points(ax, part, "value", "model", order=models, hue="group", hue_order=groups,
               dodge=0.44 if len(groups) > 1 else False, palette=colours, markers=marks)
        ax.get_legend().remove()
    if IDEAL[measure] is not None:
        axes[0].axvline(IDEAL[measure], color=GREY, ls=":")
    elif measure == "auc":
        axes[0].axvline(0.5, color=GREY, ls=":")
    axes[1].axvline(0, color=GREY, ls=":")
    axes[0].set_yticks(range(len(models)),
                       [textwrap.fill((names or {}).get(m, m), 26) for m in models])
    axes[0].set(xlabel=MEASURES[measure], ylabel="", ylim=(len(models) - 0.4, -0.6))
    axes[1].set(xlabel="gap")
    headline(fig, corpus)
    handles, labels = (a + b for a, b in zip(*(ax.get_legend_handles_labels() for ax in axes),
                                             strict=True))
    legend_below(fig, 4, handles, [label.replace(" - ", " less ") for label in labels], fontsize=8)
    return axes


def trained_and_random(table, corpus, names=None, ax=None):
    """Attribution on planted places, of trained networks and of random ones; 1 is chance.

    Means over networks, with 95 % t intervals over networks.

    Parameters
    ----------
    table : columns model, method, input, and trained, random, each with _low and _high
    names : mapping model -> words
    """
    ax = axes_or_new(ax, (6.6, 0.3 * len(table) + 1.6))
    kinds = {"trained": "trained", "random": "random weights"}
    both = pd.concat([table.assign(
        row=range(len(table)), network=words, value=table[kind], low=table[f"{kind}_low"],
        high=table[f"{kind}_high"]) for kind, words in kinds.items()])
    points(ax, both, "value", "row", hue="network", dodge=0.28, palette=(BLUE, ORANGE),
           markers=["o", "s"], markersize=4)
    ax.get_legend().remove()
    ax.axvline(1, color=GREY, ls=":", label="chance")
    ax.set_yticks(range(len(table)), [f"{(names or {}).get(r.model, r.model)}, {r.method}, "
                                      f"{r.input}" for r in table.itertuples()], fontsize=7.5)
    masses = table[["trained", "random"]].to_numpy()
    ax.set(xlabel="mass on planted places over their share", ylabel="", title=corpus,
           xlim=(min(0, np.nanmin(masses)), None), ylim=(len(table) - 0.3, -0.7))
    legend_below(ax.figure, 3)
    return ax
