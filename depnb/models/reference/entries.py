"""Entries of a configuration and of a state dictionary: all there, as the weights say, copied."""


def require(config, names):
    """ValueError that lists what the configuration lacks."""
    missing = [name for name in names if name not in config]
    if missing:
        raise ValueError(f"config: {', '.join(missing)} missing. The authors' names are "
                         f"{', '.join(names)}.")


def compare(config, actual, names):
    """ValueError for the first entry that differs from what the weights say."""
    for name in names:
        if config[name] != actual[name]:
            raise ValueError(f"config: {name} is {config[name]!r}, but the checkpoint's weights "
                             f"say {actual[name]!r}.")


def assign(model, state):
    """Copy a complete state dictionary into the model, or say in one sentence what does not fit."""
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if missing or extra or wrong:
        groups = ((missing, "missing"), (extra, "unknown"), (wrong, "of another shape"))
        parts = [f"{len(keys)} {what} (first: {sorted(keys)[0]})" for keys, what in groups if keys]
        raise ValueError(f"checkpoint: entries do not fit {type(model).__name__}: "
                         f"{', '.join(parts)}. It belongs to another variant or size of the model.")
    model.load_state_dict(state)
