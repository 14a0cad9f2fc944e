import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pandas as pd
import pytest
import soundfile

from depnb.simulation import __main__, cohort, layouts, voice
from depnb.simulation.layouts import MARKER, simulate

TINY = {"participants": 3, "seconds": 0.5, "size": 96}
FEW = {"participants": 6, "seconds": 1.5, "seed": 2}


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    return simulate("speech_folder", tmp_path_factory.mktemp("voices") / "tree", workers=1, **FEW)


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_tree_has_the_layout_of_avec2014(tree):
    names = {p.relative_to(tree).as_posix() for p in tree.rglob("*.mp4")}
    assert {n.split("/")[2] for n in names} == {"Training", "Development", "Testing"}
    assert {n.split("/")[3] for n in names} == {"Northwind", "Freeform"}
    truth = json.loads((tree / MARKER).read_text())
    assert len(names) == 2 * len(truth["sessions"])
    for session, facts in truth["sessions"].items():
        (label,) = tree.rglob(f"{session}_Depression.csv")
        assert int(label.read_text()) == facts["bdi2"]
        assert set(facts["cues"]) == {"smile", "brow", "eyes", "gaze", "head"}
        for task, video in facts["videos"].items():
            assert (tree / video["file"]).name == f"{session}_{task.title()}_video.mp4"


def test_videos_are_real_and_have_the_promised_length(tree):
    video = cv2.VideoCapture(str(next(tree.rglob("*.mp4"))))
    assert video.get(cv2.CAP_PROP_FPS) == 30
    count = 0
    while video.read()[0]:
        count += 1
    assert count == 60


def test_avec2013_has_one_longer_video_a_session(tmp_path):
    root = simulate("avec2013", tmp_path / "avec2013", **TINY)
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.mp4"))
    assert len(names) == 3
    assert all(n.endswith("_cut_combined.mp4") for n in names)
    truth = json.loads((root / MARKER).read_text())
    assert all(list(s["videos"]) == ["interview"] for s in truth["sessions"].values())


def test_same_arguments_same_bytes_other_effect_same_labels(tmp_path):
    first, second, null = (contents(simulate("avec2014", tmp_path / name, effect=effect, workers=workers, **TINY))
                           for name, effect, workers in (("a", 1.0, 1), ("b", 1.0, 2), ("null", 0.0, 2)))
    assert first == second
    assert first.keys() == null.keys()
    assert all(first[n] == null[n] for n in first if n.endswith(".csv"))
    assert all(first[n] != null[n] for n in first if n.endswith(".mp4"))
    people = [json.loads(tree[MARKER])["participants"] for tree in (first, null)]
    assert people[0] == people[1]


