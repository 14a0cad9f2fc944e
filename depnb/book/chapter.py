"""What the four chapters tell alike: a box at their top, the results, the runs beside each other.

    box = chapter.at_a_glance("cfrafn")             # claimed; found and cost follow
    box.tell(paper, run)
    chapter.results(run, label)
    compared = chapter.ablations(run, label)
    chapter.forest(compared, run, label)
    chapter.paired(run, label)

`label` is what `figures.corpus_label` says of the corpus. Each asks the run which paper it is of,
and its report which task that has.
"""

import html

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from myst_nb import glue

from depnb import figures, runs
from depnb.book import claims
from depnb.files import located
from depnb.papers.cards import cards
from depnb.scores import auc, curves, intervals, report, rounded
from depnb.scores.items import items_by_participant

MEASURES = {"binary": {"roc_auc": "AUC", "aupr": "area under precision–recall",
                       "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy",
                       "sensitivity": "sensitivity", "specificity": "specificity", "f1": "F1",
                       "mcc": "MCC", "brier": "Brier score"},
            "severity": {"mae": "MAE", "rmse": "RMSE", "ccc": "CCC", "pearson": "Pearson r"},
            "items": {"mae": "MAE of the total", "rmse": "RMSE", "ccc": "CCC", "roc_auc": "AUC",
                      "balanced_accuracy": "balanced accuracy", "accuracy": "accuracy",
                      "f1": "F1"}}
CONSTANT = {"binary": "always the training share of depressed, whose area under precision–recall, "
                      "by trapezoids, is half of 1 + the share of depressed in the test",
            "severity": "the training mean",
            "items": "the training mean for errors, never depressed for decisions"}
PENDING = "This run has not got there yet; the box is filled in below the results."


class Glance:
    """The box at the top of a chapter: what is claimed, what came out, what it cost."""

    def __init__(self, name):
        self.card = cards()[name]
        self.handle = display(self._box(PENDING, PENDING), display_id=True)

    def tell(self, paper, run):
        """Fill in what a finished run says."""
        facts, metrics = run.provenance, run.metrics
        of = "simulated data" if metrics["simulated"] else "a licensed corpus"
        spent = ("nothing was trained" if run.parameters.get("checkpoint")
                 else f"trained in {runs.duration(facts['training_seconds'])}")
        cost = (f"This run: a network of {metrics['parameters']:,} parameters; {spent}, "
                f"{runs.duration(facts['wall_seconds'])} from the corpus to these numbers, with "
                "features from the cache where it had them; at most "
                f"{facts['peak_memory_mb'] / 1000:.1f} GB of memory; on "
                f"{facts['hardware']['device']}.")
        self.handle.update(self._box(
            f"This run, on {of}: {outcome(metrics['test'])}. {paper.remark(run)}".strip(), cost))

    def _box(self, result, cost):
        rows = {"Claimed": [self.card.claimed],
                "Found": [*([self.card.finding] if self.card.finding else []),
                          verdicts(self.card.title), result],
                "Cost": [cost]}
        told = "".join(f"<dt>{word}</dt>" + "".join(f"<dd>{html.escape(text)}</dd>"
                                                    for text in texts)
                       for word, texts in rows.items())
        return HTML('<dl class="at-a-glance" aria-label="This chapter at a glance">'
                    f"{told}</dl>")


def at_a_glance(name):
    """Show the box of a paper, as yet without its run -> Glance."""
    return Glance(name)


def verdicts(title):
    """What the ledger found of a paper, counted, in a sentence. title: the paper's."""
    rows = claims.load(title)
    spoken = [row for row in rows
              if claims.has(row, {"said": "authors", "verdict": "Statements"})]
    counted = [(sum(row["verdict"] == verdict for row in spoken), verdict)
               for verdict in claims.GROUPS["Statements"]]
    own, inherited = (sum(claims.has(row, {"verdict": "defect found", "code": code})
                          for row in rows) for code in ("own", "inherited"))
    return (f"Of {len(spoken)} statements of the authors in the ledger of this book, "
            f"{', '.join(f'{number} {verdict}' for number, verdict in counted if number)}; "
            f"{own} defect{'s' * (own != 1)} in their own code"
            f"{f', {inherited} in code that they took over' if inherited else ''}.")


