"""What produced a run: commit, code, packages, machine, corpus."""

import hashlib
import json
import os
import platform
import re
import subprocess
import time
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

from depnb.corpora import privacy
from depnb.corpora.simulated import effect_text
from depnb.files import located, notebook, repository
from depnb.papers.cards import cards

# Rooms that draw results or tell about them: what they hold changes no number of a chapter.
TELLING = ("book", "figures", "learn")
PACKAGES = ("torch", "lightning-fabric", "numba", "numpy", "scipy", "scikit-learn", "pandas",
            "opencv-contrib-python", "mediapipe", "captum", "opensmile", "librosa", "torchvggish")


def provenance(run, corpus, device, training_seconds):
    """What produced a run, without a path or a name of the machine."""
    return {
        **run.provenance, "run": run.name, "seed": run.parameters["seed"],
        "hardware": hardware(device), "corpus": corpus_facts(corpus),
        "identifying": identifying(corpus.restricted),
        "training_seconds": round(training_seconds, 1),
        "wall_seconds": round(time.perf_counter() - run.began, 1),
        "peak_memory_mb": round(peak_memory() / 1e6),
    }


def corpus_facts(corpus):
    """Which corpus a run reads."""
    truth = (corpus.truth or {}).get("arguments", {})
    about = ", ".join(f"{k} {effect_text(truth[k])}"
                      for k in ("participants", "effect", "seed") if k in truth)
    return {"name": corpus.name, "fingerprint": corpus.fingerprint,
            "simulated": not corpus.restricted, "about": about, "sessions": len(corpus),
            "participants": int(corpus.sessions["participant"].nunique())}


def identifying(restricted):
    """The files of a run that have rows by person."""
    return list(privacy.IDENTIFYING) if restricted else []


def origin(paper):
    """Which code and packages start a run, and when."""
    return {"started": datetime.now(timezone.utc).isoformat(timespec="seconds"), **git_state(),
            "depnb": metadata.version("depnb"), "code": code_fingerprint(paper),
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES}}


def version(package):
    """Version of a package, None where it was not installed as such (lightning-fabric comes with
    pytorch-lightning too)."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_state():
    """Commit of the repository, and whether tracked files differ from it; None without git."""
    def git(*arguments):
        command = ["git", "-C", str(repository()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no").strip()
        return {"commit": git("rev-parse", "HEAD").strip(), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


@cache
def code_fingerprint(page, everything=False):
    """Hash of what computes a page's results.

    That is its share of the package, and its code cells without parameters and figures. Interrupted
    runs are only resumed by the code that began them. A chapter's share leaves out figures, book,
    lessons, evidence, and what is another paper's; a page of evidence leaves out figures, book and
    lessons.

    Parameters
    ----------
    page : name of a notebook
    everything : the hash of all of it
    """
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        if everything or counts(file.relative_to(package).with_suffix("").parts, page):
            digest.update(file.read_bytes())
    followed = () if page in cards() else located("params").glob("*/quick.yaml")
    for file in sorted(followed):               # evidence follows the settings of the chapters
        digest.update(file.read_bytes())
    path = notebook(page)
    for cell in json.loads(path.read_text())["cells"] if path.exists() else ():
        drawing = "mystnb" in cell["metadata"] or "parameters" in cell["metadata"].get("tags", ())
        if everything or (cell["cell_type"] == "code" and not drawing):
            digest.update("".join(cell["source"]).encode())
    return digest.hexdigest()[:16]


def counts(parts, page):
    """Whether a module, as parts of its path, belongs to what computes a page's results."""
    if parts[0] in TELLING:
        return False
    others = set(cards()) - {page}
    return page not in cards() or (parts[0] != "evidence" and not set(parts) & others)


def hardware(device):
    """Processor, cores, memory, and the device that trained."""
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = named[1] if named else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    on_gpu = torch.device(device).type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else f"{model}, {cores} cores"
    return {"processor": model, "cores": cores,
            "memory_gb": round(psutil.virtual_memory().total / 1e9), "device": name,
            "threads": torch.get_num_threads()}


def peak_memory():
    """Largest resident size of this process so far, in bytes."""
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else peak * 1024
    except ImportError:                                     # Windows
        return psutil.Process().memory_info().peak_wset
