import numpy as np
import pytest

from depnb.simulation import severity


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


def test_effect_moves_cues_and_nothing_else():
    rng = np.random.default_rng
    z = rng(0).standard_normal(5000)
    with_effect, without = (severity.cues(z, ["smile", "head"], effect, rng(1)) for effect in (1.0, 0.0))
    assert np.corrcoef(z, with_effect["smile"])[0, 1] == pytest.approx(0.75, abs=0.03)
    assert abs(np.corrcoef(z, without["smile"])[0, 1]) < 0.05
    assert np.allclose(with_effect - without, 0.75 * z[:, None])


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
    assert table.groupby(patients)["gender"].agg(lambda g: (g == "female").mean()).tolist() == [0.5, 0.5]
    assert abs(np.corrcoef(table["participant"], patients)[0, 1]) < 0.2            # the number does not tell
    assert table["severity"][patients].min() > -0.5


@pytest.mark.parametrize("participants", [2, 3, 4, 7])
def test_few_participants_still_make_two_groups(participants):
    table = severity.case_control(participants, seed=0)
    assert len(table) == participants
    assert (table["phq8_total"] >= 10).nunique() == 2
    with pytest.raises(ValueError, match="participants: 1"):
        severity.case_control(1, seed=0)
