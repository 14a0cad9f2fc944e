"""What a model of several modalities does when one of them becomes unreliable.

A batch is a dict of tensors, modality -> (B, ...), and `present` (B, modalities) bool in the order of `modalities`; a model
offers features(**inputs) -> (B, modalities, D), zeros for what is not given, and fuse(features, present) -> logits.
Only the damaged branch is computed again.
"""

import numpy as np
import pandas as pd
import torch
from scipy.stats import mannwhitneyu, t
from sklearn.metrics import roc_auc_score

TIME_AXIS = {"visual": 1, "audio": 2, "text": 1}
KINDS = ("noise", "dropout", "removal")


def damaged(x, modality, kind, strength, spread=1.0, seed=0):
    """One modality made worse. x (B, ...) -> (same shape, kept (B,) bool).

    noise: normal noise of `strength` times spread, the modality's standard deviation; dropout: that share of the frames (or
    sentences) of every window set to zero; removal: that share of the windows lacks the modality (kept is False).
    The same seed damages the same places: what grows with strength is the damage alone. Raises ValueError for a strength
    below 0, or above 1 where it is a share.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: choose {', '.join(KINDS)}.")
    if strength < 0 or (kind != "noise" and strength > 1):
        raise ValueError(f"strength {strength}: expected {'0 or more' if kind == 'noise' else 'a share from 0 to 1'}.")
    random = torch.Generator().manual_seed(seed)
    kept = torch.ones(len(x), dtype=torch.bool)
    if kind == "noise":
        x = x + strength * spread * torch.randn(x.shape, generator=random).to(x)
    elif kind == "dropout":
        axis = TIME_AXIS[modality]
        lost = torch.rand(len(x), x.shape[axis], generator=random) < strength
        shape = [len(x) if i == 0 else x.shape[axis] if i == axis else 1 for i in range(x.ndim)]
        x = x * (~lost).view(shape).to(x)
    else:
        kept = torch.rand(len(x), generator=random) >= strength
    return x, kept


def sweep(model, batches, modalities, decode, strengths, spreads, otherwise, seed=0):
    """Predictions under every kind and strength of damage to every modality -> table modality, kind, strength, y_pred.

    batches: list of batches; decode: logits -> totals (B,); strengths: kind -> list, 0 (undamaged) is always there once a
    modality and kind; spreads: modality -> its standard deviation in training; otherwise: the total that is said of a window
    of which nothing is left, the training mean. y_pred (rows,) array in the order of the batches.
    """
    found = []
    with torch.inference_mode():
        clean = [model.features(**{m: b[m] for m in modalities}) for b in batches]
        whole = np.concatenate([decode(model.fuse(f, b["present"])) for f, b in zip(clean, batches, strict=True)])
        for number, modality in enumerate(modalities):
            for kind in KINDS:
                found.append((modality, kind, 0.0, whole))
                for strength in strengths[kind]:
                    totals = []
                    for part, (features, batch) in enumerate(zip(clean, batches, strict=True)):
                        x, kept = damaged(batch[modality], modality, kind, strength, spreads[modality], seed * 1000 + part)
                        features, present = features.clone(), batch["present"].clone()
                        if kind != "removal":
                            features[:, number] = model.features(**{modality: x})[:, number]
                        present[:, number] &= kept.to(present.device)
                        left = present.any(1)
                        total = np.full(len(left), float(otherwise))
                        if left.any():
                            total[left.cpu().numpy()] = decode(model.fuse(features[left], present[left]))
                        totals.append(total)
                    found.append((modality, kind, float(strength), np.concatenate(totals)))
    return pd.DataFrame(found, columns=["modality", "kind", "strength", "y_pred"])


def reliance(model, batches, modalities, decode):
    """|change of the predicted total| when a modality is taken away -> (rows, modalities); NaN where it was missing."""
    rows = []
    with torch.inference_mode():
        for batch in batches:
            features, present = model.features(**{m: batch[m] for m in modalities}), batch["present"]
            whole = decode(model.fuse(features, present))
            change = np.full((len(whole), len(modalities)), np.nan)
            for number in range(len(modalities)):
                without = present.clone()
                without[:, number] = False
                able = (present[:, number] & without.any(1)).cpu().numpy()
                if able.any():
                    chosen = torch.as_tensor(able, device=features.device)
                    change[able, number] = np.abs(decode(model.fuse(features[chosen], without[chosen])) - whole[able])
            rows.append(change)
    return np.concatenate(rows)


def notices(weights, degraded, modalities):
    """Does a fusion give less weight to the modality that is really worse? -> table, one row a modality.

    weights (sessions, modalities); degraded: list of modality names or None, one a session. auc: how often the weight of
    the modality is lower in a session where it is degraded than in one where nothing is (0.5: chance, 1: always); count:
    degraded sessions; p: one-sided Mann-Whitney test. NaN without such sessions.
    """
    degraded = np.array([d or "" for d in degraded])
    rows = []
    for number, modality in enumerate(modalities):
        known = np.isfinite(weights[:, number])
        worse, fine = known & (degraded == modality), known & (degraded == "")
        row = {"modality": modality, "degraded sessions": int(worse.sum()), "auc": np.nan, "p": np.nan}
        if worse.any() and fine.any():
            value = weights[:, number]
            row["auc"] = float(roc_auc_score(np.r_[np.ones(worse.sum()), np.zeros(fine.sum())],
                                             -np.r_[value[worse], value[fine]]))
            row["p"] = float(mannwhitneyu(value[worse], value[fine], alternative="less").pvalue)
        rows.append(row)
    return pd.DataFrame(rows)


def twin_response(low, high):
    """How a model answers twins that differ in one kind of cue alone.

    low, high (n,): logits of the less and the more depressed twin -> dict pairs; share of pairs in which the more depressed
    twin has the higher logit (ties count half; 0.5 is chance); shift: mean difference over the standard deviation of the
    lower twins' logits, with its 95 % t interval; NaN where those do not differ.
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    share = float(np.mean((high > low) + 0.5 * (high == low)))
    shifts = (high - low) / low.std() if low.std() > 0 else np.full(len(low), np.nan)
    half = t.ppf(0.975, len(low) - 1) * shifts.std(ddof=1) / np.sqrt(len(low))
    return {"pairs": len(low), "share": share, "shift": float(shifts.mean()),
            "shift_interval": [float(shifts.mean() - half), float(shifts.mean() + half)]}


def row_score(values, inside):
    """How well numbers per row tell planted rows from the others of the same session: mean AUC over the sessions.

    values, inside: lists of (T,) numbers and of (T,) bool -> (mean, sessions that have both kinds); NaN where none has.
    """
    found = [roc_auc_score(rows, numbers) for numbers, rows in zip(values, inside, strict=True)
             if 0 < np.sum(rows) < len(rows)]
    return (float(np.mean(found)) if found else float("nan")), len(found)
