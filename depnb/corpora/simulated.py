"""What a simulated tree says of itself: by which version it was written, and with which effect."""

import shlex
from pathlib import Path

VERSION = 2             # of the simulator: raise when the same arguments give other bytes
LARGEST = 3.0           # effect


def checked_effect(effect):
    """An effect as a number or the word literature, from a number or a text.

    Raises
    ------
    ValueError
        It is neither a number from 0 to 3 nor `literature`.
    """
    try:
        number = effect if effect == "literature" else float(effect)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(effect, bool) or (number != "literature" and not 0 <= number <= LARGEST):
        raise ValueError(f"effect {effect!r}: expected a number from 0 (null corpus) to "
                         f"{LARGEST:g}, or literature.")
    return number


def effect_text(effect):
    """An effect as names of folders and pages have it: 1, 0.5, literature."""
    return effect if effect == "literature" else f"{effect:g}"


def outdated(root, arguments):
    """A sentence about a tree that another version of the simulator wrote; "" for one of this.

    arguments : dict, as the tree's marker has them
    """
    if (version := arguments.get("version")) == VERSION:
        return ""
    names = ("participants", "seed", "effect", "seconds", "sample", "size")
    options = " ".join(f"--{name} {arguments[name]}" for name in names if name in arguments)
    folder, layout = Path(root), arguments.get("layout", "cohort")
    if arguments.get("cohort") or layout == "cohort":
        folder, layout = (folder.parent if arguments.get("cohort") else folder), "cohort"
        options = options.split(" --seconds")[0]
    recorded = " --recorded" if arguments.get("recorded") else ""
    return (f"{folder}: written by version {version} of the simulator, this is {VERSION}: its "
            "people and cues are others. Remove the folder, or name another one, and write it "
            f"anew: python -m depnb.simulation {layout} --root {shlex.quote(str(folder))} "
            f"{options}{recorded}")
