"""Classification: metrics against scikit-learn and the authors' code, intervals against SciPy and
theory, edges.
"""

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
from depnb.scores import auc, curves, report
from depnb.scores.metrics import METRICS, classification, confusion, roc_auc, scores
from depnb.scores.report import probabilities_by_participant


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
    return pd.DataFrame({"participant": participants, "session": np.arange(len(truth)),
                         "split": "test", "y_true": truth, "y_pred": guess})


def scikit_learns(truth, guess, weight=None):
    decided, w = guess >= 0.5, {"sample_weight": weight}
    precision, recall, _ = library.precision_recall_curve(truth, guess, **w)
    sensitivity, specificity = (library.recall_score(truth, decided, pos_label=label, **w)
                                for label in (1, 0))
    return {
        "accuracy": library.accuracy_score(truth, decided, **w),
        "balanced_accuracy": library.balanced_accuracy_score(truth, decided, **w),
        "sensitivity": sensitivity, "specificity": specificity,
        "ppv": library.precision_score(truth, decided, **w),
        "npv": library.precision_score(truth, decided, pos_label=0, **w),
        "f1": library.f1_score(truth, decided, **w), "gmean": np.sqrt(sensitivity * specificity),
        "mcc": library.matthews_corrcoef(truth, decided, **w),
        "kappa": library.cohen_kappa_score(truth, decided, **w),
        "roc_auc": library.roc_auc_score(truth, guess, **w), "aupr": library.auc(recall, precision),
        "average_precision": library.average_precision_score(truth, guess, **w),
        "brier": library.brier_score_loss(truth, guess, **w)}


def test_metrics_are_scikit_learns(sample):
    measures = classification(*sample)
    assert tuple(measures) == METRICS
    expected = scikit_learns(*sample)
    assert {k: v for k, v in measures.items() if k in expected} == pytest.approx(expected)


def test_many_weighted_samples_at_once_equal_one_at_a_time(sample):
    weights = np.random.default_rng(1).integers(0, 4, (5, 60))
    measures = scores(*sample, weight=weights)
    for i, weight in enumerate(weights):
        expected = scikit_learns(*sample, weight)
        assert {k: v[i] for k, v in measures.items() if k in expected} == pytest.approx(expected)
        repeated = classification(*(np.repeat(a, weight) for a in sample))
        assert {k: v[i] for k, v in measures.items()} == pytest.approx(repeated)


def test_the_area_of_many_samples_with_ties_is_scikit_learns():
    rng = np.random.default_rng(0)
    y, guess = rng.random(40) < 0.4, rng.integers(0, 6, (20, 40)).astype(float)
    np.testing.assert_allclose(roc_auc(y, guess), [library.roc_auc_score(y, g) for g in guess])


def test_calibration_error_by_hand():
    measures = classification([0, 1, 1, 0], [0.1, 0.15, 0.9, 1.0])
    assert measures["calibration_error"] == pytest.approx(
        (2 * abs(0.125 - 0.5) + 2 * abs(0.95 - 0.5)) / 4)
    assert classification([0, 1], [0.0, 1.0])["calibration_error"] == 0


def test_metrics_are_the_authors(authors):
    measures = released_metrics(authors["input/y_true"], authors["input/y_prob"])
    expected = {k.removeprefix("output/metric/"): float(v) for k, v in authors.items()
                if k.startswith("output/metric/")}
    assert measures == pytest.approx(expected, abs=1e-5)


def test_resamples_and_intervals_are_the_authors(authors):
    values_by_name = released_bootstrap(authors["input/y_true"], authors["input/y_prob"])
    assert set(values_by_name) == {k.removeprefix("output/ci/") for k in authors
                                   if k.startswith("output/ci/")}
    for name, (value, resampled) in values_by_name.items():
        np.testing.assert_allclose(resampled, authors[f"output/bootstrap/{name}"], atol=1e-5)
        np.testing.assert_allclose([value, *released_interval(value, resampled)],
                                   authors[f"output/ci/{name}"], atol=1e-5)


def test_delong_is_the_authors(authors):
    delong = auc.delong(authors["input/y_true"], authors["input/y_prob"], authors["input/y_prob_2"])
    for name in ("z", "p", "auc_1", "auc_2"):
        assert delong[name] == pytest.approx(float(authors[f"output/delong/{name}"]), abs=1e-5)


