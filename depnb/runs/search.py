"""A search for sizes and learning rate on the training participants alone (Akiba et al. 2019)."""

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold

from depnb.runs import loop, training

FOLDS, EPOCHS, PATIENCE = 3, 60, 10


def settled(paper, units, state, run, fabric):
    """What a network is trained with: by the parameters or, where they ask for one, by a search.

    Returns
    -------
    sizes, learning_rate, trials : what changes of `state["sizes"]`, float, table of the five best
        trials; {}, the parameters' rate and None where nothing is searched. A finished run keeps
        the sizes that it found.
    """
    p = paper.p
    if not p.search_trials or p.checkpoint:
        return {}, p.learning_rate, None
    if run.complete:
        return run.metrics["searched"], p.learning_rate, None
    sizes, rate, trials = search(paper, units, state, run, fabric)
    return sizes, rate, trials.nsmallest(5, "value").filter(regex="^(number|value|params_.*)$")


def search(paper, units, state, run, fabric):
    """The best of `search_trials` trials -> what it changes of `state["sizes"]`, rate, trials.

    A trial trains on two thirds of the training participants and is judged by the cross-entropy of
    the others, three times; scaling and weights of features are learnt from those two thirds too.
    The study lies in the run folder and goes on where it was interrupted.

    Parameters
    ----------
    paper : one with `suggest` and `training_items`

    Returns
    -------
    sizes, learning_rate, trials : dict, float, table of all trials
    """
    import optuna  # here, not at the top: seconds to import, for a search alone

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows, p = units.rows("train"), paper.p
    places, matrices = paper.training_items(units, rows)
    owners = pd.factorize(units.table["participant"].to_numpy(object)[places])[0]
    label = paper.target(units, places, state)
    cut = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=p.seed)
    folds = list(cut.split(label, label.numpy().astype(int), owners))
    data = training.fingerprint(units, state)

    def objective(trial):
        sizes = paper.suggest(trial)
        recipe = training.recipe_of(paper, learning_rate=sizes.pop("learning_rate"),
                                    epochs=min(p.epochs, EPOCHS), patience=PATIENCE,
                                    select="cross_entropy")
        scores = []
        for number, (inside, outside) in enumerate(folds):
            inner = np.unique(places[inside])
            learnt = paper.prepare(units, inner)
            inputs = fabric.to_device(paper.scaled([m[outside] for m in matrices], learnt))
            held_out = inputs, fabric.to_device(label[outside])

            def judged(network, held_out=held_out):
                with torch.inference_mode():
                    return {"cross_entropy": float(paper.loss(network, held_out))}

            folder = run.folder / "search" / f"{trial.number}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            network = paper.network({**learnt, "sizes": state["sizes"] | sizes}, p.seed)
            history = loop.fit(network, training.loss_of(paper, fabric),
                               paper.batches(units, inner, learnt), judged, recipe, fabric,
                               folder, {"search": 1}, data=data)
            scores.append(min(row["val_cross_entropy"] for row in history))
        return float(np.mean(scores))

    study = optuna.create_study(            # of other data: another study
        storage=f"sqlite:///{run.folder / 'search.db'}", study_name=f"{paper.name} {data}",
        load_if_exists=True, sampler=optuna.samplers.TPESampler(seed=p.seed))
    finished = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(objective, n_trials=max(0, p.search_trials - finished))
    best = paper.suggest(optuna.trial.FixedTrial(study.best_params))
    return best, best.pop("learning_rate"), study.trials_dataframe()
