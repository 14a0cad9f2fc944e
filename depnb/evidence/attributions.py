"""Attributions of every pipeline, scored against what was planted: the same methods and the same score for all.

What is known of a unit: which functionals answer to a moved control of the voice, which pixels of which frames show a cue,
which sentences carry planted words, which seconds of a vlog hold a slow phase or a short event. A method's score is the
share of its mass there over the share of the input (1 is chance); networks with random weights show what the method finds
without having learnt anything (Adebayo et al. 2018).
"""

import captum.attr
import numpy as np
import pandas as pd
import torch

from depnb import corpora
from depnb.features import face, speech, windowing
from depnb.papers.sta_drn import region
from depnb.scores import explain

METHODS = ("gradient", "input x gradient", "integrated gradients", "occlusion")
STEPS = 16


def voice(pipeline, data, rows):
    """Functionals of eGeMAPS that answer to any moved control."""
    moved = {name for control in data.truth["controls"].values() for name in control["egemaps"]}
    return [{"egemaps": np.isin(speech.egemaps_names(), list(moved))} for _ in rows]


def faces(pipeline, data, rows):
    """Pixels near the landmarks of a cue, in the frames in which it is shown."""
    found = []
    for row in rows:
        recording, shown = pipeline.table["recording"][row], pipeline.shown(row)
        track = pipeline.tracks[recording]
        landmarks = face.to_crop(track["landmarks"], track["alignment"])[shown]
        events = data.cue_frames(recording, track["frame"][shown])
        found.append({"clips": np.any([region(landmarks, data.truth["cue_regions"][cue], pipeline.p.image_size)
                                       & on[:, None, None] for cue, on in events.items() if cue != "head"], axis=0)})
    return found


def sentences(pipeline, data, rows):
    """Sentences of a window that carry planted words."""
    found = []
    for row in rows:
        session, centre = pipeline.pieces.table["session"][row], pipeline.pieces.table["centre"][row]
        turns = pd.DataFrame(data.truth["sessions"][session]["turns"])
        span = pipeline.pieces.sessions[session].get("span", np.empty((0, 2)))
        first = windowing.nearest_sentences(span, [centre])[0] if len(span) else 0
        marks = [bool(turns.loc[(turns["start"] - begin).abs().idxmin(), "carries"])
                 for begin in span[first:first + windowing.SENTENCES, 0]]
        found.append({"text": np.array(marks + [False] * (windowing.SENTENCES - len(marks)), bool)})
    return found


def seconds(pipeline, data, rows):
    """Rows of a vlog in a slow phase or a short event, by sense."""
    found = []
    for row in rows:
        cues, rows_there = data.cue_rows(pipeline.table["recording"][row]), len(pipeline.vlogs[row]["visual"])
        found.append({given: np.any([planted[sense][:rows_there] for planted in cues.values()], axis=0)
                      for given, sense in (("audio", "acoustic"), ("visual", "visual"))})
    return found


# pipeline -> where something is planted, what is occluded at once (shape without the batch), answer of the network
KNOWN = {"cfrafn": (voice, {"egemaps": (1,)}, lambda net, **x: net(**x)),
         "sta_drn": (faces, {"clips": (3, 4, 12, 12)}, lambda net, clips: net(clips)[:, 0]),
         "aafn": (sentences, {"text": (1, 512)}, lambda net, **x: expected_total(net(**x))),
         "dynmultidep": (seconds, {"audio": (10, 25), "visual": (10, 136)}, lambda net, **x: net(**x))}


def expected_total(logits):
    """Expected sum of the items, differentiable. (B, 8, bins) -> (B,)."""
    return (logits.softmax(-1) * torch.linspace(0, 3, logits.shape[-1])).sum((1, 2))


def masses(name, network, inputs, method):
    """|attribution| of one unit to each input in which something is planted -> mapping input -> array shaped as its mask."""
    _, windows, answer = KNOWN[name]
    senses = list(windows)
    given = tuple(inputs[s].clone().requires_grad_() for s in senses)
    rest = {k: v for k, v in inputs.items() if k not in windows}

    def run(*x):
        return answer(network, **dict(zip(senses, x, strict=True)),
                      **{k: v.expand(len(x[0]), *v.shape[1:]) for k, v in rest.items()})

    if method == "gradient":
        found = captum.attr.Saliency(run).attribute(given)
    elif method == "input x gradient":
        found = captum.attr.InputXGradient(run).attribute(given)
    elif method == "integrated gradients":
        found = captum.attr.IntegratedGradients(run).attribute(given, n_steps=STEPS)
    else:
        shapes = tuple(windows.values())
        found = captum.attr.Occlusion(run).attribute(tuple(x.detach() for x in given), shapes, shapes)
    return {s: reduced(a.detach().abs()[0].numpy(), s) for s, a in zip(senses, found, strict=True)}


def reduced(mass, sense):
    """Sum over what a mask does not tell apart: colours of a pixel, numbers of a sentence or a row."""
    return mass if sense == "egemaps" else mass.sum(0) if sense == "clips" else mass.sum(-1)


def score(pipeline, root, networks, prepared, rows, methods=METHODS):
    """Concentration of every method's mass where something is planted -> table network, method, input, row, concentration.

    networks: mapping name -> network; rows: units. NaN where nothing, or everything, of a unit is planted.
    """
    data = corpora.open(pipeline.layout, root / pipeline.layout)
    known = KNOWN[pipeline.name][0](pipeline, data, rows)
    found = []
    for row, masks in zip(rows, known, strict=True):
        inputs = pipeline.inputs(np.array([row]), prepared)
        for kind, network in networks.items():
            for method in methods:
                for sense, mass in masses(pipeline.name, network.eval(), inputs, method).items():
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
