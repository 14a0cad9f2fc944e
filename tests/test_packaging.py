"""What is installed, by whichever way, is one and the same; what is committed is clean."""

import inspect
import json
import os
import re
import subprocess
import sys
import warnings
from importlib import metadata
from importlib.util import find_spec

import nbformat
import pytest
import yaml
from joblib.externals.loky import process_executor
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from depnb.papers.cards import cards
from depnb.runs import origin
from tests.papermilled import EVIDENCE
from tests.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: [Requirement(r) for r in rows]
          for name, rows in PROJECT["optional-dependencies"].items()}
NEEDED = [Requirement(r) for r in PROJECT["dependencies"]] + [r for rows in EXTRAS.values()
                                                              for r in rows]
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and line[0] != "#"]


def pinned(name, python):
    """The version that constraints.txt gives a package on a Python version (None when none)."""
    where = {"python_version": python, "python_full_version": f"{python}.0",
             "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64",
             "implementation_name": "cpython", "platform_python_implementation": "CPython",
             "extra": ""}
    pins = [r for r in PINS if canonicalize_name(r.name) == canonicalize_name(name)
             and (r.marker is None or r.marker.evaluate(where))]
    assert len(pins) <= 1, f"{name} is pinned twice on Python {python}"
    return str(next(iter(pins[0].specifier)).version) if pins else None


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_every_dependency_is_pinned_to_a_version_that_fits(python):
    for requirement in NEEDED:
        if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
            continue
        version = pinned(requirement.name, python)
        assert version, (f"{requirement.name} has no pin on Python {python}: "
                         "write constraints.txt anew")
        assert requirement.specifier.contains(Version(version)), requirement.name


def test_the_whole_range_of_pythons_is_pinned():
    assert PROJECT["requires-python"] == ">=3.10,<3.13"


def test_what_runs_is_what_is_pinned():
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    required = [r.name for r in NEEDED
                if not any(r in EXTRAS[extra] for extra in ("lab", "track", "text", "gpu"))
                and (r.marker is None or Marker(str(r.marker)).evaluate())]
    wrong = {}
    for name in required:
        # torch adds where it was built for: 2.13.0+cpu
        version = Version(metadata.version(name)).public
        if version != pinned(name, python):
            wrong[name] = version
    assert wrong == {}


def test_conda_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip[0] == "-c constraints.txt"
    # nothing beside the project
    assert all(line.startswith(("-c constraints.txt", "-e .")) for line in pip)
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert python == "python=3.11"
    assert "Python 3.11" in (ROOT / "constraints.txt").read_text().splitlines()[0]


def test_make_installs_what_conda_does_in_one_call():
    makefile = (ROOT / "Makefile").read_text()
    extras = set(re.search(r"-e \.\[(.*)\]", (ROOT / "environment.yml").read_text())[1].split(","))
    installs = re.findall(r'pip install .*-c constraints\.txt -e "\.\[(.*)\]"', makefile)
    assert installs == ["book,test", "lab"]
    assert extras == {"book", "test", "lab"}
    assert extras <= set(EXTRAS)


def test_the_guide_says_what_each_package_is_for_and_what_it_comes_with():
    guide = (ROOT / "book/guide/quickstart.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (every install|the extra `(\w+)`[^|]*) \| [^|]+ \|$",
                      guide.split("(sec-packages)=")[1], re.MULTILINE)
    assert [re.split("[,`]", package.strip("`"))[0] for package, *_ in rows] == [
        "jupyterlab", "jupyter-book", "papermill", "torch", "torchvggish", "opensmile", "av",
        "soxr", "librosa", "mediapipe", "opencv-python", "mamba-ssm", "ipywidgets", "matplotlib",
        "seaborn", "pandas"]
    core = {Requirement(r).name for r in PROJECT["dependencies"]}
    for package, _, extra in rows:
        name = re.search("`(.+)`", package)[1]
        assert name in ({r.name for r in EXTRAS[extra]} if extra else core), name


