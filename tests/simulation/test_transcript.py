"""What simulated participants say: words of each kind are where the truth puts them, and cues
move them.
"""

import re

import numpy as np
import pytest

from depnb.simulation import severity, transcript

KINDS = {"first_person": transcript.FIRST_PERSON, "negative": transcript.NEGATIVE,
         "absolutist": transcript.ABSOLUTIST}


def answers_to(cues, seed, words=190, neutral=3):
    """Words of the participant by topic, in an interview where all items have these cues."""
    turns = transcript.interview(cues, words, neutral, np.random.default_rng(seed))
    answers = {}
    for turn in turns:
        if turn["speaker"] == "Participant":
            answers.setdefault(turn["topic"], []).extend(turn["words"])
    return answers


def every(value, **other):
    return dict.fromkeys(transcript.ITEMS, value) | other


def shares(words):
    return {kind: len(places) / len(words) for kind, places in transcript.kinds(words).items()}


def test_every_item_is_asked_for_once_and_answered_in_one_to_three_turns():
    turns = transcript.interview(every(0.0), 190, 3, np.random.default_rng(0))
    asked = [turn["topic"] for turn in turns if turn["speaker"] == "Ellie"]
    assert sorted(topic
                  for topic in asked if topic not in ("", "neutral")) == sorted(severity.PHQ8_ITEMS)
    assert asked.count("neutral") == 3
    assert asked[0] == asked[-1] == ""
    for topic in transcript.ITEMS:
        assert 1 <= sum(t["topic"] == topic and t["speaker"] == "Participant" for t in turns) <= 3
    other = transcript.interview(every(0.0), 190, 3, np.random.default_rng(1))
    assert [t["topic"] for t in turns] != [t["topic"] for t in other]


def test_text_is_lower_case_without_punctuation():
    for seed in range(20):
        for turn in transcript.interview(every(0.5), 190, 4, np.random.default_rng(seed)):
            assert all(re.fullmatch("[a-z']+", word) for word in turn["words"]), turn


def test_templates_hold_no_loaded_word_of_their_own():
    sentences = [text for _, *sides in transcript.ITEMS.values() for side in sides
                 for text in side.split("|")]
    sentences += [text for _, *sides in transcript.NEUTRAL for side in sides
                  for text in side.split("|")]
    sentences += [text for side in transcript.FRAGMENTS for text in side]
    sentences += [*transcript.OPENERS, *transcript.TAILS, *transcript.JOINTS]
    sentences += [text for _, calm in transcript.SLOTS.values() for text in calm]
    words = {word for text in sentences for word in re.sub(r"\{\w+\}", "", text).split()}
    assert not words & (transcript.NEGATIVE | transcript.ABSOLUTIST)
    assert not transcript.NEGATIVE & transcript.ABSOLUTIST
    for loaded, _ in (transcript.SLOTS[name] for name in transcript.ABSOLUTIST_SLOTS):
        assert all(set(text.split()) & transcript.ABSOLUTIST for text in loaded)
    assert len(sentences) > 200


def test_sentences_in_the_first_person_are_in_the_first_person():
    pairs = [sides for _, *sides in (*transcript.ITEMS.values(), *transcript.NEUTRAL)]
    for first, other in pairs:
        assert all(set(text.split()) & transcript.FIRST_PERSON for text in first.split("|"))
        assert not any(set(text.split()) & transcript.FIRST_PERSON for text in other.split("|"))


def test_kinds_are_the_places_of_the_words():
    assert transcript.kinds(["i'm", "always", "sad", "about", "my", "day"]) == {
        "first_person": [0, 4], "negative": [2], "absolutist": [1]}


@pytest.mark.parametrize("item", transcript.ITEMS)
def test_a_cue_moves_the_answer_to_its_own_item_only(item):
    low, high = ([answers_to(every(0.0, **{item: value}), seed) for seed in range(60)]
                 for value in (-1.5, 1.5))
    own = [[word for answers in some for word in answers[item]] for some in (low, high)]
    assert len(own[1]) < 0.7 * len(own[0])
    for kind in KINDS:
        assert shares(own[1])[kind] > 1.3 * shares(own[0])[kind]
    rest = [[word for answers in some for topic in transcript.ITEMS if topic != item
             for word in answers[topic]] for some in (low, high)]
    for kind in KINDS:
        assert shares(rest[1])[kind] == pytest.approx(shares(rest[0])[kind], abs=0.03)


def test_neutral_answers_carry_half_of_length_and_first_person_and_no_feeling():
    low, high = ([answers_to(every(value), seed, words=190)["neutral"] for seed in range(60)]
                 for value in (-1.5, 1.5))
    words = [[word for some in answers for word in some] for answers in (low, high)]
    assert shares(words[1])["first_person"] > shares(words[0])["first_person"]
    assert not any(transcript.kinds(some)[kind] for some in words
                   for kind in ("negative", "absolutist"))


def test_text_does_not_repeat():
    rows = [" ".join(turn["words"]) for seed in range(50)
            for turn in transcript.interview(every(0.0), 190, 3, np.random.default_rng(seed))
            if turn["topic"] in transcript.ITEMS and turn["speaker"] == "Participant"]
    assert len(set(rows)) > 0.95 * len(rows) > 500


@pytest.mark.parametrize("words", [28, 60, 190, 400])
def test_length_is_about_what_was_asked_for(words):
    counts = [sum(map(len, answers_to(every(0.3), seed, words, 2).values())) for seed in range(20)]
    assert np.mean(counts) == pytest.approx(words, rel=0.3)


def test_syllables_of_plain_words():
    assert [transcript.syllables([word]) for word in ("my", "mood", "morning", "terrible",
                                                      "anxious", "the")] == [1, 1, 2, 3, 2, 1]
