"""Does a network learn who somebody is? AUC where nothing can be learnt, with people on both sides.

python benchmarks/identity.py sta_drn --save benchmarks/results/identity.csv

On the null corpus (effect 0) of the page on it, each repetition deals the scores anew. The network
is trained on a split by participant and on one by unit, whose participants stand on both sides;
after every epoch the test participants are scored. Above 0.5 there is only identity. Prints, by
epoch, the mean AUC of both and of their difference, with 95 % t intervals over the repetitions;
saves the rows of epochs 1, 2, 4, 8 and so on, and of the last, with a file .yaml about the run.
"""

import argparse
import tempfile
from datetime import date
from pathlib import Path

import pandas as pd
import yaml

from depnb import runs
from depnb.corpora.simulated import VERSION
from depnb.evidence import null, protocol
from depnb.evidence.cohort import Cohort
from depnb.evidence.pipeline import pipelines
from depnb.files import located, write_atomically
from depnb.runs.origin import git_state
from depnb.scores import intervals, rounded
from depnb.scores.metrics import roc_auc


def by_epoch(model, people, fitted):
    """Test AUC over participants after every epoch of each training -> table."""
    rows = []
    for (_, repetition, shared, _), fit in fitted.items():
        own = null.shuffled(people, repetition)
        tested = null.split_of(model.table, own, shared, repetition) == "test"
        who = model.table["participant"][tested]
        label = own["label"].reindex(who).to_numpy()
        for epoch, scores in enumerate(fit.watched, 1):
            means = pd.Series(scores[tested]).groupby(who.to_numpy()).mean()
            truth = pd.Series(label).groupby(who.to_numpy()).first()
            auc = roc_auc(truth.to_numpy(), means.to_numpy()[None])[0]
            rows.append({"repetition": repetition, "epoch": epoch, "auc": auc,
                         "people": "on both sides" if shared else "apart"})
    return pd.DataFrame(rows)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paper")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--repetitions", type=int, default=8)
    parser.add_argument("--participants", type=int, default=48)
    parser.add_argument("--workers", type=int, default=-1)
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args()
    cohort = Cohort(asked.participants, 0, 0.0, asked.workers)
    models = {asked.paper: pipelines(cohort.root, located("cache"),
                                     workers=asked.workers)[asked.paper]}
    with tempfile.TemporaryDirectory() as folder:
        jobs = null.jobs(models, cohort.people, asked.repetitions, 1, Path(folder))
        fitted = protocol.fit_many(models, cohort.people, jobs, asked.workers,
                                   {asked.paper: asked.epochs}, watch=True)
        table = by_epoch(models[asked.paper], cohort.people, fitted)
    wide = table.pivot(index=["epoch", "repetition"], columns="people", values="auc")
    wide["difference"] = wide["on both sides"] - wide["apart"]
    signs = {"apart": "", "on both sides": "", "difference": "+"}
    result = pd.DataFrame([{"epoch": epoch} | {
        name: rounded.estimate(*intervals.mean_interval(some[name])[:3], sign=sign)
        for name, sign in signs.items()} for epoch, some in wide.groupby("epoch")])
    print(result.to_string(index=False))
    if asked.save:
        saved = [2**power for power in range(20) if 2**power < asked.epochs] + [asked.epochs]
        told = {"paper": asked.paper, "participants": asked.participants,
                "repetitions": asked.repetitions, "effect": 0, "simulator": VERSION,
                "commit": git_state()["commit"], "machine": runs.hardware("cpu")["device"],
                "date": date.today().isoformat()}
        write_atomically(asked.save, result[result["epoch"].isin(saved)].to_csv(index=False))
        write_atomically(asked.save.with_suffix(".yaml"), yaml.safe_dump(told, sort_keys=False))


if __name__ == "__main__":
    main()
