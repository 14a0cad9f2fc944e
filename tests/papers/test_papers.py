"""The four pipelines on one small cohort: whose units, what damage touches, what is learnt from whom, what trains."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import log_loss

from depnb.evidence import baselines, protocol
from depnb.evidence.cohort import cohort_folds, parts
from depnb.features import clips
from depnb.papers import paper, rooms
from depnb.papers.cards import cards
from tests.paths import ROOT

NAMES = tuple(cards())
FEW = ("300", "303", "305")
# AAFN reads the last row of its LSTMs, as released: the backward one has seen one row there, and no state before it.
ONE_STEP = [f"{sense}_branch.lstm.top_reverse.weight_hh_l0" for sense in ("visual", "audio", "text")]


@pytest.fixture(scope="module")
def people(cohort):
    return cohort.people


@pytest.fixture(scope="module")
def split(people):
    return parts(people, cohort_folds(people, 2, 0), 0, 0)


@pytest.fixture(scope="module")
def read(small_cohort, cache):
    """read(name, people, hurt) -> another pipeline on the same cohort."""
    return lambda name, people=FEW, hurt=None: rooms()[name](small_cohort, cache, people, 1, hurt)


def everything(pipeline, person):
    """All that a network is given of one participant, undamaged scale, as one long vector."""
    rows = pipeline.units([person])
    if pipeline.name == "cfrafn":
        return np.concatenate([pipeline.arrays[sense][rows].ravel() for sense in pipeline.senses])
    return np.concatenate([x.float().numpy().ravel() for row in rows for x in pipeline.inputs([row], (0, 1)).values()])


@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    def test_every_unit_belongs_to_a_participant_of_the_cohort_and_is_counted_from_0(self, models, people, name):
        table = models[name].table
        assert set(table["participant"]) == set(people.index)
        counted = table.groupby("recording", sort=False)["unit"].agg(list)
        assert all(units == list(range(len(units))) for units in counted)
        owners = table.groupby("recording")["participant"].unique()
        listed = people[f"{models[name].layout}_sessions"]
        assert all(len(owner) == 1 and recording.split("/")[0] in listed[owner[0]] for recording, owner in owners.items())

    def test_units_of_some_are_theirs(self, models, name):
        model = models[name]
        rows = model.units(FEW)
        assert set(model.table["participant"][rows]) == set(FEW)
        assert not set(model.table["participant"].drop(rows)) & set(FEW)

    def test_who_else_is_read_changes_nothing(self, models, read, name):
        alone = read(name)
        assert set(alone.table["participant"]) == set(FEW)
        for person in FEW:
            np.testing.assert_array_equal(everything(alone, person), everything(models[name], person))

    @pytest.mark.parametrize("kind", ["noise", "short"])
    def test_damage_hurts_the_chosen_alone_and_the_same_whoever_else_is_read(self, models, read, name, kind):
        worse = read(name, hurt=(kind, 2, 0, {FEW[0]}))
        for person in FEW[1:]:
            np.testing.assert_array_equal(everything(worse, person), everything(models[name], person))
        before, after = everything(models[name], FEW[0]), everything(worse, FEW[0])
        assert np.isfinite(after).all()
        assert len(after) != len(before) or (after != before).any()
        np.testing.assert_array_equal(everything(read(name, FEW[:1], (kind, 2, 0, None)), FEW[0]), after)

    def test_what_is_prepared_comes_from_training_units_alone(self, models, people, split, name, monkeypatch):
        model = models[name]
        by_unit = split.reindex(model.table["participant"]).to_numpy()
        train = np.flatnonzero(by_unit == "train")
        prepared = model.prepare(train, people)
        scores = people.select_dtypes("number").astype(float)
        scores[split != "train"] = np.nan
        if name == "cfrafn":
            monkeypatch.setattr(model, "arrays", {k: np.where((by_unit == "train")[:, None], v, np.nan)
                                                  for k, v in model.arrays.items()})
        np.testing.assert_equal(model.prepare(train, people.assign(**scores)), prepared)
        assert prepared == {} if name in ("aafn", "dynmultidep") else len(prepared) == 2

    def test_a_few_steps_lower_the_loss_and_every_parameter_gets_a_gradient(self, models, people, name):
        model = models[name]
        rows = np.arange(12)
        prepared = model.prepare(rows, people)
        target = model.targets(people, prepared)[rows]
        torch.manual_seed(0)
        network = model.build().train()
        inputs = model.inputs(rows, prepared)
        optimiser = torch.optim.Adam(network.parameters(), model.p.learning_rate)
        losses = []
        for step in range(8):
            torch.manual_seed(1)                                        # the same dropout at every step
            loss = model.loss(network, inputs, target)
            optimiser.zero_grad()
            loss.backward()
            if not step:
                silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
                assert [n for n in silent if n not in ONE_STEP] == []
            optimiser.step()
            losses.append(loss.item())
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_scores_are_one_finite_number_a_unit_whatever_is_scored_beside_it(self, models, people, name):
        model = models[name]
        rows = np.arange(len(model.table))
        prepared = model.prepare(rows, people)
        torch.manual_seed(0)
        network = model.build().eval()
        scores = protocol.scored(model, network, rows, prepared)
        assert scores.shape == (len(rows),)
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(protocol.scored(model, network, rows[5:7], prepared), scores[5:7], rtol=1e-3, atol=1e-4)

    def test_training_draws_with_the_generator_and_scoring_draws_nothing(self, models, people, name, monkeypatch):
        model = models[name]
        monkeypatch.setattr(model.p, "crop_rows", 40, raising=False)           # rows, of vlogs of about 60
        rows = np.arange(16)
        prepared = model.prepare(rows, people)

        def drawn(seed):
            given = model.inputs(rows, prepared, None if seed is None else np.random.default_rng(seed))
            return torch.cat([x.float().flatten() for x in given.values()])

        assert torch.equal(drawn(None), drawn(None))
        assert torch.equal(drawn(0), drawn(0))
        if name != "cfrafn":                                            # whose recordings are always shown whole
            assert drawn(0).shape != drawn(1).shape or not torch.equal(drawn(0), drawn(1))


class TestTargets:
    def test_are_each_paper_own(self, models, people):
        def of(name):
            model = models[name]
            rows = np.arange(len(model.table))
            return model.targets(people, model.prepare(rows, people)).numpy(), model.table["participant"]

        for name in ("cfrafn", "dynmultidep"):
            target, owner = of(name)
            np.testing.assert_array_equal(target, people["label"][owner])
        target, owner = of("sta_drn")
        assert (target.mean(), target.std()) == pytest.approx((0, 1), abs=1e-5)
        assert np.corrcoef(target, people["bdi2"][owner])[0, 1] == pytest.approx(1)
        target, owner = of("aafn")
        np.testing.assert_array_equal(target.sum(1), people["phq8_total"][owner])
        assert target.shape[1] == 8

    def test_scores_grow_with_depression(self, models, people):
        """Each network's answer is turned the right way: a network that answers the target scores the target."""
        class Says(torch.nn.Module):
            def __init__(self, answer):
                super().__init__()
                self.answer = answer

            def forward(self, *inputs, **named):
                return self.answer

        ill = torch.tensor([0.0, 1.0, 3.0])
        bins = torch.nn.functional.one_hot(torch.tensor([[0] * 8, [10] * 8, [31] * 8]), 32) * 50.0
        for name, answer in (("cfrafn", ill), ("dynmultidep", ill), ("sta_drn", ill[:, None]), ("aafn", bins)):
            scores = models[name].score(Says(answer), {"clips": None}, {})
            assert (np.diff(scores) > 0).all(), name
        assert models["aafn"].score(Says(bins), {}, {})[[0, -1]] == pytest.approx([0, 24], abs=0.5)


