import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from depnb.corpora import lmvd
from depnb.corpora.vlogs import standardised
from depnb.features import vlog_extract
from depnb.simulation import severity, vlog, vlog_corpus
from depnb.simulation.layouts import MARKER, simulate

LOW, HIGH = dict.fromkeys(vlog.CUES, -2.0), dict.fromkeys(vlog.CUES, 2.0)
SLOW = dict(HIGH, short_acoustic=-9.0, short_visual=-9.0)
SHORT = dict(HIGH, slow_acoustic=-9.0, slow_visual=-9.0)
LOUDNESS, DARK, F0 = (list(vlog.DESCRIPTORS).index(name) for name in (
    "Loudness_sma3", "hammarbergIndex_sma3", "F0semitoneFrom27.5Hz_sma3nz"))
BROWS, CHIN = slice(136 // 2 + 17, 136 // 2 + 27), 136 // 2 + 8         # y coordinates


def truth(root):
    return json.loads((root / MARKER).read_text())["sessions"]


def people(number=240, seed=0):
    table = severity.case_control(number, seed, first_id=1)
    return table.assign(label=(table["phq8_total"] >= 10).astype(int))


def made(cues, number=0, rows=400, uninformative=None, layout="dvlog"):
    person = vlog.speaker(("female", "male")[number % 2], np.random.default_rng([5, number]))
    return (vlog.session(person, cues, rows, uninformative, [6, number], layout),
            vlog.planted(cues, rows, uninformative, [6, number]))


def mask(intervals, rows=400):
    return np.any([(a <= np.arange(rows)) & (np.arange(rows) <= b) for a, b in intervals], axis=0)


class TestTrees:
    def test_dvlog_has_its_layout_and_columns(self, vlogs):
        table = pd.read_csv(vlogs / "labels.csv", dtype=str)
        assert list(table) == ["index", "label", "duration", "gender", "fold"]
        assert set(table["label"]) == {"depression", "normal"}
        assert set(table["gender"]) == {"m", "f"}
        assert set(table["fold"]) == {"train", "valid", "test"}
        assert list(pd.read_csv(vlogs / "speakers.csv")) == ["index", "speaker"]
        assert {p.name for p in vlogs.iterdir()} == {*table["index"], "labels.csv",
                                                     "speakers.csv", MARKER}
        for row in table.itertuples():
            acoustic, visual = (np.load(vlogs / row.index / f"{row.index}_{m}.npy")
                                for m in vlog.MODALITIES)
            assert acoustic.shape == (int(row.duration), 25)
            assert visual.shape == (int(row.duration), 136)
            assert acoustic.dtype == visual.dtype == np.float32
            assert np.isfinite(acoustic).all()
            assert 0 < visual.min() < visual.max() < 640

    def test_lmvd_has_its_layout_and_standardised_rows(self, vlogs_lmvd):
        table = pd.read_csv(vlogs_lmvd / "labels.csv", dtype=str)
        assert list(table) == ["index", "label", "fold"]
        assert set(table["label"]) == {"0", "1"}
        assert all(len(i) == (3 if int(i) <= 601 else 4) for i in table["index"])
        assert set(table["index"].str.len()) == {3, 4}
        assert list(pd.read_csv(vlogs_lmvd / "speakers.csv")) == ["index", "speaker", "gender"]
        assert len(list((vlogs_lmvd / "openface").glob("*.csv"))) == 3
        for name in table["index"]:
            visual, audio = (np.load(vlogs_lmvd / f"visual/{name}_visual.npy"),
                             np.load(vlogs_lmvd / f"audio/{name}.npy"))
            assert (visual.shape[1], audio.shape[1], len(visual)) == (136, 128, len(audio))
            assert visual.dtype == np.float64
            np.testing.assert_allclose(visual.mean(1), 0, atol=1e-12)
            np.testing.assert_allclose(visual.std(1), 1)

    def test_truth_tells_of_every_vlog_what_the_tables_say_and_more(self, vlogs):
        table, speakers = (pd.read_csv(vlogs / name, dtype=str, index_col=0)
                           for name in ("labels.csv", "speakers.csv"))
        facts = truth(vlogs)
        assert set(facts) == set(table.index)
        for name, fact in facts.items():
            row = table.loc[name]
            assert ("depression" if fact["label"] else "normal",
                    fact["gender"][0]) == (row["label"], row["gender"])
            assert (str(fact["seconds"]), fact["split"][:5]) == (row["duration"], row["fold"])
            assert str(fact["speaker"]) == speakers.loc[name, "speaker"]
            assert set(fact["cues"]) == set(vlog.CUES)
            for kind in ("slow", "short"):
                for modality, spans in fact[kind].items():
                    assert all(0 <= a <= b < fact["seconds"] for a, b in spans)
                    assert modality != fact["uninformative"] or spans == []

    def test_openface_tables_give_the_arrays(self, vlogs_lmvd, tmp_path):
        written, _, problems, remarks = lmvd.extract(vlogs_lmvd / "openface", tmp_path, workers=1)
        assert (len(written), problems, remarks) == (3, {}, {})
        for path in tmp_path.iterdir():
            np.testing.assert_array_equal(np.load(path), np.load(vlogs_lmvd / "visual" / path.name))

    def test_openface_tables_lack_frames_and_have_other_columns(self, vlogs_lmvd):
        for path in (vlogs_lmvd / "openface").iterdir():
            table = pd.read_csv(path, sep=", ", engine="python")
            frames = 30 * truth(vlogs_lmvd)[path.stem]["seconds"]
            assert 0.96 * frames < len(table) < frames
            assert {"face_id", "confidence", "pose_Tx", "gaze_angle_x", "x_67", "y_0",
                    "AU45_c"} <= set(table)
            assert table["frame"].is_monotonic_increasing


class TestCohort:
    table = vlog_corpus.vlogs(people(), "dvlog", np.random.default_rng(0))

    def test_everyone_makes_one_to_three_vlogs(self):
        assert set(self.table.groupby("speaker").size()) == {1, 2, 3}
        assert len(self.table) == 480
        assert self.table["id"].is_unique
        assert (self.table.groupby("speaker")["label"].nunique() == 1).all()

    def test_folds_are_seven_to_one_to_two_in_each_gender_and_class(self):
        shares = self.table["split"].value_counts(normalize=True)
        assert [shares[s] for s in severity.THIRDS] == pytest.approx([0.7, 0.1, 0.2], abs=0.05)
        for _, group in self.table.groupby(["gender", "label"]):
            assert (group["split"] == "test").mean() == pytest.approx(0.2, abs=0.07)
            assert (group["split"] == "validation").any()

    def test_a_tenth_of_the_speakers_stand_in_two_folds(self):
        assert (self.table.groupby("speaker")["split"].nunique()
                > 1).mean() == pytest.approx(0.1, abs=0.01)

    def test_a_known_share_is_uninformative_whatever_the_label(self):
        share = self.table["uninformative"].value_counts()
        assert (share / len(self.table)).to_dict() == pytest.approx({"acoustic": 0.15,
                                                                     "visual": 0.15}, abs=0.01)
        lost = self.table["uninformative"].notna()
        assert lost.groupby(self.table["split"]).mean().between(0.25, 0.35).all()
        assert abs(np.corrcoef(lost, self.table["label"])[0, 1]) < 0.1
        assert abs(np.corrcoef(lost, self.table["severity"])[0, 1]) < 0.1

    def test_ids_say_nothing_about_the_label(self):
        for layout in ("dvlog", "lmvd"):
            table = vlog_corpus.vlogs(people(), layout, np.random.default_rng(1))
            assert list(table["id"].astype(int)) == sorted(table["id"].astype(int))
            assert abs(np.corrcoef(table["id"].astype(int), table["label"])[0, 1]) < 0.1

    def test_lengths_go_from_a_minute_to_half_an_hour(self):
        drawn = np.array([vlog_corpus.length(480, np.random.default_rng(i)) for i in range(1000)])
        assert (drawn.min(), drawn.max()) == (60, 1800)
        assert np.median(drawn) == pytest.approx(480, rel=0.05)
        short = [vlog_corpus.length(30, np.random.default_rng(i)) for i in range(200)]
        assert (min(short), max(short)) == (20, 120)


class TestModel:
    def test_descriptors_are_those_of_opensmile_in_its_order(self):
        assert list(vlog.DESCRIPTORS) == vlog_extract.acoustic_names()

    def test_women_and_men_differ_in_pitch(self):
        pitch = [np.median(made(LOW, number)[0]["acoustic"][:, F0]) for number in range(12)]
        assert np.mean(pitch[::2]) > np.mean(pitch[1::2]) + 4

    def test_slow_phases_are_quiet_monotonous_and_lowered(self):
        gaps = []
        for number in range(8):
            arrays, timings = made(SLOW, number)
            heard, seen = (mask(timings["slow"][m]) for m in vlog.MODALITIES)
            assert timings["short"] == {"acoustic": [], "visual": []}
            loud, dark = arrays["acoustic"][:, LOUDNESS], arrays["acoustic"][:, DARK]
            drop, brows = arrays["visual"][:, CHIN], arrays["visual"][:, BROWS].mean(1)
            gaps.append([(loud[heard].mean() - loud[~heard].mean()) / loud.std(),
                         np.log(np.diff(dark[heard]).std() / np.diff(dark[~heard]).std()),
                         (brows[seen].mean() - brows[~seen].mean()) / brows.std(),
                         np.log(np.diff(drop[seen]).std() / np.diff(drop[~seen]).std())])
        loud, course, brow, motion = np.mean(gaps, 0)
        assert loud < -0.5
        assert course < -0.1
        assert brow > 0.8               # pixels count downwards
        assert motion < -0.1

    def test_phases_last_a_minute_or_more_and_fill_more_with_a_higher_cue(self):
        lengths = [[b - a + 1 for a, b in made(cues, rows=900)[1]["slow"]["acoustic"]]
                   for cues in (LOW, dict.fromkeys(vlog.CUES, 0.0), HIGH)]
        assert sum(lengths[0]) < sum(lengths[1]) < sum(lengths[2])
        assert min(lengths[1]) > 60
        assert sum(lengths[2]) > 0.75 * 900

    def test_events_are_more_frequent_with_a_higher_cue_and_rise_before_they_fall(self):
        few, many = (np.concatenate([made(cues, n)[1]["short"]["acoustic"] for n in range(8)])
                     for cues in (LOW, SHORT))
        assert len(many) > 4 * len(few)
        assert set(np.diff(many).ravel() + 1) == {2, 3, 4}
        course = []
        for number in range(8):
            arrays, timings = made(SHORT, number)
            loud = arrays["acoustic"][:, LOUDNESS]
            course += [(loud[a:a + 2] - loud.mean()) / loud.std()
                       for a, _ in timings["short"]["acoustic"]]
        assert np.mean(course, 0)[0] > 0.5
        assert np.mean(course, 0)[1] < -0.8

    def test_reversed_events_are_as_frequent_in_everyone(self):
        moved = [vlog.timing(0, short, 1200, np.random.default_rng(1))[1:] for short in (-2, 0, 2)]
        decoys = [both - events for both, events in moved]
        assert np.count_nonzero(decoys[0]) > 60
        np.testing.assert_array_equal(decoys[0], decoys[1])
        np.testing.assert_array_equal(decoys[0], decoys[2])
        steps = [np.sort(np.diff(part[part != 0])) for part in (moved[2][1], moved[2][1][::-1])]
        np.testing.assert_allclose(steps[0], -steps[1][::-1])

    def test_the_mouth_follows_the_loudness(self):
        related = []
        for number in range(6):
            arrays, _ = made(dict.fromkeys(vlog.CUES, 0.0), number)
            gap = arrays["visual"][:, 68 + 66] - arrays["visual"][:, 68 + 62]       # inner lips
            related.append(np.corrcoef(gap, arrays["acoustic"][:, LOUDNESS])[0, 1])
        assert min(related) > 0.3

    @pytest.mark.parametrize("layout", ["dvlog", "lmvd"])
    def test_music_hides_the_voice_and_its_cues(self, layout):
        (hidden, none), (low, _) = (made(cues, uninformative="acoustic", layout=layout)
                                    for cues in (HIGH, LOW))
        plain, _ = made(HIGH, layout=layout)
        np.testing.assert_array_equal(hidden["acoustic"], low["acoustic"])
        np.testing.assert_array_equal(hidden["visual"], plain["visual"])
        assert none["slow"]["acoustic"] == none["short"]["acoustic"] == []
        assert none["slow"]["visual"]
        level = (lambda a: a[:, LOUDNESS]) if layout == "dvlog" else (lambda a: a[:, :64].mean(1))
        assert level(hidden["acoustic"]).min() > level(plain["acoustic"]).max()

    def test_a_lost_face_is_still_or_jumps_and_carries_nothing(self):
        steps = []
        for number in range(12):
            (lost, none), (low,
                           _) = (made(cues, number, uninformative="visual") for cues in (HIGH, LOW))
            assert none["slow"]["visual"] == none["short"]["visual"] == []
            np.testing.assert_array_equal(lost["visual"], low["visual"])
            steps.append(np.diff(lost["visual"], axis=0).std())
        usual = np.diff(made(HIGH)[0]["visual"], axis=0).std()
        assert {"still" if s < 0.1 * usual else "jumps" if s > 5 * usual else "?"
                for s in steps} == {"still", "jumps"}

    def test_the_order_of_rows_tells_events_from_reversals(self):
        cue, forward = np.random.default_rng(0).normal(0, 1.5, 30), []
        kernel = np.array(vlog.EVENT) - np.mean(vlog.EVENT)
        for number, value in enumerate(cue):
            loud = -made(dict(LOW, short_acoustic=value), number)[0]["acoustic"][:, LOUDNESS]
            loud = (loud - loud.mean()) / loud.std()
            match = [np.sort(np.correlate(loud, k, "valid"))[-40:].mean()
                     for k in (kernel, kernel[::-1])]
            forward.append(match[0] - match[1])
        assert np.corrcoef(cue, forward)[0, 1] > 0.5


class TestTwins:
    @pytest.mark.parametrize("layout", ["dvlog", "lmvd"])
    @pytest.mark.parametrize("kind", ["slow", "short"])
    def test_twins_differ_only_where_it_is_said(self, kind, layout):
        pairs = vlog.twins(3, kind, seed=1, layout=layout, seconds=200)
        assert len(pairs) == 3
        for low, high, rows in pairs:
            assert 20 < rows.sum() < 200
            for modality in vlog.MODALITIES:
                np.testing.assert_array_equal(low[modality][~rows], high[modality][~rows])
            assert ((low["visual"] != high["visual"]).any(1)
                    | (low["acoustic"] != high["acoustic"]).any(1))[rows].all()
        assert not np.array_equal(pairs[0][0]["visual"], pairs[2][0]["visual"])

    @pytest.mark.parametrize(("modality", "other"), [vlog.MODALITIES, vlog.MODALITIES[::-1]])
    def test_twins_in_one_modality_are_equal_in_the_other(self, modality, other):
        for low, high, rows in vlog.twins(2, "short", modality, seconds=200):
            np.testing.assert_array_equal(low[other], high[other])
            np.testing.assert_array_equal((low[modality] != high[modality]).any(1), rows)
            assert rows.any()

    def test_an_unknown_kind_or_modality_is_named(self):
        with pytest.raises(ValueError, match="kind 'long', modality None: choose slow or short"):
            vlog.twins(1, "long")
        with pytest.raises(ValueError, match="modality 'text'"):
            vlog.twins(1, "slow", "text")


class TestRecorded:
    def test_arrays_are_those_of_sound_and_video(self, recorded):
        for layout, root in recorded.items():
            for name, facts in truth(root).items():
                files = {what: root / path
                         for what, path in vlog_corpus.files(layout, name).items()}
                assert soundfile.info(files["sound"]).duration == pytest.approx(facts["seconds"],
                                                                                abs=0.01)
                heard, seen = np.load(files["acoustic"]), np.load(files["visual"])
                assert heard.shape == (facts["seconds"], 128 if layout == "lmvd" else 25)
                assert seen.shape == (facts["seconds"], 136)
                extract = vlog_extract.logmel if layout == "lmvd" else vlog_extract.acoustic
                np.testing.assert_array_equal(heard, extract(files["sound"])["acoustic"])
            landmarks = vlog_extract.visual(files["video"])["visual"]
            expected = standardised(landmarks) if layout == "lmvd" else landmarks
            np.testing.assert_allclose(seen, expected, atol=1e-6)

    def test_truth_has_the_cues_of_voice_and_face(self, recorded):
        for facts in truth(recorded["dvlog"]).values():
            assert {"pitch", "pauses", "smile", "gaze"} < set(facts["cues"])
            assert set(facts["cue_frames"]) == {"smile", "brow", "eyes", "gaze", "head"}
            assert facts["speech"]
            assert (facts["uninformative"], facts["slow"]) == (None, {"acoustic": [], "visual": []})

    def test_other_layouts_are_not_recorded_so(self, tmp_path):
        with pytest.raises(ValueError,
                           match="layout 'avec2014': recorded is a choice of dvlog and lmvd only"):
            simulate("avec2014", tmp_path / "x", recorded=True)
