"""python -m tests.corpora.damages 200      200 random damages of simulated trees, judged

Damages as files suffer them on their way to people: bytes, names, rows, links, times, encodings.
Each is drawn by its number alone, done to a copy of a small tree without its marker, which so
counts as licensed, and judged by what can be read before and after:

noticed     an error of ours, one sentence
harmless    everything is read as before
listed      what is read otherwise stands in the corpus's problems
unnoticed   nothing tells of it, and nothing could: the damage itself says so (another valid
            number, word or name in a table or an array, another file of the same kind under this
            name, an optional column that is not there)
SILENT, TRACEBACK, NAMED: what must not be; NAMED, that a person's number or a file's name shows

`make test` judges ten of them (test_damages.py). Ends with status 1 if one must not be.
"""

import argparse
import hashlib
import os
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depnb import corpora
from depnb.corpora import daic_woz, readers
from depnb.corpora.privacy import MARKER
from depnb.corpora.sound import heard
from depnb.features import interview, text, vlog
from depnb.simulation.layouts import simulate

TREES = {"avec2013": {"participants": 12, "seconds": 0.5, "size": 32},
         "avec2014": {"participants": 12, "seconds": 0.5, "size": 32},
         "daic_woz": {"participants": 6, "seconds": 12}, "speech_folder": {"participants": 10,
                                                                           "seconds": 2},
         "dvlog": {"participants": 10, "seconds": 30}, "lmvd": {"participants": 10, "seconds": 30}}
WRONG = ("SILENT", "TRACEBACK", "NAMED")
MEDIA = (".mp4", ".wav", ".npy")


class Damage(NamedTuple):
    """What was done to a tree, and whether anybody could notice."""

    what: str
    noticeable: bool = True


# ---- what can be done; each: (rng, root, files) -> Damage, or None where it does not apply


def _pick(rng, paths):
    return paths[rng.integers(len(paths))] if paths else None


def _write(path, content):
    """Write bytes where a hard link to the tree's own file may lie."""
    path.unlink()
    path.write_bytes(content)


def bytes_of(rng, root, files):
    """Emptied, cut, with something behind, a first byte flipped, zeros, another program's page."""
    path = _pick(rng, files)
    raw = path.read_bytes()
    how = ("emptied", "cut", "appended", "flipped", "zeroed", "replaced")[rng.integers(6)]
    place = int(rng.integers(1, max(2, len(raw))))
    flipped = bytearray(raw)
    flipped[min(int(rng.integers(16)), len(raw) - 1)] ^= 1 << int(rng.integers(8))
    changed = {"emptied": b"", "cut": raw[:place],
               "appended": raw + rng.bytes(int(rng.integers(1, 5000))),
               "flipped": bytes(flipped), "zeroed": raw[:place] + bytes(len(raw) - place),
               "replaced": b"<html><title>404 Not Found</title></html>\n"}[how]
    _write(path, changed)
    # numbers in arrays and samples may be noughts, labels and words may be others
    plain = how in ("zeroed", "flipped", "cut") and path.suffix != ".mp4"
    return Damage(f"{how} ({place} of {len(raw)}): {path.relative_to(root)}",
                  not (plain and _other_number(path, raw, changed)))


def _other_number(path, raw, changed):
    """Whether the damaged file is another valid one: only its numbers or words tell them apart."""
    header = {".npy": 128, ".wav": 44}.get(path.suffix)
    if header:
        return raw[:header] == changed[:header] and len(raw) == len(changed)
    return path.name.endswith("_Depression.csv") and changed.strip(b"\0 \n").isdigit()


