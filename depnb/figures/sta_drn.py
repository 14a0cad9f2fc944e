"""Figures of the chapter on STA-DRN."""

import matplotlib.pyplot as plt
import numpy as np

from depnb.figures.style import BLUE, GREEN, ORANGE, PURPLE, WITHHELD, axes_or_new, withheld


def frames_in_a_row(images, title, captions=None, restricted=False, landmarks=None, fig=None):
    """Pictures side by side; a restricted corpus shows only that they are withheld.

    images: list of (H, W, 3) uint8; landmarks: list of (68, 2) in pixels, drawn on top.
    """
    fig, axes = plt.subplots(1, len(images), figsize=(1.25 * len(images), 1.75), squeeze=False)
    for i, (ax, image) in enumerate(zip(axes[0], images, strict=True)):
        if restricted:
            ax.imshow(np.full((2, 2), 0.85), cmap="gray", vmin=0, vmax=1)
            ax.text(0.5, 0.5, "withheld", ha="center", va="center", transform=ax.transAxes, fontsize=7)
        else:
            ax.imshow(image)
            if landmarks is not None:
                ax.plot(*landmarks[i].T, ".", color=ORANGE, ms=1.2)
        ax.set_title(captions[i] if captions else "", fontsize=7)
        ax.axis("off")
    fig.suptitle(title + (f" ({WITHHELD})" if restricted else ""), fontsize=9)
    return axes[0]


def heat_strip(images, maps, title, captions, row_names, restricted=False):
    """Rows of heat maps over the frames of a clip. images: list of (H, W, 3) uint8; maps: list (rows) of (T, H, W).

    Each row is scaled by its own maximum. On a restricted corpus nothing is drawn: heat on a face has its shape.
    """
    if restricted:
        return withheld(title)
    rows, columns = len(maps) + 1, len(images)
    fig, axes = plt.subplots(rows, columns, figsize=(1.02 * columns + 1.1, 1.08 * rows + 0.4), squeeze=False)
    for column, image in enumerate(images):
        axes[0, column].imshow(image)
        axes[0, column].set_title(captions[column], fontsize=7)
        for row, values in enumerate(maps, start=1):
            top = np.max(values)
            axes[row, column].imshow(image.mean(2) / 255, cmap="gray", vmin=0, vmax=1)
            axes[row, column].imshow(values[column], cmap="magma", vmin=0, vmax=top if top > 0 else 1, alpha=0.65)
    for row, name in enumerate(["frame", *row_names]):
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    fig.suptitle(title, fontsize=9)
    return axes


def attention_panels(attention, k, corpus, restricted=False):
    """Weights of single channels beside the mean over groups, of one video; nothing is drawn of a restricted corpus.

    attention: name -> (1, C, T, 1, 1) or (1, C, 1, H, W).
    """
    if restricted:
        return withheld(corpus)
    maps = {name.split(".")[-2]: weights[0].unflatten(0, (k, -1)).cpu().numpy() for name, weights in attention.items()}
    fig, axes = plt.subplots(1, 1 + 2 * ("spatial" in maps), figsize=(7.4 if "spatial" in maps else 3.6, 2.5), squeeze=False,
                             width_ratios=[1.6, 1, 1] if "spatial" in maps else None)
    left, *right = axes[0]
    if "temporal" in maps:
        weights = maps["temporal"][..., 0, 0]                               # (k, C/k, T)
        busiest = np.argsort(-weights[0].std(1))[:4]
        for channel in busiest:
            left.plot(np.arange(1, weights.shape[2] + 1), weights[0, channel], lw=1.2)
        left.plot(np.arange(1, weights.shape[2] + 1), weights.mean((0, 1)), "k--", label="mean over groups")
        left.set(xlabel="frame of the clip", ylabel="temporal weight, group 1", title=corpus)
        left.legend(frameon=False, fontsize=7)
    else:
        left.axis("off")
    if right:
        weights = maps["spatial"][:, :, 0]                                  # (k, C/k, H, W)
        channel = np.argmax(weights[0].std((1, 2)))
        low, high = weights[0, channel].min(), weights[0, channel].max()
        for ax, image, title in ((right[0], weights[0, channel], "spatial, one channel"),
                                 (right[1], weights[:, channel].mean(0), "mean over groups")):
            drawn = ax.imshow(image, cmap="magma", vmin=low, vmax=high)
            ax.set(xticks=[], yticks=[], title=title)
        fig.colorbar(drawn, ax=right, shrink=0.7)
    return axes[0]


def epoch_logs(logs, constant, title):
    """Error by epoch, a panel a log in two columns, on one logarithmic scale; dashed: the mean predictor's."""
    rows = -(-len(logs) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(6.4, 1.25 * rows + 0.9), sharex=True, sharey=True, squeeze=False)
    for ax, (name, log) in zip(axes.flat, logs.items(), strict=False):
        ax.semilogy(log.index, log["mae"], color=BLUE, lw=0.9, label="each epoch")
        ax.axhline(constant, color=ORANGE, ls="--", lw=1.4, label=f"training mean ({constant:.1f})")
        ax.set_title(name, fontsize=8)
    for ax in axes[:, 0]:
        ax.set_ylabel("MAE")
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    for ax in axes.flat[len(logs):]:
        ax.remove()
    fig.suptitle(title, fontsize=9)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return axes


def published_epochs(values, kept, lines, ylabel, title, ax=None):
    """A measure of a published log by epoch, the kept epoch marked. values: Series by epoch; lines: name -> height."""
    ax = axes_or_new(ax, (6.4, 3.0))
    ax.plot(values.index, values, color=BLUE, lw=0.9, label="each epoch")
    ax.plot(kept, values[kept], "*", ms=12, color=ORANGE, label="the epoch kept")
    for (name, height), style, colour in zip(lines.items(), ("--", ":", "-."), (GREEN, "black", PURPLE), strict=False):
        ax.axhline(height, color=colour, ls=style, lw=1.4, label=f"{name} ({height:.1f})")
    ax.set(xlabel="epoch", ylabel=ylabel, title=title)
    ax.figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return ax
