"""Claims about mixing distributions on a grid and without one: optima, certificates, invariances, edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from varmix.errors import NotIdentifiedError, OptionError
from varmix.iteration import Status
from varmix.models.random_effect_mixture import npmle as npmle_module
from varmix.models.random_effect_mixture import share_profile
from varmix.models.random_effect_mixture.atoms import merged
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.directional import directional, directional_peak, largest_variance
from varmix.models.random_effect_mixture.npmle import gain_bound, npmle
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.refine import refine
from varmix.models.random_effect_mixture.share_profile import summed
from varmix.models.random_effect_mixture.units import Units


def simulated(seed: int, rows: int, variances=(0.0, 1.0), shares=(0.6, 0.4), residual=0.5, **options) -> Units:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    effect = rng.choice(variances, rows, p=shares)
    y = rng.normal(size=rows) * np.sqrt(effect * x * x + residual)
    return reduce_rows(y, x, **options).units


@pytest.mark.parametrize("residual", [0.5, None])
def test_the_record_tells_the_likelihood_of_its_point(residual: float | None) -> None:
    units = simulated(13, 400)
    found = npmle([units], residual=residual)
    point = MixtureParams.free(found.variances, found.residual, found.shares)
    assert found.status is Status.CONVERGED
    assert found.log_likelihood == pytest.approx(summed(point, [units]).log_likelihood, abs=1e-9)
    assert found.gap <= 400 * 1.1e-11
    assert (directional(point, [units], found.variances) <= 1.0 + 1e-10).all()
    np.testing.assert_allclose(directional(point, [units], found.variances[found.support]), 1.0, atol=1e-7)


def test_an_estimated_residual_is_the_best_of_a_fine_scan() -> None:
    units = simulated(14, 300)
    grid = np.concatenate([[0.0], np.geomspace(0.01, 10.0, 15)])
    found = npmle([units], grid=grid)
    tried = [npmle([units], residual=found.residual * f, grid=grid).log_likelihood for f in np.geomspace(0.2, 3.0, 60)]
    assert max(tried) <= found.log_likelihood + 1e-9
    near = [npmle([units], residual=found.residual * (1 + e), grid=grid).log_likelihood for e in (-1e-4, 1e-4)]
    assert max(near) < found.log_likelihood
    assert found.decrement <= 1e-7


def test_derivatives_of_the_profile_are_those_of_its_values() -> None:
    units = simulated(15, 300, weights=np.random.default_rng(0).uniform(0.5, 2.0, 300))
    profile = share_profile.ShareProfile([units], np.array([0.0, 0.2, 1.0, 5.0]), 1e-13, None)
    here, step = profile.at(0.3), 1e-4
    above, below = profile.at(0.3 + step), profile.at(0.3 - step)
    assert list(above.outcome.support) == list(here.outcome.support) == list(below.outcome.support)
    # Central differences with step 1e-4 carry 1e-8 of a third derivative of order 1e4.
    assert here.slope == pytest.approx((above.log_likelihood - below.log_likelihood) / (2 * step), rel=1e-5)
    assert here.bend == pytest.approx((above.slope - below.slope) / (2 * step), rel=1e-5)


def test_pieces_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    units = simulated(16, 700, weights=np.random.default_rng(1).uniform(0.0, 2.0, 700))
    whole = npmle([units])
    split = npmle(units.split(5))
    assert split.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-9)
    for module in (npmle_module, share_profile):
        monkeypatch.setattr(module, "LARGEST_MATRIX", 700 * 20)  # classes by generations, densities held for few
    generated = npmle(units.split(3))
    assert generated.status is Status.CONVERGED
    # Both are within their gap, and their grids are the same as soon as the scan's best is.
    assert generated.log_likelihood == pytest.approx(npmle([units], grid=generated.variances).log_likelihood, abs=1e-7)
    monkeypatch.setattr(share_profile, "LARGEST_MATRIX", 0)  # nothing held at all
    streamed = npmle(units.split(3), residual=0.4, grid=whole.variances)
    monkeypatch.undo()
    held = npmle([units], residual=0.4, grid=whole.variances)
    assert streamed.log_likelihood == pytest.approx(held.log_likelihood, abs=1e-8)
    assert streamed.gap <= 700 * 2e-11


def test_weights_are_replication_of_units() -> None:
    units = simulated(17, 150)
    times = np.random.default_rng(2).integers(0, 4, 150)
    weighted = replace(units, weight=times.astype(float))
    repeated = Units(q=np.repeat(units.q, times), h2=np.repeat(units.h2, times))
    grid = np.concatenate([[0.0], np.geomspace(0.01, 10.0, 15)])
    one, other = npmle([weighted], grid=grid), npmle([repeated], grid=grid)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-8)
    assert one.residual == pytest.approx(other.residual, rel=1e-7)
    assert one.bound == pytest.approx(other.bound, abs=1e-8)


@pytest.mark.parametrize("factor", [4.0, 2.0**-40])
def test_scales_of_the_data_are_those_of_the_result(factor: float) -> None:
    units = simulated(18, 250)
    scaled = Units(q=units.q, h2=units.h2 * factor)
    plain, other = npmle([units]), npmle([scaled])
    np.testing.assert_allclose(other.variances, plain.variances * factor, rtol=1e-9)
    np.testing.assert_allclose(other.shares, plain.shares, atol=1e-6)
    assert other.residual == pytest.approx(plain.residual * factor, rel=1e-7)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood - 125 * np.log(factor), abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("residual", [0.5, None])
def test_refined_mixtures_leave_nothing_to_gain(seed: int, residual: float | None) -> None:
    weights = np.random.default_rng(seed).integers(0, 3, 600).astype(float) if seed % 2 else None
    units = simulated(seed, 600, (0.0, 0.05, 1.0, 9.0), (0.4, 0.2, 0.2, 0.2), weights=weights)
    grid = npmle([units], residual=residual, points=30)
    free = refine(grid, [units])
    assert free.status is Status.CONVERGED
    assert free.bound <= 1e-6
    dense = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 400), free.variances])
    slope = directional(MixtureParams.free(free.variances, free.residual, free.shares), [units], dense)
    assert (slope <= 1.0 + 1e-8).all()
    assert free.log_likelihood >= grid.log_likelihood - 1e-9
    if residual is not None:
        assert free.residual == residual
        assert free.log_likelihood <= grid.log_likelihood + grid.bound + 1e-9
        fine = npmle([units], residual=residual, points=400)
        assert free.log_likelihood == pytest.approx(fine.log_likelihood, abs=fine.bound + 1e-6)
    else:
        assert free.decrement <= 1e-7


def test_a_bound_holds_against_fits_of_one_to_five_classes() -> None:
    units = simulated(20, 800, (0.0, 0.3, 5.0), (0.5, 0.3, 0.2))
    one = Climb().run([units], MixtureParams.free(np.array([1.0]), 0.5, np.ones(1)))
    limit = npmle([units], residual=one.params.residual)
    rng, bounds = np.random.default_rng(0), []
    for classes in range(1, 6):
        start = MixtureParams.free(
            np.sort(rng.exponential(size=classes)), one.params.residual, np.full(classes, 1 / classes)
        )
        held = Climb().run([units], start.holding(classes, one.params.residual))
        bounds.append((held.objective, gain_bound(held.params, [units], exact=True)))
        assert held.objective <= limit.log_likelihood + limit.bound + 1e-8
    best = max(value for value, _ in bounds)
    for value, bound in bounds:
        assert bound.bound <= bound.slope_bound
        assert best <= value + bound.bound + 1e-8
        assert bound.bound == pytest.approx(max(0.0, limit.log_likelihood - value), abs=limit.bound + 0.5)


def test_a_null_class_is_bounded_by_all_mixtures() -> None:
    units = simulated(21, 500)
    start = MixtureParams.free(np.array([0.0, 1.0]), 0.5, np.array([0.5, 0.5])).holding(0, 0.0)
    found = Climb().run([units], start)
    bound = gain_bound(found.params, [units])
    assert bound.bound >= 0.0
    best = refine(npmle([units], residual=found.params.residual), [units])
    assert best.log_likelihood - found.objective <= bound.bound + 1e-8


def test_the_peak_is_over_all_variances_not_the_grid() -> None:
    units = simulated(22, 200)
    params = MixtureParams.free(np.array([0.1]), 0.4, np.ones(1))
    peak = directional_peak(params, [units])
    dense = np.concatenate([[0.0], np.geomspace(1e-8, 2.0 * largest_variance([units], 0.4), 4_000)])
    values = directional(params, [units], dense)
    assert peak.value >= values.max() - 1e-13
    assert peak.value == pytest.approx(float(directional(params, [units], np.array([peak.variance]))[0]), rel=1e-12)
    # An extreme unit with next to no regressor peaks far beyond where the grid ends.
    outlier = Units(q=np.append(units.q, 1e-12), h2=np.append(units.h2, 100.0))
    far = directional_peak(params, [outlier])
    assert np.isfinite(gain_bound(params, [outlier]).bound)
    further = Units(q=np.append(units.q, 1e-12), h2=np.append(units.h2, 9e4))
    assert gain_bound(params, [further]).bound == np.inf
    assert np.isfinite(gain_bound(params, [further], exact=True).bound)
    assert far.variance == pytest.approx((100.0 - 0.4) / 1e-12, rel=1e-3)


def test_the_grid_has_0_and_the_points_asked_for() -> None:
    units = simulated(23, 200)
    found = npmle([units], residual=0.5, points=25)
    assert len(found.variances) == 25
    assert found.variances[0] == 0.0
    assert (np.diff(found.variances) > 0.0).all()


def test_responses_of_0_have_no_effects_and_no_residual() -> None:
    units = Units(q=np.array([1.0, 2.0, 0.5]), h2=np.zeros(3))
    found = npmle([units], residual=0.5)
    assert list(found.support) == [0]
    assert found.bound == 0.0
    with pytest.raises(NotIdentifiedError, match="response is 0"):
        npmle([units])


def test_no_regressor_is_not_identified() -> None:
    with pytest.raises(NotIdentifiedError, match="regressor"):
        npmle([Units(q=np.empty(0), h2=np.empty(0), rest=3.0, rest_rows=4.0)])


def test_one_unit_is_explained_by_one_atom() -> None:
    unit = Units(q=np.array([2.0]), h2=np.array([9.0]))
    free = refine(npmle([unit], residual=1.0), [unit])
    # The best normal for one observation has its square as variance.
    np.testing.assert_allclose(free.variances, [4.0], rtol=1e-6)


def test_a_grid_of_one_point_is_a_model_of_one_class() -> None:
    units = simulated(24, 100)
    found = npmle([units], residual=0.5, grid=np.array([0.7]))
    assert list(found.shares) == [1.0]
    assert found.gap <= 1e-9  # of 100 units, by rounding
    assert found.bound > 0.0


def test_options_out_of_range_are_refused() -> None:
    units = simulated(25, 20)
    with pytest.raises(OptionError, match="residual variance is -1"):
        npmle([units], residual=-1.0)
    with pytest.raises(OptionError, match="points"):
        npmle([units], points=1)
    with pytest.raises(OptionError, match="grid"):
        npmle([units], grid=np.array([-1.0, 1.0]))
    with pytest.raises(OptionError, match="without a density"):
        npmle([replace(units, rest=1.0, rest_rows=2.0)], residual=0.0)


def test_units_that_underflow_under_small_variances_are_kept() -> None:
    units = simulated(26, 100)
    extreme = Units(q=np.append(units.q, 1.0), h2=np.append(units.h2, 1e7))
    found = npmle([extreme], residual=0.5)
    assert found.status is Status.CONVERGED
    assert np.isfinite(found.log_likelihood)
    assert found.variances[found.support[-1]] > 1e6


def test_data_without_noise_end_at_a_residual_of_0() -> None:
    rng = np.random.default_rng(27)
    x = rng.normal(size=200) ** 2 + 0.1
    b = rng.uniform(0.5, 2.0, 200) * rng.choice([-1.0, 1.0], 200)
    found = npmle([reduce_rows(b * x, x).units])
    assert found.residual == 0.0
    assert found.status is Status.ON_BOUNDARY
    assert np.isfinite(found.log_likelihood)


def test_exact_zeros_have_no_best_residual() -> None:
    rng = np.random.default_rng(28)
    x = rng.normal(size=60)
    y = np.where(np.arange(60) % 2 == 0, 0.0, x * rng.normal(size=60))
    assert npmle([reduce_rows(y, x).units]).status is Status.UNBOUNDED


def test_the_tick_counts_residuals_tried() -> None:
    counted: list[int] = []
    npmle([simulated(29, 60)], residual=0.5, grid=np.array([0.0, 1.0]), tick=counted.append)
    assert counted == [1]


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("classes", range(1, 8))
def test_merged_classes_are_a_valid_start(classes: int, null: bool) -> None:
    found = npmle([simulated(30, 500, (0.0, 0.3, 5.0), (0.5, 0.3, 0.2))])
    variances, shares = merged(found, classes, null)
    assert variances.shape == shares.shape == (classes,)
    assert shares.sum() == pytest.approx(1.0)
    assert (shares > 0.0).all()
    assert (np.diff(variances) > 0.0).all()
    assert variances[0] >= 0.0
    if null:
        assert variances[0] == 0.0


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_merging_to_the_classes_that_made_the_data_finds_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=4_000)
    y = rng.normal(size=4_000) * np.sqrt(rng.choice((0.0, 0.5, 40.0), 4_000, p=(0.5, 0.3, 0.2)) * x * x + 0.5)
    reduction = reduce_rows(y, x)
    variances, shares = merged(npmle([reduction.units]), 3)
    variances = variances * reduction.scales.variance
    # A start: within a factor of 2, where the grid's support is spread over a decade.
    np.testing.assert_array_less(np.abs(np.log2(variances[1:] / [0.5, 40.0])), 1.0)
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.25)


def test_merging_keeps_the_mean_where_no_share_is_raised() -> None:
    found = npmle([simulated(32, 2_000, (0.2, 5.0), (0.5, 0.5))])
    variances, shares = merged(found, 2)
    assert shares @ variances == pytest.approx(found.shares @ found.variances, rel=1e-12)


def test_merging_is_the_cheapest_of_all_cuts() -> None:
    found = npmle([simulated(33, 600, (0.0, 0.05, 1.0, 9.0), (0.3, 0.3, 0.2, 0.2))], points=40)
    place = np.log(found.variances[found.support] + 0.1)
    share = found.shares[found.support]
    count = len(place)

    def loss(i: int, j: int) -> float:
        centre = np.average(place[i:j], weights=share[i:j])
        return float(share[i:j] @ (place[i:j] - centre) ** 2)

    cheapest = min((loss(0, cut) + loss(cut, count), cut) for cut in range(1, count))[1]
    variances, _ = merged(found, 2, scale=0.1)
    part = found.support[:cheapest]
    assert variances[0] == pytest.approx(np.average(found.variances[part], weights=found.shares[part]))
    with pytest.raises(OptionError, match="at least 1"):
        merged(found, 0)
