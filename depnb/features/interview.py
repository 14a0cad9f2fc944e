"""Interviews of AAFN: transcript, sound and tracked face -> windows of 60 s of the participant.

`windows` is `as_released` (DepressionEstimation, database_generation_v2, number by number) or
`corrected`. Corrected: rows of the tables lie at their times (released: at their numbers, so that
a missing row moves all that follow); frames without a tracked face are interpolated in time and do
not stretch the scale (released: filled with a number from another column, or left at zero); log-mel
frames lie on the times of the video frames (released: 30.019 a second, so that sound and face drift
apart by 0.38 s in ten minutes); every session gives a window (released: none up to ten seconds);
sentences are those spoken around the window (released: spread evenly over the interview).
"""

import functools

import librosa
import numpy as np
import scipy.fft

from depnb.corpora.readers import (
    FPS,
    GAZE,
    KEYPOINTS,
    in_time,
    points_of,
    read_table,
    read_transcript,
    tracked,
)
from depnb.corpora.sound import heard
from depnb.features import store, text
from depnb.features.text import participant_turns

RATE, BANDS = 16000, 80                                    # Hz; mel bands
FFT, HOP = 2048, 533                                       # samples; samples (released)
MODALITIES = ("visual", "audio", "text")
POINTS = 72                                                # 68 of the face, 4 of gaze


def _filled_as_released(table):
    """NaN replaced by a minimum whose column is four places off (their `pre_check`): mostly of time
    and confidence.
    """
    elsewhere = table[:, :-4][~np.isnan(table[:, 4:])]
    return np.where(np.isnan(table), np.nanmin(elsewhere, initial=np.inf), table)


def _interpolated(table, good):
    """Frames that are not `good` replaced by a line in time between their neighbours that are."""
    known, lost = np.flatnonzero(good), np.flatnonzero(~good)
    after = np.searchsorted(known, lost)
    left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
    weight = np.where(right > left, (lost - left) / np.maximum(right - left, 1), 0)
    weight = weight.astype(np.float32)[:, None]
    out = table.copy()
    out[lost] = (1 - weight) * table[left] + weight * table[right]
    return out


def face(keypoints, gaze, windows="corrected"):
    """Key points, each axis scaled to 0..1 over the recording, and gaze as it is.

    Parameters
    ----------
    keypoints, gaze : paths

    Returns
    -------
    (frames, 72, 3) float32; (frames,) bool, in which frames both were tracked; remarks on tables of
    which rows are missing, repeated or left over: list of (part, sentence)

    Raises
    ------
    PartError
        Names the file, when a table cannot be used or tracking failed throughout.
    """
    tables, good, remarks = [], [], []
    for part, path, columns in (("keypoints", keypoints, KEYPOINTS), ("gaze", gaze, GAZE)):
        try:
            rows = read_table(path, columns)
            placed, odd = in_time(rows)
            if odd:
                odd.append("The released program takes row numbers for times all the same."
                           if windows == "as_released" else
                           "Gaps are interpolated; of rows of one time the first is taken.")
            tables.append(rows if windows == "as_released" else placed)
            remarks += [(part, sentence) for sentence in odd]
            good.append(tracked(tables[-1]))
            if not good[-1].any():
                raise ValueError("tracking failed in every frame (success is 0, "
                                 "or values are no numbers). The session has no visual modality.")
        except ValueError as error:
            raise PartError(part, str(error)) from None
    lengths = [len(table) for table in tables]
    if max(lengths) - min(lengths) > 1:
        remarks.append(("gaze", f"key points have {lengths[0]} frames, gaze {lengths[1]}; "
                        "those beyond the shorter are not used."))
    frames = min(lengths)
    if windows == "as_released":
        tables, scale_over = [_filled_as_released(t) for t in tables], slice(None)
    else:
        tables, scale_over = ([_interpolated(t, g) for t, g in zip(tables, good, strict=True)],
                              good[0])
    points = points_of(tables[0], KEYPOINTS)
    low, high = points[scale_over].min((0, 1)), points[scale_over].max((0, 1))
    points = (points - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    both = [points[:frames], points_of(tables[1], GAZE)[:frames]]
    return (np.concatenate(both, axis=1, dtype=np.float32),
            good[0][:frames] & good[1][:frames], remarks)


class PartError(ValueError):
    """What is wrong with one file of a session; `part` says which."""

    def __init__(self, part, sentence):
        super().__init__(sentence)
        self.part = part


def log_mel(samples, centres):
    """Log-mel spectrum of 16 kHz sound around some samples, standardised over all of it.

    Windows of 2048 (Hann), reflected at the ends; power in dB, at most 80 below the loudest; then
    mean 0 and standard deviation 1, as `librosa.feature.melspectrogram` and `power_to_db` give it.

    Parameters
    ----------
    samples : (n,)
    centres : whole numbers, samples in the middle of each window

    Returns
    -------
    (80, centres) float32

    Raises
    ------
    ValueError
        For silence.
    """
    padded = np.pad(np.asarray(samples, np.float32), FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)
    power = np.empty((BANDS, len(centres)), np.float32)
    basis, window = _mel_basis()
    for block in np.split(np.arange(len(centres)), range(512, len(centres), 512)):
        spectrum = scipy.fft.rfft(frames[centres[block]] * window, axis=1)
        power[:, block] = basis @ (spectrum.real**2 + spectrum.imag**2).T
    decibels = librosa.power_to_db(power)
    if decibels.std() < 1e-3:
        raise ValueError("the sound of the participant's turns is silent. "
                         "The session has no audio modality.")
    return (decibels - decibels.mean()) / decibels.std()


@functools.lru_cache(maxsize=1)
def _mel_basis():
    return (librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS),
            librosa.filters.get_window("hann", FFT).astype(np.float32))


