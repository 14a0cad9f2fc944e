"""The four models and simple baselines under one protocol: a corpus in, one number a participant out.

A pipeline reads one layout of a shared cohort (`depnb.simulation.cohort`), cuts its recordings into units (what a model sees
at once: a recording, a video, a window of an interview, a vlog), trains with its paper's own target and loss, and
gives each unit one number that grows with depression. What differs between the chapters, folds, choice of the epoch,
counting, is the same here for all. Sizes are those of the chapters' quick runs; the authors' are in `params/`.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from depnb import corpora
from depnb.corpora import daic_woz
from depnb.features import clips, damage, face, interview, store, text, vlog, windowing
from depnb.models import aafn, cfrafn, dynmultidep, ordinal, sta_drn
from depnb.privacy import MARKER
from depnb.simulation import cohort as cohorts
from depnb.simulation import severity

ITEMS = [f"phq8_{item}" for item in severity.PHQ8_ITEMS]
NOTHING = ("noise", 0, 0, None)


class Pipeline:
    """What the four share. `table`: one row a unit, columns participant, recording, unit (0, 1, …); see the subclasses.

    inputs(rows, prepared, rng) -> mapping of tensors for these units (rng: of training, None: to be scored);
    prepare(rows, people) -> what is learnt from the training units before training; build() -> network;
    loss(network, inputs, target); score(network, inputs, prepared) -> (units,) array; targets(people, prepared) -> tensor.
    """

    batch_size, learning_rate, schedule, weight_decay, clip_norm = 16, 2e-3, "cosine", 0.0, 0.0
    optimiser = "adam"

    def units(self, people):
        """Rows of `table` that belong to these participants."""
        return np.flatnonzero(self.table["participant"].isin(people))

    def of(self, column, people):
        """A column of the table of participants for every unit -> (units,) array."""
        return people[column].reindex(self.table["participant"]).to_numpy(float)


class Voice(Pipeline):
    """CFRAFN: eGeMAPS and log-mel statistics of a recording; binary cross-entropy."""

    name, unit, shows = "cfrafn", "recording", "voice"
    title, layout, senses = "CFRAFN", "speech_folder", ("egemaps", "vggish")
    batch_size, learning_rate, schedule, weight_decay, epochs = 1024, 5e-4, "constant", 2e-4, 40

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        data, rows, files = opened(self.layout, root, people, cache)
        level = hurt_levels(rows, hurt)
        each = {r: dict(zip(("kind", "level", "seed"), hurt if level[r] else NOTHING, strict=False)) for r in files}
        found, problems = store.extract(files, damage.speech_parts, cache, each=each, workers=workers, parts=1)
        data.exclude(problems)
        self.table = unit_table(rows, {name: len(a["egemaps"]) for name, a in found.items()})
        self.arrays = {sense: np.concatenate([found[r][sense] for r in self.table["recording"].unique()])
                       for sense in self.senses}

    def prepare(self, rows, people):
        return {sense: (x[rows].mean(0), np.maximum(x[rows].std(0), 1e-6)) for sense, x in self.arrays.items()}

    def inputs(self, rows, prepared, rng=None):
        return {sense: torch.as_tensor((self.arrays[sense][rows] - mean) / sd, dtype=torch.float32)
                for sense, (mean, sd) in prepared.items()}

    def build(self):
        return cfrafn.CFRAFN()

    def targets(self, people, prepared):
        return torch.tensor(self.of("label", people), dtype=torch.float32)

    def loss(self, network, inputs, target):
        return F.binary_cross_entropy_with_logits(network(**inputs), target)

    def score(self, network, inputs, prepared):
        return network(**inputs).float().numpy()

    def without(self, inputs, sense):
        return inputs | {sense: torch.zeros_like(inputs[sense])}


class Face(Pipeline):
    """STA-DRN: clips of aligned face crops; BDI-II, standardised on the training participants; smooth L1."""

    name, unit, shows = "sta_drn", "video", "face"
    title, layout, senses = "STA-DRN", "avec2014", ("clips",)
    batch_size, learning_rate, optimiser, epochs = 8, 1.5e-3, "adamw", 24
    frames, stride, size, step = 8, 3, 48, 3

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        data, rows, files = opened(self.layout, root, people, cache)
        tracks, problems = store.extract(files, face.track, cache, workers=workers, frame_step=self.step)
        each = {name: {"alignment": track["alignment"]} for name, track in tracks.items()}
        crops, more = store.extract({name: files[name] for name in tracks}, face.crop, cache, workers=workers, each=each,
                                    frame_step=self.step, size=self.size)
        data.exclude(problems | more)
        self.table, self.tracks = unit_table(rows, dict.fromkeys(crops, 1)), tracks
        level, (kind, _, seed, _) = hurt_levels(rows, hurt), hurt or NOTHING
        self.crops = [damage.pictures(np.asarray(crops[r]["crops"]), kind, level[r], generator(seed, r))
                      for r in self.table["recording"]]
        self.statistics = np.stack([face.expression_statistics(tracks[r]["landmarks"], tracks[r]["gaze"],
                                                               tracks[r]["head_pose"]) for r in self.table["recording"]])

    def prepare(self, rows, people):
        scores = self.of("bdi2", people)[rows]
        return scores.mean(), scores.std()

    def inputs(self, rows, prepared, rng=None):
        chosen = []
        for row in rows:
            frames = self.crops[row]
            if rng is None:
                chosen.append(frames[self.shown(row)])
                continue
            kept = frames[int(rng.integers(self.stride))::self.stride]
            clip = kept[sta_drn.training_clip(len(kept), self.frames, rng)]
            chosen.append(clip[:, :, ::-1] if rng.random() < 0.5 else clip)
        return {"clips": clips.to_input(np.stack(chosen), "clip")}

    def shown(self, row):
        """Which of a unit's crops its evaluation clip holds -> (frames,) int."""
        kept = np.arange(len(self.crops[row]))[::self.stride]
        return kept[sta_drn.evaluation_clips(len(kept), self.frames)[0]]

    def build(self):
        network = sta_drn.STADRN("attention_fusion", 2, (1, 1, 1, 1), 8, 8).to(memory_format=torch.channels_last_3d)
        with torch.no_grad():
            network.fc.bias.zero_(), network.fc.weight.mul_(0.1)
        return network

    def targets(self, people, prepared):
        mean, sd = prepared
        return torch.tensor((self.of("bdi2", people) - mean) / sd, dtype=torch.float32)

    def loss(self, network, inputs, target):
        return F.smooth_l1_loss(network(inputs["clips"])[:, 0], target)

    def score(self, network, inputs, prepared):
        return network(inputs["clips"])[:, 0].float().numpy()


