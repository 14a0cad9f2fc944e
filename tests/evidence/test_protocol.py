"""One protocol: who is trained on and who is tested, one training that goes on where it stopped,
what a model costs.
"""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from depnb.corpora.simulated import VERSION
from depnb.evidence import costs, protocol
from depnb.evidence.cohort import CUES, Cohort, cohort_folds, parts
from depnb.evidence.pipeline import Pipeline
from depnb.models import dynmultidep
from depnb.papers import paper
from depnb.simulation import cohort as cohorts
from depnb.simulation import face, severity


@pytest.fixture(scope="module")
def people():
    return cohorts.drawn(90, 0, 1.0)[0].astype({"participant": str}).set_index("participant")


class TestFolds:
    @pytest.mark.parametrize("k", [2, 3, 5])
    def test_every_participant_is_tested_once_and_folds_are_alike(self, people, k):
        fold = cohort_folds(people, k, 0)
        assert fold.index.equals(people.index)
        assert sorted(fold.unique()) == list(range(k))
        for of in (np.ones(len(people)), people["label"], people["phq8_total"] > 15,
                   people["phq8_total"] < 4):
            counts = pd.Series(of, people.index).groupby(fold).sum()
            assert counts.max() - counts.min() <= 3

    def test_another_seed_is_another_division_and_the_same_one_the_same(self, people):
        first, again, other = (cohort_folds(people, 3, seed) for seed in (0, 0, 1))
        pd.testing.assert_series_equal(first, again)
        assert (first != other).any()

    @pytest.mark.parametrize(("k", "cases", "fewest"), [(5, 4, 4), (3, 0, 0), (31, 30, 30)])
    def test_too_few_participants_are_one_sentence(self, people, k, cases, fewest):
        few = people[(people["label"] == 0) | (people["label"].cumsum() <= cases)]
        with pytest.raises(
            ValueError,
            match=rf"^{k} folds: the smaller class has {fewest} participants\. Take more"):
            cohort_folds(few, k, 0)


class TestParts:
    def test_test_is_the_fold_and_validation_a_fifth_of_the_others_with_both_classes(self, people):
        fold = cohort_folds(people, 3, 0)
        for held in range(3):
            split = parts(people, fold, held, 0)
            assert split.index.equals(people.index)
            assert set(split.index[split == "test"]) == set(fold.index[fold == held])
            counts = split.value_counts()
            assert counts["validation"] / (counts["validation"] + counts["train"]) == pytest.approx(
                0.2, abs=0.02)
            assert set(people["label"][split == "validation"]) == {0, 1}
            assert people.groupby(split)["label"].mean().to_numpy() == pytest.approx(
                people["label"].mean(), abs=0.06)

    def test_in_a_small_cohort_validation_has_both_classes_too(self, cohort):
        fold = cohort_folds(cohort.people, 3, 0)
        for held in range(3):
            split = parts(cohort.people, fold, held, 0)
            assert cohort.people.groupby(split)["label"].nunique().to_dict() == {
                "test": 2, "train": 2, "validation": 2}


def test_a_participant_counts_once_by_the_mean_of_the_units():
    table = pd.DataFrame({"participant": ["b", "a", "b", "b"]}, index=[4, 5, 6, 7])
    assert paper.by_participant(table, np.array([1.0, 5.0, 2.0, 6.0])).to_dict() == {"a": 5, "b": 3}


