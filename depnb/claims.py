"""The claims ledger: what the papers, their READMEs and their code say, what we did about it, and what shows it.

python -m depnb.claims        book/evidence/claims.yaml -> book/evidence/claims.md

A row of the data file has
  id       unique, lower-case words joined by hyphens; the anchor of the claim on the page
  paper    one of PAPERS
  claim    one sentence, in our words
  source   who says so, and where
  done     one of DONE
  detail   what came out of it, in a sentence or two
  verdict  one of VERDICTS
  links    what shows it, at least one (see `shown`)
"""

import ast
import re
from functools import cache
from pathlib import Path

import nbformat
import yaml

from depnb import runs

PAPERS = {"STA-DRN": "sta_drn", "CFRAFN": "cfrafn", "AAFN": "aafn", "DynMultiDep": "dynmultidep"}     # name -> chapter
VERDICTS = ("reproduced", "contradicted", "cannot be checked without the licensed data", "not specified")
DONE = ("ran the released behaviour", "parity test", "run on simulated data", "read", "measured")
FIELDS = ("id", "paper", "claim", "source", "done", "detail", "verdict", "links")
DATA, PAGE = "book/evidence/claims.yaml", "book/evidence/claims.md"
PYTEST, SNAKEMAKE = ".venv/bin/pytest", ".venv/bin/snakemake -c2"

INTRODUCTION = """\
<!-- Written by python -m depnb.claims from claims.yaml: edit that file, not this one. -->
(sec-claims)=
# The claims ledger

Every checkable claim that we found in the papers on STA-DRN {cite:p}`pan2023sta`, CFRAFN {cite:p}`cfrafn2026`, AAFN
{cite:p}`wei2022multimodal` and DynMultiDep {cite:p}`dynmultidep2026`, in their READMEs and released code, in an independent
re-implementation of the first {cite:p}`sam2024starerun` and in a renamed copy of the third, with what we did about it.
Claims are in our words.

- **Reproduced**: the same numbers, or the same behaviour, came out here. No number on real data is ever called so.
- **Contradicted**: the released files, the authors' own logs, or arithmetic say otherwise.
- **Cannot be checked without the licensed data**: {doc}`cannot_know` has the command for those who hold a licence.
- **Not specified**: neither paper nor files say.

*Ran the released behaviour* means that our library does what the released code does, defects included, and that a test
runs it. *Read* means read in the released files. The commands below an entry run what it rests on, from the root of the
repository after `make test` or `make book`."""


def load(path):
    """The claims of a data file, as a list of dictionaries in its order.

    Raises ValueError, in one sentence that names the row, for a row that lacks a field or has another one, an unknown paper,
    kind or verdict, no link, or an id that is taken.
    """
    claims = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise ValueError(f"{path}: expected a list of claims, each with the fields {', '.join(FIELDS)}.")
    seen = set()
    for number, claim in enumerate(claims, 1):
        problem = fault(claim) or (f"the id {claim['id']!r} is taken; give another" if claim["id"] in seen else None)
        if problem:
            raise ValueError(f"{path}, claim {number} ({claim.get('id', 'without id')}): {problem}.")
        seen.add(claim["id"])
    return claims


def fault(claim):
    """What is wrong with a row, or None."""
    for field in FIELDS:
        if not claim.get(field):
            return f"{field} is missing; a claim has {', '.join(FIELDS)}"
    if unknown := set(claim) - set(FIELDS):
        return f"unknown field {min(unknown)!r}; a claim has {', '.join(FIELDS)}"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(claim["id"])):
        return "the id is not lower-case words joined by hyphens"
    for field, known in (("paper", PAPERS), ("done", DONE), ("verdict", VERDICTS)):
        if claim[field] not in tuple(known):
            return f"{field} {claim[field]!r} is unknown; choose one of {', '.join(known)}"
    if not isinstance(claim["links"], list):
        return "links is no list; give at least one link as a list entry"
    return None if all(isinstance(link, str) for link in claim["links"]) else "a link is no text; see depnb.claims.shown"


def shown(link):
    """A link taken apart: (kind, target, anchor).

    test  tests/models/test_aafn.py::TestSizes::test_parts     -> "test", the file, the names
    run   runs/sta_drn/k-4                                     -> "run", the paper, the name in its ablations.yaml
    page  book/_executed/sta_drn#fig-sta-drn-rerun             -> "page", the page, a label of it ("" for the whole page)
    file  benchmarks/results/selective_scan.csv                -> "file", the file, ""
    """
    if "::" in link:
        return "test", *link.split("::", 1)
    if link.startswith("runs/"):
        return "run", *link.removeprefix("runs/").partition("/")[::2]
    page, _, anchor = link.partition("#")
    return ("file" if Path(page).suffix else "page"), page, anchor


