"""The pages of evidence, as a reader repeats them: by papermill, on a small cohort, and what their
run folders hold.
"""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest

from depnb import files, runs
from depnb.evidence import attributions, baselines, null, tables
from depnb.evidence.cohort import cohort_folds
from depnb.features import damage
from depnb.papers import rooms
from depnb.papers.cards import cards
from depnb.runs import verify
from tests.papermilled import EVIDENCE, error_of, execute, texts
from tests.paths import ROOT

FIGURES = {"comparison": {"forest"}, "null_corpus": {"steps", "clean_and_leaking", "ledger"},
           "robustness": {"doses", "gender"}, "explanations": {"concentration"}}


@pytest.fixture(scope="module")
def run(evidence):
    """run(page) -> its Run."""
    return lambda page: runs.Run(evidence(page)[0])


def tables_agree(recomputed, stored, tolerance=1e-4):
    """A table computed again and the one in metrics.json."""
    stored = pd.DataFrame(stored)
    for column in stored:
        numbers = (pd.api.types.is_numeric_dtype(recomputed[column])
                   and not pd.api.types.is_bool_dtype(recomputed[column]))
        if numbers:
            np.testing.assert_allclose(stored[column].astype(float),
                                       recomputed[column].astype(float), 0, tolerance,
                                       err_msg=column)
        else:
            assert stored[column].to_list() == recomputed[column].to_list(), column


@pytest.mark.parametrize("page", EVIDENCE)
class TestEvery:
    def test_leaves_a_run_that_can_be_believed(self, evidence, page):
        folder, _ = evidence(page)
        assert verify.refusal(folder) is None
        assert {p.name for p in folder.iterdir()} - {"fits"} == {
            "params.yaml", "metrics.json", "predictions.csv", "provenance.json", "SHA256SUMS",
            "written.json", "figures"}
        assert {p.stem for p in (folder / "figures").iterdir()} == FIGURES[page]

    def test_says_that_it_is_simulated_and_from_which_cohort(self, evidence, run, cohort, page):
        page_text = texts(evidence(page)[1])
        assert f"Run `{page}/quick`" in page_text
        assert ("**simulated data** (participants 16, effect 1, seed 0), "
                "16 participants" in page_text)
        assert run(page).metrics["simulated"]
        corpus = run(page).provenance["corpus"]
        assert (corpus["fingerprint"], corpus["simulated"], corpus["participants"]) == (
            cohort.fingerprint, True, 16)

    def test_no_warning_no_path_of_the_machine_and_no_missing_number_in_a_cell(self, evidence, page,
                                                                               small_cohort):
        _, notebook = evidence(page)
        assert [o["text"] for c in notebook.cells for o in c.get("outputs", [])
                if o.get("name") == "stderr"] == []
        page_text = texts(notebook)
        assert not any(str(folder) in page_text for folder in (ROOT, small_cohort.parent.parent))
        assert not re.search(r">\s*(nan|None|inf)\s*<|\bnan to nan\b", page_text)

    def test_its_parameters_are_checked_before_anything_else(self, page):
        cells = [c.source for c in nbformat.read(files.notebook(page), 4).cells
                 if c.cell_type == "code"]
        first = next(line for line in cells[1].splitlines()
                     if line and not re.match(r"from|import", line))
        assert re.fullmatch(r"p = parameters\.read\(globals\(\), \w+\)", first)


