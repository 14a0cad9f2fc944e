"""Runs: parameters in, a folder with everything that a number in the book needs to be believed out.

A run is `runs/<paper>/<name>/`: params.yaml, metrics.json, predictions.csv, history.csv, checkpoint.safetensors,
provenance.json, SHA256SUMS, figures/. Files are written to a temporary name and renamed; a run is complete when
metrics.json exists, which is written last. A finished run that is not as it was left is not shown (see `verify`). Of a
licensed corpus, files with rows by person are for the owner's eyes (mode 600) and left out when a run is given away:

    python -m depnb.runs export runs/sta_drn/ab12 /path/to/folder
"""

import argparse
import ast
import difflib
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import time
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml

from depnb import privacy, verify
from depnb.files import content_hash, settle, write_atomically

# Parameters that say where and how fast, not what: two runs that differ only here are the same run.
PLACE = ("data_root", "cache_dir", "run_dir", "workers", "resume", "tracker", "explain_videos")
# Of the package: they draw results or tell about them, they do not make them.
DRAWING = ("plots.py", "plots_interview.py", "plots_vlog.py", "plots_evidence.py", "book",
           "interactive.py", "printing.py", "provenance.py", "real_data.py", "learn")
PACKAGES = ("torch", "lightning-fabric", "numba", "numpy", "scipy", "scikit-learn", "pandas", "opencv-contrib-python",
            "mediapipe", "captum", "opensmile", "librosa", "torchvggish")


def root():
    """The repository's root, against which relative paths are resolved."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).parent.parent):
        if (folder / "_config.yml").exists() and (folder / "notebooks").is_dir():
            return folder
    return Path.cwd()


def path(relative):
    """A path as given if absolute, else below the repository's root."""
    return root() / Path(relative).expanduser()


def parameters(namespace):
    """Check the parameters of a notebook against its parameters cell -> dict by name.

    namespace: the notebook's globals(). Names and types are those of the annotated parameters cell. Raises ValueError,
    in one sentence, for an unknown name (with the nearest known one) or a value of the wrong type.
    """
    declared = namespace["__annotations__"]
    for cell in namespace.get("In", []):
        if cell.startswith("# Parameters"):                     # papermill's injected cell
            names = [t.id for node in ast.parse(cell).body if isinstance(node, ast.Assign) for t in node.targets]
            for name in names:
                if name not in declared:
                    near = difflib.get_close_matches(name, declared, 1)
                    raise ValueError(f"unknown parameter {name!r}" + (f"; did you mean {near[0]!r}?" if near else ".")
                                     + f" Known: {', '.join(declared)}.")
    values = {}
    for name, kind in declared.items():
        value = namespace[name]
        if kind is float and type(value) is int:
            value = namespace[name] = float(value)
        if type(value) is not kind:
            hint = ""
            if kind is float and isinstance(value, str) and re.fullmatch(r"[-+]?\d+e[-+]?\d+", value):
                hint = " YAML reads it as text; write it with a point, as in 5.0e-3."
            raise ValueError(f"parameter {name}: expected {kind.__name__}, got {value!r} ({type(value).__name__}).{hint}")
        values[name] = value
    return values


# What makes up a run, beside figures and what is identifying.
GIVEN = ("params.yaml", "provenance.json", "metrics.json", "SHA256SUMS", "history.csv", "checkpoint.safetensors",
         "scaler.json", "metrics.csv", "metrics_meanstd.csv", "costs.csv")


def move_aside(folder):
    """Rename a folder that must make room, to the first free <name>.replaced-<i> beside it -> its new path."""
    candidates = (folder.with_name(f"{folder.name}.replaced-{i}") for i in itertools.count(1))
    return folder.rename(next(p for p in candidates if not p.exists()))


