"""Faces in video: frames, landmarks, gaze, head pose and crops.

By MediaPipe FaceMesh and FaceDetection, and OpenCV.

    video -> every n-th frame, each at its time -> FaceMesh (478 points, 3-D)
          (a face too small for it: FaceDetection, full range -> FaceMesh on the enlarged box)
          -> 68-point order, gaze, head pose -> aligned crops
    video -> FaceDetection (a box a frame), for crops of the box only

Alignment follows sam4-21-blip/STA-DRN 26346a4, a fork of the authors' repository
(video_to_image.py): eyes level, eye centre at (1/2, 1/3) of the crop, scale =
min(0.35 width / eye distance, (height / 3) / (eyes to mouth)). The landmarks are FaceMesh's,
theirs dlib's. The box follows bilal1718/TUKL 20c69d3 (face_detect_avec2014.py), see `boxes`.
"""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from depnb.corpora.readers import MANY_MISSING, VideoError, read_frames, timed_frames
from depnb.features import store
from depnb.features.face_mesh import boxes_in, face_mesh, full_range, quiet_mediapipe, warp

FEW_MISSING = 0.2           # share of frames without a face that is interpolated without a word
CLOSED = 0.6                # of a person's median opening; eyes below it are closed
CUT = 25                    # grey levels by which a picture differs from the last one after a cut
LOOK_AROUND = 10            # every so many frames other faces are looked for
MANY_OUTSIDE = 0.1          # share of the crops outside the picture that is no longer passed over
MANY_UNEVEN = 0.05          # share of the time between frames that are not evenly spaced
CROPS = ("aligned", "box")
BOX_MARGIN = 0.2            # of the longer side of a face box, added on every side

# FaceMesh index of each point of the 68-point order (Sagonas et al. 2013).
SIXTY_EIGHT = [162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288,
               323, 454, 389,                                                                # jaw
               71, 63, 105, 66, 107, 336, 296, 334, 293, 301,                                # brows
               168, 197, 5, 4, 75, 97, 2, 326, 305,                                           # nose
               33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,                     # eyes
               61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,                     # outer lips
               78, 82, 13, 312, 308, 317, 14, 87]                                       # inner lips
EYE_CORNERS = ((33, 133, 468), (362, 263, 473))       # right and left eye: two corners, iris centre
RIGID = [10, 67, 297, 109, 338, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 33, 133, 362, 263, 127,
         356, 234, 454]


def fill_gaps(mesh):
    """Linear interpolation over frames without a face.

    Parameters
    ----------
    mesh : (n, points, axes), NaN where there is no face

    Returns
    -------
    (n, points, axes) float32; (n,) bool, which frames had a face

    Raises
    ------
    VideoError
        When more than MANY_MISSING of the frames have none.
    """
    has_face = ~np.isnan(mesh[:, 0, 0])
    if not has_face.any():
        raise VideoError(f"no face in any of {len(mesh)} frames. "
                         "Check the recording, or leave the session out.")
    if has_face.mean() < 1 - MANY_MISSING:
        raise VideoError(f"a face in only {has_face.sum()} of {len(mesh)} frames. "
                         "Check the recording, or leave it out.")
    t = np.arange(len(mesh))
    nearest = np.interp(t, t[has_face], np.arange(has_face.sum()))
    low, share = np.floor(nearest).astype(int), (nearest % 1)[:, None, None]
    known = mesh[has_face]
    high = np.minimum(low + 1, len(known) - 1)
    return (known[low] * (1 - share) + known[high] * share).astype(np.float32), has_face


