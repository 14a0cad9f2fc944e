"""DAIC-WOZ as distributed: interviews by a virtual interviewer, with PHQ-8 totals and items.

<id>_P/<id>_AUDIO.wav, <id>_TRANSCRIPT.csv,
<id>_P/<id>_CLNF_features3D.txt, _features.txt, _gaze.txt, _pose.txt, _AUs.txt
train_split_Depression_AVEC2017.csv, dev_split_…, test_split_… (no scores)
full_test_split.csv (totals)

A session is a participant. Folders and tables may lie in the root or below it; columns are found by
their names, whatever their case and with PHQ or PHQ8; empty rows are skipped.
"""

import re
from collections import Counter

import numpy as np

from depnb.corpora import privacy
from depnb.corpora.corpus import PHQ8, PHQ8_ITEMS, Corpus, gender_of
from depnb.corpora.readers import number as number_of
from depnb.corpora.readers import read_audio, read_columns, read_transcript
from depnb.files import below

ITEMS = [f"phq8_{name}" for name in PHQ8_ITEMS]
PARTS = {"AUDIO.wav": "audio", "TRANSCRIPT.csv": "transcript", "CLNF_features3D.txt": "keypoints",
         "CLNF_features.txt": "keypoints_2d", "CLNF_gaze.txt": "gaze", "CLNF_pose.txt": "pose",
         "CLNF_AUs.txt": "action_units"}
MODALITIES = {"visual": ("keypoints", "gaze"), "audio": ("audio",), "text": ("transcript",)}
NAMES = {name.lower(): part for name, part in PARTS.items()}
TABLES = {"train": r"train_split.*\.csv", "validation": r"dev_split.*\.csv",
          "test": r"(full_)?test_split.*\.csv"}
EXTENDED = r"\d+_(Transcript\.csv|(OpenFace2|BoAW|BoVW|CNN_|densenet201|vgg16).*)"     # E-DAIC

# What is known to be wrong with the corpus as released in 2016 and 2017, which names its tables so:
# its documentation, and Bailey & Plumbley 2021, whose program (daic_woz_process) corrects the
# times. A simulated tree, and any other release, has other people or times under these numbers.
KNOWN = "recording or transcript are known to be faulty, and are left out as others do."
RELEASE = "avec2017"
GENDER_CODES = {"0": "female", "1": "male"}
FAULTY = ("342", "394", "398", "460")
SHIFTED = {"318": 34.319917, "321": 3.8379167, "341": 6.1892, "362": 16.8582}      # seconds
INTERRUPTED = {"373": [395, 428], "444": [286, 387]}                                # seconds
NOTES = {"451": "the transcript lacks the interviewer's turns",
         "458": "the transcript lacks the interviewer's turns",
         "480": "the transcript lacks the interviewer's turns",
         "402": "the video ends two minutes before the sound"}


def open_daic_woz(root, terms=None):
    """DAIC-WOZ (Gratch et al. 2014) under `root`, on the PHQ-8.

    The eight items are further columns of `sessions`, NaN where no table gives them, as for the
    official test set. Sessions with a fault are left out and listed in `problems`, remarks on
    others too.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        There is no session or no split table.
    ValueError
        A table lacks a column.
    """
    if _extended(root):
        raise ValueError(f"{root}: holds E-DAIC, the extended corpus of AVEC 2019 (more people, "
                         "OpenFace 2 instead of CLNF, transcripts by speech recognition), "
                         "which depnb does not read. Give the folder of DAIC-WOZ.")
    folders, files, problems = _find(root)
    if not folders:
        raise FileNotFoundError(f"{root}: no session found in it or below (folders like 300_P). "
                                "Give the folder that holds the unpacked archives.")
    listed, more = _read_tables(root)
    problems += more
    rows, terms = [], terms or privacy.terms(root)
    real = terms.truth is None and any(RELEASE in table.lower() for rows_of in listed.values()
                                       for _, table, _ in rows_of)
    odd = folders.keys() & {*FAULTY, *SHIFTED, *INTERRUPTED, *NOTES}
    if terms.truth is None and not real and odd:
        problems.append(("", root,
                         f"{len(odd)} sessions have numbers that are in the errata of the release "
                         "whose tables are named …_AVEC2017.csv. No table here is, so no time is "
                         "moved and none is left out. Name the tables so if it is that release."))
    for session in sorted(listed.keys() | folders.keys(),
                          key=lambda name: (int(name) if name.isdecimal() else 0, name)):
        path, session_files = folders.get(session, root), files.get(session, {})
        fault, row, remarks = _one_session(session, listed.get(session), session in folders,
                                           session_files, real)
        problems += [(session, path, sentence) for sentence in ([fault] if fault else remarks)]
        if not fault:
            rows.append(row | {"files": session_files})
    unknown = sum(np.isnan(row[ITEMS[0]]) for row in rows)
    if unknown:
        problems.append(("", root,
                         f"{unknown} of {len(rows)} participants have a total but no item scores, "
                         "as in the official test set: they can be tested on their total, "
                         "not trained on. Keep fold at -1, or leave them out of training."))
    return Corpus("DAIC-WOZ", root, PHQ8, rows, problems, modalities=MODALITIES,
                  needs=("transcript",), terms=terms)


