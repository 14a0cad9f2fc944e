"""STA-DRN: BDI-II from clips of aligned faces."""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field

from depnb.corpora.corpus import BDI2
from depnb.corpora.readers import VIDEOS
from depnb.features import clips, damage, face, store
from depnb.files import located
from depnb.models import linear, sta_drn
from depnb.papers import limits, paper, parameters
from depnb.papers.parameters import Fold, NotNegative, Positive
from depnb.scores import explain, report
from depnb.scores.metrics import regression


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
    """Scores to network targets and back: target = (score - shift) / unit.

    Decoded scores stay in [low, high].
    """

    shift: float
    unit: float
    low: float
    high: float

    @classmethod
    def standardised(cls, train_scores, scale):
        """Targets with mean 0 and deviation 1 in training: an output of 0 is the mean predictor."""
        spread = float(np.std(train_scores)) or 1.0
        return cls(float(np.mean(train_scores)), spread, scale.low, scale.high)

    @classmethod
    def share(cls, scale):
        """Shares of the scale, decoded as the authors do: 63 max(0, output), no upper bound."""
        return cls(0.0, float(scale.high), scale.low, float("inf"))

    def encode(self, scores):
        return (np.asarray(scores, float) - self.shift) / self.unit

    def decode(self, outputs):
        return np.clip(self.shift + self.unit * np.asarray(outputs, float), self.low, self.high)


def outputs_of_clips(model, recordings, batch_size, device="cpu"):
    """The network's output for every clip of every recording -> list of (clips,) arrays.

    recordings: iterable of (clips, C, T, H, W) tensors; clips of several share a forward pass.
    """
    outputs, waiting, lengths = [], [], []
    model.eval()

    def flush(count):
        batch, rest = torch.cat(waiting).split([count, sum(map(len, waiting)) - count])
        waiting[:] = [rest] if len(rest) else []
        outputs.append(model(batch.to(device)).float().cpu()[:, 0])

    with torch.inference_mode():
        for clips in recordings:
            lengths.append(len(clips))
            waiting.append(clips)
            while sum(map(len, waiting)) >= batch_size:
                flush(batch_size)
        if waiting:
            flush(sum(map(len, waiting)))
    return [part.numpy() for part in torch.cat(outputs).split(lengths)]


