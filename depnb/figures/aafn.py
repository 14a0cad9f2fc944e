"""Pictures of interviews: who speaks when, what is said, and the scale that eight answers are given on."""

from html import escape

import matplotlib.pyplot as plt
import numpy as np

from depnb.corpora import privacy
from depnb.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, WITHHELD, axes_or_new

KINDS = {"first_person": ("first person", BLUE), "negative": ("negative", ORANGE), "absolutist": ("absolutist", PURPLE)}


def marked_words(turns, corpus):
    """Turns as an HTML table in which the words that carry a planted cue are underlined in the colour of their kind.

    turns: list of dicts speaker, value, topic and words (kind -> token numbers), as a simulated tree records them.
    """
    rows = []
    for turn in turns:
        words = [escape(word) for word in turn["value"].split()]
        for kind, numbers in (turn.get("words") or {}).items():
            name, colour = KINDS[kind]
            for i in numbers:
                words[i] = f'<u style="text-decoration:underline 2px {colour}" title="{name}">{words[i]}</u>'
        rows.append(f"<tr><td>{escape(turn['speaker'])}</td><td>{escape(turn.get('topic') or '')}</td>"
                    f"<td style='text-align:left'>{' '.join(words)}</td></tr>")
    key = ", ".join(f'<u style="text-decoration:underline 2px {colour}">{name}</u>' for name, colour in KINDS.values())
    return (f"<table><caption>{escape(corpus)}; planted words: {key}</caption><thead><tr><th>speaker</th><th>topic</th>"
            f"<th>words</th></tr></thead><tbody>{''.join(rows)}</tbody></table>")


def interview(turns, arrays, starts, rate, corpus, restricted=False):
    """One session: turns in the time of the recording; below, in the joined turns, log-mel and two numbers of the face.

    turns: table start, stop, speaker; arrays: visual (T, 72, 3) and audio (bands, T), either may be absent; starts: first
    frames of the windows; rate: frames a second.
    """
    fig, axes = plt.subplots(3, 1, figsize=(6.6, 4.6), height_ratios=[0.7, 1.4, 1.2])
    for row, (who, colour) in enumerate((("Participant", ORANGE), ("Ellie", GREY)) if not restricted else ()):
        spans = turns[turns["speaker"] == who]
        bars = list(zip(spans["start"], spans["stop"] - spans["start"], strict=True))
        axes[0].broken_barh(bars, (row - 0.4, 0.8), color=colour)
    axes[0].set_yticks([0, 1], ["participant", "interviewer"])
    axes[0].set(xlabel="seconds of the recording", title="who speaks")
    for ax in axes if restricted else ():
        ax.text(0.5, 0.5, "withheld", ha="center", va="center", transform=ax.transAxes)
    if not restricted and "audio" in arrays:
        bands, frames = arrays["audio"].shape
        axes[1].imshow(arrays["audio"], origin="lower", aspect="auto", cmap="magma", extent=(0, frames / rate, 0, bands),
                       vmin=-2.5, vmax=2.5)
    axes[1].set(ylabel="mel band", title="log-mel of the joined turns")
    if "visual" in arrays and not restricted:
        points = np.asarray(arrays["visual"])
        seconds = np.arange(len(points)) / rate
        for values, name, colour in ((points[:, 57, 1] - points[:, 51, 1], "mouth: lower lip below upper lip", BLUE),
                                     (points[:, 68:70, 1].mean(1), "gaze: downwards", GREEN)):
            axes[2].plot(seconds, (values - values.mean()) / (values.std() or 1), lw=0.8, color=colour, label=name)
        fig.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=2)
    for ax in axes[1:]:
        for start in starts if not restricted else ():      # their number tells how long someone spoke
            ax.axvline(start / rate, color="black", ls="--", lw=0.8)
    axes[2].set(xlabel="seconds of the joined turns", ylabel="standardised", title="the face")
    axes[2].set_xlim(axes[1].get_xlim())
    fig.suptitle(corpus + (f" ({WITHHELD})" if restricted else ""), fontsize=9)
    return axes


def soft_labels(labels, borders, ax=None):
    """Soft labels over bins, one curve a score, and the borders of the released decoding. labels (scores, bins)."""
    ax = axes_or_new(ax, (5.2, 2.6))
    for score, label in enumerate(labels):
        ax.plot(label, ".-", ms=4, lw=1, label=f"score {score}")
    for number, border in enumerate(borders):
        ax.axvline(border - 0.5, color=GREY, ls="--", lw=1, label="released borders" if number == 0 else None)
    ax.set(xlabel="bin", ylabel="share of the label")
    ax.figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return ax


def item_panels(people, items, corpus, restricted=False):
    """Predicted by true score, one panel an item: a dot a participant, a bar for the mean.

    people: columns true_<item>, pred_<item>. On a restricted corpus there are no dots, and bars of five or more only.
    """
    fig, axes = plt.subplots(2, 4, figsize=(7.2, 3.8), sharex=True, sharey=True)
    rng = np.random.default_rng(0)
    for ax, name in zip(axes.flat, items, strict=True):
        known = people[people[f"true_{name}"].notna()]
        true, guess = known[f"true_{name}"], known[f"pred_{name}"]
        ax.plot([0, 3], [0, 3], ":", color=GREY)
        if not restricted:
            ax.plot(true + rng.uniform(-0.15, 0.15, len(true)), guess, ".", ms=4, alpha=0.6, color=BLUE)
        by_score = guess.groupby(true)
        means = by_score.mean()[by_score.size() >= (privacy.FEWEST if restricted else 1)]
        ax.hlines(means, means.index - 0.3, means.index + 0.3, color=ORANGE, lw=2)
        ax.set(title=name.replace("_", " "), xlim=(-0.5, 3.5), ylim=(-0.2, 3.2), xticks=range(4), yticks=range(4))
    fig.supxlabel("true score of the item", fontsize=9)
    fig.supylabel("predicted", fontsize=9)
    fig.suptitle(corpus, fontsize=9)
    return axes
