"""A latent severity and what it moves: questionnaires, cues, and nothing else.

Every simulated session has one latent severity z, standard normal over the cohort. Questionnaires
answer to z (with measurement noise), cues answer to `effect` times z (with noise of their own), and
identity, light and recording conditions do not answer to it at all. The labels never depend on
`effect`: with effect 0 the same people keep the same scores, and nothing they show is related to them.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

CUE_CORRELATION = 0.75      # of one cue with severity in the cohort at effect 1
RETEST = 0.9                # of severity between two sessions of one participant
RETURNING = 8               # about one participant in so many comes back for a second session, in another split
CASES = 0.45                # share of participants with PHQ-8 >= 10 where a study recruits patients and healthy controls
HEALTHY = 4                 # highest PHQ-8 of such a control: none or minimal (Kroenke et al. 2009)

# Share of people who score at least 1, 2, 3 on each PHQ-8 item, and the item's correlation with z.
# Sleep and fatigue are reported often, psychomotor change seldom; low mood and anhedonia load highest.
# Totals are near those of DAIC-WOZ (mean 6.4 in its training part, about 30 % at 10 or more), well
# above those of a general population (8.6 % at 10 or more, Kroenke et al. 2009).
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
THIRDS = ("train", "validation", "test")        # official splits of the AVEC corpora
BDI2_RELIABILITY = 0.95     # correlation of the BDI-II with z before rounding
BDI2_SHAPE = 3.2            # BDI-II / 63 ~ Beta(1, 3.2): mean 15.0, standard deviation 11.8, as in AVEC 2014


def phq8_items(severity, rng):
    """Eight PHQ-8 items, each 0-3, by a graded response to severity (Samejima 1969).

    severity (sessions,), standard normal; rng numpy Generator -> DataFrame (sessions, 8) of int.
    """
    severity = np.asarray(severity)
    items = {}
    for name, (shares, loading) in PHQ8_ITEMS.items():
        answer = loading * severity + np.sqrt(1 - loading**2) * rng.standard_normal(severity.shape)
        thresholds = norm.isf(shares)
        items[f"phq8_{name}"] = (answer[:, None] >= thresholds).sum(1)
    return pd.DataFrame(items)


def bdi2(severity, rng):
    """BDI-II total 0-63, skewed as in the AVEC corpora. severity (sessions,) -> (sessions,) int."""
    severity = np.asarray(severity)
    noise = np.sqrt(1 - BDI2_RELIABILITY**2) * rng.standard_normal(severity.shape)
    share = norm.cdf(BDI2_RELIABILITY * severity + noise)
    return np.floor(64 * (1 - (1 - share) ** (1 / BDI2_SHAPE))).astype(int)     # inverse of Beta(1, b)


def cues(severity, names, effect, rng):
    """Latent value of each named cue: effect * 0.75 z + noise; unit variance at effect 1.

    severity (sessions,) -> DataFrame (sessions, cues), positive where the cue speaks for depression.
    """
    severity = np.asarray(severity)
    noise = np.sqrt(1 - CUE_CORRELATION**2)
    return pd.DataFrame({name: effect * CUE_CORRELATION * severity + noise * rng.standard_normal(severity.shape)
                         for name in names})


def item_cues(items, effect, rng):
    """Latent value of one cue for each PHQ-8 item: as `cues`, with the item's standardised score in place of severity.

    items DataFrame with columns phq8_<item>, scores 0-3 -> DataFrame (sessions, 8), columns named as in `PHQ8_ITEMS`.
    """
    found = {}
    for name, (shares, _) in PHQ8_ITEMS.items():
        mean, square = sum(shares), np.dot(shares, (1, 3, 5))       # moments of a score that reaches 1, 2, 3 so often
        standardised = (items[f"phq8_{name}"] - mean) / np.sqrt(square - mean**2)
        found[name] = cues(standardised, [name], effect, rng)[name]
    return pd.DataFrame(found)


def cohort(participants, seed, first_id=203, returning=True, splits=THIRDS):
    """Participants, their sessions, scores and official splits.

    One row a session: participant, session ("203_1"), split (shares as in `splits`, which is dealt out over and over),
    severity, bdi2, eight PHQ-8 items, phq8_total, gender, age. As in the AVEC corpora some participants return for a
    second session that falls into another split (if `returning`). Needs three participants.
    """
    if participants < 3:
        raise ValueError(f"participants: {participants}. A cohort with three splits needs at least 3.")
    rng = np.random.default_rng([seed, 1])
    person = pd.DataFrame({
        "participant": first_id + np.arange(participants),
        "severity": rng.standard_normal(participants),
        "gender": rng.permutation(np.resize(["female", "male"], participants)),
        "age": rng.integers(18, 64, participants),
    })
    person["session"] = person["participant"].astype(str) + "_1"
    person["split"] = rng.permutation(np.resize(splits, participants))
    again = person.groupby("split").sample(participants // RETURNING // 3 if returning else 0,
                                           random_state=rng.integers(2**31))
    again["severity"] = (RETEST * again["severity"]
                         + np.sqrt(1 - RETEST**2) * rng.standard_normal(len(again)))
    again["session"] = again["participant"].astype(str) + "_2"
    again["split"] = again["split"].map({"train": "validation", "validation": "test", "test": "train"})
    table = pd.concat([person, again], ignore_index=True)
    table["bdi2"] = bdi2(table["severity"], rng)
    items = phq8_items(table["severity"], rng)
    table = pd.concat([table, items], axis=1)
    table["phq8_total"] = items.sum(axis=1)
    return table.sort_values("session", ignore_index=True)


def case_control(participants, seed, first_id=203, highest=HEALTHY):
    """Participants as a clinical study recruits them: 45 % patients with PHQ-8 >= 10, the others healthy with at most 4.

    Drawn from a `cohort` of the general population, ten times as large, in which about 27 % reach 10; women and men
    equally often in both groups. Who scores 5 to 9 is not asked to come: such samples make groups easier to tell
    apart than they are in a clinic; with `highest` 9, the highest PHQ-8 of a control, everyone may. One row a participant:
    participant, severity, gender, age, BDI-II, PHQ-8 items and total. The number of a participant says nothing about the
    group.
    """
    if participants < 2:
        raise ValueError(f"participants: {participants}. Cases and controls need at least 2.")
    pool = cohort(10 * participants, seed, returning=False)
    cases = round(CASES * participants)
    chosen = [group[group["gender"] == gender].head(count)
              for group, size in ((pool[pool["phq8_total"] >= 10], cases),
                                  (pool[pool["phq8_total"] <= highest], participants - cases))
              for gender, count in (("female", (size + 1) // 2), ("male", size // 2))]
    table = pd.concat(chosen).sample(frac=1, random_state=seed, ignore_index=True)
    table["participant"] = first_id + np.arange(len(table))
    return table.drop(columns=["session", "split"])
