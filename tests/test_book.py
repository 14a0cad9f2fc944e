"""The book, built around a small run: no warning, nothing from the network, a description for every picture."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from bs4 import BeautifulSoup

from tests.conftest import ROOT

PARTICIPANTS = {"sta_drn": 12, "cfrafn": 16, "aafn": 14, "dynmultidep": 24}
PAPERS = tuple(PARTICIPANTS)
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src", "object": "data"}


@pytest.fixture(scope="module")
def built(whole, heard, interviewed, vlogged, tmp_path_factory):
    """Pages of the built book by path relative to its root: parsed HTML."""
    source = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "depnb", source / "depnb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "benchmarks/results", source / "benchmarks/results")
    shutil.copytree(ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_executed", "__pycache__"))
    (source / "book/_executed").mkdir()
    for name, folder in (("sta_drn", whole[0]), ("cfrafn", heard[0]), ("aafn", interviewed[0]), ("dynmultidep", vlogged[0])):
        shutil.copy(folder / "out.ipynb", source / f"book/_executed/{name}.ipynb")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    said = re.findall(r".*(?:WARNING|ERROR|Error).*", done.stdout + done.stderr)
    assert done.returncode == 0, "\n".join(said)
    html = source / "_build/html"
    return html, {str(p.relative_to(html)): BeautifulSoup(p.read_text(), "html.parser")
                  for p in html.rglob("*.html") if "_static" not in p.parts}


def test_every_listed_page_is_there(built):
    listed = [c["file"] for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"] for c in part["chapters"]]
    assert set(built[1]) >= {f"{file}.html" for file in [*listed, "book/index"]}


def test_nothing_is_loaded_from_the_network(built):
    for name, page in built[1].items():
        loaded = [e[LOADED[e.name]] for e in page.find_all(LOADED) if e.get(LOADED[e.name])]
        assert [u for u in loaded if re.match(r"(https?:)?//", u)] == [], name
        scripts = " ".join(e.get_text() for e in page.find_all("script"))
        assert not re.search(r"(import|fetch|requirejs).{0,40}https?://", scripts), name


def test_what_pages_load_and_link_within_the_book_exists(built):
    html, pages = built
    for name, page in pages.items():
        targets = [e.get(LOADED[e.name]) for e in page.find_all(LOADED)] + [a.get("href") for a in page.find_all("a")]
        for target in filter(None, targets):
            if re.match(r"[a-z]+:|//|#|$", target):
                continue
            file, _, anchor = target.partition("#")
            path = ((html / name).parent / unquote(file.partition("?")[0])).resolve()
            assert path.exists(), f"{name}: {target}"
            if anchor and path.suffix == ".html":
                other = pages[str(path.relative_to(html.resolve()))]
                assert other.find(id=unquote(anchor)), f"{name}: {target}"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_figure_has_a_description_and_a_caption(built, paper):
    page = built[1][f"book/_executed/{paper}.html"]
    pictures = [e for e in page.find_all("img") if "_images" in e.get("src", "")]
    assert len(pictures) >= 8
    for picture in pictures:
        assert len(picture.get("alt", "")) > 40, picture.get("src")
    assert len([e for e in page.find_all("figcaption") if len(e.get_text()) > 40]) == len(pictures)


@pytest.mark.parametrize("paper", PAPERS)
def test_says_that_its_numbers_are_simulated(built, paper):
    text = built[1][f"book/_executed/{paper}.html"].get_text()
    assert "simulated data" in text
    assert f"participants {PARTICIPANTS[paper]}, effect 1, seed 0" in text
    assert not re.search(r"\{glue|\{cite|\{numref", text)          # every role was understood


@pytest.mark.parametrize("paper", PAPERS)
def test_solutions_are_folded_away(built, paper):
    page = built[1][f"book/_executed/{paper}.html"]
    solutions = page.select("div.solution")
    assert len(solutions) >= 3
    assert all("dropdown" in e["class"] for e in solutions)
