"""Attributions of every pipeline, scored against what was planted: the same methods for all.

What is known of a unit: which functionals answer to a moved control of the voice, which pixels of
which frames show a cue, which sentences carry planted words, which seconds of a vlog hold a slow
phase or a short event. A method's score is the share of its mass there over the share of the input
(1 is chance); networks with random weights show what the method finds without having learnt
anything (Adebayo et al. 2018). What is compared are networks, each with its mean over recordings:
what one network answers about twelve recordings tells nothing of the next training.
"""

import numpy as np
import pandas as pd
from scipy import stats

from depnb import corpora
from depnb.scores import explain, intervals

METHODS = ("gradient", "input x gradient", "integrated gradients", "occlusion")
STEPS = 16              # of integrated gradients


def masses(paper, network, inputs, method):
    """|attribution| of one unit to each input in which something is planted.

    Parameters
    ----------
    paper : Paper
    network : of this paper
    inputs : mapping of tensors, of one unit
    method : one of METHODS

    Returns
    -------
    mapping input -> array shaped as its mask
    """
    senses = list(paper.pieces)
    explained = tuple(inputs[s].clone().requires_grad_() for s in senses)
    rest = {k: v for k, v in inputs.items() if k not in paper.pieces}

    def run(*x):
        others = {k: v.expand(len(x[0]), *v.shape[1:]) for k, v in rest.items()}
        return paper.answer(network, **dict(zip(senses, x, strict=True)), **others)

    attr = explain.captum.attr
    if method == "gradient":
        mass = attr.Saliency(run).attribute(explained)
    elif method == "input x gradient":
        mass = attr.InputXGradient(run).attribute(explained)
    elif method == "integrated gradients":
        mass = attr.IntegratedGradients(run).attribute(explained, n_steps=STEPS)
    else:
        shapes = tuple(paper.pieces.values())
        mass = attr.Occlusion(run).attribute(tuple(x.detach() for x in explained), shapes, shapes)
    return {s: reduced(a.detach().abs()[0].numpy(), s) for s, a in zip(senses, mass, strict=True)}


def reduced(mass, sense):
    """Sum over what a mask does not tell apart: colours of a pixel, numbers of a row."""
    return mass if sense == "egemaps" else mass.sum(0) if sense == "clips" else mass.sum(-1)


def score(pipeline, root, networks, state, rows, methods=METHODS):
    """Concentration of every method's mass where something is planted.

    Parameters
    ----------
    pipeline : Pipeline
    root : folder of the rendered cohort
    networks : mapping name -> network
    state : of `Paper.prepare`
    rows : units

    Returns
    -------
    table with network, method, input, row, concentration (NaN where nothing, or everything, of a
    unit is planted) and highest, what it could reach
    """
    data = corpora.open(pipeline.layout, root / pipeline.layout)
    asked, units, scored = pipeline.paper, pipeline.units, []
    known = asked.planted(data, units, rows)
    for row, masks in zip(rows, known, strict=True):
        inputs = asked.inputs(units, np.array([row]), state)
        for kind, network in networks.items():
            for method in methods:
                mass_of = masses(asked, network.eval(), inputs, method)
                scored += [{"network": kind, "method": method, "input": sense, "row": row,
                            "concentration": explain.concentration(mass, masks[sense]),
                            "highest": 1 / max(masks[sense].mean(), 1 / masks[sense].size)}
                           for sense, mass in mass_of.items()]
    return pd.DataFrame(scored)


def compared(scores, level=0.95):
    """Trained networks beside random ones, for every model, method and input.

    The unit is the network: its mean over recordings. What is to be expected of the next recording
    of one network is no matter here.

    Parameters
    ----------
    scores : tables of `score` of several networks and models, with the further columns model and
        kind ("trained" or "random")

    Returns
    -------
    table with model, method, input, highest (mean of what a score could reach); trained and random,
    mean over networks, their t intervals (_low, _high) and numbers of networks (_networks); gain,
    the difference of both means, with Welch's interval; beaten, the share of random networks below
    the mean trained one. Networks whose attributions are zero everywhere are not counted.
    """
    counted = scores.dropna(subset="concentration")
    by = ["model", "method", "input"]
    means = counted.groupby([*by, "kind", "network"], sort=False)["concentration"].mean()
    highest = counted.groupby(by)["highest"].mean()
    rows = []
    for key, values in means.groupby(by, sort=False):
        row = dict(zip(by, key, strict=True)) | {"highest": float(highest[key])}
        of = {kind: values[values.index.get_level_values("kind") == kind].to_numpy()
              for kind in ("trained", "random")}
        for kind, numbers in of.items():
            mean, low, high, _ = intervals.mean_interval(numbers, level)
            row |= {kind: mean, f"{kind}_low": low, f"{kind}_high": high,
                    f"{kind}_networks": len(numbers)}
        low = high = np.nan
        if min(map(len, of.values())) > 1:
            welch = stats.ttest_ind(of["trained"], of["random"], equal_var=False)
            low, high = map(float, welch.confidence_interval(level))
        rows.append(row | {"gain": row["trained"] - row["random"], "gain_low": low,
                           "gain_high": high,
                           "beaten": float(np.mean(of["random"] < row["trained"]))
                           if len(of["random"]) else np.nan})
    return pd.DataFrame(rows)


def of_chapter(folder, metrics):
    """What a chapter's own run tells of attributions, gates and routers.

    Parameters
    ----------
    folder : of the run
    metrics : of the run

    Returns
    -------
    list of rows: what, trained, maybe untrained; concentration (1: chance) where `what` names no
    other score
    """
    rows, file = [], folder / "attributions.csv"
    if file.exists():
        own = pd.read_csv(file)
        keys = [c for c in ("method", "sense", "cue") if c in own]
        own["what"] = own[keys].astype(str).agg(", ".join, axis=1) if keys else "sentences left out"
        own = own.pivot_table(index="what", columns="network", values="concentration", sort=False)
        rows += [{"what": what, **row} for what, row in own.iterrows()]
    rows += [{"what": f"gate notices a bad {gate['modality']} sense (AUC, 0.5: chance)",
              "trained": gate["auc"]}
             for gate in metrics.get("gate", []) if gate["network"] == "trained"]
    return rows + [{"what": f"router, {router['sense']}, {router['cue']} (AUC, 0.5: chance)",
                    "trained": router["auc"]} for router in metrics.get("router", [])]