def gaze(mesh):
    """Where the irises stand between the eye corners.

    Measured along the axes of the eye itself, so that a turned or tilted head does not count as
    gaze.

    Parameters
    ----------
    mesh : (n, 478, 3)

    Returns
    -------
    (n, 2) float32, eye widths to the left and down
    """
    out = []
    for right, left, iris in EYE_CORNERS:
        a, b, p = mesh[:, right, :2], mesh[:, left, :2], mesh[:, iris, :2]
        axis = (b - a) / np.linalg.norm(b - a, axis=1, keepdims=True)
        width = np.linalg.norm(b - a, axis=1)
        offset = p - (a + b) / 2
        down = offset[:, 1] * axis[:, 0] - offset[:, 0] * axis[:, 1]
        out.append(np.stack([(offset * axis).sum(1), down], 1) / width[:, None])
    return np.mean(out, axis=0).astype(np.float32)


def head_pose(mesh):
    """Head rotation by a rigid fit of each frame to the face's own mean shape.

    The mean shape is turned to face the camera by its own axes: eye line, and forehead to nose
    base. Only points that expressions hardly move are fitted (Kabsch). On six simulated faces
    turned by up to 40 degrees, yaw has a slope of 1.07 to 1.17 against what was set, roll 0.98 to
    1.02 and pitch, up to 20 degrees, 0.80 to 0.93; the zero of pitch lies up to 6 degrees off, by
    the shape of the face.

    Parameters
    ----------
    mesh : (n, 478, 3)

    Returns
    -------
    (n, 3) float32, degrees
        Pitch, yaw, roll; positive: chin down, towards the left of the picture, clockwise.
    """
    points = mesh[:, RIGID].astype(float)
    points = points - points.mean(1, keepdims=True)
    mean = points[0]
    for _ in range(3):                                              # generalised Procrustes
        mean = np.mean([Rotation.align_vectors(mean, p)[0].apply(p) for p in points], axis=0)
    at = {index: mean[i] for i, index in enumerate(RIGID)}
    across = at[263] + at[454] - at[33] - at[234]
    across /= np.linalg.norm(across)
    down = at[2] - at[10]
    down -= (down @ across) * across
    down /= np.linalg.norm(down)
    frontal = mean @ np.stack([across, down, np.cross(across, down)], 1)
    return np.array([Rotation.align_vectors(p, frontal)[0].as_euler("xyz", degrees=True)
                     for p in points], np.float32)


def remarks(crops, tracks, frames_needed):
    """What a user should know about recordings that are used all the same, by name.

    Parameters
    ----------
    crops, tracks : what `crop` and `track` gave, by name
    frames_needed : frames of a recording that one clip spans
    """
    sentences = {}
    for name, arrays in crops.items():
        frames, notes = len(arrays["crops"]), []
        if frames < frames_needed:
            notes.append(f"{frames} frames, fewer than the {frames_needed} "
                         "that a clip spans: frames are repeated. "
                         "A run with lower clip_frames, clip_stride or frame_step avoids it.")
        notes += odd(tracks[name]) if name in tracks else []
        if notes:
            sentences[name] = " ".join(notes)
    return sentences


def odd(track):
    """What is odd about a track, as sentences."""
    share, several, outside = (np.mean(track.get(key, default)) for key, default in (
        ("found", True), ("several", False), ("outside", 0.0)))
    steps = np.diff(track.get("time", np.arange(2)))
    odd_steps = steps[abs(steps - np.median(steps)) > 0.5 * np.median(steps)] if len(steps) else 0
    uneven = np.sum(odd_steps) / max(np.nansum(steps), 1e-9)
    jumps = len(track.get("jumps", ()))
    notes = {
        f"no face in {1 - share:.0%} of the frames; they are interpolated. "
        "Check the recording, or leave the session out.": share < 1 - FEW_MISSING,
        f"jumps of the picture or the face: {jumps}. Check that it is one person throughout.":
            jumps > 0,
        f"several faces in {several:.0%} of the frames; one of them is followed. "
        "Check that it is the participant's.": several > FEW_MISSING,
        f"{outside:.0%} of the crops lie outside the picture; they are filled with its border.":
            outside > MANY_OUTSIDE,
        f"in {uneven:.0%} of the time frames are missing or unevenly spaced; "
        "clips take them as if they were not.": uneven > MANY_UNEVEN}
    return [sentence for sentence, holds in notes.items() if holds]


