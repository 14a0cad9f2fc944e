"""The chapter on vlogs and its predictions, as a user runs them: by papermill, on a minute or two
of numbers.
"""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests.papermilled import RECIPES, error_of, execute, metrics_of, named, texts


@pytest.fixture(scope="module")
def base_parameters(vlogs):
    return {"notebook": "dynmultidep", "data_root": str(vlogs)}


class TestRun:
    def test_leaves_what_a_number_needs(self, vlogged):
        assert {p.name for p in (vlogged[0] / "run").iterdir()} >= {
            "params.yaml", "metrics.json", "predictions.csv", "history.csv",
            "checkpoint.safetensors", "provenance.json", "scaler.json", "weights.csv",
            "attributions.csv", "costs.csv", "figures"}
        assert {p.stem for p in (vlogged[0] / "run/figures").iterdir()} >= {
            "lengths", "vlog", "memory", "flow", "reach", "curves", "gate", "trust", "twins",
            "concentration", "gender", "cost"}

    def test_metrics_are_those_of_the_predictions(self, vlogged):
        people = pd.read_csv(vlogged[0] / "run/predictions.csv").query("split == 'test'")
        people = people.groupby("participant")[["y_true", "y_pred"]].mean()
        test = metrics_of(vlogged[0])["test"]["by_participant"]
        assert test["participants"] == len(people)
        assert test["roc_auc"] == pytest.approx(roc_auc_score(people["y_true"], people["y_pred"]))

    def test_gate_router_and_experts_are_scored_against_the_planted_truth(self, vlogged):
        metrics = metrics_of(vlogged[0])
        assert {(row["network"], row["modality"]) for row in metrics["gate"]} == {
            (network, sense) for network in ("trained", "untrained")
            for sense in ("acoustic", "visual")}
        assert {row["cue"] for row in metrics["twins"]} == {"slow", "short"}
        assert {(row["sense"], row["cue"]) for row in metrics["router"]} == {
            (sense, cue) for sense in ("acoustic", "visual") for cue in ("slow", "short")}
        weights = pd.read_csv(vlogged[0] / "run/weights.csv")
        assert np.allclose(weights[["gate_soft_0", "gate_soft_1"]].sum(axis=1), 1, atol=1e-5)

    def test_says_what_it_stands_on_and_why_the_version_of_april_2025_stops(self, vlogged):
        page_text = texts(vlogged[1])
        assert "**simulated data** (participants 24, effect 1, seed 0)" in page_text
        assert "stops: mat1 and mat2 shapes cannot be multiplied (80x80 and 25x256)" in page_text
        assert not [o for c in vlogged[1].cells for o in c.get("outputs", [])
                    if o.get("name") == "stderr"]

    def test_says_which_version_it_judges_and_where_most_of_it_comes_from(self, vlogged):
        text = "\n".join(c.source for c in vlogged[1].cells if c.cell_type == "markdown")
        for phrase in ("5fd29e3", "2025-04-06", "2025-04-13", "2026-01-06",
                       "{cite:p}`ye2025depmamba`"):
            assert phrase in text

    def test_shows_what_was_reported_and_the_authors_options(self, vlogged):
        page_text = texts(vlogged[1])
        for row in ("everyone depressed", "--train_gender", "mm_output_sizes"):
            assert row in page_text

    @pytest.mark.slow       # small: tests/chapters/test_licensed.py::TestTwoMachines
    def test_same_parameters_same_bits(self, vlogged, base_parameters, tmp_path):
        execute(tmp_path, **base_parameters)
        for name in ("metrics.json", "predictions.csv", "checkpoint.safetensors",
                     "attributions.csv", "weights.csv"):
            assert (tmp_path / "run" / name).read_bytes() == (
                vlogged[0] / "run" / name).read_bytes(), name


@pytest.mark.parametrize("parameters", [
    {"variant": "released", "protocol": "as_published",
     "mask": "released", "crops": "released", "scaling": "none",
     "bucketing": False, "gate": "hard", "schedule": "constant", "clip_norm": 0.0},
    *(pytest.param(p, marks=pytest.mark.slow) for p in RECIPES["dynmultidep"])], ids=named)
def test_other_models_and_recipes_run(base_parameters, tmp_path, parameters):
    execute(tmp_path, **base_parameters, **parameters)
    assert 0 <= metrics_of(tmp_path)["test"]["by_participant"]["roc_auc"] <= 1


def test_a_tree_like_lmvd_runs(vlogs_lmvd, tmp_path):
    executed = execute(tmp_path, notebook="dynmultidep", corpus="lmvd", data_root=str(vlogs_lmvd))
    assert "128" in texts(executed)
    assert 0 <= metrics_of(tmp_path)["test"]["by_participant"]["roc_auc"] <= 1


class TestFaulty:
    def test_an_empty_corpus_of_the_layout(self, base_parameters, tmp_path):
        assert "no usable session" in error_of(execute(tmp_path, fails=True,
                                                       **base_parameters | {"corpus": "lmvd"}))

    @pytest.mark.slow       # small: that of STA-DRN's chapter, and tests/runs/test_loop.py
    def test_a_checkpoint_of_another_model(self, vlogged, base_parameters, tmp_path):
        checkpoint = str(vlogged[0] / "run/checkpoint.safetensors")
        error = error_of(execute(tmp_path, fails=True, **base_parameters, checkpoint=checkpoint,
                                 state_size=5))
        assert "a checkpoint of another model: state_size is 4 there, 5 here" in error


class TestPredict:
    def test_feature_arrays_give_the_runs_own_answers(self, vlogged, vlogs, tmp_path):
        executed = execute(tmp_path, notebook="predict", paper="dynmultidep",
                           checkpoint=str(vlogged[0] / "run"), input=str(vlogs))
        probabilities = pd.read_csv(tmp_path / "run/predictions.csv",
                                    dtype={"file": str}).set_index("file")["probability"]
        known = pd.read_csv(vlogged[0] / "run/predictions.csv",
                            dtype={"session": str}).set_index("session")["y_pred"]
        np.testing.assert_allclose(probabilities[known.index], known, atol=1e-5)
        assert "**simulated** corpus: test AUC" in texts(executed)

    def test_a_video_with_its_sound(self, vlogged, recorded, cache, tmp_path):
        video = sorted(recorded["dvlog"].rglob("*.mp4"))[0]
        folder = tmp_path / "mine"
        folder.mkdir()
        shutil.copy(video, folder)
        shutil.copy(video, folder / "mute.mp4")
        shutil.copy(video.with_suffix(".wav"), folder)
        execute(tmp_path, notebook="predict", paper="dynmultidep",
                checkpoint=str(vlogged[0] / "run"), input=str(folder), cache_dir=str(cache))
        predictions = pd.read_csv(tmp_path / "run/predictions.csv").set_index("file")
        assert np.isnan(predictions["probability"][video.name])     # 4 s, the vlogs have 90
        assert predictions["problem"][video.name].startswith(
            "no answer: outside what the simulated people show who trained the model, in ")
        assert "length" in predictions["problem"][video.name]
        assert predictions["seconds"][video.name] <= 4
        assert predictions["problem"]["mute.mp4"].startswith(
            "there is no sound file of its name beside it, and its own sound is: ")
