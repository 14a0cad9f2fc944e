"""Figures of the evidence: labelled, whole, and saying what the tables say."""

import numpy as np
import pandas as pd
import pytest

from depnb import figures
from depnb.evidence import tables
from tests.evidence.test_tables import made
from tests.readable import assert_readable

LABEL = "simulated cohort of 96, effect 1"
NAMES = {"good": "logistic regression on eGeMAPS of the whole recording", "fair": "DynMultiDep",
         "null": "constant"}
PRACTICES = {"clean": "clean protocol", "choice": "epoch chosen on the test set",
             "both": "all together, as published"}
KINDS = ("noise", "fewer frames", "missing", "short")
FEW = {"resamples": 100}

pytestmark = pytest.mark.usefixtures("house_style")


@pytest.fixture(scope="module")
def scores():
    return made({"good": 2.0, "fair": 0.9, "null": 0.0, "same": 2.0})


@pytest.fixture(scope="module")
def inflated():
    rng = np.random.default_rng(0)
    return tables.inflation(pd.DataFrame(
        [{"pipeline": pipeline, "repetition": r, "practice": practice,
          "auc": 0.5 + lift + 0.03 * rng.standard_normal()} for pipeline in ("good", "fair")
         for r in range(5) for practice, lift in zip(PRACTICES, (0, 0.1, 0.3), strict=True)]))


