"""Classification: metrics, intervals, tests and curves, per participant unless said otherwise.

A prediction table has one row a recording: participant, session, split, y_true (0 control, 1 depressed) and y_pred, the
probability of 1. Metrics that a sample leaves undefined (ROC AUC of one class, PPV without a positive decision) are NaN.
"""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as library

from depnb.evaluation import interval, paired_permutation

METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "gmean", "mcc", "kappa",
           "roc_auc", "aupr", "average_precision", "brier", "calibration_error")
# The CFRAFN authors' names and order.
RELEASED = {"acc": "accuracy", "ppv": "ppv", "sensitivity": "sensitivity", "f1": "f1", "roc_auc": "roc_auc", "mcc": "mcc",
            "aupr": "aupr", "gmean": "gmean", "kappa": "kappa", "npv": "npv", "specificity": "specificity"}
RELEASED_INTERVALS = ("acc", "ppv", "sensitivity", "specificity", "f1", "roc_auc", "gmean", "kappa", "npv")


def per_participant(predictions):
    """One row a participant: probability averaged over the recordings. Columns participant, y_true, y_pred.

    Who has recordings of both classes (before and after treatment) gets a row for each; the bootstrap keeps them together.
    Raises ValueError where `classification` does.
    """
    checked(predictions["y_true"], predictions["y_pred"])
    return predictions.groupby(["participant", "y_true"], as_index=False, sort=False)["y_pred"].mean()


def classification(y_true, y_pred, threshold=0.5):
    """Every metric of METRICS -> dict of floats. y_true (n,) of 0 and 1, y_pred (n,) probabilities of 1.

    Decisions are y_pred >= threshold. TP, FP, FN, TN count them; sensitivity = TP / (TP + FN), specificity = TN / (TN + FP),
    ppv = TP / (TP + FP), npv = TN / (TN + FN), f1 = 2 TP / (2 TP + FP + FN), gmean = sqrt(sensitivity specificity),
    balanced_accuracy = their mean, mcc (Matthews 1975; 0 when all decisions are alike), kappa (Cohen 1960).
    roc_auc: area under the ROC curve; aupr: trapezoids under the precision-recall curve from (0, 1), as the CFRAFN authors
    compute it; average_precision: steps instead; brier: mean squared error of the probability; calibration_error: mean
    distance of probability and share of ones in 10 equally wide bins, weighted by their size (Naeini et al. 2015).
    Raises ValueError for empty or unequal inputs, other labels, or values that are not probabilities.
    """
    return {name: float(value) for name, value in scores(*checked(y_true, y_pred), threshold).items()}


def checked(y_true, y_pred):
    """Truth and probabilities as float arrays (n,), or one sentence on what is wrong with them."""
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    if y_true.size == 0 or y_true.ndim != 1 or y_true.shape != y_pred.shape:
        raise ValueError(f"truth has shape {y_true.shape}, prediction {y_pred.shape}; expected two equal, non-empty lists.")
    other, outside = y_true[(y_true != 0) & (y_true != 1)], ~((y_pred >= 0) & (y_pred <= 1))
    if other.size:
        raise ValueError(f"truth holds {other[0]:g}; expected 0 (control) and 1 (depressed) only.")
    if outside.any():
        raise ValueError(f"{int(outside.sum())} of {y_pred.size} predictions are not probabilities in 0..1; give the "
                         "sigmoid of the logits, and look at the training history if they are NaN.")
    return y_true, y_pred


def scores(y_true, y_pred, threshold=0.5, weight=1.0):
    """The metrics of `classification` for many samples at once: arrays (..., n) -> dict of arrays (...).

    weight: how often each row counts; a row of weight 0 is as if it were absent.
    """
    y, p, w = np.broadcast_arrays(np.asarray(y_true, float), np.asarray(y_pred, float), np.asarray(weight, float))
    decided = p >= threshold
    tp, fp = (w * y * decided).sum(-1), (w * (1 - y) * decided).sum(-1)
    fn, tn = (w * y * ~decided).sum(-1), (w * (1 - y) * ~decided).sum(-1)
    n, both_classes = tp + fp + fn + tn, (tp + fn > 0) & (fp + tn > 0)
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    true, false = ranked_counts(y, p, w)                                    # (..., n + 1)
    recall, precision = ratio(true, (tp + fn)[..., None]), ratio(true, true + false, 1.0)
    bins = bin_of(p)
    gaps = [np.abs((w * (p - y) * (bins == b)).sum(-1)) for b in range(10)]
    return {
        "accuracy": (tp + tn) / n, "balanced_accuracy": (sensitivity + specificity) / 2, "sensitivity": sensitivity,
        "specificity": specificity, "ppv": ratio(tp, tp + fp), "npv": ratio(tn, tn + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn), "gmean": np.sqrt(sensitivity * specificity),
        "mcc": np.where(both_classes, ratio(tp * tn - fp * fn, spread, 0.0), np.nan),
        "kappa": np.where(both_classes, ratio((tp + tn) / n - chance, 1 - chance), np.nan),
        "roc_auc": ratio(np.trapezoid(true, false), (tp + fn) * (fp + tn)), "aupr": np.trapezoid(precision, recall),
        "average_precision": (np.diff(recall) * precision[..., 1:]).sum(-1),
        "brier": (w * (p - y) ** 2).sum(-1) / n, "calibration_error": sum(gaps) / n}


