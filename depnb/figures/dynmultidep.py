"""Pictures of vlogs and of what DynMultiDep makes of them: signals and what was planted in them,
a state over time, two experts and two gates, and what length costs.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import FancyArrowPatch

from depnb.figures.common import bars, grouped_bars, histogram, matrices
from depnb.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    axes_or_new,
    headline,
    in_the_middle,
    legend_below,
    nothing,
)

LINES = (BLUE, GREEN, PURPLE, GREY)


def tracks(panels, planted, corpus, restricted=False):
    """Signals over the minutes of one recording, a panel each; planted rows behind them.

    On a restricted corpus nothing is drawn.

    Parameters
    ----------
    panels : title -> {name: (T,)}, one value a second
    planted : title -> {"slow": (T,) bool, "short": (T,) bool}, titles may be missing
    """
    fig, axes = plt.subplots(len(panels), 1, figsize=(6.8, 1.45 * len(panels) + 0.9), sharex=True,
                             squeeze=False)
    shades = {"slow": (ORANGE, 0.22, "slow phase"), "short": (PURPLE, 0.5, "short event")}
    for ax, (title, lines) in zip(axes[:, 0], panels.items(), strict=True):
        ax.set(title=title)
        if restricted:
            in_the_middle(ax, "withheld")
            continue
        for (name, values), colour in zip(lines.items(), LINES, strict=False):
            ax.plot(np.arange(len(values)) / 60, values, lw=0.7, color=colour, label=name)
        for kind, rows in planted.get(title, {}).items():
            colour, alpha, name = shades[kind]
            ax.fill_between(np.arange(len(rows)) / 60, 0, 1, where=rows, step="mid", color=colour,
                            alpha=alpha, lw=0, transform=ax.get_xaxis_transform(), label=name)
        ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1, 0].set_xlabel("minutes")
    headline(fig, corpus, restricted)
    return axes[:, 0]


def lengths(vlogs, shortest, corpus, restricted=False, ax=None):
    """Histogram of lengths in minutes by group, and the shortest length of a released crop.

    On a restricted corpus bars of fewer than five participants are left out.

    Parameters
    ----------
    vlogs : columns group, seconds and participant
    shortest : seconds
    """
    ax = axes_or_new(ax, (5.2, 2.6))
    groups = dict(list(vlogs.groupby("group")))
    minutes = [rows["seconds"].to_numpy() / 60 for rows in groups.values()]
    longest = max(map(max, minutes))
    step = next(s for s in (0.1, 0.25, 0.5, 1, 2, 5, 10, np.inf) if longest / s <= 30)
    people = [rows["participant"] for rows in groups.values()] if restricted else None
    bars(ax, minutes, np.arange(0, longest + step, step), people, label=list(groups),
         color=LINES[:len(groups)])
    ax.axvline(shortest / 60, color=ORANGE, ls="--", label="shortest released crop")
    ax.set(xlabel="length (minutes)", ylabel="count", title=corpus)
    legend_below(ax.figure, 4, fontsize=8)
    return ax


def costs(table, value, ylabel, title, ax=None):
    """Cost against length on logarithmic axes, one line a method.

    Parameters
    ----------
    table : columns method, steps and `value`
    """
    ax = axes_or_new(ax, (4.8, 3.0))
    for (method, rows), colour, mark in zip(table.groupby("method", sort=False), LINES, "osD^",
                                            strict=False):
        ax.plot(rows["steps"], rows[value], f"{mark}-", ms=4, color=colour, label=method)
    ax.set(xscale="log", yscale="log", xlabel="steps (seconds of a vlog)", ylabel=ylabel,
           title=title)
    legend_below(ax.figure, 3, fontsize=8)
    return ax


def memory(u, written, steps, states):
    """A state over time for several kinds of steps, a panel each.

    Under each panel a strip: how much of the state a second replaces.

    Parameters
    ----------
    u : (T,) input
    written : (T,) bool, seconds that are to be remembered
    steps, states : name -> (T,)
    """
    fig, axes = plt.subplots(2 * len(states), 1, figsize=(6.8, 1.75 * len(states)), sharex=True,
                             height_ratios=[6, 1] * len(states))
    u, written, t = np.asarray(u), np.asarray(written), np.arange(len(u))
    for (name, h), ax, strip in zip(states.items(), axes[::2], axes[1::2], strict=True):
        ax.plot(t, u, ".", color=GREY, ms=3, label="input")
        ax.plot(t[written], u[written], "D", color=ORANGE, ms=5, label="input to be remembered")
        ax.plot(t, np.asarray(h), "-", color=BLUE, lw=1.6, label="state")
        ax.set(title=name, ylabel="input, state")
        replaced = 1 - np.exp(-np.asarray(steps[name]))
        shades = strip.imshow(replaced[None], aspect="auto", cmap="Greys", vmin=0, vmax=1,
                              extent=(-0.5, len(u) - 0.5, 0, 1))
        strip.set_yticks([])
        strip.spines[:].set_visible(True)
    axes[-1].set_xlabel("second")
    fig.colorbar(shades, ax=axes[1::2], label="share replaced", ticks=[0, 0.5, 1], aspect=40)
    legend_below(fig, 3, *axes[0].get_legend_handles_labels())
    return axes


def reach(changes, second, window, ax=None):
    """How far the output of every second moves when the input of one second is changed.

    Parameters
    ----------
    changes : name of an expert -> (T,); what does not move at all is not drawn
    second : which input was changed
    window : frames that the short expert sees together
    """
    ax = axes_or_new(ax, (6.4, 2.8))
    first = second - second % window
    ax.axvspan(first - 0.5, first + window - 0.5, color=GREY, alpha=0.15, lw=0,
               label="window of that second")
    ax.axvline(second, color=ORANGE, ls="--", label="second that was changed")
    for (name, moved), mark, colour in zip(changes.items(), "-.", (BLUE, GREEN), strict=False):
        moved = np.asarray(moved)
        ax.plot(np.arange(len(moved)), np.where(moved > 0, moved, np.nan), mark, color=colour,
                label=name)
    ax.set(yscale="log", xlabel="second", ylabel="change of the output",
           title="two experts, untrained")
    legend_below(ax.figure, 2)
    return ax


# Of `flow`: column of a box -> where it begins from the left, and how wide it is, as shares.
COLUMNS = {"input": (0.025, 0.13), "long": (0.25, 0.13), "router": (0.29, 0.05),
           "short": (0.25, 0.13), "mixed": (0.475, 0.13), "pooled": (0.665, 0.025)}
ROWS = {"long": 0.315, "short": 0.0}        # how far up; all others stand between these
HEIGHT, BETWEEN = 0.105, 0.1575
WORDS = {"input": "one row a second", "long": "long expert (Mamba)", "router": "router",
         "short": "short expert (windows)", "mixed": "mixed by the router", "pooled": "mean"}


def flow(passing, corpus):
    """A vlog on its way through both experts, router and gates, as the tensors that it becomes.

    Time runs downwards in sequences; each picture has its own scale of colours, the weights of
    a router from white (0) to black (1).

    Parameters
    ----------
    passing : name -> array
        For audio and visual: `<sense> input`, `<sense> long`, `<sense> short`, `<sense> mixed`
        (T, columns), `<sense> router` (T, 2), `<sense> pooled` (d,); gate (2,), fusion (3,),
        logit ().
    """
    fig = plt.figure(figsize=(7.4, 6.6))
    fig.set_layout_engine("none")                   # boxes stand where they are put
    gate, fusion = (0.755, 0.42, 0.085, 0.16), (0.89, 0.42, 0.1, 0.16)
    for sense, base in (("audio", 0.51), ("visual", 0.03)):
        boxes = {name: (left, base + ROWS.get(name, BETWEEN), width, HEIGHT)
                 for name, (left, width) in COLUMNS.items()}
        for name, box in boxes.items():
            before = f"{sense}: " if name == "input" else ""
            tensor_box(fig, box, passing[f"{sense} {name}"], before + WORDS[name],
                       shares=name == "router")
        for part in ("long", "router", "short"):
            arrow(fig, boxes["input"], boxes[part])
            arrow(fig, boxes[part], boxes["mixed"])
        arrow(fig, boxes["mixed"], boxes["pooled"])
        arrow(fig, boxes["pooled"], gate)
    weights(fig, gate, passing["gate"], ("voice", "face"), "modality gate")
    weights(fig, fusion, passing["fusion"], ("sum", "pair", "product"), "fusion gate")
    arrow(fig, gate, fusion)
    below = fusion[0] + fusion[2] / 2
    fig.text(below, 0.29, f"logit\n{float(passing['logit']):.2f}", ha="center", va="center")
    fig.add_artist(FancyArrowPatch((below, 0.365), (below, 0.32), arrowstyle="-|>", color=GREY,
                                   mutation_scale=9))
    fig.suptitle(corpus, fontsize=9)
    return np.array(fig.axes)


def tensor_box(fig, box, values, title, shares=False):
    """A tensor as a small picture, its shape below it; a vector stands upright.

    shares: its numbers are weights, drawn from white (0) to black (1).
    """
    values = np.asarray(values, float)
    ax = fig.add_axes(box)
    limit = np.quantile(np.abs(values), 0.98) or 1
    cmap, low, high = ("Greys", 0, 1) if shares else ("PuOr", -limit, limit)
    ax.imshow(values.reshape(len(values), -1), aspect="auto", cmap=cmap, vmin=low, vmax=high,
              interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    ax.set_title(title, fontsize=7.5, pad=3)
    shape = " × ".join(map(str, values.shape)) + (", 0 to 1" if shares else "")
    ax.set_xlabel(shape, fontsize=7, labelpad=2)


def weights(fig, box, values, names, title):
    """Weights that sum to one, as bars with their names."""
    ax = fig.add_axes(box)
    ax.bar(range(len(values)), np.asarray(values), color=LINES[:len(values)])
    ax.set(ylim=(0, 1), yticks=[0, 1])
    ax.tick_params(labelsize=7, length=2)
    ax.set_xticks(range(len(values)), names, fontsize=7, rotation=30)
    ax.set_title(title, fontsize=7.5, pad=3)


def arrow(fig, one, other):
    """From the right edge of a box to the left edge of another."""
    start = one[0] + one[2] + 0.004, one[1] + one[3] / 2
    end = other[0] - 0.008, other[1] + other[3] / 2
    fig.add_artist(FancyArrowPatch(start, end, arrowstyle="-|>", color=GREY, mutation_scale=9))


def gates(noticed, corpus):
    """How well the gate of each run notices an empty sense. noticed: of `dynmultidep.across`."""
    if noticed.empty:
        return nothing(corpus, "no gate, or no planted truth")[0]
    untrained = noticed["network"] == "untrained"
    noticed = noticed.assign(auc=noticed["auc"].astype(float))      # None where there is no score
    rows = pd.concat([noticed[(noticed["run"] == "this run") & ~untrained],
                      noticed[(noticed["run"] == "this run") & untrained].assign(run="untrained"),
                      noticed[(noticed["run"] != "this run") & ~untrained]])
    return grouped_bars(rows, "run", "modality", "auc", corpus, "AUC", ("chance", 0.5))


def twins(responses, corpus):
    """How far the logit rises with one kind of cue. responses: of `dynmultidep.across`."""
    if responses.empty:
        return nothing(corpus, "no planted truth")[0]
    half = [(high - low) / 2 for low, high in responses["shift_interval"]]
    return grouped_bars(responses.assign(half=half), "run", "cue", "shift", corpus,
                        "rise of the logit", ("no response", 0), "half")


def concentration(table, corpus):
    """Attribution on planted seconds. table: of `Paper.attributions`."""
    if table.empty:
        return nothing(corpus, "no planted truth")[0]
    return grouped_bars(table.assign(where=table["sense"] + " " + table["cue"]), "where",
                        "network", "concentration", corpus, "mass over share", ("chance", 1))


def genders(metrics, corpus):
    """Test AUC by the gender that was trained on and the one that was tested.

    metrics: name of a run -> its metrics
    """
    by_run = {name: measured["by_gender"] for name, measured in metrics.items()}
    tested = sorted({gender for reports in by_run.values() for gender in reports})
    if not tested:
        return nothing(corpus, "too few participants of each gender and class")[0]
    values = np.array([[reports.get(gender, {}).get("roc_auc", np.nan) for gender in tested]
                       for reports in by_run.values()], float)
    return matrices({"test AUC": values}, list(by_run), [f"tested on {g}" for g in tested],
                    corpus)[0]


def trust(weights_of_vlogs, corpus, people=None):
    """Soft weight of the voice over vlogs, and in how many it weighs more than the face.

    Parameters
    ----------
    weights_of_vlogs : (n,); None: the model has no gate
    people : who each is of, of a restricted corpus
    """
    if weights_of_vlogs is None:
        return nothing(corpus, "no gate")[0]
    more = f"{np.mean(np.asarray(weights_of_vlogs) > 0.5):.0%} of {len(weights_of_vlogs)} vlogs"
    return histogram(weights_of_vlogs, "soft weight of the acoustic sense",
                     f"{corpus}\nthe voice weighs more in {more}", ("border", 0.5), (0, 1), people)
