"""Toy: the numbers that its authors would have published."""

import torch
from depnb.models.toy import Toy


def test_a_constant_vlog_has_the_answer_of_one_of_its_rows():
    model, row = Toy(), torch.randn(3, 1, 161)
    vlog = row.expand(3, 7, 161)
    torch.testing.assert_close(model(vlog[..., :25], vlog[..., 25:]),
                               model.linear(row[:, 0])[:, 0])
