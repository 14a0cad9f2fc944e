"""Simulated vlogs in the layouts of D-Vlog and LMVD: speakers, folds, tables, and a vlog's files.

Several vlogs of each speaker. The arrays come from the model in `vlog`, or, if recorded, from real
files: the voice of `voice` and the video of `face`, from which openSMILE's descriptors and
FaceMesh's landmarks are extracted.
"""

import shutil
from contextlib import contextmanager

import cv2
import numpy as np
import pandas as pd

from depnb.features import vlog_extract
from depnb.simulation import face, severity, vlog, voice

VLOGS = (2, 3, 1)           # vlogs of a speaker, dealt out over and over
# dealt to speakers
FOLDS = ("train", "test", "validation", "train", "train", "train", "test", "train",
         "train", "train")
# fold of one vlog of a speaker in so many:
ELSEWHERE = {"train": "test", "validation": "train", "test": "train"}
SHARED = 10
# of every 20
UNINFORMATIVE = {1: "acoustic", 8: "acoustic", 15: "acoustic", 4: "visual",
                 11: "visual", 18: "visual"}
SPREAD = 0.6                # standard deviation of the logarithm of a vlog's length
SHORTEST, LONGEST = 60, 1800            # seconds
IDS = {"dvlog": 961, "lmvd": 1824}      # vlogs in the real corpus
OPENFACE = 3                # vlogs of LMVD with an OpenFace table
FPS = 30                    # of these
UNITS = ("01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23",
         "25", "26", "45")


def plan(root, arguments, people=None):
    """What there is to write of a corpus of vlogs; its tables are written at once.

    Parameters
    ----------
    root : Path
    arguments : dict, as of `layouts.simulate`
    people : DataFrame, optional
        Participants with their cues, splits and numbers of vlogs, as in `cohort`, in place of drawn
        ones.

    Returns
    -------
    write : function that writes one vlog
    jobs : list of its arguments
    truth : dict, the planted truth
    """
    seed, layout, recorded = (arguments["seed"], arguments["layout"],
                              arguments.get("recorded", False))
    names = (*voice.CUES, *face.CUES) if recorded else vlog.CUES
    if people is None:
        sample = arguments.get("sample", "study")
        people = severity.case_control(arguments["participants"], seed, first_id=1, sample=sample)
        people["label"] = (people["phq8_total"] >= severity.CUT).astype(int)
        latent, sizes = severity.cues(people, names, arguments["effect"], seed,
                                      (sample, severity.HEALTHY))
    else:
        latent, sizes = people[[*names]], {}
    table = vlogs(people, layout, np.random.default_rng([seed, 3]))
    jobs, sessions = [], {}
    for row in table.itertuples():
        key = [seed, row.speaker, row.take]
        rng = np.random.default_rng([*key, 6])
        start = root / files(layout, row.id)["acoustic"], root, layout, row.id
        cues = latent.loc[row.person] + 0.25 * rng.standard_normal(len(names))
        facts = {"speaker": row.speaker, "split": row.split, "gender": row.gender,
                 "label": row.label,
                 "severity": round(row.severity, 6), "cues": cues.round(6).to_dict()}
        if recorded:
            seconds = round(arguments["seconds"] * rng.uniform(2 / 3, 4 / 3))
            looks = face.looks(people.loc[row.person])
            recipe, planted = recording(cues, looks, seconds, arguments["fps"], key)
            jobs.append((*start, *recipe, arguments["size"], arguments["fps"], key))
        else:
            seconds = length(arguments["seconds"], rng)
            lost = row.uninformative
            planted = {"uninformative": lost} | vlog.planted(cues, seconds, lost, key)
            jobs.append((*start, row.gender, cues, seconds, lost, key))
        sessions[row.id] = {**facts, "seconds": seconds, **planted}
    write_tables(root, layout, table, sessions)
    truth = {"planted": sizes, "sessions": sessions}
    if recorded:
        return write_recorded, jobs, {"cue_regions": face.CUE_REGIONS, **truth}
    usable = [name for name, facts in sessions.items() if facts["uninformative"] is None]
    tables = sorted(usable,
                    key=lambda name: sessions[name]["seconds"])[:OPENFACE * (layout == "lmvd")]
    return write, [(*job, job[3] in tables) for job in jobs], truth


