"""Simulated corpora, written in the folder layout of the real ones.

A tree is complete when it holds `SIMULATED.json`: the generator's version, every argument, the
planted truth, and a hash of every file, by which the marker vouches for them and for no other.
The same arguments give the same bytes. Writing resumes after a kill, and two processes may ask for
one tree.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import Parallel, delayed
from tqdm import tqdm

from depnb.corpora.privacy import GENERATOR, MARKER
from depnb.corpora.simulated import VERSION, checked_effect, outdated
from depnb.files import check_writable, content_hash, move_aside, settle, write_atomically
from depnb.simulation import face, interview, severity, vlog_corpus, voice

SHORTEST, SMALLEST = 0.5, 32    # seconds of a recording, pixels of a frame
# as the AVEC corpora name them
FOLDERS = {"train": "Training", "validation": "Development", "test": "Testing"}


def avec2014_files(session, split):
    """Videos (by task) and label file of a session, relative to the root, as in AVEC 2014."""
    part = FOLDERS[split]
    videos = {task.lower(): f"AVEC2014_AudioVisual/Video/{part}/{task}/{session}_{task}_video.mp4"
              for task in ("Northwind", "Freeform")}
    label = (f"AVEC2014_Labels_Testset/Testing/DepressionLabels/{session}_Depression.csv"
             if split == "test"
             else f"AVEC2014_DepressionLabels/{part}_DepressionLabels/{session}_Depression.csv")
    return videos, label


def avec2013_files(session, split):
    """The one video and the label file of a session, relative to the root, as in AVEC 2013."""
    part = FOLDERS[split]
    return ({"interview": f"{part}_AudioVisual/{part}/{session}_cut_combined.mp4"},
            f"{part}_DepressionLabels/{session}_Depression.csv")


def simulate(layout, root, participants=None, seed=0, effect=1.0, seconds=None, size=160, fps=30,
             workers=-1, recorded=False, sample="study"):
    """Write a simulated corpus, unless `root` holds it already.

    Parameters
    ----------
    layout : str
        avec2014, avec2013, speech_folder, daic_woz, dvlog or lmvd.
    root : path
    participants : int, optional
        160 in videos, 110 voices, 240 interviews, 400 with two vlogs each, 4 when recorded.
    seed : int
    effect : float from 0 to 3, or "literature"
        How far severity moves the cues: not at all, by `effects.EASY` at 1, as published.
    seconds : float, optional
        Of a video (5 for AVEC 2014, 12 for AVEC 2013); of a recording (10, varying by a tenth); of
        a participant's speech in an interview (50, varying by a quarter); that half of the vlogs
        reach at most (480; recorded: about 45).
    size, fps : int
        Side of the square frames in pixels and their rate, of videos only.
    workers : int
        Processes; -1 uses every core.
    recorded : bool
        Of dvlog and lmvd: real sound and video, from which the arrays are extracted.
    sample : str
        Who takes part: study (as the corpora recruited), general or clinical.

    Returns
    -------
    Path of the tree

    Raises
    ------
    ValueError
        An unknown layout, sample or effect, `recorded` of another layout, too few participants
        or seconds, a negative seed, or `root` holds something else.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: depnb simulates {', '.join(LAYOUTS)}.")
    effect = checked_effect(effect)
    if sample not in severity.SAMPLES:
        raise ValueError(f"sample {sample!r}: choose {', '.join(severity.SAMPLES)}.")
    kind = LAYOUTS[layout]
    if recorded:
        if kind.write is not _write_vlogs:
            raise ValueError(f"layout {layout!r}: recorded is a choice of dvlog and lmvd only. "
                             "Leave it out.")
        kind = RECORDED
    seconds = kind.seconds if seconds is None else float(seconds)
    if not SHORTEST <= seconds < float("inf"):
        raise ValueError(f"seconds: {seconds:g}. Expected a number of at least {SHORTEST:g}; "
                         f"leave it out for {kind.seconds:g}.")
    if seed < 0:
        raise ValueError(f"seed: {seed}. Expected 0 or more.")
    if size < SMALLEST:
        raise ValueError(f"size: {size}. Expected at least {SMALLEST} pixels.")
    arguments = {"layout": layout,
                 "participants": int(kind.participants if participants is None else participants),
                 "seed": int(seed), "effect": effect, "sample": sample,
                 "seconds": seconds, "version": VERSION}
    if kind.video:
        arguments |= {"size": int(size), "fps": int(fps)}
    if recorded:
        arguments |= {"recorded": True}
    return write_tree(root, arguments, kind.write, workers)


