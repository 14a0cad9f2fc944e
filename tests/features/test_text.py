"""Transcripts, sentences and their vectors."""

import builtins
import re
import sys
import types

import numpy as np
import pytest

from depnb.features import store, text
from tests.features.test_interview import TURNS, write_transcript


@pytest.fixture
def path(tmp_path):
    return write_transcript(tmp_path / "300_TRANSCRIPT.csv", TURNS)


class TestTranscript:
    """Read as written, in any encoding, or refused in one sentence that names no file."""

    def test_columns(self, path):
        table = text.read_transcript(path)
        assert list(table.columns) == ["start", "stop", "speaker", "value"]
        assert table["start"].tolist() == [turn[0] for turn in TURNS]
        assert table["value"].tolist() == [turn[3] for turn in TURNS]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
    def test_encodings(self, tmp_path, encoding):
        path = write_transcript(tmp_path / "t.csv", [(0, 1, "Participant", "a cliché")],
                                encoding=encoding)
        assert text.read_transcript(path)["value"].item() == "a cliché"

    def test_odd_but_readable(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text('Speaker\tstart_time\tstop_time\tvalue\r\n\r\n\t\t\t\r\n participant '
                        '\t1\t2\t"yes\tno\r\nEllie\r\n')
        table = text.read_transcript(path)
        assert table["value"].tolist() == ['"yes\tno', ""]
        assert table["speaker"].tolist() == ["Participant", "Ellie"]

    @pytest.mark.parametrize(("written", "message"), [
        ("", "the transcript is empty"), ("\n \n", "the transcript is empty"),
        ("start_time,stop_time,speaker,value\n0,1,Participant,yes",
         "is not separated by tabs; expected start_time"),
        ("start_time\tstop_time\tvalue\n0\t1\tyes", "lacks the column speaker"),
        ("start_time\tstop_time\tspeaker\tvalue", "has no turn of the participant"),
        ("start_time\tstop_time\tspeaker\tvalue\n0\t1\tEllie\tsecret",
         "has no turn of the participant"),
        ("start_time\tstop_time\tspeaker\tvalue\n-1\t1\tParticipant\tsecret",
         "1 turns of the participant with negative"),
        ("start_time\tstop_time\tspeaker\tvalue\n2\t1\tParticipant\tsecret",
         "that stop before they start"),
        ("start_time\tstop_time\tspeaker\tvalue\nsecret\t1\tParticipant\tyes",
         "without a number as start or stop")])
    def test_faults(self, tmp_path, written, message):
        (tmp_path / "t.csv").write_text(written)
        with pytest.raises(ValueError, match=message) as caught:
            text.read_transcript(tmp_path / "t.csv")
        assert "secret" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


class TestTurns:
    """Which turns count."""

    def turns(self, tmp_path, rows, **options):
        rows = [(a, b, "Participant", value) for a, b, value in rows]
        return text.participant_turns(
            text.read_transcript(write_transcript(tmp_path / "t.csv", rows)), **options)

    def test_overlapping_turns_end_where_the_next_begins(self, tmp_path):
        turns, cut = self.turns(tmp_path, [(5, 8, "b"), (0, 5.2, "a"), (8, 9, "c")])
        assert turns[["start", "stop"]].to_numpy().tolist() == [[0, 5], [5, 8], [8, 9]]
        assert turns.index.tolist() == [1, 0, 2]
        assert cut == 1
        released, none = self.turns(tmp_path, [(5, 8, "b"), (0, 5.2, "a")], windows="as_released")
        assert released["stop"].tolist() == [8, 5.2]
        assert none == 0

    def test_turns_that_all_overlap_are_refused(self, tmp_path):
        with pytest.raises(
            ValueError,
            match=r"24 s of the participant's turns overlap each other; expected one turn after"):
            self.turns(tmp_path, [(i, 10, "a") for i in range(4)])

    def test_removed_names_and_marks_are_no_turns(self, tmp_path):
        rows = [(0, 0.5, "<sync>"), (0.5, 1, "<sync."), (1, 2, "scrubbed_entry"), (2, 3, "xxx"),
                (3, 4, "yes")]
        assert self.turns(tmp_path, rows)[0]["value"].tolist() == ["xxx", "yes"]
        assert self.turns(tmp_path, rows, windows="as_released")[0]["value"].tolist() == [
            "<sync>", "<sync.", "xxx", "yes"]
        with pytest.raises(ValueError, match="no turn of the participant is left"):
            self.turns(tmp_path, rows[2:3])

    def test_unknown_way(self, tmp_path):
        with pytest.raises(ValueError, match="windows 'mine': choose corrected or as_released"):
            self.turns(tmp_path, [(0, 1, "a")], windows="mine")


class TestHashed:
    """The default needs nothing and knows nothing."""

    def test_vectors(self):
        made = text.hashed(["i am sad", "I AM SAD", "the bus", ""])
        assert made.shape == (4, 512)
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made[0], made[1])
        np.testing.assert_allclose(np.linalg.norm(made, axis=1), [1, 1, 1, 0], rtol=1e-6)
        assert (text.hashed(["i"]) != 0).any()                  # one letter is a word here

    def test_sentences(self, tmp_path):
        rows = [*TURNS, (9.7, 9.8, "Participant", "xxx"), (9.8, 9.9, "Participant", "")]
        path = write_transcript(tmp_path / "t.csv", rows)
        made = text.sentences(path)
        assert made["text"].shape == (3, 512)
        assert made["span"].tolist() == [[1, 4], [5, 8.5], [8.6, 9.6]]
        assert text.sentences(path, windows="as_released")["text"].shape == (5, 512)
        assert text.sentences(path, skip=[(4, 6)], shift=0.5)["span"].tolist() == [[9.1, 10.1]]