def dead(link, root):
    """Why a link leads nowhere, in one sentence, or None. root: the repository's."""
    kind, target, anchor = shown(link)
    if kind == "run":
        table = root / f"params/{target}/ablations.yaml"
        if not table.exists() or anchor not in yaml.safe_load(table.read_text(encoding="utf-8"))["runs"]:
            return f"{link}: params/{target}/ablations.yaml lists no such run."
        return None
    if kind == "page":
        file = source(root, target)
        if not file.exists():
            return f"{link}: there is no {file.relative_to(root)}."
        return None if not anchor or anchor in labels(file) else f"{link}: {file.relative_to(root)} has no label {anchor}."
    if not (root / target).is_file():
        return f"{link}: there is no file {target}."
    return f"{link}: {target} has no such test." if kind == "test" and anchor not in tests(root / target) else None


def source(root, page):
    """The file that a page of the book is made from."""
    if page.startswith("book/_executed/"):
        return root / f"notebooks/{page.removeprefix('book/_executed/')}.ipynb"
    return root / f"{page}.md"


@cache
def tests(file):
    """Names of the tests of a file, those of a class as Class::name."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + each.name for each in inner if isinstance(each, ast.FunctionDef)}
    return {name for name in found if name.split("::")[-1].startswith("test_")}


@cache
def labels(file):
    """Labels of a page that others can refer to: of headings, tables, equations, exercises and figures."""
    if file.suffix == ".md":
        text, figures = file.read_text(encoding="utf-8"), set()
    else:
        cells = nbformat.read(file, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        figures = {cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "") for cell in cells}
    return figures | {re.sub(r"^:\w+: |[()=]", "", line) for line in text.splitlines()
                      if re.fullmatch(r"\([\w-]+\)=|:(name|label): [\w-]+", line)}


def page(claims):
    """The page of the book: counts by paper and verdict, then one block a claim. MyST Markdown."""
    rows = [[verdict, *(sum(c["verdict"] == verdict and c["paper"] == paper for c in claims) for paper in PAPERS)]
            for verdict in VERDICTS]
    rows = [[name, *counts, sum(counts)] for name, *counts in rows]
    rows.append(["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    table = ["| verdict | " + " | ".join(PAPERS) + " | all |", "|---|" + "--:|" * (len(PAPERS) + 1),
             *("| " + " | ".join(map(str, row)) + " |" for row in rows)]
    parts = [INTRODUCTION, "\n".join(table)]
    for paper in PAPERS:
        parts += [f"## {paper}", *(block(claim) for claim in claims if claim["paper"] == paper)]
    return "\n\n".join(parts) + "\n"


def block(claim):
    """One claim as an entry of a definition list, below its anchor."""
    links = {kind: [shown(link)[1:] for link in claim["links"] if shown(link)[0] == kind]
             for kind in ("page", "file", "test", "run")}
    places = {}
    for target, label in links["page"]:
        places.setdefault(chapter(target), []).append(reference(target, label))
    to_read = [f"{name} {', '.join(found)}".strip() for name, found in places.items()]
    to_read += [f"{{download}}`{Path(file).name} </{file}>`" for file, _ in links["file"]]
    commands = []
    if links["test"]:
        commands.append(" \\\n      ".join([PYTEST, *(f"{file}::{name}" for file, name in links["test"])]))
    if links["run"]:
        (paper, *_), names = *links["run"][:1], [name for _, name in links["run"]]
        chosen = names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
        commands.append(f"{SNAKEMAKE} runs/{paper}/{chosen}/metrics.json")
    lines = [f"(claim-{claim['id']})=", "", one_line(claim["claim"]),
             f": **{claim['verdict'].capitalize()}.** Source: {one_line(claim['source'])}.",
             f": *{claim['done'].capitalize()}.* {one_line(claim['detail'])}"]
    if to_read:
        lines.append(f": See {'; '.join(to_read)}.")
    if commands:
        lines += [": ```bash", *(f"  {command}" for command in commands), "  ```"]
    return "\n".join(lines)


def chapter(page):
    """The paper that a page is the chapter of, or nothing."""
    return next((name for name, file in PAPERS.items() if page == f"book/_executed/{file}"), "")


def reference(page, label):
    """A link to a page, or to a label of it."""
    if not label:
        return f"{{doc}}`/{page}`"
    role = {"fig": "numref", "tab": "numref", "eq": "eq"}.get(label.split("-")[0], "ref")
    return f"{{{role}}}`{label}`"


def one_line(text):
    return " ".join(text.split())


def main():
    claims = load(runs.path(DATA))
    for link in (link for claim in claims for link in claim["links"]):
        if problem := dead(link, runs.root()):
            raise SystemExit(problem)
    runs.write_atomically(runs.path(PAGE), page(claims))
    print(f"{PAGE}: {len(claims)} claims")


if __name__ == "__main__":
    main()
