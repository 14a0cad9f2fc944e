"""The four pipelines on one small cohort: whose units, what damage touches, what is learnt from
whom, what trains.
"""

import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import log_loss

from depnb.corpora.readers import OTHER_MEDIA
from depnb.evidence import baselines
from depnb.evidence.cohort import cohort_folds, parts
from depnb.evidence.pipeline import Pipeline
from depnb.features import clips
from depnb.papers import paper
from depnb.papers.cards import cards
from tests.paths import ROOT

NAMES = tuple(cards())
FEW = ("300", "303", "305")
# AAFN reads the last row of its LSTMs, as released: the backward one has seen one row there, and no
# state before it.
ONE_STEP = [f"{sense}_branch.lstm.top_reverse.weight_hh_l0"
            for sense in ("visual", "audio", "text")]


@pytest.fixture(scope="module")
def people(cohort):
    return cohort.people


@pytest.fixture(scope="module")
def split(people):
    return parts(people, cohort_folds(people, 2, 0), 0, 0)


@pytest.fixture(scope="module")
def read(small_cohort, cache):
    """read(name, people, hurt) -> another pipeline on the same cohort."""
    return lambda name, people=FEW, hurt=None: Pipeline(name, small_cohort, cache, people, 1, hurt)


def everything(model, person):
    """All that a network is given of one participant, undamaged scale, as one long vector."""
    rows = model.rows_of([person])
    if model.name == "cfrafn":
        return np.concatenate([model.units.data[sense][rows].ravel() for sense in model.senses])
    return np.concatenate([x.float().numpy().ravel() for row in rows
                           for x in model.paper.inputs(model.units, [row], {}).values()])


@pytest.mark.parametrize("name", NAMES)
class TestOnTheCohort:
    def test_every_unit_belongs_to_a_participant_of_the_cohort_and_is_counted_from_0(
        self, models, people, name):
        table = models[name].table
        assert set(table["participant"]) == set(people.index)
        counted = table.groupby("recording", sort=False)["unit"].agg(list)
        assert all(units == list(range(len(units))) for units in counted)
        owners = table.groupby("recording")["participant"].unique()
        listed = people[f"{models[name].layout}_sessions"]
        assert all(len(owner) == 1 and recording.split("/")[0] in listed[owner[0]]
                   for recording, owner in owners.items())

    def test_units_of_some_are_theirs(self, models, name):
        model = models[name]
        rows = model.rows_of(FEW)
        assert set(model.table["participant"][rows]) == set(FEW)
        assert not set(model.table["participant"].drop(rows)) & set(FEW)

    def test_who_else_is_read_changes_nothing(self, models, read, name):
        alone = read(name)
        assert set(alone.table["participant"]) == set(FEW)
        for person in FEW:
            np.testing.assert_array_equal(everything(alone, person),
                                          everything(models[name], person))

    @pytest.mark.parametrize("kind", ["noise", "short"])
    def test_damage_hurts_the_chosen_alone_and_the_same_whoever_else_is_read(self, models, read,
                                                                             name, kind):
        worse = read(name, hurt=(kind, 2, 0, {FEW[0]}))
        for person in FEW[1:]:
            np.testing.assert_array_equal(everything(worse, person),
                                          everything(models[name], person))
        before, after = everything(models[name], FEW[0]), everything(worse, FEW[0])
        assert np.isfinite(after).all()
        assert len(after) != len(before) or (after != before).any()
        np.testing.assert_array_equal(everything(read(name, FEW[:1], (kind, 2, 0, None)), FEW[0]),
                                      after)

    def test_what_is_prepared_comes_from_training_units_alone(self, models, people, split, name):
        model = models[name]
        by_unit = split.reindex(model.table["participant"]).to_numpy()
        train = np.flatnonzero(by_unit == "train")
        state = model.paper.prepare(model.labelled(people, by_unit), train)
        other = model.labelled(people.where(split == "train"), by_unit)
        if name == "cfrafn":
            lost = [{k: v if part == "train" else np.full_like(v, np.nan)
                     for k, v in versions.items()}
                    for versions, part in zip(model.units.data["versions"], by_unit, strict=True)]
            other.data = other.data | {"versions": lost}
        np.testing.assert_equal(model.paper.prepare(other, train), state)

    def test_scores_are_those_of_the_people_who_are_asked_about(self, models, people, name):
        turned = people.assign(label=1 - people["label"], bdi2=63 - people["bdi2"],
                               phq8_total=24 - people["phq8_total"])
        before, after = (models[name].labelled(who).table for who in (people, turned))
        total = {"cfrafn": 1, "dynmultidep": 1, "sta_drn": 63, "aafn": 24}[name]
        assert (before["score"] + after["score"] == total).all()
        assert (before["label"] + after["label"] == 1).all()

    def test_every_parameter_gets_a_gradient(self, models, people, name):
        asked, units = models[name].paper, models[name].labelled(people)
        rows = np.arange(12)
        state = asked.prepare(units, rows)
        network = asked.network(state, 0).train()
        asked.loss(network,
                   (asked.inputs(units, rows, state), asked.target(units, rows, state))).backward()
        silent = [n for n, p in network.named_parameters()
                  if p.grad is None or not p.grad.abs().sum() > 0]
        assert [n for n in silent if n not in ONE_STEP] == []

    def test_training_draws_by_seed_and_epoch_and_scoring_draws_nothing(self, models, people, name,
                                                                        monkeypatch):
        asked, units = models[name].paper, models[name].labelled(people, "train")
        monkeypatch.setattr(asked.p, "crop_rows", 40, raising=False)    # rows, of vlogs of about 60
        rows = np.arange(16)
        state = asked.prepare(units, rows)

        def drawn(seed, epoch):
            batches = asked.batches(units, rows, state, seed)
            return [torch.cat([*(x.float().flatten() for x in inputs.values()), target.flatten()])
                    for inputs, target in batches(epoch)]

        def same(a, b):
            return all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))

        assert same(drawn(0, 0), drawn(0, 0))
        assert not same(drawn(0, 0), drawn(0, 1))
        assert not same(drawn(0, 0), drawn(1, 0))
        before, again = (asked.inputs(units, rows, state).values() for _ in range(2))
        assert all(torch.equal(x, y) for x, y in zip(before, again, strict=True))


