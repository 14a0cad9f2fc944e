import itertools
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import soundfile

from depnb import corpora
from depnb.corpora.cohort import TABLE, read_participants
from depnb.corpora.simulated import outdated
from depnb.simulation import __main__, cohort, effects, layouts, severity, voice
from depnb.simulation.layouts import MARKER, simulate
from tests.trees import contents

TINY = {"participants": 3, "seconds": 0.5, "size": 96}
FEW = {"avec2014": TINY, "speech_folder": {"participants": 6, "seconds": 1.5, "seed": 2},
       "daic_woz": {"participants": 6, "seconds": 12, "seed": 1},
       "dvlog": {"participants": 4, "seconds": 40, "seed": 3},
       "lmvd": {"participants": 4, "seconds": 40, "seed": 3}}
LABELS = {"avec2014": r".*\.csv", "speech_folder": "participants.csv",
          "daic_woz": r".*split.*\.csv", "dvlog": r"(labels|speakers)\.csv"}
SAME = {"severity", "gender", "age", "split", "label", "bdi2", "phq8_total", "usual",
        "uninformative"}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """small(layout) -> a small tree of it, written once."""
    folder = tmp_path_factory.mktemp("small")
    return lambda layout: simulate(layout, folder / layout, workers=1, **FEW[layout])


@pytest.fixture(scope="module")
def voices(small):
    return small("speech_folder")


def people_of(truth):
    """Whatever has a severity and cues of its own: participants, or sessions."""
    sessions = truth["sessions"]
    return sessions if "severity" in next(iter(sessions.values())) else truth["participants"]


class TestEveryLayout:
    @pytest.mark.parametrize("layout", FEW)
    def test_the_command_writes_the_same_bytes_with_other_processes(self, layout, small, tmp_path):
        options = [f"--{name}={value}" for name, value in FEW[layout].items()]
        __main__.main([layout, "--root", str(tmp_path / "tree"), "--workers", "2", *options])
        assert contents(tmp_path / "tree") == contents(small(layout))

    @pytest.mark.parametrize("layout", LABELS)
    def test_effect_moves_the_cues_by_severity_and_nothing_else(self, layout, small, tmp_path):
        first = contents(small(layout))
        null = contents(simulate(layout, tmp_path / "null", effect=0.0, **FEW[layout]))
        assert first.keys() == null.keys()
        truth, null_truth = (json.loads(tree[MARKER]) for tree in (first, null))
        equal = {name for name in first if first[name] == null[name]}
        hidden = {f"{name}/{name}_{facts['uninformative']}.npy"
                  for name, facts in truth["sessions"].items() if facts.get("uninformative")}
        assert equal == {name for name in first if re.fullmatch(LABELS[layout], name)} | hidden
        for name, person in people_of(truth).items():
            other = people_of(null_truth)[name]
            recruited = (("study",) if layout in ("avec2014", "daic_woz")
                         else ("study", severity.HEALTHY))
            gap = severity.groups(*recruited)["severity"]
            expected = effects.slope(effects.EASY, *gap[:2]) * (person["severity"] - gap[2])
            moved = {cue: value - other["cues"][cue] for cue, value in person["cues"].items()}
            assert moved == pytest.approx(dict.fromkeys(moved, expected), abs=3e-6)
            assert {k: person[k] for k in SAME & set(person)} == {k: other[k]
                                                                  for k in SAME & set(other)}
            assert "item_cues" not in person or person["item_cues"] != other["item_cues"]

    @pytest.mark.parametrize("layout", FEW)
    def test_interrupted_writing_goes_on_and_ends_with_the_same_bytes(self, layout, small,
                                                                      tmp_path, monkeypatch):
        root, part, calls, replace = (tmp_path / "killed", tmp_path / ".killed.part",
                                      itertools.count(), Path.replace)

        def killed_before_a_file_gets_its_name(path, target):
            if next(calls) == 4:
                raise KeyboardInterrupt
            return replace(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed_before_a_file_gets_its_name)
            with pytest.raises(KeyboardInterrupt):
                simulate(layout, root, workers=1, **FEW[layout])
        assert not root.exists()
        before = {p.relative_to(part): p.stat().st_mtime_ns
                  for p in part.rglob("*") if ".part" not in p.name}
        simulate(layout, root, workers=1, **FEW[layout])
        assert contents(root) == contents(small(layout))
        again = [name for name in before if (root / name).is_file()
                 and (root / name).stat().st_mtime_ns == before[name]]
        assert {".mp4", ".wav", ".npy"} & {name.suffix for name in again}


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


