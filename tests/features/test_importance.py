"""Feature weights: which importance goes onto which column, and importances that are learnt."""

import numpy as np
import pandas as pd
import pytest

from depnb.features import importance
from depnb.features.importance import (
    ALIGNMENTS,
    feature_weights,
    learn_importances,
    list_order,
    read_importances,
)

COLUMNS = ["pitch", "jitter", "loudness"]
PUBLISHED = {"loudness": 0.6, "pitch": 0.3, "jitter": 0.1}
LEARNT = {"jitter": 0.7, "loudness": 0.2, "pitch": 0.1}


@pytest.mark.parametrize(("alignment", "expected"),
                         [("as_released", [0.6, 0.3, 0.1]), ("by_name", [0.3, 0.1, 0.6]),
                          ("columns_by_list", [0.3, 0.1, 0.6]),
                          ("learnt_on_train", [0.1, 0.7, 0.2]), ("none", [1, 1, 1])])
def test_each_alignment(alignment, expected):
    weights = feature_weights(alignment, COLUMNS, LEARNT, pd.Series(PUBLISHED))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected)


def test_without_the_published_list_the_learnt_one_takes_its_place():
    np.testing.assert_allclose(feature_weights("as_released", COLUMNS, LEARNT), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(feature_weights("by_name", COLUMNS, LEARNT), [0.1, 0.7, 0.2])


@pytest.mark.parametrize("alignment",
                         [a for a in ALIGNMENTS if a not in ("columns_by_list", "none")])
def test_a_missing_list_is_an_error(alignment):
    with pytest.raises(ValueError, match=f"'{alignment}' needs importances"):
        feature_weights(alignment, COLUMNS,
                        published=PUBLISHED if alignment == "learnt_on_train" else None)


def test_columns_by_list_needs_the_authors_list_a_learnt_one_will_not_do():
    with pytest.raises(ValueError, match="'columns_by_list' needs the authors' list, "
                       "whose order it means; give their"):
        feature_weights("columns_by_list", COLUMNS, LEARNT)


def test_in_the_order_of_the_list_every_weight_of_it_meets_its_own_column():
    # by importance, however the file is sorted
    order = list_order(COLUMNS, dict(reversed(PUBLISHED.items())))
    assert [COLUMNS[i] for i in order] == ["loudness", "pitch", "jitter"]
    weights = feature_weights("columns_by_list", COLUMNS, published=PUBLISHED)
    np.testing.assert_allclose(weights[order], sorted(PUBLISHED.values(), reverse=True))
    with pytest.raises(ValueError, match="3 importances for 2 columns"):
        list_order(COLUMNS[:2], PUBLISHED)


@pytest.mark.parametrize(("columns", "message"), [
    (COLUMNS[:2], r"3 importances for 2 columns, 1 names without a partner \(first: loudness\)"),
    (["pitch", "jitter", "energy"], r"2 names without a partner \(first: energy\)"),
    (COLUMNS + ["pitch"], "a repeated column")])
def test_names_must_be_those_of_the_columns(columns, message):
    with pytest.raises(ValueError, match=message):
        feature_weights("by_name", columns, PUBLISHED)


def test_an_unknown_alignment_is_refused():
    with pytest.raises(ValueError, match="alignment 'position': choose one of as_released"):
        feature_weights("position", COLUMNS, LEARNT)


def test_the_authors_table_is_read(tmp_path):
    file = tmp_path / "sorted_feature_importance.csv"
    file.write_text("\ufeff,importance\nloudness,0.6\npitch,0.3\njitter,0.1\n", encoding="utf-8")
    assert read_importances(file).to_dict() == PUBLISHED


@pytest.mark.parametrize("content", [b"", b"name\nloudness\n", b",importance\nloudness,much\n",
                                     b"\x89PNG\xff\xfe\x00"])
def test_what_is_no_table_of_importances_is_refused(tmp_path, content):
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"table\.csv: expected a CSV file"):
        read_importances(file)


def recordings(people=40, each=3):
    rng = np.random.default_rng(0)
    participants = np.repeat(np.arange(people), each)
    labels = (participants % 2).astype(int)
    table = pd.DataFrame(rng.normal(size=(len(labels), 3)), columns=COLUMNS)
    table["jitter"] += 2 * labels
    return table, labels, participants


def test_learnt_importances_find_the_feature_that_differs_and_repeat():
    learnt = learn_importances(*recordings(), trees=50)
    assert learnt.index[0] == "jitter"
    assert learnt.sum() == pytest.approx(1)
    assert learnt.is_monotonic_decreasing
    pd.testing.assert_series_equal(learnt, learn_importances(*recordings(), trees=50))


def test_participants_and_classes_count_the_same_however_many_recordings(monkeypatch):
    importances = {}

    class Recording(importance.RandomForestClassifier):
        def fit(self, values, labels, sample_weight):
            importances["weight"] = np.asarray(sample_weight)
            return super().fit(values, labels, sample_weight)

    monkeypatch.setattr(importance, "RandomForestClassifier", Recording)
    table, labels, participants = recordings(people=7, each=1)   # four of class 0, three of class 1
    rows = np.r_[np.arange(7), np.zeros(20, int)]
    learn_importances(table.iloc[rows], labels[rows], participants[rows], trees=2)
    share = np.bincount(participants[rows], importances["weight"])
    np.testing.assert_allclose(share, np.where(labels == 0, 1 / 4, 1 / 3))


@pytest.mark.parametrize(("change", "message"), [("label", "labels are of one class"),
                                                 ("nan", "feature pitch has a value")])
def test_what_nothing_can_be_learnt_from_is_refused(change, message):
    table, labels, participants = recordings(4, 1)
    if change == "nan":
        table.loc[1, "pitch"] = np.nan
    with pytest.raises(ValueError, match=message):
        learn_importances(table, labels * (change == "nan"), participants, trees=2)
