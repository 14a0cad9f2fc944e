"""What all simulated people share: MakeHuman's head (CC0), eyeballs, and the places of a texture.

`assets/README.md` says where the meshes come from. Coordinates are those of `raster`: x to the
left of the person, y up, z forwards, in decimetres; the head stands at a height of 6 to 8.5.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from scipy.ndimage import distance_transform_edt

from depnb.simulation.raster import paint, visible

PARTS = ("skin", "l_eye", "r_eye", "lashes", "teeth", "tongue", "hair")
SKIN, INSIDE, HAIR, EYE, GLASSES = range(1, 6)      # what a triangle shows
# MakeHuman maps the body to a square of so many texels; the head lies in a part of it.
SQUARE, LEFT, TOP = 1024, 640, 160
HEAD_SIZE = (704, 384)                              # height, width of that part
TEXTURE = (1248, 384)
# Places in the texture: x, y, width, height. The eyeball is seen from the front.
CLOTH_AT, EYE_AT, HAIR_AT = (0, 704, 384, 160), (0, 864, 128, 128), (0, 992, 384, 256)
FLAT = {"mouth": (150, 880), "teeth": (182, 880), "tongue": (214, 880), "frame": (246, 880)}
FLAT_SIZE = 24
EYE_RINGS, EYE_SECTORS, EYE_REACH = 14, 28, np.deg2rad(115)


def smoothstep(low, high, x):
    """0 below `low`, 1 above `high`, smooth between (the other way round where low > high)."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def folded(quads):
    """Two triangles of each quad, (n, 4, ...) -> (2 n, 3, ...)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


class Head:
    """The mesh at rest, its triangles, where each is painted from, where each texel sits.

    Attributes
    ----------
    rest : (n, 3)
    triangles, uv, kind : (m, 3), (m, 3, 2) texels, (m,)
        Of skin, teeth and tongue.
    shapes, units : dict name -> number; shape_fields, unit_fields : (number, n, 3)
    landmarks : (468,)
        The point nearest to each landmark of FaceMesh.
    at : (h, w, 3)
        Where each texel of the head sits on the mesh at rest.
    """

    def __init__(self):
        folder = files(__package__) / "assets"
        with np.load(str(folder / "assets.npz")) as stored:
            a = dict(stored)
        self.landmarks = np.load(str(folder / "landmark_vertices.npy"))
        self.rest = a["vertices"].astype(float)
        self.shape_names = [*map(str, a["shape_names"])]
        self.shapes = {name: i for i, name in enumerate(self.shape_names)}
        self.units = {name: i for i, name in enumerate(map(str, a["unit_names"]))}
        self.shape_fields, self.step = a["shapes"], float(a["unit"])
        self.unit_fields = a["units"] * self.step
        self.part = {name[3:]: slice(*ends) for name, ends in a.items() if name.startswith("at_")}
        self.neck = self.rest[self.part["neck_joint"]].mean(0)
        cut = np.s_[TOP:TOP + HEAD_SIZE[0], LEFT:LEFT + HEAD_SIZE[1]]
        self.masks = {name: a["mask_" + name][cut] / 255 for name in ("lips", "eyelids", "ears")}
        self._surface(a["quads"], a["uv"][a["quads_uv"]], a["part"])
        self._eyeball()

    def _surface(self, quads, square, part):
        """Triangles of skin, teeth and tongue; square: (quads, 4, 2), of MakeHuman's texture."""
        number = {name: part == i for i, name in enumerate(PARTS)}
        uv = np.stack([square[..., 0] * SQUARE - LEFT, (1 - square[..., 1]) * SQUARE - TOP], -1)
        head = number["skin"] & (uv.min((1, 2)) > 0) & (uv[..., 1].max(1) < HEAD_SIZE[0])
        mouth = (number["skin"] & ~head & (square[..., 1].max(1) < 0.16)
                 & (square[..., 0].min(1) > 0.7))
        torso = number["skin"] & ~head & ~mouth
        self.scalp, on_head = quads[head], uv[head]
        x, y, width, height = CLOTH_AT
        at = self.rest[quads[torso]]
        uv[torso] = np.stack([x + (at[..., 0] + 2.4) / 4.8 * width,
                              y + (7.0 - at[..., 1]) / 2.4 * height], -1)
        for name, own in (("mouth", mouth), ("teeth", number["teeth"]),
                          ("tongue", number["tongue"])):
            uv[own] = np.array(FLAT[name]) + FLAT_SIZE / 2
        drawn = number["skin"] | number["teeth"] | number["tongue"]
        self.triangles = folded(quads[drawn]).astype(np.int32)
        self.uv = folded(uv[drawn]).astype(np.float32)
        self.kind = np.tile(np.where(head | torso, SKIN, INSIDE)[drawn], 2).astype(np.uint8)
        self.skin, self.ear = np.zeros((2, len(self.rest)))
        self.skin[quads[head | torso]] = 1
        texel = np.minimum(np.round(on_head).astype(int), np.array(HEAD_SIZE)[::-1] - 1)
        self.ear[self.scalp] = self.masks["ears"][texel[..., 1], texel[..., 0]]
        self.mouth, self.teeth = np.unique(quads[mouth]), np.unique(quads[number["teeth"]])
        self.at = self._places(folded(on_head), self.rest[folded(self.scalp)])

    def _places(self, corners, at):
        """Where texels sit, painted as if it were a colour: (m, 3, 2), (m, 3, 3) -> (h, w, 3)."""
        low, size = self.rest.min(0), np.ptp(self.rest, axis=0)
        screen = np.pad(corners.reshape(-1, 2).astype(float), ((0, 0), (0, 1)))
        triangles = np.arange(len(screen), dtype=np.int32).reshape(-1, 3)
        owner, _ = visible(screen, triangles, *HEAD_SIZE, True)
        image = np.zeros((*HEAD_SIZE, 3), np.float32)
        paint(owner, screen, triangles, np.zeros((len(triangles), 3, 2), np.float32),
              ((at.reshape(-1, 3) - low) / size).astype(np.float32),
              np.zeros(len(screen), np.float32), np.ones((2, 2, 3), np.float32), image)
        nearest = distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
        return (image * size + low)[tuple(nearest)]

    def _eyeball(self):
        """A ball of radius 1 that looks along z: rings around the axis of sight."""
        angle = np.linspace(0, 1, EYE_RINGS + 1)[:, None]**1.2 * EYE_REACH
        turn = 2 * np.pi * np.arange(EYE_SECTORS) / EYE_SECTORS
        x, y = np.cos(turn), np.sin(turn)
        self.eye = np.stack([np.sin(angle) * x, np.sin(angle) * y, np.cos(angle) + 0 * turn],
                            -1).reshape(-1, 3)
        self.eye_triangles = folded(mesh_quads(EYE_RINGS + 1, EYE_SECTORS)).astype(np.int32)
        radius = angle / EYE_REACH / 2
        left, top, width, height = EYE_AT
        self.eye_uv = np.stack([left + width * (0.5 + radius * x), top + height * (0.5 - radius * y)
                                ], -1).reshape(-1, 2)


def mesh_quads(rows, columns, closed=True):
    """Corners of the quads of a grid of points (rows, columns), whose last column may meet the
    first: (n, 4).
    """
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - (not closed)), indexing="ij")
    a, b = (i * columns + j).ravel(), (i * columns + (j + 1) % columns).ravel()
    return np.stack([a, a + columns, b + columns, b], 1)


@cache
def head():
    """The head, made once."""
    return Head()
