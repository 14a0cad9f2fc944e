"""Authors' files in the chapters and in predict, as a user gives them: stand-ins in their formats,
on the small trees.

The real files of STA-DRN and AAFN were not at hand. CFRAFN's own is used where DEPNB_REFERENCE has
it.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import torch
import yaml
from safetensors.torch import save_file

from depnb import corpora, runs
from depnb.corpora import daic_woz
from depnb.features import clips, face, importance, interview, speech, vlog, windowing
from depnb.models import ordinal, reference, sta_drn
from depnb.papers import authors
from depnb.papers.weights import CHOICES, FORMATS, read_model
from depnb.runs import verify
from tests.authors_files import PlainAAFN, save, state_of
from tests.papermilled import error_of, execute, metrics_of, texts
from tests.paths import ROOT


def paper_settings(paper, name="paper"):
    """The authors' settings of a paper, without the folder of their corpus."""
    return {k: v
            for k, v in yaml.safe_load((ROOT / f"params/{paper}/{name}.yaml").read_text()).items()
            if k != "data_root"}


SMALL_FACES = paper_settings("sta_drn") | {"clip_frames": 4, "image_size": 32, "epochs": 2}
SMALL_WORDS = paper_settings("aafn") | {"window_seconds": 8, "overlap_seconds": 2, "frame_step": 15,
                                        "batch_size": 8}
VOICES = paper_settings("cfrafn") | {"augmentation": "none", "vggish_weights": "none"}
VLOGS = paper_settings("dynmultidep", "dvlog_paper") | {"mask": "right", "released_shortest": 60}


@pytest.fixture(scope="module")
def files(golden, tmp_path_factory):
    """Stand-ins by paper, and a list of importances."""
    folder = tmp_path_factory.mktemp("authors")
    torch.save(PlainAAFN().state("module."), folder / "AVT_f1_score-0.6444.pt")
    listed = folder / "sorted_feature_importance.csv"
    pd.DataFrame({"importance": np.linspace(2, 0, 88) / 88}, sorted(speech.egemaps_names())).to_csv(
        listed)
    return {"sta_drn": save(state_of(golden, "sta_drn_stanet_af_a")[0], folder / "best.pth"),
            "tanet": save(state_of(golden, "sta_drn_tanet_a")[0], folder / "best_tanet.pth"),
            "cfrafn": save(state_of(golden, "cfrafn_a")[0], folder / "best_CFRAFN.pth"),
            "dynmultidep": save(state_of(golden, "dynmultidep_a")[0],
                                folder / "best_model.pt", "module."),
            "aafn": folder / "AVT_f1_score-0.6444.pt", "importances": listed}


@pytest.fixture(scope="module")
def scored(files, tree, voices, interviews, vlogs, cache, tmp_path_factory):
    """The four chapters with an authors' file: mapping paper -> (folder, executed notebook).

    Do not change them.
    """
    parameters_by_paper = {"sta_drn": {"data_root": tree, **SMALL_FACES,
                                       "explain_videos": 1, "protocol": "clean"},
                           "cfrafn": {"data_root": voices, **VOICES, "protocol": "clean",
                                      "importances": str(files["importances"])},
                           "aafn": {"data_root": interviews, **SMALL_WORDS, "protocol": "clean"},
                           "dynmultidep": {"data_root": vlogs, **VLOGS}}
    runs_by_paper = {}
    for paper, parameters in parameters_by_paper.items():
        folder = tmp_path_factory.mktemp(paper)
        place = {} if paper == "dynmultidep" else {"cache_dir": str(cache)}
        executed = execute(folder, notebook=paper, checkpoint=str(files[paper]), workers=2,
                           **parameters | {"data_root": str(parameters["data_root"])}, **place)
        runs_by_paper[paper] = folder, executed
    return runs_by_paper


PAPERS = ("sta_drn", "cfrafn", "aafn", "dynmultidep")


