"""Claims about the best shares of given classes: the optimum, its certificate, invariances, bad densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from varmix.errors import DataError, NotFiniteError, OptionError, ShapeError
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.shares import maximise_shares
from varmix.models.random_effect_mixture.units import Units


def simulated(seed: int, rows: int, variances=(0.0, 1.0), shares=(0.6, 0.4), residual=0.5, **options) -> Units:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    effect = rng.choice(variances, rows, p=shares)
    y = rng.normal(size=rows) * np.sqrt(effect * x * x + residual)
    return reduce_rows(y, x, **options).units


def normal_densities(units: Units, grid, residual: float):
    tau = np.multiply.outer(grid, units.q) + residual
    log = -0.5 * (units.h2 / tau + np.log(tau))
    return np.exp(log - log.max(axis=0))


def log_likelihood(density, shares, weights=1.0) -> float:
    return float(np.sum(weights * np.log(shares @ density)))


@pytest.mark.parametrize("seed", range(4))
def test_shares_equal_an_independent_solver(seed: int) -> None:
    units = simulated(seed, 150, (0.01, 0.5, 4.0), (0.4, 0.4, 0.2))
    density = normal_densities(units, np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 11)]), 0.4)
    weights = np.random.default_rng(seed).uniform(0.2, 3.0, 150)
    found = maximise_shares(density, weights)

    def loss(shares):
        mixture = shares @ density
        return -float(weights @ np.log(mixture)), -(density @ (weights / mixture))

    simplex = {"type": "eq", "fun": lambda shares: shares.sum() - 1.0, "jac": np.ones_like}
    other = minimize(
        loss, np.full(12, 1 / 12), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * 12, constraints=[simplex],
        options={"ftol": 1e-13, "maxiter": 300},
    )  # fmt: skip
    # Sequential quadratic programming with quasi-Newton matrices stops some 1e-8 short; ours is certified.
    assert found.converged
    theirs = log_likelihood(density, other.x / other.x.sum(), weights)
    assert theirs <= found.log_likelihood + 1e-9
    assert found.log_likelihood == pytest.approx(theirs, abs=1e-6)


def test_shares_equal_long_em() -> None:
    units = simulated(1, 300)
    density = normal_densities(units, np.array([0.0, 0.1, 1.0, 10.0]), 0.5)
    shares = np.full(4, 0.25)
    for _ in range(20_000):
        shares = shares * (density @ (1.0 / (shares @ density))) / 300
    found = maximise_shares(density)
    # EM's share of a class heading to 0 falls like 1 / steps at worst: 1e-4.
    np.testing.assert_allclose(found.shares, shares, atol=2e-4)
    assert found.log_likelihood >= log_likelihood(density, shares) - 1e-10


@pytest.mark.parametrize("seed", range(6))
def test_no_shares_beat_the_bound_of_any_shares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    density = rng.gamma(0.3, size=(9, 60))  # no smoothness across classes: not what the grid offers
    weights = rng.integers(0, 4, 60).astype(float)
    found = maximise_shares(density, weights)
    assert found.converged
    assert found.gap <= weights.sum() * 1e-11
    assert found.shares.sum() == pytest.approx(1.0, abs=1e-14)
    tried = [rng.dirichlet(np.full(9, c)) for c in (0.05, 0.3, 1.0, 5.0) for _ in range(50)]
    tried += [0.999 * found.shares + 0.001 * other for other in tried]
    best = max(log_likelihood(density, shares, weights) for shares in tried)
    assert best <= found.log_likelihood + found.gap + 1e-12
    # The bound is true far from the optimum too: one step of Newton from equal shares.
    early = maximise_shares(density, weights, max_iterations=1)
    assert found.log_likelihood <= early.log_likelihood + early.gap


def test_the_gap_is_that_of_the_shares_returned() -> None:
    density = normal_densities(simulated(3, 200), np.geomspace(1e-3, 10.0, 20), 0.5)
    for limit in (0, 1, 3, 100):
        found = maximise_shares(density, max_iterations=limit)
        slope = density @ (1.0 / (found.shares @ density)) / 200
        np.testing.assert_allclose(found.directional, slope, rtol=1e-12)
        assert found.gap == pytest.approx(200 * np.log(max(1.0, slope.max())), abs=1e-10)
        assert found.log_likelihood == pytest.approx(log_likelihood(density, found.shares), abs=1e-9)


def test_the_log_likelihood_of_shares_never_falls_on_the_way() -> None:
    density = normal_densities(simulated(5, 400), np.geomspace(1e-3, 10.0, 30), 0.5)
    path = maximise_shares(density).path
    assert (np.diff(path) >= -1e-12 * np.abs(path[0])).all()


def test_share_weights_are_replication() -> None:
    density = normal_densities(simulated(7, 120), np.geomspace(1e-2, 10.0, 8), 0.5)
    times = np.random.default_rng(0).integers(0, 4, 120)
    weighted = maximise_shares(density, times.astype(float))
    repeated = maximise_shares(np.repeat(density, times, axis=1))
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(weighted.shares, repeated.shares, atol=1e-7)  # curvature 1e-4 of neighbours


def test_factors_of_units_move_the_log_likelihood_alone() -> None:
    density = normal_densities(simulated(8, 100), np.geomspace(1e-2, 10.0, 6), 0.5)
    logs = np.random.default_rng(0).uniform(-600.0, 300.0, 100)
    plain, scaled = maximise_shares(density), maximise_shares(density * np.exp(logs))
    np.testing.assert_allclose(scaled.shares, plain.shares, atol=1e-9)
    assert scaled.log_likelihood == pytest.approx(plain.log_likelihood + logs.sum(), rel=1e-13)


def test_a_start_without_the_needed_classes_is_left() -> None:
    density = normal_densities(simulated(9, 300), np.array([0.0, 1.0, 50.0]), 0.5)
    for start in np.eye(3):
        found = maximise_shares(density, start=start)
        assert found.log_likelihood == pytest.approx(maximise_shares(density).log_likelihood, abs=1e-9)


def test_classes_that_are_the_same_are_solved() -> None:
    density = normal_densities(simulated(10, 200), np.array([0.0, 1.0, 1.0, 1.0 + 1e-14]), 0.5)
    found = maximise_shares(density)
    assert found.converged
    assert found.log_likelihood == pytest.approx(maximise_shares(density[:2]).log_likelihood, abs=1e-9)


@pytest.mark.parametrize("units", [1, 2, 3])
def test_few_units_are_solved(units: int) -> None:
    density = normal_densities(simulated(11, units), np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 59)]), 0.5)
    found = maximise_shares(density)
    assert found.converged
    if units == 1:
        assert found.log_likelihood == pytest.approx(np.log(density.max()), abs=1e-10)


def test_many_units_from_a_sample_are_the_optimum_of_all() -> None:
    units = simulated(12, 12_000)
    density = normal_densities(units, np.concatenate([[0.0], np.geomspace(1e-3, 20.0, 29)]), 0.5)
    density[:, 0] = 0.0
    density[17, 0] = 1.0  # a unit that only one class allows, unlikely to be in any sample
    found = maximise_shares(density)
    assert found.converged
    assert found.shares[17] > 0.0


def test_densities_that_cannot_be_used_are_refused() -> None:
    good = np.ones((2, 3))
    with pytest.raises(ShapeError, match="classes x units"):
        maximise_shares(np.ones(3))
    with pytest.raises(NotFiniteError, match="NaN"):
        maximise_shares(np.array([[1.0, np.nan]]))
    with pytest.raises(DataError, match="negative"):
        maximise_shares(np.array([[2.0, -1.0], [1.0, 3.0]]))
    with pytest.raises(DataError, match="column 1"):
        maximise_shares(np.array([[1.0, 0.0], [1.0, 0.0]]))
    with pytest.raises(ShapeError, match="one per column"):
        maximise_shares(good, np.ones(2))
    with pytest.raises(DataError, match="all 0"):
        maximise_shares(good, np.zeros(3))
    with pytest.raises(NotFiniteError, match="weights"):
        maximise_shares(good, np.array([1.0, np.inf, 1.0]))
    with pytest.raises(OptionError, match="start"):
        maximise_shares(good, start=np.array([1.0, -0.1]))
    # A unit without weight may have any density, even none.
    assert maximise_shares(np.array([[1.0, 0.0], [0.5, 0.0]]), np.array([1.0, 0.0])).shares[0] == 1.0
