"""STA-DRN: spatial-temporal attention depression recognition network (Pan et al. 2024).

A 3-D residual network for a clip of aligned face crops. In every bottleneck unit the middle
convolution is a grouped convolution whose output is weighted by temporal attention, spatial
attention, or both.

Symbols: N clips, C channels, T frames, H and W pixels, k groups of C/k channels, F base width.

Four variants (in the released code: tanet, sanet, stanet, stanet_af):
    temporal          weights over frames             z_t A_t
    spatial           weights over positions          z_s A_s
    sum               both modules, outputs added     z_s A_s + z_t A_t
    attention_fusion  the paper's main model          (z_s + z_t) A_s A_t

The softmax of an attention map runs over the k groups, not over frames or positions, as in the
released code: for every frame and position the k weights of a channel add up to one, and their mean
is the constant 1/k.

Differs from the released code in speed only: a fused variant computes its two feature convolutions
as one, and A_s A_t is never stored. Parameters, their names, their order of initialisation and all
results are the same.
"""

import torch
import torch.nn.functional as F
from torch import nn

VARIANTS = ("temporal", "spatial", "sum", "attention_fusion")


class Share(nn.Module):
    """Softmax over the k groups (sigmoid if k = 1). (N, C, …) -> the same.

    A module, so that it can be recorded.
    """

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, a):
        grouped = a.unflatten(1, (self.k, -1))                  # (N, k, C/k, …)
        weights = grouped.softmax(1) if self.k > 1 else grouped.sigmoid()
        return weights.flatten(1, 2)                            # (N, C, …)


class Branch(nn.Module):
    """Feature path and attention of one kind.

    z = ReLU(BN(grouped conv(x))), A = softmax over groups(conv(mean of z)).
    """

    def __init__(self, channels, k, stride, pooled_axes):
        super().__init__()
        # (3, 4): mean over H, W -> weights over T; (2,): the reverse
        self.pooled_axes = pooled_axes
        self.group_conv = nn.Conv3d(channels, channels, 3, stride, padding=1, groups=k)
        self.fc = nn.Conv3d(channels, channels, 1, groups=k)
        self.bn = nn.BatchNorm3d(channels)
        self.share = Share(k)

    def features(self, x):
        return F.relu(self.bn(self.group_conv(x)), inplace=True)  # z: (N, C, T, H, W)

    def attention(self, z):
        # A: (N, C, T, 1, 1) or (N, C, 1, H, W)
        return self.share(self.fc(z.mean(self.pooled_axes, keepdim=True)))


class Attention(nn.Module):
    """The grouped attention module in the middle of a unit.

    (N, C, T, H, W) -> the same, divided by the stride.
    """

    def __init__(self, channels, k, stride, variant):
        super().__init__()
        self.variant = variant
        if variant != "spatial":
            self.temporal = Branch(channels, k, stride, pooled_axes=(3, 4))
        if variant != "temporal":
            self.spatial = Branch(channels, k, stride, pooled_axes=(2,))

    def forward(self, x):
        if self.variant in ("temporal", "spatial"):
            branch = getattr(self, self.variant)
            z = branch.features(x)
            return z * branch.attention(z)
        z_t, z_s = paired_features(self.temporal, self.spatial, x)
        a_t, a_s = self.temporal.attention(z_t), self.spatial.attention(z_s)
        if self.variant == "sum":
            return z_s * a_s + z_t * a_t
        return (z_s + z_t) * a_t * a_s


def paired_features(temporal, spatial, x):
    """`features` of two branches that read the same x, from one grouped convolution instead of two.

    Group g of the joint convolution holds group g of both branches, so each value is the sum it was
    before.

    Parameters
    ----------
    x : (N, C, T, H, W)

    Returns
    -------
    z_t, z_s : (N, C, T, H, W), divided by the stride
    """
    t, s = temporal.group_conv, spatial.group_conv
    k = temporal.share.k

    def interleave(a, b):  # (C, …), (C, …) -> (2C, …), by group
        a, b = a.unflatten(0, (k, -1)), b.unflatten(0, (k, -1))  # (k, C/k, …) each
        return torch.stack((a, b), 1).flatten(0, 2)             # (k, 2, C/k, …) -> (2C, …)

    z = F.conv3d(x, interleave(t.weight, s.weight), interleave(t.bias, s.bias), t.stride, t.padding,
                 groups=k)
    z = z.unflatten(1, (k, 2, -1))                              # (N, k, 2, C/k, T, H, W)
    z_t, z_s = z[:, :, 0].flatten(1, 2), z[:, :, 1].flatten(1, 2)  # (N, C, T, H, W) each
    return F.relu(temporal.bn(z_t), inplace=True), F.relu(spatial.bn(z_s), inplace=True)


