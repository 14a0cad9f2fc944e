"""An authors' file of weights in a notebook: when it is one, its parameters, what is said of it.

`depnb.papers.weights` reads the file. Nothing is trained then; the network is the file's, whatever
sizes the parameters give.
"""

import json
from pathlib import Path

import yaml
from safetensors import safe_open

from depnb.features import interview, text, vggish, vlog
from depnb.files import located
from depnb.models.pickles import is_safetensors
from depnb.papers import weights
from depnb.papers.cards import cards

WEIGHTS = "checkpoint.safetensors"      # of a run
# Parameters that must have one of these values (text: must be given), or the answers would mean
# nothing.
NEEDED = {
    "sta_drn": {"target": ("share",)},
    "cfrafn": {"model": ("cfrafn",), "fusion": ("gate",), "scaling": ("none",),
               "postprocess": (True,), "alignment": ("as_released", "by_name", "columns_by_list"),
               "importances": "the path of their sorted_feature_importance.csv"},
    "aafn": {},
    "dynmultidep": {"scaling": ("none",), "gate": ("hard", "soft")}}
# How recordings reach the network: said where it is not as in the authors' parameter file.
COMPARED = {
    "sta_drn": ("protocol", "frame_step", "crop", "clip_stride", "clip_frames", "image_size",
                "normalise"),
    "cfrafn": ("protocol",),
    "aafn": ("protocol", "windows", "window_seconds", "overlap_seconds", "frame_step", "decoding"),
    "dynmultidep": ("protocol", "mask", "gate", "temperature")}


def is_theirs(path):
    """Whether a path is to be read as an authors' file: no folder, and no safetensors.

    Those are what our runs write.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".safetensors":
        return False
    if path.is_file():
        with path.open("rb") as file:
            return not is_safetensors(file.read(9))
    return path.suffix != ""            # there is none: whoever reads it says so


def run_weights(paper, path, page="chapter"):
    """The file of weights of a run of ours, before any work is done with it.

    Parameters
    ----------
    paper : the one that is asked for
    path : a run's folder or its checkpoint.safetensors
    page : who asks, chapter or predict: it tells what to do

    Returns
    -------
    path of the file

    Raises
    ------
    FileNotFoundError, ValueError
        In one sentence: there is no such file or folder, it is no file of safetensors, or it holds
        the weights of another paper.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"checkpoint {path}: is not there. "
                                f"Give a run's folder, its {WEIGHTS} or an authors' file.")
    if path.is_dir() and not (path / WEIGHTS).is_file():
        raise FileNotFoundError(f"checkpoint {path}: a folder without {WEIGHTS}. Give the folder "
                                f"of a run that trained, its {WEIGHTS} or an authors' file.")
    path = path / WEIGHTS if path.is_dir() else path
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
        theirs = about.get("paper", about.get("model"))
    # safetensors raises its own type for anything that is not its format
    except Exception as error:
        raise ValueError(f"checkpoint {path}: "
                         f"no weights of a run can be read from it ({type(error).__name__}). "
                         f"Give a run's folder, its {WEIGHTS} or an authors' file.") from None
    titles = {name: card.title for name, card in cards().items()}
    if theirs in titles and theirs != paper:
        asked, remedy = ((f"this is the chapter on {titles[paper]}",
                          f"Give it to notebooks/{theirs}.ipynb")
                         if page == "chapter" else (f"paper is {paper}", f"Set paper to {theirs}"))
        raise ValueError(f"checkpoint {path}: is of {titles[theirs]}, {asked}. "
                         f"{remedy}, or give another one here.")
    return path


def read(paper, p, run):
    """The model of the authors' file that `checkpoint` names, and what is known of it.

    Parameters
    ----------
    paper : name of the notebook
    p : its parameters
    run : the run that will hold its results

    Returns
    -------
    model, facts : facts as of `weights.read_model`, and apart: what is not as in the authors'
        parameter file; None, None where `checkpoint` is empty or of a run of ours

    Raises
    ------
    FileNotFoundError, ValueError
        As `weights.read_model` and `run_weights`; and for parameters with which the answers would
        mean nothing, or a finished run of another file.
    """
    if not p["checkpoint"]:
        return None, None
    if not is_theirs(located(p["checkpoint"])):
        run_weights(paper, located(p["checkpoint"]))
        return None, None
    check_parameters(paper, p)
    model, facts = model_of(paper, p)
    if run.complete and (run.metrics.get("checkpoint") or {}).get("sha256") != facts["sha256"]:
        raise ValueError(f"run {run.name} was made with other weights than {facts['file']} holds "
                         "now. Give another run_dir, or set resume to False to score it anew.")
    return model, facts


def model_of(paper, p):
    """`read` without its checks: the model and the facts of the file that p["checkpoint"] names."""
    choices = {name: p[name] for name in weights.CHOICES[paper]}
    if choices.get("importances"):
        choices["importances"] = located(choices["importances"])
    model, facts = weights.read_model(paper, located(p["checkpoint"]), at_hand(paper, p), **choices)
    return model, facts | {"apart": apart(paper, p, facts["sizes"])}