@pytest.fixture(scope="module")
def grouped(scores):
    return tables.by_group(scores, pd.Series({p: ("f", "m")[int(p[1:]) // 2 % 2]
                                              for p in scores["participant"]}), **FEW)


@pytest.fixture(scope="module")
def doses():
    table = pd.concat([made({"good": effect, "fair": effect / 2}).assign(kind=kind, dose=dose)
                       for kind in KINDS for dose, effect in ((0, 2), (1, 1))])
    return tables.dose_response(table, **FEW)


def test_forest_marks_what_the_corrected_tests_say(scores):
    differences = tables.paired(scores, "good", permutations=300, **FEW)
    table = tables.auc_table(scores, **FEW)
    ax = figures.evidence.forest(table, LABEL, differences, 0.97, NAMES)
    assert_readable(ax.figure)
    assert ax.get_title() == LABEL
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    assert set(handles) == {"reference", "worse", "not told apart", "chance", "oracle"}
    auc = table.set_index("model")["auc"]
    for verdict, models in (("reference", ["good"]), ("not told apart", ["same"]),
                            ("worse", ["fair", "null"])):
        x, y = handles[verdict].get_data()
        assert dict(zip(y[~np.isnan(x)], x[~np.isnan(x)], strict=True)) == {
            list(auc.index).index(m): auc[m] for m in models}
    assert ax.yaxis_inverted()
    rows = [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()]
    assert rows == [*NAMES.values(), "same"]


def test_forest_without_tests_makes_no_verdict(scores):
    ax = figures.evidence.forest(tables.auc_table(scores, **FEW), LABEL)
    assert_readable(ax.figure)
    assert ax.get_legend_handles_labels()[1] == ["chance"]


def test_verdicts_need_the_corrected_p():
    table = pd.DataFrame({"family": ["reference"] * 3 + ["others"], "first": [*"abca"],
                          "second": ["r", "r", "r", "b"], "difference": [0.1, -0.1, 0.2, 0.3],
                          "p": 0.01, "p_adjusted": [0.04, 0.03, 0.06, 0.01]})
    assert figures.evidence.verdict(table) == {"r": "reference", "a": "better", "b": "worse",
                                               "c": "not told apart"}


def test_null_figure_shows_how_far_each_practice_lifts(inflated):
    ax = figures.evidence.null_steps(inflated, LABEL, PRACTICES, ("clean", "choice", "both"), NAMES)
    assert_readable(ax.figure)
    means = inflated[inflated["pipeline"] == "all"].set_index("practice")["auc"][[*PRACTICES]]
    assert [bar.get_x() for bar in ax.patches] == [0.5] * 3
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([*(means - 0.5)])
    assert [text.get_text() for text in ax.texts] == [f"{m:.2f}" for m in means]
    assert [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()] == [*PRACTICES.values()]
    assert ax.get_xlim()[0] < min(0.45, inflated["low"].min())
    assert max(ax.get_xticks()) <= 1


def test_null_figure_leaves_out_practices_that_are_not_named(inflated):
    ax = figures.evidence.null_steps(inflated, LABEL, {"choice": "chosen", "clean": "clean"})
    assert_readable(ax.figure)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["chosen", "clean"]


def test_clean_and_leaking_stand_beside_the_constant_and_every_repetition_is_a_dot():
    rng = np.random.default_rng(0)
    measured = pd.DataFrame(
        [{"pipeline": pipeline, "repetition": r, "practice": practice, "significant": False,
          "auc": 0.5 + lift + 0.03 * rng.standard_normal()} for pipeline in ("good", "fair")
         for r in range(5) for practice, lift in (("clean", 0), ("test", 0.1), ("all", 0.3))])
    table = tables.inflation(measured)
    ax = figures.evidence.clean_and_leaking(table, measured, LABEL, NAMES)
    assert_readable(ax.figure)
    assert ax.get_title() == LABEL
    rows = [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()]
    assert rows == [NAMES["good"], NAMES["fair"], "mean of all"]
    for line, practice in zip(marked(ax), ("clean", "all"), strict=True):
        assert line.get_xdata() == pytest.approx(
            table.loc[table["practice"] == practice, "auc"].to_numpy())
    dots = np.concatenate([c.get_offsets() for c in ax.collections])
    assert len(dots) == 3 * 2 * 5
    of_pipelines = measured.loc[measured["practice"] != "test", "auc"]
    assert set(np.round(of_pipelines, 9)) <= set(np.round(dots[:, 0], 9))
    assert [line.get_xdata() for line in ax.lines
            if line.get_label() == "constant: 0.5"] == [[0.5, 0.5]]


def test_the_ledger_shows_every_count_below_its_part():
    counts = pd.DataFrame({"one": [3, 0, 21, 4], "two": [12, 1, 0, 8]}, index=[
        ("Statements", "confirmed"), ("Statements", "cannot be checked without the licensed data"),
        ("Statements of others", "all of them"), ("Ours beside theirs", "matches their code")])
    counts.index = pd.MultiIndex.from_tuples(counts.index)
    ax = figures.evidence.ledger(counts)
    assert_readable(ax.figure)
    assert [t.get_text() for t in ax.texts] == ["3", "12", "0", "1", "21", "0", "4", "8"]
    rows = [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()]
    assert rows == ["Statements", "confirmed", "cannot be checked without the licensed data",
                    "Statements of others", "Ours beside theirs: matches their code"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["one", "two"]


def test_doses_have_a_panel_a_kind_and_a_line_a_model(doses):
    axes = figures.evidence.dose_response(doses, LABEL, NAMES, {"noise": "standard deviations"})
    figure = axes[0, 0].figure
    assert_readable(figure, [figure._suptitle])
    assert figure._suptitle.get_text() == LABEL
    assert [ax.get_title() for ax in axes.flat] == [*KINDS]
    assert axes[0, 0].get_xlabel() == "standard deviations"
    for ax, kind in zip(axes.flat, KINDS, strict=True):
        for line, model in zip(ax.containers, ("good", "fair"), strict=True):
            expected = doses[(doses["kind"] == kind) & (doses["model"] == model)]["auc"]
            drawn = np.asarray(line.lines[0].get_ydata(), float)
            assert drawn == pytest.approx(expected.to_numpy())


def test_one_dose_and_one_kind_are_drawn(doses):
    axes = figures.evidence.dose_response(doses[(doses["dose"] == 0) & (doses["kind"] == "noise")],
                                          LABEL)
    assert_readable(axes[0, 0].figure)


def marked(ax):
    """The lines of an axis that are points."""
    return [line for line in ax.lines if line.get_marker() != "None" and len(line.get_xdata())]


@pytest.mark.parametrize("measure", figures.evidence.MEASURES)
def test_groups_stand_beside_their_gap(grouped, measure):
    left, right = figures.evidence.fairness(grouped, measure, LABEL, NAMES)
    assert_readable(left.figure, [left.figure._suptitle])
    rows = grouped[grouped["measure"] == measure]
    for ax, groups in ((left, ["f", "m"]), (right, ["f - m"])):
        for drawn, group in zip(marked(ax), groups, strict=True):
            assert drawn.get_xdata() == pytest.approx(
                rows.loc[rows["group"] == group, "value"].to_numpy())
    assert left.figure._suptitle.get_text() == LABEL


def test_three_groups_are_drawn_and_an_unknown_measure_is_named(scores):
    groups = pd.Series({p: ("dark", "middle", "light")[int(p[1:]) // 2 % 3]
                        for p in scores["participant"]})
    table = tables.by_group(scores[scores["model"] == "good"], groups, **FEW)
    axes = figures.evidence.fairness(table, "auc", LABEL)
    assert_readable(axes[0].figure)
    assert len(marked(axes[1])) == 3
    with pytest.raises(ValueError, match="measure 'accuracy': choose auc, in_the_large"):
        figures.evidence.fairness(table, "accuracy", LABEL)
