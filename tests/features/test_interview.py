"""Interviews: the authors' numbers, what is corrected in them, windows and batches, and every fault
a file can have.
"""

import io
import re
import shutil
import subprocess
import sys

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from depnb.corpora import readers
from depnb.features import __main__ as command
from depnb.features import interview, store, windowing
from tests.paths import ROOT

RATE = 16000


def write_table(path, columns, values, success=None):
    """A table as CLNF writes it: comma and blank between names, comma between numbers."""
    n = len(values)
    success = np.ones(n) if success is None else np.asarray(success, float)
    lead = np.c_[np.arange(1, n + 1), np.arange(n) / 30, 0.9 * success, success]
    frame = pd.DataFrame(np.c_[lead, values], columns=readers.LEAD + columns)
    path.write_text(", ".join(frame) + "\n" + frame.to_csv(index=False, header=False))
    return path


def write_transcript(path, turns, **options):
    """turns: (start, stop, speaker, value)."""
    rows = ["start_time\tstop_time\tspeaker\tvalue"] + ["\t".join(map(str, turn)) for turn in turns]
    path.write_text("\n".join([*rows, ""]), **options)
    return path


TURNS = [(0, 1.0, "Ellie", "how are you"), (1.0, 4.0, "Participant", "i am fine"),
         (4.2, 5, "Ellie", "good"), (5.0, 8.5, "Participant", "yes <laughter> i guess"),
         (8.6, 9.6, "Participant", "okay")]


def a_session(folder, seconds=10, turns=TURNS, seed=0, success=None):
    """Files of one session, by part."""
    rng, n = np.random.default_rng(seed), 30 * seconds
    drift = np.cumsum(rng.normal(0, 0.3, (n, 1)), axis=0)
    soundfile.write(folder / "300_AUDIO.wav", rng.normal(0, 0.05, RATE * seconds), RATE)
    return {"transcript": write_transcript(folder / "300_TRANSCRIPT.csv", turns),
            "audio": folder / "300_AUDIO.wav",
            "keypoints": write_table(folder / "300_CLNF_features3D.txt", readers.KEYPOINTS,
                        rng.normal(0, 50, 204) + drift + 600 * (np.arange(204) >= 136), success),
            "gaze": write_table(folder / "300_CLNF_gaze.txt", readers.GAZE,
                                rng.normal(0, 0.3, (n, 12)), success)}


@pytest.fixture
def files(tmp_path):
    return a_session(tmp_path)


@pytest.fixture(scope="module")
def reference(golden):
    return golden("aafn_preprocessing_a")[0]


@pytest.fixture(scope="module")
def made(reference, tmp_path_factory):
    folder, r = tmp_path_factory.mktemp("reference"), reference
    write_table(folder / "k.txt", readers.KEYPOINTS, r["input/keypoints"].T[:, 4:])
    write_table(folder / "g.txt", readers.GAZE, r["input/gaze_table"][:, 4:])
    sound, rate = soundfile.read(io.BytesIO(r["input/audio_flac"].tobytes()), dtype="int16")
    soundfile.write(folder / "a.wav", sound, rate)
    speakers = np.where(r["input/turn_is_participant"] > 0, "Participant", "Ellie")
    words = np.where(r["input/turn_is_scrubbed"] > 0, "scrubbed_entry", "words")
    write_transcript(folder / "t.csv",
                     zip(r["input/turn_start"], r["input/turn_stop"], speakers, words, strict=True))
    return interview.signals(folder / "t.csv", folder / "a.wav", folder / "k.txt", folder / "g.txt",
                             windows="as_released")


