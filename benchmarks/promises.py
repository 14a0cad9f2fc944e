"""Do the intervals and tests of our pages keep their promise? Coverage and false alarms.

python benchmarks/promises.py --save book/data/promises.csv

Scores are drawn of which the truth is known, and the procedures of the pages are run on them as the
pages run them: the intervals of a chapter (one test set), of the comparison (folds and seeds
pooled) and of errors, and the test of two models that are equally good. First the scores are drawn
themselves, as if networks were fixed; then they are learnt, by logistic regression, anew on every
drawn cohort, so that training is part of the luck. Nominal are 95 % and 5 %. Prints and saves a
table with the Monte Carlo error of each rate, and a file .yaml about the run.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from depnb import runs
from depnb.evidence import protocol, tables
from depnb.evidence.cohort import cohort_folds, parts
from depnb.files import write_atomically
from depnb.runs.origin import git_state
from depnb.scores import intervals, metrics

FOLDS, SEEDS, FEATURES = 3, 2, 40
SHARED = 0.5                # correlation of two models' scores within a class


def separation(auc):
    """Distance of the means of two normal classes of deviation 1 -> float."""
    return np.sqrt(2) * stats.norm.ppf(auc)


def of_chapter(people, auc, rng):
    """Whether the AUC interval of one test set holds the truth."""
    truth = np.arange(people) % 2
    guess = stats.norm.cdf(rng.normal(separation(auc) * truth) - separation(auc) / 2)
    table = pd.DataFrame({"participant": range(people), "y_true": truth, "y_pred": guess})
    low, high = intervals.metric_intervals(table, seed=int(rng.integers(2**31)))["roc_auc"]
    return low <= auc <= high


def of_errors(people, _, rng):
    """Whether the interval of a mean absolute error of skewed errors holds the truth."""
    errors = rng.gamma(2.0, 3.0, people) * rng.choice([-1, 1], people)
    table = pd.DataFrame({"participant": range(people), "y_true": 20.0, "y_pred": 20 + errors})
    low, high = intervals.interval(table, lambda t, p: np.abs(p - t).mean(),
                                   int(rng.integers(2**31)))
    return low <= 6.0 <= high


def two_models(people, auc, rng):
    """Out-of-fold scores of two equally good models -> table."""
    truth, rows = np.arange(people) % 2, []
    fold, shared = rng.permutation(people) % FOLDS, rng.standard_normal(people)
    for name in ("one", "two"):
        own = SHARED * shared + np.sqrt(1 - SHARED**2) * rng.standard_normal(people)
        for seed in range(SEEDS):
            score = separation(auc) * truth + np.sqrt(0.8) * own \
                + np.sqrt(0.2) * rng.standard_normal(people)
            rows.append(pd.DataFrame({"model": name, "seed": seed, "fold": fold, "participant":
                                      range(people), "y_true": truth, "y_pred": score}))
    return pd.concat(rows, ignore_index=True)


def of_comparison(people, auc, rng):
    """Whether the interval of pooled folds holds the truth."""
    row = tables.auc_table(two_models(people, auc, rng).query("model == 'one'"),
                           seed=int(rng.integers(2**31))).iloc[0]
    return row["low"] <= auc <= row["high"]


def of_test(people, auc, rng):
    """Whether two equally good lists of scores are told apart."""
    row = tables.paired(two_models(people, auc, rng), "two", seed=int(rng.integers(2**31))).iloc[0]
    return row["p"] < 0.05


def learnt(people, auc, rng):
    """Out-of-fold scores of two logistic regressions, each on features of its own that are equally
    good, and the AUC of each on many new people, averaged over folds -> table, (2,).
    """
    label = pd.Series(np.arange(people) % 2)
    cohort = pd.DataFrame({"label": label, "phq8_total": rng.integers(0, 25, people),
                           "gender": rng.choice(["female", "male"], people)})
    fold, rows, real = cohort_folds(cohort, FOLDS, 0), [], []
    strength = 1.0 if auc > 0.5 else 0.0
    new = np.arange(4000) % 2
    for name in ("one", "two"):
        features = rng.standard_normal((people, FEATURES))
        features[:, :8] += strength * 0.45 * label.to_numpy()[:, None]
        others = rng.standard_normal((len(new), FEATURES))
        others[:, :8] += strength * 0.45 * new[:, None]
        for held in range(FOLDS):
            part = parts(cohort, fold, held, 0)
            train, test = (part == "train").to_numpy(), (part == "test").to_numpy()
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
            model.fit(features[train], label[train])
            rows.append(pd.DataFrame({
                "model": name, "seed": 0, "fold": held, "participant": np.flatnonzero(test),
                "y_true": label[test].to_numpy(), "y_pred": model.decision_function(
                    features[test])}))
            real.append(metrics.roc_auc(new, model.decision_function(others)))
    return pd.concat(rows, ignore_index=True), np.reshape(real, (2, FOLDS)).mean(1)


def expected(people, auc, rng):
    """AUC of such a regression on new people, over many trainings -> float."""
    return float(np.mean([learnt(people, auc, rng)[1] for _ in range(60)]))


def of_training(people, auc, rng):
    """Whether the interval holds what the model reaches on average, over trainings."""
    table, _ = learnt(people, auc, rng)
    row = tables.auc_table(table.query("model == 'one'"), seed=int(rng.integers(2**31))).iloc[0]
    return row["low"] <= TRUTH[people, auc] <= row["high"]


def of_trained_pair(people, auc, rng):
    """Whether two equally good models are told apart by what they learnt."""
    table, _ = learnt(people, auc, rng)
    row = tables.paired(table, "two", seed=int(rng.integers(2**31))).iloc[0]
    return row["p"] < 0.05


PROCEDURES = {
    "interval of an AUC, one test set": (
        of_chapter, 95, [(n, auc) for n in (16, 27, 47, 72) for auc in (0.5, 0.7, 0.85, 0.95)]),
    "interval of an AUC, pooled folds": (
        of_comparison, 95, [(n, auc) for n in (28, 48, 80) for auc in (0.5, 0.7, 0.85, 0.95)]),
    "interval of an MAE": (of_errors, 95, [(28, None), (40, None), (72, None)]),
    "test of two equal lists of scores": (
        of_test, 5, [(n, auc) for n in (28, 80) for auc in (0.5, 0.8)]),
    "interval of an AUC, training included": (of_training, 95, [(48, 0.5), (80, 0.5), (80, 0.7)]),
    "test of two equal models, training included": (
        of_trained_pair, 5, [(48, 0.5), (80, 0.5), (80, 0.7)])}
TRUTH = {(48, 0.5): 0.5, (80, 0.5): 0.5}


def rate(name, setting, draws):
    """How often a procedure says yes -> row of the table."""
    procedure, nominal, _ = PROCEDURES[name]
    people, auc = setting
    key = list(PROCEDURES).index(name)
    if procedure in (of_training, of_trained_pair) and setting not in TRUTH:
        TRUTH[setting] = expected(people, auc, np.random.default_rng([key, people]))
    yes = np.mean([procedure(people, auc, np.random.default_rng(
        [key, people, int(100 * (auc or 0)), draw])) for draw in range(draws)])
    return {"procedure": name, "participants": people,
            "true AUC": "" if auc is None else f"{TRUTH.get(setting, auc):.2f}"
            if procedure in (of_training, of_trained_pair) else f"{auc:.2f}",
            "promised, %": nominal, "measured, %": f"{100 * yes:.1f}",
            "Monte Carlo error, %": f"{100 * np.sqrt(yes * (1 - yes) / draws):.1f}"}


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--workers", type=int, default=-1)
    parser.add_argument("--save", type=Path)
    asked, began = parser.parse_args(), git_state()["commit"]
    calls = [(name, setting, asked.draws) for name, (_, _, settings) in PROCEDURES.items()
             for setting in settings]
    table = pd.DataFrame(protocol.in_parallel(rate, calls, asked.workers))
    print(table.to_string(index=False))
    if asked.save:
        told = {"draws": asked.draws, "commit": began, "machine": runs.hardware("cpu")["device"],
                "date": date.today().isoformat()}
        write_atomically(asked.save, table.to_csv(index=False))
        write_atomically(asked.save.with_suffix(".yaml"), yaml.safe_dump(told, sort_keys=False))


if __name__ == "__main__":
    main()
