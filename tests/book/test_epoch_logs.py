"""The logs of a fork: read as they are, counted by epoch."""

import pandas as pd
import pytest

from depnb.book import epoch_logs
from tests.paths import ROOT


def test_published_logs_are_read_with_and_without_header():
    logs = epoch_logs.read(ROOT / epoch_logs.FOLDER)
    assert len(logs) == 8
    assert all(len(log) == 200 for log in logs.values())
    # reference: best 7.55 at epoch 198
    assert logs["tanet"]["mae"].min() == pytest.approx(7.55, abs=0.005)
    assert logs["tanet"]["mae"].idxmin() == 198
    assert (logs["stanet_af"]["mae"] >= epoch_logs.CONSTANT).sum() == 198


def test_a_folder_without_logs_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no CSV file\. Expected logs of epoch"):
        epoch_logs.read(tmp_path)


def test_each_variant_and_rate_of_the_fork_has_its_log():
    logs = epoch_logs.of_fork()
    assert list(logs)[:2] == ["temporal, rate 0.005", "temporal, rate 0.001"]
    assert len({log["mae"].sum() for log in logs.values()}) == len(logs) == 8
    # the sentence of the chapter: the main variant is the worst at one rate, second best at other
    best = {name: log["mae"].min() for name, log in logs.items()}
    rates = {rate: sorted(v for name, v in best.items() if name.endswith(rate))
             for rate in ("0.005", "0.001")}
    assert best["attention fusion, rate 0.005"] == rates["0.005"][-1]
    assert best["attention fusion, rate 0.001"] == rates["0.001"][1]


def test_the_table_counts_epochs_that_a_constant_equals():
    log = pd.DataFrame({"mae": [9.0, 10.3, 12.0]}, index=pd.Index([1, 2, 3], name="epoch"))
    row, = epoch_logs.table({"one": log}, 10.3).to_dict("records")
    assert row == {"log": "one", "best MAE": 9.0, "at epoch": 1, "median MAE": 10.3,
                   "epochs no better than a constant": 2, "of": 3}
