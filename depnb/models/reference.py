"""Our models from the authors' published checkpoints.

`read_model(paper, path, ...)` takes an authors' file as it comes: sizes are read from its weights. `load(paper, state,
config)` takes what the file holds and the reference's own configuration names, which must agree with the weights. Only
tensors travel; nothing of a foreign pickle is executed (see `depnb.models.pickles`).
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from depnb.models.aafn import AAFN, MODALITIES
from depnb.models.cfrafn import CFRAFN, DualCNN, FeatureFusionFCNN, LayerFusionFCNN
from depnb.models.dynmultidep import DynMultiDep
from depnb.models.lstm import from_torch
from depnb.models.pickles import file_bytes, read_checkpoint, unpickled  # noqa: F401 (read_checkpoint: for callers)
from depnb.models.sta_drn import STADRN

STA_DRN_VARIANTS = {"tanet": "temporal", "sanet": "spatial", "stanet": "sum", "stanet_af": "attention_fusion"}
CFRAFN_SIZES = {        # the reference's name -> where its checkpoint shows it: entry, axis
    "input_dim_eGeMAPS": ("eGeMAPS_transform.weight", 1), "input_dim_VGGish": ("VGGish_transform.weight", 1),
    "transformed_feature_dim": ("eGeMAPS_transform.weight", 0),
    "expansion": ("eGeMAPS_net.0.mlp.0.weight", 0),                         # times the transformed width
    "conv_out_channels": ("VGGish_net.0.conv.0.weight", 0), "resblock_kernel_size": ("VGGish_net.0.conv.0.weight", 2),
    "cls_dim": ("classifier.0.weight", 0)}

ELEMENTWISE = ("mean", "median", "lower_median", "max", "sum", "product")       # fusions that weights cannot tell apart
FORMATS = {         # paper -> its title, whose format, and an entry that only its files have
    "sta_drn": ("STA-DRN", "state dictionary as of divertingPan/STA-DRN", "conv_1.weight"),
    "cfrafn": ("CFRAFN", "state dictionary as of Sook13/CFRAFN", "eGeMAPS_transform.weight"),
    "aafn": ("AAFN", "networks as of PingCheng-Wei/DepressionEstimation", "evaluator"),
    "dynmultidep": ("DynMultiDep", "state dictionary as of 3166074787/DynMultiDep at 5fd29e3",
                    "mm_encoder.layers.0.mamba.A_log")}
CHOICES = {         # what weights cannot show, under the names of the notebooks' parameters
    "sta_drn": ("variant",), "cfrafn": ("alignment", "importances", "gate_temperature"),
    "aafn": ("fusion",), "dynmultidep": ("gate", "temperature", "mask")}

DYNMULTIDEP_NAMES = ("audio_input_size", "video_input_size", "mm_output_sizes", "num_layers", "temp", "hard_gate", "d_state",
                     "expand", "d_conv")


def load(paper, state, config, feature_weights=None):
    """Our model with the authors' weights, in eval mode.

    paper: "sta_drn", "cfrafn", "cfrafn_baseline", "aafn" or "dynmultidep"; state: their flat state dictionary (keys may
    carry a `module.` prefix), for AAFN a dictionary of those of its networks; config: mapping with the reference's names,
    unknown keys are ignored. Raises ValueError that names a missing or contradictory configuration entry, or weights that
    are missing or left over.

    STA-DRN is called as model(clips), clips (N, C, T, H, W), and returns (N, outputs), what the authors' network emits.
    CFRAFN and its baselines are called as model(egemaps=, vggish=) with (B, 88) and (B, 128) and return logits (B,),
    whose sigmoid is the authors' probability. CFRAFN needs `feature_weights` (88,), multiplied onto the eGeMAPS columns by
    position as released: the authors' checkpoint does not hold them (see `depnb.features.importance`).
    AAFN is called as model(visual=, audio=, text=) with (B, frames, 72, 3), (B, bands, frames) and (B, sentences,
    embedding), those that it has, and returns logits (B, heads, bins), whose softmax is the authors' probabilities.
    DynMultiDep is called as model(audio=, visual=, mask=) with (B, T, features) twice and (B, T), 1 where a frame is real
    (None: everywhere), and returns logits (B,).
    """
    return built(*planned(paper, state, config, feature_weights))


def planned(paper, state, config, feature_weights=None):
    """Class, arguments and entries under our names that make a paper's model of the authors' state dictionary."""
    plans = {"sta_drn": sta_drn, "cfrafn": cfrafn, "cfrafn_baseline": cfrafn_baseline, "aafn": aafn,
             "dynmultidep": dynmultidep}
    if paper not in plans:
        raise ValueError(f"paper {paper!r}: no published checkpoint format is known; choose one of {', '.join(plans)}.")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if paper == "cfrafn":
        return cfrafn(state, config, feature_weights)
    if feature_weights is not None:
        raise ValueError(f"feature_weights: {paper} has none; leave it out.")
    return plans[paper](state, config)


def built(kind, arguments, entries):
    """A model of a class with these arguments and entries of its state dictionary, in eval mode."""
    model = kind(**arguments)
    assign(model, entries)
    return model.eval()


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
    alignment, importances, gate_temperature : cfrafn, see `depnb.features.importance`; importances is
        the path of the authors' list
    fusion : aafn, needed if features are combined element by element: one of ELEMENTWISE
    gate, temperature, mask : dynmultidep; gate is hard or soft, mask is right (padding takes no part)
        or released

    Returns
    -------
    model : in eval mode, called as `load` says
    facts : dict of plain values: file (its name), sha256, format, sizes (arguments of our class),
        chosen (the choices that were needed), stored (numbers that lie beside the weights)

    Raises
    ------
    FileNotFoundError, ValueError
        In one sentence that names the file: there is none, it holds something else or another model,
        its network asks for other `inputs`, or a choice is needed.
    """
    if paper not in FORMATS:
        raise ValueError(f"paper {paper!r}: choose one of {', '.join(FORMATS)}.")
    data = file_bytes(path)
    content = unpickled(path, data)
    state = state_of(paper, path, content)
    configured = {"sta_drn": sta_drn_configured, "cfrafn": cfrafn_configured, "aafn": aafn_configured,
                  "dynmultidep": dynmultidep_configured}[paper]
    try:
        config, chosen, *weighting = configured(state, choices)
        kind, arguments, entries = planned(paper, state, config, *weighting[:1])
        check_inputs(arguments, inputs or {})
        if any(type(size) is int and size < 1 for size in arguments.values()):
            raise LookupError
        model = built(kind, arguments, entries)
        if weighting and weighting[1] is not None:
            model.read_columns_in(weighting[1])
    except ValueError as error:
        raise ValueError(f"{path}: {str(error).removeprefix('state: ').removeprefix('checkpoint: ')}") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError):
        raise ValueError(f"{path}: entries have other shapes than those of the authors' {FORMATS[paper][0]}. "
                         "Give their file as it comes.") from None
    sizes = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()
             if name not in ("dropout", "feature_weights")}
    numbers = {str(key): float(value) for key, value in content.items()
               if isinstance(value, int | float | np.number) and re.fullmatch(r"[\w. -]{1,40}", str(key))}
    return model, {"file": Path(path).name, "sha256": hashlib.sha256(data).hexdigest(),
                   "format": FORMATS[paper][1], "sizes": sizes, "chosen": chosen, "stored": numbers}


