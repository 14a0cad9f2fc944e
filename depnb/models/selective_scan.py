"""Selective state-space scan (Gu & Dao 2023, Alg. 2), signature and semantics of mamba-ssm's.

h(t) = exp(step(t) A) h(t-1) + step(t) B(t) u(t),  step = softplus(delta + bias)
y(t) = (C(t) . h(t) + D u(t)) SiLU(z(t))

B and C are shared by all channels, or by groups of neighbouring channels, or do not depend on the
frame. Four backends, one result: `mamba_ssm` (the authors' CUDA kernel), `triton` (ours on CUDA),
`cpu` (ours, compiled by numba) and `loop` (plain PyTorch, any device). Complex A, which mamba-ssm
also takes, is refused.

Symbols: b batch, e channels, g groups of e / g channels, t frames, n states.
"""

import os
import warnings
from functools import cache, partial, reduce
from importlib import import_module

import torch
from torch.nn.functional import silu, softplus

# Of backend="auto", by device; elsewhere: loop.
PREFERRED = {"cuda": ("mamba_ssm", "triton", "loop"), "cpu": ("cpu",)}


def selective_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
                   return_last_state=False, backend="auto", reverse=False):
    """Scan a sequence with input-dependent step, B and C.

    Computed in float32, or in float64 if an input is. As in mamba-ssm, the last state has no
    gradient. With `auto`, a backend that fails on a small trial is left out, with one warning.

    Parameters
    ----------
    u, delta, z : (b, e, t), any strides
    A : (e, n), negative
    B, C : (b, n, t), (b, g, n, t) or, constant, (e, n)
        One may be constant and the other not; g is that of both.
    D, delta_bias : (e,)
    backend : "auto" or one of BACKENDS
    reverse : from the last frame to the first; the last state is then that of the first frame

    Returns
    -------
    y : (b, e, t), of u's type
    last_state : (b, e, n), only with return_last_state

    Raises
    ------
    ValueError
        For shapes, types or devices that disagree, complex numbers and an unknown backend.
    RuntimeError
        For a backend that is not available.
    """
    tensors = {"u": u, "delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z,
               "delta_bias": delta_bias}
    tensors = {name: x for name, x in tensors.items() if x is not None}
    check(tensors)
    dtype = reduce(torch.promote_types, (x.dtype for x in tensors.values()), torch.float32)
    if backend == "auto":
        backend = automatic(u.device.type, dtype, u.numel())
    else:
        check_backend(backend, u.device.type)
    scan, constant = BACKENDS[backend], 2 in (B.ndim, C.ndim)
    if constant and backend != "loop":
        scan = partial(scan_by_state, scan)
    if constant or backend != "mamba_ssm":                      # which takes 16 bits as they are
        tensors = {name: x.to(dtype) for name, x in tensors.items()}
    y, state = scan(**tensors, delta_softplus=delta_softplus, reverse=reverse)
    return (y.to(u.dtype), state.detach()) if return_last_state else y.to(u.dtype)


def check(tensors):
    """Raise ValueError, in one sentence, for a tensor that does not fit u and A."""
    u, A = tensors["u"], tensors["A"]
    if u.ndim != 3 or A.ndim != 2:
        raise ValueError(f"u has shape {tuple(u.shape)} and A {tuple(A.shape)}, expected (batch, "
                         "channels, length) and (channels, states).")
    (batch, channels, length), n = u.shape, A.shape[1]
    expected = {"A": (channels, n), "D": (channels,), "delta_bias": (channels,)}
    groups = {}                                                 # of what is not constant
    for name in ("B", "C"):
        x = tensors[name]
        grouped = x.shape[1:2] if x.ndim == 4 else ()
        expected[name] = (channels, n) if x.ndim == 2 else (batch, *grouped, n, length)
        if x.ndim != 2:
            groups[name] = grouped[0] if grouped else 1
    for name, x in tensors.items():
        shape = expected.get(name, (batch, channels, length))
        if tuple(x.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(x.shape)}, expected {shape} for u of shape "
                             f"{tuple(u.shape)} and {n} states.")
        if not x.is_floating_point():
            raise ValueError(f"{name} holds {x.dtype}, expected real floating-point numbers.")
        if x.device != u.device:
            raise ValueError(f"{name} is on {x.device} and u on {u.device}: "
                             "move them to one device.")
    for name, count in groups.items():
        if count < 1 or channels % count:
            raise ValueError(f"{name} has {count} groups, into which {channels} channels cannot be "
                             "divided evenly.")
    if len(set(groups.values())) > 1:
        raise ValueError(f"B has {groups['B']} groups of channels and C {groups['C']}, expected "
                         "the same number.")


