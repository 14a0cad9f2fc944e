"""DynMultiDep: depressed or not, from voice and face of a vlog."""

from types import MappingProxyType
from typing import Literal

import numpy as np

from depnb.features import damage, vlog
from depnb.models import dynmultidep
from depnb.papers import paper, parameters
from depnb.papers.parameters import Amount, Count, Fold, NotNegative, Positive, Share


class Parameters(parameters.Chapter):
    """What the chapter on DynMultiDep may be given."""

    corpus: Literal["dvlog", "lmvd"]
    train_gender: Literal["both", "female", "male"]
    test_gender: Literal["both", "female", "male"]
    scaling: Literal["vlog", "training", "none"]
    crops: Literal["fresh", "released", "none"]
    crop_rows: Positive
    released_shortest: Positive
    bucketing: bool
    mask: Literal["right", "released"]
    variant: Literal["paper", "released"]
    modalities: Literal["both", "acoustic", "visual"]
    experts: Literal["both", "long", "short"]
    directions: Literal["both", "forward"]
    causal: bool
    gate: Literal["soft", "hard", "mean"]
    fusion_gate: Literal["soft", "hard", "none"]
    temperature: Amount
    router_level: Literal["frame", "sequence"]
    width: Positive
    layers: Positive
    state_size: Positive
    expansion: Positive
    conv_width: Positive
    window: Positive
    heads: Positive
    feed_forward: Positive
    dropout: Share
    fold: Fold
    patience: Count
    batch_size: Positive
    schedule: Literal["cosine", "constant"]
    weight_decay: NotNegative
    clip_norm: NotNegative


class Paper(paper.Binary):
    """DynMultiDep: vlogs, each standardised by itself; binary cross-entropy."""

    name, shows = "dynmultidep", "vlog"
    pieces = MappingProxyType({"audio": (10, 25), "visual": (10, 136)})      # occluded at once, without the batch

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        super().__init__()
        data, rows, files = paper.opened(self.layout, root, people, cache)
        arrays, problems = vlog.load(files, self.layout)
        data.exclude(problems)
        sessions = rows[rows["session"].isin(arrays)].drop_duplicates("session").assign(recording=lambda t: t["session"])
        level, (kind, _, seed, _) = paper.hurt_levels(sessions, hurt), hurt or paper.NOTHING
        self.table = paper.unit_table(sessions, dict.fromkeys(sessions["session"], 1))
        self.vlogs = [vlog.by_itself({part: damage.rows(a, kind, level[session], paper.generator(seed + number, session))
                                      for number, (part, a) in enumerate(arrays[session].items())})
                      for session in sessions["session"]]

    def prepare(self, rows, people):
        return {}

    def inputs(self, rows, prepared, rng=None):
        chosen = []
        for row in rows:
            start, length = vlog.random_crop(len(self.vlogs[row]["visual"]), self.p.crop_rows if rng is not None else 0, rng)
            chosen.append({part: a[start:start + length] for part, a in self.vlogs[row].items()})
        return vlog.collate(chosen)

    def build(self):
        names = ("width", "layers", "state_size", "expansion", "conv_width", "directions", "causal", "gate", "temperature",
                 "modalities", "experts", "window", "heads", "feed_forward", "router_level", "fusion_gate", "dropout")
        acoustic, visual = (self.vlogs[0][part].shape[1] for part in ("acoustic", "visual"))
        return dynmultidep.DynMultiDep(self.p.variant, acoustic, visual, mask_scan=self.p.mask == "right",
                                       **{name: getattr(self.p, name) for name in names})

    def planted(self, data, rows):
        """Rows of a vlog in a slow phase or a short event, by sense."""
        found = []
        for row in rows:
            cues, rows_there = data.cue_rows(self.table["recording"][row]), len(self.vlogs[row]["visual"])
            found.append({given: np.any([planted[sense][:rows_there] for planted in cues.values()], axis=0)
                          for given, sense in (("audio", "acoustic"), ("visual", "visual"))})
        return found
