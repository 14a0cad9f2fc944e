"""The page of real-data tables: a licence holder's run folders drop in; without them it says not
run and how to.
"""

import json
import re
import subprocess

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import yaml

from depnb import corpora, runs
from depnb.book import licensed, provenance, reports
from depnb.files import write_atomically
from depnb.papers.cards import cards
from depnb.runs import verify
from tests import small_runs
from tests.papermilled import command
from tests.paths import ROOT

PAPERS = ("sta_drn", "cfrafn", "aafn", "dynmultidep")


def page(folder, place):
    """Text of the executed page for the runs in `place`."""
    done = subprocess.run(command(folder, {"runs_dir": str(place)}, "real_data"),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return "".join(provenance.texts(nbformat.read(folder / "out.ipynb", 4)))


@pytest.fixture
def place(tmp_path):
    """A licence holder's folder: a run of every paper under protocol clean, and a simulated one."""
    for paper, table in cards().items():
        settings = [yaml.safe_load((ROOT / f"params/{paper}" / name).read_text())
                    for name in ("quick.yaml", table.tables[0].params)]
        chosen = settings[0] | settings[1] | {"protocol": "clean", "corpus": table.tables[0].corpus,
                                              "resume": True}
        chosen.pop("run_dir")
        small_runs.finish(tmp_path / "runs" / paper / "0123456789", paper,
                          restricted=True, **chosen)
    small_runs.finish(tmp_path / "runs/sta_drn/quick", "sta_drn")
    return tmp_path / "runs"


class TestPlan:
    @pytest.mark.parametrize("paper", PAPERS)
    def test_every_command_names_files_and_parameters_that_exist(self, paper):
        declared = papermill.inspect_notebook(ROOT / f"notebooks/{paper}.ipynb")
        for table in cards()[paper].tables:
            for protocol in licensed.PROTOCOLS:
                line = licensed.command(paper, table, protocol)
                assert (ROOT / re.search(r"-f (\S+)", line)[1]).exists()
                chosen = dict(re.findall(r"-p (\S+) (\S+)", line))
                assert set(chosen) <= set(declared)
                assert chosen["corpus"] in corpora.OPENERS
                assert chosen["protocol"] in declared["protocol"]["help"]

    def test_published_numbers_are_those_of_the_chapters(self):
        plan = cards()
        reported = {(entry["name"], row["who"].strip("*"), row["protocol"].split(",")[0]):
                    row["numbers"] for entry in reports.corpora() for row in entry["rows"]}
        for table in plan["sta_drn"].tables:
            numbers = reported[table.name, "Pan et al. 2024 (STA-DRN)", "official test part"]
            assert table.published == {"mae": float(numbers["MAE"]), "rmse": float(numbers["RMSE"])}
        table = plan["aafn"].tables[0]
        model = ("DAIC-WOZ, test part", "Wei et al., log: audio, video and text, sub-attention")
        for where, published in (("by window", table.published),
                                 ("test part", table.published_people)):
            numbers = reported[(*model, where)]
            assert f"{published['accuracy']:.3f}".lstrip("0") in numbers["accuracy"]
            assert {name: f"{value:.{3 if value < 1 else 2}f}".lstrip("0")
                    for name, value in published.items()
                    if name != "accuracy"} == {"ppv": numbers["precision"], "f1": numbers["F1"],
                                               "mae": numbers["MAE"], "rmse": numbers["RMSE"]}
        log = pd.read_csv(ROOT / "book/data/aafn_logs/epochs.csv").query("split == 'test'")
        best = log[log["model"]
                   == "audio visual text, sub-attention"].nlargest(1, "accuracy_percent").iloc[0]
        assert table.published == {
            "accuracy": pytest.approx(best["accuracy_percent"] / 100),
            "ppv": table.published["ppv"],
            **{name: pytest.approx(best[name], abs=0.006) for name in ("f1", "mae", "rmse")}}


class TestFound:
    def test_runs_on_given_data_and_no_simulated_ones(self, place):
        accepted, refused = licensed.real_runs(place)
        assert {run.name for run in accepted} == {f"{paper}/0123456789" for paper in PAPERS}
        assert refused == []

    def test_an_edited_a_truncated_and_an_unfinished_run_are_refused_by_name(self, place):
        for paper, name in (("sta_drn", "predictions.csv"), ("aafn", "provenance.json"),
                            ("cfrafn", "metrics.json")):
            file = place / paper / "0123456789" / name
            file.write_text(file.read_text()[:-40])
        (place / "dynmultidep/0123456789/metrics.json").unlink()
        accepted, refused = licensed.real_runs(place)
        assert accepted == []
        assert sorted(sentence.split(":")[0] for sentence in refused) == [f"run {p}/0123456789"
                                                                          for p in sorted(PAPERS)]

    def test_an_unfinished_run_on_simulated_data_is_none_of_this_page(self, tmp_path):
        runs.Run.start("sta_drn",
                       small_runs.PARAMETERS | {"run_dir": str(tmp_path / "runs/sta_drn/a")})
        assert licensed.real_runs(tmp_path / "runs") == ([], [])


class TestTables:
    @pytest.mark.parametrize("paper", PAPERS)
    def test_the_run_its_constant_and_the_published_number_stand_side_by_side(self, place, paper):
        accepted, _ = licensed.real_runs(place)
        plan = cards()[paper]
        filled = [entry for entry in licensed.report(paper, accepted) if entry[2] is not None]
        assert len(filled) == 1
        heading, about, table, missing = filled[0]
        assert heading == f"{plan.tables[0].name}, protocol clean"
        assert missing is None
        assert f"settings of params/{paper}/{plan.tables[0].params};" in about
        assert "16 test participants" in about
        test = runs.Run(place / paper / "0123456789").metrics["test"]
        main = next(iter(plan.metrics))
        row = table.set_index("metric").loc[plan.metrics[main]]
        people = test["by_participant"]
        low, high = people[f"{main}_interval"]
        assert row["by participant"] == f"{people[main]:.2f} ({low:.2f} to {high:.2f})"
        assert row[f"by {plan.unit}"].startswith(f"{test['by_unit'][main]:.2f}")
        assert row["constant"] == f"{test['constant']['by_participant'][main]:.2f}"
        published = plan.tables[0].published.get(main)
        assert row[f"published, by {plan.unit}"] == (f"{published:.2f}" if published else "–")
        assert not table.isna().any(axis=None)

    def test_a_constant_stands_beside_every_error(self, place):
        for paper in ("sta_drn", "aafn"):
            run = runs.Run(place / paper / "0123456789")
            plan = cards()[paper]
            table = licensed.table(run, plan.metrics, {}).set_index("metric")
            constant = run.metrics["test"]["constant"]["by_participant"]
            assert table.loc["RMSE", "constant"] == f"{constant['rmse']:.2f}"

    def test_the_authors_weights_are_told_from_a_training_without_their_path(self, tmp_path):
        run = small_runs.finish(tmp_path / "runs/sta_drn/0123456789", "sta_drn", restricted=True,
                                data_root="/licensed", checkpoint="/home/somebody/best.pth")
        content = run.metrics | {"checkpoint": {"file": "best.pth", "sha256": "0" * 64}}
        (run.folder / "metrics.json").write_text(json.dumps(content))
        (run.folder / "SHA256SUMS").write_text(verify.checksums(run.folder, json.dumps(content)))
        accepted, refused = licensed.real_runs(tmp_path / "runs")
        assert refused == []
        about = [entry[1] for entry in licensed.report("sta_drn", accepted) if entry[1]]
        assert "weights of `best.pth` (SHA-256 `0000000000`), **nothing trained here**;" in about[0]
        assert "somebody" not in about[0]

    def test_what_departs_from_a_params_file_is_said(self, place):
        run = runs.Run(place / "sta_drn/0123456789")
        assert licensed.settings(run) == "params/sta_drn/paper.yaml"
        write_atomically(run.folder / "params.yaml", yaml.safe_dump(run.parameters | {"k": 4}))
        assert licensed.settings(run) == "params/sta_drn/paper.yaml with k 4"

    def test_a_corpus_that_no_table_asks_for_is_shown_too(self, tmp_path):
        run = small_runs.finish(tmp_path / "runs/sta_drn/frames", "sta_drn", restricted=True,
                                corpus="frame_folder")
        *planned, extra = licensed.report("sta_drn", [run])
        assert all(command for *_, command in planned)
        assert len(planned) == 4
        assert extra[0] == "AVEC 2014, protocol clean"
        assert "published: none for this corpus" in extra[1]


def test_without_a_real_run_the_page_says_not_run_and_how_to(tmp_path):
    text = page(tmp_path, tmp_path / "none")
    assert "Runs on real data: 0 shown, 0 refused." in text
    for paper, plan in cards().items():
        for table in plan.tables:
            for protocol in licensed.PROTOCOLS:
                assert f"{table.name}, protocol {protocol}: **not run**" in text
                assert licensed.command(paper, table, protocol) in text
    assert "<table" not in text


def test_runs_on_a_licensed_corpus_drop_in_and_nobody_is_named(tmp_path):
    for name in ("mine", "edited"):
        run = small_runs.finish(tmp_path / "runs/cfrafn" / name, "cfrafn", restricted=True,
                                corpus="speech_folder")
    predictions = run.predictions
    (run.folder / "predictions.csv").write_text(
        predictions.assign(participant=np.arange(len(predictions))).to_csv(index=False))
    text = page(tmp_path, tmp_path / "runs")
    assert "Runs on real data: 1 shown, 1 refused." in text
    assert "Run `cfrafn/mine` on AVEC 2014, licensed corpus" in text
    assert "run cfrafn/edited: predictions.csv was changed after the run" in text
    assert not any(name in text for column in ("participant", "session")
                   for name in predictions[column].unique())
