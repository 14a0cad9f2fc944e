"""Vlogs at feature level: each second 25 descriptors of the voice, 136 coordinates of the face.

Nothing is synthesised here. A second of speech is the speaker's usual value plus five latent
factors (autoregressive, with the loadings that recordings of `voice` have), mixed with the value of
a pause; a second of the face is the mesh of `face`, moved by latent signals, of which the opening
of the mouth follows the voice. Four cues answer to severity:
  slow_acoustic   a larger share of the vlog in phases of a quiet, dark and monotonous voice (Mundt
                  et al. 2007; Alpert et al. 2001; Hönig et al. 2014)
  short_acoustic  more sighs: a second above, then one to three seconds far below the usual level
  slow_visual     a larger share in phases with head and brow lowered and little motion (Schwartz et
                  al. 1976; Girard et al. 2014; Alghowinem et al. 2013b)
  short_visual    more drops of head and gaze with the corners of the mouth down (Waxer 1974;
                  Scherer et al. 2014)
Everyone sighs and drops the head backwards, equally often: the same rows in reversed order, so that
the order of seconds counts. In some vlogs, whatever the severity, one modality carries nothing:
music over the voice, or no face that moves.
"""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation
from scipy.special import expit

from depnb.corpora.vlogs import standardised
from depnb.features.face import SIXTY_EIGHT
from depnb.simulation import face
from depnb.simulation.people import MILLIMETRES, SHIFT, still

MODALITIES = ("acoustic", "visual")
CUES = tuple(f"{kind}_{modality}" for modality in MODALITIES for kind in ("slow", "short"))
FACTORS = ("voicing", "dark", "open", "front", "energy")
SAD = np.array([-0.7, 0.5, 0.0, 0.0, -1.0])         # direction of both acoustic cues in the factors

SLOT = 220                  # about so many seconds hold one slow phase
SHARE = (0.15, 0.85)        # least and largest share of a slot that its phase takes
RAMP = 6                    # seconds in which a phase comes and goes
EVERY = 6                   # seconds that hold one short event, one of its reversals, or neither
# one row each, cut after two to four: against the cue, then with it, fading
EVENT = (-0.8, 1.0, 0.8, 0.4)
DECOYS = 0.3                # share of their slots in which a reversal shows
SLOW_DEPTH, SHORT_DEPTH = 1.6, 4.5      # standard deviations of a factor

# In openSMILE's order (eGeMAPSv02, LowLevelDescriptors) and units: means of a second of speech of
# women and men, of a pause and of music; standard deviations between people and between seconds;
# correlation with the `FACTORS`. Measured on 70 recordings of the first `voice`, and rotated to
# simple structure (varimax); the column of music is made up.
#                          female   male  pause  music person  row voicing  dark  open front energy
TABLE = """\
Loudness_sma3                 0.33   0.29   0.03   0.95   0.09 0.046   0.30 -0.33  0.19 -0.17   0.82
alphaRatio_sma3              -14.2  -18.4   -8.6   -9.0   1.63  2.89  -0.08 -0.55  0.26 -0.61   0.20
hammarbergIndex_sma3          28.9   30.3   17.0   20.0   1.37  3.62   0.13  0.88  0.27  0.10  -0.03
slope0-500_sma3              0.023  0.014  0.023  0.045  0.005 0.006   0.21 -0.15  0.77 -0.12  -0.12
slope500-1500_sma3          -0.024 -0.033  0.013 -0.006  0.003 0.007  -0.20 -0.19 -0.75 -0.10  -0.14
spectralFlux_sma3             0.11   0.11  0.004   0.42   0.05 0.021   0.11 -0.02  0.02 -0.03   0.97
mfcc1_sma3                    35.1   37.6   14.5   20.0   1.58  3.36   0.63  0.36  0.39 -0.11   0.10
mfcc2_sma3                     8.0   14.2    6.5    5.0   2.79  5.82  -0.38  0.68 -0.23  0.44  -0.19
mfcc3_sma3                     1.8    5.8    2.2   -6.0   3.55  10.0  -0.07 -0.18 -0.77  0.41  -0.17
mfcc4_sma3                   -20.4   -9.2    0.0   -8.0   2.81  5.05   0.02 -0.30 -0.71  0.20  -0.11
F0semitoneFrom27.5Hz_sma3nz   29.6   21.7   0.84   26.0   1.79  1.67   0.89  0.03  0.01  0.12   0.06
jitterLocal_sma3nz           0.011  0.009    0.0  0.025  0.002 0.002   0.41  0.17 -0.24  0.11   0.06
shimmerLocaldB_sma3nz         1.28   1.33   0.02    0.9  0.115 0.157   0.72  0.12  0.02 -0.15   0.08
HNRdBACF_sma3nz                7.4    4.8   0.17    3.0   0.78  0.63   0.57  0.17 -0.28  0.41  -0.18
logRelF0-H1-H2_sma3nz          3.3    2.6   0.13    2.0   1.30  2.88  -0.06  0.35 -0.68  0.24  -0.13
logRelF0-H1-A3_sma3nz         26.7   29.3   0.82   14.0   2.11  4.45   0.09  0.84  0.05  0.38  -0.04
F1frequency_sma3nz             605    585    640    520   24.4  46.5  -0.20  0.13 -0.14  0.86  -0.03
F1bandwidth_sma3nz            1341   1336   1424   1250   23.4  50.2  -0.05  0.74 -0.17  0.10  -0.15
F1amplitudeLogRelF0_sma3nz   -28.4  -36.6 -195.5  -70.0   5.23  9.45   0.94  0.06  0.19 -0.09   0.11
F2frequency_sma3nz            1656   1671   1602   1580   42.3  80.9  -0.13 -0.05 -0.21  0.95  -0.08
F2bandwidth_sma3nz            1050   1021   1258   1150   39.7  84.1  -0.14  0.81  0.10 -0.24  -0.10
F2amplitudeLogRelF0_sma3nz   -42.6  -50.9 -195.9  -85.0   5.15  9.84   0.88 -0.12  0.19 -0.29   0.17
F3frequency_sma3nz            2773   2742   2543   2650   34.3  71.8  -0.07  0.29  0.05  0.89  -0.02
F3bandwidth_sma3nz             899    971   1060   1000   39.9  64.7  -0.15  0.50  0.42  0.37  -0.05
F3amplitudeLogRelF0_sma3nz   -52.5  -60.4 -196.1  -90.0   4.97  8.62   0.92 -0.25 -0.07 -0.13   0.10
"""
DESCRIPTORS = {name: [float(number) for number in numbers]
               for name, *numbers in map(str.split, TABLE.splitlines())}
