"""The parts of inference on numbers alone: information, chi-bar-square weights, profiles, Wald."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from varmix.errors import OptionError
from varmix.inference.information import covariance_from_information, standard_errors
from varmix.inference.likelihood_ratio import (
    chi_bar_square_tail,
    chi_bar_weights,
    efficient_information,
    likelihood_ratio,
)
from varmix.inference.profile import Profile, profile_interval
from varmix.inference.proportion import proportion_covariance, proportions
from varmix.inference.wald import wald_interval, wald_test


def simulated_weights(information: np.ndarray, draws: int = 60_000) -> np.ndarray:
    """Shares of normal draws whose projection onto the cone, in the metric of the information, has 0, 1, ... positive
    entries; by trying every face."""
    count = len(information)
    rng = np.random.default_rng(2)
    x = rng.multivariate_normal(np.zeros(count), np.linalg.inv(information), size=draws)
    score = x @ information
    best, positive = np.zeros(draws), np.zeros(draws, dtype=int)
    for face in range(1, 2**count):
        index = [k for k in range(count) if face >> k & 1]
        inner = np.linalg.solve(information[np.ix_(index, index)], score[:, index].T).T
        gain = (inner * score[:, index]).sum(axis=1)
        better = (inner > 0).all(axis=1) & (gain > best)
        best[better], positive[better] = gain[better], len(index)
    return np.bincount(positive, minlength=count + 1) / draws


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.95])
def test_weights_of_two_variances_are_those_of_simulation(correlation: float) -> None:
    information = np.array([[4.0, 2.0 * 0.5 * correlation], [2.0 * 0.5 * correlation, 0.25]])
    # Sixty thousand draws: standard error 0.002.
    np.testing.assert_allclose(chi_bar_weights(information), simulated_weights(information), atol=0.008)


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_three_variances_are_those_of_simulation(seed: int) -> None:
    root = np.random.default_rng(seed).normal(size=(5, 3))
    information = root.T @ root
    weights = chi_bar_weights(information)
    assert weights.sum() == pytest.approx(1.0)
    # Twenty thousand draws inside: standard error 0.0035.
    np.testing.assert_allclose(weights, simulated_weights(information), atol=0.016)


def test_weights_of_independent_variances_are_binomial() -> None:
    np.testing.assert_allclose(chi_bar_weights(np.diag([3.0, 0.1])), [0.25, 0.5, 0.25])
    np.testing.assert_allclose(chi_bar_weights(np.eye(3)), [0.125, 0.375, 0.375, 0.125], atol=0.016)
    np.testing.assert_allclose(chi_bar_weights(np.array([[2.0]])), [0.5, 0.5])


def test_the_tail_is_the_mixture_and_one_at_zero() -> None:
    weights = np.array([0.25, 0.5, 0.25])
    assert chi_bar_square_tail(0.0, weights) == 1.0
    assert chi_bar_square_tail(3.0, weights) == pytest.approx(0.5 * stats.chi2.sf(3, 1) + 0.25 * stats.chi2.sf(3, 2))
    assert likelihood_ratio(-10.0, -10.0 + 1e-12, weights, ("a",)).p_value == 1.0
    assert likelihood_ratio(-10.0, -np.inf, weights, ("a",)).p_value == 0.0


def test_efficient_information_is_the_inverse_of_the_block_of_the_covariance() -> None:
    root = np.random.default_rng(4).normal(size=(6, 4))
    information = root.T @ root
    block = np.linalg.inv(information)[np.ix_([1, 3], [1, 3])]
    np.testing.assert_allclose(np.linalg.inv(efficient_information(information, [1, 3], [0, 2])), block, rtol=1e-9)
    np.testing.assert_array_equal(efficient_information(information, [1], []), information[1:2, 1:2])


def test_held_parameters_are_nan_and_the_rest_is_inverted_without_them() -> None:
    information = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    covariance = covariance_from_information(information, np.array([True, False, True]))
    assert np.isnan(covariance[1]).all()
    inner = np.linalg.inv(information[np.ix_([0, 2], [0, 2])])
    np.testing.assert_allclose(covariance[np.ix_([0, 2], [0, 2])], inner)
    assert np.isnan(standard_errors(covariance)[1])
    assert np.isnan(covariance_from_information(information, np.zeros(3, dtype=bool))).all()


def test_parameters_that_cannot_be_told_apart_have_infinite_variance_and_the_rest_do_not() -> None:
    information = np.array([[1.0, 1.0, 0.2], [1.0, 1.0, 0.2], [0.2, 0.2, 2.0]])
    covariance = covariance_from_information(information, np.ones(3, dtype=bool))
    assert np.isinf(np.diag(covariance)[:2]).all()
    alone = np.linalg.inv(information[1:, 1:])[1, 1]
    assert covariance[2, 2] == pytest.approx(alone)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_the_scale_of_parameters_does_not_matter(scale: float) -> None:
    information = np.array([[4.0, 1.0], [1.0, 3.0]])
    units = np.diag([scale, 1.0])
    covariance = covariance_from_information(units @ information @ units, np.ones(2, dtype=bool))
    back = units @ covariance @ units
    np.testing.assert_allclose(back, np.linalg.inv(information), rtol=1e-12)


def parabola(
    estimate: float, curvature: float, step: float = 1.0, lower: float = 0.0, upper: float = np.inf
) -> Profile:
    return Profile(
        estimate=estimate, maximum=-7.0, log_likelihood=lambda x: -7.0 - 0.5 * curvature * (x - estimate) ** 2,
        lower=lower, upper=upper, step=step,
    )  # fmt: skip


@pytest.mark.parametrize("step", [1e-6, 0.1, 1.0, 1e6, np.nan, 0.0])
def test_the_profile_of_a_parabola_is_the_wald_interval_whatever_the_first_step(step: float) -> None:
    low, high = profile_interval(parabola(5.0, 4.0, step, lower=-np.inf))
    np.testing.assert_allclose([low, high], 5.0 + np.array([-1, 1]) * stats.norm.ppf(0.975) / 2.0, rtol=1e-7)


def test_profile_ends_beyond_the_bounds_are_the_bounds() -> None:
    assert profile_interval(parabola(0.5, 1.0, upper=1.0)) == (0.0, 1.0)
    low, high = profile_interval(parabola(0.0, 1.0))
    assert low == 0.0
    assert high == pytest.approx(stats.norm.ppf(0.975), rel=1e-7)


def test_a_flat_profile_has_no_upper_end() -> None:
    flat = Profile(estimate=1.0, maximum=0.0, log_likelihood=lambda x: 0.0, lower=0.0, upper=np.inf, step=1.0)
    assert profile_interval(flat) == (0.0, np.inf)


def test_an_undefined_edge_is_outside() -> None:
    edge = Profile(
        estimate=1.0, maximum=0.0, log_likelihood=lambda x: -np.inf if x <= 0.2 else 0.0, lower=0.0, upper=1.5, step=0.3
    )
    low, high = profile_interval(edge)
    assert low == pytest.approx(0.2, abs=1e-6)
    assert high == 1.5


def test_a_profile_that_depends_on_the_way_still_has_ends() -> None:
    asked: list[float] = []

    def falls_further_when_asked_again(x: float) -> float:
        asked.append(x)
        return -0.5 * (x - 1.0) ** 2 * (1.0 + 20.0 * (asked.count(x) > 1))

    odd = Profile(
        estimate=1.0, maximum=0.0, log_likelihood=falls_further_when_asked_again, lower=-np.inf, upper=np.inf, step=0.3
    )
    np.testing.assert_allclose(profile_interval(odd), 1.0 + np.array([-1, 1]) * stats.norm.ppf(0.975), rtol=1e-6)


def test_levels_outside_the_unit_interval_are_refused() -> None:
    for level in (0.0, 1.0, -0.5, 95.0):
        with pytest.raises(OptionError, match="level"):
            profile_interval(parabola(1.0, 1.0), level=level)
        with pytest.raises(OptionError, match="level"):
            wald_interval(np.ones(1), np.ones(1), level=level)


def test_wald_is_the_t_interval_and_its_test() -> None:
    low, high = wald_interval(np.array([2.0]), np.array([0.5]), level=0.9, df=7.0)
    np.testing.assert_allclose([low[0], high[0]], 2.0 + np.array([-1, 1]) * stats.t.ppf(0.95, 7) * 0.5)
    statistic, p = wald_test(np.array([2.0, 0.0]), np.array([0.5, 1.0]), df=7.0)
    np.testing.assert_allclose(p, 2 * stats.t.sf(np.abs(statistic), 7))


def test_proportions_sum_to_one_and_known_variances_add_no_error() -> None:
    s, t = np.array([0.5, 0.0, 2.0]), np.array([10.0, 12.0, 9.0])
    assert proportions(s, t).sum() == pytest.approx(1.0)
    covariance = np.array([[0.2, np.nan, -0.05], [np.nan, np.nan, np.nan], [-0.05, np.nan, 0.1]])
    spread = proportion_covariance(s, t, covariance)
    alone = proportion_covariance(s[[0, 2]], t[[0, 2]], covariance[np.ix_([0, 2], [0, 2])])
    np.testing.assert_allclose(spread[np.ix_([0, 2], [0, 2])], alone)
    np.testing.assert_allclose(spread.sum(axis=1), 0.0, atol=1e-15)
