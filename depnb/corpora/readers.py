"""Files of people as they come, read or refused: video, sound, tracking, transcripts, features.

An error says what was expected and what to do, not where the file lies.
"""

import contextlib
import csv
import difflib
import functools
import io
import os
import re
import unicodedata
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from depnb.corpora import containers
from depnb.corpora.sound import AudioError, check_readable, read_audio  # noqa: F401
from depnb.files import hidden

VIDEOS = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm")
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".m4a", ".aac", ".wma", ".amr",
         ".3gp")
# not read, but named where they are passed over
OTHER_MEDIA = (".mpg", ".mpeg", ".wmv", ".flv", ".ts")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
FPS = 30                    # of tracked frames, DAIC-WOZ
MANY_MISSING = 0.5          # of the frames; above this share a table or a video is refused
FAR = 0.5                   # s from the time stamps around it; one beyond is wrong
TWO_FILES = "a second file begins within it; expected one video. Split it, or join them anew."
LEAD = ["frame", "timestamp", "confidence", "success"]
KEYPOINTS = [f"{axis}{i}" for axis in "XYZ" for i in range(68)]
GAZE = [f"{axis}_{eye}" for eye in ("0", "1", "h0", "h1") for axis in "xyz"]
NOT_NUMBERS = ["-1.#IND", "1.#IND", "-1.#QNAN", "1.#QNAN", "-1.#INF", "1.#INF", "-nan(ind)",
               "-nan", "nan"]
SPEAKERS = ("participant", "ellie")
UNTOLD = {"", "n/a", "na", "nan", "none", "null", "unknown", "?", "-", "--"}   # nobody, in a table
COLUMNS = {"start_time": "start", "stop_time": "stop", "speaker": "speaker", "value": "value"}


class VideoError(ValueError):
    """A video that cannot be used; the message says what was expected and what to do."""


def accompanied(paths):
    """Which of these are videos beside which, among these, a sound file of their name lies: set.

    Such a file, not the video, tells what is heard.
    """
    sounds = {path.with_suffix("") for path in paths if path.suffix.lower() in AUDIO}
    return {path for path in paths
            if path.suffix.lower() in VIDEOS and path.with_suffix("") in sounds}


def read_frames(path, step=1):
    """Every `step`-th frame of a video file, or of a folder of images in order of their numbers.

    Yields
    ------
    (H, W, 3) uint8 RGB

    Raises
    ------
    VideoError
        As `timed_frames`.
    """
    return (frame for frame, _ in timed_frames(path, step))


def timed_frames(path, step=1):
    """The frames of `read_frames`, each with its time.

    Yields
    ------
    (H, W, 3) uint8 RGB
    float, seconds from the file's beginning by its time stamps; where these are, to a millisecond,
    multiples of a constant frame rate, exactly such; NaN for images

    Raises
    ------
    VideoError
        The file is unreadable, empty, truncated, damaged or two in one; or its frames have no
        times.
    """
    path = Path(path)
    if path.is_dir():
        yield from ((frame, np.nan) for frame in _read_folder(path, step))
        return
    if path.stat().st_size == 0:
        raise VideoError("the file is empty; expected a video. Copy it again from the corpus.")
    if containers.joined(path):
        raise VideoError(TWO_FILES)
    with quiet_stderr():
        video = cv2.VideoCapture(str(path))
        if not video.isOpened():
            raise VideoError("not a readable video (truncated, or not a video at all). "
                             "Copy it again from the corpus.")
        promised, rate = (video.get(p) for p in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        count, before, start = 0, -np.inf, containers.begins(path)
        while video.grab():
            before = _time(count, rate, video.get(cv2.CAP_PROP_POS_MSEC) / 1000, before)
            if count % step == 0:
                ok, frame = video.retrieve()
                if not ok:
                    break
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), start + before
            count += 1
        video.release()
    _check_complete(path, count, promised, before * rate + 1)


def _time(number, rate, stamp, before):
    """Time of a frame, in s.

    number : of the frame, from 0; rate : frames a second; stamp, before : s, of it and the last one
    """
    even = number / rate if 1 <= rate <= 240 else np.nan
    if abs(stamp - even) <= 1e-3:
        return even
    if stamp <= 0 < number:                                 # there is none
        stamp = even
    if not stamp >= before:
        raise VideoError(f"its frames cannot be placed in time: the stamp of frame {number} is "
                         "missing, or before that of the frame before it. "
                         "Convert it again (ffmpeg -i VIDEO -r 30 NEW.mp4), or leave it out.")
    return stamp


