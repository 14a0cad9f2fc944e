"""The book, built around a small run: no warning, nothing from the network, a description for every
picture.
"""

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from depnb import corpora
from depnb.learn import reproduce
from tests.papermilled import EVIDENCE, LESSONS
from tests.paths import ROOT

PARTICIPANTS = {"sta_drn": 12, "cfrafn": 16, "aafn": 14, "dynmultidep": 24,
                **dict.fromkeys(EVIDENCE, 16)}
FIGURES = {"sta_drn": 8, "cfrafn": 8, "aafn": 8, "dynmultidep": 8, "comparison": 1,
           "null_corpus": 1, "robustness": 2, "explanations": 1}  # at least
CHAPTERS = (*PARTICIPANTS, *(f"learn/{lesson}" for lesson in LESSONS))
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src",
          "video": "src", "object": "data"}
IDS = r"\b\d{3}(?=_P\b)|\b\d{3}_\d(?=_|\b)"           # how sessions of DAIC-WOZ and AVEC are called


@pytest.fixture(scope="module")
def pages(built):
    """Pages of the built book by path relative to its root: parsed HTML."""
    return {str(p.relative_to(built)): BeautifulSoup(p.read_text(), "html.parser")
            for p in built.rglob("*.html") if "_static" not in p.parts}


def test_every_listed_page_is_there(pages):
    listed = [c["file"] for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
              for c in part["chapters"]]
    assert set(pages) >= {f"{file}.html" for file in [*listed, "book/index"]}


def test_nothing_is_loaded_from_the_network(pages):
    for name, page in pages.items():
        loaded = [e[LOADED[e.name]] for e in page.find_all(LOADED) if e.get(LOADED[e.name])]
        assert [u for u in loaded if re.match(r"(https?:)?//", u)] == [], name
        scripts = " ".join(e.get_text() for e in page.find_all("script"))
        assert not re.search(r"(import|fetch|requirejs).{0,40}https?://", scripts), name


def test_what_pages_load_and_link_within_the_book_exists(built, pages):
    anchors = {(built / name).resolve(): {e["id"] for e in page.find_all(id=True)}
               for name, page in pages.items()}
    for name, page in pages.items():
        targets = {e.get(LOADED[e.name]) for e in page.find_all(LOADED)} | {
            a.get("href") for a in page.find_all("a")}
        for target in filter(None, targets):
            assert not re.match(r"https?://[\w.-]+\.(py|md|sh|yml|yaml)$",
                                target), f"{name}: {target} is a file, no address"
            if re.match(r"[a-z]+:|//|#?$", target):
                continue
            file, _, anchor = target.partition("#")
            path = (built / name if not file
                    else (built / name).parent / unquote(file.partition("?")[0])).resolve()
            assert path.exists(), f"{name}: {target}"
            if anchor and path.suffix == ".html":
                assert unquote(anchor) in anchors[path], f"{name}: {target}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_figure_has_a_description_and_a_caption(pages, chapter):
    page = pages[f"book/_executed/{chapter}.html"]
    pictures = [e for e in page.find_all("img") if "_images" in e.get("src", "")]
    assert len(pictures) >= FIGURES.get(chapter, 0)
    sliders = page.select(".depnb-slider img")
    assert pictures or sliders
    for picture in (*pictures, *sliders):
        assert len(picture.get("alt", "")) > 40, picture.get("src")[:80]
    assert len([e for e in page.find_all("figcaption") if len(e.get_text()) > 40]) == len(pictures)


