"""The claims ledger: what was said of four papers, by whom, where, and what came out when we looked.

python -m depnb.book.claims        params/*/claims.yaml, book/data/sources.yaml -> book/evidence/claims.md

A row of params/<paper>/claims.yaml has
  id              unique, lower-case words joined by hyphens; the anchor of the row on the page
  claim           one sentence in our words: what was said, or what is wrong in the code
  said_by         one of SAID_BY
  where           file and sentence, or section
  as_of           repository and commit at which it was read, as in sources.yaml; one, or a list
  inherited_from  where code was taken over: repository and commit it comes from (optional)
  done            one of DONE
  verdict         one of VERDICTS
  detail          what came out of it, in a sentence or two
  links           what shows it, at least one (see `split_link`)

Only what somebody said can be reproduced, confirmed or contradicted. A fault that nobody denied is
a defect; numbers of our library beside those of the authors' code are no statement of theirs.
"""

import ast
import html
import re
from functools import cache
from pathlib import Path

import nbformat
import yaml

from depnb import runs

PAPERS = {"STA-DRN": "sta_drn", "CFRAFN": "cfrafn", "AAFN": "aafn",
          "DynMultiDep": "dynmultidep"}                               # name -> folder, chapter
AUTHORS = {"paper": "the paper", "README": "the README", "comment or docstring": "a comment or docstring",
           "name or default": "a name or a default", "issue": "the authors in a thread of its issues"}
OTHERS = {"copy": "the README of a copy", "re-run": "a re-run or a user"}
SAID_BY = AUTHORS | OTHERS | {"nobody": "nobody"}
DONE = ("ran the released behaviour", "parity test", "run on simulated data", "read", "measured")
UNCHECKED = "cannot be checked without the licensed data"
GROUPS = {  # what a verdict is about -> verdict -> what it means
    "Statements": {
        "reproduced": "what was said came out here, by running it. Never said of a number on real data",
        "confirmed": "looked up in files, tables or logs, or recomputed from them, and found so",
        "contradicted": "the files, the authors' own logs, or arithmetic say otherwise",
        UNCHECKED: "{doc}`cannot_know` has the command for those who hold a licence",
        "not checked here": "hardware, novelty, or the numbers of others, for which this book has no means"},
    "Open questions": {"not specified": "neither the texts at hand nor the files answer it"},
    "Defects": {"defect found": "a fault in code that nobody denied, and that changes what a number means "
                                "or what a user gets"},
    "Ours beside theirs": {"matches their code": "our library gives the numbers of the authors' code"}}
VERDICTS = tuple(verdict for group in GROUPS.values() for verdict in group)
FIELDS = ("id", "claim", "said_by", "where", "as_of", "done", "verdict", "detail", "links")
SOURCES, PAGE = "book/data/sources.yaml", "book/evidence/claims.md"
PYTEST, SNAKEMAKE = ".venv/bin/pytest", ".venv/bin/snakemake -c2"

INTRODUCTION = """\
<!-- Written by python -m depnb.book.claims from params/*/claims.yaml: edit those, not this file. -->
(sec-claims)=
# The claims ledger

What was said of four networks that recognise depression: in the papers on STA-DRN
{cite:p}`pan2023sta`, CFRAFN {cite:p}`cfrafn2026`, sub-attentional fusion (AAFN)
{cite:p}`wei2022multimodal` and DynMultiDep {cite:p}`dynmultidep2026`, in their READMEs and code, in
re-runs of the first and in a copy of the third; who said it, where, at which commit it was read,
and what came out when we looked. Rows are in our words. Full texts were not at hand: of STA-DRN's
and Wei et al.'s paper the abstract was, of DynMultiDep's its start, of CFRAFN's the title. A row never
says what the full texts hold.

A sentence that somebody wrote, or that a name or a default implies, is a **statement**. A fault in
code that nobody denied is a **defect**: it contradicts no one. Where code was taken over from others
the row says from whom. Numbers of our library **beside theirs** test us, not them."""

READ = """\
(sec-claims-read)=
## What was read

Every row names a repository and a commit of this table. Files of 4 MiB and more were left out of
the copies that we read.

| repository | whose | commits and dates | the copy lacks |
|---|---|---|---|"""

MEANING = """\
(sec-claims-counts)=
## What came out

*Ran the released behaviour* means that our library does what the released code does, defects
included, and that a test runs it. *Read* means read in the files. The commands below a row run what
it rests on, from the root of the repository after `make test` or `make book`."""


def load(*papers):
    """Rows of the ledger of all papers, or of those named, each with its paper, in order of the files."""
    rows = []
    for paper in papers or PAPERS:
        rows += read(runs.path(f"params/{PAPERS[paper]}/claims.yaml"), paper)
    refuse_repeated(rows)
    return rows


