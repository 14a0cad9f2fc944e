"""The table of sizes on the page of simulated corpora, and the benchmark that makes it."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import effects as benchmark
from depnb.corpora.simulated import VERSION
from depnb.evidence.baselines import BASELINES
from depnb.papers.cards import cards
from depnb.simulation import effects, face, severity, vlog, voice

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book/guide/simulated_corpora.md").read_text(encoding="utf-8")
NUMBER = r"-?\d+\.\d\d"
MEASURED = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
WORDS = ["words about an item, mean of eight", "words about all items"]


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(ROOT / "book/data/effects.csv", dtype=str).set_index("cue")


def test_every_cue_has_a_row(table):
    assert sorted(table.index) == sorted([*voice.CUES, *face.CUES, *vlog.CUES, *WORDS])
    assert {*benchmark.FEATURES} == {*effects.LITERATURE}


def test_the_table_tells_what_is_planted_and_published(table):
    for cue, row in table.drop(WORDS[1]).iterrows():
        size = effects.LITERATURE["sleep" if cue in WORDS else cue]
        assert float(row["planted at effect 1"]) == (effects.EASY_ITEM if cue in WORDS
                                                     else effects.EASY)
        assert row["with depression"] == size.direction
        assert (row["sign"] == "not settled") == (not size.settled)
        assert (row["sign"] == "no difference") == (size.settled and size.d == 0)
        assert (row["source"] == "assumed") == (not size.source)
        numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", row["literature"])]
        if size.women is not None:
            assert numbers == [size.women, size.men]
        elif size.settled:
            assert numbers == [size.d, size.low, size.high]
        else:
            assert numbers[:2] == [size.low, size.high]
            drawn = effects.planted("literature", cue, ["male"], benchmark.SEED, 1, 1)[0]
            assert numbers[2] == pytest.approx(drawn, abs=0.006)


def test_words_are_planted_as_the_cues_of_their_items_are(table):
    an_item = float(table.loc[WORDS[0], "planted at effect 1"])
    assert an_item == pytest.approx(benchmark.planted(effects.ITEMS), abs=0.006)
    row = table.loc[WORDS[1]]
    for column, effect in (("planted at effect 1", 1.0), ("literature", "literature")):
        assert float(row[column]) == pytest.approx(benchmark.together(effect), abs=0.006)


def test_measured_numbers_come_with_intervals_from_one_run(table):
    easy, literature = table["measured at effect 1"], table["measured at literature"]
    assert easy.str.fullmatch(MEASURED).all()
    assert literature.drop("brow").str.fullmatch(MEASURED).all()
    assert re.fullmatch(f"women {MEASURED}, men {MEASURED}", literature["brow"])
    run = yaml.safe_load((ROOT / "book/data/effects.yaml").read_text())
    assert run["seed"] == benchmark.SEED
    assert run["simulator"] == VERSION
    assert set(run["seconds of this call"]) == {*benchmark.EXTRACT}


def test_the_page_names_the_best_linear_rule():
    sizes = [size.d for cue, size in effects.LITERATURE.items() if cue not in vlog.CUES]
    assert f"AUC of {effects.best_linear(sizes):.2f}," in PAGE
    drawn = [effects.best_linear([effects.planted("literature", cue, [gender], seed, 1, 1)[0]
                                  for cue in effects.LITERATURE if cue not in vlog.CUES])
             for seed in range(200) for gender in benchmark.GENDERS]
    assert f"from {min(drawn):.2f} to {max(drawn):.2f} in 200 corpora" in PAGE
    assert f"correlate by {effects.SHARED:g}" in PAGE
    assert f"a $d$ of {effects.EASY:g}" in PAGE
    assert f"have a $d$ of {effects.EASY_ITEM:g}" in PAGE


def test_the_page_tells_how_ill_a_clinical_sample_is():
    bdi2 = severity.cohort(100_000, 0, returning=False, sample="clinical")["bdi2"]
    assert f"mean BDI-II {bdi2.mean():.1f} (standard deviation {bdi2.std():.1f})" in PAGE


def test_the_table_of_models_has_every_model_at_three_sizes_of_the_cues():
    models = pd.read_csv(ROOT / "book/data/effects_models.csv", dtype=str).set_index("AUC of")
    assert list(models.columns) == ["effect 1", "effect literature", "effect 0"]
    titles = [card.title for card in cards().values()] + [kind.title
                                                          for kind in BASELINES.values()]
    assert set(models.index) == {*titles, "constant", "oracle, face", "oracle, voice",
                                 "oracle, interview", "oracle, vlog"}
    known = models.stack().str.extract(r"^(\d\.\d\d) \((\d\.\d\d) to (\d\.\d\d)\)$")
    assert known.notna().all(axis=None)
    told = yaml.safe_load((ROOT / "book/data/effects_models.yaml").read_text())
    assert list(told) == ["1", "literature", "0"]
    assert len({tuple(run[name] for name in ("participants", "folds", "seeds", "cohort_seed"))
                for run in told.values()}) == 1


def test_the_table_of_identity_is_of_the_null_corpus_of_its_page():
    table = pd.read_csv(ROOT / "book/data/identity.csv", dtype=str)
    assert list(table.columns) == ["epoch", "apart", "on both sides", "difference"]
    assert list(table["epoch"]) == ["1", "2", "4", "8", "16", "32"]
    assert (table["difference"].str.fullmatch(r"[+-]0\.\d\d \([+-]0\.\d\d to [+-]0\.\d\d\)")).all()
    run = yaml.safe_load((ROOT / "book/data/identity.yaml").read_text())
    assert (run["paper"], run["effect"], run["simulator"]) == ("sta_drn", 0, VERSION)


def test_sources_are_those_of_the_bibliography():
    assert benchmark.source("") == "assumed"
    assert benchmark.source("mundt2007voice") == "Mundt et al. 2007"
    assert benchmark.source("edwards2017meta") == "Edwards and Holtzman 2017"


def test_differences_are_taken_within_gender():
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"gender": np.repeat(["female", "male"], 4000),
                           "depressed": np.tile([True, False, False, False], 2000)})
    values = rng.standard_normal((8000, 1)) + 5 * (people[["gender"]] == "male").to_numpy()
    values += np.where(people["gender"] == "male", 1, 0.5)[:, None] * people[["depressed"]]
    d = benchmark.differences(values.to_numpy(), people.groupby(["gender", "depressed"]).indices)
    assert d["female"] == pytest.approx(0.5, abs=0.1)
    assert d["male"] == pytest.approx(1, abs=0.1)


def test_the_benchmark_measures_a_small_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESAMPLED", 50)
    rows = benchmark.rows_of("dvlog", tmp_path, 24, 1)
    assert [row["cue"] for row in rows] == [*vlog.CUES]
    for row in rows:
        assert re.fullmatch(MEASURED, row["measured at effect 1"])
        assert re.fullmatch(MEASURED, row["measured at literature"])
    measured = [float(row["measured at effect 1"].split()[0]) for row in rows]
    assert np.mean(measured) > 0.4
    marker = json.loads((tmp_path / "dvlog_1/SIMULATED.json").read_text())
    assert {*marker["planted"]} == {*vlog.CUES}
    before = (tmp_path / "dvlog_1/SIMULATED.json").stat().st_mtime_ns
    assert benchmark.rows_of("dvlog", tmp_path, 24, 1) == rows
    assert (tmp_path / "dvlog_1/SIMULATED.json").stat().st_mtime_ns == before


def test_words_are_measured_in_transcripts(tmp_path):
    truth = benchmark.written("daic_woz", tmp_path / "words", 6, 1.0, 1)
    features = benchmark.words(tmp_path / "words", truth)
    usable = [facts for facts in truth["sessions"].values()
              if not (facts["degraded"] and facts["degraded"]["modality"] == "text")]
    assert len(features) == len(usable)
    assert features.to_numpy().min() >= 0
    assert features.to_numpy().max() <= 1
    assert {*severity.PHQ8_ITEMS} < {*features}


def test_too_few_participants_are_refused():
    people = pd.DataFrame({"gender": ["female"] * 4, "depressed": [True, False] * 2})
    with pytest.raises(ValueError, match="4 participants: a group has fewer than two women or men"):
        benchmark.measured(np.zeros((4, 1)), people)
