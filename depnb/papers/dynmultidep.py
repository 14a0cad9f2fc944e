"""DynMultiDep: depressed or not, from voice and face of a vlog."""

from time import perf_counter
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
import torch
from lightning_fabric.utilities import move_data_to_device
from scipy.ndimage import uniform_filter1d

from depnb.corpora import dvlog, lmvd, privacy, vlogs
from depnb.corpora.readers import VIDEOS
from depnb.corpora.sound import Facts
from depnb.features import damage, store, vggish, vlog, vlog_extract
from depnb.files import located
from depnb.models import dynmultidep
from depnb.papers import limits, paper, parameters
from depnb.papers.parameters import Amount, Count, Fold, NotNegative, Positive, Share
from depnb.papers.released.cfrafn import released_intervals
from depnb.papers.released.dynmultidep import released_score
from depnb.scores import explain, intervals, report
from depnb.scores.dynmultidep import gate_rows, router_rows, twin_rows
from depnb.scores.metrics import classification


class Parameters(parameters.Chapter):
    """What the chapter on DynMultiDep may be given."""

    corpus: Literal["dvlog", "lmvd"]
    train_gender: Literal["both", "female", "male"]
    test_gender: Literal["both", "female", "male"]
    scaling: Literal["vlog", "training", "none"]
    crops: Literal["fresh", "released", "none"]
    crop_rows: Positive
    released_shortest: Positive
    bucketing: bool
    mask: Literal["right", "released"]
    variant: Literal["paper", "released"]
    modalities: Literal["both", "acoustic", "visual"]
    experts: Literal["both", "long", "short"]
    directions: Literal["both", "forward"]
    causal: bool
    gate: Literal["soft", "hard", "mean"]
    fusion_gate: Literal["soft", "hard", "none"]
    temperature: Amount
    router_level: Literal["frame", "sequence"]
    width: Positive
    layers: Positive
    state_size: Positive
    expansion: Positive
    conv_width: Positive
    window: Positive
    heads: Positive
    feed_forward: Positive
    dropout: Share
    fold: Fold
    patience: Count
    batch_size: Positive
    schedule: Literal["cosine", "constant"]
    weight_decay: NotNegative
    clip_norm: NotNegative


SIZES = ("variant", "width", "layers", "state_size", "expansion", "conv_width", "directions",
         "causal", "gate", "temperature", "modalities")
OF_EXPERTS = ("experts", "window", "heads", "feed_forward", "router_level")     # of variant paper
SENSES = (("audio", "acoustic"), ("visual", "visual"))          # of the network, of the corpora
# Columns to look at, by corpus: D-Vlog's acoustic features have names, LMVD's have none.
SIGNALS = {"dvlog": {"loudness": 0, "pitch": 10}, "lmvd": {"column 0": 0, "column 64": 64}}
PAIRS = 60                                          # of twins for each kind of cue
STEPS = (60, 120, 300, 600, 1200, 2400, 3600)       # seconds of a vlog whose cost is measured


