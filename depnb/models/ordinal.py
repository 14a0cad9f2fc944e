"""Item scores on a scale of bins: soft labels, losses, decoding.

AAFN (Wei et al. 2022), their utils.py.

Symbols: B windows, h heads (items), R bins (32), K item classes (4: scores 0 to 3).
"""

import torch
import torch.nn.functional as F


def soft_label_table(bins=32, classes=4, width=5.0):
    """Soft labels of all item scores: normal densities around each score's bin.

    Parameters
    ----------
    bins, classes : R, K
    width : standard deviation in bins

    Returns
    -------
    (K, R) float32, rows add up to 1
    """
    centre = torch.arange(classes, dtype=torch.float32) / ((classes - 1) / (bins - 1))
    distance = torch.arange(bins) - centre.double()[:, None]    # (K, R)
    density = torch.exp(-0.5 * (distance / width) ** 2) / (width * (2 * torch.pi) ** 0.5)
    density = density.float()
    return density / density.double().sum(1, keepdim=True).float()


def soft_labels(scores, bins=32, classes=4, width=5.0):
    """Item scores (B, h), whole numbers 0..K-1, -> soft labels (B, h, R), see `soft_label_table`.

    Raises
    ------
    ValueError
        For other scores.
    """
    index = scores.long()
    if (not torch.equal(index.to(scores.dtype), scores) or (index < 0).any()
        or (index >= classes).any()):
        raise ValueError(f"item scores: expected whole numbers from 0 to {classes - 1}.")
    return soft_label_table(bins, classes, width).to(scores.device)[index]


def kl_loss(logits, targets, reduction="released"):
    """Divergence of the predicted from the soft labels, summed over heads.

    Parameters
    ----------
    logits, targets : (B, h, R)
    reduction : "released", mean over windows and bins; "batch", R times that, the mean over windows

    Returns
    -------
    Scalar

    Raises
    ------
    ValueError
        For another reduction.
    """
    total = F.kl_div(F.log_softmax(logits, -1), targets, reduction="sum") / len(logits)
    if reduction == "batch":
        return total
    if reduction == "released":
        return total / logits.shape[-1]
    raise ValueError(f"reduction {reduction!r}: choose released or batch.")


def class_weights(scores, classes=4):
    """1 / count of each class among all items of a batch, 0 where there is none.

    (B, h) -> (K,) float64.
    """
    count = torch.bincount(scores.long().flatten(), minlength=classes).double()  # (B h,) -> (K,)
    return torch.where(count > 0, 1 / count, 0)


def cross_entropy(logits, scores, weight=None, variant="corrected"):
    """Cross-entropy with item scores, mean over windows and heads.

    Parameters
    ----------
    logits : (B, h, K)
    scores : (B, h)
    weight : (K,) of `class_weights`, or None
    variant : "corrected", or "released": of the probabilities in place of the logits
        So that 0.744 is the least it can be for four classes.

    Returns
    -------
    Scalar

    Raises
    ------
    ValueError
        For another variant.
    """
    if variant not in ("corrected", "released"):
        raise ValueError(f"variant {variant!r}: choose corrected or released.")
    outputs = logits.softmax(-1) if variant == "released" else logits
    # Windows and heads are one axis: (B h, K) and (B h,).
    return F.cross_entropy(outputs.flatten(0, 1), scores.long().flatten(),
                           None if weight is None else weight.to(outputs))


def decode(logits, how="corrected", classes=4, width=5.0):
    """Logits (B, h, R) -> item scores (B, h).

    Parameters
    ----------
    logits : (B, h, R)
    how : "corrected", the mean over the bins, not a whole number
        On the scale on which every soft label of `width` is read as its own score (a bell at the
        edge is cut off, so that its mean lies inside). "nearest": the score whose centre is nearest
        to the best bin. "released": the best bin times K / R, rounded down, which does not fit the
        centres of the soft labels.
    classes, width : as for `soft_label_table`

    Raises
    ------
    ValueError
        For another way.
    """
    bins = logits.shape[-1]
    if how == "released":
        return (logits.argmax(-1) * classes / bins).floor()
    if how == "nearest":
        return (logits.argmax(-1) * (classes - 1) / (bins - 1)).round()
    if how != "corrected":
        raise ValueError(f"how {how!r}: choose corrected, nearest or released.")
    place = torch.arange(bins, dtype=logits.dtype, device=logits.device)
    means = soft_label_table(bins, classes, width).to(logits) @ place  # (K,), rising
    mean = logits.softmax(-1) @ place                           # (B, h)
    left = (torch.searchsorted(means, mean.contiguous()) - 1).clamp(0, classes - 2)
    return (left + (mean - means[left]) / (means[left + 1] - means[left])).clamp(0, classes - 1)


def sampler_weights(totals):
    """1 / number of windows with the same PHQ-8 total: how often to draw each, with replacement.

    (n,) -> (n,) float64.
    """
    _, inverse, count = torch.as_tensor(totals).unique(return_inverse=True, return_counts=True)
    return 1 / count[inverse].double()
