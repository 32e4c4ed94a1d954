"""What `docs/theory/random_effect_mixtures.md` claims, held against dense algebra, quadrature and finite differences.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad as integral
from scipy.optimize import minimize, nnls
from scipy.stats import chi2, multivariate_normal, norm

# Central differences with step 1e-4 of quantities of order 1 to 100: truncation about 1e-7, rounding about 1e-10.
DIFFERENCE = 1e-5
# Sums of tens of terms of order one.
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    """Units of one to four rows, two of them without any x, with likelihood weights and three classes."""
    rng = np.random.default_rng(20250214)
    rows = rng.integers(1, 5, size=40)
    x = [rng.normal(size=m) for m in rows]
    x[3], x[7] = np.zeros(rows[3]), np.zeros(rows[7])
    y = [rng.normal(scale=rng.choice([0.2, 1.5])) * one + rng.normal(scale=0.7, size=len(one)) for one in x]
    v, s, pi = np.array([0.05, 0.6, 2.5]), 0.45, np.array([0.5, 0.3, 0.2])
    return SimpleNamespace(x=x, y=y, rows=rows, a=rng.uniform(0.3, 2.0, size=40), v=v, s=s, pi=pi, at=join(v, s, pi))


def join(v: np.ndarray, s: float, pi: np.ndarray) -> np.ndarray:
    return np.concatenate([v, [s], pi])


def cut(at: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    count = (len(at) - 1) // 2
    return at[:count], float(at[count]), at[count + 1 :]


def reduced(case: SimpleNamespace) -> SimpleNamespace:
    """The numbers of [SLOPE-2]."""
    q = np.array([x @ x for x in case.x])
    some = q > 0
    h = np.array([x @ y / np.sqrt(x @ x) if x @ x > 0 else 0.0 for x, y in zip(case.x, case.y, strict=True)])
    R = np.array([y @ y for y in case.y]) - h**2
    rest = case.rows - some
    return SimpleNamespace(
        q=q[some],
        h=h[some],
        a=case.a[some],
        M=case.a @ rest,
        R=case.a @ R,
        n=case.a[some].sum(),
        N=case.a @ case.rows,
    )


def dense(case: SimpleNamespace, at: np.ndarray) -> float:
    v, s, pi = cut(at)
    total = 0.0
    for x, y, a in zip(case.x, case.y, case.a, strict=True):
        densities = [multivariate_normal(cov=s * np.eye(len(x)) + v_k * np.outer(x, x)).pdf(y) for v_k in v]
        total += a * np.log(pi @ densities)
    return float(total)


def units(d: SimpleNamespace, at: np.ndarray) -> SimpleNamespace:
    v, s, pi = cut(at)
    tau = np.multiply.outer(v, d.q) + s
    f = norm.pdf(d.h, scale=np.sqrt(tau))
    mixture = pi @ f
    r = pi[:, None] * f / mixture
    weighted = d.a * r

    def quad(p: int) -> np.ndarray:
        return np.sum(weighted * d.q**p * d.h**2 / tau**2, axis=1)

    def trace(p: int) -> np.ndarray:
        return np.sum(weighted * d.q**p / tau, axis=1)

    return SimpleNamespace(
        tau=tau,
        f=f,
        mixture=mixture,
        r=r,
        n_k=weighted.sum(axis=1),
        quad=quad,
        trace=trace,
        quad_e=quad(0).sum() + d.R / s**2,
        trace_e=trace(0).sum() + d.M / s,
        mhat=v[:, None] * np.sqrt(d.q) * d.h / tau,
        c=v[:, None] * s / tau,
    )


def log_likelihood(d: SimpleNamespace, at: np.ndarray) -> float:
    s = cut(at)[1]
    return float(d.a @ np.log(units(d, at).mixture) - 0.5 * (d.M * np.log(2 * np.pi * s) + d.R / s))


def unit_scores(d: SimpleNamespace, at: np.ndarray) -> np.ndarray:
    u = units(d, at)
    slope = (d.h**2 / u.tau**2 - 1 / u.tau) / 2
    return np.vstack([u.r * d.q * slope, np.sum(u.r * slope, axis=0)[None], u.f / u.mixture])


def hessian(d: SimpleNamespace, at: np.ndarray) -> np.ndarray:
    """[SLOPE-6] as the table prints it."""
    u, (v, s, _), scores = units(d, at), cut(at), unit_scores(d, at)
    count = len(v)
    slope = (d.h**2 / u.tau**2 - 1 / u.tau) / 2
    bend = 1 / (2 * u.tau**2) - d.h**2 / u.tau**3
    second = np.zeros((len(at), len(at)))
    for k in range(count):
        second[k, k] = d.a @ (u.r[k] * d.q**2 * (bend[k] + slope[k] ** 2))
        second[k, count] = second[count, k] = d.a @ (u.r[k] * d.q * (bend[k] + slope[k] ** 2))
        second[count, count] += d.a @ (u.r[k] * (bend[k] + slope[k] ** 2))
        share = count + 1 + k
        second[k, share] = second[share, k] = d.a @ (u.f[k] / u.mixture * d.q * slope[k])
        second[count, share] = second[share, count] = d.a @ (u.f[k] / u.mixture * slope[k])
    second[count, count] += (d.M / 2 - d.R / s) / s**2
    return second - (scores * d.a) @ scores.T


def gradient(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-4) -> np.ndarray:
    return np.array([(function(at + e) - function(at - e)) / (2 * step) for e in step * np.eye(len(at))])


def em(d: SimpleNamespace, at: np.ndarray) -> np.ndarray:
    """[SLOPE-3] from the posterior moments."""
    u = units(d, at)
    weighted = d.a * u.r
    v = np.sum(weighted * (u.mhat**2 + u.c), axis=1) / u.n_k
    s = (d.R + np.sum(weighted * ((d.h - np.sqrt(d.q) * u.mhat) ** 2 + d.q * u.c))) / d.N
    return join(v, s, u.n_k / d.n)


def pxem(d: SimpleNamespace, at: np.ndarray) -> np.ndarray:
    """[SLOPE-4] from the posterior moments."""
    u = units(d, at)
    weighted, root = d.a * u.r, np.sqrt(d.q)
    second = u.mhat**2 + u.c
    below = np.sum(weighted * d.q * second, axis=1)
    delta = np.divide(np.sum(weighted * root * d.h * u.mhat, axis=1), below, out=np.ones(len(below)), where=below > 0)
    scale = delta[:, None]
    residual = np.sum(weighted * (d.h**2 - 2 * scale * root * d.h * u.mhat + scale**2 * d.q * second))
    v = delta**2 * np.sum(weighted * second, axis=1) / u.n_k
    return join(v, (d.R + residual) / d.N, u.n_k / d.n)


def mm(d: SimpleNamespace, at: np.ndarray) -> np.ndarray:
    """[SLOPE-5]."""
    u, (v, s, _) = units(d, at), cut(at)
    return join(v * np.sqrt(u.quad(1) / u.trace(1)), s * np.sqrt(u.quad_e / u.trace_e), u.n_k / d.n)


def single_rows(n: int, seed: int, v: tuple[float, float] = (0.001, 1.0)) -> SimpleNamespace:
    """Ungrouped rows from two classes, shares (.7, .3), s = .5."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    b = rng.normal(size=n) * np.sqrt(np.where(rng.random(n) < 0.7, v[0], v[1]))
    y = b * x + rng.normal(scale=np.sqrt(0.5), size=n)
    return SimpleNamespace(q=x**2, h=y, a=np.ones(n), M=0.0, R=0.0, n=float(n), N=float(n))


# One share gives way: steps in (v_1, v_2, s, pi_1).
TWO = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, -1.0]])


def maximum(d: SimpleNamespace) -> np.ndarray:
    """Two classes: L-BFGS-B on the printed score, then Newton steps with the printed Hessian on what is not at 0."""

    def point(z: np.ndarray) -> np.ndarray:
        return np.append(z, 1.0 - z[3])

    def slope(z: np.ndarray) -> np.ndarray:
        return np.asarray(-TWO.T @ (unit_scores(d, point(z)) @ d.a))

    bounds = [(0, None), (0, None), (1e-3, None), (1e-3, 1 - 1e-3)]
    z = minimize(
        lambda z: -log_likelihood(d, point(z)), [0.02, 1.0, 0.5, 0.6], jac=slope, bounds=bounds, method="L-BFGS-B"
    ).x
    free = np.flatnonzero(z > 0)
    for _ in range(20):
        information = -(TWO.T @ hessian(d, point(z)) @ TWO)
        z[free] -= np.linalg.solve(information[np.ix_(free, free)], slope(z)[free])
    return point(z)


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
