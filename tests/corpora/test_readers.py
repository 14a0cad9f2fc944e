"""Tables, transcripts and videos as people save them."""

import contextlib
import unicodedata

import cv2
import numpy as np
import pytest

from depnb.corpora import readers
from tests import films
from tests.features.test_media import encode

TABLE = "Index,Label\n1,12.5\n2,3\n"
SAVED = {
    "plain": TABLE.encode(),
    "BOM, CRLF": ("\ufeff" + TABLE.replace("\n", "\r\n")).encode(),
    "semicolons, decimal commas": TABLE.replace(",", ";").replace(".", ",").encode(),
    "tabs": TABLE.replace(",", "\t").encode(),
    "UTF-16": TABLE.replace(",", "\t").encode("utf-16"),
    "UTF-16 without mark": TABLE.encode("utf-16-le"),
    "NULs at the end": TABLE.encode() + b"\0" * 40,
    "sep=": ("\ufeffsep=;\r\n" + TABLE.replace(",", ";")).encode(),
    "empty rows, blanks": ("\n" + TABLE.replace(",", " , ") + ",\n ,\n\n").encode(),
    "trailing commas": TABLE.replace("\n", ",\n").encode(),
    "quotes": b'"Index","Label"\n"1","12.5"\n"2","3"\n'}


@pytest.mark.parametrize("saved", SAVED)
def test_a_table_is_one_table_however_it_was_saved(saved, tmp_path):
    (tmp_path / "t.csv").write_bytes(SAVED[saved])
    table = readers.read_columns(tmp_path / "t.csv")
    assert list(table.columns) == ["index", "label"]
    assert table["index"].tolist() == ["1", "2"]
    assert table["label"].map(readers.number).tolist() == [12.5, 3]


def test_latin_1_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes("name\nZoé\n".encode("latin-1"))
    assert readers.read_columns(tmp_path / "t.csv")["name"].tolist() == ["Zoé"]


@pytest.mark.parametrize(("content", "sentence"), [
    (b"", "is empty; expected a table"), (b",,\n", "is empty"),
    (b"a,b\n1,2,5\n", r"row 2 has 3 cells, the first has 2 \(a decimal comma, or a text without"),
    (b"a,A\n1,2\n", "has the column a more than once. Keep one"),
    (b'a\n"' + b"x" * 200_000, "is no table of texts")])
def test_a_table_that_cannot_be_read_is_named(content, sentence, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"t\.csv: {sentence}"):
        readers.read_columns(tmp_path / "t.csv")


@pytest.mark.parametrize(("text", "number"), [("14", 14), ("14,0", 14), (" 1.5 ", 1.5),
                                              ("1,5", 1.5)])
def test_numbers_have_a_point_or_a_comma(text, number):
    assert readers.number(text) == number


@pytest.mark.parametrize("text", ["", "severe", "1,2,3", "1_0", "1.000,5", "nan"])
def test_other_texts_are_no_numbers(text):
    assert np.isnan(readers.number(text))


class TestBelow:
    """A file is found as its name is meant, where only one can be meant."""

    @pytest.mark.parametrize("written", ["Voices/Zoé.wav", ".\\voices\\ZOÉ.WAV", "voices//zoé.wav/",
                                         "voices/Zoé.wav"])
    def test_accents_capitals_and_slashes(self, written, tmp_path):
        (tmp_path / "voices").mkdir()
        file = tmp_path / "voices" / unicodedata.normalize("NFD", "Zoé.wav")
        file.touch()
        for form in ("NFC", "NFD"):
            assert readers.spelled(tmp_path, unicodedata.normalize(form, written)) == file

    def test_two_that_differ_in_capitals_alone_are_not_mixed_up(self, tmp_path):
        for name in ("a.wav", "A.wav"):
            (tmp_path / name).touch()
        assert readers.spelled(tmp_path, "A.wav") == tmp_path / "A.wav"
        assert not readers.spelled(tmp_path, "A.WAV").exists()

    def test_what_is_not_there_is_as_written(self, tmp_path):
        assert readers.spelled(tmp_path, "no\\such.wav") == tmp_path / "no/such.wav"


HEADER = "start_time\tstop_time\tspeaker\tvalue\n"


