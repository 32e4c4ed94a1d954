"""What `docs/theory/latent_partitions.md` says of likelihood, scores, schemes and results, held against dense algebra.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from latent_partition_algebra import (
    BLOCKS,
    DIFFERENCE,
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
    scores,
)
from scipy.optimize import minimize
from scipy.special import logsumexp, xlogy


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    return example()


def test_samples_share_block_means_and_the_density_needs_only_means_and_squares(case: SimpleNamespace) -> None:
    rng = np.random.default_rng(1)  # [PART-1]
    C, draws, at = BLOCKS[2], 400_000, case.at
    M = at.mu + np.sqrt(at.a) * rng.normal(size=(draws, 2))
    X = (M @ C.T)[:, None] + np.sqrt(at.tau2) * rng.normal(size=(draws, 3, 3))
    three = case.of[[0, 1, 2]]  # one sample of the first type, two of the second
    S = np.einsum("git,it->gi", X, at.P[three]) + np.sqrt(at.omega2) * rng.normal(size=(draws, 3))
    # The standard error of a covariance of order 2 from 400,000 draws is 0.004; four of them.
    np.testing.assert_allclose(np.cov(S.T), covariance(at, three, C), atol=0.018)
    np.testing.assert_allclose(posterior(case, at).log_f, dense(case.samples, case.of, at), atol=ROUNDING)  # [PART-2]


def test_woodbury_and_the_determinant_are_as_printed(case: SimpleNamespace) -> None:
    p, at = posterior(case, case.at), case.at  # [PART-2]
    for C, K in zip(BLOCKS, p.K, strict=True):
        Q, inverse = at.P @ C, np.diag(1 / p.E)
        V = np.diag(p.E) + at.a * Q @ Q.T
        printed = inverse - at.a * inverse @ Q @ np.linalg.inv(K) @ Q.T @ inverse
        np.testing.assert_allclose(printed, np.linalg.inv(V), atol=ROUNDING)
        assert np.log(p.d / case.n).sum() + np.linalg.slogdet(K)[1] == pytest.approx(np.linalg.slogdet(V)[1])
        assert np.linalg.eigvalsh(K).min() >= 1.0


def test_missing_samples_leave_the_density_of_those_that_are_there(case: SimpleNamespace) -> None:
    there = np.array([0, 2, 3, 4, 5, 8])  # [PART-2]: types 0, 1, 2 (three of four samples) and 3; type 4 has none
    left = changed(case.at, P=case.at.P[:4])
    part = SimpleNamespace(n=np.bincount(case.of[there]), **reduced(case.samples[:, there], case.of[there], 4))
    np.testing.assert_allclose(
        posterior(part, left).log_f, dense(case.samples[:, there], case.of[there], case.at), atol=ROUNDING
    )


def test_one_gene_that_varies_bounds_the_likelihood_that_a_constant_gene_would_raise(case: SimpleNamespace) -> None:
    constant = np.full((1, len(case.of)), 5.0)

    def path(samples: np.ndarray) -> list[float]:
        one = SimpleNamespace(n=case.n, **reduced(samples, case.of, 5))
        points = [changed(case.at, tau2=v, omega2=v) for v in 10.0 ** -np.arange(4, 12, 2.0)]
        return [float(logsumexp(posterior(one, at).log_f + np.log(at.pi), axis=1).sum()) for at in points]

    assert np.diff(path(constant)).min() > 1.0
    assert np.diff(path(np.concatenate([constant, case.samples[:1]]))).max() < -1.0


def test_cell_and_measurement_noise_cannot_be_told_apart_by_pure_samples(case: SimpleNamespace) -> None:
    pure = changed(case.at, P=np.eye(3)[[0, 1, 2, 0, 1]])
    moved = {"tau2": case.at.tau2 - 0.05, "omega2": case.at.omega2 + 0.05}
    assert log_likelihood(case, changed(pure, **moved)) == pytest.approx(log_likelihood(case, pure), abs=ROUNDING)
    assert abs(log_likelihood(case, changed(case.at, **moved)) - log_likelihood(case, case.at)) > 1e-2


def test_partitions_are_told_apart_by_proportions_of_full_rank(case: SimpleNamespace) -> None:
    left = np.linalg.pinv(case.at.P)
    for C in BLOCKS:
        shown = case.at.P @ C @ C.T @ case.at.P.T
        np.testing.assert_allclose(left @ shown @ left.T, C @ C.T, atol=ROUNDING)
    same = np.array([[0.5, 0.2, 0.3], [0.5, 0.3, 0.2]])  # two sample types, the first cell type equal in both
    first, second = (same @ C @ C.T @ same.T for C in (BLOCKS[0], BLOCKS[3]))
    assert not np.allclose(first, second)
    one = same[:1]  # a single sample type: two partitions coincide
    np.testing.assert_allclose(one @ BLOCKS[0] @ BLOCKS[0].T @ one.T, 1.0)
    half = np.array([[0.25, 0.25, 0.5]])
    np.testing.assert_allclose(*(half @ BLOCKS[j] @ BLOCKS[j].T @ half.T for j in (2, 3)))


def test_scores_are_those_printed_in_both_forms(case: SimpleNamespace) -> None:
    at, found = case.at, scores(case, case.at)  # [PART-3]
    for name in ("mu", "a", "tau2", "omega2"):
        f = lambda v, name=name: log_likelihood(case, changed(at, **{name: float(v)}))  # noqa: E731
        assert getattr(found, name) == pytest.approx(float(gradient(f, np.array(getattr(at, name)))), abs=DIFFERENCE)
    np.testing.assert_allclose(
        found.total, gradient(lambda P: log_likelihood(case, changed(at, P=P)), at.P), atol=DIFFERENCE
    )
    held = changed(at, d=noise(at))
    np.testing.assert_allclose(
        found.P, gradient(lambda P: log_likelihood(case, changed(held, P=P)), at.P), atol=DIFFERENCE
    )
    np.testing.assert_allclose(
        found.d, gradient(lambda d: log_likelihood(case, changed(at, d=d)), noise(at)), atol=DIFFERENCE
    )
    softmax = lambda w: log_likelihood(case, changed(at, pi=np.exp(w - logsumexp(w))))  # noqa: E731
    np.testing.assert_allclose(found.log_pi, gradient(softmax, np.log(at.pi)), atol=DIFFERENCE)

    p, genes = posterior(case, at), len(case.s)
    V = [np.diag(p.E) + at.a * at.P @ C @ C.T @ at.P.T for C in BLOCKS]
    inverse = [np.linalg.inv(v) for v in V]
    G = [v @ (p.r.T @ (p.R[:, [j]] * p.r)) @ v - p.R[:, j].sum() * v for j, v in enumerate(inverse)]
    assert found.mu == pytest.approx(sum(float((v @ p.r.T @ p.R[:, j]).sum()) for j, v in enumerate(inverse)))
    assert found.a == pytest.approx(sum(np.trace((at.P @ C).T @ G[j] @ at.P @ C) for j, C in enumerate(BLOCKS)) / 2)
    np.testing.assert_allclose(found.P, at.a * sum(G[j] @ at.P @ C @ C.T for j, C in enumerate(BLOCKS)), atol=ROUNDING)
    diagonal = sum(np.diag(g) for g in G) / (2 * case.n)
    rest = (case.W.sum(axis=0) / p.d - (case.n - 1) * genes) / (2 * p.d)
    np.testing.assert_allclose(found.d, diagonal + rest, atol=ROUNDING)
    none = changed(at, a=0.0)
    upward = (log_likelihood(case, changed(at, a=1e-6)) - log_likelihood(case, none)) / 1e-6
    assert scores(case, none).a == pytest.approx(upward, rel=1e-3)  # one-sided: the second derivative times 1e-6


def test_moments_of_the_types_are_those_of_the_dense_posterior(case: SimpleNamespace) -> None:
    at, p = case.at, posterior(case, case.at)  # [PART-3], [PART-8]
    centred, first, second = case.samples - at.mu, np.zeros((30, 3)), np.zeros((30, 3, 3))
    for j, C in enumerate(BLOCKS):
        shared = at.a * C @ C.T @ at.P[case.of].T  # covariance of the types' means with the samples
        slope = shared @ np.linalg.inv(covariance(at, case.of, C))
        mean = centred @ slope.T
        first += p.R[:, [j]] * mean
        spread = at.a * C @ C.T - slope @ shared.T
        second += p.R[:, j, None, None] * (mean[:, :, None] * mean[:, None, :] + spread)
        direct = np.linalg.inv(np.eye(C.shape[1]) / at.a + C.T @ p.H @ C)
        np.testing.assert_allclose(direct, at.a * np.linalg.inv(p.K[j]), atol=ROUNDING)  # [PART-4]
    np.testing.assert_allclose(p.x, first, atol=ROUNDING)
    np.testing.assert_allclose(p.Z, second, atol=ROUNDING)


def test_expression_in_a_sample_and_differences_are_as_printed(case: SimpleNamespace) -> None:
    at, p, i = case.at, posterior(case, case.at), 4  # [PART-8]
    row, d = at.P[case.of[i]], noise(at)[case.of[i]]
    printed = at.mu + p.x + (case.samples[:, [i]] - at.mu - p.x @ row[:, None]) * at.tau2 * row / d
    exact = np.zeros_like(printed)
    for j, C in enumerate(BLOCKS):
        cross = at.a * C @ C.T @ at.P[case.of].T
        cross[:, i] += at.tau2 * row
        inverse = np.linalg.inv(covariance(at, case.of, C))
        exact += p.R[:, [j]] * (at.mu + (case.samples - at.mu) @ inverse @ cross.T)
    np.testing.assert_allclose(printed, exact, atol=ROUNDING)
    together = sum(p.R[:, j, None, None] * C @ C.T for j, C in enumerate(BLOCKS))
    np.testing.assert_allclose(together[:, 0, 1], p.R[:, [0, 1]].sum(axis=1), atol=ROUNDING)
    rng, gene = np.random.default_rng(3), 1
    z = rng.choice(5, size=400_000, p=p.R[gene])
    drawn = np.zeros((len(z), 3))
    for j, C in enumerate(BLOCKS):
        of = np.flatnonzero(z == j)
        normal = rng.multivariate_normal(at.a * p.u[j][gene], at.a * np.linalg.inv(p.K[j]), size=len(of))
        drawn[of] = normal @ C.T
    gap = drawn[:, 0] - drawn[:, 2]
    mean = p.x[gene, 0] - p.x[gene, 2]
    variance = p.Z[gene, 0, 0] - 2 * p.Z[gene, 0, 2] + p.Z[gene, 2, 2] - mean**2
    # Four standard errors of a mean and of a variance from 400,000 draws of order one.
    assert gap.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / len(z)))
    assert gap.var() == pytest.approx(variance, rel=0.02)
    assert (gap == 0).mean() == pytest.approx(together[gene, 0, 2], abs=4e-3)


def em(case: SimpleNamespace, at: SimpleNamespace) -> SimpleNamespace:
    """[PART-4] with P held."""
    p, genes = posterior(case, at), len(case.s)
    counts = p.R.sum(axis=0)
    b = sum(count * C.shape[1] for count, C in zip(counts, BLOCKS, strict=True))
    delta = at.a * sum(float(p.R[:, j] @ p.u[j].sum(axis=1)) for j in range(5)) / b
    square = at.a**2 * p.quad + sum(at.a * c * np.trace(np.linalg.inv(K)) for c, K in zip(counts, p.K, strict=True))
    s, total = scores(case, at), genes * case.n.sum()
    return SimpleNamespace(
        P=at.P,
        pi=counts / genes,
        mu=at.mu + delta,
        a=square / b - delta**2,
        tau2=at.tau2 + 2 * at.tau2**2 / total * s.tau2,
        omega2=at.omega2 + 2 * at.omega2**2 / total * s.omega2,
        b=b,
    )


def test_em_is_closed_and_along_the_scores(case: SimpleNamespace) -> None:
    at, total = case.at, len(case.s) * case.n.sum()
    p, s, after = posterior(case, at), scores(case, at), em(case, at)
    delta = after.mu - at.mu
    assert after.a + delta**2 == pytest.approx(at.a + 2 * at.a**2 / after.b * s.a, abs=ROUNDING)
    cells = changed(at, omega2=0.0)
    p = posterior(case, cells)
    closed = ((case.W + case.n * p.L) / (at.P**2).sum(axis=1)).sum() / total
    assert em(case, cells).tau2 == pytest.approx(closed, abs=ROUNDING)
    measured = changed(at, tau2=0.0)
    p = posterior(case, measured)
    assert em(case, measured).omega2 == pytest.approx((case.W + case.n * p.L).sum() / total, abs=ROUNDING)


def mm(case: SimpleNamespace, at: SimpleNamespace) -> SimpleNamespace:
    p, after = posterior(case, at), em(case, at)
    V = [np.linalg.inv(np.diag(p.E) + at.a * at.P @ C @ C.T @ at.P.T) for C in BLOCKS]
    quad = sum(p.R[:, j] @ (p.r @ v) ** 2 for j, v in enumerate(V)) / case.n + case.W.sum(axis=0) / p.d**2
    trace = sum(p.R[:, j].sum() * np.diag(v) for j, v in enumerate(V)) / case.n + (case.n - 1) * len(p.R) / p.d
    np.testing.assert_allclose((quad - trace) / 2, scores(case, at).d, atol=ROUNDING)
    c = (at.P**2).sum(axis=1)
    return changed(
        at,
        mu=after.mu,
        a=np.sqrt((at.a**2 * p.quad - after.b * (after.mu - at.mu) ** 2) / p.trace),
        tau2=at.tau2 * np.sqrt(c @ quad / (c @ trace)),
        omega2=at.omega2 * np.sqrt(quad.sum() / trace.sum()),
        pi=p.R.mean(axis=0),
    )


def regression(case: SimpleNamespace, at: SimpleNamespace) -> tuple[float, float]:
    """The intercept and the slope of PX-EM."""
    p = posterior(case, at)
    y, weight = p.x @ at.P.T, np.broadcast_to(1 / p.E, p.r.shape)
    square = np.einsum("st,gtu,su->gs", at.P, p.Z, at.P)
    normal = [[weight.sum(), (y * weight).sum()], [(y * weight).sum(), (square * weight).sum()]]
    nu, kappa = np.linalg.solve(normal, [(p.r * weight).sum(), (p.r * y * weight).sum()])
    return float(nu), float(kappa)


def px(case: SimpleNamespace, at: SimpleNamespace) -> SimpleNamespace:
    p, after, (nu, kappa) = posterior(case, at), em(case, at), regression(case, at)
    c, delta, total = (at.P**2).sum(axis=1), after.mu - at.mu, len(p.r) * case.n.sum()
    square = np.einsum("st,gtu,su->gs", at.P, p.Z, at.P)
    L = (p.r - nu) ** 2 - 2 * kappa * (p.r - nu) * (p.x @ at.P.T) + kappa**2 * square
    by_d = (((case.W + case.n * L) / p.d - case.n) / p.d).sum(axis=0)  # twice a score of the complete data
    return changed(
        after,
        mu=at.mu + nu + kappa * delta,
        a=kappa**2 * after.a,
        tau2=at.tau2 + at.tau2**2 / total * float(c @ by_d),
        omega2=at.omega2 + at.omega2**2 / total * float(by_d.sum()),
    )


def row_values(case: SimpleNamespace, at: SimpleNamespace, P: np.ndarray, alpha: float) -> np.ndarray:
    """What each row is to maximise given the moments at `at`."""
    p, d = posterior(case, at), noise(changed(at, P=P))
    L = p.r**2 - 2 * p.r * (p.x @ P.T) + np.einsum("st,gtu,su->gs", P, p.Z, P)
    fit = len(p.r) * case.n * np.log(d) + (case.W + case.n * L).sum(axis=0) / d
    return np.asarray(-fit / 2 + xlogy(alpha - 1, P).sum(axis=1))


def row_models(case: SimpleNamespace, at: SimpleNamespace, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradients and curvatures of the quadratic models of [PART-4]."""
    p, d, count = posterior(case, at), noise(at), len(case.s) * case.n
    A, b = case.n[:, None, None] * p.Z.sum(axis=0), case.n[:, None] * (p.r.T @ p.x)
    total = (case.W + case.n * p.L).sum(axis=0)
    own = (b - np.einsum("stu,su->st", A, at.P)) / d[:, None]
    gradients = own - (at.tau2 / d * (count - total / d))[:, None] * at.P + (alpha - 1) / at.P
    bends = [np.diag((alpha - 1) / row**2) for row in at.P]
    return gradients, A / d[:, None, None] + (at.tau2 * count / d)[:, None, None] * np.eye(3) + np.array(bends)


