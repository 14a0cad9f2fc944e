"""A talking face whose expressions are known: a public-domain portrait, warped by landmarks.

The portrait is NASA's picture of astronaut Eileen Collins that ships with scikit-image; the person shown has
nothing to do with depression. Its 478 FaceMesh landmarks are displaced by expression fields (smile, mouth,
brows), eyelids and irises are moved, the head is rotated in 3-D, and every triangle between the landmarks is
painted where it has moved to. Identity (face shape, skin tone, hair, light) never depends on severity.

Severity moves five cues, all in the direction the literature reports:
  smile    weaker and rarer smiles (Girard et al. 2014; Scherer et al. 2014)
  brow     lowered brow (Schwartz et al. 1976)
  eyes     longer closures of the eyes (Alghowinem et al. 2013a)
  gaze     gaze turned down (Waxer 1974; Scherer et al. 2014)
  head     less head motion (Alghowinem et al. 2013b; Girard et al. 2014)
"""

import warnings
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import skimage.data
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

CUES = ("smile", "brow", "eyes", "gaze", "head")
# Where each cue shows, as points of the 68-point order (Sagonas et al. 2013).
CUE_REGIONS = {"smile": [*range(48, 68)], "brow": [*range(17, 27)], "eyes": [*range(36, 48)],
               "gaze": [*range(36, 48)], "head": [*range(68)]}

CROP_X, CROP_Y, CROP = 138, 14, 178     # square of the portrait that is shown, in its pixels
WIDTH = 256                             # pixels of the enlarged square; landmarks are in these

# FaceMesh indices. Rows of the lips run from the right to the left corner of the mouth.
OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
        152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
INNER_UPPER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
INNER_LOWER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
UPPER_LIP = [INNER_UPPER, [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292],
             [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306], [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]]
LOWER_LIP = [INNER_LOWER, [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292],
             [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306], [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291]]
CHIN = [152, 148, 176, 149, 150, 377, 400, 378, 379, 175, 199, 200, 18, 83, 313, 201, 421, 208, 428, 171, 396]
BROWS = [70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285]
INNER_BROWS = [66, 107, 65, 55, 296, 336, 295, 285]
EYES = (([33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133], range(468, 473)),
        ([263, 466, 388, 387, 386, 385, 384, 398, 362], [263, 249, 390, 373, 374, 380, 381, 382, 362], range(473, 478)))
NOSE = [168, 6, 197, 195, 5, 4, 1, 98, 327, 2]
LANDMARKS = 478


@cache
def portrait():
    """The shown square of the portrait and its FaceMesh landmarks -> (WIDTH, WIDTH, 3) uint8, (478, 3) float."""
    with warnings.catch_warnings():         # it imports tqdm's notebook bars, which warn where ipywidgets is missing
        warnings.simplefilter("ignore")
        square = skimage.data.astronaut()[CROP_Y:CROP_Y + CROP, CROP_X:CROP_X + CROP]
    image = cv2.resize(square, (WIDTH, WIDTH), interpolation=cv2.INTER_CUBIC)
    landmarks = np.load(str(files(__package__) / "portrait_landmarks.npy")).astype(float)      # of the square at 512
    return image, landmarks * (WIDTH / 512)


def displacement_field(points, moved, by, fixed):
    """Smooth displacement of all points (n, 2) such that `moved` go exactly `by` (m, 2) and `fixed` stay."""
    known, first = np.unique(np.r_[moved, fixed], return_index=True)
    values = np.r_[np.broadcast_to(by, (len(moved), 2)), np.zeros((len(fixed), 2))][first]
    return RBFInterpolator(points[known], values, kernel="linear")(points)


