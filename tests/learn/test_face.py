"""The lesson on faces: it runs, its solutions are right, and typical mistakes are named."""

import numpy as np
import pytest

from depnb.features import face as features
from depnb.learn import face
from tests.learn import lessons


class TestLesson(lessons.Whole):
    def test_has_a_slider_over_time_and_one_over_cues(self, executed):
        pages = [o["data"]["text/html"] for c in executed.cells for o in c.get("outputs", [])
                 if "text/html" in o.get("data", {})]
        sliders = [p for p in pages if 'class="depnb-slider"' in p]
        assert [(">time <input" in p, ">face cues <input" in p) for p in sliders] == [
            (True, False), (False, True)]


@pytest.mark.parametrize(("answer", "message"), [
    ([192, 352], "these are y and x"),
    ([264, 256], "x goes with the width (640), y with the height"),
    ([352, 256], "y goes with the height"),
    ([264, 192], "x goes with the width: the picture is not"),
    ([352, 288], "y counts from the top"), ([1, 1], "it differs most at [0]"),
    (352, "expected an array of shape (2,) (x, y)")])
def test_a_wrong_pixel_is_told_why(answer, message):
    assert lessons.reply("face-1", answer).startswith(f"Not yet: {message}")


def angle(points, right=slice(36, 42), left=slice(42, 48)):
    return np.degrees(np.arctan2(*(points[left].mean(0) - points[right].mean(0))[::-1]))


@pytest.mark.parametrize(("answer", "message"), [
    (lambda p: np.deg2rad(angle(p)), "it is in radians"),
    (lambda p: -angle(p), "the sign is wrong"),
    (lambda p: np.degrees(np.arctan2(*(p[42:48].mean(0) - p[36:42].mean(0)))),
     "arctan2 wants the difference in y first"),
    (lambda p: angle(p, slice(42, 48), slice(36, 42)), "you went from the person's left eye"),
    (lambda p: angle(p, slice(36, 37), slice(45, 46)), "you took the outer corners"),
    (lambda p: 0.0, "on the input an array of shape (68, 2) your function gives 0")])
def test_a_wrong_roll_is_told_why(answer, message):
    assert lessons.reply("face-2", answer).startswith(f"Not yet: {message}")
    assert lessons.reply("face-2", angle).startswith("Right.")


def heights(eye):
    return np.linalg.norm(eye[1] - eye[5]), np.linalg.norm(eye[2] - eye[4])


def width(eye):
    return np.linalg.norm(eye[3] - eye[0])


@pytest.mark.parametrize(("answer", "message"), [
    (lambda e: sum(heights(e)) / width(e), "you added both heights"),
    (lambda e: 2 * width(e) / sum(heights(e)), "it is upside down"),
    (lambda e: np.mean(heights(e)), "that is in pixels"),
    (lambda e: (abs(e[1] - e[5]) + abs(e[2] - e[4]))[1] / 2 / abs(e[3] - e[0])[0],
     "it takes differences in y and x alone"),
    (lambda e: (abs(e[1] - e[5]) + abs(e[2] - e[4]))[1] / 2 / width(e),
     "it takes differences in y for heights"),
    (lambda e: (np.linalg.norm(e[1] - e[4]) + np.linalg.norm(e[2] - e[5])) / 2 / width(e),
     "point 1 lies above point 5"),
    (lambda e: e[6], "on the input an array of shape (6, 2) your function stopped with "
     "IndexError")])
def test_a_wrong_eye_opening_is_told_why(answer, message):
    assert lessons.reply("face-3", answer).startswith(f"Not yet: {message}")
    assert lessons.reply("face-3", lambda e: np.mean(heights(e)) / width(e)).startswith("Right.")


@pytest.mark.parametrize(("answer", "message"), [
    (6, "with a step of 6 some blinks fall on 1 frame only."),
    (7, "with a step of 7 some blinks fall on 0 frames only."),
    (4, "with a step of 4 some blinks fall on 1 frame only."),
    (2, "every blink is seen twice with 2, but"),
    (2.5, "expected a whole number"), (0, "expected a whole number"),
    ("3", "expected one number in frames")])
def test_a_wrong_step_is_told_why(answer, message):
    assert lessons.reply("face-4", answer).startswith(f"Not yet: {message}")


def moved(points, turn=-1, size=True, centre=None):
    right, left = points[36:42].mean(0), points[42:48].mean(0)
    dx, dy = (left - right) / np.linalg.norm(left - right)
    matrix = {-1: np.array([[dx, dy], [-dy, dx]]), 0: np.eye(2),
              1: np.array([[dx, -dy], [dy, dx]])}[turn]
    centre = (right + left) / 2 if centre is None else centre(points)
    return (points - centre) @ matrix.T / (np.linalg.norm(left - right) if size else 1)


@pytest.mark.parametrize(("answer", "message"), [
    (lambda p: moved(p, turn=0), "the eyes are not level"),
    (lambda p: moved(p, turn=1), "it is turned the wrong way"),
    (lambda p: moved(p, size=False), "the distance between the eyes is not 1"),
    (lambda p: moved(p, centre=lambda p: p.mean(0)), "the centre of all points is at the origin"),
    (lambda p: p, "on the input an array of shape (68, 2) your function gives an array of shape "
     "(68, 2)")])
def test_a_wrong_alignment_is_told_why(answer, message):
    assert lessons.reply("face-5", answer).startswith(f"Not yet: {message}")
    assert lessons.reply("face-5", moved).startswith("Right.")


@pytest.mark.filterwarnings("ignore:SymbolDatabase.GetPrototype")    # protobuf, called by mediapipe
def test_what_is_measured_by_hand_follows_what_was_set():
    frames, signal, _ = face.film(seconds=4)
    mesh, has_face = features.fill_gaps(features.face_mesh(frames))
    landmarks = mesh[:, features.SIXTY_EIGHT, :2]
    eye = [(face.opening(p[face.RIGHT_EYE]) + face.opening(p[face.LEFT_EYE])) / 2
           for p in landmarks]
    roll = [face.roll_of(p) for p in landmarks]
    assert has_face.all()
    assert np.corrcoef(eye, signal["closure"])[0, 1] < -0.85
    assert np.corrcoef(roll, signal["roll"])[0, 1] > 0.8       # turning and nodding tilt the eyes


def test_the_face_at_rest_changes_with_the_cue_and_nothing_else_does():
    usual, moved_by_two = face.at_rest(0.0), face.at_rest(2.0)
    different = (np.abs(usual.astype(int) - moved_by_two).max(axis=2) > 25).mean()
    assert 0.005 < different < 0.5
    assert np.array_equal(usual, face.at_rest(0.0))
