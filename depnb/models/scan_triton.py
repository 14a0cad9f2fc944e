"""The selective scan on CUDA, in Triton: forward and hand-written backward pass.

The states are not stored, only those at the borders of chunks. A program scans LANES channels of
one batch item, which share B and C, CHUNK frames at a time with all states in registers: inside a
chunk by the associative rule (a1, x1) then (a2, x2) = (a1 a2, a2 x1 + x2), from chunk to chunk by
the state at the border. The backward pass goes from the last chunk to the first and computes the
states again. Sums over channels are left per program and added up afterwards, without atomic
operations: the same bits every time.

A thread has all frames of a chunk of one channel and state, so that it scans them alone, without a
word to its neighbours. The price of few channels to a program is memory: what is left of dB and dC
has 2 / LANES x b e n t numbers. On an H200, at 4 x 512 x 600 x 16, forward and backward pass took
307 microseconds and 105 MB with 2 channels, 437 and 45 with 8; mamba-ssm's kernel 250 and 25
(replayed as CUDA graphs; benchmarks/results/gpu). A backward pass over all chunks at once: 346.

Checked with Triton's interpreter (TRITON_INTERPRET=1, tensors on the CPU); on an H200 (triton 3.6)
with these tiles against the plain loop, at that size, to 1e-4, before B and C came in groups of
channels. The test suite ran there on the version of commit b15e53b.
"""

from functools import partial

import torch
import triton
import triton.language as tl

LANES, CHUNK, WARPS = 2, 16, 1       # 2 channels x 16 states: a warp


@triton.jit
def compose(a1, x1, a2, x2):
    return a1 * a2, a2 * x1 + x2


@triton.jit
def softplus(x):
    """ln(1 + e^x) without cancellation: 2 atanh(w / (2 + w)) of w = e^-|x|; exactly x above 20."""
    w = tl.exp(-tl.abs(x))
    s = w / (2 + w)
    s2 = s * s
    tail = 0.3333333318 + s2 * (0.2000002622 + s2 * (0.1428420972 + s2 * (0.1115053914 + s2 * (
        0.0857565553 + s2 * 0.1089091749))))
    return tl.where(x > 20, x, tl.maximum(x, 0) + 2 * (s + s * s2 * tail))


@triton.jit
def frames(first, earliest, length, REVERSE: tl.constexpr, CHUNK: tl.constexpr):
    """Where the frames of a chunk lie in memory, and which of them there are."""
    t = first + tl.arange(0, CHUNK)
    return length - 1 - t if REVERSE else t, (t >= earliest) & (t < length)


@triton.jit
def place(channels, LANES: tl.constexpr, STATES: tl.constexpr):
    """What a program scans: its batch item, channels and states, and which channels are real.

    Then the number of its group, and its own, over all batch items.
    """
    b, block, group = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    blocks, groups = tl.num_programs(1), tl.num_programs(2)
    size, lane = channels // groups, block * LANES + tl.arange(0, LANES)
    group_of_all = b * groups + group
    return (b, group * size + lane, tl.arange(0, STATES), lane < size, group_of_all,
            group_of_all * blocks + block)


@triton.jit
def load_step(delta, offset, at, tile, CURVED: tl.constexpr):
    """delta + bias, and the step: zero where there is no frame, so that the state stays."""
    raw = tl.load(delta + at, mask=tile, other=0.0) + offset[None, :]
    return raw, tl.where(tile, softplus(raw) if CURVED else raw, 0.0)