def outcome(test):
    """The first number of a report in words. test: as in metrics.json."""
    people, constant = test["by_participant"], test["constant"]["by_participant"]
    if test["task"] == "binary":
        return f"test AUC {rounded.entry(people, 'roc_auc')} by participant, where chance is 0.5"
    return (f"mean absolute error {rounded.entry(people, 'mae', 1)} points by participant; always "
            f"saying the training mean: {rounded.number(constant['mae'], 1)}")


def results(run, label):
    """Table of the test set: by participant, by unit, and of a constant -> Styler.

    Glues `<paper>_auc` of a binary task, else `<paper>_mae`, `_constant`, `_improvement` and
    `_participants`.
    """
    test = run.metrics["test"]
    people, units, constant = (test[key] for key in ("by_participant", "by_unit", "constant"))
    for name, value in glued(test).items():
        glue(f"{run.paper}_{name}", value, display=False)
    columns = {"by participant": people, f"by {test['unit']}": units,
               "constant, by participant": constant["by_participant"],
               f"constant, by {test['unit']}": constant["by_unit"]}
    rows = {title: {word: rounded.entry(values, measure)
                    for measure, word in MEASURES[test["task"]].items()}
            for title, values in columns.items()}
    return pd.DataFrame(rows).style.set_caption(
        f"{label}, test: {people['participants']} participants, {units['units']} "
        f"{test['unit']}s; constant: {CONSTANT[test['task']]}; 95 % intervals over participants "
        "(BCa bootstrap; score or exact ones where classes separate or all decisions are right)")


def glued(test):
    """Numbers that other pages quote -> dict of floats. test: as in metrics.json."""
    people, constant = test["by_participant"], test["constant"]["by_participant"]
    numbers = {"auc": people["roc_auc"]} if "roc_auc" in people else {}
    if test["task"] != "binary":
        numbers |= {"mae": people["mae"], "constant": constant["mae"],
                    "improvement": 100 * people["improvement"],
                    "participants": people["participants"]}
    return {name: float("nan") if value is None else float(value)
            for name, value in numbers.items()}


def ablations(run, label):
    """Show every run of a paper beside the others, and what was expected of groups of them.

    Glues the mean of each group, `<paper>_<group>`.

    Returns
    -------
    table of `runs.compare`, of the runs that there are; where there is no other, of this one
    """
    file, listed = located(f"params/{run.paper}/ablations.yaml"), runs.planned(run.paper)
    task, sentences = run.metrics["test"]["task"], {}
    compared = runs.compare(run.paper, file, measure(task))
    table = compared
    for key, metric, ending in (("expected", measure(task), ""), ("expected_auc", "roc_auc",
                                                                  "_auc")):
        if key in listed:
            other = runs.compare(run.paper, file, metric)
            table = table.assign(**({"AUC": other["AUC"]} if "AUC" in other else {}))
            for group, told in runs.summarise(other, listed[key], metric).items():
                sentences[told["sentence"]] = None
                glue(f"{run.paper}_{group}{ending}", told["mean"], display=False)
    display(table.drop(columns=["group", "value", "low", "high"]).style.hide(axis="index").format(
        precision=2, na_rep="–").set_caption(
        f"Test participants of every run on simulated data, with 95 % intervals; {label}"))
    display(Markdown("\n".join(f"- {sentence}" for sentence in sentences)))
    done = compared.dropna(subset="value")
    return this_run(run) if done.empty else done


def measure(task):
    """What runs of a task are compared by, as `runs.compare` calls it."""
    return "roc_auc" if task == "binary" else "mae"