class TestTranscript:
    """No turn is dropped without a word."""

    def read(self, tmp_path, *lines):
        (tmp_path / "t.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
        return readers.read_transcript(tmp_path / "t.csv")

    def test_as_written_there_is_nothing_to_say(self, tmp_path):
        table = self.read(tmp_path, "0\t1\tEllie\thi", "1\t2\tparticipant \tfine thanks")
        assert table["speaker"].tolist() == ["Ellie", "Participant"]
        assert table["value"].iloc[1] == "fine thanks"
        assert not table.attrs["remarks"]

    @pytest.mark.parametrize("line", ["3\t4\tParticpant\tno", "3\t4\t\tParticipant\tno",
                                      "\t3\t4\tParticipant\tno", "3\t4\tPARTICIPANT:\tno",
                                      "3\t4\tParticipant\tno\t", "3\t4\tParticipant\t\tno"])
    def test_a_misspelt_speaker_or_a_stray_tab_is_read_as_meant_and_told(self, line, tmp_path):
        table = self.read(tmp_path, "1\t2\tParticipant\tfine", line)
        assert table.iloc[1].tolist() == [3, 4, "Participant", "no"]
        assert table.attrs["remarks"] == ["1 rows of the transcript have a tab too many or a "
                                          "misspelt speaker and are read as meant."]

    def test_a_tab_within_the_words_is_told(self, tmp_path):
        table = self.read(tmp_path, "1\t2\tParticipant\tfine\tthanks")
        assert table["value"].tolist() == ["fine\tthanks"]
        assert table.attrs["remarks"][0].startswith("1 rows of the transcript have a tab too many")

    def test_turns_that_are_written_twice_are_read_once_and_told(self, tmp_path):
        turns = ["0\t1\tEllie\thi", "1\t2\tParticipant\tyes", "3\t4\tParticipant\tyes"]
        table = self.read(tmp_path, *turns, *turns)
        assert table["start"].tolist() == [0, 1, 3]
        assert table.index.tolist() == [0, 1, 2]
        assert table.attrs["remarks"] == ["3 rows of the transcript repeat a turn, with its times "
                                          "and words, and are read once."]

    @pytest.mark.parametrize(("end", "told", "turns"), [
        ("3.5\t4", " and passed over.", 1), ("3.5\t4\tPartic", " and passed over.", 1),
        ("3", " and passed over.", 1), ("3.5\t4\tParticipan", ".", 2),
        ("3.5\t4\tParticipant", ".", 2)])
    def test_a_last_row_that_is_broken_off(self, tmp_path, end, told, turns):
        (tmp_path / "t.csv").write_text(f"{HEADER}1\t2\tParticipant\tfine\n{end}")
        table = readers.read_transcript(tmp_path / "t.csv")
        assert (table["speaker"] == "Participant").sum() == turns
        assert table.attrs["remarks"] == [f"the transcript's last row is cut short{told}"]

    def test_times_may_have_decimal_commas(self, tmp_path):
        table = self.read(tmp_path, "1,25\t2,5\tParticipant\tfine, thanks")
        assert table.iloc[0].tolist() == [1.25, 2.5, "Participant", "fine, thanks"]

    @pytest.mark.parametrize("speaker", ["", "Wizard", "patient", "??"])
    def test_a_speaker_whom_nobody_knows_is_counted(self, speaker, tmp_path):
        table = self.read(tmp_path, "1\t2\tParticipant\tfine", f"3\t4\t{speaker}\tno")
        assert (table["speaker"] == "Participant").sum() == 1
        assert table.attrs["remarks"] == ["1 rows of the transcript name neither Participant nor "
                                          "Ellie and are passed over."]


class TestInTime:
    """Rows of a CLNF table lie at their own times; column 4 tells them."""

    def table(self, times, frames=None, success=1.0):
        table = np.ones((len(times), 6), np.float32)
        table[:, 0] = np.arange(len(times)) + 1 if frames is None else frames
        table[:, 1] = table[:, 4] = times
        table[:, 3] = success
        return table

    times = np.arange(300) / 30

    @pytest.mark.parametrize("lost", [0, np.nan])
    def test_of_two_rows_of_a_time_the_one_with_success_is_taken(self, lost):
        placed, remarks = readers.in_time(self.table(
            np.repeat(self.times, 2), np.repeat(np.arange(300) + 1, 2), np.tile([lost, 1], 300)))
        assert (placed[:, 3] == 1).all()
        np.testing.assert_allclose(placed[:, 4], self.times, atol=1e-6)
        assert remarks == ["300 of 600 rows repeat the time of another."]

    @pytest.mark.parametrize("begin", [0, 1])
    def test_frames_without_times_are_counted_from_0_or_1(self, begin):
        table = self.table(self.times, np.arange(300) + begin)
        table[:, 1] = 0
        placed, remarks = readers.in_time(table)
        np.testing.assert_allclose(placed[:, 4], self.times, atol=1e-6)
        assert not remarks

    @pytest.mark.parametrize("place", [0, 42, 299])
    @pytest.mark.parametrize("stamp", [99999.0, -99.0])
    def test_one_wrong_time_is_passed_over_and_told(self, place, stamp):
        table = self.table(self.times)
        table[place, 1] = stamp
        placed, remarks = readers.in_time(table)
        at = np.delete(np.arange(300), place)
        np.testing.assert_allclose(placed[at[at < len(placed)], 4], self.times[at], atol=1e-6)
        assert remarks[-1] == ("1 of 300 rows have a time stamp far from those around it and are "
                               "passed over.")

    def test_times_that_begin_anew_are_refused(self):
        with pytest.raises(ValueError, match="its time stamps go backwards after frame 150; expec"):
            readers.in_time(self.table(np.r_[self.times[:150], self.times[:150]]))


class Video:
    """Stands in for cv2.VideoCapture: so many frames, and what it says of them."""

    def __init__(self, stamps, promised=None, rate=25):
        self.stamps, self.at, self.told = stamps, -1, {
            cv2.CAP_PROP_FRAME_COUNT: promised or len(stamps), cv2.CAP_PROP_FPS: rate}

    def isOpened(self):
        return True

    def get(self, what):
        return self.told.get(what, self.stamps[max(self.at, 0)] * 1000)

    def grab(self):
        self.at += 1
        return self.at < len(self.stamps)

    def retrieve(self):
        return True, np.zeros((2, 2, 3), np.uint8)

    def release(self):
        pass


class TestVideo:
    """What is said of a video was looked at, and its frames lie at their own times."""

    @pytest.fixture
    def standing_in(self, tmp_path, monkeypatch):
        def times(*asked, **more):
            (tmp_path / "v.mp4").write_text("x")
            monkeypatch.setattr(cv2, "VideoCapture", lambda path: Video(*asked, **more))
            return [time for _, time in readers.timed_frames(tmp_path / "v.mp4")]
        return times

    @pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.webm", "v.avi"])
    def test_a_constant_rate_gives_its_multiples(self, name, tmp_path):
        path = films.film(tmp_path / name, [1001 * i / 30 for i in range(90)], rate="30000/1001")
        times = [time for _, time in readers.timed_frames(path)]
        np.testing.assert_allclose(times, np.arange(90) * 1.001 / 30, atol=1e-9)
        assert [time for _, time in readers.timed_frames(path, 7)] == times[::7]

    @pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.mkv", "v.webm"])
    def test_a_varying_rate_gives_the_stamps(self, name, tmp_path):
        stamps = np.cumsum([0, *[33, 40, 33, 100, 33, 500] * 8])
        path = films.film(tmp_path / name, stamps)
        times = [time for _, time in readers.timed_frames(path)]
        np.testing.assert_allclose(times, stamps / 1000, atol=2e-3)

    def test_stamps_that_run_backwards_are_refused(self, standing_in):
        with pytest.raises(readers.VideoError, match="stamp of frame 3 is missing, or before that"):
            standing_in([0, 0.1, 0.2, 0.15, 0.3])

    def test_without_stamps_the_rate_tells_or_the_video_is_refused(self, standing_in):
        assert standing_in([0, 0, 0, 0], rate=10) == [0, 0.1, 0.2, 0.3]
        for rate in (0, 1000, np.nan):
            with pytest.raises(readers.VideoError, match=r"frame 1 is missing.* Convert it again"):
                standing_in([0, 0, 0, 0], rate=rate)

    @pytest.mark.parametrize(("name", "seconds"), [("v.mp4", 0.92), ("v.mov", 1.84)])
    def test_a_cut_by_copy_is_not_truncated(self, name, seconds, tmp_path):
        cut = films.cut(films.film(tmp_path / f"film_{name}", np.arange(100) * 40),
                        tmp_path / name, seconds)
        promised = cv2.VideoCapture(str(cut)).get(cv2.CAP_PROP_FRAME_COUNT)
        frames = sum(1 for _ in readers.read_frames(cut))
        assert frames == round((4 - seconds) * 25)
        assert frames < promised - 2                                # the header counts all

    def test_a_varying_rate_that_promises_too_much_is_not_truncated(self, tmp_path):
        path = films.film(tmp_path / "v.webm", np.arange(50) * 80)
        assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) > 90
        assert sum(1 for _ in readers.read_frames(path)) == 50

    def test_a_webm_without_duration_is_read_to_its_end(self, tmp_path):
        path = films.film(tmp_path / "v.webm", np.arange(41) * 40, options={"live": "1"})
        assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) < 0
        assert sum(1 for _ in readers.read_frames(path)) == 41

    @pytest.mark.parametrize(("name", "options"), [
        ("v.mp4", {"movflags": "faststart"}), ("v.mkv", {}), ("v.webm", {"live": "1"}),
        ("v.mp4", {"movflags": "frag_keyframe+empty_moov"}), ("v.avi", {})])
    def test_a_truncated_one_tells_how_many_frames_can_be_decoded(self, name, options, tmp_path):
        path = films.film(tmp_path / name, np.arange(100) * 40, options=options)
        assert sum(1 for _ in readers.read_frames(path)) == 100
        path.write_bytes(path.read_bytes()[:int(0.6 * path.stat().st_size)])
        decoded = []
        with pytest.raises(readers.VideoError, match="truncated: a part of the file") as caught:
            decoded.extend(readers.read_frames(path))
        assert 20 < len(decoded) < 90
        assert f"{len(decoded)} frames can be decoded. Copy it again" in str(caught.value)
        assert readers.glance(path).startswith("truncated: a part of the file is missing.")

    @pytest.mark.parametrize(("name", "options"), [
        ("v.mp4", {}), ("v.avi", {}), ("v.mp4", {"movflags": "frag_keyframe+empty_moov"})])
    def test_one_of_which_the_middle_is_damaged(self, name, options, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), np.uint8)
        path = films.film(tmp_path / name, np.arange(100) * 40, frames=noise, options=options)
        raw = bytearray(path.read_bytes())
        fifth = len(raw) // 5
        if options:
            del raw[2 * fifth:3 * fifth]
        else:
            raw[2 * fifth:3 * fifth] = bytes(fifth)
        path.write_bytes(raw)
        with pytest.raises(readers.VideoError, match=r"^(damaged|truncated): .* can be decoded"):
            list(readers.read_frames(path))

    def test_an_avi_of_varying_rate_is_complete(self, tmp_path):
        path = films.film(tmp_path / "v.avi", np.cumsum([0, *[40, 80, 200] * 20]))
        promised = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)
        assert sum(1 for _ in readers.read_frames(path)) == 61 < promised / 2

    @pytest.mark.parametrize(("decodable", "promised", "complete"),
                             [(40, 41, True), (39, 41, True), (38, 41, False), (980, 1000, True),
                              (979, 1000, False)])
    def test_a_frame_or_two_too_few_is_not_damaged(self, decodable, promised, complete,
                                                   standing_in):
        stamps = np.arange(decodable) / 25
        if complete:
            assert len(standing_in(stamps, promised)) == decodable
        else:
            with pytest.raises(readers.VideoError, match=f"damaged: {decodable} of {promised} fr"):
                standing_in(stamps, promised)


