"""How far severity moves each cue: Cohen's d between the groups, at an effect or in the literature.

A latent cue is a habit of the participant, of unit variance within a group, plus what severity adds
to it:

  c = a z + sqrt(1 - R) h + sqrt(R) g,    a = effect * slope(EASY), or slope(d of the literature)

z is the latent severity, h a habit of that cue alone, g one that all cues of a person share. With
D the distance between the groups' means of z and W the variance of z within them,

  d = a D / sqrt(1 + a^2 W),              a = d / sqrt(D^2 - d^2 W)

so that at effect 1 every cue differs between the groups by `EASY` standard deviations, whichever
way the participants were recruited. The words count as one cue: those about one item differ by
`EASY_ITEM`, with which the mean over the eight items differs by `EASY`.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

EASY = 1.2              # Cohen's d of every cue at effect 1
EASY_ITEM = 0.64        # that of the words about one item; of the mean over eight of them EASY
SHARED = 0.2            # R: correlation of two cues of a person within a group
ITEM = 0.15             # d of the words about one item; of the mean over eight of them 0.28
ITEMS = ("no_interest", "depressed", "sleep", "tired", "appetite", "failure", "concentrating",
         "moving")


class Size(NamedTuple):
    """What the literature has of a cue.

    d is positive where depression goes with what the cue is named after in `direction`; women and
    men where they differ. An unsettled sign: a corpus draws d between low and high by its seed.
    """

    direction: str
    d: float
    low: float
    high: float
    source: str                     # keys of references.bib; "" for a size that is assumed
    settled: bool = True
    women: float | None = None
    men: float | None = None


LITERATURE = {
    "pitch": Size("lower F0", 0.0, -0.1, 0.2, ""),
    "intonation": Size("narrower range of F0", 0.2, -0.3, 0.5, "mundt2007voice", settled=False),
    "jitter": Size("more jitter", 0.2, 0.0, 0.5, ""),
    "shimmer": Size("more shimmer", 0.2, 0.0, 0.5, ""),
    "breathiness": Size("lower ratio of harmonics to noise", 0.0, -0.5, 0.4, "zhao2022vocal",
                        settled=False),
    "tilt": Size("less energy at high frequencies", 0.0, -0.3, 0.3, "", settled=False),
    "loudness": Size("quieter", 0.4, 0.2, 0.9, "wang2019acoustic"),
    "emphasis": Size("less variation of loudness", 0.2, 0.0, 0.5, ""),
    "rate": Size("slower", 0.45, 0.2, 0.7, "mundt2007voice"),
    "pauses": Size("longer pauses", 0.6, 0.2, 0.8, "mundt2007voice"),
    "smile": Size("weaker, rarer smiles", 0.3, 0.0, 0.6, "bylsma2008meta"),
    "brow": Size("lowered brow", 0.0, -0.2, 0.3, "stratou2013automatic", settled=False,
                 women=-0.2, men=0.3),
    "eyes": Size("eyes closed for longer", 0.2, 0.0, 0.5, ""),
    "gaze": Size("gaze turned down", 0.4, 0.2, 0.7, ""),
    "head": Size("head moves less", 0.5, 0.2, 0.8, ""),
    "slow_acoustic": Size("phases of a quiet, dark, monotonous voice", 0.4, 0.2, 0.6, ""),
    "short_acoustic": Size("more sighs", 0.3, 0.0, 0.6, ""),
    "slow_visual": Size("phases with brow and head lowered", 0.4, 0.2, 0.6, ""),
    "short_visual": Size("more drops of head and gaze", 0.3, 0.0, 0.6, ""),
} | {item: Size("words: fewer, first person, negative, absolutist", ITEM, 0.0, 0.3,
                "edwards2017meta") for item in ITEMS}


def slope(d, apart, within):
    """Slope on severity that makes groups differ by d.

    Parameters
    ----------
    d : (...,)
        Cohen's d, less than that of severity itself.
    apart : float
        Distance between the groups' means of severity.
    within : float
        Variance of severity within the groups.
    """
    return d / np.sqrt(apart**2 - np.square(d) * within)


def planted(effect, name, gender, seed, apart, within):
    """Cohen's d of a cue between the groups, of each participant's gender.

    Parameters
    ----------
    effect : float or "literature"
    name : of the cue
    gender : (participants,) female or male
    seed : int
        Of the corpus: it draws what is not settled.
    apart, within : float
        As of `slope`.

    Returns
    -------
    (participants,)
    """
    if effect != "literature":
        a = effect * slope(EASY_ITEM if name in ITEMS else EASY, apart, within)
        return np.full(len(gender), a * apart / np.sqrt(1 + a**2 * within))
    size = LITERATURE[name]
    if size.women is not None:
        return np.where(np.asarray(gender) == "female", size.women, size.men)
    if size.settled:
        return np.full(len(gender), size.d)
    rng = np.random.default_rng([seed, 11, [*LITERATURE].index(name)])
    return np.full(len(gender), rng.uniform(size.low, size.high))


def best_weights(d, shared=SHARED):
    """Weights of the best linear rule on cues of these d, R^-1 d: (..., cues) -> the same.

    R: the cues correlate by `shared` within the groups, or by more in a direction that tells them
    apart, which does not change the rule (Fisher 1936).
    """
    d = np.asarray(d, float)
    common = shared / (1 - shared + shared * d.shape[-1])
    return (d - common * d.sum(-1, keepdims=True)) / (1 - shared)


def best_linear(d, shared=SHARED):
    """AUC of that rule, Phi(sqrt(d' R^-1 d / 2)): (cues,) -> float."""
    return float(norm.cdf(np.sqrt(d @ best_weights(d, shared) / 2)))
