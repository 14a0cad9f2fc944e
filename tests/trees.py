"""Simulated trees that a test has changed: their marker vouches for them again."""

import json

from depnb.corpora.privacy import GENERATOR, MARKER
from depnb.simulation import layouts


def vouched(root):
    """The root, whose marker, if it has one, now vouches for every file as it is."""
    if (root / MARKER).exists():
        told = json.loads((root / MARKER).read_text())
        layouts.vouch(root, {"generator": GENERATOR, "arguments": {"participants": 12, "effect": 1.0, "seed": 0}, **told})
    return root
