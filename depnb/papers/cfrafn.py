"""CFRAFN: depressed or not, from eGeMAPS and VGGish of a recording."""

import re
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from lightning_fabric.utilities import move_data_to_device
from pydantic import Field, field_validator

from depnb.corpora.readers import AUDIO, VIDEOS, accompanied
from depnb.corpora.speech_folder import split_by_file
from depnb.features import damage, importance, speech, store
from depnb.files import located
from depnb.models import cfrafn
from depnb.papers import limits, paper, parameters
from depnb.papers.parameters import Amount, Count, NotNegative, Positive, Share
from depnb.papers.released.cfrafn import released_intervals, released_tables
from depnb.scores import explain, report


class Parameters(parameters.Chapter):
    """What the chapter on CFRAFN may be given."""

    corpus: Literal["speech_folder"]
    pattern: str
    normalise: bool
    silence: Literal["remove", "ends", "keep"]
    augmentation: Literal["none", "released", "corrected"]
    vector_augmentation: Literal["none", "released", "corrected"]
    vggish_weights: str
    postprocess: bool
    scaling: Literal["standard", "none"]
    model: Literal["cfrafn", "feature_fusion", "layer_fusion", "dual_cnn"]
    fusion: Literal["gate", "equal", "concatenation", "egemaps", "vggish"]
    alignment: Literal["as_released", "by_name", "columns_by_list", "learnt_on_train", "none"]
    importances: str
    expansion: Positive
    transformed_width: Positive
    conv_width: Positive
    classifier_width: Positive
    dropout: Share
    gate_temperature: Amount
    fold: Annotated[int, Field(ge=0, le=3)]
    patience: Count
    batch_size: Count
    weight_decay: NotNegative
    search_trials: Count

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression ({error}).") from None
        return pattern


INPUTS = ("egemaps", "vggish")
SIZES = ("transformed_width", "conv_width", "expansion", "classifier_width", "gate_temperature",
         "fusion")


