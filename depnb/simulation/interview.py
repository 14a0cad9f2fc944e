"""Simulated clinical interviews in the layout of DAIC-WOZ: transcripts, recordings, face tracking.

An agent (Ellie) asks, a participant answers. What is said, how and with which face comes from
`transcript`, `voice` and `face`; here it gets its times, so that words, sound and lips agree, and
is written as the corpus is distributed. There are no pictures: the tables hold what a tracker would
have measured of the simulated face. In some sessions, drawn without looking at severity, one
modality is degraded or missing.
"""

import shutil
from itertools import count, islice

import numpy as np
import pandas as pd
import soundfile
from scipy.spatial.transform import Rotation

from depnb.features.face import SIXTY_EIGHT
from depnb.simulation import face, severity, transcript, voice

# number of the first participant; these have faults in the real corpus, or special treatment:
FIRST = 300
SKIPPED = {318, 321, 341, 342, 362, 373, 394, 398, 402, 409, 440, 444, 451, 458, 460, 480}
SPLITS = ("train", "test", "validation", "train", "train", "test", "train", "validation",
          "test", "train")
ITEM_COLUMNS = ("NoInterest", "Depressed", "Sleep", "Tired", "Appetite", "Failure",
                "Concentrating", "Moving")
FPS = 30
CUES = (*voice.CUES, *face.CUES)
SHORTEST = 12.0             # seconds of a participant's speech in which all items can be asked for
NEUTRAL_EVERY = 25.0        # seconds of speech for each neutral question
WORDS_PER_SECOND = 2.4      # of an average speaker, pauses between words included
SYLLABLES = 1.44            # of an average word here
SPREAD = 0.21  # speech of a session differs from `seconds` by no more, apart from whole sentences
ELLIE_RATE = 5.0            # syllables a second
ELLIE_LOUDNESS = -4.0       # dB
BETWEEN = 0.1               # seconds between turns while a voice is synthesised

DEGRADED = 5                # one session in so many has one degraded modality
WAYS = (("audio", "noise"), ("visual", "tracking"), ("text", "unintelligible"), ("audio", "noise"),
        ("visual", "tracking"), ("text", "unintelligible"), ("audio", "missing"),
        ("visual", "missing"), ("text", "unintelligible"))
SNR = (5.0, -10.0)          # dB at strength 0 and 1
LOST = (0.3, 1.0)           # share of frames or turns that are lost
SLIPS = 0.3                 # share of sessions in which the tracker fails for a moment

FOCAL, CENTRE = 500.0, (320, 240)       # of the camera, pixels; pictures of 640 x 480
GAZE = np.deg2rad(20)       # of one unit of gaze_x and gaze_y
INTENSITIES = ("01", "02", "04", "05", "06", "09", "10", "12", "14", "15", "17", "20", "25", "26")
# from which intensity on
PRESENT = {"04": 1.2, "12": 1.2, "15": 0.9, "23": 0.9, "28": 0.9, "45": 0.5}


def plan(root, arguments, people=None):
    """What there is to write of a corpus of interviews; its tables of labels are written at once.

    Parameters
    ----------
    root : Path
    arguments : dict, as of `layouts.simulate`
    people : DataFrame, optional
        Participants with their cues, as in `cohort`, in place of drawn ones; they have one voice
        and one face in all layouts.

    Returns
    -------
    jobs : list of arguments of `write_session`
    truth : dict, the planted truth
    """
    seed, seconds = arguments["seed"], arguments["seconds"]
    if seconds < SHORTEST:
        raise ValueError(f"seconds: {seconds:g}. "
                         f"An interview about eight items needs at least {SHORTEST:g} of speech.")
    if people is None:
        sample = arguments.get("sample", "study")
        cohort = severity.cohort(arguments["participants"], seed, returning=False, splits=SPLITS,
                                 sample=sample)
        cohort["participant"] = numbers(len(cohort))
        latent, planted = severity.cues(cohort, (*CUES, *severity.PHQ8_ITEMS), arguments["effect"],
                                        seed, (sample,))
    else:
        cohort, latent, planted = people, people, {}
    cues, item_cues = latent[[*CUES]], latent[[*severity.PHQ8_ITEMS]]
    _write_labels(root, cohort)
    degraded = degradations(cohort["split"], np.random.default_rng([seed, 4]))
    jobs, sessions = [], {}
    for i, row in cohort.iterrows():
        number = int(row["participant"])
        who = [seed, number, 9] if people is not None else None
        work, facts = session(cues.loc[i], item_cues.loc[i], row["gender"], degraded[i], seconds,
                              [seed, number], who, face.looks(row))
        jobs.append((root / f"{number}_P", *work))
        sessions[str(number)] = {"participant": number, "split": row["split"],
                                 "severity": round(row["severity"], 6),
                                 "gender": row["gender"], "age": int(row["age"]),
                                 **severity.scores(row), **facts}
    return jobs, {"planted": planted, "controls": voice.TRUTH, "cue_regions": face.CUE_REGIONS,
                  "cue_regions_are": "indices of the 68-point landmark order", "sessions": sessions}


