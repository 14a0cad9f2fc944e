"""CFRAFN: depressed or not, from eGeMAPS and VGGish of a recording."""

import re
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from depnb.features import damage, speech, store
from depnb.models import cfrafn
from depnb.papers import paper, parameters
from depnb.papers.parameters import Amount, Count, NotNegative, Positive, Share


class Parameters(parameters.Chapter):
    """What the chapter on CFRAFN may be given."""

    corpus: Literal["speech_folder"]
    pattern: str
    normalise: bool
    silence: Literal["remove", "ends", "keep"]
    augmentation: Literal["none", "released", "corrected"]
    vector_augmentation: Literal["none", "released", "corrected"]
    vggish_weights: str
    postprocess: bool
    scaling: Literal["standard", "none"]
    model: Literal["cfrafn", "feature_fusion", "layer_fusion", "dual_cnn"]
    fusion: Literal["gate", "equal", "concatenation", "egemaps", "vggish"]
    alignment: Literal["as_released", "by_name", "columns_by_list", "learnt_on_train", "none"]
    importances: str
    expansion: Positive
    transformed_width: Positive
    conv_width: Positive
    classifier_width: Positive
    dropout: Share
    gate_temperature: Amount
    fold: Annotated[int, Field(ge=0, le=3)]
    patience: Count
    batch_size: Count
    weight_decay: NotNegative
    search_trials: Count

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression ({error}).") from None
        return pattern


class Paper(paper.Binary):
    """CFRAFN: eGeMAPS and log-mel statistics of a recording; binary cross-entropy."""

    name, shows = "cfrafn", "voice"
    pieces = MappingProxyType({"egemaps": (1,)})                 # occluded at once, without the batch
    optimiser = "adamw"

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        super().__init__()
        data, rows, files = paper.opened(self.layout, root, people, cache)
        level = paper.hurt_levels(rows, hurt)
        each = {r: dict(zip(("kind", "level", "seed"), hurt if level[r] else paper.NOTHING, strict=False)) for r in files}
        found, problems = store.extract(files, damage.speech_parts, cache, each=each, workers=workers, parts=1)
        data.exclude(problems)
        self.table = paper.unit_table(rows, {name: len(a["egemaps"]) for name, a in found.items()})
        self.arrays = {sense: np.concatenate([found[r][sense] for r in self.table["recording"].unique()])
                       for sense in self.senses}

    def prepare(self, rows, people):
        return {sense: (x[rows].mean(0), np.maximum(x[rows].std(0), 1e-6)) for sense, x in self.arrays.items()}

    def inputs(self, rows, prepared, rng=None):
        return {sense: torch.as_tensor((self.arrays[sense][rows] - mean) / sd, dtype=torch.float32)
                for sense, (mean, sd) in prepared.items()}

    def recipe(self, epochs=0):
        return super().recipe(epochs) | {"schedule": "constant"}

    def build(self):
        p = self.p
        return cfrafn.build(p.model, transformed_width=p.transformed_width, conv_width=p.conv_width,
                            expansion=p.expansion, classifier_width=p.classifier_width, dropout=p.dropout,
                            gate_temperature=p.gate_temperature, fusion=p.fusion)

    def planted(self, data, rows):
        """Functionals of eGeMAPS that answer to any moved control."""
        moved = {name for control in data.truth["controls"].values() for name in control["egemaps"]}
        return [{"egemaps": np.isin(speech.egemaps_names(), list(moved))} for _ in rows]
