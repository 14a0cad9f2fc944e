"""The tables that need a licensed corpus: from run folders, or the command that makes these.

Only metrics of a run are shown, never a row of its predictions. Which tables there are, and what
the papers report, stands in params/<paper>/card.yaml.
"""

import pandas as pd
import yaml

from depnb import runs
from depnb.book import provenance
from depnb.files import located
from depnb.papers.cards import Table, cards
from depnb.runs import verify
from depnb.scores import rounded

PROTOCOLS = ("as_published", "clean")


def command(paper, table, protocol):
    """What a licence holder types for one table; last stands where the corpus lies."""
    return (f"papermill notebooks/{paper}.ipynb out.ipynb -f params/{paper}/{table.params} -p "
            f"corpus {table.corpus} -p protocol {protocol} -p data_root {table.data_root}")


def real_runs(folder="runs"):
    """Runs below `folder` on data that are not simulated.

    Returns
    -------
    accepted : list of Run
    refused : list of str
        Sentences on those that `verify` refuses.
    """
    accepted, refused = [], []
    for place in filter(is_real, provenance.folders(folder)):
        refusal = verify.refusal(place)
        refused.append(refusal) if refusal else accepted.append(runs.Run(place))
    return accepted, refused


def is_real(place):
    """Whether a run folder is of data that were not simulated.

    Its provenance says so, or, where it says nothing, its parameters do. Of a folder that cannot be
    read: yes, so that its refusal is seen.
    """
    run = runs.Run(place)
    try:
        facts = run.provenance
        return (not facts["corpus"]["simulated"] if "corpus" in facts
                else run.parameters["data_root"] != "auto")
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return True


def table(run, metrics, published, published_people=None):
    """One row a metric: the run and its constant, counted in two ways, and the published.


    Parameters
    ----------
    metrics : mapping name in metrics.json -> its word
    published : mapping name -> number, as the authors count
    published_people : the same by participant

    Returns
    -------
    table of texts; intervals (95 %) are over participants
    """
    test = run.metrics["test"]
    people, units, unit = test["by_participant"], test["by_unit"], test["unit"]
    constant, rows = test["constant"], []
    for name, word in metrics.items():
        row = {"metric": word, "by participant": rounded.entry(people, name),
               "constant": rounded.entry(constant["by_participant"], name)}
        if published_people:
            row["published, by participant"] = rounded.entry(published_people, name)
        rows.append(row | {f"by {unit}": rounded.entry(units, name),
                           f"constant by {unit}": rounded.entry(constant["by_unit"], name),
                           f"published, by {unit}": rounded.entry(published, name)})
    return pd.DataFrame(rows)


def settings(run):
    """The params file that a run is nearest to, and how it departs from it.

    Corpus, protocol, fold, seed and files do not count.
    """
    folder, departures = located(f"params/{run.paper}"), {}
    usual = yaml.safe_load((folder / "quick.yaml").read_text())
    for file in sorted(folder.glob("*.yaml")):
        if file.stem not in ("ablations", "card", "claims", "commands"):
            wanted = usual | yaml.safe_load(file.read_text())
            departures[file.name] = {k: v for k, v in run.parameters.items() if k in wanted
                                     and v != wanted[k]
                                     and k not in (*runs.PLACE, "corpus", "protocol", "fold",
                                                   "seed", "checkpoint", "importances")}
    name = min(departures, key=lambda file: len(departures[file]))
    other = ", ".join(f"{k} {v}" for k, v in departures[name].items())
    return f"params/{run.paper}/{name}" + (f" with {other}" if other else "")


def report(paper, accepted):
    """Everything that the page says of one paper.

    One entry a run that was made for a planned table, else one with the command; then runs that no
    planned table asks for.

    Parameters
    ----------
    paper : str
    accepted : list of Run, as of `real_runs`

    Returns
    -------
    list of (heading, about, table or None, command or None)
    """
    plan, entries = cards()[paper], []
    own = [run for run in accepted if run.paper == paper and "test" in run.metrics]
    for planned_table in plan.tables:
        for protocol in PROTOCOLS:
            heading = f"{planned_table.name}, protocol {protocol}"
            fitting = [run for run in own if run.parameters.get("corpus") == planned_table.corpus
                       and run.parameters.get("protocol") == protocol]
            entries += [(heading, *described(run, plan, planned_table)) for run in fitting]
            entries += [] if fitting else [(heading, None, None,
                                            command(paper, planned_table, protocol))]
            own = [run for run in own if run not in fitting]
    return entries + [(f"{run.provenance['corpus']['name']}, "
                       f"protocol {run.parameters.get('protocol')}",
                       *described(run, plan, unplanned(run))) for run in own]


def unplanned(run):
    """The table of a corpus that no card asks for."""
    name = run.parameters.get("corpus", "")
    return Table(corpus=name, name=name, params="", data_root="", published={},
                 source="none for this corpus")


def described(run, plan, planned_table):
    """What a run was, its table, and no command; of an authors' file that nothing was trained."""
    p, test, parameters = run.provenance, run.metrics["test"], run.parameters
    file = run.metrics.get("checkpoint")
    weights = (f"weights of `{file['file']}` (SHA-256 `{file['sha256'][:10]}`), "
               "**nothing trained here**; " if file else "")
    variant = ", ".join(f"{k} {parameters[k]}"
                        for k in ("variant", "model", "fusion", "fold", "seed") if k in parameters)
    about = (f"Run `{run.name}` on {p['corpus']['name']}, licensed corpus; {weights}{variant}; "
             f"settings of {settings(run)}; {test['by_participant']['participants']} test "
             f"participants, 95 % intervals over them; published: {planned_table.source}; commit "
             f"`{(p['commit'] or 'unknown')[:10]}`{' with local changes' if p['dirty'] else ''}.")
    return about, table(run, plan.metrics, planned_table.published,
                        planned_table.published_people), None
