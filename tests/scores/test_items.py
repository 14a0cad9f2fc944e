"""Windows to people, and the authors' own arithmetic on their golden case."""

import json

import numpy as np
import pandas as pd
import pytest

from depnb.papers.released.aafn import as_released, released_metrics
from depnb.scores import report
from depnb.scores.items import (
    ITEMS,
    epoch_choices,
    items_by_participant,
    totals_by_person,
    window_table,
)
from tests.paths import GOLDEN


@pytest.fixture(scope="module")
def released():
    case = json.loads((GOLDEN / "aafn_evaluation_a.json").read_text())
    clips = pd.DataFrame(case["clips"])
    items = np.stack(clips["predicted_bins"]) * case["num_classes"] // case["classes_resolution"]
    return clips.assign(y_true=clips["phq_score"], y_pred=items.sum(1)), case["expected"]


@pytest.mark.parametrize(("who", "gender"), [("", None), ("_female", 0), ("_male", 1)])
def test_released_metrics_are_the_authors(released, who, gender):
    clips, expected = released
    clips = clips if gender is None else clips[clips["gender"] == gender]
    people = as_released(clips)
    for measures, level in ((released_metrics(clips["y_true"], clips["y_pred"]), "clip_level"), (
        released_metrics(people["y_true"], people["y_pred"], people["decision"]),
        "participant_level")):
        wanted = expected[level + who]
        assert {"accuracy", "f1"} <= wanted.keys()
        for name in measures.keys() & wanted.keys():
            assert measures[name] == pytest.approx(wanted[name], abs=1e-12), (level, name)
        if "spearman_six_decimals" in wanted:
            assert measures["spearman"] == pytest.approx(wanted["spearman_six_decimals"], abs=1e-6)


def test_people_are_decided_by_vote_and_their_scores_cut_as_released(released):
    clips, expected = released
    people, wanted = as_released(clips), expected["participants"]
    assert people["participant"].tolist() == wanted["ids"]
    assert people["decision"].astype(int).tolist() == wanted["binary_prediction"]
    assert people["y_pred"].tolist() == wanted["score_prediction_truncated"]


def test_released_metrics_of_one_class_are_undefined_where_the_script_stops():
    measures = released_metrics([1, 2, 3], [4, 4, 4])
    assert np.isnan([measures["sensitivity"], measures["precision"], measures["spearman"]]).all()
    assert measures["accuracy"] == 1


@pytest.fixture
def cohort():
    """24 participants with two windows each, predictions near the truth; items of the last eight
    are not known.
    """
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, (24, 8))
    windows = pd.DataFrame({"participant": np.repeat([f"p{i:02d}" for i in range(24)], 2), "start":
                            [0, 1500] * 24, "split": "test", "y_true": true.sum(1).repeat(2)})
    windows["session"] = windows["participant"]
    for i, name in enumerate(ITEMS):
        windows[f"phq8_{name}"] = np.where(np.arange(48) < 32, true[:, i].repeat(2), np.nan)
    predicted = np.clip(true.repeat(2, 0) + rng.normal(0, 0.3, (48, 8)), 0, 3)
    known = pd.DataFrame(true, [f"p{i:02d}" for i in range(24)], [f"phq8_{name}" for name in ITEMS])
    return windows, predicted, known


def test_total_is_the_sum_of_items_and_people_are_means_of_windows(cohort):
    windows, predicted, _ = cohort
    table = window_table(windows, predicted)
    assert np.allclose(table["y_pred"], predicted.sum(1))
    people = items_by_participant(table)
    assert len(people) == 24
    assert (people["windows"] == 2).all()
    assert people["pred_sleep"].iloc[3] == pytest.approx(
        predicted[6:8, ITEMS.index("sleep")].mean())


def test_items_that_the_corpus_lacks_come_from_the_planted_truth(cohort):
    windows, predicted, known = cohort
    assert window_table(windows, predicted)["true_tired"].isna().sum() == 16
    filled = window_table(windows, predicted, known)
    assert filled["true_tired"].notna().all()
    assert (filled[[f"true_{name}" for name in ITEMS]].sum(axis=1) == filled["y_true"]).all()


def test_good_predictions_beat_constants_and_bad_ones_do_not(cohort):
    windows, predicted, known = cohort
    table = window_table(windows, predicted, known)
    train = items_by_participant(table)
    told = report.items(table, "window", train)
    good, constant = told["by_participant"], told["constant"]["by_participant"]
    assert good["improvement"] > 0.5
    assert good["roc_auc"] > 0.9
    assert good["roc_auc_interval"][0] <= good["roc_auc"] <= good["roc_auc_interval"][1]
    assert set(good["items"]) == set(ITEMS)
    assert all(item["mae"] < constant["items"][name]["mae"] for name, item in good["items"].items())
    assert told["by_unit"]["units"] == 48
    shuffled = window_table(windows, predicted[::-1], known)
    assert report.items(shuffled, "window", train)["by_participant"]["improvement"] < 0.2


def test_always_the_same_answer_has_chance_auc_and_no_gain(cohort):
    windows, _, known = cohort
    table = window_table(windows, np.ones((48, 8)), known)
    told = report.items(table, "window", items_by_participant(table))
    assert told["by_participant"]["roc_auc"] == 0.5
    assert told["constant"]["by_participant"]["sensitivity"] == 0


def test_totals_by_person_are_means_of_their_windows(cohort):
    windows, predicted, _ = cohort
    errors = totals_by_person(windows, predicted.sum(1))
    people = items_by_participant(window_table(windows, predicted))
    assert errors["mae"] == pytest.approx((people["y_true"] - people["y_pred"]).abs().mean())


@pytest.fixture
def history():
    return pd.DataFrame(
        {"epoch": range(4), "val_mae": [5.0, 4.0, 3.0, 6.0],
         "val_test_accuracy": [0.5, 0.9, 0.6, 0.7], "val_test_f1": [0.1, 0.2, 0.3, np.nan],
         "val_test_mae": [6.0, 5.0, 4.0, 7.0], "val_test_auc": [0.9, 0.4, 0.5, 0.6]})


def test_each_rule_reports_its_own_epoch(history):
    choices = epoch_choices(history)
    assert {rule: row.get("epoch") for rule, row in choices.items()} == {
        "lowest validation error": 2, "best accuracy on test": 1, "best F1 on test": 2,
        "best AUC on test": 0, "last epoch": 3, "mean of all epochs": None}
    assert choices["best accuracy on test"]["test_accuracy"] == 0.9
    assert choices["mean of all epochs"]["test_accuracy"] == pytest.approx(0.675)


def test_without_validation_participants_only_the_test_set_can_choose(history):
    assert "lowest validation error" not in epoch_choices(history.drop(columns="val_mae"))
    assert "best F1 on test" not in epoch_choices(history.assign(val_test_f1=np.nan))
