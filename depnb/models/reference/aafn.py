"""State dictionaries of the networks of AAFN's authors -> arguments and entries of our class."""

import re

import torch

from depnb.models.aafn import AAFN
from depnb.models.lstm import from_torch
from depnb.models.reference.entries import compare, require

# Fusions that weights cannot tell apart.
ELEMENTWISE = ("mean", "median", "lower_median", "max", "sum", "product")


def plan(state, config):
    """AAFN and its siblings -> class, arguments, entries.

    Parameters
    ----------
    state : visual_net, audio_net, text_net (those of config's modality_order), evaluator
        For the sibling with one attention block also fusion_net; other entries are ignored.
    config : modality_order, feature_dim, classes_resolution, num_subscores, heads_have_batch_norm
        For every modality its input_dim, conv_hidden, lstm_hidden, num_layers; attention with
        hidden_dim, base_width, fuse_type where there is one; dropout; fusion, if features are
        combined element by element (the weights do not show how).

    Raises
    ------
    ValueError
        For what is missing or contradicts the weights.
    """
    require(config, ("modality_order", "feature_dim", "classes_resolution", "num_subscores",
                     "heads_have_batch_norm"))
    modalities = tuple(config["modality_order"])
    require(config, modalities)
    names = [f"{name}_net" for name in modalities] + ["evaluator"]
    lacking = [name for name in names if name not in state]
    if lacking:
        raise ValueError(f"state: {', '.join(lacking)} missing. Expected a dictionary of "
                         f"{', '.join(names)}.")
    left = [name for name in ("visual_net", "audio_net", "text_net")
            if name in state and name not in names]
    if left:
        raise ValueError(f"config: modality_order is {list(modalities)}, but the checkpoint has "
                         f"{', '.join(left)}.")
    nets, shared, attention = networks(state, names)
    if attention:
        require(config, ("attention",))
    actual = sizes(nets, modalities, attention)
    parts = [part for part in (*modalities, "attention") if part in config]
    flat = {**config, **{f"{part}.{size}": value for part in parts
                         for size, value in config[part].items()}}
    named = [size for size in actual if size != "points"]
    require(flat, named)
    if attention:                                               # w = int(p b / 64) fits several b
        width = int(actual["attention.hidden_dim"] * flat["attention.base_width"] / 64)
        if width == len(attention["bn1.bias"]):
            actual["attention.base_width"] = flat["attention.base_width"]
    compare(flat, actual, named)
    head = nets["evaluator"]
    arguments = {
        "modalities": modalities, "fusion": fusion(head, config, bool(shared), bool(attention)),
        "points": actual.get("points", 72), **branches(actual, modalities)}
    if attention:
        arguments |= {"planes": actual["attention.hidden_dim"],
                      "base_width": actual["attention.base_width"],
                      "fuse": actual["attention.fuse_type"].lower()}
    arguments |= {
        "width": actual["feature_dim"], "bins": actual["classes_resolution"],
        "heads": actual["num_subscores"], "dropout": config.get("dropout", 0.7),
        "head_norm": actual["heads_have_batch_norm"],
        "head_widths": tuple(len(head[f"evaluator.0.layer{i}.bias"]) for i in (1, 2, 3))}
    return AAFN, arguments, state_dict(nets, modalities, shared)


def branches(actual, modalities):
    """Arguments of our class for the branches of the modalities.

    A width is one number, or one for each modality where they differ.

    Parameters
    ----------
    actual : of `sizes`
    """
    features = {"visual": "coordinates", "audio": "bands", "text": "embedding"}
    arguments = {}
    for name in modalities:
        arguments[features[name]] = actual[f"{name}.input_dim"]
        arguments[f"{name}_layers"] = actual[f"{name}.num_layers"]
    for ours, theirs in (("conv_width", "conv_hidden"), ("lstm_width", "lstm_hidden")):
        each = {name: actual[f"{name}.{theirs}"] for name in modalities}
        arguments[ours] = each if len(set(each.values())) > 1 else each[modalities[0]]
    return arguments


def networks(state, names):
    """The authors' networks and attention blocks, without the prefixes of their keys.

    Returns
    -------
    nets : networks by name
    shared : the shared attention block; {}: none
    attention : one attention block, shared or of the first head; {}: none
    """
    nets = {name: {key.removeprefix("module."): value for key, value in state[name].items()}
            for name in (*names, "fusion_net") if name in state}
    shared = {key.removeprefix("attention."): value
              for key, value in nets.get("fusion_net", {}).items()}
    first = "evaluator.0.attention."
    return nets, shared, shared or {key.removeprefix(first): value for key, value
                                    in nets["evaluator"].items() if key.startswith(first)}