def vlogs(people, layout, rng):
    """Who speaks in which vlog, and what becomes of it.

    Folds go to speakers 7:1:2, alike in each gender and class; one speaker in ten has a vlog in
    another fold too: unless `people` say themselves what split they are in, and how many vlogs they
    make. What is uninformative is dealt out within each fold, whoever speaks.

    Parameters
    ----------
    people : DataFrame
    layout : str
    rng : numpy Generator

    Returns
    -------
    DataFrame, one row a vlog
        id, speaker, take, split, label, gender, severity, uninformative, and person, the row of
        `people`.
    """
    dealt_already = "split" in people
    people = people.assign(person=people.index, speaker=people["participant"])
    if not dealt_already:
        people = people.join(severity.dealt(people, {"split": FOLDS, "vlogs": VLOGS}, rng))
    table = people.loc[people.index.repeat(people["vlogs"])].reset_index(drop=True)
    table["take"] = table.groupby("speaker").cumcount() + 1
    if not dealt_already:
        last = table.index[(table["take"] == table["vlogs"]) & (table["take"] > 1)]
        moved = rng.permutation(last)[:max(1, round(len(people) / SHARED))]
        table.loc[moved, "split"] = table.loc[moved, "split"].map(ELSEWHERE)
    dealt = sorted(rng.permutation(len(table)), key=lambda i: table["split"][i])
    table["uninformative"] = pd.Series([UNINFORMATIVE.get(k % 20) for k in range(len(table))],
                                       dealt, object)
    numbers = rng.choice(max(IDS[layout], len(table)), len(table),
                         replace=False) + (layout == "lmvd")
    table["id"] = [f"{i:03d}" if i <= 601 else f"{i:04d}"
                   for i in numbers] if layout == "lmvd" else numbers.astype(str)
    return table.iloc[np.argsort(numbers)]


def length(median, rng):
    """Seconds of one vlog: log-normal, 1 to 30 minutes, within a half and 4 times the median."""
    low, high = max(20, min(SHORTEST, median / 2)), min(LONGEST, 4 * median)
    return round(float(np.clip(median * np.exp(SPREAD * rng.standard_normal()), low, high)))


def write_tables(root, layout, table, sessions):
    """labels.csv as the corpus has it, and speakers.csv, which the real ones lack."""
    fold = table["split"].replace("validation", "valid")
    if layout == "lmvd":
        pd.DataFrame({"index": table["id"], "label": table["label"],
                      "fold": fold}).to_csv(root / "labels.csv", index=False)
    else:
        pd.DataFrame({"index": table["id"],
                      "label": np.where(table["label"], "depression", "normal"),
                      "duration": [sessions[i]["seconds"] for i in table["id"]],
                      "gender": table["gender"].str[0],
                      "fold": fold}).to_csv(root / "labels.csv", index=False)
    speakers = pd.DataFrame({"index": table["id"], "speaker": table["speaker"]})
    if layout == "lmvd":
        speakers["gender"] = table["gender"].str[0]
    speakers.to_csv(root / "speakers.csv", index=False)


def files(layout, name):
    """Paths of what a vlog may have, relative to the root; the last one is written last."""
    if layout == "lmvd":
        return {"sound": f"recordings/{name}.wav", "video": f"recordings/{name}.mp4",
                "openface": f"openface/{name}.csv",
                "visual": f"visual/{name}_visual.npy", "acoustic": f"audio/{name}.npy"}
    return {"sound": f"{name}/{name}.wav", "video": f"{name}/{name}.mp4",
            "visual": f"{name}/{name}_visual.npy", "acoustic": f"{name}/{name}_acoustic.npy"}


@contextmanager
def unfinished(root, layout, name):
    """Paths of `files` in a folder of their own; all written, they go to their places."""
    part = root / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    paths = {what: part / path for what, path in files(layout, name).items()}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    yield paths
    for path in paths.values():
        if path.exists():
            target = root / path.relative_to(part)
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
    shutil.rmtree(part)


def save(paths, arrays, layout):
    """Both arrays, in this order: who finds that of the sound finds the whole vlog."""
    for part, array in sorted(vlog.stored(arrays, layout).items(), reverse=True):
        np.save(paths[part], array)


def write(_, root, layout, name, gender, cues, seconds, uninformative, key, table):
    """The arrays of one vlog by the model; table: its OpenFace table too."""
    person = vlog.speaker(gender, np.random.default_rng([*key[:2], 9]))
    arrays = vlog.session(person, cues, seconds, uninformative, key, layout)
    if layout == "lmvd":
        arrays["visual"] = arrays["visual"].round(1)            # as OpenFace prints
    with unfinished(root, layout, name) as paths:
        if table:
            write_openface(paths["openface"], arrays["visual"], np.random.default_rng([*key, 10]))
        save(paths, arrays, layout)