class TestComparison:
    def test_every_model_is_tested_once_on_every_participant_with_every_seed(self, run, cohort):
        predictions = run("comparison").predictions
        fold = cohort_folds(cohort.people, 2, 0)
        models = [*cards(), *baselines.BASELINES, "constant", *(f"oracle, {m.shows}" for m in
                                                                         rooms().values())]
        assert list(predictions["model"].unique()) == models
        assert not predictions.duplicated(["model", "seed", "participant"]).any()
        assert len(predictions) == len(models) * 2 * 16
        assert (predictions["participant"].map(fold) == predictions["fold"]).all()
        assert (predictions["participant"].map(cohort.people["label"])
                == predictions["y_true"]).all()

    def test_metrics_are_those_of_the_predictions(self, run):
        predictions, metrics = run("comparison").predictions, run("comparison").metrics
        # six decimals may make a tie
        tables_agree(tables.auc_table(predictions), metrics["auc"], 0.02)
        contest = predictions[predictions["model"].isin([*cards(), *baselines.BASELINES])]
        tables_agree(tables.paired(contest, "egemaps"), metrics["differences"], 0.05)
        assert {(r["first"], r["second"]) for r in metrics["differences"]
                if r["family"] == "reference"} == {(name, "egemaps")
                                                   for name in (*cards(), "landmarks", "words")}

    def test_baselines_and_oracles_do_not_depend_on_the_seed_and_the_constant_knows_nothing(
        self, run):
        metrics = {row["model"]: row for row in run("comparison").metrics["auc"]}
        for name in (*baselines.BASELINES, "oracle, voice", "constant"):
            assert metrics[name]["seed_low"] == metrics[name]["seed_high"], name
        assert metrics["constant"]["auc"] == 0.5
        assert metrics["oracle, interview"]["auc"] > 0.9

    def test_costs_are_those_of_the_networks(self, run, models, cohort):
        costs = run("comparison").metrics["costs"]
        for name, model in models.items():
            units = model.labelled(cohort.people)
            network = model.paper.build(model.paper.prepare(units, np.arange(len(units))))
            assert costs[name]["parameters"] == sum(p.numel() for p in network.parameters())
            # every weight is used at least once
            assert costs[name]["multiply_adds"] > costs[name]["parameters"]
            assert 0 < costs[name]["memory_mb"] < 5000
            assert run("comparison").metrics["training_seconds"][name] > 0

    def test_every_model_is_said_to_beat_logistic_regression_or_not(self, evidence):
        page_text = texts(evidence("comparison")[1])
        for card in cards().values():
            assert re.search(rf"- {card.title} \*\*(is better than|is worse than|"
                             r"is not shown to beat|does not beat)\*\* "
                             "logistic regression, eGeMAPS: AUC difference", page_text), card.title


class TestNullCorpus:
    def test_metrics_are_those_of_what_was_measured(self, run):
        measured, metrics = run("null_corpus").predictions, run("null_corpus").metrics
        assert len(measured) == 4 * 2 * (len(null.PRACTICES) + 1)
        table = tables.inflation(measured[measured["practice"] != "as_published"])
        tables_agree(table, metrics["inflation"])
        pair = measured[measured["practice"].isin(["clean", "as_published"])]
        tables_agree(tables.inflation(pair), metrics["published"])
        alarms = measured.groupby(["practice", "pipeline"])["significant"].mean()
        for practice, alarms_by_pipeline in metrics["alarms"].items():
            assert alarms_by_pipeline == {name: alarms[practice, name] for name in cards()}

    def test_choosing_never_lowers_what_is_reported(self, run):
        auc = run("null_corpus").predictions.set_index(["pipeline", "repetition",
                                                        "practice"])["auc"].unstack()
        assert (auc["test"] >= auc["clean"] - 1e-6).all()
        assert (auc["restarts"] >= auc["clean"] - 1e-6).all()
        assert (auc["three"] >= auc["two"] - 1e-6).all()
        assert (auc["all"] >= auc["three"] - 1e-6).all()

    def test_every_training_is_kept_with_what_it_said_after_every_epoch(self, run, models):
        folders = sorted((run("null_corpus").folder / "fits").iterdir())
        assert len(folders) == 4 * 2 * 2 * 2
        for folder in folders:
            assert np.load(folder / "watched.npy").shape == (
                1, len(models[folder.name.split("-")[0]].table))


class TestRobustness:
    def test_metrics_are_those_of_the_predictions(self, run):
        rows, metrics = run("robustness").predictions, run("robustness").metrics
        tables_agree(tables.dose_response(rows[rows["kind"].isin(damage.KINDS)]),
                     metrics["response"], 0.05)
        without = tables.dose_response(rows[rows["kind"] == "without"])
        tables_agree(without, pd.DataFrame(metrics["without"]).drop(columns="sense"), 0.05)
        tables_agree(tables.dose_response(rows[rows["kind"].str.startswith("noise ")]),
                     metrics["confound"], 0.05)

    def test_every_model_meets_every_damage_at_every_level(self, run):
        table = pd.DataFrame(run("robustness").metrics["response"])
        cases = {(r.model, r.kind, r.dose) for r in table.itertuples()}
        assert cases == {(m, kind, dose) for m in (*cards(), "egemaps") for kind in damage.KINDS
                         for dose in (0, 1)}

    def test_undamaged_it_says_what_the_comparison_says(self, run):
        rows, compared = run("robustness").predictions, run("comparison").predictions
        compared = compared[(compared["seed"] == 0) & (compared["fold"] == 0)]
        untouched = rows[(rows["dose"] == 0) & ~rows["kind"].str.startswith("noise ")]
        assert set(untouched["model"]) == {*cards(), "egemaps"}
        for (model, kind), part in untouched.groupby(["model", "kind"]):
            expected = compared[compared["model"] == model].set_index("participant")["y_pred"]
            pd.testing.assert_series_equal(part.groupby("participant")["y_pred"].mean(),
                                           expected.sort_index(), atol=2e-6, check_names=False,
                                           obj=f"{model}, {kind}")

    def test_damage_and_a_missing_sense_change_the_scores(self, run):
        rows = run("robustness").predictions
        for model in cards():
            own = rows[(rows["model"] == model) & rows["kind"].isin([*damage.KINDS, "without"])]
            means = own.groupby(["kind", "dose", "participant"])["y_pred"].mean().unstack("dose")
            changed = (means.drop(columns=0).sub(means[0], axis=0).abs() > 1e-6).groupby(
                "kind").any().any(axis=1)
            same = set(changed.index[~changed])
            # which sees the beginning of a video
            assert same <= ({"short"} if model == "sta_drn" else set()), model

    def test_groups_are_read_from_the_comparison(self, run):
        table, people = (pd.DataFrame(run("robustness").metrics["groups"]),
                         run("comparison").predictions)
        assert set(table["by"]) == {"gender", "skin tone", "light", "recording", "interview"}
        assert set(table.loc[table["by"] == "gender", "model"]) == {*cards(), *baselines.BASELINES}
        sizes = table[(table["by"] == "gender") & (table["measure"] == "auc") & table["group"].isin(
            ["female", "male"])]
        assert sizes.groupby("model")["participants"].sum().eq(
            people["participant"].nunique()).all()


