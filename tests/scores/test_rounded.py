"""Numbers and intervals as a page shows them."""

import pytest

from depnb.scores import rounded


@pytest.mark.parametrize(("arguments", "words"), [
    ((0.714, 0.6, 0.8), "0.71 (0.60 to 0.80)"), ((0.714,), "0.71"), ((None, None, None), "–"),
    ((0.5, float("nan"), float("nan")), "0.50"), ((0.5, None, 0.7), "0.50"),
    ((-0.001, -0.002, 0.004), "0.00 (0.00 to 0.00)"), ((12.4, 3.2, 20.6, 0), "12 (3 to 21)"),
    ((0.051, -0.004, 0.1, 2, "+"), "+0.05 (+0.00 to +0.10)")])
def test_a_value_stands_before_its_interval_where_there_is_one(arguments, words):
    assert rounded.estimate(*arguments) == words


def test_an_interval_alone_and_one_that_is_not_known():
    assert rounded.interval(0.1, 0.25, 1) == "0.1 to 0.2"
    assert rounded.interval(None, 0.2) == "–"


def test_an_entry_of_a_report_has_its_interval_if_that_is_there():
    report = {"mae": 5.126, "mae_interval": [4.0, 6.0], "rmse": 7.0, "ccc": None}
    assert [rounded.entry(report, name) for name in ("mae", "rmse", "ccc", "pearson")] == [
        "5.13 (4.00 to 6.00)", "7.00", "–", "–"]
