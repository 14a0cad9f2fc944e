"""Figures: what is drawn, that it is labelled, and that nothing of a restricted corpus is shown."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from depnb import figures
from depnb.corpora.corpus import BDI2
from tests.readable import assert_readable

LABEL = "simulated AVEC 2014, effect 1"
HISTORY = pd.DataFrame({"epoch": range(6), "train_loss": np.linspace(1, 0.4, 6),
                        "val_mae": [np.nan, 9.0, np.nan, 7.0, np.nan, 8.0]})
PEOPLE = pd.DataFrame({"y_true": [0.0, 20, 63], "y_pred": [4.0, 15, 30]})
NAMES = ["gradient", "grad x act", "attention, group 1", "attention, mean", "occlusion", "Grad-CAM"]
BARS = pd.DataFrame({"method": np.repeat(NAMES, 2), "network": ["trained", "untrained"] * 6,
                     "value": np.arange(12.0), "spread": 0.1})
MANY = pd.DataFrame({"method": np.repeat([f"pause_length_{i}" for i in range(12)], 2),
                     "network": ["trained", "untrained"] * 12, "value": np.arange(24.0)})
ESTIMATES = pd.DataFrame({"name": ["x", "y"], "value": [10.0, -5], "low": [2.0, -9],
                          "high": [19.0, 1]})


pytestmark = pytest.mark.usefixtures("house_style")


@pytest.mark.parametrize(("effect", "words"), [(1.0, "1"), (0, "0"), ("literature", "literature")])
def test_a_figure_says_how_large_the_cues_are(effect, words):
    corpus = SimpleNamespace(name="AVEC 2014", restricted=False,
                             truth={"arguments": {"effect": effect}})
    assert figures.corpus_label(corpus) == f"simulated AVEC 2014, effect {words}"


def clips(n=3, size=8):
    return [np.full((size, size, 3), 40 * (i + 1), np.uint8) for i in range(n)]


def heat(n=3, size=8):
    return [np.random.default_rng(0).random((n, size, size)), np.ones((n, size, size))]


CHARTS = {
    "histogram": lambda: figures.score_histogram(pd.DataFrame({"score": [0, 1, 14, 63]}),
                                                 BDI2, LABEL),
    "curve": lambda: figures.training_curve(HISTORY, LABEL, 9.5),
    "scatter": lambda: figures.predicted_vs_true(PEOPLE, BDI2, LABEL, 18.0),
    "estimates": lambda: figures.estimates(ESTIMATES, "gain", "%", LABEL, ("mean predictor", 0)),
    "bars": lambda: figures.grouped_bars(BARS, "method", "network", "value",
                                         LABEL, "ratio", ("chance", 1), "spread"),
    "many bars": lambda: figures.grouped_bars(MANY, "method", "network", "value",
                                              LABEL, "ratio", ("chance", 1)),
    "signed": lambda: figures.signed_bars(pd.Series({"jitterLocal_sma3nz_amean": 1.2, "F0": -0.4}),
                                          "d", LABEL),
    "values": lambda: figures.histogram([0.48, 0.5, 0.51], "alpha", LABEL, ("half", 0.5), (0, 1)),
    "confusion": lambda: figures.confusion_matrix({"tn": 12, "fp": 3, "fn": 1, "tp": 9}, LABEL),}


@pytest.mark.parametrize("chart", CHARTS)
def test_says_where_it_comes_from_labels_its_axes_and_can_be_read(chart):
    ax = CHARTS[chart]()
    assert ax.get_title() == LABEL
    assert ax.get_xlabel() or "bars" in chart
    assert ax.get_ylabel() or chart in ("estimates", "signed")
    assert_readable(ax.figure, ax.get_xticklabels() if chart == "bars" else [])


def test_points_and_bars_are_the_values_of_the_table_with_their_intervals():
    def ends(line):
        return np.nanmin(line.get_xdata()), np.nanmax(line.get_xdata())

    names = pd.DataFrame({"name": ["x", "x", "y"], "value": [10.0, 3, 5], "low": [2.0, np.nan, 6],
                          "high": [19.0, np.nan, 9]})
    ax = figures.estimates(names, "gain", "%", LABEL)
    points, *intervals = ax.lines
    assert points.get_xdata().tolist() == [10, 3, 5]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x", "x", "y"]
    assert ax.yaxis_inverted()
    assert [ends(line) for line in (intervals[0], intervals[2])] == [(2, 19), (5, 9)]
    assert np.isnan(intervals[1].get_xdata()).all()     # not known

    ax = figures.grouped_bars(BARS[:-1], "method", "network", "value", LABEL, "ratio", None,
                              "spread")
    for bars, values in zip(ax.containers, (range(0, 12, 2), range(1, 11, 2)), strict=True):
        assert [bar.get_height() for bar in bars] == list(values)
    reach = [np.nanmax(line.get_ydata()) - np.nanmin(line.get_ydata()) for line in ax.lines]
    np.testing.assert_allclose(reach, 0.2)
    assert len(reach) == 11
    uneven = BARS.assign(low=BARS["value"] - 1, high=BARS["value"] + 3)     # not in the middle
    ax = figures.grouped_bars(uneven, "method", "network", "value", LABEL, "ratio", None,
                              ("low", "high"))
    reach = sorted((np.nanmin(line.get_ydata()), np.nanmax(line.get_ydata())) for line in ax.lines)
    assert reach == [*zip(uneven["low"], uneven["high"], strict=True)]
    with pytest.raises(ValueError, match="duplicate"):                      # two rows for one bar
        figures.grouped_bars(pd.concat([BARS, BARS]), "method", "network", "value", LABEL, "")


def test_every_log_has_a_panel_of_its_own_on_one_scale():
    logs = {f"variant {i}, rate 0.005": pd.DataFrame({"mae": [300.0, 9 + i]}) for i in range(7)}
    axes = figures.sta_drn.epoch_logs(logs, 10.3, LABEL).ravel()[:7]
    assert [ax.get_title() for ax in axes] == list(logs)
    assert [ax.lines[0].get_ydata()[-1] for ax in axes] == list(range(9, 16))
    assert {ax.get_ylim() for ax in axes} == {axes[0].get_ylim()}
    assert {ax.lines[1].get_linestyle() for ax in axes} == {"--"}    # as the chapter's caption says
    assert axes[0].get_yscale() == "log"
    figure = axes[0].figure
    assert len(figure.axes) == 7
    assert (figure.get_suptitle(), axes[6].get_xlabel(), axes[6].get_ylabel()) == (
        LABEL, "epoch", "MAE")
    assert_readable(figure)


def test_the_kept_epoch_is_the_one_with_the_lowest_validation_error():
    right = figures.training_curve(HISTORY, LABEL).figure.axes[1]
    star = next(line for line in right.lines if line.get_label() == "epoch kept")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (4, 7.0)


def test_a_histogram_counts_every_session_once():
    ax = figures.score_histogram(pd.DataFrame({"score": range(64)}), BDI2, LABEL)
    assert sum(p.get_height() for p in ax.patches) == 64
    assert ax.lines[0].get_xdata()[0] == 13.5           # between 13 and 14, the first that counts


@pytest.mark.parametrize("restricted", [False, True])
def test_faces_of_a_restricted_corpus_are_not_drawn(restricted):
    def has_face(axes):
        return any(np.array_equal(image.get_array(), face) for ax in np.ravel(axes)
                   for image in ax.images for face in clips())

    row = figures.sta_drn.frames_in_a_row(clips(), LABEL, restricted=restricted,
                                          landmarks=[np.zeros((68, 2))] * 3)
    strip = figures.sta_drn.heat_strip(clips(), heat(), LABEL, list("abc"),
                                       ["gradient", "constant"], restricted)
    assert has_face(row) == has_face(strip) == (not restricted)
    assert any(ax.lines for ax in row) == (not restricted)
    # no heat either: it has the face's shape
    assert any(ax.images for ax in np.ravel(strip)) == (not restricted)
    assert ("withheld" in row[0].figure.get_suptitle()) == restricted


def test_a_row_of_heat_maps_shares_one_scale():
    axes = figures.sta_drn.heat_strip(clips(), heat(), LABEL, list("abc"), ["gradient", "constant"])
    tops = {axes[1, i].images[1].get_clim() for i in range(3)}
    assert tops == {(0, heat()[0].max())}


def test_the_mean_over_groups_is_drawn_on_the_scale_of_the_single_channel():
    weights = torch.rand(1, 4, 6, 1, 1), torch.rand(1, 4, 1, 5, 5)
    share = {"conv2.temporal.share": weights[0].unflatten(1, (2, -1)).softmax(1).flatten(1, 2),
             "conv2.spatial.share": weights[1].unflatten(1, (2, -1)).softmax(1).flatten(1, 2)}
    figure = figures.sta_drn.attention_panels(share, 2, LABEL)[0].figure
    one, mean = figure.axes[1].images[0], figure.axes[2].images[0]
    assert one.get_clim() == mean.get_clim()
    assert np.ptp(mean.get_array()) < 1e-6              # 1/k everywhere
    assert np.ptp(one.get_array()) > 0.05
    assert figure.legends                               # below, not across a curve
    assert not figure.axes[0].get_legend()
    dashed = next(line for line in figure.axes[0].lines if line.get_label() == "mean over groups")
    np.testing.assert_allclose(dashed.get_ydata(), 0.5, atol=1e-6)


@pytest.mark.parametrize("kind", ["temporal", "spatial"])
def test_attention_of_a_single_branch(kind):
    shape = (1, 4, 6, 1, 1) if kind == "temporal" else (1, 4, 1, 5, 5)
    figure = figures.sta_drn.attention_panels({f"conv2.{kind}.share": torch.rand(shape)}, 2,
                                              LABEL)[0].figure
    figure.canvas.draw()
    assert any(ax.lines for ax in figure.axes) == (kind == "temporal")
    assert any(ax.images for ax in figure.axes) == (kind == "spatial")


def test_the_confusion_matrix_has_truth_in_rows():
    ax = figures.confusion_matrix({"tn": 12, "fp": 3, "fn": 1, "tp": 9}, LABEL)
    cells = {t.get_position(): t.get_text() for t in ax.texts}
    assert cells == {(0.5, 0.5): "12", (1.5, 0.5): "3", (0.5, 1.5): "1", (1.5, 1.5): "9"}
    assert ax.collections[0].get_array().tolist() == [[12, 3], [1, 9]]
    assert ax.yaxis_inverted()                          # the first row on top


@pytest.mark.parametrize("restricted", [False, True])
def test_a_voice_of_a_restricted_corpus_is_not_drawn(restricted):
    signal = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    axes = figures.spectrograms({"recording": (signal, 16000), "shorter": (signal[:8000], 16000)},
                                LABEL, restricted)
    assert any(ax.images for ax in axes) == (not restricted)
    assert ("withheld" in axes[0].figure.get_suptitle()) == restricted


def test_curves_of_a_classification_have_their_bands():
    points = pd.DataFrame({"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1], "low": [0, 0.6, 1],
                           "high": [0.2, 0.9, 1]})
    bins = pd.DataFrame({"predicted": [0.2, 0.7], "observed": [0.1, 0.8], "low": [0.0, 0.5],
                         "high": [0.4, 0.95], "rows": [4, 5]})
    curves = {"roc": points, "calibration": bins,
              "precision_recall": points.rename(columns={"fpr": "recall", "tpr": "precision"})}
    axes = figures.classification_curves(curves, LABEL)
    assert all(ax.collections for ax in axes)
    assert axes[0].figure.get_suptitle() == LABEL
    for restricted, drawn in ((False, [0.2, 0.7]), (True, [0.7])):
        assert figures.classification_curves(curves, LABEL,
                                             restricted)[2].lines[1].get_xdata().tolist() == drawn


class TestFewerThanFive:
    """What is drawn of a restricted corpus is drawn of five people or more."""

    def test_bars_are_left_out_and_the_axis_does_not_show_how_far_they_reach(self):
        scores = [3] * 5 + [10] * 4 + [20] * 6 + [63]
        ax = figures.score_histogram(
            pd.DataFrame({"score": scores, "participant": range(len(scores))}), BDI2, LABEL, True)
        assert sorted(p.get_height() for p in ax.patches if p.get_height()) == [5, 6]
        assert ax.get_xlim()[1] < 30
        assert "fewer than five" in ax.texts[0].get_text()
        # of four people
        again = pd.DataFrame({"score": [3] * 9, "participant": [1, 2, 3, 4, 4, 4, 4, 4, 4]})
        assert not any(p.get_height()
                       for p in figures.score_histogram(again, BDI2, LABEL, True).patches)

    def test_dots_are_means_of_neighbours(self):
        people = pd.DataFrame({"y_true": np.arange(23.0), "y_pred": np.arange(23.0)[::-1]})
        ax = figures.predicted_vs_true(people, BDI2, LABEL, restricted=True)
        dots = ax.collections[0].get_offsets()
        assert len(dots) == 4
        np.testing.assert_allclose(dots[0], [2.5, 19.5])            # six people: 0 to 5
        with pytest.raises(ValueError, match="it would show each"):
            figures.predicted_vs_true(people[:4], BDI2, LABEL, restricted=True)

    def test_cells_have_no_number(self):
        ax = figures.confusion_matrix({"tn": 12, "fp": 4, "fn": None, "tp": 5}, LABEL,
                                      restricted=True)
        assert [t.get_text() for t in ax.texts] == ["12", "below 5", "below 5", "5"]
        assert ax.collections[0].get_array().tolist() == [[12, 0], [0, 5]]

    def test_attention_of_one_person_is_withheld(self):
        maps = {"conv2.spatial.share": torch.rand(1, 4, 1, 5, 5)}
        axes = figures.sta_drn.attention_panels(maps, 2, LABEL, restricted=True)
        assert not any(ax.images or ax.lines for ax in axes)
        assert axes[0].texts[0].get_text() == figures.WITHHELD