class FaceMesh:
    """The portrait as a deformable mesh: source points, neutral points, expression fields, triangles."""

    def __init__(self):
        _, landmarks = portrait()
        flat = landmarks[:, :2]
        self.unit = unit = np.linalg.norm(flat[468] - flat[473])        # distance of the irises, in pixels
        upper, lower = np.concatenate(UPPER_LIP), np.concatenate(LOWER_LIP)
        lips = np.r_[upper, lower]
        eyes = np.concatenate([rim for eye in EYES for rim in eye[:2]])
        side = (flat[lips, 0] - flat[13, 0]) / (abs(flat[291, 0] - flat[61, 0]) / 2)      # -1 .. 1 across the mouth
        middle = np.clip(1 - side**2, 0, 1)[:, None] * [0, 1]
        gap = np.tile(flat[INNER_LOWER, 1] - flat[INNER_UPPER, 1], 4)[:, None] * [0, 1]
        self.smile = displacement_field(flat, lips, unit * np.c_[0.16 * side, -0.13 * side**2],
                                        [*eyes, *NOSE[:7], *OVAL])
        closing = displacement_field(flat, lips, np.r_[0.35 * gap, -0.65 * gap], [*eyes, *NOSE, *OVAL[:14], *OVAL[-14:]])
        self.open = displacement_field(
            flat, np.r_[lips, CHIN],
            unit * np.r_[-0.05 * middle[:len(upper)], 0.42 * middle[len(upper):], np.full((len(CHIN), 1), 0.33) * [0, 1]],
            [*eyes, *NOSE, *OVAL[:13], *OVAL[-13:]])
        inner = np.isin(BROWS, INNER_BROWS)
        inwards = np.sign(flat[13, 0] - flat[BROWS, 0]) * inner
        self.brow = displacement_field(flat, BROWS, unit * np.c_[0.05 * inwards, np.where(inner, 0.15, 0.10)],
                                       [*eyes, *NOSE[1:], *OVAL[:7], *OVAL[-6:], *UPPER_LIP[3]])
        # The head around the face, and the frame: rings that follow the head, a border that stays.
        centre = flat[OVAL].mean(0)
        rings = [np.c_[centre + (flat[OVAL] - centre) * size, landmarks[OVAL, 2] * depth]
                 for size, depth in ((1.25, 1.2), (1.7, 1.4))]
        rings = [ring[((ring[:, :2] > 4) & (ring[:, :2] < WIDTH - 4)).all(1)] for ring in rings]
        edge = np.linspace(0, WIDTH - 1, 8)
        border = np.unique([(x, y) for a in edge for e in (0, WIDTH - 1) for x, y in ((a, e), (e, a))], axis=0)
        around = np.r_[rings[0], rings[1], np.c_[border, np.full(len(border), 100.0)]]
        self.follow = np.repeat([1, 0.9, 0.45, 0], [LANDMARKS, len(rings[0]), len(rings[1]), len(border)])[:, None]
        self.source = np.r_[landmarks, around]
        self.neutral = self.source.copy()
        self.neutral[:LANDMARKS, :2] += closing - 1.2 * self.smile       # the portrait smiles broadly
        self.pivot = np.r_[centre, landmarks[OVAL, 2].max()]
        self.triangles = self._triangles(flat, eyes, lips)

    def _triangles(self, flat, eyes, lips):
        """Triangles between the points, without the inside of the mouth; plain skin is thinned for speed."""
        keep = set(map(int, [*eyes, *lips, *CHIN, *BROWS, *OVAL, *NOSE, *range(468, LANDMARKS)]))
        for i in range(LANDMARKS):
            if i not in keep and np.linalg.norm(flat[sorted(keep)] - flat[i], axis=1).min() > 0.2 * self.unit:
                keep.add(i)
        points = np.r_[sorted(keep), range(LANDMARKS, len(self.source))]
        triangles = points[Delaunay(self.source[points, :2]).simplices]
        mouth = flat[INNER_UPPER + INNER_LOWER[-2:0:-1]].astype(np.float32)
        inside = [cv2.pointPolygonTest(mouth, tuple(self.source[t, :2].mean(0)), False) > 0 for t in triangles]
        return triangles[~np.array(inside)]

    def pose(self, shape, signal, keep=slice(None)):
        """Where the points are, frame by frame. shape (points, 2) identity; signal from `signals` -> (T, points, 3).

        keep: indices of the points that are wanted.
        """
        part = {name: values[:, None] for name, values in signal.items()}                       # (T, 1)
        points = np.repeat(self.neutral[None], len(signal["smile"]), 0)
        for name, field in (("smile", self.smile), ("open", self.open), ("brow", self.brow)):
            points[:, :LANDMARKS, :2] += part[name][..., None] * field
        for upper, lower, iris in EYES:
            closed = 0.25 * points[:, upper, :2] + 0.75 * points[:, lower, :2]
            points[:, iris, 0] += self.unit * 0.10 * part["gaze_x"]
            points[:, iris, 1] += self.unit * 0.10 * part["gaze_y"]
            lid = part["closure"] + (1 - part["closure"]) * 0.5 * np.maximum(part["gaze_y"], 0)     # lids follow the gaze
            points[:, upper, :2] += lid[..., None] * (closed - points[:, upper, :2])
            points[:, lower, :2] += part["closure"][..., None] * (closed - points[:, lower, :2])
            points[:, iris, 1] += lid * (closed[:, :, 1].mean(1, keepdims=True) - points[:, iris, 1])
        points[..., :2] += shape
        points = points[:, keep]
        turn = Rotation.from_euler("zyx", np.stack([signal["roll"], signal["yaw"], signal["pitch"]], 1), degrees=True)
        turned = np.einsum("tij,tpj->tpi", turn.as_matrix(), points - self.pivot) + self.pivot
        turned[..., :2] += self.unit * np.stack([signal["shift_x"], signal["shift_y"]], 1)[:, None]
        return points + self.follow[keep] * (turned - points)