class Run:
    """One run folder. `Run.start` to write one, `Run(folder)` to read one."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.paper = self.folder.parent.name if self.folder.parent.name else "run"
        self.restricted = True              # until `use` knows better

    @classmethod
    def start(cls, paper, parameters):
        """The run for these parameters: the finished or interrupted one, or a new folder.

        run_dir "auto" names the folder by the parameters. A folder whose parameters differ, or an interrupted run of
        other code, or a finished run that `verify` refuses, or any earlier run when `resume` is false, is moved aside,
        never overwritten.
        """
        name = hashlib.sha256(json.dumps(identity(parameters), sort_keys=True).encode()).hexdigest()[:10]
        folder = path(parameters["run_dir"] if parameters["run_dir"] != "auto" else f"runs/{paper}/{name}")
        run = cls(folder)
        cache = parameters.get("cache_dir")
        if cache and path(cache).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"cache_dir {cache}: lies in the run's folder, which may be given away; the cache holds faces "
                             "and the key of pseudonyms. Put it elsewhere.")
        if run.complete or (folder / "params.yaml").exists():
            refused = run.complete and verify.refusal(folder)
            usable = not refused and parameters["resume"] and identity(run.parameters) == identity(parameters) and (
                run.complete or run.provenance["code"] == code_fingerprint(paper))
            if not usable:
                why = f" Refused: {refused}" if refused else ""
                print(f"The earlier run in {folder.name} is kept as {move_aside(folder).name}.{why}")
        run._begin(origin(paper), parameters)
        return run

    def _begin(self, facts, parameters):
        """Make the folder, and write down what starts the run."""
        (self.folder / "figures").mkdir(parents=True, exist_ok=True)
        self.began = time.perf_counter()
        if not self.complete:
            known = self.provenance.get("corpus") if (self.folder / "provenance.json").exists() else None
            write_atomically(self.folder / "provenance.json", json.dumps(facts | ({"corpus": known} if known else {}),
                                                                         indent=1))
            write_atomically(self.folder / "params.yaml", yaml.safe_dump(parameters, sort_keys=False))

    def use(self, corpus):
        """Begin to read a corpus. What was begun on another one is moved aside, and the run starts anew.

        The cache remembers that this folder stands on the corpus, for `depnb.corpora.purge`. Raises ValueError when a
        finished run was made from another corpus.
        """
        self.restricted = corpus.restricted
        corpus.remember(self.folder)
        if self.complete:
            self._check(corpus)
            return
        facts, parameters = self.provenance, self.parameters
        known = facts.pop("corpus", None)
        if known and known["fingerprint"] != corpus.fingerprint:
            print(f"The interrupted run in {self.folder.name} was begun on other data and is kept as "
                  f"{move_aside(self.folder).name}; this one starts anew.")
        self._begin(facts | {"corpus": corpus_facts(corpus), "identifying": identifying(corpus.restricted)}, parameters)

    def stands_on(self, source, cache):
        """Begin to read a file or a folder that is no corpus; the cache remembers that this run does."""
        self.restricted = not privacy.simulated(source, Path(cache) / "hashes")
        self._begin(self.provenance | {"identifying": identifying(self.restricted)}, self.parameters)
        files = [p for p in Path(source).rglob("*") if p.is_file()] if Path(source).is_dir() else [Path(source)]
        contents = (content_hash(p, Path(cache) / "hashes") for p in files)
        privacy.derived_from(cache, source, contents, [self.folder])

    def _check(self, corpus):
        if self.provenance["corpus"]["fingerprint"] != corpus.fingerprint:
            raise ValueError(f"run {self.name} was made from another corpus than the {corpus.name} at hand. Give another "
                             "run_dir, or set resume to False to train anew.")

    @property
    def complete(self):
        return (self.folder / "metrics.json").exists()

    @property
    def name(self):
        return f"{self.paper}/{self.folder.name}"

    @property
    def parameters(self):
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    @property
    def metrics(self):
        return json.loads((self.folder / "metrics.json").read_text())

    @property
    def predictions(self):
        return pd.read_csv(self.folder / "predictions.csv", dtype={"session": str, "participant": str})

    @property
    def history(self):
        return pd.read_csv(self.folder / "history.csv")

    @property
    def provenance(self):
        return json.loads((self.folder / "provenance.json").read_text())

    def finish(self, metrics, predictions, corpus, device, training_seconds):
        """Write predictions, provenance, checksums and, last, metrics: the run is complete. A finished run stays as it is.

        Raises ValueError when the finished run is of another corpus than the one at hand.
        """
        if self.complete:
            self._check(corpus)
            return
        self.restricted = corpus.restricted
        tested = predictions.loc[predictions["split"] == "test", "participant"].nunique()
        if self.restricted and tested < privacy.FEWEST:
            raise ValueError(f"run {self.name}: its test part has {privacy.FEWER} people, and of a licensed corpus nothing "
                             "is told about so few. Nothing was written; choose another split.")
        self.save("predictions.csv", predictions.to_csv(index=False, float_format="%.6f"))
        write_atomically(self.folder / "provenance.json",
                         json.dumps(provenance(self, corpus, device, training_seconds), indent=1))
        content = json.dumps(without_nan(metrics), indent=1, allow_nan=False)
        write_atomically(self.folder / verify.SUMS, verify.checksums(self.folder, content))
        write_atomically(self.folder / "metrics.json", content)

    def save(self, name, content):
        """Keep a file in the run folder, for the owner's eyes alone where it has rows by person of a licensed corpus."""
        write_atomically(self.folder / name, content, private=self.restricted and name in privacy.IDENTIFYING)

    def save_figure(self, figure, name):
        """Keep a figure in the run folder as PNG."""
        figure.savefig(self.folder / "figures" / f"{name}.png", dpi=150, bbox_inches="tight")

    def describe(self):
        """One Markdown sentence: which run, commit, corpus, machine and time a number comes from."""
        p = self.provenance
        corpus = p["corpus"]
        commit = f"commit `{p['commit'][:10]}`" if p["commit"] else "no git commit"
        commit += " with local changes" if p["dirty"] else ""
        data = f"{corpus['name']}, **simulated data** ({corpus['about']})" if corpus["simulated"] else corpus["name"]
        trained = ("nothing trained" if self.parameters.get("checkpoint") else
                   f"trained in {duration(p['training_seconds'])}")
        return (f"Run `{self.name}`, {commit}, {data}, {corpus['participants']} participants, seed {p['seed']}; "
                f"{p['hardware']['device']}, {trained}, {p['started'][:10]}.")


