"""House style: colours, the corpus on every picture, what is withheld."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from depnb.corpora.simulated import effect_text

# Okabe and Ito's colours, which the colour-blind tell apart, and a grey.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, GREY, "#56B4E9", "#E69F00")
# How seaborn draws the rows of `at_ends`: their median is the value, their extent the interval.
KNOWN = {"estimator": "median", "errorbar": ("pi", 100)}
WITHHELD = "withheld: restricted corpus"


def use_house_style():
    """Sizes and colours for all figures of the book."""
    sns.set_theme(context="paper", style="ticks", palette=PALETTE, font="DejaVu Sans", rc={
        "figure.dpi": 110, "figure.facecolor": "white", "savefig.facecolor": "white",
        "axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "axes.titlesize": 9,
        "axes.labelsize": 9, "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9,
        "figure.constrained_layout.use": True})


def show(run, name):
    """Keep the figure just drawn in the run's folder, and show it."""
    run.save_figure(plt.gcf(), name)
    plt.show()


def corpus_label(corpus):
    """What a figure says about where it comes from."""
    if corpus.restricted:
        return f"{corpus.name}, licensed corpus"
    a = corpus.truth["arguments"]
    return f"simulated {corpus.name}, effect {effect_text(a['effect'])}"


def at_ends(table, value="value", low="low", high="high"):
    """Every row of a table three times, at its value and at both ends of its interval.

    For seaborn, which else computes intervals itself, from rows; ours are over participants. An
    interval that does not reach its value is drawn up to it, one that is not known not at all.
    """
    ends = (table[value], np.minimum(table[value], table[low]),
            np.maximum(table[value], table[high]))
    return pd.concat([table.assign(**{value: end}) for end in ends], ignore_index=True)


def points(ax, table, value, row, low="low", high="high", **look):
    """Points with their intervals, one row of the picture for each of column `row`.

    look : as sns.pointplot takes it (hue, dodge, markers)
    """
    usual = {"orient": "h", "linestyle": "none", "markersize": 5, "capsize": 0.2,
             "err_kws": {"lw": 1.2}}
    sns.pointplot(at_ends(table, value, low, high), x=value, y=row, ax=ax, **usual | KNOWN | look)


def heat(ax, table, texts, **look):
    """A table of numbers as shades of blue with a text in each cell; look: as sns.heatmap has it.
    """
    sns.heatmap(table, annot=np.asarray(texts), fmt="", cmap="Blues", cbar=False, ax=ax,
                annot_kws={"size": 8}, **look)
    shades = ax.collections[0].get_facecolors()[~np.isnan(np.asarray(table, float)).ravel()]
    for text, shade in zip(ax.texts, shades, strict=True):
        text.set_color("black" if sns.utils.relative_luminance(shade) > 0.18 else "white")
    ax.tick_params(length=0)
    ax.set_yticks(ax.get_yticks(), ax.get_yticklabels(), rotation=0)


def axes_or_new(ax, size=(3.6, 3.2)):
    return ax if ax is not None else plt.subplots(figsize=size)[1]


def legend_below(figure, columns=1, *entries, **look):
    """A legend under all axes of a figure; entries: handles and labels, else those of its axes."""
    figure.legend(*entries, loc="outside lower center", ncols=columns, frameon=False, **look)


def headline(figure, corpus, restricted=False):
    """Which corpus a figure of several axes is of, and whether something of it is withheld."""
    figure.suptitle(headed(corpus, restricted), fontsize=9)


def headed(corpus, restricted=False):
    """The words of `headline`."""
    return corpus + (f" ({WITHHELD})" if restricted else "")


def in_the_middle(ax, text, **look):
    """A word in place of what is not drawn."""
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, **look)


def nothing(title, why):
    """An empty picture that says why nothing is drawn -> array of its axes."""
    _, ax = plt.subplots(figsize=(3.6, 1.2))
    in_the_middle(ax, why)
    ax.set(xticks=[], yticks=[], title=title)
    return np.array([ax])


def withheld(title):
    """An empty picture that says that it is withheld -> array of its axes."""
    return nothing(title, WITHHELD)
