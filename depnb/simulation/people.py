"""Made-up people: a random mix of MakeHuman's shapes, a painted skin, expressions that are known.

A person is nobody: shape, skin, hair, clothes and light are drawn from numbers, the skin tone
independently of the shape. What a face does comes from `face.signals`; the lids follow the gaze,
the head turns on its neck. Frames are painted by `raster` at 1.25 times their size, then reduced.
"""

from functools import cached_property

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from depnb.simulation import raster
from depnb.simulation.head import (
    EYE,
    EYE_SECTORS,
    FLAT,
    FLAT_SIZE,
    GLASSES,
    HAIR,
    HAIR_AT,
    folded,
    head,
    mesh_quads,
    smoothstep,
)
from depnb.simulation.skin import noise, texture, to_linear

# What a face does, each a number a frame: `face.signals`.
CHANNELS = ("smile", "open", "round", "wide", "brow", "closure", "gaze_x", "gaze_y", "yaw", "pitch",
            "roll", "shift_x", "shift_y")
AGES = (18, 63)             # years that are drawn
RACES = ("african", "asian", "caucasian")           # MakeHuman's names of three shape targets
SUPERSAMPLED = 1.25
VIEW, MIDDLE, DISTANCE = 3.1, 7.05, 9.0     # decimetres: picture, height of its middle, camera
SHIFT = 0.62                # decimetres of one unit of shift_x and shift_y: between the irises
RESTING_SMILE = 0.18        # MakeHuman's mouth at rest looks stern
MILLIMETRES = 100.0         # of a decimetre
WALL = 96                   # pixels of the background before it is enlarged
PIGMENTS = [0x2a1a12, 0x4a2f1c, 0x7a5a36, 0xa88a5a, 0x6b3a20]
DARK_PIGMENTS = [0x16100d, 0x2a1a12]
FRAMES = [[0.02, 0.02, 0.022], [0.05, 0.03, 0.02], [0.12, 0.05, 0.03], [0.25, 0.24, 0.22]]
# Units of MakeHuman's faces (after ARKit's) and how far a signal of 1 moves them.
UNITS = {"open": {"jawOpen": 0.75}, "up": {"browOuterUp": 0.9, "browInnerUp": 1.1},
         "smile": {"mouthSmile": 1.05, "cheekSquint": 0.45, "mouthUpperUp": 0.12},
         "sad": {"mouthFrown": 1.0}, "brow": {"browDown": 1.2, "noseSneer": 0.15},
         "down": {"eyeLookDown": 0.8}, "high": {"eyeLookUp": 0.8}, "lid": {"eyeBlink": 1.0},
         "round": {"mouthPucker": 0.7, "mouthFunnel": 0.35},
         "wide": {"mouthStretch": 0.6}}
CURVE = np.linspace(0, 1, 4096)
CURVE = (255 * np.where(CURVE <= 0.0031308, 12.92 * CURVE, 1.055 * CURVE**(1 / 2.4) - 0.055)
         ).astype(np.uint8)


def still(frames=1):
    """Signals of a face at rest that looks ahead: channel -> (frames,) zeros."""
    return {name: np.zeros(frames) for name in CHANNELS}


