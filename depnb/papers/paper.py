"""What a paper is: one object that the chapter, the prediction notebook and the evidence ask.

    paper = cfrafn.Paper(parameters)
    corpus = paper.open(simulate)
    units = paper.features(corpus, paper.split(corpus))
    state = paper.prepare(units, units.rows("train"))       # learnt from these rows, plain JSON
    network = paper.network(state, seed)
    for batch in paper.batches(units, units.rows("train"), state)(epoch): paper.loss(network, batch)
    table = paper.predictions(network, units, units.rows("test"), state)

A unit is what a network sees at once: a recording, a video, a window of an interview, a vlog.
What the pages of evidence change of a chapter's settings stands in `params/evidence`.
"""

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import torch
import yaml
from lightning_fabric import seed_everything
from lightning_fabric.utilities import move_data_to_device
from torch.nn import functional as F
from torch.utils.data import Dataset

from depnb import corpora
from depnb.corpora.corpus import PHQ8_ITEMS
from depnb.corpora.readers import AUDIO, OTHER_MEDIA, VIDEOS
from depnb.corpora.simulated import effect_text
from depnb.files import below, hidden, located
from depnb.papers import limits
from depnb.papers.cards import cards
from depnb.scores import report, rounded
from depnb.scores.metrics import classification

ITEMS = [f"phq8_{item}" for item in PHQ8_ITEMS]
DEPARTURES = "params/evidence/departures.yaml"


@dataclass
class Units:
    """Recordings cut into what a network sees at once.

    Parameters
    ----------
    table : one row a unit: participant, session, recording, unit (from 0 within its recording),
        split ("" for none) and what the corpus tells: label, score, PHQ-8 items
    data : what the units are made of, as their paper reads it
    facts : what is to be said of the features, by name
    """

    table: pd.DataFrame
    data: dict
    facts: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.table)

    def rows(self, part):
        """Places of the units of one part of the split -> (n,) int."""
        return np.flatnonzero(self.table["split"] == part)

    def parted(self, split):
        """The same units under a split. split: Series by session; who is not in it has none."""
        parts = self.table["session"].map(split).fillna("")
        return replace(self, table=self.table.assign(split=parts))


class Batches(Dataset):
    """Training batches, (inputs by name, target): planned by (seed, epoch), made by any worker."""

    def __len__(self):
        """Batches of an epoch."""
        raise NotImplementedError

    def plan(self, epoch):
        """What is drawn for each batch of an epoch -> list."""
        raise NotImplementedError

    def __getitem__(self, planned):
        """One batch of a plan; nothing is drawn any more."""
        raise NotImplementedError

    def __call__(self, epoch):
        """The batches of an epoch, made in this process."""
        return map(self.__getitem__, self.plan(epoch))


class Ready(Batches):
    """Batches of `features`, each made ready by a function."""

    def __init__(self, batches, ready):
        self.batches, self.ready = batches, ready

    def __len__(self):
        return len(self.batches)

    def plan(self, epoch):
        return self.batches.plan(epoch)

    def __getitem__(self, planned):
        return self.ready(self.batches[planned])


@dataclass(frozen=True)
class Hurt:
    """Damage to recordings. participants: who is hurt, None for all; kind, level: of `damage`."""

    kind: str
    level: int
    seed: int
    participants: set | None = None

    def level_of(self, rows):
        """recording -> level. rows: table with recording and participant."""
        who = self.participants
        return {r.recording: self.level if who is None or r.participant in who else 0
                for r in rows.itertuples()}