def name_of(rng, root, files):
    """A file's name as other systems and people write it."""
    path = _pick(rng, files)
    ways = {"capitals": path.name.upper(), "small letters": path.name.lower(),
            "suffix in capitals": path.stem + path.suffix.upper(),
            "blank before": f" {path.name}", "blank within": f"{path.stem} {path.suffix}",
            "a browser's number": f"{path.stem} (1){path.suffix}",
            "accent": f"{path.stem}\N{COMBINING ACUTE ACCENT}{path.suffix}",
            "backslash": f"{path.parent.name}\\{path.name}", "second suffix": f"{path.name}.txt",
            "no suffix": path.stem, "dot before": f".{path.name}"}
    how = _pick(rng, list(ways))
    target = path.with_name(ways[how])
    if target == path or target.exists():
        return None
    path.rename(target)
    return Damage(f"name with {how}: {path.relative_to(root)} -> {target.name}")


def folder_name(rng, root, files):
    """A folder in other letters, or of another name."""
    folder = _pick(rng, sorted({path.parent for path in files} - {root}))
    if folder is None:
        return None
    name = (folder.name.upper(), folder.name.lower(), f"{folder.name} ", f"old_{folder.name}",
            f"{folder.name} copy")[rng.integers(5)]
    if name == folder.name:
        return None
    folder.rename(folder.with_name(name))
    return Damage(f"folder {folder.relative_to(root)} -> {name!r}")


def companion(rng, root, files):
    """What systems and programs put beside people's own files."""
    path = _pick(rng, files)
    name = (f"._{path.name}", ".DS_Store", "Thumbs.db", "desktop.ini", f"{path.name}.part",
            f"~${path.name}")[rng.integers(6)]
    path.with_name(name).write_bytes(rng.bytes(100))
    return Damage(f"companion {name} beside {path.relative_to(root)}")


def missing(rng, root, files):
    """A file, or a folder, is not there."""
    path = _pick(rng, files)
    if rng.random() < .3 and path.parent != root:
        shutil.rmtree(path.parent)
        return Damage(f"folder removed: {path.parent.relative_to(root)}")
    path.unlink()
    return Damage(f"removed: {path.relative_to(root)}")


def moved(rng, root, files):
    """A file lies in another folder of the tree."""
    path = _pick(rng, files)
    folder = _pick(rng, sorted({p.parent for p in files} | {root}))
    if (folder / path.name).exists():
        return None
    path.rename(folder / path.name)
    # the folder is the label, or the split; anywhere else it is looked for or missed
    return Damage(f"moved: {path.relative_to(root)} -> {folder.relative_to(root)}/",
                  not _says_label(path.relative_to(root), folder.relative_to(root)))


def _says_label(path, folder):
    words = r"train|dev|test|voices_0|voices_1"
    return bool(re.search(words, str(path), re.IGNORECASE)
                and re.search(words, str(folder), re.IGNORECASE))


def twice(rng, root, files):
    """A file also lies elsewhere, or under another name, equal or not."""
    path = _pick(rng, files)
    target = (path.with_name(f"{path.stem} - Copy{path.suffix}"), root / path.name,
              root / "backup" / path.name)[rng.integers(3)]
    if target.exists():
        return None
    target.parent.mkdir(exist_ok=True)
    raw = path.read_bytes()
    equal = rng.random() < .5
    other = _pick(rng, [p for p in files if p.suffix == path.suffix]).read_bytes()
    target.write_bytes(raw if equal else other)
    return Damage(f"twice ({'equal' if equal or other == raw else 'another'}): "
                  f"{path.relative_to(root)} and {target.relative_to(root)}")


def swapped(rng, root, files):
    """Two files of a kind under each other's name."""
    path = _pick(rng, files)
    other = _pick(rng, [p for p in files if p.suffix == path.suffix])
    a, b = path.read_bytes(), other.read_bytes()
    if a == b:
        return None
    _write(path, b)
    _write(other, a)
    one_kind = (re.sub(r"\d", "", path.name) == re.sub(r"\d", "", other.name)
                or ("split" in path.name and "split" in other.name))
    return Damage(f"swapped: {path.relative_to(root)} and {other.relative_to(root)}",
                  not (one_kind or (path.suffix == ".mp4")))


def _tables(files):
    return [path for path in files if path.suffix in (".csv", ".txt")]


