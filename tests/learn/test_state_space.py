"""The lesson on state-space models, and what its checks say to typical mistakes."""

import numpy as np
import pytest
import torch

from depnb.learn import state_space
from tests.learn import lessons


class TestLesson(lessons.Whole):
    def test_hand_built_scan_and_block_give_the_numbers_of_the_library(self, executed):
        printed = "".join(o["text"] for c in executed.cells for o in c.get("outputs", [])
                          if o.get("name") == "stdout")
        for module in ("selective_scan", "dynmultidep.BiMamba"):
            assert float(printed.split("largest difference from "
                                       f"depnb.models.{module}: ")[1].split()[0]) < 1e-4


@pytest.mark.parametrize(("answer", "part"),
                         [(50, "1/e"), (25, "of what is left"), (-34.3, "sign"),
                          (0.0291, "upside down"), ([34.3], "one number in seconds")])
def test_half_life_names_the_mistake(answer, part):
    assert part in lessons.reply("state_space-1", answer)


def impulse(a, b, c, length, first=0):
    return np.array([(c * a**(k + first) * b).sum() for k in range(length)])


@pytest.mark.parametrize(("answer", "part"), [
    (impulse, "Right."), (lambda *inputs: impulse(*inputs, first=1), "begins with C A B"),
    (lambda *inputs: impulse(*inputs)[::-1], "reversed"),
    (lambda a, b, c, n: impulse(a, 1, c, n), "b, how strongly"),
    (lambda a, b, c, n: impulse(a, b, 1, n), "c, how the state is read"),
    (lambda a, b, c, n: c * a * b, "expected")])
def test_kernel_names_order_and_missing_factor(answer, part):
    assert part in lessons.reply("state_space-2", answer)


@pytest.mark.parametrize(("answer", "part"), [
    ((2.313, 1), "exchanged"), ((1, 1.582), "for a step of 1"), ((0.8647, 2), "after one step"),
    ((1, 2), "earlier steps"), ((1, 1), "does not settle at 1"), (1, "zero-order hold, Mamba's")])
def test_settling_names_the_form_that_is_wrong(answer, part):
    assert part in lessons.reply("state_space-3", answer)


def steps(fourth, others):
    return np.where(np.arange(12) == 3, fourth, others)


@pytest.mark.parametrize(("answer", "part"), [
    (steps(8, 1e-4), "Right."), (steps(0.5, 0.5), "frame 12 is written later"),
    (steps(1, 0), "frame 4 enters with a share"),
    (steps(8, 0.0), "Right."),
    (steps(3.5, np.r_[1, np.zeros(11)]), "frame 1 is still in the state"),
    (steps(8, 0.004), "each later step"), (steps(-1, 0), "negative step"), (8, "one step a frame")])
def test_steps_are_judged_by_what_the_state_holds(answer, part):
    assert part in lessons.reply("state_space-4", answer)


def test_what_is_remembered_is_what_the_recurrence_holds():
    steps = np.random.default_rng(0).uniform(0, 2, 12)
    h = 0.0
    for step, value in zip(steps, state_space.VALUES, strict=True):
        h = np.exp(-step) * h + (1 - np.exp(-step)) * value
    assert state_space.remembered(steps) @ state_space.VALUES == pytest.approx(h)


def scanned(u, delta, A, B, C, decay=torch.exp, enters=lambda step, A: step, late=True):
    h, y = torch.zeros_like(A), []
    for t in range(u.shape[1]):
        step, before = delta[:, t, None], h
        h = decay(step * A) * h + enters(step, A) * B[:, t] * u[:, t, None]
        y.append((h if late else before) @ C[:, t])
    return torch.stack(y, 1)


@pytest.mark.parametrize(("flaw", "part"), [
    ({}, "Right."), ({"enters": lambda step, A: 1}, "not multiplied by the step"),
    ({"enters": lambda step, A: torch.expm1(step * A) / A}, "zero-order hold"),
    ({"decay": lambda x: 1 + x}, "Euler"),
    ({"late": False}, "update h first")])
def test_scan_names_the_mistake(flaw, part):
    assert part in lessons.reply("state_space-5", lambda *inputs: scanned(*inputs, **flaw))


def test_scan_names_exchanged_weights_and_a_turned_result():
    assert "exchanged" in lessons.reply("state_space-5",
                                        lambda u, d, A, B, C: scanned(u, d, A, C, B))
    assert "turned round" in lessons.reply("state_space-5", lambda *inputs: scanned(*inputs).T)
