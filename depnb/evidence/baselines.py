"""Simple baselines under the protocol of the papers: linear models on what the networks see."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from depnb.features import text
from depnb.models import linear


class Baseline:
    """A linear model on plain descriptions of a pipeline's units."""

    def __init__(self, kind, models):
        self.kind = BASELINES[kind]
        self.pipeline = models[self.kind.units_of]
        self.table = self.pipeline.table

    def fit(self, people, part):
        """Learn from the training and the validation participants: no epoch has to be chosen.

        Parameters
        ----------
        people : table by participant
        part : train, validation or test, by participant

        Returns
        -------
        function: mapping name -> Paper, damaged or not -> (units,) scores
        """
        learnt = self.table["participant"].map(part).isin(["train", "validation"]).to_numpy()
        if self.kind.once:
            learnt = learnt & ~self.table["participant"].duplicated().to_numpy()
        target = self.pipeline.of_people(self.kind.target, people)
        model = self.kind.fitted(self.kind.describe(self.pipeline)[learnt], target[learnt],
                                 self.table["participant"].to_numpy()[learnt])
        decide = getattr(model, "decision_function", model.predict)
        return lambda models: decide(self.kind.describe(models[self.kind.units_of]))


class Kind(NamedTuple):
    title: str
    units_of: str               # pipeline
    target: str                 # column of the table of participants
    fitted: Callable            # features, target, participants -> fitted estimator
    describe: Callable          # pipeline -> (units, features)
    once: bool = False          # whether all units of a participant are described alike


def bag_of_words():
    """Words that two texts have, weighted by how rare they are."""
    return TfidfVectorizer(sublinear_tf=True, min_df=2)


def words(pipeline):
    """What the participant says in each unit's interview -> (units,) array of text."""
    turns = {session: text.participant_turns(text.read_transcript(files["transcript"]))[0]["value"]
             for session, files in pipeline.files.items()}
    return np.array([" ".join(turns[session]) for session in pipeline.table["session"]], object)


BASELINES = {
    "egemaps": Kind("logistic regression, eGeMAPS", "cfrafn", "label",
                    partial(linear.logistic, StandardScaler(), np.logspace(-4, 1, 6)),
                    lambda p: p.units.data["egemaps"]),
    "landmarks": Kind("ridge, landmark statistics", "sta_drn", "bdi2", linear.ridge,
                      lambda p: p.units.data["statistics"]),
    "words": Kind("logistic regression, bag of words", "aafn", "label",
                  partial(linear.logistic, bag_of_words(), np.logspace(-1, 3, 5)), words, True),
}
