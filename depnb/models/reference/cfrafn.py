"""State dictionaries of CFRAFN's authors, baselines too -> arguments and entries of our classes."""

import torch

from depnb.models.cfrafn import CFRAFN, DualCNN, FeatureFusionFCNN, LayerFusionFCNN
from depnb.models.reference.entries import compare, require

SIZES = {               # the reference's name -> where its checkpoint shows it: entry, axis
    "input_dim_eGeMAPS": ("eGeMAPS_transform.weight", 1),
    "input_dim_VGGish": ("VGGish_transform.weight", 1),
    "transformed_feature_dim": ("eGeMAPS_transform.weight", 0),
    "expansion": ("eGeMAPS_net.0.mlp.0.weight", 0),             # times the transformed width
    "conv_out_channels": ("VGGish_net.0.conv.0.weight", 0),
    "resblock_kernel_size": ("VGGish_net.0.conv.0.weight", 2),
    "cls_dim": ("classifier.0.weight", 0)}


def plan(state, config, feature_weights):
    """CFRAFN -> class, arguments, entries.

    Parameters
    ----------
    state : the authors' state dictionary
    config : the names of SIZES and temperature; dropout, if the model is to be trained on
    feature_weights : (eGeMAPS columns,), in their order; must not be None

    Raises
    ------
    ValueError
        For what is missing or contradicts the weights.
    """
    require(config, (*SIZES, "temperature"))
    actual = sizes(state)
    compare(config, actual, SIZES)
    if feature_weights is None:
        raise ValueError("feature_weights: the authors' checkpoint does not hold them; give "
                         f"{actual['input_dim_eGeMAPS']} numbers, in the order of the eGeMAPS "
                         "columns (ones for no weighting).")
    arguments = {
        "egemaps_features": actual["input_dim_eGeMAPS"],
        "vggish_features": actual["input_dim_VGGish"],
        "transformed_width": actual["transformed_feature_dim"],
        "conv_width": actual["conv_out_channels"], "expansion": int(actual["expansion"]),
        "kernel_size": actual["resblock_kernel_size"], "classifier_width": actual["cls_dim"],
        "dropout": config.get("dropout", 0.1), "gate_temperature": config["temperature"],
        "feature_weights": feature_weights}
    entries = {key(name): value for name, value in state.items()}
    entries["feature_weights"] = torch.as_tensor(feature_weights, dtype=torch.float32)
    return CFRAFN, arguments, entries


def baseline(state, config):
    """FeatureFusionFCNN, LayerFusionFCNN or DCNN, by its weights -> class, arguments, entries.

    Parameters
    ----------
    config : input_dim_eGe, input_dim_VGGish

    Raises
    ------
    ValueError
        For what is missing.
    """
    require(config, ("input_dim_eGe", "input_dim_VGGish"))
    known = {"layers.0.weight": FeatureFusionFCNN, "eGe_layers.0.weight": LayerFusionFCNN,
             "eGe_branch.2.weight": DualCNN}
    kind = next((kind for name, kind in known.items() if name in state), None)
    if kind is None:
        raise ValueError(f"state: none of {', '.join(known)}. Expected a baseline of the authors' "
                         "CFRAFN.")
    arguments = {"egemaps_features": config["input_dim_eGe"],
                 "vggish_features": config["input_dim_VGGish"],
                 "dropout": config.get("dropout", 0.5)}
    # The DCNN's file holds its convolutions twice, as …_conv_layers and as …_branch.0.
    return kind, arguments, {key(name): value for name, value in state.items()
                             if "_conv_layers." not in name}


def key(name):
    """The reference's name of an entry -> ours."""
    name = name.replace("eGeMAPS_", "egemaps_").replace("eGe_", "egemaps_")
    name = name.replace("VGGish_", "vggish_")
    return name.replace("fusion.attention_layer.", "gate.score.")


def sizes(state):
    """What the weights themselves say about the network, under the reference's names."""
    lacking = [name for name, axis in SIZES.values()
               if name not in state or state[name].ndim <= axis]
    if lacking:
        raise ValueError(f"state: no {lacking[0]}, or of another shape. Expected a state "
                         "dictionary of the authors' CFRAFN.")
    actual = {size: state[name].shape[axis] for size, (name, axis) in SIZES.items()}
    actual["expansion"] /= actual["transformed_feature_dim"]
    return actual
