"""Metrics against libraries, intervals against theory, prediction against single clips."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import metrics as reference

from depnb.corpora.corpus import BDI2
from depnb.papers.sta_drn import LabelScale, outputs_of_clips
from depnb.scores import metrics, report
from depnb.scores.report import scores_by_participant


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 64, 60).astype(float)
    return truth, np.clip(truth * 0.6 + rng.normal(8, 6, 60), 0, 63)


def table(truth, guess, participants=None):
    participants = np.arange(len(truth)) if participants is None else participants
    return pd.DataFrame({"participant": participants, "session": np.arange(len(truth)),
                         "split": "test", "y_true": truth, "y_pred": guess})


def test_metrics_are_scikit_learns_and_scipys(scores):
    truth, guess = scores
    measures = metrics.regression(truth, guess)
    assert measures["mae"] == pytest.approx(reference.mean_absolute_error(truth, guess))
    assert measures["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, guess))
    assert measures["pearson"] == pytest.approx(stats.pearsonr(truth, guess).statistic)
    expected = 2 * np.cov(truth, guess, ddof=0)[0, 1] / (truth.var() + guess.var()
                                                         + (truth.mean() - guess.mean()) ** 2)
    assert measures["ccc"] == pytest.approx(expected)


def test_a_constant_has_no_correlation():
    measures = metrics.regression([1, 2, 3], [2, 2, 2])
    assert measures["mae"] == pytest.approx(2 / 3)
    assert np.isnan(measures["ccc"])
    assert np.isnan(measures["pearson"])


@pytest.mark.parametrize(("truth", "guess", "message"),
                         [([], [], "non-empty"), ([1, 2], [1], "equal"),
                          ([1, 2], [1, np.nan], "1 predictions and 0 true values are not finite")])
def test_what_cannot_be_scored_is_refused(truth, guess, message):
    with pytest.raises(ValueError, match=message):
        metrics.regression(truth, guess)


def test_recordings_count_once_per_session_and_sessions_once_per_participant():
    predictions = pd.DataFrame({"participant": ["a", "a", "a", "b"],
                                "session": ["a_1", "a_1", "a_2", "b_1"], "y_true": [10, 10, 20, 5],
                                "y_pred": [8, 12, 26, 5]})
    people = scores_by_participant(predictions).set_index("participant")
    assert people.loc["a"].tolist() == [15, 18]
    assert people.loc["b"].tolist() == [5, 5]


def test_a_report_stands_beside_the_mean_predictor(scores):
    truth, guess = scores
    told = report.severity(table(truth, guess), "video", constant=30.0)
    people, constant = told["by_participant"], told["constant"]["by_participant"]
    assert people["participants"] == told["by_unit"]["units"] == 60
    assert constant["mae"] == pytest.approx(np.abs(truth - 30).mean())
    assert people["improvement"] == pytest.approx(1 - people["mae"] / constant["mae"])
    assert (people["improvement_interval"][0] < people["improvement"]
            < people["improvement_interval"][1])
    assert people["mae_interval"][0] < people["mae"] < people["mae_interval"][1]
    assert people["improvement_p"] < 0.01
    assert repr(report.severity(table(truth, guess), "video", 30.0)) == repr(told)


def test_a_constant_prediction_reports_no_improvement(scores):
    truth, _ = scores
    people = report.severity(table(truth, np.full(60, 30.0)), "video", 30.0)["by_participant"]
    assert people["improvement"] == 0
    assert "ccc_interval" not in people


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
    for prediction, clips in zip(together, recordings, strict=True):
        np.testing.assert_allclose(prediction, model(clips).detach().numpy()[:, 0], atol=1e-6)
