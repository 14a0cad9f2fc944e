"""A state dictionary of DynMultiDep's authors -> arguments and entries of our class."""

import re

import torch

from depnb.models.dynmultidep import DynMultiDep
from depnb.models.reference.entries import compare, require

NAMES = ("audio_input_size", "video_input_size", "mm_output_sizes", "num_layers", "temp",
         "hard_gate", "d_state", "expand", "d_conv")


def plan(state, config):
    """DynMultiDep as released, with audio and visual given apart -> class, arguments, entries.

    With causal true or bidirectional false, where the authors' code fails, the backward direction
    is left out.

    Parameters
    ----------
    state : the authors' state dictionary; the unused a_downsample is ignored
    config : flat or with a mamba_config inside
        audio_input_size, video_input_size, mm_output_sizes, num_layers, temp, hard_gate, d_state,
        expand, d_conv; where given also dt_rank, bias, conv_bias, bidirectional and if_devide_out;
        dropout.

    Raises
    ------
    ValueError
        For what is missing or contradicts the weights.
    """
    config = {**config, **config.get("mamba_config", {})}
    require(config, NAMES)
    state = {name: value for name, value in state.items() if ".a_downsample." not in name}
    actual = sizes(state)
    width, widths = actual["mm_output_sizes"], list(config["mm_output_sizes"])
    # The last is repeated, what is over is cut.
    if not widths or {*widths[:config["num_layers"]], widths[-1]} != {width}:
        raise ValueError(f"config: mm_output_sizes is {widths}, but the checkpoint's weights say "
                         f"{width} in every layer.")
    stated = {"bidirectional": True, **config, "mm_output_sizes": width}
    if int(stated["expand"] * width) == actual["expand"] * width:
        stated["expand"] = actual["expand"]
    if stated.get("dt_rank") == "auto":
        stated["dt_rank"] = -(-width // 16)
    causal, expand = bool(config.get("causal")), config["expand"]
    one_way = causal or not stated["bidirectional"]
    if one_way:
        state = {name: value for name, value in state.items()
                 if not re.search(r"_b(\.|$)|A_b_log$", name)}
        stated["bidirectional"] = actual["bidirectional"]
    compare(stated, actual, [name for name in actual if name in stated])
    arguments = {
        "variant": "released", "audio_features": actual["audio_input_size"],
        "visual_features": actual["video_input_size"], "width": width,
        "layers": actual["num_layers"], "state_size": actual["d_state"],
        "expansion": int(expand) if expand == int(expand) else expand,
        "conv_width": actual["d_conv"], "step_rank": actual["dt_rank"],
        "directions": "forward" if one_way else "both", "causal": causal,
        "average_directions": config.get("if_devide_out", True),
        "projection_bias": actual["bias"], "conv_bias": actual["conv_bias"],
        "gate": "hard" if config["hard_gate"] else "soft", "temperature": config["temp"],
        "dropout": config.get("dropout", 0.1), "mask_scan": config.get("mask_scan", False)}
    return DynMultiDep, arguments, state_dict(state)


def sizes(state):
    """What the weights themselves say about the network, under the reference's names."""
    block = "mm_encoder.layers.0.mamba."
    needed = [f"{block}{name}" for name in ("A_log", "a_in_proj.weight", "a_conv1d.weight",
                                            "a_dt_proj.weight")]
    lacking = [name for name in (*needed, "classifier_layer.0.weight") if name not in state]
    if lacking:
        raise ValueError(f"state: no {lacking[0]}. Expected a state dictionary of the authors' "
                         "DynMultiDep.")
    width, (inner, n) = state["classifier_layer.0.weight"].shape[1], state[f"{block}A_log"].shape
    features = {}
    for size, modality in (("audio_input_size", "a"), ("video_input_size", "v")):
        name = f"mm_encoder.{modality}_input_proj.weight"
        features[size] = state[name].shape[1] if name in state else width
    layers = {name.split(".")[2] for name in state if name.startswith("mm_encoder.layers.")}
    return {**features, "mm_output_sizes": width, "d_state": n, "expand": inner / width,
            "num_layers": len(layers), "d_conv": state[f"{block}a_conv1d.weight"].shape[2],
            "dt_rank": state[f"{block}a_dt_proj.weight"].shape[1],
            "bias": f"{block}a_in_proj.bias" in state,
            "conv_bias": f"{block}a_conv1d.bias" in state,
            "bidirectional": f"{block}A_b_log" in state}


def state_dict(state):
    """The authors' entries under our names; both directions' A in one."""
    entries = {}
    for name, value in state.items():
        if name.endswith("A_b_log"):
            continue
        if name.endswith("A_log"):
            backward = state.get(name.replace("A_log", "A_b_log"))
            # (e, n) each -> (directions, e, n)
            value = torch.stack([value] if backward is None else [value, backward])
        entries[key(name)] = value
    return entries


def key(name):
    """The reference's name of an entry -> ours; also of blocks of one or two modalities alone."""
    modality = {"a": "audio", "v": "visual", "1": "audio", "2": "visual"}
    name = re.sub(r"mm_encoder\.([av])_input_proj", lambda m: f"input_proj.{modality[m[1]]}", name)
    name = name.removeprefix("mm_encoder.").replace("classifier_layer.", "classifier.")
    name = re.sub(r"norm([12])\.norm", lambda m: f"streams.{modality[m[1]]}.norm", name)
    name = re.sub(r"(mamba\.|^)A_log", "transition.A_log", name)
    name = re.sub(r"(mamba\.|^)([av])_(?=D|[a-z])",
                  lambda m: f"streams.{modality[m[2]]}.mamba.", name)
    return re.sub(r"\b(conv|x_proj|dt_proj|D)(?:1d)?(_b)?(?=\.|$)",
                  lambda m: f"{'backward' if m[2] else 'forward'}_scan.{m[1]}", name)
