"""Which point of the head is which landmark of FaceMesh: landmark_vertices.npy.

python tools/face_landmarks.py

For each landmark the point that is nearest on average, over 24 people, with the mouth shut and
open, the head turned to both sides. Tested on 12 others.
"""

from pathlib import Path

import mediapipe
import numpy as np

import depnb.simulation
from depnb.features.face import quiet_mediapipe
from depnb.simulation.head import head
from depnb.simulation.people import Person, still

SIZE = 384
POSES = [{"yaw": -15}, {"yaw": 15}, {"open": 0.6}, {"open": 0.4, "yaw": 12},
         {"open": 0.4, "yaw": -12}]
TESTS = {"rest": {}, "smile": {"smile": 1}, "jaw": {"open": 0.6}, "brow": {"brow": 1},
         "closed eyes": {"closure": 1}, "turned": {"yaw": 20, "pitch": 8}}


def both(number, poses):
    """FaceMesh's landmarks and the points of the skin, in distances between the irises."""
    person = Person(np.random.default_rng([9, number]))
    signal = still(len(poses))
    for t, pose in enumerate(poses):
        for name, value in pose.items():
            signal[name][t] = value
    with quiet_mediapipe(), mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True) as mesh:
        for frame, points in zip(person.frames(signal, SIZE), person.in_picture(signal, SIZE),
                                 strict=True):
            seen = mesh.process(frame).multi_face_landmarks
            if seen:
                at = np.array([[p.x, p.y] for p in seen[0].landmark]) * SIZE
                unit = np.linalg.norm(at[468] - at[473])
                yield at[:468] / unit, points / unit


base = head()
on_face = (base.skin > 0) & (base.rest[:, 1] > 5.9) & (base.rest[:, 2] > 0)
on_face[base.mouth] = False
candidates = np.flatnonzero(on_face)
total = np.zeros((468, len(candidates)))
for number in range(24):
    for at, points in both(number, POSES):
        total += ((at[:, None] - points[None, candidates])**2).sum(-1)
vertices = candidates[total.argmin(1)].astype(np.int32)
np.save(Path(depnb.simulation.__file__).parent / "assets/landmark_vertices.npy", vertices)
for name, pose in TESTS.items():
    away = [np.linalg.norm(at - points[vertices], axis=1) for number in range(24, 36)
            for at, points in both(number, [pose])]
    print(f"{name:12s} FaceMesh from the point, in distances between the irises: "
          f"median {np.median(away):.3f}, 90 % {np.quantile(away, 0.9):.3f}")
