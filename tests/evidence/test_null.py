"""Practices that inflate, read from scores made by hand: each does what it is called, and no more.
"""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from depnb.evidence import null, protocol
from depnb.evidence.pipeline import Pipeline
from depnb.papers import paper
from depnb.papers.cards import cards
from depnb.simulation import cohort
from tests.evidence.test_protocol import Toy

UNITS, EPOCHS, RESTARTS = 3, 4, 3


@pytest.fixture(scope="module")
def people():
    return cohort.drawn(36, 2, 0.0)[0].astype({"participant": str}).set_index("participant")


@pytest.fixture(scope="module")
def table(people):
    """Three units of every participant."""
    return pd.DataFrame({"participant": np.repeat(people.index, UNITS),
                         "unit": np.tile(np.arange(UNITS), len(people))})


@pytest.fixture(scope="module")
def watched(table):
    """What three trainings say of every unit after every epoch: noise."""
    return list(np.random.default_rng(1).standard_normal((RESTARTS, EPOCHS, len(table))))


@pytest.fixture(scope="module")
def losses():
    """Of these trainings, on validation: lowest after epochs 2, 0 and 3."""
    return [np.abs(np.arange(EPOCHS) - best) + 1.0 for best in (2, 0, 3)]


@pytest.fixture(scope="module")
def split(table, people):
    return null.split_of(table, people, False, 0)


@pytest.fixture
def read(table, people, split, watched, losses):
    """read(*flags) -> (auc, significant)"""
    label = people["label"].reindex(table["participant"]).to_numpy()
    return lambda *flags, split=split: null.read(table, label, split, watched, losses, flags)


def aucs(table, people, split, watched, units=False):
    """Test AUC of every training after every epoch -> (restarts, epochs), by participant or by
    unit.
    """
    label, in_test = people["label"].reindex(table["participant"]).to_numpy(), split == "test"
    auc_by_epoch = np.empty((len(watched), EPOCHS))
    for i, scores in enumerate(watched):
        for epoch in range(EPOCHS):
            rows = pd.DataFrame({"p": scores[epoch, in_test], "y": label[in_test],
                                 "who": table["participant"][in_test].to_numpy()})
            rows = rows if units else rows.groupby("who")[["p", "y"]].mean()
            auc_by_epoch[i, epoch] = roc_auc_score(rows["y"], rows["p"])
    return auc_by_epoch


def test_a_perfect_auc_sounds_the_alarm():
    y = np.arange(16) < 8
    assert null.alarm(y, y.astype(float))
    assert not null.alarm(y, ~y * 1.0)
    assert not null.alarm(y, np.zeros(16))


def test_alarms_of_worthless_scores_are_rarer_the_more_participants_there_are():
    few, many = null.alarm_rate(4, 12, 1500), null.alarm_rate(30, 30, 1500)
    assert 0.03 < few < 0.09
    assert 0.015 < many < 0.04


