"""AAFN: eight PHQ-8 items from windows of face, voice and words of an interview."""

from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from lightning_fabric.utilities import move_data_to_device
from pydantic import Field, field_validator, model_validator

from depnb.corpora import daic_woz
from depnb.corpora.corpus import PHQ8
from depnb.features import damage, interview, windowing
from depnb.files import located
from depnb.models import aafn, ordinal
from depnb.papers import limits, paper, parameters, sweep
from depnb.papers.parameters import Amount, Count, Fold, NotNegative, Positive, Share
from depnb.scores import explain, report
from depnb.scores import items as scoring
from depnb.scores.modalities import notices


class Parameters(parameters.Chapter):
    """What the chapter on AAFN may be given."""

    corpus: Literal["daic_woz"]
    windows: Literal["corrected", "as_released"]
    window_seconds: Positive
    overlap_seconds: Count
    moving_windows: bool
    frame_step: Positive
    sentence_encoder: Annotated[str, Field(min_length=1)]
    gender_balance: bool
    modalities: str
    fusion: Literal["sub_attention", "attention", "concatenation", "mean", "median",
                    "lower_median", "max", "sum", "product"]
    fuse: Literal["iaff", "aff", "daf"]
    equal_heads: bool
    conv_width: Positive
    lstm_width: Positive
    visual_layers: Positive
    audio_layers: Positive
    text_layers: Positive
    width: Positive
    planes: Positive
    base_width: Positive
    bins: Annotated[int, Field(ge=2)]
    soft_width: Amount
    dropout: Share
    modality_dropout: Share
    fold: Fold
    chain: Count
    patience: Count
    batch_size: Positive
    weight_decay: NotNegative
    schedule: Literal["cosine", "constant", "decay"]
    sharpness: NotNegative
    adaptive: bool
    sampling: Literal["uniform", "balanced"]
    trained: Literal["all", "branches"]
    reduction: Literal["batch", "released"]
    decoding: Literal["corrected", "released"]
    precision: Literal["32-true", "bf16-mixed"]

    @field_validator("modalities")
    @classmethod
    def _some_in_order(cls, modalities):
        chosen = modalities.split()
        if not chosen or [m for m in interview.MODALITIES if m in chosen] != chosen:
            raise ValueError(f"choose some of {', '.join(interview.MODALITIES)}, in this order.")
        return modalities

    @model_validator(mode="after")
    def _windows_move_on(self):
        if self.overlap_seconds >= self.window_seconds:
            raise ValueError(f"overlap_seconds {self.overlap_seconds}: expected less than "
                             f"window_seconds ({self.window_seconds}).")
        return self


SIZES = ("fuse", "conv_width", "lstm_width", "visual_layers", "audio_layers", "text_layers",
         "width", "planes", "base_width", "bins")


