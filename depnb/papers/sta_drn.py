"""STA-DRN: BDI-II from clips of aligned faces."""

import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field

with warnings.catch_warnings():         # captum asks for tqdm's notebook bars, which warn where ipywidgets is missing
    warnings.simplefilter("ignore")
from depnb.corpora.corpus import BDI2
from depnb.features import clips, damage, face, store
from depnb.models import sta_drn
from depnb.papers import paper, parameters
from depnb.papers.parameters import Fold, NotNegative, Positive
from depnb.scores import explain


class Parameters(parameters.Chapter):
    """What the chapter on STA-DRN may be given."""

    corpus: Literal["avec2014", "avec2013", "frame_folder"]
    frame_step: Positive
    crop: Literal["aligned", "box"]
    clip_stride: Positive
    clip_frames: Positive
    image_size: Positive
    normalise: Literal["clip", "imagenet"]
    colour_jitter: NotNegative
    variant: Literal["temporal", "spatial", "sum", "attention_fusion"]
    k: Positive
    units: Annotated[list[Positive], Field(min_length=4, max_length=4)]
    features: Positive
    stem_features: Positive
    fold: Fold
    target: Literal["standardised", "share"]
    batch_size: Positive
    accumulate: Positive
    schedule: Literal["cosine", "restarts", "constant"]
    label_noise: NotNegative
    validate_every: Positive
    compile: bool
    explain_videos: Positive


@dataclass(frozen=True)
class LabelScale:
    """Scores to network targets and back: target = (score - shift) / unit; decoded scores stay in [low, high]."""

    shift: float
    unit: float
    low: float
    high: float

    @classmethod
    def standardised(cls, train_scores, scale):
        """Targets with mean 0 and standard deviation 1 on the training set: an output of 0 is the mean predictor."""
        return cls(float(np.mean(train_scores)), float(np.std(train_scores)) or 1.0, scale.low, scale.high)

    @classmethod
    def share(cls, scale):
        """Targets as shares of the scale, decoded as the STA-DRN authors do: 63 max(0, output), no upper bound."""
        return cls(0.0, float(scale.high), scale.low, float("inf"))

    def encode(self, scores):
        return (np.asarray(scores, float) - self.shift) / self.unit

    def decode(self, outputs):
        return np.clip(self.shift + self.unit * np.asarray(outputs, float), self.low, self.high)


def outputs_of_clips(model, recordings, batch_size, device="cpu"):
    """The network's output for every clip of every recording -> list of (clips,) arrays.

    recordings: iterable of (clips, C, T, H, W) tensors; clips of several recordings share a forward pass.
    """
    found, waiting, lengths = [], [], []
    model.eval()

    def flush(count):
        batch, rest = torch.cat(waiting).split([count, sum(map(len, waiting)) - count])
        waiting[:] = [rest] if len(rest) else []
        found.append(model(batch.to(device)).float().cpu()[:, 0])

    with torch.inference_mode():
        for clips in recordings:
            lengths.append(len(clips))
            waiting.append(clips)
            while sum(map(len, waiting)) >= batch_size:
                flush(batch_size)
        if waiting:
            flush(sum(map(len, waiting)))
    return [part.numpy() for part in torch.cat(found).split(lengths)]


def read_epoch_logs(folder):
    """Logs published by others: CSV files of epoch, MAE, RMSE, with or without a header -> dict name -> table."""
    logs = {}
    for file in sorted(folder.glob("*.csv")):
        log = pd.read_csv(file, names=["epoch", "mae", "rmse"])
        log = log.apply(pd.to_numeric, errors="coerce").dropna()        # drops the header line
        logs[file.stem.removeprefix("training_log_")] = log.set_index("epoch")
    if not logs:
        raise FileNotFoundError(f"{folder}: no CSV file. Expected logs of epoch, MAE and RMSE; restore them from git.")
    return logs


def unit_attention(model, clips, unit, k, group=None):
    """Attention of one unit of STA-DRN, averaged over channels, temporal times spatial -> (N, T, H, W).

    unit: name such as "layer_1.0"; group: 0..k-1, or None for the mean over the groups (a constant, by construction).
    """
    with explain.record(model, f"{unit}.conv2.*share") as maps, torch.inference_mode():
        model(clips)
    product = 1.0
    for weights in maps.values():
        by_group = weights.unflatten(1, (k, -1)).mean(2)                    # (N, k, T, 1, 1) or (N, k, 1, H, W)
        product = product * (by_group.mean(1, keepdim=True) if group is None else by_group[:, group:group + 1])
    return F.interpolate(product, clips.shape[2:], mode="nearest")[:, 0]