class TestSenses:
    @pytest.mark.parametrize("name", ["cfrafn", "aafn", "dynmultidep"])
    def test_a_sense_that_is_not_given_does_not_reach_the_score(self, models, people, name):
        model = models[name]
        rows = np.arange(3)
        prepared = model.prepare(rows, people)
        torch.manual_seed(0)
        network = model.build().eval()
        for sense in model.senses:
            inputs = model.inputs(rows, prepared)
            other = inputs | {sense: torch.randn_like(inputs[sense])}
            with torch.inference_mode():
                one, two = (model.score(network, model.without(x, sense), prepared) for x in (inputs, other))
                whole = model.score(network, inputs, prepared)
            np.testing.assert_array_equal(one, two)
            assert (one != whole).any(), sense

    def test_the_only_sense_of_an_interview_is_never_taken(self, models):
        model = models["aafn"]
        inputs = model.inputs(np.arange(2), {}) | {"present": torch.tensor([[True, False, False], [True, True, False]])}
        assert model.without(inputs, "visual")["present"].tolist() == [[True, False, False], [False, True, False]]

    def test_a_share_of_training_windows_loses_a_sense_and_keeps_another(self, models):
        model = models["aafn"]
        rows = np.tile(np.arange(len(model.table)), 6)
        present = model.inputs(rows, {}, np.random.default_rng(0))["present"]
        assert 0.1 < 1 - present.all(1).float().mean() < 0.3
        assert present.any(1).all()
        assert model.inputs(rows, {})["present"].all()