def automatic(device, dtype, size):
    """Name of the best backend for a type of device.

    Those on CUDA compute in 32 bits and want at least one frame.
    """
    names = PREFERRED.get(device, ("loop",))
    if dtype == torch.float64 or not size:
        return names[-1]
    return next(name for name in names if name == names[-1] or works(name, device))


@cache
def works(name, device):
    """Whether a backend can scan three frames forward and backward.

    A failure is told once, unless the package is not installed.
    """
    shapes = {"u": (1, 8, 3), "delta": (1, 8, 3), "A": (8, 4), "B": (1, 4, 3), "C": (1, 4, 3),
              "D": (8,), "z": (1, 8, 3), "delta_bias": (8,)}
    try:
        with torch.inference_mode(False), torch.enable_grad():
            inputs = {key: torch.full(shape, -1.0, device=device, requires_grad=True)
                      for key, shape in shapes.items()}
            BACKENDS[name](**inputs, delta_softplus=True, reverse=False)[0].sum().backward()
    except Exception as error:
        if getattr(error, "name", None) != "mamba_ssm":  # ModuleNotFoundError of the package itself
            warnings.warn(f"The selective scan does without {name}, which fails here: "
                          f"{type(error).__name__}: {error}", RuntimeWarning, stacklevel=5)
        return False
    return True


def check_backend(name, device):
    """Raise, in one sentence, for a backend that is unknown or cannot run on such a device.

    Raises
    ------
    ValueError
        For an unknown one.
    RuntimeError
        For one that cannot run.
    """
    if name not in BACKENDS:
        raise ValueError(f"There is no backend {name!r} of the selective scan: choose 'auto', "
                         f"{', '.join(map(repr, BACKENDS))}.")
    needed = {"mamba_ssm": "cuda", "triton": "cuda", "cpu": "cpu", "loop": device}[name]
    interpreted = name == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device != needed and not interpreted:
        raise RuntimeError(f"Backend {name!r} needs tensors on {needed}, these are on {device}: "
                           "use backend='auto'.")
    try:
        import_module({"mamba_ssm": "mamba_ssm.ops.selective_scan_interface",
                       "triton": "triton"}.get(name, "torch"))
    except ImportError as error:
        raise RuntimeError(f"Backend {name!r} cannot be imported ({error}): "
                           "install it, or use backend='auto'.") from error


def scan_mamba_ssm(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
                   reverse=False):
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    u, delta, B, C, z = (x if x is None else (x.flip(-1) if reverse else x).to(u.dtype)
                         for x in (u, delta, B, C, z))
    A, D, delta_bias = (x if x is None else x.float() for x in (A, D, delta_bias))
    y, state = selective_scan_fn(u, delta, A, B, C, D, z, delta_bias, delta_softplus,
                                 return_last_state=True)
    return y.flip(-1) if reverse else y, state


def scan_by_state(scan, u, delta, A, B, C, D=None, z=None, **options):
    """Constant B or C (e, n) by a backend whose B and C vary: one scan for each state.

    The state is linear in B and y in C, so that a constant B multiplies u and a constant C y.
    """
    varying = [x[..., :1, :] for x in (B, C) if x.ndim > 2] or [u.new_empty(len(u), 1, u.shape[2])]
    ones = torch.ones_like(varying[0])                          # (b, 1, t) or (b, g, 1, t)
    y, states = torch.zeros_like(u), []
    for k in range(A.shape[1]):
        b_k, c_k = (ones if x.ndim == 2 else x[..., k:k + 1, :] for x in (B, C))
        drive = B[:, k, None] * u if B.ndim == 2 else u
        y_k, state = scan(drive, delta, A[:, k:k + 1], b_k, c_k, **options)
        y = y + (C[:, k, None] * y_k if C.ndim == 2 else y_k)
        states.append(state)
    return skip_and_gate(y, u, D, z), torch.cat(states, -1)


