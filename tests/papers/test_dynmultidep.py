"""What the chapter on DynMultiDep asks its paper, on a small corpus, and what the authors' program
did, where the answer is known.
"""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from depnb.papers import cfrafn, dynmultidep, paper
from depnb.papers.released import dynmultidep as released
from depnb.scores.metrics import classification
from depnb.simulation.vlog import twins
from tests import films
from tests.papermilled import TINY_VLOGS


@pytest.fixture(scope="module")
def asked(vlogs, cache):
    own = {"data_root": str(vlogs), "cache_dir": str(cache)}
    return dynmultidep.Paper(paper.of_chapter("dynmultidep") | TINY_VLOGS | own)


@pytest.fixture(scope="module")
def corpus(asked):
    return asked.open(None)


@pytest.fixture(scope="module")
def units(asked, corpus):
    return asked.features(corpus, asked.split(corpus))


@pytest.fixture(scope="module")
def state(asked, units):
    return asked.prepare(units, units.rows("train"))


@pytest.fixture(scope="module")
def networks(asked, state):
    return {name: asked.network(state, seed).eval()
            for seed, name in enumerate(("trained", "untrained"))}


def test_lengths_and_counts_are_those_of_the_corpus(asked, corpus, units):
    lengths = asked.lengths(units).set_index("session")
    for session, row in lengths.iterrows():
        assert row["seconds"] == len(units.data["arrays"][session]["acoustic"])
    labels = corpus.sessions.set_index("session")["label"]
    assert (lengths["group"].eq("depressed") == labels[lengths.index].eq(1)).all()
    counts = asked.by_group(corpus)
    assert counts["vlogs"].sum() == len(corpus)
    assert counts["participants"].sum() == corpus.sessions["participant"].nunique()


def test_the_vlog_to_look_at_has_both_senses_and_its_planted_rows(asked, corpus, units):
    signals, cues = asked.example(corpus, units)
    assert set(signals) == set(cues) == {"acoustic", "visual"}
    lengths = {len(values) for lines in signals.values() for values in lines.values()}
    assert lengths == {len(rows) for kinds in cues.values() for rows in kinds.values()}
    assert all(kinds.keys() == {"slow", "short"} for kinds in cues.values())


def test_the_report_has_the_constant_of_the_training_speakers(asked, units, state, networks):
    predictions = asked.judged(networks["trained"], units, state)
    test = asked.report(predictions, units)
    train = units.table.iloc[units.rows("train")].drop_duplicates("participant")["label"]
    assert asked.prevalence(units) == pytest.approx(train.mean())
    tested = predictions.query("split == 'test'")
    assert test["by_unit"]["units"] == len(tested) == len(units.rows("test"))
    assert test["unit"] == "vlog"
    assert "f1" in test["by_unit"]["released_intervals"]
    assert test["constant"]["by_participant"]["roc_auc"] == 0.5


def test_genders_of_too_few_speakers_are_left_out_of_a_restricted_corpus(asked, units, state,
                                                                        networks):
    open_to_all = asked.by_gender(networks["trained"], units, state, False)
    assert all(0 <= row["roc_auc"] <= 1 for row in open_to_all.values())
    people = units.table.iloc[units.rows("test")].drop_duplicates("participant")
    fewest = people.groupby("gender")["label"].agg(lambda label: min(label.sum(),
                                                                     (1 - label).sum()))
    assert set(open_to_all) == set(fewest.index[fewest >= 1])
    assert set(asked.by_gender(networks["trained"], units, state, True)) == set(
        fewest.index[fewest >= 5])


@pytest.fixture(scope="module")
def told(asked, units, state, networks, corpus):
    def few(count, *arguments, **options):
        return twins(4, *arguments, seconds=60, **options)
    return asked.gates_and_experts(networks, units, state, corpus, few)


class TestGatesAndExperts:
    def test_every_part_is_scored_on_vlogs_that_were_not_trained_on(self, told, units):
        facts, weights = told
        assert {row["network"] for row in facts["gate"]} == {"trained", "untrained"}
        assert [(row["cue"], row["pairs"]) for row in facts["twins"]] == [("slow", 4), ("short", 4)]
        assert {row["sense"] for row in facts["router"]} == {"acoustic", "visual"}
        rest = units.table["session"].iloc[[*units.rows("validation"), *units.rows("test")]]
        assert set(weights["session"]) == set(rest)
        assert np.allclose(weights[["gate_soft_0", "gate_soft_1"]].sum(axis=1), 1, atol=1e-5)

    def test_what_is_empty_is_what_was_planted_so(self, told, corpus):
        planted = {s: truth["uninformative"] for s, truth in corpus.truth["sessions"].items()}
        for row in told[1].itertuples():
            assert row.uninformative == planted[row.session]

    def test_nothing_is_scored_where_nothing_is_planted(self, asked, units, state, networks,
                                                       corpus, monkeypatch):
        monkeypatch.setattr(corpus, "truth", None)
        facts, weights = asked.gates_and_experts(networks, units, state, corpus, None)
        assert facts == {"gate": [], "twins": [], "router": []}
        assert len(weights)
        assert asked.attributions(networks, units, state, corpus).empty

    def test_without_a_gate_there_is_no_score_of_one(self, asked, units, state, corpus, vlogs):
        changed = vars(asked.p) | {"gate": "mean", "router_level": "sequence"}
        other = dynmultidep.Paper(changed)
        network = other.network(other.prepare(units, units.rows("train")), 0).eval()
        facts, _ = other.gates_and_experts({"trained": network}, units, state, corpus,
                                           lambda *a, **k: twins(2, a[1], seconds=60, **k))
        assert facts["gate"] == facts["router"] == []
        assert len(facts["twins"]) == 2


