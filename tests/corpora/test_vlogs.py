"""What D-Vlog and LMVD share."""

import numpy as np

from depnb.corpora import vlogs


class TestStandardised:
    def test_rows_have_mean_0_and_population_sd_1_and_constant_ones_are_zeros(self):
        rows = np.random.default_rng(0).normal(300, 40, (5, 136))
        rows[2], rows[3] = 0.1, 0
        out = vlogs.standardised(rows.astype(np.float32))
        assert out.dtype == np.float64
        np.testing.assert_allclose(out[[0, 1, 4]].mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(out[[0, 1, 4]].std(1), 1)
        assert not out[2:4].any()
