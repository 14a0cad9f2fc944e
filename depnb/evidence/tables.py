"""Statistics for comparing models on one cohort: tables in, tables out.

A table of out-of-fold predictions has the columns model, seed, fold, participant, y_true (0 or 1)
and y_pred: any number that grows with the class, on any scale; every participant stands in one test
fold of every seed, in one row or several (of recordings, windows), which are averaged. Scores of
different folds come from different networks, so they are replaced by their ranks within fold and
seed, (rank - 0.5) / n, before they are pooled. The AUC of a model is the mean over its seeds of the
pooled AUC: what one training gives on average, not what an ensemble of them would give.

All intervals come from bootstraps over participants, of each class by itself, since the numbers of
cases and controls are chosen and not drawn; a participant takes the scores of all seeds and models
along (`depnb.scores.intervals.bootstrap`). NaN with fewer than two participants of a class. They
say what other participants would change, not what other training sets would.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from depnb.scores import calibration, intervals
from depnb.scores.auc import classes, of_models, swap_test
from depnb.scores.metrics import roc_auc

MEASURES = ("auc", *calibration.MEASURES)


def over_people(statistic, y, strata=None, seed=0, resamples=2000, level=0.95):
    """Value and interval of a statistic of weighted participants.

    Parameters
    ----------
    statistic : weights (..., n) -> (...) or (k, ...)
    y : (n,) bool, the cases
    strata : lists of participants' numbers; None: the two classes

    Returns
    -------
    value, low, high : arrays of the statistic's shape
    """
    ends = intervals.bootstrap(intervals.weighted(statistic, len(y)), strata or classes(y), seed,
                               resamples, level)
    return (statistic(np.ones(len(y))), *ends)


def auc_table(predictions, seed=0, resamples=2000, level=0.95):
    """AUC of every model.

    Returns
    -------
    table with model, participants, cases, seeds, auc, low, high (where every draw separates the
    classes, of `intervals.separated`), seed_low, seed_high (lowest and highest AUC of a seed)

    Raises
    ------
    ValueError
        Where `out_of_fold` does.
    """
    rows = []
    for model, s in of_models(predictions).items():
        auc, low, high = over_people(s.auc, s.y, None, seed, resamples, level)
        low, high = uncollapsed(auc, low, high, s.y, level)
        by_seed = roc_auc(s.y, s.ranks)
        rows.append({"model": model, "participants": len(s.y), "cases": int(s.y.sum()),
                     "seeds": len(s.seeds), "auc": float(auc), "low": float(low),
                     "high": float(high),
                     "seed_low": float(by_seed.min()), "seed_high": float(by_seed.max())})
    return pd.DataFrame(rows)


def paired(predictions, reference, correction="holm", seed=0, resamples=2000, permutations=9999,
           level=0.95):
    """Differences of AUC between models on the same participants.

    Every model against the `reference` is one family of tests, all other pairs (family "others") a
    second; p-values are corrected within each. p is two-sided, from swapping the scores of both
    models, all seeds together, within randomly chosen participants. Who lacks a score in one of the
    models is left out of all comparisons.

    Parameters
    ----------
    predictions : out-of-fold predictions
    reference : name of a model
    correction : a method of statsmodels' multipletests

    Returns
    -------
    table with family, first, second, participants, difference (of AUC, first less second), low,
    high (NaN where both separate the classes, each in its own order), p, p_adjusted

    Raises
    ------
    ValueError
        Where `out_of_fold` does, for an unknown reference, a single model, other seeds or another
        truth.
    """
    scores = of_models(predictions)
    if reference not in scores or len(scores) < 2:
        raise ValueError(f"reference {reference!r}: expected one of at least two models, found "
                         f"{', '.join(scores)}.")
    y, ranks = on_common_people(scores)
    flips = np.random.default_rng(seed).choice([-1.0, 1.0], (permutations, len(y)))
    others = [model for model in ranks if model != reference]
    rows = []
    for one, two in [(model, reference) for model in others] + [*combinations(others, 2)]:
        def gain(weight, a=ranks[one], b=ranks[two]):
            weight = np.asarray(weight)[..., None, :]
            return (roc_auc(y, a, weight) - roc_auc(y, b, weight)).mean(-1)

        difference, low, high = over_people(gain, y, None, seed, resamples, level)
        if low == high and (ranks[one] != ranks[two]).any():    # both separate the classes
            low = high = np.nan                                 # and the draws know nothing else
        rows.append({"family": "reference" if two == reference else "others", "first": one,
                     "second": two, "participants": len(y), "difference": float(difference),
                     "low": float(low), "high": float(high),
                     "p": swap_test(ranks[one], ranks[two], y, flips)})
    table = pd.DataFrame(rows)
    table["p_adjusted"] = table.groupby("family")["p"].transform(
        lambda p: multipletests(p, method=correction)[1])
    return table


def detectable(differences, power=0.8, level=0.95):
    """The smallest difference from the reference that a table of pairs would show.

    With this power, at the first step of Holm's correction, from each interval's width.

    Parameters
    ----------
    differences : table of `paired`

    Returns
    -------
    Series, of the rows of the family "reference"
    """
    rows = differences[differences["family"] == "reference"]
    error = (rows["high"] - rows["low"]) / (2 * stats.norm.ppf((1 + level) / 2))
    first_step = stats.norm.ppf(1 - (1 - level) / (2 * len(rows)))
    return (first_step + stats.norm.ppf(power)) * error


def on_common_people(scores):
    """Truth and ranks of the participants that all models have.

    Parameters
    ----------
    scores : mapping model -> Scores

    Returns
    -------
    (n,) bool, mapping model -> (S, n) ranks
    """
    common = sorted(set.intersection(*(set(s.people) for s in scores.values())))
    first = next(iter(scores.values()))
    if not common:
        raise ValueError("the models share no participant. Compare models that were tested on the "
                         "same cohort.")
    y, ranks = first.y[first.people.get_indexer(common)], {}
    for model, s in scores.items():
        column = s.people.get_indexer(common)
        if s.seeds != first.seeds or (s.y[column] != y).any():
            what = (f"seeds {s.seeds}, others {first.seeds}" if s.seeds != first.seeds else
                    "another truth than others")
            raise ValueError(f"model {model}: has {what}. Paired comparisons need the same seeds "
                             "and classes.")
        ranks[model] = s.ranks[:, column]
    return y, ranks


def inflation(table, clean="clean", level=0.95):
    """What each practice adds to the AUC where nothing can be learnt.

    Parameters
    ----------
    table : one row each of pipeline, repetition, practice, auc
    clean : the practice that the others are measured against, in the same repetition

    Returns
    -------
    table with pipeline, practice, repetitions, auc, low, high (mean and t interval over
    repetitions), over_chance (auc - 0.5), over_clean, over_clean_low, over_clean_high and p of the
    latter (paired t-test, not corrected). The pipeline "all" is the mean, in each repetition, over
    those pipelines that have the practice.

    Raises
    ------
    ValueError
        For a missing column, and for a missing or repeated `clean`.
    """
    missing = [c for c in ("pipeline", "repetition", "practice", "auc") if c not in table]
    if missing:
        raise ValueError(f"the table has no column {missing[0]}; expected pipeline, repetition, "
                         "practice, auc.")
    if table.duplicated(["pipeline", "repetition", "practice"]).any():
        raise ValueError("the table has two rows of one pipeline, repetition and practice. Keep "
                         "one.")
    practices = [*dict.fromkeys(table["practice"])]
    wide = table.pivot(index=["pipeline", "repetition"], columns="practice", values="auc")
    wide = wide[practices]
    if clean not in wide or wide[clean].isna().any():
        raise ValueError(f"practice {clean!r} is missing in some repetition; every inflation is "
                         "measured against it.")
    more = wide.sub(wide[clean], axis=0)
    parts = {p: (wide.loc[p], more.loc[p]) for p in dict.fromkeys(table["pipeline"])}
    parts["all"] = wide.groupby("repetition").mean(), more.groupby("repetition").mean()
    rows = []
    for pipeline, (values, differences) in parts.items():
        for practice in values.columns[values.notna().any()]:
            auc, low, high, _ = intervals.mean_interval(values[practice].dropna(), level)
            over, over_low, over_high, p = intervals.mean_interval(differences[practice].dropna(),
                                                                   level)
            rows.append({"pipeline": pipeline, "practice": practice,
                         "repetitions": int(values[practice].count()), "auc": auc, "low": low,
                         "high": high, "over_chance": auc - 0.5, "over_clean": over,
                         "over_clean_low": over_low, "over_clean_high": over_high, "p": p})
    return pd.DataFrame(rows)


def by_group(predictions, groups, seed=0, resamples=1000, level=0.95):
    """AUC and calibration of every model in groups of participants, and the gaps between groups.

    Measures are means over seeds, of the participants in the group: auc; then, of probabilities
    (`depnb.scores.calibration.recalibrated`), those of calibration. Calibration depends on the
    share of cases, so its intervals draw whole groups, not each class by itself.

    Parameters
    ----------
    predictions : out-of-fold predictions
    groups : Series by participant -> name; who has none (NaN) is left out

    Returns
    -------
    table with model, group, participants, cases, measure, value, low, high; a gap is the row whose
    group reads "first - second" (participants of both)

    Raises
    ------
    ValueError
        Where `out_of_fold` does, for fewer than two groups or folds, or a participant whose group
        is not known.
    """
    rows = []
    for model, s in of_models(predictions).items():
        inside = members(model, s, groups)
        both = {f"{a} - {b}": inside[a] | inside[b] for a, b in combinations(inside, 2)}
        p = calibration.recalibrated(s)

        def auc(weight, s=s):
            return s.auc(weight)[None]

        def calibrated(weight, s=s, p=p):
            return calibration.calibration(s.y, p, weight)

        of_classes = [np.flatnonzero(group & (s.y == case)) for group in inside.values()
                      for case in (1, 0)]
        of_groups = [np.flatnonzero(group) for group in inside.values()]
        for measured, measures, strata in ((auc, MEASURES[:1], of_classes),
                                           (calibrated, MEASURES[1:], of_groups)):
            def with_gaps(weight, measured=measured, inside=inside):    # (measures, groups, ...)
                values = [measured(weight * group) for group in inside.values()]
                return np.stack([*values, *(a - b for a, b in combinations(values, 2))], 1)

            value, low, high = over_people(with_gaps, s.y, strata, seed, resamples, level)
            if measured is auc:
                for g, group in enumerate(inside.values()):
                    low[0, g], high[0, g] = uncollapsed(value[0, g], low[0, g], high[0, g],
                                                        s.y[group], level)
                gaps = (low[0] == high[0]) & (np.arange(len(low[0])) >= len(inside))
                low[0, gaps] = high[0, gaps] = np.nan
            rows += [{"model": model, "group": name, "participants": int(group.sum()),
                      "cases": int((group & s.y).sum()), "measure": measure, "value": value[m, g],
                      "low": low[m, g], "high": high[m, g]}
                     for m, measure in enumerate(measures)
                     for g, (name, group) in enumerate((inside | both).items())]
    return pd.DataFrame(rows)


def uncollapsed(auc, low, high, y, level=0.95):
    """Interval of an AUC of participants y (n,) bool: where no draw differs, that of `separated`.

    Returns
    -------
    low, high
    """
    return (low, high) if low != high else intervals.separated(float(auc), y.sum(), (~y).sum(),
                                                              level)


def members(model, s, groups):
    """Who of a model's participants is in which group -> mapping name -> (n,) bool."""
    unknown = s.people.difference(groups.index)
    if len(unknown):
        raise ValueError(f"model {model}: {len(unknown)} participants have no entry in groups. Add "
                         "them, or NaN.")
    group = groups.reindex(s.people).to_numpy(object)
    names = sorted(pd.unique(group[pd.notna(group)]))
    if len(names) < 2:
        raise ValueError(f"groups: {len(names)} among the participants of model {model}; expected "
                         "two or more.")
    return {name: group == name for name in names}


