"""Show depnb's plain docstrings as they are written: first paragraph as text, the rest as a literal block."""

import re


def escape(text):
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def as_written(app, what, name, obj, options, lines):
    paragraphs = "\n".join(lines).strip().split("\n\n", 1)
    shown = [escape(line) for line in paragraphs[0].splitlines()]
    if len(paragraphs) == 2:
        shown += ["", "::", "", *("    " + line for line in paragraphs[1].splitlines())]
    lines[:] = [*shown, ""]


def setup(app):
    app.connect("autodoc-process-docstring", as_written)
    return {"parallel_read_safe": True}
