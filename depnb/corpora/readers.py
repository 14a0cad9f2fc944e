"""Files of people as they come, read or refused: video, sound, tracking, transcripts, features.

An error says what was expected and what to do, not where the file lies.
"""

import csv
import difflib
import functools
import io
import os
import re
import unicodedata
import warnings
from contextlib import contextmanager
from pathlib import Path

import cv2
import librosa
import numpy as np
import pandas as pd
import soundfile

from depnb.files import hidden

VIDEOS = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm")
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
# not read, but named where they are passed over
OTHER_MEDIA = (".m4a", ".aac", ".wma", ".amr", ".mpg", ".mpeg", ".wmv", ".3gp", ".flv", ".ts")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
SILENT = 1e-4               # of full scale; a recording that never leaves this band is silent
LEAD = ["frame", "timestamp", "confidence", "success"]
KEYPOINTS = [f"{axis}{i}" for axis in "XYZ" for i in range(68)]
GAZE = [f"{axis}_{eye}" for eye in ("0", "1", "h0", "h1") for axis in "xyz"]
NOT_NUMBERS = ["-1.#IND", "1.#IND", "-1.#QNAN", "1.#QNAN", "-1.#INF", "1.#INF", "-nan(ind)",
               "-nan", "nan"]
SPEAKERS = ("participant", "ellie")
COLUMNS = {"start_time": "start", "stop_time": "stop", "speaker": "speaker", "value": "value"}


class VideoError(ValueError):
    """A video that cannot be used; the message says what was expected and what to do."""


def read_frames(path, step=1):
    """Every `step`-th frame of a video file, or of a folder of images in order of their numbers.

    Yields
    ------
    (H, W, 3) uint8 RGB

    Raises
    ------
    VideoError
        The file is unreadable, empty or truncated.
    """
    path = Path(path)
    if path.is_dir():
        yield from _read_folder(path, step)
        return
    if path.stat().st_size == 0:
        raise VideoError("the file is empty; expected a video. Copy it again from the corpus.")
    with quiet_stderr():
        video = cv2.VideoCapture(str(path))
        promised = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
        # a stream written without knowing its length promises nothing
        if not video.isOpened() or promised == 0:
            raise VideoError("not a readable video (truncated, or not a video at all). "
                             "Copy it again from the corpus.")
        count = 0
        while video.grab():
            if count % step == 0:
                ok, frame = video.retrieve()
                if not ok:
                    break
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            count += 1
        video.release()
    if count == 0:
        raise VideoError("not a readable video: no frame of it can be decoded. "
                         "Copy it again from the corpus.")
    if count < min(0.98 * promised, promised - 2):  # some encoders overstate it by a frame or two
        raise VideoError(f"truncated: {count} of {promised} frames can be decoded. "
                         "Copy it again from the corpus.")


