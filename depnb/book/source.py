"""The library's source on a page, so that what a page says and what runs cannot disagree."""

import inspect
import textwrap

from IPython.display import Markdown, display


def show(*steps):
    """Show the source of functions, methods or classes, in JupyterLab as in the book."""
    source = "\n\n".join(textwrap.dedent(inspect.getsource(step)).rstrip() for step in steps)
    display(Markdown(f"```python\n{source}\n```"))
