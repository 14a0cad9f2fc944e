"""CFRAFN: cross-feature residual attention fusion network, and its baselines.

JBHI 2026, doi 10.1109/JBHI.2026.3677472. Two descriptions of one recording, 88 eGeMAPS functionals
and a mean VGGish embedding of 128, pass a residual branch each; a gate weighs the branches against
each other, and a small classifier says how likely depression is.

Symbols: B recordings, d transformed width, h = d // 2, c convolution width, x expansion,
k kernel size, q classifier width; e and v: what the eGeMAPS and the VGGish branch say,
alpha: the gate's weight of e.

Follows the code of the authors' repository at commit 9d15a26; the paper's text was not at hand.
Where we differ from it:
- logits come out, not probabilities (apply a sigmoid);
- the feature weights are a buffer, so that our checkpoints hold them; the released checkpoint does
  not, although the model is another one without them. Which weight belongs on which column:
  `depnb.features.importance`. The table always comes in openSMILE's order; a first layer that was
  trained on columns in another order is rearranged (`column_order`);
- its convolutions run over a sequence of length 1, where only the middle tap of a kernel ever
  meets data. We multiply by that tap alone: same results, same parameters. In the published
  checkpoint 27 % of all parameters are such idle taps.
The "attention" is one number per recording, and its score is divided by 10, so that it stays near
0.5.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

FUSIONS = ("gate", "equal", "concatenation", "egemaps", "vggish")


class LengthOneConv(nn.Conv1d):
    """Convolution over a zero-padded sequence of length 1: its middle tap. (B, in) -> (B, out)."""

    def forward(self, x):
        return F.linear(x, self.weight[:, :, self.kernel_size[0] // 2], self.bias)


class ResidualMLP(nn.Module):
    """z + Dropout(W2 GELU(W1 z)). (B, d) -> (B, d)."""

    def __init__(self, d, expansion, dropout):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(d, expansion * d), nn.GELU(),
                                 nn.Linear(expansion * d, d), nn.Dropout(dropout))

    def forward(self, z):
        return z + self.mlp(z)


class ResidualConv(nn.Module):
    """ReLU(BN(conv(ReLU(BN(conv(z))))) + shortcut(z)). (B, d) -> (B, c)."""

    def __init__(self, d, c, k):
        super().__init__()
        self.conv = nn.Sequential(LengthOneConv(d, c, k), nn.BatchNorm1d(c), nn.ReLU(),
                                  LengthOneConv(c, c, k), nn.BatchNorm1d(c))
        same = d == c
        self.shortcut = (nn.Identity() if same else
                         nn.Sequential(LengthOneConv(d, c, 1, bias=False), nn.BatchNorm1d(c)))

    def forward(self, z):
        return F.relu(self.conv(z) + self.shortcut(z))


class Gate(nn.Module):
    """alpha = sigmoid(score([e ; v]) / temperature). (B, h), (B, h) -> (B, 1).

    fixed: None, or the alpha that every recording gets whatever the score says. May be set on a
    trained model.
    """

    def __init__(self, h, temperature, fixed=None):
        super().__init__()
        self.score = nn.Linear(2 * h, 1)
        self.temperature = temperature
        self.fixed = fixed

    def forward(self, e, v):
        score = self.score(torch.cat((e, v), 1))                # (B, 2 h) -> (B, 1)
        alpha = torch.sigmoid(score / self.temperature)
        return alpha if self.fixed is None else torch.full_like(alpha, self.fixed)


class CFRAFN(nn.Module):
    """eGeMAPS (B, 88), raw, and VGGish (B, 128), 0..255, -> logits (B,) of depression.

    Parameters
    ----------
    egemaps_features, vggish_features : columns of the inputs
    transformed_width, conv_width, expansion, classifier_width : d, c, x, q
    kernel_size : k, odd
    dropout, gate_temperature : the authors' score of the gate is divided by 10
    feature_weights : (egemaps_features,), None: ones
        What the eGeMAPS columns are multiplied by, in the order of the columns; not trained.
    fusion : one of FUSIONS
        The released gate, alpha fixed at 0.5, both branches side by side, or one branch alone (the
        other is not built).
    column_order : see `read_columns_in`; None: the order of the table
        The defaults are code/main.py of the authors at 9d15a26.

    Raises
    ------
    ValueError
        For an unknown fusion, an even kernel, weights of another length or an order that is none.

    Notes
    -----
    `explain.record(model, "gate")` gives alpha (B, 1); "egemaps_net" gives e and "vggish_net" v,
    (B, h).
    """

    def __init__(self, egemaps_features=88, vggish_features=128, transformed_width=256,
                 conv_width=128, expansion=2, kernel_size=3, classifier_width=128, dropout=0.1,
                 gate_temperature=10.0, feature_weights=None, fusion="gate", column_order=None):
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"fusion {fusion!r}: choose one of {', '.join(FUSIONS)}.")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {kernel_size} is even; "
                             "choose an odd one, whose middle tap meets the data.")
        if not gate_temperature > 0:
            raise ValueError(f"gate_temperature {gate_temperature}: "
                             "expected a positive number (the authors use 10).")
        self.fusion = fusion
        self.features = egemaps_features, vggish_features
        d, h = transformed_width, transformed_width // 2
        self.layer_norm = nn.LayerNorm(d)                       # one for both branches, as released
        if fusion != "vggish":
            self.register_buffer("feature_weights",
                                 torch.ones(egemaps_features) if feature_weights is None
                                 else checked_weights(feature_weights, egemaps_features))
            self.egemaps_transform = nn.Linear(egemaps_features, d)
            self.egemaps_net = nn.Sequential(ResidualMLP(d, expansion, dropout), nn.Linear(d, h))
        if fusion != "egemaps":
            self.vggish_transform = nn.Linear(vggish_features, d)
            self.vggish_net = nn.Sequential(ResidualConv(d, conv_width, kernel_size),
                                            nn.Linear(conv_width, h))
        if fusion in ("gate", "equal"):
            self.gate = Gate(h, gate_temperature, 0.5 if fusion == "equal" else None)
        fused = 2 * h if fusion == "concatenation" else h
        self.classifier = nn.Sequential(nn.Linear(fused, classifier_width), nn.ReLU(),
                                        nn.Linear(classifier_width, 1))
        if column_order is not None and fusion != "vggish":
            self.read_columns_in(column_order)

    def read_columns_in(self, order):
        """Let input i of the first layer be column order[i] of the table, by moving its weights.

        For a first layer that was trained on columns in another order than the table's, as that of
        `depnb.features.importance.list_order`. Table and feature_weights keep the order of the
        table, and so does the layer from now on: a checkpoint of ours needs no further word about
        it.

        Parameters
        ----------
        order : (egemaps_features,) whole numbers, each column once

        Returns
        -------
        The model itself

        Raises
        ------
        ValueError
            For numbers that are no such order.
        """
        weight, order = self.egemaps_transform.weight, torch.as_tensor(order)
        if sorted(order.tolist()) != list(range(weight.shape[1])):
            raise ValueError(f"column_order: expected every number from 0 to {weight.shape[1] - 1} "
                             "once, one a column of the eGeMAPS table.")
        with torch.no_grad():
            weight.copy_(weight[:, order.argsort()])            # inverse of the permutation
        return self

    def egemaps_branch(self, egemaps):
        weighted = checked("egemaps", egemaps, self.features[0]) * self.feature_weights  # (B, 88)
        return self.egemaps_net(self.layer_norm(self.egemaps_transform(weighted)))  # e: (B, h)

    def vggish_branch(self, vggish):
        vggish = checked("vggish", vggish, self.features[1])    # (B, 128)
        return self.vggish_net(self.layer_norm(self.vggish_transform(vggish)))  # v: (B, h)

    def forward_features(self, egemaps=None, vggish=None):
        """What the classifier sees: (B, h), or (B, 2 h) for fusion "concatenation"."""
        if self.fusion == "egemaps":
            return self.egemaps_branch(egemaps)
        if self.fusion == "vggish":
            return self.vggish_branch(vggish)
        e, v = self.egemaps_branch(egemaps), self.vggish_branch(vggish)
        if self.fusion == "concatenation":
            return torch.cat((e, v), 1)                         # (B, 2 h)
        alpha = self.gate(e, v)                                 # (B, 1)
        return alpha * e + (1 - alpha) * v

    def forward(self, egemaps=None, vggish=None):
        return self.classifier(self.forward_features(egemaps, vggish))[:, 0]


class FeatureFusionFCNN(nn.Module):
    """Baseline: both inputs side by side through four layers. (B, n1), (B, n2) -> logits (B,)."""

    def __init__(self, egemaps_features=88, vggish_features=128, width=256, dropout=0.5):
        super().__init__()
        self.features = egemaps_features, vggish_features
        self.layers = nn.Sequential(*hidden(egemaps_features + vggish_features, *[width] * 4,
                                            dropout=dropout), nn.Linear(width, 1))

    def forward(self, egemaps, vggish):
        pair = (checked("egemaps", egemaps, self.features[0]),
                checked("vggish", vggish, self.features[1]))
        return self.layers(torch.cat(pair, 1))[:, 0]            # (B, n1 + n2) -> (B,)


class LayerFusionFCNN(nn.Module):
    """Baseline: two layers per input, then two more on both. (B, n1), (B, n2) -> logits (B,)."""

    def __init__(self, egemaps_features=88, vggish_features=128, width=256, dropout=0.5):
        super().__init__()
        self.features = egemaps_features, vggish_features
        self.egemaps_layers = nn.Sequential(*hidden(egemaps_features, width, width,
                                                    dropout=dropout))
        self.vggish_layers = nn.Sequential(*hidden(vggish_features, width, width, dropout=dropout))
        self.fusion_layers = nn.Sequential(*hidden(2 * width, width, width, dropout=dropout),
                                           nn.Linear(width, 1))

    def forward(self, egemaps, vggish):
        e = self.egemaps_layers(checked("egemaps", egemaps, self.features[0]))  # (B, width)
        v = self.vggish_layers(checked("vggish", vggish, self.features[1]))
        return self.fusion_layers(torch.cat((e, v), 1))[:, 0]   # (B, 2 width) -> (B,)


class DualCNN(nn.Module):
    """Baseline: each input as a signal through three convolutions. (B, n1), (B, n2) -> logits (B,).

    Neighbouring functionals are no neighbours in time or frequency: that the order of the columns
    matters is a property of this baseline.
    """

    def __init__(self, egemaps_features=88, vggish_features=128, width=256, dropout=0.5):
        super().__init__()
        self.features = egemaps_features, vggish_features
        self.egemaps_branch = self.branch(egemaps_features, width // 2, dropout)
        self.vggish_branch = self.branch(vggish_features, width // 2, dropout)
        self.joint_tuning = nn.Sequential(*hidden(2 * (width // 2), *[width] * 3, dropout=dropout),
                                          nn.Linear(width, 1))

    @staticmethod
    def branch(features, width, dropout):
        layers = []
        for channels in pairwise((1, 32, 64, 128)):
            # halves, floor
            layers += [nn.Conv1d(*channels, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2)]
        return nn.Sequential(nn.Sequential(*layers), nn.Flatten(),
                             *hidden(128 * (features // 8), width, dropout=dropout))

    def forward(self, egemaps, vggish):
        # (B, 1, n1) and (B, 1, n2), signals of one channel -> (B, width // 2) each.
        e = self.egemaps_branch(checked("egemaps", egemaps, self.features[0])[:, None])
        v = self.vggish_branch(checked("vggish", vggish, self.features[1])[:, None])
        return self.joint_tuning(torch.cat((e, v), 1))[:, 0]    # (B, 2 (width // 2)) -> (B,)


BASELINES = {"feature_fusion": FeatureFusionFCNN, "layer_fusion": LayerFusionFCNN,
             "dual_cnn": DualCNN}


def build(model="cfrafn", dropout=0.1, **sizes):
    """CFRAFN or one of the BASELINES by name.

    Parameters
    ----------
    model : "cfrafn" or a name of BASELINES
    dropout, sizes : arguments of CFRAFN; a baseline has its own, as released

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if model in BASELINES:
        return BASELINES[model]()                               # dropout 0.5, as released
    if model != "cfrafn":
        raise ValueError(f"model {model!r}: choose cfrafn, {', '.join(BASELINES)}.")
    return CFRAFN(dropout=dropout, **sizes)


def hidden(*widths, dropout):
    """Fully connected layers from width to width, each with ReLU and dropout -> list of modules."""
    return [layer for pair in pairwise(widths)
            for layer in (nn.Linear(*pair), nn.ReLU(), nn.Dropout(dropout))]


def checked(name, x, width):
    """The input, if it is (B, width); else ValueError."""
    if x is None or x.ndim != 2 or x.shape[1] != width:
        actual = "missing" if x is None else f"of shape {tuple(x.shape)}"
        raise ValueError(f"{name} is {actual}; expected (recordings, {width}) features, "
                         "as in training.")
    return x


def checked_weights(weights, features):
    """Feature weights as a float32 tensor (features,) of its own; ValueError for other shapes."""
    weights = torch.as_tensor(weights, dtype=torch.float32).detach().clone()
    if weights.shape != (features,) or not weights.isfinite().all():
        raise ValueError(f"feature_weights have shape {tuple(weights.shape)}; "
                         f"expected {features} finite numbers, one a column of the eGeMAPS table.")
    return weights
