"""The tables that need a licensed corpus: from run folders that a licence holder made, or the command that makes them.

Only metrics of a run are shown, never a row of its predictions. Which tables there are, and what the papers report, stands
in params/<paper>/card.yaml.
"""

import numpy as np
import pandas as pd
import yaml

from depnb import runs
from depnb.book import provenance
from depnb.files import located
from depnb.papers.cards import Table, cards
from depnb.runs import verify

PROTOCOLS = ("as_published", "clean")


def command(paper, table, protocol):
    """What a licence holder types for one table; another folder of the corpus is the last argument."""
    return (f"papermill notebooks/{paper}.ipynb out.ipynb -f params/{paper}/{table.params} -p corpus {table.corpus} "
            f"-p protocol {protocol} -p data_root {table.data_root}")


def found(folder="runs"):
    """Runs below `folder` on data that are not simulated -> (list of Run, list of sentences on those that `verify` refuses).
    """
    shown, refused = [], []
    for place in filter(given, provenance.folders(folder)):
        said = verify.refusal(place)
        refused.append(said) if said else shown.append(runs.Run(place))
    return shown, refused


def given(place):
    """Whether a run folder is of data that were not simulated: its provenance says so, or, where it says nothing, its
    parameters do. Of a folder that cannot be read: yes, so that its refusal is seen."""
    run = runs.Run(place)
    try:
        facts = run.provenance
        return not facts["corpus"]["simulated"] if "corpus" in facts else run.parameters["data_root"] != "auto"
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return True


def sources(test):
    """The four dicts of metrics that a table shows -> the model and the constant beside it, by participant and as the paper
    counts. test: the `test` of a metrics.json of any of the papers."""
    if "windows" in test:
        windows = test["windows"]
        return (test, test["mean_predictor"] | test["never"], windows, windows["mean_predictor"] | windows["never"])
    constant = "mean_predictor" if "mean_predictor" in test else "majority_predictor"
    return test, test[constant], test["per_recording"], test[f"per_recording_{constant}"]


def table(run, metrics, counted, published, published_people=None):
    """One row a metric: the run and its constant, by participant and as `counted`, and what was published.

    metrics: mapping name in metrics.json -> name shown; counted: recording, window or vlog; published and
    published_people (by participant): mapping name -> number. Intervals (95 %) are over participants.
    """
    own, constant, as_paper, constant_as_paper = sources(run.metrics["test"])
    rows = []
    for name, shown in metrics.items():
        row = {"metric": shown, "by participant": number(own, name), "constant": number(constant, name)}
        if published_people:
            row["published, by participant"] = number(published_people, name)
        rows.append(row | {f"by {counted}": number(as_paper, name),
                           f"constant by {counted}": number(constant_as_paper, name),
                           f"published, by {counted}": number(published, name)})
    return pd.DataFrame(rows)


def number(values, name):
    """A metric and its interval as text, a dash where there is none."""
    if values.get(name) is None:
        return "–"
    low, high = values.get(f"{name}_interval") or (np.nan, np.nan)
    ends = "" if low is None or not np.isfinite([low, high]).all() else f" ({low:.2f} to {high:.2f})"
    return f"{values[name]:.2f}{ends}"


def settings(run):
    """The params file that a run is nearest to, and how it departs, but for corpus, protocol, fold, seed and files."""
    folder, departures = located(f"params/{run.paper}"), {}
    usual = yaml.safe_load((folder / "quick.yaml").read_text())
    for file in sorted(folder.glob("*.yaml")):
        if file.stem not in ("ablations", "card", "claims", "commands"):
            wanted = usual | yaml.safe_load(file.read_text())
            departures[file.name] = {k: v for k, v in run.parameters.items() if k in wanted and v != wanted[k]
                                     and k not in (*runs.PLACE, "corpus", "protocol", "fold", "seed", "checkpoint",
                                                    "importances")}
    name = min(departures, key=lambda file: len(departures[file]))
    other = ", ".join(f"{k} {v}" for k, v in departures[name].items())
    return f"params/{run.paper}/{name}" + (f" with {other}" if other else "")


def report(paper, shown):
    """Everything that the page says of one paper -> list of (heading, about, table or None, command or None).

    shown: runs as from `found`. One entry a run that was found for a planned table, else one with the command; then runs
    that no planned table asks for.
    """
    plan, entries = cards()[paper], []
    own = [run for run in shown if run.paper == paper and {"mae", "roc_auc"} & set(run.metrics.get("test", {}))]
    for planned_table in plan.tables:
        for protocol in PROTOCOLS:
            heading = f"{planned_table.name}, protocol {protocol}"
            fitting = [run for run in own if run.parameters.get("corpus") == planned_table.corpus
                       and run.parameters.get("protocol") == protocol]
            entries += [(heading, *described(run, plan, planned_table)) for run in fitting]
            entries += [] if fitting else [(heading, None, None, command(paper, planned_table, protocol))]
            own = [run for run in own if run not in fitting]
    return entries + [(f"{run.provenance['corpus']['name']}, protocol {run.parameters.get('protocol')}",
                       *described(run, plan, unplanned(run))) for run in own]


def unplanned(run):
    """The table of a corpus that no card asks for."""
    name = run.parameters.get("corpus", "")
    return Table(corpus=name, name=name, params="", data_root="", published={}, source="none for this corpus")


def described(run, plan, planned_table):
    """What a run was, its table, and no command. Of an authors' file: its name, and that nothing was trained."""
    p, test, given = run.provenance, run.metrics["test"], run.parameters
    file = run.metrics.get("checkpoint")
    weights = f"weights of `{file['file']}` (SHA-256 `{file['sha256'][:10]}`), **nothing trained here**; " if file else ""
    variant = ", ".join(f"{k} {given[k]}" for k in ("variant", "model", "fusion", "fold", "seed") if k in given)
    about = (f"Run `{run.name}` on {p['corpus']['name']}, licensed corpus; {weights}{variant}; settings of {settings(run)}; "
             f"{test['participants']} test participants, 95 % intervals over them; published: {planned_table.source}; "
             f"commit `{(p['commit'] or 'unknown')[:10]}`{' with local changes' if p['dirty'] else ''}.")
    return about, table(run, plan.metrics, plan.counted, planned_table.published, planned_table.published_people), None
