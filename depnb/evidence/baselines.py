"""Simple baselines under the protocol of the papers: linear models on what the networks see."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from depnb.features import text


class Baseline:
    """A linear model on plain descriptions of a pipeline's units."""

    def __init__(self, kind, models):
        self.kind = BASELINES[kind]
        self.pipeline = models[self.kind.units_of]
        self.table = self.pipeline.table

    def fit(self, people, part):
        """Learn from the training participants.

        Parameters
        ----------
        people : table by participant
        part : train, validation or test, by participant

        Returns
        -------
        function: mapping name -> Paper, damaged or not -> (units,) scores
        """
        train = (self.table["participant"].map(part) == "train").to_numpy()
        target = self.pipeline.of_people(self.kind.target, people)
        model = self.kind.estimator().fit(self.kind.describe(self.pipeline)[train], target[train])
        decide = getattr(model, "decision_function", model.predict)
        return lambda models: decide(self.kind.describe(models[self.kind.units_of]))


class Kind(NamedTuple):
    title: str
    units_of: str               # pipeline
    target: str                 # column of the table of participants
    estimator: Callable         # -> scikit-learn estimator
    describe: Callable          # pipeline -> (units, features)


def logistic(first, strengths):
    """Logistic regression after a first step, its penalty chosen within the training set."""
    pipeline = make_pipeline(first, LogisticRegression(max_iter=2000))
    return GridSearchCV(pipeline, {"logisticregression__C": strengths}, scoring="neg_log_loss",
                        cv=4)


def ridge():
    """Ridge regression on standardised features, its penalty by leave-one-out."""
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 12)))


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
                    lambda: logistic(StandardScaler(), np.logspace(-4, 1, 6)),
                    lambda p: p.units.data["egemaps"]),
    "landmarks": Kind("ridge, landmark statistics", "sta_drn", "bdi2", ridge,
                      lambda p: p.units.data["statistics"]),
    "words": Kind("logistic regression, bag of words", "aafn", "label",
                  lambda: logistic(bag_of_words(), np.logspace(-1, 3, 5)), words),
}
