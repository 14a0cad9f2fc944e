"""House style: colours, the corpus on every picture, what is withheld."""

import matplotlib.pyplot as plt
import numpy as np

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
WITHHELD = "withheld: restricted corpus"


def use_house_style():
    """Sizes and colours for all figures of the book."""
    plt.rcParams.update({
        "figure.dpi": 110, "figure.facecolor": "white", "savefig.facecolor": "white", "axes.spines.top": False,
        "axes.spines.right": False, "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, PURPLE, GREY]),
        "font.size": 9, "axes.titlesize": 9, "figure.constrained_layout.use": True})


def corpus_label(corpus):
    """What a figure says about where it comes from."""
    if corpus.restricted:
        return f"{corpus.name}, licensed corpus"
    a = corpus.truth["arguments"]
    return f"simulated {corpus.name}, effect {a['effect']:g}"


def axes_or_new(ax, size=(3.6, 3.2)):
    return ax if ax is not None else plt.subplots(figsize=size)[1]


def withheld(title):
    """An empty picture that says that it is withheld -> array of its axes."""
    _, ax = plt.subplots(figsize=(3.6, 1.2))
    ax.text(0.5, 0.5, WITHHELD, ha="center", va="center", transform=ax.transAxes)
    ax.set(xticks=[], yticks=[], title=title)
    return np.array([ax])
