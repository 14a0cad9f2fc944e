"""LMVD as distributed: feature arrays of vlogs, depressed or not, one row a second.

labels.csv or lmvd_labels.csv  index,label,fold
                               ids are text: 001 to 601 have three digits, the others four
audio/<id>.npy                 (T, 128) VGGish
visual/<id>_visual.npy         (T, 136) 68 landmarks, all x then all y, each row standardised;
                               in sub-folders too
The owners' own names of the folders, Audio_feature and Video_feature, will do.

Rows of VGGish cover 0.96 s, rows of landmarks a second at 30 frames a second, so pairs of them
drift apart (issue 10 of Jiaxin-Ye/DepMamba). The corpus has no official split; the one in
lmvd_labels.csv was drawn at random by DepMamba, 8:1:1.

The visual arrays are made of the owners' OpenFace tables as DepMamba, and after it DynMultiDep,
make them, but for what `placed` mends:

    python -m depnb.corpora.lmvd extract /path/to/openface /path/to/LMVD/visual
"""

import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from depnb.corpora import privacy
from depnb.corpora.readers import right_times
from depnb.corpora.vlogs import arrays, find_table, open_vlogs, read_rows, standardised
from depnb.files import below, passed_over, settle

COLUMNS = ("index", "label", "fold")
EXPECTED = {"acoustic": "audio/{0}.npy",
            "visual": "visual/{0}_visual.npy (python -m depnb.corpora.lmvd extract makes it of an "
                      "OpenFace table)"}
AUDIO, VISUAL = {"audio", "audio_feature"}, {"visual", "video_feature"}     # folders, in any case
POINTS = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
STEP = 30                       # frames from one row to the next: a second
LEAD = ["frame", "face_id", "timestamp", "success"]
LATE = 0.1                      # s from the beginning of its second, from which a row is told
MANY_MISSING = 0.5              # above this share of seconds without a face a table is refused
TABLE = ("expected an OpenFace table with the columns frame, x_0 to x_67 and y_0 to y_67, "
         "separated by commas")


def open_lmvd(root, terms=None):
    """LMVD (He et al. 2024) under `root`, by class, with the split of the table.

    Its parts are acoustic and visual. Genders are known only where speakers.csv has them. Vlogs
    with a fault are left out and listed in `problems`; arrays are looked at by
    `features.vlog.load`.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        There is no table.
    ValueError
        The table is another one, or no vlog can be used.
    """
    table, problems = find_table(root, ("labels.csv", "lmvd_labels.csv"))
    listed = read_rows(table, COLUMNS, COLUMNS)
    return open_vlogs("LMVD", root, table, listed, {"0": 0, "1": 1}, arrays_of(root),
                      EXPECTED, {}, problems, terms)


def arrays_of(root):
    """Arrays in the root or below, listed in a table or not: mapping id -> part -> paths."""
    arrays_by_id = defaultdict(dict)
    for path in arrays(root):
        folders = {name.lower() for name in path.relative_to(root).parts[:-1]}
        if path.stem.lower().endswith("_visual") and folders & VISUAL:
            arrays_by_id[path.stem[:-len("_visual")]].setdefault("visual", []).append(path)
        elif folders & AUDIO:
            arrays_by_id[path.stem].setdefault("acoustic", []).append(path)
    return arrays_by_id


def tables_below(source):
    """Paths of all .csv files in a folder or below."""
    return [p for p in below(source) if p.suffix.lower() == ".csv" and p.is_file()]


def landmarks(path):
    """68 landmarks of each second of an OpenFace table: the rows of `placed`."""
    return placed(path)[0]


