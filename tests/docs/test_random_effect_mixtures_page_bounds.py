"""What `docs/theory/random_effect_mixtures.md` claims of bounds, moments, intervals and designs, against quadrature and
draws."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from random_effect_mixture_algebra import (
    ROUNDING,
    TWO,
    join,
    log_likelihood,
    reduced,
    unit_scores,
    units,
    units_of_all_kinds,
)
from scipy.stats import chi2, norm


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    return units_of_all_kinds()


def test_no_mixture_gains_more_than_the_dual_bound(case: SimpleNamespace) -> None:
    d, rng = reduced(case), np.random.default_rng(9)  # [SLOPE-8]

    def densities(v: np.ndarray) -> np.ndarray:
        return norm.pdf(d.h, scale=np.sqrt(np.multiply.outer(v, d.q) + case.s))

    base, mixture = log_likelihood(d, case.at), units(d, case.at).mixture
    top = max((d.h**2 - case.s) / d.q)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, top, 2000)])
    D = densities(grid) @ (d.a / mixture) / d.n
    assert case.pi @ (densities(case.v) @ (d.a / mixture)) / d.n == pytest.approx(1.0, abs=ROUNDING)
    bound = d.n * np.log(D.max())
    assert bound < d.n * (D.max() - 1)
    assert (np.diff(densities(np.geomspace(top, 1e3 * top, 50)), axis=0) <= 0).all()

    shares, support = np.full(61, 1 / 61), np.concatenate([[0.0], np.geomspace(1e-4, top, 60)])
    L = densities(support)
    for _ in range(3000):  # EM for the shares climbs to the best mixture on this grid
        shares *= L @ (d.a / (shares @ L)) / d.n
    gained = d.a @ np.log(shares @ L) - d.a @ np.log(mixture)
    assert 0.0 < gained <= bound
    best = densities(grid) @ (d.a / (shares @ L)) / d.n
    assert best.max() < 1.01  # at the best mixture D is at most 1, up to the grid and EM's last digits
    for _ in range(50):
        v = np.concatenate([[0.0], rng.exponential(size=3)])
        other = join(v, case.s, rng.dirichlet(np.ones(4)))
        assert log_likelihood(d, other) - base <= bound


def test_moments_are_those_printed_and_two_points_reproduce_them() -> None:
    v, s, pi, q = np.array([0.1, 2.0, 0.7]), 0.4, np.array([0.5, 0.2, 0.3]), 1.7  # [SLOPE-9]
    M_1, M_2 = pi @ v, pi @ v**2
    for power, printed in ((2, s + q * M_1), (4, 3 * (s**2 + 2 * s * q * M_1 + q**2 * M_2))):
        exact = pi @ [norm.moment(power, scale=np.sqrt(q * v_k + s)) for v_k in v]
        assert printed == pytest.approx(exact, rel=ROUNDING)
    v_2, pi_2 = M_2 / M_1, M_1**2 / M_2
    assert pi_2 <= 1
    np.testing.assert_allclose([pi_2 * v_2, pi_2 * v_2**2], [M_1, M_2], rtol=ROUNDING)


@pytest.mark.parametrize("c", [0.0, 0.5, 1.5, 3.0])
def test_profile_intervals_near_zero_cover_as_often_as_printed(c: float) -> None:
    z = norm.ppf(0.975)  # [SLOPE-10]
    draws = c + np.random.default_rng(8).normal(size=400_000)
    estimate = np.maximum(draws, 0.0)
    statistic = (draws - c) ** 2 - (draws - estimate) ** 2
    low, high = (statistic > z**2) & (estimate < c), (statistic > z**2) & (estimate > c)
    lower_miss = 0.0 if c == 0 else norm.cdf(-(c**2 + z**2) / (2 * c)) if c < z else norm.cdf(-z)
    # Four standard errors of a share of 400,000 draws are at most 1e-3.
    assert low.mean() == pytest.approx(lower_miss, abs=1e-3)
    assert high.mean() == pytest.approx(norm.cdf(-z), abs=1e-3)
    assert lower_miss <= norm.cdf(-z)


def information(m: int) -> np.ndarray:
    """Expected information per unit at the note's truth, by Gauss-Legendre over sqrt(q) and h; (v_1, v_2, s, pi_1)."""
    v, s, pi = np.array([0.001, 1.0]), 0.5, np.array([0.7, 0.3])
    nodes, weights = np.polynomial.legendre.leggauss(120)
    most = np.sqrt(chi2.isf(1e-13, m))
    roots = (nodes + 1) / 2 * most
    total = np.zeros((5, 5))
    for root, width in zip(roots, weights * most / 2, strict=True):
        q = root**2
        top = 9 * np.sqrt(q * v[1] + s)
        h = (nodes + 1) / 2 * top
        d = SimpleNamespace(q=np.full(len(h), q), h=h, a=np.ones(len(h)), M=0.0, R=0.0)
        at = join(v, s, pi)
        scores = unit_scores(d, at)
        density = weights * top * units(d, at).mixture  # both signs of h
        total += 2 * root * chi2.pdf(q, m) * width * (scores * density) @ scores.T
    total[2, 2] += (m - 1) / (2 * s**2)
    return np.asarray(TWO.T @ total @ TWO)


