"""Parameters of a page, typed: what a value may be is said once, and checked before anything is
simulated or loaded.

A notebook's parameters cell names, explains and defaults them; the model of its page, `Parameters`
in `papers/<paper>.py` and `evidence/pages.py`, says what each may be. A test holds the two against
each other.
"""

import ast
import difflib
import re
from typing import Annotated, Literal

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from depnb.corpora.simulated import LARGEST, checked_effect

# Of an annotation that papermill, which knows no |, can list.
KINDS = {"float or str": (float, str)}
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Fold = Annotated[int, Field(ge=-1, le=3)]               # of four; -1: the official split
Protocol = Literal["clean", "as_published"]


def _effect(value):
    """Numbers are no text on a page, "1" neither."""
    if isinstance(value, str) and value != "literature":
        raise ValueError(f"expected a number from 0 to {LARGEST:g}, or literature.")
    return checked_effect(value)


Effect = Annotated[float | str, AfterValidator(_effect)]


class Parameters(BaseModel):
    """What a page may be given.

    Values are those of the notebook's cell; nothing is converted but int to float.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    @field_validator("device", check_fields=False)
    @classmethod
    def _is_there(cls, device):
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("PyTorch sees no CUDA device on this machine. "
                             "Choose cpu, or leave it at auto.")
        return device

    @field_validator("workers", check_fields=False)
    @classmethod
    def _some(cls, workers):
        if workers == 0 or workers < -1:
            raise ValueError("expected a number of processes, or -1 for every core.")
        return workers


class Chapter(Parameters):
    """What all four chapters have."""

    data_root: str
    cache_dir: str
    run_dir: str
    simulated_participants: Positive
    simulated_effect: Effect
    simulated_seed: Count
    protocol: Protocol
    epochs: Positive
    learning_rate: Amount
    seed: Count
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    workers: int
    tracker: Literal["csv", "tensorboard", "wandb"]
    checkpoint: str
    resume: bool


def read(namespace, model=None):
    """The parameters of a notebook, checked -> dict by name.

    Parameters
    ----------
    namespace : the notebook's globals(); its annotated parameters cell says which there are, and
        papermill's injected cell, in `In`, what was set
    model : class of Parameters; None: names and types of the cell are all that is known

    Raises
    ------
    ValueError
        In one sentence: an unknown name (with the nearest known one), a value of the wrong type, a
        choice that does not exist, a number out of its range, a device that is not there.
    """
    declared = namespace["__annotations__"]
    for name in injected(namespace.get("In", [])):
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1)
            raise ValueError(f"unknown parameter {name!r}"
                             + (f"; did you mean {near[0]!r}?" if near else ".") + " Known: "
                             f"{', '.join(declared)}.")
    values = {name: namespace[name] for name in declared}
    for name, kind in declared.items():
        kinds = KINDS.get(kind, (kind,))
        if float in kinds and type(values[name]) is int:
            values[name] = namespace[name] = float(values[name])
        if type(values[name]) not in kinds:
            raise ValueError(wrong_type(name, kind, values[name]))
    if model:
        check(model, values)
    return values


def injected(cells):
    """Names that papermill set in a notebook. cells: sources of the cells that ran."""
    trees = [ast.parse(cell) for cell in cells if cell.startswith("# Parameters")]
    return [target.id for tree in trees for node in tree.body if isinstance(node, ast.Assign)
            for target in node.targets]


def wrong_type(name, kind, value):
    """A sentence about a value of another type than the cell's."""
    hint = ""
    if kind is float and isinstance(value, str) and re.fullmatch(r"[-+]?\d+e[-+]?\d+", value):
        hint = " YAML reads it as text; write it with a point, as in 5.0e-3."
    expected = kind if kind in KINDS else kind.__name__
    return (f"parameter {name}: expected {expected}, "
            f"got {value!r} ({type(value).__name__}).{hint}")


def check(model, values):
    """Raise ValueError, in one sentence, when a model of parameters does not take these values (a
    mapping by name).
    """
    try:
        model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(sentence(first)) from None


def sentence(error):
    """One of pydantic's errors in the words of the book."""
    where, value, context = ".".join(map(str, error["loc"])), error["input"], error.get("ctx", {})
    if error["type"] == "literal_error":                    # pydantic says 'a', 'b' or 'c'
        choices = context["expected"].replace("'", "")
        return f"parameter {where}: {value!r}; choose {choices}."
    bounds = {"greater_than": "more than {gt:g}", "greater_than_equal": "{ge:g} or more",
              "less_than": "less than {lt:g}", "less_than_equal": "at most {le:g}"}
    if error["type"] in bounds:
        return f"parameter {where}: {value!r}; expected {bounds[error['type']].format(**context)}."
    message = (str(context["error"]) if "error" in context
               else f"{error['msg'][0].lower()}{error['msg'][1:]}.")
    return f"parameter {where}: {value!r}; {message}" if where else f"parameter {message}"