def read(path, paper):
    """The rows of one file -> list of dicts, with `paper` added.

    Raises
    ------
    ValueError
        In one sentence that names file and row: a field is missing or unknown, a word is none of
        those allowed, a repository or commit is not in sources.yaml, or the verdict says more than
        was said or done.
    """
    rows = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected a list of rows, each with the fields {', '.join(FIELDS)}.")
    for number, row in enumerate(rows, 1):
        if problem := fault(row):
            raise ValueError(f"{path}, row {number} ({row.get('id', 'without id')}): {problem}.")
    return [row | {"paper": paper} for row in rows]


def refuse_repeated(rows):
    """Raise ValueError where two rows have one id."""
    ids = [row["id"] for row in rows]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"the id {repeated[0]!r} is taken twice; give one of the rows another.")


def fault(row):
    """What is wrong with a row, or None."""
    for field in FIELDS:
        if not row.get(field):
            return f"{field} is missing; a row has {', '.join(FIELDS)}"
    if unknown := set(row) - {*FIELDS, "inherited_from"}:
        return f"unknown field {min(unknown)!r}; a row has {', '.join(FIELDS)}, inherited_from"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", str(row["id"])):
        return "the id is not lower-case words joined by hyphens"
    for field, words in (("said_by", SAID_BY), ("done", DONE), ("verdict", VERDICTS)):
        if row[field] not in tuple(words):
            return f"{field} {row[field]!r} is unknown; choose one of {', '.join(words)}"
    if not isinstance(row["links"], list) or not all(isinstance(link, str) for link in row["links"]):
        return "links is no list of texts; give at least one link as a list entry"
    for place in (*places(row["as_of"]), *places(row.get("inherited_from", []))):
        if place not in known_places():
            return f"{place!r} is no repository and commit of {SOURCES}; write it as there, or add it"
    return overreach(row)


def overreach(row):
    """Where a verdict says more than was said or done -> sentence, or None."""
    verdict, nobody = row["verdict"], row["said_by"] == "nobody"
    if verdict in GROUPS["Statements"] and nobody:
        return f"nobody said it, so it cannot be {verdict!r}; call it 'defect found', or name who said it"
    if verdict in ("defect found", "matches their code") and not nobody:
        return f"{verdict!r} is for what nobody said; {row['said_by']} did"
    if verdict == "reproduced" and row["done"] in ("read", "run on simulated data"):
        return f"'reproduced' takes more than {row['done']!r}; 'confirmed' is for what was looked up"
    return None


def places(value):
    """Repositories with commits, one or several -> list of texts."""
    return [value] if isinstance(value, str) else list(value)


@cache
def repositories():
    """The table of what was read, as in sources.yaml -> list of dicts."""
    entries = yaml.safe_load(runs.path(SOURCES).read_text(encoding="utf-8"))["repositories"]
    for entry in entries:
        for commit in entry["commits"]:
            if set(commit) != {"commit", "date", "read"}:
                raise ValueError(f"{SOURCES}, {entry['repository']}: a commit has commit, date and read, not "
                                 f"{', '.join(commit)}. Put texts with a comma in quotation marks.")
    return entries


def known_places():
    """Every repository with every commit that was read -> set of texts "owner/name commit"."""
    return {f"{entry['repository']} {commit['commit']}" for entry in repositories()
            for commit in entry["commits"]}


def split_link(link):
    """A link taken apart -> (kind, target, anchor).

    tests/models/test_aafn.py::TestSizes::test_parts   "test", the file, the names
    runs/sta_drn/k-4                                   "run", the paper, the name in ablations.yaml
    book/_executed/sta_drn#fig-sta-drn-rerun           "page", the page, a label of it ("": whole)
    benchmarks/results/selective_scan.csv              "file", the file, ""
    """
    if "::" in link:
        return "test", *link.split("::", 1)
    if link.startswith("runs/"):
        return "run", *link.removeprefix("runs/").partition("/")[::2]
    page, _, anchor = link.partition("#")
    return ("file" if Path(page).suffix else "page"), page, anchor


def dead(link, root):
    """Why a link leads nowhere, in one sentence, or None. root: the repository's."""
    kind, target, anchor = split_link(link)
    if kind == "run":
        table = root / f"params/{target}/ablations.yaml"
        if not table.exists() or anchor not in yaml.safe_load(table.read_text(encoding="utf-8"))["runs"]:
            return f"{link}: params/{target}/ablations.yaml lists no such run."
        return None
    if kind == "page":
        file = source(root, target)
        if not file.exists():
            return f"{link}: there is no {file.relative_to(root)}."
        if anchor and anchor not in labels(file):
            return f"{link}: {file.relative_to(root)} has no label {anchor}."
        return None
    if not (root / target).is_file():
        return f"{link}: there is no file {target}."
    if kind == "test" and anchor not in tests(root / target):
        return f"{link}: {target} has no such test."
    return None


