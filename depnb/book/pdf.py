"""The book as one PDF, printed by Chromium: its equations need a browser.

`python -m depnb.book.pdf _build/singlehtml _build/book.pdf`; `make pdf` also builds the one page of
all pages.
"""

import os
import shutil
import sys
from pathlib import Path

from depnb.files import write_atomically

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
UNFOLD = """() => {
    document.querySelectorAll('details').forEach(e => e.open = true);
    document.querySelectorAll('.toggle-hidden').forEach(e => e.classList.remove('toggle-hidden'));
}"""
PAPER = """() => {
    document.querySelectorAll('nav, header, footer, dialog, button, .skip-link, .sidebar, ' +
                              '#jb-print-docs-body, .headerlink').forEach(e => e.remove());
    // Citations and sections of one name share an id across chapters;
    // only the bibliography's own is ever meant.
    document.querySelectorAll('[id^=id]:not(.citation)').forEach(e => e.removeAttribute('id'));
    // A link leads to the same document or to the network, never to a file of this machine.
    document.querySelectorAll('a[href]').forEach(a => {
        if (a.protocol != 'file:') return;
        a.hash ? a.setAttribute('href', a.hash) : a.removeAttribute('href');
    });
}"""
FOOTER = ('<div style="width: 100%; font-size: 8px; text-align: '
          'center"><span class="pageNumber"></span></div>')


def chromium():
    """Path of a Chromium or Chrome: DEPNB_CHROMIUM, the first on the path, or None.

    Raises
    ------
    RuntimeError
        DEPNB_CHROMIUM names no file.
    """
    named = os.environ.get("DEPNB_CHROMIUM")
    if named and not Path(named).is_file():
        raise RuntimeError(f"DEPNB_CHROMIUM {named}: no such program; "
                           "name a Chromium or Chrome, or unset it.")
    return named or next(filter(None, map(shutil.which, PROGRAMS)), None)


def pdf(built, path):
    """Print the book with everything unfolded: A4, numbered, with bookmarks.

    Parameters
    ----------
    built : folder that `jupyter-book build . --builder singlehtml` wrote
    path : of the PDF, written whole or not at all

    Raises
    ------
    FileNotFoundError
        The folder holds no book.
    RuntimeError
        There is no Chromium.
    """
    from playwright.sync_api import sync_playwright


    page = Path(built).resolve() / "book/index.html"
    if not page.is_file():
        raise FileNotFoundError(f"{built}: no book/index.html; build it with jupyter-book build . "
                                "--builder singlehtml.")
    program = chromium()
    if program is None:
        raise RuntimeError("no Chromium to print with: "
                           "apt-get install chromium, or name one in DEPNB_CHROMIUM.")
    # Sphinx counts the paths of pictures and styles from here
    beside = page.parent.parent / "print.html"
    shutil.copy(page, beside)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(color_scheme="light")
        tab.set_default_timeout(0)            # a book of many pages takes minutes to typeset
        tab.goto(beside.as_uri())
        tab.evaluate("() => window.MathJax?.startup?.promise?.then(() => true)")
        for change in (UNFOLD, PAPER):
            tab.evaluate(change)
        printed = tab.pdf(format="A4", scale=0.75, outline=True, tagged=True, print_background=True,
                          display_header_footer=True, header_template="<span></span>",
                          footer_template=FOOTER,
                          margin=dict.fromkeys(("top", "bottom", "left", "right"), "18mm"))
        browser.close()
    write_atomically(path, printed)


if __name__ == "__main__":
    pdf(*sys.argv[1:])
