"""Runs beside each other: tables of ablations and what was expected of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from depnb.files import located
from depnb.runs import verify
from depnb.runs.folder import Run, duration
from depnb.scores import rounded


def finished(paper, pattern="*"):
    """The finished runs of a paper that `verify` does not refuse.

    Parameters
    ----------
    pattern : of names of run folders

    Returns
    -------
    mapping name -> Run
    """
    folders = sorted(located(f"runs/{paper}").glob(pattern))
    return {f.name: Run(f) for f in folders
            if ".replaced-" not in f.name and verify.refusal(f) is None}


def planned(paper):
    """What params/<paper>/ablations.yaml holds: `runs`, name -> {label, group, parameters}, and
    what is `expected` of groups of them.
    """
    return yaml.safe_load(located(f"params/{paper}/ablations.yaml").read_text())


def beside(run, *groups):
    """Metrics of a run and of the other finished ones in some groups of its paper's ablations.

    Returns
    -------
    mapping "this run", then the short name (or the label) of each other -> its metrics
    """
    listed, others = planned(run.paper)["runs"], finished(run.paper)
    return {"this run": run.metrics} | {
        entry.get("short", entry["label"]): others[name].metrics
        for name, entry in listed.items()
        if name in others and name != run.folder.name and entry["group"] in groups}


def compare(paper, table, metric="mae"):
    """The runs listed in an ablations file, finished or not.

    Parameters
    ----------
    table : path of a YAML file with `runs`: name -> {label, group, parameters}
    metric : of the test participants, "mae" or one where more is better

    Returns
    -------
    table, one row a run: run (label), group, value with its 95 % interval (low, high), the same as
    text, training: the time it took, the command that runs it, or why the run is refused. Of "mae"
    the value is the improvement over the mean predictor in per cent, and MAE and mean predictor
    (its MAE) have columns of their own.
    """
    listed = yaml.safe_load(Path(table).read_text())["runs"]
    finished_runs, rows = finished(paper), []
    column = "below mean predictor, %" if metric == "mae" else metric.replace("roc_auc", "AUC")
    key, unit, digits = ("improvement", 100, 0) if metric == "mae" else (metric, 1, 2)
    for name, entry in listed.items():
        row = {"run": entry["label"], "group": entry["group"]}
        if metric == "mae":
            row |= {"MAE": np.nan, "mean predictor": np.nan}
        row |= {"value": np.nan, "low": np.nan, "high": np.nan, column: "–", "training": ""}
        if name not in finished_runs:
            rows.append(row | {"training": absent(paper, name)})
            continue
        test = finished_runs[name].metrics["test"]
        people = test["by_participant"]
        numbers = people[key], *people.get(f"{key}_interval", [None] * 2)
        value, low, high = (np.nan if x is None else unit * x for x in numbers)
        row |= {"value": value, "low": low, "high": high,
                column: rounded.estimate(value, low, high, digits)}
        row["training"] = duration(finished_runs[name].provenance["training_seconds"])
        if metric == "mae":
            row |= {"MAE": people["mae"],
                    "mean predictor": test["constant"]["by_participant"]["mae"]}
        rows.append(row)
    return pd.DataFrame(rows)


def absent(paper, name):
    """Why a listed run has no number, and the command that makes it."""
    folder = located(f"runs/{paper}/{name}")
    if not folder.exists():
        return f"not run: snakemake -c2 runs/{paper}/{name}/metrics.json"
    return (f"refused: {verify.refusal(folder)} "
            f"snakemake -c2 -f runs/{paper}/{name}/metrics.json")


def side(improvement):
    """A signed improvement over the mean predictor in words. Per cent."""
    return f"{abs(improvement):.0f} % {'below' if improvement >= 0 else 'above'}"


def summarise(compared, expected, metric="mae"):
    """What the runs of a group say together, beside what was expected of them.

    Parameters
    ----------
    compared : table of `compare`
    expected : mapping group -> {about, and one of: at_least, at_most (a bound on the mean of
        `compared`'s values), inside (a value between the means of the runs' lower and upper ends:
        runs of one test set are one chance to miss it, not one each)}
    metric : of `compared`

    Returns
    -------
    mapping group -> {mean, sentence}
    """
    summary = {}
    for group, bar in expected.items():
        runs = compared[compared["group"] == group]
        if runs["value"].isna().any() or runs.empty:
            summary[group] = {"mean": float("nan"), "sentence": f"{bar['about']}: not run yet."}
            continue
        mean = float(runs["value"].mean())
        kind = next(k for k in ("at_least", "at_most", "inside") if k in bar)
        reached = {"at_least": mean >= bar[kind], "at_most": mean <= bar[kind],
                   "inside": kind == "inside" and runs["low"].mean() <= bar[kind]
                             <= runs["high"].mean()}[kind]
        if metric == "mae":
            sentence = (f"test MAE on average {side(mean)} the mean predictor's (single runs: "
                        f"{', '.join(side(v) for v in runs['value'])}); expected "
                        f"{kind.replace('_', ' ')} {bar[kind]} % below")
        else:
            wanted = (f"{bar[kind]} inside the mean interval, "
                      f"{rounded.interval(runs['low'].mean(), runs['high'].mean())}"
                      if kind == "inside" else
                      f"{kind.replace('_', ' ')} {bar[kind]}")
            sentence = (f"test AUC on average {mean:.2f} (single runs: "
                        f"{', '.join(f'{v:.2f}' for v in runs['value'])}); expected {wanted}")
        sentence = f"{bar['about']}: {sentence}, {'reached' if reached else 'not reached'}."
        summary[group] = {"mean": mean, "sentence": sentence}
    return summary