@cache
def mesh():
    return FaceMesh()


def identity(rng):
    """A person: face shape, skin tone, hair, background and light, all drawn without looking at severity.

    -> dict with `image` (WIDTH, WIDTH, 3) uint8, `shape` (points, 2) pixels, `brightness`, and the numbers `drawn`.
    """
    image, landmarks = portrait()
    face = mesh()
    x, y = ((face.source[:, :2] - face.pivot[:2]) / face.unit).T
    near = np.exp(-(x**2 + y**2) / 4)[:, None]
    modes = 0.04 * rng.standard_normal(6)      # width, length, jaw, upper face, asymmetry, middle face
    shape = face.unit * near * np.c_[modes[0] * x + modes[2] * x * y + modes[4] * 0.3 * y,
                                     modes[1] * y + modes[3] * y**2 * 0.4 + modes[5] * np.sin(2 * y) * 0.5]
    shape *= face.follow
    drawn = {"skin_tone": rng.uniform(0, 1), "light": rng.uniform(0.75, 1.15), "light_from": rng.uniform(0, 360),
             "light_contrast": rng.uniform(0, 0.35), "warmth": rng.normal(0, 0.04), "noise": rng.uniform(1, 4)}
    mask = np.zeros((WIDTH, WIDTH), np.float32)
    outline = landmarks[OVAL, :2].copy()
    outline[:, 1] += np.where(outline[:, 1] > face.pivot[1], 0.5 * face.unit, 0)      # the neck too
    cv2.fillConvexPoly(mask, cv2.convexHull(outline.astype(np.int32)), 1)
    mask = cv2.GaussianBlur(mask, (0, 0), 6)[..., None]
    skin = 1 - (0.62 * drawn["skin_tone"]) * np.array([0.55, 0.85, 1.0])               # darker tones keep more red
    other = rng.uniform(0.55, 1.1, 3).mean() * (1 + 0.06 * rng.standard_normal(3))     # hair, clothes, background
    picture = image * (mask * skin + (1 - mask) * other)
    angle = np.deg2rad(drawn["light_from"])
    across = (np.linspace(-1, 1, WIDTH)[None, :] * np.cos(angle) + np.linspace(-1, 1, WIDTH)[:, None] * np.sin(angle))
    picture = picture * (drawn["light"] * (1 + drawn["light_contrast"] * across))[..., None]
    picture = picture * (1 + drawn["warmth"] * np.array([1, 0, -1]))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return {"image": picture, "shape": shape, "brightness": float(picture[mask[..., 0] > 0.5].mean() / 140),
            "drawn": {name: round(float(value), 4) for name, value in drawn.items()}}


def wander(frames, fps, seconds, rng):
    """Smooth noise of unit variance with the given time scale, (frames,)."""
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