class TestReleased:
    """Equal to the authors' program (windows of 2 s with 1 s overlap)."""

    def test_clipping_and_scaling(self, made, reference):
        visual = made["visual"]
        np.testing.assert_allclose(visual[::4, :68],
                                   reference["output/clipped_keypoints_every_4th"], atol=1e-5)
        np.testing.assert_allclose(visual[:, 68:], reference["output/clipped_gaze"], atol=1e-5)
        assert made["frames"] == len(visual) == 136
        assert visual.dtype == made["audio"].dtype == np.float32

    def test_log_mel(self, made, reference):
        np.testing.assert_allclose(made["audio"], reference["output/mel"], atol=1e-4)

    def test_windows(self, made, reference):
        starts = windowing.window_starts(136, 60, 30, "as_released")
        assert len(starts) == reference["output/number_of_windows"] == 4
        windows = [windowing.cut(made, start, 60) for start in starts]
        ends = np.stack([w["visual"][[0, -1]] for w in windows])
        np.testing.assert_allclose(ends, reference["output/visual_windows_first_and_last_frames"],
                                   atol=1e-5)
        sums = [w["visual"].sum(dtype=float) for w in windows]
        np.testing.assert_allclose(sums, reference["output/visual_window_sums"], rtol=1e-6)
        np.testing.assert_allclose(windows[-1]["audio"], reference["output/last_mel_window"],
                                   atol=1e-4)

    def test_sentences(self, reference):
        made = windowing.text_windows(reference["input/sentence_embeddings"], np.zeros(4),
                                      "as_released")
        np.testing.assert_array_equal(made, reference["output/text_windows"])

    @pytest.mark.parametrize(("frames", "count"), [(0, 0), (300, 0), (301, 1), (1800, 1), (1801, 2),
                                                   (3300, 2), (3301, 3)])
    def test_number_of_windows(self, frames, count):
        assert len(windowing.window_starts(frames, windows="as_released")) == count
        assert len(windowing.window_starts(frames)) == max(count, int(frames > 0))

    def test_few_sentences_give_their_odd_windows(self):
        lengths = [(w != 0).any(axis=1).sum()
                   for w in windowing.text_windows(np.ones((8, 2)), np.zeros(5), "as_released")]
        assert lengths == [8, 1, 2, 2, 2]
        twelve = windowing.text_windows(np.arange(24).reshape(12, 2), np.zeros(5), "as_released")
        assert (twelve == twelve[0]).all()

    def test_one_window_is_refused(self):
        with pytest.raises(ValueError, match=r"by zero here\. A run with windows corrected"):
            windowing.text_windows(np.ones((12, 2)), [3.0], "as_released")

    def test_filler_comes_from_the_wrong_columns(self, files):
        table = readers.read_table(files["keypoints"], readers.KEYPOINTS)
        lost = table.copy()
        lost[7, 4:] = np.nan
        filled = interview._filled_as_released(lost)
        assert (filled[7, 4:] == np.delete(table, 7, axis=0)[:, :-4].min()).all()
        assert filled[7, 4] < table[:, 4:-4].min() or filled[7, 4] == table[:, 4:-4].min()


