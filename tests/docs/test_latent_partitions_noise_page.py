"""What `docs/theory/latent_partitions.md` says of noise, the note's product and proportions, held against algebra.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
from latent_partition_algebra import (
    BLOCKS,
    DIFFERENCE,
    LABELS,
    ROUNDING,
    changed,
    covariance,
    dense,
    example,
    gradient,
    log_likelihood,
    noise,
    posterior,
    reduced,
)
from scipy.integrate import quad as integral
from scipy.linalg import block_diag
from scipy.optimize import minimize
from scipy.special import digamma, gammaln, logsumexp
from scipy.stats import gamma, invgamma, multivariate_normal, multivariate_t, norm


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    return example()


def test_mixing_that_replicates_do_not_average_out_keeps_the_density_and_its_score(case: SimpleNamespace) -> None:
    at, lack = case.at, np.array([0.1, 0.4, 0.05, 0.2, 0.3])  # [PART-5]

    def values(lack: np.ndarray) -> np.ndarray:
        shared = np.equal.outer(case.of, case.of) * lack[case.of]
        mean = np.full(len(case.of), at.mu)
        covariances = [covariance(at, case.of, C) + shared for C in BLOCKS]
        return np.stack([multivariate_normal(mean, V).logpdf(case.samples) for V in covariances], axis=1)

    d = noise(at)
    E, r = d / case.n + lack, case.s - at.mu
    own = -0.5 * ((case.n - 1) * np.log(2 * np.pi * d) + np.log(case.n) + case.W / d).sum(axis=1)
    V = [np.diag(E) + at.a * at.P @ C @ C.T @ at.P.T for C in BLOCKS]
    printed = np.stack([own + multivariate_normal(np.zeros(5), v).logpdf(r) for v in V], axis=1)
    np.testing.assert_allclose(printed, values(lack), atol=ROUNDING)

    R = np.exp(printed + np.log(at.pi) - logsumexp(printed, b=at.pi, axis=1)[:, None])
    H, t = at.P.T @ (at.P / E[:, None]), r @ (at.P / E[:, None])
    score = np.zeros(5)
    for j, C in enumerate(BLOCKS):
        spread = at.a * np.linalg.inv(np.eye(C.shape[1]) + at.a * C.T @ H @ C)
        fitted = t @ C @ spread @ (at.P @ C).T
        L = (r - fitted) ** 2 + np.diag(at.P @ C @ spread @ (at.P @ C).T)
        score += R[:, j] @ (L / E - 1) / E / 2
    numeric = gradient(lambda lack: float(logsumexp(values(lack), b=at.pi, axis=1).sum()), lack)
    np.testing.assert_allclose(score, numeric, atol=DIFFERENCE)


def test_scatter_within_blocks_is_integrated_out_before_the_blocks(case: SimpleNamespace) -> None:
    at, k, p = case.at, 0.3, posterior(case, case.at)  # [PART-5]
    A = np.linalg.inv(np.eye(3) + k * p.H)
    shrunk = p.t @ A.T
    for C in BLOCKS:
        V = np.diag(p.E) + k * at.P @ at.P.T + at.a * at.P @ C @ C.T @ at.P.T
        K, y = np.eye(C.shape[1]) + at.a * C.T @ A @ p.H @ C, shrunk @ C
        determinant = np.log(p.E).sum() + np.linalg.slogdet(np.eye(3) + k * p.H)[1] + np.linalg.slogdet(K)[1]
        assert determinant == pytest.approx(np.linalg.slogdet(V)[1], abs=ROUNDING)
        printed = (p.r**2 / p.E).sum(1) - k * (p.t * shrunk).sum(1) - at.a * ((y @ np.linalg.inv(K)) * y).sum(1)
        np.testing.assert_allclose(printed, ((p.r @ np.linalg.inv(V)) * p.r).sum(axis=1), rtol=ROUNDING)


def log_prior(eta: np.ndarray | float, spread: float) -> np.ndarray:
    return np.asarray(-np.log(spread) / spread - gammaln(1 / spread) - (eta + np.exp(-np.asarray(eta))) / spread)


def moderated(case: SimpleNamespace, at: SimpleNamespace, j: int, gene: int, eta: np.ndarray) -> np.ndarray:
    """`log f(s_g | j, exp(eta))` by the eigendecomposition of [PART-5]."""
    p, C, scale = posterior(case, at), BLOCKS[j], np.exp(eta)
    h, U = np.linalg.eigh(C.T @ p.H @ C)
    y = p.t[gene] @ C @ U
    w = (case.W[gene] / p.d).sum() + (p.r[gene] ** 2 / p.E).sum()
    log_c = -0.5 * ((case.n - 1) * np.log(2 * np.pi * p.d) + np.log(case.n) + np.log(2 * np.pi * p.E)).sum()
    ratio, lam = at.a * h / scale[:, None], scale[:, None]
    blocks = np.log1p(ratio) - at.a * y**2 / (lam * (lam + at.a * h))
    return np.asarray(log_c - 0.5 * (case.n.sum() * eta + w / scale + blocks.sum(axis=1)))


def test_a_scale_of_noise_per_gene_is_integrated_as_printed(case: SimpleNamespace) -> None:
    at, spread, gene, eta = case.at, 0.4, 2, np.linspace(-2.5, 4.0, 29)  # [PART-5]
    exact = [gamma(1 / spread, scale=spread).logpdf(np.exp(-e)) - e for e in eta]
    np.testing.assert_allclose(log_prior(eta, spread), exact, atol=ROUNDING)
    for j, C in enumerate(BLOCKS):
        scaled = [at.a * (at.P @ C @ C.T @ at.P.T)[np.ix_(case.of, case.of)] + np.diag(np.exp(e) * noise(at)[case.of])
                  for e in eta]  # fmt: skip
        values = [multivariate_normal(np.full(len(case.of), at.mu), V).logpdf(case.samples[gene]) for V in scaled]
        np.testing.assert_allclose(moderated(case, at, j, gene, eta), values, atol=ROUNDING)

    def density(e: float) -> float:
        return float(np.exp(log_prior(e, spread) + moderated(case, at, 1, gene, np.array([e]))[0] + 15))

    smooth = integral(density, -4, 6, epsabs=1e-14, epsrel=1e-12, limit=300)[0]
    trapezoidal = sum(density(e) for e in eta) * (eta[1] - eta[0])
    coarse = sum(density(e) for e in eta[::4]) * 4 * (eta[1] - eta[0])
    assert trapezoidal == pytest.approx(smooth, rel=1e-8)  # what lies beyond the nodes is that small
    assert abs(coarse / smooth - 1) < 0.05


def test_the_score_of_the_spread_is_a_posterior_mean(case: SimpleNamespace) -> None:
    at, eta, spread = case.at, np.linspace(-3.0, 5.0, 400), 0.4  # [PART-5]
    given = [
        logsumexp([moderated(case, at, j, gene, eta) + np.log(at.pi[j]) for j in range(5)], axis=0) for gene in range(3)
    ]

    def total(spread: float) -> float:
        return float(sum(logsumexp(one + log_prior(eta, spread)) for one in given))

    slope = (np.log(spread) - 1 + digamma(1 / spread) + eta + np.exp(-eta)) / spread**2
    printed = 0.0
    for one in given:
        weight = one + log_prior(eta, spread)
        printed += float(np.exp(weight - logsumexp(weight)) @ slope)
    assert printed == pytest.approx((total(spread + 1e-5) - total(spread - 1e-5)) / 2e-5, abs=1e-6)


def test_without_block_means_the_scale_is_inverse_gamma_and_with_scaled_ones_all_is_t(case: SimpleNamespace) -> None:
    at, spread, gene, eta = changed(case.at, a=0.0), 0.4, 2, np.linspace(-3.0, 5.0, 2000)  # [PART-5]
    p = posterior(case, at)
    w = (case.W[gene] / p.d).sum() + (p.r[gene] ** 2 / p.E).sum()
    weight = log_prior(eta, spread) + moderated(case, at, 0, gene, eta)
    exact = invgamma(1 / spread + case.n.sum() / 2, scale=1 / spread + w / 2).logpdf(np.exp(eta)) + eta
    found = weight - logsumexp(weight) - np.log(eta[1] - eta[0])
    np.testing.assert_allclose(np.exp(found), np.exp(exact), atol=1e-8)
    V, mean = covariance(case.at, case.of, BLOCKS[1]), np.full(len(case.of), at.mu)
    scaled = [multivariate_normal(mean, np.exp(e) * V).logpdf(case.samples[gene]) for e in eta]
    whole = logsumexp(log_prior(eta, spread) + scaled) + np.log(eta[1] - eta[0])
    assert whole == pytest.approx(multivariate_t(mean, V, df=2 / spread).logpdf(case.samples[gene]), abs=1e-8)


def bell(count: int) -> int:
    numbers = [1]
    for size in range(count):
        numbers.append(sum(comb(size, k) * numbers[k] for k in range(size + 1)))
    return numbers[count]


def growth_strings(count: int) -> list[tuple[int, ...]]:
    found = [(0,)]
    for _ in range(count - 1):
        found = [(*label, block) for label in found for block in range(max(label) + 2)]
    return found


def test_partitions_are_as_many_as_printed() -> None:
    assert [bell(T) for T in range(1, 9)] == [1, 2, 5, 15, 52, 203, 877, 4140]  # [PART-7]
    for T in range(1, 8):
        labels = growth_strings(T)
        assert len(labels) == bell(T)
        assert sum(max(label) + 1 for label in labels) == bell(T + 1) - bell(T)  # [PART-5]
        assert sum(max(label) <= 1 for label in labels) == 2 ** (T - 1)
    assert (bell(4) - bell(3), bell(5) - bell(4)) == (10, 37)


def test_free_proportions_and_a_variance_per_block_make_the_likelihood_unbounded() -> None:
    rng = np.random.default_rng(5)  # [PART-5]
    of, values = np.array([0, 1, 2, 3, 3]), rng.normal(size=5)
    low, middle, high = np.argsort(values[:3])
    share = (values[middle] - values[low]) / (values[high] - values[low])
    P = np.zeros((4, 3))
    P[low], P[high], P[middle], P[3] = (1, 0, 0), (0, 1, 0), (1 - share, share, 0), (0.2, 0.2, 0.6)

    def density(small: float) -> float:
        d = (P**2) @ np.array([small, small, 1.0])
        return float(multivariate_normal(np.zeros(5), P[of] @ P[of].T + np.diag(d[of])).logpdf(values))

    found = [density(10.0**-k) for k in (4, 6, 8)]
    # One sample more than block means: a factor of 100 in the variance adds half its logarithm.
    np.testing.assert_allclose(np.diff(found), np.log(100) / 2, atol=1e-2)


def product(samples: np.ndarray, of: np.ndarray, at: SimpleNamespace) -> np.ndarray:
    """The note's product over samples."""
    v = [at.a * ((at.P @ C) ** 2).sum(axis=1) + noise(at) for C in BLOCKS]
    return np.stack([norm.logpdf(samples, at.mu, np.sqrt(one[of])).sum(axis=1) for one in v], axis=1)