def _read_folder(path, step):
    names = sorted((p for p in path.iterdir()
                    if p.suffix.lower() in IMAGES and not hidden(p.name)),
                   key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", p.name)])
    if not names:
        raise VideoError("the folder holds no images; "
                         "expected 00001.jpg, 00002.jpg, … Extract the frames again.")
    for name in names[::step]:
        with quiet_stderr():
            frame = cv2.imread(str(name), cv2.IMREAD_COLOR)
        if frame is None:
            raise VideoError(f"{name.name} is not a readable image. Extract the frames again.")
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


class AudioError(ValueError):
    """A recording that cannot be used; the message says what was expected and what to do."""


def read_audio(path, mono=True):
    """A recording at its own rate.

    WAV, FLAC, MP3 and OGG by soundfile, anything else as librosa can.

    Parameters
    ----------
    path : path
    mono : bool
        Mean of the channels.

    Returns
    -------
    samples : (n,) float32 in about [-1, 1]; without `mono` (n, channels)
    rate : int, Hz

    Raises
    ------
    AudioError
        The file is unreadable, truncated, empty or silent, or holds NaN.
    OSError
        It is missing.
    """
    if Path(path).stat().st_size == 0:
        raise AudioError("the file is empty; expected a recording. Copy it again from the corpus.")
    try:
        with soundfile.SoundFile(path) as file:
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
            promised, notes = file.frames, re.search(r"data : (\d+) \(should be (\d+)\)",
                                                     file.extra_info)
    except soundfile.LibsndfileError:
        try:
            with warnings.catch_warnings():
                # librosa's announcements of its second reader's end
                warnings.simplefilter("ignore")
                samples, rate = librosa.load(path, sr=None, mono=False)
            samples = np.atleast_2d(samples).T
            promised, notes = len(samples), None
        except Exception:
            raise AudioError("not a readable recording (truncated, or not audio at all); "
                             "expected WAV, FLAC, MP3 or OGG. "
                             "Copy it again from the corpus, or convert it to WAV.") from None
    if len(samples) == 0:
        raise AudioError("the recording holds no samples. Copy it again from the corpus.")
    # larger: a program that wrote without knowing the length
    if notes and int(notes[1]) < 2**31 - 2**16:
        promised = len(samples) * int(notes[1]) / int(notes[2])
    if len(samples) < 0.98 * promised:
        raise AudioError(f"truncated: {len(samples) / rate:.1f} of {promised / rate:.1f} s are "
                         "there. Copy it again from the corpus.")
    if not np.isfinite(samples).all():
        raise AudioError(f"{np.count_nonzero(~np.isfinite(samples))} of {samples.size} samples are "
                         "not numbers (NaN or infinite). "
                         "Export the recording again, or leave it out.")
    check_sound(samples)
    return (samples.mean(axis=1) if mono else samples), rate


def check_sound(samples):
    """Refuse a silent recording.

    Parameters
    ----------
    samples : (n,) or (n, channels), in [-1, 1]

    Raises
    ------
    AudioError
        It never leaves 1e-4 of full scale.
    """
    if np.abs(samples - samples.mean(axis=0)).max() < SILENT:
        raise AudioError("the recording is silent; expected speech. "
                         "Check the microphone's channel, or leave it out.")


def read_table(path, columns):
    """A table of tracked frames.

    Columns are found by name, whatever their case and the blanks around it; what is no number
    becomes NaN.

    Parameters
    ----------
    path : path
    columns : list of str

    Returns
    -------
    (frames, 4 + columns) float32
        frame, timestamp (s), confidence, success, then `columns`.

    Raises
    ------
    ValueError
        The table is empty, lacks a column, or has rows longer than its header.
    """
    wanted = [c.lower() for c in LEAD + columns]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            read = functools.partial(pd.read_csv, path, skipinitialspace=True, index_col=False,
                                     na_values=NOT_NUMBERS)
            header = [c.strip().lower() for c in read(nrows=0)]
            try:
                table = read(dtype=np.float32)
            except pd.errors.ParserError:
                raise
            except ValueError:                          # text that is none of the usual ones
                table = read(dtype=str).apply(pd.to_numeric, errors="coerce")
    except (ValueError, pd.errors.ParserWarning):
        raise ValueError(f"not a table of {len(wanted)} columns separated by commas (empty, "
                         "or rows of unequal length). Copy it again from the corpus.") from None
    if not set(wanted) <= set(header):
        raise ValueError(f"has {len(header)} columns, among them {len(set(wanted) & set(header))} "
                         f"of {len(wanted)} that are expected: {', '.join(LEAD)} and {columns[0]} "
                         f"to {columns[-1]}. Copy it again from the corpus.")
    if table.empty:
        raise ValueError("holds no frame. Copy it again from the corpus.")
    return table.to_numpy(np.float32)[:, [header.index(c) for c in wanted]]


def tracked(table):
    """Where a face was tracked: success, and values are numbers and not all zero.

    Parameters
    ----------
    table : (frames, columns), as of `read_table`

    Returns
    -------
    (frames,) bool
    """
    values = table[:, 4:]
    return (table[:, 3] > 0) & np.isfinite(values).all(axis=1) & (values != 0).any(axis=1)


def read_points(path, columns):
    """KEYPOINTS or GAZE of every frame: (frames, 68 or 4, 3) float32, NaN where tracking failed."""
    table = read_table(path, columns)
    table[~tracked(table)] = np.nan
    return points_of(table, columns)


def points_of(table, columns):
    """x, y, z of each point: (frames, 4 + 3 * points) -> (frames, points, 3)."""
    values = table[:, 4:]
    if columns is KEYPOINTS:                                # all X, all Y, all Z
        return values.reshape(len(table), 3, -1).transpose(0, 2, 1)
    return values.reshape(len(table), -1, 3)


def read_transcript(path):
    """A transcript, one row a turn, as written.

    Tab-separated start_time, stop_time, speaker, value in UTF-8, UTF-16 or a Western 8-bit
    encoding. Rows with a tab too many, and speakers with a letter wrong, are read as they are
    meant.

    Returns
    -------
    DataFrame
        start, stop (seconds), speaker, value; `attrs["remarks"]`, sentences on such rows and on
        those of which nobody knows who speaks.

    Raises
    ------
    ValueError
        It is empty, otherwise separated or lacks a column; no turn is the participant's; or one of
        theirs has no times, negative ones, or stops before it starts.
    """
    lines = [line for line in re.split(r"\r\n?|\n", decoded(path)) if line.strip()]
    if not lines:
        raise ValueError("the transcript is empty. Copy it again from the corpus.")
    header = [c.strip().lower() for c in lines[0].split("\t")]
    missing = [c for c in COLUMNS if c not in header]
    if missing:
        what = ("is not separated by tabs" if len(header) == 1
                else f"lacks the column {' and '.join(missing)}")
        raise ValueError(f"the transcript {what}; expected start_time, stop_time, "
                         "speaker and value, separated by tabs. Copy it again from the corpus.")
    at = header.index("speaker")
    cells = [(line.split("\t", len(header) - 1) + [""] * len(header))[:len(header)]
             for line in lines[1:]]
    meant = [row if _speaker(row[at]) else _without_stray_tabs(line, len(header), at) or row
             for row, line in zip(cells, lines[1:], strict=True)]
    table = pd.DataFrame(meant, columns=header, dtype=str)[list(COLUMNS)].rename(columns=COLUMNS)
    speakers = table["speaker"].map(_speaker)
    mended = [as_written[at].strip().lower() != speaker
              for as_written, speaker in zip(cells, speakers, strict=True) if speaker]
    table["speaker"] = speakers.where(speakers != "", table["speaker"].str.strip()).str.capitalize()
    told = {"have a tab too many or a misspelt speaker and are read as meant": sum(mended),
            "name neither Participant nor Ellie and are passed over": (speakers == "").sum()}
    table.attrs["remarks"] = [f"{count} rows of the transcript {what}."
                              for what, count in told.items() if count]
    for column in ("start", "stop"):
        table[column] = pd.to_numeric(table[column].str.replace(",", "."), errors="coerce")
    _check(table[table["speaker"] == "Participant"])
    return table


def _speaker(text):
    """participant or ellie, also with a letter wrong; "" for anybody else."""
    word = re.sub(r"[^a-z]", "", text.lower())
    return word if word in SPEAKERS else next(
        iter(difflib.get_close_matches(word, SPEAKERS, 1, 0.8)), "")


def _without_stray_tabs(line, width, at):
    """Cells of a row where runs of tabs count as one; None where nobody speaks then either."""
    cells = re.split(r"\t+", line.strip("\t"), maxsplit=width - 1)
    cells += [""] * (width - len(cells))
    return cells if _speaker(cells[at]) else None


def decoded(path):
    """The text of a file in UTF-8, UTF-16 or a Western 8-bit encoding, without byte order mark."""
    raw = Path(path).read_bytes()
    marked, wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff"), b"\0" in raw[:2]
    utf_16 = "utf-16" if marked else "utf-16-be" if raw[:1] == b"\0" else "utf-16-le"
    for encoding in (utf_16,) if marked or wide else ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            pass
    return raw.decode("latin-1")


def _check(turns):
    if turns.empty:
        raise ValueError("the transcript has no turn of the participant; "
                         "expected the speaker Participant beside Ellie. "
                         "Leave the session out, or correct the column speaker.")
    for fault, faulty in (("without a number as start or stop time",
                           turns[["start", "stop"]].isna().any(axis=1)),
                          ("with negative times", (turns[["start", "stop"]] < 0).any(axis=1)),
                          ("that stop before they start", turns["stop"] < turns["start"])):
        if faulty.any():
            raise ValueError(f"the transcript has {faulty.sum()} turns of the participant {fault}; "
                             "expected seconds from the beginning of the recording. "
                             "Correct the file, or leave the session out.")


def read_cells(path):
    """A table of texts as people save it.

    UTF-8, UTF-16 or a Western 8-bit encoding; cells separated by comma, semicolon or tab, as the
    first line or Excel's line `sep=` says. Blanks around cells and empty rows are dropped, short
    rows filled.

    Returns
    -------
    list of list of str
        The rows, the first one as the others; at least one, all as long as the first.

    Raises
    ------
    ValueError
        It is empty, no text, or has a row longer than its first; the sentence begins with the path.
    """
    text = re.sub(r"\A\s*sep=.[^\n]*\n", "", decoded(path).replace("\0", ""), flags=re.IGNORECASE)
    first = next(filter(str.strip, text.splitlines()), "")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(
            io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))]
    except csv.Error:
        raise ValueError(f"{path}: is no table of texts. Copy it again, or save it as CSV.") \
            from None
    rows = [row for row in rows if any(row)]
    if not rows:
        raise ValueError(f"{path}: is empty; expected a table. Copy it again.")
    width = len(rows[0])
    for number, row in enumerate(rows, 1):
        if any(row[width:]):
            raise ValueError(f"{path}: row {number} has {len(row)} cells, the first has {width} "
                             "(a decimal comma, or a text without quotes?). Correct the row.")
    return [(row + [""] * width)[:width] for row in rows]


