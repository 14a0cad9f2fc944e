"""Interviews of AAFN: transcript, sound and tracked face -> what the participant shows and says, in windows of 60 s.

`windows` is `as_released` (DepressionEstimation, database_generation_v2, number by number) or `corrected`. Corrected:
frames without a tracked face are interpolated in time and do not stretch the scale (released: filled with a number from
another column, or left at zero); log-mel frames lie on the times of the video frames (released: 30.019 a second, so that
sound and face drift apart by 0.38 s in ten minutes); every session gives a window (released: none up to ten seconds);
sentences are those spoken around the window (released: spread evenly over the interview).
"""

import functools
import warnings

import librosa
import numpy as np
import pandas as pd
import scipy.fft
import torch

from depnb.features import store, text
from depnb.features.speech import read_audio
from depnb.features.text import participant_turns, read_transcript

FPS, RATE, BANDS, FFT, HOP = 30, 16000, 80, 2048, 533      # video; Hz; mel bands; samples; samples (released)
LENGTH, STRIDE, SENTENCES = 1800, 1500, 10                 # frames of a window; frames from one to the next; in each
MODALITIES = ("visual", "audio", "text")
POINTS = 72                                                # 68 of the face, 4 of gaze
LEAD = ["frame", "timestamp", "confidence", "success"]
KEYPOINTS = [f"{axis}{i}" for axis in "XYZ" for i in range(68)]
GAZE = [f"{axis}_{eye}" for eye in ("0", "1", "h0", "h1") for axis in "xyz"]
NOT_NUMBERS = ["-1.#IND", "1.#IND", "-1.#QNAN", "1.#QNAN", "-1.#INF", "1.#INF", "-nan(ind)", "-nan", "nan"]


def read_table(path, columns):
    """A table of tracked frames -> (frames, 4 + columns) float32: frame, timestamp, confidence, success, then `columns`.

    Columns are found by name, whatever their case and the blanks around it; what is no number becomes NaN. Raises
    ValueError when the table is empty, lacks a column, or has rows longer than its header.
    """
    wanted = [c.lower() for c in LEAD + columns]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            read = functools.partial(pd.read_csv, path, skipinitialspace=True, index_col=False, na_values=NOT_NUMBERS)
            header = [c.strip().lower() for c in read(nrows=0)]
            try:
                table = read(dtype=np.float32)
            except pd.errors.ParserError:
                raise
            except ValueError:                          # text that is none of the usual ones
                table = read(dtype=str).apply(pd.to_numeric, errors="coerce")
    except (ValueError, pd.errors.ParserWarning):
        raise ValueError(f"not a table of {len(wanted)} columns separated by commas (empty, or rows of unequal length). "
                         "Copy it again from the corpus.") from None
    if not set(wanted) <= set(header):
        raise ValueError(f"has {len(header)} columns, among them {len(set(wanted) & set(header))} of {len(wanted)} that are "
                         f"expected: {', '.join(LEAD)} and {columns[0]} to {columns[-1]}. Copy it again from the corpus.")
    if table.empty:
        raise ValueError("holds no frame. Copy it again from the corpus.")
    return table.to_numpy(np.float32)[:, [header.index(c) for c in wanted]]


def tracked(table):
    """Where a face was tracked: success, and values are numbers and not all zero. (frames, columns) -> (frames,) bool."""
    return (table[:, 3] > 0) & np.isfinite(table[:, 4:]).all(axis=1) & (table[:, 4:] != 0).any(axis=1)


def read_points(path, columns):
    """KEYPOINTS or GAZE of every frame -> (frames, 68 or 4, 3) float32, NaN where tracking failed."""
    table = read_table(path, columns)
    table[~tracked(table)] = np.nan
    return _points(table, columns)


def _points(table, columns):
    """x, y, z of each point, from the columns' order. (frames, 4 + 3 * points) -> (frames, points, 3)."""
    values = table[:, 4:]
    if columns is KEYPOINTS:                                # all X, all Y, all Z
        return values.reshape(len(table), 3, -1).transpose(0, 2, 1)
    return values.reshape(len(table), -1, 3)


def _filled_as_released(table):
    """NaN replaced by a minimum whose column is four places off (their `pre_check`): mostly of time and confidence."""
    elsewhere = table[:, :-4][~np.isnan(table[:, 4:])]
    return np.where(np.isnan(table), np.nanmin(elsewhere, initial=np.inf), table)


