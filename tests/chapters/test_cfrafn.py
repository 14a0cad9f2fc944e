"""The chapter on voices and the prediction notebook, as a user runs them: by papermill, on a few seconds of speech."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from depnb.features import speech
from tests.papermilled import error_of, execute, metrics_of, texts
from tests.paths import GOLDEN


@pytest.fixture(scope="module")
def here(voices, cache):
    return {"notebook": "cfrafn", "data_root": str(voices), "cache_dir": str(cache)}


class TestRun:
    def test_leaves_what_a_number_needs_and_what_the_authors_program_writes(self, heard):
        assert {p.name for p in (heard[0] / "run").iterdir()} >= {
            "params.yaml", "metrics.json", "predictions.csv", "history.csv", "checkpoint.safetensors", "provenance.json",
            "scaler.json", "metrics.csv", "metrics_meanstd.csv", "attributions.csv", "figures"}
        assert {p.stem for p in (heard[0] / "run/figures").iterdir()} >= {"confusion", "curves", "gate", "spectrogram"}

    def test_metrics_are_those_of_the_predictions(self, heard):
        people = pd.read_csv(heard[0] / "run/predictions.csv").query("split == 'test'")
        people = people.groupby("participant")[["y_true", "y_pred"]].mean()
        test = metrics_of(heard[0])["test"]
        assert test["participants"] == len(people)
        assert test["roc_auc"] == pytest.approx(roc_auc_score(people["y_true"], people["y_pred"]))

    def test_says_what_it_stands_on(self, heard):
        said = texts(heard[1])
        assert "**simulated data** (participants 16, effect 1, seed 0)" in said
        assert "**logmel-statistics**" in said
        assert not [o for c in heard[1].cells for o in c.get("outputs", []) if o.get("name") == "stderr"]

    def test_same_parameters_same_bits(self, heard, here, tmp_path):
        execute(tmp_path, **here)
        for name in ("metrics.json", "predictions.csv", "checkpoint.safetensors", "attributions.csv"):
            assert (tmp_path / "run" / name).read_bytes() == (heard[0] / "run" / name).read_bytes(), name

    def test_a_search_finds_settings_and_is_not_repeated(self, here, tmp_path):
        execute(tmp_path, **here, search_trials=2)
        searched = metrics_of(tmp_path)["searched"]
        assert searched.keys() == {"transformed_width", "conv_width", "expansion", "classifier_width", "dropout"}
        (tmp_path / "run/metrics.json").unlink()
        execute(tmp_path, **here, search_trials=2)          # goes on with the finished study
        assert len(list((tmp_path / "run/search").iterdir())) == 2 * 3
        assert metrics_of(tmp_path)["searched"] == searched


@pytest.mark.parametrize("parameters", [
    {"fusion": "vggish"}, {"fusion": "egemaps", "alignment": "as_released", "vector_augmentation": "released"},
    {"model": "dual_cnn", "protocol": "as_published", "scaling": "none"}], ids=lambda p: "-".join(map(str, p.values())))
def test_other_models_and_recipes_run(here, tmp_path, parameters):
    execute(tmp_path, **here, **parameters)
    assert 0 <= metrics_of(tmp_path)["test"]["roc_auc"] <= 1


def test_a_sample_of_plus_one_is_minus_one_to_opensmile():
    """Why recordings are normalised to 0.9 here: openSMILE counts in 16 bits, which hold -1 but not +1."""
    samples, rate = soundfile.read(GOLDEN / "speech_a.flac", dtype="float32")
    samples /= samples.max()
    assert (samples == 1).sum() == 1
    full = speech.egemaps(samples, rate)
    np.testing.assert_array_equal(full, speech.egemaps(np.where(samples == 1, np.float32(-1), samples), rate))
    within = speech.egemaps(speech.in_range(samples), rate)                 # one step of 16 bits lower
    assert np.count_nonzero(full != within) == 65
    peaks = speech.egemaps_names().index("loudnessPeaksPerSec")
    assert within[peaks] == speech.egemaps(speech.PEAK * samples, rate)[peaks]
    assert full[peaks] < within[peaks]
    np.testing.assert_array_equal(speech.egemaps(-samples, rate), speech.egemaps(speech.in_range(-samples), rate))


@pytest.fixture(scope="module")
def listed(here, tmp_path_factory):
    """A run whose first layer reads the columns in the order of a list: (its folder, the list)."""
    folder = tmp_path_factory.mktemp("listed")
    importances = folder / "sorted_feature_importance.csv"
    pd.DataFrame({"importance": np.linspace(2, 0, 88) / 88}, sorted(speech.egemaps_names())).to_csv(importances)
    execute(folder, **here, alignment="columns_by_list", importances=str(importances))
    return folder, str(importances)


class TestColumnsByList:
    def test_it_travels_with_the_checkpoint_to_predict(self, listed, voices, cache, tmp_path):
        folder, _ = listed
        execute(tmp_path, notebook="predict", paper="cfrafn", checkpoint=str(folder / "run"), cache_dir=str(cache),
                input=str(voices / "voices_0"), vggish_weights="none")
        found = pd.read_csv(tmp_path / "run/predictions.csv").set_index("file")["probability"]
        known = pd.read_csv(folder / "run/predictions.csv").set_index("session")["y_pred"]
        known = known[[f"{s}.wav" in found.index for s in known.index]]
        assert len(known) > 0
        np.testing.assert_allclose(found[[f"{s}.wav" for s in known.index]], known, atol=1e-5)

    def test_its_checkpoint_is_scored_like_the_run_that_wrote_it(self, listed, here, tmp_path):
        folder, importances = listed
        execute(tmp_path, **here, alignment="columns_by_list", importances=importances,
                checkpoint=str(folder / "run/checkpoint.safetensors"))
        assert metrics_of(tmp_path)["test"] == metrics_of(folder)["test"]

    def test_without_the_authors_list_it_is_refused(self, here, tmp_path):
        error = error_of(execute(tmp_path, fails=True, **here, alignment="columns_by_list"))
        assert error.startswith("ValueError: alignment 'columns_by_list' needs the authors' list, whose order it means")


class TestFaulty:
    def test_one_class_only(self, here, voices, tmp_path):
        root = tmp_path / "voices"
        shutil.copytree(voices, root)
        shutil.rmtree(root / "voices_1")
        error = error_of(execute(tmp_path, fails=True, **here | {"data_root": str(root)}))
        assert "expected folders of both classes" in error

    def test_a_checkpoint_of_other_widths(self, heard, here, tmp_path):
        checkpoint = str(heard[0] / "run/checkpoint.safetensors")
        error = error_of(execute(tmp_path, fails=True, **here, checkpoint=checkpoint, conv_width=9))
        assert "a checkpoint of another model: conv_width is 8 there, 9 here" in error

    def test_weights_with_a_wrong_checksum(self, here, tmp_path):
        weights = tmp_path / "vggish-10086976.pth"
        weights.write_bytes(b"not these")
        error = error_of(execute(tmp_path, fails=True, **here, vggish_weights=str(weights), postprocess=False))
        assert "expected 10086976" in error


class TestPredict:
    def test_a_folder_of_recordings(self, heard, voices, cache, tmp_path):
        executed = execute(tmp_path, notebook="predict", paper="cfrafn", checkpoint=str(heard[0] / "run"),
                           input=str(voices / "voices_1"), cache_dir=str(cache))       # vggish_weights as the run
        found = pd.read_csv(tmp_path / "run/predictions.csv").set_index("file")["probability"]
        assert len(found) == len(list((voices / "voices_1").iterdir()))
        known = pd.read_csv(heard[0] / "run/predictions.csv").set_index("session")["y_pred"]
        known = known[[f"{s}.wav" in found.index for s in known.index]]
        assert len(known) > 0
        np.testing.assert_allclose(found[[f"{s}.wav" for s in known.index]], known, atol=1e-5)      # the run's own answers
        assert "says nothing" not in texts(executed)
        assert not any(name in texts(executed) for name in found.index)
        assert "**simulated** corpus: test AUC" in texts(executed)

    def test_of_people_no_row_is_shown_unless_asked_for(self, heard, voices, cache, tmp_path):
        mine = tmp_path / "mine"
        mine.mkdir()
        for number, path in enumerate(sorted((voices / "voices_1").iterdir())[:6]):
            shutil.copy(path, mine / ("<img src=x>.wav" if number == 0 else f"anna {number}.wav"))
        (mine / "broken.wav").write_bytes(b"")
        given = {"paper": "cfrafn", "checkpoint": str(heard[0] / "run"), "input": str(mine), "cache_dir": str(cache),
                 "vggish_weights": "none"}
        said = texts(execute(tmp_path / "a", notebook="predict", **given))
        assert "all but fewer than five of 7 files used" in said
        assert "this notebook names people" not in said
        found = pd.read_csv(tmp_path / "a/run/predictions.csv")
        assert len(found) == 7
        assert (tmp_path / "a/run/predictions.csv").stat().st_mode & 0o777 == 0o600
        assert not re.search(r"anna|<img|broken|file \d", said.replace(str(mine), ""))
        assert not any(f"{p:.{digits}f}" in said for p in found["probability"].dropna() for digits in (3, 4, 6))
        assert "fewer than five: the file is empty" in said
        assert "broken.wav" in (tmp_path / "a/run/private.log").read_text()
        said = texts(execute(tmp_path / "b", notebook="predict", **given, show_names=True))
        assert "anna 3.wav" in said
        assert "`show_names`: this notebook names people below" in said
        assert "\\ufffdimg src=x\\ufffd.wav" in said        # as JSON writes it: what could be markup is replaced
        assert "img src=x>" not in said

    def test_a_video(self, whole, tree, cache, tmp_path):
        video = sorted(tree.rglob("*.mp4"))[0]
        execute(tmp_path, notebook="predict", paper="sta_drn", checkpoint=str(whole[0] / "run"), input=str(video),
                cache_dir=str(cache))
        found = pd.read_csv(tmp_path / "run/predictions.csv")
        assert found["file"].tolist() == [video.name]
        assert 0 <= found["BDI-II"][0] <= 63

    @pytest.mark.parametrize(("parameters", "said"), [
        ({"checkpoint": "no/such/run"}, "no finished run there"), ({"paper": "mine"}, "choose cfrafn, sta_drn, aafn"),
        ({"paper": "sta_drn"}, "is of CFRAFN, paper is sta_drn. Set paper to cfrafn, or give another one here"),
        ({"input": "no/such/file.wav"}, "no file ending in .wav, .flac, .mp3, .ogg there")])
    def test_what_is_missing_is_said(self, heard, voices, tmp_path, parameters, said):
        given = {"paper": "cfrafn", "checkpoint": str(heard[0] / "run"), "input": str(voices)} | parameters
        assert said in error_of(execute(tmp_path, fails=True, notebook="predict", **given))