def write_tree(root, arguments, write, workers):
    """Have a tree written, unless `root` holds it.

    A tree whose marker does not list its files, as they were written before it did, is moved aside
    and written anew.

    Parameters
    ----------
    root : path
    arguments : dict
    write : function of (folder, arguments, workers) -> planted truth
    workers : int

    Returns
    -------
    Path of the tree

    Raises
    ------
    ValueError
        `root` holds something else.
    """
    root = Path(root)
    check_writable(root.parent)             # at once; a lock would wait for some folders for ever
    with FileLock(root.with_name(f".{root.name}.lock")):
        if (root / MARKER).exists():
            try:
                told = json.loads((root / MARKER).read_text())
                old = outdated(root, told["arguments"])
                other = differences(told["arguments"], arguments)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise ValueError(f"{root / MARKER}: cannot be read. "
                                 "Choose another folder or remove this one.") from None
            if old:
                raise ValueError(old)
            if other:
                raise ValueError(f"{root}: holds another simulated corpus ({other}). "
                                 "Choose another folder or remove this one.")
            if "files" in told:
                return root
            print(f"{root.name} was written before {MARKER} vouched for every file: "
                  f"it is kept as {move_aside(root).name} and written anew.")
        if root.is_symlink() or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
            raise ValueError(f"{root}: is not empty and not a simulated corpus. "
                             "Choose another folder.")
        # now, not after minutes: it cannot be when the tree could not take its place
        if root.exists():
            root.rmdir()
        part = root.with_name(f".{root.name}.part")
        stamp = part / "arguments.json"
        if not stamp.exists() or json.loads(stamp.read_text()) != arguments:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            stamp.write_text(json.dumps(arguments))
        try:
            truth = write(part, arguments, workers)
        except ValueError:                  # of arguments, before anything was written
            if [*part.iterdir()] == [stamp]:
                shutil.rmtree(part)
            raise
        stamp.unlink()
        vouch(part, {"generator": GENERATOR, "arguments": arguments, **truth})
        settle(part, root)
    return root


def vouch(root, truth):
    """Write the marker: the planted truth, and the content of every file under `root`."""
    files = {p.relative_to(root).as_posix(): content_hash(p) for p in sorted(root.rglob("*"))
             if p.is_file() and p != root / MARKER}
    write_atomically(root / MARKER, json.dumps({**truth, "files": files}, indent=1, sort_keys=True))


def differences(written, asked):
    """What tells two sets of arguments apart, as words."""
    return ", ".join(f"{k} {written.get(k)!r} there, {asked.get(k)!r} asked"
                     for k in {**asked, **written} if written.get(k) != asked.get(k))


# The writers below draw their participants, unless they are given `people`: a table with their
# cues, as in `cohort`.


def _write_videos(files, root, arguments, workers, people=None):
    """Write all videos and labels under root -> the planted truth."""
    seed, fps, size = arguments["seed"], arguments["fps"], arguments["size"]
    cohort = severity.cohort(arguments["participants"], seed,
                             sample=arguments["sample"]) if people is None else people
    cues, planted = _cues(cohort, face.CUES, arguments, people)
    frames = round(arguments["seconds"] * fps)
    jobs, sessions, participants = [], {}, {}
    for (_, row), (_, cue) in zip(cohort.iterrows(), cues.iterrows(), strict=True):
        videos, label = files(row["session"], row["split"])
        (root / label).parent.mkdir(parents=True, exist_ok=True)
        (root / label).write_text(f"{row['bdi2']}\n")
        truth, films = {}, []
        for number, (task, name) in enumerate(sorted(videos.items())):
            key = [seed, *map(int, row["session"].split("_")), number]
            signal, events = face.signals(cue, task, frames, fps, np.random.default_rng([*key, 0]))
            truth[task] = {"file": name, "cue_frames": events}
            films.append((root / name, signal, [*key, 1]))
        who = [seed, int(row["participant"]), 9]
        jobs.append((films[-1][0], who, face.looks(row), films, size, fps))
        items = severity.scores(row)
        sessions[row["session"]] = {"participant": int(row["participant"]), "split": row["split"],
                                    "severity": round(row["severity"], 6), "bdi2": int(row["bdi2"]),
                                    **items, "cues": cue.round(6).to_dict(), "videos": truth}
        participants[int(row["participant"])] = {
            "gender": row["gender"], "age": int(row["age"]),
            "face": face.identity(np.random.default_rng(who), **face.looks(row)).drawn}
    _work(_videos, jobs, "simulated videos", workers)
    return {"planted": planted, "cue_regions": face.CUE_REGIONS,
            "cue_regions_are": "indices of the 68-point landmark order",
            "sessions": sessions, "participants": participants}


