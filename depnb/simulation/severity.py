"""A latent severity and what it moves: questionnaires, cues, and nothing else.

Every simulated session has one latent severity z, standard normal over the cohort. Questionnaires
answer to z (with measurement noise), cues answer to it as far as `effects` says, and identity,
light and recording conditions do not answer to it at all. The labels never depend on the effect:
with effect 0 the same people keep the same scores, and nothing they show is related to them.
"""

from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import norm

from depnb.corpora.corpus import PHQ8
from depnb.simulation import effects

CUT = PHQ8.cutoff           # from which somebody counts as depressed (Kroenke et al. 2009)
MOST = CUT - 1
RETEST = 0.9                # of severity between two sessions of one participant
RETURNING = 8  # about one participant in so many comes back for a second session, in another split
# share of participants with PHQ-8 >= 10 where a study recruits patients and healthy controls
CASES = 0.45
HEALTHY = 4                 # highest PHQ-8 of such a control: none or minimal (Kroenke et al. 2009)

# Share of people who score at least 1, 2, 3 on each PHQ-8 item, and the item's correlation with z.
# Sleep and fatigue are reported often, psychomotor change seldom; low mood and anhedonia load
# highest. Totals are near those of DAIC-WOZ (mean 6.4 in its training part, about 30 % at 10 or
# more), well above those of a general population (8.6 % at 10 or more, Kroenke et al. 2009).
PHQ8_ITEMS = {
    "no_interest": ((0.42, 0.20, 0.10), 0.82),
    "depressed": ((0.44, 0.20, 0.10), 0.86),
    "sleep": ((0.58, 0.32, 0.18), 0.68),
    "tired": ((0.66, 0.34, 0.18), 0.76),
    "appetite": ((0.42, 0.21, 0.12), 0.66),
    "failure": ((0.40, 0.20, 0.11), 0.78),
    "concentrating": ((0.40, 0.19, 0.10), 0.74),
    "moving": ((0.20, 0.09, 0.04), 0.60),
}
# Mean of severity by sample, which its questionnaires follow. study: as DAIC-WOZ and AVEC 2014 are;
# general: 8.6 % reach a PHQ-8 of 10 (Kroenke et al. 2009); clinical: BDI-II near that of the 500
# outpatients of its manual (22.45, standard deviation 12.75: Beck, Steer & Brown 1996; from memory,
# the manual was not opened).
SAMPLES = {"study": 0.0, "general": -0.75, "clinical": 0.65}
THIRDS = ("train", "validation", "test")        # official splits of the AVEC corpora
BDI2_RELIABILITY = 0.95     # correlation of the BDI-II with z before rounding
BDI2_SHAPE = 3.2  # BDI-II / 63 ~ Beta(1, 3.2): mean 15.0, standard deviation 11.8, as in AVEC 2014


def phq8_items(severity, rng):
    """Eight PHQ-8 items, each 0-3, by a graded response to severity (Samejima 1969).

    Parameters
    ----------
    severity : (sessions,), standard normal
    rng : numpy Generator

    Returns
    -------
    DataFrame (sessions, 8) of int
    """
    severity = np.asarray(severity)
    items = {}
    for name, (shares, loading) in PHQ8_ITEMS.items():
        answer = loading * severity + np.sqrt(1 - loading**2) * rng.standard_normal(severity.shape)
        thresholds = norm.isf(shares)
        items[f"phq8_{name}"] = (answer[:, None] >= thresholds).sum(1)
    return pd.DataFrame(items)


def bdi2(severity, rng):
    """BDI-II total 0-63, skewed as in the AVEC corpora: severity (sessions,) -> (sessions,) int."""
    severity = np.asarray(severity)
    noise = np.sqrt(1 - BDI2_RELIABILITY**2) * rng.standard_normal(severity.shape)
    share = norm.cdf(BDI2_RELIABILITY * severity + noise)
    return np.floor(64 * (1 - (1 - share) ** (1 / BDI2_SHAPE))).astype(int)  # inverse of Beta(1, b)


