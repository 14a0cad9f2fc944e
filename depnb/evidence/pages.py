"""What the pages of evidence may be given."""

from typing import Annotated

from pydantic import AfterValidator, Field

from depnb.papers.cards import cards
from depnb.papers.parameters import Count, Effect, Parameters, Positive, Share

Epochs = Count                          # 0: each paper's own number
Level = Annotated[int, Field(ge=1, le=3)]


def by_paper(text):
    """Numbers of epochs by paper, as "cfrafn 40, sta_drn 4".

    Returns
    -------
    dict, None for a paper that is not named

    Raises
    ------
    ValueError
        For a paper that does not exist and for what is no number of 1 or more.
    """
    epochs = dict.fromkeys(cards())
    for entry in filter(None, text.split(",")):
        name, _, number = entry.strip().partition(" ")
        if name not in epochs or not number.strip().isdecimal() or int(number) < 1:
            example = name if name in epochs else next(iter(epochs))
            raise ValueError(f"expected papers ({', '.join(epochs)}), each with a number of "
                             f"epochs: \"{example} 4\".")
        epochs[name] = int(number)
    return epochs


class Page(Parameters):
    """What all of them have."""

    participants: Annotated[int, Field(ge=6)]
    effect: Effect
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
    epochs: Annotated[str, AfterValidator(by_paper)]


class Robustness(Page):
    folds: Annotated[int, Field(ge=2)]
    epochs: Epochs
    test_folds: Positive
    levels: Annotated[list[Level], Field(min_length=1)]
    confound_share: Share
    comparison_run: str


class Explanations(Page):
    folds: Annotated[int, Field(ge=2)]
    seeds: Positive
    epochs: Epochs
    units: Positive
    random_networks: Positive
    comparison_run: str
