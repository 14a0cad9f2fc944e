"""The page *Comparison* at several effects, side by side: models, baselines and oracles.

for effect in 1.0 literature 0.0; do papermill notebooks/evidence/comparison.ipynb out.ipynb \\
    -p effect $effect -p run_dir runs/comparison/effect-$effect; done
python benchmarks/comparisons.py runs/comparison/effect-* --save book/data/effects_models.csv

The table holds the AUC of each with its 95 % interval over participants; a file .yaml beside it
tells which runs they were.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import yaml

from depnb.corpora.simulated import effect_text
from depnb.evidence import baselines
from depnb.files import write_atomically
from depnb.papers.cards import cards
from depnb.scores import rounded


def column(folder):
    """Effect of a run of the comparison, AUC with interval by model, and what made the run."""
    metrics = json.loads((folder / "metrics.json").read_text())
    parameters = yaml.safe_load((folder / "params.yaml").read_text())
    origin = json.loads((folder / "provenance.json").read_text())
    cells = {row["model"]: rounded.estimate(row["auc"], row["low"], row["high"])
             for row in metrics["auc"]}
    facts = {name: parameters[name] for name in ("participants", "folds", "seeds", "cohort_seed")}
    return effect_text(parameters["effect"]), cells, facts | {
        name: origin[name] for name in ("commit", "started") if name in origin}


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args()
    columns, told = {}, {}
    for effect, cells, facts in map(column, asked.runs):
        columns[f"effect {effect}"], told[effect] = cells, facts
    names = {name: card.title for name, card in cards().items()} | {
        kind: baseline.title for kind, baseline in baselines.BASELINES.items()}
    table = pd.DataFrame(columns).rename(index=names).rename_axis("AUC of").reset_index()
    print(table.to_string(index=False))
    if asked.save:
        write_atomically(asked.save, table.to_csv(index=False))
        write_atomically(asked.save.with_suffix(".yaml"), yaml.safe_dump(told, sort_keys=False))


if __name__ == "__main__":
    main()