def test_tables_are_the_authors(authors):
    both = [table(authors["input/y_true"], authors[f"input/{name}"])
            for name in ("y_prob", "y_prob_2")]
    metrics, meanstd = released_tables({"test": both, "validation": both[:1]})
    assert metrics[["split", "run"]].to_numpy().tolist() == [["test", 0], ["test", 1],
                                                             ["validation", 0]]
    for key in [k for k in authors if k.startswith("output/mean_std/")]:
        assert meanstd.loc[0, key.removeprefix("output/mean_std/")] == pytest.approx(
            float(authors[key]), abs=1e-5), key
    # one run: always 0, as theirs
    assert (meanstd.loc[1, [f"{name}_std" for name in RELEASED]] == 0).all()


def test_roc_points_are_the_authors(authors):
    roc = curves.curves(table(authors["input/y_true"], authors["input/y_prob"]),
                        resamples=20)["roc"]
    np.testing.assert_allclose(roc[["fpr", "tpr"]],
                               np.stack([authors["output/roc/fpr"], authors["output/roc/tpr"]], 1),
                               atol=1e-6)


def test_the_released_interval_of_an_unbiased_bootstrap_is_lopsided():
    resampled = np.linspace(-1, 1, 1001)
    np.testing.assert_allclose(released_interval(0.0, resampled), [2 * 0.1685 - 1, 2 * 0.9985 - 1],
                               atol=0.002)


def swapped(truth, first, second):
    """Test of equal AUCs, from scores swapped at random within participants."""
    def gain(a, b, axis):
        return scores(truth, a)["roc_auc"] - scores(truth, b)["roc_auc"]

    return stats.permutation_test((first, second), gain, permutation_type="samples",
                                  vectorized=True, n_resamples=9999, batch=4000,
                                  rng=np.random.default_rng(0))


def test_delong_of_one_order_is_not_significant_and_agrees_with_a_permutation(sample):
    truth, guess = sample
    assert auc.delong(truth, guess, guess**2)["p"] == 1
    other = np.random.default_rng(5).permutation(guess)
    delong, shuffled = auc.delong(truth, guess, other), swapped(truth, guess, other)
    assert delong["difference"] == pytest.approx(shuffled.statistic)
    assert delong["p"] < 0.01
    assert shuffled.pvalue < 0.01
    assert delong["interval"][0] < delong["difference"] < delong["interval"][1]


@pytest.mark.parametrize("truth", [[1, 0, 0, 0], [1, 1, 1, 1]])
def test_delong_of_too_few_is_not_a_number(truth):
    delong = auc.delong(truth, [0.9, 0.1, 0.2, 0.3], [0.2, 0.3, 0.4, 0.1])
    assert np.isnan(delong["p"])
    assert np.isnan(delong["auc_1"]) == (sum(truth) == 4)


def test_perfect_and_reversed_order_have_no_variance_to_test_with():
    delong = auc.delong([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1])
    assert delong["difference"] == 1
    assert np.isnan(delong["z"])


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_an_accuracy_and_no_area(label):
    measures = classification([label] * 3, [0.2, 0.6, 0.7])
    undefined = {name for name, value in measures.items() if np.isnan(value)}
    assert {"balanced_accuracy", "gmean", "mcc", "kappa", "roc_auc"} <= undefined
    assert measures["accuracy"] == pytest.approx(1 / 3 if label == 0 else 2 / 3)
    assert np.isfinite([measures["brier"], measures["calibration_error"]]).all()
    people = report.binary(table([label] * 9, np.linspace(0, 1, 9)), "recording",
                           0.5)["by_participant"]
    assert "roc_auc_interval" not in people
    assert people["accuracy_interval"][0] <= people["accuracy"]
    with pytest.raises(ValueError, match=f"all 3 rows are of class {label}; "
                       "a ROC curve needs both"):
        curves.curves(table([label] * 3, [0.2, 0.6, 0.7]))


def test_one_row_can_be_evaluated():
    people = report.binary(table([1], [0.8]), "recording", 0.5)["by_participant"]
    assert people["accuracy"] == people["sensitivity"] == 1
    assert "accuracy_interval" not in people
    assert np.isnan(people["roc_auc"])


def test_constant_decisions_have_no_ppv_and_no_correlation():
    measures = classification([0, 1, 0], [0.1, 0.2, 0.3])
    assert np.isnan(measures["ppv"])
    assert measures["mcc"] == measures["kappa"] == measures["f1"] == 0
    assert released_metrics([0, 1, 0], [0.1, 0.2, 0.3])["ppv"] == 0


