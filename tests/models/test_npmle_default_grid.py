"""The default grid of variances goes as far as the likelihood asks, whatever a few units of large q say [SLOPE-8]."""

from __future__ import annotations

import numpy as np
import pytest

from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.npmle import npmle
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.units import Units


@pytest.mark.parametrize("residual", [1.0, None])
def test_the_default_grid_reaches_variances_that_add_to_the_likelihood(residual: float | None) -> None:
    rng = np.random.default_rng(3)
    q = np.append(np.full(400, 0.3), 100.0)  # one unit of great weight in any moment, and it has no effect
    v = np.where(rng.random(401) < 0.2, 5.0, 0.0)
    h2 = (q * v + 1.0) * rng.normal(size=401) ** 2
    h2[-1] = 0.1
    pieces = [Units(q=q, h2=h2)]
    found = npmle(pieces, residual=residual)
    assert found.steepest <= found.variances[-1]
    start = MixtureParams.free(np.array([0.0, 5.0]), 1.0, np.array([0.8, 0.2]))
    start = start.holding(0, 0.0) if residual is None else start.holding(0, 0.0).holding(2, residual)
    two = Climb().run(pieces, start)
    assert found.log_likelihood > two.objective - 0.05  # a class between points of the grid loses a few hundredths
