"""Figures of the chapter on STA-DRN."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from depnb.figures.common import grouped_bars
from depnb.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PALETTE,
    headed,
    headline,
    in_the_middle,
    legend_below,
    nothing,
    withheld,
)
from depnb.scores import intervals


def frames_in_a_row(images, title, captions=None, restricted=False, landmarks=None, fig=None):
    """Pictures side by side; of a restricted corpus one sees only that they are withheld.

    Parameters
    ----------
    images : list of (H, W, 3) uint8
    landmarks : list of (68, 2) in pixels, drawn on top
    """
    fig, axes = plt.subplots(1, len(images), figsize=(1.25 * len(images), 1.75), squeeze=False)
    for i, (ax, image) in enumerate(zip(axes[0], images, strict=True)):
        if restricted:
            ax.imshow(np.full((2, 2), 0.85), cmap="gray", vmin=0, vmax=1)
            in_the_middle(ax, "withheld", fontsize=7)
        else:
            ax.imshow(image)
            if landmarks is not None:
                ax.plot(*landmarks[i].T, ".", color=ORANGE, ms=1.2)
        ax.set_title(captions[i] if captions else "", fontsize=7)
        ax.axis("off")
    headline(fig, title, restricted)
    return axes[0]


def heat_strip(images, maps, title, captions, row_names, restricted=False):
    """Rows of heat maps over the frames of a clip, each scaled by its own maximum.

    On a restricted corpus nothing is drawn: heat on a face has its shape.

    Parameters
    ----------
    images : list of (H, W, 3) uint8
    maps : list (rows) of (T, H, W)
    """
    if restricted:
        return withheld(title)
    rows, columns = len(maps) + 1, len(images)
    fig, axes = plt.subplots(rows, columns, figsize=(1.02 * columns + 1.1, 1.08 * rows + 0.4),
                             squeeze=False)
    for column, image in enumerate(images):
        axes[0, column].imshow(image)
        axes[0, column].set_title(captions[column], fontsize=7)
        for row, values in enumerate(maps, start=1):
            top = np.max(values)
            axes[row, column].imshow(image.mean(2) / 255, cmap="gray", vmin=0, vmax=1)
            axes[row, column].imshow(values[column], cmap="magma", vmin=0,
                                     vmax=top if top > 0 else 1, alpha=0.65)
    for row, name in enumerate(["frame", *row_names]):
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    headline(fig, title)
    return axes


def attention_panels(attention, k, corpus, restricted=False):
    """Weights of single channels beside the mean over groups, of one video.

    Nothing is drawn of a restricted corpus.

    Parameters
    ----------
    attention : name -> (1, C, T, 1, 1) or (1, C, 1, H, W)
    k : groups
    """
    if restricted:
        return withheld(corpus)
    maps = {name.split(".")[-2]: weights[0].unflatten(0, (k, -1)).cpu().numpy()
            for name, weights in attention.items()}
    fig, axes = plt.subplots(1, 1 + 2 * ("spatial" in maps),
                             figsize=(7.4 if "spatial" in maps else 3.6, 2.5), squeeze=False,
                             width_ratios=[1.6, 1, 1] if "spatial" in maps else None)
    left, *right = axes[0]
    if "temporal" in maps:
        weights = maps["temporal"][..., 0, 0]                               # (k, C/k, T)
        busiest = np.argsort(-weights[0].std(1))[:4]
        for channel in busiest:
            left.plot(np.arange(1, weights.shape[2] + 1), weights[0, channel], lw=1.2)
        left.plot(np.arange(1, weights.shape[2] + 1), weights.mean((0, 1)), "k--",
                  label="mean over groups")
        left.set(xlabel="frame of the clip", ylabel="temporal weight, group 1", title=corpus)
        legend_below(fig, 1, *left.get_legend_handles_labels(), fontsize=7)
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


def concentration(scores, corpus):
    """How concentrated attributions are on any cue: bars by method, a colour a network.

    Error bars are percentile bootstrap intervals of the mean over videos.

    scores : as `papers.sta_drn.Paper.concentrations` has them; where there are none, words
    """
    if scores.empty:
        return nothing(corpus, "no planted truth: attributions cannot be scored")[0]
    known, table = scores[scores["cue"] == "any"].dropna(subset="concentration"), []
    for (method, network), rows in known.groupby(["method", "network"], sort=False):
        values = rows["concentration"].to_numpy()
        low, high = intervals.bootstrap(lambda drawn, of=values: of[drawn].mean(-1),
                                        [np.arange(len(values))], methods=("percentile",))
        table.append({"method": method, "network": network, "mean": values.mean(),
                      "low": low, "high": high})
    return grouped_bars(pd.DataFrame(table), "method", "network", "mean", corpus,
                        "mass over area on any cue", ("chance", 1), ("low", "high"))


CELL, GAP = 0.37, 0.03                  # inches, in `flow`: side of a small map, space between two
WIDE, HIGH = 7.4, 1.42                  # of the picture, and of one of its rows
HALF, TALL = 2 * CELL + 1.5 * GAP, 2 * CELL + GAP                   # of four maps by two
MIDDLES = {"clip": 0.85, "A_t": 0.85, "z_t": 2.72, "z_s": 4.68, "A_s": 6.45, "z_t A_t": 2.72,
           "z_s A_s": 4.68, "z_s + z_t": 2.72, "A_t A_s": 4.05}     # others stand in the middle
ROWS = {"clip": 0, "x": 0, "z_t A_t": 2, "z_s A_s": 2, "z_s + z_t": 2, "A_t A_s": 3}
BESIDE = 5.4                            # where `out` stands, right of the product's sign


def liveliest(tensors, k):
    """The channel of a group that `flow` had best draw -> int. tensors, k : as `flow` has them.

    Of the first two groups and all features, the least varied one decides: no row stays black.
    """
    lively = [x.std((2, 3, 4)) / (x.std() or 1) for name, x in by_group(tensors, k).items()
              if name[0] != "A"]                                    # (2, C/k) each
    return int(np.min(lively, axis=(0, 1)).argmax())


def by_group(tensors, k):
    """What flows through the block, of the first two groups -> name: (2, C/k, T, H, W)."""
    return {name: x[0].unflatten(0, (k, -1)).cpu().numpy()[:2] for name, x in tensors.items()
            if name != "clip"}


def flow(tensors, k, channel, title, restricted=False):
    """The STA block as data flowing through it, from a clip to what leaves the module.

    Of every tensor one channel of the first two groups (rows) in some frames (columns). Of a
    restricted corpus only arrows, symbols and shapes are drawn.

    Parameters
    ----------
    tensors : symbol -> tensor of one clip, as `papers.sta_drn.flow` has them
    k : groups
    channel : which of a group, such as `liveliest` chooses
    """
    drawn = {name: x[:, channel] for name, x in by_group(tensors, k).items()}   # (2, T, H, W)
    drawn["clip"] = tensors["clip"][0].cpu().numpy().transpose(1, 2, 3, 0)[None]
    length = drawn["clip"].shape[1]
    frames = np.unique(np.linspace(0, length - 1, 4).round().astype(int))
    places = {name: (MIDDLES.get(name, WIDE / 2), ROWS.get(name, 1)) for name in tensors}
    lowest = max(row for _, row in places.values())
    if "A_t A_s" in places:
        places["out"] = BESIDE, ROWS["z_s + z_t"]
    else:
        lowest += 1
        places["out"] = WIDE / 2, lowest
    height = top(lowest) + TALL + 0.1
    ax = plt.subplots(figsize=(WIDE, height))[1]
    ax.set(xlim=(0, WIDE), ylim=(height, 0))
    ax.axis("off")
    ax.text(WIDE / 2, 0.12, headed(title, restricted), ha="center", va="center")
    for name, (x, row) in places.items():
        shape = " × ".join(map(str, tensors[name].shape[1:]))
        ax.text(x, top(row) - 0.1, f"{symbol(name)}   {shape}", ha="center", va="center",
                fontsize=8)
        draw = shares if name == "A_t" else small_maps
        draw(ax, x - HALF, top(row), drawn[name], name, None if restricted else frames)
    arrows(ax, places)
    notes(ax, places, k, frames + 1, length)
    return ax


def top(row):
    """Upper edge of what `flow` draws in a row."""
    return 0.5 + HIGH * row


def symbol(name):
    """A tensor's name as a formula sets it."""
    return name if name in ("clip", "out") else f"${name}$"


