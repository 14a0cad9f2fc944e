"""Pictures of the STA block: what is drawn is what flows, and of restricted faces nothing is."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgba_array

from depnb import figures
from depnb.figures.style import PALETTE
from depnb.models.sta_drn import STADRN, VARIANTS, Branch
from depnb.papers.sta_drn import flow
from tests.readable import assert_readable

LABEL = "simulated AVEC 2014, effect 1"

pytestmark = pytest.mark.usefixtures("house_style")


def tensors(variant="attention_fusion", k=2):
    torch.manual_seed(0)
    return flow(STADRN(variant, k, (1, 1, 1, 1), 8, 8).eval(), torch.randn(1, 3, 6, 16, 16))


def words(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_every_tensor_of_the_block_is_there_with_its_shape(variant, k):
    flowing = tensors(variant, k)
    ax = figures.sta_drn.flow(flowing, k, 0, LABEL)
    assert LABEL in words(ax)
    for name, x in flowing.items():
        shape = " × ".join(map(str, x.shape[1:]))
        assert f"{figures.sta_drn.symbol(name)}   {shape}" in words(ax)
    # every tensor but the clip is made of another one, by an arrow of its own
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == {"attention_fusion": 12, "sum": 11}.get(variant, 5)
    assert_readable(ax.figure, [text for text in ax.texts if text.get_text()])


def test_bars_of_temporal_weights_are_shared_by_the_groups():
    flowing = tensors()
    ax = figures.sta_drn.flow(flowing, 2, 3, LABEL)
    one, two = (np.array([bar.get_height() for bar in bars]) for bars in ax.containers)
    assert len(one) == len(two) == 6                                # a bar a frame
    np.testing.assert_allclose(np.abs(one + two), figures.sta_drn.TALL, rtol=1e-5)
    of_both = flowing["A_t"][0].unflatten(0, (2, -1))[:, 3]
    label, = (text for text in ax.texts
              if text.get_text() == f"{of_both.min():.2f} to {of_both.max():.2f}")
    ax.figure.canvas.draw()
    assert not any(label.get_window_extent().overlaps(bar.get_window_extent())
                   for bars in ax.containers for bar in bars)


def test_weights_of_the_product_come_from_the_weights_and_the_sum_meets_them_at_its_sign():
    ax = figures.sta_drn.flow(tensors(), 2, 0, LABEL)
    sign, = (text for text in ax.texts if text.get_text() == "×")
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    into = [a for a in arrows if np.hypot(*np.subtract(a.xy, sign.get_position())) < 0.2]
    assert len(into) == 2                                           # the sum's and the product's
    heights = {figures.sta_drn.top(1) + figures.sta_drn.TALL + 0.02}
    to_product = [a for a in arrows if a.xy[1] > figures.sta_drn.top(3)]
    assert {a.xyann[1] for a in to_product} == heights              # straight under A_t and A_s
    assert sorted(a.xyann[0] for a in to_product) == [figures.sta_drn.MIDDLES[name]
                                                      for name in ("A_t", "A_s")]


def test_two_pictures_of_one_channel_show_that_channel():
    flowing = tensors()
    channel = figures.sta_drn.liveliest(flowing, 2)
    other = (channel + 1) % 4
    out = flowing["out"][0].unflatten(0, (2, -1)).numpy()
    for one in (channel, other):
        drawn = figures.sta_drn.flow(flowing, 2, one, LABEL).images
        least = out[0, one, 0] / out[0, one].max()                  # first frame of the first group
        assert any(np.shape(image.get_array()) == least.shape
                   and np.allclose(image.get_array(), least) for image in drawn)
    # of no other channel is the least varied step as lively
    spread = [min((x[0].unflatten(0, (2, -1))[:, c].numpy().std((1, 2, 3)) / x.numpy().std()).min()
                  for name, x in flowing.items() if name[0] not in "Ac") for c in range(4)]
    assert np.argmax(spread) == channel


def test_of_a_restricted_corpus_shapes_and_arrows_are_drawn_and_nothing_else():
    ax = figures.sta_drn.flow(tensors(), 2, 0, LABEL, restricted=True)
    assert not ax.images
    assert not ax.containers
    assert figures.WITHHELD in words(ax)[0]
    assert not any(" to 0." in text or "\nto " in text for text in words(ax))      # no range either


def test_what_k_does_to_connections_weights_and_depth():
    branches = {k: Branch(8, k, 1, (3, 4)).eval() for k in (1, 2, 4)}
    x = torch.randn(1, 8, 12, 5, 5)
    axes = figures.sta_drn.what_k_does(branches, x, (2, 2, 3, 2), "invented")
    for (connected, weights, depth), k in zip(axes.T, branches, strict=True):
        assert np.isfinite(connected.images[0].get_array().filled(np.nan)).sum() == 64 // k
        upper = max(area.get_paths()[0].vertices[:, 1].max() for area in weights.collections)
        assert len(weights.collections) == k
        assert upper == pytest.approx(1, abs=1e-6) if k > 1 else upper < 1
        assert [bar.get_height() for bar in depth.patches] == [2 * k, 2 * k, 3 * k, 2 * k]
        assert depth.get_title() == f"{9 * k} units"
        np.testing.assert_allclose(np.concatenate([c.get_facecolor() for c in weights.collections]),
                                   to_rgba_array(PALETTE[:k]))
    legend, = axes[0, 0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"group {i}" for i in (1, 2, 3, 4)]
    assert_readable(axes[0, 0].figure)


def test_concentrations_of_any_cue_are_drawn_and_where_there_are_none_it_is_told():
    scores = pd.DataFrame({"recording": ["a", "b"] * 4, "cue": ["any"] * 4 + ["smile"] * 4,
                           "network": (["trained"] * 2 + ["untrained"] * 2) * 2,
                           "method": "gradient", "concentration": [1.0, 3, 1, 1, 9, 9, 9, 9]})
    ax = figures.sta_drn.concentration(scores, LABEL)
    assert [bar.get_height() for bar in ax.patches] == [2, 1]
    ends = [(np.nanmin(line.get_ydata()), np.nanmax(line.get_ydata())) for line in ax.lines[:2]]
    assert ends == [(1, 3), (1, 1)]             # draws of the videos; no interval leaves them
    ax = figures.sta_drn.concentration(pd.DataFrame(), LABEL)
    assert "no planted truth" in words(ax)[0]
    assert_readable(ax.figure, ax.texts)