class TestArray:
    @pytest.mark.parametrize("bit", range(8))
    @pytest.mark.parametrize("place", [0, 6, 8, 10, 24, 58, 63])
    def test_a_damaged_header_is_one_sentence_or_nothing(self, place, bit, tmp_path):
        """Python's own parser, by which NumPy reads it, knows more errors than one."""
        array = np.arange(6, dtype=np.float32).reshape(3, 2)
        path = tmp_path / "a.npy"
        np.save(path, array)
        raw = bytearray(path.read_bytes())
        raw[place] ^= 1 << bit
        path.write_bytes(raw)
        with contextlib.suppress(ValueError):
            np.testing.assert_array_equal(readers.read_array(path), array)

    @pytest.mark.parametrize("change", [lambda raw: raw + b"more", lambda raw: raw[:-1],
                                        lambda raw: raw.replace(b"(3, 2)", b"(2, 2)")])
    def test_what_is_longer_or_shorter_than_it_says_is_not_whole(self, change, tmp_path):
        np.save(tmp_path / "a.npy", np.ones((3, 2), np.float32))
        (tmp_path / "a.npy").write_bytes(change((tmp_path / "a.npy").read_bytes()))
        with pytest.raises(ValueError, match=r"^not a whole \.npy file"):
            readers.read_array(tmp_path / "a.npy")


