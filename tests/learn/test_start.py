"""The page on which JupyterLab opens says of every notebook what that says itself."""

import json
import re
import shlex

import papermill
import pytest
import yaml

from depnb.papers.cards import cards
from tests.learn.test_onboarding import LESSONS
from tests.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"


def text_of(path):
    cells = json.loads((NOTEBOOKS / path).read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


PAGE = text_of("START.ipynb")


def links():
    """Title and path of every notebook that the page leads to, in order."""
    return re.findall(r"\[([^\]]+)\]\(([^)]+\.ipynb)\)", PAGE)


def test_leads_to_the_lessons_in_order_to_every_chapter_and_to_the_predictions():
    paths = [path for _, path in links()]
    assert paths[:7] == [f"learn/{lesson}.ipynb" for lesson in LESSONS]
    assert sorted(paths[7:]) == sorted([*(f"{paper}.ipynb" for paper in cards()), "predict.ipynb"])


@pytest.mark.parametrize(("title", "path"), links())
def test_calls_every_notebook_by_its_title(title, path):
    assert f"# {title}\n" in text_of(path)


@pytest.mark.parametrize("lesson", LESSONS)
def test_says_of_a_lesson_what_it_says_that_it_needs_and_takes(lesson):
    needs, minutes = re.search(rf"\(learn/{lesson}\.ipynb\) \| (.+) \| (\d+) \|", PAGE).groups()
    first = re.sub(r"\{doc\}`(\w+)`", lambda m: f"lesson {LESSONS.index(m[1]) + 1}",
                   text_of(f"learn/{lesson}.ipynb").split("\n## ")[0])
    assert needs in first
    assert f"about {minutes} minutes" in first


def test_every_file_it_names_is_there():
    files = re.findall(r"`(book/[\w/]+\.md)`", PAGE)
    assert files
    assert all((ROOT / file).is_file() for file in files)
    folders = re.findall(r"^\| `([\w/]+)/` \|", PAGE, re.MULTILINE)
    assert folders == ["data/simulated", "cache", "runs"]
    guide = (ROOT / "book/guide/quickstart.md").read_text(encoding="utf-8")
    assert all(f"| `{folder}/" in guide for folder in folders)


def test_every_command_can_be_given():
    block = re.search(r"```bash\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    commands = [shlex.split(line) for line in block if line.startswith("papermill")]
    assert len(commands) == len(block) - 1
    for words in commands:
        path = next(w for w in words if w.startswith("notebooks/"))
        known = papermill.inspect_notebook(str(ROOT / path))
        for name, value in ((words[i + 1], words[i + 2])
                            for i, word in enumerate(words) if word == "-p"):
            kind = known[name]["inferred_type_name"]
            assert type(yaml.safe_load(value)).__name__ == kind
