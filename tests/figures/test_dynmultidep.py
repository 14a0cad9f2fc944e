"""Pictures of vlogs: labelled, nothing cut off, nothing restricted shown."""

import numpy as np
import pandas as pd
import pytest

from depnb import figures
from tests.readable import assert_readable

LABEL = "simulated D-Vlog, effect 1"
RNG = np.random.default_rng(0)
PANELS = {sense: {"first": RNG.random(300), "second": RNG.random(300)} for sense in ("acoustic", "visual")}
PLANTED = {"acoustic": {"slow": np.arange(300) < 90, "short": np.arange(300) % 60 < 3}}
COSTS = pd.DataFrame([{"method": m, "steps": n, "milliseconds": n * k} for k, m in enumerate(
    ("bidirectional Mamba", "full attention", "attention in windows of 30"), 1) for n in (60, 600, 3600)])

pytestmark = pytest.mark.usefixtures("house_style")


@pytest.mark.parametrize("draw", [
    lambda: figures.dynmultidep.tracks(PANELS, PLANTED, LABEL)[0], lambda: figures.dynmultidep.tracks(PANELS, {}, LABEL)[0],
    lambda: figures.dynmultidep.lengths({"control": [60, 900], "depressed": [1800]}, {"shortest released crop": 500}, LABEL),
    lambda: figures.dynmultidep.costs(COSTS, "milliseconds", "milliseconds", "AMD EPYC, 2 cores")],
    ids=["tracks", "tracks without truth", "lengths", "costs"])
def test_is_labelled_and_whole(draw):
    assert_readable(draw().figure)


def test_a_restricted_vlog_is_not_drawn():
    axes = figures.dynmultidep.tracks(PANELS, PLANTED, LABEL, restricted=True)
    assert not any(ax.lines for ax in axes)
    assert [text.get_text() for text in axes[0].texts] == ["withheld"]


def test_planted_rows_are_shaded_where_they_are():
    ax = figures.dynmultidep.tracks(PANELS, PLANTED, LABEL)[0]
    spans = ax.collections[0].get_paths()[0].get_extents()
    assert spans.x0 == pytest.approx(0)
    assert spans.x1 == pytest.approx(90 / 60, abs=1 / 60)


def test_lengths_of_a_restricted_corpus_do_not_show_the_longest():
    seconds = {"control": [60.0] * 6 + [3000.0], "depressed": [70.0] * 5}
    ax = figures.dynmultidep.lengths(seconds, {}, LABEL, {name: range(len(values)) for name, values in seconds.items()})
    assert sum(p.get_height() for p in ax.patches) == 11
    assert ax.get_xlim()[1] < 10
