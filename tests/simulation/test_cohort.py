"""One cohort in every layout: the same people, scores, classes, splits and cues, wherever they
are read.
"""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from depnb import corpora
from depnb.corpora.cohort import read_participants
from depnb.simulation import cohort, effects, face, severity, vlog, voice
from depnb.simulation.layouts import MARKER, simulate
from tests.trees import contents

SHORT = {"avec2014": 0.5, "speech_folder": 1.5, "daic_woz": 12, "dvlog": 60}
FEW = {"participants": 10, "seed": 3, "seconds": SHORT, "workers": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return cohort.render(tmp_path_factory.mktemp("cohort") / "all", **FEW)


@pytest.fixture(scope="module")
def people(root):
    return read_participants(root).set_index("participant")


@pytest.fixture(scope="module")
def opened(root):
    return {layout: corpora.open(layout, root / layout) for layout in cohort.SECONDS}


def truth(root, layout):
    return json.loads((root / layout / MARKER).read_text())


def by_person(corpus, column):
    values = corpus.sessions.groupby("participant")[column].agg(set)
    assert (values.str.len() == 1).all()
    return values.map(lambda one: next(iter(one))).sort_index()


def test_every_layout_is_read_without_a_problem_and_has_the_same_participants(opened, people):
    for layout, corpus in opened.items():
        assert set(corpus.sessions["participant"]) == set(people.index), layout
        # missing modalities are planted
        assert [*corpus.problems["problem"]] == [p for p in corpus.problems["problem"]
                                                 if "no item scores" in p or
                                                 "there is no" in p], layout
        listed = {s for sessions in people[f"{layout}_sessions"] for s in sessions}
        assert listed == set(corpus.sessions["session"]), layout


def test_scores_classes_splits_and_genders_agree(opened, people):
    assert by_person(opened["avec2014"], "score").to_dict() == people["bdi2"].to_dict()
    for layout in ("speech_folder", "daic_woz"):
        assert by_person(opened[layout],
                         "score").to_dict() == people["phq8_total"].to_dict(), layout
    for layout in ("speech_folder", "daic_woz", "dvlog"):
        assert by_person(opened[layout], "label").to_dict() == people["label"].to_dict(), layout
        assert by_person(opened[layout], "gender").to_dict() == people["gender"].to_dict(), layout
    for layout in ("avec2014", "daic_woz", "dvlog"):
        assert by_person(opened[layout], "split").to_dict() == people["split"].to_dict(), layout
    assert people["label"].equals((people["phq8_total"] >= 10).astype(int).rename("label"))


def test_shared_cues_have_one_value(root, people):
    videos, voices, interviews = (truth(root, layout)
                                  for layout in ("avec2014", "speech_folder", "daic_woz"))
    for person, row in people.iterrows():
        seen = videos["sessions"][f"{person}_1"]["cues"]
        heard, both = voices["participants"][person]["cues"], interviews["sessions"][person]["cues"]
        assert seen == {cue: both[cue]
                        for cue in face.CUES} == row[[f"cue_{c}" for c in face.CUES]].rename(
                            lambda c: c[4:]).to_dict()
        assert heard == {cue: both[cue] for cue in voice.CUES}
        # one voice
        assert voices["participants"][person]["usual"] == interviews["sessions"][person]["usual"]


def test_vlog_cues_share_the_noise_of_the_cues_they_are_made_of():
    habits, _ = cohort.drawn(400, 0, 0)
    for cue, parts in cohort.VLOG_CUES.items():
        assert habits[cue].std() == pytest.approx(1, rel=0.1)
        own = (1 - effects.SHARED) * len(parts) ** -0.5
        for part in parts:
            assert np.corrcoef(habits[cue], habits[part])[0, 1] == pytest.approx(
                own + effects.SHARED, abs=0.12)
    assert set(cohort.VLOG_CUES) == set(vlog.CUES)


def test_no_range_of_severities_is_missing_and_splits_balance_class_and_gender():
    people, _ = cohort.drawn(240, 1, 1.0)
    assert people["label"].mean() == pytest.approx(0.45)
    assert set(people["phq8_total"]) >= set(range(21))
    for _, part in people.groupby("split"):
        assert part["label"].mean() == pytest.approx(0.45, abs=0.06)
        assert (part["gender"] == "female").mean() == pytest.approx(
            (people["gender"] == "female").mean(), abs=0.06)


def test_without_effect_the_people_are_the_same_and_the_cues_say_nothing():
    moved, null = (cohort.drawn(400, 2, effect)[0] for effect in (1.0, 0.0))
    cues = [*voice.CUES, *face.CUES, *vlog.CUES]
    rest = moved.columns.difference([*cues, *severity.PHQ8_ITEMS])
    pd.testing.assert_frame_equal(moved[rest], null[rest])
    assert moved[cues].corrwith(moved["severity"]).min() > 0.4
    assert null[cues].corrwith(null["severity"]).abs().max() < 0.2


def test_facts_for_fairness_are_those_of_the_trees(root, people):
    videos, interviews, vlogs = (truth(root, layout)
                                 for layout in ("avec2014", "daic_woz", "dvlog"))
    for person, row in people.iterrows():
        assert row["avec2014_skin_tone"] == videos["participants"][person]["face"]["skin_tone"]
        assert row["daic_woz_noise"] == interviews["sessions"][person]["recording"]["noise"]
        assert row["daic_woz_degraded"] == (interviews["sessions"][person]["degraded"]
                                            or {"modality": ""})["modality"]
        assert row["dvlog_uninformative"] == np.mean(
            [vlogs["sessions"][s]["uninformative"] is not None for s in row["dvlog_sessions"]])
    assert people["daic_woz_degraded"].astype(bool).sum() == 2          # one in five
    assert people["daic_woz_untracked"].between(0, 1).all()


def test_layouts_may_come_one_by_one_and_end_with_the_same_bytes(root, tmp_path):
    again = tmp_path / "again"
    for layout in ("dvlog", "daic_woz"):
        cohort.render(again, **FEW | {"layouts": (layout,), "workers": 2})
    assert json.loads((again / cohort.TABLE).read_text())["layouts"] == ["daic_woz", "dvlog"]
    assert "avec2014_sessions" not in read_participants(again)
    cohort.render(again, **FEW)
    assert contents(again) == contents(root)


def test_a_finished_cohort_is_not_written_again(root):
    before = {p: p.stat().st_mtime_ns for layout in cohort.SECONDS
              for p in (root / layout).rglob("*")}
    assert cohort.render(root, **FEW) == root
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.parametrize(("change", "message"), [
    ({"participants": 5}, "participants: 5. A cohort with two classes and three splits needs 6"),
    ({"layouts": ("avec2014", "lmvd")},
     "layout 'lmvd': a cohort has the layouts avec2014, speech_folder, daic_woz, dvlog"),
    ({"seconds": {"vlog": 3}}, "layout 'vlog': a cohort has"),
    ({"effect": 0.5}, "holds another cohort .effect 1.0 there, 0.5 asked"),
    ({"seconds": {"dvlog": 61}},
     "dvlog: holds another simulated corpus .seconds 240.0 there, 61.0 asked")])
def test_what_cannot_be_asked_for_is_named(change, message, tmp_path):
    made = {"participants": 6, "layouts": ("dvlog",), "workers": 1}
    cohort.render(tmp_path / "root", **made)
    with pytest.raises(ValueError, match=message):
        cohort.render(tmp_path / "root", **made | change)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and not a simulated cohort"):
        cohort.render(tmp_path)
    with pytest.raises(
        FileNotFoundError,
        match=r"no COHORT.json in it. Write a cohort there: python -m depnb.simulation"):
        read_participants(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_single_corpus_in_the_place_of_a_tree_is_named(tmp_path):
    simulate("dvlog", tmp_path / "root" / "dvlog", participants=6, seconds=60, workers=1)
    with pytest.raises(ValueError, match="is not empty and not a simulated cohort"):
        cohort.render(tmp_path / "root")


def test_command_line_writes_a_cohort_and_refuses_what_it_lacks(tmp_path):
    command = [sys.executable, "-m", "depnb.simulation", "cohort", "--root", str(tmp_path / "root"),
               "--workers", "1"]
    subprocess.run([*command, "--participants", "6", "--layouts", "dvlog"], check=True,
                   capture_output=True)
    assert len(read_participants(tmp_path / "root")) == 6
    refused = subprocess.run([*command, "--seconds", "3"], capture_output=True,
                             text=True, check=False)
    assert refused.returncode == 2
    assert "--seconds is no choice of cohort. Leave it out." in refused.stderr
