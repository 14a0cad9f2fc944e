"""Running a notebook by papermill, in a process of its own."""

import json
import subprocess
import sys

import nbformat

from depnb import files
from tests.paths import ROOT

TINY = {"epochs": 2, "validate_every": 1, "image_size": 32, "features": 4, "stem_features": 4,
        "batch_size": 4, "clip_frames": 4, "explain_videos": 1, "workers": 2}

TINY_VOICES = {"epochs": 4, "patience": 0, "transformed_width": 16, "conv_width": 8,
               "classifier_width": 8, "workers": 2, "vggish_weights": "none"}

TINY_INTERVIEWS = {"epochs": 2, "frame_step": 15, "window_seconds": 8, "overlap_seconds": 2,
                   "conv_width": 4, "lstm_width": 4, "width": 8, "planes": 1, "base_width": 64,
                   "batch_size": 8, "workers": 2}

TINY_VLOGS = {"epochs": 2, "width": 8, "state_size": 4, "heads": 2, "feed_forward": 8,
              "batch_size": 8, "crop_rows": 60, "released_shortest": 60, "workers": 2}

SMALL = {"sta_drn": TINY, "cfrafn": TINY_VOICES, "aafn": TINY_INTERVIEWS,
         "dynmultidep": TINY_VLOGS}

# Recipes beside a chapter's own and the authors': run whole in make test-slow, and by
# tests/papers/test_recipes.py in one process.
RECIPES = {
    "cfrafn": [{"fusion": "vggish"}, {"fusion": "egemaps", "alignment": "as_released",
                                      "vector_augmentation": "released"}],
    "aafn": [{"modalities": "text"}, {"modalities": "visual audio", "fusion": "median"},
             {"modalities": "visual audio", "fusion": "lower_median"},
             {"fusion": "attention", "fuse": "daf", "windows": "as_released",
              "gender_balance": True, "modality_dropout": 0.5}],
    "dynmultidep": [{"modalities": "visual", "experts": "short", "scaling": "training"},
                    {"causal": True, "gate": "mean", "fusion_gate": "none",
                     "crops": "none", "train_gender": "female"},
                    {"router_level": "sequence", "gate": "hard", "fusion_gate": "hard",
                     "tracker": "csv"}]}

EVIDENCE = ("comparison", "null_corpus", "robustness", "explanations")
LESSONS = sorted(path.stem for path in (ROOT / "notebooks/learn").glob("*.ipynb"))

TINY_EVIDENCE = {
    "comparison": {"participants": 16, "folds": 2, "seeds": 2, "epochs": 1, "workers": 2},
    "null_corpus": {"participants": 16, "effect": 1.0,
                    "repetitions": 2, "restarts": 2, "workers": 2,
                    "epochs": "cfrafn 1, sta_drn 1, aafn 1, dynmultidep 1"},
    "robustness": {"participants": 16, "folds": 2, "levels": [1], "epochs": 1, "workers": 2},
    "explanations": {"participants": 16, "folds": 2, "units": 2, "random_networks": 3, "epochs": 1,
                     "workers": 2}}


def named(parameters):
    """The name of a recipe in a test."""
    return "-".join(f"{value}" for value in parameters.values() if value not in (True, False))[:60]


def metrics_of(folder):
    """What the run below `folder` measured."""
    return json.loads((folder / "run/metrics.json").read_text())


def command(folder, parameters, notebook="sta_drn"):
    return [sys.executable, "-m", "papermill", "-k", "python3", "--no-progress-bar", "--cwd",
            str(ROOT), str(files.notebook(notebook)), str(folder / "out.ipynb"), "-y",
            json.dumps(parameters)]


def run(folder, parameters, notebook, fails=False):
    """Run a notebook with these parameters -> the executed notebook; `fails`: it must stop with an
    error.
    """
    folder.mkdir(exist_ok=True)
    done = subprocess.run(command(folder, parameters, notebook), capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stderr
    return nbformat.read(folder / "out.ipynb", 4)


def execute(folder, fails=False, notebook="sta_drn", **parameters):
    """Run a notebook that leaves a run, with tiny parameters unless others are given -> the
    executed notebook.
    """
    small = (SMALL | TINY_EVIDENCE).get(notebook, {})
    return run(folder, small | {"run_dir": str(folder / "run")} | parameters, notebook, fails)


def error_of(notebook):
    """The last line that a user reads below a cell that stopped."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])
               if o["output_type"] == "error"]
    return f"{outputs[0]['ename']}: {outputs[0]['evalue']}"


def texts(notebook):
    """All text that a run put into a notebook, its figures left out."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return json.dumps([{**o, "data": {k: v for k, v in o.get("data", {}).items()
                                      if k != "image/png"}} for o in outputs])