def numbers(participants):
    """So many numbers of participants, without those that have faults in the real corpus."""
    return list(islice((n for n in count(FIRST) if n not in SKIPPED), participants))


def _write_labels(root, cohort):
    """The four split tables of AVEC 2017, with the columns that each of them has."""
    table = pd.DataFrame({"Participant_ID": cohort["participant"],
                          "PHQ8_Binary": (cohort["phq8_total"] >= 10).astype(int),
                          "PHQ8_Score": cohort["phq8_total"],
                          "Gender": (cohort["gender"] == "male").astype(int)})
    for column, item in zip(ITEM_COLUMNS, severity.PHQ8_ITEMS, strict=True):
        table[f"PHQ8_{column}"] = cohort[f"phq8_{item}"]
    for name, split in (("train", "train"), ("dev", "validation")):
        table[cohort["split"]
              == split].to_csv(root / f"{name}_split_Depression_AVEC2017.csv", index=False)
    test = table[cohort["split"] == "test"].rename(columns=lambda name: name.replace("PHQ8", "PHQ"))
    test[["Participant_ID", "PHQ_Binary", "PHQ_Score",
          "Gender"]].to_csv(root / "full_test_split.csv", index=False)
    test.rename(columns={"Participant_ID": "participant_ID"})[["participant_ID", "Gender"]].to_csv(
        root / "test_split_Depression_AVEC2017.csv", index=False)


def degradations(splits, rng):
    """Which sessions lose what: in every split one in five, each modality equally often.

    Parameters
    ----------
    splits : (sessions,)
    rng : numpy Generator

    Returns
    -------
    list of None or dict with modality, how and strength (0-1)
    """
    order = sorted(rng.permutation(len(splits)), key=lambda i: splits[i])
    out = [None] * len(splits)
    for k, i in enumerate(order[rng.integers(DEGRADED)::DEGRADED]):
        modality, how = WAYS[k % len(WAYS)]
        strength = (1.0 if how == "missing" else rng.uniform() if how == "noise"
                    else rng.uniform(*LOST))
        out[i] = {"modality": modality, "how": how, "strength": round(strength, 4)}
    return out


def session(cues, item_cues, gender, degraded, seconds, key, who=None, looks=None):
    """One interview before it is written.

    Parameters
    ----------
    cues, item_cues : mapping of cues, and of items, to latent values
    gender : str
    degraded : dict or None, as of `degradations`
    seconds : float
        Of the participant's speech.
    key : list of int
    who : list of int, optional
        Key of voice and face, if they are not this session's own.
    looks : dict, optional
        As of `face.looks`; what is not told is drawn.

    Returns
    -------
    work : arguments of `write_session` after the folder
    facts : dict, the planted truth
    """
    def rng(stage):
        return np.random.default_rng([*key, stage])

    person = voice.identity(gender, np.random.default_rng(who or [*key, 1]))
    visage = face.identity(np.random.default_rng(who or [*key, 14]),
                           **(looks or {"gender": gender}))
    place = voice.conditions(rng(2)) | {"sample_rate": voice.RATE, "channels": 1}
    setting, moved = voice.controls(cues, person, rng(3))
    pace = setting["rate"] * (1 - setting["pause_share"]) / SYLLABLES          # words a second
    words = (WORDS_PER_SECOND * seconds * transcript.talkativeness(item_cues)
             * np.exp(0.1 * rng(4).standard_normal()))
    words = np.clip(words, (1 - SPREAD) * seconds * pace, (1 + SPREAD) * seconds * pace)
    turns = transcript.interview(item_cues, words, max(1, round(seconds / NEUTRAL_EVERY)), rng(5))
    length = schedule(turns, setting, rng(6))
    if degraded and degraded["how"] == "noise":
        strength = SNR[0] + (SNR[1] - SNR[0]) * degraded["strength"]
        place |= {"noise": strength - setting["loudness"], "unsteady": 0.0}
    elif degraded and degraded["how"] == "unintelligible":
        degraded["strength"] = blur(turns, degraded["strength"], rng(7))

    frames = int(length * FPS)
    time = np.arange(frames) / FPS
    spoken = np.concatenate([turn["phrases"] for turn in turns if turn["speaker"] == "Participant"])
    speech = ((time[:, None] >= spoken[:, 0]) & (time[:, None] < spoken[:, 1])).any(1)
    signal, events = face.signals(cues, "interview", frames, FPS, rng(8), speech,
                                  syllables(turns, setting, rng(10)))
    failed, filler = tracking(frames, degraded, rng(9))
    facts = {"seconds": length, "frames": frames, "cues": cues.round(6).to_dict(),
             "item_cues": item_cues.round(6).to_dict(), "controls": setting, "moved": moved,
             "usual": person["usual"], "recording": place, "cue_frames": events,
             "tracking_failed": face.intervals(failed), "degraded": degraded,
             "turns": [_truth(turn) for turn in turns]}
    return (turns, length, setting, person, place, signal, failed, filler, degraded, key,
            visage), facts


