"""Lesson "From a face to numbers": videos whose expressions are known, and the checks of its
exercises.
"""

import numpy as np

from depnb.features.face import SIXTY_EIGHT
from depnb.learn import is_array, is_close, is_function, is_number
from depnb.simulation import face
from depnb.simulation.people import still

FPS = 30                # of videos, unless said otherwise
BLINK = 0.2             # seconds; a blink of exercise 4
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)      # of the 68 points, seen from the person


def film(cue=0.0, seconds=4.0, fps=15, seed=0, size=256):
    """A video of a simulated person who answers a question, all five face cues at one latent value.

    cue: 0 is usual, positive speaks for depression, in standard deviations -> frames (n, size,
    size, 3) uint8 RGB, the signals that moved the face by name (n,), and when it carried each cue
    ([first, last] frames).
    """
    rng = np.random.default_rng(seed)
    person = face.identity(rng)
    signal, truth = face.signals(dict.fromkeys(face.CUES, cue), "freeform", round(seconds * fps),
                                 fps, rng)
    return np.stack(list(face.render(person, signal, size))), signal, truth


def at_rest(cue, seed=0, size=256):
    """The same person in one picture, silent, the rest at its median over half a minute.

    Returns
    -------
    (size, size, 3) uint8 RGB
    """
    rng = np.random.default_rng(seed)
    person = face.identity(rng)
    signal, _ = face.signals(dict.fromkeys(face.CUES, cue), "freeform", 450, 15, rng)
    median = {name: np.median(values)[None] for name, values in signal.items()}
    silent = {name: np.zeros(1) for name in ("open", "round", "wide")}
    return next(face.render(person, median | silent, size))


def frames_in_blink(step, blinks=1000):
    """In how many frames each of many blinks of 0.2 s is seen, of every `step`-th of 30 a second.

    Blinks begin at times spread evenly between two such frames.

    Returns
    -------
    (blinks,) int
    """
    times = np.arange(0, 2 * FPS, step)[:, None] / FPS
    starts = (np.arange(blinks) + 0.5) / blinks * step / FPS
    return ((times >= starts) & (times < starts + BLINK)).sum(0)


# Exercises


def in_pixels(answer):
    """x counts columns and goes with the width, y counts rows and goes with the height; the pixel
    is frame[y, x].
    """
    right = np.array([0.55 * 640, 0.4 * 480])
    return is_array(answer, (2,), "x, y") or is_close(answer, right, [
        (right[::-1], "these are y and x; give x first."),
        ([0.55 * 480, 0.4 * 640], "x goes with the width (640), y with the height (480)."),
        ([0.55 * 640, 0.4 * 640], "y goes with the height: the picture is not square."),
        ([0.55 * 480, 0.4 * 480], "x goes with the width: the picture is not square."),
        ([0.55 * 640, 0.6 * 480], "y counts from the top downwards; no need to turn it round."),
    ], "Multiply each by the size of the picture along its axis.")


def shape(turn=0.0, scale=60.0, at=(130.0, 120.0)):
    """A frontal face as 68 points in pixels, turned clockwise by some degrees, of a given distance
    between the eyes.
    """
    (points,), _ = face.identity(np.random.default_rng(0)).landmarks(still(), SIXTY_EIGHT)
    return _place(unit(points[:, :2]), turn, scale, at)


def _place(points, turn, scale, at):
    angle = np.deg2rad(turn)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ matrix.T + at


def eyes(landmarks):
    return landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)


def roll_of(landmarks):
    right, left = eyes(landmarks)
    return np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0]))


def unit(landmarks):
    """Eye centre at the origin, eyes level, their distance 1. (68, 2) -> (68, 2)."""
    right, left = eyes(landmarks)
    return _place((landmarks - (right + left) / 2) / np.linalg.norm(left - right),
                  -roll_of(landmarks), 1, 0)


SHAPES = [(shape(),), (shape(20, 80, (300.0, 200.0)),), (shape(-35, 45, (80.0, 150.0)),)]