def expression_statistics(landmarks, gaze, head_pose):
    """What a face does on average and how much it varies, for a linear model.

    Parameters
    ----------
    landmarks : (n, 68, 2)
    gaze : (n, 2)
    head_pose : (n, 3) degrees

    Returns
    -------
    (18,) float
        Mean, then standard deviation over frames, of mouth width, mouth opening, mouth corners
        above the lip, eye opening and brow height (all in eye distances), gaze (2), pitch and yaw
        (degrees).
    """
    def distance(a, b):
        return np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=-1)

    unit = np.linalg.norm(landmarks[:, 36:42].mean(1) - landmarks[:, 42:48].mean(1), axis=1)
    series = np.stack([
        distance(48, 54) / unit, distance(62, 66) / unit,
        (landmarks[:, 51, 1] - landmarks[:, [48, 54], 1].mean(1)) / unit,
        distance([37, 38, 43, 44], [41, 40, 47, 46]).mean(1) / unit,
        distance([19, 24], [36, 45]).mean(1) / unit,
        *gaze.T, *head_pose[:, :2].T])
    return np.r_[series.mean(1), series.std(1)]


def alignment(landmarks):
    """Matrix that takes a frame to the aligned unit square.

    landmarks (n, 68, 2) pixels -> (n, 2, 3).
    """
    right, left = landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)
    mouth, eyes = landmarks[:, 48:68].mean(1), (right + left) / 2
    angle = np.arctan2(*(left - right).T[::-1])
    cos, sin = np.cos(angle), np.sin(angle)
    # Eyes to mouth, along the face.
    below = -sin * (mouth - eyes)[:, 0] + cos * (mouth - eyes)[:, 1]
    scale = np.minimum(0.35 / np.linalg.norm(left - right, axis=1),
                       (1 / 3) / np.maximum(below, 1e-3))
    turn = scale[:, None, None] * np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    shift = np.array([0.5, 1 / 3]) - np.einsum("nij,nj->ni", turn, eyes)
    return np.concatenate([turn, shift[:, :, None]], 2)


def to_crop(landmarks, matrices):
    """Landmarks (n, 68, 2) in frame pixels -> the same in the unit square of the crop."""
    return np.einsum("nij,npj->npi", matrices[:, :, :2], landmarks) + matrices[:, None, :, 2]


def track(path, frame_step=3):
    """Landmarks, gaze and head pose of every `frame_step`-th frame of a video.

    The zero of a pitch is the person's own, by the shape of the face; so pitch is told from its
    median over the video. Where the eyes are closed nobody sees where they look: gaze is
    interpolated.

    Returns
    -------
    dict
        landmarks (n, 68, 2) pixels, gaze (n, 2) eye widths, head_pose (n, 3) degrees, alignment
        (n, 2, 3), found (n,) bool (false: interpolated), frame (n,) index in the video, time (n,)
        seconds by its time stamps (NaN: images), outside (n,) share of an aligned crop that lies
        outside the picture; blinks and jumps, indices of the frames in which eyes are closed first,
        and of those that show something else than the last one: the face has moved by more than
        its size, or the picture was cut; several (m,) bool, of every 10th of the frames, whether it
        shows several faces.

    Raises
    ------
    VideoError
        As `fill_gaps`, and for a file that is no video.
    """
    cv2.setNumThreads(1)                                     # the processes share the cores already
    looks = {"time": [], "cut": [], "several": []}
    mesh = face_mesh(looked_around(timed_frames(path, frame_step), looks))
    mesh, has_face = fill_gaps(mesh)
    landmarks, frame = mesh[:, SIXTY_EIGHT, :2], np.arange(len(mesh)) * frame_step
    matrices, pose, closed = alignment(landmarks), head_pose(mesh), eyes_closed(landmarks)
    pose[:, 0] -= np.median(pose[:, 0])
    return {"landmarks": landmarks, "gaze": between(gaze(mesh), ~closed), "head_pose": pose,
            "alignment": matrices, "found": has_face, "frame": frame,
            "time": np.array(looks["time"]), "outside": outside(matrices, looks["size"]),
            "blinks": frame[closed & ~np.r_[False, closed[:-1]]],
            "jumps": frame[np.array(looks["cut"]) | moved_away(landmarks, has_face)],
            "several": np.array(looks["several"])}