def on_simplex(gradient: np.ndarray, B: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The maximum of a quadratic model, by a general solver."""
    scale = np.abs(B).max()
    found = minimize(
        lambda q: ((q - start) @ B @ (q - start) / 2 - gradient @ (q - start)) / scale,
        start,
        jac=lambda q: (B @ (q - start) - gradient) / scale,
        bounds=[(0, 1)] * 3,
        constraints=[{"type": "eq", "fun": lambda q: q.sum() - 1.0}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 200},
    ).x
    return np.asarray(found / found.sum())


def proportions(case: SimpleNamespace, at: SimpleNamespace, alpha: float = 1.0) -> tuple[SimpleNamespace, np.ndarray]:
    """The rows after halving, and the steps."""
    goal = np.array([on_simplex(g, B, q) for g, B, q in zip(*row_models(case, at, alpha), at.P, strict=True)])
    step, before = np.ones(len(goal)), row_values(case, at, at.P, alpha)
    while (worse := row_values(case, at, at.P + step[:, None] * (goal - at.P), alpha) < before - ROUNDING).any():
        step[worse] /= 2
    return changed(at, P=at.P + step[:, None] * (goal - at.P)), step


@pytest.mark.parametrize("scheme", [em, mm, px])
def test_every_scheme_climbs(
    case: SimpleNamespace, scheme: Callable[[SimpleNamespace, SimpleNamespace], SimpleNamespace]
) -> None:
    rng = np.random.default_rng(2)  # [PART-4]
    for _ in range(10):
        at = SimpleNamespace(
            mu=rng.uniform(2, 6), a=rng.uniform(0.1, 4), tau2=rng.uniform(0.05, 2), omega2=rng.uniform(0.05, 2),
            pi=rng.dirichlet(np.ones(5)), P=rng.dirichlet(np.ones(3), size=5),
        )  # fmt: skip
        gained = log_likelihood(case, scheme(case, at)) - log_likelihood(case, at)
        assert gained > 1e-6  # none of these points is an optimum


def test_the_slope_exceeds_one_with_the_score_and_is_the_form_printed(case: SimpleNamespace) -> None:
    for a in (0.05, 1.7, 30.0):  # [PART-4]
        at = changed(case.at, a=a)
        p, s = posterior(case, at), scores(case, at)
        expected = float((np.einsum("st,gtu,su->gs", at.P, p.Z, at.P) / p.E).sum())
        slope = float((p.r * (p.x @ at.P.T) / p.E).sum()) / expected
        assert slope == pytest.approx(1 + 2 * a * s.a / expected, abs=ROUNDING)
        assert float((at.P * s.P).sum()) == pytest.approx(2 * a * s.a, abs=1e-8 * expected)
        assert (slope > 1) == (s.a > 0)
        assert em(case, at).mu - at.mu == pytest.approx(a / em(case, at).b * s.mu, abs=ROUNDING)


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_rows_of_proportions_climb_by_models_with_their_own_gradient(case: SimpleNamespace, alpha: float) -> None:
    at = case.at  # [PART-4]
    gradients, _ = row_models(case, at, alpha)
    np.testing.assert_allclose(gradients, scores(case, at).total + (alpha - 1) / at.P, atol=ROUNDING)
    numeric = gradient(lambda P: float(row_values(case, at, P, alpha).sum()), at.P)
    np.testing.assert_allclose(gradients, numeric, atol=DIFFERENCE)
    moved, step = proportions(case, at, alpha)
    assert step.min() > 0.1
    prior = [xlogy(alpha - 1, point.P).sum() for point in (at, moved)]
    assert log_likelihood(case, moved) + prior[1] > log_likelihood(case, at) + prior[0]


def test_without_noise_of_cells_rows_need_no_halving_and_with_it_plain_least_squares_can_point_down(
    case: SimpleNamespace,
) -> None:
    measured = changed(case.at, tau2=0.0)  # [PART-4]
    moved, step = proportions(case, measured)
    assert (step == 1.0).all()
    assert log_likelihood(case, moved) > log_likelihood(case, measured)
    p, s, d = posterior(case, case.at), scores(case, case.at), noise(case.at)
    plain = [
        on_simplex(s.P[row], case.n[row] * p.Z.sum(axis=0) / d[row], case.at.P[row]) - case.at.P[row]
        for row in range(5)
    ]
    assert min(np.sum(plain * s.total, axis=1)) < 0
