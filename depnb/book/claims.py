"""The claims ledger: what was said of four papers, by whom, where, and what came out.

python -m depnb.book.claims        params/*/claims.yaml -> book/evidence/claims.md

A row of params/<paper>/claims.yaml has
  id              unique, lower-case words joined by hyphens; the anchor of the row on the page
  claim           one sentence in our words: what was said, or what is wrong in the code
  said_by         one of SAID_BY
  where           file and sentence, or section
  as_of           where it was read, and compared: repository and commit, or a text, as in
                  book/data/sources.yaml; one, or a list
  inherited_from  where code was taken over: repository and commit it comes from (optional)
  done            one of DONE
  verdict         one of VERDICTS
  detail          what came out of it, in a sentence or two
  links           what shows it, at least one (see `split_link`)

Only what somebody said can be reproduced, confirmed or contradicted. A fault that nobody denied is
a defect; numbers of our library beside those of the authors' code are no statement of theirs. What
is not specified may have been said, by a sentence that leaves it open, or by nobody. Options, names
of files and whatever else Markdown would change stand in backticks.
"""

import ast
import html
import re
from functools import cache
from pathlib import Path

import nbformat
import yaml

from depnb.book import eaten
from depnb.files import located, notebook, repository, write_atomically
from depnb.papers.cards import cards

PAPERS = {card.title: name for name, card in cards().items()}      # title -> folder, chapter
AUTHORS = {"paper": "the paper", "README": "the README",
           "comment or docstring": "a comment, docstring or message",
           "name or default": "a name or a default",
           "issue": "the authors in a thread of its issues"}
OTHERS = {"copy": "the README of a copy", "re-run": "a re-run or a user"}
SAID_BY = AUTHORS | OTHERS | {"nobody": "nobody"}
CODE = {"own": "the authors' own", "inherited": "inherited",
        "others": "a re-run's, fork's or copy's"}
DONE = {  # kind of evidence -> what it means
    "read": "read in the files, texts or logs that are named",
    "measured": "counted or computed from files, tables or logs, or on made-up inputs",
    "ran the released behaviour": "our library does what the released code does, defects included, "
                                  "and a test runs it",
    "parity test": "a test compares our numbers with numbers that the authors' code gave",
    "run on simulated data": "runs of this book on simulated corpora stand beside it; "
                             "none of them is about people"}
UNCHECKED = "cannot be checked without the licensed data"
GROUPS = {  # what a verdict is about -> verdict -> what it means
    "Statements": {
        "reproduced": "what was said came out here, by running it. "
                      "Never said of a number on real data",
        "confirmed": "looked up in files, tables or logs, or recomputed from them, and found so",
        "contradicted": "the files, the authors' own logs, or arithmetic say otherwise",
        UNCHECKED: "{doc}`cannot_know` has the command for those who hold a licence",
        "not checked here": "hardware, novelty, or the numbers of others, "
                            "for which this book has no means"},
    "Open questions": {"not specified": "neither the texts at hand nor the files answer it: "
                                        "a sentence was said and leaves it open, "
                                        "or nobody spoke of it"},
    "Defects": {"defect found": "a fault in a program, "
                                "its configuration or the files that belong to it, that nobody "
                                "denied and that changes what a number means or what a user gets"},
    "Ours beside theirs": {"matches their code": "our library gives the numbers of the "
                                                 "authors' code"}}
VERDICTS = tuple(verdict for group in GROUPS.values() for verdict in group)
FIELDS = ("id", "claim", "said_by", "where", "as_of", "done", "verdict", "detail", "links")
SUMMED = ("Statements of others", "Open questions")         # parts of which `tally` has the sum
# glossary
TERMS = ("AUC", "AVEC", "batch norm", "BDI-II", "checkpoint", "DAIC-WOZ", "DepMamba", "dropout",
         "D-Vlog", "eGeMAPS", "F1", "LMVD", "log-mel", "MAE", "Mamba", "OpenFace", "openSMILE",
         "PHQ-8", "RMSE", "softmax", "VGGish")
SOURCES, PAGE = "book/data/sources.yaml", "book/evidence/claims.md"
PYTEST, SNAKEMAKE = ".venv/bin/pytest", ".venv/bin/snakemake -c2"

