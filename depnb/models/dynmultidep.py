"""DynMultiDep: two encoders of long sequences and gates between them.

J. Imaging 2026, 12(1), 29, doi 10.3390/jimaging12010029. A vlog is one row of acoustic and one of
visual features a second. Each modality passes layers of temporal experts; the sequences are pooled
over time, a gate weighs the modalities, and a small classifier says how likely depression is.

The authors' code is 3166074787/DynMultiDep at 5fd29e3, put online on 2025-04-06 and withdrawn on
2025-04-13; the paper was submitted nearly eight months later. Most of it comes from DepMamba
(Ye, Zhang and Shan 2025; Jiaxin-Ye/DepMamba at 6e96fd2).

Symbols: b vlogs, t frames, d width, e = expansion * d inner width, n state size,
r rank of the step, w convolution width; u: convolved stream, delta: raw step, A, B, C, D: state
space, z: output gate; a, v: pooled audio and visual vectors.

Variants:
- "released": that code with the input split repaired (theirs cuts the features in half and cannot
  run on either corpus; DepMamba's split is right). Its "experts" are one bidirectional Mamba a
  modality, its only gate the one between modalities. Left out: a convolution that is never used,
  35 % of the parameters they store (from DepMamba).
- "paper": what the abstract names and that code lacks: a Mamba expert for trends and a
  local-window Transformer for events, a router between them, and a second gate between ways of
  fusing. We saw no public code of it, so all of it is our reading, marked as such. With
  experts="long" and fusion_gate="none" it is the released model, weight for weight (drawn afresh,
  only its backward steps start otherwise, see Direction).

As released, and in DepMamba, padded frames run through the scans, so that a result depends on the
longest vlog of the batch; mask_scan=True ends that. A frame is padding because the mask says so,
never because its features sum to zero.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from depnb.models.selective_scan import selective_scan

MODALITIES = ("audio", "visual")
CHOICES = {"variant": ("released", "paper"), "modalities": ("both", "acoustic", "visual"),
           "directions": ("both", "forward"), "gate": ("hard", "soft", "mean"),
           "experts": ("both", "long", "short"), "router_level": ("frame", "sequence"),
           "fusion_gate": ("hard", "soft", "none")}
NO_STEP = -1e4  # a raw step whose softplus is 0: the state stays as it is


class Transition(nn.Module):
    """A = -exp(A_log) of every direction: () -> (directions, e, n).

    At the start A = -1 ... -n in every channel.
    """

    def __init__(self, directions, e, n):
        super().__init__()
        self.A_log = nn.Parameter(torch.arange(1.0, n + 1).log().repeat(directions, e, 1))

    def forward(self):
        return -self.A_log.exp()                                # (directions, e, n)


class Direction(nn.Module):
    """One direction of a block: causal convolution, step, B and C from the input, scan, gate.

    Backwards, the convolution looks ahead and the scan starts at the last frame: nothing is turned
    round. small_steps: draw the first steps from 0.001 to 0.1, as Mamba does; else PyTorch's
    default, steps of 0.58 to 0.83, as Vision Mamba, DepMamba and the released model have it
    backwards.
    """

    def __init__(self, e, n, r, w, conv_bias, reverse, small_steps):
        super().__init__()
        self.conv = nn.Conv1d(e, e, w, groups=e, bias=conv_bias)
        self.x_proj = nn.Linear(e, r + 2 * n, bias=False)
        self.dt_proj = nn.Linear(r, e)
        self.D = nn.Parameter(torch.ones(e))
        self.sizes, self.reverse = (r, n, n), reverse
        if small_steps:
            step = torch.exp(torch.empty(e).uniform_(math.log(0.001), math.log(0.1)))
            # softplus of it is the step
            self.dt_proj.bias.data = step + torch.log(-torch.expm1(-step))

    def forward(self, x, z, A, real=None):
        """The output of the scan, already times silu(z).

        Parameters
        ----------
        x, z : (b, e, t)
        A : (e, n)
        real : (b, t) bool, frames that take part; None: all

        Returns
        -------
        (b, e, t)
        """
        t, (w,) = x.shape[2], self.conv.kernel_size
        taps = self.conv.weight[:, 0].T[..., None]              # (w, e, 1)
        x = F.pad(x, (0, w - 1) if self.reverse else (w - 1, 0))
        taps = taps.flip(0) if self.reverse else taps
        # PyTorch's convolution takes 3 to 8 times as long.
        u = sum(taps[k] * x[:, :, k:k + t] for k in range(w))
        u = F.silu(u if self.conv.bias is None else u + self.conv.bias[:, None])
        step, B, C = (self.x_proj.weight @ u).split(self.sizes, 1)  # (b, r, t), (b, n, t) twice
        delta = self.dt_proj.weight @ step                      # (b, e, t), its bias: in the scan
        if real is not None:
            delta = delta.masked_fill(~real[:, None], NO_STEP)
        return selective_scan(u, delta, A, B, C, self.D, z, self.dt_proj.bias, delta_softplus=True,
                              reverse=self.reverse)

    def multiply_adds(self, x, *_):
        """Of the convolution and the scan, which PyTorch does not count. x (b, e, t) -> int.

        Three a channel, state and step.
        """
        b, e, t = x.shape
        return b * e * t * (self.conv.kernel_size[0] + 3 * self.sizes[1])


class BiMamba(nn.Module):
    """Mamba block of one sequence, scanned from both ends, or from the start. Keeps (b, t, d).

    Both directions share the projections in and out and the gate z; their outputs are averaged, or
    summed. own_transition: False if A is given to `forward`, because several blocks share it.
    step_rank 0: ceil(width / 16). small_steps: of the backward direction (see Direction).
    `explain.record(model, "*forward_scan")`: output of a direction.
    """

    def __init__(self, width, state_size=12, expansion=4, conv_width=4, step_rank=0,
                 directions="both", average_directions=True, projection_bias=False, conv_bias=True,
                 own_transition=True, small_steps=True):
        super().__init__()
        e, r = int(expansion * width), step_rank or math.ceil(width / 16)
        self.in_proj = nn.Linear(width, 2 * e, bias=projection_bias)
        self.forward_scan = Direction(e, state_size, r, conv_width, conv_bias, False, True)
        self.backward_scan = (Direction(e, state_size, r, conv_width, conv_bias, True, small_steps)
                              if directions == "both" else None)
        self.out_proj = nn.Linear(e, width, bias=projection_bias)
        self.transition = (Transition(1 + (directions == "both"), e, state_size) if own_transition
                           else None)
        self.average = average_directions

    def forward(self, x, A=None, real=None):
        """The block's output, (b, t, d).

        Parameters
        ----------
        x : (b, t, d)
        A : (directions, e, n), if it is not the block's own
        real : (b, t) bool: the other frames are left out; None: all take part
        """
        A = self.transition() if A is None else A
        x, z = channels(self.in_proj, x.transpose(1, 2)).chunk(2, 1)  # (b, e, t) each
        if real is not None:
            x = x * real[:, None]
        y = self.forward_scan(x, z, A[0], real)
        if self.backward_scan is not None:
            y = y + self.backward_scan(x, z, A[1], real)
            y = y / 2 if self.average else y
        return channels(self.out_proj, y).transpose(1, 2)       # (b, t, d)


class LocalTransformer(nn.Module):
    """Transformer layer whose frames attend within windows. (b, t, d) -> (b, t, d).

    Post-norm, ReLU, no positions. Our reading of "local-window Transformer": consecutive windows
    without overlap, the last one shorter; padded frames are no keys, and a window without a real
    frame returns its input. causal: a frame attends to itself and earlier ones.
    """

    def __init__(self, width, window, heads, feed_forward, dropout, causal):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(width, heads, feed_forward, dropout,
                                                layer_norm_eps=1e-6, batch_first=True)
        self.window, self.causal = window, causal

    def forward(self, x, real=None):
        (b, t, d), k = x.shape, min(self.window, x.shape[1])
        real = x.new_ones(b, t, dtype=torch.bool) if real is None else real
        rest = -t % k
        windows = F.pad(x, (0, 0, 0, rest)).reshape(-1, k, d)   # (b windows, k, d)
        keys = F.pad(real, (0, rest)).reshape(-1, 1, k)         # (b windows, 1, k)
        # a padded frame sees itself: no softmax of nothing
        own = torch.eye(k, dtype=torch.bool, device=x.device)
        # (b windows, k, k): causal, a row a frame; else (b windows, 1, k), the same for all.
        seen = keys.expand(-1, k, -1).tril() if self.causal else keys
        # (b windows heads, k, k), as PyTorch's attention wants its mask.
        hidden = ~(seen | own).repeat_interleave(self.layer.self_attn.num_heads, 0)
        y = torch.where(keys.any(2, keepdim=True), self.layer(windows, src_mask=hidden), windows)
        return y.reshape(b, -1, d)[:, :t]                       # (b, t, d), the padding cut off


class Experts(nn.Module):
    """One modality in one layer: x + LayerNorm(Mamba(x)), the Transformer, or both, routed.

    Our reading of the "long/short routing": softmax(Linear(x_t) / temperature) weighs long and
    short at every frame, or, for level "sequence", from the mean over the real frames for all of
    them.
    """

    def __init__(self, width, experts, block, windows, level, temperature):
        super().__init__()
        self.level, self.temperature = level, temperature
        self.mamba = BiMamba(width, **block) if experts != "short" else None
        self.norm = nn.LayerNorm(width, eps=1e-6) if experts != "short" else None
        self.short = LocalTransformer(width, **windows) if experts != "long" else None
        self.router = nn.Linear(width, 2) if experts == "both" else None

    def forward(self, x, A, real, scanned):
        """The routed sequence and the router's weights.

        Parameters
        ----------
        x : (b, t, d)
        A : (directions, e, n), or None: each block has its own
        real : (b, t) bool, frames that exist; None: all
        scanned : (b, t) bool, frames seen by the scan; None: all

        Returns
        -------
        (b, t, d); (b, t, 2), long and short, or None without a router
        """
        if self.mamba is not None:
            long = x + self.norm(self.mamba(x, A, scanned))
        if self.router is None:
            return (self.short(x, real) if self.mamba is None else long), None
        # (b, d) -> (b, t, d): one mean for all frames, or every frame by itself.
        seen = mean_over(x, real)[:, None].expand_as(x) if self.level == "sequence" else x
        score = self.router(seen)
        weights = torch.softmax(score / self.temperature, -1)   # (b, t, 2): long, short
        return weights[..., :1] * long + weights[..., 1:] * self.short(x, real), weights


class Layer(nn.Module):
    """Experts of every modality.

    Nothing passes from one to the other; only A is shared, where `shared` is its size.
    """

    def __init__(self, names, shared, **experts):
        super().__init__()
        self.transition = Transition(*shared) if shared else None
        self.streams = nn.ModuleDict({name: Experts(**experts) for name in names})

    def forward(self, x, real, scanned):
        """x: (b, t, d) by modality -> the same, and the router's weights (b, t, 2), if any."""
        A = None if self.transition is None else self.transition()
        out = {name: stream(x[name], A, real, scanned) for name, stream in self.streams.items()}
        return ({name: y for name, (y, _) in out.items()},
                {name: r for name, (_, r) in out.items() if r is not None})