def signals(cues, task, frames, fps, rng, speech=None):
    """What the face does in one video, and when it carries which cue.

    cues: mapping of the five cues to latent values (positive speaks for depression); task: northwind (reading,
    steady speech), freeform (answers, with pauses) or interview (both); speech (frames,) bool: when there is speech, if
    that is known already -> (dict of (frames,) arrays, truth), truth being for each cue the list of [first, last] frames
    that carry it.
    """
    c = {name: float(np.clip(cues[name], -2.5, 2.5)) for name in CUES}
    seconds = frames / fps
    talking = {"northwind": 0.9, "freeform": 0.65, "interview": 0.75}[task]
    if speech is None:
        speech = wander(frames, fps, 0.25, rng) < np.sqrt(2) * talking - 0.3
    phrase = gaussian_filter1d(speech.astype(float), 0.08 * fps)
    syllables = np.abs(np.sin(np.pi * np.cumsum(3.5 + 0.8 * wander(frames, fps, 0.3, rng)) / fps))
    mouth = 0.45 * phrase * syllables * np.clip(0.75 + 0.25 * wander(frames, fps, 0.3, rng), 0.2, 1.2)

    starts = event_starts(0.42 * np.exp(-0.45 * c["smile"]), seconds, rng)
    lengths = rng.uniform(0.9, 1.7, len(starts))
    heights = np.clip(0.55 - 0.22 * c["smile"] + 0.06 * rng.standard_normal(len(starts)), 0.1, 1.0)
    events = bumps(frames, fps, starts, lengths, 0.25, heights)
    smile = np.clip(0.20 - 0.14 * c["smile"], -0.1, 0.55) + events + 0.02 * wander(frames, fps, 0.5, rng)

    starts = event_starts(0.45, seconds, rng)
    lengths = np.clip(0.22 * np.exp(0.5 * c["eyes"]) * np.exp(0.15 * rng.standard_normal(len(starts))), 0.1, 1.2)
    blinks = bumps(frames, fps, starts, lengths, 0.06, np.ones(len(starts)))
    droop = np.clip(0.18 + 0.11 * c["eyes"], 0, 0.45)

    lowered = np.clip(0.30 + 0.36 * c["gaze"], -0.4, 1.0)
    glances = bumps(frames, fps, starts=(at := event_starts(0.35, seconds, rng)),
                    lengths=np.clip(0.8 + 0.3 * c["gaze"] + 0 * at, 0.3, 2), rise=0.12, heights=0.35 + 0 * at)
    gaze_y = np.clip(lowered + glances + 0.08 * wander(frames, fps, 0.4, rng), -0.4, 1.1)

    motion = np.exp(-0.5 * c["head"])
    out = {
        "smile": smile,
        "open": np.clip(mouth + 0.38 * np.clip(events, 0, 1), 0, 0.65),     # a smile with closed lips hardly shows
        "brow": np.clip(0.25 + 0.42 * c["brow"] + 0.10 * wander(frames, fps, 0.6, rng), -0.6, 1.1),
        "closure": np.clip(np.maximum(droop, blinks), 0, 1),
        "gaze_x": np.clip(0.35 * wander(frames, fps, 0.5, rng), -0.9, 0.9), "gaze_y": gaze_y,
        "yaw": np.clip(3.6 * motion * wander(frames, fps, 0.5, rng), -15, 15),
        "pitch": np.clip(2.6 * motion * wander(frames, fps, 0.4, rng), -12, 12),
        "roll": np.clip(1.8 * motion * wander(frames, fps, 0.5, rng) + rng.normal(0, 1.0), -10, 10),
        "shift_x": 0.05 * motion * wander(frames, fps, 0.6, rng) + rng.normal(0, 0.04),
        "shift_y": 0.04 * motion * wander(frames, fps, 0.6, rng) + rng.normal(0, 0.04),
    }
    whole = [[0, frames - 1]]
    truth = {"smile": intervals(events > 0.05), "brow": whole, "eyes": intervals(blinks > 0.5),
             "gaze": intervals(glances > 0.1), "head": whole}
    return out, truth


