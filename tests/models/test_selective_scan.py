"""The selective scan: one suite for every backend that can run here, against the authors' numbers
and a float64 loop.

Triton's kernels run without a GPU in Triton's interpreter: a subprocess runs this file again with
TRITON_INTERPRET=1.
"""

import os
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from depnb.models import scan_cpu
from depnb.models import selective_scan as module
from depnb.models.selective_scan import scan_loop, selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CUDA = torch.cuda.is_available()
DEVICES = {"loop": "cpu", "cpu": "cpu", "triton": "cpu" if INTERPRETED else "cuda",
           "mamba_ssm": "cuda"}
BACKENDS = [pytest.param(name, marks=pytest.mark.skipif(device == "cuda" and not CUDA,
                                                        reason="needs CUDA"))
            for name, device in DEVICES.items()]
EVERY = pytest.mark.parametrize("backend", BACKENDS)
# batch, channels, length, states: single sizes, borders of chunks (32 frames) and blocks (64
# channels), odd sizes
SIZES = [(1, 1, 1, 1), (2, 3, 2, 5), (1, 65, 33, 8), (2, 64, 32, 16), (1, 130, 31, 12),
         (3, 2, 129, 4), (1, 7, 65, 3)]


def draw(batch, channels, length, states, seed=0, delta=-3.0, spread=1.0, dtype=torch.float32):
    """Inputs by name; raw steps around `delta`, before the softplus."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)

    inputs = {"u": normal(batch, channels, length),
              "delta": delta + spread * normal(batch, channels, length),
              "A": -torch.exp(normal(channels, states)), "B": normal(batch, states, length),
              "C": normal(batch, states, length), "D": normal(channels),
              "z": normal(batch, channels, length), "delta_bias": 0.1 * normal(channels)}
    return {name: x.to(dtype) for name, x in inputs.items()}


def with_shape(inputs, seed=1, **shapes):
    """The inputs with other B or C: constant "en", or of so many groups."""
    random = torch.Generator().manual_seed(seed)
    (batch, channels, length), states = inputs["u"].shape, inputs["A"].shape[1]
    drawn = {name: torch.randn((channels, states) if shape == "en" else
                               (batch, shape, states, length), generator=random,
                               dtype=torch.float64) for name, shape in shapes.items()}
    return inputs | {name: x.to(inputs["u"].dtype) for name, x in drawn.items()}


def equations(u, delta, A, B, C, D=None, z=None, delta_bias=None, return_last_state=True,
              delta_softplus=True):
    """y and the last state by the two equations, B and C written out to (b, e, n, t) first."""
    def written_out(x):
        if x.ndim == 2:
            return x[None, :, :, None].expand(len(u), *x.shape, u.shape[2])
        groups = x if x.ndim == 4 else x[:, None]
        return torch.stack([groups[:, e * groups.shape[1] // u.shape[1]]
                            for e in range(u.shape[1])], 1)

    step = delta if delta_bias is None else delta + delta_bias[:, None]
    step = torch.nn.functional.softplus(step) if delta_softplus else step
    h, y = u.new_zeros(*u.shape[:2], A.shape[1]), []
    for step_t, u_t, B_t, C_t in zip(*(x.unbind(-1) for x in (step[:, :, None], u[:, :, None],
                                                              written_out(B), written_out(C))),
                                     strict=True):
        h = torch.exp(step_t * A) * h + step_t * B_t * u_t
        y.append(torch.einsum("ben,ben->be", C_t, h))
    y = torch.stack(y, 2) + (0 if D is None else D[:, None] * u)
    return y if z is None else y * torch.nn.functional.silu(z), h


def run(scan, inputs, g, **options):
    """Output, last state and the gradients of the inputs, for dL/dy = g, all on the CPU and in
    float64.
    """
    device = DEVICES.get(options.get("backend"), "cpu")
    leaves = {name: x.detach().to(device).requires_grad_() for name, x in inputs.items()}
    y, state = scan(**leaves, return_last_state=True, **options)
    y.backward(g.to(y))
    assert all(x.grad.dtype == x.dtype and x.grad.shape == x.shape for x in leaves.values())
    return {"y": y, "last_state": state} | {f"grad_{name}": x.grad for name, x in leaves.items()}


def assert_close(ours, reference, tolerance=1e-5):
    """Largest difference, relative to the largest number of each array."""
    assert set(ours) == set(reference)
    for name, expected in reference.items():
        x, expected = ours[name].detach().cpu().double(), expected.detach().cpu().double()
        assert x.shape == expected.shape, name
        if expected.numel():
            difference = float((x - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
            assert difference <= tolerance, f"{name}: {difference:.1e}"


def assert_is_the_float64_loop(backend, inputs, tolerance=1e-5, **options):
    g = torch.randn(inputs["u"].shape, generator=torch.Generator().manual_seed(9),
                    dtype=torch.float64)
    wide = {name: x.double() for name, x in inputs.items()}
    options = {"delta_softplus": True} | options
    assert_close(run(selective_scan, inputs, g, backend=backend, **options),
                 run(scan_loop, wide, g, **options), tolerance)


def python(code, *options):
    """Run indented code in a process of its own -> what it printed."""
    done = subprocess.run([sys.executable, *options, "-c", textwrap.dedent(code)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@EVERY
def test_values_and_gradients_are_the_authors(backend, golden):
    arrays, config = golden("selective_scan_a")
    inputs = {name: torch.from_numpy(arrays[f"input/{name}"]) for name in NAMES}
    ours = run(selective_scan, inputs, torch.from_numpy(arrays["input/g"]),
               delta_softplus=config["delta_softplus"], backend=backend)
    for name, x in ours.items():
        torch.testing.assert_close(x.detach().cpu(), torch.from_numpy(arrays[f"output/{name}"]),
                                   atol=1e-5, rtol=0)


@EVERY
@pytest.mark.parametrize("size", SIZES)
def test_any_size_gives_the_numbers_of_the_float64_loop(backend, size):
    assert_is_the_float64_loop(backend, draw(*size))


@EVERY
@pytest.mark.parametrize("reverse", [False, True])
def test_thousands_of_frames_give_the_numbers_of_the_float64_loop(backend, reverse):
    assert_is_the_float64_loop(backend, draw(1, 5, 3001, 12, delta=-4.0), reverse=reverse)


@EVERY
@pytest.mark.parametrize(("delta", "spread"),
                         [(-13.8, 0.1), (25.0, 3.0), (20.0, 1.0), (-40.0, 5.0)])
def test_tiny_and_large_steps_give_the_numbers_of_the_float64_loop(backend, delta, spread):
    """Steps near 1e-6, above the threshold of the softplus, around it, and far below anything that
    moves the state.
    """
    inputs = draw(2, 9, 70, 4, delta=delta, spread=spread)
    inputs["delta_bias"] *= 0                                      # no sum that float32 would round
    assert_is_the_float64_loop(backend, inputs)


@EVERY
def test_strongly_negative_a_forgets_without_a_nan(backend):
    if backend == "mamba_ssm":
        pytest.xfail("the gradient of A of 2.3.2.post1 was off by all of it on an H200")
    inputs = draw(2, 9, 40, 4, delta=2.0)
    inputs["A"] *= 1000
    assert_is_the_float64_loop(backend, inputs)


@EVERY
@pytest.mark.parametrize("missing", [("D",), ("z",), ("delta_bias",), ("D", "z", "delta_bias")],
                         ids="-".join)
@pytest.mark.parametrize("softplus", [True, False])
def test_every_optional_argument_may_be_missing(backend, missing, softplus):
    inputs = draw(2, 6, 37, 5)
    if not softplus:                                   # then delta and its bias are the step itself
        inputs["delta"], inputs["delta_bias"] = inputs["delta"].exp(), inputs["delta_bias"].abs()
    inputs = {name: x for name, x in inputs.items() if name not in missing}
    assert_is_the_float64_loop(backend, inputs, delta_softplus=softplus)


@EVERY
def test_reverse_is_the_scan_of_the_reversed_sequence(backend):
    inputs, g = draw(2, 6, 45, 5), torch.randn(2, 6, 45, generator=torch.Generator().manual_seed(3))
    backwards = run(selective_scan, inputs, g, delta_softplus=True, backend=backend, reverse=True)
    flipped = {name: x.flip(-1) if x.ndim == 3 else x for name, x in inputs.items()}
    expected = run(selective_scan, flipped, g.flip(-1), delta_softplus=True, backend=backend)
    in_time = {"y", "grad_u", "grad_delta", "grad_B", "grad_C", "grad_z"}
    assert_close(backwards,
                 {name: x.flip(-1) if name in in_time else x for name, x in expected.items()}, 1e-6)


@EVERY
def test_frames_with_a_step_of_zero_leave_the_state_exactly_alone(backend):
    inputs = draw(2, 6, 40, 5)
    padded = {name: torch.cat((x, torch.randn_like(x)), -1) if x.ndim == 3 else x
              for name, x in inputs.items()}
    padded["delta"][..., 40:] = -1e4
    ours = [selective_scan(**{name: x.to(DEVICES[backend]) for name, x in some.items()},
                           delta_softplus=True, return_last_state=True, backend=backend)
            for some in (inputs, padded)]
    assert torch.equal(ours[0][1], ours[1][1])
    torch.testing.assert_close(ours[0][0], ours[1][0][..., :40], rtol=0, atol=1e-6)


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_inputs_are_computed_in_32_bits_and_cast_back(backend, dtype):
    inputs = {name: x if name in ("A", "D", "delta_bias") else x.to(dtype)
              for name, x in draw(2, 6, 50, 5).items()}
    y, state = selective_scan(**{name: x.to(DEVICES[backend]) for name, x in inputs.items()},
                              delta_softplus=True, return_last_state=True, backend=backend)
    assert (y.dtype, state.dtype) == (dtype, torch.float32)
    wide = {name: x.double() for name, x in inputs.items()}
    expected, last = scan_loop(**wide, delta_softplus=True, return_last_state=True)
    torch.testing.assert_close(y.cpu(), expected.to(dtype))
    torch.testing.assert_close(state.cpu(), last.float(), rtol=1e-5, atol=1e-5)
    # gradients, rounded to 16 bits
    assert_is_the_float64_loop(backend, inputs, tolerance=2 * torch.finfo(dtype).eps)


@EVERY
def test_autocast_does_not_lower_the_precision_of_32_bit_inputs(backend):
    inputs = {name: x.to(DEVICES[backend]) for name, x in draw(2, 6, 50, 5).items()}
    with torch.autocast(DEVICES[backend], torch.bfloat16):
        y = selective_scan(**inputs, delta_softplus=True, backend=backend)
    assert torch.equal(y, selective_scan(**inputs, delta_softplus=True, backend=backend))


@EVERY
def test_a_tensor_of_any_strides_gives_the_same_numbers(backend):
    inputs, g = draw(2, 6, 40, 5), torch.ones(()).expand(2, 6, 40)
    strided = {name: x.mT.contiguous().mT if x.ndim > 1
               else x[:, None].expand(-1, 3).contiguous()[:, 1] for name, x in inputs.items()}
    strided["z"] = torch.cat((inputs["u"], inputs["z"]), 1).chunk(2, 1)[1]  # half of a wider tensor
    assert not any(strided[name].is_contiguous()
                   for name in ("u", "delta", "A", "B", "C", "D", "z"))
    leaves = {name: x.to(DEVICES[backend]) for name, x in strided.items()}
    ours = selective_scan(**leaves, delta_softplus=True, backend=backend)
    expected = run(selective_scan, inputs, g, delta_softplus=True, backend=backend)
    assert_close({"y": ours}, {"y": expected["y"]}, 1e-6)
    views = {name: x.clone(memory_format=torch.preserve_format).requires_grad_()
             for name, x in strided.items()}
    y = selective_scan(**{name: x.to(DEVICES[backend]) for name, x in views.items()},
                       delta_softplus=True, backend=backend)
    y.sum().backward()                                            # its gradient has strides of zero
    assert_close({f"grad_{name}": x.grad for name, x in views.items()},
                 {name: x for name, x in expected.items() if name.startswith("grad")}, 1e-6)


@EVERY
@pytest.mark.parametrize("size", [(2, 3, 0, 4), (0, 3, 5, 4), (2, 0, 5, 4)])
def test_no_frames_no_items_or_no_channels_give_empty_outputs_and_zero_gradients(backend, size):
    if backend in ("triton", "mamba_ssm"):
        backend = "auto"                                    # which then leaves CUDA's kernels alone
    inputs = {name: x.requires_grad_() for name, x in draw(*size).items()}
    y, state = selective_scan(**inputs, delta_softplus=True, return_last_state=True,
                              backend=backend)
    assert y.shape == size[:3]
    assert state.shape == (size[0], size[1], 4)
    assert not state.any()
    y.sum().backward()
    for name, x in inputs.items():
        assert x.grad is None or not x.grad.any(), name


@EVERY
def test_a_nan_comes_out_as_nan_from_its_frame_on(backend):
    inputs = draw(1, 3, 40, 4)
    inputs["delta"][0, 1, 20] = float("nan")
    y = selective_scan(**{name: x.to(DEVICES[backend]) for name, x in inputs.items()},
                       delta_softplus=True, backend=backend)
    assert y[0, 1, 20:].isnan().all()
    assert not y[0, 1, :20].isnan().any()
    assert not y[0, [0, 2]].isnan().any()


@EVERY
def test_the_last_state_has_no_gradient(backend):
    inputs = {name: x.to(DEVICES[backend]).requires_grad_() for name, x in draw(1, 3, 4, 2).items()}
    assert not selective_scan(**inputs, return_last_state=True, backend=backend)[1].requires_grad


@pytest.mark.parametrize("backend", ["cpu", "loop"])
def test_gradients_in_float64_are_those_of_finite_differences(backend):
    inputs = draw(2, 3, 5, 2, delta=0.0, dtype=torch.float64)

    def scan(*tensors):
        return selective_scan(*tensors, delta_softplus=True, backend=backend)

    assert torch.autograd.gradcheck(scan, [x.requires_grad_() for x in inputs.values()])


def test_backends_agree_on_one_bidirectional_pass():
    """The pass that the model makes: both directions, averaged; the compiled one against the loop,
    in float32.
    """
    inputs, results = draw(2, 70, 100, 12), []
    for backend in ("cpu", "loop"):
        leaves = {name: x.clone().requires_grad_() for name, x in inputs.items()}
        y = sum(selective_scan(**leaves, delta_softplus=True, backend=backend, reverse=r)
                for r in (False, True)) / 2
        y.square().mean().backward()
        results.append({"y": y} | {f"grad_{name}": x.grad for name, x in leaves.items()})
    assert_close(*results)


# --- Groups of channels, and constant B and C ---

# their own test of the scan: lengths, and one group or two
THEIR_LENGTHS, THEIR_GROUPS = (128, 256, 512, 1024, 2048, 4096), (1, 2)


@pytest.mark.parametrize("groups", THEIR_GROUPS)
@pytest.mark.parametrize("length", THEIR_LENGTHS)
def test_the_cases_of_mamba_ssms_own_test_pass(length, groups):
    """Their shapes and ranges (tests/ops/test_selective_scan.py), beside the equations in float64;
    theirs compares outputs and states, to 6e-4, this one gradients as well.
    """
    random = torch.Generator().manual_seed(0)
    shared, B_shape = (2, 4, length), (2, 8, length) if groups == 1 else (2, groups, 8, length)
    inputs = {"u": torch.randn(shared, generator=random),
              "delta": 0.5 * torch.rand(shared, generator=random),
              "A": -0.5 * torch.rand(4, 8, generator=random),
              "B": torch.randn(B_shape, generator=random),
              "C": torch.randn(B_shape, generator=random), "D": torch.randn(4, generator=random),
              "z": torch.randn(shared, generator=random),
              "delta_bias": 0.5 * torch.rand(4, generator=random)}
    g = torch.randn(shared, generator=random)
    assert_close(run(selective_scan, inputs, g, delta_softplus=True),
                 run(equations, {name: x.double() for name, x in inputs.items()}, g))


# batch, channels, length, states; B and C: groups, or constant
LAYOUTS = {"shared": ((2, 6, 37, 5), {}),
           "two groups": ((2, 6, 37, 5), {"B": 2, "C": 2}),
           "a group for each channel": ((1, 5, 33, 3), {"B": 5, "C": 5}),
           "groups wider than a block": ((1, 134, 5, 2), {"B": 2, "C": 2}),
           "constant B": ((2, 6, 37, 5), {"B": "en"}),
           "constant C": ((2, 6, 37, 5), {"C": "en"}),
           "constant B and C": ((1, 66, 5, 3), {"B": "en", "C": "en"}),
           "constant B, C in groups": ((2, 6, 37, 5), {"B": "en", "C": 3}),
           "B in groups, constant C": ((2, 6, 37, 5), {"B": 2, "C": "en"})}


@EVERY
@pytest.mark.parametrize("layout", LAYOUTS)
def test_groups_and_constants_give_the_numbers_of_the_equations(backend, layout):
    size, shapes = LAYOUTS[layout]
    inputs = with_shape(draw(*size), **shapes)
    g = torch.randn(size[:3], generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    ours = run(selective_scan, inputs, g, delta_softplus=True, backend=backend)
    assert_close(ours, run(equations, {name: x.double() for name, x in inputs.items()}, g))


@EVERY
@pytest.mark.parametrize("layout", ["two groups", "constant B, C in groups"])
def test_groups_and_constants_may_be_reversed_and_without_d_z_and_bias(backend, layout):
    size, shapes = LAYOUTS[layout]
    inputs = {name: x for name, x in with_shape(draw(*size), **shapes).items()
              if name not in ("D", "z", "delta_bias")}
    g = torch.randn(size[:3], generator=torch.Generator().manual_seed(9))
    ours = run(selective_scan, inputs, g, delta_softplus=True, backend=backend, reverse=True)
    flipped = {name: x.flip(-1).double() if x.ndim > 2 else x.double()
               for name, x in inputs.items()}
    expected = run(equations, flipped, g.flip(-1))
    assert_close(ours, {name: x.flip(-1) if x.ndim > 2 and name != "last_state" else x
                        for name, x in expected.items()})


@EVERY
@pytest.mark.parametrize("layout", ["two groups", "constant B, C in groups"])
def test_groups_and_constants_of_16_bits_are_computed_in_32(backend, layout):
    size, shapes = LAYOUTS[layout]
    inputs = {name: x if name in ("A", "D", "delta_bias") else x.bfloat16()
              for name, x in with_shape(draw(*size), **shapes).items()}
    g = torch.randn(size[:3], generator=torch.Generator().manual_seed(9))
    ours = run(selective_scan, inputs, g, delta_softplus=True, backend=backend)
    assert (ours["y"].dtype, ours["last_state"].dtype) == (torch.bfloat16, torch.float32)
    assert_close(ours, run(equations, {name: x.double() for name, x in inputs.items()}, g),
                 2 * torch.finfo(torch.bfloat16).eps)


@EVERY
def test_the_gradient_of_a_group_is_the_sum_over_its_channels(backend):
    inputs = with_shape(draw(2, 6, 20, 5), B=2, C=2)
    wide = inputs | {name: inputs[name].repeat_interleave(3, 1) for name in "BC"}
    g = torch.randn(2, 6, 20, generator=torch.Generator().manual_seed(3))
    ours, by_channel = (run(selective_scan, x, g, delta_softplus=True, backend=backend)
                        for x in (inputs, wide))
    for name in ("grad_B", "grad_C"):
        by_channel[name] = by_channel[name].unflatten(1, (2, 3)).sum(2)
    assert_close(ours, by_channel)


@pytest.mark.parametrize("backend", ["cpu", "loop"])
@pytest.mark.parametrize("shapes", [{"B": 2, "C": 2}, {"B": "en"}, {"B": "en", "C": 2},
                                    {"B": "en", "C": "en"}], ids=str)
def test_gradients_of_groups_and_constants_are_those_of_finite_differences(backend, shapes):
    inputs = with_shape(draw(1, 4, 3, 2, delta=0.0, dtype=torch.float64), **shapes)

    def scan(*tensors):
        return selective_scan(*tensors, delta_softplus=True, backend=backend)

    assert torch.autograd.gradcheck(scan, [x.requires_grad_() for x in inputs.values()])


def test_b_and_c_may_have_one_group():
    inputs = draw(2, 6, 20, 5)
    grouped = inputs | {name: inputs[name][:, None] for name in "BC"}
    assert torch.equal(selective_scan(**grouped, delta_softplus=True),
                       selective_scan(**inputs, delta_softplus=True))


# --- The compiled backend ---

def test_the_exponential_is_within_one_and_a_half_units_in_the_last_place():
    x = np.concatenate((np.linspace(-87.3, 88.3, 400_001), np.linspace(-1, 1, 100_001))).astype(
        np.float32)
    ours, exact = (np.array([scan_cpu.exp32(v) for v in x[::10]], np.float32),
                   np.exp(x[::10].astype(np.float64)))
    assert np.abs((ours - exact) / np.spacing(exact.astype(np.float32))).max() < 1.5


def test_the_exponential_is_exact_where_it_matters():
    values = {0.0: 1.0, -1e4: 0.0, -np.inf: 0.0, np.inf: np.inf, 1e4: np.inf}
    assert {x: scan_cpu.exp32(np.float32(x)) for x in values} == values
    assert np.isnan(scan_cpu.exp32(np.float32("nan")))


def test_the_softplus_keeps_its_digits_where_it_is_small():
    x = np.linspace(-60, 30, 3001).astype(np.float32)
    ours = np.array([scan_cpu.softplus(v) for v in x], np.float64)
    exact = np.where(x > 20, x, np.log1p(np.exp(x.astype(np.float64))))
    assert np.abs(ours / exact - 1).max() < 3e-7


@pytest.mark.parametrize("size", [(4, 130, 300, 16), (3, 64, 700, 12)])
def test_one_thread_and_two_give_the_same_bits(size):
    inputs, g, threads, results = draw(*size), torch.randn(size[:3]), torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(run(selective_scan, inputs, g, delta_softplus=True, backend="cpu"))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for name, x in results[0].items():
            assert torch.equal(x, other[name]), name


def test_what_is_kept_for_the_backward_pass_is_a_thirty_second_of_all_states():
    saved = []
    batch, channels, length, states = 2, 128, 640, 48
    inputs = {name: x.requires_grad_() for name, x in draw(batch, channels, length, states).items()}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        selective_scan(**inputs, delta_softplus=True, backend="cpu")
    addresses = {x.data_ptr() for x in inputs.values()}
    numbers = sum(x.numel() for x in saved if x.data_ptr() not in addresses)
    assert numbers <= batch * channels * length * states / 32


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(),
                    reason="the peak of memory is read from Linux")
def test_memory_stays_far_below_all_states_at_once():
    """All states, 8 x 128 x 2,000 x 64 float32, would be 524 MB; the inputs and outputs are 65 MB.
    """
    code = """
        import torch
        from depnb.models.selective_scan import selective_scan
        def memory(name):
            lines = open("/proc/self/status")
            return int(next(x for x in lines if x.startswith(name)).split()[1]) / 1000
        def scan(b, e, t, n):
            shapes = (b, e, t), (b, e, t), (e, n), (b, n, t), (b, n, t), (e,), (b, e, t), (e,)
            inputs = [torch.full(shape, -1.0, requires_grad=True) for shape in shapes]
            before = memory("VmRSS")
            open("/proc/self/clear_refs", "w").write("5")
            y = selective_scan(*inputs, delta_softplus=True, backend="cpu")
            y.sum().backward()
            outputs = sum(4 * x.numel() for x in (y, *inputs)) / 1e6
            return memory("VmHWM") - before - outputs
        scan(1, 8, 40, 4)
        print(scan(8, 128, 2000, 64))"""
    assert float(python(code)) < 60


def test_a_forked_process_scans_after_its_parent_did():
    """PyTorch's own threads do not survive a fork: sizes at which it uses none, and the scan two.
    """
    code = """
        import os, torch
        from depnb.models.selective_scan import selective_scan
        torch.set_num_threads(2)
        shapes = (1, 128, 200), (1, 128, 200), (128, 16), (1, 16, 200), (1, 16, 200)
        inputs = [torch.full(shape, -1.0) for shape in shapes]
        parent = selective_scan(*inputs, delta_softplus=True)
        child = os.fork()
        if child == 0:
            os._exit(0 if torch.equal(selective_scan(*inputs, delta_softplus=True), parent) else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"""
    python(code, "-W", "ignore")


def test_without_a_folder_to_write_to_it_compiles_without_keeping(monkeypatch):
    def nowhere(*signatures, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: (function, options)

    monkeypatch.setattr(scan_cpu.numba, "njit", nowhere)
    compiled = scan_cpu.compiled.__wrapped__(scan_cpu.forward_kernel, np.dtype(np.float32))
    assert compiled == (scan_cpu.forward_kernel, {"nogil": True, **scan_cpu.FREE})


def test_the_benchmark_compares_equal_values(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks/selective_scan.py"
    command = [sys.executable, script, "--quick", "--save", tmp_path / "scan.csv"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "published reference formula" in done.stdout, done.stderr
    assert "ratio" in (tmp_path / "scan.csv").read_text()
    assert "microseconds a frame" in (tmp_path / "scan_length.csv").read_text()


# --- Choice of a backend ---

@pytest.fixture
def package(monkeypatch):
    """package(function): a stand-in for mamba-ssm whose scan is the function, preferred on the CPU.
    """
    def install(function):
        for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"):
            fake = types.ModuleType(name)
            monkeypatch.setitem(sys.modules, name, fake)
        fake.selective_scan_fn = function

    monkeypatch.setattr(module, "PREFERRED", {"cpu": ("mamba_ssm", "cpu")})
    module.works.cache_clear()
    yield install
    module.works.cache_clear()


def test_mamba_ssm_is_preferred_where_it_works(package):
    calls = []

    def theirs(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state):
        calls.append({"u": u.dtype, "delta": delta.dtype, "A": A.dtype, "B": B.dtype, "z": z.dtype,
                      "D": D.dtype})
        return scan_loop(u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)

    package(theirs)
    inputs = draw(2, 3, 20, 4)
    expected = selective_scan(**inputs, delta_softplus=True, backend="loop", reverse=True)
    with torch.inference_mode():                            # the trial needs gradients all the same
        ours = selective_scan(**inputs, delta_softplus=True, reverse=True)
    assert len(calls) == 2                                                  # the trial and the scan
    torch.testing.assert_close(ours, expected)
    half = {name: x.bfloat16() for name, x in inputs.items()}
    assert selective_scan(**half, delta_softplus=True).dtype == torch.bfloat16
    assert calls[2] == {"u": torch.bfloat16, "delta": torch.bfloat16, "B": torch.bfloat16,
                        "z": torch.bfloat16, "A": torch.float32, "D": torch.float32}
    selective_scan(**{name: x.double() for name, x in inputs.items()}, delta_softplus=True)
    assert len(calls) == 3                                                  # it has no float64


def test_mamba_ssm_takes_groups_as_they_are_and_constants_state_by_state(package):
    shapes = []

    def theirs(u, delta, A, B, C, *others, return_last_state):
        shapes.append((tuple(A.shape), tuple(B.shape), tuple(C.shape)))
        return scan_loop(u, delta, A, B, C, *others, return_last_state)

    package(theirs)
    for layout, expected in (("two groups", [((6, 5), (2, 2, 5, 37), (2, 2, 5, 37))]),
                             ("constant B, C in groups", [((6, 1), (2, 3, 1, 37),
                                                           (2, 3, 1, 37))] * 5)):
        inputs = with_shape(draw(*LAYOUTS[layout][0]), **LAYOUTS[layout][1])
        y, state = selective_scan(**inputs, delta_softplus=True, return_last_state=True)
        assert shapes[-len(expected):] == expected
        assert_close({"y": y, "state": state}, dict(zip(("y", "state"), equations(**inputs),
                                                        strict=True)))


def broken_call(*args, **kwargs):
    raise RuntimeError("no kernel image is available for execution on the device")


def broken_backward(u, *args, **kwargs):
    u = u.clone()
    u.register_hook(lambda g: 1 / 0)
    return u * 2, None


@pytest.mark.parametrize(("function", "says"),
                         [(broken_call, "does without mamba_ssm.*RuntimeError: no kernel image"),
                          (broken_backward, "ZeroDivisionError")])
def test_a_broken_mamba_ssm_is_left_out_and_named_once(package, function, says):
    package(function)
    inputs = draw(2, 3, 20, 4)
    with pytest.warns(RuntimeWarning, match=says):
        ours = selective_scan(**inputs, delta_softplus=True)
    assert torch.equal(ours, selective_scan(**inputs, delta_softplus=True, backend="cpu"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selective_scan(**inputs, delta_softplus=True)


def test_a_mamba_ssm_whose_compiled_part_is_missing_is_named_once(package, monkeypatch):
    package(broken_call)
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", None)
    with pytest.warns(RuntimeWarning, match="ModuleNotFoundError"):
        selective_scan(**draw(2, 3, 20, 4))


def test_without_mamba_ssm_nothing_is_said(package, monkeypatch):
    def find_spec(name, *_):
        if name == "mamba_ssm":
            raise ModuleNotFoundError("No module named 'mamba_ssm'", name=name)

    for name in [name for name in sys.modules if name.split(".")[0] == "mamba_ssm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path",
                        [types.SimpleNamespace(find_spec=find_spec), *sys.meta_path])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selective_scan(**draw(2, 3, 20, 4), delta_softplus=True)


@pytest.mark.parametrize(("changes", "says"), [
    ({"delta": torch.zeros(2, 3, 9)}, r"delta has shape \(2, 3, 9\), expected \(2, 3, 8\)"),
    ({"u": torch.zeros(3, 8)},
     r"u has shape \(3, 8\) and A \(3, 4\), expected \(batch, channels, length\)"),
    ({"A": torch.zeros(5, 4)}, r"A has shape \(5, 4\), expected \(3, 4\)"),
    ({"A": torch.zeros(3)}, r"A \(3,\), expected .* \(channels, states\)"),
    ({"A": torch.zeros(3, 4, dtype=torch.complex64)}, "A holds torch.complex64, expected real"),
    ({"u": torch.zeros(2, 3, 8, dtype=torch.int64)}, "u holds torch.int64"),
    ({"B": torch.zeros(4, 3)}, r"B has shape \(4, 3\), expected \(3, 4\) for u of shape"),
    ({"B": torch.zeros(2, 5, 8)}, r"B has shape \(2, 5, 8\), expected \(2, 4, 8\)"),
    ({"C": torch.zeros(2, 3, 5, 8)}, r"C has shape \(2, 3, 5, 8\), expected \(2, 3, 4, 8\)"),
    ({"C": torch.zeros(2, 1, 1, 4, 8)}, r"C has shape \(2, 1, 1, 4, 8\), expected \(2, 4, 8\)"),
    ({"C": torch.zeros(4)}, r"C has shape \(4,\), expected \(2, 4, 8\)"),
    ({"C": torch.zeros(2, 2, 4, 8)}, "C has 2 groups, into which 3 channels cannot be divided"),
    ({"B": torch.zeros(2, 0, 4, 8)}, "B has 0 groups, into which 3 channels cannot be divided"),
    ({"B": torch.zeros(2, 3, 4, 8)}, "B has 3 groups of channels and C 1, expected the same"),
    ({"B": torch.zeros(3, 4, dtype=torch.complex64)}, "B holds torch.complex64, expected real"),
    ({"D": torch.zeros(4)}, r"D has shape \(4,\), expected \(3,\)"),
    ({"z": torch.zeros(2, 8, 3)}, r"z has shape \(2, 8, 3\), expected \(2, 3, 8\)"),
    ({"delta_bias": torch.zeros(3, 1)}, r"delta_bias has shape \(3, 1\), expected \(3,\)"),
    ({"A": torch.zeros(3, 4, device="meta")}, "A is on meta and u on cpu"),
    ({"backend": "cuda"}, "no backend 'cuda' .* 'auto', 'mamba_ssm', 'triton', 'cpu', 'loop'")])
def test_what_does_not_fit_is_named_in_one_sentence(changes, says):
    with pytest.raises(ValueError, match=says) as caught:
        selective_scan(**draw(2, 3, 8, 4) | changes)
    assert str(caught.value).count(". ") == 0


@pytest.mark.skipif(INTERPRETED, reason="Triton's interpreter takes tensors on the CPU")
@pytest.mark.parametrize("backend", ["mamba_ssm", "triton"])
def test_a_backend_that_needs_cuda_says_so(backend):
    with pytest.raises(RuntimeError, match=f"Backend '{backend}' needs tensors on cuda, "
                       "these are on cpu"):
        selective_scan(**draw(2, 3, 8, 4), backend=backend)


def test_a_backend_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(
        RuntimeError,
        match=r"Backend 'triton' cannot be imported \(.*\): install it, or use backend='auto'"):
        selective_scan(**draw(2, 3, 8, 4), backend="triton")


# --- Triton's kernels without a GPU ---

@pytest.mark.skipif(INTERPRETED, reason="this is the subprocess")
def test_triton_kernels_pass_in_the_interpreter():
    pytest.importorskip("triton")
    quick = ("authors or reversed or alone or strongly or True-D-z-delta_bias or size0 or size1 or "
             "size5 or size6 or wider or channel")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-W", "ignore", __file__,
                           "-k", f"triton and ({quick})"], capture_output=True, text=True,
                          env=os.environ | {"TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
    assert " skipped" not in done.stdout


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("name", ["forward_kernel", "backward_kernel"])
def test_triton_kernels_compile_for_a_gpu(name):
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from depnb.models import scan_triton

    kernel = getattr(scan_triton, name)
    fixed = {"CURVED": True, "GATED": True, "REVERSE": True, "LANES": scan_triton.LANES,
             "CHUNK": scan_triton.CHUNK, "STATES": 16}
    kinds = dict.fromkeys(fixed, "constexpr") | dict.fromkeys(("channels", "length", "n"), "i32")
    source = ASTSource(kernel, signature={x: kinds.get(x, "*fp32") for x in kernel.arg_names},
                       constexprs=fixed)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32),
                              options={"num_warps": scan_triton.WARPS, "enable_fp_fusion": True})
    assert ".target sm_90" in compiled.asm["ptx"]