class Paper(paper.Binary):
    """A recording as 88 functionals and 128 numbers more; a unit is a recording."""

    name, shows, Parameters = "cfrafn", "voice", Parameters
    pieces = MappingProxyType({"egemaps": (1,)})
    optimiser = "adamw"                 # as released
    together = None                     # all recordings at once
    files_end_in = (*AUDIO, *VIDEOS)

    def options(self):
        return {"pattern": self.p.pattern} if self.p.pattern else {}

    def split(self, corpus):
        if self.p.protocol == "as_published":
            return split_by_file(corpus)
        return corpus.split(self.p.fold)

    def speech(self, files, augmentation="none"):
        """Both descriptions of recordings -> arrays by name, problems, name of the second."""
        p = self.p
        return speech.extract(files, located(p.cache_dir), p.workers, augmentation,
                              weights=p.vggish_weights, postprocess=p.postprocess,
                              normalise=p.normalise, silence=p.silence)

    def extract(self, files, hurt=None):
        damaged = {name for name in files if hurt and hurt[1][name]}
        arrays, problems, self.second = self.speech(
            {name: path for name, path in files.items() if name not in damaged})
        if damaged:                     # before anything is computed of the sound
            how = {key: getattr(hurt[0], key) for key in ("kind", "level", "seed")}
            each = dict.fromkeys(damaged, how)
            worse, more = store.extract(
                {name: path for name, path in files.items() if name in damaged},
                damage.speech_parts, located(self.p.cache_dir), each=each, workers=self.p.workers,
                parts=1)
            arrays, problems = arrays | worse, problems | more
        return arrays, problems, speech.remarks(arrays)

    def augment(self, corpus, arrays, training):
        if self.p.augmentation == "none":
            return {}
        files = corpus.files()
        names = [name for name in training["recording"] if name in arrays]
        versions, problems, _ = self.speech({name: files[name] for name in names},
                                            self.p.augmentation)
        for name, version in versions.items():
            arrays[name] = {**arrays[name], "versions": version}
        return problems

    def units(self, arrays, rows):
        table = paper.unit_table(rows, dict.fromkeys(arrays, 1))
        chosen = [arrays[name] for name in table["recording"]]
        data = {key: np.stack([a[key][0] for a in chosen]) for key in INPUTS if chosen}
        data["versions"] = [a.get("versions", a) for a in chosen]
        data["seconds"] = np.array([a["seconds"][1] for a in chosen if "seconds" in a])
        return paper.Units(table, data, {"second": self.second})

    def classes(self, corpus):
        """Recordings and participants of each class -> table."""
        counts = corpus.sessions.groupby("label")["participant"].agg(["count", "nunique"])
        counts.columns, counts.index = ["recordings", "participants"], ["control", "depressed"]
        return counts

    def preprocessed(self, corpus):
        """The first recording that can be read, step by step -> as `speech.preprocess`."""
        for session in corpus.sessions["session"]:
            try:
                return speech.preprocess(*corpus[session].waveform(), normalise=self.p.normalise,
                                         silence=self.p.silence)
            except (ValueError, OSError):       # a faulty one: listed when all are read
                continue
        raise ValueError(f"{corpus.name}: no recording can be read.")

    def training_items(self, units, rows):
        """Every version of training recordings -> places of their units, both matrices."""
        versions = [units.data["versions"][row] for row in rows]
        places = np.repeat(rows, [len(v["egemaps"]) for v in versions])
        return places, [np.concatenate([v[key] for v in versions]) for key in INPUTS]

    def prepare(self, units, rows=()):
        state = {"second": units.facts["second"], **super().prepare(units, rows)}
        if self.p.scaling == "standard":
            _, matrices = self.training_items(units, rows)
            state["center"] = [m.mean(0).tolist() for m in matrices]
            state["spread"] = [np.maximum(m.std(0), 1e-6).tolist() for m in matrices]
        if self.p.model == "cfrafn" and self.p.alignment != "none" and not self.theirs:
            state |= self.weighted(units, rows)
        return state

    def weighted(self, units, rows):
        """Weights of the functionals, and the order in which they are read, for a new network."""
        p, names = self.p, speech.egemaps_names()
        read = importance.read_importances
        published = read(located(p.importances)) if p.importances else None
        learnt = self.learnt(units, rows)
        weights = importance.feature_weights(p.alignment, names, learnt, published)
        listed = p.alignment == "columns_by_list"
        return {"weights": None if p.fusion == "vggish" else weights.tolist(),
                "order": importance.list_order(names, published).tolist() if listed else None}

    def functionals(self, units, rows):
        """Functionals of recordings -> table, one row a recording, and what is known of these."""
        table = units.table.iloc[rows].set_index("recording")
        values = pd.DataFrame(units.data["egemaps"][rows], table.index, speech.egemaps_names())
        return values, table

    def learnt(self, units, rows):
        """Importances of the functionals on training recordings -> Series by name."""
        values, table = self.functionals(units, rows)
        return importance.learn_importances(values, table["label"], table["participant"],
                                            self.p.seed)

    def effects(self, units):
        """How far each functional separates the training participants -> Cohen's d by name."""
        values, table = self.functionals(units, units.rows("train"))
        people = values.groupby(table["participant"].to_numpy(), sort=False).mean()
        labels = table.groupby("participant", sort=False)["label"].first()
        return explain.effect_sizes(people, labels)

    def columns(self, units):
        """Which importance each column of the eGeMAPS table is multiplied by, and which is its own.

        Importances are the authors' where the parameters name their list, else learnt here on the
        training participants.

        Returns
        -------
        table in openSMILE's order of the columns
            own (its importance), by_position (that which `main.py` at 9d15a26 multiplies onto it),
            listed (whose importance that is)
        """
        names, file = speech.egemaps_names(), self.p.importances
        ranked = (importance.read_importances(located(file)) if file
                  else self.learnt(units, units.rows("train"))).sort_values(ascending=False)
        weights = {column: importance.feature_weights(how, names, ranked) for column, how in
                   (("own", "by_name"), ("by_position", "as_released"))}
        return pd.DataFrame({**weights, "listed": ranked.index}, pd.Index(names, name="column"))

    def scaled(self, matrices, state):
        """Both matrices as the network reads them -> tensors by name."""
        if "center" in state:
            matrices = [(m - np.float32(center)) / np.float32(spread) for m, center, spread in
                        zip(matrices, state["center"], state["spread"], strict=True)]
        return {key: torch.as_tensor(m, dtype=torch.float32)
                for key, m in zip(INPUTS, matrices, strict=True)}

    def inputs(self, units, rows, state):
        return self.scaled([units.data[key][rows] for key in INPUTS], state)

    def batches(self, units, rows, state, seed=None):
        return Batches(self, units, rows, state, self.p.seed if seed is None else seed)

    def sizes(self, units):
        return {name: getattr(self.p, name) for name in SIZES}

    def build(self, state):
        weights = {"feature_weights": state.get("weights"), "column_order": state.get("order")}
        weights = {name: np.array(value, np.float32 if name == "feature_weights" else np.int64)
                   for name, value in weights.items() if value}
        sizes = {"dropout": self.p.dropout, **weights, **state["sizes"]}
        return cfrafn.build(self.p.model, **sizes)

    def about(self, state):
        return {"paper": self.name, "model": self.p.model, **state["sizes"]}

    def recipe(self):
        return super().recipe() | {"schedule": "constant"}

    @property
    def select(self):
        return "one_minus_f1" if self.p.protocol == "as_published" else "cross_entropy"

    def published_choice(self, measured):
        return {"one_minus_f1": 1 - measured["f1"]}

    def suggest(self, trial):
        """Sizes and learning rate of a trial of a search (Optuna)."""
        return {"transformed_width": 2 * trial.suggest_int("half_width", 16, 160, log=True),
                "conv_width": trial.suggest_int("conv_width", 16, 256, log=True),
                "expansion": trial.suggest_int("expansion", 1, 4),
                "classifier_width": trial.suggest_int("classifier_width", 16, 256, log=True),
                "dropout": trial.suggest_float("dropout", 0.0, 0.5),
                "learning_rate": trial.suggest_float("learning_rate", 1e-4, 5e-3, log=True)}

    def report(self, predictions, units):
        """As `paper.Paper.report`; by recording also the intervals by the released formula."""
        tested = predictions[predictions["split"] == "test"]
        test = report.binary(tested, self.card.unit, prevalence(units))
        test["by_unit"]["released_intervals"] = released_intervals(tested)
        return test

    def remark(self, run):
        second = run.metrics["second_description"]
        instead = "" if second.startswith("vggish") else ", in place of VGGish"
        return f"Second description: {second}{instead}."

    def facts_of(self, network, units, state, searched):
        """What `metrics.json` has beside the test. searched: sizes that a search chose -> dict."""
        return {"second_description": units.facts["second"], "train_prevalence": prevalence(units),
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "validation": self.validation(network, units, state), "searched": searched}

    def released_tables(self, predictions):
        """What the authors' program would write of these predictions -> tables by file name."""
        parts = {part: [predictions[predictions["split"] == part]]
                 for part in ("validation", "test")}
        return dict(zip(("metrics", "metrics_meanstd"), released_tables(parts), strict=True))

    def gate(self, network, units, state):
        """The gate's weight of each test recording, and what it changes.

        Returns
        -------
        table with participant, alpha, and moved: how far the probability moves when alpha is fixed
        at one half; without rows for a network that has no gate
        """
        rows = units.rows("test")
        people = units.table["participant"].iloc[rows].reset_index(drop=True)
        if getattr(network, "fusion", "") != "gate":
            return pd.DataFrame({"participant": people[:0], "alpha": [], "moved": []})

        def alpha(network, inputs, state):
            e, v = network.egemaps_branch(inputs["egemaps"]), network.vggish_branch(
                inputs["vggish"])
            return network.gate(e, v)[:, 0].float().cpu().numpy()

        alphas = self.answers(network, units, rows, state, of=alpha)
        weighed = self.predictions(network, units, rows, state)["y_pred"]
        network.gate.fixed = 0.5
        halved = self.predictions(network, units, rows, state)["y_pred"]
        network.gate.fixed = None
        return pd.DataFrame({"participant": people, "alpha": alphas,
                             "moved": (halved - weighed).abs()})

    def attributed(self, networks, units, state):
        """Mean |integrated gradients| of each functional over the test recordings.

        networks: by name -> table, one column a network, one row a functional
        """
        inputs = list(self.inputs(units, units.rows("test"), state).values())
        strengths = {}
        for name, network in networks.items():
            device = next(network.parameters()).device
            of_functionals, _ = explain.integrated_gradients(network,
                                                             move_data_to_device(inputs, device))
            strengths[name] = of_functionals.abs().mean(0).cpu().numpy()
        return pd.DataFrame(strengths, speech.egemaps_names())

    def removed(self):
        """Planted controls whose own trace this run's preprocessing takes out -> names.

        Of loudness the distance from the noise of the room stays.
        """
        pauses = ("pause_length", "pause_share") if self.p.silence == "remove" else ()
        return (("loudness",) if self.p.normalise else ()) + pauses

    def planted(self, corpus, units, rows):
        """Functionals of eGeMAPS that answer to any moved control."""
        controls = corpus.truth["controls"].values()
        moved = {name for control in controls for name in control["egemaps"]}
        return [{"egemaps": np.isin(speech.egemaps_names(), list(moved))} for _ in rows]

    def recordings_in(self, source):
        """Sound files, and videos that have none of their name beside them, for their sound."""
        files = super().recordings_in(source)
        besides = accompanied(files.values())
        return {name: path for name, path in files.items() if path not in besides}

    def sounds(self, files):
        videos = sum(path.suffix.lower() in VIDEOS for path in files.values())
        return f"Videos, of which the sound is read: {videos}. " if videos else ""

    def expects(self):
        return f"file ending in {', '.join(AUDIO)}, or a video ending in {', '.join(VIDEOS)}"

    def described(self, units, rows):
        table, (egemaps, second) = units.table.iloc[rows], (units.data[key][rows] for key in INPUTS)
        columns = dict(zip(speech.egemaps_names(), egemaps.T, strict=True))
        measures = {"voiced share": columns["VoicedSegmentsPerSec"]
                    * columns["MeanVoicedSegmentLengthSec"]}
        if len(units.data.get("seconds", ())) == len(units):
            measures["seconds"] = units.data["seconds"][rows]
        return limits.Described(table["recording"].to_numpy(), table["participant"].to_numpy(),
                                {"eGeMAPS": egemaps, units.facts["second"]: second}, measures, {})

    def answered(self, network, units, state, run=None):
        if units.facts["second"] != state["second"]:
            raise ValueError(f"the run was trained on {state['second']}, here there is only "
                             f"{units.facts['second']}. Set vggish_weights as the run had it.")
        if not len(units):
            return [], {}
        answers = self.answers(network, units, np.arange(len(units)), state)
        return [{"file": name, "probability": float(probability)} for name, probability in
                zip(units.table["recording"], self.decoded(answers, state), strict=True)], {}