class Interview(Pipeline):
    """AAFN: windows of face, voice and words of an interview; eight PHQ-8 items as soft bins; the score is their sum."""

    name, unit, shows = "aafn", "window of 10 s", "interview"
    title, layout, senses = "AAFN", "daic_woz", interview.MODALITIES
    weight_decay, epochs, step, seconds = 1e-4, 16, 10, 10

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        data, rows, _ = opened(self.layout, root, people, cache)
        sessions = {s: given for s, given in daic_woz.interviews(data).items() if s in set(rows["session"])}
        arrays, problems, _ = interview.extract(sessions, cache, workers, "corrected", self.step)
        data.exclude(problems)
        level, (kind, _, seed, _) = hurt_levels(rows.assign(recording=rows["session"]), hurt), hurt or NOTHING
        arrays = {s: self.hurt(a, kind, level[s], seed, s) for s, a in arrays.items()}
        length, hop = windowing.in_frames(self.seconds, 0, self.step)
        self.pieces = windowing.Windows(arrays, length, hop)
        people_of = rows.drop_duplicates("session").set_index("session")["participant"]
        cut = self.pieces.table
        self.table = pd.DataFrame({"participant": people_of.loc[cut["session"]].to_numpy(), "recording": cut["session"],
                                   "unit": cut["window"]}).reset_index(drop=True)
        self.words = {people_of[s]: " ".join(text.participant_turns(text.read_transcript(given["transcript"]))[0]["value"])
                      for s, given in sessions.items() if s in arrays}

    def hurt(self, arrays, kind, level, seed, session):
        """One interview made worse: face and voice by row, words by sentence where a share of them is lost or cut."""
        if not level:
            return arrays
        worse = dict(arrays)
        for number, (sense, axis) in enumerate((("visual", 0), ("audio", 1), ("text", 0))):
            if sense in arrays and (sense != "text" or kind in ("lost", "short", "noise")):
                worse[sense] = damage.rows(arrays[sense], kind, level, generator(seed + number, session), axis)
        if kind == "short":
            worse["frames"] = np.int64(worse["visual"].shape[0] if "visual" in worse else worse["audio"].shape[1])
            if "span" in worse:
                worse["span"] = worse["span"][:len(worse["text"])]
        return worse

    def prepare(self, rows, people):
        return {}

    def inputs(self, rows, prepared, rng=None):
        batch = self.pieces.batch(rows, rng)
        if rng is not None:             # some training windows lose a sense on purpose, as in the chapter
            kept, lost = batch["present"].clone(), rng.random(len(rows)) < 0.2
            kept[lost, rng.integers(0, 3, lost.sum())] = False
            batch["present"] = torch.where(kept.any(1, keepdim=True), kept, batch["present"])
        return batch

    def build(self):
        return aafn.AAFN(embedding=self.pieces.width, conv_width=32, lstm_width=32, visual_layers=1, audio_layers=1,
                         text_layers=1, width=32, planes=4, base_width=64, bins=32, head_norm=True, dropout=0.3,
                         lstm_dropout=0.3)

    def targets(self, people, prepared):
        return torch.tensor(np.stack([self.of(item, people) for item in ITEMS], 1), dtype=torch.float32)

    def loss(self, network, inputs, target):
        return ordinal.kl_loss(network(**inputs), ordinal.soft_labels(target, 32), "batch")

    def score(self, network, inputs, prepared):
        return ordinal.decode(network(**inputs).float()).sum(1).numpy()

    def without(self, inputs, sense):
        present = inputs["present"].clone()
        present[:, self.senses.index(sense)] = False
        return inputs | {"present": torch.where(present.any(1, keepdim=True), present, inputs["present"])}


