"""The selective scan on CUDA, in Triton: forward and hand-written backward pass, nothing of size (b, e, n, t) stored.

A program scans LANES channels of one batch item, CHUNK frames at a time with all states in registers: inside a chunk by the
associative rule (a1, x1) then (a2, x2) = (a1 a2, a2 x1 + x2), from chunk to chunk by the state at the border. The backward
pass goes from the last chunk to the first and computes the states again. Sums over channels are left per program and added
up afterwards, without atomic operations: the same bits every time.

Checked with Triton's interpreter (TRITON_INTERPRET=1, tensors on the CPU); its speed on a GPU has not been measured.
"""

from functools import partial

import torch
import triton
import triton.language as tl

LANES, CHUNK, WARPS = 8, 32, 8      # with 16 states 16 numbers a thread; with twice as many, registers overflow on sm_90


@triton.jit
def compose(a1, x1, a2, x2):
    return a1 * a2, a2 * x1 + x2


@triton.jit
def softplus(x):
    """ln(1 + e^x) without cancellation, as 2 atanh(w / (2 + w)) of w = e^-|x|; exactly x above 20."""
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
def load_step(delta, offset, at, here, CURVED: tl.constexpr):
    """delta + bias, and the step: zero where there is no frame, so that the state stays."""
    raw = tl.load(delta + at, mask=here, other=0.0) + offset[:, None]
    return raw, tl.where(here, softplus(raw) if CURVED else raw, 0.0)


