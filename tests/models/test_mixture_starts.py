"""Starts of a mixture: where random ones begin, and what becomes of those far from the data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import varmix as vm
from varmix.errors import VarmixWarning
from varmix.models.random_effect_mixture.directional import variance_grid
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.starting import random_start
from varmix.typing import Vector


def heavy_tailed(count: int) -> tuple[Vector, Vector]:
    rng = np.random.default_rng(8)
    x = rng.standard_t(2, size=count)
    return rng.normal(size=count) * np.sqrt(rng.choice([0.0, 0.1, 10.0], count)) * x + 0.05 * rng.normal(size=count), x


def test_random_starts_cover_the_variances_that_the_units_can_tell() -> None:
    units = reduce_rows(*heavy_tailed(300)).units
    rng = np.random.default_rng(1)
    residual = 1e-3
    known = np.array([random_start([units], 2, False, residual, rng).variances for _ in range(400)])
    told = variance_grid([units], residual)
    # Half of 800 variances are log-uniform over that range: the nearest to each end is within a fiftieth of it.
    margin = (told[-1] / told[1]) ** 0.02
    assert known.min() < told[1] * margin
    assert known.max() > told[-1] / margin


def test_random_starts_cover_small_residual_variances_and_keep_null_classes() -> None:
    units = reduce_rows(*heavy_tailed(300)).units
    rng = np.random.default_rng(2)
    starts = [random_start([units], 3, True, None, rng) for _ in range(200)]
    residuals = np.array([start.residual for start in starts])
    assert residuals.max() / residuals.min() > 1e3
    assert all(start.variances[0] == 0.0 and (np.diff(start.variances) >= 0.0).all() for start in starts)
    assert all(start.shares.sum() == pytest.approx(1.0) for start in starts)


@pytest.mark.parametrize(
    ("variances", "residual"), [([1e-8, 3e-8, 1e-6], 4e-6), ([1e-8, 2e-8, 3e-6], 1e-5), ([1e8, 1e10, 1e11], 1e10)]
)
def test_a_start_very_far_from_the_data_arrives(variances: list[float], residual: float) -> None:
    """Second derivatives differ by fifty orders of magnitude and more there; starts yet farther out are refused."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=100)
    y = rng.normal(size=100) * (rng.random(100) < 0.3) * x + rng.normal(scale=0.7, size=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fit = vm.random_effect_mixture(y, x, classes=3, starts=[(variances, residual, [0.5, 0.25, 0.25])])
    assert fit.status.arrived
    near = vm.random_effect_mixture(y, x, classes=3, rng=1)
    assert fit.log_likelihood == pytest.approx(near.log_likelihood, abs=1e-6)  # certified ends of one maximum


@pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")
@pytest.mark.parametrize("classes", [1, 2])
def test_left_over_rows_of_exactly_0_do_not_stop_a_fit(classes: int) -> None:
    """The likelihood has no maximum there: climbs towards s = 0 end where numbers do."""
    rng = np.random.default_rng(1)
    x = np.where(rng.random(200) < 0.6, 0.0, rng.normal(size=200))
    y = x * rng.normal(size=200) + np.where(x == 0.0, 0.0, 0.3 * rng.normal(size=200))
    with pytest.warns(VarmixWarning, match="no global maximum"):
        fit = vm.random_effect_mixture(y, x, classes=classes, starts=30, rng=1)
    assert np.isfinite(fit.log_likelihood)