class TestCohort:
    def test_of_another_effect_is_refused_in_one_sentence(self, small_cohort):
        with pytest.raises(
            ValueError,
            match=r"^small: holds a cohort of effect 1, 0\.5 was asked for\. Set effect to the "
            r"same value, or data_root to another folder\.$"):
            Cohort(16, 0, 0.5, root=small_cohort)

    def test_a_folder_without_one_says_how_to_make_it(self, tmp_path):
        with pytest.raises(FileNotFoundError,
                           match=r"no COHORT\.json in it\. Write a cohort there: python -m"):
            Cohort(16, root=tmp_path)

    def test_is_simulated_counts_participants_and_says_which_it_is(self, cohort):
        assert not cohort.restricted
        assert len(cohort) == len(cohort.people) == 16
        assert cohort.truth["arguments"] == {"participants": 16, "seed": 0, "effect": 1.0,
                                             "version": VERSION}
        assert len(cohort.fingerprint) == 16

    def test_the_oracle_sees_the_cues_of_a_layout_and_knows_more_than_chance(self, cohort):
        people = cohort.people
        alike = people[[f"cue_{c}" for c in cohorts.VLOG_CUES]].sum(axis=1)
        assert np.corrcoef(cohort.oracle("dvlog"), alike)[0, 1] == pytest.approx(1)
        for layout in cohorts.SECONDS:
            oracle = cohort.oracle(layout)
            assert oracle[people["label"] == 1].mean() > oracle[people["label"] == 0].mean() + 1
        wrong = cohort.oracle("daic_woz") - cohort.oracle("avec2014") - cohort.oracle(
            "speech_folder")
        assert wrong.abs().max() > 0                          # an interview also shows what is said

    def test_where_nothing_is_planted_no_cue_weighs_more_than_another(self):
        cohort = object.__new__(Cohort)
        people, planted = cohorts.drawn(20, 0, 0.0)
        cohort.people = people.rename(columns={name: f"cue_{name}" for name in planted})
        cohort.truth = {"planted": planted}
        alike = cohort.people[[f"cue_{cue}" for cue in face.CUES]].sum(axis=1)
        assert np.corrcoef(cohort.oracle("avec2014"), alike)[0, 1] == pytest.approx(1)

    @pytest.mark.parametrize("effect", [1.0, "literature"])
    @pytest.mark.parametrize("layout", ["speech_folder", "avec2014", "daic_woz"])
    def test_no_linear_rule_knows_more_than_the_oracle(self, layout, effect):
        people = severity.case_control(12_000, 1, highest=severity.MOST)
        names = CUES[layout]
        latent, planted = severity.cues(people, names, effect, 0)
        cohort = object.__new__(Cohort)
        cohort.people = people.join(latent.add_prefix("cue_"))
        cohort.truth = {"planted": planted}
        depressed = people["phq8_total"] >= severity.CUT
        best = pd.Series(0.0, index=people.index)
        for _, rows in people.groupby("gender").groups.items():     # fitted where it is tested
            rule = LinearDiscriminantAnalysis().fit(latent.loc[rows], depressed[rows])
            best[rows] = rule.decision_function(latent.loc[rows])
        assert roc_auc_score(depressed, cohort.oracle(layout)) > roc_auc_score(depressed,
                                                                               best) - 0.02


class Toy(paper.Binary):
    """Two numbers a unit, of which the first tells the class; two units a participant."""

    name = "toy"
    card = SimpleNamespace(task="binary", corpora=("toy",), title="Toy", unit="unit",
                           modalities=("x",), as_published=())
    p = SimpleNamespace(epochs=6, batch_size=16, learning_rate=0.05, schedule="cosine",
                        protocol="clean", seed=0)

    def __init__(self, stop=None):
        self.theirs, self.stop, self.losses = None, stop, 0

    def prepare(self, units, rows=()):
        return {"mean": units.data["x"][rows].mean(0).tolist()}

    def inputs(self, units, rows, state):
        return {"x": torch.as_tensor(units.data["x"][rows] - state["mean"], dtype=torch.float32)}

    def batches(self, units, rows, state, seed=None):
        return Drawn(self, units, rows, state, seed)

    def build(self, state):
        return torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Dropout(0.2),
                                   torch.nn.Linear(8, 1))

    def loss(self, network, batch):
        self.losses += 1
        if self.losses == self.stop:
            raise KeyboardInterrupt
        inputs, target = batch
        return torch.nn.functional.binary_cross_entropy_with_logits(network(inputs["x"])[:, 0],
                                                                    target)

    def scores(self, network, inputs, state):
        return network(inputs["x"])[:, 0].numpy()


