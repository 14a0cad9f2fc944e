"""Metrics and intervals, per participant unless said otherwise.

A prediction table has one row a recording or session: participant, session, split, y_true, y_pred.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import stats

REGRESSION = ("mae", "rmse", "ccc", "pearson")


@dataclass(frozen=True)
class LabelScale:
    """Scores to network targets and back: target = (score - shift) / unit; decoded scores stay in [low, high]."""

    shift: float
    unit: float
    low: float
    high: float

    @classmethod
    def standardised(cls, train_scores, scale):
        """Targets with mean 0 and standard deviation 1 on the training set: an output of 0 is the mean predictor."""
        return cls(float(np.mean(train_scores)), float(np.std(train_scores)) or 1.0, scale.low, scale.high)

    @classmethod
    def share(cls, scale):
        """Targets as shares of the scale, decoded as the STA-DRN authors do: 63 max(0, output), no upper bound."""
        return cls(0.0, float(scale.high), scale.low, float("inf"))

    def encode(self, scores):
        return (np.asarray(scores, float) - self.shift) / self.unit

    def decode(self, outputs):
        return np.clip(self.shift + self.unit * np.asarray(outputs, float), self.low, self.high)


def outputs_of_clips(model, recordings, batch_size, device="cpu"):
    """The network's output for every clip of every recording -> list of (clips,) arrays.

    recordings: iterable of (clips, C, T, H, W) tensors; clips of several recordings share a forward pass.
    """
    found, waiting, lengths = [], [], []
    model.eval()

    def flush(count):
        batch, rest = torch.cat(waiting).split([count, sum(map(len, waiting)) - count])
        waiting[:] = [rest] if len(rest) else []
        found.append(model(batch.to(device)).float().cpu()[:, 0])

    with torch.inference_mode():
        for clips in recordings:
            lengths.append(len(clips))
            waiting.append(clips)
            while sum(map(len, waiting)) >= batch_size:
                flush(batch_size)
        if waiting:
            flush(sum(map(len, waiting)))
    return [part.numpy() for part in torch.cat(found).split(lengths)]


def read_epoch_logs(folder):
    """Logs published by others: CSV files of epoch, MAE, RMSE, with or without a header -> dict name -> table."""
    logs = {}
    for file in sorted(folder.glob("*.csv")):
        log = pd.read_csv(file, names=["epoch", "mae", "rmse"])
        log = log.apply(pd.to_numeric, errors="coerce").dropna()        # drops the header line
        logs[file.stem.removeprefix("training_log_")] = log.set_index("epoch")
    if not logs:
        raise FileNotFoundError(f"{folder}: no CSV file. Expected logs of epoch, MAE and RMSE; restore them from git.")
    return logs


def per_participant(predictions):
    """One row a participant: mean of truth and prediction over the sessions (and recordings) of each."""
    sessions = predictions.groupby(["participant", "session"], as_index=False, sort=False)[["y_true", "y_pred"]].mean()
    return sessions.groupby("participant", as_index=False, sort=False)[["y_true", "y_pred"]].mean()


def regression(y_true, y_pred):
    """MAE, RMSE, concordance (Lin 1989) and Pearson correlation -> dict; correlations are NaN for a constant."""
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    if y_true.size == 0 or y_true.shape != y_pred.shape:
        raise ValueError(f"truth has shape {y_true.shape}, prediction {y_pred.shape}; expected two equal, non-empty lists.")
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        raise ValueError(f"{int((~np.isfinite(y_pred)).sum())} predictions and {int((~np.isfinite(y_true)).sum())} true "
                         "values are not finite numbers. Look at the training history.")
    error = y_pred - y_true
    covariance = np.mean((y_true - y_true.mean()) * (y_pred - y_pred.mean()))
    spread = y_true.var() + y_pred.var() + (y_true.mean() - y_pred.mean()) ** 2
    deviations = y_true.std() * y_pred.std()
    constant = deviations < 1e-12
    return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean())),
            "ccc": float("nan") if constant else float(2 * covariance / spread),
            "pearson": float("nan") if constant else float(covariance / deviations)}


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


def evaluate_regression(predictions, constant, seed=0):
    """Everything a run reports about one split of a regression -> nested dict of floats, ready for metrics.json.

    predictions: table of one split; constant: what the mean predictor says (the training mean). Per participant:
    metrics with 95 % intervals, the mean predictor's, the improvement (1 - MAE / mean predictor's MAE) with interval
    and permutation p; per recording: the metrics, as the authors report them.
    """
    people = per_participant(predictions)
    truth, guess = people["y_true"].to_numpy(), people["y_pred"].to_numpy()
    always = np.full_like(truth, constant)

    def gain(t, p):
        return 1 - np.abs(p - t).mean() / np.abs(constant - t).mean()

    metrics = regression(truth, guess)
    intervals = {f"{name}_interval": list(interval(people, lambda t, p, name=name: regression(t, p)[name], seed))
                 for name in REGRESSION if np.isfinite(metrics[name])}
    return {"participants": len(people), "recordings": len(predictions), **metrics, **intervals,
            "mean_predictor": regression(truth, always), "improvement": float(gain(truth, guess)),
            "improvement_interval": list(interval(people, gain, seed)),
            "improvement_p": paired_permutation(guess - truth, always - truth, seed),
            "per_recording": regression(predictions["y_true"], predictions["y_pred"]),
            "per_recording_mean_predictor": regression(predictions["y_true"], np.full(len(predictions), constant))}