class Person:
    """A face that is nobody's, drawn without severity.

    Parameters
    ----------
    rng : numpy Generator
    gender : "female" or "male", optional
    age : float, optional
        Years.
    skin_tone : float, optional
        0 lightest to 1 darkest. What is not told is drawn; nothing else of the person changes.

    Attributes
    ----------
    drawn : dict
        Numbers of the person and of the light.
    """

    def __init__(self, rng, gender=None, age=None, skin_tone=None):
        drawn = (rng.choice(["female", "male"]), rng.uniform(*AGES), rng.uniform())
        self.gender = str(drawn[0] if gender is None else gender)
        self.age = float(drawn[1] if age is None else age)
        self.tone = float(drawn[2] if skin_tone is None else skin_tone)
        if self.gender not in ("female", "male"):
            raise ValueError(f"gender {self.gender!r}: choose female or male.")
        if not 0 <= self.tone <= 1:
            raise ValueError(f"skin_tone {self.tone:g}: choose 0 (lightest) to 1 (darkest).")
        self.old = float(np.clip((self.age - 18) / 60, 0, 1))       # 0 young to 1 old
        self.light = {"level": rng.uniform(0.75, 1.15), "contrast": rng.uniform(0.4, 0.8),
                      "warmth": rng.normal(0, 0.07), "azimuth": rng.uniform(-60, 60),
                      "height": rng.uniform(10, 50)}
        self.noise = rng.uniform(1, 4)
        self.framing = (np.clip(rng.normal(0, (0.05, 0.04)), -0.09, 0.09), rng.uniform(0.9, 1.08))
        self.mix = rng.dirichlet([0.35] * 3)
        self.fair = rng.uniform() < 0.7 and self.tone < 0.45        # hair and eyes may be light
        self.key = int(rng.integers(2**62))
        self.glasses = self._glasses(self._rng(1))
        self.hair = self._hair(self._rng(2))
        self.drawn = {"skin_tone": round(self.tone, 4), "age": round(self.age, 1),
                      "light": round(self.light["level"], 4),
                      "light_contrast": round(self.light["contrast"], 4),
                      "warmth": round(self.light["warmth"], 4), "noise": round(self.noise, 4),
                      "light_from": round(self.light["azimuth"], 1),
                      "glasses": int(self.glasses["worn"])}

    def _rng(self, stage):
        return np.random.default_rng([self.key, stage])

    @staticmethod
    def _glasses(rng):
        return {"worn": bool(rng.uniform() < 0.25), "colour": np.array(rng.choice(FRAMES)),
                "wide": rng.uniform(0.235, 0.265), "high": rng.uniform(0.165, 0.195),
                "corner": rng.uniform(2.0, 4.0), "thick": rng.uniform(0.008, 0.011)}

    def _hair(self, rng):
        """Its colour, length, and its lower edge (decimetres) by azimuth, 0 front to 180 back."""
        man = self.gender == "male"
        long, bald, fringe = rng.uniform(size=3) < (0.12 if man else 0.75,
                                                    (0.10 + 0.3 * self.old) * man, 0.25)
        fringe, long = fringe and not bald, long and not bald
        front = (8.02 + 0.05 * rng.standard_normal() - 0.24 * fringe + 0.2 * bald
                 + 0.12 * self.old * man)
        temple = min(front - 0.12, 7.82 + 0.25 * bald + 0.05 * rng.standard_normal())
        side, back = 7.1 + 0.15 * rng.uniform(), 6.45 + 0.2 * rng.uniform()
        thick = rng.uniform(0.02, 0.05) if bald else rng.uniform(0.05, 0.22)
        curly = bool(rng.uniform() < self.mix[0])
        grey = np.clip(rng.normal(self.old * 1.4 - 0.4, 0.2), 0, 0.9)
        pigment = int(rng.choice(PIGMENTS if self.fair else DARK_PIGMENTS))
        colour = np.array([pigment >> 16, pigment >> 8 & 255, pigment & 255]) / 255
        brow = np.minimum(to_linear(colour * (1 - 0.6 * grey) + 0.24 * grey), 0.12) / 2
        return {"colour": to_linear(colour * (1 - grey) + 0.55 * grey), "brow": brow,
                "curly": curly, "long": bool(long), "length": rng.uniform(5.2, 6.5),
                "thick": (thick + 0.06 * long) * (1.4 if curly else 1),
                "sweep": 0.0 if bald else rng.normal(0, 0.10),
                "line": ([0, 30, 52, 68, 78, 86, 96, 112, 135, 180],
                         [front, front - 0.02, temple, temple - 0.3, side, side + 0.1, 7.5, 7.0,
                          back, back])}

    def hairline(self, p):
        """Height of the lower edge of the hair at points p (..., 3) of the mesh at rest."""
        azimuth = np.rad2deg(np.arctan2(
            abs(p[..., 0]), p[..., 2] - 0.15 + 0.6 * np.clip(7.2 - p[..., 1], 0, 1)))
        sweep = self.hair["sweep"]
        uneven = sweep * p[..., 0] / 0.5 + 0.02 * np.sin(17 * p[..., 0] + 50 * sweep)
        return np.interp(azimuth, *self.hair["line"]) + smoothstep(60, 30, azimuth) * uneven

    # Shape

    @cached_property
    def shape(self):
        """The skin at rest, (n, 3): sex, age and build, then random shape and asymmetry."""
        rng, base = self._rng(3), head()
        build, weight = rng.normal(0, 0.45), {}
        lean = "max" if build > 0 else "min"
        for age, share in (("young", 1 - self.old), ("old", self.old)):
            for race, part in zip(RACES, self.mix, strict=True):
                weight[f"{race}-{self.gender}-{age}"] = share * part
            stem = f"universal-{self.gender}-{age}-averagemuscle"
            weight[f"{stem}-averageweight"] = share * (1 - min(abs(build), 1))
            weight[f"{stem}-{lean}weight"] = share * min(abs(build), 1)
        ends = {}                           # decr and incr, for example, are ends of one quantity
        for name in base.shape_names:
            if not name.startswith((*RACES, "universal")):
                ends.setdefault(name.rpartition("-")[0], []).append(name)
        for stem, names in ends.items():
            x = rng.normal(0, 0.10 if stem.startswith("asym") else 0.25)
            x += {"l-eye-scale": 0.35, "l-eye-height2": 0.4}.get(stem, 0)   # MakeHuman's are narrow
            weight[names[int(x > 0 and len(names) > 1)]] = min(abs(x), 1.0)
        shape = base.rest.copy()
        for name, value in weight.items():
            shape += value * base.step * base.shape_fields[base.shapes[name]]
        shape -= shape[base.part["neck_joint"]].mean(0) - base.neck
        middle = shape[base.teeth].mean(0)
        shape[base.teeth] = (middle + (shape[base.teeth] - middle) * [0.93, 0.95, 0.95]
                             - [0, 0, 0.035])
        return shape

    @property
    def pivot(self):
        """The point of the neck about which the head turns, (3,)."""
        return head().neck + [0, 0.45, 0.1]

    @cached_property
    def eyes(self):
        """Centres (2, 3) and radius of the eyeballs."""
        part = head().part
        centres = np.stack([self.shape[part[f"{side}_eye"]].mean(0) for side in "lr"])
        return centres, 0.985 * np.ptp(self.shape[part["l_eye"]], axis=0).mean() / 2

    @cached_property
    def blink(self):
        """The smallest weight of the blink at which the lids hide this person's eyeballs."""
        skin, none, ahead = len(self.shape), np.zeros((0, 3)), np.eye(3)
        triangles = np.concatenate([head().triangles, head().eye_triangles + skin,
                                    head().eye_triangles + skin + len(head().eye)])
        for gain in np.arange(0.4, 1.65, 0.05):
            weights = self._weights(still() | {"closure": np.ones(1)}, gain)[0]
            points = self._pose(weights, ahead, ahead, (none, np.zeros(0, int), none),
                                np.ones(skin))
            owner, _ = raster.visible(self._screen(points, 320, 0, 0), triangles, 320, 320)
            if (owner >= len(head().triangles)).sum() < 4:
                break
        return float(gain)

    # Motion

    def _weights(self, signal, blink):
        """Weight of each unit of expression in each frame, (T, units)."""
        closure, smile = np.clip(signal["closure"], 0, 1), signal["smile"] + RESTING_SMILE
        brow, gaze = signal["brow"], signal["gaze_y"] * (1 - closure)
        down = np.maximum(gaze, 0)
        moves = {**{name: signal[name] for name in ("open", "round", "wide")},
                 "smile": np.maximum(smile, 0), "sad": np.maximum(-smile, 0),
                 "brow": np.maximum(brow, 0), "up": np.maximum(-brow, 0),
                 "down": down, "high": np.maximum(-gaze, 0),
                 "lid": blink * (closure + 0.25 * down)}     # the upper lid follows the gaze
        out = np.zeros((len(closure), len(head().units)))
        for name, value in moves.items():
            for unit, gain in UNITS[name].items():
                for side in ("", "Left", "Right"):
                    if unit + side in head().units:
                        out[:, head().units[unit + side]] += gain * value
        return out

    def _turns(self, signal):
        """Rotation of the head in each frame, (T, 3, 3)."""
        angles = np.stack([-signal["roll"], -signal["yaw"], signal["pitch"]], 1)
        return Rotation.from_euler("zyx", angles, degrees=True).as_matrix()

    def _pose(self, weights, turn, sight, still, follow):
        """Points of one frame: skin, hair, glasses, both eyeballs."""
        rest, cap_from, cap_offset = still
        moving = np.flatnonzero(weights)
        out = np.empty((len(self.shape) + len(cap_from) + len(rest), 3))
        raster.moved(self.shape, head().unit_fields, moving, weights[moving], rest, cap_from,
                     cap_offset, follow, turn, self.pivot, out)
        centres, radius = self.eyes
        balls = [np.einsum("ij,nj->ni", turn, centre - self.pivot
                           + radius * np.einsum("ij,nj->ni", sight, head().eye)) + self.pivot
                 for centre in centres]
        return np.concatenate([out, *balls])

    def landmarks(self, signal, points):
        """Where landmarks of FaceMesh are, in millimetres, before a camera sees them.

        Parameters
        ----------
        signal : dict of (T,) arrays, as of `face.signals`
        points : FaceMesh indices below 468

        Returns
        -------
        landmarks : (T, points, 3)
            x to the right of the picture, y down, z away from the camera; the origin is the middle
            of these landmarks at rest.
        middle : (T, 3)
            Where that middle has gone with the head.
        """
        vertices = head().landmarks[points]
        rest = self.shape[vertices]
        resting = self._weights(still(), self.blink)
        fields = head().unit_fields[:, vertices]
        origin = (rest + np.einsum("u,upk->pk", resting[0], fields)).mean(0)
        moved = rest + np.einsum("tu,upk->tpk", self._weights(signal, self.blink), fields)
        turns = self._turns(signal)
        shift = SHIFT * np.stack([signal["shift_x"], -signal["shift_y"], 0 * signal["shift_x"]], 1)
        turned = np.einsum("tij,tpj->tpi", turns, moved - self.pivot) + self.pivot
        middle = np.einsum("tij,j->ti", turns, origin - self.pivot) + self.pivot + shift
        scale = MILLIMETRES * np.array([1, -1, -1])
        return scale * (turned + shift[:, None] - origin), scale * (middle - origin)

    # Pictures

    def frames(self, signal, size):
        """Paint the frames of `face.signals`: iterator of (size, size, 3) uint8 RGB."""
        look, lamps, painted = self._look, self._lamps, self._texture
        weights, turns = self._weights(signal, self.blink), self._turns(signal)
        sights = Rotation.from_euler("yx", np.stack(
            [30 * signal["gaze_x"], 24 * signal["gaze_y"]], 1), degrees=True).as_matrix()
        big = round(size * SUPERSAMPLED)
        wall = cv2.resize(self._wall, (big, big), interpolation=cv2.INTER_LINEAR)
        teeth = smoothstep(0, 0.2, signal["open"] + 0.3 * signal["smile"])  # dark in a closed mouth
        for t in range(len(weights)):
            points = self._pose(weights[t], turns[t], sights[t], look["still"], look["follow"])
            seen = look["occlusion"].copy()
            seen[head().teeth] *= teeth[t]
            shade, gloss = raster.light(raster.normals(points, look["triangles"]), seen,
                                        look["soft"], look["shine"], *lamps)
            screen = self._screen(points, big, signal["shift_x"][t], signal["shift_y"][t])
            owner, _ = raster.visible(screen, look["triangles"], big, big)
            image = wall.copy()
            raster.paint(owner, screen, look["triangles"], look["uv"], shade, gloss, painted, image)
            self._glint(screen, image, owner, lamps[0])
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
            yield raster.encode(image, CURVE)

    def in_picture(self, signal, size):
        """Where the points of the skin are in each frame, (T, points, 2) pixels."""
        look, n = self._look, len(self.shape)
        weights, turns = self._weights(signal, self.blink), self._turns(signal)
        return np.stack([self._screen(
            self._pose(weights[t], turns[t], np.eye(3), look["still"], look["follow"])[:n], size,
            signal["shift_x"][t], signal["shift_y"][t])[:, :2] for t in range(len(weights))])

    def _screen(self, points, size, shift_x, shift_y):
        """Points in a picture of so many pixels: x, y downwards, nearness, (n, 3)."""
        near = DISTANCE / (DISTANCE + 0.5 - points[:, 2])           # perspective
        (right, low), zoom = self.framing
        unit = size / VIEW * zoom
        return np.stack([
            size * (0.5 + right) + unit * (near * points[:, 0] + SHIFT * shift_x),
            size * (0.53 + low) - unit * (near * (points[:, 1] - MIDDLE) - SHIFT * shift_y),
            points[:, 2] * near], 1)

    @cached_property
    def _texture(self):
        return texture(self, self._rng(4))

    @cached_property
    def _lamps(self):
        """Key light, its colour, fill light, its colour, light from above, from below."""
        light = self.light
        azimuth, height = np.deg2rad([light["azimuth"], light["height"]])
        key = np.array([np.sin(azimuth) * np.cos(height), np.sin(height),
                        np.cos(azimuth) * np.cos(height)])
        tint = 1 + light["warmth"] * np.array([1, 0, -1])
        level = light["level"] * (1 + 0.35 * self.tone)     # as a camera exposes for the face
        rest = level * (1 - light["contrast"])
        return (key, 1.15 * level * light["contrast"] * tint,
                np.array([-0.8 * np.sign(azimuth), 0.1, 0.6]), 0.45 * rest * tint[::-1],
                1.1 * rest * np.ones(3), 0.55 * rest * tint)

    @cached_property
    def _wall(self):
        """The background, out of focus, (96, 96, 3) float32."""
        rng = self._rng(5)
        base = np.clip(rng.uniform(0.05, 0.7) * (1 + 0.12 * rng.standard_normal(3)), 0.02, 0.8)
        uneven = noise((WALL, WALL), 18, rng)[..., None]
        wall = base * (1 + 0.15 * uneven + 0.1 * np.linspace(1, -1, WALL)[:, None, None])
        for _ in range(rng.integers(1, 5)):
            x, y, width, height = rng.integers([0, 0, 10, 10], [WALL, WALL, 50, 50])
            colour = base * rng.uniform(0.3, 2.0) + 0.03 * rng.standard_normal(3)
            wall[y:y + height, x:x + width] = np.clip(colour, 0.01, 0.9)
        wall = np.clip(gaussian_filter(wall, [3, 3, 0]), 0.01, 1)
        return (wall * self.light["level"]).astype(np.float32)

    @cached_property
    def _look(self):
        """What does not change from frame to frame: triangles, texels, shadows.

        Points: skin, cap of hair, long hair, glasses, left eye, right eye.
        """
        base, rng = head(), self._rng(6)
        cap, cap_offset, cap_quads, cap_uv = self._cap(rng)
        hair, hair_triangles, hair_uv = self._curtain(rng, cap)
        frame, frame_triangles = self._frame()
        counts = np.cumsum([0, len(base.rest), len(cap), len(hair), len(frame), len(base.eye)])
        parts = [base.triangles, cap_quads, hair_triangles, frame_triangles, base.eye_triangles,
                 base.eye_triangles]
        triangles = np.concatenate([part + start for part, start in
                                    zip(parts, counts, strict=True)]).astype(np.int32)
        flat = np.full((len(frame_triangles), 3, 2), np.array(FLAT["frame"]) + FLAT_SIZE / 2)
        eye_uv = base.eye_uv[base.eye_triangles]
        uv = np.concatenate([base.uv, cap_uv[cap_quads], hair_uv[hair_triangles], flat, eye_uv,
                             eye_uv]).astype(np.float32)
        kind = np.concatenate([base.kind, *(np.full(len(part), number) for part, number in zip(
            parts[1:], (HAIR, HAIR, GLASSES, EYE, EYE), strict=True))])

        resting = np.concatenate([self.shape, self.shape[cap] + cap_offset, hair])
        own = triangles[:sum(map(len, parts[:3]))]
        seen = raster.sky_share(resting, raster.normals(resting, own), own)
        seen[base.mouth] *= 0.35
        seen[base.teeth] = 0.75 * smoothstep(1.05, 1.42, base.rest[base.teeth, 2])
        of_hair, eyes = len(cap) + len(hair), 2 * len(base.eye)
        tilted = base.rest[:, 1] + 0.35 * (base.rest[:, 2] - 0.2)
        follow = smoothstep(5.55, 6.4, tilted)                      # the shoulders stay
        shine = base.skin * rng.uniform(0.03, 0.11) * smoothstep(5.9, 6.4, base.rest[:, 1])
        shine[base.teeth] = 0.1
        return {"triangles": triangles, "uv": uv, "kind": kind.astype(np.uint8),
                "still": (np.concatenate([hair, frame]), cap, cap_offset),
                "occlusion": np.r_[np.clip(seen * 1.15, 0.03, 1), np.full(len(frame), 0.8),
                                   np.full(eyes, 0.75)],
                "soft": np.r_[base.skin, np.full(of_hair, 0.2), np.zeros(len(frame) + eyes)],
                "shine": np.r_[shine, np.full(of_hair, 0.05), np.full(len(frame), 0.25),
                               np.full(eyes, 0.05)],
                "follow": np.r_[follow, follow[cap], smoothstep(4.9, 6.9, hair[:, 1]),
                                np.ones(len(frame))]}

    def _cap(self, rng):
        """Hair on the head, the scalp pushed outwards: points of the skin, offsets, triangles, uv.
        """
        base, hair = head(), self.hair
        above = base.rest[:, 1] - self.hairline(base.rest)
        volume = 0.4 + 0.6 * smoothstep(7.3, 8.1, base.rest[:, 1])
        lift = (smoothstep(0, 0.4, above) * hair["thick"] * volume
                + 0.25 * np.clip(above, -0.12, 0.06))
        lift = np.where(base.ear > 0.1, -0.04, lift)                # ears stay free
        quads = base.scalp[(above[base.scalp] > -0.02).any(1) & (base.ear[base.scalp] < 0.1).any(1)]
        used, local = np.unique(quads, return_inverse=True)
        waves = np.einsum("nk,kj->nj", base.rest[used], rng.normal(0, 5, (3, 3)))
        bump = 1 + 0.25 * np.sin(waves + rng.uniform(0, 6, 3)).mean(1)
        offset = (raster.normals(self.shape, base.triangles)[used]
                  * (lift[used] * bump)[:, None])
        x, y, z = base.rest[used].T
        left, top, width, height = HAIR_AT
        around = np.arctan2(x, z - 0.2)
        uv = np.stack([left + (0.5 + around / (2.2 * np.pi)) * width,
                       top + np.clip((8.5 - y) / 2.2, 0, 1) * (height - 2)], -1)
        return used, offset, folded(local.reshape(-1, 4)), uv

    def _curtain(self, rng, cap):
        """Long hair behind the face: points, triangles, uv; none where it is short."""
        if not self.hair["long"]:
            return np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros((0, 2))
        around, down = np.meshgrid(np.deg2rad(np.linspace(74, 286, 60)), np.linspace(0, 1, 14),
                                   indexing="ij")
        phase = rng.uniform(0, 6, 2)
        bottom = self.hair["length"] + 0.12 * np.sin(5 * around + phase[0])
        skull = self.shape[cap]
        wide, deep = abs(skull[:, 0]).max(), np.ptp(skull[:, 2]) / 2
        radius = (1 + (0.09 + 0.5 * self.hair["thick"]) * smoothstep(0, 0.3, down) + 0.12 * down
                  + 0.05 * np.sin(9 * around + 3 * down + phase[1]) * down)
        points = np.stack([wide * radius * np.sin(around), 7.85 + (bottom - 7.85) * down,
                           0.5 * skull[:, 2].mean() + 0.95 * deep * radius * np.cos(around)], -1)
        triangles = folded(mesh_quads(60, 14, closed=False))
        left, top, width, height = HAIR_AT
        uv = np.stack([left + around / (2 * np.pi) * (width - 2), top + down * (height - 2)], -1)
        return (points.reshape(-1, 3), np.concatenate([triangles, triangles[:, ::-1]]),
                uv.reshape(-1, 2))

    def _frame(self):
        """The frame of the glasses: points, triangles; none where none are worn."""
        if not self.glasses["worn"]:
            return np.zeros((0, 3)), np.zeros((0, 3), int)
        g, (centres, radius) = self.glasses, self.eyes
        turn = 2 * np.pi * np.arange(36) / 36
        brows = self.shape[head().landmarks[[105, 334]], 1].min()       # the rims stay below them
        high = min(g["high"], brows - 0.05 - (centres[:, 1].max() - 0.055))
        rim = np.stack([np.sign(f) * abs(f)**(2 / g["corner"]) for f in (np.cos(turn), np.sin(turn))
                        ], 1) * [g["wide"], high]
        paths, rims = [], []
        for centre in centres:
            flat = centre[:2] - [0, 0.055] + rim
            skin = self.shape[head().skin > 0]
            near = np.abs(skin[:, None, :2] - flat).max(-1) < 0.05
            outer = abs(flat[:, 0]) > 0.15
            depth = max(np.where(near, skin[:, 2:], -np.inf)[:, outer].max(),
                        centre[2] + radius) + 0.02
            rims.append(np.c_[flat, depth - 0.35 * np.maximum(abs(flat[:, 0]) - 0.25, 0)**2])
            paths.append((rims[-1], True))
        ends = [r[np.argmin(abs(r[:, 0]) - 0.5 * r[:, 1])] for r in rims]       # next to the nose
        arc = np.linspace(0, 1, 9)[:, None]
        bridge = ends[0] + arc * (ends[1] - ends[0])
        paths.append((bridge + [0, 0.04, 0.05] * np.sin(np.pi * arc), False))
        ears = self.shape[head().ear > 0.5]
        for r in rims:
            outer = r[np.argmax(abs(r[:, 0]) + 0.3 * r[:, 1])]
            side = np.sign(outer[0])
            own = ears[np.sign(ears[:, 0]) == side]
            ear = np.array([side * np.quantile(abs(own[:, 0]), 0.1), np.quantile(own[:, 1], 0.85),
                            np.quantile(own[:, 2], 0.5)])
            hinge = [ear[0], outer[1], outer[2] - 0.10]
            paths.append((np.array([outer, hinge, ear]), False))
        points, triangles, start = [], [], 0
        for path, closed in paths:
            own, quads = tube(path, g["thick"], closed)
            points.append(own)
            triangles.append(folded(quads) + start)
            start += len(own)
        return np.concatenate(points), np.concatenate(triangles)

    def _glint(self, screen, image, owner, key):
        """The reflection of the key light on each eye."""
        half = key + [0, 0, 1]
        half = half / np.sqrt((half**2).sum())
        e, kind = len(head().eye), self._look["kind"]
        radius = len(image) / VIEW * self.framing[1] * self.eyes[1]
        for first in (len(screen) - 2 * e, len(screen) - e):
            x, y = (screen[first:first + EYE_SECTORS, :2].mean(0)
                    + 0.30 * radius * np.array([half[0], -half[1]]))
            raster.glint(image, owner, kind, EYE, x, y, 0.09 * radius)


def tube(path, radius, closed):
    """A square tube along points (n, 3): corners (4 n, 3), quads whose outside is outwards."""
    ahead = (np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0))
    ahead = ahead / np.sqrt((ahead**2).sum(1, keepdims=True))
    up = np.where(abs(ahead[:, 2:]) > 0.9, [0, 1, 0], [0, 0, 1])
    side = np.cross(ahead, up)
    side = side / np.sqrt((side**2).sum(1, keepdims=True))
    other = np.cross(ahead, side)
    corners = np.stack([path + radius * (np.cos(a) * side + np.sin(a) * other)
                        for a in np.pi / 4 + np.pi / 2 * np.arange(4)], 1)     # (n, 4, 3)
    if closed:
        corners = np.concatenate([corners, corners[:1]])
    return corners.reshape(-1, 3), mesh_quads(len(corners), 4)[:, ::-1]