@pytest.mark.parametrize("paper", PAPERS)
class TestChapter:
    def test_trains_nothing_and_says_so(self, scored, paper):
        folder, executed = scored[paper]
        left = {p.name for p in (folder / "run").iterdir()}
        assert not left & {"history.csv", "checkpoint.safetensors", "state.safetensors"}
        assert verify.refusal(folder / "run") is None
        page_text = texts(executed)
        # at the head and under the results
        assert page_text.count("**nothing was trained here**") == 2
        assert "nothing trained," in page_text
        assert "trained in" not in page_text

    def test_names_the_file_its_hash_and_what_is_not_known(self, scored, files, paper):
        folder, executed = scored[paper]
        page_text, facts = texts(executed), metrics_of(folder)["checkpoint"]
        assert facts["file"] == files[paper].name
        assert facts["sha256"] == hashlib.sha256(files[paper].read_bytes()).hexdigest()
        assert facts["format"] == FORMATS[paper][1]
        assert f"**Weights of `{facts['file']}`** (SHA-256 `{facts['sha256']}`)" in page_text
        assert "is not known here: people of the test part may be among these" in page_text
        assert str(files[paper].parent) not in page_text + (folder / "run/metrics.json").read_text()

    def test_its_network_has_the_sizes_of_the_file(self, scored, files, paper):
        facts = metrics_of(scored[paper][0])["checkpoint"]
        names = {"sta_drn": ("features", 4), "cfrafn": ("conv_width", 20), "dynmultidep":
                 ("width", 32), "aafn": ("conv_width", {"visual": 6, "audio": 7, "text": 9})}
        name, size = names[paper]
        assert facts["sizes"][name] == size
        assert f"{name} {authors.plain(size)}" in texts(scored[paper][1])
        # what the parameters ask for
        assert runs.Run(scored[paper][0] / "run").parameters[name] != size

    def test_no_warning_in_a_cell(self, scored, paper):
        assert not [o for c in scored[paper][1].cells for o in c.get("outputs", [])
                    if o.get("name") == "stderr"]


def predictions_of(folder, *keys):
    return pd.read_csv(folder / "run/predictions.csv",
                       dtype={"session": str, "participant": str}).set_index(list(keys))


class TestPredictions:
    """The chapter's answers are those of `reference.load` on the same inputs."""

    def test_faces(self, scored, golden, tree, cache):
        predictions = predictions_of(scored["sta_drn"][0], "session", "part")["y_pred"]
        state, config = state_of(golden, "sta_drn_stanet_af_a")
        model = reference.load("sta_drn", state, config)
        crops, _, _ = face.extract(corpora.open("avec2014", tree).files(), cache, 2, 3, 32,
                                   "aligned")
        assert len(predictions) > 8
        for (session, part), score in predictions.items():
            inputs = clips.evaluation_input(crops[f"{session}/{part}"]["crops"],
                                            lambda n: sta_drn.evaluation_clips(n, 4), 1, "imagenet")
            with torch.inference_mode():
                outputs = model(inputs)[:, 0]
            assert score == pytest.approx(float((63 * outputs.clamp(min=0)).mean()), abs=1e-3)

    def test_voices(self, scored, golden, voices, cache, files):
        predictions = predictions_of(scored["cfrafn"][0], "session")["y_pred"]
        state, config = state_of(golden, "cfrafn_a")
        weights = importance.feature_weights("as_released", speech.egemaps_names(),
                                             published=importance.read_importances(
                                                 files["importances"]))
        model = reference.load("cfrafn", state, config, weights)
        features, _, _ = speech.extract(corpora.open("speech_folder", voices).files(), cache, 2,
                                        weights="none")
        features = {name.split("/")[0]: arrays for name, arrays in features.items()}
        inputs = [torch.as_tensor(np.stack([features[s][key][0] for s in predictions.index]),
                                  dtype=torch.float32) for key in ("egemaps", "vggish")]
        with torch.inference_mode():
            np.testing.assert_allclose(predictions, model(*inputs).sigmoid(), atol=1e-5)

    def test_interviews(self, scored, interviews, cache):
        windows = predictions_of(scored["aafn"][0], "session")["y_pred"]
        plain = PlainAAFN()
        sessions = daic_woz.interviews(corpora.open("daic_woz", interviews))
        arrays, _, _ = interview.extract(sessions, cache, 2, "as_released", 15)
        pieces = windowing.Windows(arrays, *windowing.in_frames(8, 2, 15), "as_released")
        compared = 0
        for session, rows in pieces.table.groupby("session"):
            batch = pieces.batch(rows.index)
            if session not in windows or not batch.pop("present").all():
                continue
            scores = ordinal.decode(plain(**batch).log(), "released").sum(1)
            np.testing.assert_array_equal(np.sort(np.ravel(windows[session])), np.sort(scores))
            compared += len(rows)
        assert compared > 8

    def test_vlogs(self, scored, golden, vlogs):
        predictions = predictions_of(scored["dynmultidep"][0], "session")["y_pred"]
        state, config = state_of(golden, "dynmultidep_a")
        model = reference.load("dynmultidep", state, config)
        arrays, _ = vlog.load(corpora.open("dvlog", vlogs).files(), "dvlog")
        assert len(predictions) > 8
        for session, probability in predictions.items():
            with torch.inference_mode():
                logit = model(*(torch.as_tensor(arrays[session][part])[None]
                                for part in ("acoustic", "visual")))
            assert probability == pytest.approx(float(logit.sigmoid()), abs=2e-5)