def intervals(active):
    """[[first, last], ...] of the runs of True in (frames,) bool."""
    edges = np.flatnonzero(np.diff(np.r_[False, active, False].astype(int)))
    return [[int(a), int(b) - 1] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def render(person, signal, size):
    """Paint the frames of `signals` one after the other -> iterator of (size, size, 3) uint8 RGB."""
    face = mesh()
    points = face.pose(person["shape"], signal)
    target = points[..., :2] * (size / WIDTH)
    far_to_near = np.argsort(-points[:, face.triangles, 2].mean(2), axis=1, kind="stable")
    maps = affine_maps(target[:, face.triangles], face.source[face.triangles, :2])              # (T, 6, triangles)
    corners = np.round(target[:, face.triangles] * 16).astype(np.int32, order="C")
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    for t, order in enumerate(far_to_near):
        owner = np.full((size, size), -1, np.int32)             # which triangle a pixel belongs to
        for i in order:
            cv2.fillConvexPoly(owner, corners[t, i], int(i), shift=4)
        a, b, c, d, e, f = np.take(maps[t], owner, 1)           # a pixel of no triangle is painted below
        frame = cv2.remap(person["image"], a * x + b * y + c, d * x + e * y + f, cv2.INTER_LINEAR)
        yield paint_mouth(frame, target[t], owner < 0, signal["smile"][t], person["brightness"])


def affine_maps(target, source):
    """Affine map of each triangle from picture to portrait, x and y from (x, y, 1).

    target (T, n, 3, 2), source (n, 3, 2) -> (T, 6, n) float32.
    """
    u, v = target[:, :, 1] - target[:, :, 0], target[:, :, 2] - target[:, :, 0]
    det = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    det = np.where(np.abs(det) < 1e-6, 1e-6, det)[..., None]
    p, q = source[:, 1] - source[:, 0], source[:, 2] - source[:, 0]
    dx = (p * v[..., 1:] - q * u[..., 1:]) / det                # (T, n, 2): d source / d x
    dy = (q * u[..., :1] - p * v[..., :1]) / det
    shift = source[:, 0] - dx * target[:, :, 0, :1] - dy * target[:, :, 0, 1:]
    return np.stack([dx[..., 0], dy[..., 0], shift[..., 0], dx[..., 1], dy[..., 1], shift[..., 1]], 1).astype(np.float32)


def paint_mouth(frame, target, empty, smile, brightness):
    """The inside of an open mouth: dark, with the upper teeth, more of them in a smile."""
    upper, lower = target[INNER_UPPER], target[INNER_LOWER]
    teeth = upper + np.clip(0.35 + 0.5 * smile, 0.2, 0.8) * (lower - upper)
    colours = np.array([[80, 55, 50], [70, 28, 28], [215, 208, 196]])       # cracks between triangles, dark, teeth
    part = np.zeros(frame.shape[:2], np.uint8)
    for number, edge in ((1, lower), (2, teeth)):
        cv2.fillPoly(part, [np.round(np.r_[upper, edge[::-1]] * 16).astype(np.int32)], number, shift=4)
    rows, columns = np.nonzero(empty)
    frame[rows, columns] = np.clip(colours * brightness, 0, 255)[part[rows, columns]]
    return frame


def write_video(path, person, signal, size, fps, rng):
    """Encode the frames of `signals` as an MPEG-4 file at `path` (atomically: a half file never has its name)."""
    part = path.with_name(f".{path.stem}.part.mp4")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter_fourcc(*"mp4v"), fps, (size, size))
    if not writer.isOpened():
        raise OSError(f"{path}: OpenCV cannot write MPEG-4 video here. Reinstall opencv-contrib-python.")
    grain = rng.normal(0, person["drawn"]["noise"], (size * 2, size * 2, 1)).astype(np.int16)     # sensor noise
    for frame in render(person, signal, size):
        i, j = rng.integers(0, size, 2)
        frame = np.clip(frame + grain[i:i + size, j:j + size], 0, 255).astype(np.uint8)
        writer.write(frame[..., ::-1])
    writer.release()
    part.replace(path)