@pytest.mark.parametrize(
    ("rows", "kept", "errors"), [(1, 0.027, (0.089, 0.028)), (5, 0.180, (0.034, 0.011)), (10, 0.323, (0.025, 0.008))]
)
def test_the_design_keeps_as_much_about_shares_as_the_table_says(
    rows: int, kept: float, errors: tuple[float, float]
) -> None:
    variance = np.linalg.inv(information(rows))[3, 3]  # [SLOPE-10]
    assert 0.21 / variance == pytest.approx(kept, abs=5e-4)  # the table's last digit
    for effects, error in zip((1000, 10_000), errors, strict=True):
        assert np.sqrt(variance / effects) == pytest.approx(error, abs=5.1e-4)


def test_the_information_on_shares_without_the_price_of_variances_is_as_printed() -> None:
    one, ten = information(1), information(10)  # [SLOPE-10]
    assert 0.21 * one[3, 3] == pytest.approx(0.097, abs=5e-4)
    assert np.linalg.inv(one)[3, 3] / np.linalg.inv(ten)[3, 3] == pytest.approx(12.0, abs=0.5)


def test_one_value_of_q_identifies_a_line_and_two_identify_a_point() -> None:
    rng = np.random.default_rng(6)
    h = rng.normal(size=50)
    one = SimpleNamespace(q=np.full(50, 2.0), h=h, a=np.ones(50), M=0.0, R=0.0)
    at, shift = join(np.array([0.3, 1.0]), 0.5, np.array([0.6, 0.4])), 0.2
    along = at + join(np.full(2, shift / 2.0), -shift, np.zeros(2))  # v_k + s / q stays
    assert log_likelihood(one, along) == pytest.approx(log_likelihood(one, at), abs=ROUNDING)
    two = SimpleNamespace(**{**vars(one), "q": np.where(np.arange(50) < 25, 2.0, 1.0)})
    assert abs(log_likelihood(two, along) - log_likelihood(two, at)) > 1e-3
    rest = SimpleNamespace(**{**vars(one), "M": 4.0, "R": 1.5})
    assert abs(log_likelihood(rest, along) - log_likelihood(rest, at)) > 1e-3


def test_an_exact_zero_makes_the_likelihood_unbounded_and_a_left_over_prevents_it() -> None:
    h = np.array([0.0, 0.9, -1.3, 0.4])
    d = SimpleNamespace(q=np.ones(4), h=h, a=np.ones(4), M=0.0, R=0.0)

    def path(d: SimpleNamespace) -> list[float]:
        return [
            log_likelihood(d, join(np.array([0.0, 1.0]), s, np.array([0.5, 0.5])))
            for s in 10.0 ** -np.arange(2, 60, 8.0)
        ]

    # Each 1e-8 in s raises the spike's logarithm by 4 log 10; the other units stand still once s is small.
    np.testing.assert_allclose(np.diff(path(d))[1:], 4 * np.log(10), rtol=1e-5)
    assert np.diff(path(SimpleNamespace(**{**vars(d), "M": 1.0, "R": 1e-3})))[1:].max() < 0
    assert np.diff(path(SimpleNamespace(**{**vars(d), "h": h + 0.1})))[1:].max() < 1e-6
