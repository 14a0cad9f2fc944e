"""The papers, each a room of its own: what differs between them, and nothing else."""

import importlib

from depnb.papers.cards import cards


def room(name):
    """The module of a paper, by its name: `Parameters` and `Paper`."""
    if name not in cards():
        raise ValueError(f"paper {name!r}: choose {', '.join(cards())}.")
    return importlib.import_module(f"depnb.papers.{name}")


def rooms():
    """Name -> class Paper, of all papers."""
    return {name: room(name).Paper for name in cards()}
