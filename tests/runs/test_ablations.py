"""Runs beside each other."""

from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from depnb import runs
from depnb.files import located
from depnb.runs import ablations


@pytest.fixture
def finished(monkeypatch):
    """Some runs of DynMultiDep as if they were finished: name -> run whose metrics are its name."""
    names = ("quick", "seed-1", "long", "female")
    made = {name: SimpleNamespace(metrics=name) for name in names}
    monkeypatch.setattr(ablations, "finished", lambda paper: made)
    return made


def beside(tmp_path, name, *groups):
    run = SimpleNamespace(paper="dynmultidep", folder=tmp_path / name, metrics="own")
    return runs.beside(run, *groups)


def test_this_run_comes_first_and_the_others_of_a_group_by_their_short_names(finished, tmp_path):
    assert list(beside(tmp_path, "mine", "seeds", "experts").items()) == [
        ("this run", "own"), ("seed 0", "quick"), ("seed 1", "seed-1"), ("long alone", "long")]


def test_a_listed_run_does_not_stand_beside_itself(finished, tmp_path):
    assert list(beside(tmp_path, "quick", "seeds")) == ["this run", "seed 1"]


def test_without_a_short_name_it_is_its_label(finished, tmp_path):
    listed = yaml.safe_load(located("params/dynmultidep/ablations.yaml").read_text())["runs"]
    assert list(beside(tmp_path, "mine", "gender")) == ["this run", listed["female"]["label"]]


@pytest.mark.parametrize(("lows", "reached"), [
    ((0.40, 0.45, 0.52), True), ((0.52, 0.53, 0.51), False), ((0.40, 0.40, 0.40), True)])
def test_runs_on_one_null_corpus_are_one_chance_to_miss_one_half(lows, reached):
    """Each interval held to 0.5 by itself: in about 22 % of correct books one chapter failed."""
    table = pd.DataFrame({"group": "null", "value": [low + 0.1 for low in lows], "low": lows,
                          "high": [low + 0.2 for low in lows]})
    told = ablations.summarise(table, {"null": {"about": "Null", "inside": 0.5}}, "roc_auc")
    sentence = told["null"]["sentence"]
    assert sentence.endswith("not reached.") != reached
    assert f"0.5 inside the mean interval, {sum(lows) / 3:.2f} to" in sentence
