"""Our models from the authors' published checkpoints.

`load(paper, state, config)` takes what an authors' file holds and the reference's own configuration
names, which must agree with the weights. What turns a paper's state dictionary into arguments and
entries of our class has a file of its own. `depnb.papers.weights.read_model` takes a file as it
comes. Only tensors travel; nothing of a foreign pickle is executed (see `depnb.models.pickles`).
"""

from depnb.models.pickles import read_checkpoint
from depnb.models.reference import aafn, cfrafn, dynmultidep, sta_drn
from depnb.models.reference.entries import assign


def load(paper, state, config, feature_weights=None):
    """Our model with the authors' weights, in eval mode.

    Parameters
    ----------
    paper : "sta_drn", "cfrafn", "cfrafn_baseline", "aafn" or "dynmultidep"
    state : their flat state dictionary (keys may carry a `module.` prefix), for AAFN a dictionary
        of those of its networks
    config : mapping with the reference's names, unknown keys are ignored
    feature_weights : cfrafn, (88,), multiplied onto the eGeMAPS columns by position as released:
        the authors' checkpoint does not hold them (see `depnb.features.importance`)

    Returns
    -------
    model : STA-DRN is called as model(clips), clips (N, C, T, H, W), and returns (N, outputs), what
        the authors' network emits.
        CFRAFN and its baselines are called as model(egemaps=, vggish=) with (B, 88) and (B, 128)
        and return logits (B,), whose sigmoid is the authors' probability.
        AAFN is called as model(visual=, audio=, text=) with (B, frames, 72, 3), (B, bands, frames)
        and (B, sentences, embedding), those that it has, and returns logits (B, heads, bins), whose
        softmax is the authors' probabilities.
        DynMultiDep is called as model(audio=, visual=, mask=) with (B, T, features) twice and
        (B, T), 1 where a frame is real (None: everywhere), and returns logits (B,).

    Raises
    ------
    ValueError
        That names a missing or contradictory configuration entry, or weights that are missing or
        left over.
    """
    return built(*planned(paper, state, config, feature_weights))


def planned(paper, state, config, feature_weights=None):
    """What makes a paper's model of the authors' state dictionary -> class, arguments, entries.

    Parameters and errors are those of `load`, but for entries that do not fit, at which `built`
    stops; the entries bear our names.
    """
    plans = {"sta_drn": sta_drn.plan, "cfrafn": cfrafn.plan, "cfrafn_baseline": cfrafn.baseline,
             "aafn": aafn.plan, "dynmultidep": dynmultidep.plan}
    if paper not in plans:
        raise ValueError(f"paper {paper!r}: no published checkpoint format is known; choose one of "
                         f"{', '.join(plans)}.")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if paper == "cfrafn":
        return cfrafn.plan(state, config, feature_weights)
    if feature_weights is not None:
        raise ValueError(f"feature_weights: {paper} has none; leave it out.")
    return plans[paper](state, config)


def built(kind, arguments, entries):
    """A model of a class with these arguments and entries of its state dictionary, in eval mode.

    Raises
    ------
    ValueError
        For entries that are missing, left over or of another shape.
    """
    model = kind(**arguments)
    assign(model, entries)
    return model.eval()