def small_maps(ax, left, upper, values, name, frames):
    """A row a group, a column a frame; grey boxes without frames.

    Weights are on one scale, features of a group on its own.

    values : (groups, T or 1, H, W) or, of the clip, (1, T, H, W, colours)
    """
    weights = name.startswith("A")
    low = values.min() if weights or name == "clip" else 0
    columns = [0] if values.shape[1] == 1 else range(4) if frames is None else frames
    left += 0 if len(columns) > 1 else 1.5 * (CELL + GAP)           # a single one in the middle
    for group, maps in enumerate(values):
        high = values.max() if weights else maps.max()
        for column, frame in enumerate(columns):
            x, y = left + column * (CELL + GAP), upper + group * (CELL + GAP)
            if frames is not None:
                image = (maps[frame] - low) / (high - low or 1)
                ax.imshow(image, extent=(x, x + CELL, y + CELL, y), vmin=0, vmax=1, aspect="auto",
                          cmap="magma" if weights else "gray")
            ax.add_patch(plt.Rectangle((x, y), CELL, CELL, lw=1.2, zorder=3,
                                       fc="none" if frames is not None else "0.85",
                                       ec=GREY if name == "clip" else PALETTE[group]))
    if weights and frames is not None:
        ax.text(left + len(columns) * (CELL + GAP) + 0.05, upper + 1.6 * CELL,
                f"{low:.2f}\nto {values.max():.2f}", va="center", fontsize=7)


