import hashlib
import os
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest

from depnb.features import face as tracking
from depnb.simulation import face, people, skin, voice
from depnb.simulation.people import CHANNELS, still
from tests.paths import ROOT

ASSETS = files("depnb.simulation") / "assets"


def show(person, size=160, **expression):
    """Frames in which one control takes several values, all others at rest."""
    (name, values), = expression.items()
    return list(face.render(person, still(len(values)) | {name: np.asarray(values, float)}, size))


def identity(seed, gender=None, age=None, skin_tone=None):
    return face.identity(np.random.default_rng(seed), gender, age, skin_tone)


@pytest.fixture(scope="module")
def person():
    return identity(4)


@pytest.mark.parametrize("seed", range(4))
def test_facemesh_finds_everybody_near_where_the_points_are(seed):
    somebody, signal = identity([seed, 7]), still(3)
    tracked = tracking.face_mesh(list(face.render(somebody, signal, 224)))[-1]
    true = somebody.in_picture(signal, 224)[-1][people.head().landmarks]
    error = np.linalg.norm(tracked[:468, :2] - true, axis=1)
    assert np.median(error) < 0.08 * np.linalg.norm(tracked[468, :2] - tracked[473, :2])


@pytest.mark.parametrize(("control", "values", "measure", "sign"), [
    ("smile", [0, 0.3, 0.6, 0.9], 2, 1), ("open", [0, 0.2, 0.4, 0.6], 1, 1),
    ("closure", [0, 0.3, 0.6, 0.9], 3, -1), ("brow", [-0.4, 0.1, 0.6, 1.0], 4, -1)])
def test_facemesh_sees_the_planted_expression(person, control, values, measure, sign):
    frames = [frame for frame in show(person, **{control: values}) for _ in range(3)]
    mesh, seen = tracking.fill_gaps(tracking.face_mesh(frames))
    assert seen.all()
    # the third look at each frame: tracking has settled
    landmarks = mesh[2::3, tracking.SIXTY_EIGHT, :2]
    series = [tracking.expression_statistics(landmarks[i:i + 1], np.zeros((1, 2)),
                                             np.zeros((1, 3)))[measure] for i in range(len(values))]
    assert np.corrcoef(values, series)[0, 1] * sign > 0.9


@pytest.mark.parametrize(("control", "axis"), [("gaze_x", 0), ("gaze_y", 1)])
def test_facemesh_sees_the_planted_gaze(person, control, axis):
    values = np.array([-0.4, -0.2, 0, 0.2, 0.4, 0.6])
    mesh = tracking.face_mesh([frame for frame in show(person, 224, **{control: values})
                               for _ in range(3)])
    assert np.corrcoef(values, tracking.gaze(mesh)[2::3, axis])[0, 1] > 0.8


@pytest.mark.parametrize(("control", "axis"), [("pitch", 0), ("yaw", 1), ("roll", 2)])
def test_rigid_fit_finds_the_planted_pose(person, control, axis):
    angles = np.array([-9, -6, -3, 0, 3, 6, 9.0])
    mesh = tracking.face_mesh([frame for frame in show(person, **{control: angles})
                               for _ in range(2)])
    pose = tracking.head_pose(mesh)[1::2, axis]
    assert np.corrcoef(angles, pose)[0, 1] > 0.97


def test_lids_close_and_lips_open_in_the_landmarks(person):
    signal = still(2) | {"closure": np.array([0, 1.0])}
    points, _ = person.landmarks(signal, tracking.SIXTY_EIGHT)
    lids = points[:, [40, 47], 1] - points[:, [38, 43], 1]         # millimetres, y downwards
    assert (lids[0] > 4).all()
    assert (abs(lids[1]) < 3).all()
    signal = still(2) | {"open": np.array([0, 0.5])}
    points, _ = person.landmarks(signal, tracking.SIXTY_EIGHT)
    gap = points[:, 66, 1] - points[:, 62, 1]
    assert gap[1] > gap[0] + 6