def _write_voices(root, arguments, workers, people=None):
    """Write all recordings and participants.csv under root -> the planted truth."""
    seed = arguments["seed"]
    cohort = severity.case_control(arguments["participants"], seed,
                                   sample=arguments["sample"]) if people is None else people
    cues, planted = _cues(cohort, voice.CUES, arguments, people, severity.HEALTHY)
    jobs, table, sessions, participants = [], [], {}, {}
    for (_, row), (_, cue) in zip(cohort.iterrows(), cues.iterrows(), strict=True):
        number, label = int(row["participant"]), int(row["phq8_total"] >= 10)
        rng = np.random.default_rng([seed, number, 9])
        person, place = voice.identity(row["gender"], rng), voice.conditions(rng)
        items = severity.scores(row)
        facts = {"gender": row["gender"], "age": int(row["age"])}
        participants[number] = {**facts, "severity": round(row["severity"], 6), "label": label,
                                **items, "cues": cue.round(6).to_dict(), "usual": person["usual"],
                                "recording": place}
        for take in range(1, 3 + rng.integers(2)):
            file = f"voices_{label}/{number}_{take}.wav"
            rng_take = np.random.default_rng([seed, number, take])
            setting, moved = voice.controls(cue, person, rng_take)
            seconds = arguments["seconds"] * rng_take.uniform(0.9, 1.1)
            spoken = voice.phrases(setting, seconds, rng_take)
            jobs.append((root / file, setting, person, place, spoken, seconds,
                         [seed, number, take, 1]))
            table.append({"file": file, "participant": number, **facts,
                          "phq8_total": items["phq8_total"]})
            sessions[f"{number}_{take}"] = {
                "participant": number, "file": file, "seconds": seconds, "controls": setting,
                "moved": moved, "speech": spoken.round(4).tolist(),
                "pauses": np.c_[spoken[:-1, 1], spoken[1:, 0]].round(4).tolist()}
    pd.DataFrame(table).sort_values("file").to_csv(root / "participants.csv", index=False)
    _work(_voice, jobs, "simulated voices", workers)
    return {"planted": planted, "controls": voice.TRUTH, "sessions": sessions,
            "participants": participants}


def _write_interviews(root, arguments, workers, people=None):
    """Write all sessions and split tables under root -> the planted truth."""
    jobs, truth = interview.plan(root, arguments, people)
    _work(interview.write_session, jobs, "simulated interviews", workers)
    return truth


def _write_vlogs(root, arguments, workers, people=None):
    """Write arrays and tables of all vlogs under root (recorded: sound and video too) -> truth."""
    write, jobs, truth = vlog_corpus.plan(root, arguments, people)
    _work(write, jobs, "simulated vlogs", workers)
    return truth


def _cues(cohort, names, arguments, people, highest=severity.MOST):
    """Latent cues, and Cohen's d by name; of a `cohort` the table of its root tells d."""
    if people is not None:
        return people[[*names]], {}
    return severity.cues(cohort, names, arguments["effect"], arguments["seed"],
                         (arguments["sample"], highest))


def _work(write, jobs, what, workers):
    """Write the files (first of each job) that are not there yet, in several processes."""
    jobs = [job for job in jobs if not job[0].exists()]
    parallel = Parallel(workers, return_as="generator")
    done = parallel(delayed(write)(*job) for job in jobs)
    for _ in tqdm(done, what, len(jobs), delay=2, leave=False):
        pass


def _videos(_, who, looks, films, size, fps):
    """The videos of one session, of a person who is made once."""
    cv2.setNumThreads(1)        # the processes share the cores already
    person = face.identity(np.random.default_rng(who), **looks)
    for path, signal, key in films:
        if path.exists():                   # of a writing that was interrupted
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        face.write_video(path, person, signal, size, fps, np.random.default_rng(key))


def _voice(path, setting, person, place, spoken, seconds, key):
    path.parent.mkdir(parents=True, exist_ok=True)
    voice.write_recording(path, setting, person, place, spoken, seconds, np.random.default_rng(key))


class Layout(NamedTuple):
    """How a layout is written, and how much of it by default."""
    write: Callable             # (root, arguments, workers, people) -> the planted truth
    participants: int           # by default
    seconds: float              # of a video or recording by default
    video: bool = True


LAYOUTS = {"avec2014": Layout(partial(_write_videos, avec2014_files), 160, 5.0),
           "avec2013": Layout(partial(_write_videos, avec2013_files), 160, 12.0),
           "speech_folder": Layout(_write_voices, 110, 10.0, video=False),
           "daic_woz": Layout(_write_interviews, 240, 50.0, video=False),
           "dvlog": Layout(_write_vlogs, 400, 480.0, video=False),
           "lmvd": Layout(_write_vlogs, 400, 480.0, video=False)}
RECORDED = Layout(_write_vlogs, 4, 45.0)
