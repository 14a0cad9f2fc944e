"""Simulated faces: does FaceMesh see them and follow what is planted, and how fast are they drawn?

python benchmarks/faces.py --people 40 --first 1000

Each person moves one channel at a time over its range, twice there and back, the others at rest;
the film goes through MPEG-4, as the corpora do. r: planted against measured, by person. Measured
are landmarks after the head was turned back. Detection counts every frame of every person, also
those of five seconds in which all cues move together.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from depnb.corpora.readers import read_frames
from depnb.features.face import face_mesh, gaze, head_pose
from depnb.simulation import face
from depnb.simulation.people import still

FRAMES, SIZE, FPS = 40, 256, 30
RANGES = {"smile": (0, 1), "open": (0, 0.6), "brow": (-0.6, 1.1), "closure": (0, 1),
          "gaze_x": (-0.9, 0.9), "gaze_y": (-0.4, 1.0), "yaw": (-20, 20), "pitch": (-12, 12),
          "roll": (-10, 10)}


def measured(mesh):
    """What the landmarks say of each channel: (n, 478, 3) -> dict of (n,)."""
    pose = head_pose(mesh)
    back = Rotation.from_euler("xyz", pose, degrees=True).inv().as_matrix()
    front = np.einsum("tij,tpj->tpi", back, mesh - mesh.mean(1, keepdims=True))[..., :2]

    def distance(*pairs):
        return np.mean([np.linalg.norm(front[:, a] - front[:, b], axis=-1) for a, b in pairs], 0)

    def height(points):
        return front[:, points, 1].mean(1)

    unit, sight = distance((33, 263)), gaze(mesh)
    lids = distance((159, 145), (158, 153), (160, 144), (386, 374), (385, 380), (387, 373))
    return {"smile": (distance((61, 291)) + height([0, 13]) - height([61, 291])) / unit,
            "open": distance((13, 14)) / unit, "closure": -lids / unit,
            "brow": (height([105, 66, 55, 107, 334, 296, 285, 336])
                     - height([33, 133, 362, 263])) / unit,
            "gaze_x": sight[:, 0], "gaze_y": sight[:, 1], "pitch": pose[:, 0], "yaw": pose[:, 1],
            "roll": pose[:, 2]}


def one_at_a_time():
    """Signals in which each channel moves by itself."""
    phase = np.linspace(0, 4 * np.pi, FRAMES)
    out = still(FRAMES * len(RANGES))
    for i, (name, (low, high)) in enumerate(RANGES.items()):
        out[name][i * FRAMES:(i + 1) * FRAMES] = (low + high) / 2 - (high - low) / 2 * np.cos(phase)
    return out


def filmed(person, signal, rng, folder):
    """FaceMesh's landmarks of a film of these signals, after MPEG-4."""
    path = Path(folder) / "film.mp4"
    face.write_video(path, person, signal, SIZE, FPS, rng)
    return face_mesh(read_frames(path))


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--first", type=int, default=1000, help="seed of the first person")
    a = parser.parse_args()
    alone, rows, tracked, drawing, making = one_at_a_time(), [], [], 0.0, 0.0
    list(face.render(face.identity(np.random.default_rng(0)),
                     {name: values[:1] for name, values in alone.items()}, SIZE))   # compiled
    with tempfile.TemporaryDirectory() as folder:
        for number in range(a.first, a.first + a.people):
            person, start = face.identity(np.random.default_rng(number)), time.process_time()
            list(face.render(person, {name: values[:0] for name, values in alone.items()}, SIZE))
            made = time.process_time()
            list(face.render(person, alone, SIZE))
            drawing, making = drawing + time.process_time() - made, making + made - start
            rng = np.random.default_rng([number, 1])
            cues = dict(zip(face.CUES, rng.standard_normal(5), strict=True))
            together, _ = face.signals(cues, "freeform", 5 * FPS, FPS, rng)
            mesh = filmed(person, alone, rng, folder)
            missed = np.isnan(np.r_[mesh, filmed(person, together, rng, folder)][:, 0, 0])
            tracked.append(1 - missed.mean())
            if np.isnan(mesh).any():
                rows.append([np.nan] * len(RANGES))
                continue
            values = measured(mesh)
            parts = [slice(i * FRAMES, (i + 1) * FRAMES) for i in range(len(RANGES))]
            rows.append([np.corrcoef(alone[name][part], values[name][part])[0, 1]
                         for name, part in zip(RANGES, parts, strict=True)])
            print(number, person.drawn, f"{tracked[-1]:.3f}", *np.round(rows[-1], 3), flush=True)
    frames = a.people * FRAMES * len(RANGES)
    print(f"{a.people} people: a face in {np.mean(tracked):.4f} of the frames, "
          f"in the worst film {np.min(tracked):.3f}")
    print(f"{frames / drawing:.0f} frames drawn a CPU second at {SIZE} pixels, "
          f"{making / a.people:.2f} s to make a person")
    for name, r in zip(RANGES, np.transpose(rows), strict=True):
        r = np.nan_to_num(r)
        print(f"{name:8s} r: median {np.median(r):.3f}, lowest {r.min():.3f}, "
              f"at least 0.9 in {np.mean(r >= 0.9):.1%} of the people")


if __name__ == "__main__":
    main()
