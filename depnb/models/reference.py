"""Our models from the authors' published checkpoints.

`load(paper, state, config)` takes what the authors' file holds and the reference's own configuration names, and
returns our model in eval mode. Only tensors travel; nothing of a foreign pickle is executed (load the file with
`torch.load(path, weights_only=True)`).
"""

import re

from depnb.models.sta_drn import STADRN

STA_DRN_VARIANTS = {"tanet": "temporal", "sanet": "spatial", "stanet": "sum", "stanet_af": "attention_fusion"}


def load(paper, state, config, feature_weights=None):
    """Our model with the authors' weights, in eval mode.

    paper: "sta_drn"; state: their flat state dictionary (keys may carry a `module.` prefix); config: mapping with
    the reference's names, unknown keys are ignored. STA-DRN is called as model(clips), clips (N, C, T, H, W), and
    returns (N, outputs), what the authors' network emits. Raises ValueError that names a missing or contradictory
    configuration entry, or weights that are missing or left over.
    """
    loaders = {"sta_drn": sta_drn}
    if paper not in loaders:
        raise ValueError(f"paper {paper!r}: no published checkpoint format is known; choose one of {', '.join(loaders)}.")
    if feature_weights is not None:
        raise ValueError(f"feature_weights: {paper} has none; leave it out.")
    return loaders[paper](dict(state), config).eval()


def sta_drn(state, config):
    """STA-DRN. config: variant (tanet, sanet, stanet, stanet_af), layers, k, features, in_channels, num_classes."""
    state = {key.removeprefix("module."): value for key, value in state.items()}
    names = ("variant", "layers", "k", "features", "in_channels", "num_classes")
    missing = [name for name in names if name not in config]
    if missing:
        raise ValueError(f"config: {', '.join(missing)} missing. The authors' names are {', '.join(names)}.")
    found = sta_drn_sizes(state)
    if found["variant"] is None and config["variant"] in ("tanet", "sanet"):
        found["variant"] = config["variant"]
    for name in names:
        given = list(config[name]) if name == "layers" else config[name]
        if given != found[name]:
            said = found[name] or "tanet or sanet"
            raise ValueError(f"config: {name} is {given!r}, but the checkpoint's weights say {said!r}.")
    variant = STA_DRN_VARIANTS[found["variant"]]
    model = STADRN(variant, found["k"], found["layers"], found["features"], found["stem"], found["in_channels"],
                   found["num_classes"], config.get("drop_prob", 0.0), config.get("groups", 1),
                   config.get("width_per_group", 64))
    assign(model, {sta_drn_key(key, variant): value for key, value in state.items()})
    return model


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