class Batches(paper.Batches):
    """Recordings of the training set, their features augmented anew every epoch."""

    def __init__(self, of, units, rows, state, seed):
        p = of.p
        places, matrices = of.training_items(units, rows)
        self.targets = of.target(units, places, state)
        self.vectors = speech.VectorAugmentation(*matrices, p.vector_augmentation, 42 + seed)
        self.of, self.state, self.seed = of, state, seed
        self.size = p.batch_size or len(self.targets)           # 0: all in one, as released
        self.epoch = self.drawn = None

    def __len__(self):
        # two rows at least in each: batch normalisation cannot train on one
        return max(1, min(-(-len(self.targets) // self.size), len(self.targets) // 2))

    def plan(self, epoch):
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.targets))
        return [(epoch, part) for part in np.array_split(order, len(self))]

    def __getitem__(self, planned):
        epoch, part = planned
        if epoch != self.epoch:
            self.epoch, self.drawn = epoch, self.of.scaled(self.vectors(epoch), self.state)
        return {key: x[part] for key, x in self.drawn.items()}, self.targets[part]


def prevalence(units):
    """Share of depressed among the training participants, which a constant says."""
    train = units.table.iloc[units.rows("train")].groupby("participant", sort=False)
    return float(train["label"].first().mean())


def gate_in_words(table):
    """What a table of `Paper.gate` says, in a sentence."""
    if table.empty:
        return "This network has no gate."
    low, high = table["alpha"].quantile([0.05, 0.95])
    return (f"alpha from {low:.3f} to {high:.3f} in nine of ten recordings; fixed at 0.5, "
            f"nine of ten probabilities move by at most {table['moved'].quantile(0.9):.3f}")


def concentrations(strengths, corpus):
    """How much of the attribution falls on functionals that answer to each planted control.

    Parameters
    ----------
    strengths : table of `Paper.attributed`
    corpus : whose truth tells which functionals answer to which control

    Returns
    -------
    table with cue, network, functionals (how many answer), concentration (1 is chance); without
    rows where nothing is planted or no network reads functionals
    """
    columns = ["cue", "network", "functionals", "concentration"]
    if not corpus.truth or not strengths.to_numpy().any():
        return pd.DataFrame(columns=columns)
    planted = {cue: strengths.index.isin(control["egemaps"])
               for cue, control in corpus.truth["controls"].items()}
    planted["any"] = np.any(list(planted.values()), axis=0)
    return pd.DataFrame([(cue, network, int(inside.sum()),
                          explain.concentration(strength.to_numpy(), inside))
                         for cue, inside in planted.items()
                         for network, strength in strengths.items()], columns=columns)


def idle_taps(network):
    """Weights of length-one convolutions that only ever meet zeros -> how many."""
    return sum(2 * module.weight[..., 0].numel() for module in network.modules()
               if isinstance(module, cfrafn.LengthOneConv) and module.kernel_size == (3,))
