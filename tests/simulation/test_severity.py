import re

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from depnb.corpora.simulated import checked_effect
from depnb.simulation import effects, face, severity, voice
from tests.paths import ROOT


def test_scores_have_the_distributions_of_the_real_corpora():
    table = severity.cohort(20_000, seed=0)
    assert table["bdi2"].between(0, 63).all()
    assert table["bdi2"].mean() == pytest.approx(15.0, abs=0.4)         # AVEC 2014
    assert table["bdi2"].std() == pytest.approx(12.0, abs=0.5)
    assert table["phq8_total"].between(0, 24).all()
    assert (table["phq8_total"] >= 10).mean() == pytest.approx(0.27, abs=0.04)      # DAIC-WOZ: 0.28
    assert np.corrcoef(table["severity"], table["bdi2"])[0, 1] > 0.88
    items = table.filter(regex="phq8_(?!total)")
    assert items.shape[1] == 8
    assert items.isin(range(4)).all().all()
    assert (items.corr().to_numpy() > 0.2).all()
    assert (items.sum(axis=1) == table["phq8_total"]).all()


def test_returning_participants_come_back_in_another_split():
    table = severity.cohort(160, seed=3)
    assert table["session"].is_unique
    assert table.groupby("participant")["split"].nunique().max() == 2
    twice = table[table["participant"].duplicated(keep=False)]
    assert (twice.groupby("participant")["split"].nunique() == 2).all()
    counts = table["split"].value_counts()
    assert counts.max() - counts.min() <= 1


def standardised_difference(values, depressed):
    """Cohen's d with the mean of both groups' variances."""
    one, other = values[depressed], values[~depressed]
    return (one.mean() - other.mean()) / np.sqrt((one.var() + other.var()) / 2)


RECRUITED = [pytest.param(("study",), lambda: severity.cohort(6000, 1, returning=False),
                          id="everyone"),
             pytest.param(("study", severity.HEALTHY), lambda: severity.case_control(4000, 1),
                          id="cases and controls"),
             pytest.param(("general",), lambda: severity.case_control(20_000, 1, sample="general"),
                          id="general")]
CUES = ("pauses", "smile", "brow", "slow_visual", "sleep")


@pytest.mark.parametrize(("recruited", "people"), RECRUITED)
@pytest.mark.parametrize("effect", [0, 1.0, 3.0, "literature"])
def test_groups_differ_by_the_planted_d_however_they_were_recruited(recruited, people, effect):
    people = people()
    depressed = people["phq8_total"] >= 10
    latent, planted = severity.cues(people, CUES, effect, 1, recruited)
    assert effect != 1 or all(
        set(d.values()) == {effects.EASY_ITEM if name in effects.ITEMS else effects.EASY}
        for name, d in planted.items())
    assert effect != 0 or all(d == {"female": 0.0, "male": 0.0} for d in planted.values())
    for name, of_gender in planted.items():
        for gender, d in of_gender.items():
            some = people["gender"] == gender
            measured = standardised_difference(latent[name][some], depressed[some])
            assert measured == pytest.approx(d, abs=0.13 + 0.12 * d), (name, gender)


def test_the_effect_moves_cues_and_leaves_habits():
    people = severity.cohort(3000, seed=0)
    with_effect, without = (severity.cues(people, CUES, effect, 0)[0] for effect in (1, 0))
    moved = with_effect - without
    assert abs(np.corrcoef(people["severity"], without["smile"])[0, 1]) < 0.06
    assert np.corrcoef(people["severity"], moved["smile"])[0, 1] == pytest.approx(1)
    assert np.corrcoef(people["phq8_sleep"], moved["sleep"])[0, 1] == pytest.approx(1)
    again = people["participant"].duplicated(keep=False)
    habits = without[again].groupby(people["participant"][again])
    assert again.sum() > 100
    assert (habits.nunique() == 1).all().all()              # who returns is the same person


def test_cues_of_a_person_go_together_within_a_group():
    people = severity.case_control(4000, seed=0)
    latent, _ = severity.cues(people, CUES, 0, 0)
    related = latent.corr().to_numpy()[np.triu_indices(len(CUES), 1)]
    assert related == pytest.approx(effects.SHARED, abs=0.06)


@pytest.mark.parametrize("sample", severity.SAMPLES)
def test_the_words_are_together_as_clear_as_any_other_cue(sample):
    people = severity.cohort(40_000, seed=0, returning=False, sample=sample)
    latent, _ = severity.cues(people, effects.ITEMS, 1.0, 0, (sample,))
    d = standardised_difference(latent.mean(axis=1), people["phq8_total"] >= 10)
    assert d == pytest.approx(effects.EASY, abs=0.07)


def test_what_is_made_of_cues_has_their_habits():
    people = severity.case_control(4000, seed=0)
    latent, _ = severity.cues(people, ("smile", "gaze", "short_visual"), 0, 0,
                              made={"short_visual": ("smile", "gaze")})
    assert latent["short_visual"].std() == pytest.approx(1, abs=0.05)
    assert latent.corr().loc["smile", "short_visual"] > 0.6


def test_what_is_not_settled_differs_between_corpora():
    people = severity.case_control(40, seed=0)
    planted = [severity.cues(people, ("intonation", "pauses", "brow"), "literature", seed)[1]
               for seed in range(40)]
    drawn = [d["intonation"]["female"] for d in planted]
    low, high = effects.LITERATURE["intonation"][2:4]
    assert min(drawn) < 0 < max(drawn)
    assert low <= min(drawn)
    assert max(drawn) <= high
    assert {d["pauses"]["male"] for d in planted} == {effects.LITERATURE["pauses"].d}
    assert {tuple(d["brow"].values()) for d in planted} == {(-0.2, 0.3)}