class TestRead:
    def test_clean_is_the_first_training_at_its_lowest_validation_loss_by_participant(
            self, read, table, people, split, watched):
        assert read()[0] == pytest.approx(aucs(table, people, split, watched)[0, 2])

    def test_clips_counts_units_of_the_same_training_and_epoch(self, read, table, people, split,
                                                               watched):
        assert read("clips")[0] == pytest.approx(
            aucs(table, people, split, watched, units=True)[0, 2])

    def test_an_epoch_chosen_on_test_is_the_best_epoch_of_the_first_training(
        self, read, table, people, split, watched):
        every = aucs(table, people, split, watched)
        assert read("test")[0] == pytest.approx(every[0].max())
        assert read("test")[0] > read()[0]

    def test_restarts_report_the_best_training_each_at_its_own_epoch(self, read, table, people,
                                                                     split, watched):
        every = aucs(table, people, split, watched)
        assert read("restarts")[0] == pytest.approx(max(every[i, epoch]
                                                        for i, epoch in enumerate((2, 0, 3))))
        assert read("restarts")[0] > read()[0]

    def test_together_they_are_the_best_of_everything(self, read, table, people, split, watched):
        assert read("test", "restarts")[0] == pytest.approx(
            aucs(table, people, split, watched).max())
        assert read(*null.FLAGS)[0] == pytest.approx(
            aucs(table, people, split, watched, units=True).max())

    def test_a_practice_that_is_added_never_lowers_what_is_chosen_from(self, read):
        for more in ("test", "restarts"):
            for flags in ((), ("clips",), ("test",), ("restarts",)):
                assert read(*{*flags, more})[0] >= read(*flags)[0] - 1e-12

    def test_scores_of_training_units_are_not_asked_for(self, read, table, people, split, watched,
                                                        losses):
        hidden = [np.where(split == "train", np.nan, scores) for scores in watched]
        label = people["label"].reindex(table["participant"]).to_numpy()
        for flags in null.PRACTICES.values():
            assert null.read(table, label, split, hidden, losses, flags) == read(*flags)

    def test_clips_counted_as_people_turn_a_weak_score_into_a_finding(self, people, table):
        label = people["label"].reindex(table["participant"]).to_numpy()
        of_person = pd.Series(np.random.default_rng(4).standard_normal(len(people)),
                              people.index) + 0.6 * people["label"]
        scores = (of_person.reindex(table["participant"]).to_numpy()[None]
                  + np.arange(len(table)) * 1e-9)
        reading = {flags: null.read(table, label, np.full(len(table), "test"), [scores], [[0.0]],
                                    flags) for flags in ((), ("clips",))}
        # the same scores, three times
        assert reading["clips",][0] == pytest.approx(reading[()][0], abs=0.01)
        assert reading["clips",][1]
        assert not reading[()][1]


class TestSplit:
    def test_apart_no_participant_stands_on_two_sides(self, table, people):
        for repetition in range(3):
            split = null.split_of(table, people, False, repetition)
            assert pd.Series(split).groupby(table["participant"]).nunique().eq(1).all()

    def test_shared_nearly_everyone_in_test_is_in_training_too_and_the_sides_are_as_large(
        self, table, people):
        apart, shared = (null.split_of(table, people, s, 0) for s in (False, True))
        assert sorted(apart) == sorted(shared)
        tested, trained = (set(table["participant"][shared == part]) for part in ("test", "train"))
        assert len(tested & trained) > 0.6 * len(tested)

    def test_another_repetition_is_another_split_and_the_same_one_the_same(self, table, people):
        for shared in (False, True):
            first, again, other = (null.split_of(table, people, shared, r) for r in (1, 1, 2))
            np.testing.assert_array_equal(first, again)
            assert (first != other).any()


class TestShuffled:
    def test_repetition_0_is_the_cohort_itself(self, people):
        pd.testing.assert_frame_equal(null.shuffled(people, 0), people)

    def test_the_scores_of_one_person_stay_together_and_leave_everything_else_in_place(
        self, people):
        shuffled = null.shuffled(people, 1)
        moved = ["label", "bdi2", "severity", *(c for c in people if c.startswith("phq8_"))]
        rest = people.columns.difference(moved)
        pd.testing.assert_frame_equal(shuffled[rest], people[rest])
        assert sorted(map(tuple, shuffled[moved].to_numpy())) == sorted(map(tuple,
                                                                            people[moved].to_numpy()))
        assert (shuffled["label"] == (shuffled["phq8_total"] >= 10)).all()
        assert (shuffled["label"] != people["label"]).any()

    def test_each_repetition_is_another_order_and_the_same_one_the_same(self, people):
        orders = [tuple(null.shuffled(people, r)["severity"]) for r in (1, 2, 3, 1)]
        assert len(set(orders)) == 3
        assert orders[0] == orders[3]