def sizes(nets, modalities, attention):
    """What the weights say about the networks, under the reference's names (visual.input_dim …)."""
    actual, heads = {}, nets["evaluator"]
    for name in modalities:
        net = nets[f"{name}_net"]
        lacking = [key for key in ("conv.conv1.weight", "lstm.weight_hh_l0", "fc.fc.weight")
                   if key not in net]
        if lacking:
            raise ValueError(f"state: no {lacking[0]} in {name}_net. Expected a branch of the "
                             "authors' AAFN.")
        layers = [key for key in net if re.fullmatch(r"lstm\.weight_hh_l\d+", key)]
        actual |= {"feature_dim": net["fc.fc.weight"].shape[0],
                   f"{name}.input_dim": net["conv.conv1.weight"].shape[1],
                   f"{name}.conv_hidden": net["conv.conv1.weight"].shape[0],
                   f"{name}.lstm_hidden": net["lstm.weight_hh_l0"].shape[1],
                   f"{name}.num_layers": len(layers)}
        if name == "visual":
            actual["points"] = net["conv.conv1.weight"].shape[2]
    lacking = [key for i in (1, 2, 3, 4) if (key := f"evaluator.0.layer{i}.bias") not in heads]
    if lacking:
        raise ValueError(f"state: no {lacking[0]} in evaluator. Expected the heads of the authors' "
                         "AAFN.")
    actual |= {"classes_resolution": len(heads["evaluator.0.layer4.bias"]),
               "num_subscores": len({key.split(".")[1] for key in heads}),
               "heads_have_batch_norm": has_norms(heads)}
    if attention:
        planes = len(attention["bn3.bias"]) // 16
        actual |= {
            "attention.hidden_dim": planes,
            "attention.base_width": 64 * len(attention["bn1.bias"]) // planes,
            "attention.fuse_type": "iAFF" if "fuse_mode.local_att2.0.weight" in attention else
            "AFF" if "fuse_mode.local_att.0.weight" in attention else "DAF"}
    return actual


def has_norms(heads):
    """Whether the authors' heads have batch norms after their layers."""
    return any(key.startswith("evaluator.0.bn1.") for key in heads)


def fusion(heads, config, shared, attention):
    """Our name of the fusion: seen from the weights, or config's where they cannot show it."""
    if attention:
        return "attention" if shared else "sub_attention"
    joint = config["feature_dim"] * len(config["modality_order"])
    if heads["evaluator.0.layer1.weight"].shape[1] == joint:
        return "concatenation"
    require(config, ("fusion",))
    if config["fusion"] not in ELEMENTWISE:
        raise ValueError("its features are combined element by element, and weights cannot show "
                         f"how; set fusion to one of {', '.join(ELEMENTWISE)} (the authors' median "
                         f"is lower_median; now {config['fusion']!r}).")
    return config["fusion"]


def state_dict(nets, modalities, shared):
    """The authors' networks as one state dictionary of ours: heads stacked.

    Their second global map of attention, which is never used, is left out.
    """
    entries, renamed = {}, (("conv.conv1.", "conv."), ("conv.bn1.", "bn."), ("fc.fc.", "fc."),
                            ("fc.bnf.", "bn_out."))
    for name in modalities:
        for key, value in from_torch(nets[f"{name}_net"], "lstm.").items():
            if name == "visual" and key == "conv.conv1.weight":
                value = value.flatten(1, 2)                     # (W, 3, 72, 3) -> (W, 216, 3)
            for theirs, ours in renamed:
                if key.startswith(theirs):
                    key = ours + key.removeprefix(theirs)
                    break
            entries[f"{name}_branch.{key}"] = value
    for key, value in shared.items():
        if "global_att2" not in key:
            entries[f"heads.{attention_key(key)}"] = value
    by_entry = {}
    for key, value in nets["evaluator"].items():
        _, head, rest = key.split(".", 2)
        if "global_att2" not in rest:
            by_entry.setdefault(rest, {})[int(head)] = value
    stride = 3 if has_norms(nets["evaluator"]) else 2           # layer, norm, ReLU
    for rest, by_head in by_entry.items():
        values = [by_head[head] for head in sorted(by_head)]
        if rest.startswith("attention."):
            ours = attention_key(rest.removeprefix("attention."))
            entries[f"heads.{ours}"] = joined(values)
        else:
            kind, number, entry = re.fullmatch(r"(layer|bn)(\d)\.(\w+)", rest).groups()
            place = (int(number) - 1) * stride + (kind == "bn")
            # Layers get an axis of heads in front; norms run over all heads' features.
            value = torch.stack(values) if kind == "layer" else joined(values)
            entries[f"heads.classifier.{place}.{entry}"] = value
    return entries


def joined(values):
    """One entry of all heads side by side; of a counter, the first."""
    return torch.cat(values) if values[0].ndim else values[0]   # (n, …) each -> (h n, …)


def attention_key(key):
    """The reference's name of an entry of an attention block -> ours."""
    for theirs, ours, shift in (("local_att.", "local1", 0), ("local_att2.", "local2", 0),
                                ("global_att.", "global1", 1)):
        if key.startswith(f"fuse_mode.{theirs}"):
            number, entry = key.removeprefix(f"fuse_mode.{theirs}").split(".")
            return f"attention.fusion.{ours}.{int(number) - shift}.{entry}"
    return f"attention.{key}"
