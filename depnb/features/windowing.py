"""Windows of interviews: where they begin, which sentences go with them, and batches of them.

`windows` is `as_released` or `corrected`, see `depnb.features.interview`, whose arrays are cut
here.
"""

import numpy as np
import pandas as pd
import torch

from depnb.features import text
from depnb.features.interview import BANDS, FPS, MODALITIES, POINTS, frame_numbers

LENGTH, STRIDE = 1800, 1500             # frames of a window; frames from one to the next
SENTENCES = 10                          # in each


def in_frames(seconds, overlap, step=1):
    """Length and hop, in frames as stored, of windows of so many seconds that overlap."""
    return seconds * FPS // step, (seconds - overlap) * FPS // step


def window_starts(frames, length=LENGTH, hop=STRIDE, windows="corrected"):
    """First frames of the windows of a session of so many frames -> (n,) int.

    The last window may reach beyond its end. as_released: what their `get_num_frame` gives, nothing
    up to length - hop frames. corrected: at least one.
    """
    count = (frames - length) // hop + (1 if (frames - length) % hop == 0 else 2)
    return np.arange(max(count, int(windows == "corrected" and frames > 0))) * hop


def window_centres(turns, starts, length=LENGTH, step=1):
    """Time of the recording in the middle of each window.

    Parameters
    ----------
    turns : (n, 2) frames
    starts : (windows,), in steps

    Returns
    -------
    (windows,) seconds
    """
    frames = frame_numbers(turns)
    ends = np.minimum((starts + length) * step, len(frames))
    return frames[(starts * step + ends) // 2] / FPS


def text_windows(sentences, centres, windows="corrected", span=None):
    """Ten sentences for each window, zeros where there are fewer.

    corrected: the ten in a row whose middle is nearest to the window's. as_released: spread evenly,
    (n - 10) // (windows - 1) apart, so that fewer than ten give windows of 1 or 2, counted from the
    end, and 10 to 13 in five windows give five equal ones.

    Parameters
    ----------
    sentences : (n, width)
    centres : (windows,) seconds
    span : (n, 2) seconds

    Returns
    -------
    (windows, 10, width) float32

    Raises
    ------
    ValueError
        as_released for one window, where their program divides by zero.
    """
    n, out = len(sentences), np.zeros((len(centres), SENTENCES, sentences.shape[1]), np.float32)
    if windows == "as_released":
        if len(centres) == 1:
            raise ValueError("one window: the released program divides by zero here. "
                             "A run with windows corrected takes it.")
        hop = (n - SENTENCES) // (len(centres) - 1) if len(centres) else 0
        starts = np.arange(len(centres)) * hop
    else:
        starts = nearest_sentences(span, centres)
    for window, start in zip(out, starts, strict=True):
        chosen = sentences[start:start + SENTENCES]
        window[:len(chosen)] = chosen
    return out


def nearest_sentences(span, centres):
    """First of the ten sentences in a row whose middle is nearest to each time.

    Parameters
    ----------
    span : (n, 2) seconds
    centres : (m,) seconds

    Returns
    -------
    (m,) int
    """
    places = np.arange(max(1, len(span) - SENTENCES + 1))
    middles = (span[places, 0] + span[np.minimum(places + SENTENCES, len(span)) - 1, 1]) / 2
    return np.abs(middles - np.asarray(centres)[:, None]).argmin(axis=1)


def cut(arrays, start, length=LENGTH, out=None):
    """One window of a session, zeros after the session's end.

    Parameters
    ----------
    arrays : of `signals`, memory-mapped or not, only the window is read
        A modality that is not among them is all zeros.
    start : frame
    out : arrays to write into, else new ones

    Returns
    -------
    {"visual": (length, 72, 3), "audio": (80, length)}, float32
    """
    out = out or {"visual": np.empty((length, POINTS, 3), np.float32),
                  "audio": np.empty((BANDS, length), np.float32)}
    for name, window in out.items():
        before = () if name == "visual" else (slice(None),)  # time is the first axis, or the second
        real = max(0, min(length, arrays[name].shape[len(before)] - start)) if name in arrays else 0
        if real:
            window[(*before, slice(real))] = arrays[name][(*before, slice(start, start + real))]
        if real < length:
            window[(*before, slice(real, None))] = 0
    return out


def collate(items, length=LENGTH):
    """A batch of windows -> tensors by modality.

    Parameters
    ----------
    items : list of (arrays of a session, start, its sentences (10, width))

    Returns
    -------
    dict
        visual (B, length, 72, 3), audio (B, 80, length), text (B, 10, width), float32; present (B,
        3) bool, in this order: where a session lacks a modality, its window is all zeros.
    """
    width = items[0][2].shape[1]
    batch = {"visual": torch.empty(len(items), length, POINTS, 3),
             "audio": torch.empty(len(items), BANDS, length),
             "text": torch.empty(len(items), SENTENCES, width)}
    views = {name: tensor.numpy() for name, tensor in batch.items()}
    for i, (arrays, start, ten) in enumerate(items):
        cut(arrays, start, length, {"visual": views["visual"][i], "audio": views["audio"][i]})
        views["text"][i] = ten
    present = [[name in arrays for name in MODALITIES] for arrays, _, _ in items]
    return batch | {"present": torch.tensor(present)}


class Windows:
    """Every window of many sessions, cut when asked for.

    Sentences of the only window of a session are the first ten in as_released, where the authors'
    program stops.

    Parameters
    ----------
    sessions : mapping name -> arrays, as `extract` gives them
    length, hop : in frames as stored (1800 / step and so on)

    Attributes
    ----------
    width : of a sentence's vector
    table : one row a window
        session, window (from 0), start (its first frame), frames (those in it before the zeros),
        centre (seconds of the recording). Sessions without a window, which only as_released leaves,
        are not in it.
    """

    def __init__(self, sessions, length=LENGTH, hop=STRIDE, windows="corrected"):
        self.length, texts, rows = length, [], []
        self.sessions = {name: {k: np.asarray(v) for k, v in arrays.items()}
                         for name, arrays in sessions.items()}
        self.width = width = next((a["text"].shape[1] for a in sessions.values() if "text" in a),
                                  text.WIDTH)
        for name, arrays in sessions.items():
            frames, step = int(arrays["frames"]), int(arrays["step"])
            starts = window_starts(frames, length, hop, windows)
            centres = window_centres(arrays["turns"], starts, length, step)
            vectors, span = arrays.get("text", np.empty((0, width))), arrays.get("span")
            if not len(vectors):
                texts.extend(np.zeros((len(starts), SENTENCES, width), np.float32))
            elif windows == "as_released" and len(starts) == 1:
                texts.extend(text_windows(vectors[:SENTENCES], centres, span=span[:SENTENCES]))
            else:
                texts.extend(text_windows(vectors, centres, windows, span))
            rows += [(name, i, int(start), min(length, frames - int(start)), float(centre))
                     for i, (start, centre) in enumerate(zip(starts, centres, strict=True))]
        self.table = pd.DataFrame(rows, columns=["session", "window", "start", "frames", "centre"])
        self._items = [(self.sessions[row[0]], row[2], vectors)
                       for row, vectors in zip(rows, texts, strict=True)]

    def __len__(self):
        return len(self.table)

    def batch(self, rows, rng=None, starts=None):
        """The windows in these rows of `table` -> mapping of tensors, see `collate`.

        Parameters
        ----------
        rows : whole numbers
        rng : NumPy Generator
            Each window then lies anywhere in its session, with the sentences spoken around it.
        starts : the same, as `anywhere` drew it
        """
        items = [self._items[i] for i in rows]
        if rng is not None:
            starts = self.anywhere(rows, rng)
        if starts is not None:
            items = [self._moved(*item, start) for item, start in zip(items, starts, strict=True)]
        return collate(items, self.length)

    def anywhere(self, rows, rng):
        """First frames of windows anywhere in their sessions, beyond the end by half at most."""
        frames = [int(self._items[i][0]["frames"]) for i in rows]
        return [int(rng.integers(max(1, n - self.length // 2))) for n in frames]

    def _moved(self, arrays, _, ten, start):
        """The item of a window that begins at another frame."""
        if "text" in arrays:
            centre = window_centres(arrays["turns"], np.array([start]), self.length,
                                    int(arrays["step"]))
            ten = text_windows(arrays["text"], centre, span=arrays["span"])[0]
        return arrays, start, ten