@triton.jit
def forward_kernel(u, delta, A, B, C, D, z, bias, y, borders, last_state, channels, length, n, CURVED: tl.constexpr,
                   GATED: tl.constexpr, REVERSE: tl.constexpr, LANES: tl.constexpr, CHUNK: tl.constexpr,
                   STATES: tl.constexpr):
    b, block, blocks = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    e, k = block * LANES + tl.arange(0, LANES), tl.arange(0, STATES)
    real = e < channels
    constants = real[:, None] & (k < n)[None, :]
    rate = tl.load(A + e[:, None] * n + k[None, :], mask=constants, other=0.0)
    skip, offset = tl.load(D + e, mask=real, other=0.0), tl.load(bias + e, mask=real, other=0.0)
    rows, state_rows = (b * channels + e).to(tl.int64) * length, (b * n + k).to(tl.int64) * length
    state = rate * 0
    chunks = tl.cdiv(length, CHUNK)
    kept = borders + ((b * blocks + block).to(tl.int64) * chunks * LANES + tl.arange(0, LANES))[:, None] * n + k
    for first in range(0, length, CHUNK):
        t, here = frames(first, 0, length, REVERSE, CHUNK)
        at, tile = rows[:, None] + t[None, :], real[:, None] & here[None, :]
        of_states, some = state_rows[None, :] + t[:, None], here[:, None] & (k < n)[None, :]
        tl.store(kept + first // CHUNK * LANES * n, state, mask=(k < n)[None, :])
        u_ = tl.load(u + at, mask=tile, other=0.0)
        b_, c_ = tl.load(B + of_states, mask=some, other=0.0), tl.load(C + of_states, mask=some, other=0.0)
        _, step = load_step(delta, offset, at, tile, CURVED)
        product, total = tl.associative_scan((tl.exp(step[:, :, None] * rate[:, None, :]),
                                              (step * u_)[:, :, None] * b_[None, :, :]), 1, compose)
        h = product * state[:, None, :] + total                             # (LANES, CHUNK, STATES)
        y_ = tl.sum(h * c_[None, :, :], 2) + skip[:, None] * u_
        if GATED:
            z_ = tl.load(z + at, mask=tile, other=0.0)
            y_ = y_ * z_ * tl.sigmoid(z_)
        tl.store(y + at, y_, mask=tile)
        state = tl.sum(tl.where((tl.arange(0, CHUNK) == CHUNK - 1)[None, :, None], h, 0.0), 1)
    tl.store(last_state + (b * channels + e)[:, None] * n + k[None, :], state, mask=constants)


@triton.jit
def backward_kernel(u, delta, A, B, C, D, z, bias, g, borders, du, ddelta, dA, dB, dC, dD, dz, dbias, channels, length, n,
                    CURVED: tl.constexpr, GATED: tl.constexpr, REVERSE: tl.constexpr, LANES: tl.constexpr,
                    CHUNK: tl.constexpr, STATES: tl.constexpr):
    b, block, blocks = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    e, k = block * LANES + tl.arange(0, LANES), tl.arange(0, STATES)
    real = e < channels
    constants = real[:, None] & (k < n)[None, :]
    rate = tl.load(A + e[:, None] * n + k[None, :], mask=constants, other=0.0)
    skip, offset = tl.load(D + e, mask=real, other=0.0), tl.load(bias + e, mask=real, other=0.0)
    rows, state_rows = (b * channels + e).to(tl.int64) * length, (b * n + k).to(tl.int64) * length
    sum_rows = ((b * blocks + block) * n + k).to(tl.int64) * length         # dB and dC, a program
    q, drate, dskip, doffset = rate * 0, rate * 0, skip * 0, skip * 0
    chunks = tl.cdiv(length, CHUNK)
    kept = borders + ((b * blocks + block).to(tl.int64) * chunks * LANES + tl.arange(0, LANES))[:, None] * n + k
    for back in range(chunks):
        chunk = chunks - 1 - back
        first = chunk * CHUNK
        t, here = frames(first, 0, length, REVERSE, CHUNK)
        at, tile = rows[:, None] + t[None, :], real[:, None] & here[None, :]
        of_states, some = state_rows[None, :] + t[:, None], here[:, None] & (k < n)[None, :]
        u_ = tl.load(u + at, mask=tile, other=0.0)
        b_, c_ = tl.load(B + of_states, mask=some, other=0.0), tl.load(C + of_states, mask=some, other=0.0)
        raw, step = load_step(delta, offset, at, tile, CURVED)
        decay, drive = tl.exp(step[:, :, None] * rate[:, None, :]), step * u_

        # the state before each frame, by the scan of the frames one earlier, with the identity first; and after it
        t, here = frames(first - 1, first, length, REVERSE, CHUNK)
        before, tile_before = rows[:, None] + t[None, :], real[:, None] & here[None, :]
        _, step_before = load_step(delta, offset, before, tile_before, CURVED)
        drive_before = step_before * tl.load(u + before, mask=tile_before, other=0.0)
        b_before = tl.load(B + state_rows[None, :] + t[:, None], mask=here[:, None] & (k < n)[None, :], other=0.0)
        product, total = tl.associative_scan((tl.exp(step_before[:, :, None] * rate[:, None, :]),
                                              drive_before[:, :, None] * b_before[None, :, :]), 1, compose)
        border = tl.load(kept + chunk * LANES * n, mask=(k < n)[None, :], other=0.0)
        h_before = decay * (product * border[:, None, :] + total)
        h = h_before + drive[:, :, None] * b_[None, :, :]

        p = tl.load(g + at, mask=tile, other=0.0)
        if GATED:
            z_ = tl.load(z + at, mask=tile, other=0.0)
            s, y1 = tl.sigmoid(z_), tl.sum(h * c_[None, :, :], 2) + skip[:, None] * u_
            tl.store(dz + at, p * y1 * s * (1 + z_ * (1 - s)), mask=tile)
            p = p * z_ * s

        # the adjoint of the state, from the last frame to the first, with the decay of the frame after
        t, here = frames(first + 1, 0, length, REVERSE, CHUNK)
        _, step_after = load_step(delta, offset, rows[:, None] + t[None, :], real[:, None] & here[None, :], CURVED)
        product, total = tl.associative_scan((tl.exp(step_after[:, :, None] * rate[:, None, :]),
                                              p[:, :, None] * c_[None, :, :]), 1, compose, reverse=True)
        adjoint = product * q[:, None, :] + total
        q = tl.sum(tl.where((tl.arange(0, CHUNK) == 0)[None, :, None], adjoint, 0.0), 1)

        sums = sum_rows[None, :] + (of_states - state_rows[None, :])
        tl.store(dB + sums, tl.sum(adjoint * drive[:, :, None], 0), mask=some)
        tl.store(dC + sums, tl.sum(p[:, :, None] * h, 0), mask=some)
        change, to_drive = adjoint * h_before, tl.sum(adjoint * b_[None, :, :], 2)
        drate += tl.sum(change * step[:, :, None], 1)
        dstep = tl.sum(change * rate[:, None, :], 2) + to_drive * u_
        if CURVED:
            dstep = tl.where(raw > 20, dstep, dstep * tl.sigmoid(raw))
        dstep = tl.where(tile, dstep, 0.0)
        tl.store(ddelta + at, dstep, mask=tile)
        tl.store(du + at, skip[:, None] * p + step * to_drive, mask=tile)
        doffset += tl.sum(dstep, 1)
        dskip += tl.sum(p * u_, 1)
    tl.store(dA + (b * channels + e)[:, None] * n + k[None, :], drate, mask=constants)
    tl.store(dD + b * channels + e, dskip, mask=real)
    tl.store(dbias + b * channels + e, doffset, mask=real)


def launch(kernel, u, delta, A, *others):
    """Run a kernel on contiguous tensors (b, e, t), (e, n), (b, n, t), (e,); flags follow the inputs, as in `scan_cpu`."""
    tensors = [x.contiguous() for x in (u, delta, A, *others) if isinstance(x, torch.Tensor)]
    flags = [x for x in others if not isinstance(x, torch.Tensor)]
    (batch, channels, length), n = u.shape, A.shape[1]
    kernel[batch, triton.cdiv(channels, LANES)](*tensors, channels, length, n, *flags, LANES, CHUNK,
                                                triton.next_power_of_2(n), num_warps=WARPS, enable_fp_fusion=True)


forward, backward = partial(launch, forward_kernel), partial(launch, backward_kernel)
