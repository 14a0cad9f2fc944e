"""Recordings and arrays made worse, in steps: level 0 is what was recorded, 3 or 4 the worst.

KINDS are what pictures, sound and rows of features can all suffer: noise; blur; compression; rate
(fewer frames or samples a second); lost (a part of the recording shows or tells nothing); short
(only its beginning). A batch of several modalities can also lack one of them (missing). LEVELS says
what a level means. The same seed damages the same places: what grows with the level is the damage
alone.

Noise and blur of pictures are those that STA-DRN's authors test with (`test.py`, `--sigma` and
`--size`), three of their levels: noise of 16, 32 and 64 of 255, a Gaussian kernel of 15, 27 and 49
pixels of their crops, 224 wide. Their program blurs rows and colours; here it is rows and columns.
"""

import io

import cv2
import librosa
import numpy as np
import soundfile
import torch
from scipy.ndimage import gaussian_filter1d

from depnb.features import speech, vggish

ONE_EXAMPLE = vggish.SHORTEST - 96 * 160    # samples that give one example of 96 log-mel frames
AUTHORS_WIDTH = 224                         # pixels of the crops that STA-DRN's authors blur
KINDS = ("noise", "blur", "compression", "rate", "lost", "short")
OF_BATCHES = ("noise", "lost", "missing")
SHORT = (0.75, 0.6, 0.45)
LEVELS = {
    "pictures": {"noise": (16, 32, 64), "blur": (15, 27, 49), "compression": (30, 10, 3),
                 "rate": (2, 4, 8), "lost": (0.25, 0.5, 0.75), "short": SHORT},
    "sound": {"noise": (20, 10, 0), "blur": (0.1, 0.2, 0.4), "compression": (0.6, 0.8, 1.0),
              "rate": (8000, 4000, 2000), "lost": (0.25, 0.5, 0.75), "short": SHORT},
    "rows": {"noise": (0.5, 1.0, 2.0, 4.0), "blur": (1, 2, 4), "compression": (4, 3, 2),
             "rate": (2, 4, 8), "lost": (0.25, 0.5, 0.75, 1.0), "short": SHORT,
             "missing": (0.25, 0.5, 0.75, 1.0)},
}
UNITS = {
    "pictures": {"noise": "standard deviation, of 255 grey levels",
                 "blur": "Gaussian kernel, pixels of a crop 224 wide",
                 "compression": "JPEG quality", "rate": "every n-th frame, held",
                 "lost": "share of frames black", "short": "share kept"},
    "sound": {"noise": "signal to noise, dB", "blur": "standard deviation of a Gaussian, ms",
              "compression": "Ogg Vorbis, compression level 0–1", "rate": "samples a second",
              "lost": "share silenced", "short": "share kept"},
    "rows": {"noise": "standard deviations of the session",
             "blur": "standard deviation of a Gaussian, rows", "compression": "bits a number",
             "rate": "every n-th row, held", "lost": "share of rows zero", "short": "share kept",
             "missing": "share of units without the modality"},
}


def dose(what, kind, level):
    """What a level from 1 on means, of a kind, for pictures, sound or rows.

    Raises
    ------
    ValueError
        For any other kind, recording or level.
    """
    levels = LEVELS.get(what, {}).get(kind, ())
    if level not in range(1, len(levels) + 1):
        raise ValueError(f"{kind!r} of {what!r} at level {level!r}: choose {', '.join(KINDS)}; "
                         f"{', '.join(LEVELS)}; 1 to {len(levels) or 3}.")
    return levels[level - 1]


def pictures(frames, kind, level, rng):
    """Frames of a video made worse.

    Parameters
    ----------
    frames : (T, H, W, 3) uint8
    kind, level : see LEVELS
    rng : NumPy generator

    Returns
    -------
    the same, shorter for `short`
    """
    if not level:
        return frames
    amount = dose("pictures", kind, level)
    if kind == "noise":
        return np.clip(frames + rng.normal(0, amount, frames.shape), 0, 255).astype(np.uint8)
    if kind == "blur":
        size = round(amount * frames.shape[2] / AUTHORS_WIDTH) | 1      # the nearest odd number
        return np.stack([cv2.GaussianBlur(f, (size, size), 0) for f in frames])
    if kind == "compression":
        quality = [cv2.IMWRITE_JPEG_QUALITY, amount]
        written = [cv2.imencode(".jpg", np.ascontiguousarray(f), quality)[1] for f in frames]
        return np.stack([cv2.imdecode(f, cv2.IMREAD_COLOR) for f in written])
    return sequence(frames, kind, amount, rng)