def shares(ax, left, upper, values, name, frames):
    """Temporal weights as a bar a frame, which the groups share; a grey box without frames."""
    ax.add_patch(plt.Rectangle((left, upper), 2 * HALF, TALL, fc="0.85" if frames is None else
                               "0.95", ec=GREY, lw=0.8))
    if frames is None:
        return
    length = values.shape[1]
    width, y = 2 * HALF / length, np.full(length, upper + TALL)
    for group, weights in enumerate(values[:, :, 0, 0]):            # (T,)
        y = y - TALL * weights
        ax.bar(left + width * (np.arange(length) + 0.5), TALL * weights, 0.85 * width, y,
               color=PALETTE[group])
    ax.text(left + HALF + 0.08, upper + TALL + 0.1, f"{values.min():.2f} to {values.max():.2f}",
            va="center", fontsize=7)


def arrows(ax, places):
    """From every tensor of `flow` to those that are made of it."""
    made_of = {"x": ["clip"], "z_t": ["x"], "z_s": ["x"], "A_t": ["z_t"], "A_s": ["z_s"]}
    mixed = [name for name in places if " " in name and name != "A_t A_s"]
    made_of |= {name: [part for part in name.split() if part in places] for name in mixed}
    if "A_t A_s" in places:
        product(ax, places)
    else:
        made_of["out"] = mixed or [name for name in places if name[0] in "zA"]
    for name in made_of.keys() & places.keys():
        x, row = places[name]
        for source in made_of[name]:
            from_x, from_row = places[source]
            side = np.sign(x - from_x)
            far = abs(x - from_x) > 1.2             # then it comes from the side
            half, from_half = (CELL / 2 if of == "A_s" else HALF for of in (name, source))
            start = ((from_x + side * (from_half + 0.03), top(row) + CELL) if row == from_row else
                     (from_x + side * (from_half if far else 0.3), top(from_row) + TALL + 0.04))
            end = ((x - side * (half + 0.04), top(row) + (CELL if row == from_row else 0.2)) if far
                   else (x - side * 0.3, top(row) - 0.2))
            arrow(ax, start, end)


