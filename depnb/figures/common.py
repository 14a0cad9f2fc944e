"""Figures that several chapters draw. Each draws on given axes or new ones, and returns them."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from depnb.corpora import privacy
from depnb.figures.style import (
    BLUE,
    GREEN,
    GREY,
    KNOWN,
    ORANGE,
    PALETTE,
    PURPLE,
    at_ends,
    axes_or_new,
    headline,
    heat,
    in_the_middle,
    legend_below,
    nothing,
    points,
)


def bars(ax, values, edges, people=None, **look):
    """Bars of a histogram on an axis, stacked for several.

    Of a restricted corpus those of fewer than five people are left out.

    Parameters
    ----------
    values : (n,) or a list of them
    edges : of the bins
    people : who each value is of, likewise, of a restricted corpus
    look : as `Axes.hist` takes it
    """
    several, whose = (x if isinstance(x, list) else [x] for x in (values, people))
    counts = [np.histogram(v, edges)[0] for v in several]
    if people is not None:
        bins = [np.clip(np.searchsorted(edges, v, "right") - 1, 0, len(edges) - 2) for v in several]
        distinct = [[len(set(np.asarray(who)[b == i])) for i in range(len(edges) - 1)]
                    for who, b in zip(whose, bins, strict=True)]
        counts = [np.where(np.array(d) < privacy.FEWEST, 0, c)
                  for d, c in zip(distinct, counts, strict=True)]
        # the axis ends there: it is not to show how far others reach
        drawn = np.flatnonzero(np.sum(counts, 0))
        first, last = (drawn[0], drawn[-1] + 1) if len(drawn) else (0, 1)
        counts, edges = [count[first:last] for count in counts], edges[first:last + 1]
        ax.text(0.99, 0.97, f"bars of {privacy.FEWER} are left out", ha="right", va="top",
                transform=ax.transAxes, fontsize=7, color=GREY)
    ax.hist([edges[:-1]] * len(counts), edges, weights=counts, stacked=True, **look)


def score_histogram(sessions, scale, corpus, restricted=False, ax=None):
    """How many sessions have which score, with the clinical cut-off."""
    ax = axes_or_new(ax, (4.2, 2.4))
    bars(ax, sessions["score"], np.arange(scale.low, scale.high + 4, 3) - 0.5,
         sessions["participant"] if restricted else None, color=BLUE, edgecolor="white")
    ax.axvline(scale.cutoff - 0.5, color=ORANGE, ls="--", label=f"cut-off {scale.cutoff}")
    ax.legend(frameon=False)
    ax.set(xlabel=f"{scale.name} total", ylabel="sessions", title=corpus)
    return ax


def training_curve(history, corpus, constant=None, ax=None, metric="mae", marker="o-"):
    """Training loss and a validation metric (lower is better) by epoch.

    The epoch that the run takes is marked, the mean predictor's value is a line.

    Parameters
    ----------
    history : columns epoch, train_loss and val_<metric>; None where nothing was trained
    constant : the mean predictor's value
    """
    if history is None:
        return nothing(corpus, "nothing was trained")[0]
    column = f"val_{metric}"
    name = {"mae": "MAE", "one_minus_f1": "1 − F1"}.get(metric, metric.replace("_", " "))
    ax = axes_or_new(ax, (5.2, 2.8))
    ax.plot(history["epoch"] + 1, history["train_loss"], color=GREY, label="training loss (left)")
    ax.set(xlabel="epoch", ylabel="training loss", title=corpus)
    ax.xaxis.get_major_locator().set_params(integer=True)
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    seen = history.dropna(subset=[column])
    right.plot(seen["epoch"] + 1, seen[column], marker, ms=3, color=BLUE,
               label=f"validation {name} (right)")
    best = seen.loc[seen[column].idxmin()]
    right.plot(best["epoch"] + 1, best[column], "*", ms=12, color=ORANGE, label="epoch kept")
    if constant is not None:
        right.axhline(constant, color=GREEN, ls="--", label="mean predictor")
    right.set_ylabel(f"validation {name}")
    right.set_ylim(0, min(right.get_ylim()[1], 3 * np.median(seen[column])))
    handles, labels = (a + b for a, b in zip(ax.get_legend_handles_labels(),
                                             right.get_legend_handles_labels(), strict=True))
    legend_below(ax.figure, 2, handles, labels)
    return ax


def predicted_vs_true(people, scale, corpus, constant=None, restricted=False, ax=None):
    """Predicted against true score, one dot a participant; dotted: perfect, dashed: the mean.

    On a restricted corpus a dot is the mean of at least five participants, neighbours by true
    score.

    Parameters
    ----------
    people : columns y_true, y_pred
    scale : of the scores
    constant : the mean predictor's value

    Raises
    ------
    ValueError
        For fewer than five people of a restricted corpus.
    """
    if restricted and len(people) < privacy.FEWEST:
        raise ValueError(f"a picture of {privacy.FEWER} people of a licensed corpus; "
                         "it would show each.")
    if restricted:
        columns = ["y_true", "y_pred"]
        ordered = people.sort_values(columns)[columns].to_numpy()
        groups = np.array_split(ordered, len(people) // privacy.FEWEST)
        people = pd.DataFrame([g.mean(0) for g in groups], columns=columns)
    ax = axes_or_new(ax, (3.6, 3.4))
    ax.plot([scale.low, scale.high], [scale.low, scale.high], ":", color=GREY, label="perfect")
    if constant is not None:
        ax.axhline(constant, color=GREEN, ls="--", label="mean predictor")
    sns.scatterplot(people, x="y_true", y="y_pred", s=16, alpha=0.7, color=BLUE, linewidth=0, ax=ax,
                    label=f"mean of {privacy.FEWEST} or more participants" if restricted else None)
    ax.set(xlabel=f"true {scale.name}", ylabel=f"predicted {scale.name}", title=corpus,
           xlim=(scale.low - 1, scale.high + 1), ylim=(scale.low - 1, scale.high + 1))
    ax.legend(frameon=False, loc="upper left")
    return ax


def estimates(table, label, unit, corpus, reference=None, ax=None):
    """Points with intervals, one row each.

    Parameters
    ----------
    table : columns name, value, low, high
    reference : (name, value) of a line
    """
    ax = axes_or_new(ax, (5.4, 0.28 * len(table) + 1.3))
    rows = table.assign(row=range(len(table)))              # two may have one name
    points(ax, rows, "value", "row", color=BLUE)
    ax.set_yticks(range(len(table)), table["name"])
    if reference:
        ax.axvline(reference[1], color=GREEN, ls="--", label=reference[0])
        legend_below(ax.figure)
    ax.set(xlabel=f"{label} ({unit})" if unit else label, ylabel="", title=corpus)
    return ax


def grouped_bars(table, category, series, value, corpus, ylabel, line=None, spread=None, ax=None):
    """Bars by category, one colour a series.

    Parameters
    ----------
    table : columns as named by `category`, `series`, `value` and `spread`
    spread : column with the half length of an error bar, or two with its ends
    line : (name, y)

    Raises
    ------
    ValueError
        Two rows have one category and one series.
    """
    ax = axes_or_new(ax, (6.4, 2.9))
    categories, names = list(dict.fromkeys(table[category])), list(dict.fromkeys(table[series]))
    table.pivot(index=category, columns=series, values=value)   # seaborn would draw two as one bar
    rows = table
    if spread:
        low, high = ((table[value] - table[spread], table[value] + table[spread])
                     if isinstance(spread, str) else (table[end] for end in spread))
        rows = at_ends(table.assign(low=low, high=high), value)
    sns.barplot(rows, x=category, y=value, hue=series, order=categories, hue_order=names,
                palette=PALETTE[:len(names)], saturation=1, capsize=0.1, legend=False, ax=ax,
                err_kws={"lw": 1, "color": "black"}, **KNOWN)
    for bars_of_one, name in zip(ax.containers, names, strict=True):
        bars_of_one.set_label(name)
    if line:
        ax.axhline(line[1], color=GREY, ls="--", label=line[0])
    names_of = [textwrap.fill(str(c).replace("_", " "), 11, break_long_words=False)
                for c in categories]
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(np.arange(len(categories)), names_of, **slanted if len(categories) > 7 else {})
    ax.set(xlabel="", ylabel=ylabel, title=corpus)
    legend_below(ax.figure, len(names) + bool(line))
    return ax


def spectrograms(signals, corpus, restricted=False):
    """Log-mel spectrograms on one time axis. signals: mapping name -> (samples, rate)."""
    fig, axes = plt.subplots(len(signals), 1, figsize=(6.4, 1.7 * len(signals) + 0.6), sharex=True,
                             squeeze=False)
    for ax, (name, (samples, rate)) in zip(axes[:, 0], signals.items(), strict=True):
        if restricted:
            in_the_middle(ax, "withheld")
        else:
            ax.specgram(samples + 1e-6, NFFT=512, Fs=rate, noverlap=352, cmap="magma", vmin=-120,
                        vmax=-30)
            ax.set_ylim(0, 8000)
            ax.set_yticks([0, 4000, 8000], ["0", "4", "8"])
        ax.set(title=name, ylabel="kHz")
    axes[-1, 0].set_xlabel("seconds")
    headline(fig, corpus, restricted)
    return axes[:, 0]


def signed_bars(values, label, corpus, ax=None):
    """Horizontal bars by name, one colour a sign. values: Series, drawn from top to bottom."""
    ax = axes_or_new(ax, (6.4, 0.22 * len(values) + 1))
    sns.barplot(x=values.to_numpy(), y=range(len(values)), hue=values.to_numpy() > 0, orient="h",
                palette={True: ORANGE, False: BLUE}, saturation=1, dodge=False, legend=False, ax=ax)
    ax.axvline(0, color=GREY, lw=0.8)
    ax.set_yticks(range(len(values)), values.index, fontsize=7)
    ax.set(xlabel=label, ylabel="", title=corpus)
    return ax


def histogram(values, label, corpus, line=None, limits=None, people=None, ax=None):
    """How often which value occurs.

    Parameters
    ----------
    values : (n,)
    line : (name, x)
    people : who each value is of, of a restricted corpus
    """
    ax = axes_or_new(ax, (4.2, 2.4))
    bars(ax, values, np.histogram_bin_edges(values, 30, limits), people, color=BLUE,
         edgecolor="white")
    if line:
        ax.axvline(line[1], color=ORANGE, ls="--", label=line[0])
        ax.legend(frameon=False)
    ax.set(xlabel=label, ylabel="count", title=corpus)
    return ax


def classification_curves(curves, corpus, restricted=False):
    """ROC, precision-recall and calibration side by side, of tables of `classification.curves`.

    On a restricted corpus, bins of calibration with fewer than five are left out.
    """
    fig, axes = plt.subplots(1, 3, figsize=(7.6, 2.9))
    roc, pr, bins = curves["roc"], curves["precision_recall"], curves["calibration"]
    bins = bins[bins["rows"] >= (privacy.FEWEST if restricted else 1)]
    for ax, curve, x, y in ((axes[0], roc, "fpr", "tpr"), (axes[1], pr, "recall", "precision")):
        ax.fill_between(curve[x], curve["low"], curve["high"], color=BLUE, alpha=0.2, lw=0)
        ax.plot(curve[x], curve[y], color=BLUE)
    axes[0].plot([0, 1], [0, 1], ":", color=GREY)
    axes[2].plot([0, 1], [0, 1], ":", color=GREY)
    low, high = bins["observed"] - bins["low"], bins["high"] - bins["observed"]
    axes[2].errorbar(bins["predicted"], bins["observed"], [low.clip(lower=0), high.clip(lower=0)],
                     fmt="o", ms=4, color=BLUE)
    axes[0].set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC")
    axes[1].set(xlabel="sensitivity", ylabel="positive predictive value", title="precision–recall")
    axes[2].set(xlabel="predicted", ylabel="observed share", title="calibration")
    for ax in axes:
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    headline(fig, corpus)
    return axes


def confusion_matrix(counts, corpus, restricted=False, ax=None):
    """Counts of true against decided class.

    counts: mapping tn, fp, fn, tp -> number of people, None where there are fewer than five; of a
    restricted corpus no number below five is shown.
    """
    ax = axes_or_new(ax, (2.8, 2.6))
    table = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]], float)
    hidden = np.isnan(table) | (restricted & (table < privacy.FEWEST))
    table[hidden] = 0                           # all alike, also in colour
    texts = np.where(hidden, f"below {privacy.FEWEST}", table.astype(int).astype(str))
    names = ["control", "depressed"]
    heat(ax, table, texts, vmin=0, xticklabels=names, yticklabels=names)
    ax.tick_params("y", rotation=90)
    ax.tick_params("x", rotation=0)
    ax.set(xlabel="decided", ylabel="true", title=corpus)
    return ax


def dose_response(table, value, ylabel, corpus, line=None):
    """Panels kind by modality of a value against the strength of damage, one line a fusion.

    Parameters
    ----------
    table : columns fusion, modality, kind, strength and `value`
    line : (name, y)
    """
    kinds, modalities, fusions = (list(dict.fromkeys(table[c]))
                                  for c in ("kind", "modality", "fusion"))
    fig, axes = plt.subplots(len(kinds), len(modalities),
                             figsize=(2.4 * len(modalities) + 0.4, 1.75 * len(kinds) + 1.1),
                             sharey=True, sharex="row", squeeze=False)
    looks = [(colour, style) for style in ("-", "--", ":")
             for colour in (BLUE, ORANGE, GREEN, PURPLE, GREY)]
    for (row, column), ax in np.ndenumerate(axes):
        part = table[(table["kind"] == kinds[row]) & (table["modality"] == modalities[column])]
        for fusion, (colour, style) in zip(fusions, looks, strict=False):
            points = part[part["fusion"] == fusion].sort_values("strength")
            ax.plot(points["strength"], points[value], style, marker=".", color=colour, lw=1.1,
                    label=fusion)
        if line:
            ax.axhline(line[1], color="black", ls=(0, (1, 3)), lw=1.2, label=line[0])
        ax.set(title=f"{modalities[column]}, {kinds[row]}", ylabel=ylabel if column == 0 else "",
               xlabel="strength" if row == len(kinds) - 1 else "")
    headline(fig, corpus)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_below(fig, 4, handles, labels, fontsize=7)
    return axes


def before_after(table, before, after, ylabel, corpus, line=None, ax=None):
    """One line a row from the value of column `before` to that of `after`; line: (name, y)."""
    if table.empty:
        return nothing(corpus, "no such run has been made yet")[0]
    ax = axes_or_new(ax, (4.2, 3.0))
    for _, row in table.iterrows():
        ax.plot([0, 1], [row[before], row[after]], "o-", color=BLUE, lw=1, ms=4)
    means = [table[before].mean(), table[after].mean()]
    ax.plot([0, 1], means, "D-", color=ORANGE, lw=2.4, ms=7, label="mean of the runs")
    if line:
        ax.axhline(line[1], color=GREY, ls="--", label=line[0])
    ax.set_xticks([0, 1], [textwrap.fill(c, 18) for c in (before, after)])
    ax.set(ylabel=ylabel, title=corpus, xlim=(-0.4, 1.4))
    legend_below(ax.figure, 2)
    return ax


def matrices(values, rows, columns, corpus, digits=2):
    """Tables of numbers as colours, one below the other.

    On one scale, which holds 0: small differences look small.

    Parameters
    ----------
    values : name -> (rows, columns)
    """
    scale = {"vmin": min(0, *(np.nanmin(v) for v in values.values())),
             "vmax": max(0, *(np.nanmax(v) for v in values.values()))}
    size = 0.62 * len(columns) + 1.6, (0.42 * len(rows) + 0.5) * len(values) + 0.7
    fig, axes = plt.subplots(len(values), 1, figsize=size, squeeze=False, sharex=True)
    for ax, (name, table) in zip(axes[:, 0], values.items(), strict=True):
        texts = np.vectorize(f"{{:.{digits}f}}".format)(np.asarray(table, float))
        heat(ax, table, texts, xticklabels=columns, yticklabels=rows, **scale)
        ax.set(xlabel="", ylabel="", title=name)
    axes[-1, 0].set_xticks(axes[-1, 0].get_xticks(), columns, rotation=40, ha="right",
                           rotation_mode="anchor")
    headline(fig, corpus)
    return axes[:, 0]


def published_epochs(values, chosen, lines, ylabel, title, ax=None):
    """A measure of a published log by epoch, the epoch that the authors take marked.

    Parameters
    ----------
    values : Series by epoch
    chosen : epoch
    lines : name -> height
    """
    ax = axes_or_new(ax, (6.4, 3.0))
    ax.plot(values.index, values, color=BLUE, lw=0.9, label="each epoch")
    ax.plot(chosen, values[chosen], "*", ms=12, color=ORANGE, label="the epoch kept")
    for (name, height), style, colour in zip(lines.items(), ("--", ":", "-."),
                                             (GREEN, "black", PURPLE), strict=False):
        ax.axhline(height, color=colour, ls=style, lw=1.4, label=f"{name} ({height:.1f})")
    ax.set(xlabel="epoch", ylabel=ylabel, title=title)
    legend_below(ax.figure, 3, fontsize=8)
    return ax
