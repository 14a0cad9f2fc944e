"""What a model of several modalities answers when one of them becomes unreliable.

A batch is a dict of tensors, modality -> (B, ...), and `present` (B, modalities) bool in the order
of `modalities`; a model offers features(**inputs) -> (B, modalities, D), zeros for what is not
given, and fuse(features, present) -> logits. Only the damaged branch is computed again.
"""

import numpy as np
import pandas as pd
import torch

from depnb.features import damage

TIME_AXIS = {"visual": 1, "audio": 2, "text": 1}


def sweep(model, batches, modalities, decode, spreads, otherwise, seed=0):
    """Predictions under every kind and level of damage to every modality.

    Parameters
    ----------
    batches : list of batches
    decode : logits -> totals (B,)
    spreads : modality -> its standard deviation in training
    otherwise : the total that is said of a window of which nothing is left, the training mean

    Returns
    -------
    table with modality, kind, strength (0: undamaged, once a modality and kind) and y_pred, a
    (rows,) array in the order of the batches
    """
    rows = []
    with torch.inference_mode():
        clean = [model.features(**{m: b[m] for m in modalities}) for b in batches]
        undamaged = np.concatenate([decode(model.fuse(features, batch["present"]))
                                    for features, batch in zip(clean, batches, strict=True)])
        for number, modality in enumerate(modalities):
            for kind in damage.OF_BATCHES:
                rows.append((modality, kind, 0.0, undamaged))
                for level, strength in enumerate(damage.LEVELS["rows"][kind], 1):
                    totals = []
                    for part, (features, batch) in enumerate(zip(clean, batches, strict=True)):
                        worse, left = damage.batch(batch[modality], kind, level,
                                                   TIME_AXIS[modality], spreads[modality],
                                                   seed * 1000 + part)
                        features, present = features.clone(), batch["present"].clone()
                        if kind != "missing":
                            features[:, number] = model.features(**{modality: worse})[:, number]
                        present[:, number] &= left.to(present.device)
                        totals.append(totals_of(model, decode, features, present, otherwise))
                    rows.append((modality, kind, float(strength), np.concatenate(totals)))
    return pd.DataFrame(rows, columns=["modality", "kind", "strength", "y_pred"])


def totals_of(model, decode, features, present, otherwise):
    """Totals (B,) of a batch, `otherwise` where no modality is present."""
    some = present.any(1)
    totals = np.full(len(some), float(otherwise))
    if some.any():
        totals[some.cpu().numpy()] = decode(model.fuse(features[some], present[some]))
    return totals


def reliance(model, batches, modalities, decode):
    """|change of the predicted total| when a modality is taken away.

    Returns
    -------
    (rows, modalities) array; NaN where the modality was missing, or the only one
    """
    rows = []
    with torch.inference_mode():
        for batch in batches:
            features = model.features(**{m: batch[m] for m in modalities})
            present = batch["present"]
            totals = decode(model.fuse(features, present))
            change = np.full((len(totals), len(modalities)), np.nan)
            for number in range(len(modalities)):
                without = present.clone()
                without[:, number] = False
                able = (present[:, number] & without.any(1)).cpu().numpy()
                if able.any():
                    chosen = torch.as_tensor(able, device=features.device)
                    lacking = decode(model.fuse(features[chosen], without[chosen]))
                    change[able, number] = np.abs(lacking - totals[able])
            rows.append(change)
    return np.concatenate(rows)
