"""Statistics for comparing models on one cohort: tables in, tables out.

A table of out-of-fold predictions has the columns model, seed, fold, participant, y_true (0 or 1) and y_pred: any number
that grows with the class, on any scale; every participant stands in one test fold of every seed, in one row or several (of
recordings, windows), which are averaged. Scores of different folds come from different networks, so they are replaced by
their ranks within fold and seed, (rank - 0.5) / n, before they are pooled. The AUC of a model is the mean over its seeds of
the pooled AUC: what one training gives on average, not what an ensemble of them would give.

All intervals come from bootstraps over participants, of each class by itself, since the numbers of cases and controls are
chosen and not drawn; a participant takes the scores of all seeds and models along. BCa (Efron 1987), the percentile interval
where BCa is undefined, NaN with fewer than two participants of a class. They say what other participants would change, not
what other training sets would.
"""

import warnings
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from statsmodels.stats.multitest import multipletests

from depnb.classification import ratio, times_drawn

COLUMNS = ("model", "seed", "fold", "participant", "y_true", "y_pred")
MEASURES = ("auc", "in_the_large", "slope", "calibration_error", "brier")
PENALTY = 0.01          # of a logistic line's coefficients: finite where the classes separate


class Scores(NamedTuple):
    """Out-of-fold scores of one model: n participants, S seeds."""

    people: pd.Index    # (n,)
    y: np.ndarray       # (n,) bool
    seeds: list
    raw: np.ndarray     # (S, n)
    ranks: np.ndarray   # (S, n), within fold and seed, between 0 and 1
    folds: np.ndarray   # (S, n)


def out_of_fold(predictions):
    """The rows of one model -> Scores. Raises ValueError for what is missing, twice, not finite or not 0 or 1."""
    missing = [c for c in COLUMNS if c not in predictions]
    if missing:
        raise ValueError(f"predictions have no column {missing[0]}; expected {', '.join(COLUMNS)}.")
    if predictions.empty:
        raise ValueError("predictions hold no row; expected the out-of-fold scores of at least one model.")
    model = predictions["model"].iloc[0]
    if not np.isfinite(predictions["y_pred"].astype(float)).all():
        raise ValueError(f"model {model}: some scores are not finite numbers. Look at its training history.")
    if not predictions["y_true"].isin([0, 1]).all():
        raise ValueError(f"model {model}: y_true holds other values than 0 (control) and 1 (depressed).")
    table = predictions.groupby(["seed", "participant"]).agg(
        y=("y_true", "mean"), raw=("y_pred", "mean"), fold=("fold", "first"), folds=("fold", "nunique"))
    classes = table["y"].groupby("participant").agg(["min", "max"])
    if (table["folds"] > 1).any() or (classes["min"] != classes["max"]).any():
        what = "in two test folds of one seed" if (table["folds"] > 1).any() else "of both classes"
        raise ValueError(f"model {model}: a participant is {what}. Give out-of-fold scores, one class a participant.")
    by_fold = table.groupby(["seed", "fold"])["raw"]
    table["rank"] = (by_fold.rank() - 0.5) / by_fold.transform("size")
    wide = {column: table[column].unstack("seed") for column in ("raw", "rank", "fold")}
    lacking = wide["raw"].isna().any(axis=1)
    if lacking.any():
        raise ValueError(f"model {model}: {int(lacking.sum())} participants have no score in some seed. Predict all in "
                         "every seed, or leave them out.")
    y = classes["max"].reindex(wide["raw"].index).to_numpy() == 1
    return Scores(wide["raw"].index, y, [*wide["raw"]], *(wide[c].to_numpy().T for c in ("raw", "rank", "fold")))


def of_models(predictions, by="model"):
    """Scores of every model, in the order of the table -> dict; by: column or columns that tell what counts as one."""
    return {name: out_of_fold(rows) for name, rows in predictions.groupby(by, sort=False)}