class Paper(paper.Paper):
    """Windows of an interview; eight PHQ-8 items as soft bins, of which the score is the sum."""

    name, shows, Parameters = "aafn", "interview", Parameters
    pieces = MappingProxyType({"text": (1, 512)})
    together, counts, tells = 64, "session", (*scoring.ITEMS, "total", "low", "high")

    @property
    def modalities(self):
        """Those that the network reads."""
        return list(self.theirs["modalities"]) if self.theirs else self.p.modalities.split()

    def split(self, corpus):
        p = self.p
        official = corpus.sessions.set_index("session")["split"]
        split = official if p.fold < 0 else corpus.split(p.fold)
        if p.protocol == "as_published":    # the authors train on both and choose on the test set
            split = split.replace("validation", "train")
        return split

    def files(self, corpus):
        return daic_woz.interviews(corpus)

    def extract(self, files, hurt=None):
        p = self.p
        arrays, problems, remarks = interview.extract(
            files, located(p.cache_dir), p.workers, p.windows, p.frame_step,
            encoder=p.sentence_encoder)
        if hurt:
            arrays = {s: damaged(a, hurt[0], hurt[1][s], s) for s, a in arrays.items()}
        return arrays, problems, remarks

    def augment(self, corpus, arrays, training):
        """More training interviews, in the other voice (gender_balance)."""
        p = self.p
        if p.gender_balance:
            if not training["gender"].isin(["female", "male"]).any():
                raise ValueError(f"parameter gender_balance: {corpus.name} tells the gender of no "
                                 "training participant, so there is nothing to balance. Correct "
                                 "the tables, or set it to False.")
            sessions = {s: files for s, files in self.files(corpus).items()
                        if s in set(training["session"])}
            arrays |= interview.other_gender(
                sessions, corpus.sessions.set_index("session")["gender"], located(p.cache_dir),
                p.seed, workers=p.workers, windows=p.windows, step=p.frame_step,
                encoder=p.sentence_encoder)
        return {}

    def units(self, arrays, rows):
        """Windows that hold a modality which the network reads."""
        p = self.p
        length, hop = windowing.in_frames(p.window_seconds, p.overlap_seconds, p.frame_step)
        windows = windowing.Windows(arrays, length, hop, p.windows)
        has = pd.DataFrame({m: [m in arrays[s] for s in windows.table["session"]]
                            for m in self.modalities})
        rows = rows.drop_duplicates("session").drop(columns=["recording", "part"], errors="ignore")
        table = windows.table.assign(
            row=range(len(windows)), unit=windows.table["window"],
            session=windows.table["session"].str.removesuffix(" shifted"))
        table = table.assign(recording=table["session"])
        table = table.join(rows.set_index("session"), on="session")
        table = table[has.any(axis=1) & table["participant"].notna()].reset_index(drop=True)
        return paper.Units(table, {"windows": windows, "arrays": arrays})

    def features(self, corpus, split=None):
        units = super().features(corpus, split)
        units.facts["known"] = known_items(corpus)
        if split is not None:               # a session may be too short for a window
            train = units.table[units.table["split"] == "train"]
            if not train[paper.ITEMS].notna().all(axis=1).any():
                raise ValueError(f"{corpus.name}: no training participant has item scores, and "
                                 "those are what is trained. Complete the tables, or choose "
                                 "another fold.")
            cut = units.table[units.table["split"] != ""].drop_duplicates("session")
            corpus.check_groups(cut.set_index("session")["split"])
        return units

    def inputs(self, units, rows, state, starts=None):
        """Windows as they lie, or where `anywhere` put them -> tensors by name."""
        places = units.table["row"].to_numpy()[rows]
        batch = units.data["windows"].batch(places, starts=starts)
        columns = [interview.MODALITIES.index(m) for m in self.modalities]
        return {m: batch[m] for m in self.modalities} | {"present": batch["present"][:, columns]}

    def anywhere(self, units, rows, rng):
        """Other first frames for windows, anywhere in their sessions -> list."""
        return units.data["windows"].anywhere(units.table["row"].to_numpy()[rows], rng)

    def target(self, units, rows, state):
        items = units.table[paper.ITEMS].fillna(0).to_numpy(float)[rows]
        return torch.tensor(items, dtype=torch.float32)

    def batches(self, units, rows, state, seed=None):
        known = units.table[paper.ITEMS].notna().all(axis=1).to_numpy()
        return Batches(self, units, np.asarray(rows)[known[rows]], state,
                       self.p.seed if seed is None else seed)

    def widths(self, units):
        return {"embedding": units.data["windows"].width}

    def sizes(self, units):
        senses = self.modalities
        sizes = {"modalities": senses,
                 "fusion": self.p.fusion if len(senses) > 1 else "concatenation",
                 **{name: getattr(self.p, name) for name in SIZES},
                 **self.widths(units)}
        return sizes | ({"head_norm": True} if self.p.equal_heads else {})

    def build(self, state):
        dropout = self.p.dropout
        network = aafn.AAFN(**state["sizes"], dropout=dropout,
                            lstm_dropout=dropout if self.p.equal_heads else None)
        for parameter in network.heads.parameters():        # the authors' script trains no head
            parameter.requires_grad_(self.p.trained == "all")
        return network

    def earlier_trainings(self):
        return self.p.chain if self.p.protocol == "as_published" else 0

    @property
    def select(self):
        return "test_error" if self.p.protocol == "as_published" else "mae"

    def loss(self, network, batch):
        inputs, target = batch
        labels = ordinal.soft_labels(target, self.p.bins, width=self.p.soft_width)
        return ordinal.kl_loss(network(**inputs), labels, self.p.reduction)

    def decode(self, logits):
        """Items, 0 to 3, from logits over bins -> (n, 8) array."""
        return ordinal.decode(logits.float(), self.p.decoding,
                              width=self.p.soft_width).cpu().numpy()

    def items(self, network, inputs, state):
        return self.decode(network(**inputs))

    def scores(self, network, inputs, state):
        return self.items(network, inputs, state).sum(1)

    def predictions(self, network, units, rows, state):
        table = units.table.iloc[rows].reset_index(drop=True)
        items = self.answers(network, units, rows, state, of=self.items)
        return scoring.window_table(table.assign(y_true=table["score"]), items,
                                    units.facts.get("known"))

    def told(self, table, guess):
        return table.assign(y_true=table["score"], y_pred=guess)

    def measures(self, predictions):
        """Mean absolute error of the PHQ-8 total, by participant."""
        people = predictions.groupby("participant", sort=False)[["y_true", "y_pred"]].mean()
        return {"mae": float((people["y_true"] - people["y_pred"]).abs().mean())}

    def validation(self, network, units, state):
        """What the clean protocol looks at and, kept apart, what the authors' program looks at."""
        windows = self.predictions(network, units, units.rows("test"), state)
        people = scoring.items_by_participant(windows)
        by_window, by_person = (scoring.decisions(t["y_true"], t["y_pred"])
                                for t in (windows, people))
        looked = {"test_accuracy": by_window["accuracy"], "test_f1": by_window["f1"],
                  "test_auc": by_person["roc_auc"],
                  "test_mae": float((people["y_true"] - people["y_pred"]).abs().mean()),
                  "test_error": 1 - by_window["accuracy"]}
        if self.p.protocol == "as_published":
            return looked
        return super().validation(network, units, state) | looked

    def judged(self, network, units, state, parts=("train", "validation", "test")):
        """Training windows too: of their people comes what a constant says."""
        parts = [part for part in parts if len(units.rows(part))]
        return super().judged(network, units, state, parts)

    def report(self, predictions, units):
        test = predictions[predictions["split"] == "test"]
        return report.items(test, self.card.unit, trained_on(predictions))

    def facts_of(self, network, units, state, predictions, history=None):
        """What a run tells beside its report -> dict, as metrics.json has it.

        choices : what each rule of choosing the epoch would have reported
        encoder : of the sentences
        train_means : of the total and of the items, over training participants
        parameters, embedding : of the network, and the width of a sentence
        robustness : error of the test participants under damage, one row a modality, kind, strength
        """
        people = trained_on(predictions)
        means = {name: float(people[name].mean())
                 for name in ("y_true", *(f"true_{item}" for item in scoring.ITEMS))}
        return {"choices": scoring.epoch_choices(history) if history is not None else {},
                "encoder": self.p.sentence_encoder, "train_means": means,
                "parameters": sum(q.numel() for q in network.parameters()),
                "embedding": units.data["windows"].width,
                "robustness": self.robustness(network, units, state, means["y_true"])}

    # Damage ----------------------------------------------------------------------------------

    def on_device(self, network, units, rows, state):
        """Windows as they lie, on the device of a network, `together` a batch -> list of batches.
        """
        device = next(network.parameters()).device
        return [move_data_to_device(self.inputs(units, rows[i:i + self.together], state), device)
                for i in range(0, len(rows), self.together)]

    def totals(self, logits):
        """Totals, 0 to 24, from logits over bins -> (n,) array."""
        return self.decode(logits).sum(1)

    def robustness(self, network, units, state, otherwise):
        """Error of the total when one modality of the test windows is damaged -> list of dicts.

        otherwise: the total that is said of a window of which nothing is left
        """
        known = units.table[paper.ITEMS].notna().all(axis=1)
        some = np.flatnonzero((units.table["split"] == "train") & known)[:self.together]
        sample = self.inputs(units, some, state)
        spreads = {sense: float(sample[sense][sample["present"][:, i]].std())
                   for i, sense in enumerate(self.modalities)}
        rows = units.rows("test")
        swept = sweep.sweep(network, self.on_device(network, units, rows, state), self.modalities,
                            self.totals, spreads, otherwise, self.p.seed)
        people = units.table.iloc[rows].assign(y_true=lambda t: t["score"])
        return [{"modality": r.modality, "kind": r.kind, "strength": r.strength,
                 **scoring.totals_by_person(people, r.y_pred)} for r in swept.itertuples()]

    def reliance(self, network, units, state):
        """Mean absolute change of the test windows' totals without a modality -> table."""
        windows = self.on_device(network, units, units.rows("test"), state)
        change = sweep.reliance(network, windows, self.modalities, self.totals)
        return pd.DataFrame({"modality": self.modalities, "change": np.nanmean(change, 0)})

    # What it looks at ------------------------------------------------------------------------

    def weights(self, network, inputs, state=None):
        """Share of the convolved description, mean over channels and features.

        -> (windows, heads, modalities), of the last weights of the fusion
        """
        with explain.record(network, "heads.*weights*") as seen:
            network(**inputs)
        return list(seen.values())[-1].mean((2, 4)).cpu().numpy()

    def weights_by_item(self, networks, units, state):
        """Mean of `weights` over the test windows: name of a network -> (modalities, items).

        Empty where a fusion has no weights of its own for every item.
        """
        if not all(weighs(network) and network.fusion == "sub_attention"
                   for network in networks.values()):
            return {}
        return {name: self.answers(network, units, units.rows("test"), state,
                                   of=self.weights).mean(0).T
                for name, network in networks.items()}

    def noticed(self, networks, corpus, units, state):
        """Do the weights tell sessions that were damaged on purpose from sound ones?

        Of sessions that no network trained on -> table of `scores.modalities.notices` with the name
        of the network; empty where a fusion has no weights, or nothing was damaged on purpose.
        """
        if not corpus.truth or not all(map(weighs, networks.values())):
            return pd.DataFrame()
        unseen = np.flatnonzero(units.table["split"].isin(["validation", "test"]))
        sessions, tables = units.table["session"].iloc[unseen], []
        for name, network in networks.items():
            weights = self.answers(network, units, unseen, state, of=self.weights).mean(1)
            by_session = pd.DataFrame(weights, sessions, self.modalities).groupby(level=0).mean()
            worse = damaged_on_purpose(corpus).reindex(by_session.index)
            tables.append(notices(by_session.to_numpy(), worse.tolist(),
                                  self.modalities).assign(network=name))
        return pd.concat(tables)[["network", "modality", "degraded sessions", "auc", "p"]]

    def sentence_changes(self, network, inputs, state=None):
        """Absolute change of the total without each sentence -> (windows, 10).

        Only the text branch runs again.
        """
        complete = network.features(**{sense: inputs[sense] for sense in self.modalities})
        text = self.modalities.index("text")

        def total(sentences):
            features = complete.clone()
            features[:, text] = network.features(text=sentences)[:, text]
            return self.totals(network.fuse(features, inputs["present"]))

        return explain.without_each(total, inputs["text"])

    def concentrations(self, networks, corpus, units, state):
        """How far `sentence_changes` of test windows fall on sentences with planted words.

        1 is chance -> table network, sentences, planted, concentration; empty where nothing was
        planted or no sentence is read.
        """
        if not corpus.truth or "text" not in self.modalities or self.p.windows != "corrected":
            return pd.DataFrame()
        test, rows = units.rows("test"), []
        planted = [self.marked(corpus, units, row) for row in test]
        for name, network in networks.items():
            change = self.answers(network, units, test, state, of=self.sentence_changes)
            change = [c[:len(marks)] for c, marks in zip(change, planted, strict=True)]
            rows.append({"network": name, "sentences": sum(map(len, planted)),
                         "planted": int(sum(map(sum, planted))), "concentration":
                         explain.concentration(np.concatenate(change), np.concatenate(planted))})
        return pd.DataFrame(rows)

    # Evidence --------------------------------------------------------------------------------

    def without(self, inputs, modality):
        """The only modality of a window is never taken."""
        present = inputs["present"].clone()
        present[:, self.modalities.index(modality)] = False
        present = torch.where(present.any(1, keepdim=True), present, inputs["present"])
        return inputs | {"present": present}

    def planted(self, corpus, units, rows):
        """Sentences of a window that carry planted words."""
        marks = [self.marked(corpus, units, row) for row in rows]
        return [{"text": np.pad(m, (0, windowing.SENTENCES - len(m)))} for m in marks]

    def marked(self, corpus, units, row):
        """The same for the sentences that there are in a window -> (n,) bool."""
        window = units.table.iloc[row]
        turns = pd.DataFrame(corpus.truth["sessions"][window["session"]]["turns"])
        span = units.data["windows"].sessions[window["session"]].get("span", np.empty((0, 2)))
        first = windowing.nearest_sentences(span, [window["centre"]])[0] if len(span) else 0
        begins = span[first:first + windowing.SENTENCES, 0]
        return np.array([turns.loc[(turns["start"] - begin).abs().idxmin(), "carries"]
                         for begin in begins], bool)

    def answer(self, network, **inputs):
        """Expected sum of the items."""
        probabilities = network(**inputs).softmax(-1)                       # (B, 8, bins)
        return (probabilities * torch.linspace(0, 3, probabilities.shape[-1])).sum((1, 2))

    def recordings_in(self, source):
        """Sessions laid out like DAIC-WOZ, listed in a table or not."""
        return daic_woz.unlisted(source)

    def expects(self):
        return "session (folder 300_P with a transcript)"

    def once(self, predictions):
        return scoring.items_by_participant(predictions)

    def described(self, units, rows):
        """Mean and deviation of each track of face and voice over a session; words have none."""
        table = units.table.iloc[rows].drop_duplicates("session")
        groups = {}
        for sense, axis in sweep.TIME_AXIS.items():
            arrays = [units.data["arrays"][session].get(sense) for session in table["session"]]
            tracks = [a if a is None else np.moveaxis(a, axis - 1, 0).reshape(a.shape[axis - 1], -1)
                      for a in arrays]
            width = next((t.shape[1] for t in tracks if t is not None), 0)
            if sense in self.modalities and sense != "text" and width:
                groups[sense] = np.stack([np.full(2 * width, np.nan) if t is None else np.r_[
                    t.mean(0), np.log(t.std(0) + 1e-6)] for t in tracks])
        seen = [units.data["arrays"][session].get("found", np.nan) for session in table["session"]]
        return limits.Described(table["session"].to_numpy(), table["participant"].to_numpy(),
                                groups, {}, {"face seen": np.array(seen, float)})

    def answered(self, network, units, state, run=None):
        every, arrays = units.data["windows"].table["session"].unique(), units.data["arrays"]
        lacking = [s for s in every if s not in set(units.table["session"])]
        sentence = f"lacks {', '.join(self.modalities)}, which the model reads."
        rows = []
        for session, table in units.table.groupby("session"):
            windows = table.index.to_numpy()
            items = self.answers(network, units, windows, state, of=self.items).mean(0)
            total = float(items.sum())
            row = {"session": session, **dict(zip(scoring.ITEMS, items.tolist(), strict=True)),
                   "total": total} | self.low_and_high(total, PHQ8, run)
            missing = [m for m in self.modalities if m not in arrays[session]]
            rows.append(row | {"windows": len(table), "without": ", ".join(missing)})
        return rows, dict.fromkeys(lacking, sentence)


