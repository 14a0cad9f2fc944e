"""Whether a run folder can be believed.

It is complete, of this version, unchanged since, its metrics those of its predictions. A finished
run carries SHA256SUMS, which anyone can check with `sha256sum -c SHA256SUMS`. A run that cannot be
believed is refused, by name, in one sentence.
"""

import hashlib
import json
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from depnb.scores import items, report
from depnb.scores.metrics import classification, regression

SUMS = "SHA256SUMS"
FILES = ("params.yaml", "provenance.json", "predictions.csv", "metrics.json")   # of every run
TRAINED = ("history.csv", "checkpoint.safetensors")                         # of one that trained
FACTS = ("depnb", "commit", "dirty", "code", "started", "python", "packages", "run", "seed",
         "hardware", "corpus", "training_seconds", "wall_seconds")
ROUNDED = 1e-6                          # predictions.csv has six decimals
ERRORS = ("mae", "rmse", "ccc")
DECISIONS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1", "roc_auc",
             "brier")
PSEUDONYM = re.compile(r"[PS]-[0-9a-f]{8,}")


def checksums(folder, metrics):
    """Text of SHA256SUMS for a run that is complete but for metrics.json, whose text it gets."""
    folder = Path(folder)
    names = [name for name in (*FILES[:-1], *TRAINED) if (folder / name).exists()]
    content = {name: (folder / name).read_bytes() for name in names}
    content |= {FILES[-1]: metrics.encode()}
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n"
                   for name, data in content.items())


def refusal(folder):
    """Why a run is not shown: one sentence with its name, or None for one that can be believed.

    Refused are: an unfinished or incomplete folder, a file that cannot be read, another version of
    depnb, a file that is not as the run left it, a report of the test set that is not the one of
    the predictions (see `bounds`), and tables of a licensed corpus that hold other ids than
    pseudonyms. A run of other code of the same version is believed; its provenance says which code
    it was.
    """
    folder = Path(folder)
    try:
        reason = (unreadable(folder) or other_version(folder) or altered(folder)
                  or disagreement(folder) or exposure(folder))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # A file of the wrong shape.
        reason = f"its files cannot be judged ({type(error).__name__}: {error})"
    except OSError as error:
        reason = f"its files cannot be read ({error.strerror})"
    if not reason:
        return None
    return (f"run {folder.parent.name}/{folder.name}: {' '.join(reason.split())}. Copy the whole "
            "folder again, or repeat the run.")


def unreadable(folder):
    """The first file that a finished run should have and that is missing or cannot be read."""
    if not (folder / FILES[-1]).is_file():
        return f"{FILES[-1]} is missing, which is written last: the run is not finished"
    for name, read in zip(FILES, (yaml.safe_load, json.loads, None, json.loads), strict=True):
        if not (folder / name).is_file():
            return f"{name} is missing"
        try:
            read((folder / name).read_text()) if read else pd.read_csv(folder / name)
        except (ValueError, yaml.YAMLError) as error:
            return f"{name} cannot be read ({error})"
    return None


def other_version(folder):
    """Another version of depnb wrote it, or its provenance lacks what a number must come with."""
    facts, ours = json.loads((folder / "provenance.json").read_text()), metadata.version("depnb")
    if facts.get("depnb") != ours:
        return f"written by depnb {facts.get('depnb', 'of an unknown version')}, expected {ours}"
    lacking = [name for name in FACTS if name not in facts]
    return f"provenance.json lacks {', '.join(lacking)}" if lacking else None


def altered(folder):
    """A file that is gone, or not as the run left it."""
    if not (folder / SUMS).is_file():
        return (f"{SUMS} is missing, so that nobody can tell whether the other files are as the "
                "run left them")
    known = {name: digest for digest, _, name in
             (line.partition("  ") for line in (folder / SUMS).read_text().splitlines())}
    for name in FILES:
        if name not in known:
            return f"{SUMS} does not list {name}"
    for name, digest in known.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            return (f"{name} was changed after the run (its checksum is not the one in {SUMS})")
    return None


def disagreement(folder):
    """A metric of the report of the test set that is not the one of the predictions.

    None too for a page of evidence, whose metrics.json has no such report.
    """
    test = json.loads((folder / "metrics.json").read_text()).get("test")
    if test is None:
        return None
    if test.get("task") not in report.TASKS:
        return (f"metrics.json says test task {test.get('task')}, expected one of "
                f"{', '.join(report.TASKS)}; its test set cannot be judged")
    rows = pd.read_csv(folder / "predictions.csv", dtype={"session": str, "participant": str})
    rows = rows[rows["split"] == "test"]
    if rows.empty:
        return "predictions.csv has no row of the test set"
    told = test["by_participant"]
    for name, (low, high) in bounds(test, rows).items():
        if told[name] is not None and not low - 1e-5 <= told[name] <= high + 1e-5:
            return (f"metrics.json says test {name} {told[name]:.6g}, its predictions give "
                    f"{(low + high) / 2:.6g}")
    return None


def bounds(test, rows):
    """Recomputed metrics of the test participants, as far as six decimals of predictions fix them.

    Decisions and ranks may hang on the seventh decimal: low and high are the metric with every
    prediction moved a little to the wrong and to the right side.

    Parameters
    ----------
    test : a report (see `depnb.scores.report`)
    rows : its prediction table

    Returns
    -------
    mapping name -> (low, high)
    """
    task, told = test["task"], test["by_participant"]
    people = {"binary": report.probabilities_by_participant,
              "severity": report.scores_by_participant,
              "items": items.items_by_participant}[task](rows)
    truth, guess = people["y_true"].to_numpy(float), people["y_pred"].to_numpy(float)
    ends = {"participants": (rows["participant"].nunique(),) * 2}
    if task != "binary":
        values = regression(truth, guess)
        ends |= {name: (values[name],) * 2 for name in ERRORS}
    if task != "severity":
        case = truth >= items.PHQ8.cutoff if task == "items" else truth == 1

        def judged(moved):
            if task == "items":
                return items.decisions(truth, moved)
            return classification(truth, moved.clip(0, 1), told["threshold"])

        worse, better = (judged(guess + to * np.where(case, ROUNDED, -ROUNDED)) for to in (-1, 1))
        ends |= {name: tuple(sorted((worse[name], better[name]))) for name in DECISIONS
                 if name in worse}
    return {name: both for name, both in ends.items() if name in told and np.isfinite(both).all()}


def exposure(folder):
    """A table of a run on people names them or files. The sentence does not repeat the name."""
    if json.loads((folder / "provenance.json").read_text())["corpus"]["simulated"]:
        return None
    for file in sorted(folder.glob("*.csv")):
        table = pd.read_csv(file, dtype=str)
        columns = [c for c in ("participant", "session") if c in table]
        ids = pd.concat([pd.Series(dtype=str), *(table[c].dropna() for c in columns)])
        if not ids.str.fullmatch(PSEUDONYM).all() or {"file", "path"} & set(table):
            return (f"{file.name} holds ids that are not pseudonyms, of a corpus that is not "
                    "simulated; do not share this folder")
    return None
