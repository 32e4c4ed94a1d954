"""Covariance of a fitted mixture: the curvature of the log-likelihood, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fitted_mixture import intervals_to
from slope_model import SlopeModel, simulated

from varmix.api import random_effect_mixture
from varmix.errors import OptionError
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.results.random_effect_mixture.estimates import Estimates
from varmix.typing import Vector

GROUPS = simulated(2, 120, 4)


def numerical_information(data: SlopeModel, point: Vector, moving: list[int]) -> np.ndarray:
    """Minus the second differences of the dense log-likelihood in `moving`; the last share takes up the others."""
    count = (len(point) - 1) // 2

    def height(steps: Vector) -> float:
        moved = point.copy()
        moved[moving] += steps
        moved[-1] = 1.0 - moved[count + 1 : -1].sum()
        return data.log_likelihood(moved[:count], moved[count], moved[count + 1 :])

    size = 1e-3 * point[moving]  # leaves 1e-6 of curvature, and of rounding 1e-12 x |l| / 1e-6
    found = np.zeros((len(moving), len(moving)))
    for i in range(len(moving)):
        for j in range(i + 1):
            one, other = np.zeros(len(moving)), np.zeros(len(moving))
            one[i], other[j] = size[i], size[j]
            cross = height(one + other) - height(one - other) - height(other - one) + height(-one - other)
            found[i, j] = found[j, i] = -cross / (4.0 * size[i] * size[j])
    return found


def test_the_covariance_inverts_the_curvature_of_the_dense_log_likelihood() -> None:
    estimates = intervals_to(GROUPS).estimates
    assert (estimates.values > 0.0).all()
    told = np.linalg.inv(numerical_information(GROUPS, estimates.values, [0, 1, 2, 3]))
    # v_1 is small beside its standard error: the curvature changes over a step of a thousandth by some 1e-5.
    np.testing.assert_allclose(estimates.covariance[:4, :4], told, rtol=1e-3)
    assert estimates.standard_errors[4] == pytest.approx(np.sqrt(told[3, 3]), rel=1e-3)
    np.testing.assert_allclose(estimates.covariance[4, :4], -told[3], rtol=1e-3)


def test_a_variance_at_zero_has_no_error_and_the_others_have_that_of_it_known() -> None:
    data = simulated(13, 150, 2)
    free, null = intervals_to(data).estimates, intervals_to(replace(data, null=True)).estimates
    assert free.values[0] == 0.0
    assert np.isnan(free.standard_errors[0])
    np.testing.assert_allclose(free.covariance[1:, 1:], null.covariance[1:, 1:], rtol=1e-6)  # two climbs to one optimum


def test_shares_of_three_classes_sum_to_one_in_their_covariance_too() -> None:
    estimates = intervals_to(replace(simulated(8, 400, 5), classes=3)).estimates
    assert np.isfinite(estimates.covariance).all()
    block = estimates.covariance[4:, 4:]
    np.testing.assert_allclose(block.sum(axis=1), 0.0, atol=1e-10 * block.max())
    np.testing.assert_allclose(estimates.covariance[4:, :4].sum(axis=0), 0.0, atol=1e-10 * block.max())


def test_what_is_known_has_no_error() -> None:
    data = replace(simulated(7, 300, 1, known=True), residual=0.36)
    errors = intervals_to(data).estimates.standard_errors
    assert np.isnan(errors[2])
    assert np.isfinite(errors[[1, 3, 4]]).all()


def test_the_variance_of_an_empty_class_is_infinitely_uncertain_and_harms_no_other() -> None:
    two = intervals_to(GROUPS).estimates
    v, s, shares = two.params.variances, two.params.residual, two.params.shares
    model = replace(two.model, classes=3)
    empty = MixtureParams.free(np.append(v, 9.0), s, np.append(shares, 0.0))
    three = Estimates(model, model.point(empty))
    assert np.isinf(three.standard_errors[2])
    assert np.isnan(three.standard_errors[6])
    np.testing.assert_allclose(three.standard_errors[[0, 1, 3, 4, 5]], two.standard_errors, rtol=1e-9)


def test_two_classes_that_coincide_lose_their_shares_and_nothing_else() -> None:
    two = intervals_to(simulated(13, 150, 2)).estimates
    (low, high), s, (small, large) = two.params.variances, two.params.residual, two.params.shares
    assert low == 0.0
    model = replace(two.model, classes=3)
    split = MixtureParams.free(np.array([0.0, 0.0, high]), s, np.array([0.6 * small, 0.4 * small, large]))
    errors = Estimates(model, model.point(split)).standard_errors
    assert np.isinf(errors[[4, 5]]).all()
    np.testing.assert_allclose(errors[[2, 3, 6]], two.standard_errors[[1, 2, 4]], rtol=1e-9)


def test_what_the_design_cannot_tell_apart_has_infinite_errors() -> None:
    """Rows with x = 1 or -1: only v_k + s are told, so that the shares alone keep their errors."""
    rng = np.random.default_rng(6)
    spread = np.sqrt(np.where(rng.random(2000) < 0.5, 0.3, 9.0))
    x = rng.choice([-1.0, 1.0], 2000)
    estimates = intervals_to(SlopeModel(y=spread * rng.standard_normal(2000), x=x)).estimates
    assert (estimates.values > 0.0).all()
    assert np.isinf(estimates.standard_errors[:3]).all()
    assert np.isfinite(estimates.standard_errors[3:]).all()


def test_errors_are_in_the_units_of_the_data() -> None:
    plain = intervals_to(GROUPS).estimates
    scaled = intervals_to(replace(GROUPS, y=3.7e3 * GROUPS.y, x=1e-2 * GROUPS.x)).estimates
    factors = np.array([3.7e5**2, 3.7e5**2, 3.7e3**2, 1.0, 1.0])
    # The certificate leaves 1e-8 standard errors; errors change with the estimate by about as much, relatively.
    np.testing.assert_allclose(scaled.standard_errors, factors * plain.standard_errors, rtol=1e-6)


def test_names_find_their_place_and_others_are_refused() -> None:
    estimates = intervals_to(GROUPS).estimates
    assert [estimates.position(name) for name in ("v_1", "v_2", "s", "pi_1", "pi_2", "pi")] == [0, 1, 2, 3, 4, 3]
    with pytest.raises(OptionError, match="v_1, v_2, s, pi_1, pi_2"):
        estimates.position("sigma")


def test_the_covariance_of_a_fit_says_which_information_it_rests_on() -> None:
    fit = random_effect_mixture(GROUPS.y, GROUPS.x, GROUPS.group, starts=2, rng=1)
    np.testing.assert_array_equal(fit.covariance(), fit.covariance("observed"))
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance())[:2]), fit.components["se"][:2], rtol=1e-12)
    with pytest.raises(OptionError, match=r"'expected' is not there.*'observed'.*design"):
        fit.covariance("expected")
