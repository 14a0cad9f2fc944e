"""What each paper is, from params/<paper>/card.yaml: read by the workflow, the pages of evidence,
the ledger.
"""

from functools import cache
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from depnb.files import located


class Table(BaseModel):
    """A corpus that a licence holder can run a chapter on, and what was published of it."""

    model_config = ConfigDict(extra="forbid")

    corpus: str
    name: str
    params: str                                 # file of parameters, beside the card
    data_root: str
    published: dict[str, float]                 # by metric of `metrics`, as the authors count
    published_people: dict[str, float] = {}     # by participant
    source: str


class Card(BaseModel):
    """What differs between papers and is no code."""

    model_config = ConfigDict(extra="forbid")

    order: int
    title: str
    cite: str
    called: str = ""                          # in the table of the first page; the title, if empty
    claimed: str                              # who claims what, where: first of its chapter
    finding: str = ""                         # what came out of it, in a sentence, with its source
    input: str
    answer: str
    task: Literal["binary", "severity", "items"]
    unit: str
    modalities: tuple[str, ...]
    corpora: tuple[str, ...]
    as_published: tuple[Literal["clips", "shared", "test", "restarts"], ...]
    metrics: dict[str, str]
    tables: list[Table]


@cache
def cards():
    """Name of every paper -> its Card, in the order of the chapters.

    Raises ValueError for a card with a wrong entry.
    """
    files = sorted(located("params").glob("*/card.yaml"))
    read = {file.parent.name: Card(**yaml.safe_load(file.read_text())) for file in files}
    return dict(sorted(read.items(), key=lambda entry: entry[1].order))
