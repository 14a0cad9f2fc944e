"""Scores of weights, twins and rows that are right when these are."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from depnb.scores import modalities

MODALITIES = ("visual", "audio")


def test_weights_that_notice_score_one_and_random_ones_chance():
    degraded = ["visual"] * 10 + ["audio"] * 10 + [None] * 200
    right = np.ones((220, 2))
    right[:10, 0] = right[10:20, 1] = 0
    noticed = modalities.notices(right, degraded, MODALITIES)
    assert noticed["auc"].tolist() == [1, 1]
    assert noticed["degraded sessions"].tolist() == [10, 10]
    assert (noticed["p"] < 0.001).all()
    random = modalities.notices(np.random.default_rng(0).random((220, 2)), degraded, MODALITIES)
    assert random["auc"].between(0.25, 0.75).all()
    assert modalities.notices(right[20:], degraded[20:], MODALITIES)["auc"].isna().all()


def test_twins_in_order_are_counted():
    low = np.array([0.0, 1, 2, 3])
    response = modalities.twin_response(low, low + np.array([1, -1, 1, 0]))
    assert response["share"] == 0.625                           # a tie counts half
    assert response["shift"] == pytest.approx(0.25 / low.std())
    shifts = np.array([1, -1, 1, 0]) / low.std()
    assert response["shift_interval"] == pytest.approx(
        ttest_1samp(shifts, 0).confidence_interval(0.95))
    assert np.isnan(modalities.twin_response(np.ones(3), np.ones(3))["shift"])


def test_rows_are_told_apart_within_their_own_session():
    inside = [np.array([True, False, False]), np.array([False, True, False]), np.zeros(3, bool)]
    assert modalities.row_score([np.array([9.0, 8, 7]), np.array([0.1, 0.3, 0.2]), np.ones(3)],
                                inside) == (1.0, 2)
    mean, count = modalities.row_score([np.zeros(3)], [np.zeros(3, bool)])
    assert np.isnan(mean)
    assert count == 0