def placed(path):
    """68 landmarks of each second of an OpenFace table, and what was passed over in it.

    As DepMamba makes them: frames 1, 31, 61, ... by the value of the column `frame`. Theirs leaves
    out a frame that has no row, so that all that follow come a second early; uses what stands
    beside `success` 0; has a row for each face and each repetition of a frame; and takes every 30th
    frame of a video of another rate too. Here each second has one row, by the time stamps as they
    are, or where there are none by frame numbers at 30 a second: its first frame with success,
    zeros where it has none. Of several faces in a second, the one with the most rows in the table;
    of repetitions, the first.

    Returns
    -------
    rows : (seconds, 136) float64
        All x then all y, each row standardised; a row of equal numbers, as where tracking failed,
        is all zeros.
    remarks : list of str

    Raises
    ------
    ValueError
        The table is another one, cut short, or holds no number somewhere, or no face in half of
        the seconds, or its time stamps contradict themselves; without the file's name.
    """
    lead = _lead(path)
    times, told, pace = _times(lead)
    lead["time"], lead["second"] = times, np.floor(times + 5e-4)    # stamps are to a millisecond
    rows_of = lead["face_id"].value_counts(sort=False)
    lead["rank"] = -lead["face_id"].map(rows_of)
    timed = lead[lead["second"] >= 0].sort_values(["second", "time", "frame"], kind="stable")
    if timed.empty:
        raise ValueError(f"has {len(lead)} rows, none at a time of 0 s or later; expected frame "
                         "numbers from 1 or time stamps from 0. Export it again, or leave it out.")
    seconds, first = int(timed["second"].max()) + 1, timed.drop_duplicates("second")
    seen = timed[timed["success"] > 0].sort_values(["second", "rank"], kind="stable") \
        .drop_duplicates("second")
    if len(seen) < (1 - MANY_MISSING) * seconds:
        raise ValueError(f"OpenFace found a face in only {len(seen)} of {seconds} seconds. "
                         "Check the recording, or leave it out.")
    visual = np.zeros((seconds, 136))
    visual[seen.sort_index()["second"].astype(int)] = _points(path, seen.index)
    rows = standardised(visual)
    main = rows_of.idxmax()
    others, theirs = (np.count_nonzero(t["face_id"] != main) for t in (lead, seen))
    again = lead.duplicated(["face_id", "frame"]).sum()
    late = np.count_nonzero(
        (seen.set_index("second")["frame"] != first.set_index("second")["frame"][seen["second"]])
        | (seen["time"] - seen["second"] > max(LATE, pace + 1e-3)).to_numpy())
    begin, zeros = first["time"].iloc[0], np.count_nonzero(~rows.any(axis=1))
    notes = {
        f"{others} of {len(lead)} rows are of {len(rows_of) - 1} other faces than the one with the "
        f"most rows; they are used in {theirs} of {seconds} seconds, which lack it.": others,
        f"{again} of {len(lead)} rows repeat a frame and are passed over.": again,
        f"its frames begin at {begin:.0f} s; the rows before are zeros.": begin >= 1,
        f"{late} of {seconds} rows are of a later frame of their second, as the first has no face "
        "or no row.": late,
        f"{zeros} of {seconds} rows are zeros: OpenFace found no face there, or the table has no "
        "such row.": zeros}
    return rows, told + [sentence for sentence, holds in notes.items() if holds]


def _times(lead):
    """When each row of a table is, in s, NaN where its stamp is wrong; remarks; s from frame to
    frame.
    """
    frame = lead["frame"].to_numpy()
    by_number = (frame - (0 if (frame == 0).any() else 1)) / STEP
    own = lead.drop_duplicates("frame")
    if own["timestamp"].nunique() < 2:
        return by_number, [], 1 / STEP
    clock = pd.Series(right_times(own["frame"], own["timestamp"]), own["frame"]).sort_index()
    right = clock.dropna()
    paces = np.diff(right) / np.diff(right.index)
    usual = np.median(paces) if len(paces) else 0
    even = np.abs(paces - usual) <= max(0.2 * usual, 1.1e-3)      # a stamp is rounded to 1e-3
    pace = paces[even].mean() if usual > 0 else np.ptp(right) / np.ptp(right.index)
    rate = 1 / pace if pace > 0 else np.inf
    if rate > 240:
        raise ValueError(f"its frame numbers and time stamps tell {rate:.4g} frames a second: they "
                         "contradict each other. Export it again, or leave it out.")
    if rate < 1:
        return by_number, [f"its time stamps, at {rate:.2g} frames a second, are no seconds; its "
                           f"frames count as {STEP} a second."], 1 / STEP
    times = clock[frame].to_numpy()
    wrong = np.count_nonzero(np.isnan(times))
    notes = {f"{wrong} of {len(lead)} rows have no time stamp, or one far from those around it, "
             "and are passed over.": wrong,
             "its frames come at varying rates; each row is the first frame of its second.":
                 usual > 0 and even.mean() < 0.9,
             f"{rate:.4g} frames a second, not {STEP}; each row is the first frame of its second.":
                 (usual == 0 or even.mean() >= 0.9) and abs(rate / STEP - 1) > 0.05}
    return times, [sentence for sentence, holds in notes.items() if holds], pace