def test_the_product_keeps_the_diagonal_and_its_corrected_score_is_right(case: SimpleNamespace) -> None:
    at, r = case.at, case.samples - case.at.mu  # [PART-6]
    for j, C in enumerate(BLOCKS):
        alone = np.diag(np.diag(covariance(at, case.of, C)))
        exact = multivariate_normal(np.full(len(case.of), at.mu), alone).logpdf(case.samples)
        np.testing.assert_allclose(product(case.samples, case.of, at)[:, j], exact, atol=ROUNDING)

    def total(**changes: object) -> float:
        moved = changed(at, **changes)
        return float(logsumexp(product(case.samples, case.of, moved), b=moved.pi, axis=1).sum())

    f = product(case.samples, case.of, at) + np.log(at.pi)
    R = np.exp(f - logsumexp(f, axis=1, keepdims=True))
    by_mu, by_a, by_P = 0.0, 0.0, np.zeros_like(at.P)
    for j, C in enumerate(BLOCKS):
        q2 = ((at.P @ C) ** 2).sum(axis=1)
        v = at.a * q2 + noise(at)
        each = R[:, j] @ (r**2 / v[case.of] ** 2 - 1 / v[case.of]) / 2
        by_v = np.bincount(case.of, each)
        assert (R[:, j] @ (r**2 / v[case.of] ** 2) > 0).all()  # what the note prints can never be 0
        by_mu += float((R[:, [j]] * r / v[case.of]).sum())
        by_a += float(by_v @ q2)
        by_P += by_v[:, None] * (2 * at.a * at.P @ C @ C.T + 2 * at.tau2 * at.P)
    assert by_mu == pytest.approx(float(gradient(lambda mu: total(mu=float(mu)), np.array(at.mu))), abs=DIFFERENCE)
    assert by_a == pytest.approx(float(gradient(lambda a: total(a=float(a)), np.array(at.a))), abs=DIFFERENCE)
    np.testing.assert_allclose(by_P, gradient(lambda P: total(P=P), at.P), atol=DIFFERENCE)


