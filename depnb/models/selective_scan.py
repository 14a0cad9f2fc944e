"""Selective state-space scan (Gu & Dao 2023, Alg. 2), with the signature and semantics of mamba-ssm's function.

h(t) = exp(step(t) A) h(t-1) + step(t) B(t) u(t),  y(t) = (C(t) . h(t) + D u(t)) SiLU(z(t)),  step = softplus(delta + bias)

Four backends, one result: `mamba_ssm` (the authors' CUDA kernel), `triton` (ours on CUDA), `cpu` (ours, compiled by numba)
and `loop` (plain PyTorch, any device). Real A; B and C shared by all channels.

Symbols: b batch, e channels, t frames, n states.
"""

import os
import warnings
from functools import cache, partial, reduce
from importlib import import_module

import torch
from torch.nn.functional import silu, softplus

PREFERRED = {"cuda": ("mamba_ssm", "triton", "loop"), "cpu": ("cpu",)}     # of backend="auto", by device; elsewhere: loop


def selective_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False,
                   backend="auto", reverse=False):
    """Scan a sequence with input-dependent step, B and C -> y (b, e, t), of u's type (, last state (b, e, n)).

    u, delta, z (b, e, t), any strides; A (e, n), negative; B, C (b, n, t) or (b, 1, n, t); D, delta_bias (e,). Computed in
    float32, or in float64 if an input is. reverse: from the last frame to the first; the last state is then that of the
    first frame. As in mamba-ssm, the last state has no gradient. With `auto`, a backend that fails on a small trial is left
    out, with one warning. Raises ValueError for shapes, types or devices that disagree and for an unknown backend,
    RuntimeError for a backend that is not available here.
    """
    B, C = (x.squeeze(1) if x.ndim == 4 else x for x in (B, C))
    tensors = {"u": u, "delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z, "delta_bias": delta_bias}
    tensors = {name: x for name, x in tensors.items() if x is not None}
    check(tensors)
    dtype = reduce(torch.promote_types, (x.dtype for x in tensors.values()), torch.float32)
    if backend == "auto":
        backend = automatic(u.device.type, dtype, u.numel())
    else:
        check_backend(backend, u.device.type)
    if backend != "mamba_ssm":                                              # which takes 16 bits as they are
        tensors = {name: x.to(dtype) for name, x in tensors.items()}
    y, state = BACKENDS[backend](**tensors, delta_softplus=delta_softplus, reverse=reverse)
    return (y.to(u.dtype), state.detach()) if return_last_state else y.to(u.dtype)


def check(tensors):
    """Raise ValueError, in one sentence, for a tensor that does not fit u and A."""
    u, A = tensors["u"], tensors["A"]
    if u.ndim != 3 or A.ndim != 2:
        raise ValueError(f"u has shape {tuple(u.shape)} and A {tuple(A.shape)}, expected (batch, channels, length) and "
                         "(channels, states).")
    batch, channels, length = u.shape
    of_states = (batch, A.shape[1], length)
    expected = {"A": (channels, A.shape[1]), "B": of_states, "C": of_states, "D": (channels,), "delta_bias": (channels,)}
    for name, x in tensors.items():
        shape = expected.get(name, (batch, channels, length))
        if tuple(x.shape) != shape:
            limit = "; constant B and C and groups of channels are not supported" if name in ("B", "C") else ""
            raise ValueError(f"{name} has shape {tuple(x.shape)}, expected {shape} for u of shape {tuple(u.shape)} and "
                             f"{A.shape[1]} states{limit}.")
        if not x.is_floating_point():
            raise ValueError(f"{name} holds {x.dtype}, expected real floating-point numbers.")
        if x.device != u.device:
            raise ValueError(f"{name} is on {x.device} and u on {u.device}: move them to one device.")


def automatic(device, dtype, size):
    """Name of the best backend for a type of device; those on CUDA compute in 32 bits and want at least one frame."""
    names = PREFERRED.get(device, ("loop",))
    if dtype == torch.float64 or not size:
        return names[-1]
    return next(name for name in names if name == names[-1] or works(name, device))


@cache
def works(name, device):
    """Whether a backend can scan three frames forward and backward; a failure is told once, unless it is not installed."""
    shapes = {"u": (1, 8, 3), "delta": (1, 8, 3), "A": (8, 4), "B": (1, 4, 3), "C": (1, 4, 3), "D": (8,), "z": (1, 8, 3),
              "delta_bias": (8,)}
    try:
        with torch.inference_mode(False), torch.enable_grad():
            inputs = {key: torch.full(shape, -1.0, device=device, requires_grad=True) for key, shape in shapes.items()}
            BACKENDS[name](**inputs, delta_softplus=True, reverse=False)[0].sum().backward()
    except Exception as error:
        if getattr(error, "name", None) != "mamba_ssm":                     # ModuleNotFoundError of the package itself
            warnings.warn(f"The selective scan does without {name}, which fails here: {type(error).__name__}: {error}",
                          RuntimeWarning, stacklevel=5)
        return False
    return True


def check_backend(name, device):
    """Raise, in one sentence, ValueError for an unknown backend, RuntimeError for one that cannot run on such a device."""
    if name not in BACKENDS:
        raise ValueError(f"There is no backend {name!r} of the selective scan: choose 'auto', "
                         f"{', '.join(map(repr, BACKENDS))}.")
    needed = {"mamba_ssm": "cuda", "triton": "cuda", "cpu": "cpu", "loop": device}[name]
    interpreted = name == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device != needed and not interpreted:
        raise RuntimeError(f"Backend {name!r} needs tensors on {needed}, these are on {device}: use backend='auto'.")
    try:
        import_module({"mamba_ssm": "mamba_ssm.ops.selective_scan_interface", "triton": "triton"}.get(name, "torch"))
    except ImportError as error:
        raise RuntimeError(f"Backend {name!r} cannot be imported ({error}): install it, or use backend='auto'.") from error


def scan_mamba_ssm(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, reverse=False):
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    u, delta, B, C, z = (x if x is None else (x.flip(-1) if reverse else x).to(u.dtype) for x in (u, delta, B, C, z))
    A, D, delta_bias = (x if x is None else x.float() for x in (A, D, delta_bias))
    y, state = selective_scan_fn(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state=True)
    return y.flip(-1) if reverse else y, state


class Scan(torch.autograd.Function):
    """The scan by the kernels of a module: its `forward` and `backward` fill the tensors that are made here.

    Kept for the backward pass: the inputs, and the states before every CHUNK frames, by blocks of LANES channels.
    """

    @staticmethod
    def forward(ctx, kernels, u, delta, A, B, C, D, z, delta_bias, *flags):
        """-> y (b, e, t), last state (b, e, n); flags: softplus, gated, reverse."""
        (batch, channels, length), n = u.shape, A.shape[1]
        y, last_state = u.new_empty(u.shape), u.new_empty(batch, channels, n)
        borders = u.new_empty(batch * -(-channels // kernels.LANES), -(-length // kernels.CHUNK), n, kernels.LANES)
        kernels.forward(u, delta, A, B, C, D, z, delta_bias, *flags, y, borders, last_state)
        ctx.save_for_backward(u, delta, A, B, C, D, z, delta_bias, borders)
        ctx.kernels, ctx.flags = kernels, flags
        ctx.mark_non_differentiable(last_state)
        return y, last_state

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, _):
        """g = dL/dy (b, e, t) -> the gradient of each argument of `forward`."""
        *inputs, borders = ctx.saved_tensors
        u, A, z = inputs[0], inputs[2], inputs[6]
        (batch, channels, length), n, new = u.shape, A.shape[1], u.new_empty
        du, ddelta, dz = new(u.shape), new(u.shape), new(z.shape)
        dA, dD, dbias = new(batch, channels, n), new(batch, channels), new(batch, channels)         # sums over b are left
        dB, dC = new(2, batch, -(-channels // ctx.kernels.LANES), n, length)                        # sums over blocks
        ctx.kernels.backward(*inputs, *ctx.flags, g, borders, du, ddelta, dA, dB, dC, dD, dz, dbias)
        dA, dD, dbias, dB, dC = total(dA, 0), total(dD, 0), total(dbias, 0), total(dB, 1), total(dC, 1)
        return None, du, ddelta, dA, dB, dC, dD, dz, dbias, None, None, None


def total(x, axis):
    """Sum over an axis in a fixed order: on a CPU PyTorch's may depend on the number of threads, NumPy's does not."""
    return x.sum(axis) if x.is_cuda else torch.from_numpy(x.numpy().sum(axis))


def scan_kernels(name, u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, reverse=False):
    kernels = import_module(f"depnb.models.{name}")         # numba and Triton are imported, and compile, on first use only
    D, delta_bias = (u.new_zeros(u.shape[1]) if x is None else x for x in (D, delta_bias))
    gated = z is not None
    z = z if gated else u.new_empty(0, 0, 0)
    return Scan.apply(kernels, u, delta, A, B, C, D, z, delta_bias, delta_softplus, gated, reverse)


def scan_loop(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False,
              reverse=False):
    """The recurrence, frame by frame, in plain PyTorch -> y (, the last state, here with its gradient)."""
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    step = softplus(step) if delta_softplus else step                       # (b, e, t)
    frames = list(zip(*(x.unbind(2) for x in (step, step * u, B, C)), strict=True))
    state, out = u.new_zeros(*u.shape[:2], A.shape[1]), []
    for step_t, drive_t, b_t, c_t in frames[::-1] if reverse else frames:
        state = torch.exp(step_t[..., None] * A) * state + drive_t[..., None] * b_t[:, None]     # (b, e, n)
        out.append((state * c_t[:, None]).sum(-1))
    y = torch.stack(out[::-1] if reverse else out, 2) if out else step * u
    y = y if D is None else y + D[:, None] * u
    y = y if z is None else y * silu(z)
    return (y, state) if return_last_state else y


BACKENDS = {"mamba_ssm": scan_mamba_ssm, "triton": partial(scan_kernels, "scan_triton"),
            "cpu": partial(scan_kernels, "scan_cpu"), "loop": partial(scan_loop, return_last_state=True)}
