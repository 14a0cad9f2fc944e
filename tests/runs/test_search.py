"""A search sees the training participants alone, and in each inner fold those it trains on."""

import copy

import numpy as np
import pandas as pd
from lightning_fabric import Fabric

from depnb.runs import Run, search


def test_what_is_learnt_before_training_comes_from_the_inner_training_participants(
        models, tmp_path, monkeypatch):
    """Scaling and weights once came from all training participants, the held-out ones included."""
    pipeline = models["cfrafn"]
    people = pipeline.table["participant"].unique()
    part = pd.Series("train", index=people)
    part.iloc[:4] = "test"
    label = pd.Series(np.arange(len(people)) % 2, index=people)
    units = pipeline.labelled(pd.DataFrame({"label": label}),
                              part.reindex(pipeline.table["participant"]).to_numpy(object))
    asked = copy.copy(pipeline.paper)
    asked.p = copy.copy(asked.p)
    asked.p.search_trials, asked.p.epochs = 1, 2
    state, learnt_from = asked.prepare(units, units.rows("train")), []
    prepare = asked.prepare
    monkeypatch.setattr(asked, "prepare",
                        lambda units, rows: learnt_from.append(rows) or prepare(units, rows))
    sizes, rate, trials = search.search(asked, units, state, Run(tmp_path),
                                        Fabric(accelerator="cpu", devices=1))
    assert len(trials) == 1
    assert rate > 0
    assert "conv_width" in sizes
    owners = units.table["participant"].to_numpy(object)
    train = set(owners[units.rows("train")])
    inside = [set(owners[rows]) for rows in learnt_from]
    assert len(inside) == search.FOLDS
    held_out = [train - people for people in inside]
    assert all(held_out)
    assert set.union(*held_out) == train
    assert sum(map(len, held_out)) == len(train)