class TestDamage:
    def test_sets_are_hurt_by_name_and_None_means_all(self):
        rows = pd.DataFrame({"recording": ["a/1", "a/2", "b/1"], "participant": ["a", "a", "b"]})
        assert paper.hurt_levels(rows, None) == {"a/1": 0, "a/2": 0, "b/1": 0}
        assert paper.hurt_levels(rows, ("noise", 3, 0, {"a"})) == {"a/1": 3, "a/2": 3, "b/1": 0}
        assert paper.hurt_levels(rows, ("noise", 3, 0, None)) == {"a/1": 3, "a/2": 3, "b/1": 3}

    def test_a_generator_depends_on_the_seed_and_the_name_alone(self):
        drawn = {(s, n): paper.generator(s, n).random() for s in (0, 1) for n in ("300", "301")}
        assert len(set(drawn.values())) == 4
        assert paper.generator(1, "301").random() == drawn[1, "301"]

    def test_a_shorter_interview_has_fewer_rows_and_sentences_in_every_sense(self, models, read):
        whole, short = (p.windows.sessions[FEW[0]] for p in (models["aafn"], read("aafn", FEW[:1], ("short", 3, 0, None))))
        assert short["frames"] == len(short["visual"]) == short["audio"].shape[1] == round(0.45 * len(whole["visual"]))
        assert len(short["span"]) == len(short["text"]) == round(0.45 * len(whole["text"]))
        np.testing.assert_array_equal(short["text"], whole["text"][:len(short["text"])])

    def test_a_lower_rate_and_compression_leave_the_words_of_an_interview(self, models, read):
        for kind in ("rate", "compression"):
            worse = read("aafn", FEW[:1], (kind, 3, 0, None)).windows.sessions[FEW[0]]
            np.testing.assert_array_equal(worse["text"], models["aafn"].windows.sessions[FEW[0]]["text"])
            assert (worse["visual"] != models["aafn"].windows.sessions[FEW[0]]["visual"]).any()

    def test_pictures_lose_frames_after_the_face_was_found(self, models, read):
        worse = read("sta_drn", FEW[:1], ("lost", 3, 0, None))
        row = models["sta_drn"].units(FEW[:1])[0]
        black = (worse.crops[0] == 0).all((1, 2, 3))
        assert 0.4 < black.mean() < 1
        np.testing.assert_array_equal(worse.crops[0][~black], models["sta_drn"].crops[row][~black])


class TestFace:
    def test_a_training_clip_may_be_mirrored_and_starts_anywhere(self, models, people):
        model = models["sta_drn"]
        still = model.inputs([0], None)["clips"][0]
        assert still.shape == (3, model.p.clip_frames, model.p.image_size, model.p.image_size)
        drawn = [model.inputs([0], None, np.random.default_rng(i))["clips"][0] for i in range(30)]
        assert len({c.numpy().tobytes() for c in drawn}) > 4
        mirrored = [c.numpy().tobytes() for c in drawn if any(torch.equal(c.flip(-1), other) for other in drawn)]
        assert mirrored

    def test_the_frames_that_are_shown_are_those_of_the_clip(self, models):
        model = models["sta_drn"]
        np.testing.assert_array_equal(model.inputs([3], None)["clips"][0],
                                      clips.to_input(model.crops[3][model.shown(3)][None], "clip")[0])


