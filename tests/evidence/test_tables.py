"""Comparing models on one cohort: against scikit-learn, DeLong and brute force, coverage, edges."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from depnb.evidence import tables
from depnb.scores import auc, calibration

FEW = {"resamples": 300}


def made(models=None, people=60, seeds=2, folds=3, rng=0):
    """Out-of-fold scores: every fold has a scale and an offset of its own, as different networks
    have.
    """
    rng = np.random.default_rng(rng)
    y, shared, rows = np.arange(people) % 2, rng.standard_normal(people), []
    names = [f"P{i:03d}" for i in range(people)]
    for model, effect in (models or {"good": 2.0, "fair": 1.0, "null": 0.0}).items():
        for seed in range(seeds):
            fold = rng.permutation(people) % folds
            score = effect * y + shared + 0.5 * rng.standard_normal(people)
            rows.append(pd.DataFrame({"model": model, "seed": seed, "fold": fold, "participant":
                                      names, "y_true": y, "y_pred": (1 + fold) * score + fold}))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def table():
    return made()


class TestAuc:
    def test_is_that_of_ranks_within_folds_averaged_over_seeds(self, table):
        aucs = tables.auc_table(table, **FEW).set_index("model")
        assert list(aucs.index) == ["good", "fair", "null"]
        for model, rows in table.groupby("model"):
            each = []
            for _, one in rows.groupby("seed"):
                rank = (one.groupby("fold")["y_pred"].rank(pct=True)
                        - one.groupby("fold")["y_pred"].transform(lambda s: 0.5 / len(s)))
                each.append(roc_auc_score(one["y_true"], rank))
            assert aucs.loc[model, "auc"] == pytest.approx(np.mean(each))
            assert aucs.loc[model, ["seed_low", "seed_high"]].tolist() == pytest.approx(
                [min(each), max(each)])
        assert (aucs["low"] < aucs["auc"]).all()
        assert (aucs["auc"] < aucs["high"]).all()
        assert aucs[["participants", "cases", "seeds"]].drop_duplicates().to_numpy().tolist() == [
            [60, 30, 2]]

    def test_does_not_see_the_scale_of_a_fold(self, table):
        scaled = table.assign(y_pred=table["y_pred"] * 10.0 ** table["fold"] - 7 * table["fold"])
        pd.testing.assert_frame_equal(tables.auc_table(scaled, **FEW),
                                      tables.auc_table(table, **FEW))

    def test_rows_of_a_participant_count_once(self, table):
        twice = pd.concat([table.assign(y_pred=table["y_pred"] + d) for d in (-3, 3)])
        pd.testing.assert_frame_equal(tables.auc_table(twice, **FEW),
                                      tables.auc_table(table, **FEW))

    def test_a_constant_has_half_and_a_perfect_model_one(self, table):
        constant, perfect = (tables.auc_table(table.assign(y_pred=p), **FEW)
                             for p in (0.3, table["y_true"]))
        assert constant[["auc", "low", "high"]].eq(0.5).all(axis=None)
        assert perfect[["auc", "high"]].eq(1.0).all(axis=None)
        assert perfect["low"].between(0.6, 0.99).all()

    def test_two_perfect_models_have_a_difference_and_no_interval(self, table):
        own = table[table["model"] == table["model"].iloc[0]]
        perfect = [own.assign(model=name, fold=0, y_pred=own["y_true"] + noise)
                   for name, noise in (("a", 0.0), ("b", np.linspace(0, 0.5, len(own))))]
        row = tables.paired(pd.concat(perfect), "a", **FEW).iloc[0]
        assert row["difference"] == 0
        assert np.isnan(row["low"])
        assert np.isnan(row["high"])

    def test_interval_covers_the_truth(self):
        truth, inside = stats.norm.cdf(1 / np.sqrt(2)), []
        for repetition in range(120):
            rng = np.random.default_rng([7, repetition])
            y = np.arange(80) % 2
            rows = pd.DataFrame({"model": "m", "seed": 0, "fold": 0, "participant": range(80),
                                 "y_true": y, "y_pred": y + rng.standard_normal(80)})
            row = tables.auc_table(rows, resamples=400).iloc[0]
            inside.append(row["low"] <= truth <= row["high"])
        assert 0.89 <= np.mean(inside) <= 0.99


class TestPaired:
    def test_difference_and_interval_agree_with_delong(self):
        table = made({"a": 1.4, "b": 0.8}, people=200, seeds=1, folds=1)
        wide = table.pivot(index="participant", columns="model", values="y_pred")
        expected = auc.delong(np.arange(200) % 2, *(wide[m].rank(pct=True) for m in "ab"))
        pair = tables.paired(table, "b").iloc[0]
        assert pair["difference"] == pytest.approx(expected["difference"])
        assert [pair["low"], pair["high"]] == pytest.approx(expected["interval"], abs=0.02)

    def test_p_is_that_of_swapping_scores_by_brute_force(self):
        rng = np.random.default_rng(4)
        y, (a, b) = np.arange(40) % 2 == 1, rng.standard_normal((2, 2, 40)).round(1)
        a, b = a + 0.6 * y, b + 0.2 * y
        flips = rng.choice([-1.0, 1.0], (80, 40))

        def difference(flip):
            return np.mean([roc_auc_score(y, np.where(flip < 0, two, one)) - roc_auc_score(
                y, np.where(flip < 0, one, two)) for one, two in zip(a, b, strict=True)])

        extreme = [abs(difference(flip)) >= abs(difference(np.ones(40))) - 1e-12 for flip in flips]
        assert auc.swap_test(a, b, y, flips) == (1 + sum(extreme)) / 81
        assert 3 < sum(extreme) < 77

    def test_the_smallest_detectable_difference_is_found_four_times_in_five(self):
        """By simulation: two models of six that differ from the reference by that much."""
        rng, error = np.random.default_rng(0), 0.05
        widths = pd.DataFrame({"family": "reference", "low": [-1.959964 * error] * 6,
                               "high": [1.959964 * error] * 6})
        least = tables.detectable(widths)
        assert least.nunique() == 1
        z = (least.iloc[0] + error * rng.standard_normal(20000)) / error
        seen = np.mean(2 * stats.norm.sf(np.abs(z)) < 0.05 / 6)
        assert seen == pytest.approx(0.8, abs=0.015)

    def test_every_pair_is_there_and_corrected_within_its_family(self):
        table = made({"a": 0.9, "b": 0.8, "c": 1.1, "d": 1.0}, people=40)
        pairs = tables.paired(table, "b", permutations=999, **FEW)
        assert pairs[["family", "first", "second"]].to_numpy().tolist() == [
            *(["reference", m, "b"] for m in "acd"), ["others", "a", "c"], ["others", "a", "d"],
            ["others", "c", "d"]]
        for _, family in pairs.groupby("family"):
            p = np.sort(family["p"])
            holm = np.minimum(np.maximum.accumulate(p * [3, 2, 1]), 1)
            assert np.sort(family["p_adjusted"]) == pytest.approx(holm)
        none = tables.paired(table, "b", "bonferroni", permutations=999, **FEW)
        assert none["p_adjusted"].to_numpy() == pytest.approx(np.minimum(3 * none["p"], 1))

    def test_a_model_does_not_differ_from_itself_in_other_units(self, table):
        good = table[table["model"] == "good"]
        same = pd.concat([good, good.assign(model="again", y_pred=2 * good["y_pred"] - 1)])
        pair = tables.paired(same, "good", permutations=200, **FEW).iloc[0]
        assert (pair["difference"], pair["low"], pair["high"], pair["p"]) == (0, 0, 0, 1)

    def test_false_alarms_are_as_rare_as_promised(self):
        rng = np.random.default_rng(5)
        y, flips = np.arange(40) % 2 == 1, rng.choice([-1.0, 1.0], (400, 40))
        p = []
        for _ in range(300):
            shared = y + rng.standard_normal(40)
            p.append(auc.swap_test(*(shared + 0.7 * rng.standard_normal((2, 1, 40))), y, flips))
        assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.06)
        assert np.mean(p) == pytest.approx(0.5, abs=0.07)

    def test_who_lacks_a_score_is_left_out_of_all(self, table):
        lacking = table[(table["model"] != "null") | (table["participant"] != "P003")]
        pairs = tables.paired(lacking, "fair", permutations=200, **FEW)
        assert (pairs["participants"] == 59).all()
        assert tables.auc_table(lacking, **FEW)["participants"].tolist() == [60, 60, 59]


def null_table(repetitions=12):
    rng = np.random.default_rng(3)
    return pd.DataFrame([{"pipeline": p, "repetition": r, "practice": practice,
                          "auc": 0.5 + shift + luck + 0.01 * rng.normal()} for p in ("x", "y")
                         for r in range(repetitions) for luck in [0.05 * rng.normal()]
                         for practice, shift in (("clean", 0.0), ("chosen on test", 0.1))])


class TestInflation:
    def test_is_measured_against_the_clean_run_of_the_same_repetition(self):
        table = null_table()
        inflation = tables.inflation(table).set_index(["pipeline", "practice"])
        wide = table.pivot(index=["pipeline", "repetition"], columns="practice", values="auc")
        for pipeline in "xy":
            more = wide.loc[pipeline, "chosen on test"] - wide.loc[pipeline, "clean"]
            row = inflation.loc[pipeline, "chosen on test"]
            assert row["over_clean"] == pytest.approx(more.mean())
            expected = stats.ttest_1samp(more, 0)
            assert row["p"] == pytest.approx(expected.pvalue)
            assert [row["over_clean_low"], row["over_clean_high"]] == pytest.approx(
                [*expected.confidence_interval()])
            # paired
            assert row["over_clean_high"] - row["over_clean_low"] < (row["high"] - row["low"]) / 2
            assert row["over_chance"] == pytest.approx(wide.loc[pipeline, "chosen on test"].mean()
                                                       - 0.5)

    def test_all_is_the_mean_over_pipelines_that_have_the_practice(self):
        table = null_table()
        only_x = table[(table["pipeline"] == "x") | (table["practice"] == "clean")]
        inflation = tables.inflation(only_x).set_index(["pipeline", "practice"])
        assert (inflation.loc[("all", "chosen on test"), "over_clean"]
                == inflation.loc[("x", "chosen on test"), "over_clean"])
        assert ("y", "chosen on test") not in inflation.index
        assert inflation.loc[("all", "clean"), "auc"] == pytest.approx(
            table.loc[table["practice"] == "clean", "auc"].mean())

    def test_one_repetition_has_no_interval(self):
        inflation = tables.inflation(null_table(1))
        assert inflation[["low", "high", "over_clean_low", "p"]].isna().all(axis=None)
        assert inflation["auc"].notna().all()

    @pytest.mark.parametrize(("change", "message"), [
        (lambda t: t.drop(columns="repetition"), "no column repetition"),
        (lambda t: pd.concat([t, t[:1]]), "two rows of one pipeline, repetition and practice"),
        (lambda t: t[1:], "practice 'clean' is missing in some repetition")])
    def test_a_table_that_cannot_be_used_is_refused(self, change, message):
        with pytest.raises(ValueError, match=message):
            tables.inflation(change(null_table()))


def separated():
    """20 people whom a model separates, in two orders; groups that hold ten each."""
    y = np.arange(20) % 2
    rows = pd.DataFrame({"model": "m", "kind": "noise", "seed": 0, "fold": 0, "y_true": y,
                         "participant": [f"P{i:03d}" for i in range(20)]})
    return pd.concat([rows.assign(dose=dose, y_pred=y + noise) for dose, noise in (
        (0, np.linspace(0, 0.5, 20)), (1, np.linspace(0.5, 0, 20)))], ignore_index=True)


def test_where_all_doses_separate_the_classes_no_interval_collapses():
    row = tables.dose_response(separated(), **FEW).set_index("dose").loc[1]
    assert (row["auc"], row["high"], row["change"]) == (1, 1, 0)
    assert 0.6 < row["low"] < 0.95
    assert row[["change_low", "change_high"]].isna().all()


def test_where_all_groups_are_separated_no_interval_collapses():
    table = separated().query("dose == 0").assign(fold=np.repeat([0, 1], 10))
    groups = pd.Series(np.where(np.arange(20) // 2 % 2, "a", "b"), table["participant"])
    rows = tables.by_group(table, groups, **FEW).query("measure == 'auc'").set_index("group")
    assert (rows.loc[["a", "b"], ["value", "high"]] == 1).all(axis=None)
    assert rows.loc[["a", "b"], "low"].between(0.4, 0.95).all()
    assert rows.loc["a - b", ["low", "high"]].isna().all()


class TestGroups:
    def test_auc_of_a_group_is_that_of_its_participants(self, table):
        groups = pd.Series({p: "even" if int(p[1:]) // 2 % 2 == 0 else "odd"
                            for p in table["participant"]})
        by_group = tables.by_group(table, groups, **FEW).set_index(["model", "group", "measure"])
        s = auc.out_of_fold(table[table["model"] == "fair"])
        value = {}
        for name in ("even", "odd"):
            members = groups.reindex(s.people).to_numpy() == name
            value[name] = np.mean([roc_auc_score(s.y[members], r[members]) for r in s.ranks])
            row = by_group.loc[("fair", name, "auc")]
            assert row["value"] == pytest.approx(value[name])
            assert (row["participants"], row["cases"]) == (30, 15)
        gap = by_group.loc[("fair", "even - odd", "auc")]
        assert gap["value"] == pytest.approx(value["even"] - value["odd"])
        assert gap["low"] < gap["value"] < gap["high"]
        assert gap["participants"] == 60
        assert by_group["low"].notna().all()

    def test_a_group_whose_scores_are_noise_shows_a_gap(self):
        table = made({"m": 3.0}, people=160)
        groups = pd.Series({p: "clear" if int(p[1:]) // 2 % 2 else "noisy"
                            for p in table["participant"]})
        noisy = table["participant"].map(groups) == "noisy"
        noise = table["y_pred"].sample(frac=1, random_state=0).to_numpy()
        by_group = tables.by_group(table.assign(y_pred=table["y_pred"].mask(noisy, noise)), groups,
                                   **FEW)
        gap = by_group[by_group["group"] == "clear - noisy"].set_index("measure")
        assert gap.loc["auc", "low"] > 0.1
        assert gap.loc["brier", "high"] < 0

    def test_probabilities_come_from_the_other_folds(self, table):
        s = auc.out_of_fold(table[table["model"] == "fair"])
        p, in_fold = calibration.recalibrated(s), s.folds[0] == 1
        x = (s.raw[0] - s.raw[0][~in_fold].mean()) / s.raw[0][~in_fold].std()
        fitted = LogisticRegression(C=1e6).fit(x[~in_fold, None], s.y[~in_fold])
        assert p[0, in_fold] == pytest.approx(fitted.predict_proba(x[in_fold, None])[:, 1],
                                              abs=0.002)
        other = s._replace(y=np.where(in_fold, ~s.y, s.y))
        # its own labels do not matter
        assert calibration.recalibrated(other)[0, in_fold] == pytest.approx(p[0, in_fold])

    def test_calibration_knows_what_is_calibrated_too_extreme_and_too_low(self):
        rng = np.random.default_rng(2)
        line = 1.5 * rng.standard_normal(20_000)
        y, flat = rng.random(20_000) < 1 / (1 + np.exp(-line)), np.ones(20_000)
        (large, slope, error, brier), (_, steep, off, _), (low, *_) = (calibration.calibration(
            y, 1 / (1 + np.exp(-x))[None], flat) for x in (line, 2 * line, line - 1))
        assert (large, error) == pytest.approx((0, 0), abs=0.01)
        assert (slope, steep) == pytest.approx((1, 0.5), abs=0.05)
        assert brier == pytest.approx(np.mean((1 / (1 + np.exp(-line)) - y) ** 2))
        assert off > 0.05
        assert low > 0.1

    def test_separated_classes_have_a_finite_slope(self):
        y = np.arange(20) >= 10
        slope = calibration.logistic_line(y, np.arange(20.0) - 9.5, np.ones(20))[1]
        assert 1 < slope < 100

    def test_who_has_no_group_is_left_out_and_who_is_not_listed_is_named(self, table):
        people = table["participant"].unique()
        groups = pd.Series({p: ("a", "b", np.nan)[int(p[1:]) // 2 % 3] for p in people},
                           dtype=object)
        by_group = tables.by_group(table, groups, **FEW)
        assert set(by_group["group"]) == {"a", "b", "a - b"}
        assert by_group.loc[by_group["group"] == "a - b", "participants"].eq(40).all()
        with pytest.raises(ValueError, match="model good: 1 participants have no entry in groups"):
            tables.by_group(table, groups.drop("P004"))
        with pytest.raises(ValueError, match="groups: 1 among the participants of model good; "
                           "expected two or more"):
            tables.by_group(table, groups.where(groups == "a"))
        with pytest.raises(ValueError, match="seed 0: one fold"):
            tables.by_group(table.assign(fold=0), groups)


class TestDoses:
    def test_change_is_against_the_lowest_dose_on_the_same_participants(self):
        doses = {0: 2.0, 1: 1.0, 4: 0.0}
        table = pd.concat([made({"m": effect}).assign(kind="noise", dose=dose)
                           for dose, effect in reversed(doses.items())])
        changes = tables.dose_response(table, **FEW)
        assert changes["dose"].tolist() == [0, 1, 4]
        alone = [tables.auc_table(table[table["dose"] == d], **FEW).iloc[0] for d in doses]
        for row, one in zip(changes.itertuples(), alone, strict=True):
            assert (row.auc, row.low, row.high) == pytest.approx((one["auc"], one["low"],
                                                                  one["high"]))
        assert changes["change"].to_numpy() == pytest.approx(changes["auc"] - changes["auc"][0])
        assert changes.loc[0, ["change_low", "change_high"]].eq(0).all()
        last = changes.iloc[-1]
        assert last["change_high"] < 0
        assert last["change_high"] - last["change_low"] < last["high"] - last["low"]        # paired

    def test_other_participants_at_another_dose_are_refused(self):
        table = pd.concat([made({"m": 1.0}, people=n).assign(kind="noise", dose=d)
                           for d, n in ((0, 60), (1, 58))])
        with pytest.raises(ValueError, match="model m, noise 1: "
                           "has other participants or seeds than the lowest dose"):
            tables.dose_response(table)

    def test_who_has_no_recording_left_gets_the_mean_answer_and_is_compared(self):
        table = made({"m": 1.0}).query("seed == 0").assign(kind="short", dose=0)
        worse = table[~table["participant"].isin(["P001", "P002"])].assign(dose=1)
        one_fold = worse[worse["fold"] == worse["fold"].iloc[0]]
        filled = tables.with_the_lost(one_fold.drop(columns="y_true"),
                                      [*one_fold["participant"], "P001", "P002"])
        assert filled["participant"].to_list() == [*one_fold["participant"], "P001", "P002"]
        assert filled["y_pred"].to_list() == [*one_fold["y_pred"], *[one_fold["y_pred"].mean()] * 2]
        assert (filled[["model", "kind", "dose", "seed", "fold"]]
                == filled.loc[0, ["model", "kind", "dose", "seed", "fold"]]).all(axis=None)
        truth = table.set_index("participant")["y_true"]
        both = pd.concat([table, tables.with_the_lost(worse.drop(columns="y_true"),
                                                      table["participant"])])
        doses = tables.dose_response(both.assign(y_true=both["participant"].map(truth)), **FEW)
        assert doses["dose"].to_list() == [0, 1]
        assert doses["change"][1] != 0

    def test_where_nobody_is_lost_the_rows_are_the_same(self):
        table = made({"m": 1.0}).query("seed == 0")
        pd.testing.assert_frame_equal(tables.with_the_lost(table, table["participant"].unique()),
                                      table)


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.drop(columns="fold"), "predictions have no column fold"),
    (lambda t: t[:0], "predictions hold no row"),
    (lambda t: t.assign(y_pred=t["y_pred"].mask(t.index == 3)),
     "model good: some scores are not finite"),
    (lambda t: t.assign(y_true=t["y_true"] + 1), "model good: y_true holds other values than 0"),
    (lambda t: pd.concat([t, t[:1].assign(fold=9)]),
     "model good: a participant is in two test folds of one seed"),
    (lambda t: t.assign(y_true=t["y_true"].where(t.index != 0, 1)),
     "model good: a participant is of both classes"),
    (lambda t: t[1:], "model good: 1 participants have no score in some seed")])
def test_predictions_that_cannot_be_used_are_refused(table, change, message):
    changed = change(table)
    with pytest.raises(ValueError, match=message):
        auc.of_models(changed) if len(changed) else auc.out_of_fold(changed)


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t[t["model"] == "fair"],
     "reference 'fair': expected one of at least two models, found fair"),
    (lambda t: t[(t["model"] != "null") | (t["seed"] == 0)],
     r"model null: has seeds \[0\], others \[0, 1\]"),
    (lambda t: t.assign(y_true=t["y_true"].where(t["model"] != "null", 1 - t["y_true"])),
     "model null: has another truth"),
    (lambda t: t.assign(participant=t["model"] + t["participant"]),
     "the models share no participant")])
def test_models_that_cannot_be_paired_are_refused(table, change, message):
    with pytest.raises(ValueError, match=message):
        tables.paired(change(table), "fair", **FEW)


def test_a_single_case_has_no_interval(table):
    few = table[(table["y_true"] == 0) | (table["participant"] == "P001")]
    aucs = tables.auc_table(few, **FEW)
    assert aucs[["low", "high"]].isna().all(axis=None)
    assert aucs["auc"].notna().all()