def state_of(paper, path, content):
    """What an authors' file holds, as `load` takes it, without further entries; keys without `module.`

    Raises ValueError for another model, for something else among the tensors, and for weights that
    are no numbers.
    """
    title, _, sign = FORMATS[paper]
    if not isinstance(content, Mapping):
        content = {}
    content = {str(key).removeprefix("module."): value for key, value in content.items()}
    if sign not in content:
        other = next((name for name, (_, _, theirs) in FORMATS.items() if theirs in content), None)
        if other:
            raise ValueError(f"{path}: holds the weights of {FORMATS[other][0]}, expected those of {title}. Give "
                             f"it to notebooks/{other}.ipynb, or another file here.")
        raise ValueError(f"{path}: no weights in the format of {title}'s authors (no entry {sign}). Give their "
                         "file as it comes.")
    if paper == "aafn":
        content = {key: value for key, value in content.items() if key.endswith("_net") or key == "evaluator"}
    for part in content.values() if paper == "aafn" else [content]:
        if not isinstance(part, Mapping) or not all(map(torch.is_tensor, part.values())):
            raise ValueError(f"{path}: expected tensors by name, as the authors' {title} is saved; something else "
                             "is among them. Give their file as it comes.")
        odd = [key for key, value in part.items() if not is_plain(value)]
        if odd:
            raise ValueError(f"{path}: an entry is no plain tensor of numbers (sparse, quantised, complex, without data, or "
                             "larger than what is stored). Give their file as it comes.")
        lost = [key for key, value in part.items() if not value.isfinite().all()]
        if lost:
            key = lost[0] if re.fullmatch(r"[\w.]+", lost[0]) else "an entry"
            raise ValueError(f"{path}: {key} holds NaN or infinity, so that no answer could be a number. Give "
                             "another file.")
    return content


