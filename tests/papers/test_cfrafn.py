"""What the chapter on CFRAFN asks its paper: of invented features, without a sound."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from depnb import corpora
from depnb.corpora.sound import AudioError
from depnb.features import speech
from depnb.models import cfrafn
from depnb.papers import paper
from depnb.papers.cfrafn import Paper, concentrations, gate_in_words, idle_taps
from depnb.papers.released.cfrafn import (
    compared_intervals,
    shared_in_words,
    shared_voices,
)
from depnb.scores import report
from depnb.simulation import voice
from tests.paths import ROOT

NAMES = speech.egemaps_names()
PLANTED = NAMES[:4]


class Corpus:
    """As much of a corpus as is asked for: 20 people, two recordings each, half of them depressed.

    Those named `silent` cannot be read.
    """

    name = "speech_folder"

    def __init__(self, silent=()):
        people = np.repeat([f"p{i:02d}" for i in range(20)], 2)
        self.sessions = pd.DataFrame({"session": [f"s{i:02d}" for i in range(40)],
                                      "participant": people,
                                      "label": np.repeat(np.arange(20) % 2, 2)})
        self.silent = silent
        self.truth = {"controls": {"pitch": {"egemaps": PLANTED}, "jitter": {"egemaps": []}}}

    def files(self):
        return {f"{session}/recording": session for session in self.sessions["session"]}

    def __getitem__(self, session):
        return Recording(session in self.silent)


class Recording:
    def __init__(self, silent):
        self.silent = silent

    def waveform(self):
        if self.silent:
            raise AudioError("is silent.")
        return np.sin(np.arange(16000) / 20).astype(np.float32), 16000


@pytest.fixture
def asked():
    return Paper(vars(paper.settings("cfrafn", transformed_width=8, conv_width=4,
                                     classifier_width=4)))


@pytest.fixture
def units():
    """Features of the corpus: noise, in which the planted functionals follow the label."""
    rng = np.random.default_rng(0)
    table = Corpus().sessions.assign(recording=lambda t: t["session"] + "/recording", unit=0,
                                     split=np.repeat(["train"] * 11 + ["validation"] * 5
                                                     + ["test"] * 4, 2))
    egemaps = rng.standard_normal((40, 88)).astype(np.float32)
    egemaps[:, :4] += 3 * table["label"].to_numpy()[:, None]
    data = {"egemaps": egemaps, "vggish": rng.standard_normal((40, 128)).astype(np.float32)}
    data["versions"] = [{key: data[key][i:i + 1] for key in ("egemaps", "vggish")}
                        for i in range(40)]
    return paper.Units(table, data, {"second": "vggish"})


@pytest.fixture
def state(asked, units):
    return asked.prepare(units, units.rows("train"))


@pytest.fixture
def network(asked, state):
    return asked.network(state, 0).eval()


def test_the_report_is_that_of_test_recordings_and_a_constant_that_knows_the_training_people(
    asked, units, state, network):
    predictions = asked.judged(network, units, state)
    own = asked.report(predictions, units)
    released = own["by_unit"].pop("released_intervals")
    tested = predictions[predictions["split"] == "test"]
    np.testing.assert_equal(own, report.binary(tested, "recording", 5 / 11))
    assert set(released) <= set(own["by_unit"])
    columns = compared_intervals(own["by_unit"] | {"released_intervals": released})
    assert columns["metric"].tolist() == list(released)


def test_facts_are_of_the_network_that_was_judged(asked, units, state, network):
    facts = asked.facts_of(network, units, state, {"expansion": 2})
    assert facts["parameters"] == sum(p.numel() for p in network.parameters())
    assert facts["validation"] == asked.validation(network, units, state)
    assert facts["searched"] == {"expansion": 2}
    assert facts["train_prevalence"] == pytest.approx(5 / 11)


class TestGate:
    def test_alpha_is_what_the_gate_says_and_moved_what_it_changes(self, asked, units, state,
                                                                   network):
        with torch.no_grad():
            network.gate.score.bias.fill_(10.0)                         # alpha near 0.73
        table = asked.gate(network, units, state)
        inputs = asked.inputs(units, units.rows("test"), state)
        e, v = network.egemaps_branch(inputs["egemaps"]), network.vggish_branch(inputs["vggish"])
        np.testing.assert_array_equal(table["alpha"], network.gate(e, v)[:, 0].detach())
        assert table["alpha"].between(0.6, 0.8).all()
        assert (table["moved"] > 0).all()
        assert network.gate.fixed is None

    def test_one_that_is_fixed_at_one_half_moves_nothing(self, asked, units, state, network):
        network.gate.fixed = 0.5
        assert not asked.gate(network, units, state)["moved"].any()

    def test_a_network_without_one_has_no_rows(self, asked, units, state):
        table = asked.gate(cfrafn.build("dual_cnn"), units, state)
        assert table.empty
        assert gate_in_words(table) == "This network has no gate."

    def test_in_words_nine_of_ten_are_within(self):
        table = pd.DataFrame({"alpha": np.linspace(0.4, 0.6, 101),
                              "moved": np.linspace(0, 0.1, 101)})
        assert gate_in_words(table) == (
            "alpha from 0.410 to 0.590 in nine of ten recordings; fixed at 0.5, nine of ten "
            "probabilities move by at most 0.090")


def test_the_first_recording_that_can_be_read_is_heard(asked):
    steps = asked.preprocessed(Corpus(silent=("s00", "s01")))
    assert next(iter(steps)) == "recording"
    with pytest.raises(ValueError, match="no recording can be read"):
        asked.preprocessed(Corpus(silent=Corpus().sessions["session"].tolist()))


def test_group_differences_are_of_training_participants(asked, units):
    effects = asked.effects(units)
    assert set(effects.abs().nlargest(4).index) == set(PLANTED)
    outside = units.table["split"].to_numpy() != "train"
    units.data["egemaps"][outside] = np.nan
    pd.testing.assert_series_equal(asked.effects(units), effects)


class TestColumns:
    def test_own_is_by_name_and_by_position_is_the_sorted_list(self, asked, units):
        table = asked.columns(units)
        assert table.index.tolist() == NAMES
        assert table["by_position"].is_monotonic_decreasing
        np.testing.assert_array_equal(table["own"][table["listed"]], table["by_position"])

    def test_the_authors_list_is_read_where_it_is_named(self, asked, units, tmp_path):
        asked.p.importances = str(tmp_path / "list.csv")
        pd.DataFrame({"importance": np.linspace(2, 0, 88) / 88}, NAMES[::-1]).to_csv(
            asked.p.importances)
        assert asked.columns(units)["listed"].tolist() == NAMES[::-1]


class TestAttributions:
    def test_a_network_that_reads_planted_functionals_is_concentrated_on_them(self, asked, units,
                                                                              state, network):
        with torch.no_grad():
            network.egemaps_transform.weight[:, 4:] = 0
        strengths = asked.attributed({"trained": network}, units, state)
        scores = concentrations(strengths, Corpus()).set_index("cue")
        assert scores.loc["pitch", "concentration"] == pytest.approx(88 / 4)
        assert scores.loc["any", "functionals"] == 4
        assert np.isnan(scores.loc["jitter", "concentration"])          # nothing answers to it

    def test_where_nothing_is_planted_or_read_there_are_no_rows(self):
        strengths = pd.DataFrame({"trained": np.zeros(88)}, NAMES)
        assert concentrations(strengths, Corpus()).empty
        people = Corpus()
        people.truth = None
        assert concentrations(strengths + 1, people).empty


def test_what_preprocessing_takes_out_is_planted_and_shares_its_functionals(asked):
    for normalise, silence, names in ((True, "remove", {"loudness", "pause_length", "pause_share"}),
                                      (True, "ends", {"loudness"}), (False, "keep", set())):
        asked.p.normalise, asked.p.silence = normalise, silence
        assert set(asked.removed()) == names <= voice.TRUTH.keys()
    moves = {name: set(control["egemaps"]) for name, control in voice.TRUTH.items()}
    left = [moves[name] for name in moves.keys() - {"loudness", "pause_length", "pause_share"}]
    others = moves["tilt"] | moves["emphasis"] | moves["rate"]
    assert len(moves["loudness"] & others) > len(moves["loudness"]) / 2
    assert len(moves["pause_share"] & set().union(*left)) >= len(moves["pause_share"]) / 2
    assert max(left, key=lambda some: len(some & moves["pause_share"])) == moves["emphasis"]


def test_the_chapter_counts_the_planted_properties_right():
    chapter = (ROOT / "notebooks/cfrafn.ipynb").read_text()
    numbers = {10: "ten", 11: "eleven", 12: "twelve"}
    assert (f"{numbers[len(voice.TRUTH)]} properties follow a latent severity "
            f"({numbers[len(voice.CUES)]} cues, ") in chapter


def test_idle_taps_are_those_whose_weight_changes_no_answer(units, asked, state, network):
    inputs = asked.inputs(units, units.rows("test"), state)
    before, changed = network(**inputs), 0
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, cfrafn.LengthOneConv) and module.kernel_size == (3,):
                module.weight[:, :, [0, 2]] += 100
                changed += module.weight[:, :, [0, 2]].numel()
    assert torch.equal(network(**inputs), before)
    assert idle_taps(network) == changed > 0


def test_a_split_by_file_shares_voices():
    shared, tested = shared_voices(Corpus())
    assert 0 < shared <= tested <= 8


def test_voices_of_whom_nobody_told_whose_they_are_are_not_said_to_be_apart(voices, tmp_path):
    tree = shutil.copytree(voices, tmp_path / "voices")
    told = shared_in_words(corpora.open("speech_folder", tree))
    assert re.fullmatch(r"\d+ of \d+ test voices are also in training", told)
    (tree / "participants.csv").unlink()
    corpus = corpora.open("speech_folder", tree)
    assert not corpus.people_known
    assert shared_in_words(corpus).startswith(
        "how many test voices are also in training is not known, because nobody told who speaks")
    assert corpora.open("speech_folder", tree, pattern=r"^(\d+)_").people_known
