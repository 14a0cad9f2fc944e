"""What D-Vlog and LMVD share: a table of vlogs, an array of each modality, and who speaks.

Neither corpus tells who speaks. speakers.csv beside the table is our addition: index,speaker and
optionally gender, one row a vlog. Without it every vlog counts as its own speaker.
"""

from collections import defaultdict

import numpy as np

from depnb.corpora import privacy
from depnb.corpora.corpus import CLASS, SPLIT_WORDS, Corpus, gender_of, unusable
from depnb.corpora.readers import UNTOLD, plain, read_cells, spelled, unread
from depnb.files import below

WIDTHS = {"dvlog": {"acoustic": 25, "visual": 136}, "lmvd": {"acoustic": 128, "visual": 136}}
# Rows. Sound and picture of one file end a second or two apart; more, and they are of different
# files.
TOLERANCE = 5
MODALITIES = {"acoustic": ("acoustic",), "visual": ("visual",)}
SPEAKERS = "speakers.csv"


def find_table(root, names):
    """The label table, in the root or below, whatever its case: path; problems.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    tables = sorted((len(p.parts), names.index(p.name.lower()), p)
                    for p in below(root) if p.name.lower() in names and p.is_file())
    if not tables:
        raise FileNotFoundError(f"{root}: no {' or '.join(names)} found in it or below. "
                                "Give the folder that holds the corpus as distributed.")
    table, others = tables[0][2], len(tables) - 1
    return table, [("", table, f"{others} more label tables lie there and are not read; "
                               f"{table.name} that lies highest is. Remove the others.")][:others]


def arrays(root):
    """Paths of all .npy files in the root or below."""
    return [p for p in below(root) if p.suffix.lower() == ".npy" and p.is_file()]


def read_rows(path, needed, positions=()):
    """Rows of a table, a dict each by lower-case column.

    Parameters
    ----------
    path : Path
    needed : names of columns that it must have
    positions : names of the columns, the last one the fold, of a table without header

    Raises
    ------
    ValueError
        It is another table, or one without rows.
    """
    expected = f"expected {','.join(positions or needed)}"
    try:
        rows = read_cells(path)
    except ValueError as error:
        raise ValueError(str(error).replace("expected a table", expected)) from None
    names, body = [cell.lower() for cell in rows[0]], rows[1:]
    if not set(needed) <= set(names):
        if (positions and len(names) >= len(positions)
            and names[len(positions) - 1] in SPLIT_WORDS):
            names, body = positions, rows
        elif set(names) & {*needed, *positions}:
            lacking = ", ".join(name for name in needed if name not in names)
            raise ValueError(f"{path}: lacks the column {lacking}; {expected}. "
                             "Copy it again, or name them so.")
        else:
            raise ValueError(f"{path}: begins with no header; {expected}. "
                             "Copy it again, or add the header.")
    if not body:
        raise ValueError(f"{path}: holds a header and no row. Copy it again.")
    return [dict.fromkeys(names, "") | dict(zip(names, row, strict=False)) for row in body]


def open_vlogs(name, root, table, listed, labels, arrays_by_id, expected, folders, problems,
               terms=None):
    """A corpus of vlogs. What is left out is listed in `problems`, remarks on others too.

    Parameters
    ----------
    name : str
    root, table : Path
    listed : rows of the table, with index, label, fold and perhaps gender
    labels : mapping text of a label -> 0 or 1
    arrays_by_id : mapping id -> part -> paths
    expected : mapping part -> where an array lies, with {0} for the id
    folders : mapping id -> folder without arrays
    problems : list of (session, path, sentence), found so far
    terms : privacy.Terms, optional

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        No vlog, or one class alone, can be used.
    """
    by_id, more = _by_id(listed, table, arrays_by_id)
    speakers, others = _speakers(spelled(table.parent, SPEAKERS), arrays_by_id)
    problems = [*problems, *more, *others, *_unused(root, arrays_by_id, expected)]
    rows = []
    for vlog in sorted({*by_id, *arrays_by_id, *folders}):
        listings, speaker_rows = by_id.get(vlog, []), speakers.get(vlog, [])
        files = arrays_by_id.get(vlog, {})
        fault = _fault(listings, files, speaker_rows, labels,
                       {part: to.format(vlog) for part, to in expected.items()}, table.name)
        path = next((p for paths in files.values() for p in paths), folders.get(vlog, table))
        if fault:
            problems.append((vlog, path, fault))
            continue
        row, person = listings[0], speaker_rows[0] if speaker_rows else {}
        gender, remark = gender_of(row.get("gender", person.get("gender", "unknown")))
        remarks = [remark] if remark else []
        if len(listings) > 1:
            remarks.append(f"has several equal rows in {table.name}; read once. Remove the others.")
        if speakers and not person:
            remarks.append(f"has no row in {SPEAKERS}: it counts as a speaker of its own. Add one.")
        problems += [(vlog, path, sentence) for sentence in remarks]
        label = labels[row["label"].lower()]
        rows.append({"session": vlog, "participant": plain(person.get("speaker", f"vlog {vlog}")),
                     "gender": gender,
                     "split": SPLIT_WORDS[row["fold"].lower()], "score": label, "label": label,
                     "files": {part: paths[0] for part, paths in files.items()}})
    if len({row["label"] for row in rows}) == 1:
        terms, other = terms or privacy.terms(root), 1 - rows[0]["label"]
        count = sum(any(labels.get(row["label"].lower()) == other for row in by_id[vlog])
                    for vlog in by_id)
        few = privacy.few(count) if terms.truth is None else count
        fault = (f"all {few} that {table.name} lists are left out" if count else
                 f"{table.name} lists none; expected both classes")
        raise unusable(f"{root}: no usable vlog of class {other}: {fault}.", problems, terms)
    return Corpus(name, root, CLASS, rows, problems, modalities=MODALITIES,
                  needs=tuple(MODALITIES), terms=terms)


def _fault(listings, files, speaker_rows, labels, expected, table):
    """What bars a vlog, or nothing. listings, speaker_rows: its rows in the two tables."""
    missing = [where for part, where in expected.items() if part not in files]
    twice = [where for part, where in expected.items() if len(files.get(part, ())) > 1]
    if not listings:
        return (f"{table} has no row for it, so its label is unknown. "
                "Add the row, or remove the files.")
    if any(row != listings[0] for row in listings):
        return f"has rows that differ in {table}. Keep the right one."
    if missing:
        return (f"{table} lists it, but there is no {' and no '.join(missing)}. "
                "Finish the download, or remove the row.")
    if twice:
        return f"there is more than one {' and more than one '.join(twice)}. Keep the right one."
    if listings[0]["label"].lower() not in labels:
        silent = (" (DepMamba's loader counts anything else as normal, without a word)"
                  if "normal" in labels else "")
        return (f"its label is {listings[0]['label'][:20]!r}; "
                f"expected {' or '.join(list(labels)[:2])}{silent}. Correct {table}.")
    if listings[0]["fold"].lower() not in SPLIT_WORDS:
        return (f"its fold is {listings[0]['fold'][:20]!r}; expected train, valid or test. "
                f"Correct {table}.")
    if any(row != speaker_rows[0] for row in speaker_rows) or (
            speaker_rows and speaker_rows[0]["speaker"].lower() in UNTOLD):
        return f"has rows that differ, or name nobody, in {SPEAKERS}. Keep the right one."
    return ""


def _by_id(rows, table, arrays_by_id):
    """Rows of a table by their index, with or without the noughts that spreadsheets drop.

    -> mapping id -> its rows; problems of the whole corpus.
    """
    listed, alike, by_id, otherwise = {row["index"] for row in rows}, defaultdict(list), {}, set()
    for vlog in arrays_by_id.keys() - listed:
        alike[_bare(vlog)].append(vlog)
    for row in rows:
        index = row["index"]
        if index and index not in arrays_by_id and len(alike[_bare(index)]) == 1:
            (index,) = alike[_bare(index)]
            otherwise.add(index)
        by_id.setdefault(index, []).append(row | {"index": index})
    problems = []
    if otherwise:
        problems.append(("", table, f"{table.name}: {len(otherwise)} vlogs are listed without the "
                                    "noughts before their number, or with some behind; read as "
                                    "meant. Save the column index as text."))
    if by_id.pop("", None):
        problems.append(("", table, f"{table.name} has rows without index, which are not read. "
                                    "Complete or remove them."))
    return by_id, problems


def _bare(index):
    return plain(index).lstrip("0").casefold()


def _unused(root, arrays_by_id, expected):
    """A problem of the whole corpus: arrays that are of no vlog by their names."""
    used = {path for parts in arrays_by_id.values() for paths in parts.values() for path in paths}
    if others := [path for path in arrays(root) if path not in used]:
        places = " or ".join(to.partition(" ")[0].format("<id>") for to in expected.values())
        yield ("", others[0], f"{len(others)} files ending in .npy are no vlog's by their names "
                              f"or folders, and not read; expected {places}. "
                              "Rename, move or remove them.")


def _speakers(path, arrays_by_id):
    """-> mapping id -> its rows; problems of the whole corpus."""
    if not path.exists():
        return {}, [("", path, f"there is no {SPEAKERS}: every vlog counts as its own speaker, "
                               "and leakage between splits cannot be excluded. "
                               "Add it (index,speaker) if you know who speaks.")]
    rows = read_rows(path, ("index", "speaker"))
    speakers, problems = _by_id(rows, path, arrays_by_id)
    told = unread(rows[0], ("index", "speaker", "gender"), path.name)
    return speakers, problems + [("", path, told)][:bool(told)]


def together(acoustic, visual):
    """Sound and picture of one vlog, both cut to the shorter from the start.

    (Ta, Fa), (Tv, Fv) -> (T, Fa), (T, Fv).

    Raises
    ------
    ValueError
        When the lengths differ by more than TOLERANCE rows.
    """
    rows = min(len(acoustic), len(visual))
    if max(len(acoustic), len(visual)) - rows > TOLERANCE:
        raise ValueError(f"{len(acoustic)} rows of sound and {len(visual)} of picture; "
                         f"expected one a second of each, at most {TOLERANCE} apart. "
                         "Check that both are of this vlog, or leave it out.")
    return acoustic[:rows], visual[:rows]


def standardised(visual):
    """Each row to mean 0 and standard deviation 1 (ddof 0) over its 136 numbers, as in LMVD.

    x and y share one mean, so that where the face stands in the picture stays in the row; a
    constant row becomes zeros.

    Parameters
    ----------
    visual : (T, 136)

    Returns
    -------
    (T, 136) float64
    """
    visual = np.asarray(visual, float)
    centred, spread = visual - visual.mean(1, keepdims=True), visual.std(1, keepdims=True)
    varied = np.ptp(visual, axis=1, keepdims=True) > 0
    return np.divide(centred, spread, out=np.zeros_like(visual), where=varied)