INTRODUCTION = """\
<!-- Written by python -m depnb.book.claims from params/*/claims.yaml:
edit those, not this file. -->
(sec-claims)=
# The claims ledger

What was said of four networks that recognise depression: in the papers on STA-DRN
{cite:p}`pan2023sta`, CFRAFN {cite:p}`cfrafn2026`, sub-attentional fusion (AAFN)
{cite:p}`wei2022multimodal` and DynMultiDep {cite:p}`dynmultidep2026`, in their READMEs and code,
in re-runs of the first and in a copy of the third; who said it, where, at which commit it was
read, and what came out when we looked. Rows are in our words. Full texts were not at hand: of
STA-DRN's and Wei et al.'s paper the abstract was, of DynMultiDep's its start, of CFRAFN's the
title. A row never says what the full texts hold.

A sentence that somebody wrote, or that a name or a default implies, is a **statement**. Where
neither texts nor files settle what it says, it counts among the **open questions**, beside those
that nobody spoke of. A fault that nobody denied is a **defect**: it contradicts no one. A row
says in whose code it stands, and where code was taken over from others, from whom. Numbers of our
library **beside theirs** test us, not them.

Many rows speak of runs on simulated data besides a chapter's own: other seeds, null corpora,
variants that were trained alike. `make book` does not make them, so a chapter may not show them
yet; the command below such a row makes its runs, `make book PROFILE=full` all of them."""

READ = """\
(sec-claims-read)=
## What was read

Every row names a repository and a commit of this list, or a text. *Lacks* is what our copy lacks:
files of 4 MiB and more were left out of all of them."""

MEANING = """\
(sec-claims-counts)=
## What came out

A row has one of these verdicts, below its claim:"""

EVIDENCE = """\
and says in italics what it rests on, the most that was done (the commands below a row repeat it,
from the root of the repository after `make test` or `make book`):"""


def load(*papers):
    """Rows of the ledger of all papers, or of those named, each with its paper, in order."""
    rows = []
    for paper in papers or PAPERS:
        rows += read(located(f"params/{PAPERS[paper]}/claims.yaml"), paper)
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
        raise ValueError(f"{path}: "
                         f"expected a list of rows, each with the fields {', '.join(FIELDS)}.")
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
    links = row["links"]
    if not isinstance(links, list) or not all(isinstance(link, str) for link in links):
        return "links is no list of texts; give at least one link as a list entry"
    for place in (*places(row["as_of"]), *places(row.get("inherited_from", []))):
        if place not in known_places() | set(texts()):
            return (f"{place!r} is no repository and commit of {SOURCES}; "
                    "write it as there, or add it")
    for field in ("claim", "where", "detail"):
        if part := eaten(row[field]):
            return f"{field} holds {part!r}, which the page would change; put it in backticks"
    return overreach(row)


def overreach(row):
    """Where a verdict says more than was said or done -> sentence, or None."""
    verdict, nobody = row["verdict"], row["said_by"] == "nobody"
    if verdict in GROUPS["Statements"] and nobody:
        return (f"nobody said it, so it cannot be {verdict!r}; "
                "call it 'defect found', or name who said it")
    if verdict in ("defect found", "matches their code") and not nobody:
        return f"{verdict!r} is for what nobody said; {row['said_by']} did"
    if verdict == "reproduced" and row["done"] in ("read", "run on simulated data"):
        return (f"'reproduced' takes more than {row['done']!r}; "
                "'confirmed' is for what was looked up")
    return None


def places(value):
    """Repositories with commits, one or several -> list of texts."""
    return [value] if isinstance(value, str) else list(value)


@cache
def sources():
    """What was read, as in sources.yaml: dict of two lists, repositories and texts.

    Raises
    ------
    ValueError
        A commit has other fields, or the page would change a text.
    """
    entries = yaml.safe_load(located(SOURCES).read_text(encoding="utf-8"))
    for entry in entries["repositories"]:
        for commit in entry["commits"]:
            if set(commit) != {"commit", "date", "read"}:
                raise ValueError(f"{SOURCES}, {entry['repository']}: "
                                 f"a commit has commit, date and read, not {', '.join(commit)}. "
                                 "Put texts with a comma in quotation marks.")
    for entry in (*entries["repositories"], *entries["texts"]):
        for value in (entry["whose"], entry.get("lacks", ""),
                      *(each["read"] for each in entry.get("commits", [entry]))):
            if part := eaten(value):
                raise ValueError(f"{SOURCES}: {part!r} would be changed by the page; "
                                 "put it in backticks.")
    return entries


def repositories():
    """Repositories that were read -> by name."""
    return {entry["repository"]: entry for entry in sources()["repositories"]}


