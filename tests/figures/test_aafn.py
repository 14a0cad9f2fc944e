"""Pictures of interviews, and the figures that compare fusions: labelled, nothing cut off, nothing
restricted shown.
"""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from depnb import figures
from depnb.scores.items import ITEMS
from tests.readable import assert_readable

LABEL = "simulated daic_woz, effect 1"
DAMAGE = pd.DataFrame(
    [{"fusion": f, "modality": m, "kind": k, "strength": s, "mae": 4 + s + i}
     for i, f in enumerate(("sub-attention, iAFF", "concatenation", "element-wise median",
                            "sum", "max", "product", "attention", "mean", "DAF", "AFF"))
     for m in ("visual", "audio", "text") for k in ("noise", "lost", "missing")
     for s in (0, 0.5, 1.0)])
TURNS = pd.DataFrame({"start": [0.0, 3, 8, 10], "stop": [2.0, 7, 9, 15],
                      "speaker": ["Ellie", "Participant"] * 2})
LINES = {"mean of the others": 70.5, "never depressed": 72.65, "README of the copy": 89.4}
PEOPLE = pd.DataFrame({f"{k}_{n}": np.resize([0.0, 1, 2, 3], 12) for k in ("true", "pred")
                       for n in ITEMS})


def session(frames=90):
    rng = np.random.default_rng(0)
    return {"visual": rng.random((frames, 72, 3)), "audio": rng.standard_normal((80, frames))}


def window():
    return {"visual": np.eye(30, 72)[:, :, None] + [0, 1, 2], "audio": np.eye(80, 30),
            "text": np.eye(10, 512)}


def errors():
    """The part of a report that tells of items."""
    return {"by_participant": {"items": {n: {"mae": 0.5, "mae_interval": [0.3, 0.8]}
                                         for n in ITEMS}},
            "constant": {"by_participant": {"items": {n: {"mae": 0.6} for n in ITEMS}}}}


SENSES = ["visual", "audio", "text"]
TENSORS = {name: np.linspace(-1, 1, 36).reshape(3, 12) + i for i, name in enumerate("xyvzLGab")}
pytestmark = pytest.mark.usefixtures("house_style")


CHARTS = {
    "log": lambda: figures.published_epochs(pd.Series([70.0, 82, 71]), 1,
                                                    LINES, "accuracy, %", LABEL),
    "before": lambda: figures.before_after(pd.DataFrame({"a": [0.5, 0.4], "b": [0.6, 0.7]}),
                                           "a", "b", "AUC", LABEL,
                                         ("chance", 0.5)),
    "damage": lambda: figures.dose_response(DAMAGE, "mae", "MAE", LABEL, ("training mean", 5.0)),
    "matrices": lambda: figures.matrices({"trained": np.eye(3, 8), "untrained": np.ones((3, 8))},
                                       ["visual", "audio", "text"],
                                       [n.replace("_", " ") for n in ITEMS], LABEL),
    "interview": lambda: figures.aafn.interview(TURNS, session(), [0, 50], 5.0, LABEL),
    "sound only": lambda: figures.aafn.interview(TURNS, {"audio": session()["audio"]},
                                                 [0], 5.0, LABEL),
    "labels": lambda: figures.aafn.soft_labels(np.eye(4, 32), [8, 16, 24]),
    "items": lambda: figures.aafn.item_panels(PEOPLE, ITEMS, LABEL),
    "item errors": lambda: figures.aafn.item_errors(errors(), LABEL),
    "weights": lambda: figures.aafn.weights_by_item({"trained": np.eye(3, 8)}, SENSES, LABEL),
    "flow": lambda: [*figures.aafn.flow(window(), np.eye(3, 12), np.eye(3, 8), np.eye(8, 32),
                                        LABEL).values()],
    "head": lambda: figures.aafn.inside_a_head(TENSORS, LABEL),
    "answer": lambda: figures.aafn.answer_over_bins(np.eye(32)[7], [8, 16, 24],
                                                    {"released": 0.0, "corrected": 0.7}),}


@pytest.mark.parametrize("chart", CHARTS)
def test_no_text_is_cut_off_or_drawn_over_another(chart):
    figure = np.ravel(CHARTS[chart]())[0].figure
    assert_readable(figure)
    assert (LABEL in (figure.get_suptitle(), *(ax.get_title() for ax in figure.axes))
            or chart in ("labels", "answer"))


def test_the_kept_epoch_is_marked_and_constants_are_lines():
    ax = CHARTS["log"]()
    star = next(line for line in ax.lines if line.get_label() == "the epoch kept")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (1, 82)
    assert [line.get_ydata()[0] for line in ax.lines[2:]] == [70.5, 72.65, 89.4]