def signals(transcript, audio=None, keypoints=None, gaze=None, shift=0.0, skip=(),
            windows="corrected", step=1, pitch=0.0):
    """Face and sound of the participant's turns, joined; an extractor for `store.extract`.

    Parameters
    ----------
    transcript, audio, keypoints, gaze : paths, None where a file is missing
    shift, skip : see `text.participant_turns`
    step : mean of so many frames each
    pitch : semitones by which to shift the voice (the authors balance genders so)

    Returns
    -------
    dict
        visual (T, 72, 3) float32 and audio (80, T) float32, where they can be had; turns (n, 2),
        frames of the recording from which T come; frames, T; step; found, share of frames with a
        tracked face; problems and remarks (n, 2), part and sentence: what bars a modality, what
        should be known.

    Raises
    ------
    ValueError
        When the transcript cannot be used.
    """
    written = read_transcript(transcript)
    turns, cut = participant_turns(written, shift, skip, windows)
    problems, points, good, samples, tables_told = [], None, None, None, []
    remarks = [("transcript", sentence) for sentence in written.attrs["remarks"]]
    if cut:
        remarks.append(("transcript", f"{cut} turns of the participant overlap the next; "
                        "they end where it begins."))
    if keypoints is not None and gaze is not None:
        try:
            points, good, tables_told = face(keypoints, gaze, windows)
        except PartError as error:
            problems.append((error.part, str(error)))
    if audio is not None:
        try:
            samples, _, facts = heard(audio, target_rate=RATE)
            remarks += [("audio", sentence) for sentence in facts.remarks()]
        except ValueError as error:
            problems.append(("audio", str(error)))
    times = turns[["start", "stop"]].to_numpy()
    ends = [len(points)] if points is not None else []
    ends += [len(samples) * FPS // RATE] if samples is not None else []
    if len(ends) == 2 and abs(ends[0] - ends[1]) > 5 * FPS:
        remarks.append(("keypoints", "video and sound differ by "
                        f"{abs(ends[0] - ends[1]) / FPS:.0f} s in length; "
                        "corrected windows end with the shorter."))
    remarks += tables_told
    out = {"turns": _spans(times, ends, windows)}
    frames = frame_numbers(out["turns"])
    if points is not None:
        out["visual"], out["found"] = every(points[frames], step), good[frames].mean()
    if samples is not None:
        try:
            sound = _sound(samples, times, out["turns"], windows, pitch)
            out["audio"] = np.ascontiguousarray(every(sound.T, step).T)
        except ValueError as error:
            problems.append(("audio", str(error)))
    return out | {"frames": np.int64(-(-len(frames) // step)), "step": np.int64(step),
                  "problems": _rows(problems), "remarks": _rows(remarks)}


signals.version = 4


def _spans(times, ends, windows):
    """Video frames (m, 2) of the turns that hold any, before the end of the recording.

    times (n, 2) seconds; ends: frames of the video, of the sound, those that there are.
    """
    spans = (times * FPS).astype(int)                       # truncated, as released
    if ends:
        spans = np.minimum(spans, min(ends) if windows == "corrected" else ends[0])
    spans = spans[spans[:, 1] > spans[:, 0]]
    if not len(spans):
        raise ValueError("the participant's turns hold no frame of the recording (all are empty, "
                         "or begin after its end). Check that the files belong together.")
    return spans


def _rows(pairs):
    return np.array(pairs, dtype=str).reshape(-1, 2)


def frame_numbers(turns):
    """Frames of the recording that the turns (n, 2) hold, in order -> (T,) int."""
    return np.concatenate([np.arange(a, b) for a, b in turns])


def _sound(samples, times, turns, windows, pitch):
    """Log-mel frames of the joined turns.

    times (n, 2) seconds, as written; turns (m, 2) video frames, as used.
    """
    cuts = (times * RATE).astype(int) if windows == "as_released" else turns * RATE // FPS
    # 16-bit numbers, as the authors
    joined = np.concatenate([samples[a:b] for a, b in cuts]) * np.float32(32768)
    if not len(joined):
        raise ValueError("the sound ends before the participant speaks. "
                         "The session has no audio modality.")
    if pitch:
        joined = librosa.effects.pitch_shift(joined, sr=RATE, n_steps=pitch)
    if windows == "as_released":
        return log_mel(joined, np.arange(1 + len(joined) // HOP) * HOP)
    # joined minus recorded, by turn
    starts = np.r_[0, np.cumsum(cuts[:, 1] - cuts[:, 0])[:-1]] - cuts[:, 0]
    frames = frame_numbers(turns)
    return log_mel(joined, frames * RATE // FPS + np.repeat(starts, turns[:, 1] - turns[:, 0]))


def every(array, step):
    """Mean of each `step` consecutive entries of the first axis, the last of what is left.

    (T, ...) -> (T / step, ...).
    """
    if step == 1:
        return array
    starts = np.arange(0, len(array), step)
    sizes = np.minimum(step, len(array) - starts).astype(array.dtype)
    return np.add.reduceat(array, starts, axis=0) / sizes.reshape(-1, *[1] * (array.ndim - 1))


def shifted(visual, rng):
    """Key points moved by one number in +-0.05 an axis, gaze left. (T, 72, 3) -> the same.

    The authors' gender balancing.
    """
    offset = np.zeros((POINTS, 3), np.float32)
    offset[:68] = rng.uniform(-0.05, 0.05, 3)
    return visual + offset


def extract(sessions, cache, workers=-1, windows="corrected", step=1, pitch=0.0, encoder="hashed"):
    """Signals and sentences of many interviews, in parallel, through the cache.

    Parameters
    ----------
    sessions : mapping name -> {"transcript", "audio", "keypoints", "gaze", "shift", "skip"}
        Four paths or None, and numbers, as `corpora.daic_woz.interviews` gives it.
    windows, step, pitch : see `signals`
    encoder : see `text.extract`

    Returns
    -------
    features : mapping name -> arrays of `signals` and `text.sentences`, those that there are
    problems : mapping "name/part" -> sentence on what cannot be used
        For the part `transcript` the session as such.
    remarks : mapping "name/part" -> sentence on what is used all the same

    Raises
    ------
    text.EncoderError, ModuleNotFoundError
    """
    transcripts = {name: inputs["transcript"] for name, inputs in sessions.items()}
    timing = {name: {"shift": inputs["shift"], "skip": inputs["skip"]}
              for name, inputs in sessions.items()}
    spoken, no_text = text.extract(transcripts, cache, encoder, workers, timing, windows)
    recorded, no_signals = store.extract(
        {name: path for name, path in transcripts.items() if name in spoken}, signals, cache,
        each={name: {k: v for k, v in inputs.items() if k != "transcript"}
              for name, inputs in sessions.items()},
        workers=workers, windows=windows, step=step, pitch=pitch)
    problems = {f"{name}/transcript": sentence for name, sentence in (no_text | no_signals).items()}
    remarks, features = {}, {}
    for name, arrays in recorded.items():
        notes = [tuple(note) for note in arrays["remarks"]]
        features[name] = {k: v for k, v in arrays.items() if k not in ("problems", "remarks")}
        if len(spoken[name]["text"]):
            features[name] |= spoken[name]
        else:
            notes.append(("transcript", "no word of the participant was understood; "
                          "the session has no text modality."))
        if arrays.get("found", 1) < 0.8:
            mended = "interpolated" if windows == "corrected" else "not mended"
            notes.append(("keypoints", f"a face in {arrays['found']:.0%} of the participant's "
                          f"frames; gaps are {mended}."))
        for part, sentence in notes:
            remarks[f"{name}/{part}"] = f"{remarks.get(f'{name}/{part}', '')} {sentence}".strip()
        problems |= {f"{name}/{part}": str(sentence) for part, sentence in arrays["problems"]}
    return features, problems, remarks


def other_gender(sessions, genders, cache, seed=0, **options):
    """Every session again with the voice of the other gender: the authors' gender balancing.

    A woman's voice is shifted by -4 semitones, a man's by 4 (the authors shifted outside their
    program and do not say how far); key points move by one number an axis, gaze and words stay.

    Parameters
    ----------
    sessions, options : as for `extract`
    genders : mapping name -> female or male, others are left out

    Returns
    -------
    mapping "name shifted" -> arrays
    """
    moved_by_name = {}
    for gender, semitones in (("female", -4.0), ("male", 4.0)):
        chosen = {name: inputs for name, inputs in sessions.items() if genders[name] == gender}
        for name, arrays in extract(chosen, cache, pitch=semitones, **options)[0].items():
            rng = np.random.default_rng([seed, len(moved_by_name)])
            moved = {"visual": shifted(arrays["visual"], rng)} if "visual" in arrays else {}
            moved_by_name[f"{name} shifted"] = arrays | moved
    return moved_by_name
