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
make them:

    python -m depnb.corpora.lmvd extract /path/to/openface /path/to/LMVD/visual
"""

import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from depnb.corpora import privacy
from depnb.corpora.vlogs import arrays, find_table, open_vlogs, read_rows, standardised
from depnb.files import below, passed_over, settle

COLUMNS = ("index", "label", "fold")
EXPECTED = {"acoustic": "audio/{0}.npy",
            "visual": "visual/{0}_visual.npy (python -m depnb.corpora.lmvd extract makes it of an "
                      "OpenFace table)"}
AUDIO, VISUAL = {"audio", "audio_feature"}, {"visual", "video_feature"}     # folders, in any case
POINTS = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
STEP = 30                       # frames from one row to the next: a second


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
    table = find_table(root, ("labels.csv", "lmvd_labels.csv"))
    listed = read_rows(table, COLUMNS, COLUMNS)
    return open_vlogs("LMVD", root, table, listed, {"0": 0, "1": 1}, arrays_of(root),
                      EXPECTED, {}, terms)


def arrays_of(root):
    """Arrays in the root or below, listed in a table or not: mapping id -> part -> paths."""
    arrays_by_id = defaultdict(dict)
    for path in arrays(root):
        folders = {name.lower() for name in path.relative_to(root).parts[:-1]}
        if path.stem.endswith("_visual") and folders & VISUAL:
            arrays_by_id[path.stem.removesuffix("_visual")].setdefault("visual", []).append(path)
        elif folders & AUDIO:
            arrays_by_id[path.stem].setdefault("acoustic", []).append(path)
    return arrays_by_id


def tables_below(source):
    """Paths of all .csv files in a folder or below."""
    return [p for p in below(source) if p.suffix == ".csv"]


def landmarks(path):
    """68 landmarks in every 30th frame of an OpenFace table, as DepMamba makes them.

    Frames 1, 31, 61, ... by the value of the column `frame`; a missing one is absent.

    Returns
    -------
    (rows, 136) float64
        All x then all y, each row standardised; a row of equal numbers, as where tracking failed,
        is all zeros.

    Raises
    ------
    ValueError
        The table is another one, cut short, or holds no number somewhere; without the file's name.
    """
    expected = ("expected an OpenFace table with the columns frame, x_0 to x_67 and y_0 to y_67, "
                "separated by commas")
    count, chosen = 0, []
    with open(path, encoding="utf-8-sig", errors="replace") as table:
        lines = filter(str.strip, table)
        header = [name.strip() for name in next(lines, "").split(",")]
        missing = [name for name in ("frame", *POINTS) if name not in header]
        other = next((s for s in ";\t|" if len(header) == 1 and s in header[0]), "")
        if missing:
            problem = ("is empty" if header == [""]
                       else f"its cells are separated by {other!r}" if other
                       else f"lacks {len(missing)} of 137 columns, the first is {missing[0]}")
            raise ValueError(f"{problem}; {expected}. Export it again (OpenFace: -2Dfp).")
        at, places = header.index("frame"), [header.index(name) for name in POINTS]
        for count, line in enumerate(lines, 1):
            if line.count(",") != len(header) - 1:
                raise ValueError(f"row {count} has {line.count(',') + 1} cells, the header "
                                 f"{len(header)} (cut short, or decimal commas); {expected}. "
                                 "Export it again.")
            numbers = [_number(line.split(",", at + 1)[at])]
            if (numbers[0] - 1) % STEP == 0:
                cells = line.split(",")
                numbers += [_number(cells[i]) for i in places]
                chosen.append(numbers[1:])
            if not all(map(math.isfinite, numbers)):
                raise ValueError(f"row {count} has a frame number or landmark that is no finite "
                                 "number. Export it again, or leave it out.")
    if not chosen:
        raise ValueError(f"has {count} rows, none of the frames 1, 31, 61, ...; "
                         "expected 30 frames a second from 1. Export it again, or leave it out.")
    return standardised(chosen)


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
        rows = landmarks(table)
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
    lost = np.count_nonzero(~rows.any(axis=1))
    return ("",
            f"{lost} of {len(rows)} rows are zeros: OpenFace found no face there." if lost else "")
