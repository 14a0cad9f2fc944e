"""The logistic line that calibration is read from."""

import numpy as np
import pytest
from scipy.optimize import minimize

from depnb.scores.calibration import PENALTY, logistic_line


@pytest.mark.parametrize("separated", [False, True])
def test_the_line_is_the_penalised_maximum_of_the_likelihood(separated):
    """Both coefficients are penalised: only so is the line finite where the classes separate."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=40), rng.integers(0, 3, 40).astype(float)
    y = (x > 0).astype(float) if separated else (x + rng.normal(0, 1, 40) > 0).astype(float)

    def loss(line):
        z = line[0] + line[1] * x
        return -(weight * (y * z - np.logaddexp(0, z))).sum() + PENALTY / 2 * (line**2).sum()

    expected = minimize(loss, np.zeros(2), tol=1e-12).x
    np.testing.assert_allclose(logistic_line(y, x, weight, steps=60), expected, rtol=1e-3,
                               atol=1e-3)
