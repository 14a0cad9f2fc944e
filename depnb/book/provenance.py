"""Where all on the pages comes from: every run folder, every executed page, this environment.

Read from run folders and executed notebooks alone; what is not there is listed as not run, what
`verify` refuses as refused. Nothing of it names a path or a machine.
"""

import ast
import html
import platform
import re
from importlib import metadata

import nbformat
import pandas as pd
import yaml

from depnb import runs
from depnb.files import located, notebook, repository
from depnb.runs import origin, verify

SIGNATURE = re.compile(r"Run `(?:runs/)?([\w.-]+/[\w.-]+)`")          # as `Run.describe` says it
# A chapter says its paper at its top, and compares the runs of that one.
GROUPS = re.compile(r"(?:runs\.(?:finished|compare)|chapter\.at_a_glance)"
                    r"\(\s*[\"']([\w-]+)[\"']")
STYLE = """<style>
.depnb-facts { margin: 0.3rem 0; }
.depnb-facts summary { cursor: pointer; overflow-wrap: anywhere; }
.depnb-facts table { width: 100%; table-layout: fixed; }
.cell_output .depnb-facts table th, .cell_output .depnb-facts table td {
  text-align: left; vertical-align: top; padding: 0.15rem 0.5rem 0.15rem 0;
  overflow-wrap: anywhere; white-space: normal; }
.depnb-facts table th { width: 32%; font-weight: 600; }
</style>"""


def folders(folder="runs"):
    """The run folders below `folder`, which may hold runs of any paper.

    Not those moved aside, nor predictions for own recordings, which have nothing to be judged by.
    """
    return [f for f in sorted(located(folder).glob("*/*")) if f.is_dir()
            and ".replaced-" not in f.name and f.parent.name != "predict"]


def listed():
    """Runs that a params file asks for: "paper/name" -> its label."""
    files = sorted(located("params").glob("*/ablations.yaml"))
    return {f"{file.parent.name}/{name}": entry.get("label", name)
            for file in files for name, entry in yaml.safe_load(file.read_text())["runs"].items()}


def command(run, again=False):
    """What a reader types to make a run, "paper/name"; again: although it is there."""
    if run not in listed() and notebook_of(run).exists():
        afresh = " -p resume False" if again else ""
        source = notebook_of(run).relative_to(repository()).as_posix()
        return f"papermill {source} out.ipynb -f runs/{run}/params.yaml{afresh}"
    return f"snakemake -c2 {'-f ' if again else ''}runs/{run}/metrics.json"


def notebook_of(run):
    """The notebook that makes a run.

    sta_drn/quick is of sta_drn.ipynb, evidence/comparison of comparison.ipynb.
    """
    paper, name = (notebook(part) for part in run.split("/"))
    return name if name.exists() and not paper.exists() else paper


def changed(run):
    """Parameters of a run that are not its notebook's defaults, without seed and places.

    Returns
    -------
    dict; of a path the last part
    """
    source = notebook_of(run.name)
    usual = parameters(nbformat.read(source, 4)) if source.exists() else {}
    return {k: re.sub(r".*[/\\]", "", v) if isinstance(v, str) else v
            for k, v in run.parameters.items()
            if k not in runs.PLACE and k != "seed" and (k not in usual or usual[k] != v)}


def run_facts(folder="runs"):
    """One row a run, there or only listed.

    Returns
    -------
    DataFrame
        run; state (shown, refused, not run); about (one line; of a refused run the reason); facts
        (dict of what the page says of a run that is shown); command.
    """
    rows, present = [], {}
    for place in folders(folder):
        name = f"{place.parent.name}/{place.name}"
        present[name], refusal = place, verify.refusal(place)
        rows.append({"run": name, "command": command(name, again=True)} | (
            {"state": "refused", "about": refusal, "facts": {}} if refusal else
            {"state": "shown",
             **dict(zip(("about", "facts"), described(runs.Run(place)), strict=True))}))
    rows += [{"run": name, "state": "not run", "about": label, "facts": {},
              "command": command(name)} for name, label in listed().items() if name not in present]
    return pd.DataFrame(rows, columns=["run", "state", "about", "facts", "command"])


