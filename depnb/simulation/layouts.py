"""Simulated corpora, written in the folder layout of the real ones.

A tree is complete when it holds `SIMULATED.json`: the generator's version, every argument, the planted truth, and a hash of
every file, by which the marker vouches for them and for no other.
The same arguments give the same bytes. Writing resumes after a kill, and two processes may ask for one tree.
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
from depnb.files import check_writable, content_hash, move_aside, settle, write_atomically
from depnb.simulation import face, interview, severity, vlog_corpus, voice

VERSION = 1                     # raise when the same arguments give other bytes
FOLDERS = {"train": "Training", "validation": "Development", "test": "Testing"}       # as the AVEC corpora name them


def avec2014_files(session, split):
    """Videos (by task) and label file of a session, relative to the root, as AVEC 2014 is distributed."""
    part = FOLDERS[split]
    videos = {task.lower(): f"AVEC2014_AudioVisual/Video/{part}/{task}/{session}_{task}_video.mp4"
              for task in ("Northwind", "Freeform")}
    label = (f"AVEC2014_Labels_Testset/Testing/DepressionLabels/{session}_Depression.csv" if split == "test"
             else f"AVEC2014_DepressionLabels/{part}_DepressionLabels/{session}_Depression.csv")
    return videos, label


def avec2013_files(session, split):
    """The one video and the label file of a session, relative to the root, as AVEC 2013 is distributed."""
    part = FOLDERS[split]
    return ({"interview": f"{part}_AudioVisual/{part}/{session}_cut_combined.mp4"},
            f"{part}_DepressionLabels/{session}_Depression.csv")


def simulate(layout, root, participants=None, seed=0, effect=1.0, seconds=None, size=160, fps=30, workers=-1,
             recorded=False):
    """Write a simulated corpus, unless `root` holds it already -> Path of the tree.

    layout avec2014, avec2013, speech_folder, daic_woz, dvlog or lmvd; effect scales how far severity moves the cues (0: not
    at all); seconds a video or recording (None: 5 for AVEC 2014, 12 for AVEC 2013, 10 for speech_folder, where lengths vary
    by a tenth), of a participant's speech in an interview (50 for daic_woz, varying by a quarter), or of half of the vlogs
    at most (480 for dvlog and lmvd); participants (None: 160 in videos, 110 voices, 240 interviews, 400 with two vlogs
    each); size of the square frames in pixels and fps: of videos only. recorded, of dvlog and lmvd: real sound and video,
    from which the arrays are extracted (None: 4 participants, about 45 s). Raises ValueError when `root` holds something
    else.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: depnb simulates {', '.join(LAYOUTS)}.")
    kind = LAYOUTS[layout]
    if recorded:
        if kind.write is not _write_vlogs:
            raise ValueError(f"layout {layout!r}: recorded is a choice of dvlog and lmvd only. Leave it out.")
        kind = RECORDED
    arguments = {"layout": layout, "participants": int(kind.participants if participants is None else participants),
                 "seed": int(seed), "effect": float(effect), "seconds": float(seconds or kind.seconds), "version": VERSION}
    if kind.video:
        arguments |= {"size": int(size), "fps": int(fps)}
    if recorded:
        arguments |= {"recorded": True}
    return write_tree(root, arguments, kind.write, workers)


def write_tree(root, arguments, write, workers):
    """Have a tree written by write(folder, arguments, workers) -> planted truth, unless `root` holds it -> Path of it.

    A tree whose marker does not list its files, as they were written before it did, is moved aside and written anew. Raises
    ValueError when `root` holds something else.
    """
    root = Path(root)
    check_writable(root.parent)             # at once; a lock would wait for some folders for ever
    with FileLock(root.with_name(f".{root.name}.lock")):
        if (root / MARKER).exists():
            try:
                told = json.loads((root / MARKER).read_text())
                other = differences(told.get("arguments", {}), arguments)
            except (ValueError, AttributeError, RecursionError):
                raise ValueError(f"{root / MARKER}: cannot be read. Choose another folder or remove this one.") from None
            if other:
                raise ValueError(f"{root}: holds another simulated corpus ({other}). Choose another folder or remove this "
                                 "one.")
            if "files" in told:
                return root
            print(f"{root.name} was written before {MARKER} vouched for every file: it is kept as {move_aside(root).name} "
                  "and written anew.")
        if root.is_symlink() or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
            raise ValueError(f"{root}: is not empty and not a simulated corpus. Choose another folder.")
        if root.exists():                   # now, not after minutes: it cannot be when the tree could not take its place
            root.rmdir()
        part = root.with_name(f".{root.name}.part")
        stamp = part / "arguments.json"
        if not stamp.exists() or json.loads(stamp.read_text()) != arguments:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            stamp.write_text(json.dumps(arguments))
        truth = write(part, arguments, workers)
        stamp.unlink()
        vouch(part, {"generator": GENERATOR, "arguments": arguments, **truth})
        settle(part, root)
    return root


def vouch(root, truth):
    """Write the marker: the planted truth, and the content of every file under `root` as it is now."""
    files = {p.relative_to(root).as_posix(): content_hash(p) for p in sorted(root.rglob("*"))
             if p.is_file() and p != root / MARKER}
    write_atomically(root / MARKER, json.dumps({**truth, "files": files}, indent=1, sort_keys=True))


def differences(written, asked):
    """What tells two sets of arguments apart, as words."""
    return ", ".join(f"{k} {written.get(k)!r} there, {asked.get(k)!r} asked" for k in {**asked, **written}
                     if written.get(k) != asked.get(k))


# The writers below draw their participants, unless they are given `people`: a table with their cues, as in `cohort`.