FEMALE, MALE, PAUSE, MUSIC, PERSON, ROW = np.array([d[:6] for d in DESCRIPTORS.values()]).T
LOADINGS = np.array([d[6:] for d in DESCRIPTORS.values()])             # (25, 5)
OWN = np.sqrt(np.maximum(1 - (LOADINGS**2).sum(1), 0.05))
POSITIVE = [i for i, name in enumerate(DESCRIPTORS)
            if name.startswith(("Loud", "spectralFlux", "F0", "jitter", "shimmer"))]
BANDS = np.linspace(0, 1, 64)           # log-mel bands from 125 to 7500 Hz
UNIT = SHIFT * MILLIMETRES              # of the face: distance of the irises
CROWD = 8                               # people of whose faces the landmarks are the mean
SILENCE = -4.4                          # log-mel level of a quiet room


def autoregressive(rows, columns, memory, rng):
    """Columns of unit variance whose neighbouring rows correlate by `memory`, (rows, columns)."""
    noise = rng.standard_normal((rows + 30, columns))
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=0)[30:]


def speaker(gender, rng):
    """A person whom nothing relates to severity: usual voice, usual face.

    gender: female or male.
    """
    x, y = basis()["rest"][:, :2].T / UNIT
    modes = 0.03 * rng.standard_normal(4)       # width, length, jaw, asymmetry
    return {"voice": np.where(gender == "female", FEMALE, MALE) + PERSON * rng.standard_normal(25),
            "spectrum": (0.4 * rng.standard_normal()
                         + 0.4 * rng.standard_normal() * np.exp(-2 * BANDS)
                         + 1.2 * gaussian_filter1d(rng.standard_normal(64 + 40), 5)[20:-20]),
            "speech": rng.normal(0.88, 0.05), "melody": np.exp(0.25 * rng.standard_normal()),
            "shape": UNIT * np.c_[modes[0] * x + modes[2] * x * y + 0.3 * modes[3] * y,
                                              modes[1] * y],
            "motion": np.exp(0.2 * rng.standard_normal()),
            "mouth": np.exp(0.2 * rng.standard_normal()),
            "usual": dict(zip(("smile", "brow", "pitch", "droop"),
                              rng.normal((0.15, 0.25, 0, 0.2), (0.08, 0.10, 1.2, 0.05)),
                              strict=True))}