def _check_complete(path, count, promised, place):
    """Refuse a video file of which frames are missing.

    count : frames that were decoded
    promised : frames of which the header speaks
    place : number, by its time and the frame rate, of the last one, from 1
    """
    if count == 0:
        raise VideoError("not a readable video: no frame of it can be decoded. "
                         "Copy it again from the corpus.")
    if containers.ends_early(path):
        raise VideoError(f"truncated: a part of the file is missing, {count} frames can be "
                         "decoded. Copy it again from the corpus.")
    if promised > 0 and count >= min(0.98 * promised, promised - 2):
        return
    shown_frames = promised
    if path.suffix.lower() == ".avi":       # counts empty frames, where the picture stands still
        count = round(place) if np.isfinite(place) else count
    else:
        with contextlib.suppress(OSError, ValueError):
            shown_frames = containers.frames_in(path)
    if count < min(0.98 * shown_frames, shown_frames - 2):
        raise VideoError(f"damaged: {count} of {shown_frames:.0f} frames can be decoded. "
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
                                     na_values=NOT_NUMBERS, encoding_errors="replace")
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


def right_times(frames, times):
    """Time stamps of tracked frames, NaN in place of those that are wrong.

    One is wrong where it lies more than FAR from the stamps of the frames around it.

    Parameters
    ----------
    frames : (rows,), numbers of the frames, in any order
    times : (rows,), s, NaN where there is none

    Returns
    -------
    (rows,) float64

    Raises
    ------
    ValueError
        The stamps go backwards.
    """
    frames, times = np.asarray(frames, float), np.array(times, float)
    times[~np.isfinite(times)] = np.nan
    order = np.argsort(frames, kind="stable")
    order = order[np.isfinite(times[order]) & np.isfinite(frames[order])]
    if len(order) < 3:
        return times
    step, stamp = np.diff(frames[order]), times[order]
    pace = np.median(np.diff(stamp)[step > 0] / step[step > 0]) if step.any() else 0
    moved = stamp - pace * (frames[order] - frames[order[0]])
    wrong = np.abs(moved - median_filter(moved, 5, mode="mirror")) > FAR
    times[order[wrong]] = np.nan
    back = np.flatnonzero(np.diff(stamp[~wrong]) < -FAR)
    if len(back):
        raise ValueError("its time stamps go backwards after frame "
                         f"{frames[order[~wrong][back[0]]]:.0f}; expected seconds from the "
                         "beginning of the recording. Export it again, or leave it out.")
    return times


def in_time(table):
    """The rows of a table of tracked frames, each at its own time.

    A row's time is its time stamp, or else its frame number, counted from 1, or from 0 where one
    is 0. A stamp far from those around it is wrong (`right_times`), and its row passed over.

    Parameters
    ----------
    table : (rows, columns), as of `read_table`

    Returns
    -------
    (frames, columns) float32
        Row i is that of i / FPS seconds, of several the first with success, or else the first; NaN
        where there is none.
    remarks : list of str

    Raises
    ------
    ValueError
        No row has either, more than MANY_MISSING of the frames have no row, or time stamps go
        backwards.
    """
    number, stamp = table[:, 0].astype(float), table[:, 1]
    timed = np.isfinite(stamp)
    timed &= len(np.unique(stamp[timed])) > 1 or len(table) == 1    # one time for all is none
    time = right_times(number, np.where(timed, stamp, np.nan))
    wrong = timed & np.isnan(time)
    at = np.rint(np.where(timed, time * FPS, number - (0 if (number == 0).any() else 1)))
    placeable = np.flatnonzero(np.isfinite(at) & (at >= 0))
    if not len(placeable):
        raise ValueError("its rows have neither a time nor a frame number. "
                         "Copy it again from the corpus.")
    placeable = placeable[np.argsort(~(table[placeable, 3] > 0), kind="stable")]     # success first
    places, rows = np.unique(at[placeable], return_index=True)
    frames = int(places[-1]) + 1
    if len(rows) < (1 - MANY_MISSING) * frames:
        raise ValueError(f"only {len(rows)} of {frames} frames have a row (rows are missing, or "
                         "times are not seconds). Copy it again from the corpus.")
    placed = np.full((frames, table.shape[1]), np.nan, np.float32)
    placed[places.astype(int)] = table[placeable[rows]]
    notes = {f"{frames - len(rows)} of {frames} frames have no row.": len(rows) < frames,
             f"{wrong.sum()} of {len(at)} rows have a time stamp far from those around it and are "
             "passed over.": wrong.any(),
             f"{len(at) - len(placeable) - wrong.sum()} of {len(at)} rows have neither a time nor "
             "a frame number.": len(placeable) + wrong.sum() < len(at),
             f"{len(placeable) - len(rows)} of {len(at)} rows repeat the time of another.":
                 len(rows) < len(placeable)}
    return placed, [sentence for sentence, holds in notes.items() if holds]


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
    """KEYPOINTS or GAZE, FPS frames a second: (frames, 68 or 4, 3) float32, NaN where lost."""
    table, _ = in_time(read_table(path, columns))
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
    meant; a turn that is written twice, with the same times and words, is read once.

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
    words = decoded(path)
    lines = [line for line in re.split(r"\r\n?|\n", words) if line.strip(" \t\0")]
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
    cut = words.rstrip("\0 \t")[-1] not in "\r\n"
    short = cut and lines[-1].count("\t") < len(header) - 1
    complete = slice(len(lines) - 1 - short)
    mended = [as_written[at].strip().lower() != speaker or line.count("\t") >= len(header)
              for as_written, line, speaker in zip(cells, lines[1:], speakers, strict=True)
              if speaker]
    if short and speakers.iloc[-1]:
        mended.pop()
    table["value"] = table["value"].str.strip("\t")
    table["speaker"] = speakers.where(speakers != "", table["speaker"].str.strip()).str.capitalize()
    for column in ("start", "stop"):
        table[column] = pd.to_numeric(table[column].str.replace(",", "."), errors="coerce")
    twice = table.duplicated() & (speakers != "")
    told = {"have a tab too many or a misspelt speaker and are read as meant": sum(mended),
            "name neither Participant nor Ellie and are passed over":
                (speakers[complete] == "").sum(),
            "repeat a turn, with its times and words, and are read once": twice.sum()}
    table = table[~twice].reset_index(drop=True)
    table.attrs["remarks"] = [f"{count} rows of the transcript {what}."
                              for what, count in told.items() if count]
    if short:
        table.attrs["remarks"].append("the transcript's last row is cut short"
                                      + ("." if speakers.iloc[-1] else " and passed over."))
    elif cut:
        table.attrs["remarks"].append("the transcript's last row has no end: it may be cut short.")
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