class FusionCandidates(nn.Module):
    """Our reading of what the fusion-level gate chooses from: three vectors of both modalities.

    F1 weighted sum, as released; F2 a linear map of both, weighted, side by side; F3 normalised
    product of linear maps. (b, d) each.
    """

    def __init__(self, width):
        super().__init__()
        self.pair = nn.Linear(2 * width, width)
        self.audio, self.visual = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, a, v, weights):
        """a, v (b, d); weights (b, 2) of the modality gate -> (b, 3, d)."""
        a_part, v_part = weights[:, :1] * a, weights[:, 1:] * v
        pair = self.pair(torch.cat((a_part, v_part), 1))        # (b, 2 d) -> (b, d)
        product = self.norm(self.audio(a) * self.visual(v))
        return torch.stack((a_part + v_part, pair, product), 1)  # (b, 3, d): F1, F2, F3


class DynMultiDep(nn.Module):
    """audio (B, T, 25) and visual (B, T, 136), one row a second -> logits (B,) of depression.

    Parameters
    ----------
    variant : "released" or "paper"
        Only the latter has experts and a fusion gate.
    audio_features, visual_features : columns of the inputs
    width, layers, state_size, expansion, conv_width, projection_bias, conv_bias : of the encoder
    step_rank : 0: ceil(width / 16)
    directions : "both" or "forward", which leaves the backward scan out
    causal : no frame is influenced by a later one, in scans or windows
        The mean over time still sees all.
    average_directions : False: their sum
    gate : "hard" (one modality, gradient of the soft weights), "soft", or "mean"
        Half of each, no gate.
    temperature : of the gate
    dropout : in gate and classifier
    mask_scan : padded frames take no part, so that a vlog gives the same logit in any batch
        False, as released, lets them into the scans.
    share_transition : one A for both modalities
    modalities : "both"; "acoustic" or "visual" builds that one alone, without gate
    experts : "both", "long", "short"; "auto": what the variant says
    window, heads, feed_forward, expert_dropout : of the short expert; window in frames
    router_level : "frame" or "sequence"
    router_temperature, fusion_temperature : of the router and of the fusion gate
    fusion_gate : "hard", "soft", "none"; "auto": what the variant says
    balance_weight, resource_weight : of `extra_loss`
        The defaults are the D-Vlog configuration of 5fd29e3, and `variant` "released". gate,
        temperature, fusion_gate and fusion_temperature may be set on a trained model.

    Raises
    ------
    ValueError
        For what cannot be built.
    """

    def __init__(self, variant="released", audio_features=25, visual_features=136, width=256,
                 layers=1, state_size=12, expansion=4, conv_width=4, step_rank=0, directions="both",
                 causal=False, average_directions=True, projection_bias=False, conv_bias=True,
                 gate="hard", temperature=1.0, dropout=0.1, mask_scan=False, share_transition=True,
                 modalities="both", experts="auto", window=30, heads=8, feed_forward=1024,
                 expert_dropout=0.1, router_level="frame", router_temperature=1.0,
                 fusion_gate="auto", fusion_temperature=1.0, balance_weight=0.0,
                 resource_weight=0.0):
        super().__init__()
        released = variant == "released"
        experts = ("long" if released else "both") if experts == "auto" else experts
        fusion_gate = (("none" if released or modalities != "both" else "hard")
                       if fusion_gate == "auto" else fusion_gate)
        check_choices(locals())
        if released and (experts, fusion_gate) != ("long", "none"):
            raise ValueError('variant "released" has experts "long" and fusion_gate "none", '
                             f'not {experts!r} and {fusion_gate!r}; choose variant "paper".')
        self.names = {"both": MODALITIES, "acoustic": ("audio",), "visual": ("visual",)}[modalities]
        self.features = {"audio": audio_features, "visual": visual_features}
        self.gate, self.temperature, self.mask_scan = gate, temperature, mask_scan
        self.fusion_gate, self.fusion_temperature = fusion_gate, fusion_temperature
        self.balance_weight, self.resource_weight = balance_weight, resource_weight
        directions = "forward" if causal else directions
        shared = (share_transition and experts != "short"
                  and (1 + (directions == "both"), int(expansion * width), state_size))
        block = {"state_size": state_size, "expansion": expansion, "conv_width": conv_width,
                 "step_rank": step_rank, "directions": directions,
                 "average_directions": average_directions, "projection_bias": projection_bias,
                 "conv_bias": conv_bias, "own_transition": not shared, "small_steps": not released}
        windows = {"window": window, "heads": heads, "feed_forward": feed_forward,
                   "dropout": expert_dropout, "causal": causal}
        self.input_proj = nn.ModuleDict({
            name: nn.Identity() if size == width else nn.Linear(size, width)
            for name, size in self.features.items() if name in self.names})
        self.layers = nn.ModuleList(
            Layer(self.names, shared, width=width, experts=experts, block=block, windows=windows,
                  level=router_level, temperature=router_temperature) for _ in range(layers))
        both = modalities == "both"
        self.modality_gate = two_layers(2 * width, 2, dropout) if both and gate != "mean" else None
        self.fusion_scores = two_layers(2 * width, 3, 0.0) if fusion_gate != "none" else None
        self.candidates = FusionCandidates(width) if fusion_gate != "none" else None
        self.classifier = two_layers(width, 1, dropout)
        # As released; the Mamba blocks keep PyTorch's own.
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 and ".mamba." not in name and ".transition." not in name:
                nn.init.xavier_uniform_(parameter)

    def encode(self, audio=None, visual=None, mask=None):
        """Sequences of both modalities, the routers' weights and the mask.

        Returns
        -------
        (B, T, d) by modality; a list, one entry a layer, of (B, T, 2) by modality; the mask as
            bool, or
        None
        """
        inputs = {"audio": audio, "visual": visual}
        real = checked_inputs(inputs, mask, self.names, self.features)
        x = {name: self.input_proj[name](inputs[name]) for name in self.names}  # (B, T, d) each
        routers = []
        for layer in self.layers:
            x, router = layer(x, real, real if self.mask_scan else None)
            routers.append(router)
        return x, routers, real

    def forward_features(self, audio=None, visual=None, mask=None):
        """What the classifier sees, (B, d), and all weights: see `forward`."""
        x, routers, real = self.encode(audio, visual, mask)
        pooled = {name: mean_over(x[name], real) for name in self.names}  # a, v: (B, d)
        weights = {"pooled": pooled, "router": routers[-1]}
        fused = self.fuse(*pooled.values(), weights) if len(pooled) == 2 else pooled[self.names[0]]
        weights["extra_loss"] = self.extra_loss(routers, real, weights, fused)
        return fused, weights

    def fuse(self, a, v, weights):
        """Both gates: a, v (B, d) -> (B, d); adds what they decided to `weights`."""
        if self.gate == "mean":
            weights["gate"] = weights["gate_soft"] = a.new_full((len(a), 2), 0.5)
        else:
            # (B, 2 d) -> (B, 2): audio, visual.
            weights["gate_logits"] = self.modality_gate(torch.cat((a, v), 1))
            weights["gate"], weights["gate_soft"] = choose(
                weights["gate_logits"], self.gate, self.temperature)
        if self.fusion_gate == "none":
            return weights["gate"][:, :1] * a + weights["gate"][:, 1:] * v  # F1
        # (B, 2 d) -> (B, 3): F1, F2, F3.
        weights["fusion_logits"] = self.fusion_scores(torch.cat((a, v), 1))
        weights["fusion"], weights["fusion_soft"] = choose(
            weights["fusion_logits"], self.fusion_gate, self.fusion_temperature)
        # (B, 3, 1) times (B, 3, d), summed over the ways of fusing.
        return (weights["fusion"][:, :, None] * self.candidates(a, v, weights["gate"])).sum(1)

    def extra_loss(self, routers, real, weights, fused):
        """Our reading of the losses beside cross-entropy, a scalar, 0 by default (as released).

        balance_weight times the squared difference of the experts' mean weights (Shazeer et al.
        2017 square a coefficient of variation; of two it is this), mean over routers;
        resource_weight times the expected cost of fusion, in units of F2's multiplications (Xue and
        Marculescu 2023): F1 costs 0, F2 and F3 1 each.
        """
        loss = fused.new_zeros(())
        # (2,) each: the experts' mean weights.
        means = [mean_over(r, real).mean(0) for router in routers for r in router.values()]
        if means:
            differences = torch.stack([(m[0] - m[1]) ** 2 for m in means])
            loss = loss + self.balance_weight * differences.mean()
        if "fusion" in weights:
            loss = loss + self.resource_weight * weights["fusion"][:, 1:].sum(1).mean()
        return loss

    def forward(self, audio=None, visual=None, mask=None, return_weights=False):
        """Logits of depression, and with return_weights what the gates decided.

        Parameters
        ----------
        audio : (B, T, audio_features)
        visual : (B, T, visual_features)
        mask : (B, T), 1 where a frame is real; None: everywhere

        Returns
        -------
        logits : (B,)
        weights : dictionary, only with return_weights
            gate (B, 2), audio and visual, as used; gate_soft, gate_logits; fusion (B, 3),
            fusion_soft, fusion_logits; router {modality: (B, T, 2)}, long and short, of the last
            layer; pooled {modality: (B, d)}; extra_loss, to be added to the loss. Those that the
            model lacks are absent (gate "mean" has no logits).

        Raises
        ------
        ValueError
            For features of another width, lengths that differ, or a vlog without a real frame.
        """
        fused, weights = self.forward_features(audio, visual, mask)
        logits = self.classifier(fused)[:, 0]
        return (logits, weights) if return_weights else logits