def wins(first, second, y):
    """How often cases, scored by `first`, rank above controls, scored by `second` -> (cases, controls), mean over seeds.

    first, second: (S, n) ranks; ties count half.
    """
    above = first[:, y, None] - second[:, None, ~y]
    return (0.5 * (np.sign(above) + 1)).mean(0)


def auc_of(won, y, weight):
    """AUC of weighted participants. won from `wins`, weight (..., n) -> (...); NaN without one of the classes."""
    cases, controls = weight[..., y], weight[..., ~y]
    return ratio(((cases @ won) * controls).sum(-1), cases.sum(-1) * controls.sum(-1))


def bootstrap(statistic, strata, count, seed=0, resamples=2000, level=0.95):
    """Interval of a statistic of participants -> (low, high) arrays.

    statistic: weights (..., count) -> (...) or (k, ...); strata: lists of participants' numbers, drawn each by itself.
    """
    def value(*drawn, axis=-1):
        return statistic(sum(times_drawn(d, count) for d in drawn))

    ends = np.full((2, *np.shape(statistic(np.ones(count)))), np.nan)
    if min(map(len, strata)) < 2:
        return tuple(ends)
    done = None
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)             # a statistic that does not vary
            done = stats.bootstrap([np.asarray(s) for s in strata], value, n_resamples=0 if done else resamples,
                                   batch=250, vectorized=True, confidence_level=level, method=method,
                                   bootstrap_result=done, rng=np.random.default_rng(seed))
        ends = np.where(np.isfinite(ends), ends, np.stack(done.confidence_interval))
    return tuple(ends)


def classes(y):
    """Numbers of the cases and of the controls: the strata of a bootstrap."""
    return [np.flatnonzero(y), np.flatnonzero(~y)]


def auc_table(predictions, seed=0, resamples=2000, level=0.95):
    """AUC of every model -> table model, participants, cases, seeds, auc, low, high, seed_sd (between seeds).

    Raises ValueError where `out_of_fold` does.
    """
    rows = []
    for model, s in of_models(predictions).items():
        won = wins(s.ranks, s.ranks, s.y)
        low, high = bootstrap(lambda w, s=s, won=won: auc_of(won, s.y, w), classes(s.y), len(s.y), seed, resamples, level)
        each = [auc_of(wins(r[None], r[None], s.y), s.y, np.ones(len(s.y))) for r in s.ranks]
        rows.append({"model": model, "participants": len(s.y), "cases": int(s.y.sum()), "seeds": len(s.seeds),
                     "auc": float(np.mean(each)), "low": float(low), "high": float(high),
                     "seed_sd": float(np.std(each, ddof=1)) if len(each) > 1 else np.nan})
    return pd.DataFrame(rows)


