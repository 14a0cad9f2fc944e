"""Convolutions of STA-DRN in bf16 beside float64: one that is silently wrong would not stop a run.
"""

import pytest
import torch
import torch.nn.functional as F

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}
# in, out, kernel, stride, groups, frames, side: stem, first and second convolution of a unit, joint
# branches, downsampling
LAYERS = [(3, 64, 7, (1, 2, 2), 1, 8, 48), (64, 16, 1, 1, 1, 8, 24), (16, 32, 3, 1, 2, 8, 24),
          (32, 64, 3, 2, 2, 8, 24), (64, 128, 1, 2, 1, 8, 12), (128, 256, 3, 1, 2, 4, 7),
          (16, 16, 3, 1, 1, 5, 13)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_conv3d_in_bf16_is_the_convolution_of_the_rounded_numbers(layer, layout, device, near):
    """bf16 rounds the operands and the result; between them the sum is in 32 bits.

    Rounding the result: 2^-9 at most.
    """
    into, out, kernel, stride, groups, frames, side = layer
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, into, frames, side, side, generator=random)
    weight = torch.randn(out, into // groups, *[kernel] * 3,
                         generator=random) / (into // groups * kernel**3) ** 0.5
    bias = torch.randn(out, generator=random)

    def run(place, dtype):
        leaves = [v.bfloat16().to(place, dtype).requires_grad_() for v in (x, weight, bias)]
        leaves[0] = leaves[0].detach().contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
        y = F.conv3d(*leaves, stride, kernel // 2, groups=groups)
        g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).bfloat16().to(
            place, dtype)
        return y, *torch.autograd.grad(y, leaves, g)

    expected = run("cpu", torch.float64)
    for name, value, exact in zip(("y", "dx", "dw", "db"), run(device, torch.bfloat16), expected,
                                  strict=True):
        # some CPUs round partial sums to bf16 too
        near(name, value.float(), exact, 0.01 if str(device).startswith("cuda") else 0.02)
    for name, value, exact in zip(("y", "dx", "dw", "db"), run(device, torch.float32), expected,
                                  strict=True):
        near(f"{name}, 32 bits", value, exact, 1e-5)
