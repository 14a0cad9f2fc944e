"""Attributions find what a model uses, and the score says when they do not."""

import numpy as np
import pandas as pd
import pytest
import torch

from depnb.models.sta_drn import STADRN
from depnb.papers.sta_drn import region, unit_attention
from depnb.scores import explain


class Corner(torch.nn.Module):
    """A score that depends on the upper left corner of the later frames only."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv3d(3, 2, 1)

    def forward(self, clips):
        y = self.layer(clips)
        return y[:, :, 4:, :8, :8].square().mean((1, 2, 3, 4))[:, None]


@pytest.fixture
def clips():
    torch.manual_seed(0)
    return torch.randn(1, 3, 8, 16, 16)


@pytest.fixture
def corner():
    inside = np.zeros((8, 16, 16), bool)
    inside[4:, :8, :8] = True
    return inside


@pytest.mark.parametrize("method", [
    explain.input_gradient, lambda m, c: explain.occlusion(m, c, patch=4, frames=2),
    lambda m, c: explain.layer_attribution(m, c, m.layer, "gradient_activation"),
    ], ids=["gradient", "occlusion", "gradient_activation"])
def test_attribution_lies_where_the_score_comes_from(method, clips, corner):
    torch.manual_seed(0)
    attribution = method(Corner(), clips)
    assert attribution.shape == (1, 8, 16, 16)
    assert (attribution >= 0).all()
    assert explain.concentration(attribution[0].numpy(), corner) == pytest.approx(1 / corner.mean(),
                                                                                  rel=0.01)


def test_grad_cam_has_the_clips_shape_and_no_negative_values(clips):
    model = STADRN("attention_fusion", 2, (1, 1, 1, 1), 4, 4).eval()
    attribution = explain.layer_attribution(model, clips, model.layer_2, "grad_cam")
    assert attribution.shape == (1, 8, 16, 16)
    assert (attribution >= 0).all()


def test_an_unknown_method_is_named(clips):
    with pytest.raises(ValueError, match="method 'lime': choose grad_cam or gradient_activation"):
        explain.layer_attribution(Corner(), clips, None, "lime")


def test_occlusion_over_all_frames_by_default(clips):
    attribution = explain.occlusion(Corner(), clips, patch=8)
    assert torch.equal(attribution[:, 0], attribution[:, 7])


def test_recording_does_not_change_the_result(clips):
    model = STADRN("sum", 2, (1, 1, 1, 1), 4, 4).eval()
    plain = model(clips)
    with explain.record(model, "layer_1.0.conv2.*.share", "pool") as seen:
        recorded = model(clips)
    assert torch.equal(plain, recorded)
    assert set(seen) == {"layer_1.0.conv2.temporal.share", "layer_1.0.conv2.spatial.share", "pool"}
    count = len(seen)
    model(clips)
    assert len(seen) == count


def test_a_pattern_that_fits_nothing_is_named():
    with pytest.raises(ValueError, match="no module of Corner is called conv9"), explain.record(
        Corner(), "conv9"):
        pass


@pytest.mark.parametrize("variant", ["temporal", "spatial", "sum", "attention_fusion"])
def test_attention_averaged_over_groups_is_a_constant_and_one_group_is_not(variant, clips):
    model = STADRN(variant, 2, (1, 1, 1, 1), 4, 4).eval()
    mean = unit_attention(model, clips, "layer_1.0", k=2)
    assert float(mean.max() - mean.min()) < 1e-6
    early = np.arange(8)[:, None, None] + np.zeros((8, 16, 16)) < 3
    assert explain.concentration(mean[0].numpy(), early) == pytest.approx(1)
    assert float(unit_attention(model, clips, "layer_1.0", k=2, group=0).std()) > 1e-4


def test_concentration_is_one_by_chance_and_undefined_at_the_edges(corner):
    assert explain.concentration(np.ones((8, 16, 16)), corner) == pytest.approx(1)
    assert np.isnan(explain.concentration(np.zeros((8, 16, 16)), corner))
    assert np.isnan(explain.concentration(np.ones((8, 16, 16)), np.zeros((8, 16, 16), bool)))


def test_region_covers_the_landmarks_and_moves_with_them():
    landmarks = np.full((2, 68, 2), 0.9)
    landmarks[0, 48:68], landmarks[1, 48:68] = 0.25, 0.75
    mouth = region(landmarks, list(range(48, 68)), 40)
    assert mouth[0, 10, 10]
    assert not mouth[0, 30, 30]
    assert mouth[1, 30, 30]
    assert 0 < mouth[0].mean() < 0.03


def test_every_method_network_and_cue_is_scored(clips, corner):
    scores = explain.score_against_truth({"trained": Corner(), "untrained": Corner()},
                                         {"gradient": explain.input_gradient}, {"r": clips},
                                         {"r": {"smile": corner, "eyes": np.zeros_like(corner)}})
    assert len(scores) == 2 * 3
    best = (
        scores[(scores["cue"] == "any") & (scores["network"] == "trained")]["concentration"].item())
    assert best == pytest.approx(1 / corner.mean(), rel=0.01)
    assert scores[scores["cue"] == "eyes"]["concentration"].isna().all()


def test_recordings_are_spread_evenly():
    assert explain.spread_out(list("gfedcba"), 3) == ["g", "e", "c"]
    assert explain.spread_out(["b", "a"], 5) == ["b", "a"]


def test_integrated_gradients_of_a_linear_model_are_weight_times_distance_from_the_mean():
    weight = torch.tensor([2.0, -1.0, 0.0])
    x, ignored = torch.randn(5, 3), torch.randn(5, 2)
    first, second = explain.integrated_gradients(lambda a, b: a @ weight, [x, ignored])
    torch.testing.assert_close(first, (x - x.mean(0)) * weight)
    assert float(second.abs().max()) == 0


def test_effect_sizes_are_cohens_d():
    table = pd.DataFrame({"a": [0.0, 2, 4, 6], "b": [1.0, 1, 1, 1]})
    sizes = explain.effect_sizes(table, pd.Series([0, 0, 1, 1]))
    assert sizes["a"] == pytest.approx(4 / np.sqrt(2))
    assert np.isnan(sizes["b"])


def test_what_is_left_out_changes_the_answer_by_its_share():
    x = torch.tensor([[[1.0, 1], [0, 2], [-3, 0]]])
    assert explain.without_each(lambda x: x.sum((1, 2)).numpy(), x).tolist() == [[2, 2, 3]]


def test_the_output_of_a_part_is_what_it_gave():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    x = torch.randn(4, 2)
    assert torch.equal(explain.output_of(model, "0", input=x), model[0](x))
