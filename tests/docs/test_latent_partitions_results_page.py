"""What `docs/theory/latent_partitions.md` says of informations, diagnosis and posteriors where noise differs, held
against dense algebra and draws.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from latent_partition_algebra import BLOCKS, ROUNDING, changed, example, noise, posterior
from scipy.optimize import minimize
from scipy.special import digamma, logsumexp, polygamma
from scipy.stats import f as f_distribution
from scipy.stats import multivariate_normal


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    return example()


def second_differences(f: Callable[[np.ndarray], float], at: np.ndarray, step: float) -> np.ndarray:
    moves = step * np.eye(len(at))
    values = [[f(at + p + q) - f(at + p - q) - f(at - p + q) + f(at - p - q) for q in moves] for p in moves]
    return np.array(values) / (4 * step**2)


def test_columns_of_scores_by_differences_are_of_second_order_inside_and_at_the_bound() -> None:
    # Any smooth score will do: errors must fall with the square of the step [PART-3].
    def score(x: float) -> float:
        return float(np.exp(1.3 * x) * np.cos(x))

    exact = -(1.3 * np.cos(0.7) - np.sin(0.7)) * np.exp(1.3 * 0.7), -1.3
    errors = []
    for step in (1e-2, 1e-3):
        inside = -(score(0.7 + step) - score(0.7 - step)) / (2 * step)
        bound = (1.5 * score(0.0) - 2.0 * score(step) + 0.5 * score(2 * step)) / step
        errors.append([abs(inside - exact[0]), abs(bound - exact[1])])
    ratios = np.array(errors[0]) / errors[1]
    assert (ratios > 80).all()  # 100 to leading order
    assert (np.array(errors[1]) < 1e-5).all()


def block_density(case: SimpleNamespace, gene: int, C: np.ndarray, mu: float, a: float, v: np.ndarray) -> float:
    d = (case.at.P**2 @ C) @ v
    q = (case.at.P @ C)[case.of]
    V = a * q @ q.T + np.diag(d[case.of])
    return float(multivariate_normal(np.full(len(case.of), mu), V).logpdf(case.samples[gene]))


def best_variances(case: SimpleNamespace, gene: int, C: np.ndarray, mu: float, a: float) -> np.ndarray:
    def negative(logs: np.ndarray) -> float:
        return -block_density(case, gene, C, mu, a, np.exp(logs))

    begun = minimize(negative, np.full(C.shape[1], -1.0), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12})
    return np.asarray(np.exp(minimize(negative, begun.x, method="BFGS", options={"gtol": 1e-9}).x))


def test_best_variances_of_blocks_take_their_part_off_the_curvature(case: SimpleNamespace) -> None:
    C = BLOCKS[1]  # [PART-5]

    def profile(theta: np.ndarray) -> float:
        mu, a = theta
        return block_density(case, gene, C, mu, a, best_variances(case, gene, C, mu, a))

    theta, found = np.array([case.at.mu, case.at.a]), []
    for gene in (0, 4, 6):
        v = best_variances(case, gene, C, case.at.mu, case.at.a)
        if (v < 1e-3).any():
            continue  # at the floor, where a variance takes nothing up

        def whole(x: np.ndarray) -> float:
            return block_density(case, gene, C, x[0], x[1], v * np.exp(x[2:]))  # noqa: B023 - used at once

        at = np.array([*theta, 0.0, 0.0])
        # Curvature by logs: the slope by v is 0 at its maximum, so that nothing else comes in.
        h = second_differences(whole, at, 1e-3)
        printed = h[:2, :2] - h[:2, 2:] @ np.linalg.inv(h[2:, 2:]) @ h[2:, :2]
        # Both by differences with step 1e-3 (1e-2 over inner maxima): truncation about 1e-4 of what is of order one.
        np.testing.assert_allclose(printed, second_differences(profile, theta, 1e-2), atol=2e-3)
        slopes = [
            (profile(theta + e) - profile(theta - e)) / 2e-4 - (whole(at + b) - whole(at - b)) / 2e-4
            for e, b in zip(1e-4 * np.eye(2), 1e-4 * np.eye(4)[:2], strict=True)
        ]
        np.testing.assert_allclose(slopes, 0.0, atol=1e-4)  # the envelope: inner maxima are exact to about 1e-9
        found.append(gene)
    assert found


def noisy(case: SimpleNamespace, C: np.ndarray, lack: np.ndarray, k: float, scale: float) -> np.ndarray:
    """Covariance of samples with lack of fit, scatter and a scale."""
    P, of = case.at.P, case.of
    q, p = (P @ C)[of], P[of]
    shared = np.equal.outer(of, of) * lack[of]
    return np.asarray(case.at.a * q @ q.T + scale * (k * p @ p.T + shared + np.diag(noise(case.at)[of])))


def test_the_product_with_noise_of_every_kind_keeps_the_diagonal(case: SimpleNamespace) -> None:
    at, lack, k, scale = case.at, np.array([0.1, 0.4, 0.05, 0.2, 0.3]), 0.3, 1.4  # [PART-6]
    for C in BLOCKS:
        v = at.a * ((at.P @ C) ** 2).sum(1) + scale * (noise(at) + lack + k * (at.P**2).sum(1))
        np.testing.assert_allclose(v[case.of], np.diag(noisy(case, C, lack, k, scale)), rtol=1e-12)


def test_the_sandwich_has_the_variance_of_the_products_maximum_and_its_information_has_not() -> None:
    # mu_0 by the product, all else known: one Newton step from the truth has the variance of the maximum [PART-6].
    rng, mu, a, tau2 = np.random.default_rng(3), 4.0, 1.0, 0.2
    P = np.array([[0.7, 0.3, 0.0], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    of, pi, genes = np.repeat(np.arange(3), 4), np.array([0.4, 0.2, 0.1, 0.1, 0.2]), 150
    v = np.stack([a * ((P @ C) ** 2).sum(1) + tau2 * (P**2).sum(1) for C in BLOCKS])[:, of]
    moved, naive, sandwich = [], [], []
    for _ in range(300):
        z = rng.choice(5, size=genes, p=pi)
        M = mu + np.sqrt(a) * rng.normal(size=(genes, 3))
        x = np.stack([BLOCKS[j] @ M[g, : BLOCKS[j].shape[1]] for g, j in enumerate(z)])
        S = x @ P[of].T + np.sqrt(tau2 * (P[of] ** 2).sum(1)) * rng.normal(size=(genes, len(of)))
        r = S - mu
        log_f = -0.5 * (np.log(2 * np.pi * v).sum(1) + r**2 @ (1 / v).T) + np.log(pi)
        R = np.exp(log_f - logsumexp(log_f, axis=1, keepdims=True))
        s, curved = r @ (1 / v).T, -(1 / v).sum(1)
        own = (R * s).sum(1)
        information = -float((R @ curved + (R * s**2).sum(1) - own**2).sum())
        moved.append(own.sum() / information)
        naive.append(1 / information)
        sandwich.append((own**2).sum() / information**2)
    true = float(np.var(moved))
    # A variance from 300 draws has a relative standard error of .08; three of them.
    assert np.mean(sandwich) / true == pytest.approx(1.0, abs=0.25)
    assert np.mean(naive) / true < 0.5


def test_covariances_of_the_types_are_those_of_the_dense_mixture(case: SimpleNamespace) -> None:
    at, p = case.at, posterior(case, case.at)  # [PART-8]
    for gene in (0, 7):
        summed = np.zeros((3, 3))
        for j, C in enumerate(BLOCKS):
            away = at.a * C @ p.u[j][gene] - p.x[gene]
            summed += p.R[gene, j] * (at.a * C @ np.linalg.inv(p.K[j]) @ C.T + np.outer(away, away))
        np.testing.assert_allclose(summed, p.Z[gene] - np.outer(p.x[gene], p.x[gene]), atol=ROUNDING)


def test_scatter_and_a_scale_give_the_types_the_moments_printed(case: SimpleNamespace) -> None:
    # Given lambda (of two values) and the partition all is jointly normal [PART-5] [PART-8].
    at, k, gene, lack = case.at, 0.3, 2, np.zeros(5)
    P, r = at.P, case.samples[gene] - at.mu
    scales, weights = np.array([0.6, 1.7]), []
    x_means: list[np.ndarray] = []
    x_spreads: list[np.ndarray] = []
    y_means: list[np.ndarray] = []
    y_spreads: list[np.ndarray] = []
    for C, share in zip(BLOCKS, at.pi, strict=True):
        for scale in scales:
            V = noisy(case, C, lack, k, scale)
            weights.append(np.log(share) + multivariate_normal(np.zeros(len(r)), V).logpdf(r))
            for prior, means, spreads in (
                (at.a * C @ C.T + scale * k * np.eye(3), x_means, x_spreads),
                (at.a * C @ C.T, y_means, y_spreads),
            ):
                gain = prior @ P[case.of].T @ np.linalg.inv(V)
                means.append(gain @ r)
                spreads.append(prior - gain @ P[case.of] @ prior)
    w = np.exp(np.array(weights) - logsumexp(weights))

    def moments(means: list[np.ndarray], spreads: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        mean = w @ np.array(means)
        away = np.array(means) - mean
        return mean, np.einsum("k,kij->ij", w, np.array(spreads)) + np.einsum("k,ki,kj->ij", w, away, away)

    (x, X), (y, Y) = moments(x_means, x_spreads), moments(y_means, y_spreads)
    p = posterior(case, at)
    A = np.linalg.inv(np.eye(3) + k * p.H)
    factor = float(w @ np.tile(scales, len(BLOCKS)))
    np.testing.assert_allclose(A @ (k * p.t[gene] + y), x, atol=ROUNDING)
    np.testing.assert_allclose(factor * k * A + A @ Y @ A.T, X, atol=ROUNDING)


def test_expression_in_a_sample_with_lack_of_fit_is_as_printed(case: SimpleNamespace) -> None:
    # One partition is enough: partitions mix means and covariances of x, which the formula takes as they are [PART-8].
    at, C, lack, gene, sample = changed(case.at, pi=np.eye(5)[2]), BLOCKS[2], np.full(5, 0.25), 3, 4
    s = case.of[sample]
    p, n, of = at.P[s], case.n[s], case.of
    V = noisy(case, C, lack, 0.0, 1.0)
    r, block = case.samples[gene] - at.mu, at.a * C @ C.T
    with_samples = block @ at.P[of].T
    with_samples[:, sample] += at.tau2 * p  # the sample's own cells
    exact = with_samples @ np.linalg.inv(V) @ r
    exact_spread = block + at.tau2 * np.eye(3) - with_samples @ np.linalg.inv(V) @ with_samples.T
    gain = block @ at.P[of].T @ np.linalg.inv(V)
    x, X = gain @ r, block - gain @ at.P[of] @ block
    d, mean = noise(at)[s], r[of == s].mean()
    kappa = d / (d + n * lack[s])
    printed = x + at.tau2 * p / d * (r[sample] - mean + kappa * (mean - p @ x))
    F = np.eye(3) - kappa * at.tau2 / d * np.outer(p, p)
    own = at.tau2 * np.eye(3) - at.tau2**2 * (1 - lack[s] / (d + n * lack[s])) / d * np.outer(p, p)
    np.testing.assert_allclose(printed, exact, atol=ROUNDING)
    np.testing.assert_allclose(F @ X @ F.T + own, exact_spread, atol=ROUNDING)


def test_logs_of_squares_within_types_have_the_mean_and_variance_printed() -> None:
    rng, draws = np.random.default_rng(8), 200_000  # [PART-5]
    for freedom in (1, 2, 5):
        logs = np.log(3.0 * rng.chisquare(freedom, size=draws)) - digamma(freedom / 2) - np.log(2)
        variance = float(polygamma(1, freedom / 2))
        assert logs.mean() == pytest.approx(np.log(3.0), abs=4 * np.sqrt(variance / draws))
        assert logs.var() == pytest.approx(variance, rel=0.03)  # four standard errors, chi-square logs have long tails


def test_lack_of_fit_is_about_f_where_mixing_is_linear_and_right_on_average_whatever_the_weights() -> None:
    rng, draws = np.random.default_rng(9), 40_000  # [PART-5]
    P = rng.dirichlet(np.ones(3), size=7)
    n, d = np.array([3, 3, 2, 4, 3, 3, 2]), rng.uniform(0.5, 2.0, size=7)
    for weights_from, exact in ((d, True), (np.ones(7), False)):
        w = n / weights_from
        M = P @ np.linalg.inv(P.T @ (w[:, None] * P)) @ (w[:, None] * P).T
        h = np.diag(M)
        means = rng.normal(size=(draws, 3)) @ P.T + np.sqrt(d / n) * rng.normal(size=(draws, 7))
        W = d * rng.chisquare(n - 1, size=(draws, 7))
        above = (w * (means - means @ M.T) ** 2).sum(axis=1)
        below = (1 - h) * W / ((n - 1) * weights_from)
        # Standard errors of both means are about 1/2 %; the weights need not be right.
        assert above.mean() / below.sum(axis=1).mean() == pytest.approx(1.0, abs=0.02)
        if exact:
            c = 1 - h
            freedom = c.sum() ** 2 / (c**2 / (n - 1)).sum()
            spread = below.sum(axis=1).var() / below.sum(axis=1).mean() ** 2
            assert spread == pytest.approx(2 / freedom, rel=0.05)  # what Satterthwaite's degrees of freedom match
            chance = f_distribution.sf(above / below.sum(axis=1), 7 - 3, freedom)
            # Matching two moments of few replicates is a little cautious: .042 here, standard error .001.
            assert 0.035 < (chance < 0.05).mean() < 0.054