def described(run):
    """A run in one line, and all that is known of it by name."""
    p = run.provenance
    corpus, hardware = p["corpus"], p["hardware"]
    data = (f"simulated {corpus['name']} ({corpus['about']})" if corpus["simulated"]
            else f"{corpus['name']}, licensed corpus")
    other = {name: version for name, version in p["packages"].items()
             if origin.version(name) != version}
    departs = ", ".join(f"{k} {v}" for k, v in changed(run).items())
    return f"{data}, seed {p['seed']}, {runs.duration(p['wall_seconds'])}", {
        "commit": (p["commit"] or "no git commit") + (", with local changes" if p["dirty"] else ""),
        "code": f"{p['code']}, "
        + ("the same as now" if p["code"] == runs.code_fingerprint(notebook_of(run.name).stem) else
           "not the present code; run it again to be sure"),
        "parameters": f"{departs or 'none'} (what differs from the notebook's defaults)",
        "seeds": ", ".join(f"{k} {v}" for k, v in {"seed": p["seed"], **run.parameters}.items()
                           if k.endswith("seed")),
        "corpus": f"{data}, {corpus['sessions']} sessions of {corpus['participants']} participants",
        "corpus fingerprint": corpus["fingerprint"],
        "hardware": f"{hardware['device']}, {hardware['memory_gb']} GB memory, "
                    f"{hardware['threads']} threads",
        "time": f"{p['started'][:10]}, {runs.duration(p['wall_seconds'])} in all, "
                f"{runs.duration(p['training_seconds'])} of training",
        "packages": f"Python {p['python']}, " + (", ".join(f"{k} {v}" for k, v in other.items())
                                                 if other else "packages as under Environment")}


def page_facts(folder="book/_executed"):
    """One row an executed page.

    Returns
    -------
    DataFrame
        page (path below `folder`, without .ipynb), title, executed, took (s), runs (names that it
        shows), groups (papers whose finished runs it compares), parameters (dict), items (table of
        `items`), command.
    """
    rows = []
    for file in sorted(located(folder).rglob("*.ipynb")):
        page, notebook = (str(file.relative_to(located(folder)).with_suffix("")),
                          nbformat.read(file, 4))
        record = notebook.metadata.get("papermill", {})
        sources = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
        heading = next((c.source for c in notebook.cells if c.cell_type == "markdown"
                        and c.source.startswith("#")), page)
        rows.append({
            "page": page, "title": heading.splitlines()[0].strip("# "),
            "executed": str(record.get("start_time"))[:10],
            "took": float(record.get("duration") or "nan"), "parameters": parameters(notebook),
            "items": items(notebook),
            "runs": sorted({name for text in texts(notebook) for name in SIGNATURE.findall(text)}),
            "groups": sorted(set(GROUPS.findall(sources))),
            "command": f"snakemake -c2 -f book/_executed/{page}.ipynb"})
    columns = ["page", "title", "executed", "took", "runs", "groups", "parameters",
               "items", "command"]
    return pd.DataFrame(rows, columns=columns)


def outputs(notebook):
    """(cell, output) of every output."""
    return [(cell, output) for cell in notebook.cells for output in cell.get("outputs", [])]


def texts(notebook):
    """All text that was printed or displayed."""
    for _, output in outputs(notebook):
        data = output.get("data", {})
        yield "".join([output.get("text", ""), data.get("text/markdown", ""),
                       data.get("text/html", "")])


def parameters(notebook):
    """What the page was executed with, but for places -> dict.

    From its parameters cell and papermill's.
    """
    values = {}
    for cell in notebook.cells:
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ())):
            values |= assigned(cell.source)
    return {k: v for k, v in values.items() if k not in runs.PLACE and not k.endswith("_dir")}


def assigned(source):
    """The values that a cell of parameters sets, by name."""
    values = {}
    for node in ast.parse(source).body:
        match node:
            case (ast.AnnAssign(target=ast.Name(id=name))
                  | ast.Assign(targets=[ast.Name(id=name), *_])):
                values[name] = ast.literal_eval(node.value)
    return values


def items(notebook):
    """Everything on a page that shows a result.

    Figures by their label and caption, tables by their caption, glued numbers by their name and
    value; a picture that another page shows by its name and caption.

    Returns
    -------
    DataFrame
        kind (figure, table, number, picture), name, about, cell.
    """
    rows = []
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure and cell.get("outputs"):
            rows.append({"kind": "figure", "name": figure["name"], "about": figure["caption"],
                         "cell": cell.id})
    for cell, output in outputs(notebook):
        data, glued = output.get("data", {}), output.get("metadata", {}).get("scrapbook")
        for caption in re.findall(r"<caption>(.*?)</caption>",
                                  data.get("text/html", ""), re.DOTALL):
            about = html.unescape(re.sub(r"<[^>]*>", "", caption))
            rows.append({"kind": "table", "name": "", "about": " ".join(about.split()),
                         "cell": cell.id})
        if glued:
            drawn = next((v for k, v in data.items() if k.endswith("text/html")), "")
            value = next((v for k, v in data.items() if k.endswith("text/plain")), "")
            caption = html.unescape(re.sub(r".*<figcaption>|<[^>]*>", "", drawn))
            rows.append({"kind": "picture" if drawn else "number", "name": glued["name"],
                         "about": caption or value, "cell": cell.id})
    return pd.DataFrame(rows, columns=["kind", "name", "about", "cell"])


