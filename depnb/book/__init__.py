"""Pages of the book that are made from data files: claims, published results, the authors' commands beside ours."""

import re

EATEN = {"tag": r"<[A-Za-z/!]", "dash": "--", "formula": r"\$", "escape": r"\\[^\w\s]",       # what Markdown and HTML change
         "emphasis": r"\*|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)", "link": r"\]\("}


def eaten(text, allowed=()):
    """What a page would not show as it is written: markup outside backticks -> that part of the text, or None.

    allowed: kinds of EATEN that the text may use.
    """
    plain = re.sub(r"`[^`]*`", "code", text)
    found = re.search("|".join(pattern for kind, pattern in EATEN.items() if kind not in allowed), plain)
    return plain[max(0, found.start() - 12):found.end() + 12] if found else None
