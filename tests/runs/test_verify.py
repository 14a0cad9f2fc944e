"""Run folders that are incomplete, of another version or edited by hand are refused by name;
untouched ones are not.
"""

import hashlib
import json
import re
import shutil

import pandas as pd
import pytest

from depnb import runs
from depnb.papers.cards import cards
from depnb.runs import verify
from depnb.scores import report
from tests import small_runs

PAPERS = ("sta_drn", "cfrafn", "aafn", "dynmultidep")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """made[paper]: a finished run with checkpoint and history. Do not change it; copy it."""
    place = tmp_path_factory.mktemp("made")
    folders = {}
    for paper in PAPERS:
        folder = place / paper / "a"
        folder.mkdir(parents=True)
        (folder / "checkpoint.safetensors").write_bytes(b"weights")
        (folder / "history.csv").write_text("epoch,train_loss\n0,1.0\n")
        folders[paper] = small_runs.finish(folder, paper).folder
    return folders


@pytest.fixture
def copy(made, tmp_path):
    """copy(paper) -> a copy of its run that may be changed."""
    def of(paper):
        return shutil.copytree(made[paper], tmp_path / paper / "a")

    return of


def edit(folder, name, change):
    """Change the parsed JSON of a file in place."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def seal_again(folder):
    """Checksums of the files as they are now: what somebody would do who knows of them."""
    (folder / verify.SUMS).write_text(verify.checksums(folder,
                                                       (folder / "metrics.json").read_text()))


def refused(folder, pattern):
    sentence = verify.refusal(folder)
    assert sentence is not None
    assert sentence.startswith(f"run {folder.parent.name}/{folder.name}: ")
    assert re.search(pattern, sentence), sentence
    assert "\n" not in sentence
    assert str(folder) not in sentence
    return sentence


@pytest.mark.parametrize("paper", PAPERS)
class TestOfEveryPaper:
    def test_an_untouched_run_is_believed(self, made, paper):
        assert verify.refusal(made[paper]) is None

    @pytest.mark.parametrize("name", [*verify.FILES, *verify.TRAINED, verify.SUMS])
    def test_a_run_that_lacks_a_file_is_refused(self, copy, paper, name):
        folder = copy(paper)
        (folder / name).unlink()
        refused(
            folder,
            rf"a: {re.escape(name)} is missing.*Copy the whole folder again, or repeat the run\.$")

    @pytest.mark.parametrize("name", ["metrics.json", "provenance.json"])
    def test_a_truncated_file_is_refused(self, copy, paper, name):
        folder = copy(paper)
        text = (folder / name).read_text()
        (folder / name).write_text(text[:len(text) // 2])
        refused(folder, f"{name} cannot be read")

    @pytest.mark.parametrize("name", ["params.yaml", "predictions.csv", "checkpoint.safetensors",
                                      "history.csv"])
    def test_a_file_of_other_content_is_refused(self, copy, paper, name):
        folder = copy(paper)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + b"5" + content[-1:])
        refused(folder, f"{name} was changed after the run")

    def test_a_number_edited_by_hand_is_refused_even_with_new_checksums(self, copy, paper):
        folder = copy(paper)
        metric = "mae" if paper in ("sta_drn", "aafn") else "roc_auc"
        edit(folder, "metrics.json", lambda m: m["test"]["by_participant"].update(
            {metric: m["test"]["by_participant"][metric] - 0.05}))
        refused(
            folder,
            r"metrics.json was changed after the run \(its checksum is not the one in SHA256SUMS\)")
        seal_again(folder)
        refused(folder, rf"metrics.json says test {metric} [\d.]+, its predictions give [\d.]+\.")

    def test_predictions_edited_by_hand_are_refused_even_with_new_checksums(self, copy, paper):
        folder = copy(paper)
        table = pd.read_csv(folder / "predictions.csv")
        table.loc[table["split"] == "test", "y_pred"] = table.loc[table["split"] == "test",
                                                                  "y_true"]
        table.to_csv(folder / "predictions.csv", index=False)
        refused(folder, "predictions.csv was changed")
        seal_again(folder)
        refused(folder, "metrics.json says test")

    def test_a_test_participant_taken_away_is_refused(self, copy, paper):
        folder = copy(paper)
        table = pd.read_csv(folder / "predictions.csv")
        table[table["participant"] != table["participant"].iloc[-1]].to_csv(
            folder / "predictions.csv", index=False)
        seal_again(folder)
        refused(folder, "says test participants 16, its predictions give 15")


class TestVersion:
    def test_a_run_of_another_version_is_refused(self, copy):
        folder = copy("cfrafn")
        edit(folder, "provenance.json", lambda p: p.update(depnb="0.0.1"))
        seal_again(folder)
        refused(folder, r"cfrafn/a: written by depnb 0\.0\.1, expected \d")

    def test_a_run_from_before_there_were_checksums_is_refused(self, copy):
        folder = copy("cfrafn")
        (folder / verify.SUMS).unlink()
        refused(folder, "SHA256SUMS is missing, so that nobody can tell")

    @pytest.mark.parametrize("fact", ["commit", "corpus", "code"])
    def test_a_run_that_does_not_say_where_it_comes_from_is_refused(self, copy, fact):
        folder = copy("cfrafn")
        edit(folder, "provenance.json", lambda p: p.pop(fact))
        seal_again(folder)
        refused(folder, f"provenance.json lacks {fact}")

    def test_simulated_data_cannot_be_made_real_by_hand(self, copy):
        folder = copy("cfrafn")
        edit(folder, "provenance.json", lambda p: p["corpus"].update(simulated=False))
        refused(folder, "provenance.json was changed after the run")

    def test_a_run_of_other_code_of_the_same_version_is_believed(self, copy):
        folder = copy("cfrafn")
        edit(folder, "provenance.json", lambda p: p.update(code="another"))
        seal_again(folder)
        assert verify.refusal(folder) is None


class TestForm:
    @pytest.mark.parametrize(("name", "content"), [
        ("metrics.json", "[]"), ("metrics.json", '{"test": {"mae": 5.0}}'),
        ("metrics.json", '{"test": {"task": "severity", "by_participant": {"mae": "low"}}}'),
        ("provenance.json", "[]"),
        ("predictions.csv", "y_true,y_pred\n1,2\n"), ("predictions.csv", ""),
        ("params.yaml", "a: [")])
    def test_a_file_of_the_wrong_shape_is_refused(self, copy, name, content):
        folder = copy("sta_drn")
        (folder / name).write_text(content)
        seal_again(folder)
        refused(folder, "cannot be (read|judged)")

    def test_an_entry_missing_from_the_checksums_is_refused(self, copy):
        folder = copy("sta_drn")
        lines = (folder / verify.SUMS).read_text().splitlines(True)
        (folder / verify.SUMS).write_text("".join(line for line in lines
                                                  if "predictions" not in line))
        refused(folder, "SHA256SUMS does not list predictions.csv")

    def test_checksums_are_those_that_sha256sum_checks(self, made):
        for line in (made["aafn"] / verify.SUMS).read_text().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256((made["aafn"] / name).read_bytes()).hexdigest() == digest

    def test_a_run_without_a_test_set_is_judged_by_its_checksums(self, tmp_path):
        run = runs.Run.start("evidence",
                             small_runs.PARAMETERS | {"run_dir": str(tmp_path / "evidence/curves")})
        run.finish({"models": [1.0]}, small_runs.judged("cfrafn")[0], small_runs.FakeCorpus(),
                   "cpu", 1.0)
        assert verify.refusal(run.folder) is None
        edit(run.folder, "metrics.json", lambda m: m.update(models=[2.0]))
        refused(run.folder, "evidence/curves: metrics.json was changed")


def test_rounding_that_moves_a_decision_is_no_disagreement(tmp_path):
    """0.4999999 is a control in the run and, with six decimals, a depressed participant in
    predictions.csv.
    """
    table = small_runs.judged("cfrafn")[0].query("split == 'test'").copy()
    table.loc[table["participant"] == table["participant"].iloc[0], ["y_true", "y_pred"]] = (
        0, 0.4999999)
    test = report.binary(table, "recording", 0.5)
    rounded = table.assign(y_pred=table["y_pred"].round(6))
    assert report.binary(rounded, "recording",
                         0.5)["by_participant"]["accuracy"] != test["by_participant"]["accuracy"]
    low, high = verify.bounds(test, rounded)["accuracy"]
    assert low < high
    assert low <= test["by_participant"]["accuracy"] <= high


class TestPrivacy:
    @pytest.fixture
    def licensed(self, tmp_path):
        return small_runs.finish(tmp_path / "cfrafn/a", "cfrafn", restricted=True).folder

    def test_pseudonyms_may_be_shown(self, licensed):
        assert verify.refusal(licensed) is None

    def test_ids_of_simulated_people_may_be_shown(self, copy):
        folder = copy("cfrafn")
        pd.DataFrame({"participant": ["300"]}).to_csv(folder / "weights.csv", index=False)
        assert verify.refusal(folder) is None

    @pytest.mark.parametrize(("column", "value"),
                             [("participant", "300"), ("session", "300_P"),
                              ("participant", "P-300"), ("file", "/data/300_AUDIO.wav")])
    def test_a_raw_id_in_any_table_is_refused_and_not_repeated(self, licensed, column, value):
        pd.DataFrame({"participant": ["P-0123abcd"], column: [value]}).to_csv(
            licensed / "weights.csv", index=False)
        assert "300" not in refused(licensed, "weights.csv holds ids that are not pseudonyms")


@pytest.mark.notebook
@pytest.mark.parametrize(("name", "paper"), [("filmed", "sta_drn"), ("heard", "cfrafn"),
                                             ("interviewed", "aafn"), ("vlogged", "dynmultidep")])
def test_a_run_of_the_notebook_is_believed_and_reports_in_the_schema_of_all_papers(
    name, paper, request):
    run = runs.Run(request.getfixturevalue(name)[0] / "run")
    assert verify.refusal(run.folder) is None
    test = run.metrics["test"]
    assert list(test) == ["task", "unit", "by_participant", "by_unit", "constant"]
    assert (test["task"], test["unit"]) == (cards()[paper].task, cards()[paper].unit)
    assert ("released_intervals" in test["by_unit"]) == (test["task"] == "binary")
