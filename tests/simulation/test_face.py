import numpy as np
import pytest

from depnb.features import face as tracking
from depnb.simulation import face

STILL = dict.fromkeys(["smile", "open", "brow", "closure", "gaze_x", "gaze_y",
                       "yaw", "pitch", "roll", "shift_x", "shift_y"], 0.0)


def show(person, size=160, **expression):
    """Frames in which one control takes several values, all others at rest."""
    (name, values), = expression.items()
    signal = {key: np.full(len(values), value) for key, value in STILL.items()} | {name: np.asarray(values, float)}
    return list(face.render(person, signal, size))


@pytest.fixture(scope="module")
def person():
    return face.identity(np.random.default_rng(4))


def test_stored_landmarks_are_what_facemesh_finds_in_the_portrait():
    image, landmarks = face.portrait()
    found = tracking.face_mesh([image] * 3)[-1]
    error = np.linalg.norm(found[:, :2] - landmarks[:, :2], axis=1)
    assert np.median(error) < 0.02 * face.WIDTH


@pytest.mark.parametrize(("control", "values", "measure", "sign"), [
    ("smile", [0, 0.3, 0.6, 0.9], 0, 1), ("open", [0, 0.2, 0.4, 0.6], 1, 1), ("closure", [0, 0.3, 0.6, 0.9], 3, -1),
    ("brow", [-0.4, 0.1, 0.6, 1.0], 4, -1)])
def test_facemesh_sees_the_planted_expression(person, control, values, measure, sign):
    frames = [frame for frame in show(person, **{control: values}) for _ in range(3)]
    mesh, found = tracking.fill_gaps(tracking.face_mesh(frames))
    assert found.all()
    landmarks = mesh[2::3, tracking.SIXTY_EIGHT, :2]            # the third look at each frame: tracking has settled
    series = [tracking.expression_statistics(landmarks[i:i + 1], np.zeros((1, 2)), np.zeros((1, 3)))[measure]
              for i in range(len(values))]
    assert np.corrcoef(values, series)[0, 1] * sign > 0.9


@pytest.mark.parametrize(("control", "axis"), [("pitch", 0), ("yaw", 1), ("roll", 2)])
def test_rigid_fit_finds_the_planted_pose(person, control, axis):
    angles = np.array([-9, -6, -3, 0, 3, 6, 9.0])
    mesh = tracking.face_mesh([frame for frame in show(person, **{control: angles}) for _ in range(2)])
    pose = tracking.head_pose(mesh)[1::2, axis]
    assert np.corrcoef(angles, pose)[0, 1] > 0.97


def test_identity_does_not_know_severity_and_varies():
    people = [face.identity(np.random.default_rng(i)) for i in range(6)]
    tones = [p["drawn"]["skin_tone"] for p in people]
    assert max(tones) - min(tones) > 0.3
    assert np.ptp([p["image"].mean() for p in people]) > 15


def test_signals_follow_the_cues_in_the_reported_direction():
    def average(value):
        drawn = [face.signals(dict.fromkeys(face.CUES, value), "freeform", 150, 30, np.random.default_rng(i))[0]
                 for i in range(20)]
        motion = np.mean([d["yaw"].std() for d in drawn])
        return {key: np.mean([d[key] for d in drawn]) for key in STILL} | {"motion": motion}

    low, high = average(-1.5), average(1.5)
    assert high["smile"] < low["smile"] - 0.2
    assert high["brow"] > low["brow"] + 0.5
    assert high["closure"] > low["closure"] + 0.1
    assert high["gaze_y"] > low["gaze_y"] + 0.4
    assert high["motion"] < 0.5 * low["motion"]


def test_truth_lists_the_frames_in_which_a_cue_shows():
    signal, truth = face.signals(dict.fromkeys(face.CUES, -1.0), "freeform", 150, 30, np.random.default_rng(0))
    inside = np.zeros(150, bool)
    for first, last in truth["smile"]:
        inside[first:last + 1] = True
    assert 0 < inside.sum() < 150
    assert signal["smile"][inside].mean() > signal["smile"][~inside].mean() + 0.3
    assert truth["brow"] == truth["head"] == [[0, 149]]


def test_intervals_of_a_mask():
    assert face.intervals(np.array([1, 1, 0, 0, 1, 0, 1], bool)) == [[0, 1], [4, 4], [6, 6]]
    assert face.intervals(np.zeros(4, bool)) == []


def test_affine_maps_take_target_triangles_to_source_triangles():
    rng = np.random.default_rng(0)
    target, source = rng.uniform(0, 50, (2, 5, 3, 2)), rng.uniform(0, 50, (5, 3, 2))
    maps = face.affine_maps(target, source)
    corners = np.concatenate([target, np.ones((2, 5, 3, 1))], 3)
    x = np.einsum("tnpc,tcn->tnp", corners, maps[:, :3])
    y = np.einsum("tnpc,tcn->tnp", corners, maps[:, 3:])
    np.testing.assert_allclose(np.stack([x, y], 3), np.broadcast_to(source, (2, 5, 3, 2)), atol=0.02)