def test_killed_writing_goes_on_and_ends_with_the_same_bytes(small, tmp_path):
    command = [sys.executable, "-m", "depnb.simulation", "avec2014", "--root",
               str(tmp_path / "killed"),
               "--participants", "3", "--seconds", "0.5", "--size", "96", "--workers", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    part = tmp_path / ".killed.part"
    while process.poll() is None and not list(part.rglob("[!.]*.mp4")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    before = {p.relative_to(part): p.stat().st_mtime_ns for p in part.rglob("[!.]*.mp4")}
    assert before
    subprocess.run(command, check=True, capture_output=True)
    assert contents(tmp_path / "killed") == contents(small("avec2014"))
    assert {p: (tmp_path / "killed" / p).stat().st_mtime_ns for p in before} == before


def test_two_processes_may_ask_for_one_tree(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=simulate,
                            args=("avec2014", tmp_path / "shared", 3, 0, 1.0, 0.5, 96, 30, 1))
            for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [p.exitcode for p in both] == [0, 0]
    assert len(list((tmp_path / "shared").rglob("*.mp4"))) == 6


def test_another_corpus_in_the_folder_is_named(tree):
    with pytest.raises(ValueError,
                       match=r"holds another simulated corpus \(participants 12 there, 3 asked"):
        simulate("avec2014", tree, participants=3)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and not a simulated corpus"):
        simulate("avec2014", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(("root", "told"), [
    ("file", "is not empty and not a simulated corpus"),
    ("link", "is not empty and not a simulated corpus"),
    ("file/below", r"cannot be written \(File exists\)\. Free space or choose another folder"),
    ("torn", "cannot be read"), ("/proc/depnb", r"cannot be written \(.*\)\."),
    ("", "names no folder"), ("/", "names no folder")])
@pytest.mark.parametrize("layout", ["avec2014", "cohort"])
def test_the_command_stops_at_once_and_in_one_sentence(tmp_path, monkeypatch, layout, root, told):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / ("COHORT.json" if layout == "cohort" else MARKER)).write_text("[")
    monkeypatch.setattr(cohort, "drawn", None)              # nothing is drawn
    monkeypatch.setattr(layouts, "LAYOUTS",
                        {name: kind._replace(write=None) for name, kind in layouts.LAYOUTS.items()})
    with pytest.raises(SystemExit, match=told.replace("corpus", layout if layout == "cohort"
                                                      else "corpus")) as stopped:
        __main__.main([layout, "--root", str(tmp_path / root) if root not in ("", "/") else root,
                       "--participants", "8"])
    assert "Traceback" not in str(stopped.value)
    assert isinstance(stopped.value.code, str)


def test_the_command_says_what_is_wrong_with_its_arguments(tmp_path):
    with pytest.raises(SystemExit,
                       match=r"^participants: 0\. Cases and controls need at least 2\.$"):
        __main__.main(["dvlog", "--root", str(tmp_path / "x"), "--participants", "0"])


@pytest.mark.parametrize(("asked", "told"), [
    (["dvlog", "--effect", "strong"], "effect 'strong': expected a number from 0 (null corpus) to "
                                      "3, or literature."),
    (["cohort", "--effect", "3.5"], "effect '3.5': expected a number"),
    (["dvlog", "--participants", "3", "--sample", "general"],
     "participants: 3. Of so few in a general sample none, or all, reach a PHQ-8 of 10."),
    (["avec2014", "--participants", "2"], "participants: 2. A cohort with three splits needs"),
    *((["dvlog", "--seconds", seconds], f"seconds: {seconds}. Expected a number of at least 0.5; "
                                        "leave it out for 480.") for seconds in ("-1", "0", "nan")),
    (["speech_folder", "--seed", "-1"], "seed: -1. Expected 0 or more."),
    (["avec2014", "--size", "0"], "size: 0. Expected at least 32 pixels.")])
def test_what_cannot_be_leaves_nothing_behind(tmp_path, asked, told):
    with pytest.raises(SystemExit) as stopped:
        __main__.main([*asked, "--root", str(tmp_path / "x")])
    assert str(stopped.value).startswith(told)
    assert not [*tmp_path.glob("*x")]
    assert not [*tmp_path.glob(".*part")]


def test_a_layout_without_videos_has_no_size(tmp_path, capsys):
    with pytest.raises(SystemExit):
        __main__.main(["dvlog", "--size", "64", "--root", str(tmp_path / "x")])
    assert "--size is no choice of dvlog, which has no videos. Leave it out." in (
        capsys.readouterr().err)


def aged(file):
    """A marker or table as version 1 of the simulator would have it."""
    told = json.loads(file.read_text())
    told["arguments"]["version"] = 1
    file.write_text(json.dumps(told))


def test_a_tree_of_the_older_simulator_is_refused_with_the_command_that_writes_it_anew(tmp_path):
    root = simulate("dvlog", tmp_path / "old", workers=1, **FEW["dvlog"])
    aged(root / MARKER)
    command = (f"written by version 1 of the simulator, this is 2.* python -m depnb.simulation "
               f"dvlog --root {root} --participants 4 --seed 3 --effect 1.0 --seconds 40.0")
    for refused in (lambda: simulate("dvlog", root, workers=1, **FEW["dvlog"]),
                    lambda: corpora.open("dvlog", root, tmp_path / "cache")):
        with pytest.raises(ValueError, match=command) as caught:
            refused()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", [TABLE, f"dvlog/{MARKER}"])
def test_a_cohort_of_mixed_versions_is_refused(tmp_path, old):
    root = cohort.render(tmp_path / "cohort", 6, seconds={"dvlog": 30}, layouts=["dvlog"],
                         workers=1)
    aged(root / old)
    command = f"version 1 .* cohort --root {root} --participants 6 --seed 0 --effect 1.0$"
    for refused in (lambda: read_participants(root),
                    lambda: cohort.render(root, 6, seconds={"dvlog": 30}, layouts=["dvlog"]),
                    lambda: cohort.render(root, 6, layouts=["speech_folder"])):
        with pytest.raises(ValueError, match=command):
            refused()
    assert not (root / "speech_folder").exists()


def test_a_cohort_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / TABLE).write_text("{}")
    with pytest.raises(ValueError, match=rf"{TABLE}: cannot be read\. Choose another folder"):
        read_participants(tmp_path)


def test_the_command_that_writes_a_tree_anew_holds_a_folder_with_a_space():
    assert "--root '/home/me/my tree' " in outdated(Path("/home/me/my tree"), {"layout": "dvlog"})


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
        assert sorted(p.name for p in voices.iterdir()) == [MARKER, "participants.csv",
                                                            "voices_0", "voices_1"]

    def test_recordings_have_the_promised_format_and_length(self, voices):
        truth = json.loads((voices / MARKER).read_text())
        for session in truth["sessions"].values():
            info = soundfile.info(voices / session["file"])
            place = truth["participants"][str(session["participant"])]["recording"]
            assert (info.samplerate, info.channels, info.subtype) == (place["sample_rate"],
                                                                      place["channels"], "PCM_16")
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
                cue = np.clip(person["cues"][control.cue], -3, 3)
                assert session["moved"][name] == pytest.approx(control.spread * cue, abs=1e-5)
                assert control.low <= session["controls"][name] <= control.high
            spans = sorted(session["speech"] + session["pauses"])
            assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
            assert spans[-1][1] < session["seconds"]
