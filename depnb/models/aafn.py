"""AAFN: multi-modal depression estimation by sub-attentional fusion (Wei et al. 2022).

Published at the ECCV Workshops. The authors call it Sub-attentional ConvBiLSTM. AAFN, for adaptive
attentional fusion networks, is the name that a copy of their code has; that the fusion adapts is
the copy's word.

From 60 s of an interview a visual, an audio and a text branch each make one feature vector.
Stacked like a small image (modalities x features) they pass eight heads, one per PHQ-8 item; each
has its own convolutional attention block and sorts the item into R ordered bins. Bins become item
scores 0-3, whose sum is the PHQ-8 score.

Symbols: B windows, T frames (1800), M modalities, D features of a branch, h heads (8),
R bins (32), K item classes (4); x the stacked features, y their convolved form with C channels,
a attention in 0..1: the share of y against x.

Follows the authors' code (PingCheng-Wei/DepressionEstimation c8c402f). Where we differ from it:
- logits come out, not probabilities (apply a softmax over the bins);
- all heads run as one grouped convolution and one batched product instead of a loop; the LSTM
  stops at what is used (`depnb.models.lstm`); the visual convolution spans all points, so it is a
  1-D convolution over points x coordinates;
- iAFF uses its global map twice. The released code, as open-aff (Dai et al. 2021) from which it
  takes iAFF, stores a second one that it never calls; we do not build it (the attention blocks of
  8 heads then have 18,304 parameters less). In training the statistics of the global map's batch
  norms so move twice a pass, as released;
- the released median, torch.median, is the lower of the two in the middle, so of two modalities
  the smaller one: here "lower_median", while "median" is their mean;
- a modality may be missing.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from depnb.models.lstm import LastFrameLSTM

MODALITIES = ("visual", "audio", "text")
FUSIONS = ("concatenation", "mean", "median", "lower_median", "max", "sum", "product", "attention",
           "sub_attention")
FUSES = ("daf", "aff", "iaff")


class FlatBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d of (B, C, T), the kind that the released visual branch has.

    The authors' switch for SAM tells kinds of batch norm apart.
    """

    def forward(self, x):
        return super().forward(x[:, :, None])[:, :, 0]          # as an image of height 1


class Branch(nn.Module):
    """Convolution over time, pooling by 3, bidirectional LSTM, linear layer.

    Called with (B, channels, T); returns (B, D), not negative.
    """

    def __init__(self, channels, conv_width, lstm_width, layers, d, dropout, lstm_dropout,
                 norm=nn.BatchNorm1d):
        super().__init__()
        self.conv = nn.Conv1d(channels, conv_width, 3, padding=1)
        initialise_branch(self.conv)
        self.bn = norm(conv_width)
        self.pool = nn.MaxPool1d(3)
        self.dropout = nn.Dropout(dropout)
        self.lstm = LastFrameLSTM(conv_width, lstm_width, layers, lstm_dropout)
        self.fc = nn.Linear(2 * lstm_width, d)
        initialise_branch(self.fc)
        self.bn_out = nn.BatchNorm1d(d)

    def forward(self, x):
        x = self.dropout(self.pool(F.relu(self.bn(self.conv(x)))))  # (B, conv_width, T // 3)
        x = x.transpose(1, 2)                                   # (B, T // 3, conv_width)
        return F.relu(self.bn_out(self.fc(self.lstm(x))))       # (B, D)


def initialise_branch(layer):
    """Weight uniform in +-sqrt(6 / fan in), bias 0, as released."""
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)


class Weights(nn.Module):
    """a = sigmoid(map), by head. (B, h C, M, D) -> (B, h, C, M, D).

    A module, so that it can be recorded.
    """

    def __init__(self, heads):
        super().__init__()
        self.heads = heads

    def forward(self, a):
        return a.unflatten(1, (self.heads, -1)).sigmoid()       # (B, h, C, M, D)