def two_layers(features, outputs, dropout):
    return nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Dropout(dropout),
                         nn.Linear(64, outputs))


def channels(linear, x):
    """A linear layer over the channels of (b, channels, t)."""
    y = linear.weight @ x
    return y if linear.bias is None else y + linear.bias[:, None]


def choose(logits, kind, temperature):
    """softmax(logits / temperature), (b, k): as used, and soft.

    Parameters
    ----------
    logits : (b, k)
    kind : "soft", or "hard": one-hot (the first of equals), with the gradient of the soft ones

    Raises
    ------
    ValueError
        For another kind.
    """
    soft = torch.softmax(logits / temperature, 1)
    if kind == "soft":
        return soft, soft
    if kind != "hard":
        raise ValueError(f"gate {kind!r}: choose hard or soft.")
    return F.one_hot(soft.argmax(1), soft.shape[1]) + (soft - soft.detach()), soft


def mean_over(x, real):
    """Mean over the real frames (None: all). (b, t, k), (b, t) -> (b, k)."""
    if real is None:
        return x.mean(1)
    return (x * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)


def check_choices(arguments):
    """ValueError for the first argument that is none of its CHOICES, or no size."""
    for name, choices in CHOICES.items():
        if arguments[name] not in choices:
            raise ValueError(f"{name} {arguments[name]!r}: choose one of {', '.join(choices)}.")
    for name in ("audio_features", "visual_features", "width", "layers", "state_size",
                 "expansion", "conv_width", "window", "heads", "feed_forward", "temperature",
                 "router_temperature", "fusion_temperature"):
        if not arguments[name] > 0:
            raise ValueError(f"{name} {arguments[name]}: expected a positive number.")
    if arguments["experts"] != "long" and arguments["width"] % arguments["heads"]:
        raise ValueError(f"width {arguments['width']} is no multiple of heads "
                         f"{arguments['heads']}; attention needs one.")
    if (arguments["causal"] and arguments["experts"] == "both"
            and arguments["router_level"] == "sequence"):
        raise ValueError('router_level "sequence" sees the whole sequence; '
                         'with causal choose "frame".')
    if arguments["modalities"] != "both" and arguments["fusion_gate"] != "none":
        raise ValueError(f"fusion_gate {arguments['fusion_gate']!r}: "
                         "a single modality has nothing to fuse; choose none.")