def _extended(root):
    """Whether these are files of E-DAIC, and none of DAIC-WOZ."""
    names = [path.name for path in below(root)]
    own = re.compile(r"\d+_(TRANSCRIPT\.csv|CLNF_\w+\.txt)")
    return (any(re.fullmatch(EXTENDED, name) for name in names)
            and not any(map(own.fullmatch, names)))


def _find(root):
    """Folders of sessions in the root or below, and their files by part; both by session.

    And problems.
    """
    folders, files, problems, times, astray = {}, {}, [], Counter(), []
    for path in sorted([root, *below(root)]):
        if (name := re.fullmatch(r"(\d+)_P", path.name.upper())) and path.is_dir():
            folders.setdefault(name[1], path)
        elif ((name := re.fullmatch(r"(\d+)_(.+)", path.name)) and path.is_file()
              and name[2].lower() in NAMES):
            if path.parent.name.upper() != f"{name[1]}_P":
                astray.append(path)
                continue
            part = NAMES[name[2].lower()]
            files.setdefault(name[1], {}).setdefault(part, path)
            times[name[1], part] += 1
    if astray:
        problems.append(("", astray[0], f"{len(astray)} files lie in no folder of their session, "
                                        "as …_AUDIO.wav outside of …_P, and are not read. "
                                        "Move or remove them."))
    problems += [(session, files[session][part], f"its {part} exists {count} times; the first is "
                  "read. Keep the right one.")
                 for (session, part), count in times.items() if count > 1]
    return folders, files, problems


def unlisted(root):
    """Sessions with a transcript under `root`, whether or not a table lists them.

    For prediction, where nobody knows the scores; `root` may be one session's folder.

    Returns
    -------
    dict, as of `interviews`, without errata
    """
    parts = ("transcript", "audio", "keypoints", "gaze")
    return {session: {part: files.get(part) for part in parts} | {"shift": 0.0, "skip": ()}
            for session, files in _find(root)[1].items() if "transcript" in files}


def interviews(corpus):
    """What `features.interview.extract` needs of every session.

    Returns
    -------
    dict session -> files by part (transcript, audio, keypoints, gaze), shift and skip in seconds
    """
    files = corpus.files()
    return {s: {part: files.get(f"{s}/{part}")
                for part in ("transcript", "audio", "keypoints", "gaze")} | corpus[s].timing
            for s in corpus.sessions["session"]}


def _read_tables(root):
    """The split tables -> mapping participant -> list of (split, table, row by column); problems.

    A participant is a number, 320 or 320_P; other rows, as totals at the foot, are not read.
    """
    listed, problems, paths = {}, [], below(root)
    for split, pattern in TABLES.items():
        for path in paths:
            if not re.fullmatch(pattern, path.name, re.IGNORECASE):
                continue
            passed = 0
            for row in _read_table(path):
                person = re.fullmatch(r"0*(\d+)(?:_P)?", row["participant_id"], re.IGNORECASE)
                if person:
                    listed.setdefault(person[1], []).append(
                        (split, path.name, row | {"participant_id": person[1]}))
                passed += not person
            if passed:
                problems.append(("", path, f"{path.name}: {passed} rows whose Participant_ID is no "
                                           "number are not read (a total at the foot?). "
                                           "Correct or remove them."))
    if problems and not listed:
        raise ValueError(f"{problems[0][1]}: has no row whose Participant_ID is a number. "
                         "Copy it again.")
    if not listed:
        raise FileNotFoundError(f"{root}: no split table found in it or below. Expected "
                                "full_test_split.csv and train_split_Depression_AVEC2017.csv, "
                                "dev_split_Depression_AVEC2017.csv.")
    return listed, problems


def _read_table(path):
    """Rows of one table as dicts; columns in lower case, phq8_ for phq_, empty rows skipped."""
    table = read_columns(path)
    table.columns = [re.sub(r"^phq_", "phq8_", re.sub(r"\W", "", c).lower()) for c in table]
    if not {"participant_id", "gender"} <= set(table):
        raise ValueError(f"{path}: lacks Participant_ID or Gender; expected these columns and, "
                         "unless it is test_split_…, PHQ8_Score. Copy it again.")
    table = table.replace(r"^(\d+)[.,]0+$", r"\1", regex=True)
    table["gender"] = [cell and gender_of(cell, GENDER_CODES)[0] for cell in table["gender"]]
    return table[table["participant_id"] != ""].to_dict("records")