def identity(parameters):
    """What two equal runs have in common: all parameters but PLACE, and whether the data were given or simulated here."""
    given = {"data_root": "given"} if parameters.get("data_root", "auto") != "auto" else {}
    return {k: v for k, v in parameters.items() if k not in PLACE} | given


def without_nan(value):
    """The same nested value with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def provenance(run, corpus, device, training_seconds):
    """What produced a run, without a path or a name of the machine."""
    return {
        **run.provenance, "run": run.name, "seed": run.parameters["seed"], "hardware": hardware(device),
        "corpus": corpus_facts(corpus), "identifying": identifying(corpus.restricted),
        "training_seconds": round(training_seconds, 1), "wall_seconds": round(time.perf_counter() - run.began, 1),
        "peak_memory_mb": round(peak_memory() / 1e6),
    }


def corpus_facts(corpus):
    """Which corpus a run reads."""
    truth = (corpus.truth or {}).get("arguments", {})
    about = ", ".join(f"{k} {truth[k]:g}" for k in ("participants", "effect", "seed") if k in truth)
    return {"name": corpus.name, "fingerprint": corpus.fingerprint, "simulated": not corpus.restricted, "about": about,
            "sessions": len(corpus), "participants": int(corpus.sessions["participant"].nunique())}


def identifying(restricted):
    """The files of a run that have rows by person."""
    return list(privacy.IDENTIFYING) if restricted else []


def export(folder, target):
    """Copy a finished run, what makes up a run and nothing else, without what is identifying -> names left out.

    What is copied is as the run left it, its SHA256SUMS too, so that the owner can prove later which predictions stand
    behind the metrics. Raises FileNotFoundError without a finished run, FileExistsError when there is a target already.
    """
    folder, target = Path(folder), Path(target)
    if not (folder / "metrics.json").exists():
        raise FileNotFoundError(f"{folder}: no finished run there. Give the folder of one, as runs/sta_drn/quick.")
    if target.exists():
        raise FileExistsError(f"{target}: is there already. Give a folder that is not.")
    private = identifying(not Run(folder).provenance["corpus"]["simulated"])
    names = [name for name in (*GIVEN, *privacy.IDENTIFYING) if (folder / name).is_file() and name not in private]
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    (part / "figures").mkdir(parents=True)
    for name in (*names, *(f"figures/{p.name}" for p in sorted((folder / "figures").glob("*.png")))):
        shutil.copyfile(folder / name, part / name)
    settle(part, target)
    return sorted(p.name for p in folder.iterdir() if p.name not in (*names, "figures"))


def origin(paper):
    """Which code and packages start a run, and when."""
    return {"started": datetime.now(timezone.utc).isoformat(timespec="seconds"), **git_state(),
            "depnb": metadata.version("depnb"), "code": code_fingerprint(paper), "python": platform.python_version(),
            "packages": {name: metadata.version(name) for name in PACKAGES}}


def git_state():
    def git(*arguments):
        return subprocess.run(["git", "-C", str(root()), *arguments], capture_output=True, text=True, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no").strip()
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


@cache
def code_fingerprint(paper, everything=False):
    """Hash of what computes a paper's results: the package without what only draws or tells, the notebook's code
    cells without parameters and figures. Interrupted runs are only resumed by the code that began them.

    everything: the hash of all of it, figures included.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        if everything or not {file.name, file.relative_to(Path(__file__).parent).parts[0]} & set(DRAWING):
            digest.update(file.read_bytes())
    notebook = root() / f"notebooks/{paper}.ipynb"
    for cell in json.loads(notebook.read_text())["cells"] if notebook.exists() else ():
        drawing = "mystnb" in cell["metadata"] or "parameters" in cell["metadata"].get("tags", ())
        if everything or (cell["cell_type"] == "code" and not drawing):
            digest.update("".join(cell["source"]).encode())
    return digest.hexdigest()[:16]