class TestTargets:
    def test_are_each_papers_own(self, models, people):
        def of(name):
            asked, units = models[name].paper, models[name].labelled(people)
            rows = np.arange(len(units))
            return (asked.target(units, rows, asked.prepare(units, rows)).numpy(),
                    units.table["participant"])

        for name in ("cfrafn", "dynmultidep"):
            target, owner = of(name)
            np.testing.assert_array_equal(target, people["label"][owner])
        target, owner = of("sta_drn")
        assert (target.mean(), target.std()) == pytest.approx((0, 1), abs=1e-5)
        assert np.corrcoef(target, people["bdi2"][owner])[0, 1] == pytest.approx(1)
        target, owner = of("aafn")
        np.testing.assert_array_equal(target.sum(1), people["phq8_total"][owner])
        assert target.shape[1] == 8

    def test_scores_grow_with_depression(self, models):
        """Each network's answer is turned the right way: a network that answers the target scores
        the target.
        """
        class Says(torch.nn.Module):
            def __init__(self, answer):
                super().__init__()
                self.answer = answer

            def forward(self, *inputs, **named):
                return self.answer

        ill = torch.tensor([0.0, 1.0, 3.0])
        bins = torch.nn.functional.one_hot(torch.tensor([[0] * 8, [10] * 8, [31] * 8]), 32) * 50.0
        for name, answer in (("cfrafn", ill), ("dynmultidep", ill), ("sta_drn", ill[:, None]),
                             ("aafn", bins)):
            scores = models[name].paper.scores(Says(answer), {"clips": None}, {})
            assert (np.diff(scores) > 0).all(), name
        assert models["aafn"].paper.scores(Says(bins), {}, {})[[0, -1]] == pytest.approx(
            [0, 24], abs=0.5)


