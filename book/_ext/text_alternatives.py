"""Fail the build on what only eyes can read: a picture, table, widget or player without words.

A finding is a warning, and the book is built with -W. It names the page, the heading above and the
element. Looked at is the page as it is written, so that it does not matter who made the element: a
cell, a directive or HTML.
"""

from bs4 import BeautifulSoup
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
NAMES = ("aria-label", "aria-labelledby", "title")
CONTROLS = "input:not([type=hidden]), select, textarea, button, [role=slider], [role=img]"
PLAYERS = "audio, video, canvas, iframe, object, embed, svg"
WIDGETS = "script[type^='application/vnd.jupyter.widget'], script[type*='bokeh'], .plotly"


def named(element):
    """Whether an attribute of the element, or attribute or caption of its figure, names it."""
    figure = element if element.name == "figure" else element.find_parent("figure")
    return (any(each.get(name, "").strip() for each in (element, figure) if each for name in NAMES)
            or has_text(figure and figure.find("figcaption")))


def has_text(element):
    return element is not None and bool(element.get_text().strip())


def picture(img):
    """What a picture lacks, or None; without alt text Sphinx writes the address of the file."""
    alt = img.get("alt", "").strip()
    if not alt or alt == img.get("src") or alt.rpartition("/")[2] == img["src"].rpartition("/")[2]:
        return "picture without alternative text (of a cell: mystnb, image, alt)"
    return None


def table(element):
    """What a table lacks, or None.

    A cell's output needs a caption, or a line that unfolds it; a table of the prose, which its
    text introduces, headings of its columns.
    """
    fold = element.find_parent("details")
    if (has_text(element.find("caption")) or any(element.get(name) for name in NAMES)
            or (fold and has_text(fold.find("summary")))):
        return None
    if element.find_parent(class_="cell_output"):
        return "table without a caption (of a DataFrame: .style.set_caption)"
    return None if element.find("th") else "table without headings"


def control(element):
    """What an input, button or other control lacks, or None."""
    label = element.find_parent("label") or (
        element.get("id") and element.find_parent("body").find("label", attrs={
            "for": element["id"]}))
    own = element.name == "button" and has_text(element)
    return None if own or named(element) or has_text(label) else "control without a label"


def player(element):
    """What a player, a drawing or a frame lacks, or None."""
    decoration = element.name == "svg" and element.get("aria-hidden") == "true"
    written = element.name == "svg" and has_text(element.find("title"))
    return None if decoration or written or named(element) else (
        f"{element.name} without a label (aria-label, or figcaption of its figure)")


def framed(element):
    """What a figure lacks, or None; a picture in it is looked at by itself."""
    return None if named(element) or element.find("img") else "figure without a caption"


def widget(element):
    """What a widget that needs a script lacks, or None."""
    return None if named(element) else (
        "widget without words for who has no kernel (figure with figcaption)")


CHECKS = {"img": picture, "table": table, CONTROLS: control, PLAYERS: player, "figure": framed,
          WIDGETS: widget}


def faults(body):
    """Everything of a page's HTML that lacks a text alternative -> sentences."""
    page = BeautifulSoup(f"<body>{body}</body>", "html.parser")
    for selector, lacks in CHECKS.items():
        for element in page.select(selector):
            if problem := lacks(element):
                heading = element.find_previous(["h1", "h2", "h3", "h4"])
                where = f" below {heading.get_text().strip('#¶ ')!r}" if heading else ""
                yield f"{problem}{where}: {str(element)[:160]}"


def check(app, pagename, templatename, context, doctree):
    if doctree is not None:
        for fault in faults(context.get("body", "")):
            LOGGER.warning("%s", fault, location=(pagename, None), type="text_alternatives")


def setup(app):
    app.connect("html-page-context", check, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