def test_landmarks_have_the_size_of_a_head_and_turn_about_the_neck(person):
    signal = still(3) | {"yaw": np.array([0, 0, 10.0]), "shift_x": np.array([0, 0.5, 0])}
    points, middle = person.landmarks(signal, tracking.SIXTY_EIGHT)
    assert 110 < points[0, 16, 0] - points[0, 0, 0] < 180           # jaw, millimetres
    np.testing.assert_allclose(points[0].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(middle[0], 0, atol=1e-9)
    assert middle[1] == pytest.approx([0.5 * people.SHIFT * people.MILLIMETRES, 0, 0], abs=1e-9)
    assert middle[2, 0] < -5                                        # to the left of the picture


def test_people_differ_in_shape_skin_and_light():
    crowd = [identity(i) for i in range(6)]
    tones = [p.drawn["skin_tone"] for p in crowd]
    assert max(tones) - min(tones) > 0.3
    faces = np.stack([p.landmarks(still(), tracking.SIXTY_EIGHT)[0][0] for p in crowd])
    assert faces.std(0).mean() > 1.0                                 # millimetres
    pictures = [next(face.render(p, still(), 64)).mean() for p in crowd]
    assert np.ptp(pictures) > 15
    assert {p.drawn["glasses"] for p in map(identity, range(20))} == {0, 1}


def test_gender_age_and_skin_tone_are_those_asked_and_move_nothing_else():
    plain = identity(1)
    asked = identity(1, gender="male", age=60, skin_tone=0.9)
    assert (asked.gender, asked.age, asked.drawn["skin_tone"]) == ("male", 60, 0.9)
    same = {"light", "light_contrast", "warmth", "noise", "light_from", "glasses"}
    assert {k: plain.drawn[k] for k in same} == {k: asked.drawn[k] for k in same}
    dark, light = (identity(1, "female", 30, tone) for tone in (0.9, 0.1))
    np.testing.assert_array_equal(dark.shape, light.shape)
    old, young = (identity(1, gender="female", age=age) for age in (63, 18))
    assert abs(old.shape - young.shape).max() > 0.05                 # decimetres


def test_a_darker_tone_is_darker_whatever_the_shape():
    for seed in range(3):
        tones = [skin.bare(identity(seed, skin_tone=tone), np.random.default_rng(0)).mean()
                 for tone in (0, 0.5, 1)]
        assert tones[0] > 1.3 * tones[1] > 1.3 * 1.3 * tones[2]


def test_skin_tone_does_not_follow_the_shape():
    crowd = [identity(i) for i in range(400)]
    tones, mix = np.array([p.tone for p in crowd]), np.array([p.mix for p in crowd])
    assert max(abs(np.corrcoef(tones, share)[0, 1]) for share in mix.T) < 0.15


@pytest.mark.parametrize(("what", "value"), [("gender", "M"), ("skin_tone", 1.5)])
def test_what_nobody_can_be_is_refused(what, value):
    with pytest.raises(ValueError, match=f"{what}.*choose"):
        identity(0, **{what: value})


DRAW = """
import hashlib, numpy as np
from depnb.simulation import face
person = face.identity(np.random.default_rng(3))
signal, _ = face.signals(dict.fromkeys(face.CUES, 0.5), "freeform", 3, 30, np.random.default_rng(1))
print(hashlib.sha256(b"".join(f.tobytes() for f in face.render(person, signal, 96))).hexdigest())
"""


def test_same_seed_same_bytes_whatever_the_number_of_threads():
    digests = {subprocess.run([sys.executable, "-c", DRAW], text=True, check=True, cwd=ROOT,
                              capture_output=True,
                              env=os.environ | {"OMP_NUM_THREADS": threads}).stdout
               for threads in "12"}
    person = identity(3)
    signal, _ = face.signals(dict.fromkeys(face.CUES, 0.5), "freeform", 3, 30,
                             np.random.default_rng(1))
    frames = b"".join(f.tobytes() for f in face.render(person, signal, 96))
    assert digests == {hashlib.sha256(frames).hexdigest() + "\n"}


def test_assets_come_with_their_licence_and_origin():
    assert "CC0 1.0 Universal" in (ASSETS / "CC0-1.0.md").read_text()
    told = (ASSETS / "README.md").read_text()
    for name in ("assets.npz", "landmark_vertices.npy"):
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() in told


def test_signals_follow_the_cues_in_the_reported_direction():
    def average(value):
        drawn = [face.signals(dict.fromkeys(face.CUES, value), "freeform", 150, 30,
                              np.random.default_rng(i))[0] for i in range(20)]
        motion = np.mean([d["yaw"].std() for d in drawn])
        return {key: np.mean([d[key] for d in drawn]) for key in CHANNELS} | {"motion": motion}

    low, high = average(-1.5), average(1.5)
    assert high["smile"] < low["smile"] - 0.2
    assert high["brow"] > low["brow"] + 0.5
    assert high["closure"] > low["closure"] + 0.1
    assert high["gaze_y"] > low["gaze_y"] + 0.4
    assert high["motion"] < 0.5 * low["motion"]


def test_lips_take_the_shape_of_the_vowels_that_are_spoken():
    beet, boot = 0, 7
    syllables = {"start": np.arange(5) * 0.2, "length": np.full(5, 0.2),
                 "vowel": np.array([beet, beet, boot, boot, boot])}
    speech = np.arange(60) < 30
    signal, _ = face.signals(dict.fromkeys(face.CUES, 0.0), "freeform", 60, 30,
                             np.random.default_rng(0), speech, syllables)
    assert signal["wide"][4:9].min() > 0.2 > signal["wide"][18:].max()
    assert signal["round"][18:27].min() > 0.2 > signal["round"][:9].max()
    assert max(signal[name][40:].max() for name in ("round", "wide")) < 0.01


def test_truth_lists_the_frames_in_which_a_cue_shows():
    signal, truth = face.signals(dict.fromkeys(face.CUES, -1.0), "freeform", 150, 30,
                                 np.random.default_rng(0))
    inside = np.zeros(150, bool)
    for first, last in truth["smile"]:
        inside[first:last + 1] = True
    assert 0 < inside.sum() < 150
    assert signal["smile"][inside].mean() > signal["smile"][~inside].mean() + 0.3
    assert truth["brow"] == truth["head"] == [[0, 149]]


def test_intervals_of_a_mask():
    assert face.intervals(np.array([1, 1, 0, 0, 1, 0, 1], bool)) == [[0, 1], [4, 4], [6, 6]]
    assert face.intervals(np.zeros(4, bool)) == []


def test_there_is_a_mouth_for_every_vowel_of_the_voice():
    assert {len(shapes) for shapes in face.VISEMES.values()} == {len(voice.VOWELS)}
