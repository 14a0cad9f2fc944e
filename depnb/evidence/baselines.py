"""Simple baselines under the protocol of the papers: logistic regression and ridge on what the networks see."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Baseline:
    """A linear model on plain descriptions of a pipeline's units."""

    def __init__(self, kind, models):
        self.kind = BASELINES[kind]
        self.pipeline = models[self.kind.units_of]
        self.table = self.pipeline.table

    def fit(self, people, part):
        """part: train, validation or test by participant -> function: pipelines by name -> (units,) scores."""
        train = (self.table["participant"].map(part) == "train").to_numpy()
        target = self.pipeline.of(self.kind.target, people)
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
    """Logistic regression after a first step, its penalty chosen within the training participants."""
    return GridSearchCV(make_pipeline(first, LogisticRegression(max_iter=2000)), {"logisticregression__C": strengths},
                        scoring="neg_log_loss", cv=4)


BASELINES = {
    "egemaps": Kind("logistic regression, eGeMAPS", "cfrafn", "label",
                    lambda: logistic(StandardScaler(), np.logspace(-4, 1, 6)), lambda p: p.arrays["egemaps"]),
    "landmarks": Kind("ridge, landmark statistics", "sta_drn", "bdi2",
                      lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 12))), lambda p: p.statistics),
    "words": Kind("logistic regression, bag of words", "aafn", "label",
                  lambda: logistic(TfidfVectorizer(sublinear_tf=True, min_df=2), np.logspace(-1, 3, 5)),
                  lambda p: np.array([p.words[person] for person in p.table["participant"]], object)),
}
