"""Simulated corpora, written in the folder layout of the real ones.

A tree is complete when it holds `SIMULATED.json`: the generator's version, every argument, and the planted truth.
The same arguments give the same bytes. Writing resumes after a kill, and two processes may ask for one tree.
"""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock
from joblib import Parallel, delayed
from tqdm import tqdm

from depnb.simulation import face, severity

MARKER = "SIMULATED.json"
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


LAYOUTS = {"avec2014": (avec2014_files, 5.0), "avec2013": (avec2013_files, 12.0)}       # files, seconds a video


def simulate(layout, root, participants=160, seed=0, effect=1.0, seconds=None, size=160, fps=30, workers=-1):
    """Write a simulated corpus, unless `root` holds it already -> Path of the tree.

    layout avec2014 or avec2013; effect scales how far severity moves the cues (0: not at all); seconds a video
    (None: 5 for AVEC 2014, 12 for AVEC 2013); size of the square frames in pixels. Raises ValueError when `root`
    holds something else.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: depnb simulates {', '.join(LAYOUTS)}.")
    files, default_seconds = LAYOUTS[layout]
    arguments = {"layout": layout, "participants": int(participants), "seed": int(seed), "effect": float(effect),
                 "seconds": float(seconds or default_seconds), "size": int(size), "fps": int(fps), "version": VERSION}
    root = Path(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):
        if (root / MARKER).exists():
            written = json.loads((root / MARKER).read_text())["arguments"]
            if written == arguments:
                return root
            other = ", ".join(f"{k} {written.get(k)!r} there, {arguments[k]!r} asked"
                              for k in arguments if written.get(k) != arguments[k])
            raise ValueError(f"{root}: holds another simulated corpus ({other}). Choose another folder or remove this one.")
        if root.exists() and any(root.iterdir()):
            raise ValueError(f"{root}: is not empty and not a simulated corpus. Choose another folder.")
        part = root.with_name(f".{root.name}.part")
        stamp = part / "arguments.json"
        if not stamp.exists() or json.loads(stamp.read_text()) != arguments:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            stamp.write_text(json.dumps(arguments))
        truth = _write(part, files, arguments, workers)
        (part / MARKER).write_text(json.dumps({"generator": "depnb.simulation", "arguments": arguments, **truth},
                                              indent=1, sort_keys=True))
        stamp.unlink()
        if root.exists():
            root.rmdir()
        part.replace(root)
    return root


def _write(root, files, arguments, workers):
    """Write all videos and labels under root -> the planted truth."""
    seed, fps, size = arguments["seed"], arguments["fps"], arguments["size"]
    cohort = severity.cohort(arguments["participants"], seed)
    cues = severity.cues(cohort["severity"], face.CUES, arguments["effect"], np.random.default_rng([seed, 2]))
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
    parallel = Parallel(workers, return_as="generator_unordered")
    work = parallel(delayed(_video)(*job) for job in jobs if not job[0].exists())
    for _ in tqdm(work, "simulated videos", sum(not job[0].exists() for job in jobs), delay=2, leave=False):
        pass
    return {"cue_regions": face.CUE_REGIONS, "cue_regions_are": "indices of the 68-point landmark order",
            "sessions": sessions, "participants": participants}


def _video(path, person, signal, size, fps, key):
    cv2.setNumThreads(1)        # the processes share the cores already
    path.parent.mkdir(parents=True, exist_ok=True)
    face.write_video(path, face.identity(np.random.default_rng([*person, 9])), signal, size, fps,
                     np.random.default_rng(key))