class TestExplanations:
    def test_metrics_are_those_of_the_scores(self, run):
        rows, table = (run("explanations").predictions,
                       pd.DataFrame(run("explanations").metrics["table"]))
        assert {(r.model, r.method, r.input) for r in table.itertuples()} == {
            (name, method, piece) for name, paper in rooms().items()
            for method in attributions.METHODS for piece in paper.pieces}
        assert rows["network"].nunique() == 2 * 2 + 3                 # folds and seeds; random
        mean = rows.dropna().groupby(["model", "method", "input", "kind", "network"])
        mean = mean["y_pred"].mean()
        for r in table.itertuples():
            of = mean.loc[r.model, r.method, r.input]
            trained, random = (of.xs(kind).to_numpy() for kind in ("trained", "random"))
            assert (r.trained, r.random) == pytest.approx((trained.mean(), random.mean()), abs=1e-5)
            assert (r.trained_networks, r.random_networks) == (len(trained), len(random))

    def test_elsewhere_with_the_same_parameters_and_seed_the_same_metrics(
        self, evidence, small_cohort, cache, tmp_path):
        # which is missing: own trainings
        execute(tmp_path, notebook="explanations", data_root=str(small_cohort),
                cache_dir=str(cache), comparison_run=str(tmp_path / "none"))
        assert ((tmp_path / "run/metrics.json").read_bytes()
                == (evidence("explanations")[0] / "metrics.json").read_bytes())
        assert {p.name for p in (tmp_path / "run/fits").iterdir()} == {
            f"{name}-{fold}-{number}" for name in cards() for fold in (0, 1) for number in (0, 1)}


def test_an_unknown_parameter_is_refused_with_the_nearest_known(tmp_path):
    error = error_of(execute(tmp_path, fails=True, notebook="robustness", level=[1]))
    assert error.startswith("ValueError: unknown parameter 'level'; did you mean 'levels'?")
    assert "\n" not in error


def test_a_cohort_of_another_effect_is_refused_in_one_sentence(small_cohort, cache, tmp_path):
    error = error_of(execute(tmp_path, fails=True, notebook="null_corpus",
                             data_root=str(small_cohort), cache_dir=str(cache), effect=0.0))
    assert error == ("ValueError: small: holds a cohort of effect 1, 0 was asked for. "
                     "Set effect to the same value, or data_root to another folder.")


@pytest.mark.parametrize("page", ["robustness", "explanations"])
def test_trainings_on_other_folds_are_refused(page, evidence, small_cohort, cache, tmp_path):
    parameters = {"notebook": page, "data_root": str(small_cohort), "cache_dir": str(cache),
                  "comparison_run": str(evidence("comparison")[0])}
    error = error_of(execute(tmp_path, fails=True, **parameters, folds=3, seed=1))
    assert error == ("ValueError: comparison_run comparison/quick: "
                     "was made with folds 2 instead of 3, seed 0 instead of 1. "
                     "Give the same parameters, or the folder of a comparison that has them.")


def test_robustness_names_the_comparison_that_it_reads_and_that_is_missing(small_cohort, cache,
                                                                           tmp_path):
    error = error_of(execute(tmp_path, fails=True, notebook="robustness",
                             data_root=str(small_cohort), cache_dir=str(cache),
                             comparison_run=str(tmp_path / "comparison/none")))
    assert error.startswith("ValueError: run comparison/none: metrics.json is missing")
    assert "run notebooks/evidence/comparison.ipynb first" in error
