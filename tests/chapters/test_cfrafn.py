"""The chapter on voices and the prediction notebook, as a user runs them: by papermill, on a few
seconds of speech.
"""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from depnb.features import speech
from tests.papermilled import RECIPES, error_of, execute, metrics_of, named, texts
from tests.paths import GOLDEN


@pytest.fixture(scope="module")
def base_parameters(voices, cache):
    return {"notebook": "cfrafn", "data_root": str(voices), "cache_dir": str(cache)}


class TestRun:
    def test_leaves_what_a_number_needs_and_what_the_authors_program_writes(self, heard):
        assert {p.name for p in (heard[0] / "run").iterdir()} >= {
            "params.yaml", "metrics.json", "predictions.csv", "history.csv",
            "checkpoint.safetensors", "provenance.json", "scaler.json", "metrics.csv",
            "metrics_meanstd.csv", "attributions.csv", "figures"}
        assert {p.stem for p in (heard[0] / "run/figures").iterdir()} >= {"confusion", "curves",
                                                                          "gate", "spectrogram"}

    def test_metrics_are_those_of_the_predictions(self, heard):
        people = pd.read_csv(heard[0] / "run/predictions.csv").query("split == 'test'")
        people = people.groupby("participant")[["y_true", "y_pred"]].mean()
        test = metrics_of(heard[0])["test"]["by_participant"]
        assert test["participants"] == len(people)
        assert test["roc_auc"] == pytest.approx(roc_auc_score(people["y_true"], people["y_pred"]))

    def test_says_what_it_stands_on(self, heard):
        page_text = texts(heard[1])
        assert "**simulated data** (participants 16, effect 1, seed 0)" in page_text
        assert "**logmel-statistics**" in page_text
        assert not [o for c in heard[1].cells for o in c.get("outputs", [])
                    if o.get("name") == "stderr"]

    @pytest.mark.slow       # small: tests/chapters/test_licensed.py::TestTwoMachines
    def test_same_parameters_same_bits(self, heard, base_parameters, tmp_path):
        execute(tmp_path, **base_parameters)
        for name in ("metrics.json", "predictions.csv", "checkpoint.safetensors",
                     "attributions.csv"):
            assert (tmp_path / "run" / name).read_bytes() == (
                heard[0] / "run" / name).read_bytes(), name

    def test_a_search_finds_settings_and_is_not_repeated(self, base_parameters, tmp_path):
        execute(tmp_path, **base_parameters, search_trials=2)
        searched = metrics_of(tmp_path)["searched"]
        assert searched.keys() == {"transformed_width", "conv_width", "expansion",
                                   "classifier_width", "dropout"}
        (tmp_path / "run/metrics.json").unlink()
        execute(tmp_path, **base_parameters, search_trials=2)      # goes on with the finished study
        assert len(list((tmp_path / "run/search").iterdir())) == 2 * 3
        assert metrics_of(tmp_path)["searched"] == searched


@pytest.mark.parametrize("parameters", [
    {"model": "dual_cnn", "protocol": "as_published", "scaling": "none"},
    *(pytest.param(p, marks=pytest.mark.slow) for p in RECIPES["cfrafn"])], ids=named)
def test_other_models_and_recipes_run(base_parameters, tmp_path, parameters):
    execute(tmp_path, **base_parameters, **parameters)
    assert 0 <= metrics_of(tmp_path)["test"]["by_participant"]["roc_auc"] <= 1


def test_a_sample_of_plus_one_is_minus_one_to_opensmile():
    """Why recordings are normalised to 0.9 here: openSMILE counts in 16 bits, which hold -1 but not
    +1.
    """
    samples, rate = soundfile.read(GOLDEN / "speech_a.flac", dtype="float32")
    samples /= samples.max()
    assert (samples == 1).sum() == 1
    full = speech.egemaps(samples, rate)
    np.testing.assert_array_equal(
        full, speech.egemaps(np.where(samples == 1, np.float32(-1), samples), rate))
    within = speech.egemaps(speech.in_range(samples), rate)              # one step of 16 bits lower
    assert np.count_nonzero(full != within) == 65
    peaks = speech.egemaps_names().index("loudnessPeaksPerSec")
    assert within[peaks] == speech.egemaps(speech.PEAK * samples, rate)[peaks]
    assert full[peaks] < within[peaks]
    np.testing.assert_array_equal(speech.egemaps(-samples, rate),
                                  speech.egemaps(speech.in_range(-samples), rate))


