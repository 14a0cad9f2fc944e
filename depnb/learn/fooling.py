"""Lesson "How to fool yourself": voices without a cue, ways to find one, and the checks.

A table of clips has one row a clip: participant, vlog, label (0 control, 1 depressed) and the
columns FEATURES, means and standard deviations of 25 descriptors of the voice. A table of scores
is what `classification` takes: participant, y_true, y_pred.
"""


import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from depnb import learn
from depnb.figures.style import BLUE, GREY, ORANGE, legend_below
from depnb.scores import intervals, metrics, report
from depnb.simulation import severity, vlog

FEATURES = [f"{name} {what}" for what in ("mean", "spread") for name in vlog.DESCRIPTORS]
VLOGS, SECONDS, CLIP = 2, 120, 20     # vlogs of a participant, seconds of a vlog, seconds of a clip
TEST = 1 / 3                            # share that is held out
WAYS = ("honest", "shared participants", "clips for people", "choice on test", "restarts",
        "all four")


def simulate(participants=60, effect=0.0, seed=0):
    """Clips of a cohort of cases and controls: effect 0 is the null corpus, where no feature is
    related to the label.
    """
    people = severity.case_control(participants, seed, first_id=1)
    cues, _ = severity.cues(people, vlog.CUES, effect, seed, ("study", severity.HEALTHY))
    tables = []
    for person, latent in zip(people.itertuples(), cues.to_dict("records"), strict=True):
        voice = vlog.speaker(person.gender, np.random.default_rng([seed, person.participant, 9]))
        for take in range(1, VLOGS + 1):
            rows = vlog.session(voice, latent, SECONDS, None,
                                [seed, person.participant, take])["acoustic"]
            rows = rows.reshape(SECONDS // CLIP, CLIP, -1)                    # (clips, seconds, 25)
            table = pd.DataFrame(np.concatenate([rows.mean(1), rows.std(1)], 1), columns=FEATURES)
            tables.append(table.assign(participant=person.participant, vlog=take,
                                       label=int(person.phq8_total >= 10)))
    table = pd.concat(tables, ignore_index=True)
    return table[["participant", "vlog", "label", *FEATURES]]


def relabelled(clips, seed):
    """The same clips, labels dealt anew to the participants: at effect 0 this is another null
    corpus.
    """
    labels = clips.groupby("participant")["label"].first()
    dealt = pd.Series(np.random.default_rng(seed).permutation(labels), labels.index)
    return clips.assign(label=clips["participant"].map(dealt))


def hold_out_clips(participants, seed):
    """A third of the clips, whoever speaks -> (clips,) bool, True for test.

    participants (clips,).
    """
    return np.random.default_rng(seed).uniform(size=len(participants)) < TEST


def hold_out_participants(participants, seed):
    """All clips of a third of the participants -> (clips,) bool, True for test.

    participants (clips,).
    """
    people = np.unique(participants)
    drawn = np.random.default_rng(seed).permutation(people)[:round(TEST * len(people))]
    return np.isin(participants, drawn)


def machine():
    """A support vector machine with a Gaussian kernel on standardised features."""
    return make_pipeline(StandardScaler(), SVC(C=10))


def score(clips, test, columns=FEATURES):
    """Train on the other clips, score the test clips.

    Parameters
    ----------
    test : (clips,) bool

    Returns
    -------
    table of scores; y_pred is the sigmoid of the machine's decision value: good for ranking, not a
    probability
    """
    model = machine().fit(clips.loc[~test, columns], clips.loc[~test, "label"])
    held_out = clips[test]
    decided = model.decision_function(held_out[columns])
    table = pd.DataFrame({"participant": held_out["participant"], "y_true": held_out["label"],
                          "y_pred": expit(decided)})
    return table.reset_index(drop=True)


def cross_score(clips, by, folds=5):
    """Every clip scored by a machine that was trained on the other folds -> table of scores.

    by: participant or clip.
    """
    cut, groups = {"participant": (StratifiedGroupKFold, clips["participant"]),
                   "clip": (StratifiedKFold, None)}[by]
    decided = cross_val_predict(machine(), clips[FEATURES], clips["label"],
                                groups=groups, method="decision_function",
                                cv=cut(folds, shuffle=True, random_state=0))
    return pd.DataFrame({"participant": clips["participant"], "y_true": clips["label"],
                         "y_pred": expit(decided)})


def auc(scores):
    """Area under the ROC curve, each row counted once."""
    return metrics.classification(scores["y_true"], scores["y_pred"])["roc_auc"]


def interval(scores, resamples=500):
    """95 % interval of `auc`, participants drawn with all their rows -> (low, high)."""
    return tuple(intervals.metric_intervals(scores, resamples=resamples)["roc_auc"])


def strangers(scores):
    """The scores as if every row were a participant of its own."""
    return scores.assign(participant=np.arange(len(scores)))


def some_features(seed):
    """Ten to fifty of the FEATURES, drawn at random -> list of names."""
    rng = np.random.default_rng(seed)
    return list(rng.permutation(FEATURES)[:rng.integers(10, len(FEATURES) + 1)])


def study(clips, way, seed, tries=10):
    """What a study that goes this way would report.

    Parameters
    ----------
    way : one of WAYS
    tries : settings or restarts to choose the best test AUC from
        Settings: which of the features, drawn at random; restarts: another split.

    Returns
    -------
    dict of way, auc, low, high
    """
    settings = [some_features([seed, i]) for i in range(tries)]
    seeds = [tries * seed + i for i in range(tries)]
    people = clips["participant"].to_numpy()
    held_out = hold_out_participants(people, seeds[0])
    count = report.probabilities_by_participant
    runs = {"honest": lambda: [count(score(clips, held_out))],
            "shared participants": lambda: [score(clips, hold_out_clips(people, seeds[0]))],
            "clips for people": lambda: [strangers(score(clips, held_out))],
            "choice on test": lambda: [count(score(clips, held_out, columns))
                                       for columns in settings],
            "restarts": lambda: [count(score(clips, hold_out_participants(people, s)))
                                 for s in seeds],
            "all four": lambda: [strangers(score(clips, hold_out_clips(people, s), columns))
                                 for s, columns in zip(seeds, settings, strict=True)]}
    best = max(runs[way](), key=auc)
    low, high = interval(best)
    return {"way": way, "auc": auc(best), "low": low, "high": high}


def best_by_chance(people, models, repeats=1000, seed=0):
    """Mean over repeats of the best AUC among models that score two equal groups at random."""
    half = people // 2
    scores = np.random.default_rng(seed).uniform(size=(repeats, models, 2 * half))
    return float(metrics.roc_auc(np.arange(2 * half) < half, scores).max(1).mean())


def draw_studies(studies, corpus):
    """Every study of a table of `study` as a dot, one line a way.

    Those whose interval lies above 0.5 are orange crosses.
    """
    ways = list(dict.fromkeys(studies["way"]))
    ax = plt.subplots(figsize=(5.6, 0.42 * len(ways) + 1.2))[1]
    finding = studies["low"] > 0.5
    scatter = np.random.default_rng(0).uniform(-0.2, 0.2, len(studies))
    height = -studies["way"].map(ways.index) + scatter
    ax.axvline(0.5, color=GREY, ls="--", lw=1)
    ax.plot(studies["auc"][~finding], height[~finding], "o", color=BLUE, ms=4, alpha=0.6,
            label="interval holds 0.5 or less")
    ax.plot(studies["auc"][finding], height[finding], "x", color=ORANGE, ms=5,
            label="interval above 0.5: a finding")
    ax.set_yticks(-np.arange(len(ways)), ways)
    ax.set(xlabel="reported AUC", xlim=(0, 1.02), title=corpus)
    legend_below(ax.figure, 2)
    return ax


def check_split(answer):
    """No participant is on both sides, and another seed holds out others."""
    wanted = ("expected a function (participants, seed) that returns an array of True (test) and "
              "False")
    if not callable(answer):
        return (f"{wanted}, this is {type(answer).__name__}; "
                "give its name, without brackets behind it.")
    rng = np.random.default_rng(5)
    people = rng.permutation(np.repeat([f"P-{i:02d}" for i in range(36)], rng.integers(2, 15, 36)))
    mask = answer(people.copy(), 0)
    if mask is ...:
        return learn.NO_ANSWER
    mask = np.asarray(mask)
    if (mask.dtype.kind in "iuf" and mask.shape != people.shape) or mask.dtype.kind in "US":
        return (f"{wanted}, one a clip; these look like the numbers or names of what is held out: "
                "compare with np.isin.")
    if mask.shape != people.shape or not np.isin(mask, (0, 1)).all():
        return (f"{wanted}, one for each of the {len(people)} clips; "
                f"this has shape {mask.shape} and type {mask.dtype}.")
    mask = mask.astype(bool)
    both = np.intersect1d(people[mask], people[~mask])
    if len(both):
        return (f"{len(both)} of 36 participants have clips on both sides, {both[0]} is one: "
                "draw among the participants, not among the clips.")
    share = len(np.unique(people[mask])) / 36
    if abs(share - TEST) > 0.1:
        inverted = " Is it the training set that you marked?" if abs(share - 1 + TEST) < 0.1 else ""
        return f"{share:.0%} of the participants are held out, expected a third.{inverted}"
    if (np.asarray(answer(people.copy(), 0)).astype(bool) != mask).any():
        return ("the same seed holds out other participants the second time: "
                "draw with np.random.default_rng(seed).")
    if (np.asarray(answer(people.copy(), 1)).astype(bool) == mask).all():
        return "seeds 0 and 1 hold out the same participants: use the seed."
    return None


def check_interval(answer):
    """Whole participants were drawn, as often as chance had it: the interval is as wide as this few
    people make it.
    """
    wanted = "expected a function (participants, y_true, y_pred, seed) that returns (low, high)"
    if not callable(answer):
        return (f"{wanted}, this is {type(answer).__name__}; "
                "give its name, without brackets behind it.")
    rng = np.random.default_rng(11)
    person = np.repeat(np.arange(20), 15)
    truth = np.repeat(np.arange(20) % 2, 15)
    guess = expit(np.repeat(rng.normal(size=20), 15) + 0.4 * truth + 0.3 * rng.normal(size=300))
    returned = answer(np.array([f"P-{p:02d}" for p in person]), truth.copy(), guess.copy(), 3)
    if returned is ...:
        return learn.NO_ANSWER
    wrong = learn.is_array(returned, (2,), "low, high")
    if wrong:
        if "not finite" in wrong:
            return f"{wrong} Leave out draws that hold one class only; they have no AUC."
        return f"{wanted}: {wrong}"
    low, high = learn.as_array(returned)
    if low > high:
        return "the upper end comes first; return the 2.5th percentile, then the 97.5th."
    drawn = resampled(person, truth, guess)
    ends = {how: np.quantile(values, (0.025, 0.975)) for how, values in drawn.items()}
    ends["one deviation"] = np.quantile(drawn["participants"], (0.16, 0.84))
    nearest = min(ends, key=lambda how: np.abs(ends[how] - (low, high)).max())
    if np.abs(ends[nearest] - (low, high)).max() > 0.04:
        expected = "{:.2f} to {:.2f}".format(*ends["participants"])
        return (f"on hidden scores your interval runs from {low:.2f} to {high:.2f}, "
                f"expected about {expected}: draw as many participants as there are, "
                "with replacement, take all clips of each, compute the AUC, "
                "repeat a thousand times, and take the 2.5th and 97.5th percentile.")
    return {"participants": None,
            "clips": "this is the interval of strangers: you drew clips. "
                     "Draw participants, and take all clips of each.",
            "once": "it is somewhat too narrow: "
                    "who is drawn twice has to count twice (np.isin counts everyone once).",
            "one deviation": "it holds two thirds of the draws only; "
                             "95 % lie between the 2.5th and the 97.5th percentile.",
            }[nearest]


def resampled(person, truth, guess, draws=4000):
    """AUC of bootstrap draws of participants, of clips, and of participants counted once.

    Returns
    -------
    dict of (draws,) arrays
    """
    def areas(units, once=False):
        n = units.max() + 1
        times = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), draws)
        times = np.minimum(times, 1) if once else times
        return metrics.roc_auc(truth, guess, times[:, units])

    return {"participants": areas(person), "clips": areas(np.arange(len(person))),
            "once": areas(person, once=True)}


