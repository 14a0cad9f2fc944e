"""Pictures of interviews, of the network that reads them, and of its eight answers."""

from html import escape
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.patches import ConnectionPatch

from depnb.corpora import privacy
from depnb.figures.common import grouped_bars, matrices
from depnb.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    WITHHELD,
    axes_or_new,
    headline,
    in_the_middle,
    legend_below,
    nothing,
)
from depnb.scores.items import ITEMS

KINDS = {"first_person": ("first person", BLUE), "negative": ("negative", ORANGE),
         "absolutist": ("absolutist", PURPLE)}


def marked_words(turns, corpus):
    """Turns as an HTML table, planted words underlined in the colour of their kind.

    Parameters
    ----------
    turns : list of dicts speaker, value, topic and words (kind -> token numbers)
        As a simulated tree records them; None of a restricted corpus.
    """
    if turns is None:
        return f"<p>{WITHHELD}</p>"
    rows = []
    for turn in turns:
        words = [escape(word) for word in turn["value"].split()]
        for kind, numbers in (turn.get("words") or {}).items():
            name, colour = KINDS[kind]
            for i in numbers:
                words[i] = (f'<u style="text-decoration:underline 2px {colour}" '
                            f'title="{name}">{words[i]}</u>')
        rows.append(f"<tr><td>{escape(turn['speaker'])}</td>"
                    f"<td>{escape(turn.get('topic') or '')}</td>"
                    f"<td style='text-align:left'>{' '.join(words)}</td></tr>")
    key = ", ".join(f'<u style="text-decoration:underline 2px {colour}">{name}</u>'
                    for name, colour in KINDS.values())
    return (f"<table><caption>{escape(corpus)}; planted words: {key}</caption>"
            "<thead><tr><th>speaker</th><th>topic</th><th>words</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>")


def interview(turns, arrays, starts, rate, corpus, restricted=False):
    """One session: turns in the time of the recording; below, in the joined turns, sound and face.

    Parameters
    ----------
    turns : table start, stop, speaker
    arrays : visual (T, 72, 3) and audio (bands, T), either may be absent
    starts : first frames of the windows
    rate : frames a second
    """
    fig, axes = plt.subplots(3, 1, figsize=(6.6, 4.6), height_ratios=[0.7, 1.4, 1.2])
    speakers = (("Participant", ORANGE), ("Ellie", GREY))
    for row, (who, colour) in enumerate(() if restricted else speakers):
        spans = turns[turns["speaker"] == who]
        bars = list(zip(spans["start"], spans["stop"] - spans["start"], strict=True))
        axes[0].broken_barh(bars, (row - 0.4, 0.8), color=colour)
    axes[0].set_yticks([0, 1], ["participant", "interviewer"])
    axes[0].set(xlabel="seconds of the recording", title="who speaks")
    for ax in axes if restricted else ():
        in_the_middle(ax, "withheld")
    if not restricted and "audio" in arrays:
        bands, frames = arrays["audio"].shape
        axes[1].imshow(arrays["audio"], origin="lower", aspect="auto", cmap="magma",
                       extent=(0, frames / rate, 0, bands), vmin=-2.5, vmax=2.5)
    axes[1].set(ylabel="mel band", title="log-mel of the joined turns")
    if "visual" in arrays and not restricted:
        points = np.asarray(arrays["visual"])
        seconds = np.arange(len(points)) / rate
        for values, name, colour in ((points[:, 57, 1] - points[:, 51, 1],
                                      "mouth: lower lip below upper lip", BLUE),
                                     (points[:, 68:70, 1].mean(1), "gaze: downwards", GREEN)):
            axes[2].plot(seconds, (values - values.mean()) / (values.std() or 1), lw=0.8,
                         color=colour, label=name)
        legend_below(fig, 2, fontsize=8)
    for ax in axes[1:]:
        for start in starts if not restricted else ():   # their number tells how long someone spoke
            ax.axvline(start / rate, color="black", ls="--", lw=0.8)
    axes[2].set(xlabel="seconds of the joined turns", ylabel="standardised", title="the face")
    axes[2].set_xlim(axes[1].get_xlim())
    headline(fig, corpus, restricted)
    return axes