def bin_of(p):
    """Which of ten bins of width 0.1 a probability falls into: 0 … 9."""
    return np.minimum((10 * p).astype(int), 9)


def ratio(over, under, otherwise=np.nan):
    """over / under, and `otherwise` where there is nothing to divide by."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.full(over.shape, otherwise), where=under > 0)


def ranked_counts(y, p, w):
    """True and false positives when the threshold falls from above all scores to below all: two arrays (..., n + 1).

    Rows of equal score are decided together: each has the counts after the last of them.
    """
    order = np.argsort(-p, axis=-1)
    y, p, w = (np.take_along_axis(a, order, -1) for a in (y, p, w))
    tied = np.concatenate((p[..., 1:] == p[..., :-1], np.zeros_like(p[..., :1], bool)), -1)
    counts = []
    for hits in (w * y, w * (1 - y)):
        total = np.where(tied, np.inf, hits.cumsum(-1))
        total = np.minimum.accumulate(total[..., ::-1], -1)[..., ::-1]
        counts.append(np.concatenate((np.zeros_like(total[..., :1]), total), -1))
    return counts


def majority_predictor(y_true, prevalence):
    """Metrics of always saying the same: probability = share of ones in training, decision = the larger class."""
    return classification(y_true, np.full(len(y_true), float(prevalence)))


def intervals(table, threshold=0.5, seed=0, resamples=2000, level=0.95):
    """Participant-clustered bootstrap intervals of every metric -> dict name -> [low, high].

    All rows of a drawn participant come together, and all metrics see the same draws. BCa (Efron 1987); the percentile
    interval where BCa is undefined (fewer than 8 participants, a metric that hardly varies or hangs on one participant).
    Draws that leave a metric undefined are left out for it; NaN for a single participant, or if no draw is left.
    """
    y_true, y_pred = checked(table["y_true"], table["y_pred"])
    person, people = pd.factorize(table["participant"])
    count = len(people)
    if count < 2:
        return {name: [float("nan")] * 2 for name in METRICS}

    def values(drawn, axis=-1):                                             # (..., drawn), numbers -> (metrics, ...)
        times = times_drawn(drawn, count)[..., person]                      # (..., rows)
        return np.stack([*scores(y_true, y_pred, threshold, times).values()])

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
    return dict(zip(METRICS, ends.T.tolist(), strict=True))


def times_drawn(drawn, count):
    """How often each of `count` participants was drawn. (..., drawn), numbers -> (..., count)."""
    flat = drawn.reshape(-1, drawn.shape[-1])
    first = np.arange(len(flat))[:, None] * count
    return np.bincount((flat + first).ravel(), minlength=len(flat) * count).reshape(*drawn.shape[:-1], count)


def delong(y_true, first, second, level=0.95):
    """Test of two ROC AUCs on the same participants (DeLong 1988, by mid-ranks: Sun & Xu 2014) -> dict of floats.

    y_true (n,) 0/1; first, second (n,) probabilities; rows must be independent: give one a participant. auc_1, auc_2,
    difference, its interval [low, high], z and two-sided p. All but the AUCs are NaN with fewer than two of a class, or
    where different AUCs have no variance.
    """
    y_true, first = checked(y_true, first)
    one, zero = y_true == 1, y_true == 0
    in_ones, in_zeros = [], []                                              # structural components V10 and V01
    for score in (first, checked(y_true, second)[1]):
        rank = stats.rankdata(score)
        in_ones.append((rank[one] - stats.rankdata(score[one])) / max(zero.sum(), 1))
        in_zeros.append(1 - (rank[zero] - stats.rankdata(score[zero])) / max(one.sum(), 1))
    auc = [float(v.mean()) if one.any() and zero.any() else float("nan") for v in in_ones]
    found = {"auc_1": auc[0], "auc_2": auc[1], "difference": auc[0] - auc[1], "interval": [float("nan")] * 2,
             "z": float("nan"), "p": float("nan")}
    if min(one.sum(), zero.sum()) < 2:
        return found
    covariance = np.cov(in_ones) / one.sum() + np.cov(in_zeros) / zero.sum()
    error = float(np.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    if error < 1e-8:                # the same order of participants, or two perfect separations
        return found if auc[0] != auc[1] else found | {"interval": [0.0, 0.0], "z": 0.0, "p": 1.0}
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    z = found["difference"] / error
    return found | {"interval": [found["difference"] - half, found["difference"] + half], "z": z,
                    "p": float(2 * stats.norm.sf(abs(z)))}


def permutation(y_true, first, second, metric, threshold=0.5, seed=0):
    """Two-sided test of any metric: both models' predictions swapped at random within participants -> dict of floats.

    y_true, first, second (n,) as in `delong`, one row a participant; metric: one of METRICS. first, second: its values,
    difference, p; NaN where the metric is undefined, or for a single participant.
    """
    y_true, first = checked(y_true, first)
    second = checked(y_true, second)[1]

    def value(p):
        return scores(y_true, p, threshold)[metric]

    found = {"first": float(value(first)), "second": float(value(second)), "difference": float(value(first) - value(second))}
    if len(y_true) < 2 or np.isnan(found["difference"]):
        return found | {"p": float("nan")}
    test = stats.permutation_test((first, second), lambda a, b, axis: value(a) - value(b), permutation_type="samples",
                                  vectorized=True, n_resamples=9999, batch=max(1, 500_000 // len(y_true)),
                                  rng=np.random.default_rng(seed))
    return found | {"p": float(test.pvalue)}


def curves(table, seed=0, resamples=1000, level=0.95):
    """Points of the ROC, precision-recall and calibration curves -> dict of tables roc, precision_recall, calibration.

    roc: fpr, tpr, threshold (points on a straight line dropped), low and high: pointwise percentile band of tpr from the
    participant-clustered bootstrap; precision_recall: recall, precision, low, high; calibration: one row a bin of width 0.1
    that is not empty: predicted (mean probability), observed (share of ones), rows, low and high: Wilson interval, which
    takes rows as independent. Raises ValueError when the table holds one class only.
    """
    y_true, y_pred = checked(table["y_true"], table["y_pred"])
    if y_true.min() == y_true.max():
        raise ValueError(f"all {y_true.size} rows are of class {y_true[0]:g}; a ROC curve needs both classes.")
    fpr, tpr, threshold = library.roc_curve(y_true, y_pred)
    precision, recall, _ = library.precision_recall_curve(y_true, y_pred)
    roc = pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": threshold})
    pr = pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})
    person, people = pd.factorize(table["participant"])
    drawn = np.random.default_rng(seed).integers(0, len(people), (resamples, len(people)))
    over_fpr, over_recall = [], []
    for times in times_drawn(drawn, len(people)):
        true, false = ranked_counts(y_true, y_pred, times[person].astype(float))
        if true[-1] and false[-1]:
            over_fpr.append(np.interp(roc["fpr"], false / false[-1], true / true[-1]))
            reached = np.searchsorted(true / true[-1], pr["recall"] - 1e-12)
            over_recall.append(ratio(true, true + false, 1.0)[reached])
    for points, band in ((roc, over_fpr), (pr, over_recall)):
        points[["low", "high"]] = np.quantile(band, [(1 - level) / 2, (1 + level) / 2], axis=0).T if band else np.nan
    return {"roc": roc, "precision_recall": pr, "calibration": calibration(y_true, y_pred, level)}


def calibration(y_true, y_pred, level=0.95):
    """The calibration table of `curves`, from (n,) and (n,)."""
    rows = pd.DataFrame({"y": y_true, "p": y_pred}).groupby(bin_of(y_pred))
    found = rows.agg(predicted=("p", "mean"), observed=("y", "mean"), rows=("y", "size"))
    wilson = [stats.binomtest(int(ones), int(n)).proportion_ci(level, "wilson")
              for ones, n in zip(rows["y"].sum(), found["rows"], strict=True)]
    return found.assign(low=[w.low for w in wilson], high=[w.high for w in wilson]).reset_index(drop=True)


def confusion(y_true, y_pred, threshold=0.5):
    """Counts: rows truth (control, depressed), columns decision -> table (2, 2)."""
    y_true, y_pred = checked(y_true, y_pred)
    names = ["control", "depressed"]
    return pd.DataFrame(library.confusion_matrix(y_true, y_pred >= threshold, labels=[0, 1]),
                        pd.Index(names, name="truth"), pd.Index(names, name="decision"))


def evaluate_classification(predictions, prevalence, threshold=0.5, seed=0):
    """Everything a run reports about one split of a classification -> nested dict of floats, ready for metrics.json.

    predictions: table of one split; prevalence: share of ones in training, what the majority predictor goes by. Per
    participant: metrics with 95 % intervals, counts of the confusion matrix, the majority predictor's metrics, the
    improvement (1 - Brier / majority predictor's Brier) with interval and permutation p; per recording: the same metrics
    and intervals, clustered by participant, the majority predictor's, and the intervals of the released formula.
    Raises ValueError where `classification` does, and for a prevalence that is not strictly between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence {prevalence}: expected the share of class 1 in training, above 0 and below 1; train "
                         "on both classes.")
    people = per_participant(predictions)
    truth, guess = people["y_true"].to_numpy(float), people["y_pred"].to_numpy()

    def report(table):
        metrics = classification(table["y_true"], table["y_pred"], threshold)
        ends = intervals(table, threshold, seed)
        return metrics | {f"{name}_interval": ends[name] for name in METRICS if np.isfinite(ends[name]).all()}

    def gain(t, p):
        return 1 - np.mean((p - t) ** 2) / np.mean((prevalence - t) ** 2)

    counts = confusion(truth, guess, threshold).to_numpy().ravel().tolist()
    resampled = released_bootstrap(predictions["y_true"], predictions["y_pred"], threshold)
    released = {RELEASED[name]: list(released_interval(*values)) for name, values in resampled.items()}
    return {"participants": int(people["participant"].nunique()), "recordings": len(predictions), "threshold": threshold,
            **report(people), "confusion": dict(zip(("tn", "fp", "fn", "tp"), counts, strict=True)),
            "majority_predictor": majority_predictor(truth, prevalence), "improvement": float(gain(truth, guess)),
            "improvement_interval": list(interval(people, gain, seed)),
            "improvement_p": paired_permutation((guess - truth) ** 2, (prevalence - truth) ** 2, seed),
            "per_recording": report(predictions),
            "per_recording_majority_predictor": majority_predictor(predictions["y_true"], prevalence),
            "per_recording_released_intervals": released}


