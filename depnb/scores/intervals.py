"""Intervals by participant-clustered bootstrap, and tests that swap within participants."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from depnb.scores import metrics

FEWEST_FOR_BCA = 8              # participants, below which the interval is the percentile one
DRAWS_AT_ONCE = 250             # bounds the memory, not the numbers


def bootstrap(statistic, strata, seed=0, resamples=2000, level=0.95,
              methods=("BCa", "percentile"), leave_out=True):
    """Interval of a statistic of participants, who are drawn with replacement.

    All numbers of a statistic see the same draws. BCa (Efron 1987); the percentile interval where
    BCa is undefined: with fewer than 8 participants, or for a number that hardly varies or hangs on
    one participant.

    Parameters
    ----------
    statistic : numbers of drawn participants (..., n) -> (...) or (k, ...)
    strata : lists of participants' numbers, drawn each by itself
    methods : of scipy.stats.bootstrap, the first that is defined counts
    leave_out : whether draws that leave a number undefined (an AUC of one class) are left out for
        it; else it has no interval then

    Returns
    -------
    low, high : arrays of the statistic's shape; NaN with fewer than two participants in a stratum,
        or if no draw is left
    """
    shape = np.shape(statistic(np.concatenate(strata)))
    ends = np.full((2, int(np.prod(shape))), np.nan)
    if min(map(len, strata)) < 2:
        return tuple(ends.reshape(2, *shape))
    if sum(map(len, strata)) < FEWEST_FOR_BCA:
        methods = methods[-1:]

    def values(*drawn, axis=-1):                                        # -> (numbers, ...)
        before = np.broadcast_shapes(*(d.shape[:-1] for d in drawn))
        drawn = [np.broadcast_to(d, (*before, d.shape[-1])) for d in drawn]
        return np.reshape(statistic(np.concatenate(drawn, -1)), (-1, *before))

    def run(of, method, **more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)             # a number does not vary
            return stats.bootstrap([np.asarray(s) for s in strata], of, vectorized=True,
                                   batch=DRAWS_AT_ONCE, confidence_level=level, method=method,
                                   rng=np.random.default_rng(seed), **more)

    drawn = run(values, methods[0], n_resamples=resamples)
    ends = np.stack(drawn.confidence_interval)                          # (2, numbers)
    for i in np.flatnonzero(~np.isfinite(ends).all(0)):
        numbers = drawn.bootstrap_distribution[i]
        numbers = numbers[np.isfinite(numbers)] if leave_out else numbers
        for method in methods if len(numbers) else ():
            ends[:, i] = run(lambda *d, axis=-1, i=i: values(*d)[i], method, n_resamples=0,
                             bootstrap_result=replace(drawn, bootstrap_distribution=numbers)
                             ).confidence_interval
            if np.isfinite(ends[:, i]).all():
                break
    return tuple(ends.reshape(2, *shape))


def weighted(statistic, count):
    """A statistic for `bootstrap` from one of weights.

    Parameters
    ----------
    statistic : weights (..., count) of participants -> (...) or (k, ...)
    count : of participants
    """
    return lambda drawn: statistic(times_drawn(drawn, count))


def times_drawn(drawn, count):
    """How often each of `count` participants was drawn. (..., drawn), numbers -> (..., count)."""
    flat = drawn.reshape(-1, drawn.shape[-1])
    first = np.arange(len(flat))[:, None] * count
    times = np.bincount((flat + first).ravel(), minlength=len(flat) * count)
    return times.reshape(*drawn.shape[:-1], count)


def metric_intervals(table, threshold=0.5, seed=0, resamples=2000, level=0.95):
    """Interval of every metric of a classification; all rows of a drawn participant come together.

    Where no draw differs from the sample, as where all are right, a bootstrap has nothing to say:
    the AUC has the interval of `separated` then, a share of participants that of `clopper_pearson`,
    and any other metric none (NaN).

    Returns
    -------
    dict name -> [low, high]
    """
    y_true, y_pred = metrics.checked(table["y_true"], table["y_pred"])
    person, people = pd.factorize(table["participant"])

    def values(times):
        return np.stack([*metrics.scores(y_true, y_pred, threshold, times[..., person]).values()])

    ends = bootstrap(weighted(values, len(people)), [np.arange(len(people))], seed, resamples,
                     level)
    ends = dict(zip(metrics.METRICS, np.transpose(ends).tolist(), strict=True))
    decided = y_pred >= threshold
    counted = {"accuracy": np.ones(len(y_true), bool), "sensitivity": y_true == 1,
               "specificity": y_true == 0, "ppv": decided, "npv": ~decided}
    counted = {name: len(np.unique(person[rows])) for name, rows in counted.items()}
    for name, (low, high) in ends.items():
        if low != high:                                     # NaN too
            continue
        if name == "roc_auc":
            ends[name] = separated(low, counted["sensitivity"], counted["specificity"], level)
        else:
            ends[name] = clopper_pearson(low, counted.get(name, 0), level)
    return ends


def separated(auc, cases, controls, level=0.95):
    """Interval of an AUC of 0 or 1, where every case ranks on one side of every control.

    A score interval: the AUCs whose own standard error (Hanley & McNeil 1982, with the mean of both
    numbers of participants) reaches as far as the sample's AUC; method 5 of Newcombe (2006).

    Returns
    -------
    [low, high]; of any other AUC, as a constant's, that AUC twice
    """
    if auc not in (0, 1):
        return [auc, auc]
    z, mean = stats.norm.ppf((1 + level) / 2), (cases + controls) / 2

    def beyond(t):              # (1 - t)^2 less z^2 times the variance, over 1 - t
        more = (mean - 1) * ((1 - t) / (2 - t) + t / (1 + t))
        return (1 - t) - z**2 * t * (1 + more) / (cases * controls)

    low = float(optimize.brentq(beyond, 0, 1))
    return [low, 1.0] if auc == 1 else [0.0, 1 - low]


def clopper_pearson(share, count, level=0.95):
    """Exact interval of a share of `count` participants (Clopper & Pearson 1934).

    Returns
    -------
    [low, high]; NaN of nobody
    """
    if not count:
        return [np.nan, np.nan]
    hits, tail = share * count, (1 - level) / 2
    low = stats.beta.ppf(tail, hits, count - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, count - hits) if hits < count else 1.0
    return [float(low), float(high)]


def interval(table, metric, seed=0, resamples=2000, level=0.95):
    """Interval of a metric that every draw should define; a drawn participant's rows come together.

    Parameters
    ----------
    table : with participant, y_true and y_pred
    metric : y_true (n,), y_pred (n,) -> float or (k,)

    Returns
    -------
    low, high : arrays of the metric's shape
    """
    rows = [g[["y_true", "y_pred"]].to_numpy() for _, g in table.groupby("participant", sort=False)]

    def values(drawn):
        of = [metric(*np.concatenate([rows[i] for i in draw]).T)
              for draw in drawn.reshape(-1, drawn.shape[-1])]
        # (k, draws) in one piece: the order of a sum decides its last bit.
        of = np.ascontiguousarray(np.moveaxis(np.array(of), 0, -1))
        return np.reshape(of, (*of.shape[:-1], *drawn.shape[:-1]))

    return bootstrap(values, [np.arange(len(rows))], seed, resamples, level, leave_out=False)


def paired_permutation(errors_a, errors_b, seed=0):
    """Two-sided p of equal mean absolute error, participants' errors swapped at random.

    Parameters
    ----------
    errors_a, errors_b : (n,), of two models on the same participants

    Returns
    -------
    float; NaN for a single participant
    """
    if len(errors_a) < 2:
        return float("nan")
    test = stats.permutation_test(
        (np.abs(errors_a), np.abs(errors_b)), lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=9999,
        rng=np.random.default_rng(seed))
    return float(test.pvalue)


def mean_interval(values, level=0.95):
    """Mean, its t interval, and the two-sided p of its being 0 (Student 1908).

    Returns
    -------
    mean, low, high, p : floats; all but the mean NaN for one value or equal values, all of none
    """
    values = np.asarray(values, float)
    if not len(values):
        return (np.nan,) * 4
    count, mean = len(values), float(values.mean())
    spread = float(values.std(ddof=1)) if count > 1 else 0.0
    error = spread / np.sqrt(count)                                     # standard error of the mean
    if error < 1e-12:
        return mean, np.nan, np.nan, np.nan
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * spread / np.sqrt(count))
    return mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, count - 1))