track.version = 2


def looked_around(timed, looks):
    """The frames of (frame, time), one after the other; notes their time, cuts and other faces.

    looks : dict of lists time, cut and several, to which it adds; size is set to (W, H)
    """
    last = None
    with full_range() as detector:
        for number, (frame, time) in enumerate(timed):
            small = cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA).astype(int)
            looks["time"].append(time)
            looks["cut"].append(last is not None and abs(small - last).mean() > CUT)
            if number % LOOK_AROUND == 0:
                looks["several"].append(len(boxes_in(frame, detector)) > 1)
            looks["size"], last = frame.shape[1::-1], small
            yield frame


def moved_away(landmarks, has_face):
    """Where the face's centre has moved by more than its width since it was last seen: (n,) bool.

    landmarks (n, 68, 2), has_face (n,)
    """
    seen = np.flatnonzero(has_face)
    centres, width = landmarks[seen].mean(1), np.ptp(landmarks[seen][..., 0], axis=1)
    away = np.linalg.norm(np.diff(centres, axis=0), axis=1) > np.minimum(width[1:], width[:-1])
    jumped = np.zeros(len(landmarks), bool)
    jumped[seen[1:][away]] = True
    return jumped


def eyes_closed(landmarks):
    """Where the eyes are open less than CLOSED of the person's median: (n, 68, 2) -> (n,) bool."""
    def distance(a, b):
        return np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=-1).mean(1)

    opening = distance([37, 38, 43, 44], [41, 40, 47, 46]) / distance([36, 42], [39, 45])
    return opening < CLOSED * np.median(opening)


def between(values, known):
    """Values (n, axes) with those that are not known (n,) bool interpolated."""
    t = np.arange(len(values))
    return np.stack([np.interp(t, t[known], column[known]) for column in values.T],
                    1).astype(values.dtype)


def outside(matrices, size):
    """Share of each crop that lies outside the picture.

    matrices (n, 2, 3) to the unit square, size (W, H) -> (n,)
    """
    places = (np.stack(np.meshgrid(*[np.arange(0.5, 16) / 16] * 2), -1).reshape(-1, 2)[None]
              - matrices[:, None, :, 2])                                # (n, 256, 2)
    pixels = np.einsum("nij,npj->npi", np.linalg.inv(matrices[:, :, :2]), places)
    return ((pixels < 0) | (pixels > np.array(size))).any(2).mean(1)


def boxes(path, frame_step=3):
    """Where the face box of every `frame_step`-th frame lies, as the TUKL re-run of STA-DRN has it.

    The same detector as there (MediaPipe FaceDetection, full range, its first face, confidence 0.5)
    and the same corners (`corners_of`): upright, nothing put at a fixed place. Without a face
    theirs takes the middle 112 pixels of the frame; here the box is interpolated and the frame is
    listed. Theirs resizes bilinearly, `crop` cubically after a blur.

    Returns
    -------
    dict
        alignment (n, 2, 3): matrix that takes the box to the unit square, found (n,) bool (false:
        interpolated), frame (n,) index in the video.

    Raises
    ------
    VideoError
        As `track`.
    """
    cv2.setNumThreads(1)
    corners = []
    with quiet_mediapipe(), full_range() as detector:
        for frame in read_frames(path, frame_step):
            faces = detector.process(frame).detections
            corners.append(np.full((2, 2), np.nan) if not faces else corners_of(
                faces[0].location_data.relative_bounding_box, *frame.shape[:2]))
    corners, has_face = fill_gaps(np.array(corners, np.float32).reshape(-1, 2, 2))
    scale = 1 / (corners[:, 1] - corners[:, 0])
    matrices = np.zeros((len(corners), 2, 3))
    matrices[:, [0, 1], [0, 1]], matrices[:, :, 2] = scale, -corners[:, 0] * scale
    return {"alignment": matrices, "found": has_face, "frame": np.arange(len(corners)) * frame_step}


