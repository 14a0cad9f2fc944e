"""Classification: metrics against scikit-learn and the authors' code, intervals against SciPy and theory, edges."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as library

from depnb import runs
from depnb.papers.released.cfrafn import (
    RELEASED,
    RELEASED_INTERVALS,
    released_bootstrap,
    released_interval,
    released_intervals,
    released_metrics,
    released_tables,
)
from depnb.scores import auc, curves, intervals
from depnb.scores.metrics import METRICS, classification, confusion, scores
from depnb.scores.report import evaluate_classification, probabilities_by_participant


@pytest.fixture(scope="module")
def authors(golden):
    return golden("cfrafn_metrics_a")[0]


@pytest.fixture
def sample():
    """60 participants, probabilities with ties."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60).astype(float)
    return truth, np.clip(np.round(0.3 + 0.35 * truth + rng.normal(0, 0.25, 60), 1), 0, 1)


def table(truth, guess, participants=None):
    participants = np.arange(len(truth)) if participants is None else participants
    return pd.DataFrame({"participant": participants, "session": np.arange(len(truth)), "split": "test", "y_true": truth,
                         "y_pred": guess})


def scikit_learns(truth, guess, weight=None):
    decided, w = guess >= 0.5, {"sample_weight": weight}
    precision, recall, _ = library.precision_recall_curve(truth, guess, **w)
    sensitivity, specificity = (library.recall_score(truth, decided, pos_label=label, **w) for label in (1, 0))
    return {
        "accuracy": library.accuracy_score(truth, decided, **w),
        "balanced_accuracy": library.balanced_accuracy_score(truth, decided, **w),
        "sensitivity": sensitivity, "specificity": specificity,
        "ppv": library.precision_score(truth, decided, **w),
        "npv": library.precision_score(truth, decided, pos_label=0, **w),
        "f1": library.f1_score(truth, decided, **w), "gmean": np.sqrt(sensitivity * specificity),
        "mcc": library.matthews_corrcoef(truth, decided, **w), "kappa": library.cohen_kappa_score(truth, decided, **w),
        "roc_auc": library.roc_auc_score(truth, guess, **w), "aupr": library.auc(recall, precision),
        "average_precision": library.average_precision_score(truth, guess, **w),
        "brier": library.brier_score_loss(truth, guess, **w)}


def test_metrics_are_scikit_learns(sample):
    found = classification(*sample)
    assert tuple(found) == METRICS
    expected = scikit_learns(*sample)
    assert {k: v for k, v in found.items() if k in expected} == pytest.approx(expected)


def test_many_weighted_samples_at_once_equal_one_at_a_time(sample):
    weights = np.random.default_rng(1).integers(0, 4, (5, 60))
    found = scores(*sample, weight=weights)
    for i, weight in enumerate(weights):
        expected = scikit_learns(*sample, weight)
        assert {k: v[i] for k, v in found.items() if k in expected} == pytest.approx(expected)
        repeated = classification(*(np.repeat(a, weight) for a in sample))
        assert {k: v[i] for k, v in found.items()} == pytest.approx(repeated)


def test_calibration_error_by_hand():
    found = classification([0, 1, 1, 0], [0.1, 0.15, 0.9, 1.0])
    assert found["calibration_error"] == pytest.approx((2 * abs(0.125 - 0.5) + 2 * abs(0.95 - 0.5)) / 4)
    assert classification([0, 1], [0.0, 1.0])["calibration_error"] == 0


def test_metrics_are_the_authors(authors):
    found = released_metrics(authors["input/y_true"], authors["input/y_prob"])
    expected = {k.removeprefix("output/metric/"): float(v) for k, v in authors.items() if k.startswith("output/metric/")}
    assert found == pytest.approx(expected, abs=1e-5)


def test_resamples_and_intervals_are_the_authors(authors):
    found = released_bootstrap(authors["input/y_true"], authors["input/y_prob"])
    assert set(found) == {k.removeprefix("output/ci/") for k in authors if k.startswith("output/ci/")}
    for name, (value, resampled) in found.items():
        np.testing.assert_allclose(resampled, authors[f"output/bootstrap/{name}"], atol=1e-5)
        np.testing.assert_allclose([value, *released_interval(value, resampled)], authors[f"output/ci/{name}"], atol=1e-5)


def test_delong_is_the_authors(authors):
    found = auc.delong(authors["input/y_true"], authors["input/y_prob"], authors["input/y_prob_2"])
    for name in ("z", "p", "auc_1", "auc_2"):
        assert found[name] == pytest.approx(float(authors[f"output/delong/{name}"]), abs=1e-5)


def test_tables_are_the_authors(authors):
    both = [table(authors["input/y_true"], authors[f"input/{name}"]) for name in ("y_prob", "y_prob_2")]
    metrics, meanstd = released_tables({"test": both, "validation": both[:1]})
    assert metrics[["split", "run"]].to_numpy().tolist() == [["test", 0], ["test", 1], ["validation", 0]]
    for key in [k for k in authors if k.startswith("output/mean_std/")]:
        assert meanstd.loc[0, key.removeprefix("output/mean_std/")] == pytest.approx(float(authors[key]), abs=1e-5), key
    assert (meanstd.loc[1, [f"{name}_std" for name in RELEASED]] == 0).all()     # one run: always 0, as theirs


