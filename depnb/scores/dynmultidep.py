"""What DynMultiDep's gate, experts and router do, scored against what was planted.

Tables of vlogs are those of `papers.dynmultidep.Paper.watched`; rows are dicts, as metrics.json
keeps them.
"""

import numpy as np
import pandas as pd

from depnb.scores import rounded
from depnb.scores.modalities import notices, row_score, twin_response

SENSES = ("acoustic", "visual")
FEW = 0.05                      # p below it, over the number of tests, counts as noticed
NEAR = 0.05                     # an AUC no further from one half is called near it


def gate_rows(watched):
    """Does the gate give less weight to the sense that carries nothing?

    Parameters
    ----------
    watched : name of a network -> table of its vlogs

    Returns
    -------
    list of rows of `notices`, each with its network
    """
    rows = []
    for name, table in watched.items():
        weights = table[["gate_soft_0", "gate_soft_1"]].to_numpy()
        told = notices(weights, table["uninformative"], SENSES)
        rows += [{"network": name, **row} for row in told.to_dict("records")]
    return rows


def twin_rows(logits):
    """How far the answer rises with one kind of cue alone.

    Parameters
    ----------
    logits : cue -> logits of the lower twins, and of the higher

    Returns
    -------
    list of rows of `twin_response`, each with its cue
    """
    return [{"cue": cue, **twin_response(low, high)} for cue, (low, high) in logits.items()]


def router_rows(table, planted):
    """Does the router turn to the short expert in short events, and to the long one in slow phases?

    Vlogs in which a sense carries nothing are left out of that sense.

    Parameters
    ----------
    table : of the vlogs
    planted : session -> cue -> sense -> (T,) bool

    Returns
    -------
    list of rows; none without a router by frame
    """
    rows = []
    for sense, column in (("acoustic", "audio_router"), ("visual", "visual_router")):
        if column not in table:
            continue
        sound = table[[u != sense for u in table["uninformative"]]]
        for cue, weights in (("short", sound[column]), ("slow", -sound[column])):
            inside = [planted[session][cue][sense] for session in sound["session"]]
            score, count = row_score(list(weights), inside)
            rows.append({"sense": sense, "cue": cue, "vlogs": count, "auc": score,
                         "mean weight of the short expert":
                         float(np.concatenate(list(sound[column])).mean())})
    return rows


def across(metrics, key):
    """Rows that several runs keep under one key -> table, with the name of the run.

    metrics: name of a run -> its metrics
    """
    rows = [{"run": name, **row} for name, kept_by in metrics.items() for row in kept_by[key]]
    return pd.DataFrame(rows, columns=None if rows else ["run"])


def gender_table(metrics):
    """Test AUC by participant with its interval, by the gender that was tested, as text.

    metrics: name of a run -> its metrics
    """
    by_run = {name: measured["by_gender"] for name, measured in metrics.items()}
    tested = sorted({gender for reports in by_run.values() for gender in reports})
    return pd.DataFrame({f"tested on {gender}": {
        name: rounded.entry(reports.get(gender, {}), "roc_auc")
        for name, reports in by_run.items()} for gender in tested})


def gates_in_words(noticed):
    """Over all trained runs with a gate: how many tests find that it notices -> sentence.

    noticed: table of `gate_rows`, with the run of each
    """
    if noticed.empty:
        return "No gate to score, or no planted truth to score it by."
    trained = noticed[noticed["network"] == "trained"]
    tests = trained.dropna(subset="p")
    significant = int((tests["p"] < FEW / max(1, len(tests))).sum())
    both = int((tests.groupby("run")["auc"].min() > 0.5).sum())
    runs, of = trained["run"].nunique(), tests["run"].nunique()
    return (f"Over {runs} trained run{'s' * (runs != 1)} with a gate, {significant} of "
            f"{len(tests)} test{'s' * (len(tests) != 1)} find{'s' * (len(tests) == 1)} that it "
            f"notices (p below {FEW}, corrected for their number); the mean AUC is "
            f"{tests['auc'].mean():.2f}. Above one half for both senses: {both} of {of} "
            f"run{'s' * (of != 1)}.")


def trust_in_words(weights):
    """The gate's weight of the voice, by which sense of a vlog carries nothing -> sentence, or "".

    weights: table of the vlogs
    """
    if "gate_soft_0" not in weights or weights["uninformative"].isna().all():
        return ""
    means = weights.groupby(weights["uninformative"].fillna("none"))["gate_soft_0"].mean()
    where = {"none": "where both senses carry something",
             "acoustic": "where the voice is empty", "visual": "where the face is empty"}
    told = [f"{means[sense]:.2f} {words}" for sense, words in where.items() if sense in means]
    return (f"The voice's weight is, on average, {', '.join(told)}. A gate that notices gives it "
            "least where the voice is empty and most where the face is.")


def router_in_words(rows):
    """What the AUCs of a router say: where it turns as its experts' names ask -> sentence.

    rows: of `router_rows`
    """
    groups = {f"Turned the right way, an AUC of more than {0.5 + NEAR:.2f}": [],
              "near chance": [], f"the wrong way, less than {0.5 - NEAR:.2f}": []}
    right, near, wrong = groups.values()
    for row in rows:
        if not np.isnan(row["auc"] if row["auc"] is not None else np.nan):
            away = row["auc"] - 0.5
            (near if abs(away) <= NEAR else right if away > 0 else wrong).append(
                f"{row['sense']} {row['cue']} ({row['auc']:.2f})")
    if not right + near + wrong:
        return "No router by frame to score, or no planted truth to score it by."
    told = "; ".join(f"{name}: {', '.join(of) or 'none'}" for name, of in groups.items())
    return f"{told}. The bounds are ours, and no untrained router stands beside this one."


def experts_in_words(twins, runs=("long alone", "short alone")):
    """Rise for slow cues over rise for short ones, of the runs with one expert alone -> sentence.

    twins: table of `twin_rows`, with the run of each
    """
    if twins.empty or not set(runs) <= set(twins["run"]):
        return "The runs with one expert alone are not there yet."
    rise = twins.set_index(["run", "cue"])["shift"]
    told = [f"{name}: {rise[name, 'slow'] / rise[name, 'short']:.1f} times" for name in runs]
    return (f"Rise for slow cues over rise for short ones: {', '.join(told)}. If the experts did "
            "what their names say, the first number would be far above the second.")