def check_best_of_twenty(answer):
    """The best of many nothings is something."""
    wrong = learn.is_number(answer)
    if wrong:
        return wrong
    expected, answer = best_by_chance(20, 20), float(answer)
    if 1 < answer <= 100:
        return f"an AUC lies between 0 and 1; {answer:g} looks like per cent."
    if abs(answer - 0.5) < 0.02:
        return ("that is what one such model reaches on average; "
                "which of the twenty would be reported?")
    if abs(answer - expected) <= 0.04:
        return None
    if answer < expected:
        return ("too low: with ten people in each group the AUC of one coin-tosser scatters around "
                "0.5 by about 0.13; how many of these does the best of twenty lie above it?")
    return ("too high: even the best of twenty coin-tossing models does not get nearly all of the "
            "100 pairs of people right.")


def check_people(answer):
    """Six times the people, and the best of twenty nothings still looks like a tenth above chance.
    """
    wrong = learn.is_number(answer, "people")
    if wrong:
        return wrong
    answer, mean = float(answer), None
    if answer < 2 or answer != int(answer):
        return "expected a whole number of people, two at least."
    if answer <= 2000:
        mean = best_by_chance(int(answer), 20, repeats=400)
    if abs(answer - 59) <= 5:
        return ("this is the number in each group: "
                f"with {answer:g} people altogether the best is {mean:.2f} on average.")
    if mean is not None and mean > 0.602:
        return f"too few: with {answer:g} people the best of twenty is still {mean:.2f} on average."
    if answer > 130:
        return "more than needed: look for the smallest number for which the mean falls below 0.60."
    return None


def check_too_good(answer):
    """A rank cannot be known better than the number of people allows, whatever the number of clips.
    """
    return learn.is_one_of(answer, "b", {
        "a": "its interval is as wide as twenty people make it, and an effect was planted here: "
             "compare the widths of the intervals, not the values.",
        "c": "it claims nothing: its interval holds 0.5. Compare the widths of the intervals."})


CHECKS = {1: check_split, 2: check_interval, 3: check_best_of_twenty, 4: check_people,
          5: check_too_good}
