"""One training loop for all papers, on Lightning Fabric, visible from top to bottom.

A run that is killed and started again goes on after its last whole epoch and ends with the same
bits: the state file holds weights, optimiser, random generators and history, and batches depend on
(seed, epoch) alone.
"""

import csv
import io
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from tqdm import tqdm

from depnb.corpora import privacy
from depnb.files import write_atomically
from depnb.runs.sharpness import BATCH_NORMS, ascend, descend, still_statistics

OPTIMISERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
STILL = {"all": BATCH_NORMS, "2d": (torch.nn.BatchNorm2d,)}


@dataclass(frozen=True)
class Recipe:
    """How to train. Learning rates follow the schedule per optimiser step (restarts: per epoch)."""

    epochs: int
    learning_rate: float
    schedule: str = "cosine"        # cosine: 5 % warm-up, then cosine to 0; constant;
                                    # restarts: every 50, 100, 200 … epochs;
                                    # decay: times 0.9 every 10 epochs
    weight_decay: float = 0.0       # decoupled with adamw; added to the gradient with adam
    accumulate: int = 1             # batches an optimiser step; the counter runs on across epochs
    clip_norm: float = 0.0          # largest gradient norm; 0: no clipping
    validate_every: int = 1         # epochs
    patience: int = 0               # stop after so many validations without a better one; 0: never
    select: str = "mae"             # metric of `validate` that picks the epoch; lower is better
    optimiser: str = "adamw"        # adamw or adam
    sharpness: float = 0.0          # rho of SAM, which takes two passes a batch; 0: off
                                    # (see depnb.runs.sharpness)
    adaptive: bool = False          # adaptive SAM
    still: str = "all"              # batch norms whose statistics the second pass leaves alone:
                                    # all, or 2d as AAFN's authors

    def rate(self, step, steps, epoch):
        """Learning rate at optimiser step `step` of `steps`."""
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "cosine":
            warm = max(1, round(0.05 * steps))
            if step < warm:
                return self.learning_rate * (step + 1) / warm
            share = math.pi * (step - warm) / max(1, steps - warm)
            return self.learning_rate * 0.5 * (1 + math.cos(share))
        if self.schedule == "restarts":
            period = 50
            while epoch >= period:
                epoch, period = epoch - period, 2 * period
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / period))
        if self.schedule == "decay":
            return self.learning_rate * 0.9 ** (epoch // 10)
        raise ValueError(f"schedule {self.schedule!r}: choose cosine, constant, restarts or decay.")


def fit(model, loss, batches, validate, recipe, fabric, folder, about, tracker=None,
        compile=False, data=""):
    """Train `model` and leave the best weights in it.

    Writes folder/state.safetensors (after every epoch), folder/checkpoint.safetensors (best
    weights) and folder/history.csv, atomically. Parameters that require no gradient stay as they
    are.

    Parameters
    ----------
    loss : (model, batch) -> scalar tensor
    batches : has len() and, called with an epoch, yields its batches
    validate : model -> dict of floats
    recipe : Recipe
    fabric : of Lightning
    folder : of the run
    about : dict of plain values stored with the weights (which model this is)
    tracker : None, or called with every row of the history
    compile : train through torch.compile
    data : fingerprint of what is trained on; a training that was begun on other data is not gone on
        with, and this is printed

    Returns
    -------
    history, a list of dicts

    Raises
    ------
    ValueError
        For an unknown optimiser, or for SAM with accumulation or a gradient scaler.
    FloatingPointError
        When the loss is no number any more.
    """
    check_recipe(recipe, fabric)
    add_in_a_fixed_order(fabric.device)
    optimiser = OPTIMISERS[recipe.optimiser](trainable(model), recipe.learning_rate,
                                             weight_decay=recipe.weight_decay, fused=True)
    bare = model
    model, optimiser = fabric.setup(torch.compile(model) if compile else model, optimiser)
    state = folder / "state.safetensors"
    done = load_state(state, bare, optimiser, fabric) if goes_on(state, data) else {
        "epoch": 0, "batch": 0, "best": None, "waited": 0, "history": [], "recipe": asdict(recipe),
        "data": data}
    for epoch in tqdm(range(done["epoch"], recipe.epochs), "training", recipe.epochs,
                      initial=done["epoch"], delay=2, leave=False, unit="epoch"):
        if recipe.patience and done["waited"] >= recipe.patience:
            break
        started = perf_counter()
        row = train_epoch(model, bare, optimiser, loss, batches, recipe, fabric, done, epoch)
        if (epoch + 1) % recipe.validate_every == 0 or epoch + 1 == recipe.epochs:
            model.eval()
            with torch.inference_mode():
                row |= {f"val_{name}": value for name, value in validate(model).items()}
            keep_the_best(row, bare, recipe, folder, {**about, "epoch": epoch}, done)
        row["seconds"] = perf_counter() - started
        done["history"].append(row)
        done["epoch"] = epoch + 1
        save_state(state, bare, optimiser, fabric, done)
        write_atomically(folder / "history.csv", as_csv(done["history"]))
        if tracker:
            tracker(row)
    load_checkpoint(folder / "checkpoint.safetensors", bare, about)
    return done["history"]


def goes_on(state, data):
    """Whether there is a state of a training on this data (a fingerprint)."""
    if not state.exists():
        return False
    with safe_open(state, "pt") as file:
        known = json.loads(file.metadata()["about"])["done"].get("data", "")
    if known != data:
        print(f"The training in {state.parent.name} was begun on other features, labels or parts "
              "than those at hand; it starts anew.")
    return known == data


def trainable(model):
    """Parameters of a model that training changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def add_in_a_fixed_order(device):
    """On a GPU ask PyTorch for the kernels that give the same bits twice, where it has such.

    Without this STA-DRN and AAFN did not repeat their bits on an H200; why was not looked at, nor
    what this brings or costs. PyTorch warns of a layer that has no such kernel; mamba-ssm's scan is
    out of its reach.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")     # what cuBLAS needs for it
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False    # all that we allocate is written


def train_epoch(model, bare, optimiser, loss, batches, recipe, fabric, done, epoch):
    """One pass over the training batches -> the first entries of a row of the history.

    Parameters
    ----------
    model, bare : the network as Fabric wraps it, and by itself
    done : where training stands; its count of batches goes on
    """
    steps = math.ceil(recipe.epochs * len(batches) / recipe.accumulate)
    trained = trainable(bare)
    model.train()
    total = torch.zeros((), device=fabric.device)
    for batch in batches(epoch):
        rate = recipe.rate(done["batch"] // recipe.accumulate, steps, epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        value = loss(model, batch)
        fabric.backward(value / recipe.accumulate)
        total += value.detach()
        if recipe.sharpness:                    # the gradient of the worst place nearby instead
            before = ascend(trained, recipe.sharpness, recipe.adaptive)
            optimiser.zero_grad()
            with still_statistics(bare, STILL[recipe.still]):
                fabric.backward(loss(model, batch))
            descend(before)
        done["batch"] += 1
        if done["batch"] % recipe.accumulate == 0:
            if recipe.clip_norm:
                fabric.clip_gradients(model, optimiser, max_norm=recipe.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
    mean = float(total) / len(batches)
    if not math.isfinite(mean):
        raise FloatingPointError(f"the training loss is {mean} in epoch {epoch}. A run with lower "
                                 f"learning_rate (it is {recipe.learning_rate:g}) or precision "
                                 "32-true may end. The state before it is kept.")
    return {"epoch": epoch, "train_loss": mean, "learning_rate": rate}


def keep_the_best(row, bare, recipe, folder, about, done):
    """Write the weights, if this epoch (a row of the history) is the best yet; note it in `done`.
    """
    score = row[f"val_{recipe.select}"]
    done["waited"] += 1
    if done["best"] is None or score < done["best"]:
        done |= {"best": score, "waited": 0}
        write_atomically(folder / "checkpoint.safetensors",
                         save(tensors(bare.state_dict()), described(about)))


def check_recipe(recipe, fabric):
    """ValueError for what cannot be trained."""
    if recipe.optimiser not in OPTIMISERS:
        raise ValueError(f"optimiser {recipe.optimiser!r}: choose adamw or adam.")
    if recipe.still not in STILL:
        raise ValueError(f"still {recipe.still!r}: choose all or 2d.")
    if recipe.sharpness and recipe.accumulate > 1:
        raise ValueError(f"sharpness {recipe.sharpness:g} with accumulate {recipe.accumulate}: SAM "
                         "climbs by the gradient of one batch; set accumulate to 1.")
    if recipe.sharpness and getattr(fabric.strategy.precision, "scaler", None) is not None:
        raise ValueError(f"sharpness {recipe.sharpness:g} with precision 16-mixed: its gradient "
                         "scaler does not know SAM; use bf16-mixed or 32-true.")


def tensors(state):
    """A state dictionary as contiguous CPU tensors, as safetensors needs them."""
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def described(about):
    """Facts for a safetensors header: one entry, as the order of several differs from file to file.
    """
    return {"about": json.dumps(about)}


def save_state(path, model, optimiser, fabric, done):
    """Everything the next epoch depends on, in one file."""
    content = {f"model/{name}": value for name, value in tensors(model.state_dict()).items()}
    inner = optimiser.state_dict()
    for index, entry in inner["state"].items():
        content |= tensors({f"optimiser/{index}/{name}": torch.as_tensor(value)
                            for name, value in entry.items()})
    for index, parameter in enumerate(model.parameters()):      # accumulated, not yet applied
        if parameter.grad is not None and done["batch"] and parameter.grad.any():
            content[f"gradient/{index}"] = parameter.grad.detach().cpu().contiguous()
    content["random/cpu"] = torch.get_rng_state()
    if fabric.device.type == "cuda":
        content["random/cuda"] = torch.cuda.get_rng_state(fabric.device)
    facts = {"done": done, "groups": inner["param_groups"],
             "precision": fabric.strategy.precision.state_dict()}
    write_atomically(path, save(content, described(facts)))


def load_state(path, model, optimiser, fabric):
    """Put a saved state back -> where training stood (dict), as `save_state` got it."""
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["about"])
    content = load_file(path)
    model.load_state_dict({k.removeprefix("model/"): v for k, v in content.items()
                           if k.startswith("model/")})
    entries, parameters = {}, list(model.parameters())
    trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for key, value in content.items():
        kind, _, rest = key.partition("/")
        if kind == "optimiser":
            index, name = rest.split("/")
            entries.setdefault(int(index), {})[name] = laid_out_like(trained[int(index)], value)
        elif kind == "gradient":
            parameters[int(rest)].grad = laid_out_like(parameters[int(rest)], value)
    optimiser.load_state_dict({"state": entries, "param_groups": facts["groups"]})
    torch.set_rng_state(content["random/cpu"])
    if "random/cuda" in content:
        torch.cuda.set_rng_state(content["random/cuda"], fabric.device)
    fabric.strategy.precision.load_state_dict(facts["precision"])
    return facts["done"]


def laid_out_like(parameter, value):
    """A tensor on the device and in the memory order of its parameter.

    A fused optimiser goes through both as they lie.
    """
    if value.shape != parameter.shape:              # a count of steps
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def load_checkpoint(path, model, about):
    """Weights of a run into a model of the same kind.

    Parameters
    ----------
    path : checkpoint.safetensors of a run, or its folder
    about : as of `fit`; every entry must agree with the checkpoint's

    Raises
    ------
    FileNotFoundError, ValueError
        In one sentence: there is none, it is no such file, or it is another model's.
    """
    path = Path(path)
    path = path / "checkpoint.safetensors" if path.is_dir() else path
    try:
        with safe_open(path, "pt") as file:
            stored = json.loads((file.metadata() or {}).get("about", "{}"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such checkpoint. Give a run's "
                                "checkpoint.safetensors.") from None
    except Exception as error:      # safetensors has an own type for what is not its format
        raise ValueError(f"{path}: not a safetensors file ({error}). Give a run's "
                         "checkpoint.safetensors.") from None
    for name, value in about.items():
        if stored.get(name) != value:
            raise ValueError(f"{path}: a checkpoint of another model: {name} is "
                             f"{stored.get(name, 'not given')} there, {value} here. "
                             "Give the checkpoint of a run with these parameters, or none.")
    own, content = model.state_dict(), load_file(path)
    if own.keys() != content.keys() or any(own[k].shape != content[k].shape for k in own):
        raise ValueError(f"{path}: its weights do not fit {type(model).__name__} ({len(content)} "
                         f"entries there, {len(own)} here). Give a checkpoint of the same model.")
    model.load_state_dict(content)


def as_csv(rows):
    """Rows (dicts, not all with the same keys) as CSV text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def make_tracker(kind, folder, name, restricted):
    """A function that takes history rows, or None.

    Parameters
    ----------
    kind : "" or csv (history.csv is enough), tensorboard, or wandb (without an account or a
        network: set WANDB_MODE=offline)
    restricted : whether the corpus is licensed

    Raises
    ------
    ValueError
        For another kind, and for wandb in another mode on a licensed corpus, because it sends what
        it is told off the machine.
    ModuleNotFoundError
        When it is not installed.
    """
    privacy.check_tracker(kind, restricted)
    if kind in ("", "csv"):
        return None
    try:
        if kind == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(folder / "tensorboard"))

            def track(row):
                for key, value in row.items():
                    writer.add_scalar(key, value, row["epoch"])
                writer.flush()

            return track
        if kind == "wandb":
            import wandb

            return wandb.init(project="depnb", name=name, dir=str(folder),
                              mode=os.environ.get("WANDB_MODE")).log
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(f"tracker {kind}: {missing.name} is not installed. Run: pip "
                                  "install -c constraints.txt 'depnb[track]'") from None
    raise ValueError(f"tracker {kind!r}: choose csv, tensorboard or wandb.")


def keep_freed_memory():
    """Let glibc keep freed memory instead of returning it to the system after every layer.

    On a CPU a third of a full-size STA-DRN step went into page faults of activations (see
    benchmarks). No effect elsewhere than on Linux with glibc.
    """
    import ctypes

    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)                     # M_MMAP_MAX: no separate mapping for large blocks
        libc.mallopt(-1, 2**31 - 1)             # M_TRIM_THRESHOLD: up to 2 GB at the heap's top
    except (OSError, AttributeError):
        pass