class TestBaselines:
    @pytest.mark.parametrize("kind", baselines.BASELINES)
    def test_learns_from_training_participants_alone(self, models, people, split, kind):
        baseline = baselines.Baseline(kind, models)
        scores = baseline.fit(people, split)(models)
        assert scores.shape == (len(baseline.table),)
        assert np.isfinite(scores).all()
        shuffled = people.assign(label=people["label"].where(split == "train", 1 - people["label"]),
                                 bdi2=people["bdi2"].where(split == "train", 63 - people["bdi2"]))
        np.testing.assert_array_equal(baseline.fit(shuffled, split)(models), scores)

    @pytest.mark.parametrize("kind", baselines.BASELINES)
    def test_grows_with_the_target_where_it_learnt(self, models, people, split, kind):
        baseline = baselines.Baseline(kind, models)
        scores = paper.by_participant(baseline.table, baseline.fit(people, split)(models))
        train = split.index[split == "train"]
        assert scores[train].corr(people[baseline.kind.target][train], method="spearman") >= 0
        assert scores.index.equals(pd.Index(sorted(people.index)))

    def test_bag_of_words_reads_what_the_participant_says(self, models):
        words = baselines.BASELINES["words"].describe(models["aafn"])
        table = models["aafn"].table
        assert len(words) == len(table)
        assert all(len(set(words[table.index[table["participant"] == p]])) == 1 for p in FEW)
        assert not any("are you" in said for said in words)             # the interviewer's question


class TestDepartures:
    def test_each_says_what_is_here_and_why_and_what_the_chapter_has(self):
        for name, entries in paper.departures().items():
            chapter = yaml.safe_load((ROOT / f"params/{name}/quick.yaml").read_text())
            for setting, entry in entries.items():
                assert set(entry) == {"here", "why"} | (set() if setting in chapter else {"chapter"}), (name, setting)
                assert entry["here"] != chapter.get(setting, entry.get("chapter"))
        assert set(paper.departures()) == set(cards())

    @pytest.mark.parametrize("name", NAMES)
    def test_all_else_is_as_in_the_chapter(self, models, name):
        chapter = yaml.safe_load((ROOT / f"params/{name}/quick.yaml").read_text())
        apart = {setting for setting, value in vars(models[name].p).items() if value != chapter[setting]}
        assert apart == {setting for setting in paper.departures()[name] if setting in chapter}
        recipe = models[name].recipe()
        shared = set(recipe) & set(chapter)
        assert {k: recipe[k] for k in shared} == {k: getattr(models[name].p, k) for k in shared}

    def test_a_page_lists_them_all(self):
        table = paper.departure_table()
        assert len(table) == sum(map(len, paper.departures().values()))
        assert not table.isna().any(axis=None)


class TestError:
    """What the epoch is chosen by: of participants, in the unit of the chapter."""

    @pytest.mark.parametrize("name", ["cfrafn", "dynmultidep"])
    def test_of_a_class_is_the_cross_entropy_of_the_mean_probability(self, models, people, name):
        model, rows = models[name], np.arange(len(models[name].table))
        logits = np.random.default_rng(0).normal(size=len(rows))
        mean = pd.Series(1 / (1 + np.exp(-logits))).groupby(model.table["participant"].to_numpy()).mean()
        expected = log_loss(people["label"].reindex(mean.index), mean, labels=[0, 1])
        assert model.error(logits, rows, people, None) == pytest.approx(expected)

    def test_of_scores_is_in_points_of_the_questionnaire(self, models, people):
        model, rows = models["sta_drn"], np.arange(len(models["sta_drn"].table))
        prepared = model.prepare(rows, people)
        right = model.targets(people, prepared).numpy().astype(float)
        assert model.error(right, rows, people, prepared) == pytest.approx(0, abs=1e-4)
        off = model.error(right + 2 / prepared[1], rows, people, prepared)          # two points, but at the end of the scale
        assert 1.5 < off <= 2 + 1e-4
        model, rows = models["aafn"], np.arange(len(models["aafn"].table))
        total = model.targets(people, {}).sum(1).numpy()
        assert model.error(total, rows, people, {}) == pytest.approx(0, abs=1e-5)
        assert model.error(total + 3, rows, people, {}) == pytest.approx(3, abs=1e-5)