class TestModalities:
    def test_the_only_one_of_an_interview_is_never_taken(self, models):
        asked, units = models["aafn"].paper, models["aafn"].units
        present = torch.tensor([[True, False, False], [True, True, False]])
        inputs = asked.inputs(units, np.arange(2), {}) | {"present": present}
        assert asked.without(inputs, "visual")["present"].tolist() == [[True, False, False],
                                                                       [False, True, False]]

    def test_a_share_of_training_windows_loses_one_and_keeps_another(self, models, people):
        asked, units = models["aafn"].paper, models["aafn"].labelled(people, "train")
        batches = asked.batches(units, np.arange(len(units)), {}, 0)
        present = torch.cat([inputs["present"] for epoch in range(6)
                             for inputs, _ in batches(epoch)])
        assert 0.1 < 1 - present.all(1).float().mean() < 0.3
        assert present.any(1).all()
        assert asked.inputs(units, np.arange(len(units)), {})["present"].all()


class TestDamage:
    def test_sets_are_hurt_by_name_and_None_means_all(self):
        rows = pd.DataFrame({"recording": ["a/1", "a/2", "b/1"], "participant": ["a", "a", "b"]})
        assert paper.Hurt("noise", 3, 0, {"a"}).level_of(rows) == {"a/1": 3, "a/2": 3, "b/1": 0}
        assert paper.Hurt("noise", 3, 0).level_of(rows) == {"a/1": 3, "a/2": 3, "b/1": 3}

    def test_a_generator_depends_on_the_seed_and_the_name_alone(self):
        drawn = {(s, n): paper.generator(s, n).random() for s in (0, 1) for n in ("300", "301")}
        assert len(set(drawn.values())) == 4
        assert paper.generator(1, "301").random() == drawn[1, "301"]

    def test_a_shorter_interview_has_fewer_rows_and_sentences_in_every_sense(self, models, read):
        undamaged, short = (p.units.data["windows"].sessions[FEW[0]] for p in (
            models["aafn"], read("aafn", FEW[:1], ("short", 3, 0, None))))
        assert short["frames"] == len(short["visual"]) == short["audio"].shape[1] == round(
            0.45 * len(undamaged["visual"]))
        assert len(short["span"]) == len(short["text"]) == round(0.45 * len(undamaged["text"]))
        np.testing.assert_array_equal(short["text"], undamaged["text"][:len(short["text"])])

    def test_a_lower_rate_and_compression_leave_the_words_of_an_interview(self, models, read):
        for kind in ("rate", "compression"):
            worse = read("aafn", FEW[:1], (kind, 3, 0, None)).units.data["windows"].sessions[FEW[0]]
            np.testing.assert_array_equal(
                worse["text"], models["aafn"].units.data["windows"].sessions[FEW[0]]["text"])
            assert (worse["visual"]
                    != models["aafn"].units.data["windows"].sessions[FEW[0]]["visual"]).any()

    def test_pictures_lose_frames_after_the_face_was_found(self, models, read):
        worse = read("sta_drn", FEW[:1], ("lost", 3, 0, None))
        row = models["sta_drn"].rows_of(FEW[:1])[0]
        crops = worse.units.data["crops"][0]
        black = (crops == 0).all((1, 2, 3))
        assert 0.4 < black.mean() < 1
        np.testing.assert_array_equal(crops[~black],
                                      models["sta_drn"].units.data["crops"][row][~black])