class TestStoredVectors:
    """use:<folder>"""

    def extract(self, path, folder, cache):
        return text.extract({"a": path}, cache, f"use:{folder}", workers=1)

    def test_vectors_are_those_of_the_file(self, path, tmp_path, cache):
        rng = np.random.default_rng(0)
        for _ in range(2):                                      # the cache notices another content
            vectors = rng.random((3, 512), np.float32)
            np.save(tmp_path / "300_use.npy", vectors)
            features, problems = self.extract(path, tmp_path, cache)
            np.testing.assert_array_equal(features["a"]["text"], vectors)
        assert problems == {}

    def test_rows_left_out_are_left_out_of_the_vectors(self, tmp_path, cache):
        rows = [(2, 3, "Participant", "later"), (0, 1, "Participant", "xxx"),
                (1, 2, "Participant", "scrubbed_entry"), (1.5, 2, "Participant", "soon")]
        path = write_transcript(tmp_path / "300_TRANSCRIPT.csv", rows)
        np.save(tmp_path / "300_use.npy", np.arange(3.0)[:, None] * np.ones(512))
        features, _ = self.extract(path, tmp_path, cache)
        assert features["a"]["text"][:, 0].tolist() == [2, 0]      # in the order of time

    @pytest.mark.parametrize(("vectors", "message"), [
        (np.ones((2, 512)), r"have the shape \(2, 512\); expected \(3, 512\)"),
        (np.ones((3, 768)), r"\(3, 768\)"),
        (np.full((3, 512), np.nan), "hold NaN"), (np.array([["a"] * 512] * 3), "have the shape"),
        (np.array([{}] * 3, dtype=object), "is no NumPy array"),
        (None, "0 files of sentence vectors belong to it")])
    def test_files_that_do_not_fit(self, path, tmp_path, cache, vectors, message):
        if vectors is not None:
            np.save(tmp_path / "300_use.npy", vectors, allow_pickle=True)
        features, problems = self.extract(path, tmp_path, cache)
        assert features == {}
        assert len(problems) == 1
        assert re.search(message, problems["a"])

    def test_missing_folder(self, path, tmp_path, cache):
        with pytest.raises(text.EncoderError,
                           match=r"no such folder\. Give the folder with the arrays"):
            self.extract(path, tmp_path / "nowhere", cache)


class TestTransformer:
    """An optional extra, told apart from weights that are not there."""

    def test_without_the_extra(self, path, cache, monkeypatch):
        real = builtins.__import__

        def without(name, *rest):
            if name == "sentence_transformers":
                raise ModuleNotFoundError(name)
            return real(name, *rest)

        text._transformer.cache_clear()
        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ModuleNotFoundError,
                           match=r"pip install -c constraints.txt 'depnb\[text\]'"):
            text.extract({"a": path}, cache, "all-mpnet-base-v2", workers=1)

    def test_weights_and_vectors(self, path, tmp_path, cache, monkeypatch):
        class Fake:
            def __init__(self, name):
                if name == "nothing":
                    raise OSError("a long story")
                self.name = name

            def encode(self, texts, show_progress_bar):
                return np.array([[len(t), 1.0] for t in texts])

        text._transformer.cache_clear()
        monkeypatch.setitem(sys.modules, "sentence_transformers",
                            types.SimpleNamespace(SentenceTransformer=Fake))
        (tmp_path / "weights").mkdir()
        for encoder in ("some-model", str(tmp_path / "weights")):
            features, problems = text.extract({"a": path}, cache, encoder)
            assert problems == {}
            assert features["a"]["text"].tolist() == [[9, 1], [22, 1], [4, 1]]
        with pytest.raises(text.EncoderError,
                           match=r"'nothing': its weights cannot be loaded \(OSError\)"):
            text.extract({"a": path}, cache, "nothing")
        text._transformer.cache_clear()


def test_files_among_the_parameters_may_be_missing(path, cache):
    assert store.read(store.cached(path, text.sentences, cache, vectors=None))["text"].shape == (
        3, 512)
