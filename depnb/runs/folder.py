"""Runs: parameters in, a folder with all that a number in the book must come with out.

A run is `runs/<paper>/<name>/`: params.yaml, metrics.json, predictions.csv, history.csv,
checkpoint.safetensors, provenance.json, SHA256SUMS, figures/, and written.json, which has the
SHA-256 of what `save` and `save_figure` wrote. A chapter's metrics.json has in `test` the report of
the test set (see `depnb.scores.report`). Files are written to a temporary name and renamed; a run
is complete when metrics.json exists, which is written last. A finished run that is not as it was
left is not shown (see `verify`). Of a licensed corpus, files with rows by person are for the
owner's eyes (mode 600) and left out when a run is given away:

    python -m depnb.runs export runs/sta_drn/ab12 /path/to/folder
"""

import hashlib
import json
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from depnb.corpora import privacy
from depnb.files import (
    below,
    check_writable,
    hashes_of,
    located,
    made,
    move_aside,
    settle,
    write_atomically,
)
from depnb.runs import origin, verify

# Parameters that say where and how fast, not what: two runs that differ only in these are the same.
PLACE = ("data_root", "cache_dir", "run_dir", "workers", "resume", "tracker", "explain_videos")
WRITTEN = "written.json"            # name -> SHA-256 of the files and figures that a run saved


