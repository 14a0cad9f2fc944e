"""Landmarks of faces of every size."""

import cv2
import numpy as np
import pytest

from depnb.features import face_mesh
from depnb.simulation.face import identity
from depnb.simulation.people import still


def person(seed, size=224, **signal):
    """Frames of somebody who does so, (n, size, size, 3); one at rest without a signal."""
    signal = {name: np.asarray(values, float) for name, values in signal.items()}
    frames = max(map(len, signal.values()), default=1)
    return list(identity(np.random.default_rng(seed)).frames(still(frames) | signal, size))


def placed(picture, x, y, width=1280, height=720):
    """A picture in a large grey frame, its upper left corner at x, y; cut off at the border."""
    frame = np.full((height, width, 3), 110, np.uint8)
    inside = picture[:height - y, max(0, -x):width - x]
    frame[y:y + len(inside), max(0, x):max(0, x) + inside.shape[1]] = inside
    return frame


class TestSmallFaces:
    """Below a tenth of the width FaceMesh alone sees none."""

    @pytest.mark.parametrize(("pixels", "size"), [(100, (1280, 720)), (60, (1280, 720)),
                                                  (50, (1280, 720)), (100, (1920, 1080))])
    def test_landmarks_are_those_of_the_large_picture(self, pixels, size):
        picture, = person(4)
        large = face_mesh.face_mesh([picture] * 2)[-1]
        scale = pixels / np.ptp(large[:, 0])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        mesh, = face_mesh.face_mesh([placed(small, 430, 180, *size)])
        eyes = np.linalg.norm(large[468] - large[473]) * scale
        expected = large * scale + [430, 180, 0]
        assert np.median(np.linalg.norm((mesh - expected)[:, :2], axis=1)) < 0.05 * eyes
        assert np.median(abs((mesh - expected)[:, 2])) < 0.1 * eyes

    def test_somebody_behind_is_not_taken_for_who_looks_away(self):
        """The face in front disappears; a small one elsewhere in the picture is not it."""
        front, = person(4, 448)
        behind = cv2.resize(person(5)[0], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        frames = [placed(front, 100, 100)] * 2 + [placed(behind, 1000, 300)] * 2
        mesh = face_mesh.face_mesh(frames)
        assert np.isnan(mesh[:, 0, 0]).tolist() == [False, False, True, True]
        assert not np.isnan(face_mesh.face_mesh(frames[2:])).any()

    def test_where_facemesh_sees_one_nothing_else_is_asked(self, monkeypatch):
        frames = person(4, yaw=[0, 1, 2])
        landmarks = face_mesh.face_mesh(frames)
        monkeypatch.setattr(face_mesh, "closer_look", None)
        np.testing.assert_array_equal(face_mesh.face_mesh(frames), landmarks)
        with pytest.raises(TypeError):
            face_mesh.face_mesh([placed(frames[0], 0, 0, 3840, 2160)])
