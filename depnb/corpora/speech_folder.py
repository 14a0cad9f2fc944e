"""A folder of recordings by class, as the CFRAFN repository expects it, and who speaks in them.

<anything>_<label>/…/<recording>      label 0 (control) or 1 (depressed); WAV, FLAC, MP3, OGG, M4A,
                                      or a video, of which the sound is read
participants.csv                      file,participant and optionally gender,phq8_total

A session is one recording. Its label is its folder's. Participants, which the repository does not
ask for, come from the table, one row a recording, or from the file names.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd

from depnb.corpora import privacy
from depnb.corpora.corpus import CLASS, PHQ8, Corpus, equal_files, gender_of, unusable
from depnb.corpora.readers import (
    AUDIO,
    UNTOLD,
    VIDEOS,
    accompanied,
    number,
    plain,
    read_columns,
    spelled,
    spelled_alike,
    unread,
)
from depnb.files import below

TABLE = "participants.csv"
COLUMNS = ("file", "participant", "gender", "phq8_total", "age")


def open_speech_folder(root, pattern=None, terms=None):
    r"""Recordings by class under `root`, without official split.

    The scale is PHQ-8 where the table has phq8_total, else the class. What is left out is listed in
    `problems`.

    Parameters
    ----------
    root : path
    pattern : str, optional
        Regular expression, searched in each file name, whose first group is the participant, as
        r"^(\d+)_"; without one, participants.csv says who speaks; without either, every recording
        counts as a participant, and `problems` says so.
    terms : privacy.Terms, optional

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        There is no recording.
    ValueError
        There is one class only, or the table or pattern cannot be used.
    """
    root = Path(root)
    recordings, problems = _find(root)
    if not recordings:
        raise unusable(f"{root}: no recording found ({len(problems)} files left out). "
                       "Expected folders named like voices_0 (controls) and voices_1 "
                       "(depressed) that hold WAV, FLAC, MP3, OGG or M4A files.",
                       [(file, path, f"{file} {sentence}") for file, path, sentence in problems],
                       terms or privacy.terms(root), kind=FileNotFoundError)
    if pattern:
        people, faults = _by_pattern(pattern, recordings)
    elif (table := spelled(root, TABLE)).exists():
        people, faults = _by_table(table, recordings)
    else:
        people, faults = {file: {"participant": file} for file in recordings}, [
            ("", root, f"no {TABLE} and no pattern for file names: every recording counts as its "
                       "own participant, and leakage between splits cannot be excluded. "
                       "Add one of them.")]
    labels = Counter(label for _, label in recordings.values())
    recordings, copies = _without_copies(recordings, people)
    problems += faults + copies
    stems = Counter(path.stem for path, _ in recordings.values())
    names = {file: path.stem if stems[path.stem] == 1 else file.replace("/", ":")
             for file, (path, _) in recordings.items()}
    problems += [(file, path, "shares its name with another recording; they are kept apart. "
                              "Rename one: the authors' program mixes them up.")
                 for file, (path, _) in recordings.items() if stems[path.stem] > 1]
    rows = [{"session": names[file], "score": label, "label": label, "files": {"recording": path}}
            | people[file] for file, (path, label) in recordings.items() if file in people]
    problems += [("", root, sentence) for sentence in _contradictions(rows)]
    problems = [(name := names.get(file, file), path, f"{name} {sentence}".strip())
                for file, path, sentence in problems]
    if len({row["label"] for row in rows}) == 1:
        terms, other = terms or privacy.terms(root), 1 - rows[0]["label"]
        count = privacy.few(labels[other]) if terms.truth is None else labels[other]
        fault = (f"all {count} in its folder are left out" if labels[other] else
                 f"none lies in a folder whose name ends in _{other}, as voices_{other}")
        raise unusable(f"{root}: no usable recording of class {other}: {fault}.", problems, terms)
    scale = PHQ8 if "phq8_total" in next(iter(people.values()), {}) else CLASS
    for row in rows:
        row["score"] = row.pop("phq8_total", row["score"])
    return Corpus("speech folder", root, scale, rows, problems, terms=terms)


def split_by_file(corpus):
    """The authors' split: 60 / 20 / 20 % of the recordings, whoever speaks in them.

    Recordings in the order of their paths (the authors': of the file system) are shuffled and split
    twice, stratified by class, random_state 42 throughout (CFRAFN, code/main.py:70-88). People may
    stand on both sides; `corpus.split` is for honest numbers.

    Returns
    -------
    Series by session

    Raises
    ------
    ValueError
        A class has fewer than five recordings.
    """
    from sklearn.model_selection import train_test_split  # not at the top: it takes 75 MB

    files = corpus.files()
    order = [recording.rpartition("/")[0] for recording in sorted(files, key=files.get)]
    label = corpus.sessions.set_index("session")["label"][order].sample(frac=1, random_state=42)
    count = label.value_counts()
    if count.min() < 5:
        raise ValueError(f"{corpus.name}: {count.min()} recordings of class {count.idxmin()}; "
                         "a split by file needs 5.")
    train, rest = train_test_split(list(label.index), test_size=0.4, stratify=label,
                                   random_state=42)
    validation, _ = train_test_split(rest, test_size=0.5, stratify=label[rest], random_state=42)
    split = pd.Series("test", index=corpus.sessions["session"], name="split")
    split[train], split[validation] = "train", "validation"
    return split


# The functions below name a recording by its path relative to the root, and a problem as
# (recording, path, sentence without its subject), recording "" for the whole corpus.


def _find(root):
    """All recordings in class folders -> recording -> (path, label); problems."""
    recordings, problems = {}, []
    paths = [path for path in below(root) if path.is_file()]
    besides = accompanied(paths)
    for path in paths:
        parts, kind = path.relative_to(root).parts, path.suffix.lower()
        file, folder = "/".join(parts), parts[0] if len(parts) > 1 else ""
        label = re.fullmatch(r".*_([01])\s*", folder)
        if path in besides:
            problems.append((file, path, "is passed over: a sound file of its name lies beside it. "
                                         "Remove one of them."))
        elif kind in (*AUDIO, *VIDEOS) and label:
            recordings[file] = (path, int(label[1]))
        elif kind in (*AUDIO, *VIDEOS):
            problems.append((file, path, "lies in no folder whose name ends in _0 or _1, "
                                         "the label. Move it, or rename the folder."))
        elif label:
            problems.append((file, path, "is no WAV, FLAC, MP3, OGG or M4A file, nor another that "
                                         "is read. Remove or convert it."))
    return recordings, problems


def _by_pattern(pattern, recordings):
    """Participants from file names -> recording -> facts; problems."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern {pattern!r}: is no regular expression ({error}). "
                         "Correct it.") from None
    if not compiled.groups:
        raise ValueError(f"pattern {pattern!r}: has no group. "
                         r"Put what names the participant in brackets, as in '^(\d+)_'.")
    matches = {file: compiled.search(path.name) for file, (path, _) in recordings.items()}
    people = {file: {"participant": match[1]}
              for file, match in matches.items() if match and match[1]}
    return people, [(file, path, "does not fit the pattern; its participant is unknown. "
                                 "Rename it, or change the pattern.")
                    for file, (path, _) in recordings.items() if file not in people]


