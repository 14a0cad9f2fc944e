"""An authors' file of weights as it comes -> our model, and what is known of the file.

Sizes are read from the weights; what these cannot show is chosen under the names of the notebooks'
parameters. `depnb.papers.authors` says when a notebook reads such a file.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from depnb.features import importance, speech
from depnb.models import reference
from depnb.models.aafn import MODALITIES
from depnb.models.pickles import file_bytes, unpickled

FORMATS = {         # paper -> its title, whose format, and an entry that only its files have
    "sta_drn": ("STA-DRN", "state dictionary as of divertingPan/STA-DRN", "conv_1.weight"),
    "cfrafn": ("CFRAFN", "state dictionary as of Sook13/CFRAFN", "eGeMAPS_transform.weight"),
    "aafn": ("AAFN", "networks as of PingCheng-Wei/DepressionEstimation", "evaluator"),
    "dynmultidep": ("DynMultiDep", "state dictionary as of 3166074787/DynMultiDep at 5fd29e3",
                    "mm_encoder.layers.0.mamba.A_log")}
CHOICES = {         # what weights cannot show, under the names of the notebooks' parameters
    "sta_drn": ("variant",), "cfrafn": ("alignment", "importances", "gate_temperature"),
    "aafn": ("fusion",), "dynmultidep": ("gate", "temperature", "mask")}


def read_model(paper, path, inputs=None, **choices):
    """Our model with the weights of an authors' file as it comes, and what is known of the file.

    Sizes are those of the weights. What weights cannot show is given by CHOICES, under the names of
    the notebooks' parameters; a choice that the file does show is ignored.

    Parameters
    ----------
    paper : one of FORMATS
    path : what `torch.save` wrote: a state dictionary, or (AAFN) one for each network; keys with or
        without `module.`
    inputs : mapping of arguments of our class to the numbers that the features at hand ask for, as
        {"egemaps_features": 88}
    variant : sta_drn, needed if the file has one attention branch: temporal or spatial
    alignment, importances, gate_temperature : cfrafn, see `depnb.features.importance`; importances
        is the path of the authors' list
    fusion : aafn, needed if features are combined element by element: one of
        `depnb.models.reference.aafn.ELEMENTWISE`
    gate, temperature, mask : dynmultidep; gate is hard or soft, mask is right (padding takes no
        part) or released

    Returns
    -------
    model : in eval mode, called as `depnb.models.reference.load` says
    facts : dict of plain values: file (its name), sha256, format, sizes (arguments of our class),
        chosen (the choices that were needed), stored (numbers that lie beside the weights)

    Raises
    ------
    FileNotFoundError, ValueError
        In one sentence that names the file: there is none, it holds something else or another
        model, its network asks for other `inputs`, or a choice is needed.
    """
    if paper not in FORMATS:
        raise ValueError(f"paper {paper!r}: choose one of {', '.join(FORMATS)}.")
    title, origin, _ = FORMATS[paper]
    data = file_bytes(path)
    content = unpickled(path, data)
    state = state_of(paper, path, content)
    configured = {"sta_drn": sta_drn_configured, "cfrafn": cfrafn_configured,
                  "aafn": aafn_configured, "dynmultidep": dynmultidep_configured}[paper]
    try:
        config, chosen, *weighting = configured(state, choices)
        feature_weights, order = weighting or (None, None)
        kind, arguments, entries = reference.planned(paper, state, config, feature_weights)
        check_inputs(arguments, inputs or {})
        if any(type(size) is int and size < 1 for size in arguments.values()):
            raise LookupError
        model = reference.built(kind, arguments, entries)
        if order is not None:
            model.read_columns_in(order)
    except ValueError as error:
        reason = str(error).removeprefix("state: ").removeprefix("checkpoint: ")
        raise ValueError(f"{path}: {reason}") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError):
        raise ValueError(f"{path}: entries have other shapes than those of the authors' {title}. "
                         "Give their file as it comes.") from None
    sizes = {name: list(value) if isinstance(value, tuple) else value
             for name, value in arguments.items() if name not in ("dropout", "feature_weights")}
    stored = {str(key): float(value) for key, value in content.items()
              if isinstance(value, int | float | np.number)
              and re.fullmatch(r"[\w. -]{1,40}", str(key))}
    return model, {"file": Path(path).name, "sha256": hashlib.sha256(data).hexdigest(),
                   "format": origin, "sizes": sizes, "chosen": chosen, "stored": stored}


def state_of(paper, path, content):
    """What an authors' file holds, as `reference.load` takes it, without further entries.

    Keys are without `module.` Raises ValueError for another model, for something else among the
    tensors, and for weights that are no numbers.
    """
    title, _, sign = FORMATS[paper]
    if not isinstance(content, Mapping):
        content = {}
    content = {str(key).removeprefix("module."): value for key, value in content.items()}
    if sign not in content:
        other = next((name for name, (*_, theirs) in FORMATS.items() if theirs in content), None)
        if other:
            raise ValueError(f"{path}: holds the weights of {FORMATS[other][0]}, expected those of "
                             f"{title}. Give it to notebooks/{other}.ipynb, or another file here.")
        raise ValueError(f"{path}: no weights in the format of {title}'s authors (no entry "
                         f"{sign}). Give their file as it comes.")
    if paper == "aafn":
        content = {key: value for key, value in content.items()
                   if key.endswith("_net") or key == "evaluator"}
    for part in content.values() if paper == "aafn" else [content]:
        if not isinstance(part, Mapping) or not all(map(torch.is_tensor, part.values())):
            raise ValueError(f"{path}: expected tensors by name, as the authors' {title} is saved; "
                             "something else is among them. Give their file as it comes.")
        if not all(map(is_plain, part.values())):
            raise ValueError(f"{path}: an entry is no plain tensor of numbers (sparse, quantised, "
                             "complex, without data, or larger than what is stored). Give their "
                             "file as it comes.")
        lost = [key for key, value in part.items() if not value.isfinite().all()]
        if lost:
            key = lost[0] if re.fullmatch(r"[\w.]+", lost[0]) else "an entry"
            raise ValueError(f"{path}: {key} holds NaN or infinity, so that no answer could be a "
                             "number. Give another file.")
    return content


def is_plain(value):
    """Whether a tensor is dense, real, and no larger than the numbers that were stored for it."""
    odd = (value.is_nested or value.is_quantized or value.is_complex() or value.is_meta
           or value.layout != torch.strided)
    return not odd and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def check_inputs(sizes, inputs):
    """ValueError if a network of these sizes reads other features. Both: arguments of our class."""
    for name, width in inputs.items():
        if name in sizes and sizes[name] != width:
            raise ValueError(f"its network has {name} {sizes[name]}, here {width} is at hand. Give "
                             "the file of a network for these features, or features as that "
                             "network reads them.")


def sta_drn_configured(state, choices):
    """The reference's configuration from the weights and the choices -> config, choices needed."""
    config, variant = reference.sta_drn.sizes(state), choices.get("variant")
    if config["variant"] is not None:
        return config, {}
    if variant not in ("temporal", "spatial"):
        raise ValueError("has one attention branch, temporal or spatial, and weights cannot show "
                         f"which; set variant to the one that it is (now {variant!r}).")
    theirs = {"temporal": "tanet", "spatial": "sanet"}[variant]
    return config | {"variant": theirs}, {"variant": variant}


