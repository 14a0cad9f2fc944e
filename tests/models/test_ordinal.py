"""Soft labels, losses, decoding and sampling of AAFN's released script, and what is corrected."""

import pytest
import torch

from depnb.models import ordinal


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, torch.as_tensor(theirs), atol=tolerance, rtol=0)


@pytest.fixture
def case(golden):
    arrays, _ = golden("aafn_training_a")
    return {key: torch.as_tensor(value) for key, value in arrays.items()}


def test_soft_labels(case):
    close(ordinal.soft_label_table(), case["output/soft_label_table"], 1e-8)
    close(ordinal.soft_labels(case["input/subscores"]), case["output/soft_labels"], 1e-8)
    assert int(ordinal.soft_labels(torch.tensor([[3]]), bins=4, width=1.0).argmax()) == 3


def test_divergence_and_its_scale(case):
    logits, targets = case["input/probabilities"].log().transpose(0, 1), case["output/soft_labels"]
    close(ordinal.kl_loss(logits, targets), case["output/kl_loss"], 1e-6)
    torch.testing.assert_close(ordinal.kl_loss(logits, targets, "batch"),
                               32 * ordinal.kl_loss(logits, targets))


def test_divergence_survives_a_probability_of_zero():
    logits = torch.tensor([[[500.0, -500.0] + [0.0] * 30]], requires_grad=True)
    loss = ordinal.kl_loss(logits, ordinal.soft_labels(torch.tensor([[3.0]])))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_cross_entropy_and_class_weights(case):
    logits, scores = case["input/hard_probabilities"].log().transpose(0, 1), case["input/subscores"]
    weights = ordinal.class_weights(scores)
    close(weights, case["output/class_weights"], 1e-12)
    close(ordinal.cross_entropy(logits, scores, weights, "released"),
          case["output/weighted_cross_entropy"], 1e-6)
    close(ordinal.cross_entropy(logits, scores, variant="released"),
          case["output/plain_cross_entropy"], 1e-6)


def test_released_cross_entropy_cannot_get_below_a_floor():
    sure, scores = 1e4 * torch.eye(4)[None], torch.arange(4)[None]
    assert float(ordinal.cross_entropy(sure, scores)) == 0
    assert float(ordinal.cross_entropy(sure, scores, variant="released")) == pytest.approx(
        0.744, abs=5e-4)


def test_decoding(case):
    logits = case["input/probabilities"].log().transpose(0, 1)
    assert torch.equal(ordinal.decode(logits, "released").sum(1), case["output/decoded_phq_score"])
    hard = case["input/hard_probabilities"].log().transpose(0, 1)
    assert torch.equal(ordinal.decode(hard, "released").sum(1),
                       case["output/decoded_phq_score_hard"])


def test_released_decoding_misses_the_nearest_centre_in_four_bins():
    logits = torch.eye(32)[None]
    released, nearest = ordinal.decode(logits, "released")[0], ordinal.decode(logits, "nearest")[0]
    assert (released != nearest).nonzero()[:, 0].tolist() == [6, 7, 24, 25]
    assert nearest[[0, 5, 6, 15, 16, 25, 26, 31]].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("width", [1.0, 5.0, 8.0])
def test_every_soft_label_is_read_as_its_own_score(width):
    labels = ordinal.soft_label_table(width=width).clamp(min=1e-30).log()[:, None]
    close(ordinal.decode(labels, width=width), [[0.0], [1.0], [2.0], [3.0]])


def test_between_soft_labels_the_score_rises_with_the_mean_and_stays_on_the_scale():
    low, high = ordinal.soft_label_table()[:2]
    mixed = torch.stack([(1 - s) * low + s * high for s in torch.linspace(0, 1, 5)])
    close(ordinal.decode(mixed.log()[None])[0], torch.linspace(0, 1, 5))
    close(ordinal.decode(torch.zeros(1, 1, 32)), [[1.5]])
    close(ordinal.decode(50 * torch.eye(32)[None, [0, 31]]), [[0.0, 3.0]])


def test_sampler_weights(case):
    close(ordinal.sampler_weights(case["input/clip_phq_scores"]), case["output/sampler_weights"],
          1e-12)


@pytest.mark.parametrize("scores", [[[4.0]], [[-1.0]], [[0.5]]])
def test_scores_that_are_none_are_refused(scores):
    with pytest.raises(ValueError, match="whole numbers from 0 to 3"):
        ordinal.soft_labels(torch.tensor(scores))


def test_unknown_choices_are_named():
    logits = torch.zeros(1, 8, 4)
    with pytest.raises(ValueError, match="how 'best': choose corrected, nearest or released"):
        ordinal.decode(logits, "best")
    with pytest.raises(ValueError, match="reduction 'mean': choose released or batch"):
        ordinal.kl_loss(logits, logits, "mean")
    with pytest.raises(ValueError, match="variant 'x': choose corrected or released"):
        ordinal.cross_entropy(logits, torch.zeros(1, 8), variant="x")