class Paper(paper.Binary):
    """One row a second of voice and face; a unit is a vlog."""

    name, shows, Parameters = "dynmultidep", "vlog", Parameters
    pieces = MappingProxyType({"audio": (10, 25), "visual": (10, 136)})
    files_end_in = VIDEOS

    def extract(self, files, hurt=None):
        arrays, problems = vlog.load(files, self.p.corpus)
        if hurt:
            what, level = hurt
            arrays = {session: {part: damage.rows(a, what.kind, level[session],
                                                  paper.generator(what.seed + number, session))
                                for number, (part, a) in enumerate(parts.items())}
                      for session, parts in arrays.items()}
        return arrays, problems, {}

    def units(self, arrays, rows):
        rows = rows[rows["session"].isin(arrays)].drop_duplicates("session", ignore_index=True)
        table = paper.unit_table(rows.assign(recording=rows["session"]), dict.fromkeys(arrays, 1))
        arrays = {session: arrays[session] for session in table["session"]}
        own = self.p.scaling == "vlog"      # needs no other vlog: scaled once
        scaled = {session: vlog.by_itself(a) for session, a in arrays.items()} if own else None
        return paper.Units(table, {"arrays": arrays, "scaled": scaled})

    def lengths(self, units):
        """Seconds of every vlog -> table: session, participant, group, seconds."""
        arrays = units.data["arrays"]
        told = units.table[["session", "participant"]]
        return told.assign(group=units.table["label"].map({0: "control", 1: "depressed"}),
                           seconds=[len(arrays[s]["visual"]) for s in told["session"]])

    def by_group(self, corpus):
        """Vlogs and participants by class and gender -> table."""
        groups = corpus.sessions.groupby(["label", "gender"])["participant"]
        table = groups.agg(vlogs="count", participants="nunique")
        return table.rename(index={0: "control", 1: "depressed"}, level="label")

    def example(self, corpus, units):
        """Signals and planted cues of one vlog, of `signals` and `cues`.

        Of somebody depressed, 4 to 15 minutes, both senses at work, where there is such a vlog.
        """
        vlogs = self.lengths(units).query("group == 'depressed'")
        fine = [4 * 60 < row.seconds < 15 * 60 and not self.empty_sense(corpus, row.session)
                for row in vlogs.itertuples()]
        session = vlogs["session"].iloc[int(np.argmax(fine))]
        return self.signals(units, session), self.cues(corpus, session)

    def empty_sense(self, corpus, session):
        """The sense that carries nothing in a simulated vlog; None where both do, or unknown."""
        return (corpus.truth or {}).get("sessions", {}).get(session, {}).get("uninformative")

    def signals(self, units, session):
        """What a reader can follow in one vlog, over five seconds -> sense -> name -> (T,)."""
        arrays = vlog.by_itself(units.data["arrays"][session])
        heard, face = (uniform_filter1d(arrays[sense], 5, axis=0, mode="nearest")
                       for _, sense in SENSES)
        y = face[:, 68:]                    # heights of the 68 landmarks, downwards
        columns = SIGNALS[self.p.corpus]
        return {"acoustic": {name: heard[:, column] for name, column in columns.items()},
                "visual": {"height of the nose": -y[:, 30],
                           "opening of the mouth": y[:, 57] - y[:, 51]}}

    def cues(self, corpus, session):
        """Where something is planted in one vlog -> sense -> slow or short -> (T,) bool."""
        planted = corpus.cue_rows(session)
        return {sense: {kind: rows[sense] for kind, rows in planted.items()}
                for _, sense in SENSES} if planted else {}

    def prepare(self, units, rows=()):
        widths, arrays = vlog.WIDTHS[self.p.corpus], units.data["arrays"]
        scaling = vlog.Scaling.identity(widths)
        if self.p.scaling == "training":
            scaling = vlog.Scaling.fit([arrays[s] for s in units.table["session"].iloc[rows]])
        tables = {part: table.tolist() for part, table in scaling.tables.items()}
        return super().prepare(units, rows) | {"tables": tables}

    def scale(self, arrays, state):
        """One vlog as the network reads it."""
        if self.p.scaling == "vlog":
            return vlog.by_itself(arrays)
        tables = {part: np.array(table) for part, table in state["tables"].items()}
        return vlog.Scaling(tables).apply(arrays)

    def scaled(self, units, rows, state):
        """Vlogs as the network reads them, by session."""
        names, own = units.table["session"].iloc[rows], units.data["scaled"]
        return {s: own[s] if own else self.scale(units.data["arrays"][s], state) for s in names}

    def fed(self, batch):
        """What the network is fed of a batch of `vlog.collate`."""
        real = batch["mask"]
        if self.p.mask == "released":       # guessed from the sums of rows
            real = vlog.released_mask(batch["audio"], batch["visual"])
        return {"audio": batch["audio"], "visual": batch["visual"], "mask": real}

    def inputs(self, units, rows, state):
        return self.fed(vlog.collate(list(self.scaled(units, rows, state).values())))

    def items(self, units, rows):
        """Training items, every vlog and (crops released) parts -> (session, start, length)."""
        arrays = units.data["arrays"]
        frames = {s: len(arrays[s]["visual"]) for s in units.table["session"].iloc[rows]}
        cuts = []
        if self.p.crops == "released":
            cuts = vlog.released_crops(frames, self.p.seed, self.p.released_shortest)
        return [(session, 0, length) for session, length in frames.items()] + cuts

    def batches(self, units, rows, state, seed=None, bucketing=None):
        p = self.p
        crop = p.crop_rows if p.crops == "fresh" else 0
        batches = vlog.Batches(self.scaled(units, rows, state), self.items(units, rows),
                               units.table.set_index("session")["label"].to_dict(), p.batch_size,
                               p.seed if seed is None else seed,
                               p.bucketing if bucketing is None else bucketing, crop)
        return paper.Ready(batches, lambda batch: (self.fed(batch), batch["label"]))

    def sizes(self, units):
        p, widths = self.p, vlog.WIDTHS[self.p.corpus]
        sizes = {"variant": p.variant, "audio_features": widths["acoustic"],
                 "visual_features": widths["visual"], **{n: getattr(p, n) for n in SIZES[1:-1]},
                 "mask_scan": p.mask == "right", "modalities": p.modalities}
        if p.variant == "paper":
            both = p.fusion_gate if p.modalities == "both" else "none"
            sizes |= {n: getattr(p, n) for n in OF_EXPERTS} | {"fusion_gate": both}
        return sizes

    def build(self, state):
        return dynmultidep.DynMultiDep(**state["sizes"], dropout=self.p.dropout)

    def about(self, state):
        return {"paper": self.name, "corpus": self.p.corpus, **state["sizes"]}

    @property
    def select(self):
        return "one_minus_average" if self.p.protocol == "as_published" else "cross_entropy"

    def published_choice(self, measured):
        """The mean of accuracy, precision, recall and F1, which the authors' program keeps."""
        return {"one_minus_average": 1 - released_score(measured)}

    def inside(self, network, vlogs):
        """Logit and every weight of whole vlogs -> table, one row each; of frames, arrays.

        vlogs: mapping name -> arrays, scaled
        """
        rows, device = [], next(network.parameters()).device
        with torch.inference_mode():
            for names, batch in vlog.in_order(vlogs, list(vlogs), self.p.batch_size,
                                              self.p.bucketing):
                inputs = move_data_to_device(self.fed(batch), device)
                logits, seen = network(**inputs, return_weights=True)
                for i, (session, real) in enumerate(zip(names, batch["mask"].sum(1).tolist(),
                                                        strict=True)):
                    row = {"session": session, "logit": float(logits[i])}
                    row |= {f"{name}_{k}": float(x)
                            for name in ("gate_soft", "gate", "fusion_soft") if name in seen
                            for k, x in enumerate(seen[name][i])}
                    row |= {f"{sense}_router": weights[i, :real, 1].float().cpu().numpy()
                            for sense, weights in seen["router"].items()}
                    rows.append(row)
        return pd.DataFrame(rows).set_index("session").loc[list(vlogs)].reset_index()

    def answers(self, network, units, rows, state, without=None):
        if without:
            return super().answers(network, units, rows, state, without)
        return self.inside(network, self.scaled(units, rows, state))["logit"].to_numpy()

    def told(self, table, guess):
        return super().told(table, guess).assign(gender=table["gender"])

    def prevalence(self, units):
        """Share of depressed among the training speakers."""
        train = units.table.iloc[units.rows("train")].rename(columns={"label": "y_true"})
        people = report.probabilities_by_participant(train.assign(y_pred=train["y_true"]))
        return float(people["y_true"].mean())

    def report(self, predictions, units):
        tested = predictions[predictions["split"] == "test"]
        test = report.binary(tested, self.card.unit, self.prevalence(units))
        test["by_unit"]["released_intervals"] = released_intervals(tested)  # by CFRAFN's formula
        return test

    def by_gender(self, network, units, state, restricted):
        """AUC by speaker of each gender's test vlogs -> dict; none of too few, or of one class."""
        everyone = self.predictions(network, units, units.rows("test"), state)
        fewest, genders = privacy.FEWEST if restricted else 1, {}
        for name, rows in everyone.groupby("gender"):
            people = report.probabilities_by_participant(rows)
            truth = people["y_true"]
            if truth.value_counts().reindex([0, 1], fill_value=0).min() >= fewest:
                genders[name] = {
                    "speakers": len(people),
                    "roc_auc": classification(truth, people["y_pred"])["roc_auc"],
                    "roc_auc_interval": list(intervals.metric_intervals(rows)["roc_auc"])}
        return genders

    def facts_of(self, network, units, everyone, state, restricted):
        """What metrics.json says beside "test" and the gates -> dict.

        everyone: the units with the test vlogs of both genders
        """
        return {"by_gender": self.by_gender(network, everyone, state, restricted),
                "train_prevalence": self.prevalence(units),
                "validation": self.validation(network, units, state),
                "parameters": sum(q.numel() for q in network.parameters())}

    def watched(self, network, units, state, corpus):
        """`inside` of the vlogs that were not trained on, and which sense of each is empty."""
        rows = np.flatnonzero(units.table["split"].isin(["validation", "test"]))
        table = self.inside(network, self.scaled(units, rows, state))
        empty = [self.empty_sense(corpus, session) for session in table["session"]]
        return table.assign(uninformative=pd.Series(empty, dtype=object))   # None stays None

    def gates_and_experts(self, networks, units, state, corpus, twins):
        """What gate, experts and router do, beside what was planted; nothing where nothing was.

        Parameters
        ----------
        networks : trained, untrained -> network
        twins : `simulation.vlog.twins`, which writes pairs that differ in one kind of cue

        Returns
        -------
        dict for metrics.json: gate, twins, router, each a list of rows; table of weights by vlog
        """
        network = networks["trained"]
        seen = self.watched(network, units, state, corpus)
        facts, truth = {"gate": [], "twins": [], "router": []}, corpus.truth
        if truth and "gate_soft_0" in seen and self.p.gate != "mean":
            others = {name: self.watched(other, units, state, corpus)
                      for name, other in networks.items() if name != "trained"}
            facts["gate"] = gate_rows({"trained": seen} | others)
        if truth:
            p = self.p
            pairs = {cue: twins(PAIRS, cue, seed=p.simulated_seed, layout=p.corpus, apart=1.0)
                     for cue in ("slow", "short")}
            facts["twins"] = twin_rows({cue: self.twin_logits(network, two, state)
                                        for cue, two in pairs.items()})
        if truth and self.p.router_level == "frame":
            facts["router"] = router_rows(seen, {s: corpus.cue_rows(s) for s in seen["session"]})
        return facts, seen.drop(columns=[c for c in seen if c.endswith("_router")])

    def twin_logits(self, network, pairs, state):
        """Logits of the lower twin of each pair, and of the higher -> two Series."""
        return [self.inside(network, {str(i): self.scale(pair[side], state)
                                      for i, pair in enumerate(pairs)})["logit"]
                for side in (0, 1)]

    def attributions(self, networks, units, state, corpus, most=12):
        """How much of the attribution falls on planted seconds, over their share of the vlog.

        Integrated gradients of the logit, over test vlogs of depressed speakers of at most fifteen
        minutes in which both senses carry something.

        Parameters
        ----------
        networks : name -> network
        most : vlogs at most

        Returns
        -------
        table: network, sense, cue, concentration (1: chance); empty without planted truth
        """
        vlogs = self.lengths(units).iloc[units.rows("test")]
        fine = [s for s in vlogs.query("group == 'depressed' and seconds <= 900")["session"]
                if corpus.truth and not self.empty_sense(corpus, s)]
        rows, device = [], next(networks["trained"].parameters()).device
        for session in explain.spread_out(fine, most):
            row = units.table["session"].tolist().index(session)
            arrays = self.scaled(units, [row], state)[session]
            inputs = [torch.as_tensor(arrays[sense])[None].to(device) for _, sense in SENSES]
            for name, network in networks.items():
                mass = explain.integrated_gradients(network, inputs, 16,
                                                    [torch.zeros_like(x) for x in inputs])
                by_second = {sense: a[0].abs().sum(1).cpu().numpy()
                             for (_, sense), a in zip(SENSES, mass, strict=True)}
                rows += [{"network": name, "sense": sense, "cue": cue,
                          "concentration": explain.concentration(seconds, planted[sense])}
                         for sense, seconds in by_second.items()
                         for cue, planted in corpus.cue_rows(session).items()]
        columns = ["network", "sense", "cue"]
        table = pd.DataFrame(rows, columns=[*columns, "concentration"])
        return table.groupby(columns, sort=False, as_index=False)["concentration"].mean()

    def layer_costs(self, device):
        """Milliseconds of a forward and backward pass of one layer over one vlog, by its length.

        Returns
        -------
        table: method, steps, milliseconds
        """
        p = self.p
        attention = torch.nn.MultiheadAttention(p.width, p.heads, batch_first=True).to(device)
        layers = {"bidirectional Mamba": dynmultidep.BiMamba(p.width, p.state_size, p.expansion,
                                                             p.conv_width).to(device),
                  "full attention": lambda x: attention(x, x, x, need_weights=False)[0],
                  f"attention in windows of {p.window}": dynmultidep.LocalTransformer(
                      p.width, p.window, p.heads, p.feed_forward, 0.0, False).to(device)}
        return pd.DataFrame([
            {"method": name, "steps": steps,
             "milliseconds": 1000 * seconds_of(layer, torch.randn(1, steps, p.width,
                                                                  device=device))}
            for name, layer in layers.items() for steps in STEPS])

    def planted(self, corpus, units, rows):
        """Rows of a vlog in a slow phase or a short event, by sense."""
        masks = []
        for session in units.table["session"].iloc[rows]:
            cues = corpus.cue_rows(session).values()
            length = len(units.data["arrays"][session]["visual"])
            masks.append({modality: np.any([planted[sense][:length] for planted in cues], axis=0)
                          for modality, sense in SENSES})
        return masks

    def recordings_in(self, source):
        """Feature arrays as in the run's corpus where there are any, else videos."""
        if source.is_dir():
            arrays = (dvlog if self.p.corpus == "dvlog" else lmvd).arrays_of(source)
            if arrays:
                return {name: {part: paths[0] for part, paths in parts.items()}
                        for name, parts in arrays.items()}
        return super().recordings_in(source)

    def unlabelled(self, files):
        lying = {name: parts for name, parts in files.items() if isinstance(parts, dict)}
        remarks = {}
        if lying:
            arrays, faults = vlog.load({f"{name}/{part}": path for name, parts in lying.items()
                                        for part, path in parts.items()}, self.p.corpus)
            problems = {key.rpartition("/")[0]: sentence for key, sentence in faults.items()}
            problems |= {name: "lacks its acoustic or its visual array." for name in lying
                         if name not in {*arrays, *problems}}
        else:
            arrays, problems, remarks = self.recorded(files)
        units = self.units(arrays, paper.unknown(arrays))
        units.facts["remarks"] = remarks
        return units, problems

    def recorded(self, videos):
        """Arrays of videos, of the sound file of the same name beside each or of its own sound
        -> arrays, problems, remarks.
        """
        cache, layout, workers = located(self.p.cache_dir), self.p.corpus, self.p.workers
        seen, problems = store.extract(videos, vlog_extract.visual, cache, workers=workers)
        options, extractor = {}, vlog_extract.acoustic
        if layout == "lmvd":
            name, network, pca = vggish.locate(getattr(self.p, "vggish_weights", "auto"), cache)
            options, extractor = {"network": network, "pca": pca}, vlog_extract.logmel
            print(f"voice described by {name}; whatever described it in the run's corpus must be "
                  "the same")
        sounds = {name: paper.sound_beside(videos[name]) for name in seen}
        heard, silent = store.extract(sounds, extractor, cache, workers=workers, **options)
        problems |= {name: f"there is no sound file of its name beside it, and its own sound is: "
                           f"{sentence}" if sounds[name] == videos[name] else sentence
                     for name, sentence in silent.items()}
        arrays, remarks = {}, {}
        for name, sound in heard.items():
            picture, lost = seen[name]["visual"], 1 - np.mean(seen[name]["found"])
            told = Facts(*sound["reading"]).remarks()
            if lost:
                told.append(f"no face, or no new picture, in {lost:.0%} of the seconds; they are "
                            "interpolated.")
            if len(picture) != len(sound["acoustic"]):
                told.append(f"{len(sound['acoustic'])} s of sound and {len(picture)} of picture; "
                            "the shorter counts, from the start.")
            remarks |= {name: " ".join(told)} if told else {}
            picture = vlogs.standardised(picture) if layout == "lmvd" else picture
            try:
                both = vlog.together(sound["acoustic"], picture)
                arrays[name] = dict(zip(("acoustic", "visual"), both, strict=True))
            except ValueError as error:
                problems[name] = str(error)
        return arrays, problems, remarks

    def sounds(self, files):
        videos = [path for path in files.values() if not isinstance(path, dict)]
        own = sum(paper.sound_beside(path) == path for path in videos)
        return (f"Videos of which the own sound is read: {own}; the sound file of their name "
                f"beside them: {len(videos) - own}. " if videos else "")

    def described(self, units, rows):
        """Each column's mean and deviation over a vlog; of the face its shape and how it moves.

        Where and how large it stands in the picture counts only where the network sees it.
        """
        table = units.table.iloc[rows]
        vlogs = [units.data["arrays"][session] for session in table["session"]]
        faces = [shape_of(a["visual"]) for a in vlogs]
        seen = [[*means_and_deviations(shape)] + ([] if self.p.scaling == "vlog" else [place])
                for shape, place in faces]
        return limits.Described(
            table["session"].to_numpy(), table["participant"].to_numpy(),
            {"acoustic": np.stack([np.r_[means_and_deviations(a["acoustic"])] for a in vlogs]),
             "visual": np.stack([np.concatenate(numbers) for numbers in seen])},
            {"seconds": np.array([len(a["visual"]) for a in vlogs]),
             "movement": np.array([np.median(shape.std(0)) for shape, _ in faces])}, {})

    def answered(self, network, units, state, run=None):
        rows = []
        for row, session in enumerate(units.table["session"]):      # alone: no padding
            with torch.inference_mode():
                score = self.scores(network, self.inputs(units, [row], state), state)
            rows.append({"file": session, "probability": float(self.decoded(score, state)[0]),
                         "seconds": len(units.data["arrays"][session]["visual"])})
        return rows, {}