def parameters_of(**sizes):
    """Number of parameters of a network of these sizes; its weights take no memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in sta_drn.STADRN(**sizes).parameters())


def steps(module, x):
    """What flows through an attention module, step by step -> symbol: tensor, in order.

    x : (N, C, T, H, W)
        With both branches the last step before `out` are the two that are recombined.
    """
    of = {"x": x}
    for kind in ("temporal", "spatial"):
        if hasattr(module, kind):
            branch, letter = getattr(module, kind), kind[0]
            of[f"z_{letter}"] = branch.features(x)                          # (N, C, T, H, W)
            # (N, C, T, 1, 1) or (N, C, 1, H, W)
            of[f"A_{letter}"] = branch.attention(of[f"z_{letter}"])
    if module.variant == "attention_fusion":
        of |= {"z_s + z_t": of["z_s"] + of["z_t"], "A_t A_s": of["A_t"] * of["A_s"]}
    elif module.variant == "sum":
        of |= {"z_t A_t": of["z_t"] * of["A_t"], "z_s A_s": of["z_s"] * of["A_s"]}
    return of | {"out": module(x)}


def flow(network, clips):
    """From clips through the stem and the attention module of the first unit -> as `steps`.

    network : STADRN in eval mode; clips : (N, 3, T, H, W)
    """
    unit = network.layer_1[0]
    with torch.inference_mode():
        stem = network.pool(F.relu(network.bn1(network.conv_1(clips))))
        return {"clip": clips} | steps(unit.conv2, F.relu(unit.bn1(unit.conv1(stem))))


def shapes(network, clips):
    """What each stage of a network makes of clips -> table of a row a stage."""
    with explain.record(network, "pool", "layer_?") as outputs, torch.inference_mode():
        network(clips)
    stages = {"clip": clips, "stem": outputs["pool"]}
    stages |= {f"stage {name[-1]}": x for name, x in outputs.items() if name != "pool"}
    return pd.DataFrame({"channels, frames, height, width": {
        name: str(tuple(x.shape[1:])) for name, x in stages.items()}})


def unit_attention(model, clips, unit, k, group=None):
    """Attention of one unit, averaged over channels, temporal times spatial -> (N, T, H, W).

    unit: name such as "layer_1.0"; group: 0..k-1, or None for the mean over the groups (a constant,
    by construction).
    """
    with explain.record(model, f"{unit}.conv2.*share") as maps, torch.inference_mode():
        model(clips)
    product = 1.0
    for weights in maps.values():
        by_group = weights.unflatten(1, (k, -1)).mean(2)    # (N, k, T, 1, 1) or (N, k, 1, H, W)
        one = by_group.mean(1, keepdim=True) if group is None else by_group[:, group:group + 1]
        product = product * one
    return F.interpolate(product, clips.shape[2:], mode="nearest")[:, 0]


def region(landmarks, indices, size, radius=0.06):
    """Pixels near any of some landmarks -> (T, size, size) bool.

    landmarks: (T, 68, 2) in the unit square; indices: which of the 68
    """
    centres = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    points = landmarks[:, indices]                                          # (T, P, 2)
    distance = np.hypot(x - points[:, :, 0, None, None], y - points[:, :, 1, None, None])
    return distance.min(1) < radius


PARTS, PAIRS = 4, 16        # of the side of a picture; of pictures that are compared


def in_numbers(crops, normalise):
    """What `PAIRS` pairs of successive pictures of a video look like, PARTS x PARTS places apart.

    crops (n, size, size, 3) uint8 -> (51,) numbers: light, contrast and change (logarithms) of each
    place, and the mean of each colour; how much changes from one picture to the next, in 8 bits.
    """
    first = np.unique(np.linspace(0, max(len(crops) - 2, 0), PAIRS).astype(int))
    pairs = np.stack([crops[first], crops[np.minimum(first + 1, len(crops) - 1)]], 1)
    movement = np.abs(pairs[:, 1].astype(float) - pairs[:, 0]).mean()
    x = clips.to_input(pairs.reshape(1, -1, *pairs.shape[2:]), normalise)[0]    # (3, 2n, H, W)
    size = x.shape[-1] // PARTS * PARTS
    places = x.mean(0)[:, :size, :size].unflatten(1, (PARTS, -1)).unflatten(3, (PARTS, -1))
    change = (places[1::2] - places[::2]).abs().mean((0, 2, 4))
    contrast = places.std((2, 4), correction=0).mean(0)
    numbers = torch.cat([places.mean((0, 2, 4)).flatten(), (contrast + 1e-3).log().flatten(),
                         (change + 1e-3).log().flatten(), x.mean((1, 2, 3))])
    return numbers.numpy(), movement


SIZES = ("variant", "k", "units", "features", "stem_features")
CHUNKS = {"validation": 5, "test": 10}      # clips that the authors' scripts average at a time


class Paper(paper.Paper):
    """Clips of face crops; a unit is a video, of which a network sees some seconds at once."""

    name, shows, Parameters = "sta_drn", "face", Parameters
    pieces = MappingProxyType({"clips": (3, 4, 12, 12)})
    optimiser, stated = "adamw", "model"     # without decay AdamW is Adam
    files_end_in, tells = VIDEOS, ("BDI-II", "low", "high")

    def features(self, corpus, split=None):
        self.aligned = corpus.aligned
        return super().features(corpus, split)

    aligned = False                     # a folder of crops: nothing to find, only to resize

    def extract(self, files, hurt=None):
        p, cache = self.p, located(self.p.cache_dir)
        if self.aligned:
            crops, problems = store.extract(files, face.resize, cache, workers=p.workers,
                                            frame_step=p.frame_step, size=p.image_size)
            tracks = {}
        else:
            crops, tracks, problems = face.extract(files, cache, p.workers, p.frame_step,
                                                   p.image_size, p.crop)
        remarks = face.remarks(crops, tracks, (p.clip_frames - 1) * p.clip_stride + 1)
        arrays = {name: {"crops": a["crops"], "track": tracks.get(name)}
                  for name, a in crops.items()}
        if hurt:
            what, level = hurt
            for name, a in arrays.items():
                a["crops"] = damage.pictures(np.asarray(a["crops"]), what.kind, level[name],
                                             paper.generator(what.seed, name))
        return arrays, problems, remarks

    def recorded(self, corpus, units, row, frames):
        """Frames of a video as recorded, and where landmarks lie -> list, (n, 68, 2) or None.

        frames : slice of those that are used
        """
        recording = units.table["recording"].iloc[row]
        session, part = recording.split("/")
        used = [*islice(corpus[session].frames(part, self.p.frame_step), frames.start, frames.stop,
                        frames.step)]
        track = units.data["tracks"].get(recording)
        return used, None if track is None else track["landmarks"][frames]

    def units(self, arrays, rows):
        table = paper.unit_table(rows, dict.fromkeys(arrays, 1))
        names = list(table["recording"])
        tracks = {name: arrays[name]["track"] for name in names if arrays[name]["track"]}
        measured = [face.expression_statistics(*(tracks[name][key] for key in (
            "landmarks", "gaze", "head_pose"))) for name in names if tracks]
        return paper.Units(table, {"crops": [arrays[name]["crops"] for name in names],
                                   "tracks": tracks,
                                   "statistics": np.stack(measured) if measured else None})

    def prepare(self, units, rows=()):
        scale = LabelScale.share(BDI2)
        if self.p.target == "standardised":
            scale = LabelScale.standardised(units.table["score"].iloc[rows], BDI2)
        return super().prepare(units, rows) | {"shift": scale.shift, "unit": scale.unit}

    def scale(self, state):
        """Scores of the questionnaire to targets and back."""
        high = np.inf if self.p.target == "share" else BDI2.high
        return LabelScale(state["shift"], state["unit"], BDI2.low, high)

    def target(self, units, rows, state):
        scores = self.scale(state).encode(units.table["score"].to_numpy()[rows])
        return torch.as_tensor(scores, dtype=torch.float32)

    def batches(self, units, rows, state, seed=None):
        """One random clip of every video an epoch."""
        p = self.p

        def choose(frames, rng):
            """The frames of one training clip."""
            return sta_drn.training_clip(frames, p.clip_frames, rng,
                                         last_start=p.protocol == "clean")

        scale = self.scale(state)
        batches = clips.ClipBatches(
            [units.data["crops"][row] for row in rows],
            scale.encode(units.table["score"].to_numpy()[rows]), choose, p.batch_size,
            p.seed if seed is None else seed, p.clip_stride, p.colour_jitter,
            normalise=p.normalise, noise=p.label_noise / scale.unit)
        return paper.Ready(batches, lambda batch: ({"clips": batch[0]}, batch[1]))

    def clips_of(self, frames):
        """Frames of every evaluation clip, of so many crops -> (clips, clip_frames) int."""
        strided = np.arange(frames)[::self.p.clip_stride]
        return strided[np.array(sta_drn.evaluation_clips(len(strided), self.p.clip_frames))]

    def first_clip(self, units, row):
        """Frames of the first clip of a video, which evidence and explanations look at."""
        return self.clips_of(len(units.data["crops"][row]))[0]

    def inputs(self, units, rows, state):
        first = np.stack([units.data["crops"][row][self.first_clip(units, row)] for row in rows])
        return {"clips": clips.to_input(first, self.p.normalise)}

    def sizes(self, units):
        return {name: getattr(self.p, name) for name in SIZES}

    def build(self, state):
        network = sta_drn.STADRN(**state["sizes"]).to(memory_format=torch.channels_last_3d)
        if self.p.target == "standardised":         # begins near the mean predictor
            with torch.no_grad():
                network.fc.bias.zero_()
                network.fc.weight.mul_(0.1)
        return network

    def loss(self, network, batch):
        inputs, target = batch
        outputs = network(inputs["clips"])[:, 0]
        if self.p.target == "share":
            return sta_drn.released_loss(outputs, target)
        return F.smooth_l1_loss(outputs, target)

    def scores(self, network, inputs, state):
        return network(inputs["clips"])[:, 0].float().cpu().numpy()

    def decoded(self, scores, state):
        return self.scale(state).decode(scores)

    def scores_of_videos(self, network, units, rows, state, chunk=None):
        """Mean score of all clips of every video -> list of scores, list of numbers of clips.

        chunk: clips that are averaged at a time, as the authors' scripts do.
        """
        p, device = self.p, next(network.parameters()).device
        outputs = outputs_of_clips(network, (clips.to_input(
            np.stack([frames[clip] for clip in self.clips_of(len(frames))]), p.normalise)
            for frames in (units.data["crops"][row] for row in rows)), p.batch_size, device)
        scale = self.scale(state)
        return ([sta_drn.score_of_video(scale.decode(of_clips), chunk) for of_clips in outputs],
                list(map(len, outputs)))

    def predictions(self, network, units, rows, state):
        table = units.table.iloc[rows].reset_index(drop=True)
        published = self.p.protocol == "as_published" and len(table)
        chunk = CHUNKS.get(table["split"].iloc[0]) if published else None
        return self.told(table, self.scores_of_videos(network, units, rows, state, chunk)[0])

    def told(self, table, guess):
        known = table.rename(columns={"score": "y_true"}).assign(y_pred=guess)
        names = ("participant", "session", "part", "split", "y_true", "y_pred")
        return known[[name for name in names if name in known]]

    def measures(self, predictions):
        if self.p.protocol == "clean":
            predictions = report.scores_by_participant(predictions)
        return regression(predictions["y_true"], predictions["y_pred"])

    def train_mean(self, units):
        """Mean score of the training sessions: what the mean predictor says."""
        train = units.table[units.table["split"] == "train"]
        return train.drop_duplicates("session")["score"].mean()

    def constant_error(self, units, part="validation"):
        """MAE of the mean predictor by participant of a part."""
        table = units.table.iloc[units.rows(part)]
        people = report.scores_by_participant(self.told(table, self.train_mean(units)))
        return regression(people["y_true"], people["y_pred"])["mae"]

    def report(self, predictions, units):
        tested = predictions[predictions["split"] == "test"]
        return report.severity(tested, self.card.unit, self.train_mean(units))

    def ridge(self, units):
        """Report of a ridge regression on landmark statistics; None without landmarks.

        It learns from training and validation participants, since it has no epoch to choose.
        """
        if units.data["statistics"] is None:
            return None
        learnt, test = np.r_[units.rows("train"), units.rows("validation")], units.rows("test")
        statistics, scores = units.data["statistics"], units.table["score"].to_numpy()
        model = linear.ridge(statistics[learnt], scores[learnt],
                             units.table["participant"].to_numpy()[learnt])
        guess = np.clip(model.predict(statistics[test]), BDI2.low, BDI2.high)
        return self.report(self.told(units.table.iloc[test], guess), units)

    def rivals(self, metrics, corpus):
        """Network, mean predictor and ridge regression side by side, by participant -> Styler."""
        test, ridge = metrics["test"], metrics["ridge"]
        rows = {self.card.title: test["by_participant"],
                "mean predictor": test["constant"]["by_participant"]}
        rows |= {"ridge on landmark statistics": ridge["by_participant"]} if ridge else {}
        table = pd.DataFrame(rows).T[["mae", "rmse", "ccc", "pearson"]].astype(float)
        table.columns = ["MAE", "RMSE", "CCC", "Pearson r"]
        return table.style.format("{:.2f}", na_rep="–").set_caption(
            f"{corpus}, test, {test['by_participant']['participants']} participants")

    def gap(self, metrics):
        """The ridge regression beside the network, in a sentence."""
        if not metrics["ridge"]:
            return "Without landmarks there is no ridge regression."
        gap = (metrics["test"]["by_participant"]["mae"]
               - metrics["ridge"]["by_participant"]["mae"])
        return (f"The ridge regression on landmarks is {abs(gap):.1f} points "
                f"{'better' if gap > 0 else 'worse'} than the network, on the same participants.")

    def facts_of(self, network, units, state, history):
        """What metrics.json has of a run beside its reports -> dict. history: of the training."""
        batches = len(self.batches(units, units.rows("train"), state))
        return {"train_mean": self.train_mean(units),
                "label_scale": [state["shift"], state["unit"]],
                "parameters": sum(p.numel() for p in network.parameters()),
                "steps": 0 if history is None else batches * self.p.epochs // self.p.accumulate,
                "validation": self.validation(network, units, state)}

    def attributions(self, k):
        """Ways to ask which pixels a score hangs on -> name: (network, clips) -> (N, T, H, W)."""
        patch, frames = max(1, self.p.image_size // 6), max(1, self.p.clip_frames // 4)
        layer, attention = explain.layer_attribution, partial(unit_attention, unit="layer_1.0", k=k)
        return {
            "gradient": explain.input_gradient,
            "occlusion": partial(explain.occlusion, patch=patch, frames=frames),
            "Grad-CAM": lambda network, x: layer(network, x, network.layer_4, "grad_cam"),
            "grad x act": lambda network, x: layer(network, x, network.layer_1,
                                                   "gradient_activation"),
            "attention, group 1": partial(attention, group=0),
            "attention, mean": attention}

    def concentrations(self, corpus, units, rows, state, networks):
        """How much of each attribution lies on planted cues -> as `explain.score_against_truth`.

        Empty where nothing was planted. networks: name -> network
        """
        if not corpus.truth:
            return pd.DataFrame()
        names = units.table["recording"]
        inputs = {names[row]: self.inputs(units, [row], state)["clips"] for row in rows}
        truths = {names[row]: self.cues(corpus, units, row) for row in rows}
        return explain.score_against_truth(networks, self.attributions(state["sizes"]["k"]),
                                           inputs, truths)

    def mean_concentrations(self, scores, corpus):
        """Means of `concentrations` by method, network and cue -> Styler. corpus: its label."""
        if scores.empty:
            return scores.style
        means = scores.pivot_table(index=["method", "network"], columns="cue",
                                   values="concentration", sort=False)
        return means.style.format("{:.2f}", na_rep="–").set_caption(
            f"{corpus}: mean concentration over {scores['recording'].nunique()} test videos; "
            "1 is chance")

    def planted(self, corpus, units, rows):
        """Pixels near the landmarks of a cue, in the frames in which it is shown."""
        return [{"clips": np.any(list(self.cues(corpus, units, row).values()), axis=0)}
                for row in rows]

    def cues(self, corpus, units, row):
        """The same cue by cue -> cue -> (frames, size, size) bool, of the first clip."""
        recording, used = units.table["recording"].iloc[row], self.first_clip(units, row)
        track = units.data["tracks"][recording]
        landmarks = face.to_crop(track["landmarks"], track["alignment"])[used]
        events = corpus.cue_frames(recording, track["frame"][used])
        regions, size = corpus.truth["cue_regions"], self.p.image_size
        return {cue: region(landmarks, regions[cue], size) & on[:, None, None]
                for cue, on in events.items() if cue != "head"}

    def answer(self, network, **inputs):
        return network(inputs["clips"])[:, 0]

    def described(self, units, rows):
        """Light and contrast of each part of the pictures, as the network reads them, and how much
        it changes from one to the next.
        """
        table, pictures = units.table.iloc[rows], [units.data["crops"][row] for row in rows]
        seen = [in_numbers(crops, self.p.normalise) for crops in pictures]
        tracks = [units.data["tracks"].get(name) for name in table["recording"]]
        measures = {"frames": np.array(list(map(len, pictures))),
                    "movement": np.array([movement for _, movement in seen])}
        return limits.Described(
            table["recording"].to_numpy(), table["participant"].to_numpy(),
            {"picture": np.stack([numbers for numbers, _ in seen])}, measures,
            {"face seen": [np.nan if t is None else np.mean(t["found"]) for t in tracks]})

    def answered(self, network, units, state, run=None):
        chunk = CHUNKS["test"] if self.p.protocol == "as_published" else None
        scores, counts = self.scores_of_videos(network, units, range(len(units)), state, chunk)
        return [{"file": name, "BDI-II": score} | self.low_and_high(score, BDI2, run)
                | {"clips": count} for name, score, count in
                zip(units.table["recording"], scores, counts, strict=True)], {}