def _truth(turn):
    """A turn as SIMULATED.json tells it.

    words: by kind, as indices; carries: whether a cue of the topic's item shows.
    """
    item = turn["topic"] in transcript.ITEMS and turn["speaker"] == "Participant"
    kinds = transcript.kinds(turn["words"]) if turn["speaker"] == "Participant" else {}
    return {"speaker": turn["speaker"], "topic": turn["topic"], "start": turn["start"],
            "stop": turn["stop"], "value": " ".join(turn["words"]), "words": kinds,
            "carries": item and bool(kinds["negative"] or kinds["absolutist"])}


def schedule(turns, setting, rng):
    """Give every turn start, stop (s) and phrases (k, 2) in which there is speech.

    Returns
    -------
    float, length of the session in seconds
    """
    now, before = 0.8, "Ellie"
    for turn in turns:
        syllables = transcript.syllables(turn["words"])
        if turn["speaker"] == "Ellie":
            now += 0 if turn is turns[0] else rng.uniform(0.3, 0.7)
            phrases = np.array(
                [[0, np.clip(syllables / ELLIE_RATE * rng.uniform(0.95, 1.05), 1.2, 3.0)]])
        else:
            now += (setting["pause_length"] * rng.gamma(8, 1 / 8)
                    + (0.3 if before == "Ellie" else 0.1))
            phrases = _phrases(max(0.4, syllables / setting["rate"]), setting, rng)
        turn["phrases"] = np.round(now + phrases, 3)
        turn["start"], turn["stop"] = float(turn["phrases"][0, 0]), float(turn["phrases"][-1, 1])
        now, before = turn["stop"], turn["speaker"]
    return round(now + 0.8, 3)


def _phrases(spoken, setting, rng):
    """Phrases (k, 2) from 0 on, of `spoken` seconds together, with the speaker's pauses between."""
    silent = spoken * setting["pause_share"] / (1 - setting["pause_share"])
    pauses = int(silent / setting["pause_length"] + rng.uniform())
    parts, gaps = rng.gamma(8, 1, pauses + 1), setting["pause_length"] * rng.gamma(8, 1 / 8, pauses)
    parts *= spoken / parts.sum()
    starts = np.cumsum(np.r_[0, parts[:-1] + gaps])
    return np.c_[starts, starts + parts]


def blur(turns, share, rng):
    """Replace a share of the participant's turns by the transcribers' marks -> the exact share."""
    own = [turn for turn in turns if turn["speaker"] == "Participant"]
    lost = rng.permutation(len(own))[:max(1, round(share * len(own)))]
    for k, i in enumerate(lost):
        own[i]["words"] = ["scrubbed_entry" if k % 4 == 3 else "xxx"]
    return round(len(lost) / len(own), 4)


def tracking(frames, degraded, rng):
    """When the face tracker fails, (frames,) bool, and what it writes then, as text."""
    filler = ("0", "-1.#IND")[rng.integers(2)]
    if degraded and degraded["how"] == "tracking":
        lost = np.argsort(face.wander(frames, FPS, 1.5, rng),
                          kind="stable")[:round(degraded["strength"] * frames)]
        return np.isin(np.arange(frames), lost), filler
    failed = np.zeros(frames, bool)
    if rng.uniform() < SLIPS:
        for start, length in zip(rng.integers(0, frames, 3), rng.integers(5, 30, 3), strict=True):
            failed[start:start + length] = True
    return failed, filler