def with_the_lost(answers, people):
    """Rows of one model under one damage, and a row with the mean answer for who has none any more.

    Parameters
    ----------
    answers : table with participant and y_pred, what else it says being the same in all rows
    people : ids of everyone
    """
    lost = pd.Index(people).difference(answers["participant"])
    if lost.empty:
        return answers
    same = answers.drop(columns=["participant", "y_pred"]).iloc[0].to_dict()
    added = pd.DataFrame({**same, "participant": lost, "y_pred": answers["y_pred"].mean()})
    return pd.concat([answers, added], ignore_index=True)


def dose_response(table, seed=0, resamples=2000, level=0.95):
    """AUC of every model under every kind and dose of damage.

    Parameters
    ----------
    table : out-of-fold predictions with the further columns kind and dose

    Returns
    -------
    table with model, kind, dose, auc, low, high, change, change_low, change_high: the difference to
    the lowest dose of the same model and kind, on the same participants

    Raises
    ------
    ValueError
        Where `out_of_fold` does, and when doses have other participants or seeds.
    """
    rows = []
    for (model, kind), part in table.groupby(["model", "kind"], sort=False):
        scores = of_models(part.sort_values("dose", kind="stable"), by="dose")
        least = next(iter(scores.values()))
        for dose, s in scores.items():
            if not s.people.equals(least.people) or s.seeds != least.seeds:
                raise ValueError(f"model {model}, {kind} {dose:g}: has other participants or seeds "
                                 "than the lowest dose. Predict the same ones at every dose.")

            def with_change(weight, s=s, least=least):
                auc = s.auc(weight)
                return np.stack([auc, auc - least.auc(weight)])

            value, low, high = over_people(with_change, s.y, None, seed, resamples, level)
            low[0], high[0] = uncollapsed(value[0], low[0], high[0], s.y, level)
            if low[1] == high[1] and (s.ranks != least.ranks).any():
                low[1] = high[1] = np.nan
            rows.append({"model": model, "kind": kind, "dose": dose, "auc": value[0],
                         "low": low[0], "high": high[0], "change": value[1], "change_low": low[1],
                         "change_high": high[1]})
    return pd.DataFrame(rows)
