"""Linear models: penalties are chosen over participants, not over their recordings."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from depnb.models import linear


@pytest.fixture(scope="module")
def known_again():
    """Six recordings each of 24 people: 30 features that say who it is, none what the target is."""
    rng = np.random.default_rng(0)
    participants = np.repeat(np.arange(24), 6)
    features = rng.normal(size=(24, 30))[participants] + 0.1 * rng.normal(size=(144, 30))
    return features, rng.normal(size=24)[participants], participants


def best(features, target, splits):
    """Penalty with the lowest error over some splits, by hand."""
    def error(alpha):
        model = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
        return -cross_val_score(model, features, target, cv=splits,
                                scoring="neg_mean_squared_error").mean()

    return min(np.logspace(-1, 4, 12), key=error)


def test_ridge_takes_the_penalty_that_is_best_for_other_people(known_again):
    features, target, participants = known_again
    alpha = linear.ridge(*known_again).best_params_["ridge__alpha"]
    by_people = [*GroupKFold(4).split(features, target, participants)]
    by_recording = [*KFold(4, shuffle=True, random_state=0).split(features)]
    assert alpha == best(features, target, by_people)
    assert alpha > 100 * best(features, target, by_recording)


def test_logistic_regression_does_not_trust_features_that_only_know_people(known_again):
    features, target, participants = known_again
    strengths = np.logspace(-4, 1, 6)
    model = linear.logistic(StandardScaler(), strengths, features, target > 0, participants)
    assert model.best_params_["logisticregression__C"] == strengths[0]


@pytest.mark.parametrize("cases", [2, 3, 8])
def test_few_of_a_class_are_enough(cases):
    rng = np.random.default_rng(cases)
    participants = np.repeat(np.arange(16), 2)
    target = participants < cases
    features = rng.normal(size=(32, 5)) + target[:, None]
    model = linear.logistic(StandardScaler(), [0.01, 1.0], features, target, participants)
    assert np.isfinite(model.decision_function(features)).all()


def test_other_names_of_the_same_people_give_the_same_model(known_again):
    """Pseudonyms differ from machine to machine; their order once chose the inner folds."""
    features, target, participants = known_again
    names = np.array([f"P-{(7 * p) % 24:02d}" for p in range(24)])[participants]
    np.testing.assert_array_equal(linear.ridge(features, target, names).predict(features),
                                  linear.ridge(features, target, participants).predict(features))
    strengths = np.logspace(-4, 1, 6)
    one, other = (linear.logistic(StandardScaler(), strengths, features, target > 0, who)
                  for who in (names, participants))
    np.testing.assert_array_equal(one.decision_function(features),
                                  other.decision_function(features))
