"""What `docs/theory/variance_components.md` claims, held against dense algebra and finite differences.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import qr
from scipy.stats import multivariate_normal

# Central differences with step 1e-4 of quantities of order 1 to 100: truncation about 1e-7, rounding about 1e-10.
DIFFERENCE = 1e-5
# Dense algebra of order 30 with condition numbers below 1e3.
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    rng = np.random.default_rng(20240613)
    n, c, q = 30, 3, (8, 40)
    X = [rng.normal(size=(n, width)) / np.sqrt(width) for width in q]
    Z = np.column_stack([np.ones(n), rng.normal(size=(n, c - 1))])
    y = Z @ [1.0, -0.5, 2.0] + sum(x @ rng.normal(size=x.shape[1]) for x in X) + rng.normal(size=n)
    s = np.array([0.7, 1.3, 0.9])
    return SimpleNamespace(n=n, c=c, q=q, X=X, Z=Z, y=y, s=s, K=[*(x @ x.T for x in X), np.eye(n)])


def algebra(case: SimpleNamespace, s: np.ndarray) -> SimpleNamespace:
    V = sum(s_k * K for s_k, K in zip(s, case.K, strict=True))
    inverse = np.linalg.inv(V)
    ZVZ = case.Z.T @ inverse @ case.Z
    w = np.linalg.solve(ZVZ, case.Z.T @ inverse @ case.y)
    P = inverse - inverse @ case.Z @ np.linalg.solve(ZVZ, case.Z.T @ inverse)
    return SimpleNamespace(V=V, inverse=inverse, ZVZ=ZVZ, w=w, P=P, r=case.y - case.Z @ w)


def log_likelihood(case: SimpleNamespace, s: np.ndarray, criterion: str) -> float:
    a = algebra(case, s)
    ml = multivariate_normal(case.Z @ a.w, a.V).logpdf(case.y)
    if criterion == "ml":
        return float(ml)
    return float(ml + case.c / 2 * np.log(2 * np.pi) - np.linalg.slogdet(a.ZVZ)[1] / 2)


def quad_and_trace(case: SimpleNamespace, s: np.ndarray, criterion: str) -> tuple[np.ndarray, np.ndarray]:
    a = algebra(case, s)
    inverse = a.inverse if criterion == "ml" else a.P
    quad = np.array([case.y @ a.P @ K @ a.P @ case.y for K in case.K])
    return quad, np.array([np.trace(inverse @ K) for K in case.K])


def gradient(function, s: np.ndarray, step: float = 1e-4) -> np.ndarray:  # type: ignore[no-untyped-def]
    unit = step * np.eye(len(s))
    return np.array([(function(s + d) - function(s - d)) / (2 * step) for d in unit])


@pytest.mark.parametrize("criterion", ["ml", "reml"])
def test_the_score_has_the_half_that_the_note_leaves_out(case: SimpleNamespace, criterion: str) -> None:
    quad, trace = quad_and_trace(case, case.s, criterion)  # [VC-3]
    numeric = gradient(lambda s: log_likelihood(case, s, criterion), case.s)
    np.testing.assert_allclose((quad - trace) / 2, numeric, atol=DIFFERENCE)
    assert np.abs((quad - trace) - numeric).max() > 0.1


@pytest.mark.parametrize("criterion", ["ml", "reml"])
def test_observed_information_is_twice_the_average_less_the_expected(case: SimpleNamespace, criterion: str) -> None:
    a = algebra(case, case.s)
    inverse = a.inverse if criterion == "ml" else a.P
    expected = np.array([[np.trace(inverse @ K @ inverse @ L) / 2 for L in case.K] for K in case.K])
    Py = a.P @ case.y
    average = np.array([[Py @ K @ a.P @ L @ Py / 2 for L in case.K] for K in case.K])  # [VC-4]
    at_fixed_w = np.array([[Py @ K @ a.inverse @ L @ Py / 2 for L in case.K] for K in case.K])

    def score(s: np.ndarray) -> np.ndarray:
        quad, trace = quad_and_trace(case, s, criterion)
        return (quad - trace) / 2

    observed = -gradient(score, case.s)
    np.testing.assert_allclose(2 * average - expected, observed, atol=DIFFERENCE)
    assert np.abs(2 * at_fixed_w - expected - observed).max() > 1e-2


def test_one_orthonormal_basis_gives_both_criteria(case: SimpleNamespace) -> None:
    a, c = algebra(case, case.s), case.c  # [VC-2]
    H, upper = qr(case.Z)
    R, rotated, y = upper[:c], H.T @ a.V @ H, H.T @ case.y
    V_AA, V_UA = rotated[c:, c:], rotated[:c, c:]
    solved = np.linalg.solve(V_AA, y[c:])
    C = rotated[:c, :c] - V_UA @ np.linalg.solve(V_AA, V_UA.T)
    density = multivariate_normal(cov=V_AA).logpdf(y[c:])
    log_ZZ = np.linalg.slogdet(case.Z.T @ case.Z)[1]

    assert density - log_ZZ / 2 == pytest.approx(log_likelihood(case, case.s, "reml"), abs=ROUNDING)
    ml = density - np.linalg.slogdet(C)[1] / 2 - c / 2 * np.log(2 * np.pi)
    assert ml == pytest.approx(log_likelihood(case, case.s, "ml"), abs=ROUNDING)
    np.testing.assert_allclose(R @ a.w, y[:c] - V_UA @ solved, atol=ROUNDING)
    np.testing.assert_allclose(R @ np.linalg.inv(a.ZVZ) @ R.T, C, atol=ROUNDING)
    np.testing.assert_allclose(a.P @ case.y, H @ np.concatenate([np.zeros(c), solved]), atol=ROUNDING)
    B = np.hstack([np.eye(c), -np.linalg.solve(V_AA, V_UA.T).T])
    for K in case.K:  # the ML trace of [VC-3]
        extra = np.trace(np.linalg.solve(C, B @ H.T @ K @ H @ B.T))
        assert np.trace(a.inverse @ K) == pytest.approx(np.trace(a.P @ K) + extra, abs=ROUNDING)


@pytest.mark.parametrize("criterion", ["ml", "reml"])
def test_variances_weigh_quadratic_forms_and_traces_to_known_sums(case: SimpleNamespace, criterion: str) -> None:
    quad, trace = quad_and_trace(case, case.s, criterion)
    a = algebra(case, case.s)
    assert case.s @ quad == pytest.approx(a.r @ a.inverse @ a.r, abs=ROUNDING)
    assert case.s @ trace == pytest.approx(case.n if criterion == "ml" else case.n - case.c, abs=ROUNDING)


def posterior(case: SimpleNamespace) -> SimpleNamespace:
    a, widths = algebra(case, case.s), case.q
    X = np.hstack(case.X)
    D = np.diag(np.repeat(case.s[:-1], widths))
    precision = X.T @ X / case.s[-1] + np.linalg.inv(D)
    S = np.linalg.inv(precision)
    return SimpleNamespace(a=a, mu=S @ X.T @ a.r / case.s[-1], S=S, cut=np.cumsum((0, *widths)))


def test_em_reads_the_posterior_of_the_effects_through_quad_and_trace(case: SimpleNamespace) -> None:
    quad, trace = quad_and_trace(case, case.s, "ml")  # [EM-1]
    p = posterior(case)
    for k, width in enumerate(case.q):
        part = slice(p.cut[k], p.cut[k + 1])
        complete = (p.mu[part] @ p.mu[part] + np.trace(p.S[part, part])) / width
        s = case.s[k]
        assert s + s**2 / width * (quad[k] - trace[k]) == pytest.approx(complete, abs=ROUNDING)


def test_px_em_scale_solves_the_expected_least_squares_without_forming_effects(case: SimpleNamespace) -> None:
    p = posterior(case)  # [PX-1]
    a, s, K, count = p.a.inverse @ p.a.r, case.s, case.K, len(case.q)
    part = [slice(p.cut[k], p.cut[k + 1]) for k in range(count)]
    A = np.empty((count, count))
    from_effects = np.empty((count, count))
    for k in range(count):
        for m in range(count):
            own = s[k] * np.trace(K[k]) if k == m else 0.0
            A[k, m] = s[k] * s[m] * (a @ K[k] @ K[m] @ a - np.trace(K[k] @ p.a.inverse @ K[m])) + own
            cross = case.X[k].T @ case.X[m]
            from_effects[k, m] = p.mu[part[k]] @ cross @ p.mu[part[m]] + np.trace(cross @ p.S[part[m], part[k]])
    c = np.array([s[k] * p.a.r @ K[k] @ a for k in range(count)])
    np.testing.assert_allclose(A, from_effects, atol=ROUNDING)
    np.testing.assert_allclose(c, [p.a.r @ case.X[k] @ p.mu[part[k]] for k in range(count)], atol=ROUNDING)

    def expected_residual(delta: np.ndarray) -> float:
        scale = np.repeat(delta, case.q)
        X = np.hstack(case.X) * scale
        return float(np.sum((p.a.r - X @ p.mu) ** 2) + np.trace(X.T @ X @ p.S))

    delta = np.linalg.solve(A, c)
    np.testing.assert_allclose(gradient(expected_residual, delta), 0.0, atol=DIFFERENCE)
    assert p.a.r @ p.a.r - c @ delta == pytest.approx(expected_residual(delta), abs=ROUNDING)


def test_px_em_scale_of_one_component_is_a_ratio_that_exceeds_one_with_the_score(case: SimpleNamespace) -> None:
    one = SimpleNamespace(**{**vars(case), "K": [case.K[0], case.K[2]], "X": case.X[:1], "q": case.q[:1]})
    for s in (np.array([0.1, 1.0]), np.array([5.0, 1.0])):
        one.s = s
        (quad, _), (trace, _) = quad_and_trace(one, s, "ml")
        p = posterior(one)
        a, K = p.a.inverse @ p.a.r, one.K[0]
        shared = s[0] * a @ K @ K @ a
        ratio = (shared + s[1] * quad) / (shared + s[1] * trace)
        X = one.X[0]
        direct = p.a.r @ X @ p.mu / (p.mu @ X.T @ X @ p.mu + np.trace(X.T @ X @ p.S))
        assert ratio == pytest.approx(direct, abs=ROUNDING)
        assert (ratio > 1) == (quad > trace)


def test_the_reduction_rescales_the_variance_of_effects_not_the_residual(case: SimpleNamespace) -> None:
    delta, s_b, s_e, K = 1.7, 0.4, 0.9, case.K[0]  # [PX-1]
    X = delta * case.X[0]
    expanded = s_b * X @ X.T + s_e * np.eye(case.n)
    np.testing.assert_allclose(expanded, delta**2 * s_b * K + s_e * np.eye(case.n), atol=ROUNDING)


def test_mm_maximises_a_bound_that_touches_the_likelihood(case: SimpleNamespace) -> None:
    start, base = case.s, log_likelihood(case, case.s, "ml")  # [MM-1]
    quad, trace = quad_and_trace(case, start, "ml")

    def bound(s: np.ndarray) -> float:
        return base - 0.5 * float(trace @ (s - start) + quad @ (start**2 / s - start))

    best = start * np.sqrt(quad / trace)
    np.testing.assert_allclose(gradient(bound, best), 0.0, atol=DIFFERENCE)
    rng = np.random.default_rng(7)
    for s in start * rng.uniform(0.2, 5.0, size=(50, 3)):
        assert bound(s) <= log_likelihood(case, s, "ml") + ROUNDING


def test_prediction_error_of_effects_counts_the_fixed_effects(case: SimpleNamespace) -> None:
    a, X, s = algebra(case, case.s), case.X[0], case.s[0]  # [VC-6]
    linear = s * X.T @ a.P  # b-hat = linear @ y, whose mean is 0 because P Z = 0
    error = linear @ a.V @ linear.T - 2 * s * linear @ X + s * np.eye(X.shape[1])
    np.testing.assert_allclose(error, s * np.eye(X.shape[1]) - s**2 * X.T @ a.P @ X, atol=ROUNDING)


def test_moment_equations_hold_in_expectation_and_the_package_trace_does_not(case: SimpleNamespace) -> None:
    M = np.eye(case.n) - case.Z @ np.linalg.pinv(case.Z)  # [MOM-1]
    V = algebra(case, case.s).V
    S = np.array([[np.trace(M @ K @ M @ L) for L in case.K] for K in case.K])
    expected = [np.trace(M @ K @ M @ V) for K in case.K]
    np.testing.assert_allclose(S @ case.s, expected, atol=ROUNDING)
    K = case.K[0]
    squares = np.sum((M @ K) ** 2)
    assert squares == pytest.approx(np.trace(K @ M @ K), abs=ROUNDING)
    assert abs(squares - S[0, 0]) > 1e-2

    kbar = S[:-1, -1] / (case.n - case.c)  # [MOM-4]
    centred = [M @ K @ M - k * M for K, k in zip(case.K[:-1], kbar, strict=True)]
    D = np.array([[np.trace(A @ B) for B in centred] for A in centred])
    q = np.array([case.y @ M @ K @ M @ case.y for K in case.K])
    s = np.linalg.solve(D, q[:-1] - kbar * q[-1])
    full = np.linalg.solve(S, q)
    np.testing.assert_allclose(s, full[:-1], atol=ROUNDING)
    assert (q[-1] - s @ S[:-1, -1]) / (case.n - case.c) == pytest.approx(full[-1], abs=ROUNDING)


def test_leaving_a_block_of_variants_out_needs_only_per_variant_scores(case: SimpleNamespace) -> None:
    rng = np.random.default_rng(3)  # [MOM-5]
    X, probes = case.X[1], 6
    M = np.eye(case.n) - case.Z @ np.linalg.pinv(case.Z)
    weights = rng.uniform(size=(X.shape[1], 2))
    V = M @ rng.choice([-1.0, 1.0], size=(case.n, probes))
    block = slice(10, 25)

    def product(rows: slice, k: int) -> np.ndarray:
        return M @ X[:, rows] @ (weights[rows, k, None] * (X[:, rows].T @ V))

    whole = [product(slice(None), k) for k in range(2)]
    own = [product(block, k) for k in range(2)]
    scores = np.stack([np.sum((X.T @ V) * (X.T @ S), axis=1) / probes for S in whole], axis=1)
    cross = weights[block].T @ scores[block]
    for k in range(2):
        for m in range(2):
            left_out = np.sum((whole[k] - own[k]) * (whole[m] - own[m])) / probes
            parts = np.sum(whole[k] * whole[m]) / probes + np.sum(own[k] * own[m]) / probes
            assert parts - cross[k, m] - cross[m, k] == pytest.approx(left_out, abs=ROUNDING)


def test_proportion_gradient_is_the_one_printed(case: SimpleNamespace) -> None:
    M = np.eye(case.n) - case.Z @ np.linalg.pinv(case.Z)  # [VC-9]
    t = np.array([np.trace(M @ K) for K in case.K])
    total = case.s @ t
    h = case.s * t / total
    printed = (np.diag(t) - np.outer(h, t)) / total
    numeric = gradient(lambda s: s * t / (s @ t), case.s).T
    np.testing.assert_allclose(printed, numeric, atol=DIFFERENCE)


def test_the_cohort_cross_product_has_the_variance_printed(case: SimpleNamespace) -> None:
    rng = np.random.default_rng(11)  # [VC-8]
    p, n_1, n_2, s_12 = 12, 9, 7, 0.4
    X_1, X_2 = rng.normal(size=(n_1, p)), rng.normal(size=(n_2, p))
    covariates = rng.normal(size=(n_1, 2)), np.ones((n_2, 1))
    M_1, M_2 = (np.eye(len(Z)) - Z @ np.linalg.pinv(Z) for Z in covariates)
    K_12 = X_1 @ X_2.T
    B = M_1 @ K_12 @ M_2
    V_1, V_2 = X_1 @ X_1.T + np.eye(n_1), 0.5 * X_2 @ X_2.T + np.eye(n_2)
    joint = np.block([[V_1, s_12 * K_12], [s_12 * K_12.T, V_2]])
    form = np.zeros_like(joint)
    form[:n_1, n_1:] = B / 2
    form[n_1:, :n_1] = B.T / 2
    variance = 2 * np.trace(form @ joint @ form @ joint)
    printed = np.trace(B @ V_2 @ B.T @ V_1) + s_12**2 * np.trace(B @ K_12.T @ B @ K_12.T)
    assert printed == pytest.approx(variance, rel=ROUNDING)
