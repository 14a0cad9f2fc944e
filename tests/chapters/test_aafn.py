"""The chapter on interviews and its predictions, as a user runs them: by papermill, on a few
seconds of talk.
"""

import re

import numpy as np
import pandas as pd
import papermill
import pytest

from depnb.models import aafn
from depnb.scores.items import ITEMS
from tests.papermilled import RECIPES, error_of, execute, metrics_of, named, texts
from tests.paths import ROOT


@pytest.fixture(scope="module")
def base_parameters(interviews, cache):
    return {"notebook": "aafn", "data_root": str(interviews), "cache_dir": str(cache)}


class TestRun:
    def test_leaves_what_a_number_needs(self, interviewed):
        assert {p.name for p in (interviewed[0] / "run").iterdir()} >= {
            "params.yaml", "metrics.json", "predictions.csv", "history.csv",
            "checkpoint.safetensors", "provenance.json", "attributions.csv", "figures"}
        assert {p.stem for p in (interviewed[0] / "run/figures").iterdir()} >= {
            "published_log", "interview", "items", "inflation", "robustness", "attention"}

    def test_metrics_are_those_of_the_predictions(self, interviewed):
        windows = pd.read_csv(interviewed[0] / "run/predictions.csv").query("split == 'test'")
        assert np.allclose(windows[[f"pred_{name}" for name in ITEMS]].sum(axis=1),
                           windows["y_pred"], atol=1e-4)
        people = windows.groupby("participant")[["y_true", "y_pred"]].mean()
        test = metrics_of(interviewed[0])["test"]
        assert test["by_participant"]["participants"] == len(people)
        assert test["by_participant"]["mae"] == pytest.approx(
            (people["y_true"] - people["y_pred"]).abs().mean(), abs=1e-5)
        assert test["by_unit"]["units"] == len(windows)

    def test_the_same_training_is_told_by_every_rule(self, interviewed):
        history = pd.read_csv(interviewed[0] / "run/history.csv")
        choices = metrics_of(interviewed[0])["choices"]
        assert choices["lowest validation error"]["epoch"] == history["val_mae"].idxmin()
        assert (choices["best accuracy on test"]["test_accuracy"]
                == history["val_test_accuracy"].max())

    def test_damage_of_strength_zero_changes_nothing(self, interviewed):
        metrics = metrics_of(interviewed[0])
        table = pd.DataFrame(metrics["robustness"])
        assert len(table) == 3 * (5 + 5 + 5)
        assert np.allclose(table.loc[table["strength"] == 0, "mae"],
                           metrics["test"]["by_participant"]["mae"], atol=1e-5)

    def test_says_what_it_stands_on(self, interviewed):
        page_text = texts(interviewed[1])
        assert "**simulated data** (participants 14, effect 1, seed 0)" in page_text
        assert "Sentence vectors: **hashed**" in page_text
        assert not [o for c in interviewed[1].cells for o in c.get("outputs", [])
                    if o.get("name") == "stderr"]

    @pytest.mark.slow       # small: tests/chapters/test_licensed.py::TestTwoMachines
    def test_same_parameters_same_bits(self, interviewed, base_parameters, tmp_path):
        execute(tmp_path, **base_parameters)
        for name in ("metrics.json", "predictions.csv", "checkpoint.safetensors",
                     "attributions.csv"):
            assert (tmp_path / "run" / name).read_bytes() == (
                interviewed[0] / "run" / name).read_bytes(), name


@pytest.mark.parametrize("parameters", [
    {"protocol": "as_published", "chain": 1, "sharpness": 2.0,
     "sampling": "balanced", "schedule": "decay",
     "reduction": "released", "decoding": "released", "trained": "branches", "equal_heads": False},
    *(pytest.param(p, marks=pytest.mark.slow) for p in RECIPES["aafn"])], ids=named)
def test_other_models_and_recipes_run(base_parameters, tmp_path, parameters):
    execute(tmp_path, **base_parameters, **parameters)
    assert 0 <= metrics_of(tmp_path)["test"]["by_participant"]["mae"] <= 24


def test_every_fusion_of_the_model_is_listed():
    fusion = papermill.inspect_notebook(ROOT / "notebooks/aafn.ipynb")["fusion"]
    assert sorted(re.findall(r"\w+_\w+|\w+", f"{fusion['default']} {fusion['help']}")) == sorted(
        aafn.FUSIONS)


@pytest.fixture(scope="module")
def logged():
    return pd.read_csv(ROOT / "book/data/aafn_logs/participants.csv")


