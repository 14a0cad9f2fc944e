"""The notebooks as a user runs them: by papermill, in a process of their own, on a corpus of a few
seconds.
"""

import base64
import json
import re
import subprocess
import time

import cv2
import mediapipe
import numpy as np
import pandas as pd
import psutil
import pytest

from depnb import corpora
from depnb.features import face, store
from tests.papermilled import TINY, command, error_of, execute, texts
from tests.paths import ROOT


def pictures(notebook):
    """All figures of a notebook, as (H, W, 3) uint8 RGB."""
    encoded = [o["data"]["image/png"] for cell in notebook.cells for o in cell.get("outputs", [])
               if "image/png" in o.get("data", {})]
    return [cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8),
                         cv2.IMREAD_COLOR)[..., ::-1] for png in encoded]


def faces(pictures):
    """In how many pictures MediaPipe finds a face."""
    with mediapipe.solutions.face_detection.FaceDetection(model_selection=1,
                                                          min_detection_confidence=0.3) as detector:
        # A strip of small faces is looked at piece by piece, enlarged.
        pieces = [cv2.resize(np.ascontiguousarray(p[:, i:i + 200]), None, fx=3, fy=3)
                  for p in pictures for i in range(0, max(p.shape[1] - 199, 1), 100)]
        return sum(detector.process(piece).detections is not None for piece in pieces)


class TestRun:
    def test_leaves_everything_that_a_number_needs(self, filmed):
        folder, _ = filmed
        assert {p.name for p in (folder / "run").iterdir()} >= {
            "params.yaml", "metrics.json", "predictions.csv", "history.csv",
            "checkpoint.safetensors", "provenance.json", "attributions.csv", "figures"}
        assert {p.stem for p in (folder / "run/figures").iterdir()} >= {
            "scores", "frames", "crops", "training", "scatter", "attention", "attributions",
            "concentration"}

    def test_metrics_are_those_of_the_predictions(self, filmed):
        run = filmed[0] / "run"
        metrics, people = (json.loads((run / "metrics.json").read_text()),
                           pd.read_csv(run / "predictions.csv"))
        people = people[people["split"] == "test"].groupby("participant")[["y_true",
                                                                           "y_pred"]].mean()
        assert metrics["simulated"]
        test = metrics["test"]["by_participant"]
        assert test["participants"] == len(people)
        assert test["mae"] == pytest.approx((people["y_pred"] - people["y_true"]).abs().mean(),
                                            abs=1e-5)

    def test_says_that_its_numbers_are_simulated(self, filmed):
        page_text = texts(filmed[1])
        assert "**simulated data** (participants 12, effect 1, seed 0)" in page_text
        assert re.search(r"simulated AVEC 2014, effect 1: \d+ sessions", page_text)

    def test_no_warning_and_no_path_of_the_machine_in_a_cell(self, filmed, place):
        streams = [o for cell in filmed[1].cells for o in cell.get("outputs", [])
                   if o.get("name") == "stderr"]
        assert streams == []
        assert not any(str(p) in texts(filmed[1]) for p in (ROOT, *place.values()))

    def test_again_shows_the_finished_run(self, filmed, place):
        folder, _ = filmed
        before = (folder / "run/metrics.json").stat().st_mtime_ns
        page_text = texts(execute(folder, **place))
        assert (folder / "run/metrics.json").stat().st_mtime_ns == before
        assert "is kept as" not in page_text

    def test_a_checkpoint_is_scored_like_the_run_that_wrote_it(self, filmed, place, tmp_path):
        execute(tmp_path, **place, checkpoint=str(filmed[0] / "run/checkpoint.safetensors"))
        scored, trained = (json.loads((f / "run/metrics.json").read_text())
                           for f in (tmp_path, filmed[0]))
        assert scored["test"] == trained["test"]
        # that is for weights of others (tests/papers/test_authors.py)
        assert "checkpoint" not in scored


def test_killed_and_started_again_ends_with_the_same_bits(filmed, place, tmp_path):
    parameters = TINY | place | {"run_dir": str(tmp_path / "run")}
    state = tmp_path / "run/state.safetensors"
    process = subprocess.Popen(command(tmp_path, parameters), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and not state.exists():
        time.sleep(0.02)
    # the kernel and papermill
    for victim in [*psutil.Process(process.pid).children(recursive=True), process]:
        victim.kill()
    process.wait()
    assert state.exists()
    assert not (tmp_path / "run/metrics.json").exists()
    execute(tmp_path, **place)
    for name in ("metrics.json", "predictions.csv", "checkpoint.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (
            filmed[0] / "run" / name).read_bytes(), name


class TestRefused:
    @pytest.mark.parametrize(("parameters", "sentence"), [
        ({"epoch": 5}, "ValueError: unknown parameter 'epoch'; did you mean 'epochs'?"),
        ({"device": "tpu"}, "ValueError: parameter device: 'tpu'; choose auto, cpu or cuda."),
        ({"data_root": "no/such/folder"}, "no/such/folder: no such folder. "
         "Expected the avec2014 corpus")])
    def test_in_one_sentence(self, place, tmp_path, parameters, sentence):
        error = error_of(execute(tmp_path, fails=True, **place | parameters))
        assert sentence in error
        assert "\n" not in error

    def test_a_checkpoint_of_another_variant(self, filmed, place, tmp_path):
        checkpoint = str(filmed[0] / "run/checkpoint.safetensors")
        error = error_of(execute(tmp_path, fails=True, **place, checkpoint=checkpoint,
                                 variant="spatial"))
        assert ("a checkpoint of another model: variant is attention_fusion there, "
                "spatial here" in error)


def test_a_folder_of_extracted_frames(tree, cache, tmp_path):
    data = corpora.open("avec2014", tree)
    tracks, _ = store.extract(data.files(), face.track, cache, frame_step=3)
    crops, _ = store.extract(data.files(), face.crop, cache, frame_step=3, size=32, each={
        name: {"alignment": t["alignment"]} for name, t in tracks.items()})
    rows = []
    for number, recording in enumerate(crops):
        folder = tmp_path / f"frames/video_{number:03d}"
        folder.mkdir(parents=True)
        for i, image in enumerate(crops[recording]["crops"], start=1):
            cv2.imwrite(str(folder / f"{i:05d}.jpg"), image[..., ::-1])
        score = data.sessions.set_index("session").loc[recording.split("/")[0], "score"]
        rows.append({"path": folder.name, "label": score})
    pd.DataFrame(rows).to_csv(tmp_path / "frames/label.csv", index=False)
    execute(tmp_path, corpus="frame_folder", data_root=str(tmp_path / "frames"),
            cache_dir=str(cache), frame_step=1)
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["ridge"] is None                 # no landmarks: crops are all there is
    assert metrics["test"]["by_participant"]["participants"] >= 2