def skip_and_gate(y, u, D, z):
    """(y + D u) SiLU(z), each where there is one."""
    y = y if D is None else y + D[:, None] * u
    return y if z is None else y * silu(z)


class Scan(torch.autograd.Function):
    """The scan by a module's kernels: its `forward` and `backward` fill the tensors made for them.

    B, C : (b, g, n, t). For the backward pass it saves the inputs, and the states before every
    CHUNK frames, by blocks of LANES channels of one group.
    """

    @staticmethod
    def forward(ctx, kernels, u, delta, A, B, C, D, z, delta_bias, *flags):
        """-> y (b, e, t), last state (b, e, n); flags: softplus, gated, reverse."""
        (batch, channels, length), (groups, n) = u.shape, B.shape[1:3]
        y, last_state = u.new_empty(u.shape), u.new_empty(batch, channels, n)
        blocks = -(-channels // (groups * kernels.LANES))       # of a group
        borders = u.new_empty(batch * groups * blocks, -(-length // kernels.CHUNK), n,
                              kernels.LANES)
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
        u, B, z = inputs[0], inputs[3], inputs[6]
        (batch, channels, length), (groups, n), new = u.shape, B.shape[1:3], u.new_empty
        blocks = -(-channels // (groups * ctx.kernels.LANES))
        du, ddelta, dz = new(u.shape), new(u.shape), new(z.shape)
        # Sums over b are left.
        dA, dD, dbias = new(batch, channels, n), new(batch, channels), new(batch, channels)
        dB, dC = new(2, batch, groups, blocks, n, length)       # sums over blocks are left, too
        ctx.kernels.backward(*inputs, *ctx.flags, g, borders, du, ddelta, dA, dB, dC, dD, dz, dbias)
        dA, dD, dbias, dB, dC = (total(dA, 0), total(dD, 0), total(dbias, 0), total(dB, 2),
                                 total(dC, 2))
        return None, du, ddelta, dA, dB, dC, dD, dz, dbias, None, None, None


def total(x, axis):
    """Sum over an axis in a fixed order.

    On a CPU PyTorch's may depend on the number of threads, NumPy's does not.
    """
    return x.sum(axis) if x.is_cuda else torch.from_numpy(x.numpy().sum(axis))


def scan_kernels(name, u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
                 reverse=False):
    # numba and Triton are imported, and compile, on first use only.
    kernels = import_module(f"depnb.models.{name}")
    B, C = (x if x.ndim == 4 else x[:, None] for x in (B, C))   # (b, g, n, t)
    D, delta_bias = (u.new_zeros(u.shape[1]) if x is None else x for x in (D, delta_bias))
    gated = z is not None
    z = z if gated else u.new_empty(0, 0, 0)
    return Scan.apply(kernels, u, delta, A, B, C, D, z, delta_bias, delta_softplus, gated, reverse)


def scan_loop(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
              return_last_state=False, reverse=False):
    """The recurrence, frame by frame, in plain PyTorch -> y (, the last state, with gradient)."""
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    step = softplus(step) if delta_softplus else step           # (b, e, t)
    B, C = (by_frame(x, *u.shape[1:]) for x in (B, C))
    frames = list(zip(step.unbind(2), (step * u).unbind(2), B, C, strict=True))
    state, out = u.new_zeros(*u.shape[:2], A.shape[1]), []
    for step_t, drive_t, b_t, c_t in frames[::-1] if reverse else frames:
        # (b, e, n): decayed, plus what enters.
        state = torch.exp(step_t[..., None] * A) * state + drive_t[..., None] * b_t
        out.append((state * c_t).sum(-1))
    y = torch.stack(out[::-1] if reverse else out, 2) if out else step * u  # (b, e, t)
    y = skip_and_gate(y, u, D, z)
    return (y, state) if return_last_state else y


def by_frame(x, channels, length):
    """B or C -> for each frame a tensor that fits (b, e, n)."""
    if x.ndim == 2:
        return [x] * length
    if x.ndim == 3:
        return x[:, None].unbind(3)                             # (b, 1, n)
    return [x_t.repeat_interleave(channels // x.shape[1], 1) for x_t in x.unbind(3)]


BACKENDS = {"mamba_ssm": scan_mamba_ssm, "triton": partial(scan_kernels, "scan_triton"),
            "cpu": partial(scan_kernels, "scan_cpu"),
            "loop": partial(scan_loop, return_last_state=True)}