boxes.version = 1


def corners_of(box, height, width):
    """Upper left and lower right corner of a face box with its margin.

    As in the re-run a box that begins outside the frame is moved inside, one that ends outside is
    cut off, so that it need not be square.

    Parameters
    ----------
    box : xmin, ymin, width, height as shares of the frame
    height, width : of the frame, pixels

    Returns
    -------
    (2, 2) pixels x, y; NaN where nothing is left
    """
    x, y, across, down = (int(share * side) for share, side in (
        (box.xmin, width), (box.ymin, height), (box.width, width), (box.height, height)))
    margin = int(BOX_MARGIN * max(across, down))
    low = np.maximum(0, [x - margin, y - margin])
    high = np.minimum([width, height], low + [across + 2 * margin, down + 2 * margin])
    return np.stack([low, high]).astype(float) if (high > low).all() else np.full((2, 2), np.nan)


def crop(path, alignment, frame_step=3, size=224):
    """Crops of the frames that `track` or `boxes` saw -> {"crops": (n, size, size, 3) uint8 RGB}.

    A frame is reduced by an antialiasing blur first where a crop pixel covers more than one of its
    own.
    """
    cv2.setNumThreads(1)
    crops = np.empty((len(alignment), size, size, 3), np.uint8)
    for i, (frame, matrix) in enumerate(zip(read_frames(path, frame_step), alignment, strict=True)):
        crops[i] = warp(frame, matrix, size)
    return {"crops": crops}


crop.version = 1


def resize(path, frame_step=3, size=224):
    """Frames that are crops already, resized.

    Returns
    -------
    {"crops": (n, size, size, 3) uint8 RGB, "frame": (n,)}
    """
    cv2.setNumThreads(1)
    crops = [cv2.resize(f, (size, size),
                        interpolation=cv2.INTER_CUBIC if size >= f.shape[0] else cv2.INTER_AREA)
             for f in read_frames(path, frame_step)]
    return {"crops": np.stack(crops), "frame": np.arange(len(crops)) * frame_step}


resize.version = 1


def extract(videos, cache, workers=-1, frame_step=3, size=224, kind="aligned"):
    """Track the faces of videos and cut them out, through the cache.

    Parameters
    ----------
    videos : mapping name -> path
    kind : "aligned" (eyes and mouth at fixed places) or "box" (`boxes`)
        The tracks of the latter have the boxes' matrices and frames without a face.

    Returns
    -------
    crops, tracks, problems : mappings by name

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in CROPS:
        raise ValueError(f"crop {kind!r}: choose one of {', '.join(CROPS)}.")
    tracks, problems = store.extract(videos, track, cache, workers=workers, frame_step=frame_step)
    if kind == "box":
        framed, more = store.extract({name: videos[name] for name in tracks}, boxes, cache,
                                     workers=workers, frame_step=frame_step)
        problems = problems | more
        tracks = {name: tracks[name] | {"alignment": box["alignment"],
                                        "found": tracks[name]["found"] & box["found"],
                                        "outside": np.zeros(len(box["found"]))}
                  for name, box in framed.items()}
    each = {name: {"alignment": tracked["alignment"]} for name, tracked in tracks.items()}
    crops, more = store.extract({name: videos[name] for name in tracks}, crop, cache,
                                workers=workers, each=each, frame_step=frame_step, size=size)
    return crops, tracks, problems | more
