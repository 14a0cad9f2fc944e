"""Run folders and their comparison."""

import json
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from depnb import files, runs
from depnb.corpora import privacy
from depnb.runs import __main__, origin, verify
from depnb.runs import folder as folder_module
from tests import small_runs
from tests.small_runs import FakeCorpus

PARAMETERS = {"data_root": "auto", "run_dir": "auto", "resume": True, "seed": 0, "epochs": 2}
PREDICTIONS = pd.DataFrame({"session": ["003"], "participant": ["007"], "split": ["test"],
                            "y_true": [3.0], "y_pred": [9.0]})


def finish(run, **metrics):
    run.finish({"mae": 1.0, **metrics}, PREDICTIONS, FakeCorpus(), "cpu", 12.3)


class TestRun:
    def start(self, tmp_path, **changed):
        return runs.Run.start("sta_drn",
                              PARAMETERS | {"run_dir": str(tmp_path / "sta_drn/a")} | changed)

    def finished(self, tmp_path, **changed):
        run = self.start(tmp_path, **changed)
        finish(run)
        return run

    def test_complete_once_finished(self, tmp_path):
        run = self.start(tmp_path)
        assert not run.complete
        finish(run, ccc=float("nan"), nested=[{"low": float("nan")}])
        assert run.complete
        assert run.metrics == {"mae": 1.0, "ccc": None, "nested": [{"low": None}]}
        # zeros kept
        assert run.predictions.loc[0, ["session", "participant"]].tolist() == ["003", "007"]
        assert {p.name for p in run.folder.iterdir()} == {"params.yaml", "metrics.json",
                                                          "predictions.csv", "provenance.json",
                                                          "SHA256SUMS", "written.json", "figures"}
        assert verify.refusal(run.folder) is None

    def test_says_what_produced_it_and_where_from(self, tmp_path):
        run = self.start(tmp_path, seed=4)
        finish(run)
        provenance = run.provenance
        assert provenance["seed"] == 4
        assert provenance["corpus"]["simulated"]
        assert set(provenance["packages"]) >= {"torch", "numpy", "mediapipe"}
        assert provenance["hardware"]["cores"] >= 1
        assert "**simulated data** (participants 12, effect 1, seed 0)" in run.describe()
        assert "2 participants, seed 4" in run.describe()
        assert str(tmp_path) not in json.dumps(provenance)

    def test_the_same_parameters_find_the_finished_run(self, tmp_path):
        self.finished(tmp_path, data_root="here")
        again = self.start(tmp_path, data_root="elsewhere")         # where, not what
        assert again.complete
        finish(again, mae=2.0)                                      # stays as it is
        assert again.metrics["mae"] == 1.0

    @pytest.mark.parametrize("changed", [{"epochs": 9}, {"resume": False}])
    def test_another_run_is_moved_aside_and_never_lost(self, tmp_path, changed, capsys):
        finish(self.start(tmp_path))
        for number in (1, 2):
            run = self.start(tmp_path, **changed)
            assert not run.complete
            assert f"a is kept as a.replaced-{number}." in capsys.readouterr().out
            finish(run)
            changed = changed if "resume" in changed else {"epochs": 9 + number}
        assert runs.Run(tmp_path / "sta_drn/a.replaced-1").metrics["mae"] == 1.0
        assert (tmp_path / "sta_drn/a.replaced-2").is_dir()

    @pytest.mark.parametrize(("name", "fault"),
                             [("metrics.json", "was changed"), ("params.yaml", "is missing")])
    def test_a_finished_run_that_was_changed_is_moved_aside_and_named(self, tmp_path, name, fault,
                                                                      capsys):
        file = self.finished(tmp_path).folder / name
        file.write_text(
            file.read_text().replace("1.0", "0.5")) if fault == "was changed" else file.unlink()
        assert not self.start(tmp_path).complete
        assert re.search(rf"kept as a.replaced-1\. Refused: run sta_drn/a: {name} {fault}",
                         capsys.readouterr().out)

    def test_simulated_and_given_data_are_never_the_same_run(self, tmp_path, monkeypatch):
        self.finished(tmp_path)
        assert not self.start(tmp_path, data_root="AVEC2014").complete
        monkeypatch.setattr(files, "repository", lambda: tmp_path)
        first = runs.Run.start("sta_drn", PARAMETERS).folder
        licensed = runs.Run.start("sta_drn", PARAMETERS | {"data_root": "AVEC2014"}).folder
        assert licensed != first
        assert (runs.Run.start("sta_drn", PARAMETERS | {"data_root": "/moved/AVEC2014"}).folder
                == licensed)

    def test_a_finished_run_of_another_corpus_is_not_shown_for_this_one(self, tmp_path):
        run = self.finished(tmp_path, data_root="one")
        other = FakeCorpus()
        other.fingerprint = "ff00"
        with pytest.raises(
            ValueError,
            match=r"run sta_drn/a was made from another corpus than the AVEC 2014 at hand"):
            self.start(tmp_path, data_root="two").finish({"mae": 2.0}, PREDICTIONS, other, "cpu",
                                                         1.0)
        assert run.metrics["mae"] == 1.0

    def test_an_interrupted_run_of_other_data_starts_anew_and_says_so(self, tmp_path, capsys):
        self.start(tmp_path, data_root="one").use(FakeCorpus())
        (tmp_path / "sta_drn/a/state.safetensors").write_bytes(b"half")
        (tmp_path / "sta_drn/a/chain-0").mkdir()
        same = self.start(tmp_path, data_root="one")
        same.use(FakeCorpus())
        assert (same.folder / "state.safetensors").exists()
        assert capsys.readouterr().out == ""
        other, run = FakeCorpus(), self.start(tmp_path, data_root="two")
        other.fingerprint = "ff00"
        run.use(other)
        assert capsys.readouterr().out == ("The interrupted run in a was begun on other data and "
                                           "is kept as a.replaced-1; this one starts anew.\n")
        assert {p.name for p in run.folder.iterdir()} == {"params.yaml", "provenance.json",
                                                          "figures"}
        assert run.provenance["corpus"]["fingerprint"] == "ff00"
        assert {p.name for p in (tmp_path / "sta_drn/a.replaced-1").iterdir()} >= {
            "state.safetensors", "chain-0"}
        run.finish({"mae": 2.0}, PREDICTIONS, other, "cpu", 1.0)
        assert run.metrics["mae"] == 2.0

    def test_a_prediction_of_other_files_or_by_another_checkpoint_is_moved_aside(self, tmp_path,
                                                                                 capsys):
        source, weights = tmp_path / "mine", tmp_path / "weights"
        source.mkdir()
        (source / "a.wav").write_bytes(b"one")
        weights.write_bytes(b"old")

        def predict():
            run = self.start(tmp_path)
            run.stands_on(source, tmp_path / "cache", weights)
            run.save("predictions.csv", "file\n")
            (run.folder / "private.log").write_text("a.wav")
            return capsys.readouterr().out

        assert predict() == predict() == ""
        for number, change in enumerate((lambda: (source / "a.wav").write_bytes(b"two"),
                                         lambda: (source / "a.wav").rename(source / "b.wav"),
                                         lambda: weights.write_bytes(b"new")), 1):
            change()
            assert predict() == ("What lies in a was made of other files, or by another "
                                 f"checkpoint, and is kept as a.replaced-{number}.\n")
            assert (tmp_path / f"sta_drn/a.replaced-{number}/private.log").exists()
            assert predict() == ""

    def test_a_finished_run_of_another_corpus_is_refused_before_anything_is_computed(
        self, tmp_path):
        self.finished(tmp_path)
        other = FakeCorpus()
        other.fingerprint = "ff00"
        with pytest.raises(ValueError, match="was made from another corpus"):
            self.start(tmp_path).use(other)
        again = self.start(tmp_path)
        again.use(FakeCorpus())
        assert again.complete

    @pytest.mark.parametrize("restricted", [False, True])
    def test_what_was_left_out_is_written_before_anything_can_fail(self, tmp_path, restricted):
        corpus, told = FakeCorpus(restricted), []
        corpus.write_private_log = told.append
        run = self.start(tmp_path)
        run.use(corpus)
        assert told == [run.folder] * restricted

    @pytest.mark.parametrize("restricted", [False, True])
    def test_rows_by_person_of_a_licensed_corpus_are_the_owners(self, tmp_path, restricted):
        run = self.start(tmp_path)
        run.save("weights.csv", "session\n")    # before it knows the corpus: as if it were licensed
        assert (run.folder / "weights.csv").stat().st_mode & 0o077 == 0
        run.use(FakeCorpus(restricted))
        run.save("attributions.csv", "cue\n")
        run.save("costs.csv", "steps\n")
        people = pd.concat([PREDICTIONS.assign(participant=f"P-{i:010x}") for i in range(5)])
        run.finish({"mae": 1.0}, people, FakeCorpus(restricted), "cpu", 1.0)
        closed = {p.name for p in run.folder.iterdir()
                  if p.is_file() and not p.stat().st_mode & 0o077}
        assert closed == ({"weights.csv", "attributions.csv", "predictions.csv"} if restricted
                          else {"weights.csv"})
        assert run.provenance["identifying"] == (list(privacy.IDENTIFYING) if restricted else [])

    def test_a_test_part_of_four_people_of_a_licensed_corpus_is_not_written(self, tmp_path):
        people = pd.concat([PREDICTIONS.assign(participant=f"P-{i:010x}") for i in range(4)])
        with pytest.raises(ValueError, match="its test part has fewer than five people"):
            self.start(tmp_path).finish({"mae": 1.0}, people, FakeCorpus(True), "cpu", 1.0)
        assert not (tmp_path / "sta_drn/a/predictions.csv").exists()
        self.start(tmp_path).finish({"mae": 1.0}, people, FakeCorpus(), "cpu", 1.0)

    @pytest.mark.parametrize("place", [".", "cache", "deep/er"])
    def test_a_cache_in_the_runs_folder_is_refused(self, tmp_path, place):
        """It holds faces, and the key of pseudonyms."""
        with pytest.raises(ValueError, match="lies in the run's folder"):
            self.start(tmp_path, cache_dir=str(tmp_path / "sta_drn/a" / place))
        self.start(tmp_path, cache_dir=str(tmp_path / "sta_drn/a_cache"))

    @pytest.mark.parametrize("name", ["cache_dir", "run_dir"])
    @pytest.mark.parametrize("place", [".", "deep/er"])
    def test_a_place_in_the_data_is_refused(self, tmp_path, name, place):
        data = tmp_path / "AVEC2014"
        data.mkdir()
        with pytest.raises(
            ValueError, match=rf"^{name} .* lies in data_root .*AVEC2014, .* Put it elsewhere\.$"):
            self.start(tmp_path, **{"data_root": str(data), name: str(data / place)})
        assert not list(data.iterdir())
        self.start(tmp_path, data_root=str(data), cache_dir=str(tmp_path / "AVEC2014_cache"))

    @pytest.mark.parametrize("name", ["cache_dir", "run_dir"])
    @pytest.mark.parametrize(("place", "told"), [
        ("file", "it is no folder"), ("link", "it is no folder"), ("file/below", "cannot be made"),
        ("x" * 300, "cannot be made or written .File name too long")])
    def test_a_place_that_cannot_be_is_refused(self, tmp_path, name, place, told):
        (tmp_path / "file").write_text("")
        (tmp_path / "link").symlink_to("nowhere")
        with pytest.raises(ValueError,
                           match=rf"^{name} .*{told}.*Give a folder in which you may write\.$"):
            self.start(tmp_path, **{name: str(tmp_path / place)})

    @pytest.mark.parametrize("mode", [None, "online", "offline"])
    def test_a_tracker_that_sends_is_refused_as_soon_as_the_corpus_is_opened(self, tmp_path,
                                                                             monkeypatch, mode):
        monkeypatch.delenv("WANDB_MODE", raising=False)
        if mode:
            monkeypatch.setenv("WANDB_MODE", mode)
        run = self.start(tmp_path, tracker="wandb")
        run.use(FakeCorpus())
        if mode == "offline":
            run.use(FakeCorpus(True))
        else:
            with pytest.raises(ValueError, match="Set WANDB_MODE=offline, or choose csv"):
                run.use(FakeCorpus(True))

    @pytest.mark.parametrize("restricted", [False, True])
    def test_counts_of_fewer_than_five_people_stay_out_of_the_metrics(self, tmp_path, restricted):
        run = small_runs.finish(tmp_path / "cfrafn/a", "cfrafn", restricted, {
            "test": {"task": "binary", "by_participant": {"confusion": {
                "tn": 12, "fp": 4, "fn": 0, "tp": 5}, "participants": 16, "threshold": 0.5}},
            "by_gender": {"male": {"speakers": 4}}, "expansion": 2})
        few = None if restricted else 4
        people = run.metrics["test"]["by_participant"]
        assert people["confusion"] == {"tn": 12, "fp": few, "fn": None if restricted else 0,
                                       "tp": 5}
        assert run.metrics["by_gender"] == {"male": {"speakers": few}}
        assert people["participants"] == 16
        assert run.metrics["expansion"] == 2
        assert verify.refusal(run.folder) is None

    def test_an_interrupted_run_of_other_code_is_not_resumed(self, tmp_path, monkeypatch):
        self.start(tmp_path)
        (tmp_path / "sta_drn/a/state.safetensors").write_bytes(b"half")
        assert (self.start(tmp_path).folder / "state.safetensors").exists()
        monkeypatch.setattr(origin, "code_fingerprint", lambda paper: "other")
        assert not (self.start(tmp_path).folder / "state.safetensors").exists()
        assert (tmp_path / "sta_drn/a.replaced-1/state.safetensors").exists()

    def test_auto_names_the_folder_by_what_is_computed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "repository", lambda: tmp_path)
        first = runs.Run.start("sta_drn", PARAMETERS).folder
        assert runs.Run.start("sta_drn", PARAMETERS | {"workers": 3}).folder == first
        assert runs.Run.start("sta_drn", PARAMETERS | {"seed": 1}).folder != first
        assert first.parent == tmp_path / "runs/sta_drn"


