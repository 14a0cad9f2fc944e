"""The book's extensions on a small book: what has no text alternative fails the build, and a run's
parameters are shown once.
"""

import re
import subprocess
import sys

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat import v4

from tests.paths import ROOT

OURS = sorted(yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["local_extensions"])
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3"},
          "language_info": {"name": "python"}}
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
       "kJggg==")
TABLE = "<table>{}<thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
VIEW = '<script type="application/vnd.jupyter.widget-view+json">{"model_id": "0"}</script>'
SAYING = "<figure><figcaption>A voice that rises.</figcaption>{}</figure>"


def html(text):
    """The cells of a notebook whose only cell displays this HTML."""
    return [v4.new_code_cell("x", outputs=[v4.new_output("display_data", {"text/html": text})])]


def plot(**metadata):
    """The cells of a notebook whose only cell draws."""
    output = v4.new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})
    return [v4.new_code_cell("x", outputs=[output], metadata=metadata)]


WITHOUT = {             # page -> its content, what is said of it, a part of the element
    "plot": (plot(), "picture without alternative text", "<img"),
    "image": ("```{image} dot.png\n```", "picture without alternative text", "dot.png"),
    "blank": ("![](dot.png)", "picture without alternative text", "dot.png"),
    "frame": (html(TABLE.format("")), "table without a caption", "<table>"),
    "heads": ("```{raw} html\n<table><tr><td>1</td></tr></table>\n```", "table without headings",
              "<td>1</td>"),
    "slide": (html('<input type="range" min="0">'), "control without a label", 'type="range"'),
    "sound": (html('<audio controls src="dot.wav"></audio>'), "audio without a label", "dot.wav"),
    "draw": (html("<svg><path d='M0 0'></path></svg>"), "svg without a label", "<path"),
    "live": (html(VIEW), "widget without words", "model_id"),
    "empty": (html("<figure><div>1</div></figure>"), "figure without a caption", "<div>1</div>")}
WITH = {
    "plot": plot(mystnb={"image": {"alt": "a dot"}}),
    "image": "```{image} dot.png\n:alt: a dot\n```",
    "blank": "![a dot](dot.png)",
    "frame": html(TABLE.format("<caption>Ones</caption>")),
    "fold": html(f"<details><summary>Ones</summary>{TABLE.format('')}</details>"),
    "heads": "| a |\n|---|\n| 1 |",
    "slide": html('<label>time <input type="range" min="0"></label>'),
    "search": html('<label for="words">words</label><input id="words"><button>Go</button>'),
    "sound": html(SAYING.format('<audio controls src="dot.wav"></audio>')),
    "draw": html("<svg><title>A line</title></svg><svg aria-hidden='true'></svg>"),
    "live": html(SAYING.format(VIEW)),
    "empty": html("<figure aria-label='One'><div>1</div></figure>")}


def build(folder, pages):
    """Build pages with our extensions -> what Sphinx says, whether it is content."""
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book/_ext')!r})\n"
        f"extensions = ['sphinx.ext.autodoc', 'myst_nb', *{OURS!r}]\n"
        "nb_execution_mode = 'off'\nroot_doc = 'index'\n")
    (folder / "dot.png").write_bytes(b"")
    names = "\n".join(pages)
    (folder / "index.md").write_text(f"# Pages\n\n```{{toctree}}\n{names}\n```\n")
    for name, content in pages.items():
        heading = f"# The page {name}\n\n"
        if isinstance(content, str):
            (folder / f"{name}.md").write_text(f"{heading}{content}\n")
        else:
            cells = [v4.new_markdown_cell(heading), *content]
            nbformat.write(v4.new_notebook(cells=cells, metadata=PYTHON), folder / f"{name}.ipynb")
    done = subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E",
                           str(folder), str(folder / "html")], capture_output=True, text=True)
    return done.stderr, done.returncode == 0


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    told, content = build(tmp_path_factory.mktemp("without"),
                          {name: page for name, (page, *_) in WITHOUT.items()})
    assert not content
    return told


@pytest.mark.parametrize("page", WITHOUT)
def test_what_has_no_words_fails_the_build_and_is_named(faults, page):
    _, problem, element = WITHOUT[page]
    lines = [line for line in faults.splitlines() if re.search(rf"/{page}\.\w+: WARNING", line)]
    assert len(lines) == 1, faults
    assert problem in lines[0]
    assert f"below 'The page {page}'" in lines[0]
    assert element in lines[0]


def test_what_has_words_is_built(tmp_path):
    told, content = build(tmp_path, WITH)
    assert content, told


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    """Pages of a notebook that ran as it is, with no other values, and with others -> their text.
    """
    usual = v4.new_code_cell('epochs: int = 2        # of training\nrun_dir: str = "runs/a"\n'
                             'levels: list = [1, 2]\nseed: int = 0',
                             metadata={"tags": ["parameters"]})
    injected = {
        "alone": None, "same": "# Parameters\nepochs = 2\nlevels = [1, 2]\n",
        "other": '# Parameters\nepochs = 40\nlevels = [1, 2]\nrun_dir = "/home/x/runs/b"\n'}
    folder = tmp_path_factory.mktemp("parameters")
    told, content = build(folder, {
        name: [usual, *([v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})]
                        if source else []), v4.new_code_cell("print(epochs)")]
        for name, source in injected.items()})
    assert content, told
    pages = {name: BeautifulSoup((folder / f"html/{name}.html").read_text(), "html.parser")
             for name in injected}
    return {name: (page.select_one(".body").get_text(), len(page.select(".cell")))
            for name, page in pages.items()}


def test_a_runs_parameters_are_shown_once(parameters):
    assert {name: cells for name, (_, cells) in parameters.items()} == dict.fromkeys(parameters, 2)
    assert not any("# Parameters" in text for text, _ in parameters.values())
    assert all(text.count("epochs: int = 2") == 1 for text, _ in parameters.values())


def test_the_page_says_which_values_the_run_changed(parameters):
    assert "This run" not in parameters["alone"][0]
    assert "This run: all as above." in parameters["same"][0]
    text = parameters["other"][0]
    assert 'This run: epochs = 40, run_dir = "…/b"; all others as above.' in text
    assert text.index("epochs: int = 2") < text.index("This run") < text.index("print(epochs)")
    assert "home" not in text
