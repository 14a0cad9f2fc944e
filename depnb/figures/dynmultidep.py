"""Pictures of long recordings: signals second by second with what was planted where, and what length costs."""

import matplotlib.pyplot as plt
import numpy as np

from depnb.figures.common import bars
from depnb.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, WITHHELD, axes_or_new

LINES = (BLUE, GREEN, PURPLE, GREY)


def tracks(panels, planted, corpus, restricted=False):
    """Signals over the minutes of one recording, a panel each; planted rows behind them.

    panels: title -> {name: (T,)}, one value a second; planted: title -> {"slow": (T,) bool, "short": (T,) bool}, titles may
    be missing. On a restricted corpus nothing is drawn.
    """
    fig, axes = plt.subplots(len(panels), 1, figsize=(6.8, 1.45 * len(panels) + 0.9), sharex=True, squeeze=False)
    shades = {"slow": (ORANGE, 0.22, "slow phase"), "short": (PURPLE, 0.5, "short event")}
    for ax, (title, lines) in zip(axes[:, 0], panels.items(), strict=True):
        ax.set(title=title)
        if restricted:
            ax.text(0.5, 0.5, "withheld", ha="center", va="center", transform=ax.transAxes)
            continue
        for (name, values), colour in zip(lines.items(), LINES, strict=False):
            ax.plot(np.arange(len(values)) / 60, values, lw=0.7, color=colour, label=name)
        for kind, rows in planted.get(title, {}).items():
            colour, alpha, name = shades[kind]
            ax.fill_between(np.arange(len(rows)) / 60, 0, 1, where=rows, step="mid", color=colour, alpha=alpha, lw=0,
                            transform=ax.get_xaxis_transform(), label=name)
        ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1, 0].set_xlabel("minutes")
    fig.suptitle(corpus + (f" ({WITHHELD})" if restricted else ""), fontsize=9)
    return axes[:, 0]


def lengths(frames, bounds, corpus, people=None, ax=None):
    """Histogram of lengths in minutes by group.

    frames: name -> (n,) seconds; bounds: name -> seconds, drawn as lines; people: name -> who, of a restricted corpus.
    """
    ax = axes_or_new(ax, (5.2, 2.6))
    minutes = [np.asarray(seconds) / 60 for seconds in frames.values()]
    longest = max(map(max, minutes))
    step = next(s for s in (0.1, 0.25, 0.5, 1, 2, 5, 10, np.inf) if longest / s <= 30)
    bars(ax, minutes, np.arange(0, longest + step, step), people and list(people.values()), label=list(frames),
         color=LINES[:len(frames)])
    for (name, second), style in zip(bounds.items(), ("--", ":"), strict=False):
        ax.axvline(second / 60, color=ORANGE, ls=style, label=name)
    ax.set(xlabel="length (minutes)", ylabel="count", title=corpus)
    ax.figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return ax


def costs(table, value, ylabel, title, ax=None):
    """Cost against length on logarithmic axes, one line a method. table: columns method, steps and `value`."""
    ax = axes_or_new(ax, (4.8, 3.0))
    for (method, rows), colour, mark in zip(table.groupby("method", sort=False), LINES, "osD^", strict=False):
        ax.plot(rows["steps"], rows[value], f"{mark}-", ms=4, color=colour, label=method)
    ax.set(xscale="log", yscale="log", xlabel="steps (seconds of a vlog)", ylabel=ylabel, title=title)
    ax.figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return ax
