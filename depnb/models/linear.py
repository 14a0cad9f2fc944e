"""Linear models beside the networks; penalties are chosen over the participants they learn from.

Several units of one participant (recordings, windows) stand in one inner fold, else a penalty is
chosen by how well people are known again. Who stands in which follows from the order of the rows,
not from names: a licensed corpus has other pseudonyms on every machine.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

INNER = 4               # inner folds, fewer where a class has fewer participants


def ridge(features, target, participants):
    """Ridge regression on standardised features.

    Parameters
    ----------
    features : (units, F)
    target, participants : (units,)

    Returns
    -------
    fitted scikit-learn estimator

    Raises
    ------
    ValueError
        There are fewer than two participants.
    """
    inner = GroupKFold(min(INNER, len(np.unique(participants))))
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()),
                          {"ridge__alpha": np.logspace(-1, 4, 12)}, cv=inner,
                          scoring="neg_mean_squared_error")
    return search.fit(features, target, groups=pd.factorize(participants)[0])


def logistic(first, strengths, features, target, participants):
    """Logistic regression after a first step, as of `ridge`.

    Parameters
    ----------
    first : scikit-learn transformer of the features
    strengths : inverse penalties to choose from, by log loss
    target : (units,) of 0 and 1
    """
    target, participants = np.asarray(target), np.asarray(participants)
    fewest = min(len(np.unique(participants[target == case])) for case in (0, 1))
    search = GridSearchCV(make_pipeline(first, LogisticRegression(max_iter=2000)),
                          {"logisticregression__C": strengths}, scoring="neg_log_loss",
                          cv=StratifiedGroupKFold(max(2, min(INNER, fewest))))
    return search.fit(features, target, groups=pd.factorize(participants)[0])