def checked_inputs(inputs, mask, names, features):
    """The mask as (b, t) bool, or None; ValueError when inputs or mask do not fit the model."""
    for name in names:
        x, width = inputs[name], features[name]
        if x is None or x.ndim != 3 or not x.shape[1]:
            actual = "missing" if x is None else f"of shape {tuple(x.shape)}"
            raise ValueError(f"{name} is {actual}; "
                             f"expected (vlogs, frames, {width}) with at least one frame.")
        if x.shape[2] != width:
            swapped = " Are audio and visual swapped?" if x.shape[2] in features.values() else ""
            raise ValueError(f"{name} has {x.shape[2]} features a frame; "
                             f"expected {width}, as in training.{swapped}")
    shapes = {name: tuple(inputs[name].shape[:2]) for name in names}
    if mask is not None:
        shapes["mask"] = tuple(mask.shape)
    if len(set(shapes.values())) > 1:
        raise ValueError("(vlogs, frames) differ: "
                         f"{', '.join(f'{name} {s}' for name, s in shapes.items())}; cut both "
                         "modalities to the same frames, and give a mask of one number a frame.")
    if mask is None:
        return None
    real = mask.bool()
    empty = (~real.any(1)).nonzero()
    if len(empty):
        raise ValueError(f"mask: vlog {int(empty[0])} of the batch has no real frame; "
                         "leave it out.")
    return real
