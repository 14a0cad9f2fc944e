"""Weights of the 88 eGeMAPS functionals before CFRAFN's first layer, and where they come from.

The authors publish a list of importances (name, importance; descending, sum 1). The code at commit
9d15a26 does not compute them, and nothing in it says on which recordings they were computed. Its
`main.py` lines the list up with the feature table by position, not by name: no weight meets the
feature of its own name. In which order the columns stood when the published checkpoint was trained
is not known, so this order is a choice too ("columns_by_list"). The list may not be redistributed
and is read from the user's copy; without one, importances learnt on the training participants take
its place, and "as_released" then lines those up by position.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

# Those that a published network can have been trained with.
OF_THE_LIST = ("as_released", "by_name", "columns_by_list")
ALIGNMENTS = (*OF_THE_LIST, "learnt_on_train", "none")


def feature_weights(alignment, columns, learnt=None, published=None):
    """Numbers to multiply the feature columns by.

    Parameters
    ----------
    alignment : one of ALIGNMENTS
        as_released: importances in descending order, first one onto the first column, whatever its
        name (main.py at 9d15a26). by_name: every column gets the importance of its own name.
        columns_by_list: the same weights, for a network whose first layer reads the columns in the
        order of the published list: give `list_order` to the network as well. learnt_on_train: by
        name, from `learnt` even with a published list. none: ones.
    columns : feature names in the order of the table
    learnt, published : mappings name -> importance, of `learn_importances` and `read_importances`
        The first two alignments take `published`, or else `learnt`; columns_by_list takes
        `published` only, whose order it means.

    Returns
    -------
    (len(columns),) float32

    Raises
    ------
    ValueError
        For an unknown alignment, a missing list, or names that are not those of the columns.
    """
    if alignment not in ALIGNMENTS:
        raise ValueError(f"alignment {alignment!r}: choose one of {', '.join(ALIGNMENTS)}.")
    columns = list(columns)
    if alignment == "none":
        return np.ones(len(columns), np.float32)
    if alignment == "columns_by_list" and published is None:
        raise ValueError("alignment 'columns_by_list' needs the authors' list, whose order it "
                         "means; give their sorted_feature_importance.csv (parameter importances), "
                         "or choose by_name.")
    chosen = learnt if alignment == "learnt_on_train" or published is None else published
    if chosen is None:
        others = "" if alignment == "learnt_on_train" else " or read_importances"
        raise ValueError(f"alignment {alignment!r} needs importances; give those of "
                         f"learn_importances{others}.")
    chosen = _fitting(chosen, columns)
    weights = chosen.sort_values(ascending=False) if alignment == "as_released" else chosen[columns]
    return weights.to_numpy(np.float32)


def list_order(columns, published):
    """Which column of the table stands at each place of the published list, most important first.

    `table[:, list_order(...)]` has its columns in the order of the list. The table itself stays as
    it is: a network that was trained on columns in that order is told so (`column_order` of
    `depnb.models.cfrafn.CFRAFN`).

    Returns
    -------
    (len(columns),) int64

    Raises
    ------
    ValueError
        For names that are not those of the columns.
    """
    listed = _fitting(published, columns).sort_values(ascending=False).index
    return pd.Index(columns).get_indexer(listed).astype(np.int64)


def _fitting(importances, columns):
    """Importances as a Series by name, if there is one for every column; else ValueError."""
    series, columns = pd.Series(dict(importances), dtype=float), list(columns)
    different = sorted(set(columns) ^ set(series.index))
    if different or len(columns) != len(series):
        raise ValueError(f"{len(series)} importances for {len(columns)} columns, "
                         f"{len(different)} names without a partner (first: "
                         f"{different[0] if different else 'a repeated column'}); "
                         "expected one for every column.")
    return series


def read_importances(file):
    """The authors' sorted_feature_importance.csv (name, importance) -> Series by name.

    Raises
    ------
    FileNotFoundError
    ValueError
        When the file is not such a table.
    """
    try:
        table = pd.read_csv(file, index_col=0, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        table = pd.DataFrame()
    if ("importance" not in table
        or not np.isfinite(pd.to_numeric(table["importance"], errors="coerce")).all()):
        raise ValueError(f"{file}: expected a CSV file with feature names first and a column "
                         "importance of numbers. Give the authors' sorted_feature_importance.csv.")
    return table["importance"].astype(float)


def learn_importances(features, labels, participants, seed=0, trees=500):
    """Mean decrease in impurity of a random forest (Breiman 2001) that predicts the label.

    Every participant counts the same, however many recordings; both classes too.

    Parameters
    ----------
    features : table (recordings, columns)
        Rows of the training split only: the function cannot know.
    labels : (recordings,) 0/1
    participants : (recordings,)

    Returns
    -------
    Series by name, sum 1

    Raises
    ------
    ValueError
        When there is only one class or a feature is not a finite number.
    """
    labels, participants = np.asarray(labels), pd.Series(np.asarray(participants))
    values = features.to_numpy(float)
    if len(np.unique(labels)) < 2:
        raise ValueError("the training labels are of one class, so no feature can be more "
                         "important than another; give recordings of both classes.")
    if not np.isfinite(values).all():
        first = features.columns[~np.isfinite(values).all(0)][0]
        raise ValueError(f"feature {first} has a value that is not a finite number; "
                         "leave out the recordings concerned.")
    once = 1 / participants.map(participants.value_counts())
    weight = once / once.groupby(labels).transform("sum")
    forest = RandomForestClassifier(trees, random_state=seed)
    forest.fit(values, labels, sample_weight=weight)
    importances = pd.Series(forest.feature_importances_, features.columns, name="importance")
    return importances.sort_values(ascending=False)
