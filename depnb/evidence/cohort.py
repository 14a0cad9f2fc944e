"""The shared cohort, its folds and parts."""

import hashlib
import json
from pathlib import Path

import pandas as pd
from sklearn.model_selection import StratifiedKFold

from depnb.corpora.cohort import read_participants
from depnb.corpora.simulated import effect_text
from depnb.files import located
from depnb.simulation import cohort as cohorts
from depnb.simulation import effects, face, severity, vlog, voice

# Recordings shorter than a chapter's: two or three of each participant.
SECONDS = {"speech_folder": 5.0}
# What an oracle of a layout sees: the latent cues themselves, before anyone speaks or moves.
CUES = {"speech_folder": tuple(voice.CUES), "avec2014": tuple(face.CUES),
        "dvlog": tuple(vlog.CUES),
        "daic_woz": (*voice.CUES, *face.CUES, *severity.PHQ8_ITEMS)}


class Cohort:
    """A rendered cohort as `runs` and `figures` see a corpus.

    Attributes
    ----------
    people : table by participant
    root : folder
    """

    name, restricted = "cohort", False

    def __init__(self, participants, seed=0, effect=1.0, workers=-1, root=None):
        """root: folder of a rendered cohort, whose own arguments then count; None: rendered where
        the notebooks share it."""
        shared = f"data/simulated/cohort-{participants}-effect{effect_text(effect)}-seed{seed}"
        self.root = Path(root or located(shared))
        if root is None:
            cohorts.render(self.root, participants, seed, effect, seconds=SECONDS, workers=workers)
        self.sessions = read_participants(self.root)
        self.people = self.sessions.set_index("participant")
        content = (self.root / cohorts.TABLE).read_bytes()
        self.truth, self.fingerprint = json.loads(content), hashlib.sha256(content).hexdigest()[:16]
        held = self.truth["arguments"]
        if held["effect"] != effect:
            raise ValueError(f"{self.root.name}: holds a cohort of effect "
                             f"{effect_text(held['effect'])}, {effect_text(effect)} was asked "
                             "for. Set effect to the same value, or data_root to another folder.")

    def __len__(self):
        return len(self.people)

    def oracle(self, layout):
        """The best linear rule on the latent cues that this layout shows -> Series by participant.

        It knows the planted d of each, among women and among men; where nothing is planted all
        weigh the same.
        """
        names = CUES[layout]
        d = pd.DataFrame({cue: self.people["gender"].map(self.truth["planted"][cue])
                          for cue in names})
        weights = effects.best_weights(d.where((d != 0).any(axis=1), 1.0))
        return (self.people[[f"cue_{cue}" for cue in names]] * weights).sum(axis=1)


def cohort_folds(people, k, seed):
    """Fold of every participant, 0 to k - 1.

    Folds are alike in class and, where there are enough, in gender and then in PHQ-8 totals.

    Returns
    -------
    Series by participant

    Raises
    ------
    ValueError
        Where a class has fewer than k participants.
    """
    fewest = people["label"].value_counts().reindex([0, 1], fill_value=0).min()
    if fewest < k:
        raise ValueError(f"{k} folds: the smaller class has {fewest} participants. "
                         "Take more participants.")
    median = people.groupby("label")["phq8_total"].transform("median")
    strata = people["label"]
    genders = [people["gender"] == "male"] if "gender" in people else []
    for finer in (*genders, people["phq8_total"] > median):
        strata = strata * 2 + finer if (strata * 2 + finer).value_counts().min() >= k else strata
    folds = pd.Series(0, index=people.index, name="fold")
    splitter = StratifiedKFold(k, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(people, strata)):
        folds.iloc[held] = number
    return folds


def parts(people, fold, test, seed):
    """train, validation (a fifth of the rest, more in small cohorts) and test, by participant.

    Parameters
    ----------
    people : table by participant
    fold : of `cohort_folds`
    test : number of the fold that is the test set

    Returns
    -------
    Series by participant
    """
    split = pd.Series("train", index=people.index, name="split").mask(fold == test, "test")
    rest = people[split == "train"]
    inner = cohort_folds(rest, min(5, rest["label"].value_counts().min()), seed + 1)
    split[inner.index[inner == 0]] = "validation"
    return split
