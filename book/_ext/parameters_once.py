"""Show a notebook's parameters once: of papermill's cell, which repeats them, the values that this
run changed, in a line below the defaults.
"""

import json
import re

from depnb.book.provenance import assigned


def literal(value):
    """A value as the parameters cell writes it; of the path of a machine the last part."""
    if isinstance(value, str):
        return json.dumps(re.sub(r"^([/\\~]|[A-Za-z]:).*[/\\]", "…/", value), ensure_ascii=False)
    return repr(value)


def line(defaults, injected):
    """What differs from the defaults, in Markdown."""
    changed = [f"`` {name} = {literal(value)} ``" for name, value in injected.items()
               if name not in defaults or defaults[name] != value]
    if not changed:
        return "This run: all as above."
    return f"This run: {', '.join(changed)}; all others as above."


def once(notebook):
    """The notebook with a sentence in place of the injected cell."""
    defaults = {}
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", ())
        if "parameters" in tags:
            defaults |= assigned("".join(cell["source"]))
        if "injected-parameters" in tags:
            told = line(defaults, assigned("".join(cell["source"])))
            cell |= {"cell_type": "markdown", "source": told}
            for name in ("outputs", "execution_count"):
                cell.pop(name, None)
    return notebook


def read(app, docname, source):
    if app.env.doc2path(docname).endswith(".ipynb"):
        source[0] = json.dumps(once(json.loads(source[0])))


def setup(app):
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
