"""Finished runs without a training: invented predictions, judged as the four notebooks judge
theirs, in real run folders.
"""

from functools import cache

import numpy as np
import pandas as pd

from depnb import runs
from depnb.papers.cards import cards
from depnb.scores import report
from depnb.scores.items import ITEMS, items_by_participant, window_table

PARAMETERS = {"data_root": "auto", "run_dir": "auto", "resume": True, "seed": 0,
              "protocol": "clean"}
SETTINGS = {"sta_drn": {"corpus": "avec2014", "variant": "attention_fusion"},
            "cfrafn": {"corpus": "speech_folder"}, "aafn": {"corpus": "daic_woz"},
            "dynmultidep": {"corpus": "dvlog", "variant": "released"}}


class FakeCorpus:
    """As much of a corpus as a run's provenance asks for."""

    name, fingerprint = "AVEC 2014", "00ff"

    def __init__(self, restricted=False):
        self.restricted = restricted
        self.truth = None if restricted else {"arguments": {"participants": 12, "effect": 1.0,
                                                            "seed": 0, "seconds": 2}}
        self.sessions = pd.DataFrame({"participant": ["a", "a", "b"]})

    def __len__(self):
        return len(self.sessions)

    def remember(self, *folders):
        """There is no cache."""

    def write_private_log(self, folder):
        """There is nothing to tell."""


@cache
def judged(paper):
    """Predictions (24 participants, two rows each, 16 of them test) and metrics as the notebook of
    a paper has them.
    """
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"participant": np.repeat([f"P-{i:08x}" for i in range(24)], 2)})
    rows["session"] = rows["participant"].str.replace("P-", "S-")
    rows["split"] = np.where(np.arange(48) < 16, "train", "test")
    train = rows["split"] == "train"
    if paper in ("cfrafn", "dynmultidep"):
        rows["y_true"] = np.repeat(np.arange(24) % 2, 2)
        rows["y_pred"] = 1 / (1 + np.exp(-rng.normal(2 * rows["y_true"] - 1, 1.5)))
        return rows, {"test": report.binary(rows[~train], cards()[paper].unit, 0.5)}
    if paper == "sta_drn":
        rows["y_true"] = np.repeat(rng.uniform(0, 40, 24).round(), 2)
        rows["y_pred"] = rows["y_true"] + rng.normal(0, 6, 48)
        return rows, {"test": report.severity(rows[~train], "video", rows["y_true"][train].mean())}
    items = np.repeat(rng.integers(0, 4, (24, 8)), 2, 0)
    known = pd.DataFrame(items, columns=[f"phq8_{name}" for name in ITEMS])
    windows = rows.assign(start=0, y_true=items.sum(1)).join(known)
    rows = window_table(windows, np.clip(items + rng.normal(0, 1, (48, 8)), 0, 3))
    return rows, {"test": report.items(rows[~train], "window", items_by_participant(rows[train]))}


def finish(folder, paper, restricted=False, metrics=None, **changed):
    """A finished run at `folder` -> Run.

    metrics: instead of those of its predictions; changed: parameters; restricted: as if its corpus
    were licensed.
    """
    run = runs.Run.start(paper,
                         PARAMETERS | SETTINGS.get(paper, {}) | {"run_dir": str(folder)} | changed)
    predictions, own = judged(paper)
    run.finish({"simulated": not restricted, **(metrics or own)}, predictions,
               FakeCorpus(restricted), "cpu", 12.3)
    return run
