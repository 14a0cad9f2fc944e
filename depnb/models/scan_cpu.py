"""The selective scan on a CPU, compiled by numba: forward and hand-written backward pass.

Nothing of size (b, e, n, t) is stored. A task is a block of LANES channels of one batch item, which
share B and C. Its frames are worked through in chunks: a chunk is transposed into tiles (frame,
lane), so that every inner loop runs over neighbouring channels and becomes SIMD instructions,
whatever the number of states and the layout of the inputs. The forward pass keeps the states at the
borders of the chunks; the backward pass goes through the chunks from the last to the first and
computes the states between two borders again.

Tasks do not share what they write, and their sums are added in a fixed order: the number of
threads changes no bit.

Symbols: b batch, e channels, g groups of e / g channels, t frames, n states. p = dL/dy1, q =
adjoint of the state.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

# with 16 states, the states and decays of a chunk (128 KiB each) stay in the L2 cache
CHUNK, LANES = 32, 64
ALONE = 1 << 16               # below so many state updates a second thread costs more than it saves
# fused multiply-add; the order of operations stays
PLAIN = {"error_model": "numpy", "fastmath": {"contract"}}
# and sums over lanes in vectors
FREE = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
# inlined, or LLVM cannot know that the tiles do not overlap
part = numba.njit(forceinline=True, **FREE)


# --- Exponentials that LLVM can vectorise: float32 by range reduction and a minimax polynomial,
# --- float64 by libm ---

ROUND = np.float32(1.5 * 2**23)     # added and subtracted, it rounds to whole numbers
LOG2E, LN2_HIGH, LN2_LOW = (np.float32(1 / math.log(2)), np.float32(0.693359375),
                            np.float32(-2.12194440e-4))
EXP = tuple(map(np.float32, (0.49999993451, 0.16666520690, 0.04166838736, 0.00836870983,
                             0.00138146131)))
ATANH = tuple(map(np.float32, (0.33333337750, 0.19999444178, 0.14308298361, 0.10715370467,
                               0.12144778695)))
ZERO, ONE, TWO, SMALLEST, LARGEST = map(np.float32, (0, 1, 2, -88, 89))


@intrinsic
def power_of_two(typing, rounded):
    """2^k of a float32 ROUND + k, from the bits of k."""
    def build(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(32))
        bits = builder.add(builder.shl(bits, bits.type(23)), bits.type(127 << 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), build


@numba.njit(**PLAIN)
def exp32(x):
    """e^x to 1.1 units in the last place: 2^k e^r, |r| <= ln(2) / 2.

    0 below the normal range, NaN for NaN.
    """
    x = SMALLEST if x < SMALLEST else x
    x = LARGEST if x > LARGEST else x
    rounded = x * LOG2E + ROUND
    k = rounded - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    tail = (((EXP[4] * r + EXP[3]) * r + EXP[2]) * r + EXP[1]) * r + EXP[0]
    return (tail * r * r + r + ONE) * power_of_two(rounded)


@numba.njit(**PLAIN)
def log1p32(x):
    """ln(1 + x) for x in [0, 1], as 2 atanh(x / (2 + x))."""
    s = x / (TWO + x)
    w = s * s
    tail = (((ATANH[4] * w + ATANH[3]) * w + ATANH[2]) * w + ATANH[1]) * w + ATANH[0]
    return TWO * (s + s * w * tail)


def exp(x):
    """Stands for exp32 or math.exp in compiled code."""


def log1p(x):
    """Stands for log1p32 or math.log1p in compiled code."""


@overload(exp)
def _exp(x):
    return (lambda x: exp32(x)) if x == types.float32 else (lambda x: math.exp(x))


@overload(log1p)
def _log1p(x):
    return (lambda x: log1p32(x)) if x == types.float32 else (lambda x: math.log1p(x))


@numba.njit(**PLAIN)
def softplus(x):
    """ln(1 + e^x), exactly x above 20."""
    curved = (x if x > ZERO else ZERO) + log1p(exp(-abs(x)))
    return x if x > 20 else curved


@numba.njit(**PLAIN)
def sigmoid(x):
    return ONE / (ONE + exp(-x))


# --- Parts of the kernels, on tiles (frame, lane); time counts from frame `first` of the arrays,
# --- in one direction ---

@part
def tile(like):
    return np.empty((CHUNK, LANES), like.dtype)


@part
def load(tile, array, channel, lanes, first, direction, frames):
    for t in range(frames):
        column = array[channel:channel + lanes, first + direction * t]
        for i in range(lanes):
            tile[t, i] = column[i]


@part
def store(tile, array, channel, lanes, first, direction, frames):
    for t in range(frames):
        column = array[channel:channel + lanes, first + direction * t]
        for i in range(lanes):
            column[i] = tile[t, i]


@part
def copy(rows, source):
    """Plain loops: assignments to slices double the time to compile."""
    for k in range(len(rows)):
        for i in range(LANES):
            rows[k, i] = source[k, i]


@part
def clear(rows):
    for k in range(len(rows)):
        for i in range(LANES):
            rows[k, i] = 0


@part
def transpose(array, rows, channel, lanes):
    """(n, LANES) into the channels of a task of an array (e, n)."""
    for i in range(lanes):
        for k in range(len(rows)):
            array[channel + i, k] = rows[k, i]


@part
def constants(rate, skip, offset, A, D, bias, channel, lanes):
    """A, D and delta_bias of the channels of a task."""
    for i in range(lanes):
        skip[i], offset[i] = D[channel + i], bias[channel + i]
        for k in range(A.shape[1]):
            rate[k, i] = A[channel + i, k]


@part
def enter(raw, step, drive, y1, u, skip, offset, curved, lanes, frames):
    """delta and u of a chunk -> raw delta + bias, the step, step u, and D u.

    To the last the states will be added.
    """
    for t in range(frames):
        for i in range(lanes):
            raw[t, i] += offset[i]
            step[t, i] = softplus(raw[t, i]) if curved else raw[t, i]
            drive[t, i] = step[t, i] * u[t, i]
            y1[t, i] = skip[i] * u[t, i]


@part
def recur(state, decay, y1, step, drive, rate, B, C, lanes, first, direction, frames):
    """state[0] -> the states after each frame, state[1:], their decays, and C . h added to y1."""
    for t in range(frames):
        at = first + direction * t
        for k in range(len(rate)):
            b_t, c_t = B[k, at], C[k, at]
            for i in range(lanes):
                a = exp(step[t, i] * rate[k, i])
                h = a * state[t, k, i] + drive[t, i] * b_t
                decay[t, k, i] = a
                state[t + 1, k, i] = h
                y1[t, i] += c_t * h


@part
def recur_back(q, drate, to_drive, to_decay, dB, dC, p, state, decay, step, drive, rate, B, C,
               lanes, first, direction, frames):
    """The adjoint q of the state from the last frame to the first.

    It enters and leaves multiplied by the decay. Adds to drate = dL/dA, and fills dB, dC (n, t),
    to_drive = sum over n of q B, to_decay = sum of q exp(step A) h(t-1) A.
    """
    clear(to_drive)
    clear(to_decay)
    for t in range(frames - 1, -1, -1):
        at = first + direction * t
        for k in range(len(rate)):
            b_t, c_t = B[k, at], C[k, at]
            db, dc = ZERO * b_t, ZERO * c_t
            for i in range(lanes):
                adjoint = q[k, i] + p[t, i] * c_t
                db += adjoint * drive[t, i]
                dc += p[t, i] * state[t + 1, k, i]
                to_drive[t, i] += adjoint * b_t
                adjoint *= decay[t, k, i]
                q[k, i] = adjoint
                change = adjoint * state[t, k, i]
                drate[k, i] += change * step[t, i]
                to_decay[t, i] += change * rate[k, i]
            dB[k, at], dC[k, at] = db, dc


@part
def leave_back(du, ddelta, dskip, doffset, p, to_drive, to_decay, raw, step, u, skip, curved, lanes,
               frames):
    """Fill the gradients of u and delta, and add to those of D and delta_bias."""
    for t in range(frames):
        for i in range(lanes):
            dstep = to_decay[t, i] + to_drive[t, i] * u[t, i]
            slope = sigmoid(raw[t, i])
            dstep = dstep * slope if curved and raw[t, i] <= 20 else dstep
            ddelta[t, i] = dstep
            doffset[i] += dstep
            dskip[i] += p[t, i] * u[t, i]
            du[t, i] = skip[i] * p[t, i] + step[t, i] * to_drive[t, i]


# --- The two kernels. Both work through tasks [start, stop); arrays (b, e, t), (e, n),
# --- (b, g, n, t), (e,) of one type ---

@part
def place(task, channels, groups):
    """Batch item, group, block within it, its first channel and number of channels, of a task."""
    size = channels // groups
    blocks = -(-size // LANES)
    b, group, block = task // (groups * blocks), task // blocks % groups, task % blocks
    return b, group, block, group * size + block * LANES, min(LANES, size - block * LANES)


def forward_kernel(start, stop, u, delta, A, B, C, D, z, bias, curved, gated, reverse, y, borders,
                   last_state):
    """The scan of tasks start to stop.

    Parameters
    ----------
    u, delta, z : (b, e, t)
    A : (e, n)
    B, C : (b, g, n, t)
    D, bias : (e,)
    curved, gated, reverse : softplus; z counts; from the last frame to the first
    y, borders, last_state : (b, e, t), (tasks, chunks, n, LANES), (b, e, n), to be filled
    """
    (channels, length), (groups, n), direction = u.shape[1:], B.shape[1:3], -1 if reverse else 1
    state, decay = np.empty((CHUNK + 1, n, LANES), u.dtype), np.empty((CHUNK, n, LANES), u.dtype)
    rate, skip, offset = (np.empty((n, LANES), u.dtype), np.empty(LANES, u.dtype),
                          np.empty(LANES, u.dtype))
    u_, raw, step, drive, y1, z_ = tile(u), tile(u), tile(u), tile(u), tile(u), tile(u)
    for task in range(start, stop):
        b, group, _, channel, lanes = place(task, channels, groups)
        constants(rate, skip, offset, A, D, bias, channel, lanes)
        clear(state[0])
        for chunk in range(borders.shape[1]):
            frames = min(CHUNK, length - chunk * CHUNK)
            first = length - 1 - chunk * CHUNK if reverse else chunk * CHUNK
            copy(borders[task, chunk], state[0])
            load(u_, u[b], channel, lanes, first, direction, frames)
            load(raw, delta[b], channel, lanes, first, direction, frames)
            enter(raw, step, drive, y1, u_, skip, offset, curved, lanes, frames)
            recur(state, decay, y1, step, drive, rate, B[b, group], C[b, group], lanes, first,
                  direction, frames)
            if gated:
                load(z_, z[b], channel, lanes, first, direction, frames)
                for t in range(frames):
                    for i in range(lanes):
                        y1[t, i] *= z_[t, i] * sigmoid(z_[t, i])
            store(y1, y[b], channel, lanes, first, direction, frames)
            copy(state[0], state[frames])
        transpose(last_state[b], state[0], channel, lanes)


def backward_kernel(start, stop, u, delta, A, B, C, D, z, bias, curved, gated, reverse, g, borders,
                    du, ddelta, dA, dB, dC, dD, dz, dbias):
    """The gradients for g = dL/dy of tasks start to stop; sums stay open.

    Parameters
    ----------
    u to borders : as of `forward_kernel`
    du, ddelta, dA, dB, dC, dD, dz, dbias : to be filled
        dA (b, e, n), dB and dC (b, g, blocks, n, t), dD and dbias (b, e), the others as their
        inputs.
    """
    (channels, length), (groups, n), direction = u.shape[1:], B.shape[1:3], -1 if reverse else 1
    state, decay = np.empty((CHUNK + 1, n, LANES), u.dtype), np.empty((CHUNK, n, LANES), u.dtype)
    q, rate, drate = (np.empty((n, LANES), u.dtype), np.empty((n, LANES), u.dtype),
                      np.empty((n, LANES), u.dtype))
    skip, offset = np.empty(LANES, u.dtype), np.empty(LANES, u.dtype)
    dconstants = np.empty((2, LANES), u.dtype)
    dskip, doffset = dconstants[0], dconstants[1]
    u_, raw, step, drive, y1, z_, g_, p = (tile(u), tile(u), tile(u), tile(u), tile(u), tile(u),
                                           tile(u), tile(u))
    to_drive, to_decay, du_, ddelta_ = tile(u), tile(u), tile(u), tile(u)
    for task in range(start, stop):
        b, group, block, channel, lanes = place(task, channels, groups)
        constants(rate, skip, offset, A, D, bias, channel, lanes)
        clear(q)
        clear(drate)
        clear(dconstants)
        for chunk in range(borders.shape[1] - 1, -1, -1):
            frames = min(CHUNK, length - chunk * CHUNK)
            first = length - 1 - chunk * CHUNK if reverse else chunk * CHUNK
            load(u_, u[b], channel, lanes, first, direction, frames)
            load(raw, delta[b], channel, lanes, first, direction, frames)
            load(g_, g[b], channel, lanes, first, direction, frames)
            enter(raw, step, drive, y1, u_, skip, offset, curved, lanes, frames)
            copy(state[0], borders[task, chunk])
            recur(state, decay, y1, step, drive, rate, B[b, group], C[b, group], lanes, first,
                  direction, frames)
            copy(p, g_)
            if gated:
                load(z_, z[b], channel, lanes, first, direction, frames)
                for t in range(frames):
                    for i in range(lanes):
                        s = sigmoid(z_[t, i])
                        p[t, i] = g_[t, i] * z_[t, i] * s
                        z_[t, i] = g_[t, i] * y1[t, i] * s * (ONE + z_[t, i] * (ONE - s))
                store(z_, dz[b], channel, lanes, first, direction, frames)
            recur_back(q, drate, to_drive, to_decay, dB[b, group, block], dC[b, group, block], p,
                       state, decay, step, drive, rate, B[b, group], C[b, group], lanes, first,
                       direction, frames)
            leave_back(du_, ddelta_, dskip, doffset, p, to_drive, to_decay, raw, step, u_, skip,
                       curved, lanes, frames)
            store(du_, du[b], channel, lanes, first, direction, frames)
            store(ddelta_, ddelta[b], channel, lanes, first, direction, frames)
        transpose(dA[b], drate, channel, lanes)
        for i in range(lanes):
            dD[b, channel + i], dbias[b, channel + i] = dskip[i], doffset[i]


@cache
def compiled(function, dtype):
    """A kernel compiled for arrays of one type and any strides.

    It stays on disk where numba has a place to write.
    """
    number, yes = numba.from_dtype(dtype), types.boolean
    array = {d: types.Array(number, d, "A") for d in (1, 2, 3, 4, 5)}
    inputs = (types.intp, types.intp, *(array[d] for d in (3, 3, 2, 4, 4, 1, 3, 1)), yes, yes, yes)
    outputs = (3, 4, 3) if function is forward_kernel else (3, 4, 3, 3, 3, 5, 5, 2, 3, 2)
    signature = types.void(*inputs, *(array[d] for d in outputs))
    options = {"nogil": True, **FREE}
    try:
        return numba.njit([signature], cache=True, **options)(function)
    except RuntimeError:                                                    # no folder to write to
        return numba.njit([signature], **options)(function)


@cache
def pool(threads):
    return ThreadPoolExecutor(threads, thread_name_prefix="selective_scan")


if hasattr(os, "register_at_fork"):                                         # not on Windows
    os.register_at_fork(after_in_child=pool.cache_clear)  # a forked process has none of our threads


def run(kernel, u, delta, A, B, *others):
    """All tasks of a kernel, on as many threads as PyTorch uses.

    Flags follow the inputs, then come the outputs.
    """
    arrays = [x.detach().numpy() if isinstance(x, torch.Tensor) else x
              for x in (u, delta, A, B, *others)]
    (batch, channels, _), groups = u.shape, B.shape[1]
    kernel = compiled(kernel, arrays[0].dtype)
    tasks = batch * groups * -(-channels // (groups * LANES))
    threads = 1 if u.numel() * A.shape[1] < ALONE else min(torch.get_num_threads(), tasks)
    (start, stop), *rest = pairwise(tasks * i // threads for i in range(threads + 1))
    others = [pool(threads - 1).submit(kernel, *part, *arrays) for part in rest]
    kernel(start, stop, *arrays)
    for other in others:
        other.result()


forward, backward = partial(run, forward_kernel), partial(run, backward_kernel)
