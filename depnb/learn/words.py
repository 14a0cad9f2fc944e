"""Lesson "From words to numbers": transcripts to practise on, and the checks of its exercises."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from depnb.features import text
from depnb.learn import is_close, is_function, is_number
from depnb.simulation import interview, transcript

WORD = r"[\w']+"                                            # as in `text.hashed`: "i'm" is one word
CLASSES = {"first person": transcript.FIRST_PERSON, "negative": transcript.NEGATIVE,
           "absolutist": transcript.ABSOLUTIST}


def interviews(folder, participants=80, seconds=60.0, effect=1.0, seed=0):
    """The transcripts alone of a simulated DAIC-WOZ, as `simulation` writes them.

    Parameters
    ----------
    folder : an existing one
    seconds : of each participant's speech

    Returns
    -------
    table participant, phq8_total, path; one row a session
    """
    arguments = {"participants": participants, "seconds": seconds, "effect": effect, "seed": seed}
    rows = []
    for name, session in interview.plan(folder, arguments)[1]["sessions"].items():
        path = folder / f"{name}_TRANSCRIPT.csv"
        turns = pd.DataFrame(session["turns"])[["start", "stop", "speaker", "value"]]
        turns.to_csv(path, sep="\t", index=False, float_format="%.3f",
                     header=["start_time", "stop_time", "speaker", "value"])
        rows.append({"participant": name, "phq8_total": session["phq8_total"], "path": path})
    return pd.DataFrame(rows)


def share(speech, those):
    """Share of the words of a text that are among `those`, in lower case; NaN without words."""
    words = re.findall(WORD, speech.lower())
    return sum(word in those for word in words) / len(words) if words else float("nan")


def speech_rate(answer):
    """All words over all seconds of their speech: long turns count for more, and pauses between
    turns do not count.
    """
    return is_number(answer, "words per minute") or is_close(answer, 150, [
        (2.5, "that is words per second; times 60."),
        (162, "that is the mean of the two turns' rates, "
         "in which a second weighs as much as five; divide sum by sum."),
        (180, "that is the second turn alone; take both."),
        (144, "that is the first turn alone; take both."),
        (15 / 7.8 * 60, "that counts the pause between the turns as speech; "
         "add up the lengths of the turns."),
        (15 / 11 * 60, "that divides by the end of the last turn; "
         "add up the lengths of the turns."),
    ], "Add up the words, add up stop minus start of the turns, divide, and mind the minute.",
       tolerance=0.005)


FIRST = sorted(transcript.FIRST_PERSON)
SAID = [("I'm tired and my sleep is bad",), ("sometimes they visit some time in summer",),
        ("mhm yes",), ("",), ("Well, I - I don't know; me neither.",),
        ("mine is the first house and I've painted it myself",)]


def _first_person(speech):
    return share(speech, transcript.FIRST_PERSON)


def _or_zero(value):
    return 0.0 if np.isnan(value) else value


def first_person_share(answer):
    """Whole words, whatever their case, contractions included, and no share where there are no
    words.
    """
    def counted(speech):
        return sum(word in transcript.FIRST_PERSON for word in re.findall(WORD, speech.lower()))

    def listed(words):
        count = sum(word in transcript.FIRST_PERSON for word in words)
        return count / len(words) if words else np.nan

    def inside(speech):
        words = re.findall(WORD, speech.lower())
        return sum(speech.lower().count(word) for word in FIRST) / len(words) if words else np.nan

    def as_written(speech):
        return listed(re.findall(WORD, speech))

    def cut(speech):
        return listed(re.findall(r"\w+", speech.lower()))

    def at_spaces(speech):
        return listed(speech.lower().split())

    empty = ("a text without words has no share of anything: "
             "return nan, since 0 would say that the person never says I.")
    mistakes = [
        (counted, "that is a count; who talks twice as long has twice as many. "
         "Divide by the number of words."),
        (lambda speech: _or_zero(_first_person(speech)), empty),
        (lambda speech: 100 * _first_person(speech),
         "that is per cent; expected a share from 0 to 1."),
    ]
    for wrong, sentence in (
            (inside, "letters inside other words are counted too, like the me in time; "
                     "compare whole words."),
            (as_written, "words with a capital letter are missed, and I is one; "
                         "turn the text into lower case first."),
            (cut, r"the pattern \w+ cuts i'm into i and m, so that one word counts as two; "
                  "let the apostrophe belong to the word."),
            (at_spaces, "cutting at spaces leaves commas and semicolons on the words, "
                        f"and a dash becomes a word; search for the pattern {WORD}.")):
        mistakes += [(wrong, sentence),
                     (lambda speech, wrong=wrong: _or_zero(wrong(speech)), sentence)]
    return is_function(answer, SAID, _first_person, mistakes,
                       "Cut the lower-case text into words, "
                       "and divide the number of those that are listed by all.")


def cosine(answer):
    """Three of five entries agree; sad and unhappy, which mean nearly the same, add nothing."""
    return is_number(answer) or is_close(answer, 0.6, [
        (2 / 3, "that compares the words alone; the pairs of neighbours count too."),
        (0.5, "that compares the pairs alone; the words count too."),
        (3 / 7, "that divides by all different entries of both sentences (Jaccard); "
         "each vector has length 1, so divide by the root of 5 times 5."),
        (3, "that is the number of entries in common; divide by both lengths, each the root of 5."),
        (1, "only a sentence and itself have cosine 1 here; the vectors know no meaning."),
        (0, "the sentences have i, feel and the pair of them in common."),
    ], "List words and pairs of both sentences, and count what they have in common.",
       tolerance=0.01)


def vocabulary():
    """All words that the three classes list, in alphabetical order."""
    return sorted(frozenset().union(*CLASSES.values()))


def columns(words, width):
    """Column of each word among `width` -> (words,) int."""
    rows = HashingVectorizer(n_features=width, token_pattern=WORD).transform(words)
    return rows.indices[rows.indptr[:-1]]


def in_company(words, width):
    """How many of the words share their column with another one."""
    _, which, counts = np.unique(columns(words, width), return_inverse=True, return_counts=True)
    return int((counts[which] > 1).sum())


def collisions(answer):
    """Most of these words now share a column: the model sees only their sum, or their difference.
    """
    words = vocabulary()
    taken = len(set(columns(words, 64)))
    return is_number(answer, "words") or is_close(answer, in_company(words, 64), [
        (in_company(words, text.WIDTH), f"that is for {text.WIDTH} columns; set the width to 64."),
        (taken, "that is how many columns are taken; count the words that share theirs."),
        (len(words) - taken, "that counts one word less for every shared column; "
         "all words of a shared column count."),
    ], "Change the width in the cell, run it and read the number.", tolerance=1e-6)


SENTENCES = [("i feel sad",), ("i feel sad and i feel tired",), ("never",),
             ("they're always fine i suppose",), ("sleep is awful and nights are long",)]


def by_hand(sentence, pairs=True, signs=True, unit=True):
    """`text.hashed` of one sentence without its vectorizer: (512,)."""
    words = re.findall(WORD, sentence.lower())
    vector = np.zeros(text.WIDTH)
    for entry in words + [" ".join(pair) for pair in pairwise(words)] * pairs:
        number = murmurhash3_32(entry)
        vector[abs(number) % text.WIDTH] += np.sign(number) if signs else 1
    return vector / np.linalg.norm(vector) if unit and vector.any() else vector


def sentence_vector(answer):
    """Your vectors are those that the text branch of AAFN receives."""
    return is_function(answer, SENTENCES, lambda sentence: text.hashed([sentence])[0], [
        (lambda s: by_hand(s, pairs=False),
         "the pairs of neighbours are missing; \"i feel\" is an entry like \"feel\"."),
        (lambda s: by_hand(s, unit=False),
         "the vector has not length 1; divide it by the root of the sum of squares."),
        (lambda s: by_hand(s, signs=False),
         "every entry counts +1; the sign of its hash decides between +1 and -1."),
        (lambda s: by_hand(s, pairs=False, unit=False),
         "the pairs of neighbours are missing, and the vector has not length 1."),
        (lambda s: by_hand(s, unit=False) / np.abs(by_hand(s, unit=False)).sum(),
         "the vector is divided by the sum of its entries; "
         "divide by the root of the sum of squares."),
        (lambda s: text.hashed([s]),
         "that is a table of one row; return the row, of shape (512,)."),
    ], "For each word and pair of neighbours: add the sign of its hash in column |hash| % 512; "
       "then divide by the length.")


CHECKS = {1: speech_rate, 2: first_person_share, 3: cosine, 4: collisions, 5: sentence_vector}