def unread(columns, known, table):
    """A sentence on columns of a table that nobody reads, as misspelt ones; "" without any."""
    others = [column for column in columns if column and column not in known]
    # their names are not told: a heading may name somebody
    return (f"{table}: {len(others)} columns are not read. "
            f"Those that are: {', '.join(known)}. Correct the names, if it is one."
            if others else "")


def number(text):
    """A number as people write it, with a point or a comma -> float, NaN for any other text."""
    text = str(text).strip()
    return float(pd.to_numeric(text.replace(",", ".") if "." not in text else text,
                               errors="coerce"))


def plain(text):
    """A name that is a number, without what a spreadsheet puts behind it: 17 from 17.0 or 17,0."""
    return re.sub(r"\A(\d+)[.,]0+\Z", r"\1", text)


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
            pickled, size = file.read(1) == b"\x80", file.seek(0, 2)
        array = None if pickled else np.lib.format.open_memmap(path, mode="r")
        if array is not None and array.offset + array.nbytes != size:   # more than it says
            array = None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error}). "
                         "Check the file and its permissions.") from None
    except Exception as error:          # a damaged header raises what Python's own parser raises
        pickled, array = "Python objects" in str(error), None
    if pickled:
        raise ValueError("holds pickled Python objects, which may run code when read: refused; "
                         "expected an array of numbers. "
                         "Save it again as float32, with the program that made it.")
    if array is None:
        raise ValueError("not a whole .npy file (empty, truncated, with something behind its "
                         f"numbers, or of another format); {shape}. {again}")
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


def glance(path, width=None, heard=False):
    """What is wrong with a file of a corpus, as far as a look at its beginning tells.

    Of a video, whether its end is there too. Arrays and transcripts, which are small, are read to
    their end.

    Parameters
    ----------
    path : Path of a file, or of a folder of images
    width : int, optional
        Columns that an array must have.
    heard : bool
        Whether of a video the sound counts.

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
            read_array(path, width)
        elif path.stem.lower().endswith("transcript"):
            read_transcript(path)
        elif kind in VIDEOS and not heard:
            next(read_frames(path))
            if containers.ends_early(path):
                return "truncated: a part of the file is missing. Copy it again from the corpus."
        elif kind in (*VIDEOS, *AUDIO):
            check_readable(path)
        else:
            with path.open("rb") as file:
                begins = [cell.strip() for cell in file.readline(4096).decode().lower().split(",")]
                file.seek(max(0, path.stat().st_size - 65536))
                last = file.read().strip().splitlines()[-1:]
            if not last:
                return "the file is empty. Copy it again from the corpus."
            if last[0].count(b",") != len(begins) - 1:
                return "its last row is cut short, or of another length. Copy it again."
            if not set(LEAD) <= set(begins):
                return (f"its first line lacks one of {', '.join(LEAD)}. "
                        "Copy it again from the corpus.")
    except UnicodeDecodeError:
        return "its first line is no text in UTF-8. Copy it again from the corpus."
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror}). Check the file and its permissions."
    return ""


@contextlib.contextmanager
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