def _lead(path):
    """Frame, face, time and success of every row, by its number from 1 -> DataFrame."""
    rows = []
    with open(path, encoding="utf-8-sig", errors="replace") as table:
        lines, names = _opened(table)
        at = [names.index(name) if name in names else None for name in LEAD]
        for number, line in enumerate(lines, 1):
            if line.count(",") != len(names) - 1:
                raise ValueError(f"row {number} has {line.count(',') + 1} cells, the header "
                                 f"{len(names)} (cut short, or decimal commas); {TABLE}. "
                                 "Export it again.")
            cells = line.split(",", max(i for i in at if i is not None) + 1)
            # 1 for all where there is no such column, so that neither faces nor times differ
            rows.append([1.0 if i is None else _number(cells[i]) for i in at])
            if not math.isfinite(rows[-1][0]):
                raise _no_number(number)
    lead = pd.DataFrame(rows, columns=LEAD, index=range(1, len(rows) + 1), dtype=float)
    return lead.fillna({"face_id": 0, "success": 0})


def _points(path, numbers):
    """Landmarks of the rows of these numbers (from 1) -> (rows, 136)."""
    points, numbers = {}, set(numbers)
    with open(path, encoding="utf-8-sig", errors="replace") as table:
        lines, names = _opened(table)
        places = [names.index(name) for name in POINTS]
        for number, line in enumerate(lines, 1):
            if number in numbers:
                cells = line.split(",")
                points[number] = [_number(cells[i]) for i in places]
                if not all(map(math.isfinite, points[number])):
                    raise _no_number(number)
    return np.array(list(points.values()))


def _opened(table):
    """Lines of an open table that are not empty, from the second; names of its columns."""
    lines = filter(str.strip, table)
    names = [name.strip() for name in next(lines, "").split(",")]
    missing = [name for name in ("frame", *POINTS) if name not in names]
    other = next((s for s in ";\t|" if len(names) == 1 and s in names[0]), "")
    if missing:
        problem = ("is empty" if names == [""]
                   else f"its cells are separated by {other!r}" if other
                   else f"lacks {len(missing)} of 137 columns, the first is {missing[0]}")
        raise ValueError(f"{problem}; {TABLE}. Export it again (OpenFace: -2Dfp).")
    return lines, names


def _no_number(row):
    return ValueError(f"row {row} has a frame number or landmark that is no finite number. "
                      "Export it again, or leave it out.")


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return math.nan


def extract(source, target, workers=-1, overwrite=False):
    """Make <stem>_visual.npy under `target` of every OpenFace table in `source` and below.

    Sub-folders are kept. Arrays appear whole or not at all.

    Parameters
    ----------
    source, target : Path
    workers : int
        Processes; -1 uses every core.
    overwrite : bool
        Make arrays anew that exist.

    Returns
    -------
    written, present : list of str
        Names of tables whose arrays were made, and whose were there already.
    problems, remarks : dict name -> sentence

    Raises
    ------
    OSError
        Nothing can be written.
    """
    tables = {str(p.relative_to(source)): p for p in tables_below(source)}
    targets = {name: target / Path(name).with_name(f"{path.stem}_visual.npy")
               for name, path in tables.items()}
    present = [name for name, array in targets.items() if array.exists() and not overwrite]
    todo = [name for name in tables if name not in present]
    done = Parallel(workers, return_as="generator")(delayed(_one)(tables[name], targets[name])
                                                    for name in todo)
    outcomes = dict(zip(todo,
                        tqdm(done, "landmarks", len(todo), delay=2, leave=False), strict=True))
    problems = {name: problem for name, (problem, _) in outcomes.items() if problem}
    problems |= passed_over(source)
    remarks = {name: remark for name, (_, remark) in outcomes.items() if remark}
    return [name for name in todo if name not in problems], present, problems, remarks


def _one(table, array):
    """One table, in a worker process -> problem, remark."""
    try:
        rows, remarks = placed(table)
    except ValueError as error:
        return str(error), ""
    except OSError as error:
        return f"cannot be read ({error.strerror}). Check the file and its permissions.", ""
    array.parent.mkdir(parents=True, exist_ok=True)
    part = array.with_name(f".{array.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
        settle(part, array)
    finally:
        part.unlink(missing_ok=True)
    return "", " ".join(remarks)
