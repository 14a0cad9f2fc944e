"""The selective scan at the sizes of the paper: every backend of the device against float64, the
same bits twice, and mamba-ssm's own function beside ours wherever it can be imported.
"""

import pytest
import torch

from depnb.models.selective_scan import BACKENDS, check_backend, selective_scan
from tests.models.test_selective_scan import LAYOUTS, draw, with_shape

CUDA = torch.cuda.is_available()
SIZES = ([(4, 512, 600, 16), (16, 256, 600, 12), (1, 64, 20_000, 16)] if CUDA
         else [(2, 64, 90, 16), (1, 8, 1000, 16)])


@pytest.fixture(params=[name for name in BACKENDS if name != "loop"])
def backend(request, device):
    try:
        check_backend(request.param, device.type)
    except RuntimeError as error:
        pytest.skip(str(error))
    return request.param


def run(inputs, device, scan=selective_scan, **options):
    leaves = {name: x.to(device).requires_grad_() for name, x in inputs.items()}
    y, state = scan(**leaves, delta_softplus=True, return_last_state=True, **options)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(9)).to(y)
    gradients = torch.autograd.grad(y, list(leaves.values()), g)
    return {"y": y, "last_state": state} | {f"grad_{name}": x
                                            for name, x in zip(leaves, gradients, strict=True)}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_outputs_and_gradients_at_full_size_are_those_of_float64(backend, size, reverse, device,
                                                                 near):
    inputs = draw(*size, delta=-4.0)
    ours = run(inputs, device, backend=backend, reverse=reverse)
    expected = run({name: x.double() for name, x in inputs.items()}, "cpu", reverse=reverse)
    for name, x in expected.items():
        near(name, ours[name], x, 1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_groups_and_constants_are_those_of_float64(backend, layout, device, near):
    size, shapes = LAYOUTS[layout]
    inputs = with_shape(draw(*size, delta=-4.0), **shapes)
    ours = run(inputs, device, backend=backend)
    for name, x in run({name: x.double() for name, x in inputs.items()}, "cpu").items():
        near(name, ours[name], x, 1e-5)


# --- mamba-ssm's functions themselves, not through our backend of that name ---

@pytest.fixture(scope="session")
def interface():
    return pytest.importorskip("mamba_ssm.ops.selective_scan_interface", exc_type=ImportError)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mamba_ssms_reference_and_ours_give_the_same_numbers(interface, layout, device, near):
    """The reference is plain PyTorch: the package must be there, CUDA need not."""
    size, shapes = LAYOUTS[layout]
    inputs = with_shape(draw(*size, delta=-4.0), **shapes)
    ours = run(inputs, device)
    for name, x in run(inputs, device, interface.selective_scan_ref).items():
        near(name, ours[name], x, 1e-5)


# Their kernels take C in groups only where B has as many: a constant B goes with shared C.
@pytest.mark.skipif(not CUDA, reason="mamba-ssm's kernels need CUDA")
@pytest.mark.parametrize("ours", ["triton", "loop"])
@pytest.mark.parametrize("shapes", [{}, {"B": 2, "C": 2}, {"B": 64, "C": 64}, {"B": "en"},
                                    {"C": "en"}, {"B": 2, "C": "en"}, {"B": "en", "C": "en"}],
                         ids=str)
def test_mamba_ssms_kernels_and_ours_give_the_same_numbers(interface, shapes, ours, device, near):
    inputs = with_shape(draw(2, 64, 300, 16, delta=-4.0), **shapes)
    expected = run(inputs, device, interface.selective_scan_fn)
    results = run(inputs, device, backend=ours)
    if shapes.get("B") == "en":
        # A constant B is no part of the state that their kernel stores (2.3.2.post1,
        # csrc/selective_scan/selective_scan_fwd_kernel.cuh): read, and not seen on a GPU.
        expected["last_state"] = expected["last_state"] * inputs["B"].to(device)
    for name, x in expected.items():
        near(name, results[name], x, 1e-5)


def test_the_same_bits_every_time(backend, device):
    if backend == "mamba_ssm":
        pytest.skip("its backward pass adds in an order that is not fixed")
    one, other = (run(draw(*SIZES[0]), device, backend=backend) for _ in range(2))
    for name, x in one.items():
        assert torch.equal(x, other[name]), name
