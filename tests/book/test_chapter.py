"""What the chapters tell alike, on small runs whose answers are known."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup

from depnb import figures, runs
from depnb.book import chapter, claims
from depnb.papers.cards import cards
from depnb.scores import report


def a_run(folder, predictions, test, fingerprint="one"):
    """A folder with what the pages read of a run -> Run."""
    folder.mkdir(parents=True)
    predictions.to_csv(folder / "predictions.csv", index=False)
    (folder / "metrics.json").write_text(json.dumps(
        runs.without_nan({"simulated": True, "parameters": 1234, "test": test})))
    (folder / "params.yaml").write_text(yaml.safe_dump({"checkpoint": ""}))
    (folder / "provenance.json").write_text(json.dumps({
        "corpus": {"fingerprint": fingerprint}, "training_seconds": 61.0, "wall_seconds": 200.0,
        "peak_memory_mb": 1500, "hardware": {"device": "a processor"}}))
    return runs.Run(folder)


def people(seed, strength, n=30):
    """Predictions of n test participants, two recordings each, right to a degree."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    logit = strength * (truth - 0.5) + rng.normal(size=n)
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(n)], "y_true": truth,
                          "y_pred": 1 / (1 + np.exp(-logit))})
    return pd.concat([table.assign(session=table["participant"] + part, split="test")
                      for part in "ab"], ignore_index=True)


@pytest.fixture
def binary(tmp_path, monkeypatch):
    """Two runs of CFRAFN on the same people, a third on another corpus -> name -> Run."""
    made = {}
    for name, strength, corpus in (("quick", 2, "one"), ("equal", 0, "one"), ("null-0", 0, "two")):
        table = people(len(made), strength)
        made[name] = a_run(tmp_path / "runs/cfrafn" / name, table,
                           report.binary(table, "recording", 0.4), corpus)
    monkeypatch.setattr(runs, "finished", lambda paper: made)
    return made


@pytest.fixture
def severity(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 40, 20).astype(float)
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(20)], "y_true": truth,
                          "session": [f"s{i}" for i in range(20)], "split": "test",
                          "y_pred": truth + rng.normal(0, 3, 20)})
    return a_run(tmp_path / "runs/sta_drn/quick", table,
                 report.severity(table, "video", 20.0))


class TestGlance:
    @pytest.fixture
    def box(self, monkeypatch):
        states = []

        class Handle:
            update = states.append

        monkeypatch.setattr(chapter, "display",
                            lambda page, display_id: states.append(page) or Handle)
        made = chapter.at_a_glance("cfrafn")
        made.states = states
        return made

    def text(self, page):
        return BeautifulSoup(page.data, "html.parser").get_text(" ")

    def test_before_the_run_it_says_what_is_claimed_and_what_is_still_open(self, box):
        text = self.text(box.states[0])
        assert cards()["cfrafn"].claimed in text
        assert cards()["cfrafn"].finding in text
        assert text.count(chapter.PENDING) == 2

    def test_after_the_run_it_says_what_came_out_and_what_it_cost(self, box, binary):
        box.tell(SimpleNamespace(remark=lambda run: "Said beside it."), binary["quick"])
        text, test = self.text(box.states[-1]), binary["quick"].metrics["test"]
        assert chapter.outcome(test) in text
        assert f"{test['by_participant']['roc_auc']:.2f}" in chapter.outcome(test)
        for words in ("simulated data", "Said beside it.", "1,234 parameters", "trained in 61 s",
                      "3.3 min", "1.5 GB", "a processor"):
            assert words in text
        assert chapter.PENDING not in text

    def test_the_counts_are_those_of_the_ledger(self):
        for card in cards().values():
            sentence = chapter.verdicts(card.title)
            statements = [row for row in claims.load(card.title)
                    if claims.has(row, {"said": "authors", "verdict": "Statements"})]
            assert sentence.startswith(f"Of {len(statements)} statements")
            counted = [int(part.split()[0]) for part in
                       sentence.split("book, ")[1].split(";")[0].split(", ")]
            assert sum(counted) == len(statements) > 0


