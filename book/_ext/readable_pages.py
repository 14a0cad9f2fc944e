"""Repair what the theme and its extensions leave unreadable: for a screen reader, on a phone,
without a network.
"""


def repair(app, pagename, templatename, context, doctree):
    """Drop the scripts of live cells, which would fetch theirs from the network, and a list role
    without list items.
    """
    context["script_files"] = [s for s in context["script_files"]
                               if "thebe" not in str(vars(s)).lower()]
    if "body" in context:
        context["body"] = context["body"].replace('<div role="list" class="citation-list">',
                                                  '<div class="citation-list">')


def one_page(app):
    """For the PDF: what extensions know to write for many pages also holds for one page of them
    all.
    """
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = handlers.get("html", {}) | handlers.get("singlehtml", {})


def setup(app):
    app.connect("builder-inited", one_page)
    app.connect("html-page-context", repair, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