def timing(slow, short, rows, rng):
    """When the two cues of one modality show.

    A higher cue adds to what a lower one shows with the same rng: phases grow about their centres,
    events are added.

    Parameters
    ----------
    slow, short : float
        Latent values of the cues.
    rows : int, seconds
    rng : numpy Generator

    Returns
    -------
    phase : (rows,), 0-1
    moved : (rows,)
        Events and their reversals.
    events : (rows,)
    """
    slots = max(1, round(rows / SLOT))
    length = rows / slots
    share = SHARE[0] + (SHARE[1] - SHARE[0]) * expit(1.8 * slow)
    centre = ((np.arange(slots) + 0.5) * length
              + (1 - SHARE[1]) / 2 * length * rng.uniform(-1, 1, slots))
    away = np.abs(np.arange(rows)[:, None] + 0.5 - centre).min(1)
    phase = np.clip((share * length / 2 - away) / RAMP + 0.5, 0, 1)

    slots = rows // EVERY
    start = EVERY * np.arange(slots) + rng.integers(0, EVERY - len(EVENT), slots)
    last = rng.integers(2, len(EVENT) + 1, slots)
    order = rng.permutation(slots)
    genuine, reversals = order[:slots // 2], order[slots // 2:]
    events, decoys = np.zeros(rows), np.zeros(rows)
    for i in genuine[:round(expit(-0.6 + 1.8 * short) * len(genuine))]:
        events[start[i]:start[i] + last[i]] = EVENT[:last[i]]
    for i in reversals[:round(DECOYS * len(reversals))]:
        decoys[start[i]:start[i] + last[i]] = EVENT[:last[i]][::-1]
    return phase, events + decoys, events


def speech(person, rows, phase, moved, rng):
    """Latent course of the voice.

    Parameters
    ----------
    person : dict, as of `speaker`
    rows : int, seconds
    phase, moved : (rows,), as of `timing`
    rng : numpy Generator

    Returns
    -------
    share : (rows,)
        Of speech in each second.
    factors : (rows, 5)
    energy : (rows,)
        But for cues.
    """
    share = np.clip(person["speech"] + 0.2 * autoregressive(rows, 1, 0.5, rng)[:, 0], 0, 1)
    free = person["melody"] * autoregressive(rows, len(FACTORS), 0.6, rng)
    monotonous = np.where(SAD != 0, 1 - 0.7 * phase[:, None], 1)
    sad = SAD * (SLOW_DEPTH * phase + SHORT_DEPTH * moved)[:, None]
    return share, monotonous * free + sad, free[:, -1]


def descriptors(person, share, factors, rng):
    """The 25 descriptors of each second, (rows, 25), of speech with these latents."""
    usual = person["voice"] + 0.3 * PERSON * rng.standard_normal(25)  # this recording
    # no BLAS: its sums depend on the number of threads
    common = np.einsum("tf,df->td", factors, LOADINGS)
    spoken = usual + ROW * (common + OWN * autoregressive(len(share), 25, 0.3, rng))
    silent = PAUSE + 0.1 * ROW * rng.standard_normal(spoken.shape)
    out = share[:, None] * spoken + (1 - share[:, None]) * silent
    out[:, POSITIVE] = np.maximum(out[:, POSITIVE], 0)
    return out


def music(rows, rng):
    """Descriptors of loud music, which hide the voice: notes of 1-4 s, a beat, (rows, 25)."""
    note = np.repeat(np.cumsum(rng.choice([-5, -2, 2, 3, 5], rows)) % 12,
                     rng.integers(1, 5, rows))[:rows] - 5.5
    beat = np.sin(2 * np.pi * np.arange(rows) / rng.uniform(3, 8))
    out = MUSIC + 0.3 * PERSON * rng.standard_normal(25) + 0.3 * ROW * (
        beat[:, None] * rng.standard_normal(25) + rng.standard_normal((rows, 25)))
    out[:, list(DESCRIPTORS).index("F0semitoneFrom27.5Hz_sma3nz")] += note / 2
    out[:, POSITIVE] = np.maximum(out[:, POSITIVE], 0)
    return out


def logmel(person, share, factors, rng):
    """Log-mel statistics of each second in place of the descriptors, of the same latents.

    Energy lifts all bands, darkness lowers the high ones, openness and frontness move two hills.

    Returns
    -------
    (rows, 128): 64 band means, 64 standard deviations
    """
    voicing, dark, opened, front, energy = factors.T[..., None]
    usual = 0.4 - 2.8 * BANDS + person["spectrum"] + 0.15 * rng.standard_normal()
    hill = [np.exp(-((BANDS - at) / 0.1) ** 2) for at in (0.25, 0.55)]
    spoken = (usual + 0.35 * energy + 0.15 * voicing * (1 - BANDS) - 0.35 * dark * BANDS
              + 0.25 * opened * hill[0] + 0.25 * front * hill[1]
              + 0.2 * autoregressive(len(share), 64, 0.3, rng))
    share = share[:, None]
    mean = share * spoken + (1 - share) * (SILENCE + 0.05 * rng.standard_normal(spoken.shape))
    spread = (np.exp(0.1 * rng.standard_normal(spoken.shape))
              * (0.75 + 0.1 * energy + 0.15 * person["spectrum"]))
    # an edge of speech spreads most
    spread = 0.15 + share * spread + 1.6 * np.sqrt(share * (1 - share))
    return np.concatenate([mean, np.maximum(spread, 0.02)], 1)


def logmel_music(rows, rng):
    """Log-mel statistics of loud music: all bands high and steady, with a beat, (rows, 128)."""
    beat = np.sin(2 * np.pi * np.arange(rows) / rng.uniform(3, 8))[:, None]
    usual = 1.6 - 1.5 * BANDS + 0.2 * rng.standard_normal(64) + 0.1 * beat * rng.standard_normal(64)
    noise, spread = rng.standard_normal((2, rows, 64))
    return np.concatenate([usual + 0.05 * noise, 0.3 + 0.03 * np.abs(spread)], 1)


@cache
def basis():
    """The 68 points at rest, and how each signal of the face moves them to first order.

    Means of a few of `people`, in millimetres: x to the right, y down, z away from the camera, the
    origin amid the points.

    Returns
    -------
    dict name -> (68, 3)
    """
    crowd = [face.identity(np.random.default_rng(i), ("female", "male")[i % 2])
             for i in range(CROWD)]

    def mean(**moved):
        return np.mean([person.landmarks(still() | moved, SIXTY_EIGHT)[0][0] for person in crowd],
                       axis=0)

    rest = mean()
    return {"rest": rest, **{name: mean(**{name: np.ones(1)}) - rest
                             for name in ("smile", "open", "brow", "closure", "gaze_y")}}


def expressions(person, share, energy, phase, moved, rng):
    """Signals of the face, a row a second, as of `face.signals`: dict of (rows,) arrays."""
    rows, usual = len(share), person["usual"]
    smile, brow, mouth, gaze = autoregressive(rows, 4, 0.5, rng).T
    yaw, pitch, roll, x, y = (autoregressive(rows, 5, 0.6,
                                             rng) * person["motion"] * (1 - 0.7 * phase[:, None])).T
    loud = np.clip(0.5 + 0.25 * energy + 0.12 * mouth, 0.05, 1.2)
    return {"smile": usual["smile"] + 0.12 * smile - 0.5 * moved,
            "open": 0.5 * person["mouth"] * share * loud,
            "brow": usual["brow"] + 0.12 * brow + 0.5 * phase,
            "closure": np.clip(usual["droop"] + (rng.uniform(size=rows) < 0.08), 0, 1),
            "gaze_y": np.clip(0.2 + 0.15 * gaze + 0.5 * moved, 0, 1), "yaw": 3.0 * yaw,
            "pitch": usual["pitch"] + 2.0 * pitch + 5.0 * phase + 8.0 * moved, "roll": 1.5 * roll,
            "shift_x": 0.04 * x, "shift_y": 0.03 * y + 0.05 * phase}


def landmarks(person, signal, uninformative, rng):
    """The 68 points in pixels of the picture.

    Parameters
    ----------
    person : dict, as of `speaker`
    signal : dict, as of `expressions`
    uninformative : bool
        A still picture in place of the face, or a tracker that has lost it and jumps about.
    rng : numpy Generator

    Returns
    -------
    (rows, 136), all x, then all y
    """
    part, rows = basis(), len(signal["smile"])
    neck = [0, 0, part["rest"][:, 2].max()]             # about which the head turns
    points = part["rest"] - neck + np.pad(person["shape"], ((0, 0), (0, 1)))
    # (rows, 68, 3)
    points = points + sum(signal[name][:, None, None] * part[name]
                          for name in part if name != "rest")
    turn = Rotation.from_euler("zyx", np.stack([signal["roll"], signal["yaw"], signal["pitch"]],
                                               1), degrees=True)
    shift = UNIT * np.stack([signal["shift_x"], signal["shift_y"]], 1)[:, None]
    flat = np.einsum("tij,tpj->tpi", turn.as_matrix()[:, :2], points) + shift
    # of the camera
    scale, centre = 1.25 * np.exp(0.03 * rng.standard_normal()), rng.normal((320, 240), (4, 2))
    noise = rng.normal(0, 0.4, flat.shape)
    lost, jumps = rng.uniform() < 0.5, rng.standard_normal((rows, 1, 2))
    if uninformative:
        flat, noise = flat.mean(0, keepdims=True), 0.1 * noise + 40 * lost * jumps
    return np.moveaxis(centre + scale * flat + noise, 2, 1).reshape(rows, 136)


def session(person, cues, rows, uninformative, key, layout="dvlog"):
    """Arrays of one vlog.

    Parameters
    ----------
    person : dict, as of `speaker`
    cues : mapping of `CUES` to latent values
    rows : int, seconds
    uninformative : None, "acoustic" or "visual"
    key : list of int
        Decides everything that the cues do not.
    layout : str
        dvlog, or lmvd with log-mel statistics.

    Returns
    -------
    {"acoustic": (rows, 25 or 128), "visual": (rows, 136)}, float64, landmarks in pixels
    """
    (*heard, _), (*seen, _) = _shown(cues, rows, key, uninformative).values()
    share, factors, energy = speech(person, rows, *heard, _rng(key, 2))
    hear, hide = (logmel, logmel_music) if layout == "lmvd" else (descriptors, music)
    acoustic = (hide(rows, _rng(key, 3)) if uninformative == "acoustic" else
                hear(person, share, factors, _rng(key, 3)))
    signal = expressions(person, share, energy, *seen, _rng(key, 4))
    return {"acoustic": acoustic,
            "visual": landmarks(person, signal, uninformative == "visual", _rng(key, 5))}


def stored(arrays, layout):
    """Arrays of `session` as the corpora have them.

    float32, but LMVD's landmarks float64 with standardised rows.
    """
    visual = (standardised(arrays["visual"]) if layout == "lmvd"
              else arrays["visual"].astype(np.float32))
    return {"acoustic": arrays["acoustic"].astype(np.float32), "visual": visual}


def planted(cues, rows, uninformative, key):
    """When the cues of the vlog that `session` makes of these arguments show.

    Returns
    -------
    {"slow", "short"}: modality -> list of [first, last] row
        Empty for an uninformative modality.
    """
    timings = _shown(cues, rows, key, uninformative)
    return {"slow": {m: face.intervals(phase > 0) for m, (phase, _, _) in timings.items()},
            "short": {m: face.intervals(events != 0) for m, (_, _, events) in timings.items()}}


def _shown(cues, rows, key, uninformative):
    return {m: np.zeros((3, rows)) if m == uninformative else
            timing(cues[f"slow_{m}"], cues[f"short_{m}"], rows, _rng(key, stage))
            for stage, m in enumerate(MODALITIES)}


def _rng(key, stage):
    return np.random.default_rng([*key, stage])


def twins(count, kind, modality=None, seed=0, layout="dvlog", seconds=480, apart=3.0):
    """Pairs of the same vlog that differ in one kind of cue only, low against high.

    Speaker, noise and the other cues are the same.

    Parameters
    ----------
    count : int
    kind : str
        slow or short.
    modality : str, optional
        acoustic or visual, if not both.
    seed : int
    layout : str
    seconds : int
    apart : float
        Between the cue's latent values, in standard deviations of the cohort.

    Returns
    -------
    list of (low, high, rows)
        low and high are {"acoustic", "visual"} arrays as the layout has them, rows (seconds,) bool
        says where they differ.

    Raises
    ------
    ValueError
        There is no such kind or modality.
    """
    if kind not in ("slow", "short") or modality not in (None, *MODALITIES):
        raise ValueError(f"kind {kind!r}, modality {modality!r}: choose slow or short; "
                         "acoustic, visual or None (both).")
    pairs = []
    for number in range(count):
        rng = np.random.default_rng([seed, number, 7])
        person = speaker(("female", "male")[number % 2], rng)
        cues = dict(zip(CUES, rng.standard_normal(len(CUES)), strict=True))
        moved = [f"{kind}_{m}" for m in MODALITIES if modality in (None, m)]
        low, high = (stored(session(person, cues | dict.fromkeys(moved, value), seconds, None,
                                    [seed, number, 8], layout),
                            layout) for value in (-apart / 2, apart / 2))
        rows = np.any([(low[m] != high[m]).any(1) for m in MODALITIES], axis=0)
        pairs.append((low, high, rows))
    return pairs
