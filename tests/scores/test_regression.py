"""Metrics against libraries, intervals against theory, prediction against single clips."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import metrics as reference

from depnb.corpora.corpus import BDI2
from depnb.papers.sta_drn import LabelScale, outputs_of_clips, read_epoch_logs
from depnb.scores import intervals, metrics
from depnb.scores.report import evaluate_regression, scores_by_participant


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 64, 60).astype(float)
    return truth, np.clip(truth * 0.6 + rng.normal(8, 6, 60), 0, 63)


def table(truth, guess, participants=None):
    participants = np.arange(len(truth)) if participants is None else participants
    return pd.DataFrame({"participant": participants, "session": np.arange(len(truth)), "split": "test", "y_true": truth,
                         "y_pred": guess})


def test_metrics_are_scikit_learns_and_scipys(scores):
    truth, guess = scores
    found = metrics.regression(truth, guess)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(truth, guess))
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, guess))
    assert found["pearson"] == pytest.approx(stats.pearsonr(truth, guess).statistic)
    expected = 2 * np.cov(truth, guess, ddof=0)[0, 1] / (truth.var() + guess.var() + (truth.mean() - guess.mean()) ** 2)
    assert found["ccc"] == pytest.approx(expected)


def test_a_constant_has_no_correlation():
    found = metrics.regression([1, 2, 3], [2, 2, 2])
    assert found["mae"] == pytest.approx(2 / 3)
    assert np.isnan(found["ccc"])
    assert np.isnan(found["pearson"])


@pytest.mark.parametrize(("truth", "guess", "said"), [([], [], "non-empty"), ([1, 2], [1], "equal"),
                                                      ([1, 2], [1, np.nan],
                                                        "1 predictions and 0 true values are not finite")])
def test_what_cannot_be_scored_is_refused(truth, guess, said):
    with pytest.raises(ValueError, match=said):
        metrics.regression(truth, guess)


def test_recordings_count_once_per_session_and_sessions_once_per_participant():
    predictions = pd.DataFrame({
        "participant": ["a", "a", "a", "b"], "session": ["a_1", "a_1", "a_2", "b_1"], "y_true": [10, 10, 20, 5],
        "y_pred": [8, 12, 26, 5]})
    people = scores_by_participant(predictions).set_index("participant")
    assert people.loc["a"].tolist() == [15, 18]
    assert people.loc["b"].tolist() == [5, 5]


def test_interval_of_a_mean_is_near_theory():
    rng = np.random.default_rng(1)
    error = rng.normal(5, 2, 400)
    low, high = intervals.interval(table(np.zeros(400), error), lambda t, p: np.mean(p - t))
    half = 1.96 * error.std() / 20
    assert low == pytest.approx(error.mean() - half, abs=0.05)
    assert high == pytest.approx(error.mean() + half, abs=0.05)


def test_rows_of_one_participant_are_drawn_together():
    rng = np.random.default_rng(2)
    once = rng.normal(0, 1, 40)
    copies = np.repeat(once, 10)
    mean = lambda t, p: np.mean(p)      # noqa: E731
    single = intervals.interval(table(np.zeros(40), once), mean)
    clustered = intervals.interval(table(np.zeros(400), copies, np.repeat(np.arange(40), 10)), mean)
    as_if_independent = intervals.interval(table(np.zeros(400), copies), mean)
    np.testing.assert_allclose(clustered, single, atol=0.05)
    assert np.diff(as_if_independent) < 0.5 * np.diff(clustered)


@pytest.mark.parametrize("people", [1, 2, 7, 8])
def test_intervals_of_few_participants(people):
    low, high = intervals.interval(table(np.zeros(people), np.arange(people)), lambda t, p: np.abs(p - t).mean())
    assert np.isnan(low) if people == 1 else low <= high


def test_equal_errors_are_not_significant_and_very_different_ones_are():
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 1, 40)
    assert intervals.paired_permutation(errors, errors[::-1]) > 0.05
    assert intervals.paired_permutation(errors * 0.2, errors) < 0.001
    assert np.isnan(intervals.paired_permutation(errors[:1], errors[:1]))


def test_a_report_stands_beside_the_mean_predictor(scores):
    truth, guess = scores
    report = evaluate_regression(table(truth, guess), constant=30.0)
    assert report["participants"] == report["recordings"] == 60
    assert report["mean_predictor"]["mae"] == pytest.approx(np.abs(truth - 30).mean())
    assert report["improvement"] == pytest.approx(1 - report["mae"] / report["mean_predictor"]["mae"])
    assert report["improvement_interval"][0] < report["improvement"] < report["improvement_interval"][1]
    assert report["mae_interval"][0] < report["mae"] < report["mae_interval"][1]
    assert report["improvement_p"] < 0.01
    assert repr(evaluate_regression(table(truth, guess), 30.0)) == repr(report)


def test_a_constant_prediction_reports_no_improvement(scores):
    truth, _ = scores
    report = evaluate_regression(table(truth, np.full(60, 30.0)), 30.0)
    assert report["improvement"] == 0
    assert "ccc_interval" not in report


def test_standardised_targets_decode_to_scores_within_the_scale():
    scale = LabelScale.standardised([0, 10, 20], BDI2)
    np.testing.assert_allclose(scale.encode([0, 10, 20]).mean(), 0)
    np.testing.assert_allclose(scale.decode(scale.encode([0, 10, 20])), [0, 10, 20])
    assert scale.decode([-99, 0, 99]).tolist() == [0, 10, 63]
    assert LabelScale.standardised([5, 5], BDI2).unit == 1


def test_shares_decode_as_the_authors_do():
    scale = LabelScale.share(BDI2)
    np.testing.assert_allclose(scale.decode([-0.2, 0.5, 1.1]), [0, 31.5, 69.3])
    np.testing.assert_allclose(scale.encode([63]), [1])


def test_batched_prediction_equals_one_recording_at_a_time():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    recordings = [torch.randn(n, 3, 1, 2, 2) for n in (1, 5, 2, 3)]
    together = outputs_of_clips(model, recordings, batch_size=4)
    assert [len(t) for t in together] == [1, 5, 2, 3]
    for found, clips in zip(together, recordings, strict=True):
        np.testing.assert_allclose(found, model(clips).detach().numpy()[:, 0], atol=1e-6)


def test_published_logs_are_read_with_and_without_header():
    from tests.paths import ROOT

    logs = read_epoch_logs(ROOT / "book/data/sta_drn_rerun")
    assert len(logs) == 8
    assert all(len(log) == 200 for log in logs.values())
    assert logs["tanet"]["mae"].min() == pytest.approx(7.55, abs=0.005)         # reference: best 7.55 at epoch 198
    assert logs["tanet"]["mae"].idxmin() == 198
    assert (logs["stanet_af"]["mae"] >= 10.30).sum() == 198