def released_metrics(y_true, y_pred, threshold=0.5):
    """The CFRAFN authors' metrics under their names -> dict of floats; 0 where they write 0 for an empty denominator."""
    found = released_names(scores(*checked(y_true, y_pred), threshold))
    return {name: float(value) for name, value in found.items()}


def released_names(found):
    zero = ("ppv", "specificity", "npv", "f1")
    return {name: np.nan_to_num(found[ours]) if name in zero else found[ours] for name, ours in RELEASED.items()}


def released_bootstrap(y_true, y_pred, threshold=0.5, resamples=1000, seed=42):
    """The authors' resamples, of recordings, whoever spoke -> dict name -> (value, values on resamples)."""
    y_true, y_pred = checked(y_true, y_pred)
    random = np.random.RandomState(seed)
    drawn = np.array([random.choice(y_true.size, y_true.size) for _ in range(resamples)])
    whole = released_metrics(y_true, y_pred, threshold)
    found = released_names(scores(y_true[drawn], y_pred[drawn], threshold))
    return {name: (whole[name], found[name]) for name in RELEASED_INTERVALS}


def released_interval(value, resampled, level=0.95):
    """The authors' interval -> (low, high). It is wrong: kept to show the difference to `intervals`.

    Their bias correction takes the share of resamples below the value for its normal quantile: with no bias at all (share
    0.5, quantile 0) the interval runs from the 17th to the 99.8th percentile instead of the 2.5th to the 97.5th.
    """
    known = resampled[np.isfinite(resampled)]
    if not known.size or not np.isfinite(value):
        return float("nan"), float("nan")
    share, z = np.mean(known < value), stats.norm.ppf((1 + level) / 2)
    low, high = np.quantile(known, stats.norm.cdf([2 * share - z, 2 * share + z]))
    return float(low), float(high)


def released_tables(repetitions, threshold=0.5):
    """What the authors' program writes as metrics.csv and metrics_meanstd.csv -> two tables.

    repetitions: mapping split -> list of prediction tables, one a repeated run (theirs is one). Per recording, under their
    names; metrics: one row a split and run; metrics_meanstd: one row a split, <name>_mean and <name>_std (population).
    """
    rows = [{"split": split, "run": run, **released_metrics(t["y_true"], t["y_pred"], threshold)}
            for split, tables in repetitions.items() for run, t in enumerate(tables)]
    metrics = pd.DataFrame(rows, columns=["split", "run", *RELEASED])
    by_split = metrics.groupby("split", sort=False)[[*RELEASED]]
    mean, std = by_split.mean(), by_split.std(ddof=0)
    both = {f"{name}_{kind}": table[name] for name in RELEASED for kind, table in (("mean", mean), ("std", std))}
    return metrics, pd.DataFrame(both).reset_index()
