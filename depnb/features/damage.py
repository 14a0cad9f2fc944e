"""Recordings made worse, in steps: level 0 is the recording as it is, 3 the worst.

kinds: noise; compression; rate (fewer frames or samples a second); lost (a part of the recording shows or tells nothing);
short (only its beginning). LEVELS says what a level means for pictures, sound and rows of features. The same seed damages
the same places: what grows with the level is the damage alone.
"""

import io

import cv2
import librosa
import numpy as np
import soundfile

from depnb.features import speech, vggish

ONE_EXAMPLE = vggish.SHORTEST - 96 * 160    # samples that give one example of 96 log-mel frames
KINDS = ("noise", "compression", "rate", "lost", "short")
LEVELS = {
    "pictures": {"noise": (0.05, 0.1, 0.2), "compression": (30, 10, 3), "rate": (2, 4, 8), "lost": (0.25, 0.5, 0.75),
                 "short": (0.75, 0.6, 0.45)},
    "sound": {"noise": (20, 10, 0), "compression": (0.6, 0.8, 1.0), "rate": (8000, 4000, 2000), "lost": (0.25, 0.5, 0.75),
              "short": (0.75, 0.6, 0.45)},
    "rows": {"noise": (0.5, 1.0, 2.0), "compression": (4, 3, 2), "rate": (2, 4, 8), "lost": (0.25, 0.5, 0.75),
             "short": (0.75, 0.6, 0.45)},
}
UNITS = {
    "pictures": {"noise": "standard deviation, share of white", "compression": "JPEG quality",
                 "rate": "every n-th frame, held", "lost": "share of frames black", "short": "share kept"},
    "sound": {"noise": "signal to noise, dB", "compression": "Ogg Vorbis, compression level 0–1", "rate": "samples a second",
              "lost": "share silenced", "short": "share kept"},
    "rows": {"noise": "standard deviations of the session", "compression": "bits a number", "rate": "every n-th row, held",
             "lost": "share of rows zero", "short": "share kept"},
}


def dose(what, kind, level):
    """What level 1 to 3 of a kind means for pictures, sound or rows. Raises ValueError for anything else."""
    if kind not in KINDS or what not in LEVELS or level not in (1, 2, 3):
        raise ValueError(f"{kind!r} of {what!r} at level {level!r}: choose {', '.join(KINDS)}; {', '.join(LEVELS)}; 1 to 3.")
    return LEVELS[what][kind][level - 1]


def pictures(frames, kind, level, rng):
    """Frames of a video made worse. frames (T, H, W, 3) uint8 -> the same, shorter for `short`."""
    if not level:
        return frames
    amount = dose("pictures", kind, level)
    if kind == "noise":
        return np.clip(frames + rng.normal(0, 255 * amount, frames.shape), 0, 255).astype(np.uint8)
    if kind == "compression":
        written = [cv2.imencode(".jpg", np.ascontiguousarray(f), [cv2.IMWRITE_JPEG_QUALITY, amount])[1] for f in frames]
        return np.stack([cv2.imdecode(f, cv2.IMREAD_COLOR) for f in written])
    return sequence(frames, kind, amount, rng)


def rows(array, kind, level, rng, axis=0):
    """Features over time made worse. array (..., T, ...) float, time along `axis` -> the same, shorter for `short`."""
    if not level:
        return array
    amount, array = dose("rows", kind, level), np.moveaxis(np.asarray(array), axis, 0)
    if kind == "noise":
        worse = array + amount * array.std(0) * rng.standard_normal(array.shape)
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
    lost = rng.random(steps) < amount
    return np.where(lost.reshape(-1, *[1] * (array.ndim - 1)), np.zeros((), array.dtype), array)


def sound(samples, rate, kind, level, rng):
    """A recording made worse. samples (n,) float32 -> (n,) float32 at the same rate, shorter for `short`."""
    if not level:
        return samples
    amount, n = dose("sound", kind, level), len(samples)
    if kind == "noise":
        worse = samples + np.sqrt(np.mean(samples**2) / 10 ** (amount / 10)) * rng.standard_normal(n)
    elif kind == "compression":
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format="OGG", subtype="VORBIS", compression_level=amount)
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
    """eGeMAPS and log-mel statistics of the equal parts of a recording, an extractor for `store.extract`.

    Preprocessed as CFRAFN asks (`speech.preprocess`), after the damage. -> egemaps (parts, 88), vggish (parts, 128) float32.
    Raises speech.AudioError as `speech.read_audio` does, or where a part is too short for log-mel statistics.
    """
    samples, rate = speech.read_audio(path)
    worse = sound(samples, rate, kind, level, np.random.default_rng([seed, len(samples)]))
    used, rate = list(speech.preprocess(worse, rate).values())[-1]
    needed = parts * ONE_EXAMPLE / vggish.RATE
    if len(used) / rate < needed:
        raise speech.AudioError(f"{len(used) / rate:.2f} s of speech are left; expected {needed:.2f} s for {parts} parts. "
                                "Record longer, or ask for fewer parts.")
    pieces = [speech.in_range(piece) for piece in np.array_split(used, parts)]
    return {"egemaps": np.stack([speech.egemaps(piece, rate) for piece in pieces]),
            "vggish": np.stack([vggish.logmel_statistics(vggish.examples(piece, rate)) for piece in pieces])}


speech_parts.version = 1
