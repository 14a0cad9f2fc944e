"""Small simulated corpora, made once a session; nothing is written outside temporary folders."""

import functools
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest

from depnb import figures
from depnb.evidence.cohort import Cohort
from depnb.papers import MODELS

matplotlib.use("Agg")
os.environ.setdefault("TQDM_DISABLE", "1")
ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A simulated AVEC 2014: 12 participants, videos of 2 s. Do not change it; copy it."""
    from depnb.simulation.layouts import simulate

    return simulate("avec2014", tmp_path_factory.mktemp("corpora") / "avec2014", participants=12, seconds=2)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def golden():
    """golden(name) -> (arrays by key, config) of a committed file; bfloat16 weights are stored as two byte planes."""
    def load(name):
        with np.load(GOLDEN / f"{name}.npz") as file:
            arrays = {k: file[k] for k in file.files}
        for key in [k for k in arrays if k.startswith("bfloat16/") and k.endswith("/high")]:
            high, low = arrays.pop(key).astype(np.uint32), arrays.pop(key.replace("/high", "/low")).astype(np.uint32)
            plain = key.removeprefix("bfloat16/").removesuffix("/high")
            arrays[plain] = ((high << 24) | (low << 16)).view(np.float32)
        return arrays, json.loads(str(arrays.pop("config")))

    return load


@pytest.fixture(scope="session")
def voices(tmp_path_factory):
    """A simulated folder of recordings: 16 participants, recordings of about 4 s. Do not change it; copy it."""
    from depnb.simulation.layouts import simulate

    return simulate("speech_folder", tmp_path_factory.mktemp("corpora") / "voices", participants=16, seconds=4)


@pytest.fixture(scope="session")
def interviews(tmp_path_factory):
    """A simulated DAIC-WOZ: 14 participants who speak for about 20 s. Do not change it; copy it."""
    from depnb.simulation.layouts import simulate

    return simulate("daic_woz", tmp_path_factory.mktemp("corpora") / "daic_woz", participants=14, seconds=20)


@pytest.fixture(scope="session")
def vlogs(tmp_path_factory):
    """A simulated D-Vlog: 24 speakers, two vlogs each of about a minute and a half. Do not change it; copy it."""
    from depnb.simulation.layouts import simulate

    return simulate("dvlog", tmp_path_factory.mktemp("corpora") / "dvlog", participants=24, seconds=90)


@pytest.fixture(scope="session")
def vlogs_lmvd(tmp_path_factory):
    """A simulated LMVD of the same size, with three OpenFace tables. Do not change it; copy it."""
    from depnb.simulation.layouts import simulate

    return simulate("lmvd", tmp_path_factory.mktemp("corpora") / "lmvd", participants=24, seconds=90)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Three recorded vlogs of four seconds in each layout: mapping dvlog, lmvd -> tree. Do not change them; copy them."""
    from depnb.simulation.layouts import simulate

    few = {"participants": 3, "seconds": 4, "fps": 5, "size": 128, "workers": 1, "recorded": True}
    return {layout: simulate(layout, tmp_path_factory.mktemp("recorded") / layout, **few) for layout in ("dvlog", "lmvd")}


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory):
    """Folder of a cohort in every layout: 16 participants, short recordings. Do not change it; copy it."""
    from depnb.simulation import cohort

    return cohort.render(tmp_path_factory.mktemp("cohorts") / "small", 16, 0, 1.0,
                         {"avec2014": 3.0, "speech_folder": 4.0, "daic_woz": 14.0, "dvlog": 60.0})


@pytest.fixture(scope="session")
def cohort(small_cohort):
    """The small cohort as the pages of evidence open it."""

    return Cohort(16, 0, 1.0, root=small_cohort)


@pytest.fixture(scope="session")
def models(small_cohort, cache):
    """The four pipelines on the small cohort, by name. Do not change them."""

    return {name: kind(small_cohort, cache) for name, kind in MODELS.items()}


@pytest.fixture(scope="session")
def place(tree, cache):
    """Parameters of a notebook that reads the small corpus."""
    return {"data_root": str(tree), "cache_dir": str(cache)}


@pytest.fixture(scope="session")
def whole(tmp_path_factory, place):
    """A run of the notebook from start to end: (its folder, the executed notebook). Do not change it."""
    from tests.papermilled import execute

    folder = tmp_path_factory.mktemp("whole")
    return folder, execute(folder, **place)