def paired(predictions, reference, correction="holm", seed=0, resamples=2000, permutations=9999, level=0.95):
    """Differences of AUC between models on the same participants, with intervals and corrected p-values.

    -> table family, first, second, participants, difference (of AUC, first less second), low, high, p, p_adjusted. Every
    model against the `reference` is one family of tests, all other pairs (family "others") a second; p-values are corrected
    within each (correction: a method of statsmodels' multipletests). p: two-sided, from swapping the scores of both models,
    all seeds together, within randomly chosen participants. Who lacks a score in one of the models is left out of all
    comparisons.
    Raises ValueError where `out_of_fold` does, for an unknown reference, a single model, other seeds or another truth.
    """
    scores = of_models(predictions)
    if reference not in scores or len(scores) < 2:
        raise ValueError(f"reference {reference!r}: expected one of at least two models, found {', '.join(scores)}.")
    common = sorted(set.intersection(*(set(s.people) for s in scores.values())))
    first = next(iter(scores.values()))
    if not common:
        raise ValueError("the models share no participant. Compare models that were tested on the same cohort.")
    y, ranks = first.y[first.people.get_indexer(common)], {}
    for model, s in scores.items():
        here = s.people.get_indexer(common)
        if s.seeds != first.seeds or (s.y[here] != y).any():
            what = f"seeds {s.seeds}, others {first.seeds}" if s.seeds != first.seeds else "another truth than others"
            raise ValueError(f"model {model}: has {what}. Paired comparisons need the same seeds and classes.")
        ranks[model] = s.ranks[:, here]
    flips = np.random.default_rng(seed).choice([-1.0, 1.0], (permutations, len(y)))
    rows = []
    for one, two in [(m, reference) for m in ranks if m != reference] + [*combinations(
            [m for m in ranks if m != reference], 2)]:
        a, b = ranks[one], ranks[two]
        gain = wins(a, a, y) - wins(b, b, y)
        low, high = bootstrap(lambda w, gain=gain: auc_of(gain, y, w), classes(y), len(y), seed, resamples, level)
        rows.append({"family": "reference" if two == reference else "others", "first": one, "second": two,
                     "participants": len(y), "difference": float(gain.mean()), "low": float(low), "high": float(high),
                     "p": swap_test(a, b, y, flips)})
    table = pd.DataFrame(rows)
    table["p_adjusted"] = table.groupby("family")["p"].transform(lambda p: multipletests(p, method=correction)[1])
    return table


def swap_test(a, b, y, flips):
    """Two-sided p of equal AUCs: the scores a and b, (S, n), swapped within the participants where flips (p, n) are -1.

    Such a swap turns the difference of the AUCs into a sum of signs times constants: nothing is ranked again.
    """
    gain, crossed = wins(a, a, y) - wins(b, b, y), wins(a, b, y) - wins(b, a, y)
    share = np.empty(len(y))
    share[y], share[~y] = (gain + crossed).mean(1) / (2 * y.sum()), (gain - crossed).mean(0) / (2 * (~y).sum())
    return (1 + int((np.abs(flips @ share) >= abs(gain.mean()) - 1e-12).sum())) / (1 + len(flips))


def inflation(table, clean="clean", level=0.95):
    """What each practice adds to the AUC where there is nothing to find.

    table: columns pipeline, repetition, practice, auc; one row each -> table pipeline, practice, repetitions, auc, low, high
    (mean and t interval over repetitions), over_chance (auc - 0.5), over_clean, over_clean_low, over_clean_high (differences
    to `clean` of the same repetition) and p of the latter (paired t-test, not corrected). The pipeline "all" is the mean, in
    each repetition, over those pipelines that have the practice. Raises ValueError for a missing column, and for a missing
    or repeated `clean`.
    """
    missing = [c for c in ("pipeline", "repetition", "practice", "auc") if c not in table]
    if missing:
        raise ValueError(f"the table has no column {missing[0]}; expected pipeline, repetition, practice, auc.")
    if table.duplicated(["pipeline", "repetition", "practice"]).any():
        raise ValueError("the table has two rows of one pipeline, repetition and practice. Keep one.")
    practices = [*dict.fromkeys(table["practice"])]
    wide = table.pivot(index=["pipeline", "repetition"], columns="practice", values="auc")[practices]
    if clean not in wide or wide[clean].isna().any():
        raise ValueError(f"practice {clean!r} is missing in some repetition; every inflation is measured against it.")
    more = wide.sub(wide[clean], axis=0)
    parts = {p: (wide.loc[p], more.loc[p]) for p in dict.fromkeys(table["pipeline"])}
    parts["all"] = wide.groupby("repetition").mean(), more.groupby("repetition").mean()
    rows = []
    for pipeline, (values, differences) in parts.items():
        for practice in values.columns[values.notna().any()]:
            auc, low, high, _ = mean_interval(values[practice].dropna(), level)
            over, over_low, over_high, p = mean_interval(differences[practice].dropna(), level)
            rows.append({"pipeline": pipeline, "practice": practice, "repetitions": int(values[practice].count()),
                         "auc": auc, "low": low, "high": high, "over_chance": auc - 0.5, "over_clean": over,
                         "over_clean_low": over_low, "over_clean_high": over_high, "p": p})
    return pd.DataFrame(rows)


