"""What the book lists of the papers: their chapters and the table of the first page, from the
cards.

python -m depnb.book.contents        params/*/card.yaml -> _toc.yml, book/index.md
"""

from depnb.files import located, write_atomically
from depnb.papers.cards import cards

TOC, INDEX = "_toc.yml", "book/index.md"
CHAPTERS = "  - caption: The papers\n    chapters:\n"
TABLE = "| paper | input | task | chapter |\n|---|---|---|---|\n"


def chapters():
    """Entries of the table of contents."""
    return "".join(f"      - file: book/_executed/{name}\n" for name in cards())


def rows():
    """Rows of the first page's table."""
    return "".join(f"| {card.called or card.title} {{cite:p}}`{card.cite}` | "
                   f"{card.input} | {card.answer} | {{doc}}`_executed/{name}` |\n"
                   for name, card in cards().items())


def replaced(text, heading, lines, of):
    """A text whose lines of a kind (those that begin with `of`) after a heading are these."""
    before, heading, after = text.partition(heading)
    if not heading:
        raise ValueError(f"no {heading!r} in what is to list the papers.")
    rest = after.splitlines(keepends=True)
    while rest and rest[0].startswith(of):
        rest.pop(0)
    return before + heading + lines + "".join(rest)


def written():
    """Both files as they should be -> path: text."""
    return {TOC: replaced(located(TOC).read_text(), CHAPTERS, chapters(), "      - file"),
            INDEX: replaced(located(INDEX).read_text(), TABLE, rows(), "|")}


if __name__ == "__main__":
    for path, text in written().items():
        write_atomically(located(path), text)