def environment():
    """What executes now: Python, system, hardware, versions of what depnb asks for."""
    machine = runs.hardware("cpu")
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in metadata.requires("depnb") or ()}
    versions = ", ".join(f"{name} {origin.version(name)}" for name in sorted(names)
                         if origin.version(name))
    state = runs.git_state()
    return {"commit": (state["commit"] or "no git commit")
            + (", with local changes" if state["dirty"] else ""),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "hardware": f"{machine['device']}, {machine['memory_gb']} GB memory",
            "packages": versions}


class Html(str):
    """Text that is HTML already."""


def text(value):
    """A value as HTML."""
    return value if isinstance(value, Html) else html.escape(str(value))


def code(value):
    """A value as HTML code."""
    return Html(f"<code>{html.escape(value)}</code>")


def anchor(run):
    """The anchor of a run, "paper/name"."""
    return "run-" + re.sub("[^a-z0-9]+", "-", run.lower())


def fold(summary, pairs, name="", opened=False):
    """HTML of a line that unfolds to a table of pairs, narrow enough for a phone.

    Parameters
    ----------
    summary : str or Html
    pairs : iterable of (name, value)
    name : str
        Its anchor.
    opened : bool
    """
    rows = "".join(f"<tr><th scope='row'>{text(k)}</th><td>{text(v)}</td></tr>" for k, v in pairs)
    more = (f" id='{name}'" if name else "") + (" open" if opened else "")
    return (f"<details class='depnb-facts'{more}><summary>{text(summary)}</summary>"
            f"<table>{rows}</table></details>")


def by_paper(facts):
    """The rows of `run_facts` grouped by paper."""
    return facts.groupby(facts["run"].str.split("/").str[0], sort=False)


def shown_runs(facts):
    """The runs that are shown, by paper, each folded -> HTML."""
    parts = [STYLE]
    for paper, group in by_paper(facts[facts["state"] == "shown"]):
        parts.append(f"<p><strong>{text(paper)}</strong>: {len(group)} runs</p>")
        parts += [fold(f"{r.run}: {r.about}", [*r.facts.items(), ("again", code(r.command))],
                       anchor(r.run)) for r in group.itertuples()]
    return "".join(parts)


def absent_runs(facts):
    """Runs without a number, unfolded, with reason and the command that makes them -> HTML."""
    refused, missing = facts[facts["state"] == "refused"], facts[facts["state"] == "not run"]
    parts = [STYLE, f"<p>Refused: {len(refused)} runs. Not run: {len(missing)} runs.</p>"]
    parts += [f"<p><strong>refused</strong>: {text(r.about)} {code(r.command)}</p>"
              for r in refused.itertuples()]
    for paper, group in by_paper(missing):
        pairs = [(r.about, code(r.command)) for r in group.itertuples()]
        parts.append(fold(f"not run: {len(group)} of {paper}", pairs, opened=True))
    return "".join(parts)


def shown_pages(pages, facts):
    """Every page with its figures, tables and numbers, folded -> HTML."""
    with_anchor, parts = set(facts.loc[facts["state"] == "shown", "run"]), [STYLE]
    for page in pages.itertuples():
        sources = [f"<a href='#{anchor(r)}'>{text(r)}</a>" if r in with_anchor else text(r)
                   for r in page.runs]
        sources += [f"every run of {text(group)} that is shown" for group in page.groups]
        settings = ", ".join(f"{k} {v}" for k, v in page.parameters.items())
        rows = [("page", Html(f"<a href='{page.page}.html'>{text(page.title)}</a>")),
                ("runs", Html(", ".join(sources) or "none: computed on the page itself"))]
        rows += [] if page.runs or not settings else [("parameters", settings)]
        rows += [("executed", f"{page.executed}, in {runs.duration(page.took)}"),
                 ("again", code(page.command))]
        for item in page.items.itertuples():
            link = f"<a href='{page.page}.html#{text(item.name)}'>{text(item.name)}</a>"
            rows.append((Html(f"figure {link}") if item.kind == "figure"
                         else f"{item.kind} {item.name}", f"{item.about} (cell {item.cell})"))
        counts = page.items["kind"].value_counts()
        about = ", ".join(f"{counts.get(kind, 0)} {kind}s"
                          for kind in ("figure", "table", "number"))
        parts.append(fold(f"{page.title}: {about}", rows))
    return "".join(parts)