def mean_interval(values, level=0.95):
    """Mean, t interval and two-sided p of the mean being 0 -> (mean, low, high, p); NaN for one value or equal values."""
    mean, error = float(np.mean(values)), float(stats.sem(values)) if len(values) > 1 else 0.0
    if error < 1e-12:
        return mean, np.nan, np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * error
    return mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, len(values) - 1))


def by_group(predictions, groups, seed=0, resamples=1000, level=0.95):
    """AUC and calibration of every model in groups of participants, and the gaps between groups.

    groups: Series by participant -> name; who has none (NaN) is left out. -> table model, group, participants, cases,
    measure, value, low, high. A gap is the row whose group reads "first - second" (participants of both). Measures, means
    over seeds, of the participants in the group: auc; then, of probabilities, those of `calibration`. Probabilities of a
    fold are its scores through a logistic curve that was fitted to the scores of all other folds of the seed. Calibration
    depends on the share of cases, so its intervals draw whole groups, not each class by itself. Raises ValueError where
    `out_of_fold` does, for fewer than two groups or folds, or a participant whose group is not known.
    """
    rows = []
    for model, s in of_models(predictions).items():
        unknown = s.people.difference(groups.index)
        if len(unknown):
            raise ValueError(f"model {model}: {len(unknown)} participants have no entry in groups. Add them, or NaN.")
        group = groups.reindex(s.people).to_numpy(object)
        names = sorted(pd.unique(group[pd.notna(group)]))
        if len(names) < 2:
            raise ValueError(f"groups: {len(names)} among the participants of model {model}; expected two or more.")
        inside = {name: group == name for name in names}
        members = inside | {f"{a} - {b}": inside[a] | inside[b] for a, b in combinations(names, 2)}
        won, p = wins(s.ranks, s.ranks, s.y), recalibrated(s)

        def auc(weight, s=s, won=won):
            return auc_of(won, s.y, weight)[None]

        def calibrated(weight, s=s, p=p):
            return calibration(s.y, p, weight)

        for measure_of, measures, strata in (
                (auc, MEASURES[:1], [np.flatnonzero(here & (s.y == case)) for here in inside.values() for case in (1, 0)]),
                (calibrated, MEASURES[1:], [np.flatnonzero(here) for here in inside.values()])):
            def values(weight, measure_of=measure_of, inside=inside):               # (measures, groups and gaps, ...)
                found = [measure_of(weight * here) for here in inside.values()]
                return np.stack([*found, *(a - b for a, b in combinations(found, 2))], 1)

            value = values(np.ones(len(s.y)))
            low, high = bootstrap(values, strata, len(s.y), seed, resamples, level)
            rows += [{"model": model, "group": name, "participants": int(here.sum()), "cases": int((here & s.y).sum()),
                      "measure": measure, "value": value[m, g], "low": low[m, g], "high": high[m, g]}
                     for m, measure in enumerate(measures) for g, (name, here) in enumerate(members.items())]
    return pd.DataFrame(rows)


def recalibrated(s):
    """Probabilities of every participant by the scores of the other folds, Platt's way. Scores -> (S, n)."""
    found = np.empty(s.raw.shape)
    for number, (raw, folds) in enumerate(zip(s.raw, s.folds, strict=True)):
        if len(set(folds)) < 2:
            raise ValueError(f"seed {s.seeds[number]}: one fold; recalibration needs at least two. Predict out of fold.")
        for fold in set(folds):
            here = folds == fold
            x = (raw - raw[~here].mean()) / max(raw[~here].std(), 1e-9)
            a, b = logistic_line(s.y, x, (~here).astype(float))
            found[number, here] = expit(a + b * x[here])
    return found