def test_the_code_fingerprint_sees_computing_cells_but_not_drawing_ones(tmp_path, monkeypatch):
    def digest(cells):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / "notebooks/p.ipynb").write_text(json.dumps({"cells": cells}))
        monkeypatch.setattr(files, "repository", lambda: tmp_path)
        runs.code_fingerprint.cache_clear()
        return runs.code_fingerprint("p"), runs.code_fingerprint("p", everything=True)

    def cell(source, kind="code", **metadata):
        return {"cell_type": kind, "source": [source], "metadata": metadata}

    compute, draw = cell("x = 1"), cell("plot(x)", mystnb={"image": {}})
    base = digest([compute, draw, cell("text", "markdown"), cell("seed = 0", tags=["parameters"])])
    assert digest([cell("x = 2"), draw])[0] != base[0]
    other = digest([compute, cell("plot(2 * x)", mystnb={"image": {}}),
                    cell("seed = 1", tags=["parameters"])])
    assert other[0] == base[0]
    assert other[1] != base[1]
    runs.code_fingerprint.cache_clear()


class TestComparison:
    @pytest.fixture
    def table(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "repository", lambda: tmp_path)
        for name, improvement in (("a", 0.3), ("b", 0.1)):
            run = runs.Run.start("sta_drn", PARAMETERS | {"run_dir": f"runs/sta_drn/{name}"})
            run.finish({"test": {"task": "severity", "constant": {"by_participant": {"mae": 8.0}},
                                 "by_participant": {"mae": 6.0, "improvement": improvement,
                                                    "improvement_interval": [improvement - 0.1,
                                                                             improvement + 0.1]}}},
                       PREDICTIONS, FakeCorpus(), "cpu", 100)
        path = tmp_path / "ablations.yaml"
        path.write_text(yaml.safe_dump({"runs": {
            name: {"label": name.upper(), "group": group, "parameters": {}}
            for name, group in (("a", "seeds"), ("b", "seeds"), ("c", "null"))}}))
        return path

    def test_one_row_a_run_and_the_command_for_a_missing_one(self, table):
        rows = runs.compare("sta_drn", table).set_index("run")
        assert rows.loc["A", "value"] == pytest.approx(30)
        assert rows.loc["B", "below mean predictor, %"] == "10 (0 to 20)"
        assert rows.loc["A", "training"] == "1.7 min"
        assert np.isnan(rows.loc["C", "MAE"])
        assert rows.loc["C", "training"].endswith("runs/sta_drn/c/metrics.json")

    def test_another_metric_is_compared_as_it_is(self, table, tmp_path):
        people = pd.DataFrame({"participant": ["1", "2"], "split": "test", "y_true": [0, 1]})
        for name, test, guess in (("c", {"roc_auc": 1.0, "roc_auc_interval": [0.8, 1.0]},
                                   [0.2, 0.7]), ("d", {"roc_auc": 0.5}, [0.4, 0.4])):
            run = runs.Run.start("sta_drn", PARAMETERS | {"run_dir": f"runs/sta_drn/{name}"})
            test = {"task": "binary", "by_participant": {"threshold": 0.5} | test}
            run.finish({"test": test}, people.assign(y_pred=guess), FakeCorpus(), "cpu", 100)
        table.write_text(yaml.safe_dump({"runs": {"c": {"label": "A", "group": "x"},
                                                  "d": {"label": "B", "group": "x"}}}))
        rows = runs.compare("sta_drn", table, "roc_auc").set_index("run")
        assert rows.loc["A", "AUC"] == "1.00 (0.80 to 1.00)"
        assert rows.loc["B", "AUC"] == "0.50"
        assert "MAE" not in rows

    def test_a_refused_run_has_no_number_and_says_why(self, table, tmp_path):
        metrics = tmp_path / "runs/sta_drn/a/metrics.json"
        metrics.write_text(metrics.read_text().replace("6.0", "5.0"))
        rows = runs.compare("sta_drn", table).set_index("run")
        assert np.isnan(rows.loc["A", ["MAE", "value", "low", "high"]].astype(float)).all()
        assert re.fullmatch(
            r"refused: run sta_drn/a: metrics.json was changed after the run .* repeat the run\. "
            r"snakemake -c2 -f runs/sta_drn/a/metrics\.json", rows.loc["A", "training"])
        assert rows.loc["B", "training"] == "1.7 min"
        assert list(runs.finished("sta_drn")) == ["b"]
        assert runs.summarise(rows.reset_index(), {"seeds": {
            "about": "Seeds", "at_least": 1}})["seeds"]["sentence"] == ("Seeds: not run yet.")

    @pytest.mark.parametrize(("bar", "sentence"), [
        ({"inside": 0.5}, "expected 0.5 inside the mean interval, 0.83 to 0.96, not reached."),
        ({"inside": 0.93}, "expected 0.93 inside the mean interval, 0.83 to 0.96, reached."),
        ({"at_least": 0.85}, "test AUC on average 0.91 (single runs: 0.90, 0.92); "
         "expected at least 0.85, reached.")])
    def test_a_group_of_aucs_against_its_bar(self, bar, sentence):
        rows = pd.DataFrame({"group": "seeds", "value": [0.9, 0.92], "low": [0.8, 0.86],
                             "high": [0.95, 0.97]})
        assert sentence in runs.summarise(rows, {"seeds": {"about": "Seeds"} | bar},
                                          "roc_auc")["seeds"]["sentence"]

    def test_a_replaced_run_does_not_count(self, table, tmp_path):
        (tmp_path / "runs/sta_drn/a").rename(tmp_path / "runs/sta_drn/a.replaced-1")
        assert list(runs.finished("sta_drn")) == ["b"]

    @pytest.mark.parametrize(("bar", "sentence"), [
        ({"at_least": 20}, "average 20 % below the mean predictor's (single runs: "
         "30 % below, 10 % below); expected at least 20 % below, reached."),
        ({"at_least": 25}, "expected at least 25 % below, not reached."),
        ({"at_most": 25}, "expected at most 25 % below, reached."),
        ({"at_most": 10}, "expected at most 10 % below, not reached.")])
    def test_a_group_against_its_bar(self, table, sentence, bar):
        summary = runs.summarise(runs.compare("sta_drn", table),
                                 {"seeds": {"about": "Seeds"} | bar})["seeds"]
        assert summary["mean"] == pytest.approx(20)
        assert sentence in summary["sentence"]

    def test_nothing_is_said_of_a_group_that_was_not_run(self, table):
        summary = runs.summarise(runs.compare("sta_drn", table),
                                 {"null": {"about": "Null", "at_most": 10}})["null"]
        assert math.isnan(summary["mean"])
        assert summary["sentence"] == "Null: not run yet."