def test_the_first_page_begins_with_what_the_book_found(pages):
    first = pages["book/index.html"].select_one("article.bd-article section")
    order = [e.name for e in first.find_all(["h1", "h2", "p", "figure"])]
    assert order[:4] == ["h1", "p", "figure", "p"]
    pictures = first.figure.find_all("img")
    assert len(pictures) == 2
    assert all(len(picture["alt"]) > 40 for picture in pictures)
    assert "simulated" in first.find("p").get_text()
    assert "simulated" in first.figcaption.get_text()
    told = r"(?:of|reach) \d\.\d\d (?:\(-?\d\.\d\d to -?\d\.\d\d\) )?when"      # both were glued
    assert len(re.findall(told, first.find("p").get_text())) == 2


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_says_that_its_numbers_are_simulated(pages, chapter):
    text = pages[f"book/_executed/{chapter}.html"].get_text()
    assert "simulated" in text.lower()
    if chapter in PARTICIPANTS:
        assert "simulated data" in text
        assert f"participants {PARTICIPANTS[chapter]}, effect 1, seed 0" in text
    assert not re.search(r"\{glue|\{cite|\{numref|\{doc", text)     # every role was understood


@pytest.mark.parametrize("page", EVIDENCE)
def test_tables_and_figures_of_evidence_say_it_too(executed, page):
    notebook = nbformat.read(executed[page], 4)
    html = [o["data"]["text/html"] for c in notebook.cells for o in c.get("outputs", [])
            if "text/html" in o.get("data", {})]
    captions = [caption for text in html
                for caption in re.findall(r"<caption>(.*?)</caption>", text, re.DOTALL)]
    # what a model costs is measured
    about = [caption for caption in captions if "one core a training" not in caption]
    assert about
    assert all(re.search(r"simulated", caption, re.IGNORECASE) for caption in about)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_are_folded_away(pages, chapter):
    solutions = pages[f"book/_executed/{chapter}.html"].select("div.solution")
    assert len(solutions) >= 3
    assert all("dropdown" in e["class"] for e in solutions)


def test_every_notebook_can_be_downloaded(built, pages, executed):
    for page in executed:
        name = f"book/_executed/{page}.html"
        links = [a["href"] for a in pages[name].find_all("a", href=True)
                 if a["href"].endswith(".ipynb")]
        assert len(links) == 1, name
        assert nbformat.read((built / name).parent / links[0], 4).cells, name


def test_no_output_shows_a_warning_or_a_path_of_this_machine(pages, executed, tmp_path_factory):
    folders = [ROOT, Path.home(), tmp_path_factory.getbasetemp()]
    forbidden = re.compile("|".join([r"Traceback|\w*Warning:",
                                     *(rf"{re.escape(str(f))}\b" for f in folders)]))
    faults = {page: forbidden.findall(text) for page, text in outputs(pages, executed).items()}
    assert {page: texts for page, texts in faults.items() if texts} == {}


def test_ids_in_outputs_are_those_of_simulated_people(pages, executed, tree, interviews,
                                                      small_cohort):
    places = (("avec2014", tree), ("daic_woz", interviews),
              *((name, small_cohort / name) for name in ("avec2014", "daic_woz")))
    simulated = {session for name, root in places
                 for session in corpora.open(name, root).sessions["session"]}
    simulated |= {Path(file).stem for file in reproduce.files()["file"]}      # invented in a lesson
    strange = {page: set(re.findall(IDS, text)) - simulated
               for page, text in outputs(pages, executed).items()}
    assert {page: ids for page, ids in strange.items() if ids} == {}


def outputs(pages, executed):
    """What the cells of each executed notebook wrote on its page."""
    return {page: "\n".join(e.get_text()
                            for e in pages[f"book/_executed/{page}.html"].select(".cell_output"))
            for page in executed}


def test_the_reference_shows_the_sections_of_docstrings(built):
    page = BeautifulSoup((built / "book/reference/api.html").read_text(), "html.parser")
    assert "----" not in page.get_text()
    headings = {h.get_text() for h in page.select("h2, h3, h4, h5")}
    assert not [h for h in headings if h.startswith(("Parameters", "Returns", "Raises"))]
    fields = [dt.get_text().strip(":") for dt in page.select("dl.field-list > dt")]
    assert fields.count("Parameters") > 50