class Paper:
    """What differs between papers, and what they share of it.

    `pieces`: input -> what is occluded at once, without the batch; `shows`: what an oracle of its
    corpus sees; `recipe`, `select`: how it is trained, and the measure that picks the epoch.
    """

    name = shows = ""
    select = "mae"
    pieces = MappingProxyType({})
    optimiser = "adam"
    stated = "paper"                    # under what key a checkpoint says whose it is
    together = 32                       # units that are judged at once
    counts = "file"                     # what the prediction notebook tells one row of
    tells = ("probability",)            # columns of its answer there
    files_end_in = ()                   # those that it takes

    def __init__(self, parameters, sizes=None):
        """parameters: of its chapter, read; sizes: of an authors' network, whatever they say."""
        if isinstance(parameters, Mapping):
            parameters = SimpleNamespace(**parameters)
        self.p, self.theirs, self.card = parameters, sizes, cards()[self.name]

    # Data ------------------------------------------------------------------------------------

    def open(self, simulate):
        """The corpus that the parameters name; where that is auto, simulate(...) writes one."""
        p = self.p
        root = located(p.data_root)
        if p.data_root == "auto":
            name = (f"{p.corpus}-{p.simulated_participants}-effect{effect_text(p.simulated_effect)}"
                    f"-seed{p.simulated_seed}")
            root = simulate(p.corpus, located(f"data/simulated/{name}"), p.simulated_participants,
                            p.simulated_seed, p.simulated_effect, workers=p.workers)
        return corpora.open(p.corpus, root, located(p.cache_dir), **self.options())

    def options(self):
        """How its corpus is opened."""
        return {}

    def split(self, corpus):
        """Part of every session: participants apart, or as the authors have it -> Series."""
        if self.p.protocol == "as_published":
            return corpus.sessions.set_index("session")["split"]
        return corpus.split(self.p.fold)

    def files(self, corpus):
        """What `extract` reads, by name."""
        return corpus.files()

    def extract(self, files, hurt=None):
        """Features of recordings -> arrays by name, problems, remarks (name -> sentence).

        hurt: damage, as (Hurt, level by recording).
        """
        raise NotImplementedError

    def augment(self, corpus, arrays, training):
        """Further versions of the training recordings, into `arrays` -> problems."""
        return {}

    def units(self, arrays, rows):
        """Units of recordings. rows: table of recordings, as `Corpus.recordings` has it."""
        raise NotImplementedError

    def features(self, corpus, split=None):
        """Units of a corpus; what cannot be read leaves it, and is listed there.

        split : Series by session; training recordings may be augmented, and of a licensed corpus
            no part may be of few people
        """
        task = self.card.task
        if split is not None:
            corpus.check_parts(split, self.p.protocol, both=task == "binary")
        arrays, problems, remarks = self.extract(self.files(corpus))
        corpus.exclude(problems)
        if split is not None:
            known = corpus.recordings().assign(split=lambda t: t["session"].map(split))
            faults = self.augment(corpus, arrays, known[known["split"] == "train"])
            corpus.exclude(faults)
            corpus.check_parts(split, self.p.protocol, both=task == "binary")
            corpus.check_groups(split, classes=task != "severity")
            remarks = {name: sentence for name, sentence in remarks.items() if name not in faults}
        corpus.note(remarks)
        units = self.units(arrays, corpus.recordings())
        return units if split is None else units.parted(split)

    def prepare(self, units, rows=()):
        """What is learnt from training units before training, and the network's sizes -> JSON.

        Without rows: for a network that needs nothing learnt.
        """
        state = {"sizes": self.theirs or self.sizes(units)}
        described = self.described(units, rows) if len(rows) else None
        return state | ({"range": limits.range_of(described)} if described else {})

    def batches(self, units, rows, state, seed=None):
        """Training batches -> Batches. seed: the parameters' where None."""
        raise NotImplementedError

    def widths(self, units):
        """What features at hand ask of a network, where no parameter tells -> argument: number."""
        return {}

    def inputs(self, units, rows, state):
        """What a network is given of some units, nothing drawn -> tensors by name."""
        raise NotImplementedError

    def target(self, units, rows, state):
        """What a network is to say of units -> tensor (n, ...)."""
        return torch.tensor(units.table["label"].to_numpy(float)[rows], dtype=torch.float32)

    # Network ---------------------------------------------------------------------------------

    def sizes(self, units):
        """Arguments of its network: those of the parameters and of the features."""
        raise NotImplementedError

    def build(self, state):
        """The network, its weights drawn."""
        raise NotImplementedError

    def network(self, state, seed):
        """`build` from a seed."""
        seed_everything(seed, verbose=False)
        return self.build(state)

    def about(self, state):
        """What a checkpoint says of itself."""
        return {self.stated: self.name, **state["sizes"]}

    def recipe(self):
        """How it is trained, under the names of `runs.loop.Recipe`."""
        names = ("epochs", "learning_rate", "schedule", "weight_decay", "accumulate", "clip_norm",
                 "validate_every", "patience", "sharpness", "adaptive")
        own = {name: getattr(self.p, name) for name in names if hasattr(self.p, name)}
        return own | {"optimiser": self.optimiser, "select": self.select}

    def earlier_trainings(self):
        """How often a network is trained before, each time from the best weights of the last."""
        return 0

    def loss(self, network, batch):
        """Loss of a batch of `batches` -> scalar tensor."""
        raise NotImplementedError

    def scores(self, network, inputs, state):
        """What a network says, one number a unit that grows with depression -> (n,) array."""
        raise NotImplementedError

    def answers(self, network, units, rows, state, without=None, of=None):
        """What a network says of units -> (n, ...) array.

        without : a modality that the network is not given
        of : what it says, of (network, inputs, state); `scores` where None
        """
        answers, device = [], next(network.parameters()).device
        if not len(rows):
            raise ValueError(f"{self.card.title}: no {self.card.unit} to judge; this part of the "
                             "split is empty.")
        step = self.together or len(rows)
        with torch.inference_mode():
            for start in range(0, len(rows), step):
                inputs = self.inputs(units, rows[start:start + step], state)
                inputs = self.without(inputs, without) if without else inputs
                inputs = move_data_to_device(inputs, device)
                answers.append((of or self.scores)(network, inputs, state))
        return np.concatenate(answers)

    def decoded(self, scores, state):
        """`scores` in the unit of the chapter."""
        return scores

    def predictions(self, network, units, rows, state):
        """A row a unit: participant, session, split, y_true, y_pred -> table."""
        table = units.table.iloc[rows].reset_index(drop=True)
        guess = self.decoded(self.answers(network, units, rows, state), state)
        return self.told(table, guess)

    def told(self, table, guess):
        """A table of predictions from units and `decoded` answers."""
        raise NotImplementedError

    def measures(self, predictions):
        """What is looked at on validation units after an epoch -> dict of floats."""
        raise NotImplementedError

    def validation(self, network, units, state):
        """`measures` of the validation units, as `runs.loop.fit` asks for them."""
        return self.measures(self.predictions(network, units, units.rows("validation"), state))

    def judged(self, network, units, state, parts=("validation", "test")):
        """`predictions` of the validation and test units -> table."""
        return pd.concat([self.predictions(network, units, units.rows(part), state)
                          for part in parts])

    def report(self, predictions, units):
        """Scores of the test units, of a constant that knows the training units, and what the
        authors would report -> dict, as `metrics.json` has it under "test".
        """
        raise NotImplementedError

    # Evidence --------------------------------------------------------------------------------

    def answer(self, network, **inputs):
        """What attributions explain: one number a unit, differentiable -> (B,)."""
        return network(**inputs)

    def without(self, inputs, modality):
        """Inputs that lack a modality."""
        return inputs | {modality: torch.zeros_like(inputs[modality])}

    def planted(self, corpus, units, rows):
        """Where something is planted in each of these units -> list of input -> mask."""
        raise NotImplementedError

    # Prediction ------------------------------------------------------------------------------

    def recordings_in(self, source):
        """Recordings of a file or a folder, for `extract`: mapping name -> path."""
        if source.is_file():
            return {source.name: source}
        return {str(f.relative_to(source)): f for f in below(source)
                if f.suffix.lower() in self.files_end_in}

    def recordings_and_rest(self, name):
        """Recordings of a file or folder, by name, and sound and video that no recording is made
        of, each with a sentence -> two mappings.

        Raises
        ------
        FileNotFoundError
            There is nothing of that name, or no recording in it.
        """
        source = located(name)
        if not name or not source.exists():
            raise FileNotFoundError(f"input {name!r}: no such file or folder. Give a "
                                    f"{self.expects()}, or a folder of them.")
        files = self.recordings_in(source)
        taken = {path for paths in files.values() if paths
                 for path in (paths.values() if isinstance(paths, dict) else [paths])
                 if isinstance(path, Path)}
        named = {path.with_suffix("") for path in taken}
        passed = {}
        for f in below(source):
            if f.suffix.lower() in (*VIDEOS, *AUDIO, *OTHER_MEDIA) and f not in taken:
                if f.with_suffix("") not in named:
                    passed[str(f.relative_to(source))] = (f"passed over: no {self.expects()}. "
                                                          "Convert it.")
                elif f.suffix.lower() in self.files_end_in:
                    passed[str(f.relative_to(source))] = ("passed over: a file of its name and "
                                                          "another kind is read.")
        if not files:
            other = f", but {len(passed)} of other kinds. Convert them" if passed else ""
            raise FileNotFoundError(f"input {name!r}: no {self.expects()} there"
                                    f"{other or '. Give one, or a folder'}.")
        return files, passed

    def sounds(self, files):
        """What is heard of recordings, where some are videos -> sentence, "" where none is."""
        return ""

    def expects(self):
        """What `recordings_in` looks for, in words."""
        return f"file ending in {', '.join(self.files_end_in)}"

    def unlabelled(self, files):
        """Units of recordings of which nothing is known -> Units, problems.

        What a user should know of recordings that are used all the same is among the facts.
        """
        arrays, problems, remarks = self.extract(files)
        units = self.units(arrays, unknown(arrays))
        units.facts["remarks"] = remarks
        return units, problems

    def answered(self, network, units, state, run=None):
        """One row a recording for the prediction notebook -> list of dicts, problems.

        run: the run that trained the network, None for an authors' file.
        """
        raise NotImplementedError

    def described(self, units, rows):
        """The recordings of some units in numbers -> limits.Described; None: has no such numbers.

        By them `predicted` tells which recordings lie outside of what a network was trained on.
        """
        return None

    def predicted(self, network, units, state, run=None, others=None):
        """`answered`, beside how each recording lies to those that trained the network.

        Of one that lies outside their range nothing is answered; where no range is known (an
        authors' file, a run of an earlier version), every answer is given.

        others : problems of recordings that are no units, name -> sentence

        Returns
        -------
        table, one row a recording, with `problem` where there is no answer, and `remark` on what
        was read all the same; all these, name -> sentence
        """
        rows, problems = self.answered(network, units, state, run)
        table, kind = pd.DataFrame(rows, columns=None if rows else [self.counts]), self.counts
        described = self.described(units, np.arange(len(units))) if rows else None
        if described is not None:
            held = limits.held_against(described, state.get("range") or {}).loc[table[kind]]
            simulated = bool(run and run.metrics["simulated"])
            outside = {name: limits.sentence(reasons, simulated)
                       for name, reasons in held.pop("outside").items() if reasons}
            answer = [column for column in self.tells if column in table]
            table.loc[table[kind].isin(outside), answer] = np.nan
            table = table.join(held[held.columns.difference(table.columns, sort=False)], on=kind)
            problems = problems | outside
        problems = problems | (others or {})
        silent = pd.DataFrame({kind: [name for name in problems if name not in set(table[kind])]})
        table = pd.concat([table, silent]).sort_values(kind, ignore_index=True)
        told = self.remarks_by_name(units, table[kind])
        for column, sentences in (("problem", problems), ("remark", told)):
            if sentences:
                table[column] = table[kind].map(sentences)
        both = {name: " ".join(filter(None, [problems.get(name), told.get(name)]))
                for name in (*problems, *told)}
        return table.convert_dtypes(), both             # counts are whole numbers

    def remarks_by_name(self, units, names):
        """Remarks of `unlabelled`, on a recording or on a part of it -> name -> sentences."""
        told = {}
        for about, sentence in units.facts.get("remarks", {}).items():
            name = about if self.counts == "file" else about.rpartition("/")[0]
            if name in set(names):
                told[name] = f"{told.get(name, '')} {sentence}".strip()
        return told

    def remark(self, run):
        """What must be said beside the results of a run -> sentence, "" for nothing."""
        return ""

    def once(self, predictions):
        """A run's predictions with one row for what the prediction notebook tells one row of."""
        return predictions

    def reach(self, run):
        """Within how many points nine in ten of those lie whose people a run did not train on.

        Rounded up to a whole point where they are people of a licensed corpus: of few it is one
        person's error.

        -> points, number of people, part of the split
        """
        known = self.once(run.predictions)
        part = "validation" if (known["split"] == "validation").any() else "test"
        known = known[known["split"] == part]
        errors = (known["y_true"] - known["y_pred"]).abs()
        points = errors.quantile(0.9, "higher")
        points = points if run.metrics["simulated"] else np.ceil(points)
        return points, known["participant"].nunique(), part

    def low_and_high(self, score, scale, run):
        """Ends of what `reach` says about a score -> dict, empty for an authors' file."""
        reach = self.reach(run)[0] if run else 0
        return {"low": max(scale.low, score - reach),
                "high": min(scale.high, score + reach)} if run else {}

    def reliability(self, run):
        """How far off the network of a run is, in words."""
        test = run.metrics["test"]
        people, constant = test["by_participant"], test["constant"]["by_participant"]
        ends = rounded.interval(*people["mae_interval"], 1)
        reach, count, part = self.reach(run)
        return (f"mean absolute error {people['mae']:.1f} points ({ends}), a constant's "
                f"{constant['mae']:.1f}; low and high: of {count} participants of the {part} part, "
                f"who did not train it, nine in ten {self.counts}s lie within {reach:.1f} points "
                "of what is predicted")