def _lines(path):
    raw = path.read_text(encoding="utf-8-sig")
    separator = "\t" if "\t" in raw else ","
    return [line.split(separator) for line in raw.splitlines()], separator


def _save(path, rows, separator):
    _write(path, ("\n".join(separator.join(row) for row in rows) + "\n").encode())


def rows_of(rng, root, files):
    """Rows and columns of a table."""
    path = _pick(rng, [p for p in _tables(files) if len(p.read_text().splitlines()) > 2])
    if path is None:
        return None
    rows, separator = _lines(path)
    at = int(rng.integers(1, len(rows)))
    column, beside = (int(i) for i in rng.integers(len(rows[0]), size=2))
    how = ("removed", "repeated", "repeated otherwise", "reordered", "text in a cell",
           "empty cell", "column renamed", "column moved", "column removed", "header removed",
           "a cell more", "total at the foot", "half a last row", "empty rows",
           "blanks around")[rng.integers(15)]
    noticeable = True
    if how == "removed":
        row = rows.pop(at)
        noticeable = "TRANSCRIPT" not in path.name      # nobody knows what else was said
    elif how == "repeated":
        rows.insert(at, list(rows[at]))
    elif how == "repeated otherwise":
        row = [*rows[at]]
        row[-1] += "1"
        rows.append(row)
    elif how == "reordered":
        rows[1:] = [rows[1:][i] for i in rng.permutation(len(rows) - 1)]
    elif how == "text in a cell":
        rows[at][column] = "n/a"
        noticeable = "TRANSCRIPT" not in path.name or column != 3
    elif how == "empty cell":
        rows[at][column] = ""
        noticeable = "TRANSCRIPT" not in path.name or column != 3
    elif how == "column renamed":
        rows[0][column] += "_new"
    elif how == "column moved":
        for row in rows:
            row[column], row[beside] = row[beside], row[column]
    elif how == "column removed":
        noticeable = rows[0][column] not in ("gender", "phq8_total")        # which need not be
        for row in rows:
            del row[column]
    elif how == "header removed":
        del rows[0]
    elif how == "a cell more":
        rows[at].append("7")
        noticeable = "TRANSCRIPT" not in path.name      # a tab within what was said
    elif how == "total at the foot":
        rows.append(["Total", *["12"] * (len(rows[0]) - 1)])
    elif how == "half a last row":
        rows[-1] = rows[-1][:max(1, column)]
    elif how == "empty rows":
        rows += [[""] * len(rows[0])] * 3
    else:
        rows = [[f" {cell} " for cell in row] for row in rows]
    _save(path, rows, separator)
    return Damage(f"rows, {how} (row {at}, column {column}): {path.relative_to(root)}", noticeable)


def link(rng, root, files):
    """Links in the place of files and folders, and around in circles."""
    path = _pick(rng, files)
    outside = root.with_name(f"{root.name}-elsewhere")
    outside.mkdir(exist_ok=True)
    how = ("to nowhere", "to elsewhere", "to another", "of a folder", "of a folder to nowhere",
           "around", "to itself")[rng.integers(7)]
    if how == "around":
        (path.parent / "again").symlink_to(root)
    elif how.startswith("of a folder"):
        if path.parent == root:
            return None
        path = path.parent
        path.rename(outside / path.name)
        path.symlink_to(outside / path.name if how == "of a folder" else "/nowhere/at/all")
    elif how == "to elsewhere":
        path.rename(outside / path.name)
        path.symlink_to(outside / path.name)
    else:
        other = _pick(rng, [p for p in files if p.suffix == path.suffix and p != path])
        if how == "to another" and other is None:
            return None
        path.unlink()
        path.symlink_to({"to nowhere": "/nowhere/at/all", "to another": other,
                         "to itself": path}[how])
    return Damage(f"link {how}: {path.relative_to(root)}",
                  how != "to another" or not path.name.endswith("_Depression.csv"))


