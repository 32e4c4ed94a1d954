"""What further classes could gain, as a fit tells it."""

from __future__ import annotations

import numpy as np

import varmix as vm


def test_one_effect_far_out_does_not_blow_up_the_bound() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=2_000)
    y = rng.normal(size=2_000) * (rng.random(2_000) < 0.3) * x + rng.normal(scale=0.7, size=2_000)
    x[0], y[0] = 1.0, 7.0  # ten residual standard deviations: 2,000 log max D is in the thousands
    fit = vm.random_effect_mixture(y, x, starts=3, rng=1)
    more = vm.random_effect_mixture(y, x, classes=5, residual=fit.components["estimate"].iloc[-1], starts=5, rng=1)
    gain = more.log_likelihood - fit.log_likelihood
    assert 0.1 < gain <= fit.facts["gain_bound"] + 1e-9  # rounding of two sums of 2,000 logarithms
    assert fit.facts["gain_bound"] < 1.2 * gain + 0.05  # tight up to the gap of the grid distribution
