"""Simulated trees that a test has changed: their marker vouches for them again."""

import json
import re

from depnb.corpora.privacy import GENERATOR, MARKER
from depnb.corpora.simulated import VERSION
from depnb.simulation import layouts


def vouched(root):
    """The root, whose marker, if it has one, now vouches for every file as it is."""
    if (root / MARKER).exists():
        told = json.loads((root / MARKER).read_text())
        layouts.vouch(root, {"generator": GENERATOR,
                             "arguments": {"participants": 12, "effect": 1.0, "seed": 0,
                                           "version": VERSION}, **told})
    return root


def problem_of(corpus, session):
    """The one sentence on a session, "all" for the whole corpus."""
    (sentence,) = corpus.problems.loc[corpus.problems["session"] == session, "problem"]
    return sentence


def text_of(corpus):
    """All that a page may print of a corpus, without its pseudonyms."""
    tables = (corpus.sessions.drop(columns="score"), corpus.problems, corpus.modalities())
    text = "".join(table.to_csv() for table in tables) + repr(list(corpus.files()))
    return re.sub(r"[SP]-[0-9a-f]{10}", "", text)


def contents(root):
    """The bytes of every file below a folder, by name."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
