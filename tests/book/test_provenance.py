"""The provenance page: every run and every figure, table and number of executed pages, and what
is missing, visibly.
"""

import json
import re
import subprocess

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from depnb import runs
from depnb.book import provenance
from tests import small_runs
from tests.papermilled import command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs: one that a chapter lists, one named by its parameters, one edited, one moved aside,
    predictions of others.
    """
    place = tmp_path_factory.mktemp("all") / "runs"
    small_runs.finish(place / "sta_drn/quick", "sta_drn", seed=3, simulated_seed=5, variant="sum",
                      checkpoint="/home/x/own.pt")
    small_runs.finish(place / "dynmultidep/0123456789", "dynmultidep")
    small_runs.finish(place / "evidence/own", "cfrafn")
    # as if the page of that name had made it
    small_runs.finish(place / "evidence/provenance", "cfrafn")
    small_runs.finish(place / "aafn/quick", "aafn", restricted=True, data_root="/licensed/daic")
    edited = small_runs.finish(place / "cfrafn/quick", "cfrafn").folder / "metrics.json"
    edited.write_text(edited.read_text() + " ")
    small_runs.finish(place / "cfrafn/quick.replaced-1", "cfrafn")
    (place / "predict/0123456789").mkdir(parents=True)
    return place


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A folder with one executed page: a figure, a table, a glued number, a run described, runs
    compared.
    """
    def display(**data):
        return v4.new_output("display_data", {k.replace("_", "/"): v for k, v in data.items()})

    glued = v4.new_output("display_data", {"application/papermill.record/text/plain": "0.75"},
                          metadata={"scrapbook": {"name": "some_auc",
                                                  "mime_prefix": "application/papermill.record/"}})
    picture = v4.new_output(
        "display_data", {"application/papermill.record/text/html":
                         "<figure><img><figcaption>Left &amp; right.</figcaption></figure>"},
        metadata={"scrapbook": {"name": "some_picture"}})
    figure = {"mystnb": {"figure": {"name": "fig-some", "caption": "Some & other."}}}
    cells = [
        v4.new_markdown_cell("(sec)=\n# not a heading"),
        v4.new_markdown_cell("# A page < more\n\ntext"),
        v4.new_code_cell('seed: int = 0\nruns_dir: str = "auto"',
                         metadata={"tags": ["parameters"]}),
        v4.new_code_cell("seed = 4", metadata={"tags": ["injected-parameters"]}),
        v4.new_code_cell('runs.compare("sta_drn", table)', outputs=[
            display(text_html="<table><caption>simulated <b>AVEC</b>,\n12 "
                              "people</caption></table>"),
            display(text_markdown="Run `sta_drn/quick`, commit `abc`, and Run `evidence/gone`.")]),
        v4.new_code_cell("plot()", metadata=figure,
                         outputs=[display(image_png="", text_plain="x"), glued, picture]),
        v4.new_code_cell("if False: plot()", metadata=figure)]
    place = tmp_path_factory.mktemp("pages")
    record = {"start_time": "2026-11-21T10:00:00", "duration": 12.0}
    (place / "learn").mkdir()
    nbformat.write(v4.new_notebook(cells=cells, metadata={"papermill": record}),
                   place / "learn/page.ipynb")
    return place


@pytest.fixture(scope="module")
def facts(folder):
    return provenance.run_facts(folder).set_index("run")


