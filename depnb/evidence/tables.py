"""Statistics for comparing models on one cohort: tables in, tables out.

A table of out-of-fold predictions has the columns model, seed, fold, participant, y_true (0 or 1) and y_pred: any number
that grows with the class, on any scale; every participant stands in one test fold of every seed, in one row or several (of
recordings, windows), which are averaged. Scores of different folds come from different networks, so they are replaced by
their ranks within fold and seed, (rank - 0.5) / n, before they are pooled. The AUC of a model is the mean over its seeds of
the pooled AUC: what one training gives on average, not what an ensemble of them would give.

All intervals come from bootstraps over participants, of each class by itself, since the numbers of cases and controls are
chosen and not drawn; a participant takes the scores of all seeds and models along. BCa (Efron 1987), the percentile interval
where BCa is undefined, NaN with fewer than two participants of a class. They say what other participants would change, not
what other training sets would.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from depnb.scores import calibration, intervals
from depnb.scores.auc import auc_of, classes, of_models, swap_test, wins

MEASURES = ("auc", "in_the_large", "slope", "calibration_error", "brier")


def auc_table(predictions, seed=0, resamples=2000, level=0.95):
    """AUC of every model -> table model, participants, cases, seeds, auc, low, high, seed_sd (between seeds).

    Raises ValueError where `out_of_fold` does.
    """
    rows = []
    for model, s in of_models(predictions).items():
        won = wins(s.ranks, s.ranks, s.y)
        low, high = intervals.bootstrap(lambda w, s=s, won=won: auc_of(won, s.y, w), classes(s.y), len(s.y), seed,
                                        resamples, level)
        each = [auc_of(wins(r[None], r[None], s.y), s.y, np.ones(len(s.y))) for r in s.ranks]
        rows.append({"model": model, "participants": len(s.y), "cases": int(s.y.sum()), "seeds": len(s.seeds),
                     "auc": float(np.mean(each)), "low": float(low), "high": float(high),
                     "seed_sd": float(np.std(each, ddof=1)) if len(each) > 1 else np.nan})
    return pd.DataFrame(rows)


def paired(predictions, reference, correction="holm", seed=0, resamples=2000, permutations=9999, level=0.95):
    """Differences of AUC between models on the same participants, with intervals and corrected p-values.

    -> table family, first, second, participants, difference (of AUC, first less second), low, high, p, p_adjusted. Every
    model against the `reference` is one family of tests, all other pairs (family "others") a second; p-values are corrected
    within each (correction: a method of statsmodels' multipletests). p: two-sided, from swapping the scores of both models,
    all seeds together, within randomly chosen participants. Who lacks a score in one of the models is left out of all
    comparisons.
    Raises ValueError where `out_of_fold` does, for an unknown reference, a single model, other seeds or another truth.
    """
    scores = of_models(predictions)
    if reference not in scores or len(scores) < 2:
        raise ValueError(f"reference {reference!r}: expected one of at least two models, found {', '.join(scores)}.")
    common = sorted(set.intersection(*(set(s.people) for s in scores.values())))
    first = next(iter(scores.values()))
    if not common:
        raise ValueError("the models share no participant. Compare models that were tested on the same cohort.")
    y, ranks = first.y[first.people.get_indexer(common)], {}
    for model, s in scores.items():
        here = s.people.get_indexer(common)
        if s.seeds != first.seeds or (s.y[here] != y).any():
            what = f"seeds {s.seeds}, others {first.seeds}" if s.seeds != first.seeds else "another truth than others"
            raise ValueError(f"model {model}: has {what}. Paired comparisons need the same seeds and classes.")
        ranks[model] = s.ranks[:, here]
    flips = np.random.default_rng(seed).choice([-1.0, 1.0], (permutations, len(y)))
    rows = []
    for one, two in [(m, reference) for m in ranks if m != reference] + [*combinations(
            [m for m in ranks if m != reference], 2)]:
        a, b = ranks[one], ranks[two]
        gain = wins(a, a, y) - wins(b, b, y)
        low, high = intervals.bootstrap(lambda w, gain=gain: auc_of(gain, y, w), classes(y), len(y), seed, resamples, level)
        rows.append({"family": "reference" if two == reference else "others", "first": one, "second": two,
                     "participants": len(y), "difference": float(gain.mean()), "low": float(low), "high": float(high),
                     "p": swap_test(a, b, y, flips)})
    table = pd.DataFrame(rows)
    table["p_adjusted"] = table.groupby("family")["p"].transform(lambda p: multipletests(p, method=correction)[1])
    return table


def inflation(table, clean="clean", level=0.95):
    """What each practice adds to the AUC where there is nothing to find.

    table: columns pipeline, repetition, practice, auc; one row each -> table pipeline, practice, repetitions, auc, low, high
    (mean and t interval over repetitions), over_chance (auc - 0.5), over_clean, over_clean_low, over_clean_high (differences
    to `clean` of the same repetition) and p of the latter (paired t-test, not corrected). The pipeline "all" is the mean, in
    each repetition, over those pipelines that have the practice. Raises ValueError for a missing column, and for a missing
    or repeated `clean`.
    """
    missing = [c for c in ("pipeline", "repetition", "practice", "auc") if c not in table]
    if missing:
        raise ValueError(f"the table has no column {missing[0]}; expected pipeline, repetition, practice, auc.")
    if table.duplicated(["pipeline", "repetition", "practice"]).any():
        raise ValueError("the table has two rows of one pipeline, repetition and practice. Keep one.")
    practices = [*dict.fromkeys(table["practice"])]
    wide = table.pivot(index=["pipeline", "repetition"], columns="practice", values="auc")[practices]
    if clean not in wide or wide[clean].isna().any():
        raise ValueError(f"practice {clean!r} is missing in some repetition; every inflation is measured against it.")
    more = wide.sub(wide[clean], axis=0)
    parts = {p: (wide.loc[p], more.loc[p]) for p in dict.fromkeys(table["pipeline"])}
    parts["all"] = wide.groupby("repetition").mean(), more.groupby("repetition").mean()
    rows = []
    for pipeline, (values, differences) in parts.items():
        for practice in values.columns[values.notna().any()]:
            auc, low, high, _ = intervals.mean_interval(values[practice].dropna(), level)
            over, over_low, over_high, p = intervals.mean_interval(differences[practice].dropna(), level)
            rows.append({"pipeline": pipeline, "practice": practice, "repetitions": int(values[practice].count()),
                         "auc": auc, "low": low, "high": high, "over_chance": auc - 0.5, "over_clean": over,
                         "over_clean_low": over_low, "over_clean_high": over_high, "p": p})
    return pd.DataFrame(rows)


def by_group(predictions, groups, seed=0, resamples=1000, level=0.95):
    """AUC and calibration of every model in groups of participants, and the gaps between groups.

    groups: Series by participant -> name; who has none (NaN) is left out. -> table model, group, participants, cases,
    measure, value, low, high. A gap is the row whose group reads "first - second" (participants of both). Measures, means
    over seeds, of the participants in the group: auc; then, of probabilities, those of `calibration`. Probabilities of a
    fold are its scores through a logistic curve that was fitted to the scores of all other folds of the seed. Calibration
    depends on the share of cases, so its intervals draw whole groups, not each class by itself. Raises ValueError where
    `out_of_fold` does, for fewer than two groups or folds, or a participant whose group is not known.
    """
    rows = []
    for model, s in of_models(predictions).items():
        unknown = s.people.difference(groups.index)
        if len(unknown):
            raise ValueError(f"model {model}: {len(unknown)} participants have no entry in groups. Add them, or NaN.")
        group = groups.reindex(s.people).to_numpy(object)
        names = sorted(pd.unique(group[pd.notna(group)]))
        if len(names) < 2:
            raise ValueError(f"groups: {len(names)} among the participants of model {model}; expected two or more.")
        inside = {name: group == name for name in names}
        members = inside | {f"{a} - {b}": inside[a] | inside[b] for a, b in combinations(names, 2)}
        won, p = wins(s.ranks, s.ranks, s.y), calibration.recalibrated(s)

        def auc(weight, s=s, won=won):
            return auc_of(won, s.y, weight)[None]

        def calibrated(weight, s=s, p=p):
            return calibration.calibration(s.y, p, weight)

        for measure_of, measures, strata in (
                (auc, MEASURES[:1], [np.flatnonzero(here & (s.y == case)) for here in inside.values() for case in (1, 0)]),
                (calibrated, MEASURES[1:], [np.flatnonzero(here) for here in inside.values()])):
            def values(weight, measure_of=measure_of, inside=inside):               # (measures, groups and gaps, ...)
                found = [measure_of(weight * here) for here in inside.values()]
                return np.stack([*found, *(a - b for a, b in combinations(found, 2))], 1)

            value = values(np.ones(len(s.y)))
            low, high = intervals.bootstrap(values, strata, len(s.y), seed, resamples, level)
            rows += [{"model": model, "group": name, "participants": int(here.sum()), "cases": int((here & s.y).sum()),
                      "measure": measure, "value": value[m, g], "low": low[m, g], "high": high[m, g]}
                     for m, measure in enumerate(measures) for g, (name, here) in enumerate(members.items())]
    return pd.DataFrame(rows)


def with_the_lost(found, people):
    """Rows of one model under one damage, and for everyone of people who has none any more a row with the mean answer.

    found: table with the columns participant and y_pred, what else it says being the same in all rows; people: ids.
    """
    lost = pd.Index(people).difference(found["participant"])
    if lost.empty:
        return found
    same = found.drop(columns=["participant", "y_pred"]).iloc[0].to_dict()
    added = pd.DataFrame({**same, "participant": lost, "y_pred": found["y_pred"].mean()})
    return pd.concat([found, added], ignore_index=True)


def dose_response(table, seed=0, resamples=2000, level=0.95):
    """AUC of every model under every kind and dose of damage.

    table: out-of-fold predictions with the further columns kind and dose -> table model, kind, dose, auc, low, high, change,
    change_low, change_high: the difference to the lowest dose of the same model and kind, on the same participants.
    Raises ValueError where `out_of_fold` does, and when doses have other participants or seeds.
    """
    rows = []
    for (model, kind), part in table.groupby(["model", "kind"], sort=False):
        scores = of_models(part.sort_values("dose", kind="stable"), by="dose")
        least = next(iter(scores.values()))
        before = wins(least.ranks, least.ranks, least.y)
        for dose, s in scores.items():
            if not s.people.equals(least.people) or s.seeds != least.seeds:
                raise ValueError(f"model {model}, {kind} {dose:g}: has other participants or seeds than the lowest dose. "
                                 "Predict the same ones at every dose.")
            won = wins(s.ranks, s.ranks, s.y)

            def values(weight, s=s, won=won, before=before):
                return np.stack([auc_of(won, s.y, weight), auc_of(won - before, s.y, weight)])

            value = values(np.ones(len(s.y)))
            low, high = intervals.bootstrap(values, classes(s.y), len(s.y), seed, resamples, level)
            rows.append({"model": model, "kind": kind, "dose": dose, "auc": value[0], "low": low[0], "high": high[0],
                         "change": value[1], "change_low": low[1], "change_high": high[1]})
    return pd.DataFrame(rows)
