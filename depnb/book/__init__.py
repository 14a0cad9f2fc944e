"""Pages made from data files: claims, published results, the authors' commands beside ours."""

import re

# What Markdown and HTML change.
EATEN = {"tag": r"<[A-Za-z/!]", "dash": "--", "formula": r"\$", "escape": r"\\[^\w\s]",
         "emphasis": r"\*|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)", "link": r"\]\("}


def eaten(text, allowed=()):
    """What a page would not show as it is written: markup outside backticks.

    Parameters
    ----------
    text : str
    allowed : kinds of `EATEN` that the text may use

    Returns
    -------
    str or None, that part of the text
    """
    plain = re.sub(r"`[^`]*`", "code", text)
    markup = re.search("|".join(pattern for kind, pattern in EATEN.items() if kind not in allowed),
                       plain)
    return plain[max(0, markup.start() - 12):markup.end() + 12] if markup else None