def test_small_differences_of_a_table_look_small_and_its_numbers_can_be_read():
    table = np.array([[0.46, 0.5, 0.53]])
    axes = figures.matrices({"trained": table, "untrained": 0.3 * table}, ["visual"],
                            ["a", "b", "c"], LABEL)
    shades = [shade[:3] for ax in axes for shade in ax.collections[0].get_facecolors()]
    assert max(np.ptp(shades[:3], axis=0)) < 0.25
    assert min(np.abs(np.subtract(shades[1], shades[4]))) > 0.15
    for shade, text in zip(shades, (text for ax in axes for text in ax.texts), strict=True):
        light, dark = sorted((luminance(shade), luminance(to_rgb(text.get_color()))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4.5


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def test_every_panel_of_damage_has_every_fusion():
    axes = CHARTS["damage"]()
    assert axes.shape == (3, 3)
    assert all(len(ax.lines) == 11 for ax in axes.flat)
    looks = {(line.get_color(), line.get_linestyle()) for line in axes[0, 0].lines[:10]}
    assert len(looks) == 10


def test_of_a_restricted_interview_nothing_is_shown():
    axes = figures.aafn.interview(TURNS, session(), [0], 5.0, LABEL, restricted=True)
    assert not axes[0].collections
    assert not axes[1].images
    assert not any(ax.lines for ax in axes)     # the number of windows tells how long someone spoke
    assert "withheld" in axes[0].figure.get_suptitle()


def test_words_are_marked_by_kind_and_text_cannot_break_the_page():
    page = figures.aafn.marked_words(
        [{"speaker": "Participant", "value": "i never <b> sleep",
          "topic": "sleep", "words": {"first_person": [0], "absolutist": [1]}},
         {"speaker": "Ellie", "value": "okay", "topic": "", "words": None}], LABEL)
    assert 'title="first person">i</u>' in page
    assert 'title="absolutist">never</u>' in page
    assert "&lt;b&gt; sleep" in page
    assert LABEL in page


def test_item_panels_of_a_restricted_corpus_show_bars_of_five_and_no_dots():
    people = pd.DataFrame({f"{kind}_{item}": [0] * 5 + [3] * 4 for item in ITEMS
                           for kind in ("true", "pred")})
    for ax in figures.aafn.item_panels(people, ITEMS, LABEL, restricted=True).flat:
        assert len(ax.lines) == 1                       # the diagonal
        assert [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()] == [[0, 0]]


def test_a_window_is_drawn_as_what_the_network_is_given_and_answers():
    axes = figures.aafn.flow(window(), np.eye(3, 12), np.eye(3, 8), np.eye(8, 32), LABEL)
    drawn = {name: ax.images[0].get_array() for name, ax in axes.items() if ax.images}
    np.testing.assert_array_equal(drawn["visual"], np.eye(72, 30) + 1)       # heights, in time
    for name, values in (("audio", window()["audio"]), ("text", window()["text"]),
                         ("stack", np.eye(3, 12)), ("weights", np.eye(3, 8)),
                         ("bins", np.eye(8, 32))):
        np.testing.assert_array_equal(drawn[name], values)


def test_every_panel_of_a_window_tells_its_range_and_arrows_join_them():
    weights = np.full((3, 8), 0.5)
    weights[0, 0], weights[2, 7] = 0.45, 0.55
    axes = figures.aafn.flow(window(), -np.eye(3, 12), weights, np.eye(8, 32), LABEL)
    assert axes["weights"].get_xlabel().endswith("0.45 to 0.55")
    assert axes["stack"].get_xlabel().endswith("−1.00 to −0.00")
    assert all(" to " in ax.get_xlabel() for name, ax in axes.items() if name != "mix")
    assert [t.get_text() for t in axes["weights"].get_yticklabels()] == SENSES
    joined = [tuple(name for place in (arrow.coords1, arrow.coords2) for name, ax in axes.items()
                    if ax.transAxes is place) for arrow in axes["mix"].figure.artists]
    assert joined == [*((sense, "stack") for sense in SENSES), ("stack", "weights"),
                      ("stack", "mix"), ("weights", "mix"), ("mix", "bins")]


def test_what_a_head_fuses_shares_its_scales():
    axes = figures.aafn.inside_a_head(TENSORS, LABEL).ravel()
    x, y, b, v, local, mean, a, z = (ax.images[0].get_clim() for ax in axes)
    assert x == y == v == z == (-4, 4)              # these can be compared
    assert local == mean == (-6, 6)
    assert a == b == (0, 1)
    np.testing.assert_array_equal(axes[3].images[0].get_array(), TENSORS["v"])


def test_an_answer_is_marked_where_a_soft_label_of_its_score_would_peak():
    ax = CHARTS["answer"]()
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([0, 0.7 * 31 / 3])
    assert [bar.get_height() for bar in ax.patches if bar.get_height() == 1 and
            bar.get_width() < 1] == [1]
    assert [t.get_text() for t in ax.texts] == [f"released: {score}" for score in range(4)]


def test_bars_of_items_have_the_half_length_of_their_interval():
    ax = figures.aafn.item_errors(errors(), LABEL)
    assert [bar.get_height() for bar in ax.patches] == [0.5] * 8 + [0.6] * 8
    ends = ax.lines[0].get_ydata()
    assert np.nanmax(ends) - np.nanmin(ends) == pytest.approx(0.5)


@pytest.mark.parametrize("chart", [
    lambda: figures.aafn.item_errors({"by_participant": {"items": {}}, "constant": {
        "by_participant": {"items": {}}}}, LABEL),
    lambda: figures.aafn.item_panels(PEOPLE * np.nan, ITEMS, LABEL),
    lambda: figures.aafn.weights_by_item({}, SENSES, LABEL),
    lambda: [figures.training_curve(None, LABEL)],
    lambda: [figures.before_after(pd.DataFrame({"a": [], "b": []}), "a", "b", "AUC", LABEL,
                                  ("chance", 0.5))]])
def test_where_there_is_nothing_a_picture_says_why(chart):
    ax = chart()[0]
    assert not [*ax.lines, *ax.patches, *ax.images]
    assert ax.texts[0].get_text()
    assert ax.get_title() == LABEL


def test_of_a_restricted_interview_no_turn_is_told():
    assert figures.aafn.marked_words(None, LABEL) == "<p>withheld: restricted corpus</p>"