class Unit(nn.Module):
    """Bottleneck: 1x1x1 convolution, attention module, 1x1x1 convolution, shortcut."""

    def __init__(self, in_channels, width, out_channels, k, stride, variant, shortcut):
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = Attention(width, k, stride, variant)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.downsample = shortcut

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class STADRN(nn.Module):
    """Clips (N, C, T, H, W), normalised, -> scores (N, outputs), linear.

    Parameters
    ----------
    variant : one of VARIANTS
    k : groups of every attention module
    units : per stage, multiplied by k as in the released code (so k changes the depth too)
    features : base width F
    stem_features : channels of the stem (64 in the released code, whatever F is)
    width_multiplier, width_per_group : the released `groups`, `width_per_group`
        The defaults are the released size.

    Raises
    ------
    ValueError
        For an unknown variant or a width that k does not divide.
    """

    def __init__(self, variant="attention_fusion", k=2, units=(2, 2, 2, 2), features=16,
                 stem_features=64, in_channels=3, outputs=1, dropout=0.0, width_multiplier=1,
                 width_per_group=64):
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant {variant!r}: choose one of {', '.join(VARIANTS)}.")
        self.conv_1 = nn.Conv3d(in_channels, stem_features, 7, stride=(1, 2, 2), padding=3,
                                bias=False)
        self.bn1 = nn.BatchNorm3d(stem_features)
        self.pool = nn.MaxPool3d(3, stride=(1, 2, 2), padding=1)
        channels = stem_features
        for stage, count in enumerate(units):
            planes = features * 2**stage
            width = int(planes * width_per_group / 64) * width_multiplier
            if width % k:
                raise ValueError(f"k={k} does not divide the width {width} of stage {stage + 1}; "
                                 f"choose another k, or features that are a multiple of it.")
            stride = 2 if stage else 1
            shortcut = None
            if stride != 1 or channels != 4 * planes:
                shortcut = nn.Sequential(nn.Conv3d(channels, 4 * planes, 3, stride, padding=1,
                                                   bias=False), nn.BatchNorm3d(4 * planes))
            stack = []
            for unit in range(count * k):
                first = unit == 0
                stack.append(Unit(channels, width, 4 * planes, k, stride if first else 1, variant,
                                  shortcut if first else None))
                channels = 4 * planes
            setattr(self, f"layer_{stage + 1}", nn.Sequential(*stack))
        self.stages = len(units)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):                   # He et al. 2015, fan out
                fan_out = module.out_channels * module.weight[0, 0].numel()
                nn.init.normal_(module.weight, 0, (2 / fan_out) ** 0.5)

    def forward_features(self, clips):
        """Clips (N, C, T, H, W) -> embedding (N, 32 F), a mean over what is left of T, H, W."""
        x = self.pool(F.relu(self.bn1(self.conv_1(clips)), inplace=True))  # (N, 64, T, H/4, W/4)
        for stage in range(self.stages):  # T, H, W halve in each stage but the first
            x = getattr(self, f"layer_{stage + 1}")(x)
        return x.mean((2, 3, 4))

    def forward(self, clips):
        return self.fc(self.dropout(self.forward_features(clips)))


def evaluation_clips(frames, length):
    """Clips that cover a video evenly, by the released rule.

    Shorter videos repeat frames; longer ones give ceil(frames / length) clips with even overlap.

    Parameters
    ----------
    frames : how many are left after subsampling
    length : frames of a clip

    Returns
    -------
    Frame indices (clips, length)
    """
    if frames <= length:
        return [[i * frames // length for i in range(length)]]
    clips = -(-frames // length)
    return [list(range(start, start + length))
            for start in (i * (frames - length) // (clips - 1) for i in range(clips))]


def training_clip(frames, length, rng, last_start=True):
    """One random clip.

    Parameters
    ----------
    frames : how many are left after subsampling
    length : frames of a clip
    rng : NumPy Generator or RandomState
    last_start : also draw the last possible start, which the released code never does

    Returns
    -------
    Frame indices (length,)
    """
    if frames <= length:
        return evaluation_clips(frames, length)[0]
    draw = rng.integers if hasattr(rng, "integers") else rng.randint
    start = int(draw(0, frames - length + bool(last_start)))
    return list(range(start, start + length))


def score_of_video(clip_scores, chunk=None):
    """Score of a video: the plain mean of its clips' scores, or the authors' mean of chunk means.

    Parameters
    ----------
    clip_scores : (clips,)
    chunk : clips of a chunk: 5 in the authors' validation, 10 in their test
        Clips of an incomplete last chunk weigh more.
    """
    scores = torch.as_tensor(clip_scores, dtype=torch.float64)
    chunks = scores.split(chunk or len(scores))
    return float(torch.stack([c.mean() for c in chunks]).mean())  # of (chunks,)


def released_loss(outputs, targets):
    """Loss of the newer released script: MSE + smooth L1 on targets in 0..1. (N,), (N,) -> scalar.

    The script divides it by 10, the number of batches it accumulates. Where every error is below 1
    this is 1.5 MSE: the smooth L1 adds nothing.
    """
    return F.mse_loss(outputs, targets) + F.smooth_l1_loss(outputs, targets)