def texts():
    """What was read and is no repository -> by name."""
    return {entry["text"]: entry for entry in sources()["texts"]}


def known_places():
    """Every repository with every commit that was read -> set of texts "owner/name commit"."""
    return {f"{name} {commit['commit']}" for name, entry in repositories().items()
            for commit in entry["commits"]}


def split_link(link):
    """A link taken apart: kind, target, anchor.

    tests/models/test_aafn.py::TestSizes::test_parts   "test", the file, the names
    runs/sta_drn/k-4                                   "run", the paper, the name in ablations.yaml
    book/_executed/sta_drn#fig-sta-drn-rerun           "page", the page, a label of it, or ""
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
        text = table.read_text(encoding="utf-8") if table.exists() else "runs: {}"
        if anchor not in yaml.safe_load(text)["runs"]:
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
        return notebook(page.removeprefix("book/_executed/"))
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
        figures = {cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")
                   for cell in cells}
    return figures | {re.sub(r"^:\w+: |[()=]", "", line) for line in text.splitlines()
                      if re.fullmatch(r"\([\w-]+\)=|:(name|label): [\w-]+", line)}


def page(rows):
    """The page of the book, MyST Markdown: what was read, counts, filters, then the rows."""
    text = [INTRODUCTION, MEANING,
            legend(group for verdicts in GROUPS.values() for group in verdicts.items()), EVIDENCE,
            legend(DONE.items()), counts(rows), READ, *read_list(),
            "(sec-claims-rows)=\n## Row by row", filters(rows)]
    for paper in PAPERS:
        text.append(f"### {paper}")
        for title, lines in table().items():
            own = [row for row in rows if has(row, lines[-1][1] | {"paper": paper})]
            seen = set()
            text += [f"#### {paper}: {title[0].lower()}{title[1:]}",
                     *(block(row, seen) for row in own)] if own else []
    return "\n\n".join(text) + "\n"


def table():
    """What the page counts: title of a part -> its lines, each (words, what its rows have).

    The last line of a part has them all.
    """
    parts = {}
    for title, whose in (("Statements of the authors", "authors"),
                         ("Statements of others", "others")):
        lines = [(verdict, {"verdict": verdict, "said": whose}) for verdict in GROUPS["Statements"]]
        lines.insert(3, ("of which about inherited code", lines[2][1] | {"code": "inherited"}))
        parts[title] = [*lines, ("all of them", {"verdict": "Statements", "said": whose})]
    parts["Open questions"] = [(words, {"verdict": "not specified"} | whose) for words, whose in (
        ("left open by a statement of the authors", {"said": "authors"}),
        ("left open by a statement of others", {"said": "others"}),
        ("nobody spoke of it", {"said": "nobody"}), ("all of them", {}))]
    parts["Defects"] = [(words, {"verdict": "defect found"} | code) for words, code in (
        ("in the authors' own code", {"code": "own"}),
        ("in code that they took over", {"code": "inherited"}),
        ("in the code of a re-run, fork or copy", {"code": "others"}), ("all of them", {}))]
    parts["Ours beside theirs"] = [("matches their code", {"verdict": "matches their code"})]
    return parts


def tally(rows):
    """How many rows of each paper came out how, every row counted once.

    What others said and what nobody settled is one number each.

    Returns
    -------
    mapping paper -> (part of `table`, words) -> number
    """
    each = [(part, *line) for part, lines in table().items()
            for line in (lines[-1:] if part in SUMMED else lines)
            if part in SUMMED or not line[0].startswith(("of which", "all of them"))]
    return {paper: {(part, words): sum(has(row, wanted | {"paper": paper}) for row in rows)
                    for part, words, wanted in each} for paper in PAPERS}


def marks(row):
    """What a row can be filtered by -> kind: words."""
    group = next(name for name, verdicts in GROUPS.items() if row["verdict"] in verdicts)
    speakers = ("authors" if row["said_by"] in AUTHORS
                else "others" if row["said_by"] in OTHERS else "nobody")
    return {"paper": [row["paper"]], "verdict": [row["verdict"], group],
            "said": list(dict.fromkeys([row["said_by"], speakers])), "code": [code(row)]}


def code(row):
    """In whose code a row stands, or by whom it was said -> one of CODE."""
    if row.get("inherited_from"):
        return "inherited"
    if row["said_by"] in OTHERS:
        return "others"
    return "others" if row["said_by"] == "nobody" and "code" in origin(row) else "own"


def origin(row):
    """The first repository that a row was read in, as in sources.yaml."""
    return next((repositories()[place.split()[0]]
                 for place in places(row["as_of"]) if place in known_places()), {})


def has(row, wanted):
    """Whether a row has all that is wanted: kind -> word."""
    own = marks(row)
    return all(word in own[kind] for kind, word in wanted.items())


def counts(rows):
    """Counts by verdict, speaker, code and paper: HTML table; a number leads to its rows."""
    head = "".join(f'<th scope="col">{name}</th>' for name in (*PAPERS, "all"))
    lines = ['<div class="pst-scrollable-table-container"><table class="table claim-counts">',
             "<caption>Rows by verdict and paper. A number leads to its rows.</caption>",
             f'<thead><tr><th scope="col">verdict</th>{head}</tr></thead>']
    for title, own in table().items():
        lines.append('<tbody><tr><th scope="rowgroup" '
                     f'colspan="{len(PAPERS) + 2}">{title}</th></tr>')
        for words, wanted in own:
            cells = "".join(count(rows, wanted | ({"paper": paper} if paper else {}))
                            for paper in (*PAPERS, ""))
            part = ' class="part"' if words.startswith("of which") else ""
            lines.append(f'<tr><th scope="row"{part}>{words}</th>{cells}</tr>')
        lines.append("</tbody>")
    return "\n".join([*lines, "</table></div>"])


def count(rows, wanted):
    """One cell of the table of counts: the number of rows, and where to see them."""
    number = sum(has(row, wanted) for row in rows)
    query = html.escape("?" + "&".join(f"{kind}={slug(word)}"
                                       for kind, word in wanted.items()) + "#filter")
    return f'<td><a href="{query}">{number}</a></td>' if number else "<td>0</td>"


def legend(words):
    """What words mean, as a list. words: pairs of word and meaning."""
    return "\n".join(f"- **{word.capitalize()}**: {meaning}." for word, meaning in words)


def read_list():
    """What was read, as a list of definitions: repositories with their commits, then texts."""
    for name, entry in repositories().items():
        commits = (f"  - {commit_link(name, each['commit'])}, "
                   f"{'date not noted' if each['date'] == 'not noted' else each['date']}: "
                   f"{each['read']}" for each in entry["commits"])
        yield "\n".join([f"[{name}](https://github.com/{name})",
                         f": {upper(entry['whose'])}. *Lacks* {entry['lacks']}.", "", *commits])
    for name, entry in texts().items():
        yield f"{place_link(name)}\n: {upper(entry['whose'])}. {upper(entry['read'])}."


def filters(rows):
    """The form that filters the rows; book/_static/ledger.js shows it and makes it work."""
    verdicts = [("Statements", "all statements"), *((verdict, verdict) for verdict in VERDICTS)]
    speakers = [("authors", "the authors"), *AUTHORS.items(), ("others", "others"), *OTHERS.items(),
                ("nobody", "nobody")]
    return "\n".join([
        '<form class="claim-filter" id="filter" role="search" '
        'aria-label="Filter the rows" autocomplete="off" hidden>',
        select("paper", "Paper", [(paper, paper) for paper in PAPERS]),
        select("verdict", "Verdict", verdicts), select("said", "Said by", speakers),
        select("code", "Code", CODE.items()),
        '<label>Words <input type="search" name="words" '
        'placeholder="words, &quot;a phrase&quot;"></label>',
        '<button type="reset">Show all</button>',
        f'<output aria-live="polite">{len(rows)} of {len(rows)} rows</output>', "</form>",
        '<p class="claim-none" hidden>No row has all of this. '
        'Take a word or a choice away, or press Show all.</p>'])


def select(name, title, options):
    """A labelled HTML select with `all` before its options (pairs of word and text)."""
    inner = "".join(f'<option value="{slug(word)}">{text}</option>' for word, text in options)
    return (f'<label>{title} <select name="{name}">'
            f'<option value="">all</option>{inner}</select></label>')


def block(row, seen=None):
    """One row of the page, below its anchor. seen: terms that the section has explained already."""
    classes = " ".join(["claim", *(f"{kind}-{slug(word)}" for kind, words in marks(row).items()
                                   for word in words)])
    anchor, seen = f"claim-{row['id']}", set(TERMS) if seen is None else seen
    lines = [f"({anchor})=", f":::::{{container}} {classes}",
             f'**{with_terms(one_line(row["claim"]), seen)}** <a class="claim-link" '
             f'href="#{anchor}" aria-label="Link to this row" title="Link to this row">#</a>', "",
             f'<span class="claim-verdict">{row["verdict"].capitalize()}</span> '
             f"{speaker(row)}. {read_in(row)}.{inherited(row)}",
             "", f"*{row['done'].capitalize()}.* {with_terms(one_line(row['detail']), seen)}"]
    if links := to_see(row["links"]):
        lines += ["", f"See {'; '.join(links)}."]
    if commands := to_run(row["links"]):
        lines += ["", "::::{dropdown} Run what it rests on", "```bash", *commands, "```", "::::"]
    return "\n".join([*lines, ":::::"])


def with_terms(text, seen):
    """The text with its terms linked to the glossary, but for those in `seen`; quotations stay.

    Those that are linked are added to `seen`.
    """
    def link(match):
        if match[0] not in TERMS or match[0] in seen:
            return match[0]
        seen.add(match[0])
        return f"{{term}}`{match[0]}`"

    return re.sub(rf'`[^`]*`|"[^"]*"|(?<![\w-])(?:{"|".join(map(re.escape, TERMS))})(?![\w-])',
                  link, text)


def speaker(row):
    """Who said it and where; of what nobody said, in whose code it is."""
    by, where = row["said_by"], one_line(row["where"])
    if by == "nobody":
        whose = {"own": "the authors' code", "inherited": "code that the authors took over",
                 "others": f"the code of {origin(row).get('code')}"}[code(row)]
        return {"defect found": f"In {whose}", "matches their code": "Ours beside theirs"}.get(
            row["verdict"], "Looked for in") + f": {where}"
    if by in ("README", "copy") and where.startswith("README"):
        return f"Said by {SAID_BY[by]}{where.removeprefix('README')}"
    if where.startswith(("the first author", "a user")):
        return f"Said by {where}"
    return {"name or default": "Implied by a name or a default", "re-run": "Said by others"}.get(
        by, f"Said by {SAID_BY[by]}") + f": {where}"


def read_in(row):
    """Where a row was read, and with what it was compared, as a sentence without its stop."""
    read = [place for place in places(row["as_of"]) if place in texts()]
    commits = ", ".join(place_link(place) for place in places(row["as_of"]) if place not in texts())
    if not read:
        return f"Read at {commits}"
    compared = f"; compared with {commits}" if commits else ""
    return f"Read: {', '.join(map(place_link, read))}{compared}"


def inherited(row):
    """Whom the code was taken over from, as a sentence after a space, or nothing."""
    taken = places(row.get("inherited_from", []))
    return f" Inherited from {', '.join(map(place_link, taken))}." if taken else ""


def to_see(links):
    """Pages and files among the links -> references, those of a chapter behind its paper's name."""
    chapters = {}
    for kind, target, label in map(split_link, links):
        if kind == "page":
            chapters.setdefault(chapter(target), []).append(reference(target, label))
    seen = [f"{name} {', '.join(references)}".strip() for name, references in chapters.items()]
    return seen + [f"{{download}}`{Path(file).name} </{file}>`"
                   for kind, file, _ in map(split_link, links) if kind == "file"]


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
    role = {"fig": "{numref}", "tab": "{numref}",
            "eq": "equation {eq}"}.get(label.split("-")[0], "{ref}")
    return f"{role}`{label}`"


def place_link(place):
    """"owner/name commit" as a link to that state; a text as a link, if it has an address."""
    if place in texts():
        return f"[{place}]({texts()[place]['link']})" if "link" in texts()[place] else place
    repository, commit = place.split()
    return f"{repository} {commit_link(repository, commit)}"


def commit_link(repository, commit):
    """A commit as a link to that state of the repository."""
    return f"[{commit}](https://github.com/{repository}/tree/{commit})"


def slug(text):
    """A word for addresses and classes: lower case, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def upper(text):
    """The text with a capital letter."""
    return text[0].upper() + text[1:]


def one_line(text):
    """The text with single blanks for all white space."""
    return " ".join(text.split())


def main():
    """Write the page; SystemExit where a link leads nowhere."""
    rows = load()
    for link in (link for row in rows for link in row["links"]):
        if problem := dead(link, repository()):
            raise SystemExit(problem)
    write_atomically(located(PAGE), page(rows))
    print(f"{PAGE}: {len(rows)} rows")


if __name__ == "__main__":
    main()
