"""A fifth paper, from nothing to a verified run: at most eleven files, one of them edited.

`tests/fifth` holds a paper that nobody wrote, in the places of a copy of this repository.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.paths import ROOT

FIFTH = ROOT / "tests/fifth"
CELLS = ['''corpus: str = "dvlog"                # layout of data_root
data_root: str = "auto"             # folder of the corpus; auto: simulated vlogs
cache_dir: str = "cache"
run_dir: str = "auto"
simulated_participants: int = 24
simulated_effect: "float or str" = 3.0
simulated_seed: int = 0
rows: int = 60                      # seconds of a vlog that are read
protocol: str = "clean"
fold: int = 0
epochs: int = 20
batch_size: int = 8
learning_rate: float = 0.01
seed: int = 0
device: str = "cpu"
precision: str = "32-true"
workers: int = 1
tracker: str = "csv"
checkpoint: str = ""
resume: bool = True''', '''from depnb import runs
from depnb.papers import parameters
from depnb.papers.toy import Paper, Parameters
from depnb.runs import training
from depnb.scores import report
from depnb.simulation.layouts import simulate

p = parameters.read(globals(), Parameters)
run = runs.Run.start("toy", p)
paper, fabric = Paper(p), training.fabric_of(p)''', '''corpus = paper.open(simulate)
run.use(corpus)
units = paper.features(corpus, paper.split(corpus))
state = paper.prepare(units, units.rows("train"))
network = paper.network(state, seed)''',
         '''history = training.train(paper, network, units, state, run, fabric)
predictions = paper.predictions(network.eval(), units, units.rows("test"), state)
test = report.binary(predictions, paper.card.unit, 0.5)
run.finish({"simulated": True, "test": test}, predictions, corpus, fabric.device,
           training.seconds(history))''']


TEXT = """# Toy

Nobody wrote this paper; it is here to show what a fifth one needs. Its claim is as small as a claim
can be: in vlogs whose sound and picture were made by a formula, the mean of every column over one
minute is enough to tell two groups apart. The network is one layer. Whoever adds a paper of their
own writes these sentences about it: what goes in, what comes out, what the authors say they found,
and what a reader should look for in the numbers below. Numbers of made-up people say nothing about
anybody, and a chapter says so wherever it shows one."""


def chapter():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(TEXT),
                                               *map(nbformat.v4.new_code_cell, CELLS)])
    notebook.cells[1].metadata["tags"] = ["parameters", "hide-input"]
    notebook.cells[2].metadata["tags"] = ["hide-input"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3",
                                       "language": "python"}
    return notebook


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with a fifth paper, and the names of its files: new ones, edited
    ones.
    """
    folder = tmp_path_factory.mktemp("fifth") / "depnb"
    skipped = shutil.ignore_patterns("__pycache__", "_executed")
    for name in ("depnb", "notebooks", "params", "book", "tests", "_toc.yml", "Snakefile",
                 "pyproject.toml", "_config.yml", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skipped)
        else:
            shutil.copy(source, folder / name)
    new = [str(file.relative_to(FIFTH)) for file in sorted(FIFTH.rglob("*"))
           if file.suffix in (".py", ".yaml")]
    for name in new:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FIFTH / name, folder / name)
    nbformat.write(chapter(), folder / "notebooks/toy.ipynb")
    values = {}
    exec(CELLS[0], values)
    usual = {name: values[name] for name in values["__annotations__"]}
    (folder / "params/toy/quick.yaml").write_text(yaml.safe_dump(usual, sort_keys=False))
    (folder / "params/toy/paper.yaml").write_text("epochs: 100\n")
    with (folder / "book/references.bib").open("a") as file:
        file.write("\n@misc{toy2026, title = {Toy}, author = {Nobody}, year = {2026}}\n")
    return (folder, [*new, "notebooks/toy.ipynb", "params/toy/quick.yaml", "params/toy/paper.yaml"],
            ["book/references.bib"])


@pytest.fixture(scope="module")
def run(copy):
    """run(arguments of python) in the copy -> what it printed."""
    def start(*arguments):
        environment = os.environ | {"PYTHONPATH": str(copy[0]), "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, *map(str, arguments)], cwd=copy[0], env=environment,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return start


def test_it_takes_at_most_eleven_files_of_which_one_is_edited(copy):
    _, new, edited = copy
    assert len(new) + len(edited) <= 11
    assert len(edited) == 1


TESTS = ["tests/papers/test_cards.py", "tests/papers/test_parameters.py", "tests/test_house.py",
         "tests/models/test_toy.py"]


@pytest.mark.parametrize("files", [TESTS, pytest.param(["tests/papers/test_contract.py"],
                                                       marks=pytest.mark.slow)],
                         ids=["house", "contract"])
def test_it_keeps_the_rules_of_the(run, files):
    run("-m", "depnb.book.contents")                                    # writes what the book lists
    passed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-loadscope-reorder", *files,
                 "-k", "toy or card")
    assert " passed" in passed


def test_the_book_and_the_workflow_know_it(copy, run):
    run("-m", "depnb.book.contents")
    assert "book/_executed/toy" in (copy[0] / "_toc.yml").read_text()
    assert "| Toy {cite:p}`toy2026` |" in (copy[0] / "book/index.md").read_text()
    assert "notebooks/toy.ipynb" in run("-m", "snakemake", "-n", "--cores", "1", "--", "book")


@pytest.mark.notebook
def test_its_chapter_runs_and_its_run_verifies_and_predicts(copy, run):
    folder, where = copy[0], copy[0].parent
    run("-m", "papermill", "-k", "python3", "--no-progress-bar", "notebooks/toy.ipynb",
        where / "out.ipynb", "-p", "run_dir", where / "run")
    metrics = json.loads((where / "run/metrics.json").read_text())
    assert list(metrics["test"]) == ["task", "unit", "by_participant", "by_unit", "constant"]
    arrays = next(p for p in Path(folder / "data/simulated").rglob("*_visual.npy")).parent
    run("-m", "papermill", "-k", "python3", "--no-progress-bar", "notebooks/predict.ipynb",
        where / "predicted.ipynb", "-p", "paper", "toy", "-p", "checkpoint", where / "run", "-p",
        "input", arrays)


def test_no_other_run_starts_again_because_of_it(copy, run):
    prints = "from depnb.runs import code_fingerprint as f; print(f('cfrafn'), f('sta_drn'))"
    inside = run("-c", prints)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    outside = subprocess.run([sys.executable, "-c", prints], cwd=ROOT, env=environment,
                             capture_output=True, text=True)
    assert inside == outside.stdout