class Vlog(Pipeline):
    """DynMultiDep: vlogs, each standardised by itself; binary cross-entropy."""

    name, unit, shows = "dynmultidep", "vlog", "vlog"
    title, layout, senses = "DynMultiDep", "dvlog", ("audio", "visual")
    learning_rate, epochs, clip_norm, crop = 1e-3, 10, 1.0, 150

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        data, rows, files = opened(self.layout, root, people, cache)
        arrays, problems = vlog.load(files, self.layout)
        data.exclude(problems)
        sessions = rows[rows["session"].isin(arrays)].drop_duplicates("session").assign(recording=lambda t: t["session"])
        level, (kind, _, seed, _) = hurt_levels(sessions, hurt), hurt or NOTHING
        self.table = unit_table(sessions, dict.fromkeys(sessions["session"], 1))
        self.vlogs = [vlog.by_itself({part: damage.rows(a, kind, level[session], generator(seed + number, session))
                                      for number, (part, a) in enumerate(arrays[session].items())})
                      for session in sessions["session"]]

    def prepare(self, rows, people):
        return {}

    def inputs(self, rows, prepared, rng=None):
        chosen = []
        for row in rows:
            start, length = vlog.random_crop(len(self.vlogs[row]["visual"]), self.crop if rng is not None else 0, rng)
            chosen.append({part: a[start:start + length] for part, a in self.vlogs[row].items()})
        return vlog.collate(chosen)

    def build(self):
        return dynmultidep.DynMultiDep("paper", 25, 136, width=32, state_size=8, expansion=2, window=30, heads=4,
                                       feed_forward=64, gate="soft", fusion_gate="soft", mask_scan=True, dropout=0.1)

    targets, loss, score, without = Voice.targets, Voice.loss, Voice.score, Voice.without