class TestExport:
    @pytest.mark.parametrize("restricted", [False, True])
    def test_what_is_identifying_stays(self, tmp_path, restricted, capsys):
        folder = small_runs.finish(tmp_path / "cfrafn/a", "cfrafn", restricted).folder
        (folder / "private.log").write_text("S-1\t/data/300_P")
        (folder / ".history.csv.1.part").write_text("torn")
        (folder / "figures/mine.txt").write_text("my notes")
        for name in ("predictions_backup.csv", "tensorboard", "search.db"):
            (folder / name).write_text("not for others")
        __main__.main(["export", str(folder), str(tmp_path / "away")])
        told = capsys.readouterr().out
        assert ("predictions.csv" in told) == restricted
        assert "private.log" in told
        assert "predictions_backup.csv" in told
        names = {p.name for p in (tmp_path / "away").iterdir()}
        assert names >= {"params.yaml", "metrics.json", "provenance.json", "SHA256SUMS", "figures"}
        assert ("predictions.csv" in names) == (not restricted)
        assert not names & {"private.log", ".history.csv.1.part", "predictions_backup.csv",
                            "tensorboard", "search.db"}
        assert not list((tmp_path / "away/figures").iterdir())
        assert (verify.refusal(tmp_path / "away") is None) == (not restricted)
        assert verify.refusal(folder) is None

    def test_only_what_the_run_recorded_goes(self, tmp_path, capsys):
        run = small_runs.finish(tmp_path / "cfrafn/a", "cfrafn")
        for name in ("drawn", "changed", "linked"):
            run.save_figure(plt.figure(), name)
        run.save("metrics_meanstd.csv", "auc\n")
        run.save("costs.csv", "steps\n")
        folder, secret = run.folder, tmp_path / "pseudonyms.key"
        secret.write_text("0" * 64)
        (folder / "figures/mine.png").write_bytes(b"a face")
        (folder / "figures/changed.png").write_bytes(b"a face")
        (folder / "figures/key.png").symlink_to(secret)
        (folder / "figures/linked.png").rename(tmp_path / "linked.png")
        (folder / "figures/linked.png").symlink_to(tmp_path / "linked.png")
        (folder / "costs.csv").write_text("by hand\n")
        (folder / "scaler.json").symlink_to(secret)
        (folder / "metrics.csv").write_text("by hand\n")
        __main__.main(["export", str(folder), str(tmp_path / "away")])
        assert sorted(p.name for p in (tmp_path / "away/figures").iterdir()) == ["drawn.png"]
        names = {p.name for p in (tmp_path / "away").iterdir()}
        assert "metrics_meanstd.csv" in names
        assert not names & {"costs.csv", "scaler.json", "metrics.csv"}
        assert "0" * 64 not in "".join(p.read_text("latin1") for p in (tmp_path / "away").rglob("*")
                                       if p.is_file())
        told = capsys.readouterr().out
        for name in ("figures/mine.png", "figures/changed.png", "figures/key.png",
                     "figures/linked.png", "costs.csv", "scaler.json", "metrics.csv"):
            assert re.search(rf"[ ,]{re.escape(name)}[,.]", told), name
        __main__.main(["export", str(tmp_path / "away"), str(tmp_path / "further")])
        assert (tmp_path / "further/figures/drawn.png").exists()

    def test_no_folder_is_entered_by_a_link(self, tmp_path):
        run = small_runs.finish(tmp_path / "cfrafn/a", "cfrafn")
        run.save_figure(plt.figure(), "drawn")
        (run.folder / "figures").rename(tmp_path / "figures")
        (run.folder / "figures").symlink_to(tmp_path / "figures")
        assert runs.export(run.folder, tmp_path / "away") == ["figures"]
        assert not list((tmp_path / "away/figures").iterdir())

    def test_a_run_from_before_figures_were_recorded_goes_without_them(self, tmp_path):
        run = small_runs.finish(tmp_path / "cfrafn/a", "cfrafn")
        run.save_figure(plt.figure(), "drawn")
        (run.folder / "written.json").unlink()
        assert verify.refusal(run.folder) is None
        assert runs.export(run.folder, tmp_path / "away") == ["figures/drawn.png"]
        assert (tmp_path / "away/predictions.csv").exists()

    def test_weights_are_warned_of_where_there_are_some(self, tmp_path, capsys):
        for name in ("with", "without"):
            (tmp_path / "cfrafn" / name).mkdir(parents=True)
            if name == "with":
                (tmp_path / "cfrafn/with/checkpoint.safetensors").write_bytes(b"weights")
            small_runs.finish(tmp_path / "cfrafn" / name, "cfrafn")
            __main__.main(["export", str(tmp_path / "cfrafn" / name), str(tmp_path / name)])
            assert ("trained weights may reveal" in capsys.readouterr().out) == (name == "with")

    @pytest.mark.parametrize(("content", "told"), [
        ("{", "cannot be read"), ("{}", "written by depnb of an unknown version"),
        (None, "is missing"), ("[" * 100_000, "cannot be judged"),
        ("simulated", "was changed after the run")])
    def test_a_run_that_is_not_as_it_was_is_refused(self, tmp_path, content, told):
        folder = small_runs.finish(tmp_path / "cfrafn/a", "cfrafn", restricted=True).folder
        file = folder / "provenance.json"
        if content is None:
            file.unlink()
        else:
            file.write_text(file.read_text().replace('"simulated": false', '"simulated": true')
                            if content == "simulated" else content)
        with pytest.raises(SystemExit, match=rf"^run cfrafn/a: .*{told}") as stopped:
            __main__.main(["export", str(folder), str(tmp_path / "away")])
        assert str(stopped.value).endswith("Nothing was exported.")
        assert not (tmp_path / "away").exists()

    @pytest.mark.parametrize(("target", "told"), [
        ("cfrafn/a/away", "lies in the run's own folder"), ("data/deep/away", "lies in data_root"),
        ("link", r"is there already \(a link to nowhere\)"),
        ("file/away", "cannot be written .Not a directory"),
        ("new/" + "x" * 300, "cannot be written .File name too long")])
    def test_a_target_that_cannot_be_leaves_nothing_behind(self, tmp_path, target, told):
        (tmp_path / "data").mkdir()
        (tmp_path / "file").write_text("")
        (tmp_path / "link").symlink_to("nowhere")
        small_runs.finish(tmp_path / "cfrafn/a", "cfrafn", data_root=str(tmp_path / "data"))
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit, match=rf"{told}.* Give a folder .*\.$"):
            __main__.main(["export", str(tmp_path / "cfrafn/a"), str(tmp_path / target)])
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_full_disk_leaves_nothing_behind(self, tmp_path, monkeypatch):
        small_runs.finish(tmp_path / "cfrafn/a", "cfrafn")
        before = sorted(tmp_path.rglob("*"))

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(folder_module, "settle", full)
        with pytest.raises(SystemExit, match=r"cannot be written \(No space left on device\)"):
            __main__.main(["export", str(tmp_path / "cfrafn/a"), str(tmp_path / "deep/er/away")])
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize(("exists", "sentence"),
                             [(False, "no finished run there"), (True, "is there already")])
    def test_what_cannot_be_is_said(self, tmp_path, exists, sentence):
        if exists:
            small_runs.finish(tmp_path / "cfrafn/a", "cfrafn")
            (tmp_path / "away").mkdir()
        with pytest.raises(SystemExit, match=sentence):
            __main__.main(["export", str(tmp_path / "cfrafn/a"), str(tmp_path / "away")])


def test_a_package_that_is_not_installed_as_such_has_no_version():
    assert origin.version("no-such-package") is None
    assert origin.version("numpy") == np.__version__