class Drawn:
    """Units in another order every epoch, moved a little."""

    def __init__(self, toy, units, rows, state, seed):
        self.toy, self.units, self.rows, self.state, self.seed = toy, units, rows, state, seed

    def __len__(self):
        return -(-len(self.rows) // 16)

    def __call__(self, epoch):
        rng = np.random.default_rng([self.seed, epoch])
        for part in np.array_split(rng.permutation(self.rows), len(self)):
            x = self.toy.inputs(self.units, part, self.state)["x"]
            moved = torch.as_tensor(rng.standard_normal(x.shape) / 10, dtype=torch.float32)
            yield {"x": x + moved}, self.toy.target(self.units, part, self.state)


def toy(people, stop=None):
    """The toy on these participants, two units each -> Pipeline."""
    owners = np.repeat(people.index, 2)
    table = pd.DataFrame({"participant": owners, "session": owners, "recording": owners,
                          "unit": np.tile([0, 1], len(people))})
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(owners), 2)) + np.outer(people["label"].reindex(owners), [1, 0])
    return Pipeline.of(Toy(stop), paper.Units(table, {"x": x}))


@pytest.fixture(scope="module")
def by_unit(people):
    split = parts(people, cohort_folds(people, 3, 0), 0, 0)
    return split.reindex(toy(people).table["participant"]).to_numpy(object)


@pytest.fixture
def train(people, by_unit, tmp_path):
    """train(seed, folder, **more) -> Fitted"""
    def run(seed=0, folder="a", pipeline=None, **more):
        return protocol.fit(pipeline or toy(people), people, by_unit, seed, tmp_path / folder,
                            **more)

    return run


def weights(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.network.parameters()])


