"""One simulated cohort, rendered into every layout: the same participants before four recorders.

A participant has one latent severity, one PHQ-8 and one BDI-II, one number and one official split
in all trees. Cues that two layouts share have one latent value: those of the face in the videos and
in the interviews, those of the voice in the recordings and in the interviews, where voice and face
are the same person's too. The slow and short cues of the vlogs, which have names of their own,
answer to severity as every other cue does, and their noise is that of the cues they are made of
(`VLOG_CUES`): who is quieter than severity explains is so in the vlogs as well. Light, microphone,
room, and what is degraded or uninformative are drawn for each layout, without looking at severity.

45 % reach PHQ-8 >= 10, drawn by quota from a larger pool in which a quarter do; the others may have
any lower total, 0 to 9, so that no range of severities is missing. The class in the folder
of recordings, in the interviews and in the vlogs is PHQ-8 >= 10; AVEC 2014 gives the BDI-II of the
same people, whose cut-off says something else of some of them:
`depnb.corpora.cohort.read_participants(root)["label"]` is the class by which layouts are compared.
"""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from depnb.corpora.cohort import TABLE, read_participants
from depnb.corpora.simulated import VERSION, checked_effect
from depnb.files import check_writable, write_atomically
from depnb.simulation import face, interview, severity, vlog, vlog_corpus, voice
from depnb.simulation.layouts import LAYOUTS, MARKER, differences, write_tree

# as `simulate` means them
SECONDS = {"avec2014": 4.0, "speech_folder": 8.0, "daic_woz": 22.0, "dvlog": 240.0}
SIZE, FPS = 160, 30             # of videos
VLOGS = 2                       # of every participant
FEWEST = 6                      # participants for three splits and two classes
VLOG_CUES = {"slow_acoustic": ("loudness", "tilt", "intonation"),
             "short_acoustic": ("breathiness", "pauses"),
             "slow_visual": ("brow", "head"), "short_visual": ("gaze", "smile")}


def render(root, participants=96, seed=0, effect=1.0, seconds=None,
           layouts=tuple(SECONDS), workers=-1):
    """Write one cohort into root/<layout> for every layout, unless it is there already.

    Each tree is what `corpora.open(layout, root / layout)` reads. root/COHORT.json holds the
    arguments and the participants, with the facts of the layouts that are complete;
    `depnb.corpora.cohort.read_participants` reads it. Layouts may be added later. Writing resumes
    after a kill, and two processes may ask for one root.

    Parameters
    ----------
    root : path
    participants : int, at least 6
    seed : int
    effect : float from 0 to 3, or "literature"
        How far severity moves the cues (0: not at all, with the same scores).
    seconds : mapping layout -> length as `simulate` means it, optional
        For those that differ from `SECONDS`.
    layouts : names of layouts
    workers : int
        Processes; -1 uses every core.

    Returns
    -------
    Path of the root

    Raises
    ------
    ValueError
        Fewer than six participants, an unknown layout, or the root holds something else.
    """
    effect = checked_effect(effect)
    layouts, seconds_by_layout = tuple(layouts), dict(seconds or {})
    if wrong := [name for name in (*layouts, *seconds_by_layout) if name not in SECONDS]:
        raise ValueError(f"layout {wrong[0]!r}: a cohort has the layouts {', '.join(SECONDS)}.")
    if participants < FEWEST:
        raise ValueError(f"participants: {participants}. "
                         f"A cohort with two classes and three splits needs {FEWEST}.")
    arguments = {"participants": int(participants), "seed": int(seed), "effect": effect,
                 "version": VERSION}
    root = Path(root)
    check_writable(root.parent)
    with FileLock(root.with_name(f".{root.name}.lock")):
        try:
            held = (json.loads((root / TABLE).read_text())["arguments"]
                    if (root / TABLE).exists() else None)
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{root / TABLE}: cannot be read. "
                             "Choose another folder or remove this one.") from None
        if held:                # its layouts too, those that are not asked for as well
            read_participants(root)
        if held and held != arguments:
            raise ValueError(f"{root}: holds another cohort ({differences(held, arguments)}). "
                             "Choose another folder or remove this one.")
        if not held and os.path.lexists(root) and (not root.is_dir() or any(root.iterdir())):
            raise ValueError(f"{root}: is not empty and not a simulated cohort. "
                             "Choose another folder.")
        root.mkdir(exist_ok=True)
        people, planted = drawn(**{k: arguments[k] for k in ("participants", "seed", "effect")})
        _write_table(root, arguments, people, planted)
        for layout in layouts:
            kind = LAYOUTS[layout]
            own = arguments | {"layout": layout, "cohort": True, "sample": "study",
                               "seconds": float(seconds_by_layout.get(layout, SECONDS[layout]))}
            own |= {"size": SIZE, "fps": FPS} if kind.video else {}
            write_tree(root / layout, own, partial(kind.write, people=people), workers)
            _write_table(root, arguments, people, planted)
    return root


