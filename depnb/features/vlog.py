"""Feature arrays of vlogs (D-Vlog, LMVD): checked, scaled, cropped, and put into padded batches.

A row is a second (a row of VGGish, in LMVD, covers 0.96 s). Differs from the loaders of DynMultiDep
(5fd29e3), which are DepMamba's (6e96fd2): what is padding follows from the lengths, not from rows
that sum to zero; training items may be cropped anew every epoch; items of similar length may share
a batch. Their crops and their mask are here to compare with.
"""

import random

import numpy as np
import torch
from tqdm import tqdm

from depnb.corpora.readers import read_array
from depnb.corpora.vlogs import WIDTHS, together

SHORTEST = {"dvlog": 500, "lmvd": 400}      # rows of the shortest released crop


def load(files, corpus):
    """Arrays of many vlogs; one with one part alone is left out.

    Parameters
    ----------
    files : mapping "session/part" -> path, as `Corpus.files` gives it
    corpus : "dvlog" or "lmvd"

    Returns
    -------
    mapping session -> {"acoustic": (T, Fa), "visual": (T, Fv)} float32; mapping "session/part" ->
    sentence about what cannot be used, for `Corpus.exclude`
    """
    widths, by_session, problems = WIDTHS[corpus], {}, {}
    for name, path in tqdm(files.items(), "arrays", delay=2, leave=False):
        session, _, part = name.rpartition("/")
        try:
            by_session.setdefault(session, {})[part] = read_array(path, widths[part])
        except ValueError as error:
            problems[name] = str(error)
    arrays = {}
    for session, parts in by_session.items():
        if parts.keys() == widths.keys():
            try:
                arrays[session] = dict(zip(("acoustic", "visual"), together(**parts), strict=True))
            except ValueError as error:
                problems[f"{session}/visual"] = str(error)
    return arrays, problems


class Scaling:
    """Every feature to mean 0 and standard deviation 1 over the rows of the training vlogs.

    Parameters
    ----------
    tables : mapping acoustic, visual -> (2, F) float64
        Mean and standard deviation, which is 0 for a constant feature: that becomes 0.
    """

    def __init__(self, tables):
        self.tables = tables

    @classmethod
    def fit(cls, vlogs):
        """Of a list of {"acoustic": (T, Fa), "visual": (T, Fv)}; ValueError when there is none."""
        if not vlogs:
            raise ValueError("no vlog to scale by. Check the split and the gender filters.")
        tables = {}
        for part in vlogs[0]:
            rows = sum(len(v[part]) for v in vlogs)
            mean = sum(v[part].sum(0, dtype=float) for v in vlogs) / rows
            variance = sum(np.square(v[part] - mean).sum(0) for v in vlogs) / rows
            highest = np.max([v[part].max(0) for v in vlogs], 0)
            varied = highest > np.min([v[part].min(0) for v in vlogs], 0)
            tables[part] = np.stack([mean, np.where(varied, np.sqrt(variance), 0)])
        return cls(tables)

    @classmethod
    def identity(cls, widths):
        """The scaling that changes nothing, as in DynMultiDep (5fd29e3) and DepMamba.

        widths: an entry of WIDTHS.
        """
        return cls({part: np.stack([np.zeros(width), np.ones(width)])
                    for part, width in widths.items()})

    def apply(self, vlog):
        """{"acoustic": (T, Fa), "visual": (T, Fv)} -> the same, scaled, float32."""
        scaled = {}
        for part, rows in vlog.items():
            mean, sd = self.tables[part]
            values = np.divide(rows - mean, sd, out=np.zeros(rows.shape), where=sd > 0)
            scaled[part] = values.astype(np.float32)
        return scaled


def by_itself(vlog):
    """Every feature to mean 0 and deviation 1 over the rows of this vlog alone; constants to 0.

    What stays is how a voice and a face move; whose they are, which a model of few speakers learns
    by heart, does not.

    Parameters
    ----------
    vlog : {"acoustic": (T, Fa), "visual": (T, Fv)}

    Returns
    -------
    The same, float32
    """
    return Scaling.fit([vlog]).apply(vlog)


def released_crops(lengths, seed=0, shortest=500, tries=5):
    """The random crops of DepMamba and DynMultiDep: further training items, drawn once.

    Of each vlog, `tries` times: a random share of its length, taken when that is `shortest` or more
    (SHORTEST), from a random start that is never the first row. So vlogs of twice the length and
    more weigh several times as much, those below `shortest` once. Neither program sets a seed.

    Parameters
    ----------
    lengths : mapping session -> rows, in the order of the table

    Returns
    -------
    list of (session, start, length)
    """
    rng, crops = random.Random(seed), []
    for session, rows in lengths.items():
        for _ in range(tries):
            length = int(rng.random() * rows)
            if length >= shortest:
                crops.append((session, rng.randint(1, rows - length), length))
    return crops