@pytest.fixture(scope="module")
def listed(base_parameters, tmp_path_factory):
    """A run whose first layer reads the columns in the order of a list: (its folder, the list)."""
    folder = tmp_path_factory.mktemp("listed")
    importances = folder / "sorted_feature_importance.csv"
    pd.DataFrame({"importance": np.linspace(2, 0, 88) / 88}, sorted(speech.egemaps_names())).to_csv(
        importances)
    execute(folder, **base_parameters, alignment="columns_by_list", importances=str(importances))
    return folder, str(importances)


class TestColumnsByList:
    def test_it_travels_with_the_checkpoint_to_predict(self, listed, voices, cache, tmp_path):
        folder, _ = listed
        execute(tmp_path, notebook="predict", paper="cfrafn", checkpoint=str(folder / "run"),
                cache_dir=str(cache), input=str(voices / "voices_0"), vggish_weights="none")
        probabilities = pd.read_csv(tmp_path / "run/predictions.csv").set_index(
            "file")["probability"]
        known = pd.read_csv(folder / "run/predictions.csv").set_index("session")["y_pred"]
        known = known[[f"{s}.wav" in probabilities.index for s in known.index]]
        assert len(known) > 0
        np.testing.assert_allclose(probabilities[[f"{s}.wav" for s in known.index]], known,
                                   atol=1e-5)

    def test_its_checkpoint_is_scored_like_the_run_that_wrote_it(self, listed, base_parameters,
                                                                 tmp_path):
        folder, importances = listed
        execute(tmp_path, **base_parameters, alignment="columns_by_list", importances=importances,
                checkpoint=str(folder / "run/checkpoint.safetensors"))
        assert metrics_of(tmp_path)["test"] == metrics_of(folder)["test"]

    def test_without_the_authors_list_it_is_refused(self, base_parameters, tmp_path):
        error = error_of(execute(tmp_path, fails=True, **base_parameters,
                                 alignment="columns_by_list"))
        assert error.startswith("ValueError: alignment 'columns_by_list' needs the authors' list, "
                                "whose order it means")


class TestFaulty:
    def test_one_class_only(self, base_parameters, voices, tmp_path):
        root = tmp_path / "voices"
        shutil.copytree(voices, root)
        shutil.rmtree(root / "voices_1")
        error = error_of(execute(tmp_path, fails=True,
                                 **base_parameters | {"data_root": str(root)}))
        assert ("no usable recording of class 1: none lies in a folder whose name ends in _1"
                in error)

    @pytest.mark.slow       # small: that of STA-DRN's chapter, and tests/runs/test_loop.py
    def test_a_checkpoint_of_other_widths(self, heard, base_parameters, tmp_path):
        checkpoint = str(heard[0] / "run/checkpoint.safetensors")
        error = error_of(execute(tmp_path, fails=True, **base_parameters, checkpoint=checkpoint,
                                 conv_width=9))
        assert "a checkpoint of another model: conv_width is 8 there, 9 here" in error

    def test_weights_with_a_wrong_checksum(self, base_parameters, tmp_path):
        weights = tmp_path / "vggish-10086976.pth"
        weights.write_bytes(b"not these")
        error = error_of(execute(tmp_path, fails=True, **base_parameters,
                                 vggish_weights=str(weights), postprocess=False))
        assert "expected 10086976" in error