def test_killed_writing_goes_on_and_ends_with_the_same_bytes(tmp_path):
    whole = contents(simulate("avec2014", tmp_path / "whole", **TINY))
    command = [sys.executable, "-m", "depnb.simulation", "avec2014", "--root", str(tmp_path / "killed"),
               "--participants", "3", "--seconds", "0.5", "--size", "96", "--workers", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    part = tmp_path / ".killed.part"
    while process.poll() is None and not list(part.rglob("[!.]*.mp4")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    kept = {p: p.stat().st_mtime_ns for p in part.rglob("[!.]*.mp4")}
    assert kept
    subprocess.run(command, check=True, capture_output=True)
    assert contents(tmp_path / "killed") == whole
    again = [tmp_path / "killed" / p.relative_to(part) for p in kept]
    assert [p.stat().st_mtime_ns for p in again] == list(kept.values())


def test_two_processes_may_ask_for_one_tree(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=simulate, args=("avec2014", tmp_path / "shared", 3, 0, 1.0, 0.5, 96, 30, 1))
            for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert len(list((tmp_path / "shared").rglob("*.mp4"))) == 6


def test_another_corpus_in_the_folder_is_named(tree):
    with pytest.raises(ValueError, match=r"holds another simulated corpus \(participants 12 there, 3 asked"):
        simulate("avec2014", tree, participants=3)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and not a simulated corpus"):
        simulate("avec2014", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(("root", "told"), [
    ("file", "is not empty and not a simulated corpus"), ("link", "is not empty and not a simulated corpus"),
    ("file/below", r"cannot be written \(File exists\)\. Free space or choose another folder"), ("torn", "cannot be read"),
    ("/proc/depnb", r"cannot be written \(.*\)\."), ("", "names no folder"), ("/", "names no folder")])
@pytest.mark.parametrize("layout", ["avec2014", "cohort"])
def test_the_command_stops_at_once_and_in_one_sentence(tmp_path, monkeypatch, layout, root, told):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / ("COHORT.json" if layout == "cohort" else MARKER)).write_text("[")
    monkeypatch.setattr(cohort, "drawn", None)              # nothing is drawn
    monkeypatch.setattr(layouts, "LAYOUTS", {name: kind._replace(write=None) for name, kind in layouts.LAYOUTS.items()})
    with pytest.raises(SystemExit, match=told.replace("corpus", layout if layout == "cohort" else "corpus")) as stopped:
        __main__.main([layout, "--root", str(tmp_path / root) if root not in ("", "/") else root, "--participants", "8"])
    assert "Traceback" not in str(stopped.value)
    assert isinstance(stopped.value.code, str)


def test_the_command_says_what_is_wrong_with_its_arguments(tmp_path):
    with pytest.raises(SystemExit, match=r"^participants: 0\. Cases and controls need at least 2\.$"):
        __main__.main(["dvlog", "--root", str(tmp_path / "x"), "--participants", "0"])


def test_an_unknown_layout_is_named(tmp_path):
    with pytest.raises(ValueError, match="layout 'avec2020': depnb simulates avec2014, avec2013"):
        simulate("avec2020", tmp_path / "x")


class TestSpeechFolder:
    def test_tree_has_the_layout_of_cfrafn_and_the_table_that_it_lacks(self, voices):
        table = pd.read_csv(voices / "participants.csv")
        assert list(table.columns) == ["file", "participant", "gender", "age", "phq8_total"]
        files = sorted(p.relative_to(voices).as_posix() for p in voices.rglob("*.wav"))
        assert files == list(table["file"])
        assert set(table["file"].str.split("/").str[0]) == {"voices_0", "voices_1"}
        assert (table["file"].str.startswith("voices_1/") == (table["phq8_total"] >= 10)).all()
        assert not table["phq8_total"].between(5, 9).any()
        takes = table.groupby("participant").size()
        assert len(takes) == 6
        assert takes.between(2, 3).all()
        assert sorted(p.name for p in voices.iterdir()) == [MARKER, "participants.csv", "voices_0", "voices_1"]

    def test_recordings_have_the_promised_format_and_length(self, voices):
        truth = json.loads((voices / MARKER).read_text())
        for session in truth["sessions"].values():
            info = soundfile.info(voices / session["file"])
            place = truth["participants"][str(session["participant"])]["recording"]
            assert (info.samplerate, info.channels, info.subtype) == (place["sample_rate"], place["channels"], "PCM_16")
            assert info.duration == pytest.approx(session["seconds"], abs=0.001)
            assert 1.35 <= info.duration <= 1.65

    def test_truth_says_what_moves_which_and_where(self, voices):
        truth = json.loads((voices / MARKER).read_text())
        assert set(truth["controls"]) == set(voice.CONTROLS)
        assert all(entry["egemaps"] for entry in truth["controls"].values())
        for session in truth["sessions"].values():
            person = truth["participants"][str(session["participant"])]
            assert person["label"] == int(session["file"][7]) == int(person["phq8_total"] >= 10)
            for name, control in voice.CONTROLS.items():
                cue = np.clip(person["cues"][control.cue], -2.5, 2.5)
                assert session["moved"][name] == pytest.approx(control.moved * cue, abs=1e-5)
                assert control.low <= session["controls"][name] <= control.high
            spans = sorted(session["speech"] + session["pauses"])
            assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
            assert spans[-1][1] < session["seconds"]

    def test_same_arguments_same_bytes_other_effect_same_labels(self, voices, tmp_path):
        first = contents(voices)
        assert first == contents(simulate("speech_folder", tmp_path / "again", workers=2, **FEW))
        null = contents(simulate("speech_folder", tmp_path / "null", effect=0.0, **FEW))
        assert first.keys() == null.keys()
        assert first["participants.csv"] == null["participants.csv"]
        assert all(first[n] != null[n] for n in first if n.endswith(".wav"))
        people = [json.loads(tree[MARKER])["participants"] for tree in (first, null)]
        for number, person in people[0].items():
            other = people[1][number]
            assert {k: v for k, v in person.items() if k != "cues"} == {k: v for k, v in other.items() if k != "cues"}
            assert person["cues"] != other["cues"]

    def test_interrupted_writing_goes_on_and_ends_with_the_same_bytes(self, voices, tmp_path, monkeypatch):
        whole, root, written = contents(voices), tmp_path / "killed", []
        write = voice.write_recording

        def killed_at_the_fifth(path, *arguments):
            if len(written) == 4:
                raise KeyboardInterrupt
            written.append(path)
            write(path, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(voice, "write_recording", killed_at_the_fifth)
            with pytest.raises(KeyboardInterrupt):
                simulate("speech_folder", root, workers=1, **FEW)
        assert not root.exists()
        kept = {p: p.stat().st_mtime_ns for p in written}
        simulate("speech_folder", root, workers=1, **FEW)
        assert contents(root) == whole
        part = tmp_path / ".killed.part"
        assert [(root / p.relative_to(part)).stat().st_mtime_ns for p in kept] == list(kept.values())

    def test_command_line_writes_it(self, voices, tmp_path):
        subprocess.run([sys.executable, "-m", "depnb.simulation", "speech_folder", "--root", str(tmp_path / "tree"),
                        "--participants", "6", "--seconds", "1.5", "--seed", "2", "--workers", "1"], check=True,
                       capture_output=True)
        assert contents(tmp_path / "tree") == contents(voices)