class Fusion(nn.Module):
    """y and x become one: daf y + x; aff 2 (a y + (1 - a) x); iaff the same twice.

    L is a local map (per position), G a global one (of the mean over positions), and a =
    sigmoid(L(u) + G(u)) with u = y + x, in iaff again with v = a y + (1 - a) x in place of u and
    another L. Called with y (B, h C, M, D) and x (B, 1, M, D); returns (B, h, C, M, D).
    """

    def __init__(self, heads, channels, fuse):
        super().__init__()
        self.heads, self.fuse = heads, fuse
        if fuse != "daf":
            self.local1 = attention_map(heads, channels)
            self.global1 = attention_map(heads, channels)
            self.weights1 = Weights(heads)
        if fuse == "iaff":
            self.local2, self.weights2 = attention_map(heads, channels), Weights(heads)

    def forward(self, y, x):
        u = y + x
        y, x = y.unflatten(1, (self.heads, -1)), x[:, None].to(y.dtype)
        # y: (B, h, C, M, D), x: (B, 1, 1, M, D)
        if self.fuse == "daf":
            return y + x
        a = self.weights1(self.local1(u) + self.global1(u.mean((2, 3), keepdim=True)))
        v = torch.lerp(x.expand_as(y), y, a)                    # a y + (1 - a) x, (B, h, C, M, D)
        if self.fuse == "aff":
            return 2 * v
        flat = v.flatten(1, 2)                                  # (B, h C, M, D)
        # The first G again.
        a = self.weights2(self.local2(flat) + self.global1(flat.mean((2, 3), keepdim=True)))
        return torch.lerp(x.expand_as(y), y, a)


def attention_map(heads, channels):
    """1x1 convolution to a quarter of the channels and back, with batch norms, a head by itself."""
    inner = channels // 4
    return nn.Sequential(nn.Conv2d(heads * channels, heads * inner, 1, groups=heads),
                         nn.BatchNorm2d(heads * inner), nn.ReLU(),
                         nn.Conv2d(heads * inner, heads * channels, 1, groups=heads),
                         nn.BatchNorm2d(heads * channels))


class SubAttention(nn.Module):
    """The attention block of every head at once. x (B, M, D) -> (B, h, M, D).

    w = planes * base_width // 64 inner and C = 16 planes fused channels. The attention does not
    weigh modalities against each other: it mixes the stack of features with its own convolved form.
    """

    def __init__(self, heads, planes, base_width, fuse):
        super().__init__()
        w, c = planes * base_width // 64, 16 * planes

        def conv(n_in, n_out, kernel):
            return nn.Conv2d(heads * n_in, heads * n_out, kernel, padding=kernel // 2, groups=heads,
                             bias=False)

        self.heads = heads
        # All heads see the same x.
        self.conv1, self.bn1 = nn.Conv2d(1, heads * w, 1, bias=False), nn.BatchNorm2d(heads * w)
        self.conv2, self.bn2 = conv(w, w, 3), nn.BatchNorm2d(heads * w)
        self.conv3, self.bn3 = conv(w, c, 1), nn.BatchNorm2d(heads * c)
        self.fusion = Fusion(heads, c, fuse)
        self.conv4, self.bn4 = conv(c, w, 3), nn.BatchNorm2d(heads * w)
        self.conv5, self.bn5 = conv(w, 1, 1), nn.BatchNorm2d(heads)

    def forward(self, x):
        x = x[:, None]                                          # (B, 1, M, D), one channel
        y = F.relu(self.bn1(self.conv1(x)))                     # (B, h w, M, D)
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))                             # (B, h C, M, D)
        z = F.relu(self.fusion(y, x)).flatten(1, 2)             # (B, h C, M, D)
        z = F.relu(self.bn4(self.conv4(z)))                     # (B, h w, M, D)
        return F.relu(self.bn5(self.conv5(z)))                  # (B, h, M, D)


class HeadLinear(nn.Module):
    """A linear layer of its own for every head. (B, h, n_in) -> (B, h, n_out)."""

    def __init__(self, heads, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, n_out, n_in))
        self.bias = nn.Parameter(torch.empty(heads, n_out))

    def forward(self, x):
        x = x.transpose(0, 1)                                   # (h, B, n_in): one product a head
        y = torch.baddbmm(self.bias[:, None], x, self.weight.mT)
        return y.transpose(0, 1)                                # (B, h, n_out)


class HeadNorm(nn.BatchNorm1d):
    """Batch norm of every head's features. (B, h, n) -> the same."""

    def forward(self, x):
        return super().forward(x.flatten(1)).view(x.shape)      # as (B, h n), and back