def this_run(run):
    """One row of `runs.compare`, of a run that is not listed."""
    people = run.metrics["test"]["by_participant"]
    key, unit = ("roc_auc", 1) if run.metrics["test"]["task"] == "binary" else ("improvement", 100)
    low, high = people.get(f"{key}_interval") or (people[key],) * 2
    return pd.DataFrame([{"run": "this run", "value": unit * people[key], "low": unit * low,
                          "high": unit * high}])


def forest(compared, run, label):
    """Draw the numbers of `ablations` with their intervals, beside chance or the constant."""
    binary = run.metrics["test"]["task"] == "binary"
    figures.estimates(compared.rename(columns={"run": "name"}),
                      *(("test AUC by participant", "") if binary
                        else ("test MAE below the mean predictor's", "%")),
                      f"{label} (null corpus: effect 0)",
                      ("chance", 0.5) if binary else ("mean predictor", 0))


def paired(run, label):
    """Tests of this run against the others on the very same test participants -> Styler or text.

    DeLong's test of the AUC of a binary task, else a permutation test of absolute errors. Runs on
    another corpus are left out: its people are others, whatever their names.
    """
    listed = runs.planned(run.paper)["runs"]
    own, rows = people_of(run), []
    for name, other in runs.finished(run.paper).items():
        theirs = people_of(other)
        if (name != run.folder.name and corpus_of(other) == corpus_of(run)
                and own[["participant", "y_true"]].equals(theirs[["participant", "y_true"]])):
            file = (other.metrics.get("checkpoint") or {}).get("file")      # authors' weights
            rows.append({"this run against": file or listed.get(name, {}).get("label", name),
                         **tested(own, theirs, run.metrics["test"]["task"])})
    if not rows:
        return Markdown("No other run on the same test participants yet.")
    return pd.DataFrame(rows).style.hide(axis="index").format(precision=2).format(
        "{:.4f}", subset="p").set_caption(
        f"{label}: {len(own)} test participants; p not corrected for {len(rows)} comparisons")


def corpus_of(run):
    """Which data a run was made from."""
    return run.provenance["corpus"]["fingerprint"]


def people_of(run):
    """Test participants of a run: one row each, truth and answer, in the order of their ids."""
    rows = run.predictions.query("split == 'test'")
    kind = {"binary": report.probabilities_by_participant, "items": items_by_participant,
            "severity": report.scores_by_participant}[run.metrics["test"]["task"]]
    return kind(rows).sort_values(["participant", "y_true"], ignore_index=True)


def tested(own, theirs, task):
    """A difference on the same participants and its p -> dict for a row of `paired`."""
    if task == "binary":
        delong = auc.delong(own["y_true"], own["y_pred"], theirs["y_pred"])
        return {"AUC, ours minus its": delong["difference"],
                "95 % interval": rounded.interval(*delong["interval"]), "p": delong["p"]}
    errors = [(table["y_pred"] - table["y_true"]).to_numpy() for table in (own, theirs)]
    return {"our MAE": np.abs(errors[0]).mean(), "its MAE": np.abs(errors[1]).mean(),
            "p": intervals.paired_permutation(*errors)}


def classification_curves(run, label):
    """Draw ROC, precision–recall and calibration of the test participants.

    Of a test set of one class there is nothing to draw, and the picture says so.
    """
    people = people_of(run)
    if people["y_true"].nunique() < 2:
        figures.nothing(label, "the test participants are of one class")
    else:
        figures.classification_curves(curves.curves(people), label, run.restricted)


def listed(table, caption, otherwise="Nothing to show.", digits=2):
    """A table of numbers as it stands on a page: rounded, dashes for what is not known -> Styler.

    A `p` that would be rounded to 0 is said to be below half of the last digit.

    In place of an empty one stands the sentence `otherwise`.
    """
    if table.empty:
        return Markdown(otherwise)
    smallest = 0.5 * 10**-digits
    table = table.style.hide(axis="index").format(precision=digits, na_rep="–")
    return table.format(lambda p: f"< {smallest:g}" if p < smallest else f"{p:.{digits}f}",
                        subset=[c for c in table.columns if c == "p"],
                        na_rep="–").set_caption(caption)
