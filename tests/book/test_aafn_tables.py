"""Tables of the chapter on AAFN over runs that there are, and over none."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from depnb import runs
from depnb.book import aafn_tables as tables
from depnb.book import chapter


def run_of(effect=1.0, protocol="clean", best=0.8, area=0.7, robustness=()):
    choices = {"best accuracy on test": {"epoch": 3.0, "test_accuracy": best},
               "best AUC on test": {"epoch": 2.0, "test_auc": area},
               "mean of all epochs": {"test_accuracy": 0.6, "test_auc": 0.5}}
    return SimpleNamespace(
        metrics={"choices": choices, "robustness": list(robustness),
                 "test": {"constant": {"by_unit": {"accuracy": 0.7}}}},
        parameters={"simulated_effect": effect, "protocol": protocol})


def damage(undamaged, lost):
    return [{"modality": sense, "kind": kind, "strength": strength,
             "mae": undamaged + strength * lost}
            for sense in ("visual", "audio") for kind in ("noise", "missing")
            for strength in (0.0, 1.0)]


@pytest.fixture
def made(monkeypatch):
    """Finished runs, as a mapping to be filled."""
    finished = {}
    monkeypatch.setattr(runs, "finished", lambda paper: finished)
    return finished


def test_the_best_epoch_of_every_run_stands_beside_the_mean_one(made):
    made |= {"null-0": run_of(0.0, area=0.62), "quick": run_of(), "null-1": run_of(0.0, best=0.9),
             "aff": run_of(), "unlisted": run_of()}
    table = tables.best_of_all_epochs()
    assert table["run"].tolist() == ["sub-attention iAFF (default), seed 0",
                                     "null corpus, seed 0", "null corpus, seed 1"]
    assert table["corpus"].tolist() == ["effect 1", "null", "null"]
    assert table["gain"].tolist() == pytest.approx([20, 20, 30])
    assert "lifts accuracy by 25.0 points and AUC by 0.16 on average over 2 runs" in tables.luck(
        table).data


def test_without_runs_it_is_said_that_there_are_none(made):
    table = tables.best_of_all_epochs()
    assert table.empty
    assert {"corpus", "AUC, mean epoch", "AUC, best on test"} <= set(table)  # the figure asks these
    assert tables.luck(table).data == "No null run yet."
    assert chapter.listed(table, "a caption", "none").data == "none"


def test_of_an_incomplete_comparison_this_run_alone_is_told(made):
    own = run_of(robustness=damage(5.0, 1.0))
    made |= {"quick": own, "aff": run_of(robustness=damage(4.0, 2.0))}
    assert set(tables.under_damage(own)["fusion"]) == {"this run"}


def test_every_fusion_is_told_once_all_were_trained(made):
    names = [name for name, entry in runs.planned("aafn")["runs"].items()
             if entry["group"] == "fusion" or name == "quick"]
    made |= {name: run_of(robustness=damage(4.0, number)) for number, name in enumerate(names)}
    curves = tables.under_damage(made["quick"])
    assert curves["fusion"].nunique() == len(names)
    cost = tables.cost_of_damage(curves, "a corpus").data
    assert cost["all kinds"].tolist() == list(range(len(names)))
    assert (cost["undamaged MAE"] == 4.0).all()


def test_rules_of_one_training_are_rows():
    styled = tables.rules(run_of(), "a corpus")
    assert styled.data["rule"].tolist() == ["best accuracy on test", "best AUC on test",
                                            "mean of all epochs"]
    assert "test accuracy" in styled.data
    untrained = SimpleNamespace(metrics={"choices": {}})
    assert "Nothing was trained" in tables.rules(untrained, "a corpus").data


def test_tests_are_corrected_for_how_many_there_are():
    noticed = pd.DataFrame({"network": ["trained"] * 3 + ["untrained"],
                            "auc": [0.9, 0.8, 0.5, 0.9], "p": [0.001, 0.03, 0.5, 0.001]})
    told = tables.how_many_notice(noticed).data
    assert "The trained weights notice 1 of 3 modalities, the untrained ones 1 of 1" in told
    assert "in 73 % of the pairs" in told
    assert tables.how_many_notice(pd.DataFrame()) is None
    assert tables.how_many_notice(noticed.assign(p=np.nan)) is None


@pytest.mark.parametrize(("trained", "untrained", "told", "turned"), [
    (1.02, 1.07, "1.02 is near chance and near the untrained network's 1.07", False),
    (1.6, 1.05, "1.60 is above chance and above the untrained network's 1.05", True),
    (1.3, 1.55, "1.30 is above chance and below the untrained network's 1.55", False),
    (1.1, 0.9, "1.10 is near chance and above the untrained network's 0.90", False),
    (0.5, 0.9, "0.50 is below chance and below the untrained network's 0.90", False)])
def test_a_concentration_is_set_against_chance_and_the_untrained_network(trained, untrained, told,
                                                                         turned):
    scores = pd.DataFrame({"network": ["trained", "untrained"],
                           "concentration": [trained, untrained]})
    sentence = tables.where_it_looks(scores).data
    assert told in sentence
    assert ("more than without training" in sentence) == turned
    assert ("Nothing here says" in sentence) != turned


def test_of_no_concentration_nothing_is_said():
    assert tables.where_it_looks(pd.DataFrame()) is None
    missing = pd.DataFrame({"network": ["trained", "untrained"], "concentration": [np.nan, 1.0]})
    assert tables.where_it_looks(missing) is None