class TestFace:
    def test_a_training_clip_may_be_mirrored_and_starts_anywhere(self, models, people):
        asked, units = models["sta_drn"].paper, models["sta_drn"].labelled(people, "train")
        still = asked.inputs(units, [0], None)["clips"][0]
        assert still.shape == (3, asked.p.clip_frames, asked.p.image_size, asked.p.image_size)
        batches = asked.batches(units, np.arange(asked.p.batch_size),
                                asked.prepare(units, np.arange(8)), 0).batches
        drawn = [batches.clip(epoch, 0) for epoch in range(30)]
        assert len({c.tobytes() for c in drawn}) > 4
        assert any(np.array_equal(c[:, :, ::-1], other) for c in drawn for other in drawn)

    def test_the_frames_that_are_shown_are_those_of_the_clip(self, models):
        asked, units = models["sta_drn"].paper, models["sta_drn"].units
        frames = units.data["crops"][3][asked.first_clip(units, 3)]
        np.testing.assert_array_equal(asked.inputs(units, [3], None)["clips"][0],
                                      clips.to_input(frames[None], "clip")[0])

    def test_a_video_counts_by_the_mean_of_all_its_clips(self, models, people):
        asked, units = models["sta_drn"].paper, models["sta_drn"].labelled(people, "test")
        state = asked.prepare(units, np.arange(8))
        network = asked.network(state, 0).eval()
        table = asked.predictions(network, units, np.arange(3), state)
        for row, told in enumerate(table["y_pred"]):
            frames = asked.clips_of(len(units.data["crops"][row]))
            ready = clips.to_input(np.stack([units.data["crops"][row][clip] for clip in frames]),
                                   asked.p.normalise)
            with torch.inference_mode():
                each = asked.decoded(network(ready)[:, 0].numpy(), state)
            assert len(each) > 1
            assert told == pytest.approx(each.mean(), abs=1e-4)


class TestBaselines:
    @pytest.mark.parametrize("kind", baselines.BASELINES)
    def test_learns_nothing_from_the_test_participants(self, models, people, split, kind):
        baseline = baselines.Baseline(kind, models)
        scores = baseline.fit(people, split)(models)
        assert scores.shape == (len(baseline.table),)
        assert np.isfinite(scores).all()
        shuffled = people.assign(label=people["label"].where(split != "test", 1 - people["label"]),
                                 bdi2=people["bdi2"].where(split != "test", 63 - people["bdi2"]))
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
        assert not any("are you" in word for word in words)             # the interviewer's question


class TestDepartures:
    def test_each_says_what_is_here_and_why_and_what_the_chapter_has(self):
        for name, entries in paper.departures().items():
            chapter = yaml.safe_load((ROOT / f"params/{name}/quick.yaml").read_text())
            for setting, entry in entries.items():
                assert set(entry) == {"here", "why"} | (set() if setting in chapter
                                                        else {"chapter"}), (name, setting)
                assert entry["here"] != chapter.get(setting, entry.get("chapter"))
        assert set(paper.departures()) == set(cards())

    @pytest.mark.parametrize("name", NAMES)
    def test_all_else_is_as_in_the_chapter(self, models, name):
        chapter = yaml.safe_load((ROOT / f"params/{name}/quick.yaml").read_text())
        apart = {setting for setting, value in vars(models[name].paper.p).items()
                 if value != chapter[setting]}
        assert apart == {setting for setting in paper.departures()[name] if setting in chapter} | {
            "cache_dir", "workers"}
        recipe = models[name].paper.recipe()
        shared = set(recipe) & set(chapter)
        assert {k: recipe[k] for k in shared} == {k: getattr(models[name].paper.p, k)
                                                  for k in shared}

    def test_a_page_lists_them_all(self):
        table = paper.departure_table()
        assert len(table) == sum(map(len, paper.departures().values()))
        assert not table.isna().any(axis=None)