def roll(answer):
    """The angle of the line between the eyes; with y downwards, clockwise is positive."""
    return is_function(answer, SHAPES, roll_of, [
        (lambda p: np.deg2rad(roll_of(p)), "it is in radians; use np.degrees."),
        (lambda p: -roll_of(p),
         "the sign is wrong: y grows downwards in pictures, so clockwise is positive."),
        (lambda p: 90 - roll_of(p), "arctan2 wants the difference in y first, then that in x."),
        (lambda p: roll_of(np.r_[p[:36], p[LEFT_EYE], p[RIGHT_EYE], p[48:]]),
         "you went from the person's left eye to the right one; "
         "start at the right one, points 36 to 41, which stands left in the picture."),
        (lambda p: roll_of(
            np.r_[p[:36], np.repeat(p[36:37], 6, 0), np.repeat(p[45:46], 6, 0), p[48:]]),
         "you took the outer corners; take the mean of the six points of each eye."),
    ], "np.arctan2(difference in y, difference in x) between the mean points of both eyes, "
       "in degrees.")


def opening(eye):
    """Eye aspect ratio.

    (6, 2): corner, two upper, corner, two lower points -> height over width.
    """
    height = np.linalg.norm(eye[1] - eye[5]) + np.linalg.norm(eye[2] - eye[4])
    return height / (2 * np.linalg.norm(eye[0] - eye[3]))


EYES = [(points[part],) for points, in SHAPES for part in (RIGHT_EYE, LEFT_EYE)]


def eye_opening(answer):
    """Height over width: a head that comes nearer or turns in the picture changes nothing."""
    return is_function(answer, EYES, opening, [
        (lambda e: 2 * opening(e), "you added both heights; take their mean (divide by 2)."),
        (lambda e: 1 / opening(e), "it is upside down: height over width."),
        (lambda e: opening(e) * np.linalg.norm(e[0] - e[3]),
         "that is in pixels and grows when the head comes nearer; divide by the width of the eye."),
        (lambda e: (abs(e[1, 1] - e[5, 1]) + abs(e[2, 1] - e[4, 1])) / (2 * abs(e[0, 0] - e[3, 0])),
         "it takes differences in y and x alone, which change when the head is tilted; "
         "take distances."),
        (lambda e: ((abs(e[1, 1] - e[5, 1]) + abs(e[2, 1] - e[4, 1]))
                    / (2 * np.linalg.norm(e[0] - e[3]))),
         "it takes differences in y for heights, which change when the head is tilted; "
         "take distances."),
        (lambda e: ((np.linalg.norm(e[1] - e[4]) + np.linalg.norm(e[2] - e[5]))
                    / (2 * np.linalg.norm(e[0] - e[3]))),
         "point 1 lies above point 5 and point 2 above point 4; you took them crosswise."),
    ], "The mean of the distances 1 to 5 and 2 to 4, over the distance 0 to 3.")


def largest_step(answer):
    """Two frames in 0.2 s need one every 0.1 s: every third of 30 a second, as
    depnb.features.face.track keeps.
    """
    if problem := is_number(answer, "frames"):
        return problem
    if answer != int(answer) or answer < 1:
        return f"expected a whole number of frames, 1 or more, this is {answer}."
    if (fewest := frames_in_blink(int(answer)).min()) < 2:
        return (f"with a step of {int(answer)} some blinks fall on {fewest} "
                f"frame{'' if fewest == 1 else 's'} only.")
    if frames_in_blink(int(answer) + 1).min() >= 2:
        return f"every blink is seen twice with {int(answer)}, but a larger step will do as well."
    return None


def aligned(answer):
    """What is left is the face's shape and expression; where the head was has gone, and that can be
    a cue as well.
    """
    def part(move=True, turn=True, size=True, sign=-1):
        def wrong(p):
            right, left = eyes(p)
            points = p - (right + left) / 2 if move else p - p.mean(0)
            points = points / np.linalg.norm(left - right) if size else points
            return _place(points, sign * roll_of(p) * turn, 1, 0)
        return wrong

    return is_function(answer, SHAPES, unit, [
        (part(turn=False), "the eyes are not level; turn the points by minus the roll."),
        (part(sign=1),
         "it is turned the wrong way, so that the tilt doubles; turn by minus the roll."),
        (part(size=False), "the distance between the eyes is not 1; divide by it."),
        (part(move=False), "the centre of all points is at the origin; "
         "put the middle between the eyes there."),
        (lambda p: unit(p) + (eyes(p)[0] + eyes(p)[1]) / 2,
         "the middle between the eyes is where it was; subtract it."),
    ], "Subtract the middle between the eyes, turn by minus the roll, "
       "divide by the distance between the eyes.")


CHECKS = {1: in_pixels, 2: roll, 3: eye_opening, 4: largest_step, 5: aligned}
