"""A talking face whose expressions are known, and nobody's.

The people are those of `people`: MakeHuman's head in a random shape, with a painted skin. What
their faces do is drawn. Identity (shape, skin tone, hair, glasses, light) never depends on
severity.

Severity moves five cues, all in the direction the literature reports:
  smile    weaker and rarer smiles (Girard et al. 2014; Scherer et al. 2014)
  brow     lowered brow (Schwartz et al. 1976)
  eyes     longer closures of the eyes (Alghowinem et al. 2013a)
  gaze     gaze turned down (Waxer 1974; Scherer et al. 2014)
  head     less head motion (Alghowinem et al. 2013b; Girard et al. 2014)
"""

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from depnb.simulation.people import Person

CUES = ("smile", "brow", "eyes", "gaze", "head")
# Where each cue shows, as points of the 68-point order (Sagonas et al. 2013).
CUE_REGIONS = {"smile": [*range(48, 68)], "brow": [*range(17, 27)], "eyes": [*range(36, 48)],
               "gaze": [*range(36, 48)], "head": [*range(68)]}
SYLLABLES = 3.5             # a second, where the voice is not known
# What the mouth does in the vowels of `voice` (as in beet, bit, bet, bat, father, bought, book,
# boot, but, bird): how far the jaw opens, whether the lips are round or drawn apart.
VISEMES = {"open": np.array([0.5, 0.6, 0.9, 1.3, 1.6, 1.3, 0.8, 0.7, 1.0, 0.7]),
           "round": np.array([0, 0, 0, 0, 0, 0.5, 0.7, 1.0, 0, 0.4]),
           "wide": np.array([1.0, 0.7, 0.5, 0.3, 0, 0, 0, 0, 0, 0])}


def identity(rng, gender=None, age=None, skin_tone=None):
    """A person, drawn without severity; gender, age in years and skin tone (0-1) may be set."""
    return Person(rng, gender, age, skin_tone)


def looks(row):
    """What `identity` takes of a row of a cohort; a skin tone that it does not have is drawn."""
    return {"gender": row["gender"], "age": row["age"], "skin_tone": row.get("skin_tone")}


def wander(frames, fps, seconds, rng):
    """Smooth noise of unit variance with a time scale in seconds, (frames,)."""
    noise = gaussian_filter1d(rng.standard_normal(frames + 200), seconds * fps)[100:100 + frames]
    return noise * np.sqrt(2 * np.sqrt(np.pi) * seconds * fps)


def bumps(frames, fps, starts, lengths, rise, heights):
    """Sum of smooth events, each `rise` seconds up and down, (frames,) in the unit of heights."""
    t = np.arange(frames) / fps
    total = np.zeros(frames)
    for start, length, height in zip(starts, lengths, heights, strict=True):
        up, down = (t - start) / rise, (start + length - t) / rise
        total = np.maximum(total, height * np.clip(np.minimum(up, down), 0, 1))
    return gaussian_filter1d(total, 0.03 * fps)


def event_starts(rate, seconds, rng):
    """About rate * seconds start times, one in each equal part of the recording."""
    count = int(np.floor(rate * seconds + rng.uniform()))
    return (np.arange(count) + rng.uniform(0, 1, count)) * seconds / max(count, 1)


def speaking(frames, fps, speech, syllables, rng):
    """What the lips do when somebody speaks.

    Parameters
    ----------
    frames, fps : int
    speech : (frames,) bool
    syllables : dict or None
        start, length (s) and vowel of those of the voice, as of `voice.syllables`; None: the vowels
        are drawn, at SYLLABLES a second.
    rng : numpy Generator

    Returns
    -------
    dict of (frames,): open, round, wide
    """
    phrase = gaussian_filter1d(speech.astype(float), 0.08 * fps)
    loud = np.clip(0.75 + 0.25 * wander(frames, fps, 0.3, rng), 0.2, 1.2)
    beat = np.cumsum(SYLLABLES + 0.8 * wander(frames, fps, 0.3, rng)) / fps
    vowels = rng.integers(0, len(VISEMES["open"]), int(beat.max(initial=0)) + 1)
    number, place = np.maximum(beat, 0).astype(int), beat % 1
    if syllables is not None:
        time, vowels = np.arange(frames) / fps, syllables["vowel"]
        number = np.maximum(np.searchsorted(syllables["start"], time, "right") - 1, 0)
        place = (time - syllables["start"][number]) / syllables["length"][number]
    vowel = vowels[number]
    opening = np.sin(np.pi * np.clip(place, 0, 1))
    lips = {name: 0.8 * gaussian_filter1d(phrase * loud * VISEMES[name][vowel], 0.05 * fps)
            for name in ("round", "wide")}
    return {"open": 0.45 * phrase * opening * loud * VISEMES["open"][vowel], **lips}


