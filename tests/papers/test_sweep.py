"""Damage to one modality of a batch changes what that modality says, and no more."""

import numpy as np
import pytest
import torch

from depnb.papers import sweep

MODALITIES = ("visual", "audio")


class Mean:
    """The mean of each modality is its feature; the logit is their sum over what is present."""

    def features(self, **inputs):
        means = {m: x.flatten(1).mean(1, keepdim=True) for m, x in inputs.items()}
        return torch.stack([means.get(m, torch.zeros(len(next(iter(means.values()))), 1))
                            for m in MODALITIES], 1)

    def fuse(self, features, present):
        return (features[..., 0] * present).sum(1)


def decode(logits):
    return logits.numpy()


@pytest.fixture
def batches():
    torch.manual_seed(0)
    return [{"visual": torch.randn(6, 20, 3, 2) + 1, "audio": torch.randn(6, 4, 20) + 2,
             "present": torch.ones(6, 2, dtype=torch.bool)} for _ in range(2)]


def test_sweep_changes_only_the_damaged_modality(batches):
    table = sweep.sweep(Mean(), batches, MODALITIES, decode, {"visual": 1.0, "audio": 1.0}, 7.0)
    assert len(table) == 2 * 3 * 5
    predictions = table.set_index(["modality", "kind", "strength"])["y_pred"]
    means = {m: np.concatenate([b[m].flatten(1).mean(1) for b in batches]) for m in MODALITIES}
    assert np.allclose(predictions["visual", "noise", 0.0], means["visual"] + means["audio"],
                       atol=1e-6)
    assert np.allclose(predictions["visual", "missing", 1.0], means["audio"], atol=1e-6)
    assert np.allclose(predictions["audio", "lost", 1.0], means["visual"], atol=1e-6)


def test_of_a_window_of_which_nothing_is_left_the_mean_is_said(batches):
    batches[1]["present"][2] = torch.tensor([True, False])
    table = sweep.sweep(Mean(), batches, MODALITIES, decode, {"visual": 1.0, "audio": 1.0}, 7.0)
    totals = table.set_index(["modality", "kind", "strength"])["y_pred"]["visual", "missing", 1.0]
    assert totals[8] == 7.0
    assert (totals[:8] != 7.0).all()


def test_reliance_is_what_is_lost_without_a_modality(batches):
    batches[0]["present"][0] = torch.tensor([True, False])
    reliance = sweep.reliance(Mean(), batches, MODALITIES, decode)
    assert np.isnan(reliance[0]).all()         # alone, and absent
    assert np.allclose(reliance[1:6, 1], batches[0]["audio"][1:].flatten(1).mean(1).abs(),
                       atol=1e-6)
