"""The papers on the pages of evidence: a corpus in, one number a participant out.

A paper reads one layout of a shared cohort (`depnb.simulation.cohort`), cuts its recordings into units (what a model sees
at once: a recording, a video, a window of an interview, a vlog), trains with its own target and loss, and gives each unit
one number that grows with depression. Settings are those of its chapter; where the pages of evidence leave them stands in
`params/evidence/departures.yaml`. Folds and counting are the same for all.
"""

import functools
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
import yaml
from torch.nn import functional as F

from depnb import corpora
from depnb.corpora.cohort import read_participants
from depnb.corpora.corpus import PHQ8_ITEMS
from depnb.corpora.privacy import MARKER
from depnb.files import located
from depnb.papers.cards import cards

ITEMS = [f"phq8_{item}" for item in PHQ8_ITEMS]
NOTHING = ("noise", 0, 0, None)
DEPARTURES = "params/evidence/departures.yaml"


def of_chapter(name):
    """The settings of a paper's chapter, in its quick run -> dict by parameter."""
    return yaml.safe_load(located(f"params/{name}/quick.yaml").read_text())


def settings(name):
    """A paper's settings on the pages of evidence, by name: those of its chapter, less what DEPARTURES changes."""
    chapter = of_chapter(name)
    changed = {setting: entry["here"] for setting, entry in departures()[name].items() if setting in chapter}
    return SimpleNamespace(**chapter | changed)


@functools.cache
def departures():
    """Where the pages of evidence leave the chapters: paper -> setting -> {here, why, chapter if it is no parameter}."""
    return yaml.safe_load(located(DEPARTURES).read_text())


def departure_table():
    """The same as a table for a page: paper, setting, in the chapter, here, why."""
    rows = []
    for name, entries in departures().items():
        chapter = of_chapter(name)
        rows += [{"paper": cards()[name].title, "setting": setting, "here": entry["here"], "why": entry["why"],
                  "in the chapter": entry.get("chapter", chapter.get(setting))} for setting, entry in entries.items()]
    return pd.DataFrame(rows)[["paper", "setting", "in the chapter", "here", "why"]]


def by_participant(table, scores):
    """Mean score of a participant's units -> Series by participant."""
    return pd.Series(scores).groupby(table["participant"].to_numpy()).mean()


class Paper:
    """What differs between papers, for evidence. `table`: one row a unit, columns participant, recording, unit (0, 1, …).

    p: its settings; inputs(rows, prepared, rng) -> mapping of tensors for these units (rng: of training, None: scoring);
    prepare(rows, people) -> what is learnt from the training units before training; build() -> network;
    loss(network, inputs, target); score(network, inputs, prepared) -> (units,) array; targets(people, prepared) -> tensor;
    error(scores, rows, people, prepared): by participant, what the chapter chooses its epoch by; planted(data, rows) -> per
    unit, mapping input -> mask of where something is planted; pieces: input -> what is occluded at once.
    """

    optimiser = "adam"

    def __init__(self):
        self.p, card = settings(self.name), cards()[self.name]
        self.title, self.unit, self.senses, self.layout = card.title, card.unit, card.modalities, card.corpora[0]
        self.as_published = card.as_published       # flags of depnb.evidence.null

    def recipe(self, epochs=0):
        """How it is trained, under the names of `runs.loop.Recipe`. epochs: 0: the paper's own."""
        names = ("learning_rate", "schedule", "weight_decay", "clip_norm", "patience", "validate_every")
        return {name: getattr(self.p, name) for name in names if hasattr(self.p, name)} | {
            "epochs": epochs or self.p.epochs, "optimiser": self.optimiser}

    def answer(self, network, **inputs):
        """What attributions explain: one number a unit, differentiable -> (B,)."""
        return network(**inputs)

    def units(self, people):
        """Rows of `table` that belong to these participants."""
        return np.flatnonzero(self.table["participant"].isin(people))

    def of(self, column, people):
        """A column of the table of participants for every unit -> (units,) array."""
        return people[column].reindex(self.table["participant"]).to_numpy(float)


class Binary(Paper):
    """Depressed or not, from arrays by sense: binary cross-entropy of one logit."""

    def targets(self, people, prepared):
        return torch.tensor(self.of("label", people), dtype=torch.float32)

    def loss(self, network, inputs, target):
        return F.binary_cross_entropy_with_logits(network(**inputs), target)

    def score(self, network, inputs, prepared):
        return network(**inputs).float().numpy()

    def error(self, scores, rows, people, prepared):
        """Cross-entropy of the mean probability."""
        guess = by_participant(self.table.iloc[rows], 1 / (1 + np.exp(-scores.astype(float)))).clip(1e-6, 1 - 1e-6)
        label = people["label"].reindex(guess.index)
        return float(-(label * np.log(guess) + (1 - label) * np.log(1 - guess)).mean())

    def without(self, inputs, sense):
        return inputs | {sense: torch.zeros_like(inputs[sense])}


def opened(layout, root, people, cache):
    """(corpus, recordings of these cohort participants, mapping recording -> path); participant is the cohort's number.

    Raises ValueError when the tree counts as licensed: its people cannot be told then.
    """
    data = corpora.open(layout, Path(root) / layout, cache)
    if data.restricted:
        raise ValueError(f"{Path(root) / layout}: a cohort is simulated, but no {MARKER} vouches for this folder. Remove "
                         f"{root}; it is written anew.")
    table = read_participants(root)
    known = {session: p for p, sessions in zip(table["participant"], table[f"{layout}_sessions"], strict=True)
             for session in sessions}
    rows = data.recordings().assign(participant=lambda t: t["session"].map(known))
    if people is not None:
        rows = rows[rows["participant"].isin(people)]
    files = {name: path for name, path in data.files().items() if name in set(rows["recording"])}
    return data, rows.reset_index(drop=True), files


def unit_table(rows, units):
    """One row a unit of the recordings of which there are any. units: mapping recording -> how many."""
    found = [(r.participant, r.recording, unit) for r in rows.itertuples() for unit in range(units.get(r.recording, 0))]
    return pd.DataFrame(found, columns=["participant", "recording", "unit"])


def hurt_levels(rows, hurt):
    """Level of damage of every recording. hurt: None or (kind, level, seed, participants, None for all) -> dict."""
    _, level, _, participants = hurt or NOTHING
    return {r.recording: level if participants is None or r.participant in participants else 0 for r in rows.itertuples()}


def generator(seed, name):
    """A generator that depends on the recording's name, so that damage does not depend on which others are read."""
    return np.random.default_rng([seed, zlib.crc32(str(name).encode())])