def rows(array, kind, level, rng, axis=0):
    """Features over time made worse.

    Parameters
    ----------
    array : (..., T, ...) float
    kind, level : see LEVELS
    rng : NumPy generator
    axis : of time

    Returns
    -------
    the same, shorter for `short`
    """
    if not level:
        return array
    amount, array = dose("rows", kind, level), np.moveaxis(np.asarray(array), axis, 0)
    if kind == "noise":
        worse = array + amount * array.std(0) * rng.standard_normal(array.shape)
    elif kind == "blur":
        worse = gaussian_filter1d(array, amount, axis=0, mode="nearest")
    elif kind == "compression":
        low, step = array.min(0), np.ptp(array, 0) / (2**amount - 1)
        worse = low + step * np.round((array - low) / np.where(step > 0, step, 1))
    else:
        worse = sequence(array, kind, amount, rng)
    return np.moveaxis(worse.astype(array.dtype), 0, axis)


def sequence(array, kind, amount, rng):
    """Time is the first axis: held, partly zero, or cut."""
    steps = len(array)
    if kind == "rate":
        return array[np.arange(steps) // amount * amount]
    if kind == "short":
        return array[:max(1, round(amount * steps))]
    if kind != "lost":
        raise ValueError(f"{kind!r} is not what a sequence suffers: choose {', '.join(KINDS)}.")
    lost = rng.random(steps) < amount
    return np.where(lost.reshape(-1, *[1] * (array.ndim - 1)), np.zeros((), array.dtype), array)


def batch(x, kind, level, axis, spread=1.0, seed=0):
    """One modality of a batch made worse.

    Parameters
    ----------
    x : (B, ...) tensor
    kind : noise (times `spread`), lost (of the frames or sentences of every window), or missing (of
        the windows, which lack the modality)
    level : as of rows
    axis : of time
    spread : the modality's standard deviation in training

    Returns
    -------
    x, (B,) bool: which windows still have the modality
    """
    if kind not in OF_BATCHES:
        raise ValueError(f"kind {kind!r}: choose {', '.join(OF_BATCHES)}.")
    amount, random = dose("rows", kind, level), torch.Generator().manual_seed(seed)
    left = torch.ones(len(x), dtype=torch.bool)
    if kind == "noise":
        x = x + amount * spread * torch.randn(x.shape, generator=random).to(x)
    elif kind == "lost":
        lost = torch.rand(len(x), x.shape[axis], generator=random) < amount
        shape = [n if i in (0, axis) else 1 for i, n in enumerate(x.shape)]
        x = x * (~lost).view(shape).to(x)
    else:
        left = torch.rand(len(x), generator=random) >= amount
    return x, left


def sound(samples, rate, kind, level, rng):
    """A recording made worse.

    Parameters
    ----------
    samples : (n,) float32
    rate : samples a second
    kind, level : see LEVELS
    rng : NumPy generator

    Returns
    -------
    (n,) float32 at the same rate, shorter for `short`
    """
    if not level:
        return samples
    amount, n = dose("sound", kind, level), len(samples)
    if kind == "noise":             # signal-to-noise ratio 10 log10(power / noise power)
        power = np.mean(samples**2)
        worse = samples + np.sqrt(power / 10 ** (amount / 10)) * rng.standard_normal(n)
    elif kind == "blur":
        worse = gaussian_filter1d(samples, amount * rate / 1000)
    elif kind == "compression":
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format="OGG", subtype="VORBIS",
                        compression_level=amount)
        file.seek(0)
        worse = soundfile.read(file, dtype="float32")[0][:n]
    elif kind == "rate":
        fewer = librosa.resample(samples, orig_sr=rate, target_sr=amount)
        worse = librosa.resample(fewer, orig_sr=amount, target_sr=rate)[:n]
    elif kind == "short":
        worse = samples[:round(amount * n)]
    else:
        window = rate // 4                                      # lost in quarters of a second
        lost = np.repeat(rng.random(-(-n // window)) < amount, window)[:n]
        worse = np.where(lost, 1e-5 * rng.standard_normal(n), samples)
    return worse.astype(np.float32)


def speech_parts(path, kind="noise", level=0, parts=2, seed=0):
    """eGeMAPS and log-mel statistics of the equal parts of a recording, for `store.extract`.

    Preprocessed as CFRAFN asks (`speech.preprocess`), after the damage.

    Returns
    -------
    dict: egemaps (parts, 88), vggish (parts, 128) float32

    Raises
    ------
    speech.AudioError
        As `speech.read_audio` does, or where a part is too short for log-mel statistics.
    """
    samples, rate = speech.read_audio(path)
    worse = sound(samples, rate, kind, level, np.random.default_rng([seed, len(samples)]))
    used, rate = list(speech.preprocess(worse, rate).values())[-1]
    needed = parts * ONE_EXAMPLE / vggish.RATE
    if len(used) / rate < needed:
        raise speech.AudioError(f"{len(used) / rate:.2f} s of speech are left; expected "
                                f"{needed:.2f} s for {parts} parts. Record longer, or ask for "
                                "fewer parts.")
    pieces = [speech.in_range(piece) for piece in np.array_split(used, parts)]
    return {"egemaps": np.stack([speech.egemaps(piece, rate) for piece in pieces]),
            "vggish": np.stack([vggish.logmel_statistics(vggish.examples(piece, rate))
                                for piece in pieces])}


speech_parts.version = 3