def logistic_line(y, x, weight, steps=15):
    """Intercept and slope of the class on x by weighted, weakly penalised maximum likelihood. (..., n) -> (...), (...)."""
    y, x, weight = np.broadcast_arrays(y, x, weight)
    a = b = np.zeros(x.shape[:-1])
    for _ in range(steps):                                                          # Newton
        q = expit(a[..., None] + b[..., None] * x)
        error, spread = weight * (y - q), weight * q * (1 - q)
        da, db = error.sum(-1) - PENALTY * a, (error * x).sum(-1) - PENALTY * b
        aa, ab, bb = spread.sum(-1) + PENALTY, (spread * x).sum(-1), (spread * x**2).sum(-1) + PENALTY
        det = aa * bb - ab**2
        a = a + np.clip((bb * da - ab * db) / det, -2, 2)
        b = b + np.clip((aa * db - ab * da) / det, -2, 2)
    return a, b


def calibration(y, p, weight):
    """Calibration of weighted participants, means over seeds. p (S, n), weight (..., n) -> (4, ...).

    in_the_large: share of cases less mean probability (above 0: risk is underestimated); slope of the class on the logit of
    the probability (below 1: too extreme; meaningless where a model knows nothing); calibration_error: mean distance of the
    probability from the logistic curve with this slope (not from shares in bins, most of which a few dozen participants
    leave empty); brier: mean squared error.
    """
    share, x = ratio(weight, weight.sum(-1, keepdims=True))[..., None, :], logit(np.clip(p, 1e-6, 1 - 1e-6))
    a, b = logistic_line(y, x, weight[..., None, :])
    curve = expit(a[..., None] + b[..., None] * x)
    return np.stack([(share * (y - p)).sum(-1), b, (share * np.abs(p - curve)).sum(-1),
                     (share * (p - y) ** 2).sum(-1)]).mean(-1)


def with_the_lost(found, people):
    """Rows of one model under one damage, and for everyone of people who has none any more a row with the mean answer.

    found: table with the columns participant and y_pred, what else it says being the same in all rows; people: ids.
    """
    lost = pd.Index(people).difference(found["participant"])
    if lost.empty:
        return found
    same = found.drop(columns=["participant", "y_pred"]).iloc[0].to_dict()
    added = pd.DataFrame({**same, "participant": lost, "y_pred": found["y_pred"].mean()})
    return pd.concat([found, added], ignore_index=True)


def dose_response(table, seed=0, resamples=2000, level=0.95):
    """AUC of every model under every kind and dose of damage.

    table: out-of-fold predictions with the further columns kind and dose -> table model, kind, dose, auc, low, high, change,
    change_low, change_high: the difference to the lowest dose of the same model and kind, on the same participants.
    Raises ValueError where `out_of_fold` does, and when doses have other participants or seeds.
    """
    rows = []
    for (model, kind), part in table.groupby(["model", "kind"], sort=False):
        scores = of_models(part.sort_values("dose", kind="stable"), by="dose")
        least = next(iter(scores.values()))
        before = wins(least.ranks, least.ranks, least.y)
        for dose, s in scores.items():
            if not s.people.equals(least.people) or s.seeds != least.seeds:
                raise ValueError(f"model {model}, {kind} {dose:g}: has other participants or seeds than the lowest dose. "
                                 "Predict the same ones at every dose.")
            won = wins(s.ranks, s.ranks, s.y)

            def values(weight, s=s, won=won, before=before):
                return np.stack([auc_of(won, s.y, weight), auc_of(won - before, s.y, weight)])

            value = values(np.ones(len(s.y)))
            low, high = bootstrap(values, classes(s.y), len(s.y), seed, resamples, level)
            rows.append({"model": model, "kind": kind, "dose": dose, "auc": value[0], "low": low[0], "high": high[0],
                         "change": value[1], "change_low": low[1], "change_high": high[1]})
    return pd.DataFrame(rows)