class TestAsItComes:
    def test_the_command_of_the_guide(self, files, tree, cache, tmp_path):
        """As it stands there, with smaller pictures and shorter clips."""
        parameters = {"checkpoint": files["tanet"], "data_root": tree, "variant": "temporal",
                      "image_size": 32, "clip_frames": 4, "explain_videos": 1, "cache_dir": cache,
                      "run_dir": tmp_path / "run"}
        done = subprocess.run(
            [sys.executable, "-m", "papermill", "-k", "python3",
             "--no-progress-bar", "notebooks/sta_drn.ipynb",
             str(tmp_path / "out.ipynb"), "-f", "params/sta_drn/paper.yaml",
             *(word for name, value in parameters.items() for word in ("-p", name, str(value)))],
            cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        facts = metrics_of(tmp_path)["checkpoint"]
        assert facts["chosen"] == {"variant": "temporal"}
        assert facts["apart"] == ["Not as in params/sta_drn/paper.yaml (its values in brackets): "
                                  "clip_frames 4 (64), image_size 32 (224)."]
        page_text = texts(nbformat.read(tmp_path / "out.ipynb", 4))
        assert "By parameters, since weights cannot show it: variant temporal" in page_text

    @pytest.mark.skipif("DEPNB_REFERENCE" not in os.environ,
                        reason="DEPNB_REFERENCE: a folder with golden/ and published/")
    def test_the_authors_own_file_of_cfrafn(self, voices, cache, tmp_path):
        theirs = Path(os.environ["DEPNB_REFERENCE"]) / "published/cfrafn/best_CFRAFN.pth"
        execute(tmp_path, notebook="cfrafn", data_root=str(voices),
                cache_dir=str(cache), workers=2, **VOICES, checkpoint=str(theirs),
                importances=str(theirs.with_name("sorted_feature_importance.csv")))
        metrics = metrics_of(tmp_path)
        sizes = metrics["checkpoint"]["sizes"]
        assert (sizes["transformed_width"], sizes["conv_width"], sizes["classifier_width"]) == (
            196, 178, 155)
        assert metrics["parameters"] == 485_946
        assert 0 <= metrics["test"]["by_participant"]["roc_auc"] <= 1


class TestRefused:
    @pytest.mark.parametrize(("paper", "parameters", "sentence"), [
        ("sta_drn", {}, "checkpoint best.pth: with target 'standardised' the "
         "answers of the authors' network would mean nothing. Set target to share."),
        ("cfrafn", {"vggish_weights": "none"},
         "with scaling 'standard', alignment 'none', importances ''"),
        ("dynmultidep", {"scaling": "vlog", "gate": "mean"}, "with scaling 'vlog', gate 'mean'")])
    def test_parameters_that_would_give_nonsense_are_named_before_any_work(
        self, files, tmp_path, paper, parameters, sentence):
        error = error_of(execute(tmp_path, fails=True, notebook=paper, data_root="no/such/folder",
                                 **parameters, checkpoint=str(files[paper])))
        assert sentence in error
        assert "\n" not in error

    @pytest.mark.parametrize(("paper", "file", "sentence"), [
        ("sta_drn", "cfrafn", "best_CFRAFN.pth: holds the weights of CFRAFN, "
         "expected those of STA-DRN. Give it to notebooks/cfrafn.ipynb"),
        ("aafn", "sta_drn", "best.pth: holds the weights of STA-DRN, expected those of AAFN")])
    def test_another_papers_file(self, files, tmp_path, paper, file, sentence):
        more = {"target": "share"} if paper == "sta_drn" else {}
        error = error_of(execute(tmp_path, fails=True, notebook=paper, data_root="no/such/folder",
                                 **more, checkpoint=str(files[file])))
        assert sentence in error

    @pytest.mark.parametrize(("name", "content", "sentence"), [
        ("none.pth", None, "none.pth: no such checkpoint"),
        ("cut.pth", b"PK\x03\x04", "cut.pth: not a whole PyTorch file"),
        ("folder", "folder", "folder: a folder without checkpoint.safetensors"),
        ("none.safetensors", None, "none.safetensors: is not there. "
         "Give a run's folder, its checkpoint.safetensors or")])
    def test_a_file_that_is_none(self, files, place, tmp_path, name, content, sentence):
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        elif content:
            (tmp_path / name).mkdir()
        error = error_of(execute(tmp_path, fails=True, **place, target="share",
                                 checkpoint=str(tmp_path / name)))
        assert sentence in error

    def test_a_checkpoint_of_ours_of_another_paper(self, heard, place, tmp_path):
        checkpoint = str(heard[0] / "run/checkpoint.safetensors")
        error = error_of(execute(tmp_path, fails=True, **place, checkpoint=checkpoint))
        assert ("is of CFRAFN, this is the chapter on STA-DRN. "
                "Give it to notebooks/cfrafn.ipynb, or give another" in error)

    @pytest.mark.parametrize("paper", PAPERS)
    def test_what_is_no_runs_is_noticed_where_authors_files_are_read(self, heard, filmed, tmp_path,
                                                                     paper):
        """Before any work: in the second cell of every chapter."""
        (tmp_path / "empty").mkdir()
        (tmp_path / "torn.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{")
        for name, told in (("none", "is not there"), ("none.safetensors", "is not there"),
                           ("empty", "a folder without"),
                           ("torn.safetensors", "no weights of a run can be read from it")):
            with pytest.raises((ValueError, FileNotFoundError),
                               match=rf"^checkpoint .*{name}: {told}.* an authors. file"):
                authors.read(paper, {"checkpoint": str(tmp_path / name)}, None)
        for title, other in (("CFRAFN", heard), ("STA-DRN", filmed)):
            if FORMATS[paper][0] != title:
                with pytest.raises(
                    ValueError,
                    match=rf"is of {title}, this is the chapter on {FORMATS[paper][0]}\."):
                    authors.read(paper, {"checkpoint": str(other[0] / "run")}, None)
                with pytest.raises(ValueError,
                                   match=rf"is of {title}, paper is {paper}\. Set paper to"):
                    authors.run_weights(paper, other[0] / "run/checkpoint.safetensors", "predict")

    def test_a_runs_folder_is_taken(self, heard):
        run = heard[0] / "run"
        for path in (run, run / "checkpoint.safetensors"):
            assert authors.read("cfrafn", {"checkpoint": str(path)}, None) == (None, None)
            assert authors.run_weights("cfrafn", path) == run / "checkpoint.safetensors"

    def test_every_chapter_reads_them_before_its_corpus(self):
        for paper in PAPERS:
            cells = ["".join(c["source"])
                     for c in nbformat.read(ROOT / f"notebooks/{paper}.ipynb", 4).cells]
            number, = (i for i, text in enumerate(cells)
                       if f'authors.read("{paper}", p, run)' in text)
            assert number < next(i for i, text in enumerate(cells) if "paper.open(" in text)

    def test_sentence_vectors_of_another_width(self, scored):
        with pytest.raises(
            ValueError,
            match=r"AVT_f1_score-0.6444.pt: its network has embedding 512, here 384 is at hand"):
            authors.check_inputs(metrics_of(scored["aafn"][0])["checkpoint"], embedding=384)

    def test_vggish_that_cannot_be_had(self, files, tmp_path, monkeypatch):
        p = paper_settings("cfrafn") | {"checkpoint": str(files["cfrafn"]), "importances":
                                        str(files["importances"]), "cache_dir": str(tmp_path)}
        monkeypatch.setattr("depnb.features.vggish.locate",
                            lambda *_: ("logmel-statistics", None, None))
        with pytest.raises(ValueError,
                           match="reads VGGish embeddings, and VGGish cannot be had here"):
            authors.check_parameters("cfrafn", p)
        authors.check_parameters("cfrafn", p | {"vggish_weights": "none"})

    def test_a_finished_run_is_not_shown_for_another_file(self, scored, files, golden, tree, cache,
                                                          tmp_path):
        changed = save({k: 2 * v for k, v in state_of(golden, "sta_drn_stanet_af_a")[0].items()},
                       tmp_path / "best.pth")
        run = runs.Run(scored["sta_drn"][0] / "run")
        p = run.parameters | {"checkpoint": str(changed)}
        with pytest.raises(ValueError,
                           match=r"was made with other weights than best.pth holds now"):
            authors.read("sta_drn", p, run)
        model, _ = authors.read("sta_drn", p | {"checkpoint": str(files["sta_drn"])}, run)
        assert model is not None


class TestIsTheirs:
    def test_by_content_and_name(self, files, tmp_path):
        ours = tmp_path / "checkpoint.safetensors"
        save_file({"fc.weight": torch.zeros(3)}, ours)
        (tmp_path / "renamed.pth").write_bytes(ours.read_bytes())
        assert authors.is_theirs(files["sta_drn"])
        assert authors.is_theirs(tmp_path / "missing.pth")
        assert not any(map(authors.is_theirs, (ours, tmp_path / "renamed.pth", tmp_path, tmp_path
                                               / "runs/quick", tmp_path / "missing.safetensors")))


def predicted(folder, paper, files, fails=False, **parameters):
    return execute(folder, fails=fails, notebook="predict", paper=paper,
                   checkpoint=str(files[paper]), workers=2, **parameters)


class TestPredict:
    @pytest.fixture
    def settings(self, tmp_path):
        """A small parameter file over the authors' settings."""
        def write(**parameters):
            (tmp_path / "small.yaml").write_text(yaml.safe_dump(parameters))
            return str(tmp_path / "small.yaml")

        return write

    def test_a_video(self, files, scored, tree, cache, tmp_path, settings):
        video = sorted(tree.rglob("*.mp4"))[0]
        executed = predicted(tmp_path, "sta_drn", files, input=str(video), cache_dir=str(
            cache), settings=settings(**{k: v for k, v in SMALL_FACES.items() if k != "epochs"}))
        page_text = texts(executed)
        assert "**nothing was trained here**" in page_text
        assert "How far off the answers of **best.pth** are is **not known here**" in page_text
        assert "mean absolute error" not in page_text
        scores = pd.read_csv(tmp_path / "run/predictions.csv").set_index("file")["BDI-II"]
        state_model, _ = read_model("sta_drn", files["sta_drn"])
        crops, _, _ = face.extract({video.name: video}, cache, 1, 3, 32, "aligned")
        inputs = clips.evaluation_input(crops[video.name]["crops"],
                                        lambda n: sta_drn.evaluation_clips(n, 4), 1, "imagenet")
        with torch.inference_mode():
            outputs = state_model(inputs)[:, 0]
        assert scores[video.name] == pytest.approx(
            sta_drn.score_of_video(63 * outputs.clamp(min=0), 10), abs=1e-4)

    def test_recordings(self, files, scored, voices, cache, tmp_path):
        predicted(tmp_path, "cfrafn", files, input=str(voices / "voices_1"), cache_dir=str(cache),
                  vggish_weights="none", importances=str(files["importances"]))
        probabilities = pd.read_csv(tmp_path / "run/predictions.csv").set_index(
            "file")["probability"]
        known = predictions_of(scored["cfrafn"][0], "session")["y_pred"]
        known = known[[f"{s}.wav" in probabilities.index for s in known.index]]
        assert len(known) > 0
        np.testing.assert_allclose(probabilities[[f"{s}.wav" for s in known.index]], known,
                                   atol=1e-5)

    def test_interviews(self, files, scored, interviews, cache, tmp_path, settings):
        executed = predicted(tmp_path, "aafn", files, input=str(interviews), cache_dir=str(cache),
                             settings=settings(**SMALL_WORDS))
        predictions = pd.read_csv(tmp_path / "run/predictions.csv",
                                  dtype={"session": str}).set_index("session")
        assert not {"low", "high"} & set(predictions)
        known = predictions_of(scored["aafn"][0], "session")["y_pred"].groupby("session").mean()
        both = [s for s in known.index if s in predictions.index]
        np.testing.assert_allclose(predictions.loc[both, "total"], known[both], atol=1e-4)
        assert "it makes of text means nothing" in texts(executed)

    def test_arrays_of_vlogs(self, files, scored, vlogs, tmp_path, settings):
        predicted(tmp_path, "dynmultidep", files, input=str(vlogs), settings=settings(**VLOGS))
        probabilities = pd.read_csv(tmp_path / "run/predictions.csv",
                                    dtype={"file": str}).set_index("file")["probability"]
        known = predictions_of(scored["dynmultidep"][0], "session")["y_pred"]
        both = [s for s in known.index if s in probabilities.index]
        assert len(both) > 8
        np.testing.assert_allclose(probabilities[both], known[both], atol=2e-5)

    @pytest.mark.parametrize(("paper", "parameters", "sentence"), [
        ("cfrafn", {"vggish_weights": "none"},
         "with importances '' the answers of the authors' network would mean nothing"),
        ("dynmultidep", {"settings": "no/such.yaml"}, "settings no/such.yaml: no such file"),
        ("aafn", {"checkpoint": "missing.pt"}, "missing.pt: no such checkpoint"),
        ("sta_drn", {"checkpoint": "tanet"}, "best_tanet.pth: has one attention branch")])
    def test_what_is_missing_is_said(self, files, tmp_path, paper, parameters, sentence):
        defaults = ({"paper": paper, "checkpoint": str(files[paper]), "input": str(tmp_path)}
                    | parameters)
        defaults["checkpoint"] = str(files.get(defaults["checkpoint"], defaults["checkpoint"]))
        assert sentence in error_of(execute(tmp_path, fails=True, notebook="predict", **defaults))

    def test_a_run_that_trained_nothing_is_refused(self, scored, tree, tmp_path):
        error = error_of(execute(tmp_path, fails=True, notebook="predict", paper="sta_drn",
                                 input=str(tree), checkpoint=str(scored["sta_drn"][0] / "run")))
        assert "the run scored best.pth and trained nothing. Give that file." in error


def test_help_shows_every_parameter():
    for notebook in (*PAPERS, "predict"):
        declared = papermill.inspect_notebook(str(ROOT / f"notebooks/{notebook}.ipynb"))
        assert "authors' file" in declared["checkpoint"]["help"]
    assert {"settings", "variant", "importances", "alignment", "fusion", "sentence_encoder"} <= set(
        declared)


@pytest.mark.parametrize("paper", PAPERS)
def test_what_is_compared_and_needed_are_parameters(paper):
    declared = papermill.inspect_notebook(str(ROOT / f"notebooks/{paper}.ipynb"))
    table = authors.parameter_file(paper, {"corpus": "dvlog"})
    assert set(authors.COMPARED[paper]) <= set(yaml.safe_load((ROOT / table).read_text())) & set(
        declared)
    assert {*authors.NEEDED[paper], *CHOICES[paper]} <= set(declared)