class Heads(nn.Module):
    """Fused or stacked features -> logits (B, h, R).

    Called with (B, n), or (B, M, D) where there is an attention block.
    """

    def __init__(self, heads, n, widths, bins, norm, attention=None):
        super().__init__()
        self.heads, self.attention = heads, attention
        layers = []
        for n_in, n_out in pairwise((n, *widths)):
            layers += [HeadLinear(heads, n_in, n_out), *([HeadNorm(heads * n_out)] if norm else []),
                       nn.ReLU()]
        self.classifier = nn.Sequential(*layers, HeadLinear(heads, widths[-1], bins))
        self.initialise()

    def forward(self, x):
        # (B, h or 1, M D) of the attention, or (B, 1, n).
        x = x[:, None] if self.attention is None else self.attention(x).flatten(2)
        return self.classifier(x.expand(-1, self.heads, -1))    # every head has a copy: (B, h, n)

    @torch.no_grad()
    def initialise(self):
        """Draw the weights as the released code does, head by head.

        First the linear layers, then the convolutions, these twice.
        """
        linears = [m for m in self.classifier if isinstance(m, HeadLinear)]
        convolutions = []
        if self.attention is not None:
            a = self.attention
            maps = [getattr(a.fusion, name) for name in ("local1", "global1", "local2")
                    if hasattr(a.fusion, name)]
            maps += maps[1:2] if len(maps) == 3 else []  # the second global map, drawn and dropped
            convolutions = [a.conv1, a.conv2, a.conv3, a.conv4, a.conv5,
                            *(m[i] for m in maps for i in (0, 3))]
        blocks = self.heads if self.attention is None else self.attention.heads
        for head in range(self.heads):
            for layer in linears:
                drawn = nn.Linear(layer.weight.shape[2], layer.weight.shape[1])
                layer.weight[head], layer.bias[head] = drawn.weight, drawn.bias
            if head < blocks:
                drawn = [nn.Conv2d(c.weight.shape[1], len(c.weight) // blocks, c.kernel_size,
                                   bias=c.bias is not None) for c in convolutions]
                for new in drawn:
                    nn.init.normal_(new.weight, 0,
                                    (2 / (new.out_channels * new.kernel_size[0] ** 2)) ** 0.5)
                own = (drawn[:-2] if self.attention is not None and a.fusion.fuse == "iaff"
                       else drawn)
                for layer, new in zip(convolutions, own, strict=False):
                    rows = slice(head * new.out_channels, (head + 1) * new.out_channels)
                    layer.weight[rows] = new.weight
                    if layer.bias is not None:
                        layer.bias[rows] = new.bias


