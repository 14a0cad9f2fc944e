"""AAFN: eight PHQ-8 items from windows of face, voice and words of an interview."""

from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, field_validator, model_validator

from depnb.corpora import daic_woz
from depnb.features import damage, interview, text, windowing
from depnb.models import aafn, ordinal
from depnb.papers import paper, parameters
from depnb.papers.parameters import Amount, Count, Fold, NotNegative, Positive, Share


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
    fusion: Literal["sub_attention", "attention", "concatenation", "mean", "median", "lower_median", "max", "sum",
                    "product"]
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
            raise ValueError(f"overlap_seconds {self.overlap_seconds}: expected less than window_seconds "
                             f"({self.window_seconds}).")
        return self


class Paper(paper.Paper):
    """AAFN: windows of face, voice and words of an interview; eight PHQ-8 items as soft bins; the score is their sum."""

    name, shows = "aafn", "interview"
    pieces = MappingProxyType({"text": (1, 512)})                # occluded at once, without the batch

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        super().__init__()
        data, rows, _ = paper.opened(self.layout, root, people, cache)
        sessions = {s: given for s, given in daic_woz.interviews(data).items() if s in set(rows["session"])}
        arrays, problems, _ = interview.extract(sessions, cache, workers, self.p.windows, self.p.frame_step)
        data.exclude(problems)
        level, (kind, _, seed, _) = paper.hurt_levels(rows.assign(recording=rows["session"]), hurt), hurt or paper.NOTHING
        arrays = {s: self.hurt(a, kind, level[s], seed, s) for s, a in arrays.items()}
        length, hop = windowing.in_frames(self.p.window_seconds, self.p.overlap_seconds, self.p.frame_step)
        self.windows = windowing.Windows(arrays, length, hop)
        people_of = rows.drop_duplicates("session").set_index("session")["participant"]
        cut = self.windows.table
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
                worse[sense] = damage.rows(arrays[sense], kind, level, paper.generator(seed + number, session), axis)
        if kind == "short":
            worse["frames"] = np.int64(worse["visual"].shape[0] if "visual" in worse else worse["audio"].shape[1])
            if "span" in worse:
                worse["span"] = worse["span"][:len(worse["text"])]
        return worse

    def prepare(self, rows, people):
        return {}

    def inputs(self, rows, prepared, rng=None):
        batch = self.windows.batch(rows, rng)
        if rng is not None:             # some training windows lose a sense on purpose, as in the chapter
            kept, lost = batch["present"].clone(), rng.random(len(rows)) < self.p.modality_dropout
            kept[lost, rng.integers(0, 3, lost.sum())] = False
            batch["present"] = torch.where(kept.any(1, keepdim=True), kept, batch["present"])
        return batch

    def build(self):
        names = ("fusion", "fuse", "conv_width", "lstm_width", "visual_layers", "audio_layers", "text_layers", "width",
                 "planes", "base_width", "bins", "dropout")
        return aafn.AAFN(**{name: getattr(self.p, name) for name in names}, embedding=self.windows.width, head_norm=True,
                         lstm_dropout=self.p.dropout)

    def targets(self, people, prepared):
        return torch.tensor(np.stack([self.of(item, people) for item in paper.ITEMS], 1), dtype=torch.float32)

    def loss(self, network, inputs, target):
        return ordinal.kl_loss(network(**inputs), ordinal.soft_labels(target, self.p.bins, width=self.p.soft_width),
                               self.p.reduction)

    def score(self, network, inputs, prepared):
        return ordinal.decode(network(**inputs).float(), self.p.decoding, width=self.p.soft_width).sum(1).numpy()

    def error(self, scores, rows, people, prepared):
        """Mean absolute error of the PHQ-8 total."""
        guess = paper.by_participant(self.table.iloc[rows], scores)
        return float((guess - people[paper.ITEMS].sum(axis=1).reindex(guess.index)).abs().mean())

    def without(self, inputs, sense):
        present = inputs["present"].clone()
        present[:, self.senses.index(sense)] = False
        return inputs | {"present": torch.where(present.any(1, keepdim=True), present, inputs["present"])}

    def planted(self, data, rows):
        """Sentences of a window that carry planted words."""
        found = []
        for row in rows:
            session, centre = self.windows.table["session"][row], self.windows.table["centre"][row]
            turns = pd.DataFrame(data.truth["sessions"][session]["turns"])
            span = self.windows.sessions[session].get("span", np.empty((0, 2)))
            first = windowing.nearest_sentences(span, [centre])[0] if len(span) else 0
            marks = [bool(turns.loc[(turns["start"] - begin).abs().idxmin(), "carries"])
                     for begin in span[first:first + windowing.SENTENCES, 0]]
            found.append({"text": np.array(marks + [False] * (windowing.SENTENCES - len(marks)), bool)})
        return found

    def answer(self, network, **inputs):
        """Expected sum of the items, differentiable -> (B,)."""
        probabilities = network(**inputs).softmax(-1)                       # (B, 8, bins)
        return (probabilities * torch.linspace(0, 3, probabilities.shape[-1])).sum((1, 2))
