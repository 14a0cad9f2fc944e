"""Recipes beside a chapter's own: features, a training step and answers, without a notebook.

tests/chapters run the same recipes as whole chapters, in make test-slow.
"""

import numpy as np
import pytest
import torch

from depnb.papers import paper, room
from depnb.runs import training
from tests.papermilled import RECIPES, SMALL, named

ROOTS = {"cfrafn": "voices", "aafn": "interviews", "dynmultidep": "vlogs"}
CASES = [pytest.param(name, recipe, id=f"{name} {named(recipe)}")
         for name, recipes in RECIPES.items() for recipe in recipes]


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_a_recipe_learns_and_answers_every_unit(name, recipe, cache, request):
    root = request.getfixturevalue(ROOTS[name])
    own = {"data_root": str(root), "cache_dir": str(cache)}
    asked = room(name).Paper(paper.of_chapter(name) | SMALL[name] | own | recipe)
    corpus = asked.open(None)
    units = asked.features(corpus, asked.split(corpus))
    rows = units.rows("train")
    state = asked.prepare(units, rows)
    network = asked.network(state, 0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimiser = torch.optim.Adam(network.train().parameters(), asked.p.learning_rate)
    for batch in asked.batches(units, rows, state)(0):
        loss = asked.loss(network, batch)
        assert torch.isfinite(loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert any((network.state_dict()[key] != value).any() for key, value in before.items())
    table = asked.predictions(network.eval(), units, units.rows("test"), state)
    assert len(table) == len(units.rows("test"))
    assert np.isfinite(asked.measures(table)[training.recipe_of(asked).select])