def times(rng, root, files):
    """Times of a transcript that cannot be, or rows of an array that do not fit its partner."""
    path = _pick(rng, [p for p in files if "TRANSCRIPT" in p.name or p.suffix == ".npy"])
    if path is None:
        return None
    if path.suffix == ".npy":
        array = np.load(path)
        _write(path, b"")
        np.save(path, array[:len(array) // 2])
        return Damage(f"times, half of the rows: {path.relative_to(root)}")
    rows, separator = _lines(path)
    how = ("shifted", "reversed", "negative", "overlapping", "in milliseconds", "in minutes",
           "one stop far off")[rng.integers(7)]
    first = float(rows[1][0])
    for number, row in enumerate(rows[1:]):
        start, stop = float(row[0]), float(row[1])
        start, stop = {"shifted": (start + 1000, stop + 1000), "reversed": (stop, start),
                       "negative": (start - 1000, stop - 1000),
                       "overlapping": (first, stop), "in milliseconds": (start * 1e3, stop * 1e3),
                       "in minutes": (start, stop),
                       "one stop far off": (start, stop + 3600 * (number == len(rows) - 2)),
                       }[how]
        row[:2] = [f"{start:.3f}", f"{stop:.3f}"]
        if how == "in minutes":
            row[:2] = [f"{int(t) // 60:02}:{t % 60:06.3f}" for t in (start, stop)]
    _save(path, rows, separator)
    return Damage(f"times, {how}: {path.relative_to(root)}")


def encoding(rng, root, files):
    """A table or transcript as another program saves it."""
    path = _pick(rng, _tables(files))
    if path is None:
        return None
    words = path.read_text(encoding="utf-8-sig")
    ways = {"UTF-16": words.encode("utf-16"), "UTF-16 without its mark": words.encode("utf-16-le"),
            "UTF-16, big end first": b"\xfe\xff" + words.encode("utf-16-be"),
            "UTF-32": words.encode("utf-32"),
            "mark": words.encode("utf-8-sig"), "CRLF": words.replace("\n", "\r\n").encode(),
            "CR": words.replace("\n", "\r").encode(), "NUL at the end": words.encode() + b"\0" * 9,
            "NUL within": words[:9].encode() + b"\0" + words[9:].encode(),
            "semicolons": words.replace(",", ";").encode(),
            "quotes": ("\n".join(",".join(f'"{cell}"' for cell in line.split(","))
                                 for line in words.splitlines())).encode(),
            "Latin-1 letter at the end": words.rstrip("\n").encode() + b" \xe9\n",
            "no last line end": words.rstrip("\n").encode(), "sep=": b"sep=,\n" + words.encode()}
    how = _pick(rng, list(ways))
    _write(path, ways[how])
    # a transcript's words, and a speaker's name, are read as they are written
    words_alone = "TRANSCRIPT" in path.name or path.name == "speakers.csv"
    return Damage(f"encoding, {how}: {path.relative_to(root)}",
                  not words_alone or how not in ("NUL within", "Latin-1 letter at the end"))


def notation(rng, root, files):
    """Numbers and words of a table as a spreadsheet writes them."""
    path = _pick(rng, [p for p in _tables(files)
                       if "CLNF" not in p.name and "TRANSCRIPT" not in p.name])
    if path is None:
        return None
    ways = {"points and noughts": (r"(?<![\w.])(\d+)(?=[,\n])(?![\d.])", r"\1.0"),
            "noughts before lost": (r"(?m)^0+(?=\d)", ""),
            "noughts before": (r"(?m)^(\d+)(?=,)", r"0\1"),
            "blanks within numbers": (r"(?m)^(\d)(?=\d)", r"\1 "),
            "an apostrophe before": (r"(?m)^(?=\d)", "'"),
            "O for nought": (r"0", "O"), "all in capitals": (r"(?s).+", lambda m: m[0].upper())}
    if path.name == "speakers.csv":             # another name is another name
        del ways["O for nought"]
    how = _pick(rng, list(ways))
    words = re.sub(*ways[how], path.read_text())
    if words == path.read_text():
        return None
    _write(path, words.encode())
    return Damage(f"notation, {how}: {path.relative_to(root)}")


KINDS = (bytes_of, bytes_of, name_of, name_of, folder_name, companion, missing, moved, twice,
         swapped, rows_of, rows_of, rows_of, link, link, times, encoding, encoding,
         notation)


def layout_of(seed):
    """Which tree the damage of this number is for."""
    return list(TREES)[seed % len(TREES)]


def damage(root, seed):
    """Damage a tree.

    Parameters
    ----------
    root : Path of a copy, without marker
    seed : int

    Returns
    -------
    Damage
    """
    rng = np.random.default_rng(seed)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    # each kind of file as often, however many there are of it
    sorts = {}
    for path in files:
        sorts.setdefault(re.sub(r"\d+", "", path.name), []).append(path)
    few = [path for paths in sorts.values() for path in rng.permutation(paths)[:3]]
    while True:
        if made := KINDS[rng.integers(len(KINDS))](rng, root, few):
            return made


# ---- what can be read


_memo = {}


def _known(paths, read):
    """What `read` gives of files, read once as long as they are the same."""
    seen = [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns) if path else None for path in paths
            for s in [path and path.stat()]]
    name = (read.__name__, *seen)
    if name not in _memo:
        _memo[name] = read(*paths)
    return _memo[name]


def _digest(*arrays):
    told = hashlib.sha256()
    for array in arrays:
        told.update(str(np.shape(array)).encode() + np.ascontiguousarray(array).tobytes())
    return told.hexdigest()


def _video(path):
    return _digest(*readers.read_frames(path)), ""


def _sound(path):
    samples, rate, facts = heard(path)
    return _digest(samples, rate), " ".join(facts.remarks())


def _array(path):
    return _digest(readers.read_array(path)), ""


def _interview(transcript, audio, keypoints, gaze):
    """Digest, problems by part, remarks by part, of one session."""
    arrays = interview.signals(transcript, audio, keypoints, gaze)
    words = text.sentences(transcript)
    notes = {part: dict(arrays.pop(part)) for part in ("problems", "remarks")}
    return _digest(*(arrays[k] for k in sorted(arrays)), *words.values()), *notes.values()


def reading(name, root):
    """All that can be read of a corpus as a chapter reads it.

    Returns
    -------
    sessions : mapping pseudonym -> what is told of it and, by part, what was read
    problems : Counter of (session, sentence)

    Raises
    ------
    ValueError, FileNotFoundError
        As the corpus raises them.
    """
    corpus = corpora.open(name, root)
    read, problems, remarks = {}, {}, {}
    files = corpus.files()
    if name == "daic_woz":
        for session, parts in daic_woz.interviews(corpus).items():
            try:
                digest, bars, notes = _known(
                    [parts[p] for p in ("transcript", "audio", "keypoints", "gaze")], _interview)
                read[f"{session}/transcript"] = digest
                problems |= {f"{session}/{part}": bar for part, bar in bars.items()}
                remarks |= {f"{session}/{part}": note for part, note in notes.items()}
            except ValueError as error:
                problems[f"{session}/transcript"] = str(error)
    else:
        reader = {"speech_folder": _sound, "dvlog": _array, "lmvd": _array}.get(name, _video)
        for recording, path in files.items():
            try:
                read[recording], remark = _known([path], reader)
                remarks |= {recording: remark} if remark else {}
            except ValueError as error:
                problems[recording] = str(error)
    if name in vlog.WIDTHS:
        problems |= vlog.load(files, name)[1]
    corpus.note(remarks)
    corpus.exclude(problems)
    sessions = {}
    for row in corpus.sessions.to_dict("records"):
        session = row.pop("session")
        sessions[session] = repr(sorted(row.items())) + repr(sorted(
            (recording.rpartition("/")[2], digest) for recording, digest in read.items()
            if recording.startswith(session)))
    return sessions, Counter(corpus.problems.itertuples(index=False, name=None))


def judge(name, root, before, made, names):
    """What became of a damage.

    Parameters
    ----------
    name : str, the layout
    root : Path of the damaged tree
    before : of `reading`, of the tree as it was
    made : Damage
    names : of people and sessions, which must not show

    Returns
    -------
    verdict, what the user is told
    """
    try:
        sessions, problems = reading(name, root)
    except (ValueError, FileNotFoundError) as error:
        told = str(error)
        if re.search(r"cannot be read \((?!Is a|No such)\w+\)", told):
            return "TRACEBACK", repr(error.__context__ or error)
        return ("NAMED" if _names(told, root, names) else "noticed"), told
    except Exception as error:
        return "TRACEBACK", repr(error)
    new = problems - before[1]
    told = " | ".join(f"{session}: {sentence}" for session, sentence in new)
    if _names(told, root, names):
        return "NAMED", told
    changed = {s for s in before[0].keys() | sessions.keys() if before[0].get(s) != sessions.get(s)}
    if sorted(before[0].values()) == sorted(sessions.values()):
        return "harmless", told
    listed = {session for session, _ in new}
    gone = changed - sessions.keys()            # a table may call it by another name than a session
    if changed <= listed or "all" in listed or (changed - before[0].keys() and listed) or (
            changed == gone and len(listed) >= len(gone)):
        return "listed", told
    return ("SILENT" if made.noticeable else "unnoticed"), f"{len(changed)} changed; {told}"


def _names(told, root, names):
    """Which names show in what is told, without the folder's path and pseudonyms."""
    told = re.sub(r"[SP]-[0-9a-f]{10}", "", told.replace(str(root), ""))
    return [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", told)]


def names_in(tree, layout):
    """Of people, sessions and files, as a simulated tree has them."""
    sessions = corpora.open(layout, tree).sessions
    return {name for column in ("session", "participant") for name in sessions[column]
            if len(re.sub(r"\W|_", "", name)) > 2}


def copied(tree, folder):
    """A copy without marker; files are hard links, which `damage` does not write through."""
    root = shutil.copytree(tree, folder, copy_function=os.link)
    (root / MARKER).unlink()
    return root


def trial(trees, seed, folder, before):
    """One damage from start to end -> verdict, layout, Damage, what the user is told.

    trees : mapping layout -> tree; before : dict to remember what is read of them.
    """
    layout = layout_of(seed)
    folder.mkdir()
    if layout not in before:
        before[layout] = (reading(layout, copied(trees[layout], folder / "before")),
                          names_in(trees[layout], layout))
    root = copied(trees[layout], folder / "corpus")
    made = damage(root, seed)
    verdict, told = judge(layout, root, before[layout][0], made, before[layout][1])
    return verdict, layout, made, told


def main(arguments=None):
    """The command line -> 1 if a damage went unheard."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--trees", type=Path, help="folder that keeps the simulated trees")
    parser.add_argument("--only", help="verdicts to print, apart by commas; all unless given")
    wanted = parser.parse_args(arguments)
    counts, before = Counter(), {}
    with tempfile.TemporaryDirectory(dir=wanted.trees) as temporary:
        base = Path(temporary)
        trees = {layout: simulate(layout, (wanted.trees or base) / f"tree-{layout}", workers=1,
                                  **size) for layout, size in TREES.items()}
        for seed in range(wanted.first, wanted.first + wanted.count):
            verdict, layout, made, told = trial(trees, seed, base / str(seed), before)
            shutil.rmtree(base / str(seed))
            counts[verdict] += 1
            if not wanted.only or verdict in wanted.only.split(","):
                print(f"{seed} {verdict} {layout}: {made.what}\n    {told}")
    print(", ".join(f"{verdict} {count}" for verdict, count in sorted(counts.items())))
    return int(any(verdict in WRONG for verdict in counts))


if __name__ == "__main__":
    raise SystemExit(main())