def item_scores(items):
    """PHQ-8 items, standardised by the moments of a score that reaches 1, 2, 3 so often.

    Parameters
    ----------
    items : DataFrame with columns phq8_<item>, scores 0-3

    Returns
    -------
    DataFrame, columns named as in `PHQ8_ITEMS`
    """
    standardised = {}
    for name, (shares, _) in PHQ8_ITEMS.items():
        mean, square = sum(shares), np.dot(shares, (1, 3, 5))
        standardised[name] = (items[f"phq8_{name}"] - mean) / np.sqrt(square - mean**2)
    return pd.DataFrame(standardised)


def cues(people, names, effect, seed, recruited=("study",), made=MappingProxyType({})):
    """Latent cues of every session, and how far the groups differ in them.

    c = a z + sqrt(1 - R) h + sqrt(R) g, as in `effects`; z is severity, or the item's standardised
    score for the words about an item; habits h and g belong to the participant.

    Parameters
    ----------
    people : DataFrame
        participant, gender, severity and PHQ-8 items; one row a session.
    names : of the cues
    effect : float or "literature"
    seed : int
    recruited : arguments of `groups`
        How the participants were chosen.
    made : mapping cue -> cues, optional
        Whose habits make up that of the cue.

    Returns
    -------
    latent : DataFrame (sessions, cues)
        Positive where the cue speaks for depression.
    d : dict cue -> {"female": d, "male": d}
    """
    persons = pd.factorize(people["participant"])[0]
    gaps, by_item = groups(*recruited), item_scores(people)
    common = np.random.default_rng([seed, 2]).standard_normal(persons.max() + 1)
    latent, planted = {}, {}
    for name in names:
        gap = gaps[name if name in by_item else "severity"]
        d = effects.planted(effect, name, np.array(["female", "male"]), seed, *gap[:2])
        planted[name] = {"female": round(float(d[0]), 3), "male": round(float(d[1]), 3)}
        z = by_item[name] if name in by_item else people["severity"]
        habit = sum(_habit(part, persons.max() + 1, seed) for part in made.get(name, [name]))
        habit = (np.sqrt(1 - effects.SHARED) * habit / np.sqrt(len(made.get(name, [name])))
                 + np.sqrt(effects.SHARED) * common)
        latent[name] = (effects.slope(np.where(people["gender"] == "female", *d), *gap[:2])
                        * (z - gap[2]) + habit[persons])
    return pd.DataFrame(latent, index=people.index), planted


def _habit(name, persons, seed):
    """What a cue is like in each person, whatever the severity and the other cues: (persons,)."""
    key = [seed, 2, 1 + [*effects.LITERATURE].index(name)]
    return np.random.default_rng(key).standard_normal(persons)


@cache
def groups(sample, highest=MOST):
    """How far severity, and each item's standardised score, lie apart between the groups.

    Parameters
    ----------
    sample : str, of `SAMPLES`
    highest : int
        PHQ-8 of those who are not depressed.

    Returns
    -------
    dict name -> (distance of the group means, variance within the groups, grand mean)
        Of 100,000 people, drawn once.
    """
    pool = cohort(100_000, 0, returning=False, sample=sample)
    table = item_scores(pool).assign(severity=pool["severity"])
    depressed = pool["phq8_total"] >= CUT
    table = table[depressed | (pool["phq8_total"] <= highest)]
    depressed = depressed[table.index]
    apart = table[depressed].mean() - table[~depressed].mean()
    within = (table - table.groupby(depressed).transform("mean")).var()
    middle = (table[depressed].mean() + table[~depressed].mean()) / 2
    return {name: (float(apart[name]), float(within[name]), float(middle[name]))
            for name in table}


def scores(row):
    """PHQ-8 items and total of a row of a cohort: dict of int."""
    return {name: int(row[name]) for name in row.index if name.startswith("phq8_")}


