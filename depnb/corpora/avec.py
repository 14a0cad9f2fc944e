"""AVEC 2013 and 2014 as distributed, and extracted frames as the STA-DRN authors expect them.

AVEC 2014: …/Training|Development|Testing/Northwind|Freeform/203_1_Northwind_video.mp4
AVEC 2013: …/Training|Development|Testing/203_1_cut_combined.mp4
both:      …/203_1_Depression.csv with one number, the BDI-II total of participant 203 in session 1
frames:    label.csv with the columns path,label
           path is a folder of face images, 00001.jpg, 00002.jpg, …

The archives may be unpacked side by side or into each other: files are found by name, splits by
folder.
"""

import math
import re
from collections import Counter, defaultdict
from pathlib import Path

from depnb.corpora.corpus import BDI2, SPLIT_WORDS, SPLITS, Corpus
from depnb.corpora.readers import VIDEOS, decoded, number, read_columns, spelled
from depnb.files import below, hidden

VIDEO_NAMES = {"avec2014": r"(\d+_\d+)_(Northwind|Freeform)_video\.\w+",
               "avec2013": r"(\d+_\d+)_(cut_combined)\.\w+"}
PARTS = {"northwind": "northwind", "freeform": "freeform", "cut_combined": "interview"}
TASKS = {"avec2014": ("northwind", "freeform"), "avec2013": ("interview",)}
SPLIT_FOLDERS = {"train": "train", "devel": "validation", "dev": "validation", "test": "test"}


def open_avec(name, root, terms=None):
    """AVEC 2013 or 2014 (Valstar et al. 2013, 2014) under `root`, on the BDI-II.

    Sessions with a fault are left out and listed in `problems`.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        There is no video.
    """
    root = Path(root)
    pattern = re.compile(VIDEO_NAMES[name], re.IGNORECASE)
    videos, labels, others, unlike = defaultdict(list), defaultdict(list), [], []
    problems = []
    for path in below(root):
        if match := pattern.fullmatch(path.name):
            if path.suffix.lower() in VIDEOS and path.is_file():
                videos[match[1]].append((PARTS[match[2].lower()], path))
            else:
                others.append(path)
        elif match := re.fullmatch(r"(\d+_\d+)_Depression\.csv", path.name, re.IGNORECASE):
            labels[match[1]].append(path)
        elif not any(re.fullmatch(names, path.name, re.IGNORECASE)      # of the other AVEC
                     for names in VIDEO_NAMES.values()) and (
                         path.suffix.lower() in VIDEOS or "depression." in path.name.lower()):
            unlike += [path] * path.is_file()
    example = "203_1_Northwind_video.mp4" if name == "avec2014" else "203_1_cut_combined.mp4"
    if not videos:
        other = next((other for other, names in VIDEO_NAMES.items() if other != name
                      and any(re.fullmatch(names, path.name) for path in below(root))), "")
        raise FileNotFoundError(f"{root}: no {name.upper()} video found in it or below (names like "
                                f"{example}). " + (f"It holds videos of {other}: give that name."
                                                   if other else "Give the folder that holds the "
                                                                 "unpacked archives."))
    if others:
        kinds = ", ".join(sorted({path.suffix or "no ending" for path in others}))
        problems.append(("", root, f"{len(others)} files have a video's name and are none "
                                   f"({kinds}); not read."))
    if unlike:
        problems.append(("", root, f"{len(unlike)} files, videos or labels, are named unlike "
                                   f"{example} or 203_1_Depression.csv and not read. "
                                   "Rename or remove them."))
    rows = []
    for session in sorted(videos.keys() | labels.keys(),
                          key=lambda s: [int(n) for n in s.split("_")]):
        try:
            score = _one_score(session, labels[session], root)
            own, notes = _of_the_corpus(videos[session])
            files, split = _one_split(session, own, root)
        except Fault as fault:
            problems.append((session, fault.path, str(fault)))
            continue
        rows.append({"session": session, "participant": session.split("_")[0], "split": split,
                     "score": score, "files": files})
        problems += [(session, path, note)
                     for path, note in [*notes, *_repeated(session, labels[session], own)]]
    problems += _without_a_task(name, rows, root)
    return Corpus(f"AVEC {name[-4:]}", root, BDI2, rows, problems, terms=terms, modalities={
        part: (part,) for part in TASKS[name]})