def means_and_deviations(rows):
    """Mean and logarithm of the standard deviation of each column. (T, F) -> two (F,)."""
    return rows.mean(0, dtype=float), np.log(rows.std(0, dtype=float) + 1e-6)


def shape_of(visual):
    """Landmarks about their own middle and in units of their own size, and where they stand.

    (T, 136) all x then all y -> (T, 136); (3,) mean x and y, logarithm of the size.
    """
    points = np.asarray(visual, float).reshape(len(visual), 2, -1)
    middle = points.mean(2, keepdims=True)
    size = np.sqrt(np.square(points - middle).sum(1).mean(1))[:, None, None] + 1e-6
    shape = ((points - middle) / size).reshape(len(visual), -1)
    return shape, np.r_[middle.mean(0)[:, 0], np.log(size.mean())]


def seconds_of(layer, x):
    """Best of three of a forward and backward pass; a first one warms up."""
    x, best = x.requires_grad_(), float("inf")
    for _ in range(4):
        started = perf_counter()
        layer(x).sum().backward()
        if x.device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, perf_counter() - started)
    return best


def on_its_way(network, audio, visual):
    """What the first vlog of a batch becomes between input and logit.

    Parameters
    ----------
    network : DynMultiDep with both senses, experts and gates
    audio, visual : (B, T, F)

    Returns
    -------
    name -> tensor without the batch, as `figures.dynmultidep.flow` draws them
    """
    with torch.inference_mode(), explain.record(network, "*.mamba", "*.short") as outputs:
        logits, decided = network(audio, visual, return_weights=True)
        mixed, _, _ = network.encode(audio, visual)
    passing = {name: decided[name] for name in ("gate", "fusion")} | {"logit": logits}
    for sense, x in (("audio", audio), ("visual", visual)):
        stream = f"layers.{len(network.layers) - 1}.streams.{sense}"
        passing |= {f"{sense} input": x, f"{sense} long": outputs[f"{stream}.mamba"],
                    f"{sense} short": outputs[f"{stream}.short"], f"{sense} mixed": mixed[sense],
                    f"{sense} router": decided["router"][sense],
                    f"{sense} pooled": decided["pooled"][sense]}
    return {name: tensor[0] for name, tensor in passing.items()}


def change_of(layer, x, second):
    """How far a layer's output moves, frame by frame, when one frame of its input does.

    x: (1, T, d), all of whose columns rise by 1 at `second` -> (T,)
    """
    moved = x.clone()
    moved[:, second] += 1
    with torch.inference_mode():
        return (layer(moved) - layer(x)).norm(dim=2)[0]


def growth(costs, short=1200, long=3600):
    """How many times as much a vlog of `long` seconds costs as one of `short` -> table.

    costs: of `Paper.layer_costs`
    """
    by_length = costs.pivot(index="method", columns="steps", values="milliseconds")
    times = (by_length[long] / by_length[short]).reindex(costs["method"].unique())
    return times.rename(f"{short:,} to {long:,} steps, times").reset_index()
