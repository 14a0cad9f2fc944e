"""What the chapter on STA-DRN asks of its paper: what flows, the rivals, what a report says."""

import numpy as np
import pandas as pd
import pytest
import torch

from depnb.models import sta_drn
from depnb.papers import paper
from depnb.papers.sta_drn import Paper, flow, parameters_of, shapes, steps
from depnb.scores import explain


def network(variant="attention_fusion", k=2):
    torch.manual_seed(0)
    return sta_drn.STADRN(variant, k, (1, 1, 1, 1), 8, 8).eval()


@pytest.mark.parametrize("variant", sta_drn.VARIANTS)
class TestSteps:
    def test_what_is_recombined_is_what_comes_out(self, variant):
        torch.manual_seed(0)
        module = sta_drn.Attention(4, 2, 1, variant).eval()
        with torch.no_grad():
            of = steps(module, torch.randn(1, 4, 6, 5, 5))
        last = list(of)[-3:-1]
        made = {"attention_fusion": lambda a, b: a * b, "sum": lambda a, b: a + b}.get(
            variant, lambda z, a: z * a)(*(of[name] for name in last))
        torch.testing.assert_close(made, of["out"])

    def test_they_flow_through_the_first_unit_of_a_network(self, variant):
        model, clips = network(variant), torch.randn(1, 3, 6, 16, 16)
        with explain.record(model, "layer_1.0.conv2") as outputs, torch.inference_mode():
            model(clips)
        flowing = flow(model, clips)
        torch.testing.assert_close(flowing["out"], outputs["layer_1.0.conv2"])
        assert flowing["clip"] is clips


def test_parameters_are_those_of_the_authors_code():
    assert parameters_of() == 7_822_785
    assert parameters_of(variant="temporal") == 6_600_385
    assert parameters_of(k=4) == 8_538_305


def test_a_stage_halves_frames_and_picture():
    table = shapes(network(), torch.randn(1, 3, 8, 32, 32))
    assert table.squeeze().to_dict() == {
        "clip": "(3, 8, 32, 32)", "stem": "(8, 8, 8, 8)", "stage 1": "(32, 8, 8, 8)",
        "stage 2": "(64, 4, 4, 4)", "stage 3": "(128, 2, 2, 2)", "stage 4": "(256, 1, 1, 1)"}


@pytest.fixture
def asked():
    return Paper(paper.settings("sta_drn", protocol="clean"))


@pytest.fixture
def units():
    """60 people with a session of two videos each; a statistic that follows the score."""
    rng = np.random.default_rng(0)
    score = np.repeat(rng.integers(0, 50, 60).astype(float), 2)
    people = np.repeat([f"p{i:02d}" for i in range(60)], 2)
    part = np.repeat(["train"] * 30 + ["validation"] * 10 + ["test"] * 20, 2)
    table = pd.DataFrame({"participant": people, "session": people, "split": part, "score": score,
                          "recording": [f"{name}/{i % 2}" for i, name in enumerate(people)]})
    measured = np.column_stack([score + rng.normal(0, 4, 120), rng.normal(size=120)])
    return paper.Units(table, {"statistics": measured, "tracks": {}})


class TestRivals:
    def test_the_mean_predictor_knows_training_sessions_once_each(self, asked, units):
        train = units.table.query("split == 'train'").drop_duplicates("session")["score"]
        assert asked.train_mean(units) == train.mean()
        held_out = units.table.query("split == 'validation'").drop_duplicates("session")["score"]
        assert asked.constant_error(units) == pytest.approx((held_out - train.mean()).abs().mean())

    def test_a_ridge_regression_learns_from_training_and_validation_videos(self, asked, units):
        judged = asked.ridge(units)
        assert judged["by_participant"]["mae"] < 0.5 * judged["constant"]["by_participant"]["mae"]
        assert judged["by_unit"]["units"] == 40
        other = units.table.copy()
        other.loc[other["split"] == "validation", "score"] = 0.0
        again = asked.ridge(paper.Units(other, units.data))
        assert again["by_participant"]["mae"] != judged["by_participant"]["mae"]

    def test_without_landmarks_there_is_none(self, asked, units):
        crops = paper.Units(units.table, {"statistics": None, "tracks": {}})
        assert asked.ridge(crops) is None
        metrics = {"test": asked.report(self.guesses(asked, units, 0), units), "ridge": None}
        assert list(asked.rivals(metrics, "x").data.index) == ["STA-DRN", "mean predictor"]
        assert asked.gap(metrics) == "Without landmarks there is no ridge regression."

    def guesses(self, asked, units, error):
        return asked.told(units.table, units.table["score"] + error)

    @pytest.mark.parametrize(("error", "side"), [(30, "better"), (0, "worse")])
    def test_the_sentence_says_who_is_nearer(self, asked, units, error, side):
        ridge = asked.ridge(units)
        metrics = {"test": asked.report(self.guesses(asked, units, error), units), "ridge": ridge}
        gap = abs(error - ridge["by_participant"]["mae"])
        assert f"{gap:.1f} points {side} than the network" in asked.gap(metrics)
        assert asked.rivals(metrics, "x").data["MAE"].tolist() == pytest.approx(
            [error, ridge["constant"]["by_participant"]["mae"], ridge["by_participant"]["mae"]])

    def test_a_report_is_of_test_videos_alone(self, asked, units):
        guesses = self.guesses(asked, units, 5)
        guesses.loc[guesses["split"] != "test", "y_pred"] = 0
        judged = asked.report(guesses, units)
        assert judged["by_participant"]["participants"] == 20
        assert judged["by_participant"]["mae"] == pytest.approx(5)


class TestConcentrations:
    def test_means_by_method_network_and_cue(self, asked):
        scores = pd.DataFrame({"recording": ["a", "b"], "network": "trained", "method": "gradient",
                               "cue": "any", "concentration": [1.0, 4.0]})
        styled = asked.mean_concentrations(scores, "simulated")
        assert styled.data.loc[("gradient", "trained"), "any"] == 2.5
        assert "2 test videos" in styled.caption

    def test_a_corpus_without_truth_has_none(self, asked):
        corpus = type("Corpus", (), {"truth": None})
        scores = asked.concentrations(corpus, None, [0], {}, {})
        assert scores.empty
        assert asked.mean_concentrations(scores, "x").data.empty

    def test_every_way_gives_a_map_of_the_clip(self, asked):
        clips = torch.randn(1, 3, asked.p.clip_frames, asked.p.image_size, asked.p.image_size)
        maps = {name: way(network(), clips) for name, way in asked.attributions(2).items()}
        assert {tuple(mass.shape) for mass in maps.values()} == {
            (1, asked.p.clip_frames, asked.p.image_size, asked.p.image_size)}
        assert float(maps["attention, mean"].std()) < 1e-6 < float(maps["gradient"].std())