def read_columns(path):
    """`read_cells` under the names of its first row, in lower case -> DataFrame of str.

    Raises
    ------
    ValueError
        As `read_cells`, or a name stands there twice.
    """
    header, *rows = read_cells(path)
    names = [name.lower() for name in header]
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise ValueError(f"{path}: has the column {' and '.join(sorted(twice))} more than once. "
                         "Keep one.")
    return pd.DataFrame(rows, columns=names, dtype=str)[[name for name in names if name]]


def number(text):
    """A number as people write it, with a point or a comma -> float, NaN for any other text."""
    text = str(text).strip()
    return float(pd.to_numeric(text.replace(",", ".") if "." not in text else text,
                               errors="coerce"))


def spelled_alike(name):
    """A path below a folder, alike for all its spellings: accents, capitals, slashes, a dot before.

    str -> str, to be compared, not opened
    """
    name = unicodedata.normalize("NFC", str(name).strip().replace("\\", "/")).casefold()
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def spelled(root, name):
    """The path called `name` below `root`, as written or else as the one that is spelled alike."""
    as_written = root / name.replace("\\", "/")
    if as_written.exists():
        return as_written
    path = root
    for part in spelled_alike(name).split("/"):
        alike = [p for p in path.iterdir() if spelled_alike(p.name) == part] \
            if path.is_dir() else []
        if len(alike) != 1:
            return as_written
        path = alike[0]
    return path


