"""What a network was trained on, in numbers, and which recordings lie outside.

A number is beyond the range where it lies more than FAR standard deviations from the mean of the
training recordings. A recording is outside

    by a group of numbers   where more of them are beyond than twice the share of any training
                            recording, each held against the recordings of other people alone, and
                            more than ALWAYS
    by a measure            where this one number (seconds, frames, voiced share, movement) lies
                            more than VERY_FAR standard deviations off; of all but the voiced share
                            the low side counts alone, and a half of the middle is never too little

An answer for a recording that is outside is a guess: a network answers everything. One inside may
be wrong all the same.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

FAR, VERY_FAR = 3, 5                # standard deviations
FOLDS, ALWAYS = 5, 0.15             # of the people; share of a group that never bars
FEWEST = 4                          # people of whom a range is learnt
RATIOS = ("seconds", "frames", "movement")      # measures whose logarithm counts, low side alone
BEYOND = " beyond range"            # what the table calls the share of a group
WORDS = {"seconds": "length", "frames": "length"}


@dataclass
class Described:
    """Recordings in numbers.

    Parameters
    ----------
    recordings, people : (n,) names of the recordings, and who they are of
    groups : name -> (n, numbers), NaN where a recording lacks them
    measures : name -> (n,), numbers of which each may bar alone
    facts : name -> (n,), what else a reader should know
    """

    recordings: np.ndarray
    people: np.ndarray
    groups: dict
    measures: dict
    facts: dict


def spread(numbers):
    """Mean and standard deviation of each column -> two (columns,); no deviation is 0."""
    mean, sd = np.nanmean(numbers, axis=0), np.nanstd(numbers, axis=0)
    return mean, np.maximum(sd, 1e-6 * np.maximum(1, np.abs(mean)))


def beyond(numbers, mean, sd):
    """Share of the numbers of each recording that are beyond the range -> (n,), NaN for none."""
    far = np.abs(numbers - mean) > FAR * sd
    some = np.isfinite(numbers)
    return np.where(some.any(1), (far & some).sum(1) / np.maximum(some.sum(1), 1), np.nan)


def range_of(described):
    """What is known of the training recordings -> plain dict; {} for too few people."""
    folds = min(FOLDS, len(set(described.people)))
    if folds < FEWEST:
        return {}
    groups, measures = {}, {}
    for name, numbers in described.groups.items():
        numbers = numbers[np.isfinite(numbers).any(1)].astype(float)
        people = described.people[np.isfinite(described.groups[name]).any(1)]
        if len(set(people)) < folds:
            continue
        with warnings.catch_warnings():             # a column of which a fold knows nothing
            warnings.simplefilter("ignore", RuntimeWarning)
            shares = [beyond(numbers[others], *spread(numbers[some])).max()
                      for some, others in GroupKFold(folds).split(
                          numbers, groups=pd.factorize(people)[0])]      # by order, not by name
            mean, sd = spread(numbers)
        groups[name] = {"mean": mean.tolist(), "sd": sd.tolist(),
                        "limit": max(ALWAYS, float(np.ceil(40 * np.nanmax(shares)) / 20))}
    for name, values in described.measures.items():
        mean, sd = (float(x) for x in spread(scaled(name, values)))
        if np.isfinite(mean):
            margin = max(VERY_FAR * sd, float(np.log(2))) if name in RATIOS else VERY_FAR * sd
            measures[name] = [mean - margin, None if name in RATIOS else mean + margin]
    return {"groups": groups, "measures": measures}


def scaled(name, values):
    """A measure as it is compared: those of RATIOS by their logarithm."""
    values = np.asarray(values, float)
    return np.log(np.maximum(values, 1e-6)) if name in RATIOS else values


def held_against(described, known):
    """Recordings against the range of the training recordings.

    Parameters
    ----------
    described : Described
    known : of `range_of`, {} where nothing is known

    Returns
    -------
    table by recording
        The measures, the facts, the share of each group that is beyond the range, and `outside`, a
        list of what lies outside.
    """
    table = pd.DataFrame(described.measures | described.facts, described.recordings)
    outside = [[] for _ in described.recordings]
    groups = {name: group for name, group in known.get("groups", {}).items()
              if name in described.groups}              # a session may lack a modality
    for name, group in groups.items():
        share = beyond(described.groups[name], np.array(group["mean"]), np.array(group["sd"]))
        table[name + BEYOND] = share
        for reasons, one in zip(outside, share, strict=True):
            reasons += [name] if one > group["limit"] else []
    measures = {name: ends for name, ends in known.get("measures", {}).items()
                if name in described.measures}
    for name, (low, high) in measures.items():
        values = scaled(name, described.measures[name])
        for reasons, one in zip(outside, values, strict=True):
            reasons += [name] if one < low or (high is not None and one > high) else []
    table["outside"] = pd.Series(outside, table.index, dtype=object)
    return table


def sentence(outside, simulated):
    """Why there is no answer for a recording. outside: as of `held_against`."""
    people = "simulated people" if simulated else "people"
    return (f"no answer: outside what the {people} show who trained the model, in "
            f"{', '.join(WORDS.get(name, name) for name in outside)}. Give recordings like theirs.")


def rule(known, simulated):
    """When there is an answer, in words. known: of `range_of`, None or {} where nothing is known.
    """
    if not known:
        return ("Whether a file lies outside of what trained the model is **not known here**: "
                "nothing tells the range of its training. ")
    people = "**simulated** people, no real ones," if simulated else "people"
    bars = "".join(f", or whose {WORDS.get(name, name)} is far from theirs"
                   for name in known["measures"])
    return (f"No answer is given for a file of which more than twice as many features lie beyond "
            f"{FAR} standard deviations as of any one of the {people} who trained the model, held "
            f"against the others (and more than {ALWAYS:.0%}){bars}. ")