class AAFN(nn.Module):
    """Windows of an interview -> logits (B, h, R) over ordered bins for each PHQ-8 item.

    Parameters
    ----------
    modalities : some of MODALITIES, in that order
    fusion : one of FUSIONS
        An attention block in every head (sub_attention) or one for all (attention), or plain heads
        on features side by side or combined element by element. A single modality: "concatenation".
    fuse : one of FUSES, how the attention block joins x and y
    points, coordinates, bands, embedding : sizes of the inputs, see `features`
    conv_width, lstm_width : of the branches, one number or a mapping modality -> number
    visual_layers, audio_layers, text_layers : layers of the branches' LSTMs
    width, bins, heads : D, R and h
    planes, base_width : of the attention block
    dropout : of the branches
    lstm_dropout : between LSTM layers
        None: dropout with sub-attention or with one branch other than text, else 0, as the authors.
    head_norm : batch norm in the classifiers; None: for sub-attention of three modalities
    head_widths : None: 256, 128, 64, for text alone 128, 64, 64
        The defaults are the authors' best logged run.

    Raises
    ------
    ValueError
        For unknown names or sizes that cannot be.

    Notes
    -----
    `explain.record(model, "heads.*weights*")` gives the attention a (B, h, C, M, D) as
    heads.attention.fusion.weights1 and, for iaff, weights2: the share of the convolved y against
    the plain x at that feature, 1 is y alone. Fusion "attention" has h = 1 there.
    """

    def __init__(self, modalities=MODALITIES, fusion="sub_attention", fuse="iaff", points=72,
                 coordinates=3, bands=80, embedding=512, conv_width=256, lstm_width=256,
                 visual_layers=4, audio_layers=4, text_layers=2, width=256, bins=32, heads=8,
                 planes=4, base_width=256, dropout=0.7, lstm_dropout=None, head_norm=None,
                 head_widths=None):
        super().__init__()
        self.modalities = modalities = tuple(modalities)
        check_choices(modalities, fusion, fuse)
        self.fusion = fusion
        self.shapes = {"visual": (None, points, coordinates), "audio": (bands, None),
                       "text": (None, embedding)}
        if lstm_dropout is None:
            lstm_dropout = (dropout if fusion == "sub_attention"
                            or modalities in (("visual",), ("audio",)) else 0.0)
        if head_norm is None:
            head_norm = fusion == "sub_attention" and len(modalities) == 3
        if head_widths is None:
            head_widths = (128, 64, 64) if modalities == ("text",) else (256, 128, 64)
        channels = {"visual": points * coordinates, "audio": bands, "text": embedding}
        layers = {"visual": visual_layers, "audio": audio_layers, "text": text_layers}
        conv_widths, lstm_widths = (of_each(modalities, name, value) for name, value in
                                    (("conv_width", conv_width), ("lstm_width", lstm_width)))
        for name in modalities:
            branch = Branch(channels[name], conv_widths[name], lstm_widths[name],
                            layers[name], width, dropout, lstm_dropout,
                            FlatBatchNorm2d if name == "visual" else nn.BatchNorm1d)
            setattr(self, f"{name}_branch", branch)
        attention = None
        if fusion.endswith("attention"):
            with torch.random.fork_rng(devices=[]):             # Heads draws these weights
                attention = SubAttention(heads if fusion == "sub_attention" else 1, planes,
                                         base_width, fuse)
        stacked = attention is not None or fusion == "concatenation"
        self.width = width
        self.heads = Heads(heads, width * len(modalities) if stacked else width, head_widths, bins,
                           head_norm, attention)

    def features(self, visual=None, audio=None, text=None, present=None):
        """What the branches say; a branch runs on the windows that have its modality only.

        Parameters
        ----------
        visual : (B, T, points, coordinates)
        audio : (B, bands, T)
        text : (B, sentences, embedding)
        present : (B, M) bool, None: all that are passed

        Returns
        -------
        (B, M, D), zeros where a modality is missing
        """
        inputs = self.checked({"visual": visual, "audio": audio, "text": text})
        some = next(iter(inputs.values()))
        if present is not None and present.shape != (len(some), len(self.modalities)):
            raise ValueError(f"present is of shape {tuple(present.shape)}; expected (windows, "
                             f"modalities), here ({len(some)}, {len(self.modalities)}).")
        columns = []
        for i, name in enumerate(self.modalities):
            if name not in inputs:
                columns.append(some.new_zeros(len(some), self.width))
                continue
            x, has_it = inputs[name], None if present is None else present[:, i]
            if has_it is None or has_it.all():
                columns.append(self.branch(name, x))
            else:
                column = x.new_zeros(len(x), self.width)
                if has_it.any():
                    vectors = self.branch(name, x[has_it])
                    column = column.to(vectors.dtype).index_put((has_it,), vectors)
                columns.append(column)
        # (B, M, D); under autocast columns of zeros take the branches' type.
        return torch.stack([column.to(columns[-1].dtype) for column in columns], 1)

    def branch(self, name, x):
        """One branch by name on its checked input -> (B, D)."""
        if name == "visual":
            x = x.permute(0, 3, 2, 1).flatten(1, 2)             # (B, coordinates points, T)
        elif name == "text":
            x = x.transpose(1, 2)                               # (B, embedding, sentences)
        return getattr(self, f"{name}_branch")(x)

    def fuse(self, features, present=None):
        """Branch features (B, M, D) -> logits (B, h, R).

        Attention and concatenation see zeros, what a silent ReLU gives, in place of a missing
        modality; mean, median, max, sum and product combine the present ones.

        Parameters
        ----------
        features : (B, M, D)
        present : (B, M) bool, None: all

        Raises
        ------
        ValueError
            For a row that has no modality.
        """
        if present is None:
            present = features.new_ones(features.shape[:2], dtype=torch.bool)
        elif not present.any(1).all():
            raise ValueError(f"window {int((~present.any(1)).nonzero()[0])}: "
                             "all modalities are missing; leave it out.")
        return self.heads(combined(self.fusion, features, present[:, :, None]))

    def forward(self, visual=None, audio=None, text=None, present=None):
        inputs = {"visual": visual, "audio": audio, "text": text}
        passed = [inputs[name] is not None for name in self.modalities]
        if not all(passed):
            some = next((x for x in inputs.values() if x is not None), torch.empty(0))
            passed = torch.tensor(passed, device=some.device)
            # (B, M): the same for every window, or less than what is present in it.
            present = passed.expand(len(some), -1) if present is None else present & passed
        return self.fuse(self.features(**inputs, present=present), present)

    def checked(self, inputs):
        """The modalities that are passed, by name; ValueError for another shape or none at all."""
        inputs = {name: x for name, x in inputs.items() if x is not None}
        if not inputs:
            raise ValueError("no modality is given; "
                             f"pass at least one of {', '.join(self.modalities)}.")
        for name, x in inputs.items():
            if name not in self.modalities:
                raise ValueError(f"{name} is given, but this model has "
                                 f"{', '.join(self.modalities)}.")
            shape = self.shapes[name]
            time = shape.index(None) + 1
            if (x.ndim != len(shape) + 1
                    or any(n not in (None, m) for n, m in zip(shape, x.shape[1:], strict=True))):
                expected = ", ".join(str(n or ("sentences" if name == "text" else "frames"))
                                     for n in shape)
                raise ValueError(f"{name} is of shape {tuple(x.shape)}; "
                                 f"expected (windows, {expected}).")
            if x.shape[time] < 3:
                raise ValueError(f"{name} has {x.shape[time]} steps in time; "
                                 "pooling needs at least 3.")
        if len({len(x) for x in inputs.values()}) > 1:
            raise ValueError(f"{', '.join(f'{name} has {len(x)}' for name, x in inputs.items())} "
                             "windows; give equally many.")
        return inputs


