"""Simulated interviews have the layout of DAIC-WOZ, and transcript, sound, face and truth agree."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from depnb.simulation import face, interview, severity, transcript, voice
from depnb.simulation.layouts import MARKER, simulate

FEW = {"participants": 6, "seconds": 12, "seed": 1}
VALUES = {"features": 136, "features3D": 204, "gaze": 12, "pose": 6, "AUs": 20}
ITEMS = [f"PHQ8_{name}" for name in interview.ITEM_COLUMNS]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return simulate("daic_woz", tmp_path_factory.mktemp("interviews") / "tree", workers=1, **FEW)


@pytest.fixture(scope="module")
def truth(tree):
    return json.loads((tree / MARKER).read_text())["sessions"]


@pytest.fixture
def alone(tmp_path):
    """Write one session that is degraded as asked -> (its folder, its truth)."""
    def write(modality=None, how=None, strength=0.5, seconds=12.0, effect=1.0):
        cues, items = (pd.Series(dict.fromkeys(names, effect))
                       for names in ((*voice.CUES, *face.CUES), transcript.ITEMS))
        degraded = {"modality": modality, "how": how, "strength": strength} if modality else None
        work, facts = interview.session(cues, items, "female", degraded, seconds, [0, 300])
        folder = tmp_path / f"{modality}_{how}_{strength}" / "300_P"
        interview.write_session(folder, *work)
        return folder, facts
    return write


def table(folder, name):
    return pd.read_csv(folder / f"{folder.name[:3]}_CLNF_{name}.txt", skipinitialspace=True,
                       na_values="-1.#IND")


def transcript_of(folder):
    return pd.read_csv(folder / f"{folder.name[:3]}_TRANSCRIPT.csv", sep="\t")


def speaking(turns, speaker, rate, length):
    """True in the turns of a speaker, (length,)."""
    inside = np.zeros(length, bool)
    for turn in turns:
        if turn["speaker"] == speaker:
            inside[int(turn["start"] * rate):int(turn["stop"] * rate)] = True
    return inside


def level(x):
    return 10 * np.log10(np.mean(np.square(x)))


def test_split_tables_have_the_columns_of_avec2017_and_the_scores_of_the_truth(tree, truth):
    tables = {name: pd.read_csv(tree / f"{name}_split_Depression_AVEC2017.csv")
              for name in ("train", "dev", "test")}
    full = pd.read_csv(tree / "full_test_split.csv")
    binary = ["Participant_ID", "PHQ8_Binary", "PHQ8_Score", "Gender", *ITEMS]
    assert list(tables["train"]) == list(tables["dev"]) == binary
    assert list(tables["test"]) == ["participant_ID", "Gender"]
    assert list(full) == ["Participant_ID", "PHQ_Binary", "PHQ_Score", "Gender"]
    assert list(tables["test"]["participant_ID"]) == list(full["Participant_ID"])
    assert [len(t) for t in tables.values()] == [3, 1, 2]
    for row in pd.concat([tables["train"], tables["dev"]]).to_dict("records"):
        facts = truth[str(row["Participant_ID"])]
        assert [row[name] for name in ITEMS] == [facts[f"phq8_{item}"]
                                                 for item in severity.PHQ8_ITEMS]
        assert row["PHQ8_Score"] == facts["phq8_total"] == sum(row[name] for name in ITEMS)
        assert row["PHQ8_Binary"] == (row["PHQ8_Score"] >= 10)
        assert row["Gender"] == (facts["gender"] == "male")
    assert [truth[str(i)]["phq8_total"] for i in full["Participant_ID"]] == list(full["PHQ_Score"])


def test_cohort_leaves_out_the_numbers_whose_faults_the_loader_knows(tmp_path):
    _, planted = interview.plan(tmp_path,
                                {"seed": 0, "seconds": 12.0, "effect": 1.0, "participants": 150})
    numbers = list(map(int, planted["sessions"]))
    assert numbers[0] == 300
    assert len(numbers) == 150
    assert not interview.SKIPPED & set(numbers)
    splits = pd.Series([s["split"] for s in planted["sessions"].values()])
    assert splits.value_counts().to_dict() == {"train": 75, "test": 45, "validation": 30}
    degraded = pd.DataFrame([s["degraded"] or {} for s in planted["sessions"].values()])
    assert degraded["modality"].value_counts().to_dict() == {"audio": 10, "visual": 10, "text": 10}
    shares = degraded["modality"].notna().groupby(splits.to_numpy()).mean()
    assert (abs(shares - 0.2) < 0.04).all()
    assert set(degraded["how"].dropna()) == {"noise", "missing", "tracking", "unintelligible"}
    z = pd.Series([s["severity"] for s in planted["sessions"].values()])
    assert abs(np.corrcoef(z, degraded["modality"].notna())[0, 1]) < 0.25


def test_files_and_columns_are_those_of_daic_woz(tree, truth):
    for number, facts in truth.items():
        folder = tree / f"{number}_P"
        names = {f"{number}_TRANSCRIPT.csv", f"{number}_AUDIO.wav",
                 *(f"{number}_CLNF_{name}.txt" for name in VALUES)}
        lost = (facts["degraded"] if facts["degraded"]
                and facts["degraded"]["how"] == "missing" else {"modality": None})
        names = {n for n in names if not (("AUDIO" in n and lost["modality"] == "audio")
                                          or ("CLNF" in n and lost["modality"] == "visual"))}
        assert {p.name for p in folder.iterdir()} == names
    folder = tree / "300_P"
    assert (folder / "300_CLNF_features.txt").read_text().startswith("frame, timestamp, "
                                                                     "confidence, "
                                                                     "success, x0, x1, ")
    for name, width in VALUES.items():
        columns = list(table(folder, name))
        assert columns[:4] == ["frame", "timestamp", "confidence", "success"]
        assert len(columns) == 4 + width
    assert (list(table(folder, "features3D"))[4:8] + list(table(folder, "features3D"))[-1:]
            == ["X0", "X1", "X2", "X3", "Z67"])
    assert list(table(folder, "gaze"))[4:] == [f"{axis}_{eye}" for eye in ("0", "1", "h0", "h1")
                                               for axis in "xyz"]
    assert list(table(folder, "pose"))[4:] == ["Tx", "Ty", "Tz", "Rx", "Ry", "Rz"]
    assert "AU12_r" in table(folder, "AUs")
    assert set(table(folder, "AUs")["AU45_c"].dropna()) <= {0, 1}


def test_sound_tables_and_transcript_have_one_length(tree, truth):
    for number, facts in truth.items():
        if facts["degraded"] and facts["degraded"]["how"] == "missing":
            continue
        info = soundfile.info(tree / f"{number}_P" / f"{number}_AUDIO.wav")
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert info.duration == pytest.approx(facts["seconds"], abs=0.001)
        frames = table(tree / f"{number}_P", "pose")
        assert len(frames) == facts["frames"] == int(facts["seconds"] * 30)
        assert frames["timestamp"].iloc[-1] == pytest.approx((len(frames) - 1) / 30, abs=0.001)
        assert (facts["seconds"]
                - 1 < transcript_of(tree / f"{number}_P")["stop_time"].max() < facts["seconds"])


def test_turns_follow_one_another_and_are_those_of_the_truth(tree, truth):
    for number, facts in truth.items():
        rows = transcript_of(tree / f"{number}_P")
        assert list(rows) == ["start_time", "stop_time", "speaker", "value"]
        assert list(rows["value"]) == [turn["value"] for turn in facts["turns"]]
        assert list(rows["start_time"]) == [turn["start"] for turn in facts["turns"]]
        times = rows[["start_time", "stop_time"]].to_numpy().ravel()
        assert (np.diff(times) > 0).all()
        assert times[0] > 0
        assert set(rows["speaker"]) == {"Ellie", "Participant"}
        spoken = [t["stop"] - t["start"] for t in facts["turns"] if t["speaker"] == "Participant"]
        assert 7 < sum(spoken) < 25


def test_planted_words_are_the_words_at_their_places(truth):
    lists = {"first_person": transcript.FIRST_PERSON, "negative": transcript.NEGATIVE,
             "absolutist": transcript.ABSOLUTIST}
    seen = dict.fromkeys(lists, 0)
    for turn in itertools.chain.from_iterable(facts["turns"] for facts in truth.values()):
        words = turn["value"].split()
        assert bool(turn["words"]) == (turn["speaker"] == "Participant")
        for kind, places in turn["words"].items():
            assert all(words[i] in lists[kind] for i in places)
            assert sum(word in lists[kind] for word in words) == len(places)
            seen[kind] += len(places)
        loaded = turn["words"].get("negative", []) + turn["words"].get("absolutist", [])
        assert turn["carries"] == (turn["topic"] in transcript.ITEMS and bool(loaded))
    assert min(seen.values()) > 5


def test_there_is_speech_in_the_turns_and_quiet_between_them(alone):
    folder, facts = alone()
    sound, rate = soundfile.read(folder / "300_AUDIO.wav")
    own, ellie = (speaking(facts["turns"], who, rate, len(sound))
                  for who in ("Participant", "Ellie"))
    silence = ~(own | ellie)
    assert level(sound[own]) > level(sound[silence]) + 12
    assert level(sound[ellie]) > level(sound[silence]) + 12


def test_the_mouth_moves_with_the_words_and_the_iris_with_the_gaze(alone):
    folder, facts = alone(seconds=20)
    flat = table(folder, "features")
    opening = (flat["y66"] - flat["y62"]).diff().abs().fillna(0).to_numpy()
    own = speaking(facts["turns"], "Participant", 30, len(flat))
    assert opening[own].mean() > 1.25 * opening[~own].mean()
    gaze = table(folder, "gaze").iloc[:, 4:].to_numpy().reshape(len(flat), 4, 3)
    good = flat["success"] == 1
    np.testing.assert_allclose(np.linalg.norm(gaze[good], axis=2), 1, atol=0.01)
    assert (gaze[good][:, :, 2] < 0).all()                              # towards the camera
    assert gaze[good][:, 2, 1].mean() > 0  # down, as a cue of 1 makes it


def test_solid_and_flat_landmarks_are_one_face_seen_by_one_camera(alone):
    folder, _ = alone()
    flat, solid = table(folder, "features"), table(folder, "features3D")
    good = flat["success"] == 1
    x, y, z = (solid.loc[good, [f"{axis}{i}" for i in range(68)]].to_numpy() for axis in "XYZ")
    u, v = (flat.loc[good, [f"{axis}{i}" for i in range(68)]].to_numpy() for axis in "xy")
    assert np.abs(interview.FOCAL * x / z + 320 - u).mean() < 1
    assert np.abs(interview.FOCAL * y / z + 240 - v).mean() < 1
    assert 400 < z.mean() < 950
    assert ((u > 0) & (u < 640) & (v > 0) & (v < 480)).mean() > 0.99
    eyes = [np.stack([c[:, i:i + 6].mean(1) for c in (x, y, z)], 1) for i in (36, 42)]
    # millimetres
    assert np.linalg.norm(eyes[0] - eyes[1], axis=1).mean() == pytest.approx(63, abs=12)


def test_expressions_show_in_the_action_units(alone):
    units = [table(alone(effect=effect, strength=effect)[0], "AUs").query("success == 1").mean()
             for effect in (-1.5, 1.5)]
    assert units[0]["AU12_r"] > units[1]["AU12_r"] + 1
    assert units[1]["AU04_r"] > units[0]["AU04_r"] + 1
    assert units[1]["AU45_c"] > units[0]["AU45_c"]


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_noise_has_the_promised_strength(alone, strength):
    folder, facts = alone("audio", "noise", strength)
    sound, rate = soundfile.read(folder / "300_AUDIO.wav")
    own, ellie = (speaking(facts["turns"], who, rate, len(sound))
                  for who in ("Participant", "Ellie"))
    noise = np.mean(sound[~(own | ellie)] ** 2)
    snr = 10 * np.log10((np.mean(sound[own] ** 2) - noise) / noise)
    # turns hold pauses, the room adds an echo
    assert snr == pytest.approx(5 - 15 * strength, abs=3)
    assert facts["degraded"] == {"modality": "audio", "how": "noise", "strength": strength}


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_tracking_fails_in_the_promised_share_of_frames(alone, strength):
    folder, facts = alone("visual", "tracking", strength)
    flat = table(folder, "features")
    assert (flat["success"] == 0).mean() == pytest.approx(strength, abs=0.001)
    failed = np.zeros(len(flat), bool)
    for first, last in facts["tracking_failed"]:
        failed[first:last + 1] = True
    assert (failed == (flat["success"] == 0)).all()
    assert flat["confidence"][failed].max() < 0.5
    for name in VALUES:
        lost = table(folder, name).iloc[:, 4:][failed]
        assert (lost.isna() | (lost == 0)).all().all()


def test_both_kinds_of_failed_cells_are_written():
    drawn = [interview.tracking(300, None, np.random.default_rng(i)) for i in range(60)]
    assert {filler for _, filler in drawn} == {"0", "-1.#IND"}
    share = np.mean([failed.any() for failed, _ in drawn])
    assert 0.1 < share < 0.5
    assert max(failed.mean() for failed, _ in drawn) < 0.35


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_unintelligible_turns_are_marked_as_transcribers_do(alone, strength):
    folder, facts = alone("text", "unintelligible", strength, seconds=40)
    rows = transcript_of(folder)
    own = rows[rows["speaker"] == "Participant"]
    lost = own["value"].isin(["xxx", "scrubbed_entry"])
    assert lost.mean() == pytest.approx(facts["degraded"]["strength"], abs=0.001)
    assert lost.mean() == pytest.approx(strength, abs=0.05)
    assert (own["value"] == "xxx").any()
    assert not any(turn["carries"]
                   for turn in facts["turns"] if turn["value"] in ("xxx", "scrubbed_entry"))


@pytest.mark.parametrize(("modality", "gone"), [("audio", "AUDIO"), ("visual", "CLNF")])
def test_a_missing_modality_has_no_files(alone, modality, gone):
    folder, _ = alone(modality, "missing", 1.0)
    names = [p.name for p in folder.iterdir()]
    assert not any(gone in name for name in names)
    assert "300_TRANSCRIPT.csv" in names


def test_too_short_interviews_are_refused(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"seconds: 5\. An interview about eight items needs at least 12 of speech"):
        simulate("daic_woz", tmp_path / "short", participants=3, seconds=5)


def test_lips_move_with_the_syllables_that_are_spoken(monkeypatch):
    spoken, real = [], voice.syllables
    monkeypatch.setattr(voice, "syllables",
                        lambda *arguments: spoken.append(real(*arguments)) or spoken[-1])
    cues, items = (dict.fromkeys(names, 0.0)
                   for names in ((*voice.CUES, *face.CUES), transcript.ITEMS))
    work, _ = interview.session(pd.Series(cues), pd.Series(items), "female", None, 15.0, [0, 300])
    turns, length, setting, person, *_ = work
    interview.conversation(turns, length, setting, person, np.random.default_rng([0, 300, 10]))
    planned, heard, _ = spoken                  # for the lips; the participant's; Ellie's
    for name in ("start", "length", "vowel"):
        np.testing.assert_array_equal(planned[name], heard[name])
    placed = interview.syllables(turns, setting, np.random.default_rng([0, 300, 10]))
    own = [turn for turn in turns if turn["speaker"] == "Participant"]
    middle = placed["start"] + placed["length"] / 2
    assert all(any(turn["start"] - 0.01 <= m <= turn["stop"] + 0.01 for turn in own)
               for m in middle)