def test_the_product_knows_no_partition_of_pure_samples(case: SimpleNamespace) -> None:
    at = changed(case.at, P=np.eye(3)[[0, 1, 2, 0, 1]], omega2=0.0)  # [PART-6]
    f = product(case.samples, case.of, at)
    np.testing.assert_allclose(f, f[:, :1] * np.ones(5), atol=ROUNDING)
    moved = changed(at, a=at.a - 0.2, tau2=at.tau2 + 0.2)
    np.testing.assert_allclose(product(case.samples, case.of, moved), f, atol=ROUNDING)
    for row in case.at.P:
        between = [((row @ C) ** 2).sum() for C in BLOCKS]
        assert between[4] == min(between) == pytest.approx((row**2).sum())
        assert between[0] == max(between) == pytest.approx(1.0)


SHARES = np.array([0.35, 0.2, 0.15, 0.15, 0.15])
MIXED = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])


def simulated(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = rng.choice(5, 400, p=SHARES)
    M = 5.0 + rng.normal(size=(400, 3))
    x = np.stack([BLOCKS[j] @ M[g, : BLOCKS[j].shape[1]] for g, j in enumerate(z)])
    X = x[:, None, None, :] + 0.4 * rng.normal(size=(400, 5, 4, 3))
    return z, np.einsum("gdnt,dt->gdn", X, MIXED).reshape(400, 20), np.repeat(np.arange(5), 4)


def test_the_price_of_independence_is_as_the_table_says() -> None:
    rows = []  # [PART-6]
    for seed in range(4):
        z, samples, of = simulated(seed)
        whole = SimpleNamespace(n=np.full(5, 4), **reduced(samples, of, 5))
        row = [np.bincount(z).max() / 400]
        for density in (
            lambda at, whole=whole: posterior(whole, at).log_f,
            lambda at, samples=samples, of=of: product(samples, of, at),
        ):

            def point(q: np.ndarray) -> SimpleNamespace:
                w = np.append(q[3:], 0.0)
                a, tau2 = np.exp(q[1:3])
                return SimpleNamespace(mu=q[0], a=a, tau2=tau2, omega2=0.0, P=MIXED, pi=np.exp(w - logsumexp(w)))

            def loss(q: np.ndarray, density: Callable[[SimpleNamespace], np.ndarray] = density) -> float:
                return -float(logsumexp(density(point(q)) + np.log(point(q).pi), axis=1).sum())

            truth = np.r_[5.0, 0.0, 2 * np.log(0.4), np.log(SHARES[:4] / SHARES[4])]
            bounds = [(None, None), (-12, 6), (-16, 6), *[(-12, 12)] * 4]
            best = minimize(loss, truth, method="L-BFGS-B", bounds=bounds)
            at_truth, at_best = (density(point(q)) + np.log(point(q).pi) for q in (truth, best.x))
            given = at_truth - logsumexp(at_truth, axis=1, keepdims=True)
            end = point(best.x)
            row += [
                (at_truth.argmax(axis=1) == z).mean(),
                (at_best.argmax(axis=1) == z).mean(),
                given[np.arange(400), z].mean(),
                end.a,
                np.sqrt(end.tau2),
                end.pi[1:4].sum(),
            ]
        rows.append(row)
    printed = [0.34, 0.70, 0.70, -0.80, 1.02, 0.398, 0.52, 0.28, 0.25, -2.27, 1.06, 0.0, 0.0]
    # Half of the last digit printed; the estimates stop within 1e-3 of the maximum.
    allowed = [0.006, 0.006, 0.006, 0.006, 0.006, 0.0015, 0.006, 0.006, 0.006, 0.006, 0.006, 0.0015, 0.005]
    assert (np.abs(np.mean(rows, axis=0) - printed) < allowed).all(), np.mean(rows, axis=0)


def test_names_of_cell_types_do_not_matter(case: SimpleNamespace) -> None:
    at, base = case.at, log_likelihood(case, case.at)  # [PART-7]
    for order in permutations(range(3)):
        shown = [next(k for k, D in enumerate(BLOCKS) if np.array_equal(D @ D.T, (C @ C.T)[np.ix_(order, order)]))
                 for C in BLOCKS]  # fmt: skip
        pi = np.empty(5)
        pi[shown] = at.pi
        assert log_likelihood(case, changed(at, P=at.P[:, order], pi=pi)) == pytest.approx(base, abs=ROUNDING)


def test_one_block_and_the_finest_partition_know_proportions_up_to_a_rotation(case: SimpleNamespace) -> None:
    angle, axis = 0.3, np.ones(3) / np.sqrt(3)  # [PART-7]
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.outer(axis, axis) + np.cos(angle) * (np.eye(3) - np.outer(axis, axis)) + np.sin(angle) * across
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=ROUNDING)
    ends = changed(case.at, pi=np.array([0.4, 1e-300, 1e-300, 1e-300, 0.6]))
    turned = case.at.P @ turn
    np.testing.assert_allclose(turned.sum(axis=1), 1.0)
    assert log_likelihood(case, changed(ends, P=turned)) == pytest.approx(log_likelihood(case, ends), abs=ROUNDING)
    assert abs(log_likelihood(case, changed(case.at, P=turned)) - log_likelihood(case, case.at)) > 0.1
    flipped = 2 * np.full((2, 2), 0.5) - np.eye(2)  # the only other orthogonal O with O1 = 1 for two types
    np.testing.assert_allclose(flipped, [[0, 1], [1, 0]])


def test_pure_samples_give_the_lognormal_normal_pattern_model(case: SimpleNamespace) -> None:
    at = changed(case.at, P=np.eye(3)[[0, 1, 2, 0, 1]], omega2=0.0)  # [PART-7]
    of = np.argmax(at.P, axis=1)[case.of]
    for j, label in enumerate(LABELS):
        in_block = np.array(label)[of]
        order = np.argsort(in_block, kind="stable")
        sizes = np.bincount(in_block)
        V = block_diag(*[at.tau2 * np.eye(size) + at.a for size in sizes])
        pattern = multivariate_normal(np.full(len(of), at.mu), V).logpdf(case.samples[:, order])
        np.testing.assert_allclose(dense(case.samples, case.of, at)[:, j], pattern, atol=ROUNDING)
