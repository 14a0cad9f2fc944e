"""The lesson on words, and what its checks say to typical mistakes."""

import re

import numpy as np
import pandas as pd
import pytest

from depnb.features import text
from depnb.learn import words
from tests.learn import lessons

PARAMETERS = {"participants": 14, "seconds": 20.0}


class TestLesson(lessons.Whole):
    pass


def test_transcripts_are_those_of_the_simulated_corpus(interviews, tmp_path):
    ours = words.interviews(tmp_path, participants=14, seconds=20)
    assert len(ours) == 14
    for path in ours["path"]:
        theirs = next(interviews.rglob(path.name))
        pd.testing.assert_frame_equal(text.read_transcript(path), text.read_transcript(theirs))


def test_the_vector_by_hand_is_that_of_the_library():
    for (sentence,) in words.SENTENCES:
        np.testing.assert_allclose(words.by_hand(sentence), text.hashed([sentence])[0], atol=1e-6)


@pytest.mark.parametrize(("answer", "part"),
                         [(2.5, "words per second"), (162, "mean of the two turns' rates"),
                          (115.4, "pause between the turns"), (81.8, "end of the last turn"),
                          ("150", "expected one number in words per minute")])
def test_rate_names_unit_and_pause(answer, part):
    assert part in lessons.reply("words-1", answer)


def listed(message, pattern=r"[\w']+", lower=True):
    matches = re.findall(pattern, message.lower() if lower else message)
    return sum(word in words.FIRST for word in matches) / len(matches) if matches else 0.0


@pytest.mark.parametrize(("answer", "part"), [
    (lambda message: sum(w in words.FIRST for w in re.findall(r"[\w']+", message.lower())),
     "that is a count"),
    (lambda message: listed(message, r"\w+"), "cuts i'm into i and m"),
    (lambda message: listed(message, lower=False), "capital letter"),
    (listed, "return nan"),
    (lambda message: listed(message, r"\S+"), "cutting at spaces"),
    (lambda message: 1 / 0, "stopped with ZeroDivisionError"),
    (0.2, "expected a function")])
def test_share_names_the_mistake(answer, part):
    assert part in lessons.reply("words-2", answer)


@pytest.mark.parametrize(("answer", "part"), [
    (2 / 3, "words alone"), (0.5, "pairs alone"), (3 / 7, "Jaccard"), (1, "no meaning")])
def test_cosine_names_what_was_counted(answer, part):
    assert part in lessons.reply("words-3", answer)


def test_collisions_tell_columns_from_words():
    entries = words.vocabulary()
    assert "512 columns" in lessons.reply("words-4", words.in_company(entries, 512))
    assert "how many columns are taken" in lessons.reply("words-4",
                                                         len(set(words.columns(entries, 64))))
    assert words.in_company(["never", "never", "always"], 2**20) == 2


@pytest.mark.parametrize(("flaw", "part"), [
    ({"pairs": False}, "pairs of neighbours are missing"), ({"signs": False}, "+1 and -1"),
    ({"unit": False}, "has not length 1")])
def test_vector_names_what_is_missing(flaw, part):
    assert part in lessons.reply("words-5", lambda sentence: words.by_hand(sentence, **flaw))
