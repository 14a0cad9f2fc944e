"""The lesson on attention, and what its checks say to typical mistakes."""

import numpy as np
import pytest
import torch

from depnb.learn import attention
from tests.learn import lessons


class TestLesson(lessons.Whole):
    def test_hand_built_blocks_give_the_numbers_of_the_modules(self, executed):
        printed = "".join(o["text"] for c in executed.cells for o in c.get("outputs", [])
                          if o.get("name") == "stdout")
        for module in ("sta_drn.Attention", "aafn.SubAttention"):
            assert float(printed.split("largest difference from "
                                       f"depnb.models.{module}: ")[1].split()[0]) < 1e-6


@pytest.mark.parametrize(("answer", "part"), [(0.25, "weight of the first"), ((2 + np.log(3)) / (
    4 + np.log(3)), "take exp"), (3, "ratio"), (75, "per cent"), ("much", "expected one number")])
def test_softmax_weight_names_the_mistake(answer, part):
    assert part in lessons.reply("attention-1", answer)


def test_temperature_says_which_way_to_go():
    assert "lower the temperature" in lessons.reply("attention-2", 2.0)
    assert "raise the temperature" in lessons.reply("attention-2", 0.3)
    right = next(t for t in np.linspace(0.2, 3, 2000)
                 if attention.largest_weight(t) < attention.GOAL)
    assert lessons.reply("attention-2", right).startswith("Right.")
    assert "that is the inverse" in lessons.reply("attention-2", 1 / right)
    assert "negative" in lessons.reply("attention-2", -1.0)


@pytest.mark.parametrize(("answer", "part"), [
    (lambda s, k: torch.softmax(s, 1), "over the frames"),
    (lambda s, k: torch.softmax(s, 0), "over all channels"),
    (lambda s, k: s.unflatten(0, (k, -1)).softmax(1).flatten(0, 1), "inside each group"),
    (lambda s, k: s.unflatten(0, (-1, k)).softmax(1).flatten(0, 1), "every k-th channel"),
    (lambda s, k: s.unflatten(0, (k, -1)).softmax(0), "flatten them"),
    (lambda s, k: None, "returns nothing")])
def test_share_names_the_axis_that_was_taken(answer, part):
    assert part in lessons.reply("attention-3", answer)


@pytest.mark.parametrize(("answer", "part"), [(1, "sum over the groups"),
                                              (1 / 16, "number of frames"), (0.5, "two groups")])
def test_mean_over_groups_names_the_mistake(answer, part):
    assert part in lessons.reply("attention-4", answer)


def blended(x, y, local1, local2, overall, second=True, swapped=False, double=1):
    x, y = (y, x) if swapped else (x, y)
    v = x + y
    for local in (local1, local2) if second else (local1,):
        a = torch.sigmoid(local(v) + overall(v))
        v = a * y + (1 - a) * x
    return double * v


@pytest.mark.parametrize(("flaw", "part"),
                         [({}, "Right."), ({"second": False}, "first round alone"),
                          ({"second": False, "double": 2}, "plain aff"),
                          ({"swapped": True}, "exchanged"), ({"double": 2}, "factor of two")])
def test_iaff_names_round_order_and_factor(flaw, part):
    assert part in lessons.reply("attention-5", lambda *inputs: blended(*inputs, **flaw))