def test_roc_points_are_the_authors(authors):
    roc = curves.curves(table(authors["input/y_true"], authors["input/y_prob"]), resamples=20)["roc"]
    np.testing.assert_allclose(roc[["fpr", "tpr"]], np.stack([authors["output/roc/fpr"], authors["output/roc/tpr"]], 1),
                               atol=1e-6)


def test_the_released_interval_of_an_unbiased_bootstrap_is_lopsided():
    resampled = np.linspace(-1, 1, 1001)
    np.testing.assert_allclose(released_interval(0.0, resampled), [2 * 0.1685 - 1, 2 * 0.9985 - 1], atol=0.002)


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "brier"])
def test_intervals_are_scipys(sample, metric):
    truth, guess = sample
    expected = stats.bootstrap(
        (np.arange(60),), lambda drawn: classification(truth[drawn], guess[drawn])[metric], n_resamples=300,
        vectorized=False, method="BCa", rng=np.random.default_rng(0)).confidence_interval
    assert intervals.metric_intervals(table(*sample), resamples=300)[metric] == pytest.approx(expected)


def test_rows_of_one_participant_are_drawn_together(sample):
    copies = [np.repeat(a, 5) for a in sample]
    single = intervals.metric_intervals(table(*sample), resamples=500)
    clustered = intervals.metric_intervals(table(*copies, np.repeat(np.arange(60), 5)), resamples=500)
    independent = intervals.metric_intervals(table(*copies), resamples=500)
    for name in ("accuracy", "roc_auc"):
        assert clustered[name] == pytest.approx(single[name])
        assert np.diff(independent[name]) < 0.6 * np.diff(single[name])


def test_intervals_hold_the_value_and_draws_without_a_class_are_left_out():
    rng = np.random.default_rng(3)
    truth = np.r_[np.zeros(10), np.ones(2)]         # one draw in nine has no participant of class 1
    guess = np.clip(0.3 + 0.3 * truth + rng.normal(0, 0.2, 12), 0, 1)
    found, value = intervals.metric_intervals(table(truth, guess)), classification(truth, guess)
    for name in METRICS:
        assert found[name][0] <= value[name] <= found[name][1], name


@pytest.mark.parametrize("people", [1, 2, 7, 8])
def test_intervals_of_few_participants(people):
    found = intervals.metric_intervals(table(np.arange(people) % 2, np.linspace(0.2, 0.9, people)), resamples=200)
    assert np.isnan(found["accuracy"]).all() if people == 1 else found["accuracy"][0] <= found["accuracy"][1]


def test_nominal_95_per_cent_intervals_cover_about_95_per_cent():
    rng, inside = np.random.default_rng(0), 0
    for seed in range(100):
        truth = (rng.random(60) < 0.5).astype(float)
        guess = np.where(rng.random(60) < 0.7, truth, 1 - truth)            # true accuracy 0.7
        low, high = intervals.metric_intervals(table(truth, guess), seed=seed, resamples=300)["accuracy"]
        inside += low <= 0.7 <= high
    assert 88 <= inside <= 100


def swapped(truth, first, second):
    """Test of equal AUCs, from scores swapped at random within participants."""
    def gain(a, b, axis):
        return scores(truth, a)["roc_auc"] - scores(truth, b)["roc_auc"]

    return stats.permutation_test((first, second), gain, permutation_type="samples", vectorized=True, n_resamples=9999,
                                  batch=4000, rng=np.random.default_rng(0))


def test_delong_of_one_order_is_not_significant_and_agrees_with_a_permutation(sample):
    truth, guess = sample
    assert auc.delong(truth, guess, guess**2)["p"] == 1
    other = np.random.default_rng(5).permutation(guess)
    found, shuffled = auc.delong(truth, guess, other), swapped(truth, guess, other)
    assert found["difference"] == pytest.approx(shuffled.statistic)
    assert found["p"] < 0.01
    assert shuffled.pvalue < 0.01
    assert found["interval"][0] < found["difference"] < found["interval"][1]


@pytest.mark.parametrize("truth", [[1, 0, 0, 0], [1, 1, 1, 1]])
def test_delong_of_too_few_is_not_a_number(truth):
    found = auc.delong(truth, [0.9, 0.1, 0.2, 0.3], [0.2, 0.3, 0.4, 0.1])
    assert np.isnan(found["p"])
    assert np.isnan(found["auc_1"]) == (sum(truth) == 4)


def test_perfect_and_reversed_order_have_no_variance_to_test_with():
    found = auc.delong([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1])
    assert found["difference"] == 1
    assert np.isnan(found["z"])


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_an_accuracy_and_no_area(label):
    found = classification([label] * 3, [0.2, 0.6, 0.7])
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert {"balanced_accuracy", "gmean", "mcc", "kappa", "roc_auc"} <= undefined
    assert found["accuracy"] == pytest.approx(1 / 3 if label == 0 else 2 / 3)
    assert np.isfinite([found["brier"], found["calibration_error"]]).all()
    report = evaluate_classification(table([label] * 9, np.linspace(0, 1, 9)), 0.5)
    assert "roc_auc_interval" not in report
    assert report["accuracy_interval"][0] <= report["accuracy"]
    with pytest.raises(ValueError, match=f"all 3 rows are of class {label}; a ROC curve needs both"):
        curves.curves(table([label] * 3, [0.2, 0.6, 0.7]))


