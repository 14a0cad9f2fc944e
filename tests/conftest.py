"""Small simulated corpora, made once a session; nothing is written outside temporary folders."""

import json
import os
from pathlib import Path

import matplotlib
import numpy as np
import pytest

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


@pytest.fixture
def house_style():
    """The house style while a test draws; its figures are closed afterwards."""
    import matplotlib.pyplot as plt

    from depnb import plots

    plots.use_house_style()
    yield
    plt.close("all")
    plt.rcdefaults()