def _by_table(table, recordings):
    """Participants, gender and scores from participants.csv -> recording -> facts; problems."""
    listed = read_columns(table)
    if not {"file", "participant"} <= set(listed.columns):
        raise ValueError(f"{table}: lacks the column file or participant; expected "
                         "file,participant and optionally gender,phq8_total. Add the header.")
    told = unread(listed.columns, COLUMNS, table.name)
    listed = listed[[c for c in COLUMNS[:4] if c in listed]]
    alike, people, problems = defaultdict(list), {}, [("", table, told)][:bool(told)]
    for file, (path, _) in recordings.items():
        for spelling in {spelled_alike(file), spelled_alike(path.name)}:
            alike[spelling].append(file)

    def named(file):
        candidates = alike.get(spelled_alike(file), ())
        return candidates[0] if len(candidates) == 1 and file not in recordings else file

    for name, rows in listed.groupby(listed["file"].map(named), sort=False):
        fact = rows.iloc[0].drop("file").to_dict()
        if name not in recordings:
            fault = ("more than one such recording. Write it with its folder."
                     if spelled_alike(name) in alike
                     else "no such recording. Add it, or remove the row.")
            problems.append((name or "a row without file", table,
                             f"is listed in {TABLE}, but there is {fault}"))
        elif fault := _fault(fact, rows):
            problems.append((name, recordings[name][0], f"{fault}. Correct {TABLE}."))
        else:
            if "phq8_total" in fact:
                fact["phq8_total"] = number(fact["phq8_total"])
            if "gender" in fact:
                fact["gender"], remark = gender_of(fact["gender"])
                problems += [(name, table, remark)] if remark else []
            people[name] = fact | {"participant": plain(fact["participant"])}
            if len(rows) > 1:
                problems.append((name, table, f"has {len(rows)} equal rows in {TABLE}; read once. "
                                              "Remove the others."))
    told = {file for file, _, _ in problems} | people.keys()
    problems += [(file, path, f"has no row in {TABLE}, so its participant is unknown. "
                              "Add one, or remove the recording.")
                 for file, (path, _) in recordings.items() if file not in told]
    return people, problems