class TestFit:
    def test_the_epoch_of_the_lowest_validation_loss_is_kept(self, train, people, by_unit):
        fitted = train(watch=True)
        best = fitted.history["val_error"].idxmin()
        seen = by_unit != "train"
        np.testing.assert_allclose(fitted.scores(toy(people))[seen], fitted.watched[best][seen],
                                   rtol=1e-4, atol=1e-5)
        assert len(fitted.history) == Toy.p.epochs
        assert fitted.seconds == pytest.approx(fitted.history["seconds"].sum())

    def test_scores_of_what_is_trained_on_are_not_kept(self, train, by_unit):
        watched = train(watch=True).watched
        assert watched.shape == (Toy.p.epochs, len(by_unit))
        assert np.isnan(watched[:, by_unit == "train"]).all()
        assert np.isfinite(watched[:, by_unit != "train"]).all()
        assert train(folder="b").watched is None

    def test_test_participants_have_no_say(self, train, people):
        other = toy(people)
        split = parts(people, cohort_folds(people, 3, 0), 0, 0)
        other.units.data["x"][(split.reindex(other.table["participant"]) == "test").to_numpy()] = 99
        assert torch.equal(weights(train(pipeline=other, folder="b")), weights(train()))

    def test_same_seed_same_bits_and_another_seed_others(self, train):
        first, again, other = train(0, "a"), train(0, "b"), train(1, "c")
        assert torch.equal(weights(first), weights(again))
        assert not torch.equal(weights(first), weights(other))

    @pytest.mark.parametrize("watch", [False, True])
    def test_a_finished_training_is_read_and_not_repeated(self, train, people, watch):
        first, stopping = train(watch=watch), toy(people, stop=1)     # would stop at its first loss
        again = train(pipeline=stopping, watch=watch)
        assert stopping.paper.losses == 0
        assert torch.equal(weights(again), weights(first))
        pd.testing.assert_frame_equal(again.history, first.history)
        np.testing.assert_array_equal(again.watched, first.watched) if watch else None

    @pytest.mark.parametrize("watch", [False, True])
    def test_interrupted_and_started_again_ends_with_the_same_bits(self, train, people, watch):
        uninterrupted = train(folder="whole", watch=watch)
        with pytest.raises(KeyboardInterrupt):
            train(pipeline=toy(people, stop=20), watch=watch)
        again = train(watch=watch)
        assert torch.equal(weights(again), weights(uninterrupted))
        if watch:
            np.testing.assert_array_equal(again.watched, uninterrupted.watched)

    @pytest.mark.parametrize("watch", [False, True])
    def test_one_of_other_labels_starts_anew(self, train, people, by_unit, watch, tmp_path):
        train(watch=watch)
        corrected = people.assign(label=people["label"].where(people.index != people.index[
            people.index.isin(toy(people).table["participant"][by_unit == "train"])][0],
            1 - people["label"]))

        def fitted(folder):
            return protocol.fit(toy(people), corrected, by_unit, 0, tmp_path / folder, watch=watch)

        again, fresh = fitted("a"), fitted("fresh")
        assert torch.equal(weights(again), weights(fresh))
        np.testing.assert_array_equal(again.watched, fresh.watched) if watch else None

    def test_watching_does_not_change_the_training(self, train):
        assert torch.equal(weights(train(watch=True)), weights(train(folder="b")))

    def test_the_number_of_epochs_can_be_given(self, train):
        assert len(train(epochs=2).history) == 2

    def test_scores_of_some_units_and_without_a_sense(self, train, people):
        fitted, pipeline = train(), toy(people)
        scores = fitted.scores(pipeline)
        np.testing.assert_allclose(fitted.scores(pipeline, np.array([3, 70])), scores[[3, 70]],
                                   rtol=1e-5)
        assert np.ptp(fitted.scores(pipeline, without="x")) == 0
        assert np.ptp(scores) > 0

    def test_many_are_as_one_by_one(self, train, people, by_unit, tmp_path):
        threads = torch.get_num_threads()
        jobs = {("toy", seed): ("toy", by_unit, seed, tmp_path / f"many-{seed}") for seed in (0, 1)}
        fitted_by_job = protocol.fit_many({"toy": toy(people)}, people, jobs, workers=1, epochs=2)
        torch.set_num_threads(threads)
        assert list(fitted_by_job) == list(jobs)
        for (_, seed), fitted in fitted_by_job.items():
            assert torch.equal(weights(fitted), weights(train(seed, f"one-{seed}", epochs=2)))

    def test_a_job_may_bring_other_scores_and_a_pipeline_its_own_number_of_epochs(
        self, people, by_unit, tmp_path):
        threads, other = torch.get_num_threads(), people.assign(label=1 - people["label"])
        jobs = {"own": ("toy", by_unit, 0, tmp_path / "own", other),
                "common": ("toy", by_unit, 0, tmp_path / "common")}
        fitted_by_job = protocol.fit_many({"toy": toy(people)}, people, jobs, workers=1,
                                          epochs={"toy": 2, "another": 5})
        alone = protocol.fit(toy(people), other, by_unit, 0, tmp_path / "alone", 2)
        torch.set_num_threads(threads)
        assert torch.equal(weights(fitted_by_job["own"]), weights(alone))
        assert not torch.equal(weights(fitted_by_job["own"]), weights(fitted_by_job["common"]))
        assert len(fitted_by_job["common"].history) == 2