def source(root, page):
    """The file that a page of the book is made from."""
    if page.startswith("book/_executed/"):
        return root / f"notebooks/{page.removeprefix('book/_executed/')}.ipynb"
    return root / f"{page}.md"


@cache
def tests(file):
    """Names of the tests of a file, those of a class as Class::name."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names |= {prefix + each.name for each in inner if isinstance(each, ast.FunctionDef)}
    return {name for name in names if name.split("::")[-1].startswith("test_")}


@cache
def labels(file):
    """Labels of a page: of headings, tables, equations, exercises and figures."""
    if file.suffix == ".md":
        text, figures = file.read_text(encoding="utf-8"), set()
    else:
        cells = nbformat.read(file, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        figures = {cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "") for cell in cells}
    return figures | {re.sub(r"^:\w+: |[()=]", "", line) for line in text.splitlines()
                      if re.fullmatch(r"\([\w-]+\)=|:(name|label): [\w-]+", line)}


def page(rows):
    """The page of the book, MyST Markdown: what was read, counts, filters, then the rows."""
    text = [INTRODUCTION, MEANING, counts(rows), legend(), "\n".join([READ, *read_table()]),
            "(sec-claims-rows)=\n## Row by row", filters(rows)]
    for paper in PAPERS:
        text.append(f"## {paper}")
        for title, _, _, own in parts([row for row in rows if row["paper"] == paper]):
            text += [f"### {paper}: {title[0].lower()}{title[1:]}", *map(block, own)] if own else []
    return "\n\n".join(text) + "\n"


def parts(rows):
    """The rows by what they are -> title, its verdicts, its speakers ("" for any), its rows."""
    for group, verdicts in GROUPS.items():
        chosen = [row for row in rows if row["verdict"] in verdicts]
        if group == "Statements":
            yield "Statements of the authors", verdicts, "authors", [r for r in chosen if r["said_by"] in AUTHORS]
            yield "Statements of others", verdicts, "others", [r for r in chosen if r["said_by"] in OTHERS]
        else:
            yield group, verdicts, "", chosen


def counts(rows):
    """Counts by speaker, verdict and paper as an HTML table; each number leads to its rows."""
    head = "".join(f'<th scope="col">{name}</th>' for name in (*PAPERS, "all"))
    lines = ['<table class="table claim-counts">',
             "<caption>Rows by verdict and paper. A number leads to its rows.</caption>",
             f'<thead><tr><th scope="col">verdict</th>{head}</tr></thead>']
    for title, verdicts, speakers, own in parts(rows):
        lines.append(f'<tbody><tr><th scope="rowgroup" colspan="{len(PAPERS) + 2}">{title}</th></tr>')
        for verdict in (*verdicts, *(["all of them"] if len(verdicts) > 1 else [])):
            cells = [count(own, paper, verdict if verdict in verdicts else "", speakers)
                     for paper in (*PAPERS, "")]
            lines.append(f'<tr><th scope="row">{verdict}</th>{"".join(cells)}</tr>')
        lines.append("</tbody>")
    return "\n".join([*lines, "</table>"])


def count(rows, paper, verdict, speakers):
    """One cell of the table of counts: the number of rows, and where to see them."""
    number = sum(paper in ("", row["paper"]) and verdict in ("", row["verdict"]) for row in rows)
    query = html.escape(f"?paper={slug(paper)}&verdict={slug(verdict or 'Statements')}&said={speakers}#filter")
    return f'<td><a href="{query}">{number}</a></td>' if number else "<td>0</td>"


def legend():
    """What the verdicts mean, as a list."""
    return "\n".join(f"- **{verdict.capitalize()}**: {meaning}." for group in GROUPS.values()
                     for verdict, meaning in group.items())


def read_table():
    """Rows of the table of repositories."""
    return [f"| [{entry['repository']}](https://github.com/{entry['repository']}) | {entry['whose']} | "
            + "; ".join(f"{commit_link(entry['repository'], commit['commit'])} ({commit['date']}): "
                        f"{commit['read']}" for commit in entry["commits"]) + f" | {entry['lacks']} |"
            for entry in repositories()]


def filters(rows):
    """The form that filters the rows; book/_static/ledger.js shows it and makes it work."""
    verdicts = [("Statements", "all statements"), *((verdict, verdict) for verdict in VERDICTS)]
    speakers = [("authors", "the authors"), *AUTHORS.items(), ("others", "others"), *OTHERS.items(),
                ("nobody", "nobody")]
    return "\n".join([
        '<form class="claim-filter" id="filter" role="search" aria-label="Filter the rows" hidden>',
        select("paper", "Paper", [(paper, paper) for paper in PAPERS]),
        select("verdict", "Verdict", verdicts), select("said", "Said by", speakers),
        '<label>Words <input type="search" name="words" autocomplete="off"></label>',
        '<button type="reset">Show all</button>',
        f'<output aria-live="polite">{len(rows)} of {len(rows)} rows</output>', "</form>"])


def select(name, title, options):
    """A labelled HTML select with `all` before its options (pairs of word and text)."""
    inner = "".join(f'<option value="{slug(word)}">{text}</option>' for word, text in options)
    return f'<label>{title} <select name="{name}"><option value="">all</option>{inner}</select></label>'


def block(row):
    """One row of the page, below its anchor."""
    group = next(name for name, verdicts in GROUPS.items() if row["verdict"] in verdicts)
    speakers = "authors" if row["said_by"] in AUTHORS else "others" if row["said_by"] in OTHERS else "nobody"
    words = {"paper": [row["paper"]], "verdict": [row["verdict"], group],
             "said": dict.fromkeys([row["said_by"], speakers])}
    classes = " ".join(["claim", *(f"{kind}-{slug(word)}" for kind in words for word in words[kind])])
    anchor = f"claim-{row['id']}"
    lines = [f"({anchor})=", f":::::{{container}} {classes}",
             f'**{one_line(row["claim"])}** <a class="claim-link" href="#{anchor}" '
             f'aria-label="Link to this row" title="Link to this row">#</a>', "",
             f'<span class="claim-verdict">{row["verdict"].capitalize()}</span> {speaker(row)}: '
             f"{one_line(row['where'])}. Read at {', '.join(map(place_link, places(row['as_of'])))}.{inherited(row)}",
             "", f"*{row['done'].capitalize()}.* {one_line(row['detail'])}"]
    if seen := to_see(row["links"]):
        lines += ["", f"See {'; '.join(seen)}."]
    if commands := to_run(row["links"]):
        lines += ["", "::::{dropdown} Run what it rests on", "```bash", *commands, "```", "::::"]
    return "\n".join([*lines, ":::::"])


def speaker(row):
    """The words before the place: who said it, or what the place is to the row."""
    if row["said_by"] != "nobody":
        return f"Said by {SAID_BY[row['said_by']]}"
    return {"defect found": "In", "matches their code": "Ours against theirs"}.get(row["verdict"], "Looked for in")


def inherited(row):
    """Whom the code was taken over from, as a sentence after a space, or nothing."""
    origin = places(row.get("inherited_from", []))
    return f" Inherited from {', '.join(map(place_link, origin))}." if origin else ""


def to_see(links):
    """Pages and files among the links -> references, those of a chapter behind its paper's name."""
    chapters = {}
    for kind, target, label in map(split_link, links):
        if kind == "page":
            chapters.setdefault(chapter(target), []).append(reference(target, label))
    seen = [f"{name} {', '.join(references)}".strip() for name, references in chapters.items()]
    return seen + [f"{{download}}`{Path(file).name} </{file}>`" for kind, file, _ in map(split_link, links)
                   if kind == "file"]