class Batches(paper.Batches):
    """Training windows, drawn anew every epoch; some lose a modality on purpose."""

    def __init__(self, of, units, rows, state, seed):
        self.of, self.units, self.rows, self.seed = of, units, rows, seed
        self.targets = of.target(units, np.arange(len(units)), state)

    def __len__(self):
        # two windows at least in each: batch normalisation cannot train on one
        return max(1, min(-(-len(self.rows) // self.of.p.batch_size), len(self.rows) // 2))

    def plan(self, epoch):
        p, rng, planned = self.of.p, np.random.default_rng([self.seed, epoch]), []
        order = rng.permutation(self.rows)
        if p.sampling == "balanced":
            totals = self.units.table["score"].to_numpy()[self.rows]
            weights = ordinal.sampler_weights(totals).numpy()
            order = rng.choice(self.rows, len(self.rows), p=weights / weights.sum())
        for part in np.array_split(order, len(self)):
            starts = self.of.anywhere(self.units, part, rng) if p.moving_windows else None
            lost = rng.random(len(part)) < p.modality_dropout
            which = rng.integers(0, len(self.of.modalities), lost.sum())
            planned.append((part, starts, lost, which))
        return planned

    def __getitem__(self, planned):
        part, starts, lost, which = planned
        inputs = self.of.inputs(self.units, part, None, starts)
        present = inputs["present"].clone()
        present[lost, which] = False
        some = present.any(1, keepdim=True)             # the only modality of a window stays
        inputs["present"] = torch.where(some, present, inputs["present"])
        return inputs, self.targets[part]


def known_items(corpus):
    """Items of every session of a simulation; its test table, as the real one, has totals."""
    if not corpus.truth:
        return None
    return pd.DataFrame({session: {item: truth[item] for item in daic_woz.ITEMS}
                         for session, truth in corpus.truth["sessions"].items()}).T


def trained_on(predictions):
    """Training participants of a table of predictions, a row each."""
    return scoring.items_by_participant(predictions[predictions["split"] == "train"])


def weighs(network):
    """Whether the fusion of a network has weights."""
    attention = network.heads.attention
    return attention is not None and attention.fusion.fuse != "daf"


def inside_a_head(network, features, head=0):
    """What one head of iAFF fuses of the first window, in the channel whose weights differ most.

    Parameters
    ----------
    features : (B, M, D)

    Returns
    -------
    dict x, y, b, v, L, G, a, z -> (M, D) array: descriptions, their convolved form, the first
    weights, what they make of both, local and global map of that, the weights, what is made with
    them
    """
    with explain.record(network, "heads.attention.*") as seen, torch.inference_mode():
        network.fuse(features)
    block, heads = "heads.attention.fusion", network.heads.attention.heads
    y, local, everywhere = (seen[name][0].unflatten(0, (heads, -1))[head] for name in (
        "heads.attention.bn3", f"{block}.local2", f"{block}.global1"))  # (C, M, D), G (C, 1, 1)
    tensors = {"y": y, "z": seen[block][0, head], "L": local, "G": everywhere.expand_as(y),
               "b": seen[f"{block}.weights1"][0, head], "a": seen[f"{block}.weights2"][0, head]}
    tensors["v"] = torch.lerp(features[0].expand_as(y), y, tensors["b"])
    channel = tensors["a"].flatten(1).std(1).argmax()
    tensors = {"x": features[0]} | {name: tensor[channel] for name, tensor in tensors.items()}
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def damaged_on_purpose(corpus):
    """The modality that the simulation damaged in each session, None for none -> Series."""
    sessions = (corpus.truth or {"sessions": {}})["sessions"]
    return pd.Series({name: truth["degraded"] and truth["degraded"]["modality"]
                      for name, truth in sessions.items()}, dtype=object)


def damaged(arrays, what, level, session):
    """One interview made worse: face and voice by row, words by sentence where these are hurt."""
    if not level:
        return arrays
    worse = dict(arrays)
    for number, (sense, axis) in enumerate((("visual", 0), ("audio", 1), ("text", 0))):
        if sense in arrays and (sense != "text" or what.kind in ("lost", "short", "noise")):
            rng = paper.generator(what.seed + number, session)
            worse[sense] = damage.rows(arrays[sense], what.kind, level, rng, axis)
    if what.kind == "short":
        frames = worse["visual"].shape[0] if "visual" in worse else worse["audio"].shape[1]
        worse["frames"] = np.int64(frames)
        if "span" in worse:
            worse["span"] = worse["span"][:len(worse["text"])]
    return worse
