"""What a model looks at, and whether that is right.

Attributions come from captum; a simulated corpus knows which pixels and frames carry a cue, so that
an attribution can be scored: the share of its mass inside the cue, over the share of the area. 1 is
chance; show an untrained network beside it.
"""

from contextlib import contextmanager
from fnmatch import fnmatch

import captum.attr
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F


@contextmanager
def record(model, *patterns):
    """Collect the outputs of all modules whose name fits a pattern while the model runs.

    with record(model, "layer_1.0.conv2.*.share") as outputs: model(x)

    Yields
    ------
    dict name -> tensor, filled when the model runs

    Raises
    ------
    ValueError
        Where no module has such a name.
    """
    outputs = {}
    hooks = [module.register_forward_hook(
                lambda m, i, out, name=name: outputs.__setitem__(name, out.detach()))
             for name, module in model.named_modules()
             if any(fnmatch(name, pattern) for pattern in patterns)]
    if not hooks:
        raise ValueError(f"no module of {type(model).__name__} is called {' or '.join(patterns)}.")
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def output_of(model, name, **inputs):
    """What the module of that name gives while the model runs on the inputs."""
    with record(model, name) as outputs:
        model(**inputs)
    return outputs[name]


def input_gradient(model, clips):
    """|d score / d pixel|, summed over colours (saliency, Simonyan et al. 2014).

    clips (N, C, T, H, W) -> (N, T, H, W).
    """
    saliency = captum.attr.Saliency(model)
    return saliency.attribute(clips.clone().requires_grad_(), target=0).sum(1).detach()


def occlusion(model, clips, patch=8, frames=None):
    """|change of the score| when a patch is set to the clip's mean colour (Zeiler & Fergus 2014).

    Parameters
    ----------
    clips : (N, C, T, H, W)
    patch : pixels, height and width; patches tile the clip without overlap
    frames : consecutive ones that a patch covers; None: all

    Returns
    -------
    (N, T, H, W)
    """
    window = (clips.shape[1], frames or clips.shape[2], patch, patch)
    baseline = clips.mean((2, 3, 4), keepdim=True).expand_as(clips)
    with torch.inference_mode():
        change = captum.attr.Occlusion(model).attribute(clips, window, window, baseline, target=0,
                                                        perturbations_per_eval=8)
    return change.abs().mean(1)


def layer_attribution(model, clips, layer, method):
    """Grad-CAM (Selvaraju et al. 2017) or |gradient x activation| of a layer, enlarged to the clip.

    Parameters
    ----------
    clips : (N, C, T, H, W)
    layer : a module of the model
    method : grad_cam or gradient_activation

    Returns
    -------
    (N, T, H, W)
    """
    if method == "grad_cam":
        mass = captum.attr.LayerGradCam(model, layer).attribute(clips, target=0,
                                                                relu_attributions=True)
    elif method == "gradient_activation":
        product = captum.attr.LayerGradientXActivation(model, layer).attribute(clips, target=0)
        mass = product.abs().sum(1, keepdim=True)
    else:
        raise ValueError(f"method {method!r}: choose grad_cam or gradient_activation.")
    return F.interpolate(mass.detach(), clips.shape[2:], mode="trilinear",
                         align_corners=False)[:, 0]


def integrated_gradients(model, inputs, steps=64, baselines=None):
    """Integrated gradients (Sundararajan et al. 2017) of a logit.

    Parameters
    ----------
    inputs : list of (B, ...) tensors that `model` takes by position
    baselines : list of tensors like the inputs; without, the mean of the inputs over B

    Returns
    -------
    list of attributions of the same shapes, signed
    """
    inputs = tuple(x.detach() for x in inputs)
    baselines = tuple(baselines or (x.mean(0, keepdim=True).expand_as(x) for x in inputs))
    method = captum.attr.IntegratedGradients(               # a model may ignore one of its inputs
        lambda *all_of: model(*all_of) + 0 * sum(x.flatten(1).sum(1) for x in all_of))
    attributions = method.attribute(inputs, baselines, n_steps=steps, internal_batch_size=512)
    return [a.detach().float() for a in attributions]


def without_each(answer, x):
    """|change of the answer| when one entry along the second axis is set to zero.

    Parameters
    ----------
    answer : x -> (B,) array
    x : (B, n, ...) tensor

    Returns
    -------
    (B, n) array
    """
    with torch.inference_mode():
        before, change = answer(x), []
        for i in range(x.shape[1]):
            lacking = x.clone()
            lacking[:, i] = 0
            change.append(np.abs(answer(lacking) - before))
    return np.stack(change, 1)


def effect_sizes(table, labels):
    """Cohen's d (1988) of each column between rows of label 1 and 0, pooled standard deviation.

    Parameters
    ----------
    table : one row a participant
    labels : Series by the same index

    Returns
    -------
    Series by column
    """
    ones, zeros = table[labels == 1], table[labels == 0]
    pooled = ((len(ones) - 1) * ones.var() + (len(zeros) - 1) * zeros.var()) / (len(table) - 2)
    return (ones.mean() - zeros.mean()) / np.sqrt(pooled).replace(0, np.nan)


def spread_out(names, count):
    """`count` of the names, evenly spread over their order."""
    names = list(names)
    if len(names) <= count:
        return names
    return [names[i * len(names) // count] for i in range(count)]


def score_against_truth(networks, methods, inputs, truths):
    """Concentration of every method's attribution on every cue, for every network and recording.

    Parameters
    ----------
    networks : mapping name -> model
    methods : mapping name -> f(model, clips)
    inputs : mapping recording -> (1, C, T, H, W)
    truths : mapping recording -> {cue: (T, H, W) bool}; the cue "any" is their union

    Returns
    -------
    table with recording, network, method, cue, concentration
    """
    rows = []
    for recording, clips in inputs.items():
        planted = truths[recording]
        cues = {**planted, "any": np.any(list(planted.values()), axis=0)}
        for network, model in networks.items():
            for method, attribute in methods.items():
                mass = attribute(model, clips)[0].numpy()
                rows += [{"recording": recording, "network": network, "method": method, "cue": cue,
                          "concentration": concentration(mass, inside)}
                         for cue, inside in cues.items()]
    return pd.DataFrame(rows)


def concentration(attribution, inside):
    """Share of the attribution's mass inside, over the share of the area inside; 1 is chance.

    Parameters
    ----------
    attribution : (T, H, W), or any other shape, not negative
    inside : bool of the same shape

    Returns
    -------
    float; NaN where nothing or everything is inside or the attribution is zero everywhere
    """
    mass, area = np.asarray(attribution, float), np.asarray(inside).mean()
    if mass.sum() <= 0 or area in (0, 1):
        return float("nan")
    return float(mass[inside].sum() / mass.sum() / area)