@pytest.fixture(scope="session")
def heard(tmp_path_factory, voices, cache):
    """A run of the notebook on voices from start to end: (its folder, the executed notebook). Do not change it."""
    from tests.papermilled import execute

    folder = tmp_path_factory.mktemp("heard")
    return folder, execute(folder, notebook="cfrafn", data_root=str(voices), cache_dir=str(cache))


@pytest.fixture(scope="session")
def interviewed(tmp_path_factory, interviews, cache):
    """A run of the notebook on interviews from start to end: (its folder, the executed notebook). Do not change it."""
    from tests.papermilled import execute

    folder = tmp_path_factory.mktemp("interviewed")
    return folder, execute(folder, notebook="aafn", data_root=str(interviews), cache_dir=str(cache))


@pytest.fixture(scope="session")
def vlogged(tmp_path_factory, vlogs):
    """A run of the notebook on vlogs from start to end: (its folder, the executed notebook). Do not change it."""
    from tests.papermilled import execute

    folder = tmp_path_factory.mktemp("vlogged")
    return folder, execute(folder, notebook="dynmultidep", data_root=str(vlogs))


@pytest.fixture(scope="session")
def evidence(small_cohort, cache, tmp_path_factory):
    """evidence(page) -> (run folder, executed notebook), run from start to end once. Do not change it."""
    from tests.papermilled import execute

    @functools.cache
    def run(page):
        folder = tmp_path_factory.mktemp(page)
        given = {"data_root": str(small_cohort), "cache_dir": str(cache), "run_dir": str(folder / page / "quick")}
        if page in ("robustness", "explanations"):
            given["comparison_run"] = str(run("comparison")[0])
        return folder / page / "quick", execute(folder, notebook=page, **given)

    return run


@pytest.fixture(scope="session")
def taught(tmp_path_factory):
    """taught(lesson) -> the executed notebook of a lesson, as small as its tests ask for, run once."""
    from tests.learn import lessons

    @functools.cache
    def run(lesson):
        small = getattr(importlib.import_module(f"tests.learn.test_{lesson}"), "PARAMETERS", {})
        return lessons.run(lesson, tmp_path_factory.mktemp(lesson), **small)

    return run


@pytest.fixture(scope="session")
def executed(whole, heard, interviewed, vlogged, evidence, taught, tmp_path_factory):
    """Executed notebooks by their page below book/_executed: all pages that `_toc.yml` has from notebooks."""
    from tests.papermilled import EVIDENCE, LESSONS, run

    folder = tmp_path_factory.mktemp("executed")
    places = {"sta_drn": whole[0], "cfrafn": heard[0], "aafn": interviewed[0], "dynmultidep": vlogged[0]}
    found = {page: nbformat.read(place / "out.ipynb", 4) for page, place in places.items()}
    found |= {page: evidence(page)[1] for page in EVIDENCE} | {f"learn/{lesson}": taught(lesson) for lesson in LESSONS}
    places = {page: place / "run" for page, place in places.items()} | {page: evidence(page)[0] for page in EVIDENCE}
    for page, place in places.items():
        (folder / "runs" / page).mkdir(parents=True)
        (folder / "runs" / page / "quick").symlink_to(place)
    (folder / "pages/learn").mkdir(parents=True)
    for page, notebook in found.items():
        nbformat.write(notebook, folder / "pages" / f"{page}.ipynb")
    where = {"runs_dir": str(folder / "runs"), "pages_dir": str(folder / "pages")}
    for page, given in (("real_data", ["runs_dir"]), ("provenance", where)):         # provenance lists all other pages
        notebook = run(folder / page, {name: where[name] for name in given}, page)
        nbformat.write(notebook, folder / "pages" / f"{page}.ipynb")
    return {page: folder / "pages" / f"{page}.ipynb" for page in (*found, "real_data", "provenance")}


@pytest.fixture(scope="session")
def built(executed, tmp_path_factory):
    """Folder of the pages of the book, built around those small runs. Do not change it."""
    source = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "_toc.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "params", source / "params")         # the ledger offers its files for download
    shutil.copytree(ROOT / "depnb", source / "depnb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "benchmarks/results", source / "benchmarks/results")
    shutil.copytree(ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_executed", "__pycache__"))
    for page, notebook in executed.items():
        target = source / f"book/_executed/{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(notebook, target)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    said = re.findall(r".*(?:WARNING|ERROR|Error).*", done.stdout + done.stderr)
    assert done.returncode == 0, "\n".join(said)
    return source / "_build/html"


@pytest.fixture
def house_style():
    """The house style while a test draws; its figures are closed afterwards."""
    import matplotlib.pyplot as plt


    figures.use_house_style()
    yield
    plt.close("all")
    plt.rcdefaults()
