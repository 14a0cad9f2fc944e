"""Attributions of every pipeline, scored against what was planted: the same methods and the same score for all.

What is known of a unit: which functionals answer to a moved control of the voice, which pixels of which frames show a cue,
which sentences carry planted words, which seconds of a vlog hold a slow phase or a short event. A method's score is the
share of its mass there over the share of the input (1 is chance); networks with random weights show what the method finds
without having learnt anything (Adebayo et al. 2018).
"""

import numpy as np
import pandas as pd

from depnb import corpora
from depnb.scores import explain

METHODS = ("gradient", "input x gradient", "integrated gradients", "occlusion")
STEPS = 16


def masses(paper, network, inputs, method):
    """|attribution| of one unit to each input in which something is planted -> mapping input -> array shaped as its mask."""
    senses = list(paper.pieces)
    given = tuple(inputs[s].clone().requires_grad_() for s in senses)
    rest = {k: v for k, v in inputs.items() if k not in paper.pieces}

    def run(*x):
        return paper.answer(network, **dict(zip(senses, x, strict=True)),
                      **{k: v.expand(len(x[0]), *v.shape[1:]) for k, v in rest.items()})

    if method == "gradient":
        found = explain.captum.attr.Saliency(run).attribute(given)
    elif method == "input x gradient":
        found = explain.captum.attr.InputXGradient(run).attribute(given)
    elif method == "integrated gradients":
        found = explain.captum.attr.IntegratedGradients(run).attribute(given, n_steps=STEPS)
    else:
        shapes = tuple(paper.pieces.values())
        found = explain.captum.attr.Occlusion(run).attribute(tuple(x.detach() for x in given), shapes, shapes)
    return {s: reduced(a.detach().abs()[0].numpy(), s) for s, a in zip(senses, found, strict=True)}


def reduced(mass, sense):
    """Sum over what a mask does not tell apart: colours of a pixel, numbers of a sentence or a row."""
    return mass if sense == "egemaps" else mass.sum(0) if sense == "clips" else mass.sum(-1)


def score(pipeline, root, networks, prepared, rows, methods=METHODS):
    """Concentration of every method's mass where something is planted -> table network, method, input, row, concentration.

    networks: mapping name -> network; rows: units. NaN where nothing, or everything, of a unit is planted.
    """
    data = corpora.open(pipeline.layout, root / pipeline.layout)
    known = pipeline.planted(data, rows)
    found = []
    for row, masks in zip(rows, known, strict=True):
        inputs = pipeline.inputs(np.array([row]), prepared)
        for kind, network in networks.items():
            for method in methods:
                for sense, mass in masses(pipeline, network.eval(), inputs, method).items():
                    found.append({"network": kind, "method": method, "input": sense, "row": row,
                                  "concentration": explain.concentration(mass, masks[sense])})
    return pd.DataFrame(found)


def of_chapter(folder, metrics):
    """What a chapter's own run found of attributions, gates and routers -> list of rows: what, trained, maybe untrained.

    folder: of the run; metrics: of the run. Concentration (1: chance) where what names no other score.
    """
    found, file = [], folder / "attributions.csv"
    if file.exists():
        own = pd.read_csv(file)
        keys = [c for c in ("method", "sense", "cue") if c in own]
        own["what"] = own[keys].astype(str).agg(", ".join, axis=1) if keys else "sentences left out"
        own = own.pivot_table(index="what", columns="network", values="concentration", sort=False)
        found += [{"what": what, **row} for what, row in own.iterrows()]
    found += [{"what": f"gate notices a bad {gate['modality']} sense (AUC, 0.5: chance)", "trained": gate["auc"]}
              for gate in metrics.get("gate", []) if gate["network"] == "trained"]
    return found + [{"what": f"router, {router['sense']}, {router['cue']} (AUC, 0.5: chance)", "trained": router["auc"]}
                    for router in metrics.get("router", [])]
