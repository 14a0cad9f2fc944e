"""Cards of the papers: what they say is what the code, the notebooks and the bibliography have."""

import re

import pytest
import yaml
from pydantic import ValidationError

from depnb import corpora, files, papers
from depnb.book import contents
from depnb.papers.cards import Card, cards
from depnb.papers.parameters import Chapter
from tests.paths import ROOT


def test_the_book_lists_every_card_in_its_order():
    for path, text in contents.written().items():
        assert (ROOT / path).read_text() == text, f"{path}: run python -m depnb.book.contents"
    listed = [c["file"] for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
              for c in part["chapters"]]
    assert [f"book/_executed/{name}" for name in cards()] == [page for page in listed
                                                              if page.split("/")[-1] in cards()]


def test_there_is_a_chapter_and_a_room_for_every_card():
    for name, room in papers.rooms().items():
        assert files.notebook(name).exists()
        assert room.name == name
        assert issubclass(papers.room(name).Parameters, Chapter)


@pytest.mark.parametrize("name", cards())
def test_what_a_card_names_is_there(name):
    card = cards()[name]
    assert f"{{{card.cite}," in (ROOT / "book/references.bib").read_text()
    assert set(card.corpora) <= set(corpora.OPENERS)
    assert {table.corpus for table in card.tables} <= set(card.corpora)
    for table in card.tables:
        assert (ROOT / f"params/{name}" / table.params).exists()
        assert set(table.published) | set(table.published_people) <= set(card.metrics)
    heading = re.search(r"# (.*)", files.notebook(name).read_text())[1]
    assert card.title in heading


def test_an_entry_that_cannot_be_is_refused():
    content = yaml.safe_load((ROOT / "params/cfrafn/card.yaml").read_text())
    for changed in ({"task": "ternary"}, {"as_published": ["luck"]}, {"colour": "red"},
                    {"order": "first"}):
        with pytest.raises(ValidationError):
            Card(**content | changed)


def test_a_paper_without_a_card_is_refused_by_name():
    with pytest.raises(ValueError, match="paper 'sat_drn': "
                       "choose sta_drn, cfrafn, aafn, dynmultidep"):
        papers.room("sat_drn")