class TestMeasures:
    """What the epoch is chosen by: of participants, in the unit of the chapter."""

    @pytest.mark.parametrize("name", ["cfrafn", "dynmultidep"])
    def test_of_a_class_is_the_cross_entropy_of_the_mean_probability(self, models, people, name):
        asked, units = models[name].paper, models[name].labelled(people)
        probability = asked.decoded(np.random.default_rng(0).normal(size=len(units)), {})
        mean = pd.Series(probability).groupby(units.table["participant"].to_numpy()).mean()
        expected = log_loss(people["label"].reindex(mean.index), mean, labels=[0, 1])
        assert asked.measures(asked.told(units.table, probability))[asked.select] == pytest.approx(
            expected)

    def test_of_scores_is_in_points_of_the_questionnaire(self, models, people):
        for name, points in (("sta_drn", people["bdi2"]), ("aafn", people["phq8_total"])):
            asked, units = models[name].paper, models[name].labelled(people)
            right = points.reindex(units.table["participant"]).to_numpy(float)
            for off in (0, 2):
                assert (asked.measures(asked.told(units.table, right + off))[asked.select]
                        == pytest.approx(off, abs=1e-5))
        asked, units = models["sta_drn"].paper, models["sta_drn"].labelled(people)
        state = asked.prepare(units, np.arange(len(units)))
        assert asked.decoded(np.array([-99.0, 0.0, 99.0]), state) == pytest.approx(
            [0, state["shift"], 63])


class TestRecordingsAndRest:
    """What the prediction notebook is given, and what of it is passed over."""

    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("a.wav", f"b{OTHER_MEDIA[0]}", "deeper/c.MP4", f"d{OTHER_MEDIA[-1]}",
                     "notes.txt", f"._b{OTHER_MEDIA[0]}"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    def test_other_media_are_named(self, folder, models):
        files, passed = models["sta_drn"].paper.recordings_and_rest(str(folder))
        assert list(files) == ["deeper/c.MP4"]
        assert list(passed) == ["a.wav", f"b{OTHER_MEDIA[0]}", f"d{OTHER_MEDIA[-1]}"]
        assert passed["a.wav"].startswith("passed over: no file ending in .mp4, ")

    def test_of_a_video_the_sound_is_read_unless_it_lies_beside_it(self, folder, models):
        asked = models["cfrafn"].paper
        files, passed = asked.recordings_and_rest(str(folder))
        assert list(files) == ["a.wav", "deeper/c.MP4"]
        assert asked.sounds(files) == "Videos, of which the sound is read: 1. "
        (folder / "deeper/c.FLAC").touch()
        files, passed = asked.recordings_and_rest(str(folder))
        assert list(files) == ["a.wav", "deeper/c.FLAC"]
        assert passed["deeper/c.MP4"] == ("passed over: a file of its name and another kind is "
                                          "read.")
        assert asked.sounds(files) == ""

    def test_a_wav_beside_a_video_comes_before_its_own_sound_and_before_other_files(self, folder):
        video = folder / "deeper/c.MP4"
        assert paper.sound_beside(video) == video
        for name in ("c.mp3", "c.WAV", "._c.wav", "c.wav.txt"):
            (folder / "deeper" / name).touch()
        assert paper.sound_beside(video).name == "c.WAV"

    def test_sound_beside_its_video_is_not_passed_over(self, folder, models):
        (folder / "deeper/c.wav").touch()
        (folder / "e.m4v").touch()
        files, passed = models["dynmultidep"].paper.recordings_and_rest(str(folder))
        assert set(files) == {"deeper/c.MP4", "e.m4v"}
        assert list(passed) == ["a.wav", f"b{OTHER_MEDIA[0]}", f"d{OTHER_MEDIA[-1]}"]
        assert models["dynmultidep"].paper.sounds(files) == (
            "Videos of which the own sound is read: 1; the sound file of their name beside them: "
            "1. ")

    @pytest.mark.parametrize(("name", "sentence"), [
        ("", "input '': no such file or folder. Give a file ending in .wav"),
        ("nowhere", "no such file or folder"),
        ("text", ", .webm there, but 1 of other kinds. Convert them."),
        ("empty", "there. Give one, or a folder.")])
    def test_nothing_to_predict_is_said(self, folder, models, name, sentence):
        (folder / "empty").mkdir()
        (folder / "text").mkdir()
        (folder / f"text/d{OTHER_MEDIA[-1]}").touch()
        with pytest.raises(FileNotFoundError, match=re.escape(sentence)):
            models["cfrafn"].paper.recordings_and_rest(str(folder / name) if name else "")
