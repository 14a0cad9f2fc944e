"""What every paper keeps to, whatever it reads: one test of each for all of them, on one small
cohort.
"""

import copy
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from depnb.evidence import attributions
from depnb.papers import room
from depnb.papers.cards import cards
from depnb.papers.paper import Paper
from depnb.runs import training

pytestmark = pytest.mark.parametrize("name", cards())


@pytest.fixture
def asked(models, name):
    return models[name].paper


@pytest.fixture
def units(models, cohort, name):
    return models[name].labelled(cohort.people, "train")


@pytest.fixture
def state(asked, units):
    return asked.prepare(units, np.arange(len(units)))


@pytest.fixture
def network(asked, state):
    return asked.network(state, 0).eval()


def test_its_parameters_and_its_paper_stand_in_its_room(name):
    assert room(name).Paper.name == name
    assert room(name).Paper.Parameters is room(name).Parameters


def test_a_network_answers_every_unit_with_one_finite_number(asked, units, state, network):
    answers = asked.answers(network, units, np.arange(len(units)), state)
    assert answers.shape == (len(units),)
    assert np.isfinite(answers).all()


def test_the_loss_falls_on_eight_samples(asked, units, state):
    rows = np.arange(8)
    batch, network = ((asked.inputs(units, rows, state), asked.target(units, rows, state)),
                      asked.network(state, 0))
    optimiser, losses = torch.optim.Adam(network.train().parameters(), asked.p.learning_rate), []
    for _ in range(8):
        torch.manual_seed(1)                                        # the same dropout at every step
        loss = asked.loss(network, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_a_batch_of_one_is_a_row_of_a_batch(asked, units, state, network):
    together = asked.answers(network, units, np.arange(12), state)
    alone = [asked.answers(network, units, np.array([row]), state)[0] for row in (0, 5, 11)]
    np.testing.assert_allclose(alone, together[[0, 5, 11]], rtol=1e-3, atol=1e-4)


def test_a_modality_that_is_not_given_does_not_reach_the_answer(asked, units, state, network):
    if len(asked.card.modalities) == 1:
        pytest.skip("it has one modality alone")
    rows = np.arange(3)
    answers = asked.answers(network, units, rows, state)
    for modality in asked.card.modalities:
        sense = {"acoustic": "audio"}.get(modality, modality)
        inputs = asked.inputs(units, rows, state)
        noise = inputs | {sense: torch.randn_like(inputs[sense])}
        with torch.inference_mode():
            one, two = (asked.scores(network, asked.without(x, sense), state)
                        for x in (inputs, noise))
        np.testing.assert_array_equal(one, two)
        assert (one != answers).any(), modality


def test_batches_of_an_epoch_hold_units_and_their_targets(asked, units, state):
    rows = np.arange(16)
    batches = asked.batches(units, rows, state, 0)
    every = list(batches(0))
    assert len(every) == len(batches)
    targets = torch.cat([target for _, target in every])
    expected = asked.target(units, rows, state)
    assert sorted(map(tuple, targets.reshape(len(targets), -1).tolist())) == sorted(
        map(tuple, expected.reshape(len(rows), -1).tolist()))


def test_a_worker_makes_the_same_batches_and_draws_from_nobody_elses_stream(asked, units, state):
    batches = asked.batches(units, np.arange(32), state, 0)
    loader = training.Loader(batches, "cpu", workers=2)
    assert len(loader) == len(batches)
    before = torch.get_rng_state()
    for epoch in (3, 0):
        made, expected = list(loader(epoch)), list(batches(epoch))
        assert len(made) == len(expected) == len(batches)
        for (inputs, target), (own, own_target) in zip(made, expected, strict=True):
            assert torch.equal(target, own_target)
            assert all(torch.equal(inputs[key], own[key]) for key in own)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_answer_rises_with_the_label_where_it_has_learnt(asked, units, state):
    network = asked.network(state, 0)
    batches = asked.batches(units, np.arange(len(units)), state, 0)
    optimiser = torch.optim.Adam(network.train().parameters(), 3 * asked.p.learning_rate)
    for epoch in range(40 if len(batches) == 1 else 12):
        for batch in batches(epoch):
            optimiser.zero_grad()
            asked.loss(network, batch).backward()
            optimiser.step()
    label = units.table["label"].to_numpy()
    answers = asked.answers(network.eval(), units, np.arange(len(units)), state)
    assert answers[label == 1].mean() > answers[label == 0].mean()


def test_what_was_learnt_before_training_goes_through_a_file(asked, units, state, network):
    again = json.loads(json.dumps(state, allow_nan=False))
    assert again == state
    other = asked.build(again)
    other.load_state_dict(network.state_dict())
    rows = np.arange(6)
    np.testing.assert_array_equal(asked.answers(other.eval(), units, rows, again),
                                  asked.answers(network, units, rows, state))
    assert asked.about(again) == asked.about(state)


def test_a_training_knows_its_data(asked, units, state):
    def of(units, state):
        return training.fingerprint(units, state)

    assert of(units, state) == of(units, json.loads(json.dumps(state)))
    corrected = units.table.assign(label=units.table["label"].where(units.table.index > 0, 1 - (
        units.table["label"])))
    other = dataclasses.replace(units, table=corrected)
    assert of(other, state) != of(units, state)
    assert of(units, state | {"range": {}}) != of(units, state)


def test_a_training_knows_the_features_of_every_recording(asked, units, state):
    """Those of validation and test, and of training beyond the first batch, once did not count."""
    def changed(data):
        if isinstance(data, dict):
            name = [*data][-1]
            return data | {name: changed(data[name])}
        if isinstance(data, list):
            return [*data[:-1], changed(data[-1])]
        if hasattr(data, "sessions"):
            other = copy.copy(data)
            other.sessions = changed(data.sessions)
            return other
        return np.where(np.arange(len(data)).reshape(-1, *[1] * (data.ndim - 1)) == len(data) - 1,
                        data + 1, data).astype(data.dtype)

    before = training.fingerprint(units, state)
    for name, data in units.data.items():
        try:
            other = changed(data)
        except (TypeError, IndexError):                 # what this paper has not, or no arrays
            continue
        other = dataclasses.replace(units, data=units.data | {name: other})
        assert training.fingerprint(other, state) != before, name


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_batch_holds_a_single_unit_where_batches_are_normalised(asked, units, state, size):
    if asked.name in ("aafn", "cfrafn"):
        small = copy.copy(asked)
        small.p = SimpleNamespace(**vars(asked.p) | {"batch_size": size})
        for _, target in small.batches(units, np.arange(9), state, 0)(0):
            assert len(target) > 1


def test_a_mask_of_what_is_planted_has_the_shape_of_what_is_attributed(models, asked, units, state,
                                                                       cohort, name):
    corpus = attributions.corpora.open(models[name].layout, cohort.root / models[name].layout)
    inputs, mask = asked.inputs(units, np.array([5]), state), asked.planted(corpus, units, [5])[0]
    assert set(mask) == set(asked.pieces)
    for sense, inside in mask.items():
        assert inside.dtype == bool
        assert inside.shape == attributions.reduced(inputs[sense][0].numpy(), sense).shape


def test_a_recipe_is_one_and_looks_at_what_is_measured(asked, units, state, network):
    recipe = training.recipe_of(asked)
    table = asked.predictions(network, units, np.arange(len(units)), state)
    assert np.isfinite(asked.measures(table)[recipe.select])
    assert {"participant", "session", "split", "y_true", "y_pred"} <= set(table)


def test_a_part_without_a_unit_is_told_by_the_papers_name(asked, units, state, network):
    with pytest.raises(ValueError, match=f"{asked.card.title}: no {asked.card.unit} to judge"):
        Paper.answers(asked, network, units, np.array([], int), state)
