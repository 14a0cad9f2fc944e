"""Small simulated corpora, made once a session; nothing is written outside temporary folders."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from filelock import FileLock

from depnb import figures
from depnb.evidence.cohort import Cohort
from depnb.evidence.pipeline import pipelines
from depnb.simulation import cohort as cohorts
from depnb.simulation import layouts
from tests.papermilled import EVIDENCE, LESSONS, execute
from tests.papermilled import run as run_notebook
from tests.paths import GOLDEN, ROOT

matplotlib.use("Agg")
os.environ.setdefault("TQDM_DISABLE", "1")


# Files that take long come first, those that wait for the book after what it is built of.
FIRST = ("tests/test_book.py", "tests/chapters/test_licensed.py", "tests/papers/",
         "tests/evidence/", "tests/chapters/", "tests/learn/", "tests/test_browser.py",
         "tests/book/test_pdf.py")


collect_ignore = ["fifth"]          # of a copy of the repository: tests/papers/test_fifth.py


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Several processes share the tests: a file stays together, pages in a browser and papers in a
    file are spread.
    """
    def place(item):
        return next((i for i, start in enumerate(FIRST) if item.nodeid.startswith(start)),
                    len(FIRST))

    items.sort(key=place)
    for item in items:
        file, paper = item.nodeid.split("::")[0], getattr(item, "callspec", None)
        paper = (paper.params.get("paper", "") if paper
                 and file == "tests/chapters/test_licensed.py" else "")
        if "test_nothing_is_wrong_with" not in item.nodeid:
            item.add_marker(pytest.mark.xdist_group(f"{file} {paper}"))
        if {"built", "executed", "printed", "visit"} & set(item.fixturenames):
            item.add_marker(pytest.mark.book)
        if file.startswith("tests/chapters/") or "execute(" in inspect.getsource(item.function) or (
            {"filmed", "heard", "interviewed", "vlogged", "evidence", "taught"}
            & set(item.fixturenames)):
            item.add_marker(pytest.mark.notebook)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """once(name, make) -> a folder that make(folder) fills, once for all processes that share the
    tests.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name, make):
        folder = base / "once" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.with_name(f".{folder.name}.done").exists():
                shutil.rmtree(folder, ignore_errors=True)       # of a worker that failed halfway
                folder.mkdir()
                make(folder)
                folder.with_name(f".{folder.name}.done").touch()
        return folder

    return folder_of


def simulated(once, name, layout, **options):
    """A simulated tree that all tests share."""
    return once(f"corpora-{name}", lambda folder: layouts.simulate(layout, folder / "tree",
                                                                   **options)) / "tree"


@pytest.fixture(scope="session")
def tree(once):
    """A simulated AVEC 2014: 12 participants, videos of 2 s. Do not change it; copy it."""
    return simulated(once, "avec2014", "avec2014", participants=12, seconds=2)


@pytest.fixture(scope="session")
def cache(once):
    return once("cache", lambda folder: None)


@pytest.fixture(scope="session")
def golden():
    """golden(name) -> (arrays by key, config) of a committed file; bfloat16 weights are stored as
    two byte planes.
    """
    def load(name):
        with np.load(GOLDEN / f"{name}.npz") as file:
            arrays = {k: file[k] for k in file.files}
        for key in [k for k in arrays if k.startswith("bfloat16/") and k.endswith("/high")]:
            high, low = (arrays.pop(key).astype(np.uint32),
                         arrays.pop(key.replace("/high", "/low")).astype(np.uint32))
            plain = key.removeprefix("bfloat16/").removesuffix("/high")
            arrays[plain] = ((high << 24) | (low << 16)).view(np.float32)
        return arrays, json.loads(str(arrays.pop("config")))

    return load


@pytest.fixture(scope="session")
def voices(once):
    """A simulated folder of recordings: 16 participants, recordings of about 5 s.

    Do not change it; copy it.
    """
    return simulated(once, "voices", "speech_folder", participants=16, seconds=5)


@pytest.fixture(scope="session")
def interviews(once):
    """A simulated DAIC-WOZ: 14 participants who speak for about 20 s. Do not change it; copy it."""
    return simulated(once, "interviews", "daic_woz", participants=14, seconds=20)


@pytest.fixture(scope="session")
def vlogs(once):
    """A simulated D-Vlog: 24 speakers, two vlogs each of about a minute and a half.

    Do not change it; copy it.
    """
    return simulated(once, "vlogs", "dvlog", participants=24, seconds=90)


@pytest.fixture(scope="session")
def vlogs_lmvd(once):
    """A simulated LMVD of the same size, with three OpenFace tables. Do not change it; copy it."""
    return simulated(once, "vlogs_lmvd", "lmvd", participants=24, seconds=90)


@pytest.fixture(scope="session")
def recorded(once):
    """Three recorded vlogs of four seconds in each layout: mapping dvlog, lmvd -> tree.

    Do not change them; copy them.
    """
    few = {"participants": 3, "seconds": 4, "fps": 5, "size": 128, "workers": 1, "recorded": True}
    return {layout: simulated(once, f"recorded-{layout}", layout, **few)
            for layout in ("dvlog", "lmvd")}


@pytest.fixture(scope="session")
def small_cohort(once):
    """Folder of a cohort in every layout: 16 participants, short recordings.

    Do not change it; copy it.
    """
    def make(folder):
        cohorts.render(folder / "small", 16, 0, 1.0,
                       {"avec2014": 3.0, "speech_folder": 4.0, "daic_woz": 14.0, "dvlog": 60.0})

    return once("cohort", make) / "small"


@pytest.fixture(scope="session")
def cohort(small_cohort):
    """The small cohort as the pages of evidence open it."""
    return Cohort(16, 0, 1.0, root=small_cohort)


@pytest.fixture(scope="session")
def models(small_cohort, cache):
    """The four pipelines on the small cohort, by name. Do not change them."""
    return pipelines(small_cohort, cache)


@pytest.fixture(scope="session")
def place(tree, cache):
    """Parameters of a notebook that reads the small corpus."""
    return {"data_root": str(tree), "cache_dir": str(cache)}


def ran(once, name, **parameters):
    """A chapter executed once for all tests -> its folder, the executed notebook."""
    folder = once(name, lambda folder: execute(folder, **parameters))
    return folder, nbformat.read(folder / "out.ipynb", 4)


@pytest.fixture(scope="session")
def filmed(once, place):
    """A run of the notebook on videos from start to end: (its folder, the executed notebook).

    Do not change it.
    """
    return ran(once, "filmed", **place)


@pytest.fixture(scope="session")
def heard(once, voices, cache):
    """A run of the notebook on voices from start to end: (its folder, the executed notebook).

    Do not change it.
    """
    return ran(once, "heard", notebook="cfrafn", data_root=str(voices), cache_dir=str(cache))


@pytest.fixture(scope="session")
def interviewed(once, interviews, cache):
    """A run of the notebook on interviews from start to end: (its folder, the executed notebook).

    Do not change it.
    """
    return ran(once, "interviewed", notebook="aafn", data_root=str(interviews),
               cache_dir=str(cache))


@pytest.fixture(scope="session")
def vlogged(once, vlogs):
    """A run of the notebook on vlogs from start to end: (its folder, the executed notebook).

    Do not change it.
    """
    return ran(once, "vlogged", notebook="dynmultidep", data_root=str(vlogs))


@pytest.fixture(scope="session")
def evidence(once, small_cohort, cache):
    """evidence(page) -> (run folder, executed notebook), run from start to end once.

    Do not change it.
    """
    def run(page):
        def make(folder):
            values = {"data_root": str(small_cohort), "cache_dir": str(cache),
                      "run_dir": str(folder / page / "quick")}
            if page in ("robustness", "explanations"):
                values["comparison_run"] = str(run("comparison")[0])
            execute(folder, notebook=page, **values)

        folder = once(f"evidence-{page}", make)
        return folder / page / "quick", nbformat.read(folder / "out.ipynb", 4)

    return run


@pytest.fixture(scope="session")
def taught(once):
    """taught(lesson) -> the executed notebook of a lesson, as small as its tests ask for, run once.
    """
    def run(lesson):
        def make(folder):
            small = getattr(importlib.import_module(f"tests.learn.test_{lesson}"), "PARAMETERS", {})
            run_notebook(folder, small, f"learn/{lesson}")

        return nbformat.read(once(f"lesson-{lesson}", make) / "out.ipynb", 4)

    return run


@pytest.fixture(scope="session")
def executed(once, filmed, heard, interviewed, vlogged, evidence, taught):
    """Executed notebooks by their page below book/_executed: all pages that `_toc.yml` has from
    notebooks.
    """
    def make(folder):
        places = {"sta_drn": filmed[0], "cfrafn": heard[0], "aafn": interviewed[0],
                  "dynmultidep": vlogged[0]}
        notebooks = {page: nbformat.read(place / "out.ipynb", 4) for page, place in places.items()}
        with ThreadPoolExecutor(1) as beside:           # lessons read nothing of the evidence
            lessons = beside.map(taught, LESSONS)
            notebooks |= {page: evidence(page)[1] for page in EVIDENCE}
            notebooks |= {f"learn/{name}": lesson
                          for name, lesson in zip(LESSONS, lessons, strict=True)}
        runs = {page: place / "run" for page, place in places.items()} | {page: evidence(page)[0]
                                                                          for page in EVIDENCE}
        for page, place in runs.items():
            (folder / "runs" / page).mkdir(parents=True)
            (folder / "runs" / page / "quick").symlink_to(place)
        (folder / "pages/learn").mkdir(parents=True)
        for page, notebook in notebooks.items():
            nbformat.write(notebook, folder / "pages" / f"{page}.ipynb")
        where = {"runs_dir": str(folder / "runs"), "pages_dir": str(folder / "pages")}
        # provenance lists all other pages
        for page, names in (("real_data", ["runs_dir"]), ("provenance", where)):
            notebook = run_notebook(folder / page, {name: where[name] for name in names}, page)
            nbformat.write(notebook, folder / "pages" / f"{page}.ipynb")

    pages = once("executed", make) / "pages"
    return {str(file.relative_to(pages).with_suffix("")): file
            for file in sorted(pages.rglob("*.ipynb"))}


@pytest.fixture(scope="session")
def built(once, executed):
    """Folder of the pages of the book, built around those small runs. Do not change it."""
    def make(source):
        for name in ("_config.yml", "_toc.yml", "pyproject.toml"):
            shutil.copy(ROOT / name, source)
        # the ledger offers its files for download
        shutil.copytree(ROOT / "params", source / "params")
        shutil.copytree(ROOT / "depnb", source / "depnb",
                        ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "benchmarks/results", source / "benchmarks/results")
        shutil.copytree(ROOT / "book", source / "book",
                        ignore=shutil.ignore_patterns("_executed", "__pycache__"))
        for page, notebook in executed.items():
            target = source / f"book/_executed/{page}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(notebook, target)
        command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n",
                   "--keep-going"]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True)
        assert done.returncode == 0, "\n".join(re.findall(r".*(?:WARNING|ERROR|Error).*",
                                                          done.stdout + done.stderr))

    return once("book", make) / "_build/html"


@pytest.fixture
def house_style():
    """The house style while a test draws; its figures are closed afterwards."""
    figures.use_house_style()
    yield
    plt.close("all")
    plt.rcdefaults()
