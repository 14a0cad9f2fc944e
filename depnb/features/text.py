"""What a participant says: transcripts, their sentences, and a vector for each sentence.

`windows` is `as_released` or `corrected`, see `depnb.features.interview`.
"""

import functools
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from depnb.corpora.readers import read_transcript
from depnb.features import store

WIDTH = 512                                     # of the Universal Sentence Encoder, and of `hashed`
SCRUBBED = "scrubbed_entry"                                     # stands where a name was removed
SYNC = r"\s*[<\[(]\s*sync\w*\W*"         # <sync>, [syncing], "<sync.": of the recording, not speech
UNHEARD = r"[\s.,]*(xxx+[\s.,]*)*"           # what the transcriber could not understand, or nothing


class EncoderError(RuntimeError):
    """A sentence encoder that cannot be had; the message says what to do."""


def _written(transcript):
    """The participant's turns from which no name was removed."""
    scrubbed = transcript["value"].str.contains(SCRUBBED, regex=False)
    return transcript[(transcript["speaker"] == "Participant") & ~scrubbed]


def participant_turns(transcript, shift=0.0, skip=(), windows="corrected"):
    """The participant's turns.

    Turns from which a name was removed are not used; the index counts the others in the order
    written, from 0. corrected: marks of synchronisation are left out, turns ordered in time, and
    one that overlaps the next ends where that begins.

    Parameters
    ----------
    transcript : of `read_transcript`
    shift : seconds to add to its times
    skip : (from, to) seconds, turns that touch them are left out

    Returns
    -------
    table with start, stop (seconds of the recording), value; how many turns were cut

    Raises
    ------
    ValueError
        When nothing is left, or when more than half of all speech overlaps.
    """
    turns = _written(transcript).drop(columns="speaker").reset_index(drop=True)
    turns[["start", "stop"]] += shift
    for begin, end in skip:
        turns = turns[(turns["stop"] <= begin) | (turns["start"] >= end)]
    cut = 0
    if windows == "corrected":
        turns = turns[~turns["value"].str.fullmatch(SYNC, case=False)].sort_values(
            "start", kind="stable")
        after = turns["start"].shift(-1, fill_value=np.inf)
        overlap = (turns["stop"] - after).clip(lower=0)
        if overlap.sum() > 0.5 * (turns["stop"] - turns["start"]).sum():
            raise ValueError(f"{overlap.sum():.0f} s of the participant's turns "
                             "overlap each other; expected one turn after the other. "
                             "Correct the times, or leave the session out.")
        cut, turns = int((overlap > 0).sum()), turns.assign(stop=np.minimum(turns["stop"], after))
    elif windows != "as_released":
        raise ValueError(f"windows {windows!r}: choose corrected or as_released.")
    if turns.empty:
        raise ValueError("no turn of the participant is left after those with a removed name or in "
                         "a skipped span. Leave the session out.")
    return turns, cut


def sentences(transcript, encoder="hashed", vectors=None, weights=None, shift=0.0, skip=(),
              windows="corrected"):
    """A vector for every sentence of the participant, one sentence a turn.

    An extractor for `store.extract`. corrected: turns that nobody understood (xxx) are left out.

    Parameters
    ----------
    transcript : path
    encoder : see `extract`
    vectors : .npy file for `use`
    weights : folder of a sentence-transformer
    shift, skip, windows : see `participant_turns`

    Returns
    -------
    dict
        text (sentences, width) float32, span (sentences, 2), seconds of the recording; none of
        either where no word was understood.

    Raises
    ------
    ValueError
        When transcript or vectors cannot be used.
    """
    table = read_transcript(transcript)
    turns, _ = participant_turns(table, shift, skip, windows)
    if windows == "corrected":
        turns = turns[~turns["value"].str.fullmatch(UNHEARD, case=False)]
    if turns.empty:
        encoded = np.empty((0, WIDTH))
    elif encoder == "use":
        encoded = _stored_vectors(vectors, len(_written(table)))[turns.index]
    elif encoder == "hashed":
        encoded = hashed(turns["value"])
    else:
        model = _transformer(str(weights or encoder))
        encoded = model.encode(list(turns["value"]), show_progress_bar=False)
    return {"text": np.asarray(encoded, np.float32), "span": turns[["start", "stop"]].to_numpy()}