def cohort(participants, seed, first_id=203, returning=True, splits=THIRDS, sample="study"):
    """Participants, their sessions, scores and official splits.

    As in the AVEC corpora some participants return for a second session that falls into another
    split. Splits are dealt out alike among depressed and not, women and men.

    Parameters
    ----------
    participants : int, at least 3
    seed : int
    first_id : int
        Number of the first participant.
    returning : bool
        Whether anyone returns.
    splits : names of splits
        Dealt out over and over.
    sample : str, of `SAMPLES`

    Returns
    -------
    DataFrame, one row a session
        participant, session ("203_1"), split, severity, bdi2, eight PHQ-8 items, phq8_total,
        gender, age, skin_tone (0-1, of nothing else).

    Raises
    ------
    ValueError
        There are fewer than three participants.
    """
    if participants < 3:
        raise ValueError(f"participants: {participants}. "
                         "A cohort with three splits needs at least 3.")
    rng = np.random.default_rng([seed, 1])
    person = pd.DataFrame({
        "participant": first_id + np.arange(participants),
        "severity": SAMPLES[sample] + rng.standard_normal(participants),
        "gender": rng.choice(["female", "male"], participants),
        "age": rng.integers(18, 64, participants),
        "skin_tone": rng.uniform(0, 1, participants).round(4),
    })
    person["session"] = person["participant"].astype(str) + "_1"
    person = _answered(person, rng)
    person["split"] = dealt(person, splits, rng)
    again = person.groupby("split").sample(participants // RETURNING // 3 if returning else 0,
                                           random_state=rng.integers(2**31))
    again["severity"] = SAMPLES[sample] + (
        RETEST * (again["severity"] - SAMPLES[sample])
        + np.sqrt(1 - RETEST**2) * rng.standard_normal(len(again)))
    again["session"] = again["participant"].astype(str) + "_2"
    again["split"] = again["split"].map({"train": "validation", "validation": "test",
                                         "test": "train"})
    again = _answered(again.loc[:, :"session"].assign(split=again["split"]), rng)
    return pd.concat([person, again]).sort_values("session", ignore_index=True)


def _answered(table, rng):
    """The table with BDI-II, PHQ-8 items and total of every row."""
    items = phq8_items(table["severity"], rng).set_axis(table.index)
    return table.assign(bdi2=bdi2(table["severity"], rng), **items, phq8_total=items.sum(axis=1))


def dealt(people, parts, rng):
    """Parts dealt out over and over, alike in each class and gender -> Series by row.

    Several sequences of parts, as a table's columns, are dealt together -> DataFrame.
    """
    order = people.iloc[rng.permutation(len(people))]
    order = order.assign(depressed=order["phq8_total"] >= CUT)
    order = order.sort_values(["depressed", "gender"], kind="stable").index
    if isinstance(parts, dict):
        return pd.DataFrame({name: np.resize(some, len(people)) for name, some in parts.items()},
                            index=order)
    return pd.Series(np.resize(parts, len(people)), index=order, name="split")


def case_control(participants, seed, first_id=203, highest=HEALTHY, sample="study"):
    """Participants as a clinical study recruits them: patients and healthy controls.

    Drawn from a `cohort` ten times as large, in which about a quarter reach 10; women and men
    come as they come. Who scores between is not asked to come: such samples make groups easier to
    tell apart than they are in a clinic. The number of a participant says nothing about the group.
    Of any other sample everyone is taken as drawn.

    Parameters
    ----------
    participants : int, at least 2
    seed : int
    first_id : int
        Number of the first participant.
    highest : int
        PHQ-8 of a control; with 9 everyone may come.
    sample : str, of `SAMPLES`

    Returns
    -------
    DataFrame, one row a participant
        participant, severity, gender, age, skin_tone, BDI-II, PHQ-8 items and total.

    Raises
    ------
    ValueError
        There are fewer than two participants, or all are of one class.
    """
    if participants < 2:
        raise ValueError(f"participants: {participants}. Cases and controls need at least 2.")
    pool = cohort(max(3, 10 * participants), seed, returning=False, sample=sample)
    if sample == "study":
        cases = round(CASES * participants)
        chosen = [pool[pool["phq8_total"] >= CUT].head(cases),
                  pool[pool["phq8_total"] <= highest].head(participants - cases)]
    else:
        chosen = [pool.head(participants)]
    table = pd.concat(chosen).sample(frac=1, random_state=seed, ignore_index=True)
    if (table["phq8_total"] >= CUT).nunique() < 2:
        raise ValueError(f"participants: {participants}. Of so few in a {sample} sample none, or "
                         "all, reach a PHQ-8 of 10. Ask for more participants.")
    table["participant"] = first_id + np.arange(len(table))
    return table.drop(columns=["session", "split"])