MODELS = {p.name: p for p in (Voice, Face, Interview, Vlog)}


def opened(layout, root, people, cache):
    """(corpus, recordings of these cohort participants, mapping recording -> path); participant is the cohort's number.

    Raises ValueError when the tree counts as licensed: its people cannot be told then.
    """
    data = corpora.open(layout, Path(root) / layout, cache)
    if data.restricted:
        raise ValueError(f"{Path(root) / layout}: a cohort is simulated, but no {MARKER} vouches for this folder. Remove "
                         f"{root}; it is written anew.")
    table = cohorts.participants(root)
    known = {session: p for p, sessions in zip(table["participant"], table[f"{layout}_sessions"], strict=True)
             for session in sessions}
    rows = data.recordings().assign(participant=lambda t: t["session"].map(known))
    if people is not None:
        rows = rows[rows["participant"].isin(people)]
    files = {name: path for name, path in data.files().items() if name in set(rows["recording"])}
    return data, rows.reset_index(drop=True), files


def unit_table(rows, units):
    """One row a unit of the recordings of which there are any. units: mapping recording -> how many."""
    found = [(r.participant, r.recording, unit) for r in rows.itertuples() for unit in range(units.get(r.recording, 0))]
    return pd.DataFrame(found, columns=["participant", "recording", "unit"])


def hurt_levels(rows, hurt):
    """Level of damage of every recording. hurt: None or (kind, level, seed, participants, None for all) -> dict."""
    _, level, _, participants = hurt or NOTHING
    return {r.recording: level if participants is None or r.participant in participants else 0 for r in rows.itertuples()}


def generator(seed, name):
    """A generator that depends on the recording's name, so that damage does not depend on which others are read."""
    return np.random.default_rng([seed, zlib.crc32(str(name).encode())])


class Baseline:
    """A linear model on plain descriptions of a pipeline's units."""

    def __init__(self, kind, models):
        self.kind = BASELINES[kind]
        self.pipeline = models[self.kind.units_of]
        self.table = self.pipeline.table

    def fit(self, people, part):
        """part: train, validation or test by participant -> function: pipelines by name -> (units,) scores."""
        train = (self.table["participant"].map(part) == "train").to_numpy()
        target = self.pipeline.of(self.kind.target, people)
        model = self.kind.estimator().fit(self.kind.describe(self.pipeline)[train], target[train])
        decide = getattr(model, "decision_function", model.predict)
        return lambda models: decide(self.kind.describe(models[self.kind.units_of]))


class Kind(NamedTuple):
    title: str
    units_of: str               # pipeline
    target: str                 # column of the table of participants
    estimator: Callable         # -> scikit-learn estimator
    describe: Callable          # pipeline -> (units, features)


def logistic(first, strengths):
    """Logistic regression after a first step, its penalty chosen within the training participants."""
    return GridSearchCV(make_pipeline(first, LogisticRegression(max_iter=2000)), {"logisticregression__C": strengths},
                        scoring="neg_log_loss", cv=4)


BASELINES = {
    "egemaps": Kind("logistic regression, eGeMAPS", "cfrafn", "label",
                    lambda: logistic(StandardScaler(), np.logspace(-4, 1, 6)), lambda p: p.arrays["egemaps"]),
    "landmarks": Kind("ridge, landmark statistics", "sta_drn", "bdi2",
                      lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 12))), lambda p: p.statistics),
    "words": Kind("logistic regression, bag of words", "aafn", "label",
                  lambda: logistic(TfidfVectorizer(sublinear_tf=True, min_df=2), np.logspace(-1, 3, 5)),
                  lambda p: np.array([p.words[person] for person in p.table["participant"]], object)),
}
