"""Stand-ins for the authors' files: small seeded networks, saved as their scripts save them. No
real weights are among them.

STA-DRN, CFRAFN, DynMultiDep: the state dictionaries of the golden files, which the authors' code
built with random weights. AAFN: a plain implementation, written from its description alone, whose
layers bear the authors' names.
"""

import copy

import numpy as np
import torch
from torch import nn

WIDTHS = {"visual": (6, 5, 2), "audio": (7, 4, 1), "text": (9, 3, 1)}    # convolution, LSTM, layers


def state_of(golden, name):
    """State dictionary of a golden file and the authors' configuration."""
    arrays, config = golden(name)
    return {key.removeprefix("state/"): torch.as_tensor(value) for key, value in arrays.items() if
            key.startswith("state/")}, config


def save(state, path, prefix=""):
    """A flat state dictionary as `torch.save(net.state_dict(), path)` leaves it; prefix: `module.`
    of a wrapped network.
    """
    torch.save({prefix + key: value for key, value in state.items()}, path)
    return path


class PlainBranch(nn.Module):
    """Convolution, norm, ReLU, pooling by 3, bidirectional LSTM, linear layer, norm, ReLU.

    -> (N, D).
    """

    def __init__(self, sense, features, widths, d):
        super().__init__()
        w, h, layers = widths
        self.sense = sense
        conv = (nn.Conv2d(features, w, (72, 3), padding=(0, 1)) if sense == "visual"
                else nn.Conv1d(features, w, 3, padding=1))
        norm = nn.BatchNorm2d(w) if sense == "visual" else nn.BatchNorm1d(w)
        self.conv = nn.ModuleDict({"conv1": conv, "bn1": norm})
        self.lstm = nn.LSTM(w, h, layers, batch_first=True, bidirectional=True)
        self.fc = nn.ModuleDict({"fc": nn.Linear(2 * h, d), "bnf": nn.BatchNorm1d(d)})

    def forward(self, x):
        if self.sense == "visual":
            x = x.permute(0, 3, 2, 1)                               # (N, T, 72, 3) -> (N, 3, 72, T)
        elif self.sense == "text":
            x = x.transpose(1, 2)                                   # (N, 10, E) -> (N, E, 10)
        x = torch.relu(self.conv["bn1"](self.conv["conv1"](x)))
        x = nn.functional.max_pool1d(x[:, :, 0] if self.sense == "visual" else x, 3)
        x = self.lstm(x.transpose(1, 2))[0][:, -1]
        return torch.relu(self.fc["bnf"](self.fc["fc"](x)))


class PlainFusion(nn.Module):
    """iAFF: y and x by two attention maps; the second one takes the first global map again."""

    def __init__(self, c):
        super().__init__()
        m = c // 4

        def layers():
            return [nn.Conv2d(c, m, 1), nn.BatchNorm2d(m), nn.ReLU(), nn.Conv2d(m, c, 1),
                    nn.BatchNorm2d(c)]

        self.local_att, self.local_att2 = nn.Sequential(*layers()), nn.Sequential(*layers())
        self.global_att, self.global_att2 = (nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers())
                                             for _ in range(2))

    def forward(self, y, x):
        a = torch.sigmoid(self.local_att(y + x) + self.global_att(y + x))
        v = y * a + x * (1 - a)
        a = torch.sigmoid(self.local_att2(v) + self.global_att(v))
        return y * a + x * (1 - a)


class PlainAttention(nn.Module):
    """Sub-attention of one head. (N, 1, M, D) -> the same shape."""

    def __init__(self, planes, base_width):
        super().__init__()
        w, c = planes * base_width // 64, 16 * planes
        sizes = ((1, w, 1), (w, w, 3), (w, c, 1), (c, w, 3), (w, 1, 1))
        for number, (n_in, n_out, kernel) in enumerate(sizes, 1):
            setattr(self, f"conv{number}",
                    nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(n_out))
        self.fuse_mode = PlainFusion(c)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        z = torch.relu(self.fuse_mode(self.bn3(self.conv3(y)), x))
        z = torch.relu(self.bn4(self.conv4(z)))
        return torch.relu(self.bn5(self.conv5(z)))


class PlainHead(nn.Module):
    """One item: attention if wanted, then 256, 128, 64 and the bins, with norms if wanted.

    -> (N, R).
    """

    def __init__(self, n, bins, attention, norms):
        super().__init__()
        if attention:
            self.attention = PlainAttention(*attention)
        for number, (n_in, n_out) in enumerate(((n, 256), (256, 128), (128, 64), (64, bins)), 1):
            setattr(self, f"layer{number}", nn.Linear(n_in, n_out))
            if norms and number < 4:
                setattr(self, f"bn{number}", nn.BatchNorm1d(n_out))

    def forward(self, x):
        if hasattr(self, "attention"):
            x = self.attention(x)
        x = x.flatten(1)
        for number in (1, 2, 3):
            x = getattr(self, f"layer{number}")(x)
            x = torch.relu(getattr(self, f"bn{number}")(x) if hasattr(self, f"bn{number}") else x)
        return torch.softmax(self.layer4(x), 1)


class PlainAAFN:
    """The networks of an AAFN in eval mode, by the authors' names; called with inputs by sense ->
    (N, 8, R) probabilities.

    attention: (planes, base width), or None: features side by side, or their median as torch.median
    has it.
    """

    def __init__(self, senses=("visual", "audio", "text"), attention=(1, 128),
                 combined="concatenation", widths=WIDTHS, features=None, d=8, bins=32, seed=3):
        torch.manual_seed(seed)
        features = {"visual": 3, "audio": 80, "text": 512} | (features or {})
        self.senses, self.attention, self.combined = senses, attention, combined
        self.nets = {f"{s}_net": PlainBranch(s, features[s], widths[s], d) for s in senses}
        n = d if combined == "median" else d * len(senses)
        norms = attention and len(senses) == 3
        heads = nn.ModuleList([PlainHead(n, bins, attention, norms) for _ in range(8)])
        self.nets["evaluator"] = nn.ModuleDict({"evaluator": heads})
        for net in self.nets.values():
            net.eval()
            for module in net.modules():
                # large, so that answers differ
                if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
                    module.weight.data *= 2
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    nn.init.normal_(module.running_mean, 0, 0.2), nn.init.uniform_(
                        module.running_var, 0.5, 1.5)
                    nn.init.uniform_(module.weight, 0.5, 1.5), nn.init.normal_(module.bias, 0, 0.2)

    @torch.inference_mode()
    def __call__(self, **inputs):
        x = torch.stack([self.nets[f"{s}_net"](inputs[s]) for s in self.senses], 1)      # (N, M, D)
        x = x[:, None] if self.attention else x.median(1).values if self.combined == "median" else x
        return torch.stack([head(x) for head in self.nets["evaluator"]["evaluator"]], 1)

    def state(self, prefix=""):
        """What the authors' training script saves: networks, optimiser, and the best score as a
        NumPy number.
        """
        optimiser = torch.optim.Adam([p for net in self.nets.values() for p in net.parameters()])
        nets = {name: {prefix + key: value
                       for key, value in copy.deepcopy(net.state_dict()).items()}
                for name, net in self.nets.items()}
        return {"epoch": 9, **nets, "optimizer": optimiser.state_dict(),
                "best_f1_score": np.float64(0.6444)}

    def inputs(self, windows=4, frames=31, embedding=512):
        drawn = torch.Generator().manual_seed(5)
        shapes = {"visual": (frames, 72, 3), "audio": (80, frames), "text": (10, embedding)}
        return {s: torch.randn(windows, *shapes[s], generator=drawn) for s in self.senses}