class TestResults:
    def test_binary(self, binary):
        table = chapter.results(binary["quick"], "simulated x").to_html()
        test = binary["quick"].metrics["test"]
        assert f"{test['by_participant']['roc_auc']:.2f} (" in table
        assert "30 participants, 60 recordings" in table
        assert "simulated x" in table

    def test_severity(self, severity):
        table = chapter.results(severity, "simulated y").data
        people = severity.metrics["test"]["by_participant"]
        assert table.loc["MAE", "by participant"].startswith(f"{people['mae']:.2f} (")
        assert table.loc["CCC", "constant, by participant"] in ("0.00", "–")

    def test_what_other_pages_quote(self, severity, binary):
        numbers = chapter.glued(severity.metrics["test"])
        assert numbers["mae"] < numbers["constant"]
        assert numbers["improvement"] == pytest.approx(
            100 * (1 - numbers["mae"] / numbers["constant"]))
        assert set(chapter.glued(binary["quick"].metrics["test"])) == {"auc"}


class TestAblations:
    def test_this_run_alone_where_there_is_no_other(self, binary, severity):
        for run, key, unit in ((binary["quick"], "roc_auc", 1), (severity, "improvement", 100)):
            row = chapter.this_run(run).iloc[0]
            assert row["value"] == unit * run.metrics["test"]["by_participant"][key]
            assert row["low"] < row["value"] < row["high"]

    def test_a_picture_beside_chance_or_the_constant(self, binary, severity):
        for run, line in ((binary["quick"], "chance"), (severity, "mean predictor")):
            chapter.forest(chapter.this_run(run), run, "simulated x")
            figure = figures.style.plt.gcf()
            assert line in [text.get_text() for text in figure.legends[0].get_texts()]
            figures.style.plt.close(figure)


class TestPaired:
    def test_the_same_people_of_the_same_corpus_only(self, binary):
        rows = chapter.paired(binary["quick"], "simulated x").data
        assert rows["this run against"].tolist() == ["gate fixed at 0.5"]
        aucs = [binary[name].metrics["test"]["by_participant"]["roc_auc"]
                for name in ("quick", "equal")]
        assert rows["AUC, ours minus its"][0] == pytest.approx(aucs[0] - aucs[1])
        assert 0 < rows["p"][0] < 0.05

    def test_nothing_to_compare_is_said(self, binary):
        assert "No other run" in chapter.paired(binary["null-0"], "simulated x").data

    def test_errors_are_compared_by_permutation(self, severity):
        own = chapter.people_of(severity)
        worse = own.assign(y_pred=own["y_true"] + 3 * (own["y_pred"] - own["y_true"]))
        row = chapter.tested(own, worse, "severity")
        assert row["its MAE"] == pytest.approx(3 * row["our MAE"])
        assert row["p"] < 0.05


def test_curves_of_one_class_say_why_there_are_none(tmp_path):
    table = people(0, 1).query("y_true == 1")
    run = a_run(tmp_path / "one", table, {"task": "binary"})
    chapter.classification_curves(run, "simulated x")
    axes = figures.style.plt.gcf().axes[0]
    assert "one class" in axes.texts[0].get_text()
    figures.style.plt.close("all")


def test_a_p_that_would_round_to_zero_is_said_to_be_small_and_other_numbers_are_rounded():
    table = pd.DataFrame({"auc": [0.001, 0.9], "p": [0.001, 0.25]})
    page = chapter.listed(table, "x").to_html()
    cells = [cell.text for cell in BeautifulSoup(page, "html.parser").select("tbody td")]
    assert cells == ["0.00", "< 0.005", "0.90", "0.25"]
    unknown = chapter.listed(table.assign(p=[None, 0.25]), "x").to_html()
    assert "–" in unknown
