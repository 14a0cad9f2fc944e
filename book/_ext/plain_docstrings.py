"""Show depnb's docstrings: paragraphs as text, `names` as code, tables and lists as they are
written; sections in NumPy style are left to napoleon, which comes after.
"""

import re

SECTION = re.compile(r"^\w+\n-+$", re.MULTILINE)


def escape(text):
    """Plain text as reStructuredText: `code` stays code, everything else means itself."""
    pieces = re.split(r"`([^`]+)`", text)
    return "".join(f"``{piece}``" if i % 2 else re.sub(r"([\\*`|_])", r"\\\1", piece)
                   for i, piece in enumerate(pieces))


def as_written(app, what, name, obj, options, lines):
    text, output = "\n".join(lines).strip(), []
    section = SECTION.search(text)
    told, sections = (text[:section.start()], text[section.start():]) if section else (text, "")
    for paragraph in told.strip().split("\n\n"):
        rows = paragraph.splitlines()
        if any(row.startswith(("  ", "- ")) for row in rows):         # a table, a command or a list
            output += ["", ".. code-block:: text", "", *("    " + row for row in rows), ""]
        else:
            output += [*escape("\n".join(rows)).splitlines(), ""]
    lines[:] = [*output, *escape(sections).splitlines(), ""]


def setup(app):
    app.connect("autodoc-process-docstring", as_written, priority=400)
    return {"parallel_read_safe": True}