class Binary(Paper):
    """Depressed or not: binary cross-entropy of one logit; participants by mean probability."""

    select = "cross_entropy"

    def loss(self, network, batch):
        inputs, target = batch
        return F.binary_cross_entropy_with_logits(network(**inputs), target)

    def scores(self, network, inputs, state):
        return network(**inputs).float().cpu().numpy()

    def decoded(self, scores, state):
        return torch.sigmoid(torch.tensor(scores)).numpy()

    def told(self, table, guess):
        known = table.rename(columns={"label": "y_true"}).assign(y_pred=guess)
        return known[["participant", "session", "split", "y_true", "y_pred"]]

    def measures(self, predictions):
        """By participant (as_published: by unit): cross-entropy, AUC and the authors' choice."""
        people = predictions
        if self.p.protocol == "clean":
            people = report.probabilities_by_participant(predictions)
        truth, guess = people["y_true"], people["y_pred"].clip(1e-6, 1 - 1e-6)
        entropy = -(truth * np.log(guess) + (1 - truth) * np.log(1 - guess)).mean()
        measured = classification(truth, people["y_pred"])
        return {"cross_entropy": float(entropy), "auc": measured["roc_auc"],
                **self.published_choice(measured)}

    def published_choice(self, measured):
        """What the authors choose the epoch by, lower is better -> dict of one float."""
        return {}

    def reliability(self, run):
        people = run.metrics["test"]["by_participant"]
        return (f"test AUC {rounded.entry(people, 'roc_auc')}, "
                f"Brier score {rounded.number(people['brier'])}")


