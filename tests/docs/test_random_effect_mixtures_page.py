"""What `docs/theory/random_effect_mixtures.md` claims of the likelihood and the schemes, against dense algebra and
finite differences."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from random_effect_mixture_algebra import (
    DIFFERENCE,
    ROUNDING,
    TWO,
    cut,
    dense,
    em,
    gradient,
    hessian,
    join,
    log_likelihood,
    maximum,
    mm,
    pxem,
    reduced,
    single_rows,
    unit_scores,
    units,
    units_of_all_kinds,
)
from scipy.integrate import quad as integral
from scipy.optimize import nnls
from scipy.stats import multivariate_normal, norm


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    return units_of_all_kinds()


def test_two_numbers_per_unit_are_the_whole_normal_likelihood(case: SimpleNamespace) -> None:
    d = reduced(case)  # [SLOPE-2]
    assert log_likelihood(d, case.at) == pytest.approx(dense(case, case.at), abs=ROUNDING)
    assert d.n + d.M == pytest.approx(d.N, abs=ROUNDING)


def test_standard_errors_and_units_of_measurement_cost_the_jacobian_printed(case: SimpleNamespace) -> None:
    rng = np.random.default_rng(5)  # [SLOPE-1]
    sigma = [rng.uniform(0.4, 2.0, size=m) for m in case.rows]
    whitened = SimpleNamespace(**vars(case))
    whitened.x = [x / e for x, e in zip(case.x, sigma, strict=True)]
    whitened.y = [y / e for y, e in zip(case.y, sigma, strict=True)]
    direct = 0.0
    for x, y, e, a in zip(case.x, case.y, sigma, case.a, strict=True):
        f = [multivariate_normal(cov=case.s * np.diag(e**2) + v * np.outer(x, x)).pdf(y) for v in case.v]
        direct += a * np.log(case.pi @ f)
    jacobian = sum(a * np.log(e).sum() for a, e in zip(case.a, sigma, strict=True))
    d = reduced(whitened)
    assert log_likelihood(d, case.at) - jacobian == pytest.approx(direct, abs=ROUNDING)

    c_y, c_x = 8.0, 0.25
    scaled = SimpleNamespace(**vars(case))
    scaled.x, scaled.y = [x / c_x for x in case.x], [y / c_y for y in case.y]
    inward = join(case.v / (c_y / c_x) ** 2, case.s / c_y**2, case.pi)
    d = reduced(scaled)
    assert log_likelihood(d, inward) - d.N * np.log(c_y) == pytest.approx(dense(case, case.at), abs=ROUNDING)


def test_the_largest_variance_has_the_least_negative_exponent_in_every_unit(case: SimpleNamespace) -> None:
    d, (v, _, pi) = reduced(case), cut(case.at)  # [SLOPE-2]
    u = units(d, case.at)
    t = d.h**2 / u.tau
    top = int(np.argmax(v))
    terms = pi[:, None] * u.tau**-0.5 * np.exp((t[top] - t) / 2)
    assert (t[top] <= t).all()
    printed = np.log(terms.sum(axis=0)) - t[top] / 2 - np.log(2 * np.pi) / 2
    np.testing.assert_allclose(printed, np.log(u.mixture), atol=ROUNDING)


def test_score_and_hessian_are_those_printed(case: SimpleNamespace) -> None:
    d = reduced(case)  # [SLOPE-6]
    u, count = units(d, case.at), len(case.v)
    numeric = gradient(lambda at: log_likelihood(d, at), case.at)
    shares = unit_scores(d, case.at)[count + 1 :] @ d.a
    printed = join((u.quad(1) - u.trace(1)) / 2, (u.quad_e - u.trace_e) / 2, shares)
    np.testing.assert_allclose(printed, numeric, atol=DIFFERENCE)

    def score(at: np.ndarray, entry: int) -> float:
        left_over = (d.R / at[count] ** 2 - d.M / at[count]) / 2 if entry == count else 0.0
        return float(unit_scores(d, at)[entry] @ d.a + left_over)

    rows = [gradient(lambda at, k=entry: score(at, k), case.at) for entry in range(len(case.at))]
    # Entries reach 1e2 here, and differences lose in proportion.
    np.testing.assert_allclose(hessian(d, case.at), rows, rtol=DIFFERENCE, atol=DIFFERENCE)
    t = d.h**2 / u.tau
    slope, bend = (d.h**2 / u.tau**2 - 1 / u.tau) / 2, 1 / (2 * u.tau**2) - d.h**2 / u.tau**3
    np.testing.assert_allclose(bend + slope**2, (t**2 - 6 * t + 3) / (4 * u.tau**2), atol=ROUNDING)


def test_em_is_a_gradient_step_and_px_em_exceeds_one_with_the_score(case: SimpleNamespace) -> None:
    d, (v, s, _) = reduced(case), cut(case.at)
    u, (em_v, em_s, _) = units(d, case.at), cut(em(d, case.at))
    np.testing.assert_allclose(em_v, v + v**2 / u.n_k * (u.quad(1) - u.trace(1)), atol=ROUNDING)  # [SLOPE-3]
    assert em_s == pytest.approx(s + s**2 / d.N * (u.quad_e - u.trace_e), abs=ROUNDING)
    delta = (v * u.quad(2) + s * u.quad(1)) / (v * u.quad(2) + s * u.trace(1))  # [SLOPE-4]
    np.testing.assert_allclose(cut(pxem(d, case.at))[0], delta**2 * em_v, atol=ROUNDING)
    assert ((delta > 1) == (u.quad(1) > u.trace(1))).all()


def test_the_effect_has_the_posterior_that_em_uses(case: SimpleNamespace) -> None:
    d = reduced(case)  # [SLOPE-3], [SLOPE-10]
    u = units(d, case.at)
    unit = 0
    x, y = case.x[unit], case.y[unit]

    def joint(b: float, power: int) -> float:
        prior = case.pi @ norm.pdf(b, scale=np.sqrt(case.v))
        return float(b**power * prior * np.prod(norm.pdf(y, loc=b * x, scale=np.sqrt(case.s))))

    moments = [integral(joint, -15, 15, args=(p,), epsabs=1e-13, limit=400, points=[0.0])[0] for p in range(3)]
    mean = u.r[:, unit] @ u.mhat[:, unit]
    variance = u.r[:, unit] @ (u.mhat[:, unit] ** 2 + u.c[:, unit]) - mean**2
    assert mean == pytest.approx(moments[1] / moments[0], abs=1e-7)  # quadrature to 1e-13 of a density of 1e-3
    assert variance == pytest.approx(moments[2] / moments[0] - mean**2, abs=1e-7)


@pytest.mark.parametrize("scheme", [em, pxem, mm])
def test_every_scheme_climbs_and_stands_still_at_the_maximum(
    case: SimpleNamespace, scheme: Callable[[SimpleNamespace, np.ndarray], np.ndarray]
) -> None:
    d, rng = reduced(case), np.random.default_rng(2)
    for _ in range(20):
        at = join(rng.uniform(0, 3, size=3), rng.uniform(0.1, 2), rng.dirichlet(np.ones(3)))
        assert log_likelihood(d, scheme(d, at)) >= log_likelihood(d, at) - ROUNDING
    rows = single_rows(400, seed=4, v=(0.2, 3.0))
    best = maximum(rows)
    assert (best > 0).all()
    np.testing.assert_allclose(scheme(rows, best), best, atol=1e-7)  # the Newton steps end at rounding over curvature


def test_mm_maximises_a_bound_that_touches_the_likelihood(case: SimpleNamespace) -> None:
    d, (v_0, s_0, _) = reduced(case), cut(case.at)  # [SLOPE-5]
    u, base = units(d, case.at), log_likelihood(d, case.at)

    def bound(at: np.ndarray) -> float:
        v, s, pi = cut(at)
        classes = u.trace(1) @ (v - v_0) + u.quad(1) @ (v_0**2 / v - v_0)
        rest = u.trace_e * (s - s_0) + u.quad_e * (s_0**2 / s - s_0)
        return float(base - (classes + rest) / 2 + u.n_k @ np.log(pi / case.pi))

    best = cut(mm(d, case.at))
    np.testing.assert_allclose(gradient(bound, join(*best), step=1e-5)[:4], 0.0, atol=DIFFERENCE)
    rng = np.random.default_rng(7)
    for factor in rng.uniform(0.2, 5.0, size=(50, 4)):
        at = join(v_0 * factor[:3], s_0 * factor[3], rng.dirichlet(np.ones(3)))
        assert bound(at) <= log_likelihood(d, at) + ROUNDING


@pytest.fixture(scope="module")
def edge() -> SimpleNamespace:
    """Data whose maximum has v_1 = 0, and that maximum."""
    d = next(d for seed in range(20) if maximum(d := single_rows(500, seed))[0] == 0.0)
    at = maximum(d)
    u = units(d, at)
    return SimpleNamespace(d=d, at=at, rho=u.quad(1)[0] / u.trace(1)[0], u=u)


def test_towards_a_variance_of_zero_em_creeps_and_the_others_shrink_it_at_the_rates_printed(
    edge: SimpleNamespace,
) -> None:
    near = edge.at.copy()
    near[0] = 1e-7  # the rates are limits: a relative error of the order of v_1
    assert edge.rho < 0.99
    assert mm(edge.d, near)[0] / near[0] == pytest.approx(np.sqrt(edge.rho), rel=1e-5)  # [SLOPE-5]
    assert pxem(edge.d, near)[0] / near[0] == pytest.approx(edge.rho**2, rel=1e-5)
    kappa = (edge.u.trace(1)[0] - edge.u.quad(1)[0]) / edge.u.n_k[0]  # [SLOPE-3]
    at = edge.at.copy()
    at[0] = 1e-3
    for _ in range(2000):
        at = em(edge.d, at)
    # v = 1 / (kappa t + 1 / v_0), up to terms of the order of v_0 in kappa.
    assert at[0] == pytest.approx(1 / (kappa * 2000 + 1e3), rel=0.05)


def test_em_cannot_be_faster_than_the_information_on_shares_that_is_kept() -> None:
    d = single_rows(2000, seed=1, v=(0.1, 1.5))  # [SLOPE-3]
    best = maximum(d)
    assert (best > 0).all()
    observed = -(TWO.T @ hessian(d, best) @ TWO)
    kept = best[3] * best[4] / np.linalg.inv(observed)[3, 3] / d.n

    def moved(entry: int, z: np.ndarray) -> float:
        return float(em(d, np.append(z, 1 - z[3]))[entry])

    jacobian = np.array([gradient(lambda z, k=k: moved(k, z), best[:4], step=1e-5) for k in range(4)])
    rate = np.abs(np.linalg.eigvals(jacobian)).max()
    n_k = units(d, best).n_k
    complete = np.diag([n_k[0] / 2 / best[0] ** 2, n_k[1] / 2 / best[1] ** 2, d.N / 2 / best[2] ** 2, 0])
    complete[3, 3] = d.n / (best[3] * best[4])
    slowest = np.linalg.eigvals(np.linalg.solve(complete, observed)).real.min()
    assert rate == pytest.approx(1 - slowest, abs=DIFFERENCE)
    assert slowest <= kept < 0.2


def test_the_exact_m_step_is_a_gamma_regression_and_precision_weights_are_not(case: SimpleNamespace) -> None:
    d = reduced(case)  # [SLOPE-7]
    r, count = units(d, case.at).r, len(case.v)

    def criterion(at: np.ndarray) -> float:
        tau = np.multiply.outer(at[:count], d.q) + at[count]
        left_over = d.M * np.log(2 * np.pi * at[count]) + d.R / at[count]
        return float(np.sum(d.a * r * norm.logpdf(d.h, scale=np.sqrt(tau))) - left_over / 2)

    units_of = np.tile(np.arange(len(d.q)), count)
    response = np.append(d.h[units_of] ** 2, d.R / d.M)
    design = np.zeros((len(response), count + 1))
    design[np.arange(count * len(d.q)), np.repeat(np.arange(count), len(d.q))] = d.q[units_of]
    design[:, count] = 1.0
    weight = np.append((d.a * r).ravel(), d.M)
    at = case.at[: count + 1].copy()
    for _ in range(200):  # iterated weighted least squares within the cone
        root = np.sqrt(weight) / (design @ at)
        at = 0.5 * at + 0.5 * nnls(design * root[:, None], response * root)[0]
    slopes = gradient(criterion, at, step=1e-6)
    # A step of 1e-6 on values of order 100 leaves 1e-8 of rounding.
    np.testing.assert_allclose(slopes[at > 1e-3], 0.0, atol=1e-4)
    assert (slopes[at <= 1e-3] < 1e-4).all()

    def precision(at: np.ndarray) -> float:
        tau = np.multiply.outer(at[:count], d.q) + at[count] / (d.a * r)
        return float(np.sum(norm.logpdf(d.h, scale=np.sqrt(tau))))

    assert np.abs(gradient(precision, np.maximum(at, 1e-3))).max() > 1.0
