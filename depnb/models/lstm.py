"""A bidirectional LSTM of which only the output at the last frame is used.

Hochreiter & Schmidhuber 1997. At the last frame the forward direction of the top layer has seen
everything, its backward direction one frame. So that direction runs one step here instead of T.
Same parameters, drawn in the same order, and the same result as
`nn.LSTM(..., bidirectional=True)(x)[0][:, -1]`; the top layer's backward `weight_hh` meets only
the zero state, as there.

Symbols: B recordings, T frames, n input features, H hidden size of a direction.
"""

from contextlib import nullcontext

import torch
from torch import nn


class LastFrameLSTM(nn.Module):
    """Stacked bidirectional LSTM, its output at the last frame. (B, T, n) -> (B, 2 H).

    The forward direction comes first, then the backward one. dropout acts on the output of every
    layer but the top one, while training. The parts are PyTorch's own LSTMs, which bring their
    fused kernels: `lower` (absent for one layer), `top` and `top_reverse`.
    """

    def __init__(self, features, hidden, layers=1, dropout=0.0):
        super().__init__()
        below = layers - 1
        if below:
            self.lower = nn.LSTM(features, hidden, below, batch_first=True, bidirectional=True,
                                 dropout=dropout if below > 1 else 0.0)
        self.dropout = nn.Dropout(dropout if below else 0.0)
        self.top = nn.LSTM(2 * hidden if below else features, hidden, batch_first=True)
        self.top_reverse = nn.LSTM(2 * hidden if below else features, hidden, batch_first=True)

    def forward(self, x):
        # PyTorch's bfloat16 LSTM needs instructions that many processors lack
        if x.device.type == "cpu":
            x = x.to(self.top.weight_ih_l0.dtype)
        with torch.autocast("cpu", enabled=False), differentiable(self.training):
            if hasattr(self, "lower"):
                x = self.dropout(self.lower(x)[0])              # (B, T, 2 H)
            seen_all = self.top(x)[0][:, -1]                    # (B, H)
            seen_one = self.top_reverse(x[:, -1:])[0][:, -1]    # (B, H)
        return torch.cat((seen_all, seen_one), 1)               # (B, 2 H)


def differentiable(training):
    """Without cuDNN where gradients are asked for in evaluation: it has none there."""
    cudnn = torch.backends.cudnn
    if training or not torch.is_grad_enabled():
        return nullcontext()
    return cudnn.flags(enabled=False, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic,
                       allow_tf32=cudnn.allow_tf32)


def from_torch(state, prefix=""):
    """Entries of a bidirectional `nn.LSTM` under our names.

    Parameters
    ----------
    state : mapping with keys `<prefix>weight_ih_l0` …
    prefix : entries that do not begin with it stay as they are

    Returns
    -------
    dict
    """
    top = max((int(key.split("_l")[-1].split("_")[0]) for key in state
               if key.startswith(f"{prefix}weight_hh_l")), default=0)
    renamed = {}
    for key, value in state.items():
        name = key.removeprefix(prefix) if key.startswith(prefix) else ""
        if name.endswith(f"_l{top}_reverse"):
            key = f"{prefix}top_reverse.{name.removesuffix(f'_l{top}_reverse')}_l0"
        elif name.endswith(f"_l{top}"):
            key = f"{prefix}top.{name.removesuffix(f'_l{top}')}_l0"
        elif name:
            key = f"{prefix}lower.{name}"
        renamed[key] = value
    return renamed