def flow(window, features, weights, answers, title):
    """One window on its way through the network, from left to right, every number as a colour.

    The colours of a panel go from its least to its largest number, both written under it.

    Parameters
    ----------
    window : visual (T, 72, 3), audio (80, T) and text (sentences, 512)
    features : (3, D), the descriptions, one row a modality
    weights : (3, items), mean share of the convolved description
    answers : (items, bins), probabilities
    """
    fig, axes = plt.subplot_mosaic(
        [["visual", ".", "stack", ".", "weights", ".", "bins"],
         ["audio", ".", "stack", ".", "mix", ".", "bins"],
         ["text", ".", "stack", ".", "mix", ".", "bins"]], figsize=(8.4, 4.6),
        width_ratios=[1.3, 0.25, 1, 0.25, 1, 0.1, 1.5])
    senses, items = list(window), [name.replace("_", " ") for name in ITEMS]
    panels = {"visual": (np.asarray(window["visual"])[:, :, 1].T, "1 visual: points of the face"),
              "audio": (window["audio"], "1 audio: bands of the voice"),
              "text": (window["text"], "1 text: ten sentences"),
              "stack": (features, "2 descriptions x"), "weights": (weights, "3 weights a"),
              "bins": (answers, "4 answers")}
    below = {"visual": "frames", "audio": "frames", "text": "numbers of a vector",
             "stack": "features of a branch", "weights": "heads 1 to 8",
             "bins": "bins, from score 0 to score 3"}
    for name, (values, words) in panels.items():
        values = np.asarray(values, float)
        image = axes[name].imshow(values, aspect="auto", cmap="viridis")
        axes[name].set_title(words, loc="left", fontsize=8)
        reach = f"{values.min():.2f} to {values.max():.2f}".replace("-", "−")
        axes[name].set_xlabel(f"{below[name]}\n{reach}", fontsize=7)
        axes[name].set(xticks=[], yticks=[])
    for name, labels in (("stack", senses), ("weights", senses),
                         ("bins", [f"{n}: {item}" for n, item in enumerate(items, 1)])):
        axes[name].yaxis.tick_right()
        axes[name].set_yticks(range(len(labels)), labels, fontsize=7)
    axes["mix"].set_axis_off()
    in_the_middle(axes["mix"], "each head mixes x\nwith y (x convolved)\nby its weights a",
                  fontsize=7)
    for number, sense in enumerate(senses):
        _arrow(axes[sense], (1.02, 0.5), axes["stack"], (0, 1 - (number + 0.5) / len(senses)))
    _arrow(axes["stack"], (1.36, 0.9), axes["weights"], (0, 0.5))
    _arrow(axes["stack"], (1.36, 0.32), axes["mix"], (0, 0.5))
    _arrow(axes["weights"], (0.5, -0.4), axes["mix"], (0.5, 0.72))
    _arrow(axes["mix"], (0.95, 0.5), axes["bins"], (0, 0.32))
    scale = fig.colorbar(ScalarMappable(cmap=image.cmap), ax=list(axes.values()), shrink=0.3,
                         location="bottom", aspect=30)
    scale.set_ticks([0, 1], labels=["least number of a panel", "largest"], fontsize=7)
    headline(fig, title)
    return axes


def _arrow(start, leaves, end, arrives):
    """From a place of one axis to one of another, both in shares of the axis."""
    start.figure.add_artist(ConnectionPatch(
        leaves, arrives, start.transAxes, end.transAxes, arrowstyle="-|>", mutation_scale=11,
        shrinkA=2, shrinkB=2, color="black", lw=1))


def inside_a_head(tensors, title):
    """What one head of iAFF fuses, in one channel: what it reads above, the weights a below.

    Parameters
    ----------
    tensors : name -> (M, D) of x, y, b, v, L, G, a and z, rows in the order of the modalities
    """
    words = {"x": "x: the descriptions", "y": "y: x, convolved", "b": "b: the first weights",
             "v": "v = b y + (1 − b) x", "L": "L(v): looks at one position",
             "G": "G(v): looks at the mean", "a": "a = σ(L(v) + G(v))",
             "z": "z = a y + (1 − a) x"}
    alike = {name: group for group in ("xyvz", "LG") for name in group}
    fig, axes = plt.subplots(2, 4, figsize=(8.2, 2.8))
    signed = {name: np.asarray(values, float) for name, values in tensors.items()}
    for ax, name in zip(axes.flat, words, strict=True):
        share = name in "ab"
        limit = 1 if share else max(np.abs(signed[other]).max() for other in alike[name])
        drawn = ax.imshow(signed[name], aspect="auto", cmap="Blues" if share else "PuOr",
                          vmin=0 if share else -limit, vmax=limit)
        ax.set_title(words[name], fontsize=8)
        ax.set(xticks=[], yticks=[])
        fig.colorbar(drawn, ax=ax, shrink=0.8).ax.tick_params(labelsize=6)
    for ax in axes[:, 0]:
        ax.set_yticks(range(3), ["visual", "audio", "text"], fontsize=7)
    headline(fig, title)
    return axes


