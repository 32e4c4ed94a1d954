"""The joint likelihood of two responses: dense truths, gradients, ascent, one optimum, its edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, multivariate_normal

from varmix.errors import NotIdentifiedError
from varmix.iteration import Outcome, Status, Stopping, iterate
from varmix.marginal.build import Kernels, build_structure
from varmix.models.linear.climb import Climb
from varmix.models.linear.correlation.climb import climb_held, climb_pair, equal_start
from varmix.models.linear.correlation.cone import cone_step
from varmix.models.linear.correlation.information import likelihood_covariance
from varmix.models.linear.correlation.likelihood import PairParams, matrix_of, summarise_pair
from varmix.models.linear.correlation.moments import pair_moments
from varmix.models.linear.correlation.pair import Criterion, Pair, build_pair
from varmix.models.linear.correlation.pxem import PairEM, PairPXEM
from varmix.models.linear.moments import solve_moments, summarise_moments
from varmix.models.linear.starting import equal_start as single_start
from varmix.results.correlation.intervals import rho_interval
from varmix.typing import Matrix, Square, Vector

CASES = [(overlap, criterion) for overlap in (0, 15, 40) for criterion in ("reml", "ml")]


@dataclass(frozen=True, kw_only=True)
class Cohorts:
    X: tuple[Matrix, Matrix]
    Z: tuple[Matrix, Matrix]
    y: tuple[Vector, Vector]
    overlap: int

    def pair(self, criterion: Criterion) -> Pair:
        (a, b), shared = self.X, np.arange(self.overlap)
        kernels = (a @ a.T, a @ b.T, b @ b.T)
        return build_pair(self.y, self.Z, kernels, shared=(shared, shared), effects=a.shape[1], criterion=criterion)

    def covariance(self, theta: Vector) -> Square:
        """V written out from effects and residuals."""
        X = np.zeros((sum(map(len, self.y)), 2 * self.X[0].shape[1]))
        n, p = self.X[0].shape
        X[:n, :p], X[n:, p:] = self.X
        V = X @ np.kron(matrix_of(theta[:3]), np.eye(p)) @ X.T
        V += np.diag(np.repeat(theta[3:5], [n, len(X) - n]))
        for i in range(self.overlap):
            V[i, n + i] += theta[5]
            V[n + i, i] += theta[5]
        return np.asarray(V)


def simulate(rho: float, overlap: int = 0, seed: int = 0, n: int = 40, p: int = 30) -> Cohorts:
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((n, p)) / np.sqrt(p) for _ in range(2)]
    X[1][:overlap] = X[0][:overlap]
    b = rng.standard_normal((2, p))
    b[1] = rho * b[0] + np.sqrt(1.0 - rho**2) * b[1]
    e = rng.standard_normal((2, n))
    e[1, :overlap] = 0.6 * e[0, :overlap] + 0.8 * e[1, :overlap]
    y = [0.8 * x @ effect + 0.6 * noise for x, effect, noise in zip(X, b, e, strict=True)]
    Z = [np.column_stack([np.ones(n), rng.standard_normal(n)]) for _ in range(2)]
    return Cohorts(X=(X[0], X[1]), Z=(Z[0], Z[1]), y=(y[0], y[1]), overlap=overlap)


def point(overlap: int) -> Vector:
    return np.array([0.5, 0.7, 0.2, 0.4, 0.6] + [0.15] * (overlap > 0))


@pytest.mark.parametrize(("overlap", "criterion"), CASES)
def test_the_log_likelihood_is_that_of_a_multivariate_normal(overlap: int, criterion: Criterion) -> None:
    data, theta = simulate(0.5, overlap), point(overlap)
    V, y = data.covariance(theta), np.concatenate(data.y)
    Z = np.zeros((len(y), 4))
    Z[: len(data.y[0]), :2], Z[len(data.y[0]) :, 2:] = data.Z
    inner = Z.T @ np.linalg.solve(V, Z)
    w = np.linalg.solve(inner, Z.T @ np.linalg.solve(V, y))
    expected = multivariate_normal(Z @ w, V).logpdf(y)
    if criterion == "reml":
        expected += 0.5 * Z.shape[1] * np.log(2.0 * np.pi) - 0.5 * np.linalg.slogdet(inner)[1]
    got = summarise_pair(data.pair(criterion), theta).log_likelihood
    np.testing.assert_allclose(got, expected, rtol=1e-11)


@pytest.mark.parametrize(("overlap", "criterion"), CASES)
def test_the_score_is_the_gradient(overlap: int, criterion: Criterion) -> None:
    pair, theta, step = simulate(0.5, overlap).pair(criterion), point(overlap), 1e-5
    sides = [
        [summarise_pair(pair, theta + sign * move).log_likelihood for move in step * np.eye(theta.size)]
        for sign in (1.0, -1.0)
    ]
    gradient = (np.array(sides[0]) - np.array(sides[1])) / (2.0 * step)
    # Central differences: error of order step^2 times third derivatives of order 1e3, and rounding 1e-14 x 100 / step.
    np.testing.assert_allclose(summarise_pair(pair, theta).score, gradient, atol=1e-6)


def plainly(scheme: Any, pair: Pair, steps: int = 500) -> Outcome[Any, Any]:
    return iterate(scheme, equal_start(pair), [pair], stopping=Stopping(max_iterations=steps))


@pytest.mark.parametrize(("overlap", "criterion"), CASES)
def test_em_and_pxem_rise_to_newtons_optimum(overlap: int, criterion: Criterion) -> None:
    pair = simulate(0.5, overlap, seed=3).pair(criterion)
    newton = climb_pair(pair)
    assert newton.status is Status.CONVERGED
    for scheme in (PairEM(), PairPXEM()):
        outcome = plainly(scheme, pair)
        path = np.array([step.objective for step in outcome.progress.steps])
        # Rounding of a log-likelihood of order 100.
        assert (np.diff(path) > -1e-11).all()
        assert outcome.objective <= newton.objective + 1e-10
        # Where few people are in both, the residual covariance moves slowly: 500 steps end within a hundredth.
        assert outcome.objective >= newton.objective - 1e-2
        if overlap != 15:
            np.testing.assert_allclose(outcome.params.values, newton.params.values, rtol=1e-4)
    finished = climb_pair(pair, method="pxem")
    assert finished.status is Status.CONVERGED
    np.testing.assert_allclose(finished.params.values, newton.params.values, rtol=1e-6)


def test_a_pxem_step_is_the_m_step_written_out_with_effects() -> None:
    data, theta = simulate(0.5, seed=2), point(0)
    (n, p), y = data.X[0].shape, np.concatenate(data.y)
    Sigma = matrix_of(theta[:3])
    X = np.zeros((2 * n, 2 * p))
    X[:n, :p], X[n:, p:] = data.X
    Z = np.zeros((2 * n, 4))
    Z[:n, :2], Z[n:, 2:] = data.Z
    V = data.covariance(theta)
    w = np.linalg.solve(Z.T @ np.linalg.solve(V, Z), Z.T @ np.linalg.solve(V, y))
    r = y - Z @ w
    prior = np.kron(Sigma, np.eye(p))
    mean = prior @ X.T @ np.linalg.solve(V, r)
    spread = prior - prior @ X.T @ np.linalg.solve(V, X @ prior)
    b = mean.reshape(2, p)
    second = np.array(
        [[b[k] @ b[m] + np.trace(spread[k * p : k * p + p, m * p : m * p + p]) for m in (0, 1)] for k in (0, 1)]
    )
    Delta, residual = np.empty((2, 2)), np.empty(2)
    for i in (0, 1):
        G = data.X[i].T @ data.X[i]
        A = np.array(
            [
                [b[k] @ G @ b[m] + np.trace(G @ spread[k * p : k * p + p, m * p : m * p + p]) for m in (0, 1)]
                for k in (0, 1)
            ]
        )
        part = r[i * n : i * n + n]
        c = np.array([part @ data.X[i] @ b[k] for k in (0, 1)])
        Delta[i] = np.linalg.solve(A, c)
        residual[i] = (part @ part - c @ Delta[i]) / n
    expected = Delta @ (second / p) @ Delta.T
    pair, scheme = data.pair("ml"), PairPXEM()
    assert pair.effects == p
    got = scheme.update(PairParams(theta), scheme.summarise(PairParams(theta), pair))
    np.testing.assert_allclose(got.effects, expected, rtol=1e-9)
    np.testing.assert_allclose(got.values[3:], residual, rtol=1e-9)


def test_without_correlation_the_likelihood_is_that_of_two_single_fits() -> None:
    data = simulate(0.4, seed=4)
    pair = data.pair("reml")
    null = climb_held(pair, 0.0, climb_pair(pair).params.values).objective
    total = 0.0
    for X, Z, y in zip(data.X, data.Z, data.y, strict=True):
        piece, units = build_structure(Z, Kernels(matrices=[X @ X.T], matrix_names=["K"])).piece(y)
        fit = Climb().run([piece], single_start(piece))
        total += fit.objective - (len(y) - Z.shape[1]) * np.log(units.response)
    np.testing.assert_allclose(null, total, rtol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_newton_ends_exactly_on_the_edge_when_the_optimum_is_there(sign: float) -> None:
    reached = 0
    for seed in range(6):
        data = simulate(1.0, seed=seed)
        data = Cohorts(X=data.X, Z=data.Z, y=(data.y[0], sign * data.y[1]), overlap=0)
        pair = data.pair("reml")
        outcome = climb_pair(pair)
        assert outcome.status.arrived
        if abs(outcome.params.correlation) < 1.0 - 1e-6:
            continue
        reached += 1
        first, second, cross = outcome.params.values[:3]
        assert cross == sign * np.sqrt(first) * np.sqrt(second)
        assert outcome.status is Status.ON_BOUNDARY
        assert outcome.certificate.on_boundary == (2,)
        # A multiplier: the gradient in Sigma pushes along the null direction, away from the inside.
        null = np.array([-np.sqrt(second), sign * np.sqrt(first)])
        assert null @ outcome.stats.effect_gap @ null < 0.0
        inside = outcome.params.values.copy()
        inside[2] *= 1.0 - 1e-4
        assert summarise_pair(pair, inside).log_likelihood < outcome.objective
        slow = climb_pair(pair, method="pxem")
        assert slow.params.correlation == pytest.approx(sign, abs=1e-12)
        np.testing.assert_allclose(slow.objective, outcome.objective, rtol=1e-10)
        assert np.isfinite(likelihood_covariance(pair, outcome.params)).all()
    assert reached >= 1


def test_newton_leaves_the_edge_when_the_optimum_is_inside() -> None:
    pair = simulate(0.0, seed=5).pair("reml")
    start = PairParams(np.array([0.5, 0.5, 0.5, 0.5, 0.5]))
    outcome = climb_pair(pair, start=start)
    assert outcome.status is Status.CONVERGED
    np.testing.assert_allclose(outcome.objective, climb_pair(pair).objective, rtol=1e-12)


def test_the_cone_step_is_at_least_as_good_as_any_feasible_step() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(60):
        root = rng.standard_normal((2, 2))
        values = np.concatenate([[1.0, 1.0, 0.0], [1.0, 1.0]])
        values[:3] = (root @ root.T)[[0, 1, 0], [0, 1, 1]]
        half = rng.standard_normal((5, 8))
        information, score = half @ half.T, 4.0 * rng.standard_normal(5)

        def gain(d: Vector, score: Vector = score, information: Square = information) -> float:
            return float(score @ d - 0.5 * d @ information @ d)

        step = cone_step(values, score, information)
        end = values + step
        # Feasible to rounding.
        assert end[0] >= 0.0
        assert end[1] >= 0.0
        assert end[2] ** 2 <= end[0] * end[1] + 1e-10 * (1.0 + end[0] * end[1])
        free = np.linalg.solve(information, score)
        outside += not np.allclose(free, step)
        best = gain(step)
        for scale in (1e-3, 1e-1, 1.0):
            for _ in range(60):
                turned = PairParams(values).moved_to(end + scale * rng.standard_normal(5)).values
                rest = np.linalg.solve(information[3:, 3:], score[3:] - information[3:, :3] @ (turned[:3] - values[:3]))
                assert gain(np.concatenate([turned[:3] - values[:3], rest])) <= best + 1e-9 * (1.0 + abs(best))
    assert 10 < outside < 60


def test_profile_ends_lose_exactly_the_chi_square_limit() -> None:
    pair = simulate(0.5, seed=7, n=70).pair("reml")
    outcome = climb_pair(pair)
    low, high = rho_interval(pair, outcome, 0.3, 0.8)
    assert -1.0 <= low < outcome.params.correlation < high <= 1.0
    for end in (low, high):
        lost = 2.0 * (outcome.objective - climb_held(pair, end, outcome.params.values).objective)
        if abs(end) < 1.0:
            # The end is found to 1e-7 of its distance, where the deviance changes by about 10 per unit.
            assert lost == pytest.approx(chi2.ppf(0.8, 1), abs=1e-5)
        else:
            assert lost <= chi2.ppf(0.8, 1)


@pytest.mark.parametrize("overlap", [0, 40])
def test_turning_one_response_mirrors_everything(overlap: int) -> None:
    data = simulate(0.5, overlap=overlap, seed=7)
    turned = Cohorts(X=data.X, Z=data.Z, y=(data.y[0], -data.y[1]), overlap=overlap)
    signs = np.array([1.0, 1.0, -1.0, 1.0, 1.0, -1.0])[: 5 + (overlap > 0)]
    pairs = [cohorts.pair("reml") for cohorts in (data, turned)]
    fits = [climb_pair(pair) for pair in pairs]
    np.testing.assert_allclose(fits[1].params.values, signs * fits[0].params.values, rtol=1e-6)
    ends = [rho_interval(pair, fit, 0.3, 0.8) for pair, fit in zip(pairs, fits, strict=True)]
    np.testing.assert_allclose(ends[1], [-ends[0][1], -ends[0][0]], atol=1e-4)
    tests = [climb_held(pair, 0.0, fit.params.values).objective for pair, fit in zip(pairs, fits, strict=True)]
    # A point held ends within 1e-5 standard errors, so within 1e-10 of its log-likelihood.
    np.testing.assert_allclose(tests[0], tests[1], atol=1e-8)


@pytest.mark.parametrize("overlap", [0, 40])
def test_a_held_correlation_ends_where_the_rest_is_stationary(overlap: int) -> None:
    pair = simulate(0.5, overlap=overlap, seed=8).pair("reml")
    outcome = climb_pair(pair)
    for rho in (-0.4, 0.0, 0.4):
        held = climb_held(pair, rho, outcome.params.values)
        for move in np.vstack([np.eye(held.params.roots.size), -np.eye(held.params.roots.size)]):
            near = held.params.moved_to(held.params.roots + 1e-3 * move)
            assert summarise_pair(pair, near.values).log_likelihood < held.objective


def test_moments_of_either_cohort_are_those_of_a_single_fit() -> None:
    data = simulate(0.5, seed=8)
    values = pair_moments(data.pair("reml")).values
    for i, (X, Z, y) in enumerate(zip(data.X, data.Z, data.y, strict=True)):
        piece, units = build_structure(Z, Kernels(matrices=[X @ X.T], matrix_names=["K"])).piece(y)
        np.testing.assert_allclose(
            values[[i, 3 + i]], units.outward(solve_moments(summarise_moments(piece))), rtol=1e-9
        )


def test_the_moment_covariance_and_its_error_are_those_of_the_theory() -> None:
    data = simulate(0.5, seed=9)
    fit = pair_moments(data.pair("reml"))
    M = [np.eye(len(Z)) - Z @ np.linalg.solve(Z.T @ Z, Z.T) for Z in data.Z]
    cross = data.X[0] @ data.X[1].T
    B = M[0] @ cross @ M[1]
    trace = np.vdot(B, cross)
    np.testing.assert_allclose(fit.values[2], data.y[0] @ B @ data.y[1] / trace, rtol=1e-10)  # [VC-8]
    V = [fit.values[i] * X @ X.T + fit.values[3 + i] * np.eye(len(X)) for i, X in enumerate(data.X)]
    variance = np.trace(B @ V[1] @ B.T @ V[0]) + fit.values[2] ** 2 * np.trace(B @ cross.T @ B @ cross.T)
    np.testing.assert_allclose(fit.covariance[2, 2], variance / trace**2, rtol=1e-9)


def test_the_sandwich_is_the_spread_over_responses() -> None:
    rng, data, theta = np.random.default_rng(1), simulate(0.5, overlap=15, seed=10), point(15)
    lower = np.linalg.cholesky(data.covariance(theta))
    fits = []
    for _ in range(500):
        y = lower @ rng.standard_normal(len(lower))
        fresh = Cohorts(X=data.X, Z=data.Z, y=(y[:40], y[40:]), overlap=15)
        fits.append(pair_moments(fresh.pair("reml")))
    seen, told = np.cov(np.array([fit.values for fit in fits]).T), np.mean([fit.covariance for fit in fits], axis=0)
    # A variance over 500 draws is right to 6 %; plugging estimates into a square biases it upwards.
    np.testing.assert_allclose(np.sqrt(told.diagonal()), np.sqrt(seen.diagonal()), rtol=0.15)
    mean = np.mean([fit.values for fit in fits], axis=0)
    assert (np.abs(mean - theta) < 4.0 * np.sqrt(seen.diagonal() / 500)).all()


def test_the_same_response_twice_has_moment_correlation_one() -> None:
    data = simulate(0.5, seed=11)
    twice = Cohorts(X=(data.X[0], data.X[0]), Z=(data.Z[0], data.Z[0]), y=(data.y[0], data.y[0]), overlap=40)
    values = pair_moments(twice.pair("reml")).values
    np.testing.assert_allclose(values[[0, 0, 3, 3]], values[[1, 2, 4, 5]], rtol=1e-10)


def test_designs_without_anything_in_common_are_refused() -> None:
    data = simulate(0.5, seed=12)
    apart = Cohorts(
        X=(np.hstack([data.X[0], np.zeros((40, 30))]), np.hstack([np.zeros((40, 30)), data.X[1]])),
        Z=data.Z,
        y=data.y,
        overlap=0,
    )
    with pytest.raises(NotIdentifiedError, match="s_12"):
        pair_moments(apart.pair("reml"))


def test_reml_recovers_the_truth_over_simulations() -> None:
    found = [
        climb_pair(simulate(0.5, overlap=overlap, seed=100 + s, n=120, p=60).pair("reml")).params
        for overlap in (0, 120)
        for s in range(15)
    ]
    covariances = np.array([params.values[:3] for params in found])
    error = covariances.std(axis=0, ddof=1) / np.sqrt(len(found))
    # Four standard errors of a mean of 30; REML's own bias is an order smaller here.
    assert (np.abs(covariances.mean(axis=0) - 0.64 * np.array([1.0, 1.0, 0.5])) < 4.0 * error).all()
