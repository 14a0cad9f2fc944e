"""Pictures of vlogs and of what the model makes of them: labelled, nothing cut off, nothing
restricted shown, and what is drawn is what was computed.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from depnb import figures
from depnb.models.dynmultidep import BiMamba, DynMultiDep, LocalTransformer
from depnb.papers.dynmultidep import change_of, on_its_way
from tests.readable import assert_readable

LABEL = "simulated D-Vlog, effect 1"
RNG = np.random.default_rng(0)
PANELS = {sense: {"first": RNG.random(300), "second": RNG.random(300)}
          for sense in ("acoustic", "visual")}
PLANTED = {"acoustic": {"slow": np.arange(300) < 90, "short": np.arange(300) % 60 < 3}}
COSTS = pd.DataFrame([{"method": m, "steps": n, "milliseconds": n * k} for k, m in enumerate(
    ("bidirectional Mamba", "full attention", "attention in windows of 30"), 1)
                      for n in (60, 600, 3600)])
VLOGS = pd.DataFrame({"group": ["control", "control", "depressed"], "seconds": [60, 900, 1800],
                      "participant": ["a", "b", "c"]})
WRITTEN = np.isin(np.arange(40), [5, 20])
STEPS = {"small step": np.full(40, 0.03), "chosen step": np.where(WRITTEN, 3.0, 0.01)}
STATES = {name: RNG.random(40) for name in STEPS}
NOTICED = pd.DataFrame([{"run": run, "network": network, "modality": sense, "auc": score}
                        for run, network, score in (("this run", "trained", 0.8),
                                                    ("this run", "untrained", 0.4),
                                                    ("seed 1", "trained", 0.6),
                                                    ("seed 1", "untrained", 0.1))
                        for sense in ("acoustic", "visual")])
TWINS = pd.DataFrame([{"run": "this run", "cue": cue, "shift": shift,
                       "shift_interval": [shift - 1, shift + 1]}
                      for cue, shift in (("slow", 3.0), ("short", 2.0))])
GENDERS = {"this run": {"by_gender": {"female": {"roc_auc": 0.7}, "male": {"roc_auc": 0.9}}},
           "trained on women": {"by_gender": {"female": {"roc_auc": 0.8}}}}
MASS = pd.DataFrame([{"network": network, "sense": "acoustic", "cue": cue, "concentration": 1.2}
                     for network in ("trained", "untrained") for cue in ("slow", "short")])

pytestmark = pytest.mark.usefixtures("house_style")


@pytest.mark.parametrize("draw", [
    lambda: figures.dynmultidep.tracks(PANELS, PLANTED, LABEL)[0],
    lambda: figures.dynmultidep.tracks(PANELS, {}, LABEL)[0],
    lambda: figures.dynmultidep.lengths(VLOGS, 500, LABEL),
    lambda: figures.dynmultidep.costs(COSTS, "milliseconds", "milliseconds", "AMD EPYC, 2 cores"),
    lambda: figures.dynmultidep.memory(RNG.random(40), WRITTEN, STEPS, STATES)[0],
    lambda: figures.dynmultidep.reach({"long expert": RNG.random(90),
                                       "short expert": RNG.random(90)}, 50, 30),
    lambda: figures.dynmultidep.gates(NOTICED, LABEL),
    lambda: figures.dynmultidep.twins(TWINS, LABEL),
    lambda: figures.dynmultidep.concentration(MASS, LABEL),
    lambda: figures.dynmultidep.genders(GENDERS, LABEL),
    lambda: figures.dynmultidep.trust(RNG.random(50), LABEL)],
    ids=["tracks", "tracks without truth", "lengths", "costs", "memory", "reach", "gates", "twins",
         "concentration", "genders", "trust"])
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
    vlogs = pd.DataFrame({"seconds": [60.0] * 6 + [3000.0] + [70.0] * 5,
                          "group": ["control"] * 7 + ["depressed"] * 5, "participant": range(12)})
    ax = figures.dynmultidep.lengths(vlogs, 500, LABEL, restricted=True)
    assert sum(p.get_height() for p in ax.patches) == 11
    assert ax.get_xlim()[1] < 10


@pytest.mark.parametrize("draw", [
    lambda: figures.dynmultidep.gates(pd.DataFrame(columns=["run"]), LABEL),
    lambda: figures.dynmultidep.twins(pd.DataFrame(columns=["run"]), LABEL),
    lambda: figures.dynmultidep.concentration(MASS[:0], LABEL),
    lambda: figures.dynmultidep.genders({"this run": {"by_gender": {}}}, LABEL),
    lambda: figures.dynmultidep.trust(None, LABEL)],
    ids=["gates", "twins", "concentration", "genders", "trust"])
def test_what_was_not_scored_is_said_and_not_drawn(draw):
    ax = draw()
    assert not ax.patches
    assert not ax.images
    assert len(ax.texts) == 1


def test_gates_of_other_runs_stand_beside_this_one_trained_and_untrained():
    ax = figures.dynmultidep.gates(NOTICED, LABEL)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["this run", "untrained", "seed 1"]
    assert [bar.get_height() for bar in ax.patches] == [0.8, 0.4, 0.6] * 2


def test_the_strip_of_memory_is_the_share_that_a_step_replaces():
    axes = figures.dynmultidep.memory(RNG.random(40), WRITTEN, STEPS, STATES)
    for strip, step in zip(axes[1::2], STEPS.values(), strict=True):
        np.testing.assert_allclose(strip.images[0].get_array()[0], 1 - np.exp(-step))


class TestFlow:
    @pytest.fixture
    def network(self):
        torch.manual_seed(0)
        return DynMultiDep("paper", 25, 136, width=16, state_size=4, expansion=2, layers=2,
                           gate="soft", fusion_gate="soft").eval()

    @pytest.fixture
    def passing(self, network):
        return on_its_way(network, torch.randn(2, 60, 25), torch.randn(2, 60, 136))

    def test_every_tensor_on_the_way_is_drawn_and_labelled(self, passing):
        axes = figures.dynmultidep.flow(passing, LABEL)
        figure = axes[0].figure
        assert_readable(figure, figure.texts)
        assert len(axes) == 2 * 6 + 2
        assert [ax.get_xlabel() for ax in axes[:6]] == ["60 × 25", "60 × 16", "60 × 2, 0 to 1",
                                                        "60 × 16", "60 × 16", "16"]
        assert axes[2].images[0].get_clim() == (0, 1)
        assert {text.get_text() for text in figure.texts} >= {f"logit\n{passing['logit']:.2f}"}

    def test_the_gates_are_those_of_the_network(self, passing):
        axes = figures.dynmultidep.flow(passing, LABEL)
        for ax, name in zip(axes[-2:], ("gate", "fusion"), strict=True):
            heights = [bar.get_height() for bar in ax.patches]
            np.testing.assert_allclose(heights, passing[name], rtol=1e-6)
            assert sum(heights) == pytest.approx(1, abs=1e-6)

    def test_the_mean_is_that_of_the_mixed_sequence(self, passing):
        for sense in ("audio", "visual"):
            torch.testing.assert_close(passing[f"{sense} mixed"].mean(0),
                                       passing[f"{sense} pooled"])


def test_a_change_stays_in_the_window_of_the_short_expert_and_nowhere_for_the_long_one():
    torch.manual_seed(0)
    x = torch.randn(1, 90, 16)
    short = change_of(LocalTransformer(16, 30, 4, 32, 0.0, False).eval(), x, 50)
    assert short[30:60].gt(0).all()
    assert short[:30].eq(0).all()
    assert short[60:].eq(0).all()
    assert change_of(BiMamba(16).eval(), x, 50).gt(0).float().mean() > 0.9