@pytest.fixture(scope="module")
def measured(table, people, watched, losses):
    """Two repetitions of four pipelines; on shared splits the first knows the class."""
    models = {name: SimpleNamespace(table=table, as_published=card.as_published)
              for name, card in cards().items()}
    label, fitted = people["label"].reindex(table["participant"]).to_numpy(), {}
    for name, r, shared, start in null.jobs(models, people, 2, RESTARTS, Path("none")):
        scores = watched[start] + 2 * label * (shared and r == 0)
        history = pd.DataFrame({"val_error": losses[start]})
        fitted[name, r, shared, start] = SimpleNamespace(watched=scores, history=history)
    return null.measure(models, people, fitted).set_index(["pipeline", "repetition", "practice"])


class TestMeasure:
    def test_every_pipeline_repetition_and_practice_has_one_row(self, measured):
        assert measured.index.is_unique
        assert len(measured) == len(cards()) * 2 * (len(null.PRACTICES) + 1)
        assert set(null.WORDS) == {*null.PRACTICES, "as_published"}

    def test_shared_practices_read_the_trainings_on_a_shared_split(self, measured):
        auc = measured["auc"].xs(0, level="repetition").unstack()
        # where they were made to know the class
        assert auc[["shared", "two", "three", "all"]].min().min() > 0.85
        assert auc[["clean", "clips", "test", "restarts"]].max().max() < 0.85
        assert measured["significant"].xs(0, level="repetition").unstack()["shared"].all()

    def test_as_published_is_what_its_flags_say(self, measured):
        same = {"sta_drn": "clips", "cfrafn": "two", "dynmultidep": "two"}
        for name, practice in same.items():
            for r in range(2):
                assert (measured.loc[(name, r, "as_published"), "auc"]
                        == measured.loc[(name, r, practice), "auc"])
        assert (measured.loc[("aafn", 1, "as_published"), "auc"]
                >= measured.loc[("aafn", 1, "clips"), "auc"])

    def test_the_stair_takes_one_practice_more_at_each_step(self):
        flags = [set(null.PRACTICES[name]) for name in null.STAIRS]
        assert all(after > before and len(after - before) == 1 for before, after in pairwise(flags))
        assert flags[-1] == set(null.FLAGS)


class Recognises(Toy):
    """Sees of a unit only whose it is."""

    name, card = "recognises", SimpleNamespace(**vars(Toy.card) | {"as_published": ("shared",)})
    p = SimpleNamespace(**vars(Toy.p) | {"epochs": 30, "learning_rate": 0.1})

    def prepare(self, units, rows=()):
        return {"width": units.data["who"].shape[1]}

    def inputs(self, units, rows, state):
        return {"x": units.data["who"][rows]}

    def build(self, state):
        return torch.nn.Linear(state["width"], 1)


def test_who_is_recognised_is_known_in_every_repetition_if_shared_and_never_if_apart(
    table, people, tmp_path, monkeypatch):
    who = torch.eye(len(people))[people.index.get_indexer(table["participant"])]
    units = paper.Units(table.assign(session=table["participant"]), {"who": who})
    models, threads = {"recognises": Pipeline.of(Recognises(), units)}, torch.get_num_threads()
    fitted = protocol.fit_many(models, people, null.jobs(models, people, 4, 1, tmp_path), workers=1,
                               watch=True)
    torch.set_num_threads(threads)
    auc = null.measure(models, people,
                       fitted).set_index(["repetition", "practice"])["auc"].unstack()
    assert auc["shared"].min() > 0.75
    assert auc["clean"].between(0.2, 0.8).all()
    assert auc["clean"].mean() == pytest.approx(0.5, abs=0.15)


def test_a_job_is_a_training_of_one_split_and_start_in_a_folder_of_its_own(table, people, tmp_path):
    jobs = null.jobs({"a": SimpleNamespace(table=table), "b": SimpleNamespace(table=table)}, people,
                     3, 2, tmp_path)
    assert len(jobs) == 2 * 3 * 2 * 2
    assert len({folder for _, _, _, folder, _ in jobs.values()}) == len(jobs)
    for (name, r, shared, start), (pipeline, split, seed, _, own) in jobs.items():
        assert (pipeline, seed) == (name, start)
        pd.testing.assert_frame_equal(own, null.shuffled(people, r))
        np.testing.assert_array_equal(split,
                                      null.split_of(table, null.shuffled(people, r), shared, r))
