"""What is said of gates, experts and routers is right where the answer is known."""

import numpy as np
import pandas as pd
import pytest

from depnb.scores import dynmultidep

EMPTY = ["acoustic"] * 5 + ["visual"] * 5 + [None] * 20


def vlogs(weights):
    return pd.DataFrame({"gate_soft_0": weights[:, 0], "gate_soft_1": weights[:, 1],
                         "uninformative": pd.Series(EMPTY, dtype=object)})


def perfect():
    weights = np.full((30, 2), 0.5)
    weights[:5] = (0.1, 0.9)
    weights[5:10] = (0.9, 0.1)
    return weights


def test_a_gate_that_follows_what_is_empty_scores_one_beside_one_that_does_the_opposite():
    rows = dynmultidep.gate_rows({"trained": vlogs(perfect()), "untrained": vlogs(1 - perfect())})
    scores = {(row["network"], row["modality"]): row["auc"] for row in rows}
    assert scores == {("trained", "acoustic"): 1, ("trained", "visual"): 1,
                      ("untrained", "acoustic"): 0, ("untrained", "visual"): 0}


def test_a_router_that_turns_where_something_is_planted_scores_one():
    inside = np.arange(20) < 6
    planted = {name: {"short": {"acoustic": inside, "visual": inside},
                      "slow": {"acoustic": ~inside, "visual": ~inside}} for name in "ab"}
    table = pd.DataFrame({"session": ["a", "b"], "audio_router": [inside.astype(float)] * 2,
                          "uninformative": pd.Series([None, "acoustic"], dtype=object)})
    rows = dynmultidep.router_rows(table, planted)
    assert [(row["sense"], row["cue"], row["vlogs"], row["auc"]) for row in rows] == [
        ("acoustic", "short", 1, 1), ("acoustic", "slow", 1, 1)]       # b has an empty voice
    assert rows[0]["mean weight of the short expert"] == pytest.approx(0.3)
    assert dynmultidep.router_rows(table.drop(columns="audio_router"), planted) == []


def test_rows_of_several_runs_bear_their_names():
    metrics = {"this run": {"gate": [{"auc": 1}]}, "seed 1": {"gate": [{"auc": 0}, {"auc": None}]}}
    table = dynmultidep.across(metrics, "gate")
    assert table["run"].tolist() == ["this run", "seed 1", "seed 1"]
    nothing = dynmultidep.across({"this run": {"gate": []}}, "gate")
    assert nothing.query("run == 'this run'").empty


def noticed(name, p, auc):
    return [{"run": name, "network": network, "modality": sense, "p": p, "auc": auc}
            for network in ("trained", "untrained") for sense in dynmultidep.SENSES]


def test_the_sentence_on_gates_counts_trained_runs_and_corrects_for_the_tests():
    table = pd.DataFrame(noticed("one", 0.001, 0.9) + noticed("two", 0.02, 0.4))
    assert dynmultidep.gates_in_words(table) == (
        "Over 2 trained runs with a gate, 2 of 4 tests find that it notices (p below 0.05, "
        "corrected for their number); the mean AUC is 0.65. Above one half for both senses: 1 of 2 "
        "runs.")
    alone = dynmultidep.gates_in_words(table[table["run"] == "one"])
    assert "Over 1 trained run with a gate" in alone
    assert alone.endswith("1 of 1 run.")
    assert "No gate" in dynmultidep.gates_in_words(pd.DataFrame(columns=["run"]))


def test_the_sentence_on_trust_is_of_the_means_by_which_sense_is_empty():
    table = vlogs(perfect())
    sentence = dynmultidep.trust_in_words(table)
    means = table.groupby(table["uninformative"].fillna("none"))["gate_soft_0"].mean()
    assert f"{means['acoustic']:.2f} where the voice is empty" in sentence
    assert f"{means['visual']:.2f} where the face is empty" in sentence
    assert f"{means['none']:.2f} where both senses carry something" in sentence
    assert dynmultidep.trust_in_words(table.drop(columns="gate_soft_0")) == ""
    assert dynmultidep.trust_in_words(table.assign(uninformative=None)) == ""


def test_the_sentence_on_the_router_tells_right_from_wrong_and_from_chance():
    rows = [{"sense": "acoustic", "cue": "short", "auc": 0.56},
            {"sense": "acoustic", "cue": "slow", "auc": 0.5},
            {"sense": "visual", "cue": "short", "auc": 0.37},
            {"sense": "visual", "cue": "slow", "auc": float("nan")}]
    assert dynmultidep.router_in_words(rows).startswith(
        "Turned the right way, an AUC of more than 0.55: acoustic short (0.56); near chance: "
        "acoustic slow (0.50); the wrong way, less than 0.45: visual short (0.37). ")
    for none in ([], [rows[3]], [{"sense": "visual", "cue": "slow", "auc": None}]):
        assert dynmultidep.router_in_words(none).startswith("No router by frame")


def test_the_sentence_on_experts_needs_both_runs():
    rows = [{"run": run, "cue": cue, "shift": shift} for run, shifts in (
        ("long alone", (6, 2)), ("short alone", (1, 2))) for cue, shift in zip(("slow", "short"),
                                                                               shifts, strict=True)]
    sentence = dynmultidep.experts_in_words(pd.DataFrame(rows))
    assert "long alone: 3.0 times, short alone: 0.5 times" in sentence
    for lacking in (pd.DataFrame(rows[:2]), pd.DataFrame(columns=["run"])):
        assert "not there yet" in dynmultidep.experts_in_words(lacking)


def test_auc_by_gender_has_its_interval_and_a_dash_where_nobody_was_tested():
    metrics = {"this run": {"by_gender": {
        "female": {"roc_auc": 0.8, "roc_auc_interval": [0.7, 0.9]}}},
        "trained on men": {"by_gender": {"male": {"roc_auc": 0.6}}}}
    table = dynmultidep.gender_table(metrics)
    assert table.loc["this run", "tested on female"] == "0.80 (0.70 to 0.90)"
    assert table.loc["this run", "tested on male"] == "–"
