"""Runs: parameters in, a folder with everything that a number in the book needs to be believed out.

A run is `runs/<paper>/<name>/`: params.yaml, metrics.json, predictions.csv, history.csv, checkpoint.safetensors,
provenance.json, SHA256SUMS, figures/. Files are written to a temporary name and renamed; a run is complete when
metrics.json exists, which is written last. A finished run that is not as it was left is not shown (see `verify`). Of a
licensed corpus, files with rows by person are for the owner's eyes (mode 600) and left out when a run is given away:

    python -m depnb.runs export runs/sta_drn/ab12 /path/to/folder
"""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from depnb.corpora import privacy
from depnb.files import content_hash, located, move_aside, settle, write_atomically
from depnb.runs import origin, verify

# Parameters that say where and how fast, not what: two runs that differ only here are the same run.
PLACE = ("data_root", "cache_dir", "run_dir", "workers", "resume", "tracker", "explain_videos")


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
        folder = located(parameters["run_dir"] if parameters["run_dir"] != "auto" else f"runs/{paper}/{name}")
        run = cls(folder)
        cache = parameters.get("cache_dir")
        if cache and located(cache).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"cache_dir {cache}: lies in the run's folder, which may be given away; the cache holds faces "
                             "and the key of pseudonyms. Put it elsewhere.")
        if run.complete or (folder / "params.yaml").exists():
            refused = run.complete and verify.refusal(folder)
            usable = not refused and parameters["resume"] and identity(run.parameters) == identity(parameters) and (
                run.complete or run.provenance["code"] == origin.code_fingerprint(paper))
            if not usable:
                why = f" Refused: {refused}" if refused else ""
                print(f"The earlier run in {folder.name} is kept as {move_aside(folder).name}.{why}")
        run._begin(origin.origin(paper), parameters)
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
        self._begin(facts | {"corpus": origin.corpus_facts(corpus), "identifying": origin.identifying(corpus.restricted)},
                    parameters)

    def stands_on(self, source, cache):
        """Begin to read a file or a folder that is no corpus; the cache remembers that this run does."""
        self.restricted = not privacy.simulated(source, Path(cache) / "hashes")
        self._begin(self.provenance | {"identifying": origin.identifying(self.restricted)}, self.parameters)
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
                         json.dumps(origin.provenance(self, corpus, device, training_seconds), indent=1))
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
    private = origin.identifying(not Run(folder).provenance["corpus"]["simulated"])
    names = [name for name in (*privacy.GIVEN, *privacy.IDENTIFYING) if (folder / name).is_file() and name not in private]
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    (part / "figures").mkdir(parents=True)
    for name in (*names, *(f"figures/{p.name}" for p in sorted((folder / "figures").glob("*.png")))):
        shutil.copyfile(folder / name, part / name)
    settle(part, target)
    return sorted(p.name for p in folder.iterdir() if p.name not in (*names, "figures"))
