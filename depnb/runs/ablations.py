"""Runs beside each other: tables of ablations and what was expected of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from depnb.files import located
from depnb.runs import verify
from depnb.runs.folder import Run, duration


def finished(paper, pattern="*"):
    """The finished runs of a paper whose folder name fits the pattern and which `verify` does not refuse, by name."""
    folders = sorted(located(f"runs/{paper}").glob(pattern))
    return {f.name: Run(f) for f in folders if ".replaced-" not in f.name and verify.refusal(f) is None}


def compare(paper, table, metric="mae"):
    """The runs listed in an ablations file, finished or not -> one row a run.

    table: path of a YAML file with `runs`: name -> {label, group, parameters}; metric: of the test set, "mae" or one where
    more is better. Columns: run (label), group, value with its 95 % interval (low, high), the same as text, training: the
    time it took, the command that runs it, or why the run is refused. Of "mae" the value is the improvement over the mean
    predictor in per cent, and MAE and mean predictor (its MAE) have columns of their own.
    """
    listed = yaml.safe_load(Path(table).read_text())["runs"]
    finished_runs, rows = finished(paper), []
    shown = "below mean predictor, %" if metric == "mae" else metric.replace("roc_auc", "AUC")
    for name, entry in listed.items():
        row = {"run": entry["label"], "group": entry["group"]}
        if metric == "mae":
            row |= {"MAE": np.nan, "mean predictor": np.nan}
        row |= {"value": np.nan, "low": np.nan, "high": np.nan, shown: "–", "training": ""}
        if name not in finished_runs:
            row["training"] = absent(paper, name)
        else:
            test = finished_runs[name].metrics["test"]
            key, unit, digits = ("improvement", 100, 0) if metric == "mae" else (metric, 1, 2)
            found = test[key], *test.get(f"{key}_interval", [None] * 2)
            value, low, high = (np.nan if x is None else unit * x for x in found)
            row |= {"value": value, "low": low, "high": high}
            if np.isfinite(value):
                row[shown] = "{} ({} to {})".format(*(f"{round(x, digits) + 0.0:.{digits}f}" for x in (value, low, high)))
            row["training"] = duration(finished_runs[name].provenance["training_seconds"])
            if metric == "mae":
                row |= {"MAE": test["mae"], "mean predictor": test["mean_predictor"]["mae"]}
        rows.append(row)
    return pd.DataFrame(rows)


def absent(paper, name):
    """Why a listed run has no number, and the command that makes it."""
    folder = located(f"runs/{paper}/{name}")
    if not folder.exists():
        return f"not run: snakemake -c2 runs/{paper}/{name}/metrics.json"
    return f"refused: {verify.refusal(folder)} snakemake -c2 -f runs/{paper}/{name}/metrics.json"


def side(improvement):
    """A signed improvement over the mean predictor in words. Per cent."""
    return f"{abs(improvement):.0f} % {'below' if improvement >= 0 else 'above'}"


def summarise(compared, expected, metric="mae"):
    """What the runs of a group say together, beside what was expected of them -> group -> {mean, sentence}.

    expected: mapping group -> {about, and one of: at_least, at_most (a bound on the mean of `compared`'s values), inside
    (a value that every run's interval should hold)}.
    """
    found = {}
    for group, bar in expected.items():
        runs = compared[compared["group"] == group]
        if runs["value"].isna().any() or runs.empty:
            found[group] = {"mean": float("nan"), "sentence": f"{bar['about']}: not run yet."}
            continue
        mean = float(runs["value"].mean())
        kind = next(k for k in ("at_least", "at_most", "inside") if k in bar)
        reached = {"at_least": lambda b, m=mean: m >= b, "at_most": lambda b, m=mean: m <= b,
                   "inside": lambda b, r=runs: bool(((r["low"] <= b) & (b <= r["high"])).all())}[kind](bar[kind])
        if metric == "mae":
            said = (f"test MAE on average {side(mean)} the mean predictor's (single runs: "
                    f"{', '.join(side(v) for v in runs['value'])}); expected {kind.replace('_', ' ')} {bar[kind]} % below")
        else:
            wanted = f"{bar[kind]} inside every interval" if kind == "inside" else f"{kind.replace('_', ' ')} {bar[kind]}"
            said = (f"test AUC on average {mean:.2f} (single runs: {', '.join(f'{v:.2f}' for v in runs['value'])}); "
                    f"expected {wanted}")
        found[group] = {"mean": mean, "sentence": f"{bar['about']}: {said}, {'reached' if reached else 'not reached'}."}
    return found