def check_choices(modalities, fusion, fuse):
    """ValueError for names that AAFN does not know."""
    if not modalities or modalities != tuple(name for name in MODALITIES if name in modalities):
        raise ValueError(f"modalities {modalities}: choose some of {', '.join(MODALITIES)}, "
                         "in this order.")
    if fusion not in FUSIONS:
        raise ValueError(f"fusion {fusion!r}: choose one of {', '.join(FUSIONS)}.")
    if fuse not in FUSES:
        raise ValueError(f"fuse {fuse!r}: choose one of {', '.join(FUSES)}.")
    if len(modalities) == 1 and fusion != "concatenation":
        raise ValueError(f"fusion {fusion!r}: {modalities[0]} alone has nothing to fuse with; "
                         "set fusion to concatenation.")


def of_each(modalities, name, value):
    """One number for all modalities, or a mapping that has each of them -> mapping.

    Raises
    ------
    ValueError
        For a mapping that lacks some.
    """
    if not isinstance(value, Mapping):
        return dict.fromkeys(modalities, value)
    lacking = [modality for modality in modalities if modality not in value]
    if lacking:
        raise ValueError(f"{name} is given by modality, but not for {', '.join(lacking)}; "
                         "give a number for each, or one for all.")
    return value


def combined(fusion, features, present):
    """Features of the branches -> what the heads take.

    Parameters
    ----------
    fusion : one of FUSIONS
    features : (B, M, D)
    present : (B, M, 1) bool

    Returns
    -------
    (B, M, D) for attention, (B, M D) for concatenation, else (B, D)
    """
    if fusion == "product":
        return torch.where(present, features, 1).prod(1)
    if fusion == "max":
        return torch.where(present, features, -torch.inf).amax(1)
    zeroed = torch.where(present, features, 0)
    if fusion.endswith("attention"):
        return zeroed
    if fusion == "concatenation":
        return zeroed.flatten(1)                                # (B, M D), side by side
    if fusion == "sum":
        return zeroed.sum(1)
    count = present.sum(1)                                      # (B, 1)
    if fusion == "mean":
        return zeroed.sum(1) / count
    ordered = torch.where(present, features, torch.inf).sort(1).values  # missing ones last
    # The two in the middle, by index (B, 1) -> (B, 1, D) into (B, M, D), each (B, D).
    lower, upper = (ordered.gather(1, (i // 2)[:, None].expand(-1, 1, features.shape[2]))[:, 0]
                    for i in (count - 1, count))
    return lower if fusion == "lower_median" else (lower + upper) / 2
