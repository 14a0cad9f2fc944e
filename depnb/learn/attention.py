"""Lesson "Attention, built by hand": the checks of its exercises."""

import numpy as np
import torch

from depnb.learn import is_close, is_function, is_number

SCORES = (1.0, 2.0, 4.0)
GOAL = 0.9


def second_weight(answer):
    """Only the difference of two scores counts: one that is larger by ln 3 gets three times the
    weight, 3/4 against 1/4.
    """
    high = 2 + np.log(3)
    return is_number(answer) or is_close(answer, 0.75, [
        (0.25, "that is the weight of the first; the second score is the larger one."),
        (high / (2 + high),
         "that divides the scores themselves by their sum; take exp of each first."),
        (1 / (1 + np.exp(-high)),
         "that is the sigmoid of the second score alone; softmax compares it with the first."),
        (3, "that is the ratio of the two weights; they add up to one."),
        (75, "that is per cent; expected a weight from 0 to 1."),
    ], "Divide exp of the second score by the sum of both exp; exp(a + ln 3) is 3 exp(a).",
       tolerance=0.01)


def largest_weight(temperature, scores=SCORES):
    """Largest softmax weight of the scores at a temperature."""
    return float(torch.softmax(torch.tensor(scores) / temperature, 0).max())


def temperature(answer):
    """Below 1 the differences grow and the largest score takes more; towards 0 it takes all."""
    wrong = is_number(answer)
    if wrong:
        return wrong
    if answer <= 0:
        return (f"a temperature is positive, this is {float(answer):.4g}; "
                "a negative one turns the order of the scores round.")
    largest = largest_weight(float(answer))
    if abs(largest - GOAL) < 0.005:
        return None
    if abs(largest_weight(1 / float(answer)) - GOAL) < 0.005:
        return "that is the inverse; scores are divided by the temperature, not multiplied."
    return (f"at {float(answer):.4g} the largest weight is {largest:.3f}, expected {GOAL}; "
            f"{'lower' if largest < GOAL else 'raise'} the temperature.")


def _scores(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _share(scores, k):
    return scores.unflatten(0, (k, -1)).softmax(0).flatten(0, 1)


def share(answer):
    """This is all there is to the attention of STA-DRN; which axis the softmax runs over decides
    what it means.
    """
    cases = [(_scores(6, 5, seed=0), 2), (_scores(6, 4, seed=1), 3), (_scores(4, 3, 5, seed=2), 2)]
    return is_function(answer, cases, _share, [
        (lambda s, k: s.softmax(1),
         "your weights add up to one over the frames; "
         "here the groups of channels compete, frame by frame."),
        (lambda s, k: s.softmax(0),
         "your weights add up to one over all channels; "
         "channel c of a group competes with channel c of the others alone."),
        (lambda s, k: s.unflatten(0, (k, -1)).softmax(1).flatten(0, 1),
         "your weights add up to one inside each group; it is the groups that compete."),
        (lambda s, k: s.unflatten(0, (-1, k)).softmax(1).flatten(0, 1),
         "your groups take every k-th channel; group 1 is the first C/k channels in a row."),
        (lambda s, k: s.sigmoid(),
         "that is a sigmoid of each score by itself; nothing competes in it."),
        (lambda s, k: s.unflatten(0, (k, -1)).softmax(0),
         "the weights are right, but still (k, C/k, T); "
         "flatten them to the shape of the scores, (C, T)."),
    ], "Split the channels into (k, C/k), take the softmax over the first of these axes, "
       "and join them again.")


def mean_over_groups(answer):
    """It is 1/k at every frame, for every clip and every network: a picture of it shows rounding
    errors.
    """
    return is_number(answer) or is_close(answer, 0.25, [
        (1, "that is the sum over the groups; the mean divides it by their number."),
        (1 / 16, "that is one over the number of frames; the softmax does not run over frames."),
        (0.5, "that would be so for two groups; here are four."),
        (4, "that is the number of groups."),
    ], "What do the four weights of a channel at one frame add up to?", tolerance=0.01)


def _first(u):
    """Stands for the local map of the first round."""
    return 0.7 * u - 0.2


def _second(u):
    """Stands for the local map of the second round."""
    return 0.3 - 0.9 * u


def _mean(u):
    """Stands for the global map: the same for every position."""
    return 1.5 * u.mean((1, 2), keepdim=True) + 0.1


def _round(x, y, seen, local, overall):
    """One blend of y and x, whose weights come from what is seen."""
    a = torch.sigmoid(local(seen) + overall(seen))
    return a * y + (1 - a) * x


def _once(x, y, local1, local2, overall):
    return _round(x, y, y + x, local1, overall)


def _iaff(x, y, local1, local2, overall):
    return _round(x, y, _once(x, y, local1, local2, overall), local2, overall)


def iaff(answer):
    """Two rounds: the first blend decides the weights of the second, which blends the same x and y.
    """
    cases = [(_scores(1, 3, 6, seed=n), _scores(4, 3, 6, seed=n + 10), _first, _second, _mean)
             for n in range(2)]
    return is_function(answer, cases, _iaff, [
        (_once, "that is the first round alone; "
         "compute new weights from what it gave, and blend x and y with those."),
        (lambda *c: 2 * _once(*c),
         "that is the plain aff; iAFF goes a second round, and has no factor of two."),
        (lambda x, y, local1, local2, overall: _round(x, y, y + x, local2, overall),
         "the second round looks at y + x again; it looks at what the first round gave."),
        (lambda x, y, *maps: _iaff(y, x, *maps),
         "x and y are exchanged; a is the share of y, the convolved one."),
        (lambda *c: 2 * _iaff(*c), "the factor of two belongs to aff; iAFF has none."),
    ], "b = sigmoid(local1(u) + overall(u)) with u = y + x; v blends y and x by b; "
       "then the same again with local2 and v.")


CHECKS = {1: second_weight, 2: temperature, 3: share, 4: mean_over_groups, 5: iaff}