class Run:
    """One run folder. `Run.start` to write one, `Run(folder)` to read one."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.paper = self.folder.parent.name if self.folder.parent.name else "run"
        self.restricted = True              # until `use` knows better

    @classmethod
    def start(cls, paper, parameters):
        """The run for these parameters: the finished or interrupted one, or a new folder.

        run_dir "auto" names the folder by the parameters. A folder whose parameters differ, or an
        interrupted run of other code, or a finished run that `verify` refuses, or any earlier run
        when `resume` is false, is moved aside, never overwritten.

        Raises
        ------
        ValueError
            Where run_dir or cache_dir cannot be (see `check_places`).
        """
        what = json.dumps(identity(parameters), sort_keys=True)
        name = hashlib.sha256(what.encode()).hexdigest()[:10]
        place = parameters["run_dir"]
        folder = located(place if place != "auto" else f"runs/{paper}/{name}")
        run = cls(folder)
        run.paper = paper                   # wherever the folder lies
        check_places(folder, parameters)
        if run.complete or (folder / "params.yaml").exists():
            refused = run.complete and verify.refusal(folder)
            usable = (not refused and parameters["resume"]
                      and identity(run.parameters) == identity(parameters)
                      and (run.complete
                           or run.provenance["code"] == origin.code_fingerprint(paper)))
            if not usable:
                why = f" Refused: {refused}" if refused else ""
                print(f"The earlier run in {folder.name} is kept as {move_aside(folder).name}."
                      f"{why}")
        run._begin(origin.origin(paper), parameters)
        return run

    def _begin(self, facts, parameters):
        """Make the folder, and write down what starts the run."""
        (self.folder / "figures").mkdir(parents=True, exist_ok=True)
        self.began = time.perf_counter()
        if not self.complete:
            begun = (self.folder / "provenance.json").exists()
            known = self.provenance if begun else {}
            facts = {k: known[k] for k in ("corpus", "input") if known.get(k)} | facts
            write_atomically(self.folder / "provenance.json", json.dumps(facts, indent=1))
            write_atomically(self.folder / "params.yaml",
                             yaml.safe_dump(parameters, sort_keys=False))

    def use(self, corpus):
        """Begin to read a corpus.

        What was begun on another one is moved aside, and the run starts anew. The cache remembers
        that this folder stands on the corpus, for `depnb.corpora.purge`.

        Raises
        ------
        ValueError
            When a finished run was made from another corpus, and for a tracker that a licensed
            corpus does not allow.
        """
        self.restricted = corpus.restricted
        if not self.complete:
            privacy.check_tracker(self.parameters.get("tracker"), corpus.restricted)
        corpus.remember(self.folder)
        if self.complete:
            self._check(corpus)
            return
        facts, parameters = self.provenance, self.parameters
        known = facts.pop("corpus", None)
        if known and known["fingerprint"] != corpus.fingerprint:
            print(f"The interrupted run in {self.folder.name} was begun on other data and is kept "
                  f"as {move_aside(self.folder).name}; this one starts anew.")
        self._begin(facts | {"corpus": origin.corpus_facts(corpus),
                             "identifying": origin.identifying(corpus.restricted)}, parameters)
        if corpus.restricted:           # now: an error on the way would keep the reasons to itself
            corpus.write_private_log(self.folder)

    def stands_on(self, source, cache, weights):
        """Begin to read a file or a folder that is no corpus; the cache remembers that we do.

        What was made of other contents, or by another checkpoint (`weights`, its file), is moved
        aside.
        """
        source, memo = Path(source), Path(cache) / "hashes"
        self.restricted = not privacy.simulated(source, memo)
        files = [p for p in below(source) if p.is_file()] if source.is_dir() else [source]
        contents = hashes_of(files, memo)
        names = [str(p.relative_to(source)) for p in files]
        described = [names, sorted(contents), sorted(hashes_of([weights], memo))]
        at_hand = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
        facts, parameters = self.provenance, self.parameters
        if facts.get("input", at_hand) != at_hand:
            print(f"What lies in {self.folder.name} was made of other files, or by another "
                  f"checkpoint, and is kept as {move_aside(self.folder).name}.")
        self._begin(facts | {"input": at_hand, "identifying": origin.identifying(self.restricted)},
                    parameters)
        privacy.derived_from(cache, source, contents, [self.folder])

    def _check(self, corpus):
        if self.provenance["corpus"]["fingerprint"] != corpus.fingerprint:
            raise ValueError(f"run {self.name} was made from another corpus than the {corpus.name} "
                             "at hand. Give another run_dir, or set resume to False to train anew.")

    @property
    def complete(self):
        """Whether the run is finished."""
        return (self.folder / "metrics.json").exists()

    @property
    def weights(self):
        """File of the trained network."""
        return self.folder / "checkpoint.safetensors"

    @property
    def name(self):
        """Paper and folder, as sta_drn/quick."""
        return f"{self.paper}/{self.folder.name}"

    @property
    def parameters(self):
        """What the notebook was run with -> dict."""
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    @property
    def metrics(self):
        """Of metrics.json -> nested dict."""
        return json.loads((self.folder / "metrics.json").read_text())

    @property
    def predictions(self):
        """Prediction table; ids are text."""
        return pd.read_csv(self.folder / "predictions.csv",
                           dtype={"session": str, "participant": str})

    @property
    def history(self):
        """One row an epoch."""
        return pd.read_csv(self.folder / "history.csv")

    @property
    def provenance(self):
        """What produced the run -> nested dict."""
        return json.loads((self.folder / "provenance.json").read_text())

    def finish(self, metrics, predictions, corpus, device, training_seconds):
        """Write predictions, provenance, checksums and, last, metrics: the run is complete.

        A finished run stays as it is. Of a licensed corpus, counts of fewer than five people in the
        metrics become null.

        Raises
        ------
        ValueError
            When the finished run is of another corpus than the one at hand, and where the test part
            of a licensed corpus has fewer than five people.
        """
        if self.complete:
            self._check(corpus)
            return
        self.restricted = corpus.restricted
        tested = predictions.loc[predictions["split"] == "test", "participant"].nunique()
        if self.restricted and tested < privacy.FEWEST:
            raise ValueError(f"run {self.name}: its test part has {privacy.FEWER} people, and of a "
                             "licensed corpus nothing is told about so few. Nothing was written; "
                             "choose another split.")
        self.save("predictions.csv", predictions.to_csv(index=False, float_format="%.6f"))
        facts = origin.provenance(self, corpus, device, training_seconds)
        write_atomically(self.folder / "provenance.json", json.dumps(facts, indent=1))
        metrics = without_nan(metrics)
        metrics = privacy.coarse(metrics) if self.restricted else metrics
        content = json.dumps(metrics, indent=1, allow_nan=False)
        write_atomically(self.folder / verify.SUMS, verify.checksums(self.folder, content))
        write_atomically(self.folder / "metrics.json", content)

    def save(self, name, content):
        """Keep a file in the run folder.

        It is for the owner's eyes alone where it has rows by person of a licensed corpus.
        """
        content = content.encode() if isinstance(content, str) else content
        write_atomically(self.folder / name, content,
                         private=self.restricted and name in privacy.IDENTIFYING)
        self._record(name, content)

    def save_figure(self, figure, name):
        """Keep a figure in the run folder as PNG."""
        file = self.folder / "figures" / f"{name}.png"
        if file.is_symlink():               # what it leads to is not the run's
            file.unlink()
        figure.savefig(file, dpi=150, bbox_inches="tight")
        self._record(f"figures/{name}.png", file.read_bytes())

    def _record(self, name, content):
        """Note what the run wrote, for `export`. content: bytes."""
        known = recorded(self.folder) | {name: hashlib.sha256(content).hexdigest()}
        write_atomically(self.folder / WRITTEN, json.dumps(known, indent=1, sort_keys=True))

    def describe(self):
        """One Markdown sentence: run, commit, corpus, machine and time a number comes from."""
        p = self.provenance
        corpus = p["corpus"]
        commit = f"commit `{p['commit'][:10]}`" if p["commit"] else "no git commit"
        commit += " with local changes" if p["dirty"] else ""
        data = corpus["name"]
        data += f", **simulated data** ({corpus['about']})" if corpus["simulated"] else ""
        trained = ("nothing trained" if self.parameters.get("checkpoint") else
                   f"trained in {duration(p['training_seconds'])}")
        return (f"Run `{self.name}`, {commit}, {data}, {corpus['participants']} participants, seed "
                f"{p['seed']}; {p['hardware']['device']}, {trained}, {p['started'][:10]}.")


def identity(parameters):
    """What two equal runs have in common.

    All parameters but PLACE, and whether the data were given or simulated by the run.
    """
    data = {"data_root": "given"} if parameters.get("data_root", "auto") != "auto" else {}
    return {k: v for k, v in parameters.items() if k not in PLACE} | data


def without_nan(value):
    """The same nested value with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def duration(seconds):
    """Seconds or minutes, in words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def check_places(folder, parameters):
    """ValueError where a run's folder or its cache cannot be, or must not be.

    Parameters
    ----------
    folder : of the run
    parameters : of the run; data_root and cache_dir count, where they are given
    """
    data, cache = parameters.get("data_root", "auto"), parameters.get("cache_dir")
    places = {"run_dir": folder} | ({"cache_dir": located(cache)} if cache else {})
    if cache and places["cache_dir"].resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"cache_dir {cache}: lies in the run's folder, which may be given away; "
                         "the cache holds faces and the key of pseudonyms. Put it elsewhere.")
    for name, place in places.items():
        if data != "auto" and place.resolve().is_relative_to(located(data).resolve()):
            raise ValueError(f"{name} {place}: lies in data_root {data}, which is only read and "
                             "may be copied or given back as it is. Put it elsewhere.")
    for name, place in places.items():
        try:
            check_writable(made(place) if name == "cache_dir" else place)
        except OSError as error:
            why = ("it is no folder" if os.path.lexists(place) and not place.is_dir() else
                   f"it cannot be made or written ({error.strerror})")
            raise ValueError(f"{name} {place}: {why}. Give a folder in which you may write."
                             ) from None


def recorded(folder):
    """What a run says it saved -> mapping name -> SHA-256.

    Empty where it says nothing that can be read.
    """
    try:
        known = json.loads((Path(folder) / WRITTEN).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def regular(folder, name):
    """Whether a name below a folder is a file, and neither a link nor behind one."""
    parts = [folder / part for part in (*reversed(Path(name).parents), Path(name))
             if part != Path()]
    return not any(part.is_symlink() for part in parts) and parts[-1].is_file()


def export(folder, target):
    """Copy a finished run, what makes up a run and nothing else, without what is identifying.

    Only what the run recorded is copied, as long as its content is as recorded, and no link is
    followed. What is copied is as the run left it, its SHA256SUMS too, so that the owner can prove
    later which predictions stand behind the metrics.

    Parameters
    ----------
    folder : of a finished run
    target : folder to write; must not be there

    Returns
    -------
    names of what else lies in the folder, sorted; of figures with their folder

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError, OSError
        In one sentence: there is no finished run, `verify` refuses it, there is a target already,
        it lies where it must not, or it cannot be written. Nothing is left behind then.
    """
    folder, target = Path(folder), Path(target)
    if not (folder / "metrics.json").exists():
        raise FileNotFoundError(f"{folder}: no finished run there. Give the folder of one, as "
                                "runs/sta_drn/quick.")
    if refused := verify.refusal(folder):
        raise ValueError(f"{refused} Nothing was exported.")
    check_target(folder, target)
    run = Run(folder)
    private = origin.identifying(not run.provenance["corpus"]["simulated"])
    known = {name: digest for digest, _, name in
             (line.partition("  ") for line in (folder / verify.SUMS).read_text().splitlines())}
    known = recorded(folder) | known
    pictures = sorted(name for name in known if re.fullmatch(r"figures/[^/]+\.png", name))
    contents = {}
    for name in (*privacy.GIVEN, *privacy.IDENTIFYING, *pictures):
        if name in private or not regular(folder, name):
            continue
        content = (folder / name).read_bytes()
        if name == verify.SUMS or hashlib.sha256(content).hexdigest() == known.get(name):
            contents[name] = content
    saved = {name: digest for name, digest in recorded(folder).items() if name in contents}
    record = {WRITTEN: json.dumps(saved, indent=1, sort_keys=True).encode()} if saved else {}
    write_all(target, contents | record)
    besides = [p.name for p in folder.iterdir()
               if p.name not in ("figures", WRITTEN) or p.is_symlink()]
    if (folder / "figures").is_dir() and not (folder / "figures").is_symlink():
        besides += [f"figures/{p.name}" for p in (folder / "figures").iterdir()]
    return sorted(name for name in besides if name not in contents)


def check_target(folder, target):
    """FileExistsError or ValueError where a run must not be exported to."""
    if os.path.lexists(target):
        dangling = " (a link to nowhere)" if target.is_symlink() and not target.exists() else ""
        raise FileExistsError(f"{target}: is there already{dangling}. Give a folder that is not.")
    places = {"the run's own folder": folder}
    data = Run(folder).parameters.get("data_root", "auto")
    if isinstance(data, str) and data != "auto":
        places[f"data_root {data}"] = located(data)
    for name, place in places.items():
        if target.resolve().is_relative_to(place.resolve()):
            raise ValueError(f"{target}: lies in {name}. Give a folder elsewhere.")


def write_all(target, contents):
    """Write a folder as a whole or not at all. OSError in one sentence.

    contents: mapping name below it -> bytes.
    """
    # Folders that are made for it, the inner ones first.
    parents = [place for place in target.absolute().parents if not os.path.lexists(place)]
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        (part / "figures").mkdir(parents=True)
        for name, content in contents.items():
            (part / name).write_bytes(content)
        settle(part, target)
    except OSError as error:
        raise OSError(f"{target}: cannot be written ({error.strerror}). Give a folder in a place "
                      "where you may write.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
        for place in parents if not os.path.lexists(target) else ():
            with suppress(OSError):
                place.rmdir()