def read_array(path, width=None):
    """One array of features. Objects are never unpickled.

    Parameters
    ----------
    path : path
    width : int, optional
        Columns that it must have.

    Returns
    -------
    (T, width) float32, T >= 1

    Raises
    ------
    ValueError
        It is no array of finite numbers of this shape; without the file's name.
    """
    again, shape = ("Copy it again from the corpus, or extract it again.",
                    f"expected (seconds, {width or 'features'})")
    try:
        with open(path, "rb") as file:
            pickled = file.read(1) == b"\x80"
        array = None if pickled else np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error}). "
                         "Check the file and its permissions.") from None
    except (ValueError, EOFError) as error:
        pickled, array = "Python objects" in str(error), None
    if pickled:
        raise ValueError("holds pickled Python objects, which may run code when read: refused; "
                         "expected an array of numbers. "
                         "Save it again as float32, with the program that made it.")
    if array is None:
        raise ValueError("not a whole .npy file (empty, truncated or of another format); "
                         f"{shape}. {again}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"holds {array.dtype.name}, no real numbers; {shape}. {again}")
    if array.ndim != 2 or array.shape[1] != (width or array.shape[1]):
        raise ValueError(f"has the shape {array.shape}; {shape}. {again}")
    if not array.size:
        raise ValueError(f"has the shape {array.shape}: there is nothing in it. {again}")
    with np.errstate(over="ignore"):
        array = np.array(array, np.float32)
    wrong = np.count_nonzero(~np.isfinite(array))
    if wrong:
        raise ValueError(f"{wrong} of {array.size} values are NaN or infinite (in float32). "
                         "Extract it again, or leave the vlog out.")
    return array


def glance(path):
    """What is wrong with a file of a corpus, as far as a look at its beginning tells.

    Arrays and transcripts, which are small, are read to their end.

    Parameters
    ----------
    path : Path of a file, or of a folder of images

    Returns
    -------
    str, a sentence as the readers have it; "" where nothing is wrong
    """
    kind = path.suffix.lower()
    try:
        if path.is_dir():
            next(_read_folder(path, 1))
        elif path.stat().st_size == 0:
            return "the file is empty. Copy it again from the corpus."
        elif kind == ".npy":
            read_array(path)
        elif path.stem.lower().endswith("transcript"):
            read_transcript(path)
        elif kind in VIDEOS:
            next(read_frames(path))
        elif kind in AUDIO:
            soundfile.info(path)
        else:
            with path.open("rb") as file:
                begins = [cell.strip() for cell in file.readline(4096).decode().lower().split(",")]
            if not set(LEAD) <= set(begins):
                return (f"its first line lacks one of {', '.join(LEAD)}. "
                        "Copy it again from the corpus.")
    except soundfile.LibsndfileError:
        return "not a readable recording. Copy it again from the corpus, or convert it to WAV."
    except UnicodeDecodeError:
        return "its first line is no text in UTF-8. Copy it again from the corpus."
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror}). Check the file and its permissions."
    return ""


@contextmanager
def quiet_stderr():
    """Send what libraries print on the standard error (file names, log noise) to nowhere.

    A notebook would show it.
    """
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