def test_a_transcript_that_is_cut_within_a_row_is_told(tmp_path):
    text = HEADER + "0\t1\tEllie\thi\n1\t2\tParticipant\tfine th"
    (tmp_path / "t.csv").write_text(text)
    assert readers.read_transcript(tmp_path / "t.csv").attrs["remarks"] == [
        "the transcript's last row has no end: it may be cut short."]
    (tmp_path / "t.csv").write_text(f"{text}anks\r\n\n")
    assert not readers.read_transcript(tmp_path / "t.csv").attrs["remarks"]


def test_a_table_of_blank_lines_is_empty_at_a_glance(tmp_path):
    (tmp_path / "300_CLNF_gaze.txt").write_text("\n \n")
    assert readers.glance(tmp_path / "300_CLNF_gaze.txt") == (
        "the file is empty. Copy it again from the corpus.")


def test_of_a_video_whose_sound_counts_the_picture_is_not_asked_for(tmp_path):
    encode(tmp_path / "a.mp4", np.sin(np.arange(16000) / 10))
    films.film(tmp_path / "b.mp4", np.arange(20) * 40)
    assert readers.glance(tmp_path / "a.mp4").startswith("not a readable video")
    assert readers.glance(tmp_path / "a.mp4", heard=True) == ""
    assert readers.glance(tmp_path / "b.mp4", heard=True).startswith("the file holds no sound")
