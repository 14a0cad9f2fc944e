"""Our models from the authors' published checkpoints.

`load(paper, state, config)` takes what the authors' file holds and the reference's own configuration names, and
returns our model in eval mode. Only tensors travel; nothing of a foreign pickle is executed (load the file with
`torch.load(path, weights_only=True)`).
"""

import re

from depnb.models.cfrafn import CFRAFN, DualCNN, FeatureFusionFCNN, LayerFusionFCNN
from depnb.models.sta_drn import STADRN

STA_DRN_VARIANTS = {"tanet": "temporal", "sanet": "spatial", "stanet": "sum", "stanet_af": "attention_fusion"}
CFRAFN_SIZES = {        # the reference's name -> where its checkpoint shows it: entry, axis
    "input_dim_eGeMAPS": ("eGeMAPS_transform.weight", 1), "input_dim_VGGish": ("VGGish_transform.weight", 1),
    "transformed_feature_dim": ("eGeMAPS_transform.weight", 0),
    "expansion": ("eGeMAPS_net.0.mlp.0.weight", 0),                         # times the transformed width
    "conv_out_channels": ("VGGish_net.0.conv.0.weight", 0), "resblock_kernel_size": ("VGGish_net.0.conv.0.weight", 2),
    "cls_dim": ("classifier.0.weight", 0)}


def load(paper, state, config, feature_weights=None):
    """Our model with the authors' weights, in eval mode.

    paper: "sta_drn", "cfrafn" or "cfrafn_baseline"; state: their flat state dictionary (keys may carry a `module.`
    prefix); config: mapping with the reference's names, unknown keys are ignored. Raises ValueError that names a missing
    or contradictory configuration entry, or weights that are missing or left over.

    STA-DRN is called as model(clips), clips (N, C, T, H, W), and returns (N, outputs), what the authors' network emits.
    CFRAFN and its baselines are called as model(egemaps=, vggish=) with (B, 88) and (B, 128) and return logits (B,),
    whose sigmoid is the authors' probability. CFRAFN needs `feature_weights` (88,), multiplied onto the eGeMAPS columns by
    position as released: the authors' checkpoint does not hold them (see `depnb.features.importance`).
    """
    loaders = {"sta_drn": sta_drn, "cfrafn": cfrafn, "cfrafn_baseline": cfrafn_baseline}
    if paper not in loaders:
        raise ValueError(f"paper {paper!r}: no published checkpoint format is known; choose one of {', '.join(loaders)}.")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if paper == "cfrafn":
        return cfrafn(state, config, feature_weights).eval()
    if feature_weights is not None:
        raise ValueError(f"feature_weights: {paper} has none; leave it out.")
    return loaders[paper](state, config).eval()


def sta_drn(state, config):
    """STA-DRN. config: variant (tanet, sanet, stanet, stanet_af), layers, k, features, in_channels, num_classes."""
    names = ("variant", "layers", "k", "features", "in_channels", "num_classes")
    require(config, names)
    found = sta_drn_sizes(state)
    if found["variant"] is None:
        found["variant"] = config["variant"] if config["variant"] in ("tanet", "sanet") else "tanet or sanet"
    compare({**config, "layers": list(config["layers"])}, found, names)
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


def cfrafn(state, config, feature_weights):
    """CFRAFN. config: the names of CFRAFN_SIZES and temperature; dropout, if the model is to be trained on."""
    require(config, (*CFRAFN_SIZES, "temperature"))
    lacking = [key for key, axis in CFRAFN_SIZES.values() if key not in state or state[key].ndim <= axis]
    if lacking:
        raise ValueError(f"state: no {lacking[0]}, or of another shape. Expected a state dictionary of the authors' CFRAFN.")
    found = {name: state[key].shape[axis] for name, (key, axis) in CFRAFN_SIZES.items()}
    found["expansion"] /= found["transformed_feature_dim"]
    compare(config, found, CFRAFN_SIZES)
    if feature_weights is None:
        raise ValueError(f"feature_weights: the authors' checkpoint does not hold them; give {found['input_dim_eGeMAPS']} "
                         "numbers, in the order of the eGeMAPS columns (ones for no weighting).")
    model = CFRAFN(found["input_dim_eGeMAPS"], found["input_dim_VGGish"], found["transformed_feature_dim"],
                   found["conv_out_channels"], int(found["expansion"]), found["resblock_kernel_size"], found["cls_dim"],
                   config.get("dropout", 0.1), config["temperature"], feature_weights)
    assign(model, {cfrafn_key(key): value for key, value in state.items()} | {"feature_weights": model.feature_weights})
    return model


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
    model = kind(config["input_dim_eGe"], config["input_dim_VGGish"], dropout=config.get("dropout", 0.5))
    # The DCNN's file holds its convolutions twice, as …_conv_layers and as …_branch.0.
    assign(model, {cfrafn_key(key): value for key, value in state.items() if "_conv_layers." not in key})
    return model


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
