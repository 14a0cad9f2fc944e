"""Toy: depressed or not, from the means of a vlog's features."""

from types import MappingProxyType
from typing import Literal

import numpy as np
import torch

from depnb.corpora import dvlog
from depnb.features import damage, vlog
from depnb.models import toy
from depnb.papers import paper, parameters
from depnb.papers.parameters import Count, Positive


class Parameters(parameters.Chapter):
    """What the chapter on Toy may be given."""

    corpus: Literal["dvlog"]
    rows: Positive
    fold: Count
    batch_size: Positive


SENSES = (("audio", "acoustic"), ("visual", "visual"))


class Paper(paper.Binary):
    """The first rows of a vlog, each column standardised; a unit is a vlog."""

    name, shows, Parameters = "toy", "vlog", Parameters
    pieces = MappingProxyType({"audio": (10, 25), "visual": (10, 136)})

    def extract(self, files, hurt=None):
        arrays, problems = vlog.load(files, self.p.corpus)
        for session, parts in arrays.items() if hurt else ():
            draw = paper.generator(hurt[0].seed, session)
            arrays[session] = {part: damage.rows(a, hurt[0].kind, hurt[1][session], draw)
                               for part, a in parts.items()}
        return arrays, problems, {}

    def units(self, arrays, rows):
        rows = rows[rows["session"].isin(arrays)].drop_duplicates("session", ignore_index=True)
        table = paper.unit_table(rows.assign(recording=rows["session"]), dict.fromkeys(arrays, 1))
        chosen = [vlog.by_itself(arrays[s]) for s in table["session"]]
        data = {name: np.stack([np.resize(a[part][:self.p.rows], (self.p.rows, a[part].shape[1]))
                                for a in chosen]) for name, part in SENSES}
        return paper.Units(table, data)

    def inputs(self, units, rows, state):
        return {name: torch.as_tensor(x[rows], dtype=torch.float32)
                for name, x in units.data.items()}

    def batches(self, units, rows, state, seed=None):
        return Batches(self, units, rows, state, self.p.seed if seed is None else seed)

    def sizes(self, units):
        return {f"{name}_features": x.shape[2] for name, x in units.data.items()}

    def build(self, state):
        return toy.Toy(**state["sizes"])

    def planted(self, corpus, units, rows):
        masks = []
        for session in units.table["session"].iloc[rows]:
            cues = corpus.cue_rows(session).values()
            masks.append({name: np.resize(np.any([cue[part] for cue in cues], axis=0), self.p.rows)
                          for name, part in SENSES})
        return masks

    def recordings_in(self, source):
        return {f"{name}/{part}": paths[0] for name, parts in dvlog.arrays_of(source).items()
                for part, paths in parts.items()}

    def answered(self, network, units, state, run=None):
        answers = self.decoded(self.answers(network, units, np.arange(len(units)), state), state)
        names = units.table["session"]
        return ([{"file": n, "probability": float(a)} for n, a in zip(names, answers, strict=True)],
                {})


class Batches(paper.Batches):
    """Vlogs in an order that depends on (seed, epoch)."""

    def __init__(self, of, units, rows, state, seed):
        self.of, self.units, self.rows, self.state, self.seed = of, units, rows, state, seed

    def __len__(self):
        return -(-len(self.rows) // self.of.p.batch_size)

    def plan(self, epoch):
        order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        return np.array_split(order, len(self))

    def __getitem__(self, rows):
        return (self.of.inputs(self.units, rows, self.state),
                self.of.target(self.units, rows, self.state))