def at_hand(paper, p):
    """What the features of a notebook ask of a network, as far as parameters tell.

    -> mapping of arguments of its class to numbers.
    """
    if paper == "sta_drn":
        return {"in_channels": 3, "outputs": 1}
    if paper == "cfrafn":
        return {"egemaps_features": 88, "vggish_features": 128}
    if paper == "dynmultidep":
        widths = vlog.WIDTHS.get(p["corpus"], {})
        return {f"{ours}_features": widths[name]
                for ours, name in (("audio", "acoustic"), ("visual", "visual")) if name in widths}
    encoder = p["sentence_encoder"]
    known = encoder == "hashed" or encoder.startswith("use:")
    return {"points": interview.POINTS, "coordinates": 3, "bands": interview.BANDS,
            "heads": 8} | ({"embedding": text.WIDTH} if known else {})


def check_inputs(facts, **widths):
    """ValueError that names the file if its network reads features of other widths than at hand."""
    try:
        weights.check_inputs(facts["sizes"], widths)
    except ValueError as error:
        raise ValueError(f"{facts['file']}: {error}") from None


def check_parameters(paper, p, where=""):
    """ValueError that names every parameter with which the network's answer would mean nothing.

    where: they are set, in words, if not in the notebook that asks.
    """
    wrong = {name: wanted for name, wanted in NEEDED[paper].items()
             if (not p[name] if isinstance(wanted, str) else p[name] not in wanted)}
    file = Path(p["checkpoint"]).name
    if wrong:
        now = ", ".join(f"{name} {p[name]!r}" for name in wrong)
        remedy = "; ".join(
            f"{name} to {wanted if isinstance(wanted, str) else ' or '.join(map(str, wanted))}"
            for name, wanted in wrong.items())
        raise ValueError(f"checkpoint {file}: with {now} the answers of the authors' network would "
                         f"mean nothing. Set {remedy}{where}.")
    if paper == "cfrafn" and p["vggish_weights"] != "none":
        cache = str(located(p["cache_dir"]))
        kind, *_ = vggish.locate(p["vggish_weights"], cache, p["postprocess"])
        if kind != "vggish":
            raise ValueError(f"checkpoint {file}: the authors' network reads VGGish embeddings, "
                             "and VGGish cannot be had here. Give its path as vggish_weights, or "
                             "none to see answers that mean nothing.")


def parameter_file(paper, p):
    """The authors' settings of a paper, below the repository's root."""
    name = f"{p['corpus']}_paper" if paper == "dynmultidep" else "paper"
    return f"params/{paper}/{name}.yaml"


def apart(paper, p, sizes):
    """What is not prepared as the authors did -> list of sentences. sizes: of the network."""
    file, sentences = parameter_file(paper, p), []
    theirs = yaml.safe_load(located(file).read_text())
    departs = [f"{name} {p[name]} ({theirs[name]})" for name in COMPARED[paper]
               if p[name] != theirs[name]]
    if departs:
        sentences.append(f"Not as in {file} (its values in brackets): {', '.join(departs)}.")
    if paper == "cfrafn" and p["vggish_weights"] == "none":
        sentences.append("Log-mel statistics stand in for the VGGish embeddings that it was "
                         "trained on: its answers mean nothing.")
    if "text" in sizes.get("modalities", ()) and not p["sentence_encoder"].startswith("use:"):
        sentences.append("Sentences are not described by the Universal Sentence Encoder, as its "
                         "authors have it: what it makes of text means nothing.")
    return sentences


def settings(paper, file="auto", **changed):
    """Parameters that prepare recordings for an authors' network, where there is no run to tell.

    Parameters
    ----------
    paper : name of the notebook
    file : its parameter file, laid over quick.yaml; auto: the authors' settings, of dynmultidep for
        D-Vlog
    changed : parameters that come last
    """
    if file == "auto":
        file = parameter_file(paper, {"corpus": "dvlog"})
    if not located(file).is_file():
        raise FileNotFoundError(f"settings {file}: no such file. Give a parameter file, as "
                                f"params/{paper}/paper.yaml.")
    quick, own = (yaml.safe_load(located(name).read_text())
                  for name in (f"params/{paper}/quick.yaml", file))
    return quick | own | changed


def described(run):
    """What a notebook says of its run: `Run.describe`, and `sentence` of an authors' file."""
    facts = run.metrics.get("checkpoint")
    return run.describe() + (f" {sentence(facts, run.parameters)}" if facts else "")


def sentence(facts, parameters):
    """A file of weights in Markdown: name, hash, sizes, what is not known of it.

    parameters: those of the notebook; only sizes that are among them are told.
    """
    sizes = {name: value for name, value in facts["sizes"].items() if name in parameters}
    told = [f"**Weights of `{facts['file'].replace('`', '')}`** (SHA-256 `{facts['sha256']}`), "
            f"{facts['format']}; **nothing was trained here**."]
    for before, values in (("Its network", sizes),
                           ("By parameters, since weights cannot show it", facts["chosen"]),
                           ("Numbers beside the weights", facts["stored"])):
        if values:
            listed = ", ".join(f"{name} {plain(value)}" for name, value in values.items())
            told.append(f"{before}: {listed}.")
    told.append("Of which run and epoch they are, and on whose recordings they were trained, is "
                "not known here: people of the test part may be among these.")
    return " ".join([*told, *facts["apart"]])


def plain(value):
    """A size as text: numbers by modality, lists and single ones."""
    if isinstance(value, dict):
        return " / ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