def write_session(folder, turns, length, setting, person, place, signal, failed, filler, degraded,
                  key, visage):
    """Write the folder of one participant (atomically: half a session never has its name)."""
    part, name = folder.with_name(f".{folder.name}.part"), folder.name.removesuffix("_P")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    missing = degraded["modality"] if degraded and degraded["how"] == "missing" else None
    write_transcript(part / f"{name}_TRANSCRIPT.csv", turns)
    if missing != "audio":
        sound = voice.record(conversation(turns, length, setting, person,
                                          np.random.default_rng([*key, 10])), place,
                             np.random.default_rng([*key, 11]))
        soundfile.write(part / f"{name}_AUDIO.wav", sound, voice.RATE, "PCM_16")
    if missing != "visual":
        write_tables(part, name, measured(signal, key, visage), failed, filler,
                     np.random.default_rng([*key, 12]))
    part.replace(folder)


def write_transcript(path, turns):
    """Write the turns as DAIC-WOZ has them: separated by tabs, one a line."""
    lines = [
        f"{turn['start']:.3f}\t{turn['stop']:.3f}\t{turn['speaker']}\t{' '.join(turn['words'])}"
        for turn in turns]
    path.write_text("\n".join(["start_time\tstop_time\tspeaker\tvalue", *lines, ""]))


def conversation(turns, length, setting, person, rng):
    """Both voices, each in its turns: (samples,) at 16 kHz."""
    usual = {name: control.usual for name, control in voice.CONTROLS.items()}
    ellie = usual | {"loudness": ELLIE_LOUDNESS, "f0": 210.0, "rate": ELLIE_RATE}
    out = np.zeros(round(length * voice.RATE) + voice.RATE)
    for speaker, how, who in (("Participant", setting, person),
                              ("Ellie", ellie, voice.identity("female", np.random.default_rng(0)))):
        own, at, spans, phrases = _joined(turns, speaker)
        sound = voice.speak(how, who, phrases, spans.sum(), rng)
        for turn, begin, span in zip(own, at, spans, strict=True):
            piece = sound[round(begin * voice.RATE):round((begin + span) * voice.RATE)]
            first = round(turn["start"] * voice.RATE)
            out[first:first + len(piece)] += piece
    return out[:round(length * voice.RATE)]


def _joined(turns, speaker):
    """One speaker's turns one after the other, as silence need not be synthesised: turns, where
    they begin and how long they last (s), phrases (k, 2).
    """
    own = [turn for turn in turns if turn["speaker"] == speaker]
    spans = np.array([turn["stop"] - turn["start"] + BETWEEN for turn in own])
    at = np.cumsum(spans) - spans
    return own, at, spans, np.concatenate([turn["phrases"] - turn["start"] + begin
                                           for turn, begin in zip(own, at, strict=True)])


def syllables(turns, setting, rng):
    """The participant's syllables as `conversation` speaks them with the same rng, in the time of
    the session: dict as of `voice.syllables`.
    """
    own, at, _, phrases = _joined(turns, "Participant")
    out = voice.syllables(setting, phrases, rng)
    turn = np.searchsorted(at, out["start"] + 1e-6, "right") - 1
    return out | {"start": out["start"] + (np.array([t["start"] for t in own]) - at)[turn]}


def measured(signal, key, visage):
    """What a face tracker measures of these `face.signals`.

    Camera coordinates: x to the right, y down, z away from the camera, in millimetres; angles in
    radians.

    Parameters
    ----------
    signal : dict of (T,) arrays
    key : list of int
        Seed of the measurement.
    visage : people.Person

    Returns
    -------
    dict name of table -> [(columns, decimals, (T, n))]
    """
    rng, frames = np.random.default_rng([*key, 13]), len(signal["smile"])
    stand = rng.normal(0, (4.0, 3.0, 1.5))                              # of the camera, degrees
    signal = signal | {name: signal[name] + angle
                       for name, angle in zip(("pitch", "yaw", "roll"), stand, strict=True)}
    points, middle = visage.landmarks(signal, SIXTY_EIGHT)
    scale = np.exp(0.04 * rng.standard_normal())        # the tracker's, which sees one camera only
    seat = np.array([rng.normal(0, 40), rng.normal(0, 30), rng.uniform(550, 850)])
    sway = np.stack([size * face.wander(frames, FPS, 2.0, rng) for size in (3, 2, 8)], 1)
    solid = points * scale + (seat + sway)[:, None]
    flat = FOCAL * solid[..., :2] / solid[..., 2:] + CENTRE
    solid = solid + rng.normal(0, 0.3, solid.shape)
    flat = flat + rng.normal(0, 0.3, flat.shape)
    turn = np.stack([signal["pitch"], signal["yaw"], signal["roll"]], 1)
    place = middle * scale + seat + sway + rng.normal(0, 0.5, (frames, 3))
    angles = np.deg2rad(turn) + rng.normal(0, 0.005, (frames, 3))
    return {"features": [([f"{axis}{i}" for axis in "xy" for i in range(68)], 1,
                          np.concatenate([*np.moveaxis(flat, 2, 0)], 1))],
            "features3D": [([f"{axis}{i}" for axis in "XYZ" for i in range(68)], 1,
                            np.concatenate([*np.moveaxis(solid, 2, 0)], 1))],
            "gaze": [([f"{axis}_{eye}" for eye in ("0", "1", "h0", "h1") for axis in "xyz"], 3,
                      gaze(signal, turn, rng))],
            "pose": [(["Tx", "Ty", "Tz"], 1, place), (["Rx", "Ry", "Rz"], 3, angles)],
            "AUs": action_units(signal, rng)}