@pytest.mark.parametrize(("truth", "guess", "message"),
                         [([], [], "non-empty"), ([1, 0], [0.5], "equal"),
                          ([1, 2], [0.5, 0.5], "truth holds 2; expected 0"),
                          ([1, 0], [0.5, np.nan], "1 of 2 predictions are not probabilities"),
                          ([1, 0], [3.0, -2.0], "give the sigmoid of the")])
def test_what_cannot_be_scored_is_refused(truth, guess, message):
    with pytest.raises(ValueError, match=message):
        classification(truth, guess)


def test_probabilities_are_averaged_over_the_recordings_of_a_participant():
    rows = table([1, 1, 0, 0, 1], [0.9, 0.5, 0.2, 0.4, 0.8], ["a", "a", "b", "c", "c"])
    people = probabilities_by_participant(rows)
    assert people[["participant", "y_true"]].to_numpy().tolist() == [["a", 1], ["b", 0], ["c", 0],
                                                                     ["c", 1]]
    np.testing.assert_allclose(people["y_pred"], [0.7, 0.2, 0.4, 0.8])
    # a mean would skip it
    with pytest.raises(ValueError, match="1 of 2 predictions are not probabilities"):
        probabilities_by_participant(table([1, 1], [0.9, np.nan], ["a", "a"]))


def test_curves_start_and_end_where_they_must_and_have_bands(sample):
    curves_by_name = curves.curves(table(*sample), resamples=300)
    roc, pr, calibration = (curves_by_name["roc"], curves_by_name["precision_recall"],
                            curves_by_name["calibration"])
    assert roc[["fpr", "tpr"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert pr.iloc[0][["recall", "precision"]].tolist() == [0, 1]
    assert pr["recall"].is_monotonic_increasing
    for points, value in ((roc, "tpr"), (pr, "precision")):
        assert (points["low"] <= points["high"]).all()
        assert ((points["low"] <= points[value]) & (points[value] <= points["high"])).mean() > 0.8
    assert calibration["rows"].sum() == 60
    assert ((calibration["low"] <= calibration["observed"])
            & (calibration["observed"] <= calibration["high"])).all()


def test_confusion_counts_rows_by_truth():
    counts = confusion([0, 0, 0, 1, 1], [0.1, 0.6, 0.2, 0.5, 0.9])
    assert counts.to_numpy().tolist() == [[2, 1], [0, 2]]
    assert counts.index.tolist() == counts.columns.tolist() == ["control", "depressed"]


def test_a_report_stands_beside_the_majority_predictor(sample):
    rows = table(*(np.repeat(a, 2) for a in sample), np.repeat(np.arange(60), 2))
    told = report.binary(rows, "recording", 0.6)
    (truth, guess), people, constant = sample, told["by_participant"], told["constant"]
    assert people["participants"] == 60
    assert told["by_unit"]["units"] == 120
    assert constant["by_participant"]["accuracy"] == pytest.approx(truth.mean())
    assert constant["by_participant"]["roc_auc"] == constant["by_unit"]["roc_auc"] == 0.5
    assert people["improvement"] == pytest.approx(1 - np.mean((guess - truth) ** 2)
                                                  / np.mean((0.6 - truth) ** 2))
    assert (people["improvement_interval"][0] < people["improvement"]
            < people["improvement_interval"][1])
    assert people["improvement_p"] < 0.01
    assert sum(people["confusion"].values()) == 60
    assert people["roc_auc_interval"][0] < people["roc_auc"] < people["roc_auc_interval"][1]
    assert told["by_unit"]["accuracy"] == people["accuracy"]
    assert set(released_intervals(rows)) == {RELEASED[name] for name in RELEASED_INTERVALS}
    assert repr(report.binary(rows, "recording", 0.6)) == repr(told)
    json.dumps(runs.without_nan(told), allow_nan=False)


@pytest.mark.parametrize("prevalence", [0, 1, float("nan")])
def test_a_prevalence_that_no_training_has_is_refused(sample, prevalence):
    with pytest.raises(ValueError, match="expected the share of class 1 in training"):
        report.binary(table(*sample), "recording", prevalence)


def test_nothing_warns(sample):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report.binary(table(*sample), "recording", 0.4)
        report.binary(table([0, 1, 1], [0.5, 0.5, 0.5]), "recording", 0.4)
