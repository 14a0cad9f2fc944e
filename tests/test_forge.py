"""Public forge, Binder and development container use the environment of the Makefile, and
commands that exist.
"""

import json
import os
import re

import pytest
import yaml

from tests.paths import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
BINDER = yaml.safe_load((ROOT / "binder/environment.yml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
SYSTEM = (ROOT / "binder/apt.txt").read_text().split()
BUILD = WORKFLOW["jobs"]["build"]
COMMANDS = "\n".join(step["run"] for step in BUILD["steps"] if "run" in step)


def test_all_name_one_python():
    python = next(d for d in CONDA["dependencies"]
                  if str(d).startswith("python=")).removeprefix("python=")
    assert f"python={python}" in BINDER["dependencies"]
    assert BUILD["container"] == f"python:{python}-bookworm"
    assert CONTAINER["image"].endswith(f"python:{python}-bookworm")
    assert f"python{python}" in (ROOT / "Makefile").read_text()


def test_all_install_the_same():
    extras = re.search(r"-e (\.\[.*\])", (ROOT / "environment.yml").read_text())[1]
    for text in (CONTAINER["postCreateCommand"], (ROOT / "binder/postBuild").read_text()):
        assert f"-c constraints.txt -e {extras}" in text
    assert "pip install" not in COMMANDS                        # make does it
    assert not [d for d in BINDER["dependencies"] if isinstance(d, dict)]


def test_all_have_the_system_libraries_that_make_asks_for():
    asked = re.search(r"apt-get install ([\w. -]+)\"", (ROOT / "Makefile").read_text())[1].split()
    assert asked == SYSTEM
    for text in (COMMANDS, CONTAINER["onCreateCommand"]):
        assert "chromium $(cat binder/apt.txt)" in text


def test_the_workflow_tests_builds_and_publishes():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake (\w+)", COMMANDS)) <= set(targets)
    assert COMMANDS.index(".ci/run") < COMMANDS.index("make pdf")
    assert WORKFLOW[True]["schedule"]                           # YAML reads `on` as true
    assert "github.event_name == 'schedule' && 'make test-slow'" in COMMANDS
    uploaded = next(step["with"]["path"]
                    for step in BUILD["steps"] if "upload-pages-artifact" in step.get("uses", ""))
    assert uploaded == "_build/html"
    publish = WORKFLOW["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["if"].startswith("github.ref == 'refs/heads/main'")


@pytest.mark.parametrize("job", WORKFLOW["jobs"])
def test_actions_are_named_with_their_version(job):
    used = [step["uses"] for step in WORKFLOW["jobs"][job]["steps"] if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"actions/[\w-]+@v\d+", name)] == []


@pytest.mark.parametrize("script", ["binder/postBuild", ".ci/run"])
def test_scripts_can_be_executed(script):
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / script).read_text().startswith("#!")
