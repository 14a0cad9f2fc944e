"""The onboarding page promises pages and commands: each of them is there."""

import re
import shlex

import papermill
import pytest
import yaml

from depnb import files
from depnb.simulation.layouts import LAYOUTS
from tests.paths import ROOT

PAGE = ROOT / "book/learn/onboarding.md"
TEXT = PAGE.read_text(encoding="utf-8")
LESSONS = ("voice", "face", "words", "attention", "state_space", "fooling", "reproduce")
PAPERS = ("cfrafn", "sta_drn", "aafn", "dynmultidep")       # as they are read
DOCUMENTS = sorted({target for _, target in re.findall(r"\{doc\}`(?:([^<`]*) <)?([^<>`]+)>?`",
                                                       TEXT)})
LABELS = sorted({target for _, target in re.findall(r"\{ref\}`(?:([^<`]*) <)?([^<>`]+)>?`", TEXT)})
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
            for line in block.replace("\\\n", "").splitlines() if line]


def source(target):
    """The file behind a page that is named relative to the onboarding page."""
    page = (PAGE.parent / target).resolve().relative_to(ROOT)
    executed = "book/_executed/"
    return (files.notebook(str(page).removeprefix(executed)) if str(page).startswith(executed)
            else ROOT / f"{page}.md")


@pytest.mark.parametrize("target", DOCUMENTS)
def test_every_page_it_links_to_is_there(target):
    assert source(target).is_file()


@pytest.mark.parametrize("label", LABELS)
def test_every_label_it_links_to_is_there(label):
    pages = [*(ROOT / "book").rglob("*.md"), *(ROOT / "notebooks").rglob("*.ipynb")]
    assert any(f"({label})=" in page.read_text(encoding="utf-8") for page in pages
               if "_executed" not in page.parts)


def test_every_source_it_cites_is_in_the_bibliography():
    keys = {key for cited in re.findall(r"\{cite:p\}`([^`]+)`", TEXT) for key in cited.split(",")}
    assert keys
    assert keys <= set(re.findall(r"@\w+\{(\w+),",
                                  (ROOT / "book/references.bib").read_text(encoding="utf-8")))


def test_lessons_and_papers_come_in_order_and_none_is_missing():
    table = TEXT.split("| day |")[1].split("\n\n")[0]
    for names, folder in ((LESSONS, "../_executed/learn/"), (PAPERS, "../_executed/")):
        places = [table.find(f"<{folder}{name}>") for name in names]
        assert -1 not in places
        assert places == sorted(places)
    days = re.findall(r"^## Day (\d): .*?(?=^## )", TEXT, re.DOTALL | re.MULTILINE)
    assert days == ["1", "2", "3", "4", "5"]
    assert len(re.findall(r"^\*Hand in\* ", TEXT, re.MULTILINE)) == len(days)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_given(command):
    check, words = (KINDS[re.match(r"\. |python -m [\w.]+|\S+", command)[0].strip()],
                    shlex.split(command))
    check(words)


def make(words):
    assert f"\n{words[1]}: " in (ROOT / "Makefile").read_text(encoding="utf-8")


def activate(words):
    assert words[1] == ".venv/bin/activate"


def run_notebook(words):
    notebook = next(w for w in words if w.startswith("notebooks/"))
    known = papermill.inspect_notebook(str(ROOT / notebook))
    parameters = {words[i + 1]: words[i + 2] for i, word in enumerate(words) if word == "-p"}
    assert set(parameters) <= set(known)
    for name, value in parameters.items():
        assert isinstance(yaml.safe_load(value), {"str": str, "int": int, "float": (int, float)}[
            known[name]["inferred_type_name"]])


def simulate(words):
    assert words[3] in LAYOUTS
    help_text = (ROOT / "depnb/simulation/__main__.py").read_text(encoding="utf-8")
    assert all(f'"{word}"' in help_text for word in words if word.startswith("--"))


def snakemake(words):
    paper, name = words[-1].split("/")[1:3]
    assert name in yaml.safe_load((ROOT / f"params/{paper}/ablations.yaml").read_text(
        encoding="utf-8"))["runs"]
    assert words[-1] == f"runs/{paper}/{name}/metrics.json"


def run_tests(words):
    assert all((ROOT / word).is_file() for word in words[1:])


KINDS = {"make": make, ".": activate, "papermill": run_notebook, "python -m depnb.simulation":
         simulate, ".venv/bin/snakemake": snakemake, ".venv/bin/pytest": run_tests}