def hardware(device):
    """Processor, cores, memory, and the device that trained."""
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = found[1] if found else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else f"{model}, {cores} cores"
    return {"processor": model, "cores": cores, "memory_gb": round(psutil.virtual_memory().total / 1e9), "device": name,
            "threads": torch.get_num_threads()}


def peak_memory():
    """Largest resident size of this process so far, in bytes."""
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else peak * 1024
    except ImportError:                                     # Windows
        return psutil.Process().memory_info().peak_wset


def finished(paper, pattern="*"):
    """The finished runs of a paper whose folder name fits the pattern and which `verify` does not refuse, by name."""
    folders = sorted(path(f"runs/{paper}").glob(pattern))
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
    folder = path(f"runs/{paper}/{name}")
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


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m depnb.runs", description="Give a finished run away.")
    command = parser.add_subparsers(required=True).add_parser("export", help="copy a run without what is identifying")
    command.add_argument("run", type=Path, help="folder of a finished run, as runs/sta_drn/quick")
    command.add_argument("target", type=Path, help="folder to write; must not be there")
    given = parser.parse_args(arguments)
    try:
        left = export(given.run, given.target)
    except OSError as error:
        raise SystemExit(str(error)) from None
    print(f"{given.target}: written{', without ' if left else ''}{', '.join(left)}. params.yaml names your folders; trained "
          "weights may reveal whom they were trained on (see the guide).")


if __name__ == "__main__":
    main()
