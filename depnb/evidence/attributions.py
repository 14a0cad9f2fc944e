"""Attributions of every pipeline, scored against what was planted: the same methods for all.

What is known of a unit: which functionals answer to a moved control of the voice, which pixels of
which frames show a cue, which sentences carry planted words, which seconds of a vlog hold a slow
phase or a short event. A method's score is the share of its mass there over the share of the input
(1 is chance); networks with random weights show what the method finds without having learnt
anything (Adebayo et al. 2018).
"""

import numpy as np
import pandas as pd

from depnb import corpora
from depnb.scores import explain

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
    table with network, method, input, row, concentration; NaN where nothing, or everything, of a
    unit is planted
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
                            "concentration": explain.concentration(mass, masks[sense])}
                           for sense, mass in mass_of.items()]
    return pd.DataFrame(scored)


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
