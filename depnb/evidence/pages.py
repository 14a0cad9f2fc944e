"""What the pages of evidence may be given."""

from typing import Annotated

from pydantic import Field

from depnb.papers.parameters import Count, NotNegative, Parameters, Positive, Share

Epochs = Count                          # 0: each paper's own number
Level = Annotated[int, Field(ge=1, le=3)]


class Page(Parameters):
    """What all of them have."""

    participants: Annotated[int, Field(ge=6)]
    effect: NotNegative
    cohort_seed: Count
    data_root: str
    cache_dir: str
    run_dir: str
    seed: Count
    workers: int
    resume: bool


class Comparison(Page):
    folds: Annotated[int, Field(ge=2)]
    seeds: Positive
    epochs: Epochs


class NullCorpus(Page):
    repetitions: Positive
    restarts: Positive
    cfrafn_epochs: Positive
    sta_drn_epochs: Positive
    aafn_epochs: Positive
    dynmultidep_epochs: Positive


class Robustness(Page):
    folds: Annotated[int, Field(ge=2)]
    epochs: Epochs
    test_folds: Positive
    levels: Annotated[list[Level], Field(min_length=1)]
    confound_share: Share
    comparison_run: str


class Explanations(Page):
    folds: Annotated[int, Field(ge=2)]
    epochs: Epochs
    units: Positive
    random_networks: Positive
    comparison_run: str