def _without_a_task(name, rows, root):
    """Problems: sessions without the video of a task."""
    recorded = {part for row in rows for part in row["files"]}
    for part in TASKS[name] if rows else ():
        task = part.capitalize()
        if part not in recorded:
            yield "", root, f"there is no video of the task {task}; the other one alone is read."
        for row in rows if part in recorded else ():
            if part not in row["files"]:
                yield (row["session"], next(iter(row["files"].values())),
                       f"its {task} video is missing; the other task alone is read. "
                       "Copy it again from the corpus.")


def open_frame_folder(root, terms=None):
    """Folders of aligned face images with a `label.csv`, as the STA-DRN repository expects.

    A `split` column is used where there is one (train; validation, val, valid or dev; test);
    otherwise the rows are train, validation and test by thirds, as in the authors' scripts. The
    digits before the first underscore of a folder's name are the participant. A folder is found
    however its accents, capitals and slashes are written; folders of one name, as of two tasks,
    are sessions apart.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError, ValueError
        There is no label.csv, or it lacks the column path or label.
    """
    root = Path(root)
    table = next((p for p in (spelled(root, "label.csv"), root / "datasets/avec14/label.csv")
                  if p.exists()), None)
    if table is None:
        raise FileNotFoundError(f"{root}: no label.csv. Expected a table with the columns "
                                "path,label beside the frame folders.")
    listed = read_columns(table)
    if not {"path", "label"} <= set(listed.columns):
        raise ValueError(f"{table}: lacks {' and '.join({'path', 'label'} - set(listed.columns))}; "
                         "expected the columns path,label. Add the header.")
    places = listed["path"].map(lambda path: spelled(root, path))
    listed = listed.assign(place=places)[listed["path"] != ""]
    own_split = "split" in listed
    if not own_split:
        listed["split"] = [SPLITS[min(3 * i // len(listed), 2)] for i in range(len(listed))]
    rows, problems, names = [], [], _session_names(set(listed["place"]), root)
    if len(places) > len(listed):
        problems.append(("", table, f"{table.name}: {len(places) - len(listed)} rows without a "
                                    "path are not read. Complete or remove them."))
    for folder, group in listed.groupby("place", sort=False):
        session = names[folder]
        try:
            if group["label"].nunique() > 1:
                raise Fault(table, f"{table.name}: {len(group)} rows for {session} with different "
                                   "labels. Keep one.")
            score = parse_score(group["label"].iloc[0], table, f"{table.name}: label of {session}")
            if not folder.is_dir():
                raise Fault(folder, f"{table.name} lists {session}, but there is no such folder. "
                                    "Extract its frames, or remove the row.")
            split = SPLIT_WORDS.get(group["split"].iloc[0].lower())
            if not split or (own_split and group["split"].nunique() > 1):
                raise Fault(table, f"{table.name}: the split of {session} is "
                                   f"{' and '.join(map(repr, group['split'].unique()))}; expected "
                                   "train, validation or test. Correct the file.")
        except Fault as fault:
            problems.append((session, fault.path, str(fault)))
            continue
        if len(group) > 1:
            problems.append((session, table, f"{table.name}: {len(group)} equal rows for "
                                             f"{session}; read once. Remove the others."))
        person = re.match(r"(\d+)_", folder.name)
        rows.append({"session": session, "participant": person[1] if person else session,
                     "split": split, "score": score, "files": {"frames": folder}})
    known = set(listed["place"])
    beside = {folder.parent for folder in known if folder.is_dir() and folder.parent != root}
    for folder in sorted(p for b in beside for p in b.iterdir()
                          if p.is_dir() and not hidden(p.name) and p not in known):
        problems.append((folder.name, folder,
                         f"the folder {folder.name} has no row in {table.name}. "
                         "Add path and label, or remove the folder."))
    return Corpus("frame_folder", root, BDI2, rows, problems, aligned=True, terms=terms)


def _session_names(folders, root):
    """What to call each folder: its own name, or its path where another one has that name."""
    names = {folder: folder.name.removesuffix("_aligned") for folder in folders}
    times = Counter(names.values())
    return {folder: name if times[name] == 1 else ":".join(folder.parts[len(root.parts):])
            for folder, name in names.items()}


class Fault(ValueError):
    """What is wrong with one session; `path` is the file that shows it."""

    def __init__(self, path, sentence):
        super().__init__(sentence)
        self.path = path


def parse_score(text, path, what):
    """A BDI-II total from text.

    Raises
    ------
    Fault
        It is no number from 0 to 63.
    """
    score = number(text)
    if math.isnan(score):
        raise Fault(path, f"{what} is {str(text)[:20]!r}; expected a number from 0 to 63. "
                          "Correct the file.")
    if not BDI2.low <= score <= BDI2.high:
        raise Fault(path,
                    f"{what} is {score:g}; a BDI-II total lies between 0 and 63. Correct the file.")
    return score


def _one_score(session, paths, root):
    if not paths:
        raise Fault(root, f"session {session} has a video but no label; "
                          f"expected {session}_Depression.csv. Add it, or remove the video.")
    texts = {path: _text(path) for path in paths}
    if len(set(texts.values())) > 1:
        raise Fault(paths[0], f"{paths[0].name} exists {len(paths)} times with different scores. "
                              "Keep the right one.")
    return parse_score(texts[paths[0]], paths[0], f"{paths[0].name}: the score")


def _text(path):
    try:
        return decoded(path).strip('"\',;\0 \t\r\n')
    except OSError as error:
        raise Fault(path, f"{path.name} cannot be read ({error.strerror}). "
                          "Copy it again.") from None


def _of_the_corpus(videos):
    """Videos but those that lie beside one in the corpus's own format; notes on others."""
    own = [(part, path) for part, path in videos if path.suffix.lower() == VIDEOS[0]]
    beside = {part for part, _ in own}
    notes = [(path, f"{path.name} lies beside the corpus's own MP4 and is not read: OpenFace, for "
                    "one, draws its points over such copies." if part in beside else
              f"{path.name} is read, but is no MP4 as the corpus has them. Make sure that nobody "
              "drew points over it.") for part, path in videos if (part, path) not in own]
    return own + [(part, path) for part, path in videos if part not in beside], notes


def _one_split(session, videos, root):
    if not videos:
        raise Fault(root, f"{session}_Depression.csv has no video. "
                          "Finish the download, or remove the label.")
    splits = {_split_of(path, root) for _, path in videos}
    if len(splits) > 1:
        raise Fault(videos[0][1], f"the videos of session {session} lie in different splits "
                                  f"({', '.join(sorted(splits))}). Keep those of one split.")
    (split,) = splits
    if split == "none":
        raise Fault(videos[0][1], f"{videos[0][1].name} lies in no Training, "
                                  "Development or Testing folder. Move it there.")
    files = {}
    for part, path in videos:
        files.setdefault(part, path)
    return files, split


def _split_of(path, root):
    """train, validation or test by the innermost folder that says so, else none."""
    for folder in reversed(path.relative_to(root).parts[:-1]):
        for start, split in SPLIT_FOLDERS.items():
            if folder.lower().startswith(start):
                return split
    return "none"


def _repeated(session, labels, videos):
    """Notes on files that exist more than once and agree."""
    if len(labels) > 1:
        yield (labels[1], f"{labels[1].name} exists {len(labels)} times with one score; read once. "
                          "Remove the copies.")
    parts = [part for part, _ in videos]
    for part, path in videos:
        if parts.count(part) > 1 and path == next(p for q, p in videos if q == part):
            yield (path, f"{path.name} exists {parts.count(part)} times in one split; "
                         "the first is read. Remove the copies.")
