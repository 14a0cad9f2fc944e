"""Tables, transcripts and videos as people save them."""

import unicodedata

import cv2
import numpy as np
import pytest

from depnb.corpora import readers

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
        (tmp_path / "t.csv").write_text(HEADER + "\n".join(lines))
        return readers.read_transcript(tmp_path / "t.csv")

    def test_as_written_there_is_nothing_to_say(self, tmp_path):
        table = self.read(tmp_path, "0\t1\tEllie\thi", "1\t2\tparticipant \tfine\tthanks")
        assert table["speaker"].tolist() == ["Ellie", "Participant"]
        assert table["value"].iloc[1] == "fine\tthanks"
        assert not table.attrs["remarks"]

    @pytest.mark.parametrize("line", ["3\t4\tParticpant\tno", "3\t4\t\tParticipant\tno",
                                      "\t3\t4\tParticipant\tno", "3\t4\tPARTICIPANT:\tno"])
    def test_a_misspelt_speaker_or_a_stray_tab_is_read_as_meant_and_told(self, line, tmp_path):
        table = self.read(tmp_path, "1\t2\tParticipant\tfine", line)
        assert table.iloc[1].tolist() == [3, 4, "Participant", "no"]
        assert table.attrs["remarks"] == ["1 rows of the transcript have a tab too many or a "
                                          "misspelt speaker and are read as meant."]

    def test_times_may_have_decimal_commas(self, tmp_path):
        table = self.read(tmp_path, "1,25\t2,5\tParticipant\tfine, thanks")
        assert table.iloc[0].tolist() == [1.25, 2.5, "Participant", "fine, thanks"]

    @pytest.mark.parametrize("speaker", ["", "Wizard", "patient", "??"])
    def test_a_speaker_whom_nobody_knows_is_counted(self, speaker, tmp_path):
        table = self.read(tmp_path, "1\t2\tParticipant\tfine", f"3\t4\t{speaker}\tno")
        assert (table["speaker"] == "Participant").sum() == 1
        assert table.attrs["remarks"] == ["1 rows of the transcript name neither Participant nor "
                                          "Ellie and are passed over."]


class TestVideo:
    """What is said of a video was looked at."""

    @pytest.fixture
    def webm(self, tmp_path):
        path = tmp_path / "v.webm"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 25, (64, 64))
        for i in range(41):
            writer.write(np.full((64, 64, 3), 5 * i, np.uint8))
        writer.release()
        return path

    def test_a_webm_without_duration_is_read_to_its_end(self, webm):
        raw = webm.read_bytes()
        at = raw.index(b"\x44\x89\x88")                     # Duration, eight bytes: now Void
        webm.write_bytes(raw[:at] + b"\xec\x89" + b"\0" * 9 + raw[at + 11:])
        assert cv2.VideoCapture(str(webm)).get(cv2.CAP_PROP_FRAME_COUNT) < 0
        assert sum(1 for _ in readers.read_frames(webm)) == 41

    @pytest.mark.parametrize(("decodable", "promised", "complete"),
                             [(40, 41, True), (39, 41, True), (38, 41, False), (980, 1000, True),
                              (979, 1000, False)])
    def test_a_frame_or_two_too_few_is_not_truncated(self, decodable, promised, complete,
                                                     tmp_path, monkeypatch):
        class Video:
            left = decodable

            def __init__(self, path):
                pass

            def isOpened(self):
                return True

            def get(self, what):
                return promised

            def grab(self):
                self.left -= 1
                return self.left >= 0

            def retrieve(self):
                return True, np.zeros((2, 2, 3), np.uint8)

            def release(self):
                pass

        monkeypatch.setattr(cv2, "VideoCapture", Video)
        (tmp_path / "v.mp4").write_text("x")
        if complete:
            assert sum(1 for _ in readers.read_frames(tmp_path / "v.mp4")) == decodable
        else:
            with pytest.raises(readers.VideoError, match=f"truncated: {decodable} of {promised}"):
                list(readers.read_frames(tmp_path / "v.mp4"))
