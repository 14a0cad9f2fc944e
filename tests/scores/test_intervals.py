"""The participant-clustered bootstrap beside SciPy's own."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from depnb.scores import intervals


@pytest.mark.parametrize(("people", "method"), [(30, "BCa"), (8, "BCa"), (7, "percentile")])
def test_one_row_a_participant_gives_scipys_interval(people, method):
    """BCa from eight participants on, the percentile interval below."""
    rng = np.random.default_rng(people)
    error = rng.exponential(size=people)                    # skewed, so that the two methods differ
    table = pd.DataFrame({"participant": np.arange(people), "y_true": np.zeros(people), "y_pred": error})
    ends = intervals.interval(table, lambda t, p: np.abs(p - t).mean(), seed=3)
    methods = {name: stats.bootstrap((error,), np.mean, n_resamples=2000, method=name, vectorized=False,
                                     rng=np.random.default_rng(3)).confidence_interval for name in ("BCa", "percentile")}
    np.testing.assert_allclose(ends, methods[method])
    other = methods["percentile" if method == "BCa" else "BCa"]
    assert np.abs(np.subtract(ends, other)).max() > 1e-3