def write_openface(path, visual, rng):
    """A table as OpenFace 2 writes (-2Dfp -pose -gaze -aus).

    Landmarks move straight from second to second. One frame in fifty is missing, none that begins a
    second. Other columns are noise.

    Parameters
    ----------
    path : path
    visual : (T, 136), pixels, one decimal
    rng : numpy Generator
    """
    frames = np.arange(FPS * len(visual))
    frames = frames[(frames % FPS == 0) | (rng.uniform(size=len(frames)) > 0.02)]
    at, share = frames // FPS, (frames % FPS / FPS)[:, None]
    points = (1 - share) * visual[at] + share * visual[np.minimum(at + 1, len(visual) - 1)]
    n = len(frames)
    blocks = [(["frame"], "%d", frames + 1), (["face_id"], "%d", np.zeros(n)),
              (["timestamp"], "%.3f", frames / FPS),
              (["confidence"], "%.2f", rng.choice([0.93, 0.98], n)),
              (["success"], "%d", np.ones(n)),
              ([f"gaze_{eye}_{axis}" for eye in "01" for axis in "xyz"], "%.6f",
               rng.normal(0, 0.1, (n, 6))),
              (["gaze_angle_x", "gaze_angle_y"], "%.3f", rng.normal(0, 0.1, (n, 2))),
              ([f"pose_T{axis}" for axis in "xyz"], "%.1f", rng.normal((0, 0, 600), 5, (n, 3))),
              ([f"pose_R{axis}" for axis in "xyz"], "%.3f", rng.normal(0, 0.05, (n, 3))),
              ([f"{axis}_{i}" for axis in "xy" for i in range(68)], "%.1f", points),
              ([f"AU{unit}_r" for unit in UNITS], "%.2f",
               np.abs(rng.normal(0, 0.5, (n, len(UNITS))))),
              ([f"AU{unit}_c" for unit in (*UNITS[:-1], "28", "45")], "%.2f",
               rng.integers(0, 2, (n, len(UNITS) + 1)))]
    np.savetxt(path, np.column_stack([values for _, _, values in blocks]), comments="",
               delimiter=", ", fmt=[style for names, style, _ in blocks for _ in names],
               header=", ".join(name for names, _, _ in blocks for name in names))


def recording(cues, looks, seconds, fps, key):
    """What is said and done in one recorded vlog; looks: of the speaker, as of `face.looks`.

    Returns
    -------
    recipe : arguments of `write_recorded` after the name
    truth : dict, the planted truth
    """
    def rng(stage):
        return np.random.default_rng([*key, stage])

    person, place = voice.identity(looks["gender"],
                                   np.random.default_rng([*key[:2], 9])), voice.conditions(rng(1))
    setting, moved = voice.controls(cues, person, rng(2))
    spoken = voice.phrases(setting, seconds, rng(3))
    time = np.arange(seconds * fps)[:, None] / fps
    speech = ((time >= spoken[:, 0]) & (time < spoken[:, 1])).any(1)
    # those that `write_recorded` will speak
    syllables = voice.syllables(setting, spoken, rng(7))
    signal, events = face.signals(cues, "freeform", len(time), fps, rng(4), speech, syllables)
    nowhere = {modality: [] for modality in vlog.MODALITIES}
    return (setting, person, place, spoken, seconds, looks,
            signal), {"uninformative": None, "slow": nowhere, "short": nowhere, "controls": setting,
                      "moved": moved, "recording": place,
                      "speech": spoken.round(4).tolist(), "cue_frames": events}


def write_recorded(_, root, layout, name, setting, person, place, spoken, seconds, looks, signal,
                   size, fps, key):
    """Sound and video of one vlog, and the arrays that are extracted from them."""
    cv2.setNumThreads(1)        # the processes share the cores already
    with unfinished(root, layout, name) as paths:
        voice.write_recording(paths["sound"], setting, person, place, spoken, seconds,
                              np.random.default_rng([*key, 7]))
        visage = face.identity(np.random.default_rng([*key[:2], 10]), **looks)
        face.write_video(paths["video"], visage, signal, size, fps,
                         np.random.default_rng([*key, 8]))
        heard = (vlog_extract.logmel if layout == "lmvd" else vlog_extract.acoustic)(paths["sound"])
        save(paths, {"acoustic": heard["acoustic"],
                     "visual": vlog_extract.visual(paths["video"])["visual"]}, layout)