def signals(cues, task, frames, fps, rng, speech=None, syllables=None):
    """What the face does in one video, and when it carries which cue.

    Parameters
    ----------
    cues : mapping of the five cues to latent values, positive where they speak for depression
    task : str
        northwind (reading, steady speech), freeform (answers, with pauses) or interview (both).
    frames, fps : int
    rng : numpy Generator
    speech : (frames,) bool, optional
        When there is speech, if that is known already.
    syllables : dict, optional
        Start, length (s) and vowel of its syllables, as of `voice.syllables`.

    Returns
    -------
    signals : dict of (frames,) arrays
    truth : dict cue -> list of [first, last] frames that carry it
    """
    c = {name: float(np.clip(cues[name], -3, 3)) for name in CUES}
    seconds = frames / fps
    talking = {"northwind": 0.9, "freeform": 0.65, "interview": 0.75}[task]
    if speech is None:
        speech = wander(frames, fps, 0.25, rng) < np.sqrt(2) * talking - 0.3
    lips = speaking(frames, fps, speech, syllables, rng)
    smiles, smile = smiling(c["smile"], frames, fps, rng)

    starts = event_starts(0.45, seconds, rng)
    lengths = np.clip(0.22 * np.exp(0.5 * c["eyes"])
                      * np.exp(0.15 * rng.standard_normal(len(starts))), 0.1, 1.2)
    blinks = bumps(frames, fps, starts, lengths, 0.06, np.ones(len(starts)))
    droop = np.clip(0.18 + 0.13 * c["eyes"], 0, 0.5)

    lowered = np.clip(0.30 + 0.36 * c["gaze"], -0.4, 1.0)
    glances = bumps(frames, fps, starts=(at := event_starts(0.35, seconds, rng)),
                    lengths=np.clip(0.8 + 0.3 * c["gaze"] + 0 * at, 0.3, 2), rise=0.12,
                    heights=0.35 + 0 * at)
    gaze_y = np.clip(lowered + glances + 0.08 * wander(frames, fps, 0.4, rng), -0.4, 1.1)

    out = {
        **lips, "smile": smile,
        # a smile with closed lips hardly shows
        "open": np.clip(lips["open"] + 0.38 * np.clip(smiles, 0, 1), 0, 0.65),
        "brow": np.clip(0.20 + 0.50 * c["brow"] + 0.10 * wander(frames, fps, 0.6, rng), -1, 1.3),
        "closure": np.clip(np.maximum(droop, blinks), 0, 1),
        "gaze_x": np.clip(0.35 * wander(frames, fps, 0.5, rng), -0.9, 0.9), "gaze_y": gaze_y,
        **moving(c["head"], frames, fps, rng)}
    throughout = [[0, frames - 1]]
    truth = {"smile": intervals(smiles > 0.05), "brow": throughout, "eyes": intervals(blinks > 0.5),
             "gaze": intervals(glances > 0.1), "head": throughout}
    return out, truth


def smiling(cue, frames, fps, rng):
    """Smiles, and how far the corners of the mouth are drawn up altogether: two (frames,)."""
    starts = event_starts(0.42 * np.exp(-0.45 * cue), frames / fps, rng)
    lengths = rng.uniform(0.9, 1.7, len(starts))
    heights = np.clip(0.55 - 0.22 * cue + 0.06 * rng.standard_normal(len(starts)), 0.1, 1.0)
    events = bumps(frames, fps, starts, lengths, 0.25, heights)
    return events, (np.clip(0.20 - 0.14 * cue, -0.1, 0.55) + events
                    + 0.02 * wander(frames, fps, 0.5, rng))


def moving(cue, frames, fps, rng):
    """How the head moves: degrees, and shifts in distances between the irises, (frames,) each."""
    motion = np.exp(-0.5 * cue)
    return {
        "yaw": np.clip(3.6 * motion * wander(frames, fps, 0.5, rng), -15, 15),
        "pitch": np.clip(2.6 * motion * wander(frames, fps, 0.4, rng), -12, 12),
        "roll": np.clip(1.8 * motion * wander(frames, fps, 0.5, rng) + rng.normal(0, 1.0), -10, 10),
        "shift_x": 0.05 * motion * wander(frames, fps, 0.6, rng) + rng.normal(0, 0.04),
        "shift_y": 0.04 * motion * wander(frames, fps, 0.6, rng) + rng.normal(0, 0.04)}


def intervals(active):
    """Runs of True in (frames,) bool: [[first, last], ...]."""
    edges = np.flatnonzero(np.diff(np.r_[False, active, False].astype(int)))
    return [[int(a), int(b) - 1] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def render(person, signal, size):
    """Paint the frames of `signals` one after the other: iterator of (size, size, 3) uint8 RGB."""
    return person.frames(signal, size)


def write_video(path, person, signal, size, fps, rng):
    """Encode the frames of `signals` as MPEG-4 (atomically: a half file never has its name)."""
    part = path.with_name(f".{path.stem}.part.mp4")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter_fourcc(*"mp4v"), fps, (size, size))
    if not writer.isOpened():
        raise OSError(f"{path}: OpenCV cannot write MPEG-4 video here. "
                      "Reinstall opencv-contrib-python.")
    # sensor noise
    grain = rng.normal(0, person.noise, (size * 2, size * 2, 1)).astype(np.int16)
    for frame in render(person, signal, size):
        i, j = rng.integers(0, size, 2)
        frame = np.clip(frame + grain[i:i + size, j:j + size], 0, 255).astype(np.uint8)
        writer.write(frame[..., ::-1])
    writer.release()
    part.replace(path)