sentences.version = 3


def hashed(texts):
    """512 hashed counts of words and pairs of words, each vector of length 1.

    Needs no weights and no network. It knows no meaning: "sad" and "unhappy" are as far apart as
    "sad" and "bus", word order counts within pairs only, and unlike words may share a column.

    Parameters
    ----------
    texts : (n,)

    Returns
    -------
    (n, 512) float32
    """
    vectorizer = HashingVectorizer(n_features=WIDTH, ngram_range=(1, 2), token_pattern=r"[\w']+",
                                   norm="l2")
    return vectorizer.transform(texts).toarray().astype(np.float32)


def extract(transcripts, cache, encoder="hashed", workers=-1, each=None, windows="corrected"):
    """Sentence vectors of many transcripts, through the cache.

    Parameters
    ----------
    transcripts : mapping name -> path
    encoder : "hashed", a sentence-transformer's name or folder (extra `text`), or "use:<folder>"
        The last has <id>_<anything>.npy, (sentences, 512) vectors of the Universal Sentence Encoder
        for every turn of the participant without a removed name, in the order written.
    each : mapping name -> shift and skip

    Returns
    -------
    mapping name -> arrays of `sentences`; mapping name -> sentence about what is wrong

    Raises
    ------
    EncoderError
    ModuleNotFoundError
        Without the extra.
    """
    each = {name: dict(each[name]) if each else {} for name in transcripts}
    problems, kind, folder = {}, encoder, None
    if encoder.startswith("use:"):
        kind, folder = "use", Path(encoder.removeprefix("use:"))
        if not folder.is_dir():
            raise EncoderError(f"{encoder}: no such folder. "
                               "Give the folder with the arrays of sentence vectors.")
        for name, path in transcripts.items():
            number = Path(path).name.split("_")[0]
            files = sorted(folder.glob(f"{number}_*.npy"))
            if len(files) == 1:
                each[name]["vectors"] = files[0]
            else:
                problems[name] = (f"{len(files)} files of sentence vectors belong to it; "
                                  "expected one <id>_….npy in the folder of the encoder. "
                                  "Add it, or remove the others.")
    elif encoder != "hashed":
        _transformer(encoder)                            # a wrong name shows before the work starts
        workers = 1                                             # one copy of the weights
        if Path(encoder).is_dir():
            kind = "folder"
            each = {name: {**more, "weights": Path(encoder)} for name, more in each.items()}
    wanted = {name: path for name, path in transcripts.items() if name not in problems}
    files, more = store.extract(wanted, sentences, cache, workers=workers, each=each, encoder=kind,
                                windows=windows)
    return files, problems | more


def _stored_vectors(path, count):
    """(count, 512) float32 from an .npy file. Raises ValueError when it is something else."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError("its file of sentence vectors is no NumPy array. "
                         "Save it with numpy.save as float32.") from None
    if vectors.shape != (count, WIDTH) or vectors.dtype.kind != "f":
        raise ValueError(f"its sentence vectors have the shape {vectors.shape}; "
                         f"expected {(count, WIDTH)}, one row for every turn of the participant "
                         "without a removed name. Compute them again.")
    if not np.isfinite(vectors).all():
        raise ValueError("its sentence vectors hold NaN or infinite values. Compute them again.")
    return vectors.astype(np.float32)


@functools.lru_cache(maxsize=1)
def _transformer(name):
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"encoder {name!r} needs sentence-transformers: "
                                  "pip install -c constraints.txt 'depnb[text]'. "
                                  "A run with sentence_encoder hashed needs neither.") from None
    try:
        return SentenceTransformer(name)
    except Exception as error:
        raise EncoderError(f"encoder {name!r}: "
                           f"its weights cannot be loaded ({type(error).__name__}). "
                           "Give the folder of a downloaded sentence-transformer or a name that "
                           "the network knows. A run with sentence_encoder hashed needs none."
                           ) from None