def random_crop(rows, size, rng):
    """A part of `size` rows anywhere in a vlog, all of it where it is shorter or size is 0.

    Returns
    -------
    start, length
    """
    if not 0 < size < rows:
        return 0, rows
    return int(rng.integers(rows - size + 1)), size


def collate(vlogs):
    """A batch: zeros at the end of the shorter ones.

    Parameters
    ----------
    vlogs : list of {"acoustic": (T, Fa), "visual": (T, Fv)}

    Returns
    -------
    dict
        audio (B, T, Fa), visual (B, T, Fv), float32; mask (B, T) bool, True where data is real,
        from the lengths.
    """
    lengths = [len(v["visual"]) for v in vlogs]
    batch = {"mask": torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]}
    for name, part in (("audio", "acoustic"), ("visual", "visual")):
        batch[name] = torch.zeros(len(vlogs), max(lengths), vlogs[0][part].shape[1])
        for row, vlog in zip(batch[name].numpy(), vlogs, strict=True):
            row[:len(vlog[part])] = vlog[part]
    return batch


def released_mask(audio, visual):
    """What the loaders of DepMamba and DynMultiDep take for data: rows that do not sum to zero.

    Parameters
    ----------
    audio, visual : (B, T, Fa), (B, T, Fv)

    Returns
    -------
    (B, T) bool
    """
    return torch.cat([visual, audio], dim=-1).sum(-1) != 0


def in_order(vlogs, sessions, batch_size, bucketing=True):
    """All rows of vlogs for evaluation -> iterator of (list of sessions, batch of `collate`).

    Parameters
    ----------
    vlogs : mapping session -> arrays
    bucketing : shortest first, which pads least; without, in the order of `sessions`
        The latter as in DepMamba and DynMultiDep.
    """
    ordered = (sorted(sessions, key=lambda s: len(vlogs[s]["visual"])) if bucketing
               else list(sessions))
    for i in range(0, len(ordered), batch_size):
        names = ordered[i:i + batch_size]
        yield names, collate([vlogs[s] for s in names])


class Batches:
    """Training batches for `loop.fit`; what an epoch draws depends on (seed, epoch) alone.

    Batches are as even in size as can be.

    Parameters
    ----------
    vlogs : mapping session -> {"acoustic": (T, Fa), "visual": (T, Fv)}, scaled
    items : list of (session, start, length), every one once an epoch
    labels : mapping session -> 0 or 1
    crop : of each item so many rows, elsewhere every epoch (0: all)
    bucketing : items of similar length share a batch, other ones every epoch
    """

    def __init__(self, vlogs, items, labels, batch_size, seed, bucketing=True, crop=0):
        if not items:
            raise ValueError("no vlog to train with. Check the split and the gender filters.")
        self.vlogs, self.items, self.labels = vlogs, list(items), labels
        self.batch_size = batch_size
        self.seed, self.bucketing, self.crop = seed, bucketing, crop
        lengths = np.array([length for _, _, length in self.items])
        self.lengths = np.minimum(lengths, crop) if crop else lengths        # as they enter a batch

    def __len__(self):
        return -(-len(self.items) // self.batch_size)

    def rows(self, epoch):
        """Which items make each batch of an epoch -> list of arrays of places in `items`."""
        rng = np.random.default_rng([self.seed, epoch, 0])
        order = rng.permutation(len(self.items))
        if not self.bucketing:
            return np.array_split(order, len(self))
        about = self.lengths[order] * rng.uniform(0.9, 1.1, len(order))
        buckets = np.array_split(order[np.argsort(about)], len(self))
        return [buckets[i] for i in rng.permutation(len(buckets))]

    def padding(self, epoch):
        """Share of an epoch's batches that is padding, 0 to 1."""
        padded = sum(len(rows) * self.lengths[rows].max() for rows in self.rows(epoch))
        return 1 - self.lengths.sum() / padded

    def plan(self, epoch):
        """What the batches of an epoch hold -> list of (places in `items`, parts of them)."""
        rng, planned = np.random.default_rng([self.seed, epoch, 1]), []
        for rows in self.rows(epoch):
            parts = []
            for _, start, length in (self.items[i] for i in rows):
                first, size = random_crop(length, self.crop, rng)
                parts.append(slice(start + first, start + first + size))
            planned.append((rows, parts))
        return planned

    def __getitem__(self, planned):
        """One of `plan`, as of `collate`, with label, row and session.

        label (B,) float32; row (B,), places in `items`; session, list of names.
        """
        rows, parts = planned
        names = [self.items[i][0] for i in rows]
        vlogs = [{name: a[part] for name, a in self.vlogs[session].items()}
                 for session, part in zip(names, parts, strict=True)]
        return collate(vlogs) | {"label": torch.tensor([float(self.labels[s]) for s in names]),
                                 "row": torch.from_numpy(rows), "session": names}

    def __call__(self, epoch):
        """Batches of one epoch."""
        return map(self.__getitem__, self.plan(epoch))
