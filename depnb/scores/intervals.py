"""Intervals by participant-clustered bootstrap, and tests that swap within participants."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from depnb.scores import metrics


def metric_intervals(table, threshold=0.5, seed=0, resamples=2000, level=0.95):
    """Participant-clustered bootstrap intervals of every metric -> dict name -> [low, high].

    All rows of a drawn participant come together, and all metrics see the same draws. BCa (Efron 1987); the percentile
    interval where BCa is undefined (fewer than 8 participants, a metric that hardly varies or hangs on one participant).
    Draws that leave a metric undefined are left out for it; NaN for a single participant, or if no draw is left.
    """
    y_true, y_pred = metrics.checked(table["y_true"], table["y_pred"])
    person, people = pd.factorize(table["participant"])
    count = len(people)
    if count < 2:
        return {name: [float("nan")] * 2 for name in metrics.METRICS}

    def values(drawn, axis=-1):                                             # (..., drawn), numbers -> (metrics, ...)
        times = times_drawn(drawn, count)[..., person]                      # (..., rows)
        return np.stack([*metrics.scores(y_true, y_pred, threshold, times).values()])

    def bootstrap(statistic, method, **more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)                 # a statistic that does not vary
            return stats.bootstrap((np.arange(count),), statistic, vectorized=True, confidence_level=level, method=method,
                                   batch=max(1, 500_000 // len(table)), rng=np.random.default_rng(seed), **more)

    methods = ("BCa", "percentile") if count >= 8 else ("percentile",)
    drawn = bootstrap(values, methods[0], n_resamples=resamples)
    ends = np.stack(drawn.confidence_interval)                              # (2, metrics)
    for i in np.flatnonzero(~np.isfinite(ends).all(0)):
        known = drawn.bootstrap_distribution[i]
        known = replace(drawn, bootstrap_distribution=known[np.isfinite(known)])
        for method in methods if len(known.bootstrap_distribution) else ():
            ends[:, i] = bootstrap(lambda d, axis, i=i: values(d)[i], method, n_resamples=0,
                                   bootstrap_result=known).confidence_interval
            if np.isfinite(ends[:, i]).all():
                break
    return dict(zip(metrics.METRICS, ends.T.tolist(), strict=True))


def times_drawn(drawn, count):
    """How often each of `count` participants was drawn. (..., drawn), numbers -> (..., count)."""
    flat = drawn.reshape(-1, drawn.shape[-1])
    first = np.arange(len(flat))[:, None] * count
    return np.bincount((flat + first).ravel(), minlength=len(flat) * count).reshape(*drawn.shape[:-1], count)


def interval(table, metric, seed=0, resamples=2000, level=0.95):
    """Participant-clustered bootstrap interval of metric(y_true, y_pred) -> (low, high).

    All rows of a drawn participant come together. BCa (Efron 1987); the percentile interval where BCa is undefined
    (fewer than 8 participants, or a metric that hardly varies); NaN for a single participant.
    """
    groups = [g[["y_true", "y_pred"]].to_numpy() for _, g in table.groupby("participant", sort=False)]
    if len(groups) < 2:
        return float("nan"), float("nan")

    def statistic(drawn):
        rows = np.concatenate([groups[i] for i in drawn])
        return metric(rows[:, 0], rows[:, 1])

    for method in ("BCa", "percentile") if len(groups) >= 8 else ("percentile",):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)         # a statistic that does not vary
            found = stats.bootstrap((np.arange(len(groups)),), statistic, n_resamples=resamples, confidence_level=level,
                                    method=method, vectorized=False, rng=np.random.default_rng(seed)).confidence_interval
        if np.isfinite(found).all():
            break
    return float(found.low), float(found.high)


def paired_permutation(errors_a, errors_b, seed=0):
    """Two-sided p of equal mean absolute error, participants' errors swapped at random.

    (n,), (n,) -> float; NaN for a single participant.
    """
    if len(errors_a) < 2:
        return float("nan")
    test = stats.permutation_test((np.abs(errors_a), np.abs(errors_b)), lambda a, b, axis: np.mean(a - b, axis=axis),
                                  permutation_type="samples", vectorized=True, n_resamples=9999,
                                  rng=np.random.default_rng(seed))
    return float(test.pvalue)


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


def mean_interval(values, level=0.95):
    """Mean, t interval and two-sided p of the mean being 0 -> (mean, low, high, p); NaN for one value or equal values."""
    mean, error = float(np.mean(values)), float(stats.sem(values)) if len(values) > 1 else 0.0
    if error < 1e-12:
        return mean, np.nan, np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * error
    return mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, len(values) - 1))
