"""What the chapter on AAFN asks of its paper beside training: the report, what damage costs, what
the fusion weighs and which sentences count, on the small cohort.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from depnb.evidence.pipeline import opened
from depnb.models.aafn import AAFN
from depnb.papers.aafn import Paper, damaged_on_purpose, inside_a_head, weighs
from depnb.papers.paper import ITEMS, of_chapter
from depnb.scores.items import items_by_participant
from tests.papermilled import TINY_INTERVIEWS

PARTS = np.array(["train", "train", "validation", "test"])


@pytest.fixture(scope="module")
def asked(models):
    return models["aafn"].paper


@pytest.fixture(scope="module")
def units(models, cohort):
    people = cohort.people.index
    part = pd.Series(np.resize(PARTS, len(people)), people)
    owners = models["aafn"].table["participant"]
    return models["aafn"].labelled(cohort.people, part.reindex(owners).to_numpy())


@pytest.fixture(scope="module")
def state(asked, units):
    return asked.prepare(units, units.rows("train"))


@pytest.fixture(scope="module")
def networks(asked, state):
    return {name: asked.network(state, seed).eval()
            for seed, name in enumerate(("trained", "other"))}


@pytest.fixture(scope="module")
def predictions(asked, units, state, networks):
    return asked.judged(networks["trained"], units, state)


class TestReport:
    def test_training_windows_are_judged_too_and_tell_the_constant(self, asked, units, predictions):
        assert set(predictions["split"]) == {"train", "validation", "test"}
        report = asked.report(predictions, units)
        train = items_by_participant(predictions.query("split == 'train'"))
        test = items_by_participant(predictions.query("split == 'test'"))
        assert report["constant"]["by_participant"]["mae"] == pytest.approx(
            (test["y_true"] - train["y_true"].mean()).abs().mean())
        assert report["by_participant"]["participants"] == len(test)
        assert report["by_unit"]["units"] == len(units.rows("test"))

    def test_a_part_without_windows_is_left_out(self, asked, units, state, networks):
        fewer = units.parted(units.table.set_index("session")["split"].replace(
            "validation", "train").groupby(level=0).first())
        judged = asked.judged(networks["trained"], fewer, state)
        assert set(judged["split"]) == {"train", "test"}

    def test_facts_are_of_the_training_people_and_of_the_network(self, asked, units, state,
                                                                 networks, predictions):
        facts = asked.facts_of(networks["trained"], units, state, predictions)
        train = items_by_participant(predictions.query("split == 'train'"))
        assert facts["train_means"]["y_true"] == train["y_true"].mean()
        assert facts["choices"] == {}
        assert facts["embedding"] == 512
        assert facts["parameters"] == sum(q.numel() for q in networks["trained"].parameters())
        undamaged = {row["mae"] for row in facts["robustness"] if row["strength"] == 0}
        expected = asked.report(predictions, units)["by_participant"]["mae"]
        assert list(undamaged) == pytest.approx([expected], abs=1e-4)


class TestWeights:
    def test_are_shares_by_window_item_and_modality(self, asked, units, state, networks):
        rows = units.rows("test")
        weights = asked.answers(networks["trained"], units, rows, state, of=asked.weights)
        assert weights.shape == (len(rows), 8, 3)
        assert ((weights > 0) & (weights < 1)).all()
        by_item = asked.weights_by_item(networks, units, state)
        np.testing.assert_allclose(by_item["trained"], weights.mean(0).T, rtol=1e-6)
        assert not np.allclose(by_item["trained"], by_item["other"])

    @pytest.mark.parametrize("fusion", ["attention", "mean"])
    def test_of_one_block_for_all_items_there_are_none_by_item(self, asked, units, state, fusion):
        sizes = state["sizes"] | {"fusion": fusion}
        network = AAFN(**sizes).eval()
        assert weighs(network) == (fusion == "attention")
        assert asked.weights_by_item({"trained": network}, units, state) == {}

    def test_of_daf_there_are_none(self, state):
        assert not weighs(AAFN(**state["sizes"] | {"fuse": "daf"}))

    def test_sessions_that_were_damaged_are_compared_with_sound_ones(self, asked, units, state,
                                                                     networks):
        corpus = Corpus(units)
        noticed = asked.noticed(networks, corpus, units, state)
        assert noticed["network"].tolist() == ["trained"] * 3 + ["other"] * 3
        unseen = units.table[units.table["split"].isin(["validation", "test"])]["session"].unique()
        counts = damaged_on_purpose(corpus).reindex(unseen).value_counts()
        assert noticed.head(3).set_index("modality")["degraded sessions"].to_dict() == {
            sense: counts.get(sense, 0) for sense in asked.modalities}
        assert asked.noticed(networks, Corpus(None), units, state).empty


class Corpus:
    """Every second session has a broken microphone; of no units nothing is known."""

    def __init__(self, units):
        self.truth = units and {"sessions": {
            session: {"degraded": {"modality": "audio"} if number % 2 else None}
            for number, session in enumerate(units.table["session"].unique())}}


def test_what_a_head_fuses_follows_its_equation():
    torch.manual_seed(0)
    network = AAFN(conv_width=4, lstm_width=4, visual_layers=1, audio_layers=1, text_layers=1,
                   width=6, planes=2, base_width=128, dropout=0.0).eval()
    features = torch.rand(2, 3, 6)
    tensors = inside_a_head(network, features, head=3)
    x, y, z, a, v, b = (tensors[name] for name in "xyzavb")
    np.testing.assert_array_equal(x, features[0])
    np.testing.assert_allclose(z, a * y + (1 - a) * x, atol=1e-6)
    np.testing.assert_allclose(v, b * y + (1 - b) * x, atol=1e-6)
    assert np.abs(a - b).max() > 0
    np.testing.assert_allclose(a, 1 / (1 + np.exp(-tensors["L"] - tensors["G"])), atol=1e-6)
    assert np.ptp(tensors["G"]) == 0
    assert np.ptp(tensors["L"]) > 0


class TestSentences:
    def test_a_change_is_that_of_the_total_without_the_sentence(self, asked, units, state,
                                                                networks):
        inputs = asked.inputs(units, units.rows("test"), state)
        network = networks["trained"]
        with torch.inference_mode():
            changes = asked.sentence_changes(network, inputs)
            lacking = inputs | {"text": inputs["text"].clone()}
            lacking["text"][:, 4] = 0
            expected = np.abs(asked.scores(network, lacking, state)
                              - asked.scores(network, inputs, state))
        assert changes.shape == inputs["text"].shape[:2]
        np.testing.assert_allclose(changes[:, 4], expected, atol=1e-4)

    def test_are_scored_where_words_were_planted(self, asked, units, state, networks, small_cohort,
                                                 cache):
        corpus, _ = opened("daic_woz", small_cohort, None, cache)
        scores = asked.concentrations(networks, corpus, units, state)
        planted = [asked.marked(corpus, units, row) for row in units.rows("test")]
        assert scores["sentences"].tolist() == [sum(map(len, planted))] * 2
        assert scores["planted"].tolist() == [sum(map(sum, planted))] * 2
        assert (scores["concentration"] > 0).all()

    def test_without_truth_there_is_no_score(self, asked, units, state, networks):
        assert asked.concentrations(networks, Corpus(None), units, state).empty


def test_items_of_the_units_are_known(units):
    assert units.table[ITEMS].notna().all(axis=None)


class TestRefused:
    """What can do nothing, or would end in an error of a library, is refused in a sentence."""

    @pytest.fixture
    def chapter(self, interviews, cache):
        own = {"data_root": str(interviews), "cache_dir": str(cache), "gender_balance": True}
        return Paper(of_chapter("aafn") | TINY_INTERVIEWS | own)

    def test_a_balance_of_genders_that_nobody_told(self, chapter):
        corpus, training = chapter.open(None), pd.DataFrame({"gender": ["unknown"] * 3})
        with pytest.raises(ValueError, match="parameter gender_balance: DAIC-WOZ tells the gender "
                                             "of no training participant"):
            chapter.augment(corpus, {}, training)

    def test_a_test_part_without_scores(self, chapter, monkeypatch):
        monkeypatch.setattr(chapter, "extract", None)
        corpus = chapter.open(None)
        official = corpus.sessions.set_index("session")["split"]
        with pytest.raises(ValueError, match="no usable session in test"):
            chapter.features(corpus, official[official != "test"])

    def test_a_training_part_without_item_scores(self, chapter):
        corpus = chapter.open(None)
        official = corpus.sessions.set_index("session")["split"]
        chapter.p.gender_balance = False
        with pytest.raises(ValueError, match="no training participant has item scores"):
            chapter.features(corpus, official.replace({"train": "test", "test": "train"}))
