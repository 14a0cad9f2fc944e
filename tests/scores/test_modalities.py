"""Damage that is what it says, and scores of weights that are right when the weights are."""

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp

from depnb.scores import modalities

MODALITIES = ("visual", "audio")


class Mean:
    """The mean of each modality is its feature; the logit is their sum over what is present."""

    def features(self, **inputs):
        means = {m: x.flatten(1).mean(1, keepdim=True) for m, x in inputs.items()}
        return torch.stack([means.get(m, torch.zeros(len(next(iter(means.values()))), 1)) for m in MODALITIES], 1)

    def fuse(self, features, present):
        return (features[..., 0] * present).sum(1)


def decode(logits):
    return logits.numpy()


@pytest.fixture
def batches():
    torch.manual_seed(0)
    return [{"visual": torch.randn(6, 20, 3, 2) + 1, "audio": torch.randn(6, 4, 20) + 2,
             "present": torch.ones(6, 2, dtype=torch.bool)} for _ in range(2)]


def test_noise_grows_with_strength_at_the_same_places():
    x = torch.zeros(2, 10, 3, 2)
    one, two = (modalities.damaged(x, "visual", "noise", s, spread=0.5)[0] for s in (1.0, 2.0))
    assert torch.allclose(2 * one, two)
    assert one.std() == pytest.approx(0.5, rel=0.2)


def test_dropout_blanks_whole_frames():
    x, kept = modalities.damaged(torch.ones(8, 5, 200), "audio", "dropout", 0.3)
    blank = (x == 0).all(1)
    assert ((x == 0).any(1) == blank).all()
    assert blank.float().mean() == pytest.approx(0.3, abs=0.05)
    assert kept.all()


def test_removal_is_a_share_of_the_windows():
    x, kept = modalities.damaged(torch.ones(400, 2, 2), "text", "removal", 0.25)
    assert (x == 1).all()
    assert kept.float().mean() == pytest.approx(0.75, abs=0.06)
    assert not modalities.damaged(torch.ones(4, 2, 2), "text", "removal", 1.0)[1].any()


@pytest.mark.parametrize(("kind", "strength", "message"), [
    ("fog", 1, "noise, dropout, removal"), ("noise", -1, "0 or more"), ("dropout", 1.5, "share from 0 to 1")])
def test_impossible_damage_is_refused(kind, strength, message):
    with pytest.raises(ValueError, match=message):
        modalities.damaged(torch.ones(1, 2, 3), "text", kind, strength)


def test_sweep_changes_only_the_damaged_modality(batches):
    table = modalities.sweep(Mean(), batches, MODALITIES, decode, {"noise": [1.0], "dropout": [1.0], "removal": [1.0]},
                             {"visual": 1.0, "audio": 1.0}, 7.0)
    assert len(table) == 2 * 3 * 2
    found = table.set_index(["modality", "kind", "strength"])["y_pred"]
    means = {m: np.concatenate([b[m].flatten(1).mean(1) for b in batches]) for m in MODALITIES}
    assert np.allclose(found["visual", "noise", 0.0], means["visual"] + means["audio"], atol=1e-6)
    assert np.allclose(found["visual", "removal", 1.0], means["audio"], atol=1e-6)
    assert np.allclose(found["audio", "dropout", 1.0], means["visual"], atol=1e-6)


def test_of_a_window_of_which_nothing_is_left_the_mean_is_said(batches):
    batches[1]["present"][2] = torch.tensor([True, False])
    table = modalities.sweep(Mean(), batches, MODALITIES, decode, {k: [1.0] for k in modalities.KINDS},
                             {"visual": 1.0, "audio": 1.0}, 7.0).set_index(["modality", "kind", "strength"])["y_pred"]
    assert table["visual", "removal", 1.0][8] == 7.0
    assert (table["visual", "removal", 1.0][:8] != 7.0).all()


def test_reliance_is_what_is_lost_without_a_modality(batches):
    batches[0]["present"][0] = torch.tensor([True, False])
    found = modalities.reliance(Mean(), batches, MODALITIES, decode)
    assert np.isnan(found[0]).all()         # alone, and absent
    assert np.allclose(found[1:6, 1], batches[0]["audio"][1:].flatten(1).mean(1).abs(), atol=1e-6)


def test_weights_that_notice_score_one_and_random_ones_chance():
    degraded = ["visual"] * 10 + ["audio"] * 10 + [None] * 200
    right = np.ones((220, 2))
    right[:10, 0] = right[10:20, 1] = 0
    found = modalities.notices(right, degraded, MODALITIES)
    assert found["auc"].tolist() == [1, 1]
    assert found["degraded sessions"].tolist() == [10, 10]
    assert (found["p"] < 0.001).all()
    random = modalities.notices(np.random.default_rng(0).random((220, 2)), degraded, MODALITIES)
    assert random["auc"].between(0.25, 0.75).all()
    assert modalities.notices(right[20:], degraded[20:], MODALITIES)["auc"].isna().all()


def test_twins_in_order_are_counted():
    low = np.array([0.0, 1, 2, 3])
    found = modalities.twin_response(low, low + np.array([1, -1, 1, 0]))
    assert found["share"] == 0.625                           # a tie counts half
    assert found["shift"] == pytest.approx(0.25 / low.std())
    shifts = np.array([1, -1, 1, 0]) / low.std()
    assert found["shift_interval"] == pytest.approx(ttest_1samp(shifts, 0).confidence_interval(0.95))
    assert np.isnan(modalities.twin_response(np.ones(3), np.ones(3))["shift"])


def test_rows_are_told_apart_within_their_own_session():
    inside = [np.array([True, False, False]), np.array([False, True, False]), np.zeros(3, bool)]
    assert modalities.row_score([np.array([9.0, 8, 7]), np.array([0.1, 0.3, 0.2]), np.ones(3)], inside) == (1.0, 2)
    mean, count = modalities.row_score([np.zeros(3)], [np.zeros(3, bool)])
    assert np.isnan(mean)
    assert count == 0