def region(landmarks, indices, size, radius=0.06):
    """Pixels near any of the given landmarks. landmarks (T, 68, 2) in the unit square -> (T, size, size) bool."""
    centres = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    points = landmarks[:, indices]                                          # (T, P, 2)
    distance = np.hypot(x - points[:, :, 0, None, None], y - points[:, :, 1, None, None])
    return distance.min(1) < radius


class Paper(paper.Paper):
    """STA-DRN: clips of aligned face crops; BDI-II, standardised on the training participants; smooth L1."""

    name, shows = "sta_drn", "face"
    pieces = MappingProxyType({"clips": (3, 4, 12, 12)})         # occluded at once, without the batch
    optimiser = "adamw"

    def __init__(self, root, cache, people=None, workers=1, hurt=None):
        super().__init__()
        data, rows, files = paper.opened(self.layout, root, people, cache)
        tracks, problems = store.extract(files, face.track, cache, workers=workers, frame_step=self.p.frame_step)
        each = {name: {"alignment": track["alignment"]} for name, track in tracks.items()}
        crops, more = store.extract({name: files[name] for name in tracks}, face.crop, cache, workers=workers, each=each,
                                    frame_step=self.p.frame_step, size=self.p.image_size)
        data.exclude(problems | more)
        self.table, self.tracks = paper.unit_table(rows, dict.fromkeys(crops, 1)), tracks
        level, (kind, _, seed, _) = paper.hurt_levels(rows, hurt), hurt or paper.NOTHING
        self.crops = [damage.pictures(np.asarray(crops[r]["crops"]), kind, level[r], paper.generator(seed, r))
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
            kept = frames[int(rng.integers(self.p.clip_stride))::self.p.clip_stride]
            clip = kept[sta_drn.training_clip(len(kept), self.p.clip_frames, rng)]
            chosen.append(clip[:, :, ::-1] if rng.random() < 0.5 else clip)
        return {"clips": clips.to_input(np.stack(chosen), self.p.normalise)}

    def shown(self, row):
        """Which of a unit's crops its evaluation clip holds -> (frames,) int."""
        kept = np.arange(len(self.crops[row]))[::self.p.clip_stride]
        return kept[sta_drn.evaluation_clips(len(kept), self.p.clip_frames)[0]]

    def build(self):
        p = self.p
        network = sta_drn.STADRN(p.variant, p.k, p.units, p.features, p.stem_features)
        network = network.to(memory_format=torch.channels_last_3d)
        with torch.no_grad():
            network.fc.bias.zero_()
            network.fc.weight.mul_(0.1)
        return network

    def targets(self, people, prepared):
        mean, sd = prepared
        return torch.tensor((self.of("bdi2", people) - mean) / sd, dtype=torch.float32)

    def loss(self, network, inputs, target):
        return F.smooth_l1_loss(network(inputs["clips"])[:, 0], target)

    def score(self, network, inputs, prepared):
        return network(inputs["clips"])[:, 0].float().numpy()

    def error(self, scores, rows, people, prepared):
        """Mean absolute error in points of the BDI-II."""
        mean, sd = prepared
        guess = paper.by_participant(self.table.iloc[rows], np.clip(mean + sd * scores, BDI2.low, BDI2.high))
        return float((guess - people["bdi2"].reindex(guess.index)).abs().mean())

    def planted(self, data, rows):
        """Pixels near the landmarks of a cue, in the frames in which it is shown."""
        found = []
        for row in rows:
            recording, shown = self.table["recording"][row], self.shown(row)
            track = self.tracks[recording]
            landmarks = face.to_crop(track["landmarks"], track["alignment"])[shown]
            events = data.cue_frames(recording, track["frame"][shown])
            found.append({"clips": np.any([region(landmarks, data.truth["cue_regions"][cue], self.p.image_size)
                                           & on[:, None, None] for cue, on in events.items() if cue != "head"], axis=0)})
        return found

    def answer(self, network, **inputs):
        return network(inputs["clips"])[:, 0]