class TestTrainings:
    PARAMETERS = MappingProxyType(dict.fromkeys(protocol.COMPARED, 1))

    @pytest.fixture
    def compared(self, tmp_path):
        """A run that is not finished, of these parameters."""
        (tmp_path / "comparison/own").mkdir(parents=True)
        (tmp_path / "comparison/own/params.yaml").write_text(
            yaml.safe_dump({**self.PARAMETERS, "seeds": 2}))
        return tmp_path / "comparison/own"

    def test_of_the_same_cohort_and_folds_are_given(self, compared):
        assert protocol.trainings(compared, None,
                                  self.PARAMETERS | {"units": 3}) == compared / "fits"

    def test_of_no_run_there_are_none(self, tmp_path):
        assert protocol.trainings(tmp_path / "none", None, self.PARAMETERS) is None

    @pytest.mark.parametrize("name", protocol.COMPARED)
    def test_of_other_parameters_are_refused(self, compared, name):
        with pytest.raises(ValueError, match="comparison_run comparison/own: "
                           f"was made with {name} 1 instead of 2"):
            protocol.trainings(compared, None, self.PARAMETERS | {name: 2})

    def test_of_another_cohort_with_the_same_parameters_are_refused(self, compared, monkeypatch):
        (compared / "provenance.json").write_text(json.dumps({"corpus": {"fingerprint": "a"}}))
        monkeypatch.setattr(protocol.verify, "refusal", lambda folder: None)
        assert protocol.trainings(compared, SimpleNamespace(fingerprint="a"),
                                  self.PARAMETERS) == compared / "fits"
        with pytest.raises(ValueError, match="was made with another cohort"):
            protocol.trainings(compared, SimpleNamespace(fingerprint="b"), self.PARAMETERS)

    def test_where_the_run_itself_is_needed_an_unfinished_one_is_refused(self, compared):
        with pytest.raises(
            ValueError,
            match=r"run comparison/own: metrics.json is missing.*run notebooks/evidence/comp"):
            protocol.trainings(compared, None, self.PARAMETERS, needed=True)


class TestMultiplyAdds:
    def test_of_a_linear_layer(self):
        assert costs.multiply_adds(torch.nn.Linear(3, 5),
                                   lambda net: net(torch.zeros(2, 3))) == 2 * 3 * 5

    def test_of_a_convolution(self):
        convolution = torch.nn.Conv1d(4, 6, 3, groups=2)
        assert costs.multiply_adds(convolution,
                                   lambda net: net(torch.zeros(1, 4, 10))) == 8 * 6 * 2 * 3

    @pytest.mark.parametrize("ways", [1, 2])
    def test_of_an_lstm(self, ways):
        b, t, n, h = 2, 7, 3, 5
        lstm = torch.nn.LSTM(n, h, num_layers=2, batch_first=True, bidirectional=ways == 2)
        first, second = 4 * h * (n + h), 4 * h * (ways * h + h)     # four gates, of input and state
        assert costs.multiply_adds(lstm, lambda net: net(torch.zeros(b, t, n))) == b * t * ways * (
            first + second)

    def test_of_a_mamba_block(self):
        b, e, t, n, r, w = 1, 6, 11, 4, 2, 3
        block = dynmultidep.Direction(e, n, r, w, True, False, True)
        x, A = torch.zeros(b, e, t), -torch.ones(e, n)
        projections = t * e * (r + 2 * n) + t * r * e
        # taps; decay, drive and read-out of each state
        expected = b * (projections + e * t * w + e * t * 3 * n)
        assert costs.multiply_adds(block, lambda net: net(x, x, A)) == expected

    def test_leaves_no_hook_and_counts_every_call(self):
        lstm = torch.nn.LSTM(2, 2)
        once = costs.multiply_adds(lstm, lambda net: net(torch.zeros(3, 1, 2)))
        assert (costs.multiply_adds(lstm, lambda net: [net(torch.zeros(3, 1, 2)) for _ in range(2)])
                == 2 * once)
        assert not lstm._forward_hooks


def grown():
    """Growth by 64 MB that stay, by 64 MB that go again, and by nothing."""
    arrays = []
    return (costs.growth(lambda: arrays.append(np.ones(8_000_000))),
            costs.growth(lambda: np.ones(8_000_000).sum() and None), costs.growth(lambda: None))


class TestGrowth:
    @pytest.mark.skipif(not protocol.Path("/proc/self/clear_refs").exists(),
                        reason="this system does not tell")
    def test_is_what_a_call_held_at_its_peak(self):
        # no memory that others have freed
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            held, passed, nothing = alone.submit(grown).result()
        assert (held, passed) == pytest.approx((64e6, 64e6), rel=0.1)
        assert nothing < 4e6

    def test_of_a_system_that_does_not_tell_it_is_not_known(self, monkeypatch):
        called = []
        monkeypatch.setattr(protocol.Path, "exists", lambda self: False)
        assert np.isnan(costs.growth(lambda: called.append(1)))
        assert called == [1]