def test_attribution_is_scored_for_every_network_sense_and_cue(asked, units, state, networks,
                                                              corpus):
    table = asked.attributions(networks, units, state, corpus, most=1)
    assert len(table) == 2 * 2 * 2
    assert table["concentration"].dropna().ge(0).all()


def test_growth_is_the_ratio_of_costs():
    costs = pd.DataFrame([{"method": method, "steps": steps, "milliseconds": cost}
                          for method, of_steps in (("scan", (2, 6)), ("attention", (1, 9)))
                          for steps, cost in zip((1200, 3600), of_steps, strict=True)])
    table = dynmultidep.growth(costs)
    assert table["method"].tolist() == ["scan", "attention"]
    assert table.iloc[:, 1].tolist() == [3, 9]


class TestReleased:
    def test_halves_take_face_for_voice(self):
        joined = torch.arange(161.0).expand(1, 2, 161)
        first, second = released.released_halves(joined)
        assert (first.shape[2], second.shape[2]) == (80, 81)
        torch.testing.assert_close(torch.cat([first, second], 2), joined)

    def test_the_score_is_the_mean_of_four_and_high_for_always_depressed(self):
        truth = np.array([1, 1, 1, 0])
        measured = classification(truth, np.ones(4))
        assert released.released_score(measured) == pytest.approx(
            np.mean([0.75, 0.75, 1, 2 * 0.75 / 1.75]))
        predictions = pd.DataFrame({"split": ["test"] + ["validation"] * 4,
                                    "y_true": [0, *truth]})
        table = released.scores_without_skill(predictions, draws=5)
        assert table["released score"][0] == pytest.approx(released.released_score(measured))
        assert table["released score"][1] < 1

    def test_only_long_vlogs_count_several_times(self):
        vlogs = pd.DataFrame({"session": [f"s{i}" for i in range(8)],
                              "seconds": [100] * 2 + [200] * 2 + [400] * 2 + [4000] * 2,
                              "group": ["control"] * 6 + ["depressed"] * 2})
        vlogs["seconds"] += np.arange(8)
        table, of_vlogs, of_items = released.crop_counts(vlogs, 0, 500)
        assert table["vlogs"].tolist() == [2] * 4
        assert table["items"].tolist()[:3] == [2] * 3
        assert table["items"].iloc[3] > 2
        assert of_vlogs == 0.25
        assert of_items == pytest.approx(table["items"].iloc[3] / table["items"].sum())


class TestParts:
    """What cannot be judged is refused before features are read."""

    @pytest.mark.parametrize("part", ["train", "test"])
    def test_of_one_class_only(self, asked, corpus, part, monkeypatch):
        monkeypatch.setattr(asked, "extract", None)
        split = asked.split(corpus)
        labels = corpus.sessions.set_index("session")["label"]
        split = split[(split != part) | (labels[split.index] == 0)]
        with pytest.raises(ValueError, match=f"the part {part} has sessions of one class only, so "
                                             "that nothing can be told apart"):
            asked.features(corpus, split)

    def test_without_a_session(self, asked, corpus, monkeypatch):
        monkeypatch.setattr(asked, "extract", None)
        split = asked.split(corpus)
        with pytest.raises(ValueError, match="no usable session in validation and test"):
            asked.features(corpus, split[split == "train"])
        corpus.check_parts(split[split != "validation"], "as_published", both=True)


class TestOwnSound:
    """Videos whose sound lies in them, as people have it."""

    @pytest.fixture(scope="class")
    @staticmethod
    def folder(recorded, tmp_path_factory):
        folder, video = (tmp_path_factory.mktemp("mine"),
                         sorted(recorded["dvlog"].rglob("*.mp4"))[0])
        films.with_sound(video, video.with_suffix(".wav"), folder / "own.mp4")
        for name in ("mute.mp4", "beside.mp4"):
            shutil.copy(video, folder / name)
        shutil.copy(video.with_suffix(".wav"), folder / "beside.wav")
        return folder

    def test_is_read_where_none_lies_beside(self, asked, folder):
        files, passed = asked.recordings_and_rest(str(folder))
        assert not passed
        assert asked.sounds(files) == ("Videos of which the own sound is read: 2; the sound file "
                                       "of their name beside them: 1. ")
        units, problems = asked.unlabelled(files)
        own, beside = (units.data["arrays"][name]["acoustic"] for name in ("own.mp4", "beside.mp4"))
        assert own.shape == beside.shape
        assert np.abs(own[:, :10] - beside[:, :10]).mean() < 0.2 * beside[:, :10].std()
        assert list(problems) == ["mute.mp4"]
        assert problems["mute.mp4"].startswith(
            "there is no sound file of its name beside it, and its own sound is: ")

    def test_is_what_cfrafn_hears_of_a_video(self, cache, folder):
        heard = cfrafn.Paper(vars(paper.settings("cfrafn", cache_dir=str(cache), workers=1,
                                                 vggish_weights="none")))
        files, passed = heard.recordings_and_rest(str(folder))
        assert list(files) == ["beside.wav", "mute.mp4", "own.mp4"]
        assert list(passed) == ["beside.mp4"]
        units, problems = heard.unlabelled(files)
        assert list(problems) == ["mute.mp4"]
        beside, own = units.data["egemaps"]
        assert np.corrcoef(np.sign(beside) * np.log1p(abs(beside)),
                           np.sign(own) * np.log1p(abs(own)))[0, 1] > 0.98
