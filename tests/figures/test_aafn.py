"""Pictures of interviews, and the figures that compare fusions: labelled, nothing cut off, nothing restricted shown."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from depnb import figures
from depnb.scores.items import ITEMS
from tests.readable import assert_readable

LABEL = "simulated daic_woz, effect 1"
DAMAGE = pd.DataFrame([{"fusion": f, "modality": m, "kind": k, "strength": s, "mae": 4 + s + i}
                       for i, f in enumerate(("sub-attention, iAFF", "concatenation", "element-wise median", "sum", "max",
                                              "product", "attention", "mean", "DAF", "AFF"))
                       for m in ("visual", "audio", "text") for k in ("noise", "dropout", "removal") for s in (0, 0.5, 1.0)])
TURNS = pd.DataFrame({"start": [0.0, 3, 8, 10], "stop": [2.0, 7, 9, 15], "speaker": ["Ellie", "Participant"] * 2})
LINES = {"mean of the others": 70.5, "never depressed": 72.65, "README of the copy": 89.4}
PEOPLE = pd.DataFrame({f"{k}_{n}": np.resize([0.0, 1, 2, 3], 12) for k in ("true", "pred") for n in ITEMS})


def session(frames=90):
    rng = np.random.default_rng(0)
    return {"visual": rng.random((frames, 72, 3)), "audio": rng.standard_normal((80, frames))}


pytestmark = pytest.mark.usefixtures("house_style")


CHARTS = {
    "log": lambda: figures.sta_drn.published_epochs(pd.Series([70.0, 82, 71]), 1, LINES, "accuracy, %", LABEL),
    "before": lambda: figures.before_after(pd.DataFrame({"a": [0.5, 0.4], "b": [0.6, 0.7]}), "a", "b", "AUC", LABEL,
                                         ("chance", 0.5)),
    "empty": lambda: figures.before_after(pd.DataFrame({"a": [], "b": []}), "a", "b", "AUC", LABEL, ("chance", 0.5)),
    "damage": lambda: figures.dose_response(DAMAGE, "mae", "MAE", LABEL, ("training mean", 5.0)),
    "matrices": lambda: figures.matrices({"trained": np.eye(3, 8), "untrained": np.ones((3, 8))},
                                       ["visual", "audio", "text"],
                                       [n.replace("_", " ") for n in ITEMS], LABEL),
    "interview": lambda: figures.aafn.interview(TURNS, session(), [0, 50], 5.0, LABEL),
    "sound only": lambda: figures.aafn.interview(TURNS, {"audio": session()["audio"]}, [0], 5.0, LABEL),
    "labels": lambda: figures.aafn.soft_labels(np.eye(4, 32), [8, 16, 24]),
    "items": lambda: figures.aafn.item_panels(PEOPLE, ITEMS, LABEL),
}


@pytest.mark.parametrize("chart", CHARTS)
def test_no_text_is_cut_off_or_drawn_over_another(chart):
    figure = np.ravel(CHARTS[chart]())[0].figure
    assert_readable(figure)
    assert LABEL in (figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)) or chart == "labels"


def test_the_kept_epoch_is_marked_and_constants_are_lines():
    ax = CHARTS["log"]()
    star = next(line for line in ax.lines if line.get_label() == "the epoch kept")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (1, 82)
    assert [line.get_ydata()[0] for line in ax.lines[2:]] == [70.5, 72.65, 89.4]


def test_small_differences_of_a_table_look_small_and_its_numbers_can_be_read():
    table = np.array([[0.46, 0.5, 0.53]])
    axes = figures.matrices({"trained": table, "untrained": 0.3 * table}, ["visual"], ["a", "b", "c"], LABEL)
    shades = [ax.images[0].to_rgba(value)[:3] for ax in axes for value in ax.images[0].get_array()[0]]
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
    assert not any(ax.lines for ax in axes)             # the number of windows tells how long someone spoke
    assert "withheld" in axes[0].figure.get_suptitle()


def test_words_are_marked_by_kind_and_text_cannot_break_the_page():
    page = figures.aafn.marked_words([{"speaker": "Participant", "value": "i never <b> sleep", "topic": "sleep",
                                          "words": {"first_person": [0], "absolutist": [1]}},
                                         {"speaker": "Ellie", "value": "okay", "topic": "", "words": None}], LABEL)
    assert 'title="first person">i</u>' in page
    assert 'title="absolutist">never</u>' in page
    assert "&lt;b&gt; sleep" in page
    assert LABEL in page


def test_item_panels_of_a_restricted_corpus_show_bars_of_five_and_no_dots():
    people = pd.DataFrame({f"{kind}_{item}": [0] * 5 + [3] * 4 for item in ITEMS for kind in ("true", "pred")})
    for ax in figures.aafn.item_panels(people, ITEMS, LABEL, restricted=True).flat:
        assert len(ax.lines) == 1                       # the diagonal
        assert [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()] == [[0, 0]]