@triton.jit
def forward_kernel(u, delta, A, B, C, D, z, bias, y, borders, last_state, channels, length, n,
                   CURVED: tl.constexpr, GATED: tl.constexpr, REVERSE: tl.constexpr,
                   LANES: tl.constexpr, CHUNK: tl.constexpr, STATES: tl.constexpr):
    b, e, k, real, group, block = place(channels, LANES, STATES)
    constants = real[:, None] & (k < n)[None, :]
    rate = tl.load(A + e[:, None] * n + k[None, :], mask=constants, other=0.0)
    skip, offset = tl.load(D + e, mask=real, other=0.0), tl.load(bias + e, mask=real, other=0.0)
    rows = (b * channels + e).to(tl.int64) * length
    state_rows = (group * n + k).to(tl.int64) * length
    state = rate * 0
    chunks = tl.cdiv(length, CHUNK)
    border_rows = block.to(tl.int64) * chunks * LANES + tl.arange(0, LANES)
    border = borders + border_rows[:, None] * n + k[None, :]
    for first in range(0, length, CHUNK):
        t, inside = frames(first, 0, length, REVERSE, CHUNK)
        at, tile = rows[None, :] + t[:, None], real[None, :] & inside[:, None]
        of_states, some = state_rows[None, :] + t[:, None], inside[:, None] & (k < n)[None, :]
        tl.store(border + first // CHUNK * LANES * n, state, mask=(k < n)[None, :])
        u_ = tl.load(u + at, mask=tile, other=0.0)
        b_ = tl.load(B + of_states, mask=some, other=0.0)
        c_ = tl.load(C + of_states, mask=some, other=0.0)
        _, step = load_step(delta, offset, at, tile, CURVED)
        decay = tl.exp(step[:, :, None] * rate[None, :, :])                 # (CHUNK, LANES, STATES)
        drive = (step * u_)[:, :, None] * b_[:, None, :]
        product, total = tl.associative_scan((decay, drive), 0, compose)
        h = product * state[None, :, :] + total
        y_ = tl.sum(h * c_[:, None, :], 2) + skip[None, :] * u_
        if GATED:
            z_ = tl.load(z + at, mask=tile, other=0.0)
            y_ = y_ * z_ * tl.sigmoid(z_)
        tl.store(y + at, y_, mask=tile)
        state = tl.sum(tl.where((tl.arange(0, CHUNK) == CHUNK - 1)[:, None, None], h, 0.0), 0)
    tl.store(last_state + (b * channels + e)[:, None] * n + k[None, :], state, mask=constants)


@triton.jit
def scan_before(u, delta, B, rate, offset, rows, state_rows, real, some, first, length,
                CURVED: tl.constexpr, REVERSE: tl.constexpr, CHUNK: tl.constexpr):
    """The scan of the frames one earlier, with the identity first: the state before each frame."""
    t, inside = frames(first - 1, first, length, REVERSE, CHUNK)
    at, tile = rows[None, :] + t[:, None], real[None, :] & inside[:, None]
    _, step = load_step(delta, offset, at, tile, CURVED)
    drive = step * tl.load(u + at, mask=tile, other=0.0)
    of_states, some = state_rows[None, :] + t[:, None], inside[:, None] & some[None, :]
    b_ = tl.load(B + of_states, mask=some, other=0.0)
    decay = tl.exp(step[:, :, None] * rate[None, :, :])                     # (CHUNK, LANES, STATES)
    return tl.associative_scan((decay, drive[:, :, None] * b_[:, None, :]), 0, compose)


@triton.jit
def scan_after(p, delta, c_, rate, offset, rows, real, first, length, CURVED: tl.constexpr,
               REVERSE: tl.constexpr, CHUNK: tl.constexpr):
    """The scan of the state's adjoint, from the last frame, by the decay of the frame after."""
    t, inside = frames(first + 1, 0, length, REVERSE, CHUNK)
    at, tile = rows[None, :] + t[:, None], real[None, :] & inside[:, None]
    _, step = load_step(delta, offset, at, tile, CURVED)
    decay = tl.exp(step[:, :, None] * rate[None, :, :])                     # (CHUNK, LANES, STATES)
    return tl.associative_scan((decay, p[:, :, None] * c_[:, None, :]), 0, compose, reverse=True)


@triton.jit
def backward_kernel(u, delta, A, B, C, D, z, bias, g, borders, du, ddelta, dA, dB, dC, dD, dz,
                    dbias, channels, length, n, CURVED: tl.constexpr, GATED: tl.constexpr,
                    REVERSE: tl.constexpr, LANES: tl.constexpr, CHUNK: tl.constexpr,
                    STATES: tl.constexpr):
    b, e, k, real, group, block = place(channels, LANES, STATES)
    constants = real[:, None] & (k < n)[None, :]
    rate = tl.load(A + e[:, None] * n + k[None, :], mask=constants, other=0.0)
    skip, offset = tl.load(D + e, mask=real, other=0.0), tl.load(bias + e, mask=real, other=0.0)
    rows = (b * channels + e).to(tl.int64) * length
    state_rows = (group * n + k).to(tl.int64) * length
    sum_rows = (block * n + k).to(tl.int64) * length                        # dB and dC, a program
    q, drate, dskip, doffset = rate * 0, rate * 0, skip * 0, skip * 0
    chunks = tl.cdiv(length, CHUNK)
    border_rows = block.to(tl.int64) * chunks * LANES + tl.arange(0, LANES)
    border = borders + border_rows[:, None] * n + k[None, :]
    for back in range(chunks):
        first = (chunks - 1 - back) * CHUNK
        t, inside = frames(first, 0, length, REVERSE, CHUNK)
        at, tile = rows[None, :] + t[:, None], real[None, :] & inside[:, None]
        of_states, some = state_rows[None, :] + t[:, None], inside[:, None] & (k < n)[None, :]
        u_ = tl.load(u + at, mask=tile, other=0.0)
        b_ = tl.load(B + of_states, mask=some, other=0.0)
        c_ = tl.load(C + of_states, mask=some, other=0.0)
        raw, step = load_step(delta, offset, at, tile, CURVED)
        decay, drive = tl.exp(step[:, :, None] * rate[None, :, :]), step * u_

        product, total = scan_before(u, delta, B, rate, offset, rows, state_rows, real, k < n,
                                     first, length, CURVED, REVERSE, CHUNK)
        start = tl.load(border + first // CHUNK * LANES * n, mask=(k < n)[None, :], other=0.0)
        h_before = decay * (product * start[None, :, :] + total)
        h = h_before + drive[:, :, None] * b_[:, None, :]
        p = tl.load(g + at, mask=tile, other=0.0)
        if GATED:
            z_ = tl.load(z + at, mask=tile, other=0.0)
            s, y1 = tl.sigmoid(z_), tl.sum(h * c_[:, None, :], 2) + skip[None, :] * u_
            tl.store(dz + at, p * y1 * s * (1 + z_ * (1 - s)), mask=tile)
            p = p * z_ * s

        product, total = scan_after(p, delta, c_, rate, offset, rows, real, first, length, CURVED,
                                    REVERSE, CHUNK)
        adjoint = product * q[None, :, :] + total
        q = tl.sum(tl.where((tl.arange(0, CHUNK) == 0)[:, None, None], adjoint, 0.0), 0)

        sums = sum_rows[None, :] + t[:, None]
        tl.store(dB + sums, tl.sum(adjoint * drive[:, :, None], 1), mask=some)
        tl.store(dC + sums, tl.sum(p[:, :, None] * h, 1), mask=some)
        change, to_drive = adjoint * h_before, tl.sum(adjoint * b_[:, None, :], 2)
        drate += tl.sum(change * step[:, :, None], 0)
        dstep = tl.sum(change * rate[None, :, :], 2) + to_drive * u_
        if CURVED:
            dstep = tl.where(raw > 20, dstep, dstep * tl.sigmoid(raw))
        dstep = tl.where(tile, dstep, 0.0)
        tl.store(ddelta + at, dstep, mask=tile)
        tl.store(du + at, skip[None, :] * p + step * to_drive, mask=tile)
        doffset += tl.sum(dstep, 0)
        dskip += tl.sum(p * u_, 0)
    tl.store(dA + (b * channels + e)[:, None] * n + k[None, :], drate, mask=constants)
    tl.store(dD + b * channels + e, dskip, mask=real)
    tl.store(dbias + b * channels + e, doffset, mask=real)


def launch(kernel, u, delta, A, B, *others):
    """Run a kernel on contiguous tensors (b, e, t), (e, n), (b, g, n, t), (e,), then flags."""
    tensors = [x.contiguous() for x in (u, delta, A, B, *others) if isinstance(x, torch.Tensor)]
    flags = [x for x in others if not isinstance(x, torch.Tensor)]
    (batch, channels, length), (groups, n) = u.shape, B.shape[1:3]
    grid = batch, triton.cdiv(channels, groups * LANES), groups
    kernel[grid](*tensors, channels, length, n, *flags, LANES, CHUNK, triton.next_power_of_2(n),
                 num_warps=WARPS, enable_fp_fusion=True)


forward, backward = partial(launch, forward_kernel), partial(launch, backward_kernel)