def cfrafn_configured(state, choices):
    """As the others -> config, choices needed; feature weights (88,), order of columns or None."""
    alignment, path = choices.get("alignment"), choices.get("importances")
    if alignment not in importance.OF_THE_LIST or not path:
        raise ValueError("gives no answer without the authors' list of importances; set "
                         "importances to their sorted_feature_importance.csv and alignment to "
                         f"{' or '.join(importance.OF_THE_LIST)}.")
    if not Path(path).is_file():
        raise ValueError(f"importances {path}: no such file. Give the authors' "
                         "sorted_feature_importance.csv.")
    config, columns = reference.cfrafn.sizes(state), speech.egemaps_names()
    check_inputs({"egemaps_features": config["input_dim_eGeMAPS"]},
                 {"egemaps_features": len(columns)})
    listed, temperature = importance.read_importances(path), choices.get("gate_temperature", 10.0)
    order = importance.list_order(columns, listed) if alignment == "columns_by_list" else None
    return (config | {"temperature": temperature},
            {"alignment": alignment, "gate_temperature": temperature},
            importance.feature_weights(alignment, columns, published=listed), order)


def aafn_configured(state, choices):
    """The reference's configuration from the weights and the choices -> config, choices needed."""
    modalities = [name for name in MODALITIES if f"{name}_net" in state]
    if not modalities:
        raise ValueError("no visual_net, audio_net or text_net. Expected the networks of the "
                         "authors' AAFN.")
    names = [*(f"{name}_net" for name in modalities), "evaluator"]
    nets, shared, attention = reference.aafn.networks(state, names)
    config = {"modality_order": modalities, "fusion": choices.get("fusion")}
    for name, value in reference.aafn.sizes(nets, modalities, attention).items():
        part, _, key = name.rpartition(".")
        (config.setdefault(part, {}) if part else config)[key] = value
    fusion = reference.aafn.fusion(nets["evaluator"], config, bool(shared), bool(attention))
    return config, {"fusion": fusion} if fusion in reference.aafn.ELEMENTWISE else {}


def dynmultidep_configured(state, choices):
    """The reference's configuration from the weights and the choices -> config, choices needed."""
    config, gate = reference.dynmultidep.sizes(state), choices.get("gate")
    if gate not in ("hard", "soft"):
        raise ValueError("weights cannot show how the modalities are weighed; set gate to hard (as "
                         f"released) or soft (now {gate!r}).")
    temperature, mask = choices.get("temperature", 1.0), choices.get("mask", "released")
    config |= {"mm_output_sizes": [config["mm_output_sizes"]], "hard_gate": gate == "hard",
               "temp": temperature, "mask_scan": mask == "right"}
    return config, {"gate": gate, "temperature": temperature, "mask": mask}