def is_plain(value):
    """Whether a tensor is dense, real, and no larger than the numbers that were stored for it."""
    odd = value.is_nested or value.is_quantized or value.is_complex() or value.is_meta or value.layout != torch.strided
    return not odd and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def check_inputs(sizes, inputs):
    """ValueError if a network of these sizes reads other features. Both: arguments of our class."""
    for name, width in inputs.items():
        if name in sizes and sizes[name] != width:
            raise ValueError(f"its network has {name} {sizes[name]}, here {width} is at hand. Give the file of a "
                             "network for these features, or features as that network reads them.")


def sta_drn(state, config):
    """STA-DRN. config: variant (tanet, sanet, stanet, stanet_af), layers, k, features, in_channels, num_classes."""
    names = ("variant", "layers", "k", "features", "in_channels", "num_classes")
    require(config, names)
    found = sta_drn_sizes(state)
    if found["variant"] is None:
        found["variant"] = config["variant"] if config["variant"] in ("tanet", "sanet") else "tanet or sanet"
    compare({**config, "layers": list(config["layers"])}, found, names)
    variant = STA_DRN_VARIANTS[found["variant"]]
    arguments = {"variant": variant, "k": found["k"], "units": found["layers"], "features": found["features"],
                 "stem_features": found["stem"], "in_channels": found["in_channels"], "outputs": found["num_classes"],
                 "dropout": config.get("drop_prob", 0.0), "width_multiplier": config.get("groups", 1),
                 "width_per_group": config.get("width_per_group", 64)}
    return STADRN, arguments, {sta_drn_key(key, variant): value for key, value in state.items()}


def sta_drn_configured(state, choices):
    """The reference's configuration from the weights and the choices -> config, choices needed."""
    found, variant = sta_drn_sizes(state), choices.get("variant")
    if found["variant"] is not None:
        return found, {}
    if variant not in ("temporal", "spatial"):
        raise ValueError("has one attention branch, temporal or spatial, and weights cannot show which; set "
                         f"variant to the one that it is (now {variant!r}).")
    return found | {"variant": {"temporal": "tanet", "spatial": "sanet"}[variant]}, {"variant": variant}


def sta_drn_key(key, variant):
    """The reference's name of an entry -> ours."""
    key = re.sub(r"\.conv2\.(group_conv|bn|fc)_(temporal|spatial)\.", r".conv2.\2.\1.", key)
    key = re.sub(r"\.conv2\.(temporal|spatial)_block\.", r".conv2.\1.", key)
    return re.sub(r"\.conv2\.(group_conv|bn|fc)\.", rf".conv2.{variant}.\1.", key)