class TestCorrected:
    """What the released program gets wrong, put right."""

    def test_log_mel_is_librosa_s(self):
        samples = np.random.default_rng(0).normal(0, 900, RATE).astype(np.float32)
        mel = librosa.power_to_db(librosa.feature.melspectrogram(
            y=samples, sr=RATE, n_fft=2048, hop_length=400, n_mels=80, pad_mode="reflect"))
        ours = interview.log_mel(samples, np.arange(41) * 400)
        np.testing.assert_allclose(ours, (mel - mel.mean()) / mel.std(), atol=1e-4)

    def test_sound_and_face_do_not_drift_apart(self, tmp_path):
        """A click in the last second of ten minutes lies in the mel frame of its video frame."""
        seconds, click = 600, 599.0
        sound = np.random.default_rng(0).normal(0, 1e-3, RATE * seconds).astype(np.float32)
        sound[int(click * RATE):int(click * RATE) + 20] = 0.9
        soundfile.write(tmp_path / "a.wav", sound, RATE)
        write_transcript(tmp_path / "t.csv", [(0, seconds, "Participant", "so it goes")])
        loudest = {}
        for windows in ("corrected", "as_released"):
            made = interview.signals(tmp_path / "t.csv", tmp_path / "a.wav", windows=windows)
            loudest[windows] = np.flatnonzero(made["audio"].mean(0) > made["audio"].mean(0).max()
                                              - 0.5).mean()
        assert loudest["corrected"] == pytest.approx(30 * click, abs=1)
        assert loudest["as_released"] == pytest.approx(30 * click + 11, abs=1)

    def test_every_mel_frame_has_its_video_frame(self, files):
        made = interview.signals(**files)
        assert made["visual"].shape == (225, 72, 3)             # 3 + 3.5 + 1 s
        assert made["audio"].shape == (80, 225)
        assert made["found"] == 1
        assert made["turns"].tolist() == [[30, 120], [150, 255], [258, 288]]
        assert len(interview.frame_numbers(made["turns"])) == made["frames"] == 225
        assert abs(made["audio"].mean()) < 1e-5
        assert made["audio"].std() == pytest.approx(1, abs=1e-5)

    def test_lost_frames_are_interpolated_and_do_not_stretch_the_scale(self, files):
        tracked = interview.face(files["keypoints"], files["gaze"])[0]
        for name, columns in (("keypoints", readers.KEYPOINTS), ("gaze", readers.GAZE)):
            table = readers.read_table(files[name], columns)
            frame = pd.DataFrame(table, columns=readers.LEAD + columns).astype(object)
            frame.loc[40:49, columns], frame.loc[40:49, "success"] = 0, 0
            frame.loc[60, columns] = "-1.#IND"
            frame.loc[61, columns] = "lost"
            frame.loc[298:, "success"] = 0
            frame.to_csv(files[name], index=False)
        mended, good, remarks = interview.face(files["keypoints"], files["gaze"])
        assert not remarks
        assert np.flatnonzero(~good).tolist() == [*range(40, 50), 60, 61, 298, 299]
        # the extremes may have been lost
        np.testing.assert_allclose(mended[:40, :68], tracked[:40, :68], atol=0.02)
        middle = mended[39] + (mended[50] - mended[39]) * 6 / 11
        np.testing.assert_allclose(mended[45], middle, atol=1e-5)
        np.testing.assert_array_equal(mended[299], mended[297])
        assert mended[:, :68].min() == 0
        assert mended[:, :68].max() == 1
        released, *_ = interview.face(files["keypoints"], files["gaze"], "as_released")
        assert np.isfinite(released).all()
        # zeros at 600 mm stretch it
        assert np.ptp(released[:40, :68, 2]) < 0.5 * np.ptp(mended[:40, :68, 2])
        assert 0.9 < interview.signals(**files)["found"] < 1

    def rewritten(self, files, change):
        """Both tables without, or with other, rows."""
        for name in ("keypoints", "gaze"):
            table = pd.read_csv(files[name], skipinitialspace=True)
            change(table).to_csv(files[name], index=False)
        return interview.face(files["keypoints"], files["gaze"])

    def test_rows_lie_at_their_times(self, files):
        """Two seconds of rows are missing: the face after them still meets its own sound."""
        full, _, nothing = interview.face(files["keypoints"], files["gaze"])
        assert not nothing
        points, good, remarks = self.rewritten(files, lambda t: t.drop(range(60, 120)))
        assert len(points) == 300
        assert np.flatnonzero(~good).tolist() == list(range(60, 120))
        with_row = np.r_[:60, 120:300]
        np.testing.assert_array_equal(points[with_row, 68:], full[with_row, 68:])
        np.testing.assert_allclose(points[with_row, :68], full[with_row, :68], atol=0.05)
        middle = full[59, 68:] + (full[120, 68:] - full[59, 68:]) * 31 / 61
        np.testing.assert_allclose(points[90, 68:], middle, atol=1e-5)
        assert remarks[0] == ("keypoints", "60 of 300 frames have no row.")
        assert remarks[1][1].startswith("Gaps are interpolated")
        told = interview.signals(**files)["remarks"].tolist()
        assert ["gaze", "60 of 300 frames have no row."] in told

    def test_rows_of_one_time_and_rows_out_of_order(self, files):
        full, *_ = interview.face(files["keypoints"], files["gaze"])
        points, good, remarks = self.rewritten(files, lambda t: pd.concat(
            [t[::-1], t.iloc[40:50].assign(**{t.columns[9]: 9.0})]))
        assert good.all()
        np.testing.assert_array_equal(points[:, 68:], full[:, 68:])
        assert ("gaze", "10 of 310 rows repeat the time of another.") in remarks

    def test_a_damaged_byte_costs_a_frame_and_not_the_table(self, files):
        raw = files["gaze"].read_bytes().splitlines(keepends=True)
        raw[42] = raw[42].replace(b".", b"\xff", 3)
        files["gaze"].write_bytes(b"".join(raw))
        _, good, remarks = interview.face(files["keypoints"], files["gaze"])
        assert np.flatnonzero(~good).tolist() == [41]
        assert ("gaze", "1 of 300 rows have neither a time nor a frame number.") in remarks

    def test_without_time_stamps_the_frame_number_tells(self, files):
        full, *_ = interview.face(files["keypoints"], files["gaze"])
        for stamps in (0, "nan"):
            points, good, _ = self.rewritten(
                files, lambda t, s=stamps: t[t["frame"] != 61].assign(timestamp=s))
            np.testing.assert_array_equal(points[61:, 68:], full[61:, 68:])
            assert np.flatnonzero(~good).tolist() == [60]

    def test_too_many_missing_rows_and_times_that_are_none_are_refused(self, files):
        with pytest.raises(ValueError, match="only 149 of 300 frames have a row"):
            self.rewritten(files, lambda t: t.drop(range(100, 251)))
        with pytest.raises(ValueError, match="rows have neither a time nor a frame number"):
            self.rewritten(files, lambda t: t.assign(timestamp="a", frame=np.inf))

    def test_key_points_and_gaze_of_other_lengths_are_told(self, files):
        table = pd.read_csv(files["gaze"], skipinitialspace=True)
        table[:200].to_csv(files["gaze"], index=False)
        points, _, remarks = interview.face(files["keypoints"], files["gaze"])
        assert len(points) == 200
        assert remarks == [("gaze", "key points have 300 frames, gaze 200; those beyond the "
                            "shorter are not used.")]

    def test_as_released_rows_are_taken_by_number_and_told(self, files):
        tables = [readers.read_table(files[part], columns)[np.r_[:60, 120:300]]
                  for part, columns in (("keypoints", readers.KEYPOINTS), ("gaze", readers.GAZE))]
        self.rewritten(files, lambda t: t.drop(range(60, 120)))
        points, _, remarks = interview.face(files["keypoints"], files["gaze"], "as_released")
        np.testing.assert_array_equal(points[:, 68:], readers.points_of(tables[1], readers.GAZE))
        assert remarks[1] == ("keypoints",
                              "The released program takes row numbers for times all the same.")

    def test_what_the_corpus_gives_is_in_time_too(self, files):
        self.rewritten(files, lambda t: t.drop(range(60, 120)))
        for part, columns in (("keypoints", readers.KEYPOINTS), ("gaze", readers.GAZE)):
            lost = np.isnan(readers.read_points(files[part], columns)[:, 0, 0])
            assert np.flatnonzero(lost).tolist() == list(range(60, 120))

    def test_step_averages_frames_of_both(self, files):
        full, small = interview.signals(**files), interview.signals(**files, step=6)
        assert small["frames"] == 38
        np.testing.assert_allclose(small["visual"][3], full["visual"][18:24].mean(0), rtol=1e-5)
        np.testing.assert_allclose(small["audio"][:, 3], full["audio"][:, 18:24].mean(1), atol=1e-5)
        np.testing.assert_allclose(small["audio"][:, -1], full["audio"][:, 222:].mean(1), atol=1e-5)

    def test_skipped_spans_and_shifted_times(self, files):
        skipped, shifted = ({"skip": [(8, 8.55)]}, {"shift": 1.0})
        for options, turns in ((skipped, [[30, 120], [258, 288]]),
                               (shifted, [[60, 150], [180, 285], [288, 300]])):
            assert interview.signals(**files, **options)["turns"].tolist() == turns

    def test_the_other_gender_is_another_voice_of_the_same_session(self, files, cache):
        inputs = files | {"shift": 0.0, "skip": ()}
        options = {"workers": 1, "step": 5}
        own, _, _ = interview.extract({"a": inputs, "b": inputs}, cache, **options)
        other = interview.other_gender({"a": inputs, "b": inputs}, {"a": "female", "b": "male"},
                                       cache, **options)
        assert other.keys() == {"a shifted", "b shifted"}
        for name in ("a", "b"):
            moved = other[f"{name} shifted"]
            np.testing.assert_array_equal(moved["text"], own[name]["text"])
            np.testing.assert_array_equal(moved["visual"][:, 68:], own[name]["visual"][:, 68:])
            change = (moved["visual"] - own[name]["visual"])[:, :68]
            assert np.ptp(change, axis=(0, 1)).max() < 1e-6             # one number an axis
            assert 0 < np.abs(change).min() <= np.abs(change).max() < 0.0501
            assert np.abs(moved["audio"] - own[name]["audio"]).max() > 0.1
        assert np.abs(other["a shifted"]["audio"] - other["b shifted"]["audio"]).max() > 0.1
        assert not interview.other_gender({"a": inputs}, {"a": "unknown"}, cache, **options)

    def test_sound_that_the_header_does_not_count_is_used_and_remarked(self, files):
        expected, content = interview.signals(**files), bytearray(files["audio"].read_bytes())
        content[40:44] = (len(content) // 2).to_bytes(4, "little")
        files["audio"].write_bytes(content)
        made = interview.signals(**files)
        np.testing.assert_array_equal(made["audio"], expected["audio"])
        assert "its header tells 5.0 s, the file holds 10.0 s" in str(made["remarks"])

    def test_another_rate_is_resampled(self, files, tmp_path):
        sound, _ = soundfile.read(files["audio"])
        soundfile.write(tmp_path / "b.wav", librosa.resample(sound, orig_sr=RATE, target_sr=48000),
                        48000)
        made = interview.signals(**{**files, "audio": tmp_path / "b.wav"})["audio"]
        assert made.shape == (80, 225)
        assert np.corrcoef(made[:60].ravel(),
                           interview.signals(**files)["audio"][:60].ravel())[0, 1] > 0.999

    def test_sentences_are_those_around_the_window(self):
        span = np.c_[np.arange(40) * 10.0, np.arange(40) * 10 + 5]
        sentences = np.arange(40.0)[:, None] * np.ones(3)
        windows = windowing.text_windows(sentences, [0, 200, 390], span=span)
        assert windows[:, :, 0].tolist() == [list(range(10)), list(range(15, 25)),
                                             list(range(30, 40))]
        few = windowing.text_windows(sentences[1:4], [15.0], span=span[1:4])
        assert few[0, :, 0].tolist() == [1, 2, 3] + [0] * 7


def test_length_and_hop_are_whole_frames_as_stored():
    assert windowing.in_frames(60, 10) == (windowing.LENGTH, windowing.STRIDE)
    assert windowing.in_frames(8, 2, step=7) == (34, 25)


class TestWindows:
    """Batches equal what is stored, with zeros and flags where there is nothing."""

    @pytest.fixture
    def sessions(self):
        rng, made = np.random.default_rng(0), {}
        for name, frames in (("a", 500), ("b", 200)):
            made[name] = {"visual": rng.random((frames, 72, 3), np.float32),
                          "audio": rng.random((80, frames), np.float32),
                          "turns": np.array([[0, frames]]), "frames": np.int64(frames),
                          "step": np.int64(1), "text": rng.random((12, 16), np.float32),
                          "span": np.c_[np.arange(12), np.arange(12) + 0.5]}
        made["c"] = {k: v for k, v in made["b"].items() if k not in ("visual", "text", "span")}
        return made

    def test_batches(self, sessions):
        windows = windowing.Windows(sessions, length=300, hop=250)
        assert windows.table["session"].tolist() == ["a", "a", "b", "c"]
        assert windows.table["frames"].tolist() == [300, 250, 200, 200]
        assert windows.table["centre"].tolist() == pytest.approx([5, 12.5, 10 / 3, 10 / 3])
        batch = windows.batch([1, 3])
        assert {k: tuple(v.shape) for k, v in batch.items()} == {
            "visual": (2, 300, 72, 3), "audio": (2, 80, 300), "text": (2, 10, 16),
            "present": (2, 3)}
        assert batch["present"].tolist() == [[True, True, True], [False, True, False]]
        np.testing.assert_array_equal(batch["visual"][0, :250], sessions["a"]["visual"][250:])
        np.testing.assert_array_equal(batch["audio"][0, :, :250], sessions["a"]["audio"][:, 250:])
        np.testing.assert_array_equal(batch["text"][0], sessions["a"]["text"][2:])
        assert not batch["visual"][0, 250:].any()
        assert not batch["visual"][1].any()
        assert not batch["text"][1].any()
        assert batch["visual"].dtype == batch["audio"].dtype == batch["text"].dtype == torch.float32

    def test_one_window_as_released_takes_the_first_sentences(self, sessions):
        windows = windowing.Windows(sessions, length=600, hop=580, windows="as_released")
        np.testing.assert_array_equal(windows.batch([0])["text"][0], sessions["a"]["text"][:10])

    def test_sessions_too_short_for_the_released_program_have_no_window(self, sessions):
        assert set(windowing.Windows(sessions, length=1800, hop=1500,
                                     windows="as_released").table["session"]) == {"a"}

    def test_moving_windows_begin_anywhere_and_hold_what_is_there(self, sessions):
        windows = windowing.Windows(sessions, length=300, hop=250)
        rng = np.random.default_rng(0)
        seen = [windows.batch([0, 2, 3], rng) for _ in range(20)]
        audio = sessions["a"]["audio"]
        starts = [int(np.argmax((audio == b["audio"][0, :, :1].numpy()).all(0))) for b in seen]
        assert len(set(starts)) > 10
        assert max(starts) <= 500 - 150                     # half of a window is there at least
        for start, batch in zip(starts, seen, strict=True):
            real = min(300, 500 - start)
            np.testing.assert_array_equal(batch["audio"][0, :, :real], audio[:, start:start + real])
            np.testing.assert_array_equal(batch["visual"][0, :real],
                                          sessions["a"]["visual"][start:start + real])
            assert not batch["audio"][0, :, real:].any()
        # sentences follow the window
        assert len({b["text"][0].numpy().tobytes() for b in seen}) > 1
        assert all(b["present"].tolist() == [[True] * 3, [True] * 3, [False, True, False]]
                   for b in seen)
        again = windows.batch([0, 2, 3], np.random.default_rng(0))
        assert all(torch.equal(again[k], seen[0][k]) for k in again)

    def test_a_window_of_a_memory_map_is_read_alone(self, files, cache):
        arrays = store.read(store.cached(files["transcript"], interview.signals, cache,
                                         **{k: v for k, v in files.items() if k != "transcript"}))
        one = windowing.cut(arrays, 200, 100)
        np.testing.assert_array_equal(one["visual"][:25], arrays["visual"][200:])
        assert not one["audio"][:, 25:].any()


class TestFaults:
    """A fault bars what it concerns: one modality, or, in the transcript, the session."""

    def made(self, files):
        made = interview.signals(**files)
        assert {"visual", "audio"} - set(made) == {"keypoints": {"visual"}, "gaze": {"visual"},
                                                   "audio": {"audio"}}[made["problems"][0][0]]
        return made["problems"][0][1]

    @pytest.mark.parametrize("part", ["keypoints", "gaze"])
    def test_no_success_throughout(self, tmp_path, part):
        files = a_session(tmp_path)
        columns = readers.KEYPOINTS if part == "keypoints" else readers.GAZE
        write_table(files[part], columns, np.ones((300, len(columns))), np.zeros(300))
        assert "tracking failed in every frame" in self.made(files)

    @pytest.mark.parametrize(("text", "message"), [
        ("", "not a table of 16 columns"),
        ("frame, timestamp\n1, 0\n", "has 2 columns, among them 2 of 16 that"),
        (", ".join(readers.LEAD + readers.GAZE) + "\n", "holds no frame"),
        (", ".join(readers.LEAD + readers.GAZE) + "\n" + ", ".join(["1"] * 17) + "\n",
         "rows of unequal length"),
        (", ".join(readers.LEAD + readers.GAZE[:-1]) + "\n" + ", ".join(["1"] * 15) + "\n",
         "has 15 columns")])
    def test_tables_that_cannot_be_used(self, files, text, message):
        files["gaze"].write_text(text)
        assert message in self.made(files)

    def test_columns_are_found_by_name(self, files):
        expected = readers.read_table(files["gaze"], readers.GAZE)
        frame = pd.read_csv(files["gaze"], skipinitialspace=True)
        frame["extra"] = "text"
        frame[frame.columns[::-1]].rename(columns=str.upper).to_csv(files["gaze"], index=False)
        np.testing.assert_array_equal(readers.read_table(files["gaze"], readers.GAZE), expected)

    @pytest.mark.parametrize(("samples", "message"), [
        (np.zeros(RATE * 10, np.float32), "silent"),
        (np.full(RATE * 10, np.nan, np.float32), "are not numbers"),
        (np.r_[np.zeros(RATE), 0.5 * np.ones(8)].astype(np.float32), "begin after")])
    def test_sound_that_cannot_be_used(self, files, samples, message):
        soundfile.write(files["audio"], samples, RATE, subtype="FLOAT")
        if message == "begin after":
            with pytest.raises(ValueError,
                               match=r"hold no frame of the recording .* begin after its end"):
                interview.signals(**files)
        else:
            assert message in self.made(files)

    def test_truncated_sound(self, files):
        content = files["audio"].read_bytes()
        files["audio"].write_bytes(content[:len(content) // 2])
        assert "truncated: 5.0 of 10.0 s are there" in self.made(files)

    def test_sound_silent_where_the_participant_speaks(self, files):
        sound = np.zeros(RATE * 10)
        sound[:RATE // 2] = 0.5
        soundfile.write(files["audio"], sound, RATE)
        assert "the participant's turns is silent" in self.made(files)

    def test_a_video_that_ends_early_is_noted(self, tmp_path):
        files = a_session(tmp_path)
        write_table(files["gaze"], readers.GAZE, np.ones((130, 12)))
        made = interview.signals(**files)
        assert made["frames"] == 90
        assert "differ by 6 s in length" in made["remarks"][0][1]

    def test_a_misspelt_speaker_costs_no_turn_and_is_noted(self, files):
        frames = interview.signals(files["transcript"])["frames"]
        text = files["transcript"].read_text()
        files["transcript"].write_text(text.replace("Participant", "Particpant", 1))
        made = interview.signals(files["transcript"])
        assert made["frames"] == frames
        assert made["remarks"][0].tolist() == [
            "transcript", "1 rows of the transcript have a tab too many or a misspelt speaker and "
            "are read as meant."]

    def test_missing_files_are_missing_modalities(self, files):
        alone = interview.signals(files["transcript"])
        assert {"visual", "audio"} & set(alone) == set()
        assert alone["frames"] == 225
        assert "visual" not in interview.signals(files["transcript"], files["audio"],
                                                 files["keypoints"])

    def test_one_faulty_session_does_not_stop_the_others(self, tmp_path, cache):
        sessions = {}
        for name in ("good", "silent", "bad", "mute"):
            (tmp_path / name).mkdir()
            turns = [(a, b, s, "xxx" if name == "mute" else v) for a, b, s, v in TURNS]
            sessions[name] = a_session(tmp_path / name, turns=turns, seed=len(name)) | {
                "shift": 0.0, "skip": []}
        soundfile.write(sessions["silent"]["audio"], np.zeros(RATE * 10), RATE)
        write_transcript(sessions["bad"]["transcript"], TURNS[:1])
        sessions["good"]["gaze"] = None
        features, problems, remarks = interview.extract(sessions, cache, workers=1, step=6)
        assert set(features) == {"good", "silent", "mute"}
        assert set(problems) == {"bad/transcript", "silent/audio"}
        assert remarks == {"mute/transcript": "no word of the participant was understood; "
                               "the session has no text modality."}
        batch = windowing.Windows(features, 300, 250).batch([0, 1, 2])
        assert batch["present"].tolist() == [[False, True, True], [True, False, True],
                                             [True, True, False]]
        again, _, _ = interview.extract(sessions, cache, workers=1, step=6)
        np.testing.assert_array_equal(again["good"]["audio"], features["good"]["audio"])

    def test_messages_name_no_file(self, files):
        for part in ("audio", "keypoints", "gaze"):
            files[part].write_bytes(b"300 secret")
            sentences = interview.signals(**files)["problems"][:, 1]
            assert not any("300" in s or "secret" in s or "tmp" in s for s in sentences)


def test_the_command_fills_the_cache(interviews, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["x", str(interviews), "--modality", "interview", "--step",
                                      "6", "--workers", "1", "--cache", str(tmp_path / "cache")])
    command.main()
    assert "14 of 14 interviews in the cache." in capsys.readouterr().out
    assert len(list((tmp_path / "cache/signals").iterdir())) == 14


def test_the_command_lists_what_is_odd_about_interviews(interviews, tmp_path, monkeypatch, capsys):
    root = shutil.copytree(interviews, tmp_path / "corpus")
    audio = sorted(root.rglob("*_AUDIO.wav"))[0]
    content = bytearray(audio.read_bytes())
    content[40:44] = (int.from_bytes(content[40:44], "little") // 4 * 2).to_bytes(4, "little")
    audio.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["x", str(root), "--modality", "interview", "--step", "6",
                                      "--workers", "1", "--cache", str(tmp_path / "cache")])
    command.main()
    assert "fewer than five: its header tells … s, the file holds" in capsys.readouterr().out
    assert re.search(r"(?m)^\S+/audio\tits header tells [\d.]+ s, the file holds",
                     (tmp_path / "cache/private.log").read_text())


def test_sessions_of_the_simulator_come_through_whole(interviews, cache):
    from depnb import corpora
    from depnb.corpora import daic_woz

    corpus = corpora.open("daic_woz", interviews)
    features, problems, _ = interview.extract(daic_woz.interviews(corpus), cache, workers=1, step=6)
    assert set(features) == set(corpus.sessions["session"])
    assert problems == {}
    truth = corpus.truth["sessions"]
    for name, arrays in features.items():
        turns = [t for t in truth[name]["turns"]
                 if t["speaker"] == "Participant" and t["value"] != "scrubbed_entry"]
        assert arrays["turns"].tolist() == [[int(t["start"] * 30), int(t["stop"] * 30)]
                                            for t in turns]


def test_the_benchmark_compares_equal_values():
    done = subprocess.run([sys.executable, ROOT / "benchmarks/window_loading.py", "--quick",
                           "--rounds", "1"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "12 windows of 2 sessions" in done.stdout
