"""A vlog's sound and picture, one row a second, as D-Vlog and LMVD describe it (DynMultiDep).

    D-Vlog, acoustic  sound -> openSMILE's 25 low-level descriptors, 100 a second
                            -> mean of each second
    LMVD, acoustic    sound -> VGGish embedding of each second, or log-mel statistics in its place
    both, visual      video -> first frame of each second -> FaceMesh
                            -> 68 points, all x then all y

Neither corpus ships the program that made its arrays: how a second is cut is our reading. A last
part of half a second and more counts as a second, a shorter one is dropped.
"""

import functools

import cv2
import librosa
import numpy as np

from depnb.corpora import sound
from depnb.corpora.readers import timed_frames
from depnb.features import face, speech, vggish


def seconds_of(duration):
    """Rows of a recording of so many seconds: each, and a last part of at least half of one."""
    return int(duration + 0.5)


@functools.lru_cache(maxsize=1)
def _opensmile():
    import opensmile  # here, not at the top: half a second to import

    return opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02,
                           feature_level=opensmile.FeatureLevel.LowLevelDescriptors)


def acoustic_names():
    """Names of the 25 acoustic columns of D-Vlog, in openSMILE's order."""
    return list(_opensmile().feature_names)


def _sound(path):
    """Samples, rate in Hz, rows, and `sound.Facts`. Raises AudioError, also for less than half a
    second.
    """
    samples, rate, facts = sound.heard(path)
    if not seconds_of(len(samples) / rate):
        raise speech.AudioError(f"{len(samples) / rate:.2f} s of sound; "
                                "expected half a second at least. Leave it out.")
    return speech.in_range(samples), rate, seconds_of(len(samples) / rate), facts


def acoustic(path):
    """eGeMAPSv02 low-level descriptors (Eyben et al. 2016), mean of each second.

    Raw units. Where the voice is silent or unvoiced openSMILE gives pitch, jitter, shimmer,
    harmonics and formants' levels as it does (0, or its lowest value), and so they enter the mean.

    Returns
    -------
    {"acoustic": (T, 25) float32, "reading": (9,), `sound.Facts`}

    Raises
    ------
    AudioError
        For a silent, truncated or too short recording and one with NaN.
    """
    samples, rate, rows, facts = _sound(path)
    frames = _opensmile().process_signal(samples, rate).to_numpy(float)   # (n, 25), one every 10 ms
    starts = np.minimum(np.arange(rows) * 100, len(frames) - 1)
    counts = np.diff(np.r_[starts, min(len(frames), 100 * rows)])
    means = np.add.reduceat(frames[:100 * rows], starts) / counts[:, None]
    return {"acoustic": means.astype(np.float32), "reading": np.array(facts, float)}


acoustic.version = 4


def logmel(path, network=None, pca=None):
    """VGGish of each second, or log-mel statistics where network is None.

    An example is the first 0.96 s of a second; a last second that is not full begins earlier
    instead.

    Parameters
    ----------
    path : of a recording
    network, pca : files as `vggish.locate` gives them
        pca None: embeddings without post-processing.

    Returns
    -------
    {"acoustic": (T, 128) float32, "reading": (9,), `sound.Facts`}

    Raises
    ------
    AudioError
        As `acoustic`, and for less than a second.
    """
    samples, rate, rows, facts = _sound(path)
    if len(samples) < rate:
        raise speech.AudioError(f"{len(samples) / rate:.2f} s of sound; "
                                "expected a second at least. Leave it out.")
    samples = librosa.resample(samples, orig_sr=rate, target_sr=vggish.RATE)
    starts = np.minimum(np.arange(rows) * vggish.RATE, len(samples) - vggish.RATE)
    # each (1, 96, 64)
    examples = [vggish.examples(samples[s:s + vggish.RATE], vggish.RATE) for s in starts]
    if network is None:
        rows = np.stack([vggish.logmel_statistics(e) for e in examples])
    else:
        embedded = vggish.embed([np.concatenate(examples)], network)[0]
        rows = (vggish.postprocess(embedded, pca) if pca else embedded).numpy()
    return {"acoustic": rows, "reading": np.array(facts, float)}


logmel.version = 4


def visual(path, fps=None):
    """68 landmarks in the first frame of each second.

    Seconds are those of the video's time stamps, from where its sound begins. One in which no
    frame begins, as where the picture stands still, is interpolated, as is one without a face.

    Parameters
    ----------
    path : a video, or a folder of images
    fps : frames a second of the images; None: as the video says

    Returns
    -------
    dict
        visual (T, 136) float32 pixels, all x then all y; found (T,) bool, false where the points
        are interpolated.

    Raises
    ------
    face.VideoError
        Also when there is no face in half of the seconds.
    """
    cv2.setNumThreads(1)                                     # the processes share the cores already
    seconds, start, end = [], None, 0.0

    def first_frames():                             # one at a time: a vlog does not fit into memory
        nonlocal start, end
        for number, (frame, time) in enumerate(timed_frames(path)):
            time = number / fps if fps else time
            if np.isnan(time):
                raise face.VideoError("a folder of images does not tell its frame rate; "
                                      "expected a video. Give fps.")
            start = time if start is None else start
            end = time + (time - start) / max(number, 1)                # as long as a frame is
            second = int(time + 1e-6)
            if second > (seconds or [-1])[-1]:
                seconds.append(second)
                yield frame

    mesh, rows = face.face_mesh(first_frames()), max(1, seconds_of(round(end, 6)))
    placed = np.full((max(rows, seconds[-1] + 1), *mesh.shape[1:]), np.nan, np.float32)
    placed[seconds] = mesh
    filled, has_face = face.fill_gaps(placed[:rows])
    points = filled[:, face.SIXTY_EIGHT, :2]                    # (T, 68, 2)
    return {"visual": points.transpose(0, 2, 1).reshape(len(points), 136), "found": has_face}


visual.version = 2