def _one_session(session, listed, folder, files, real):
    """-> what bars a session or "", its row, remarks."""
    if not listed:
        return (f"the folder {session}_P has no row in a split table, so its score is unknown. "
                "Add the table that lists it, or remove the folder."), None, []
    if not folder:
        return (f"{listed[0][1]} lists {session}, but there is no folder {session}_P. "
                "Finish the download.", None, [])
    if real and session in FAULTY:
        return KNOWN, None, []
    if "transcript" not in files:
        return (f"there is no {session}_TRANSCRIPT.csv in {session}_P. "
                "Copy it again from the corpus.", None, [])
    splits = {split for split, _, _ in listed}
    if len(splits) > 1:
        return (f"listed in {' and '.join(sorted(name for _, name, _ in listed))}. "
                "Keep the right row.", None, [])
    facts, clash = {}, set()
    for _, _, row in listed:  # test_split_… and full_test_split.csv complete each other
        clash |= {c for c, cell in row.items() if cell and facts.get(c, cell) != cell}
        facts |= {c: cell for c, cell in row.items() if cell}
    if clash:
        return f"has rows that differ in {', '.join(sorted(clash))}. Keep the right one.", None, []
    fault, score, items, remarks = _scores(facts)
    if fault:
        return fault, None, []
    gender = facts.get("gender", "unknown")
    if gender == "unknown":
        remarks.append("the table gives no gender of 0 (female) or 1 (male); it counts as unknown.")
    for modality, parts in MODALITIES.items():
        missing = [part for part in parts if part not in files]
        if missing:
            names = [name for name, part in PARTS.items() if part in missing]
            remarks.append(f"there is no {session}_{f' and no {session}_'.join(names)}; "
                           f"the {modality} modality is missing.")
    row = {"session": session, "participant": session, "gender": gender, "split": splits.pop(),
           "score": score, **dict(zip(ITEMS, items, strict=True))}
    if real:
        row["timing"], corrections = _timing(session, files)
        remarks += [f"{NOTES[session]}."] if session in NOTES else []
        remarks += corrections
    return "", row, remarks


def _timing(session, files):
    """What the errata say of a session's times, where its recording is long enough; remarks."""
    shift, skip = SHIFTED.get(session, 0.0), INTERRUPTED.get(session)
    if not shift and not skip:
        return {"shift": 0.0, "skip": []}, []
    try:
        samples, rate = read_audio(files["audio"])
        length = len(samples) / rate
        end = skip[1] if skip else read_transcript(files["transcript"])["stop"].max() + shift
    except (KeyError, ValueError, OSError):
        length, end = 0.0, 0.0                      # nothing to compare with: as the errata say
    if end > length + 2:
        return {"shift": 0.0, "skip": []}, [
            "the errata of the release would move or skip times beyond the end of its recording, "
            "so it is another one: none is applied. Check the session."]
    return {"shift": shift, "skip": [skip] if skip else []}, [
        "an interruption of the interview is skipped." if skip
        else "the transcript's times are shifted to fit the recording."]


def _scores(facts):
    """PHQ-8 of a participant -> fault or "", total, eight items (NaN: unknown), remarks."""
    def number(column):
        return number_of(facts.get(column, ""))

    remarks, total, binary = [], number("phq8_score"), number("phq8_binary")
    if np.isnan(total):
        return ("no table gives a PHQ-8 total. Add full_test_split.csv, or complete the row.",
                total, [], [])
    if not (PHQ8.low <= total <= PHQ8.high and total % 1 == 0):
        return (f"the PHQ-8 total is {total:g}; it is a whole number from {PHQ8.low} to "
                f"{PHQ8.high}. Correct the table.", total, [], [])
    items = np.array([number("phq8_" + item.removeprefix("phq8_").replace("_", ""))
                      for item in ITEMS])
    if np.isnan(items).sum() == 1:
        items[np.isnan(items)] = total - np.nansum(items)
        remarks.append("one item score is missing in the table; it follows from the total.")
    known = items[~np.isnan(items)]
    if not np.isin(known, [0, 1, 2, 3]).all():
        return ("an item score is not 0, 1, 2 or 3, or the total leaves a missing one no such "
                "value. Correct the table.", total, [], [])
    if len(known) == len(items) and known.sum() != total:
        return (f"the item scores sum to {known.sum():g}, the total is {total:g}. "
                "Correct the table.", total, [], [])
    if 0 < len(known) < len(items):
        remarks.append(f"{len(items) - len(known)} item scores are missing; none is used.")
        items[:] = np.nan
    if not np.isnan(binary) and binary != (total >= PHQ8.cutoff):
        remarks.append(f"the table calls the participant {'' if binary else 'not '}depressed, "
                       f"but the total of {total:g} says otherwise (cut-off {PHQ8.cutoff}). "
                       "The total counts.")
    return "", total, items, remarks