def sound_beside(path):
    """The sound file of the same name beside a video; where there is none, the video itself."""
    beside = [f for f in path.parent.iterdir()
              if f.stem == path.stem and f.suffix.lower() in AUDIO and not hidden(f.name)]
    return min(beside, key=lambda f: AUDIO.index(f.suffix.lower()), default=path)


def unknown(names):
    """Rows of recordings of which only a name is known, for `Paper.units`."""
    names = pd.Series(list(names), dtype=object)
    return pd.DataFrame({"recording": names, "session": names, "participant": names, "split": ""})


def unit_table(rows, counts):
    """One row a unit of the recordings of which there are any.

    rows : table of recordings; counts : recording -> how many units it has
    """
    times = rows["recording"].map(counts).fillna(0).astype(int)
    table = rows.loc[rows.index.repeat(times)]
    return table.assign(unit=table.groupby(level=0).cumcount()).reset_index(drop=True)


def by_participant(table, scores):
    """Mean score of a participant's units -> Series by participant."""
    return pd.Series(scores).groupby(table["participant"].to_numpy()).mean()


def generator(seed, name):
    """A generator by a recording's name: damage does not depend on which others are read."""
    return np.random.default_rng([seed, zlib.crc32(str(name).encode())])


def of_chapter(name):
    """The settings of a paper's chapter, in its quick run -> dict by parameter."""
    return yaml.safe_load(located(f"params/{name}/quick.yaml").read_text())


def settings(name, **changed):
    """A paper's settings on the pages of evidence: its chapter's, less what DEPARTURES changes."""
    chapter = of_chapter(name)
    departs = {setting: entry["here"] for setting, entry in departures().get(name, {}).items()
               if setting in chapter}
    return SimpleNamespace(**chapter | departs | changed)


@functools.cache
def departures():
    """Where the evidence leaves the chapters: paper -> setting -> {here, why, maybe chapter}."""
    return yaml.safe_load(located(DEPARTURES).read_text())


def departure_table():
    """The same as a table for a page: paper, setting, in the chapter, here, why."""
    rows = []
    for name, entries in departures().items():
        chapter = of_chapter(name)
        rows += [{"paper": cards()[name].title, "setting": setting, "here": entry["here"],
                  "why": entry["why"],
                  "in the chapter": entry.get("chapter", chapter.get(setting))}
                 for setting, entry in entries.items()]
    return pd.DataFrame(rows)[["paper", "setting", "in the chapter", "here", "why"]]
