"""Figures of the chapter on CFRAFN."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import ConnectionPatch

from depnb.figures.common import grouped_bars, histogram
from depnb.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    WITHHELD,
    axes_or_new,
    headline,
    legend_below,
    nothing,
)

NAMED = 3               # functionals that are called by name


def steps_table(steps, corpus, restricted=False):
    """Each step of a recording's preprocessing: rate, length, level -> Styler.

    Of a restricted corpus length and level are withheld: they tell who it is.

    Parameters
    ----------
    steps : mapping name -> (samples, rate), as of `speech.preprocess`
    """
    rows = [{"after this step": name, "Hz": rate,
             "seconds": f"{len(samples) / rate:.1f}", "loudest sample": f"{abs(samples).max():.2f}"}
            for name, (samples, rate) in steps.items()]
    table = pd.DataFrame(rows)
    if restricted:
        table[["seconds", "loudest sample"]] = WITHHELD
    return table.style.hide(axis="index").set_caption(f"{corpus}: one recording, step by step")


def flow(inputs, e, v, alpha, fused, probability, title):
    """The network as data: two inputs, two branches, the gate, what it lets through, the answer.

    Parameters
    ----------
    inputs : mapping egemaps (B, 88), vggish (B, 128)
    e, v : (B, h), what the branches say
    alpha : (B, 1), the gate's weight of e
    fused : (B, h)
    probability : (B, 1)
    """
    fig, axes = plt.subplot_mosaic([["egemaps", "e", ".", "f", "p"],
                                    ["egemaps", "e", "alpha", "f", "p"],
                                    ["vggish", "v", "alpha", "f", "p"],
                                    ["vggish", "v", ".", "f", "p"]],
                                   figsize=(8.4, 4.2), width_ratios=(2.6, 1.3, 1.1, 1.3, 0.8))
    fig.get_layout_engine().set(wspace=0.12)
    branches = np.concatenate([x.detach().numpy().ravel() for x in (e, v, fused)])
    for name, matrix, text in (("egemaps", inputs["egemaps"], "eGeMAPS"),
                               ("vggish", inputs["vggish"], "second description"),
                               ("e", e, "e"), ("v", v, "v"), ("f", fused, "f")):
        limit = np.abs(branches).max() if name in "evf" else 3
        ax, values = axes[name], matrix.detach().numpy()
        ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto",
                  interpolation="nearest")
        ax.set_title(f"{text}, {values.shape[1]} numbers")
        if name in "evf":
            write_numbers(ax, values, limit)
    weight, answer = alpha.detach().numpy()[:, 0], probability.detach().numpy()[:, 0]
    places = np.arange(len(weight))
    axes["alpha"].barh(places, weight, 0.6, color=BLUE, label="α, of e")
    axes["alpha"].barh(places, 1 - weight, 0.6, weight, color=ORANGE, label="1 − α, of v")
    axes["alpha"].axvline(0.5, color="black", lw=1, ls=":", label="one half")
    for place, share in zip(places, weight, strict=True):
        axes["alpha"].text(0.02, place, f"{share:.2f}", va="center", fontsize=7, color="white")
    axes["p"].barh(places, answer, 0.6, color=GREY)
    for name, text in (("alpha", "gate α"), ("p", "probability")):
        axes[name].set(title=text, xlim=(0, 1), ylim=(len(weight) - 0.5, -0.5))
    for name, ax in axes.items():
        ax.set(xticks=[0, 1] if name in ("alpha", "p") else [], yticks=[])
    for name, block in (("egemaps", "MLP"), ("vggish", "convolutions")):
        axes[name].set_ylabel("recordings", fontsize=8)
        axes[name].set_xlabel(f"linear, shared norm, residual {block}, linear", fontsize=8)
    for start, end, leaves, arrives in (
            ("egemaps", "e", 0.5, 0.5), ("vggish", "v", 0.5, 0.5), ("e", "alpha", 0.35, 0.77),
            ("v", "alpha", 0.65, 0.23), ("e", "f", 0.9, 0.95), ("v", "f", 0.1, 0.05),
            ("alpha", "f", 0.5, 0.5), ("f", "p", 0.5, 0.5)):
        fig.add_artist(ConnectionPatch(
            (1.02, leaves), (-0.04, arrives), "axes fraction", "axes fraction", axesA=axes[start],
            axesB=axes[end], arrowstyle="-|>", color=GREY, mutation_scale=9))
    legend_below(fig, 3, *axes["alpha"].get_legend_handles_labels())
    headline(fig, title)
    return axes


def write_numbers(ax, values, limit):
    """The numbers of a matrix into its cells; white on the dark ends of the colours."""
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.0f}" if abs(value) >= 100 or value == 0 else f"{value:.2f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=7,
                color="white" if abs(value) > 0.65 * limit else "black")


def taps(weight, x, title):
    """One output of a convolution over a zero-padded sequence of length one: sequence times kernel.

    Parameters
    ----------
    weight : (channels, k), the kernel of one output channel
    x : (channels, 1), the sequence
    """
    weight, x = weight.detach().numpy(), x.detach().numpy()
    beside = weight.shape[1] // 2
    padded = np.pad(x, ((0, 0), (beside, beside)))
    fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.3))
    limit = 1.2 * np.abs(np.concatenate([x.ravel(), weight[:, beside]])).max()
    middle = [""] * beside + ["the one step"] + [""] * beside
    for ax, values, name, sign in zip(
            axes, (padded, weight, padded * weight),
            ("sequence, padded", "kernel of one output", "product"), ("×", "=", ""), strict=True):
        ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
        write_numbers(ax, values, limit)
        ax.set_xticks(range(weight.shape[1]), [m or "padding" for m in middle]
                      if name != "kernel of one output"
                      else [f"tap {i}" for i in range(1, weight.shape[1] + 1)], fontsize=7)
        ax.set(title=name, yticks=[])
        ax.text(1.08, 0.5, sign, transform=ax.transAxes, ha="center", va="center", fontsize=14)
    axes[0].set_ylabel("channels")
    headline(fig, title)
    return axes


def columns(table, corpus):
    """Importances in the order of their list, and the columns of the table that they land on.

    Grey lines go where a program goes that multiplies by position, orange ones to the column of the
    same name, of the `NAMED` first of the list.

    Parameters
    ----------
    table : columns own, by_position and listed, as of `papers.cfrafn.Paper.columns`
    """
    places = np.arange(1, len(table) + 1)
    fig, (above, between, below) = plt.subplots(3, 1, figsize=(7.4, 4.6), sharex=True,
                                                height_ratios=(1, 1.1, 1.2))
    above.bar(places, table["by_position"], color=GREY, width=0.8)
    above.set(ylabel="importance", xlabel="place in the list", title=corpus)
    between.vlines(places, 0, 1, color=GREY, lw=0.5, alpha=0.6, label="by position, as multiplied")
    for rank, name in enumerate(table["listed"][:NAMED]):
        column = table.index.get_loc(name) + 1
        between.plot([rank + 1, column], [1, 0], color=ORANGE, lw=1.4,
                     label="by name (lines: the first of the list)" if rank == 0 else None)
        above.text(0.3, 0.9 - 0.2 * rank, f"{rank + 1}. {name}, column {column}", fontsize=7,
                   va="center", transform=above.transAxes)
    between.set(ylim=(0, 1), yticks=[], ylabel="goes to")
    between.spines[:].set_visible(False)
    below.bar(places, table["by_position"], color=GREY, width=0.8)
    below.step(places, table["own"], where="mid", color=ORANGE, lw=1.2)
    below.set(ylabel="weight", xlim=(0, len(table) + 1),
              xlabel="column of the eGeMAPS table, in openSMILE's order")
    legend_below(fig, 2, *between.get_legend_handles_labels())
    return np.array([above, between, below])


def gate(table, corpus, restricted=False):
    """The gate's weight over test recordings. table: of `papers.cfrafn.Paper.gate`."""
    if table.empty:
        return nothing(corpus, "this network has no gate")[0]
    return histogram(table["alpha"], "alpha, weight of the eGeMAPS branch", corpus,
                     ("no preference", 0.5), (0.3, 0.7),
                     table["participant"] if restricted else None)


def concentration(table, corpus, removed=()):
    """Attribution on what was planted; behind controls that preprocessing takes out a grey band.

    Parameters
    ----------
    table : of `papers.cfrafn.concentrations`
    removed : names of controls, as of `papers.cfrafn.Paper.removed`
    """
    if table.empty:
        return nothing(corpus, "nothing is planted, or no functionals are read")[0]
    cues, ax = list(dict.fromkeys(table["cue"])), axes_or_new(None, (8.4, 3.2))
    for number, cue in enumerate(cue for cue in cues if cue in removed):
        place = cues.index(cue)
        ax.axvspan(place - 0.5, place + 0.5, color=GREY, alpha=0.2, lw=0,
                   label="_" * bool(number) + "removed by preprocessing")
    grouped_bars(table, "cue", "network", "concentration", corpus, "mass over share",
                 ("chance", 1), ax=ax)
    ax.set_xlim(-0.6, len(cues) - 0.4)
    return ax