class TestRuns:
    def test_every_run_folder_has_one_row_and_every_listed_run_without_one_too(self, facts):
        assert facts.index.is_unique
        present = ["sta_drn/quick", "dynmultidep/0123456789", "evidence/own",
                   "evidence/provenance", "aafn/quick"]
        assert facts.loc[present, "state"].eq("shown").all()
        assert facts.loc["cfrafn/quick", "state"] == "refused"
        assert facts.loc["cfrafn/quick", "about"].startswith("run cfrafn/quick: metrics.json was "
                                                             "changed after the run")
        missing = facts[facts["state"] == "not run"]
        assert set(missing.index) == set(provenance.listed()) - {"sta_drn/quick", "aafn/quick",
                                                                 "cfrafn/quick"}
        assert missing.loc["cfrafn/seed-1", ["about", "command"]].tolist() == [
            "seed 1", "snakemake -c2 runs/cfrafn/seed-1/metrics.json"]

    def test_says_what_a_number_of_the_run_rests_on(self, facts, folder):
        known = facts.loc["sta_drn/quick", "facts"]
        record = runs.Run(folder / "sta_drn/quick").provenance
        assert known["commit"].startswith(record["commit"])
        assert known["seeds"] == "seed 3, simulated_seed 5"
        assert known["corpus fingerprint"] == "00ff"
        assert known["corpus"].startswith("simulated AVEC 2014 (participants 12, effect 1, "
                                          "seed 0), 3 sessions of 2")
        assert "variant sum" in known["parameters"]
        assert "protocol" not in known["parameters"]            # as the notebook has it
        assert re.search(r"cores, \d+ GB memory, \d+ threads", known["hardware"])
        assert "12 s of training" in known["time"]
        assert known["code"].endswith("the same as now")

    def test_a_licensed_corpus_is_called_one_and_no_place_is_named(self, facts):
        assert facts.loc["aafn/quick", "facts"]["corpus"].startswith("AVEC 2014, licensed corpus")
        assert "checkpoint own.pt" in facts.loc["sta_drn/quick", "facts"]["parameters"]
        everything = json.dumps(facts["facts"].tolist())
        assert "/home" not in everything
        assert "/licensed" not in everything

    def test_other_code_than_the_present_is_said(self, folder, monkeypatch):
        monkeypatch.setattr(provenance.runs, "code_fingerprint", lambda paper: "other")
        known = provenance.run_facts(folder).set_index("run").loc["evidence/own", "facts"]
        assert known["code"].endswith("not the present code; run it again to be sure")

    @pytest.mark.parametrize(("run", "command_line"), [
        ("sta_drn/quick", "snakemake -c2 -f runs/sta_drn/quick/metrics.json"),
        ("evidence/own", "snakemake -c2 -f runs/evidence/own/metrics.json"),
        ("evidence/provenance", "papermill notebooks/evidence/provenance.ipynb out.ipynb "
         "-f runs/evidence/provenance/params.yaml "
                                "-p resume False"),
        ("dynmultidep/0123456789", "papermill notebooks/dynmultidep.ipynb out.ipynb "
                                   "-f runs/dynmultidep/0123456789/params.yaml -p resume False")])
    def test_the_command_fits_how_the_run_is_made(self, facts, run, command_line):
        assert facts.loc[run, "command"] == command_line

    def test_no_runs_at_all_leave_only_what_is_listed(self, tmp_path):
        facts = provenance.run_facts(tmp_path / "none")
        assert set(facts["state"]) == {"not run"}
        assert len(facts) == len(provenance.listed()) > 60


class TestPages:
    def test_finds_every_figure_table_and_number_and_the_runs_behind_them(self, pages):
        page, = provenance.page_facts(pages).to_dict("records")
        assert (page["page"], page["title"], page["took"]) == ("learn/page", "A page < more", 12.0)
        assert page["runs"] == ["evidence/gone", "sta_drn/quick"]
        assert page["groups"] == ["sta_drn"]
        assert page["parameters"] == {"seed": 4}
        assert page["command"] == "snakemake -c2 -f book/_executed/learn/page.ipynb"
        assert page["items"][["kind", "name", "about"]].to_numpy().tolist() == [
            ["figure", "fig-some", "Some & other."], ["table", "", "simulated AVEC, 12 people"],
            ["number", "some_auc", "0.75"], ["picture", "some_picture", "Left & right."]]

    def test_links_lead_to_what_is_there_and_text_is_escaped(self, pages, facts):
        facts = facts.reset_index()
        page = BeautifulSoup(provenance.shown_pages(provenance.page_facts(pages), facts),
                             "html.parser")
        own = BeautifulSoup(provenance.shown_runs(facts), "html.parser")
        links = [a["href"] for a in page.find_all("a")]
        # not to evidence/gone
        assert links == ["learn/page.html", "#run-sta-drn-quick", "learn/page.html#fig-some"]
        assert own.find(id="run-sta-drn-quick")
        assert "A page < more: 1 figures" in page.summary.get_text()
        assert "evidence/gone" in page.get_text()

    def test_an_executed_chapter_is_read(self, heard, tmp_path):
        (tmp_path / "cfrafn.ipynb").write_bytes((heard[0] / "out.ipynb").read_bytes())
        page, = provenance.page_facts(tmp_path).to_dict("records")
        assert page["title"].startswith("CFRAFN")
        assert page["runs"] == ["cfrafn/run"]
        assert page["groups"] == ["cfrafn"]
        assert {"fig-cfrafn-curves", "fig-cfrafn-gate", "cfrafn_auc"} <= set(page["items"]["name"])
        assert page["items"]["kind"].value_counts()["table"] >= 3


def test_the_environment_names_versions_and_no_machine():
    known = provenance.environment()
    assert re.search(r"\btorch \d", known["packages"])
    assert re.search(r"\bnumpy \d", known["packages"])
    assert set(known) == {"commit", "python", "system", "hardware", "packages"}


def test_the_page_shows_what_is_refused_and_what_was_not_run(folder, pages, tmp_path):
    done = subprocess.run(command(tmp_path, {"runs_dir": str(folder), "pages_dir": str(pages)},
                                  "provenance"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = "".join(provenance.texts(nbformat.read(tmp_path / "out.ipynb", 4)))
    assert "5 shown (4 of them on simulated data), 1 refused" in text
    assert "run cfrafn/quick: metrics.json was changed after the run" in text
    assert "snakemake -c2 runs/cfrafn/seed-1/metrics.json" in text
    assert "fig-some" in text
    assert str(folder) not in text