class TestPredict:
    def test_a_folder_of_recordings(self, heard, voices, cache, tmp_path):
        executed = execute(tmp_path, notebook="predict", paper="cfrafn",
                           checkpoint=str(heard[0] / "run"), input=str(voices / "voices_1"),
                           cache_dir=str(cache))  # vggish_weights as the run
        probabilities = pd.read_csv(tmp_path / "run/predictions.csv").set_index(
            "file")["probability"]
        assert len(probabilities) == len(list((voices / "voices_1").iterdir()))
        known = pd.read_csv(heard[0] / "run/predictions.csv").set_index("session")["y_pred"]
        known = known[[f"{s}.wav" in probabilities.index for s in known.index]]
        assert len(known) > 0
        # the run's own answers
        np.testing.assert_allclose(probabilities[[f"{s}.wav" for s in known.index]], known,
                                   atol=1e-5)
        assert "says nothing" not in texts(executed)
        assert not any(name in texts(executed) for name in probabilities.index)
        assert "**simulated** corpus: test AUC" in texts(executed)

    def test_of_people_no_row_is_shown_unless_asked_for(self, heard, voices, cache, tmp_path):
        mine = tmp_path / "mine"
        mine.mkdir()
        for number, path in enumerate(sorted((voices / "voices_1").iterdir())[:6]):
            shutil.copy(path, mine / ("<img src=x>.wav" if number == 0 else f"anna {number}.wav"))
        (mine / "broken.wav").write_bytes(b"")
        (mine / "._anna.wav").write_bytes(b"\0\5\x16\7")
        (mine / "lost.wav").symlink_to("/nowhere.wav")
        parameters = {"paper": "cfrafn", "checkpoint": str(heard[0] / "run"), "input": str(mine),
                      "cache_dir": str(cache), "vggish_weights": "none"}
        page_text = texts(execute(tmp_path / "a", notebook="predict", **parameters))
        assert "all but fewer than five of 7 files used" in page_text
        assert "this notebook names people" not in page_text
        predictions = pd.read_csv(tmp_path / "a/run/predictions.csv")
        assert len(predictions) == 8
        assert (tmp_path / "a/run/predictions.csv").stat().st_mode & 0o777 == 0o600
        assert not re.search(r"anna|<img|broken|file \d", page_text.replace(str(mine), ""))
        assert not any(f"{p:.{digits}f}" in page_text for p in predictions["probability"].dropna()
                       for digits in (3, 4, 6))
        assert "fewer than five: the file is empty" in page_text
        assert "fewer than five: a link that leads nowhere" in page_text
        assert "broken.wav" in (tmp_path / "a/run/private.log").read_text()
        page_text = texts(execute(tmp_path / "b", notebook="predict", **parameters,
                                  show_names=True))
        assert "anna 3.wav" in page_text
        assert "`show_names`: this notebook names people below" in page_text
        # as JSON writes it: what could be markup is replaced
        assert "\\ufffdimg src=x\\ufffd.wav" in page_text
        assert "img src=x>" not in page_text

    def test_a_video(self, filmed, tree, cache, tmp_path):
        video = sorted(tree.rglob("*.mp4"))[0]
        execute(tmp_path, notebook="predict", paper="sta_drn", checkpoint=str(filmed[0] / "run"),
                input=str(video), cache_dir=str(cache))
        predictions = pd.read_csv(tmp_path / "run/predictions.csv")
        assert predictions["file"].tolist() == [video.name]
        assert 0 <= predictions["BDI-II"][0] <= 63

    @pytest.mark.parametrize(("parameters", "sentence"), [
        ({"checkpoint": "no/such/run"}, "no finished run there"),
        ({"paper": "mine"}, "choose sta_drn, cfrafn, aafn"),
        ({"paper": "sta_drn"}, "is of CFRAFN, paper is sta_drn. "
         "Set paper to cfrafn, or give another one here"),
        ({"input": "no/such/file.wav"}, "input 'no/such/file.wav': no such file or folder. Give a "
         "file ending in .wav, .flac, .mp3, ")])
    def test_what_is_missing_is_said(self, heard, voices, tmp_path, parameters, sentence):
        defaults = ({"paper": "cfrafn", "checkpoint": str(heard[0] / "run"), "input": str(voices)}
                    | parameters)
        assert sentence in error_of(execute(tmp_path, fails=True, notebook="predict", **defaults))
