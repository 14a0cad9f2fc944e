"""The same numbers on a GPU as on a processor. Without CUDA these tests compare the processor with
itself, so that they cannot rot; what they measure is kept as properties of the JUnit report
(`pytest tests/gpu --junitxml gpu.xml`).
"""

import pytest
import torch


@pytest.fixture(scope="session")
def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def full_precision():
    """Products of 32-bit numbers in 32 bits: cuDNN's own default rounds factors to TF32."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def near(record_property):
    """near(name, x, expected, tolerance): norm of the difference over the norm of what is expected.
    """
    def compare(name, x, expected, tolerance):
        x, expected = (torch.as_tensor(value).detach().cpu().double() for value in (x, expected))
        assert x.shape == expected.shape, name
        error = float((x - expected).norm() / expected.norm().clamp_min(1e-30))
        record_property(name, f"{error:.1e}")
        assert error <= tolerance, f"{name}: {error:.1e} of its norm, more than {tolerance:.0e}"

    return compare