def _write_videos(files, root, arguments, workers, people=None):
    """Write all videos and labels under root -> the planted truth."""
    seed, fps, size = arguments["seed"], arguments["fps"], arguments["size"]
    cohort = severity.cohort(arguments["participants"], seed) if people is None else people
    cues = _cues(cohort, face.CUES, arguments, people)
    frames = round(arguments["seconds"] * fps)
    jobs, sessions, participants = [], {}, {}
    for (_, row), (_, cue) in zip(cohort.iterrows(), cues.iterrows(), strict=True):
        videos, label = files(row["session"], row["split"])
        (root / label).parent.mkdir(parents=True, exist_ok=True)
        (root / label).write_text(f"{row['bdi2']}\n")
        truth = {}
        for number, (task, name) in enumerate(sorted(videos.items())):
            key = [seed, *map(int, row["session"].split("_")), number]
            signal, events = face.signals(cue, task, frames, fps, np.random.default_rng([*key, 0]))
            truth[task] = {"file": name, "cue_frames": events}
            jobs.append((root / name, [seed, int(row["participant"])], signal, size, fps, [*key, 1]))
        items = {name: int(row[name]) for name in cohort.columns if name.startswith("phq8_")}
        sessions[row["session"]] = {"participant": int(row["participant"]), "split": row["split"],
                                    "severity": round(row["severity"], 6), "bdi2": int(row["bdi2"]), **items,
                                    "cues": cue.round(6).to_dict(), "videos": truth}
        participants[int(row["participant"])] = {
            "gender": row["gender"], "age": int(row["age"]),
            "face": face.identity(np.random.default_rng([seed, int(row["participant"]), 9]))["drawn"]}
    _work(_video, jobs, "simulated videos", workers)
    return {"cue_regions": face.CUE_REGIONS, "cue_regions_are": "indices of the 68-point landmark order",
            "sessions": sessions, "participants": participants}


def _write_voices(root, arguments, workers, people=None):
    """Write all recordings and participants.csv under root -> the planted truth."""
    seed = arguments["seed"]
    cohort = severity.case_control(arguments["participants"], seed) if people is None else people
    cues = _cues(cohort, voice.CUES, arguments, people)
    jobs, table, sessions, participants = [], [], {}, {}
    for (_, row), (_, cue) in zip(cohort.iterrows(), cues.iterrows(), strict=True):
        number, label = int(row["participant"]), int(row["phq8_total"] >= 10)
        rng = np.random.default_rng([seed, number, 9])
        person, place = voice.identity(row["gender"], rng), voice.conditions(rng)
        items = {name: int(row[name]) for name in cohort.columns if name.startswith("phq8_")}
        facts = {"gender": row["gender"], "age": int(row["age"])}
        participants[number] = {**facts, "severity": round(row["severity"], 6), "label": label, **items,
                                "cues": cue.round(6).to_dict(), "usual": person["usual"], "recording": place}
        for take in range(1, 3 + rng.integers(2)):
            file = f"voices_{label}/{number}_{take}.wav"
            rng_take = np.random.default_rng([seed, number, take])
            setting, moved = voice.controls(cue, person, rng_take)
            seconds = arguments["seconds"] * rng_take.uniform(0.9, 1.1)
            spoken = voice.phrases(setting, seconds, rng_take)
            jobs.append((root / file, setting, person, place, spoken, seconds, [seed, number, take, 1]))
            table.append({"file": file, "participant": number, **facts, "phq8_total": items["phq8_total"]})
            sessions[f"{number}_{take}"] = {
                "participant": number, "file": file, "seconds": seconds, "controls": setting, "moved": moved,
                "speech": spoken.round(4).tolist(), "pauses": np.c_[spoken[:-1, 1], spoken[1:, 0]].round(4).tolist()}
    pd.DataFrame(table).sort_values("file").to_csv(root / "participants.csv", index=False)
    _work(_voice, jobs, "simulated voices", workers)
    controls = {name: {**control._asdict(), "egemaps": voice.EGEMAPS[name]} for name, control in voice.CONTROLS.items()}
    return {"controls": controls, "sessions": sessions, "participants": participants}


def _write_interviews(root, arguments, workers, people=None):
    """Write all sessions and split tables under root -> the planted truth."""
    jobs, truth = interview.plan(root, arguments, people)
    _work(interview.write_session, jobs, "simulated interviews", workers)
    return truth


def _write_vlogs(root, arguments, workers, people=None):
    """Write the arrays and tables of all vlogs under root, their sound and video too if recorded -> the planted truth."""
    write, jobs, truth = vlog_corpus.plan(root, arguments, people)
    _work(write, jobs, "simulated vlogs", workers)
    return truth


def _cues(cohort, names, arguments, people):
    if people is not None:
        return people[[*names]]
    return severity.cues(cohort["severity"], names, arguments["effect"], np.random.default_rng([arguments["seed"], 2]))


def _work(write, jobs, what, workers):
    """Write the files (first of each job) that are not there yet, in several processes."""
    jobs = [job for job in jobs if not job[0].exists()]
    for _ in tqdm(Parallel(workers, return_as="generator_unordered")(delayed(write)(*job) for job in jobs), what, len(jobs),
                  delay=2, leave=False):
        pass


def _video(path, person, signal, size, fps, key):
    cv2.setNumThreads(1)        # the processes share the cores already
    path.parent.mkdir(parents=True, exist_ok=True)
    face.write_video(path, face.identity(np.random.default_rng([*person, 9])), signal, size, fps,
                     np.random.default_rng(key))


def _voice(path, setting, person, place, spoken, seconds, key):
    path.parent.mkdir(parents=True, exist_ok=True)
    voice.write_recording(path, setting, person, place, spoken, seconds, np.random.default_rng(key))


class Layout(NamedTuple):
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