def _interpolated(table, good):
    """Frames that are not `good` replaced by a line in time between their neighbours that are."""
    known, lost = np.flatnonzero(good), np.flatnonzero(~good)
    after = np.searchsorted(known, lost)
    left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
    weight = np.where(right > left, (lost - left) / np.maximum(right - left, 1), 0).astype(np.float32)[:, None]
    out = table.copy()
    out[lost] = (1 - weight) * table[left] + weight * table[right]
    return out


def face(keypoints, gaze, windows="corrected"):
    """Key points, each axis scaled to 0..1 over the recording, and gaze as it is -> (frames, 72, 3) float32, (frames,) bool.

    The second tells in which frames both were tracked. Raises ValueError, which names the file, when a table cannot be
    used or tracking failed throughout.
    """
    tables, good = [], []
    for part, path, columns in (("keypoints", keypoints, KEYPOINTS), ("gaze", gaze, GAZE)):
        try:
            tables.append(read_table(path, columns))
            good.append(tracked(tables[-1]))
            if not good[-1].any():
                raise ValueError("tracking failed in every frame (success is 0, or values are no numbers). The session has "
                                 "no visual modality.")
        except ValueError as error:
            raise PartError(part, str(error)) from None
    frames = min(map(len, tables))                          # of one video: more than a frame's difference is unheard of
    if windows == "as_released":
        tables, scale_over = [_filled_as_released(t) for t in tables], slice(None)
    else:
        tables, scale_over = [_interpolated(t, g) for t, g in zip(tables, good, strict=True)], good[0]
    points = _points(tables[0], KEYPOINTS)
    low, high = points[scale_over].min((0, 1)), points[scale_over].max((0, 1))
    points = (points - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    return (np.concatenate([points[:frames], _points(tables[1], GAZE)[:frames]], axis=1, dtype=np.float32),
            good[0][:frames] & good[1][:frames])


class PartError(ValueError):
    """What is wrong with one file of a session; `part` says which."""

    def __init__(self, part, sentence):
        super().__init__(sentence)
        self.part = part


def log_mel(samples, centres):
    """Log-mel spectrum of 16 kHz sound around given samples, standardised over all of it. -> (80, centres) float32.

    Windows of 2048 (Hann), reflected at the ends; power in dB, at most 80 below the loudest; then mean 0 and standard
    deviation 1, as `librosa.feature.melspectrogram` and `power_to_db` give it. Raises ValueError for silence.
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
        raise ValueError("the sound of the participant's turns is silent. The session has no audio modality.")
    return (decibels - decibels.mean()) / decibels.std()


@functools.lru_cache(maxsize=1)
def _mel_basis():
    return (librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS),
            librosa.filters.get_window("hann", FFT).astype(np.float32))


def signals(transcript, audio=None, keypoints=None, gaze=None, shift=0.0, skip=(), windows="corrected", step=1, pitch=0.0):
    """Face and sound of the participant's turns, joined, at 30 frames a second; an extractor for `store.extract`.

    Paths, None where a file is missing; shift, skip: see `text.participant_turns`; step: mean of so many frames each;
    pitch: semitones by which to shift the voice (the authors balance genders so). -> visual (T, 72, 3) float32 and audio
    (80, T) float32, where they can be had; turns (n, 2), frames of the recording from which T come; frames, T; step;
    found, share of frames with a tracked face; problems and remarks (n, 2), part and sentence: what bars a modality,
    what should be known. Raises ValueError when the transcript cannot be used.
    """
    turns, cut = participant_turns(read_transcript(transcript), shift, skip, windows)
    problems, remarks, points, good, samples = [], [], None, None, None
    if cut:
        remarks.append(("transcript", f"{cut} turns of the participant overlap the next; they end where it begins."))
    if keypoints is not None and gaze is not None:
        try:
            points, good = face(keypoints, gaze, windows)
        except PartError as error:
            problems.append((error.part, str(error)))
    if audio is not None:
        try:
            samples, rate = read_audio(audio)
            samples = librosa.resample(samples, orig_sr=rate, target_sr=RATE) if rate != RATE else samples
        except ValueError as error:
            problems.append(("audio", str(error)))
    times = turns[["start", "stop"]].to_numpy()
    spans = (times * FPS).astype(int)                       # truncated, as released
    ends = [len(points)] if points is not None else []
    ends += [len(samples) * FPS // RATE] if samples is not None else []
    if len(ends) == 2 and abs(ends[0] - ends[1]) > 5 * FPS:
        remarks.append(("keypoints", f"video and sound differ by {abs(ends[0] - ends[1]) / FPS:.0f} s in length; corrected "
                                     "windows end with the shorter."))
    if ends:
        spans = np.minimum(spans, min(ends) if windows == "corrected" else ends[0])
    out = {"turns": spans[spans[:, 1] > spans[:, 0]]}
    if not len(out["turns"]):
        raise ValueError("the participant's turns hold no frame of the recording (all are empty, or begin after its end). "
                         "Check that the files belong together.")
    count = int((out["turns"][:, 1] - out["turns"][:, 0]).sum())
    if points is not None:
        frames = frame_numbers(out["turns"])
        out["visual"], out["found"] = every(points[frames], step), good[frames].mean()
    if samples is not None:
        try:
            sound = _sound(samples, times, out["turns"], windows, pitch)
            out["audio"] = np.ascontiguousarray(every(sound.T, step).T)
        except ValueError as error:
            problems.append(("audio", str(error)))
    return out | {"frames": np.int64(-(-count // step)), "step": np.int64(step), "problems": _rows(problems),
                  "remarks": _rows(remarks)}


signals.version = 1


def _rows(pairs):
    return np.array(pairs, dtype=str).reshape(-1, 2)


def frame_numbers(turns):
    """Frames of the recording that the turns (n, 2) hold, in order -> (T,) int."""
    return np.concatenate([np.arange(a, b) for a, b in turns])


def _sound(samples, times, turns, windows, pitch):
    """Log-mel frames of the joined turns. times (n, 2) seconds, as written; turns (m, 2) video frames, as used."""
    cuts = (times * RATE).astype(int) if windows == "as_released" else turns * RATE // FPS
    joined = np.concatenate([samples[a:b] for a, b in cuts]) * np.float32(32768)       # 16-bit numbers, as the authors
    if not len(joined):
        raise ValueError("the sound ends before the participant speaks. The session has no audio modality.")
    if pitch:
        joined = librosa.effects.pitch_shift(joined, sr=RATE, n_steps=pitch)
    if windows == "as_released":
        return log_mel(joined, np.arange(1 + len(joined) // HOP) * HOP)
    starts = np.r_[0, np.cumsum(cuts[:, 1] - cuts[:, 0])[:-1]] - cuts[:, 0]            # joined minus recorded, by turn
    frames = frame_numbers(turns)
    return log_mel(joined, frames * RATE // FPS + np.repeat(starts, turns[:, 1] - turns[:, 0]))


def every(array, step):
    """Mean of each `step` consecutive entries of the first axis, the last of what is left. (T, ...) -> (T / step, ...)."""
    if step == 1:
        return array
    starts = np.arange(0, len(array), step)
    sizes = np.minimum(step, len(array) - starts).astype(array.dtype)
    return np.add.reduceat(array, starts, axis=0) / sizes.reshape(-1, *[1] * (array.ndim - 1))


def shifted(visual, rng):
    """Key points moved by one number in +-0.05 an axis, gaze left (the authors' gender balancing). (T, 72, 3) -> same."""
    offset = np.zeros((POINTS, 3), np.float32)
    offset[:68] = rng.uniform(-0.05, 0.05, 3)
    return visual + offset


def extract(sessions, cache, workers=-1, windows="corrected", step=1, pitch=0.0, encoder="hashed"):
    """Signals and sentences of many interviews, in parallel, through the cache.

    sessions: mapping name -> {"transcript", "audio", "keypoints", "gaze": paths or None, "shift", "skip"}, as
    `corpora.daic_woz.interviews` gives it; encoder: see `text.extract`; the others: see `signals`.
    -> mapping name -> arrays of `signals` and `text.sentences`, those that there are; problems, mapping "name/part" ->
    sentence on what cannot be used (for the part `transcript` the whole session); remarks, likewise, on what is used all
    the same. Raises text.EncoderError, ModuleNotFoundError.
    """
    transcripts = {name: given["transcript"] for name, given in sessions.items()}
    timing = {name: {"shift": given["shift"], "skip": given["skip"]} for name, given in sessions.items()}
    said, no_text = text.extract(transcripts, cache, encoder, workers, timing, windows)
    found, no_signals = store.extract(
        {name: path for name, path in transcripts.items() if name in said}, signals, cache, workers=workers,
        each={name: {k: v for k, v in given.items() if k != "transcript"} for name, given in sessions.items()},
        windows=windows, step=step, pitch=pitch)
    problems = {f"{name}/transcript": sentence for name, sentence in (no_text | no_signals).items()}
    remarks, features = {}, {}
    for name, arrays in found.items():
        notes = [tuple(note) for note in arrays["remarks"]]
        features[name] = {k: v for k, v in arrays.items() if k not in ("problems", "remarks")}
        if len(said[name]["text"]):
            features[name] |= said[name]
        else:
            notes.append(("transcript", "no word of the participant was understood; the session has no text modality."))
        if arrays.get("found", 1) < 0.8:
            notes.append(("keypoints", f"a face in {arrays['found']:.0%} of the participant's frames; gaps are "
                                       + ("interpolated." if windows == "corrected" else "not mended.")))
        for part, sentence in notes:
            remarks[f"{name}/{part}"] = f"{remarks.get(f'{name}/{part}', '')} {sentence}".strip()
        problems |= {f"{name}/{part}": str(sentence) for part, sentence in arrays["problems"]}
    return features, problems, remarks


def other_gender(sessions, genders, cache, seed=0, **options):
    """Every session again with the voice of the other gender: the authors' gender balancing.

    A woman's voice is shifted by -4 semitones, a man's by 4 (the authors shifted outside their program and do not say how
    far); key points move by one number an axis, gaze and words stay. sessions: as for `extract`, of which options are the
    others; genders: mapping name -> female or male, others are left out. -> mapping "name shifted" -> arrays.
    """
    found = {}
    for gender, semitones in (("female", -4.0), ("male", 4.0)):
        chosen = {name: given for name, given in sessions.items() if genders[name] == gender}
        for name, arrays in extract(chosen, cache, pitch=semitones, **options)[0].items():
            rng = np.random.default_rng([seed, len(found)])
            moved = {"visual": shifted(arrays["visual"], rng)} if "visual" in arrays else {}
            found[f"{name} shifted"] = arrays | moved
    return found


def window_starts(frames, length=LENGTH, hop=STRIDE, windows="corrected"):
    """First frames of the windows of a session of so many frames -> (n,) int; the last window may reach beyond its end.

    as_released: what their `get_num_frame` gives, nothing up to length - hop frames. corrected: at least one.
    """
    count = (frames - length) // hop + (1 if (frames - length) % hop == 0 else 2)
    return np.arange(max(count, int(windows == "corrected" and frames > 0))) * hop


def window_centres(turns, starts, length=LENGTH, step=1):
    """Time of the recording in the middle of each window, seconds. turns (n, 2) frames; starts in steps -> (windows,)."""
    frames = frame_numbers(turns)
    ends = np.minimum((starts + length) * step, len(frames))
    return frames[(starts * step + ends) // 2] / FPS


def text_windows(sentences, centres, windows="corrected", span=None):
    """Ten sentences for each window, zeros where there are fewer.

    sentences (n, width); centres (windows,), and span (n, 2), in seconds. corrected: the ten in a row whose middle is
    nearest to the window's. as_released: spread evenly, (n - 10) // (windows - 1) apart, so that fewer than ten give
    windows of 1 or 2, counted from the end, and 10 to 13 in five windows give five equal ones; raises ValueError for one
    window, where their program divides by zero. -> (windows, 10, width) float32.
    """
    n, out = len(sentences), np.zeros((len(centres), SENTENCES, sentences.shape[1]), np.float32)
    if windows == "as_released":
        if len(centres) == 1:
            raise ValueError("one window: the released program divides by zero here. Set windows to corrected.")
        hop = (n - SENTENCES) // (len(centres) - 1) if len(centres) else 0
        starts = np.arange(len(centres)) * hop
    else:
        starts = nearest_sentences(span, centres)
    for window, start in zip(out, starts, strict=True):
        chosen = sentences[start:start + SENTENCES]
        window[:len(chosen)] = chosen
    return out


def nearest_sentences(span, centres):
    """First of the ten sentences in a row whose middle is nearest to each time. span (n, 2), centres (m,), s -> (m,)."""
    places = np.arange(max(1, len(span) - SENTENCES + 1))
    middles = (span[places, 0] + span[np.minimum(places + SENTENCES, len(span)) - 1, 1]) / 2
    return np.abs(middles - np.asarray(centres)[:, None]).argmin(axis=1)


def cut(arrays, start, length=LENGTH, out=None):
    """One window of a session -> visual (length, 72, 3), audio (80, length), float32; zeros after the session's end.

    arrays: of `signals`, memory-mapped or not, only the window is read; a modality that is not among them is all zeros.
    out: arrays to write into, else new ones.
    """
    out = out or {"visual": np.empty((length, POINTS, 3), np.float32), "audio": np.empty((BANDS, length), np.float32)}
    for name, window in out.items():
        before = () if name == "visual" else (slice(None),)         # time is the first axis, or the second
        real = max(0, min(length, arrays[name].shape[len(before)] - start)) if name in arrays else 0
        if real:
            window[(*before, slice(real))] = arrays[name][(*before, slice(start, start + real))]
        if real < length:
            window[(*before, slice(real, None))] = 0
    return out


def collate(items, length=LENGTH):
    """A batch from (arrays of a session, start, its sentences (10, width)), each -> tensors by modality.

    visual (B, length, 72, 3), audio (B, 80, length), text (B, 10, width), float32; present (B, 3) bool, in this order:
    where a session lacks a modality, its window is all zeros.
    """
    width = items[0][2].shape[1]
    batch = {"visual": torch.empty(len(items), length, POINTS, 3), "audio": torch.empty(len(items), BANDS, length),
             "text": torch.empty(len(items), SENTENCES, width)}
    views = {name: tensor.numpy() for name, tensor in batch.items()}
    for i, (arrays, start, said) in enumerate(items):
        cut(arrays, start, length, {"visual": views["visual"][i], "audio": views["audio"][i]})
        views["text"][i] = said
    present = [[name in arrays for name in MODALITIES] for arrays, _, _ in items]
    return batch | {"present": torch.tensor(present)}


class Windows:
    """Every window of many sessions, cut when asked for.

    sessions: mapping name -> arrays, as `extract` gives them; length, hop: in frames as stored (1800 / step and so on).
    width: of a sentence's vector. table: one row a window: session, window (from 0), start (its first frame), frames (those
    in it before the zeros), centre (seconds of the recording). Sessions without a window, which only as_released leaves,
    are not in it.
    Sentences of the only window of a session are the first ten in as_released, where the authors' program stops.
    """

    def __init__(self, sessions, length=LENGTH, hop=STRIDE, windows="corrected"):
        self.length, texts, rows = length, [], []
        self.sessions = {name: {k: np.asarray(v) for k, v in arrays.items()} for name, arrays in sessions.items()}
        self.width = width = next((a["text"].shape[1] for a in sessions.values() if "text" in a), text.WIDTH)
        for name, arrays in sessions.items():
            frames, step = int(arrays["frames"]), int(arrays["step"])
            starts = window_starts(frames, length, hop, windows)
            centres = window_centres(arrays["turns"], starts, length, step)
            said, span = arrays.get("text", np.empty((0, width))), arrays.get("span")
            if not len(said):
                texts.extend(np.zeros((len(starts), SENTENCES, width), np.float32))
            elif windows == "as_released" and len(starts) == 1:
                texts.extend(text_windows(said[:SENTENCES], centres, span=span[:SENTENCES]))
            else:
                texts.extend(text_windows(said, centres, windows, span))
            rows += [(name, i, int(start), min(length, frames - int(start)), float(centre))
                     for i, (start, centre) in enumerate(zip(starts, centres, strict=True))]
        self.table = pd.DataFrame(rows, columns=["session", "window", "start", "frames", "centre"])
        self._items = [(self.sessions[row[0]], row[2], said) for row, said in zip(rows, texts, strict=True)]

    def __len__(self):
        return len(self.table)

    def batch(self, rows, rng=None):
        """The windows in these rows of `table` -> mapping of tensors, see `collate`.

        rng: NumPy generator; each window then lies anywhere in its session, with the sentences spoken around it.
        """
        items = [self._items[i] for i in rows]
        return collate(items if rng is None else [self._anywhere(*item, rng) for item in items], self.length)

    def _anywhere(self, arrays, _, said, rng):
        """The item of a window that begins at a random frame and reaches beyond the session's end by half at most."""
        start = int(rng.integers(max(1, int(arrays["frames"]) - self.length // 2)))
        if "text" in arrays:
            centre = window_centres(arrays["turns"], np.array([start]), self.length, int(arrays["step"]))
            said = text_windows(arrays["text"], centre, span=arrays["span"])[0]
        return arrays, start, said