def _fault(fact, rows):
    """What is wrong with the row or rows of one recording, or nothing."""
    if len(rows.drop(columns="file").drop_duplicates()) > 1:
        return f"has {len(rows)} rows that differ; expected one"
    if fact["participant"].lower() in UNTOLD:
        return "has a row without participant"
    score = number(fact.get("phq8_total", "0"))
    if not PHQ8.low <= score <= PHQ8.high:
        return (f"has the phq8_total {fact['phq8_total'][:20]!r}; "
                f"expected a number from {PHQ8.low} to {PHQ8.high}")
    return ""


def _without_copies(recordings, people):
    """Recordings of equal content once, or not at all if of both classes or two people; problems.

    people : mapping recording -> facts, as far as they are known
    """
    files, out, copies = {path: file for file, (path, _) in recordings.items()}, {}, {}
    for paths in equal_files(files):
        # one that the table lists comes first, and stays
        names = sorted((files[path] for path in paths), key=lambda name: name not in people)
        kinds = {recordings[name][1] for name in names}
        owners = {people[name]["participant"] for name in names if name in people} - {*names}
        if len(kinds) > 1 or len(owners) > 1:
            what = "the other class" if len(kinds) > 1 else "another participant"
            out |= dict.fromkeys(names, f"has the same content as a recording of {what}; neither "
                                        "is used. Keep the right one.")
        else:
            copies[names[0]] = "has copies, which are not used. Make sure that it is the right one."
            out |= dict.fromkeys(names[1:], "has the same content as a recording of its class, "
                                            "which is used. Remove one.")
    problems = [(file, recordings[file][0], sentence)
                for file, sentence in (out | copies).items()]
    return {file: recording for file, recording in recordings.items() if file not in out}, problems


def _contradictions(rows):
    """Sentences about labels, scores and participants that do not go together."""
    table = pd.DataFrame(rows, columns=["participant", "label", "phq8_total"])
    both = (table.groupby("participant")["label"].nunique() > 1).sum()
    if both:
        yield (f"{both} participants have recordings in both classes. "
               "Correct their names, unless they fell ill or recovered between recordings.")
    scored = table[table["phq8_total"].notna()]
    against = ((scored["phq8_total"] >= PHQ8.cutoff) != scored["label"]).sum()
    if against:
        yield (f"{against} recordings lie in the folder of one class and have the PHQ-8 total of "
               f"the other (cut-off {PHQ8.cutoff}). The folder counts.")