def test_all_cues_of_the_literature_tell_groups_apart_as_published():
    sizes = [size.d for name, size in effects.LITERATURE.items()
             if name in (*voice.CUES, *face.CUES, *severity.PHQ8_ITEMS)]
    assert effects.best_linear(sizes) == pytest.approx(0.75, abs=0.02)
    people = severity.case_control(20_000, seed=2, highest=severity.MOST)
    depressed = (people["phq8_total"] >= 10).to_numpy()
    latent, planted = severity.cues(people, voice.CUES, "literature", 3)
    rule = LinearDiscriminantAnalysis().fit(latent, depressed).decision_function(latent)
    d = [of_gender["female"] for of_gender in planted.values()]
    assert roc_auc_score(depressed, rule) == pytest.approx(effects.best_linear(d), abs=0.02)


@pytest.mark.parametrize("sample", severity.SAMPLES)
@pytest.mark.parametrize("effect", [1.0, 3.0])
def test_a_cue_is_no_clearer_than_what_moves_it(sample, effect):
    people = severity.cohort(4000, seed=0, sample=sample)
    latent, planted = severity.cues(people, severity.PHQ8_ITEMS, effect, 0, (sample,))
    assert latent.abs().to_numpy().max() < 40
    for name, (apart, within, _) in severity.groups(sample).items():
        if name in planted:
            assert planted[name]["female"] < apart / np.sqrt(within)


@pytest.mark.parametrize("effect", ["strong", -0.1, 3.1, float("nan"), None, True, "Literature"])
def test_an_effect_is_a_number_from_0_to_3_or_literature(effect):
    with pytest.raises(ValueError, match=re.escape(f"effect {effect!r}: expected a number")):
        checked_effect(effect)


def test_an_effect_may_come_as_a_text():
    assert checked_effect("1") == 1.0
    assert checked_effect("literature") == "literature"


def test_samples_are_as_ill_as_they_are_elsewhere():
    general, clinical = (severity.cohort(20_000, 0, sample=name) for name in ("general",
                                                                              "clinical"))
    assert (general["phq8_total"] >= 10).mean() == pytest.approx(0.086, abs=0.01)
    assert clinical["bdi2"].mean() == pytest.approx(22.45, abs=0.6)
    assert clinical["bdi2"].std() == pytest.approx(12.75, abs=1.5)


def test_who_somebody_is_says_nothing_about_severity():
    table = severity.cohort(8000, seed=0, returning=False)
    tone, female = table["skin_tone"], (table["gender"] == "female").astype(float)
    for other in (table["severity"], table["phq8_total"], table["age"]):
        assert abs(np.corrcoef(tone, other)[0, 1]) < 0.04
        assert abs(np.corrcoef(female, other)[0, 1]) < 0.04
    assert abs(np.corrcoef(tone, female)[0, 1]) < 0.04


def test_splits_are_alike_in_gender_and_class():
    table = severity.cohort(160, seed=3, returning=False)
    strata = [table["phq8_total"] >= 10, table["gender"]]
    counts = table.groupby([*strata, "split"]).size().unstack()
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


def test_labels_do_not_depend_on_anything_but_the_seed():
    assert severity.cohort(30, seed=5).equals(severity.cohort(30, seed=5))
    assert not severity.cohort(30, seed=5)["bdi2"].equals(severity.cohort(30, seed=6)["bdi2"])


def test_two_participants_are_too_few():
    with pytest.raises(ValueError, match="participants: 2"):
        severity.cohort(2, seed=0)


def test_patients_and_healthy_controls_are_recruited():
    table = severity.case_control(110, seed=0)
    patients = table["phq8_total"] >= 10
    assert table["participant"].is_unique
    assert len(table) == 110
    assert patients.sum() == 50                                         # 45 %
    assert table.loc[~patients, "phq8_total"].max() == 4
    shares = [(severity.case_control(110, seed)["gender"] == "female").sum() for seed in range(9)]
    assert len({*shares}) > 3                                           # no quota
    assert np.mean(shares) == pytest.approx(55, abs=5)
    assert abs(np.corrcoef(table["participant"], patients)[0, 1]) < 0.2  # the number does not tell
    assert table["severity"][patients].min() > -0.5


@pytest.mark.parametrize("participants", [2, 3, 4, 7])
def test_few_participants_still_make_two_groups(participants):
    table = severity.case_control(participants, seed=0)
    assert len(table) == participants
    assert (table["phq8_total"] >= 10).nunique() == 2
    with pytest.raises(ValueError, match="participants: 1"):
        severity.case_control(1, seed=0)


@pytest.mark.parametrize("chapter", ["sta_drn", "cfrafn", "aafn", "dynmultidep"])
def test_a_chapter_says_how_easy_its_corpus_is(chapter):
    told = (ROOT / f"notebooks/{chapter}.ipynb").read_text()
    sizes = [effects.LITERATURE[name].d for name in (*voice.CUES, *face.CUES)]
    assert f"(Cohen's $d$ = {effects.EASY:g}), where the literature has {min(sizes):g} to " \
           f"{max(sizes):g}" in told