def test_the_extras_that_pages_name_exist():
    pages = [ROOT / "README.md", *(ROOT / "book/guide").glob("*.md")]
    named = {extra for page in pages
             for extras in re.findall(r'-e "\.\[([\w,]+)\]"', page.read_text())
             for extra in extras.split(",")}
    assert {"gpu", "lab"} <= named <= set(EXTRAS)
    version = pinned("mamba-ssm", "3.11")
    assert f"mamba-ssm {version}," in (ROOT / "book/guide/gpu_and_cluster.md").read_text()


def test_one_of_opencvs_packages_is_installed():
    """All four of them write the module cv2."""
    assert [r.name for r in NEEDED + PINS if r.name.startswith("opencv")] == 2 * [
        "opencv-contrib-python"]


def test_recorded_packages_are_dependencies():
    assert set(origin.PACKAGES) <= {Requirement(r).name for r in PROJECT["dependencies"]}


def test_every_subpackage_is_installed():
    """They are looked for by their __init__.py."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert listed == {"find": {"include": ["depnb*"]}}
    assert {p.parent for p in (ROOT / "depnb").rglob("*.py")} == {
        p.parent for p in (ROOT / "depnb").rglob("__init__.py")}


def test_modules_import_each_other_without_a_cycle():
    """Checked by importing each module first in a fresh interpreter."""
    left_out = {"__init__.py", "__main__.py"} | ({"scan_triton.py"} if find_spec("triton") is None
                                                 else set())
    modules = [str(p.relative_to(ROOT).with_suffix("")).replace("/", ".")
               for p in (ROOT / "depnb").rglob("*.py") if p.name not in left_out]
    code = ("import sys, importlib\nfor name in sys.argv[1:]:\n    for "
            "known in [k for k in sys.modules if k.startswith('depnb')]: "
            "del sys.modules[known]\n    importlib.import_module(name)")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, *modules],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").rglob("*.ipynb")),
                         ids=lambda p: p.stem)
def test_notebooks_are_committed_without_outputs(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert all(not c.get("outputs") and c.get("execution_count") is None for c in notebook.cells)
    parameters = sum("parameters" in c.metadata.get("tags", []) for c in notebook.cells)
    assert parameters == any(c.cell_type == "code" for c in notebook.cells)
    assert len({c["id"] for c in notebook.cells}) == len(notebook.cells)


def test_the_command_of_continuous_integration_is_the_one_of_the_readme():
    script = (ROOT / ".ci/run").read_text().splitlines()[-1]
    assert script in {"make test"}
    assert re.search(rf"^{script}\b", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_golden_files_leave_room_for_the_other_papers():
    assert sum(p.stat().st_size for p in (ROOT / "tests/golden").iterdir()) < 6e6
    assert not list((ROOT / "tests/golden").glob("*published*"))
    assert json.loads((ROOT / "tests/golden/sta_drn_clips_a.json").read_text())


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_workflow_has_a_plan_in_which_no_page_shows_a_run_of_other_code(profile):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--printshellcmds",
               "--cores", "2", "--config", f"profile={profile}", "--", "book"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    printed = planned.stdout + planned.stderr
    makes_a_run = re.findall(
        r"rm -f (runs/\w+/\w+/metrics\.json); [^\n]* papermill [^\n]*notebooks/"
        r"(?:evidence/)?(\w+)\.ipynb", printed)
    assert sorted(makes_a_run) == sorted(
        [*((f"runs/{page}/{profile}/metrics.json", page) for page in EVIDENCE),
         *((f"runs/{paper}/quick/metrics.json", paper) for paper in cards())])


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_processes_share_the_tests_by_file(request):
    """What a file makes once is made once, and one process makes the book while others go on."""
    assert request.node.nodeid.endswith("@tests/test_packaging.py ")


def test_a_process_that_joblib_replaces_does_not_hang_the_tests():
    """loky warns of it in the thread that all results come through; an error would end that."""
    source = inspect.getsource(process_executor)
    message = re.search(r'warnings\.warn\(\s+((?:"[^"]+"\s+)+),?', source.replace('",', '"'))[1]
    warnings.warn("".join(re.findall(r'"([^"]+)"', message)), UserWarning, stacklevel=1)