def arrow(ax, start, end, **look):
    """look : as arrowprops takes it."""
    ax.annotate("", end, start, arrowprops={
        "arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0, **look})


def product(ax, places):
    """Weights into their product, and the product's sign between it, the sum and `out`."""
    (x, row), (sum_x, line), (out_x, _) = (places[n] for n in ("A_t A_s", "z_s + z_t", "out"))
    y, radius = top(line) + CELL, 0.11
    ax.text(x, y, "×", ha="center", va="center", fontsize=11)
    ax.add_patch(plt.Circle((x, y), radius, fc="none", ec=GREY))
    arrow(ax, (sum_x + HALF + 0.03, y), (x - radius, y))
    arrow(ax, (x, top(row) - 0.2), (x, y + radius))
    arrow(ax, (x + radius, y), (out_x - HALF - 0.04, y))
    for name in ("A_t", "A_s"):                     # down, then to the side of the product
        from_x, from_row = places[name]
        arrow(ax, (from_x, top(from_row) + TALL + 0.02),
              (x + np.sign(from_x - x) * (HALF + 0.04), top(row) + CELL / 2),
              connectionstyle="angle,angleA=90,angleB=0,rad=0")


def notes(ax, places, k, frames, length):
    """What happens on the arrows of `flow`, and how to read its rows and columns."""
    look = {"fontsize": 7.5, "va": "center", "color": GREY}
    rows = "rows: a channel of group 1 (blue)\nand its like of group 2 (orange)"
    ax.text(5.0, top(0) + 0.32, f"shapes: channels × frames × H × W\n"
            f"{rows if k > 1 else 'a single group'}\ncolumns: frames "
            f"{', '.join(map(str, frames))} of {length}\nblack is 0, white the largest of a row",
            **look)
    x, side = (2.85, "right") if "z_t" in places else (4.5, "left")
    ax.text(x, top(1) - 0.41, "convolution 3 × 3 × 3\nwithin a group,\nbatch norm, ReLU",
            ha=side, **look)
    weigh = "softmax over the groups" if k > 1 else "sigmoid"
    for name, means in (("A_t", "H and W"), ("A_s", "T")):
        if name in places:
            ax.text(places[name][0], top(1) - 0.41, f"mean over {means},\n"
                    f"convolution 1 × 1 × 1,\n{weigh}", ha="center", **look)


def what_k_does(branches, x, units, title):
    """Connections, weights and depth of a network for several numbers of groups, a column each.

    Parameters
    ----------
    branches : k -> models.sta_drn.Branch with temporal attention
    x : (1, C, T, H, W)
    units : of every stage, to be multiplied by k
    """
    fig, axes = plt.subplots(3, len(branches), figsize=(7.4, 5.6), sharey="row", squeeze=False,
                             height_ratios=[1.5, 1.2, 0.8])
    for (connected, weights, depth), (k, branch) in zip(axes.T, branches.items(), strict=True):
        kernel = branch.group_conv.weight.detach().abs().mean((2, 3, 4)).numpy()    # (C, C/k)
        width = kernel.shape[1]
        full = np.full((len(kernel), len(kernel)), np.nan)
        for out, row in enumerate(kernel):
            full[out, out // width * width:][:width] = row
        connected.imshow(full, cmap="Blues", vmin=0)
        connected.set(title=f"k = {k}", xlabel="channel that is seen", xticks=[], yticks=[])
        z = branch.features(x)
        a = branch.attention(z).detach()[0].unflatten(0, (k, -1))[:, 0, :, 0, 0].numpy()
        weights.stackplot(np.arange(1, a.shape[1] + 1), a, colors=PALETTE[:k])
        weights.set(ylim=(0, 1), xlim=(1, len(a[0])), xticks=[1, len(a[0])], xlabel="frame")
        weights.set_title("shares, they add up to 1" if k > 1 else "a sigmoid", fontsize=8)
        depth.bar(np.arange(1, len(units) + 1), np.array(units) * k, color=GREY)
        depth.set(xlabel="stage", xticks=range(1, len(units) + 1))
        depth.set_title(f"{sum(units) * k} units", fontsize=8)
    for ax, name in zip(axes[:, 0], ("output channel", "weights of channel 1", "units"),
                        strict=True):
        ax.set_ylabel(name)
    headline(fig, title)
    groups = [plt.Rectangle((0, 0), 1, 1, fc=colour) for colour in PALETTE[:max(branches)]]
    legend_below(fig, len(groups), groups, [f"group {i + 1}" for i in range(len(groups))])
    return axes


def epoch_logs(logs, constant, title):
    """Error by epoch, a panel a log in two columns, on one logarithmic scale.

    Dashed: the mean predictor's.
    """
    rows = -(-len(logs) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(6.4, 1.25 * rows + 0.9), sharex=True, sharey=True,
                             squeeze=False)
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
    headline(fig, title)
    legend_below(fig, 2, *axes[0, 0].get_legend_handles_labels(), fontsize=8)
    return axes
