"""The papers on the shared cohort: each reads its own layout of the same participants.

Nothing here knows one paper by name; settings are those of the chapters, less the departures.
"""

from pathlib import Path

import pandas as pd

from depnb import corpora
from depnb.corpora.cohort import read_participants
from depnb.corpora.privacy import MARKER
from depnb.papers import paper, room
from depnb.papers.cards import cards

SCORE = {"binary": "label", "severity": "bdi2", "items": "phq8_total"}      # task -> of the cohort


class Pipeline:
    """A paper and its units of the cohort.

    `table`: one row a unit, participant as the cohort has it.
    """

    def __init__(self, name, root, cache, people=None, workers=1, hurt=None):
        """Read the cohort's layout of a paper.

        Parameters
        ----------
        name : of the paper
        root : folder of the rendered cohort
        cache : folder of extracted features
        people : participants that are read, None: all
        hurt : damage to recordings: kind, level, seed, participants (None: all)

        Raises
        ------
        ValueError
            The tree counts as licensed: its people cannot be told then.
        """
        asked = room(name).Paper(paper.settings(name, cache_dir=str(cache), workers=workers))
        corpus, rows = opened(asked.card.corpora[0], root, people, cache)
        sessions = set(rows["session"])
        files = {name: file for name, file in asked.files(corpus).items()
                 if name.partition("/")[0] in sessions}
        if hurt:
            damage = paper.Hurt(*hurt)
            by_session = rows.assign(recording=rows["session"])
            hurt = damage, damage.level_of(pd.concat([rows, by_session]))
        arrays, problems, _ = asked.extract(files, hurt)
        corpus.exclude(problems)
        self._hold(asked, asked.units(arrays, rows))
        self.files = files

    @classmethod
    def of(cls, asked, units):
        """A pipeline of units that are at hand."""
        pipeline = cls.__new__(cls)
        pipeline._hold(asked, units)
        return pipeline

    def _hold(self, asked, units):
        self.paper, self.units, self.table = asked, units, units.table
        self.name, self.card, self.layout = asked.name, asked.card, asked.card.corpora[0]
        self.title, self.unit, self.senses = self.card.title, self.card.unit, self.card.modalities
        self.shows = asked.shows
        self.as_published = self.card.as_published          # flags of evidence.null

    def labelled(self, people, split=""):
        """The units with the scores of these participants. split: (units,) array of parts."""
        truth = people.reindex(self.table["participant"])
        known = [c for c in truth if c in ("label", *paper.ITEMS)]
        told = {c: truth[c].to_numpy(float) for c in known}
        told |= {"score": truth[SCORE[self.card.task]].to_numpy(float), "split": split}
        return paper.Units(self.table.assign(**told), self.units.data, self.units.facts)

    def rows_of(self, people):
        """Places of the units of these participants -> (n,) int."""
        return self.table["participant"].isin(people).to_numpy().nonzero()[0]

    def of_people(self, column, people):
        """A column of the table of participants for every unit -> (units,) array."""
        return people[column].reindex(self.table["participant"]).to_numpy(float)


def pipelines(root, cache, people=None, workers=1, hurt=None):
    """Name -> Pipeline, of all papers."""
    return {name: Pipeline(name, root, cache, people, workers, hurt) for name in cards()}


def opened(layout, root, people, cache):
    """A layout of the cohort -> Corpus, its recordings of these participants."""
    corpus = corpora.open(layout, Path(root) / layout, cache)
    if corpus.restricted:
        raise ValueError(f"{Path(root) / layout}: a cohort is simulated, but no {MARKER} vouches "
                         f"for this folder. Remove {root}; it is written anew.")
    table = read_participants(root)
    known = {session: participant for participant, sessions in zip(
        table["participant"], table[f"{layout}_sessions"], strict=True) for session in sessions}
    rows = corpus.recordings().assign(participant=lambda t: t["session"].map(known))
    rows = rows[rows["participant"].isin(table["participant"] if people is None else people)]
    return corpus, rows.reset_index(drop=True)
