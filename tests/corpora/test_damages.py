"""Ten of the 200 random damages of simulated trees: `python -m tests.corpora.damages 200`."""

import pytest

from tests.conftest import simulated
from tests.corpora.damages import TREES, WRONG, trial

BEFORE = {}                     # what is read of the trees as they are, by layout


@pytest.fixture(scope="module")
def trees(once):
    """The small trees, by layout."""
    return {layout: simulated(once, f"damages-{layout}", layout, workers=1, **size)
            for layout, size in TREES.items()}


@pytest.mark.parametrize("seed", range(10))
def test_a_random_damage_is_noticed_harmless_or_listed(seed, trees, tmp_path):
    verdict, layout, made, told = trial(trees, seed, tmp_path / "trial", BEFORE)
    assert verdict not in WRONG, f"{seed} {verdict} {layout}: {made.what}\n{told}"
