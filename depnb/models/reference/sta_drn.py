"""A state dictionary of STA-DRN's authors -> arguments and entries of our class."""

import re

from depnb.models.reference.entries import compare, require
from depnb.models.sta_drn import STADRN

VARIANTS = {"tanet": "temporal", "sanet": "spatial", "stanet": "sum",
            "stanet_af": "attention_fusion"}


def plan(state, config):
    """STA-DRN -> class, arguments, entries.

    Parameters
    ----------
    config : variant (tanet, sanet, stanet, stanet_af), layers, k, features, in_channels,
        num_classes

    Raises
    ------
    ValueError
        For what is missing or contradicts the weights.
    """
    names = ("variant", "layers", "k", "features", "in_channels", "num_classes")
    require(config, names)
    actual = sizes(state)
    if actual["variant"] is None:
        one_branch = config["variant"] in ("tanet", "sanet")
        actual["variant"] = config["variant"] if one_branch else "tanet or sanet"
    compare({**config, "layers": list(config["layers"])}, actual, names)
    variant = VARIANTS[actual["variant"]]
    arguments = {
        "variant": variant, "k": actual["k"], "units": actual["layers"],
        "features": actual["features"], "stem_features": actual["stem"],
        "in_channels": actual["in_channels"], "outputs": actual["num_classes"],
        "dropout": config.get("drop_prob", 0.0), "width_multiplier": config.get("groups", 1),
        "width_per_group": config.get("width_per_group", 64)}
    return STADRN, arguments, {key(name, variant): value for name, value in state.items()}


def key(name, variant):
    """The reference's name of an entry -> ours."""
    name = re.sub(r"\.conv2\.(group_conv|bn|fc)_(temporal|spatial)\.", r".conv2.\2.\1.", name)
    name = re.sub(r"\.conv2\.(temporal|spatial)_block\.", r".conv2.\1.", name)
    return re.sub(r"\.conv2\.(group_conv|bn|fc)\.", rf".conv2.{variant}.\1.", name)


def sizes(state):
    """What the weights themselves say about the network, under the reference's names."""
    if "conv_1.weight" not in state or "fc.weight" not in state:
        raise ValueError("state: no conv_1.weight or fc.weight. Expected a state dictionary of the "
                         "authors' STA-DRN.")
    first = [name for name in state if name.startswith("layer_1.0.conv2.") and "group_conv" in name
             and name.endswith("weight")]
    if not first:
        raise ValueError("state: no layer_1.0.conv2.…group_conv….weight. Expected the authors' "
                         "STA-DRN.")
    width, inner = state[first[0]].shape[:2]
    k = width // inner
    units = [len({name.split(".")[1] for name in state if name.startswith(f"layer_{stage}.")})
             for stage in range(1, 5)]
    if "_block." in first[0]:
        variant = "stanet"
    elif len(first) == 2:
        variant = "stanet_af"
    else:       # equal shapes and names: only the configuration tells tanet and sanet apart
        variant = None
    return {"variant": variant, "layers": [n // k for n in units], "k": k,
            "features": state["fc.weight"].shape[1] // 32,
            "in_channels": state["conv_1.weight"].shape[1],
            "num_classes": state["fc.weight"].shape[0], "stem": state["conv_1.weight"].shape[0]}
