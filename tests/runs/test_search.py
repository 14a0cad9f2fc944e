"""A search sees the training participants alone, in each inner fold those it trains on, and goes on
over the data that it was begun on and over no other.
"""

import copy

import numpy as np
import optuna
import pandas as pd
import pytest
from lightning_fabric import Fabric

from depnb.features import speech
from depnb.papers import paper
from depnb.papers.cfrafn import Paper
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


@pytest.fixture
def asked():
    return Paper(vars(paper.settings("cfrafn", search_trials=2, epochs=2)))


def units(asked, shift=0.0):
    """Invented features of 24 people; the first functionals follow the label."""
    rng, names = np.random.default_rng(0), [f"r{i}" for i in range(24)]
    table = paper.unit_table(paper.unknown(names), dict.fromkeys(names, 1))
    table = table.assign(label=np.arange(24) % 2, split="train")
    egemaps = rng.standard_normal((24, len(speech.egemaps_names()))).astype(np.float32) + shift
    egemaps[:, :4] += 2 * table["label"].to_numpy()[:, None]
    data = {"egemaps": egemaps, "vggish": rng.standard_normal((24, 128)).astype(np.float32)}
    data["versions"] = [{key: data[key][i:i + 1] for key in ("egemaps", "vggish")}
                        for i in range(24)]
    return paper.Units(table, data, {"second": "vggish"})


def test_trials_of_other_data_do_not_count(asked, tmp_path):
    run, fabric = Run(tmp_path), Fabric(accelerator="cpu", devices=1)

    def trials(units):
        search.search(asked, units, asked.prepare(units, np.arange(24)), run, fabric)
        return {name: len(optuna.load_study(study_name=name, storage=storage).trials)
                for name in optuna.get_all_study_names(storage)}

    storage = f"sqlite:///{tmp_path / 'search.db'}"
    assert list(trials(units(asked)).values()) == [2]
    assert list(trials(units(asked)).values()) == [2]
    assert list(trials(units(asked, shift=1.0)).values()) == [2, 2]