def answer_over_bins(answer, borders, readings, ax=None):
    """One answer over the bins, and the score that each way of reading makes of it.

    Parameters
    ----------
    answer : (bins,) probabilities
    borders : bins at which the released decoding goes to the next score
    readings : name -> score, 0 to 3
    """
    ax = axes_or_new(ax, (5.2, 2.6))
    answer, bins = np.asarray(answer, float), len(answer)
    ax.bar(range(bins), answer, color=BLUE, width=0.8, label="the answer")
    edges = [0, *borders, bins]
    for score, (low, high) in enumerate(pairwise(edges)):
        ax.axvspan(low - 0.5, high - 0.5, color=GREY, alpha=0.08 + 0.1 * (score % 2), lw=0)
        ax.text((low + high - 1) / 2, 1.02 * np.max(answer), f"released: {score}", ha="center",
                va="bottom", fontsize=7)
    for (name, score), look in zip(readings.items(), ("v", "*"), strict=False):
        ax.plot(score * (bins - 1) / 3, np.max(answer) / 2, look, ms=10, color=ORANGE
                if look == "*" else GREEN, mec="white", label=f"{name}: {score:.2f}")
    ax.set(xlabel="bin", ylabel="probability", xlim=(-0.5, bins - 0.5),
           ylim=(0, 1.15 * np.max(answer)))
    legend_below(ax.figure, 3, fontsize=8)
    return ax


def item_errors(test, corpus):
    """Error of each item beside the training mean's, with intervals over participants.

    test: the report of a run, as metrics.json has it
    """
    own = test["by_participant"]["items"]
    constant = test["constant"]["by_participant"]["items"]
    if not own:
        return nothing(corpus, "no items of test participants")
    rows = [row for name, error in own.items() for row in (
        {"item": name, "who": "model", "MAE": error["mae"],
         "half": np.ptp(error["mae_interval"]) / 2},
        {"item": name, "who": "training mean", "MAE": constant[name]["mae"], "half": np.nan})]
    return grouped_bars(pd.DataFrame(rows), "item", "who", "MAE", corpus, "mean absolute error",
                        spread="half")


def weights_by_item(weights, modalities, corpus):
    """Mean weights of networks, modalities by items. weights: name -> (modalities, items)."""
    if not weights:
        return nothing(corpus, "this fusion has no weights by item")
    return matrices(weights, modalities, [name.replace("_", " ") for name in ITEMS], corpus)


def soft_labels(labels, borders, ax=None):
    """Soft labels over bins, one curve a score, and the borders of the released decoding.

    Parameters
    ----------
    labels : (scores, bins)
    borders : bins at which the released decoding goes to the next score
    """
    ax = axes_or_new(ax, (5.2, 2.6))
    for score, label in enumerate(labels):
        ax.plot(label, ".-", ms=4, lw=1, label=f"score {score}")
    for number, border in enumerate(borders):
        ax.axvline(border - 0.5, color=GREY, ls="--", lw=1,
                   label="released borders" if number == 0 else None)
    ax.set(xlabel="bin", ylabel="share of the label")
    legend_below(ax.figure, 5, fontsize=8)
    return ax


def item_panels(people, items, corpus, restricted=False):
    """Predicted by true score, one panel an item: a dot a participant, a bar for the mean.

    On a restricted corpus there are no dots, and bars of five or more only.

    Parameters
    ----------
    people : columns true_<item>, pred_<item>
    """
    if not people[[f"true_{name}" for name in items]].notna().any(axis=None):
        return nothing(corpus, "no items of test participants")
    fig, axes = plt.subplots(2, 4, figsize=(7.2, 3.8), sharex=True, sharey=True)
    rng = np.random.default_rng(0)
    for ax, name in zip(axes.flat, items, strict=True):
        known = people[people[f"true_{name}"].notna()]
        true, guess = known[f"true_{name}"], known[f"pred_{name}"]
        ax.plot([0, 3], [0, 3], ":", color=GREY)
        if not restricted:
            ax.plot(true + rng.uniform(-0.15, 0.15, len(true)), guess, ".", ms=4, alpha=0.6,
                    color=BLUE)
        by_score = guess.groupby(true)
        means = by_score.mean()[by_score.size() >= (privacy.FEWEST if restricted else 1)]
        ax.hlines(means, means.index - 0.3, means.index + 0.3, color=ORANGE, lw=2)
        ax.set(title=name.replace("_", " "), xlim=(-0.5, 3.5), ylim=(-0.2, 3.2), xticks=range(4),
               yticks=range(4))
    fig.supxlabel("true score of the item", fontsize=9)
    fig.supylabel("predicted", fontsize=9)
    headline(fig, corpus)
    return axes