def gaze(signal, turn, rng):
    """Directions of both eyes, (T, 12): in camera coordinates, then in those of the head.

    Parameters
    ----------
    signal : dict of (T,) arrays
    turn : (T, 3), degrees
    rng : numpy Generator
    """
    bias = rng.normal(0, 0.03, 2)
    eyes = []
    for squint in (0.03, -0.03):
        x = GAZE * signal["gaze_x"] + bias[0] + squint + rng.normal(0, 0.01, len(turn))
        y = GAZE * signal["gaze_y"] + bias[1] + rng.normal(0, 0.01, len(turn))
        eyes.append(np.stack([np.sin(x) * np.cos(y), np.sin(y), -np.cos(x) * np.cos(y)], 1))
    head = Rotation.from_euler("zyx", turn[:, ::-1], degrees=True)
    return np.concatenate([head.apply(eyes[0]), head.apply(eyes[1]), *eyes], 1)


def action_units(signal, rng):
    """Facial action units from the signals that move them; the others are noise.

    Returns
    -------
    [(columns, decimals, (T, n))]
        Intensities 0-5, then presence.
    """
    frames = len(signal["smile"])
    drawn = {unit: np.abs(rng.normal(0, 0.15)) + 0.3 + 0.25 * face.wander(frames, FPS, 0.4, rng)
             for unit in sorted({*INTENSITIES, *PRESENT})}
    moved = {"04": 1 + 2.4 * (signal["brow"] - 0.25), "12": 4 * signal["smile"],
             "06": 2.8 * signal["smile"],
             "25": 6 * signal["open"], "26": 4 * signal["open"], "05": -1.5 * signal["gaze_y"],
             "01": -1.2 * signal["brow"], "45": 1.5 * signal["closure"] - 0.6}
    values = {unit: np.clip(noise + moved.get(unit, 0) - 0.3 * (unit in moved), 0, 5)
              for unit, noise in drawn.items()}
    values["45"] = (signal["closure"] > 0.6).astype(float)
    return [([f"AU{unit}_r" for unit in INTENSITIES], 2,
             np.stack([values[unit] for unit in INTENSITIES], 1)),
            ([f"AU{unit}_c" for unit in PRESENT], 0,
             np.stack([values[unit] >= low for unit, low in PRESENT.items()], 1))]


def write_tables(folder, name, tables, failed, filler, rng):
    """Write the tables of `measured` as DAIC-WOZ has them; failed (T,): frames of `filler`."""
    frames = len(failed)
    confidence = np.where(failed, rng.uniform(0, 0.3, frames), rng.uniform(0.88, 0.99, frames))
    start = [f"{i + 1}, {i / FPS:.3f}, {c:.2f}, {int(not lost)}, " for i, (c, lost) in
             enumerate(zip(confidence, failed, strict=True))]
    for table, blocks in tables.items():
        columns = [column for names, _, _ in blocks for column in names]
        cells = np.concatenate([_texts(values, decimals) for _, decimals, values in blocks], 1)
        cells[failed] = filler
        lines = [first + ", ".join(row) for first, row in zip(start, cells.tolist(), strict=True)]
        (folder / f"{name}_CLNF_{table}.txt").write_text("\n".join(
            [", ".join(["frame", "timestamp", "confidence", "success", *columns]), *lines, ""]))


def _texts(values, decimals):
    """Numbers as text with so many decimals: every text is made once and looked up.

    (T, n) -> (T, n) object.
    """
    integers = np.round(values * 10**decimals).astype(int)
    low = integers.min()
    texts = np.array([f"{number / 10**decimals:.{decimals}f}"
                      for number in range(low, integers.max() + 1)], object)
    return texts[integers - low]
