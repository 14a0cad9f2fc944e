"""The rooms of the library and their doors: nothing imports what stands above it, and nothing
stands in the hall.
"""

import ast
import json

import pytest

from depnb.papers.cards import cards
from depnb.runs import origin
from tests.paths import ROOT

PACKAGE = ROOT / "depnb"
MAY = {                         # room -> rooms that it may import from, beside itself and files
    "files": (),
    "corpora": (),
    "models": (),
    "scores": ("corpora",),
    "features": ("corpora", "models"),
    "papers": ("corpora", "models", "scores", "features"),
    "runs": ("corpora", "scores", "papers"),
    "simulation": ("corpora", "features"),
    "figures": ("corpora", "scores"),
    "evidence": ("corpora", "models", "scores", "features", "papers", "runs", "simulation"),
    "book": ("corpora", "scores", "papers", "runs", "figures"),
    "learn": ("corpora", "models", "scores", "features", "papers", "figures", "simulation", "book")}


def modules():
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


def room(parts):
    return parts[0].removesuffix(".py")


def imported(tree):
    """Modules of the package that a file names in its imports, as tuples of the parts after
    `depnb`, and the nodes.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "depnb":
            for name in node.names:
                yield (*node.module.split(".")[1:], name.name), node
        elif isinstance(node, ast.Import):
            yield from ((tuple(a.name.split(".")[1:]), node) for a in node.names
                        if a.name.startswith("depnb"))


def test_every_module_has_a_room():
    assert {p.name for p in PACKAGE.glob("*.py")} == {"__init__.py", "files.py"}
    assert {room(p.relative_to(PACKAGE).parts) for p in modules()} == set(MAY)


@pytest.mark.parametrize("file", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_is_imported_from_above(file):
    own = room(file.relative_to(PACKAGE).parts)
    for name, _ in imported(ast.parse(file.read_text())):
        assert name[0] in ("files", own, *MAY[own]), f"{own} imports {'.'.join(name)}"


@pytest.mark.parametrize("file", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_import_of_ours_hides_in_a_function(file):
    tree = ast.parse(file.read_text())
    hidden = [f"line {node.lineno}" for function in ast.walk(tree)
              if isinstance(function, ast.FunctionDef) for _, node in imported(function)]
    assert not hidden


def closure(names):
    """Files of the package that these names (tuples of parts) lead to, by imports."""
    reached, todo = set(), list(names)
    while todo:
        name = todo.pop()
        for depth in range(1, len(name) + 1):
            for file in (PACKAGE.joinpath(*name[:depth]).with_suffix(".py"),
                         PACKAGE.joinpath(*name[:depth], "__init__.py")):
                if file.exists() and file not in reached:
                    reached.add(file)
                    todo += [n for n, _ in imported(ast.parse(file.read_text()))]
    return reached


@pytest.mark.parametrize("paper", cards())
def test_a_chapters_fingerprint_covers_all_that_computes_it(paper):
    """What `code_fingerprint` leaves out, no chapter imports: but figures, and what only belongs to
    another paper.
    """
    cells = json.loads((ROOT / f"notebooks/{paper}.ipynb").read_text())["cells"]
    code = [ast.parse("".join(c["source"])) for c in cells if c["cell_type"] == "code"]
    names = [name for tree in code for name, _ in imported(tree)]
    assert not {name[0] for name in names} & {"evidence", "learn", "simulation"} - {"simulation"}
    for file in closure(n for n in names if n[0] not in origin.TELLING):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in ("__init__", *origin.TELLING) or not origin.counts(parts, paper):
            assert parts[0] in origin.TELLING or set(parts) & set(cards()), parts


def test_touching_one_paper_or_what_only_tells_restarts_no_run_of_another():
    for parts, pages in ((("models", "aafn"), {"aafn", "comparison"}),
                         (("papers", "released", "cfrafn"), {"cfrafn", "comparison"}),
                         (("figures", "common"), set()),
                         (("book", "claims"), set()), (("learn", "voice"), set()),
                         (("evidence", "null"), {"comparison"}),
                         (("files",), {*cards(), "comparison"})):
        assert {page for page in (*cards(), "comparison")
                if origin.counts(parts, page)} == pages, parts


# Names that say that a thing was obtained, not what it is.
VAGUE = {"found", "given", "said", "here", "there", "shown", "whole", "kept"}
LONGEST = 60            # lines of a function, its docstring aside


def written():
    """Every file of code, and every cell of a notebook, as a tree: (where, tree)."""
    for room in ("depnb", "tests", "benchmarks"):
        for file in sorted((ROOT / room).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text())
    for file in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        for cell in json.loads(file.read_text())["cells"]:
            if cell["cell_type"] == "code":
                yield str(file.relative_to(ROOT)), ast.parse("".join(cell["source"]))


def test_a_name_says_what_a_thing_is():
    vague = set()
    for where, tree in written():
        for node in ast.walk(tree):
            name = (node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else
                    node.arg if isinstance(node, ast.arg) else
                    node.name if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else "")
            if name in VAGUE:
                vague.add((where, node.lineno, name))
    assert not vague


def test_no_function_is_long():
    def lines(function):
        told = function.body[0].end_lineno if ast.get_docstring(function) else function.lineno - 1
        return function.end_lineno - told

    long = {(where, node.name): lines(node) for where, tree in written() for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and lines(node) > LONGEST}
    assert not long


@pytest.mark.parametrize("name", cards())
def test_a_chapter_is_short_and_folds_only_parameters_and_setup(name):
    """At most 200 lines of code beside these, ten words of text to each."""
    cells = json.loads((ROOT / f"notebooks/{name}.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    folded = [cell for cell in code if "hide-input" in cell["metadata"].get("tags", ())]
    assert [cell["metadata"]["tags"] for cell in folded] == [["parameters", "hide-input"],
                                                             ["hide-input"]]
    assert "from depnb.papers import" in "".join(folded[1]["source"])
    lines = [line.strip() for cell in code if cell not in folded
             for line in "".join(cell["source"]).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    words = sum(len("".join(cell["source"]).split())
                for cell in cells if cell["cell_type"] == "markdown")
    assert len(lines) <= 200
    assert words >= 10 * len(lines)