def to_run(links):
    """Commands for tests and runs among the links."""
    tests = [f"{file}::{name}" for kind, file, name in map(split_link, links) if kind == "test"]
    names = [(paper, name) for kind, paper, name in map(split_link, links) if kind == "run"]
    commands = [" \\\n    ".join([PYTEST, *tests])] if tests else []
    for paper in dict.fromkeys(paper for paper, _ in names):
        own = [name for folder, name in names if folder == paper]
        chosen = own[0] if len(own) == 1 else "{" + ",".join(own) + "}"
        commands.append(f"{SNAKEMAKE} runs/{paper}/{chosen}/metrics.json")
    return commands


def chapter(page):
    """The paper that a page is the chapter of, or nothing."""
    return next((name for name, file in PAPERS.items() if page == f"book/_executed/{file}"), "")


def reference(page, label):
    """A link to a page, or to a label of it."""
    if not label:
        return f"{{doc}}`/{page}`"
    role = {"fig": "numref", "tab": "numref", "eq": "eq"}.get(label.split("-")[0], "ref")
    return f"{{{role}}}`{label}`"


def place_link(place):
    """"owner/name commit" as a link to that state of the repository."""
    repository, commit = place.split()
    return f"{repository} {commit_link(repository, commit)}"


def commit_link(repository, commit):
    return f"[{commit}](https://github.com/{repository}/tree/{commit})"


def slug(text):
    """A word for addresses and classes: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def one_line(text):
    return " ".join(text.split())


def main():
    rows = load()
    for link in (link for row in rows for link in row["links"]):
        if problem := dead(link, runs.root()):
            raise SystemExit(problem)
    runs.write_atomically(runs.path(PAGE), page(rows))
    print(f"{PAGE}: {len(rows)} rows")


if __name__ == "__main__":
    main()
