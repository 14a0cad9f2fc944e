"""Show depnb's plain docstrings: paragraphs as text, `names` as code, tables and lists as they are written."""

import re


def escape(text):
    """Plain text as reStructuredText: `code` stays code, everything else means itself."""
    pieces = re.split(r"`([^`]+)`", text)
    return "".join(f"``{piece}``" if i % 2 else re.sub(r"([\\*`|_])", r"\\\1", piece) for i, piece in enumerate(pieces))


def as_written(app, what, name, obj, options, lines):
    shown = []
    for paragraph in "\n".join(lines).strip().split("\n\n"):
        rows = paragraph.splitlines()
        if any(row.startswith(("  ", "- ")) for row in rows):           # a table, a command or a list
            shown += ["", ".. code-block:: text", "", *("    " + row for row in rows), ""]
        else:
            shown += [*escape("\n".join(rows)).splitlines(), ""]
    lines[:] = shown


def setup(app):
    app.connect("autodoc-process-docstring", as_written)
    return {"parallel_read_safe": True}
