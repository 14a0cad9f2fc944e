"""What the authors' logs of AAFN say, as the chapter tells it."""

import pandas as pd
import pytest

from depnb.book import published_logs as logs
from tests.paths import ROOT


def test_an_epoch_stands_beside_its_neighbours_and_the_mean_of_all_others():
    told = logs.best_epoch(pd.Series([70.0, 60, 82, 71, 75]))
    assert (told["kept epoch"], told["its accuracy, %"]) == (2, 82)
    assert (told["epoch before"], told["epoch after"], told["second best"]) == (60, 71, 75)
    assert told["mean of the others"] == (70 + 60 + 71 + 75) / 4
    assert told["never depressed"] == pytest.approx(100 * 356 / 490)


def test_accuracies_are_of_one_training_and_one_part():
    table = pd.read_csv(ROOT / "book/data/aafn_logs/epochs.csv")
    for part in ("train", "test"):
        rows = table[(table["model"] == logs.MAIN) & (table["split"] == part)]
        assert logs.accuracies(split=part).tolist() == rows["accuracy_percent"].tolist()
    assert len(logs.accuracies()) == 300


def test_measures_follow_from_the_counts_and_agree_with_what_the_log_prints():
    printed = pd.read_csv(ROOT / "book/data/aafn_logs/participants.csv").set_index(
        ["level", "model", "group"]).loc[("participant", logs.MAIN, "all")]
    row = logs.counted("participant", logs.MAIN)
    assert row["right"] == 40
    assert (row["precision"], row["F1"], 100 * row["accuracy"]) == pytest.approx(
        (printed["precision"], printed["f1"], printed["accuracy_percent"]), abs=5e-3)


def test_who_never_says_depressed_stands_beside_every_group():
    table = logs.counts()
    never = table[table["model"] == "constant: never depressed"]
    assert len(never) == len(table.drop_duplicates(["level", "group"])) == 6
    assert (never["right"] == never["count"] - never["depressed"]).all()
    assert (never["F1"] == 0).all()


def test_every_training_is_told_by_its_best_middle_and_last_epoch():
    table = logs.models().data
    own = logs.accuracies("audio visual text, median")
    row = table.loc["audio visual text, median"]
    assert (row["best epoch, %"], row["which"], row["epochs"]) == (own.max(), own.idxmax(),
                                                                   len(own))
    assert (row["median epoch, %"], row["last epoch, %"]) == (own.median(), own.iloc[-1])
    assert table["best epoch, %"].is_monotonic_decreasing


def test_the_headline_says_where_the_three_numbers_stand():
    sentence = logs.headline_in_words()
    for part in ("40 of 47 right", "8 of 9 positive", "precision of 0.8889", "F1 of 0.6957",
                 "by 5.0426 by participant and by 5.0224 by window", "MAE 4.9163",
                 "*audio visual, attention* 16, 115", "Of the 500 epochs", "attention 0 have it"):
        assert part in sentence
    assert set(logs.headline().data["by"]) == {"participant", "window"}


def test_women_and_men_are_those_of_the_logs():
    styled = logs.by_gender()
    assert "24 women, 7 depressed; 23 men, 7 depressed" in styled.caption
    assert styled.data.loc[logs.MAIN, ("women", "right")] == 21
    assert styled.data.loc[logs.MAIN, ("men", "right")] == 19


def test_what_other_pages_quote_are_plain_numbers():
    numbers = logs.numbers()
    assert all(type(value) is float for value in numbers.values())
    assert (numbers["right"], numbers["count"], numbers["never"]) == (40, 47, 33)