def drawn(participants, seed, effect):
    """The participants with scores, splits and latent cues: one row each, no recording yet.

    Returns
    -------
    people : DataFrame
    planted : dict cue -> {"female": d, "male": d}
    """
    people = severity.case_control(participants, seed, highest=severity.MOST)
    people["participant"] = interview.numbers(participants)
    people["session"] = people["participant"].astype(str) + "_1"
    people["label"] = (people["phq8_total"] >= severity.CUT).astype(int)
    people["split"] = severity.dealt(people, vlog_corpus.FOLDS, np.random.default_rng([seed, 5]))
    people["vlogs"] = VLOGS
    names = (*voice.CUES, *face.CUES, *vlog.CUES, *severity.PHQ8_ITEMS)
    latent, planted = severity.cues(people, names, effect, seed, made=VLOG_CUES)
    return pd.concat([people, latent], axis=1), planted


def _write_table(root, arguments, people, planted):
    """COHORT.json: arguments, complete layouts, participants, what each layout drew for them."""
    complete = [layout for layout in SECONDS if (root / layout / MARKER).exists()]
    facts = {layout: FACTS[layout](json.loads((root / layout / MARKER).read_text()))
             for layout in complete}
    cues = [*voice.CUES, *face.CUES, *vlog.CUES, *severity.PHQ8_ITEMS]
    rows = json.loads(people.drop(columns=[*cues, "session", "vlogs"]).round(6)
                      .to_json(orient="records"))
    for row, latent in zip(rows, people[cues].round(6).to_dict("records"), strict=True):
        row["cues"] = latent
        row["layouts"] = {layout: layout_facts[row["participant"]]
                          for layout, layout_facts in facts.items()}
    content = {"generator": "depnb.simulation.cohort", "arguments": arguments, "planted": planted,
               "layouts": complete, "participants": rows}
    write_atomically(root / TABLE, json.dumps(content, indent=1))


# What a tree's SIMULATED.json says about the recordings of each participant: mapping participant ->
# facts.


def _by_person(truth, key):
    sessions_of = {}
    for name, session in truth["sessions"].items():
        sessions_of.setdefault(session[key], {})[name] = session
    return sessions_of


def _video_facts(truth):
    return {person: {"sessions": list(sessions)}
            | {k: truth["participants"][str(person)]["face"][k] for k in (
                "skin_tone", "light", "light_contrast", "warmth", "noise")}
            for person, sessions in _by_person(truth, "participant").items()}


def _voice_facts(truth):
    return {person: {"sessions": list(sessions)} | truth["participants"][str(person)]["recording"]
            for person, sessions in _by_person(truth, "participant").items()}


def _interview_facts(truth):
    facts = {}
    for name, session in truth["sessions"].items():
        degraded = session["degraded"] or {"modality": "", "how": "", "strength": 0.0}
        lost = sum(last - first + 1
                   for first, last in session["tracking_failed"]) / session["frames"]
        facts[session["participant"]] = {
            "sessions": [name],
            **{k: session["recording"][k] for k in ("noise", "level", "reverberation", "wet")},
            "degraded": degraded["modality"], "how": degraded["how"],
            "strength": degraded["strength"], "untracked": round(lost, 4)}
    return facts


def _vlog_facts(truth):
    return {person: {"sessions": list(sessions), "uninformative": float(np.mean(
        [session["uninformative"] is not None for session in sessions.values()]))}
        for person, sessions in _by_person(truth, "speaker").items()}


FACTS = {"avec2014": _video_facts, "speech_folder": _voice_facts, "daic_woz": _interview_facts,
         "dvlog": _vlog_facts}
