"""Figures that several chapters draw. Each draws on given axes or new ones, and returns them."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from depnb.corpora import privacy
from depnb.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, WITHHELD, axes_or_new


def bars(ax, values, edges, people=None, **look):
    """Bars of a histogram on given axes, stacked for several. Of a restricted corpus those of fewer than five are left out.

    values: (n,) or a list of them; edges: of the bins; people: who each value is of, likewise, of a restricted corpus;
    look: as `Axes.hist` takes it.
    """
    several, whose = (x if isinstance(x, list) else [x] for x in (values, people))
    counts = [np.histogram(v, edges)[0] for v in several]
    if people is not None:
        bins = [np.clip(np.searchsorted(edges, v, "right") - 1, 0, len(edges) - 2) for v in several]
        distinct = [[len(set(np.asarray(who)[b == i])) for i in range(len(edges) - 1)]
                    for who, b in zip(whose, bins, strict=True)]
        counts = [np.where(np.array(d) < privacy.FEWEST, 0, c) for d, c in zip(distinct, counts, strict=True)]
        drawn = np.flatnonzero(np.sum(counts, 0))           # the axis ends there: it is not to show how far others reach
        first, last = (drawn[0], drawn[-1] + 1) if len(drawn) else (0, 1)
        counts, edges = [count[first:last] for count in counts], edges[first:last + 1]
        ax.text(0.99, 0.97, f"bars of {privacy.FEWER} are left out", ha="right", va="top", transform=ax.transAxes,
                fontsize=7, color=GREY)
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
    """Training loss and a validation metric (lower is better) by epoch; the kept epoch marked, the mean predictor's value
    as a line."""
    column, name = f"val_{metric}", "MAE" if metric == "mae" else metric.replace("_", " ").replace("one minus f1", "1 − F1")
    ax = axes_or_new(ax, (5.2, 2.8))
    ax.plot(history["epoch"] + 1, history["train_loss"], color=GREY, label="training loss (left)")
    ax.set(xlabel="epoch", ylabel="training loss", title=corpus)
    ax.xaxis.get_major_locator().set_params(integer=True)
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    seen = history.dropna(subset=[column])
    right.plot(seen["epoch"] + 1, seen[column], marker, ms=3, color=BLUE, label=f"validation {name} (right)")
    best = seen.loc[seen[column].idxmin()]
    right.plot(best["epoch"] + 1, best[column], "*", ms=12, color=ORANGE, label="epoch kept")
    if constant is not None:
        right.axhline(constant, color=GREEN, ls="--", label="mean predictor")
    right.set_ylabel(f"validation {name}")
    right.set_ylim(0, min(right.get_ylim()[1], 3 * np.median(seen[column])))
    handles, labels = (a + b for a, b in zip(ax.get_legend_handles_labels(), right.get_legend_handles_labels(), strict=True))
    ax.figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return ax


def predicted_vs_true(people, scale, corpus, constant=None, restricted=False, ax=None):
    """Predicted against true score, one dot a participant; dotted: perfect, dashed: the mean predictor.

    On a restricted corpus a dot is the mean of at least five participants, neighbours by true score.
    """
    if restricted and len(people) < privacy.FEWEST:
        raise ValueError(f"a picture of {privacy.FEWER} people of a licensed corpus; it would show each.")
    if restricted:
        groups = np.array_split(people.sort_values(["y_true", "y_pred"])[["y_true", "y_pred"]].to_numpy(),
                                len(people) // privacy.FEWEST)
        people = pd.DataFrame([g.mean(0) for g in groups], columns=["y_true", "y_pred"])
    ax = axes_or_new(ax, (3.6, 3.4))
    ax.plot([scale.low, scale.high], [scale.low, scale.high], ":", color=GREY, label="perfect")
    if constant is not None:
        ax.axhline(constant, color=GREEN, ls="--", label="mean predictor")
    ax.scatter(people["y_true"], people["y_pred"], s=16, alpha=0.7, color=BLUE,
               label=f"mean of {privacy.FEWEST} or more participants" if restricted else None)
    ax.set(xlabel=f"true {scale.name}", ylabel=f"predicted {scale.name}", title=corpus, xlim=(scale.low - 1, scale.high + 1),
           ylim=(scale.low - 1, scale.high + 1))
    ax.legend(frameon=False, loc="upper left")
    return ax


def estimates(table, label, unit, corpus, reference=None, ax=None):
    """Points with intervals, one row each. table: columns name, value, low, high; reference: (name, value) of a line."""
    ax = axes_or_new(ax, (5.4, 0.28 * len(table) + 1.3))
    y = np.arange(len(table))[::-1]
    low, high = table["value"] - table["low"], table["high"] - table["value"]
    ax.errorbar(table["value"], y, xerr=[low.clip(lower=0), high.clip(lower=0)], fmt="o", ms=5, color=BLUE, capsize=3)
    ax.set_yticks(y, table["name"])
    if reference:
        ax.axvline(reference[1], color=GREEN, ls="--", label=reference[0])
        ax.figure.legend(loc="outside lower center", frameon=False)
    ax.set(xlabel=f"{label} ({unit})" if unit else label, title=corpus)
    return ax


def grouped_bars(table, category, series, value, corpus, ylabel, line=None, spread=None, ax=None):
    """Bars by category, one colour a series; spread: column with the half length of an error bar; line: (name, y)."""
    ax = axes_or_new(ax, (6.4, 2.9))
    categories, names = list(dict.fromkeys(table[category])), list(dict.fromkeys(table[series]))
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        rows = table[table[series] == name].set_index(category).reindex(categories)
        ax.bar(np.arange(len(categories)) + (i - (len(names) - 1) / 2) * width, rows[value], width, label=name,
               yerr=rows[spread] if spread else None, capsize=2, error_kw={"lw": 1})
    if line:
        ax.axhline(line[1], color=GREY, ls="--", label=line[0])
    names_of = [textwrap.fill(str(c).replace("_", " "), 11, break_long_words=False) for c in categories]
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(categories) > 7 else {}
    ax.set_xticks(np.arange(len(categories)), names_of, **slanted)
    ax.set(ylabel=ylabel, title=corpus)
    ax.figure.legend(loc="outside lower center", ncols=len(names) + bool(line), frameon=False)
    return ax


def spectrograms(signals, corpus, restricted=False):
    """Log-mel spectrograms on one time axis. signals: mapping name -> (samples, rate)."""
    fig, axes = plt.subplots(len(signals), 1, figsize=(6.4, 1.7 * len(signals) + 0.6), sharex=True, squeeze=False)
    for ax, (name, (samples, rate)) in zip(axes[:, 0], signals.items(), strict=True):
        if restricted:
            ax.text(0.5, 0.5, "withheld", ha="center", va="center", transform=ax.transAxes)
        else:
            ax.specgram(samples + 1e-6, NFFT=512, Fs=rate, noverlap=352, cmap="magma", vmin=-120, vmax=-30)
            ax.set_ylim(0, 8000)
            ax.set_yticks([0, 4000, 8000], ["0", "4", "8"])
        ax.set(title=name, ylabel="kHz")
    axes[-1, 0].set_xlabel("seconds")
    fig.suptitle(corpus + (f" ({WITHHELD})" if restricted else ""), fontsize=9)
    return axes[:, 0]


def signed_bars(values, label, corpus, ax=None):
    """Horizontal bars by name, one colour a sign. values: Series, drawn from top to bottom."""
    ax = axes_or_new(ax, (6.4, 0.22 * len(values) + 1))
    y = np.arange(len(values))[::-1]
    ax.barh(y, values, color=[ORANGE if v > 0 else BLUE for v in values])
    ax.axvline(0, color=GREY, lw=0.8)
    ax.set_yticks(y, values.index, fontsize=7)
    ax.set(xlabel=label, title=corpus)
    return ax


def histogram(values, label, corpus, line=None, limits=None, people=None, ax=None):
    """How often which value occurs; line: (name, x); people: who each value is of, of a restricted corpus."""
    ax = axes_or_new(ax, (4.2, 2.4))
    bars(ax, values, np.histogram_bin_edges(values, 30, limits), people, color=BLUE, edgecolor="white")
    if line:
        ax.axvline(line[1], color=ORANGE, ls="--", label=line[0])
        ax.legend(frameon=False)
    ax.set(xlabel=label, ylabel="count", title=corpus)
    return ax


def classification_curves(curves, corpus, restricted=False):
    """ROC, precision-recall and calibration side by side. curves: tables of `classification.curves`.

    On a restricted corpus, bins of calibration with fewer than five are left out.
    """
    fig, axes = plt.subplots(1, 3, figsize=(7.6, 2.9))
    roc, pr, bins = curves["roc"], curves["precision_recall"], curves["calibration"]
    bins = bins[bins["rows"] >= (privacy.FEWEST if restricted else 1)]
    for ax, points, x, y in ((axes[0], roc, "fpr", "tpr"), (axes[1], pr, "recall", "precision")):
        ax.fill_between(points[x], points["low"], points["high"], color=BLUE, alpha=0.2, lw=0)
        ax.plot(points[x], points[y], color=BLUE)
    axes[0].plot([0, 1], [0, 1], ":", color=GREY)
    axes[2].plot([0, 1], [0, 1], ":", color=GREY)
    low, high = bins["observed"] - bins["low"], bins["high"] - bins["observed"]
    axes[2].errorbar(bins["predicted"], bins["observed"], [low.clip(lower=0), high.clip(lower=0)], fmt="o", ms=4, color=BLUE)
    axes[0].set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC")
    axes[1].set(xlabel="sensitivity", ylabel="positive predictive value", title="precision–recall")
    axes[2].set(xlabel="predicted", ylabel="observed share", title="calibration")
    for ax in axes:
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    fig.suptitle(corpus, fontsize=9)
    return axes


def confusion_matrix(counts, corpus, restricted=False, ax=None):
    """Counts of true against decided class.

    counts: mapping tn, fp, fn, tp -> number of people, None where there are fewer than five; of a restricted corpus no
    number below five is shown.
    """
    ax = axes_or_new(ax, (2.8, 2.6))
    table = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]], float)
    hidden = np.isnan(table) | (restricted & (table < privacy.FEWEST))
    table[hidden] = 0                           # all alike, also in colour
    ax.imshow(table, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(table):
        text = f"below {privacy.FEWEST}" if hidden[row, column] else f"{count:.0f}"
        ax.text(column, row, text, ha="center", va="center", color="white" if count > table.max() / 2 else "black")
    ax.set_xticks([0, 1], ["control", "depressed"])
    ax.set_yticks([0, 1], ["control", "depressed"], rotation=90, va="center")
    ax.set(xlabel="decided", ylabel="true", title=corpus)
    ax.spines[:].set_visible(False)
    return ax


def dose_response(table, value, ylabel, corpus, line=None):
    """Panels kind by modality of a value against the strength of damage, one line a fusion.

    table: columns fusion, modality, kind, strength and `value`; line: (name, y).
    """
    kinds, modalities, fusions = (list(dict.fromkeys(table[c])) for c in ("kind", "modality", "fusion"))
    fig, axes = plt.subplots(len(kinds), len(modalities), figsize=(2.4 * len(modalities) + 0.4, 1.75 * len(kinds) + 1.1),
                             sharey=True, sharex="row", squeeze=False)
    looks = [(colour, style) for style in ("-", "--", ":") for colour in (BLUE, ORANGE, GREEN, PURPLE, GREY)]
    for (row, column), ax in np.ndenumerate(axes):
        part = table[(table["kind"] == kinds[row]) & (table["modality"] == modalities[column])]
        for fusion, (colour, style) in zip(fusions, looks, strict=False):
            points = part[part["fusion"] == fusion].sort_values("strength")
            ax.plot(points["strength"], points[value], style, marker=".", color=colour, lw=1.1, label=fusion)
        if line:
            ax.axhline(line[1], color="black", ls=(0, (1, 3)), lw=1.2, label=line[0])
        ax.set(title=f"{modalities[column]}, {kinds[row]}", ylabel=ylabel if column == 0 else "",
               xlabel="strength" if row == len(kinds) - 1 else "")
    fig.suptitle(corpus, fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=7)
    return axes


def before_after(table, before, after, ylabel, corpus, line=None, ax=None):
    """One line a row from the value of column `before` to that of `after`; line: (name, y)."""
    ax = axes_or_new(ax, (4.2, 3.0))
    for _, row in table.iterrows():
        ax.plot([0, 1], [row[before], row[after]], "o-", color=BLUE, lw=1, ms=4)
    if len(table):
        means = [table[before].mean(), table[after].mean()]
        ax.plot([0, 1], means, "D-", color=ORANGE, lw=2.4, ms=7, label="mean of the runs")
    if line:
        ax.axhline(line[1], color=GREY, ls="--", label=line[0])
    ax.set_xticks([0, 1], [textwrap.fill(c, 18) for c in (before, after)])
    ax.set(ylabel=ylabel, title=corpus, xlim=(-0.4, 1.4))
    ax.figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return ax


def matrices(values, rows, columns, corpus, digits=2):
    """Tables of numbers as colours, one below the other on one scale, which holds 0: small differences look small.

    values: name -> (rows, columns)
    """
    scale = plt.Normalize(min(0, *(np.nanmin(v) for v in values.values())), max(0, *(np.nanmax(v) for v in values.values())))
    size = 0.62 * len(columns) + 1.6, (0.42 * len(rows) + 0.5) * len(values) + 0.7
    fig, axes = plt.subplots(len(values), 1, figsize=size, squeeze=False, sharex=True)
    for ax, (name, table) in zip(axes[:, 0], values.items(), strict=True):
        ground = ax.imshow(table, cmap="Blues", norm=scale, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=7,
                    color="white" if np.dot(ground.to_rgba(value)[:3], (0.3, 0.59, 0.11)) < 0.4 else "black")
        ax.set_yticks(range(len(rows)), rows)
        ax.set_title(name)
        ax.spines[:].set_visible(False)
    axes[-1, 0].set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor")
    fig.suptitle(corpus, fontsize=9)
    return axes[:, 0]