def sta_drn_sizes(state):
    """What the weights themselves say about the network, under the reference's names."""
    if "conv_1.weight" not in state or "fc.weight" not in state:
        raise ValueError("state: no conv_1.weight or fc.weight. Expected a state dictionary of the authors' STA-DRN.")
    first = [key for key in state if key.startswith("layer_1.0.conv2.") and "group_conv" in key and key.endswith("weight")]
    if not first:
        raise ValueError("state: no layer_1.0.conv2.…group_conv….weight. Expected the authors' STA-DRN.")
    width, inner = state[first[0]].shape[:2]
    k = width // inner
    units = [len({key.split(".")[1] for key in state if key.startswith(f"layer_{stage}.")}) for stage in range(1, 5)]
    if "_block." in first[0]:
        variant = "stanet"
    elif len(first) == 2:
        variant = "stanet_af"
    else:       # the two single-branch variants have equal shapes and names: only the configuration tells them apart
        variant = None
    return {"variant": variant, "layers": [n // k for n in units], "k": k, "features": state["fc.weight"].shape[1] // 32,
            "in_channels": state["conv_1.weight"].shape[1], "num_classes": state["fc.weight"].shape[0],
            "stem": state["conv_1.weight"].shape[0]}


def cfrafn(state, config, feature_weights):
    """CFRAFN. config: the names of CFRAFN_SIZES and temperature; dropout, if the model is to be trained on."""
    require(config, (*CFRAFN_SIZES, "temperature"))
    found = cfrafn_sizes(state)
    compare(config, found, CFRAFN_SIZES)
    if feature_weights is None:
        raise ValueError(f"feature_weights: the authors' checkpoint does not hold them; give {found['input_dim_eGeMAPS']} "
                         "numbers, in the order of the eGeMAPS columns (ones for no weighting).")
    arguments = {"egemaps_features": found["input_dim_eGeMAPS"], "vggish_features": found["input_dim_VGGish"],
                 "transformed_width": found["transformed_feature_dim"], "conv_width": found["conv_out_channels"],
                 "expansion": int(found["expansion"]), "kernel_size": found["resblock_kernel_size"],
                 "classifier_width": found["cls_dim"], "dropout": config.get("dropout", 0.1),
                 "gate_temperature": config["temperature"], "feature_weights": feature_weights}
    entries = {cfrafn_key(key): value for key, value in state.items()}
    return CFRAFN, arguments, entries | {"feature_weights": torch.as_tensor(feature_weights, dtype=torch.float32)}


def cfrafn_sizes(state):
    """What the weights themselves say about the network, under the reference's names."""
    lacking = [key for key, axis in CFRAFN_SIZES.values() if key not in state or state[key].ndim <= axis]
    if lacking:
        raise ValueError(f"state: no {lacking[0]}, or of another shape. Expected a state dictionary of the authors' CFRAFN.")
    found = {name: state[key].shape[axis] for name, (key, axis) in CFRAFN_SIZES.items()}
    found["expansion"] /= found["transformed_feature_dim"]
    return found


def cfrafn_configured(state, choices):
    """Configuration, choices needed, feature weights, and the order of the columns or None."""
    from depnb.features import importance, speech  # scikit-learn and openSMILE, which nothing else here needs

    alignment, listed = choices.get("alignment"), choices.get("importances")
    if alignment not in importance.OF_THE_LIST or not listed:
        raise ValueError("gives no answer without the authors' list of importances; set importances to their "
                         "sorted_feature_importance.csv and alignment to "
                         f"{' or '.join(importance.OF_THE_LIST)}.")
    if not Path(listed).is_file():
        raise ValueError(f"importances {listed}: no such file. Give the authors' sorted_feature_importance.csv.")
    found, columns = cfrafn_sizes(state), speech.egemaps_names()
    check_inputs({"egemaps_features": found["input_dim_eGeMAPS"]}, {"egemaps_features": len(columns)})
    listed, temperature = importance.read_importances(listed), choices.get("gate_temperature", 10.0)
    return (found | {"temperature": temperature}, {"alignment": alignment, "gate_temperature": temperature},
            importance.feature_weights(alignment, columns, published=listed),
            importance.list_order(columns, listed) if alignment == "columns_by_list" else None)


def cfrafn_key(key):
    """The reference's name of an entry -> ours."""
    key = key.replace("eGeMAPS_", "egemaps_").replace("eGe_", "egemaps_").replace("VGGish_", "vggish_")
    return key.replace("fusion.attention_layer.", "gate.score.")


def cfrafn_baseline(state, config):
    """FeatureFusionFCNN, LayerFusionFCNN or DCNN, told apart by their weights. config: input_dim_eGe, input_dim_VGGish."""
    require(config, ("input_dim_eGe", "input_dim_VGGish"))
    known = {"layers.0.weight": FeatureFusionFCNN, "eGe_layers.0.weight": LayerFusionFCNN, "eGe_branch.2.weight": DualCNN}
    kind = next((kind for key, kind in known.items() if key in state), None)
    if kind is None:
        raise ValueError(f"state: none of {', '.join(known)}. Expected a baseline of the authors' CFRAFN.")
    arguments = {"egemaps_features": config["input_dim_eGe"], "vggish_features": config["input_dim_VGGish"],
                 "dropout": config.get("dropout", 0.5)}
    # The DCNN's file holds its convolutions twice, as …_conv_layers and as …_branch.0.
    return kind, arguments, {cfrafn_key(key): value for key, value in state.items() if "_conv_layers." not in key}


def aafn(state, config):
    """AAFN and its siblings. state: visual_net, audio_net, text_net (those of config's modality_order), evaluator and, for
    the sibling with one attention block, fusion_net; other entries are ignored.

    config: modality_order, feature_dim, classes_resolution, num_subscores, heads_have_batch_norm, for every modality its
    input_dim, conv_hidden, lstm_hidden, num_layers, and attention with hidden_dim, base_width, fuse_type where there is
    one; dropout; fusion, if features are combined element by element (the weights do not show how).
    """
    require(config, ("modality_order", "feature_dim", "classes_resolution", "num_subscores", "heads_have_batch_norm"))
    modalities = tuple(config["modality_order"])
    require(config, modalities)
    networks = [f"{name}_net" for name in modalities] + ["evaluator"]
    lacking = [name for name in networks if name not in state]
    if lacking:
        raise ValueError(f"state: {', '.join(lacking)} missing. Expected a dictionary of {', '.join(networks)}.")
    left = [name for name in ("visual_net", "audio_net", "text_net") if name in state and name not in networks]
    if left:
        raise ValueError(f"config: modality_order is {list(modalities)}, but the checkpoint has {', '.join(left)}.")
    nets, shared, attention = aafn_networks(state, networks)
    if attention:
        require(config, ("attention",))
    found = aafn_sizes(nets, modalities, attention)
    flat = {**config, **{f"{part}.{key}": value for part in (*modalities, "attention") if part in config
                         for key, value in config[part].items()}}
    require(flat, [name for name in found if name != "points"])
    if attention and int(found["attention.hidden_dim"] * flat["attention.base_width"] / 64) == len(attention["bn1.bias"]):
        found["attention.base_width"] = flat["attention.base_width"]        # w = int(p b / 64) fits several b
    compare(flat, found, [name for name in found if name != "points"])
    sizes = {name: value for name in modalities for name, value in (
        ({"visual": "coordinates", "audio": "bands", "text": "embedding"}[name], found[f"{name}.input_dim"]),
        (f"{name}_layers", found[f"{name}.num_layers"]))}
    for ours, theirs in (("conv_width", "conv_hidden"), ("lstm_width", "lstm_hidden")):
        each = {name: found[f"{name}.{theirs}"] for name in modalities}
        sizes[ours] = each if len(set(each.values())) > 1 else each[modalities[0]]
    if attention:
        sizes |= {"planes": found["attention.hidden_dim"], "base_width": found["attention.base_width"],
                  "fuse": found["attention.fuse_type"].lower()}
    head = nets["evaluator"]
    arguments = {"modalities": modalities, "fusion": aafn_fusion(head, config, bool(shared), bool(attention)),
                 "points": found.get("points", 72), **sizes, "width": found["feature_dim"],
                 "bins": found["classes_resolution"], "heads": found["num_subscores"],
                 "dropout": config.get("dropout", 0.7), "head_norm": found["heads_have_batch_norm"],
                 "head_widths": tuple(len(head[f"evaluator.0.layer{i}.bias"]) for i in (1, 2, 3))}
    return AAFN, arguments, aafn_state(nets, modalities, shared)


def aafn_networks(state, names):
    """Networks without the prefix of their keys; the shared attention block ({}: none); one attention block ({}: none)."""
    nets = {name: {key.removeprefix("module."): value for key, value in state[name].items()}
            for name in (*names, "fusion_net") if name in state}
    shared = {key.removeprefix("attention."): value for key, value in nets.get("fusion_net", {}).items()}
    return nets, shared, shared or {key.removeprefix("evaluator.0.attention."): value
                                    for key, value in nets["evaluator"].items() if key.startswith("evaluator.0.attention.")}


def aafn_configured(state, choices):
    """The reference's configuration from the weights and the choices -> config, choices needed."""
    modalities = [name for name in MODALITIES if f"{name}_net" in state]
    if not modalities:
        raise ValueError("no visual_net, audio_net or text_net. Expected the networks of the authors' AAFN.")
    nets, shared, attention = aafn_networks(state, [*(f"{name}_net" for name in modalities), "evaluator"])
    config = {"modality_order": modalities, "fusion": choices.get("fusion")}
    for name, value in aafn_sizes(nets, modalities, attention).items():
        part, _, key = name.rpartition(".")
        (config.setdefault(part, {}) if part else config)[key] = value
    fusion = aafn_fusion(nets["evaluator"], config, bool(shared), bool(attention))
    return config, {"fusion": fusion} if fusion in ELEMENTWISE else {}


def aafn_sizes(nets, modalities, attention):
    """What the weights themselves say about the networks, under the reference's names ("visual.input_dim" …)."""
    found, heads = {}, nets["evaluator"]
    for name in modalities:
        net = nets[f"{name}_net"]
        lacking = [key for key in ("conv.conv1.weight", "lstm.weight_hh_l0", "fc.fc.weight") if key not in net]
        if lacking:
            raise ValueError(f"state: no {lacking[0]} in {name}_net. Expected a branch of the authors' AAFN.")
        found |= {"feature_dim": net["fc.fc.weight"].shape[0], f"{name}.input_dim": net["conv.conv1.weight"].shape[1],
                  f"{name}.conv_hidden": net["conv.conv1.weight"].shape[0],
                  f"{name}.lstm_hidden": net["lstm.weight_hh_l0"].shape[1],
                  f"{name}.num_layers": sum(bool(re.fullmatch(r"lstm\.weight_hh_l\d+", key)) for key in net)}
        if name == "visual":
            found["points"] = net["conv.conv1.weight"].shape[2]
    lacking = [f"evaluator.0.layer{i}.bias" for i in (1, 2, 3, 4) if f"evaluator.0.layer{i}.bias" not in heads]
    if lacking:
        raise ValueError(f"state: no {lacking[0]} in evaluator. Expected the heads of the authors' AAFN.")
    found |= {"classes_resolution": len(heads["evaluator.0.layer4.bias"]),
              "num_subscores": len({key.split(".")[1] for key in heads}),
              "heads_have_batch_norm": any(key.startswith("evaluator.0.bn1.") for key in heads)}
    if attention:
        planes = len(attention["bn3.bias"]) // 16
        found |= {"attention.hidden_dim": planes, "attention.base_width": 64 * len(attention["bn1.bias"]) // planes,
                  "attention.fuse_type": "iAFF" if "fuse_mode.local_att2.0.weight" in attention else
                  "AFF" if "fuse_mode.local_att.0.weight" in attention else "DAF"}
    return found


def aafn_fusion(heads, config, shared, attention):
    """Our name of the fusion: seen from the weights, or config's where they cannot show it."""
    if attention:
        return "attention" if shared else "sub_attention"
    if heads["evaluator.0.layer1.weight"].shape[1] == config["feature_dim"] * len(config["modality_order"]):
        return "concatenation"
    require(config, ("fusion",))
    if config["fusion"] not in ELEMENTWISE:
        raise ValueError("its features are combined element by element, and weights cannot show how; set fusion to "
                         f"one of {', '.join(ELEMENTWISE)} (the authors' median is lower_median; now "
                         f"{config['fusion']!r}).")
    return config["fusion"]


def aafn_state(nets, modalities, shared):
    """The authors' networks as one state dictionary of ours: heads stacked, their unused second global map left out."""
    state = {}
    for name in modalities:
        for key, value in from_torch(nets[f"{name}_net"], "lstm.").items():
            if name == "visual" and key == "conv.conv1.weight":
                value = value.flatten(1, 2)                                 # (W, 3, 72, 3) -> (W, 216, 3)
            for theirs, ours in (("conv.conv1.", "conv."), ("conv.bn1.", "bn."), ("fc.fc.", "fc."), ("fc.bnf.", "bn_out.")):
                if key.startswith(theirs):
                    key = ours + key.removeprefix(theirs)
                    break
            state[f"{name}_branch.{key}"] = value
    blocks = {f"heads.{aafn_attention_key(key)}": value for key, value in shared.items() if "global_att2" not in key}
    norms = any(key.startswith("evaluator.0.bn1.") for key in nets["evaluator"])
    heads = {}
    for key, value in nets["evaluator"].items():
        _, head, rest = key.split(".", 2)
        if "global_att2" not in rest:
            heads.setdefault(rest, {})[int(head)] = value
    for rest, by_head in heads.items():
        values = [by_head[head] for head in sorted(by_head)]
        if rest.startswith("attention."):
            blocks[f"heads.{aafn_attention_key(rest.removeprefix('attention.'))}"] = joined(values)
        else:
            kind, number, entry = re.fullmatch(r"(layer|bn)(\d)\.(\w+)", rest).groups()
            place = (int(number) - 1) * (3 if norms else 2) + (kind == "bn")
            blocks[f"heads.classifier.{place}.{entry}"] = torch.stack(values) if kind == "layer" else joined(values)
    return state | blocks


def joined(values):
    """One entry of all heads side by side; of a counter, the first."""
    return torch.cat(values) if values[0].ndim else values[0]


def aafn_attention_key(key):
    """The reference's name of an entry of an attention block -> ours."""
    for theirs, ours, shift in (("local_att.", "local1", 0), ("local_att2.", "local2", 0), ("global_att.", "global1", 1)):
        if key.startswith(f"fuse_mode.{theirs}"):
            number, entry = key.removeprefix(f"fuse_mode.{theirs}").split(".")
            return f"attention.fusion.{ours}.{int(number) - shift}.{entry}"
    return f"attention.{key}"


def dynmultidep(state, config):
    """DynMultiDep as released, with audio and visual given apart. The unused a_downsample is ignored.

    config, flat or with a mamba_config inside: audio_input_size, video_input_size, mm_output_sizes, num_layers, temp,
    hard_gate, d_state, expand, d_conv; where given also dt_rank, bias, conv_bias, bidirectional and if_devide_out; dropout.
    With causal true or bidirectional false, where the authors' code fails, the backward direction is left out.
    """
    config = {**config, **config.get("mamba_config", {})}
    require(config, DYNMULTIDEP_NAMES)
    state = {key: value for key, value in state.items() if ".a_downsample." not in key}
    found = dynmultidep_sizes(state)
    width, sizes = found["mm_output_sizes"], list(config["mm_output_sizes"])
    if not sizes or {*sizes[:config["num_layers"]], sizes[-1]} != {width}:      # the last is repeated, what is over is cut
        raise ValueError(f"config: mm_output_sizes is {sizes}, but the checkpoint's weights say {width} in every layer.")
    given = {"bidirectional": True, **config, "mm_output_sizes": width}
    if int(given["expand"] * width) == found["expand"] * width:
        given["expand"] = found["expand"]
    if given.get("dt_rank") == "auto":
        given["dt_rank"] = -(-width // 16)
    one_way = bool(config.get("causal")) or not given["bidirectional"]
    if one_way:
        state = {key: value for key, value in state.items() if not re.search(r"_b(\.|$)|A_b_log$", key)}
        given["bidirectional"] = found["bidirectional"]
    compare(given, found, [name for name in found if name in given])
    arguments = {
        "variant": "released", "audio_features": found["audio_input_size"], "visual_features": found["video_input_size"],
        "width": width, "layers": found["num_layers"], "state_size": found["d_state"],
        "expansion": int(expand) if (expand := config["expand"]) == int(expand) else expand,
        "conv_width": found["d_conv"], "step_rank": found["dt_rank"], "directions": "forward" if one_way else "both",
        "causal": bool(config.get("causal")), "average_directions": config.get("if_devide_out", True),
        "projection_bias": found["bias"], "conv_bias": found["conv_bias"],
        "gate": "hard" if config["hard_gate"] else "soft", "temperature": config["temp"],
        "dropout": config.get("dropout", 0.1), "mask_scan": config.get("mask_scan", False)}
    return DynMultiDep, arguments, dynmultidep_state(state)


def dynmultidep_configured(state, choices):
    """The reference's configuration from the weights and the choices -> config, choices needed."""
    found, gate = dynmultidep_sizes(state), choices.get("gate")
    if gate not in ("hard", "soft"):
        raise ValueError("weights cannot show how the modalities are weighed; set gate to hard (as released) or "
                         f"soft (now {gate!r}).")
    temperature, mask = choices.get("temperature", 1.0), choices.get("mask", "released")
    config = {"mm_output_sizes": [found["mm_output_sizes"]], "hard_gate": gate == "hard", "temp": temperature,
              "mask_scan": mask == "right"}
    return found | config, {"gate": gate, "temperature": temperature, "mask": mask}


def dynmultidep_sizes(state):
    """What the weights themselves say about the network, under the reference's names."""
    block = "mm_encoder.layers.0.mamba."
    needed = [f"{block}{key}" for key in ("A_log", "a_in_proj.weight", "a_conv1d.weight", "a_dt_proj.weight")]
    lacking = [key for key in (*needed, "classifier_layer.0.weight") if key not in state]
    if lacking:
        raise ValueError(f"state: no {lacking[0]}. Expected a state dictionary of the authors' DynMultiDep.")
    width, (inner, n) = state["classifier_layer.0.weight"].shape[1], state[f"{block}A_log"].shape
    features = {name: state[key].shape[1] if (key := f"mm_encoder.{m}_input_proj.weight") in state else width
                for name, m in (("audio_input_size", "a"), ("video_input_size", "v"))}
    return {**features, "mm_output_sizes": width, "d_state": n, "expand": inner / width,
            "num_layers": len({key.split(".")[2] for key in state if key.startswith("mm_encoder.layers.")}),
            "d_conv": state[f"{block}a_conv1d.weight"].shape[2], "dt_rank": state[f"{block}a_dt_proj.weight"].shape[1],
            "bias": f"{block}a_in_proj.bias" in state, "conv_bias": f"{block}a_conv1d.bias" in state,
            "bidirectional": f"{block}A_b_log" in state}


def dynmultidep_state(state):
    """The authors' entries under our names; both directions' A in one."""
    ours = {}
    for key, value in state.items():
        if key.endswith("A_b_log"):
            continue
        if key.endswith("A_log"):
            backward = state.get(key.replace("A_log", "A_b_log"))
            value = torch.stack([value] if backward is None else [value, backward])
        ours[dynmultidep_key(key)] = value
    return ours


def dynmultidep_key(key):
    """The reference's name of an entry -> ours; also of its blocks of one or two modalities alone."""
    modality = {"a": "audio", "v": "visual"}
    key = re.sub(r"mm_encoder\.([av])_input_proj", lambda m: f"input_proj.{modality[m[1]]}", key).removeprefix("mm_encoder.")
    key = key.replace("classifier_layer.", "classifier.")
    key = re.sub(r"norm([12])\.norm", lambda m: f"streams.{'audio' if m[1] == '1' else 'visual'}.norm", key)
    key = re.sub(r"(mamba\.|^)A_log", "transition.A_log", key)
    key = re.sub(r"(mamba\.|^)([av])_(?=D|[a-z])", lambda m: f"streams.{modality[m[2]]}.mamba.", key)
    return re.sub(r"\b(conv|x_proj|dt_proj|D)(?:1d)?(_b)?(?=\.|$)",
                  lambda m: f"{'backward' if m[2] else 'forward'}_scan.{m[1]}", key)


def require(config, names):
    """ValueError that lists what the configuration lacks."""
    missing = [name for name in names if name not in config]
    if missing:
        raise ValueError(f"config: {', '.join(missing)} missing. The authors' names are {', '.join(names)}.")


def compare(config, found, names):
    """ValueError for the first entry that differs from what the weights say."""
    for name in names:
        if config[name] != found[name]:
            raise ValueError(f"config: {name} is {config[name]!r}, but the checkpoint's weights say {found[name]!r}.")


def assign(model, state):
    """Copy a complete state dictionary into the model, or say in one sentence what does not fit."""
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if missing or extra or wrong:
        parts = [f"{len(keys)} {what} (first: {sorted(keys)[0]})"
                 for keys, what in ((missing, "missing"), (extra, "unknown"), (wrong, "of another shape")) if keys]
        raise ValueError(f"checkpoint: entries do not fit {type(model).__name__}: {', '.join(parts)}. "
                         "It belongs to another variant or size of the model.")
    model.load_state_dict(state)