def test_one_row_can_be_evaluated():
    report = evaluate_classification(table([1], [0.8]), 0.5)
    assert report["accuracy"] == report["sensitivity"] == 1
    assert "accuracy_interval" not in report
    assert np.isnan(report["roc_auc"])


def test_constant_decisions_have_no_ppv_and_no_correlation():
    found = classification([0, 1, 0], [0.1, 0.2, 0.3])
    assert np.isnan(found["ppv"])
    assert found["mcc"] == found["kappa"] == found["f1"] == 0
    assert released_metrics([0, 1, 0], [0.1, 0.2, 0.3])["ppv"] == 0


@pytest.mark.parametrize(("truth", "guess", "said"), [
    ([], [], "non-empty"), ([1, 0], [0.5], "equal"), ([1, 2], [0.5, 0.5], "truth holds 2; expected 0"),
    ([1, 0], [0.5, np.nan], "1 of 2 predictions are not probabilities"), ([1, 0], [3.0, -2.0], "give the sigmoid of the")])
def test_what_cannot_be_scored_is_refused(truth, guess, said):
    with pytest.raises(ValueError, match=said):
        classification(truth, guess)


def test_probabilities_are_averaged_over_the_recordings_of_a_participant():
    rows = table([1, 1, 0, 0, 1], [0.9, 0.5, 0.2, 0.4, 0.8], ["a", "a", "b", "c", "c"])
    people = probabilities_by_participant(rows)
    assert people[["participant", "y_true"]].to_numpy().tolist() == [["a", 1], ["b", 0], ["c", 0], ["c", 1]]
    np.testing.assert_allclose(people["y_pred"], [0.7, 0.2, 0.4, 0.8])
    with pytest.raises(ValueError, match="1 of 2 predictions are not probabilities"):      # a mean would skip it
        probabilities_by_participant(table([1, 1], [0.9, np.nan], ["a", "a"]))


def test_curves_start_and_end_where_they_must_and_have_bands(sample):
    found = curves.curves(table(*sample), resamples=300)
    roc, pr, calibration = found["roc"], found["precision_recall"], found["calibration"]
    assert roc[["fpr", "tpr"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert pr.iloc[0][["recall", "precision"]].tolist() == [0, 1]
    assert pr["recall"].is_monotonic_increasing
    for points, value in ((roc, "tpr"), (pr, "precision")):
        assert (points["low"] <= points["high"]).all()
        assert ((points["low"] <= points[value]) & (points[value] <= points["high"])).mean() > 0.8
    assert calibration["rows"].sum() == 60
    assert ((calibration["low"] <= calibration["observed"]) & (calibration["observed"] <= calibration["high"])).all()


def test_confusion_counts_rows_by_truth():
    found = confusion([0, 0, 0, 1, 1], [0.1, 0.6, 0.2, 0.5, 0.9])
    assert found.to_numpy().tolist() == [[2, 1], [0, 2]]
    assert found.index.tolist() == found.columns.tolist() == ["control", "depressed"]


def test_a_report_stands_beside_the_majority_predictor(sample):
    rows = table(*(np.repeat(a, 2) for a in sample), np.repeat(np.arange(60), 2))
    report = evaluate_classification(rows, 0.6)
    truth, guess = sample
    assert report["participants"] == 60
    assert report["recordings"] == 120
    assert report["majority_predictor"]["accuracy"] == pytest.approx(truth.mean())
    assert report["majority_predictor"]["roc_auc"] == 0.5
    assert report["improvement"] == pytest.approx(1 - np.mean((guess - truth) ** 2) / np.mean((0.6 - truth) ** 2))
    assert report["improvement_interval"][0] < report["improvement"] < report["improvement_interval"][1]
    assert report["improvement_p"] < 0.01
    assert sum(report["confusion"].values()) == 60
    assert report["roc_auc_interval"][0] < report["roc_auc"] < report["roc_auc_interval"][1]
    assert report["per_recording"]["accuracy"] == report["accuracy"]
    assert set(released_intervals(rows)) == {RELEASED[name] for name in RELEASED_INTERVALS}
    assert repr(evaluate_classification(rows, 0.6)) == repr(report)
    json.dumps(runs.without_nan(report), allow_nan=False)


@pytest.mark.parametrize("prevalence", [0, 1, float("nan")])
def test_a_prevalence_that_no_training_has_is_refused(sample, prevalence):
    with pytest.raises(ValueError, match="expected the share of class 1 in training"):
        evaluate_classification(table(*sample), prevalence)


def test_nothing_warns(sample):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_classification(table(*sample), 0.4)
        evaluate_classification(table([0, 1, 1], [0.5, 0.5, 0.5]), 0.4)