class TestLogs:
    """What the authors' inference logs say of groups, as copied to book/data/aafn_logs."""

    def test_rows_are_groups(self, logged):
        assert set(logged["group"]) == {"all", "women", "men"}
        assert logged["count"].min() >= 23
        sizes = {key: rows.drop_duplicates().to_numpy().tolist() for key, rows in logged.set_index(
            ["level", "group"])[["count", "depressed"]].groupby(["level", "group"])}
        assert sizes == {("participant", "all"): [[47, 14]], ("participant", "women"): [[24, 7]],
                         ("participant", "men"): [[23, 7]], ("window", "all"): [[490, 134]],
                         ("window", "women"): [[284, 79]], ("window", "men"): [[206, 55]]}

    def test_counts_and_measures_agree(self, logged):
        networks = logged.dropna(subset="tp")
        counts = networks[["tp", "fp", "fn", "tn"]]
        tp, fp, fn, tn = counts.to_numpy().T
        assert np.array_equal(counts.sum(axis=1), networks["count"])
        assert np.array_equal(tp + fn, networks["depressed"])
        by = networks.set_index(["model", "level", "group"])[counts.columns].unstack("group")
        for name in counts:
            assert np.array_equal(by[name]["women"] + by[name]["men"], by[name]["all"])
        recomputed = {"accuracy_percent": 100 * (tp + tn) / (tp + fp + fn + tn), "precision":
                      tp / (tp + fp), "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn)}
        for name, expected in recomputed.items():
            printed = networks[name].notna()
            np.testing.assert_allclose(networks.loc[printed, name], expected[printed],
                                       atol=0.0051 if name == "accuracy_percent" else 5.1e-5)

    def test_the_headline_belongs_to_two_models_and_two_counts(self, logged):
        all_groups = logged[logged["group"] == "all"].set_index(["model", "level"])
        main = all_groups.loc[("audio visual text, sub-attention", "participant")]
        assert (round(main["precision"], 2), round(main["f1"], 2)) == (0.89, 0.70)
        assert all_groups.index[all_groups["mae"].round(2) == 4.92].tolist() == [
            ("audio visual, attention", "window")]
        epochs = pd.read_csv(ROOT / "book/data/aafn_logs/epochs.csv").query(
            "split == 'test'").set_index(["model", "epoch"])
        by_epoch = epochs.loc["audio visual, attention"]
        assert by_epoch["accuracy_percent"].idxmax() == 16
        assert by_epoch.loc[16, "mae"] == all_groups.loc[("audio visual, attention", "window"),
                                                         "mae"]
        subs = epochs.loc[["audio visual text, sub-attention", "audio visual, sub-attention"]]
        assert len(subs) == 500
        assert not (subs["mae"].round(2) == 4.92).any()
        for model, level in (("audio visual text, sub-attention", "participant"),
                             ("audio visual, attention", "window")):
            constant = all_groups.loc[("constant: training mean, 6.67", level), "mae"]
            assert (all_groups.loc[(model, level), "mae"] < constant) == (level == "participant")


class TestFaulty:
    @pytest.mark.slow       # small: that of STA-DRN's chapter, and tests/runs/test_loop.py
    def test_a_checkpoint_of_another_fusion(self, interviewed, base_parameters, tmp_path):
        checkpoint = str(interviewed[0] / "run/checkpoint.safetensors")
        error = error_of(execute(tmp_path, fails=True, **base_parameters, checkpoint=checkpoint,
                                 fusion="sum"))
        assert "a checkpoint of another model: fusion is sub_attention there, sum here" in error


class TestPredict:
    def test_a_folder_like_daic_woz(self, interviewed, interviews, cache, tmp_path):
        executed = execute(tmp_path, notebook="predict", paper="aafn",
                           checkpoint=str(interviewed[0] / "run"), input=str(interviews),
                           cache_dir=str(cache))
        predictions = pd.read_csv(tmp_path / "run/predictions.csv",
                                  dtype={"session": str}).set_index("session")
        known = pd.read_csv(interviewed[0] / "run/predictions.csv", dtype={"session": str})
        known = known.groupby("session")["y_pred"].mean()
        assert set(known.index) <= set(predictions.index)
        # the run's own answers
        np.testing.assert_allclose(predictions.loc[known.index, "total"], known, atol=1e-4)
        assert np.allclose(predictions[list(ITEMS)].sum(axis=1), predictions["total"], atol=1e-4)
        assert (predictions["low"] <= predictions["total"]).all()
        assert (predictions["total"] <= predictions["high"]).all()
        assert not any(re.search(rf"\b{s}\b", texts(executed)) for s in predictions.index)

    def test_one_session_without_a_table(self, interviewed, interviews, cache, tmp_path):
        session = sorted(p for p in interviews.iterdir() if p.is_dir())[0]
        execute(tmp_path, notebook="predict", paper="aafn", checkpoint=str(interviewed[0] / "run"),
                input=str(session), cache_dir=str(cache))
        assert pd.read_csv(tmp_path / "run/predictions.csv")["session"].astype(str).tolist() == [
            session.name[:-2]]

    def test_nothing_to_read(self, interviewed, tmp_path):
        error = error_of(execute(tmp_path, fails=True, notebook="predict", paper="aafn",
                                 input=str(tmp_path), checkpoint=str(interviewed[0] / "run")))
        assert "300_P" in error
