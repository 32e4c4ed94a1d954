"""What `docs/theory/latent_partitions.md` says of second derivatives, held against differences of the dense likelihood.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from latent_partition_algebra import (
    BLOCKS,
    changed,
    example,
    gradient,
    log_likelihood,
    posterior,
    scores,
)

# Differences of exact scores up to 1e4, with a step of 1e-5: rounding 1e-7, truncation 1e-10 of third derivatives.
DIFFERENCE = 1e-4
FIRST = 4  # mu_0, a, tau^2, omega^2 stand before the entries of P


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    return example()


def pack(at: SimpleNamespace) -> np.ndarray:
    return np.concatenate([[at.mu, at.a, at.tau2, at.omega2], at.P.ravel(), at.pi])


def unpack(vector: np.ndarray) -> SimpleNamespace:
    mu, a, tau2, omega2 = vector[:FIRST]
    return SimpleNamespace(mu=mu, a=a, tau2=tau2, omega2=omega2, P=vector[FIRST:-5].reshape(5, 3), pi=vector[-5:])


def ratios(p: SimpleNamespace, at: SimpleNamespace) -> np.ndarray:
    return np.asarray(p.R / at.pi)


def score(case: SimpleNamespace, vector: np.ndarray) -> np.ndarray:
    at = unpack(vector)
    s = scores(case, at)
    return np.concatenate([[s.mu, s.a, s.tau2, s.omega2], s.total.ravel(), ratios(posterior(case, at), at).sum(axis=0)])


def derivatives(case: SimpleNamespace, at: SimpleNamespace, C: np.ndarray) -> tuple[list, list, dict, dict]:
    """First derivatives of V and d by (a, tau^2, omega^2, P), and those second ones that are not 0."""
    n, S, D = case.n, C @ C.T, np.eye(5)
    zero = np.zeros(5)
    V = [at.P @ S @ at.P.T, np.diag((at.P**2).sum(axis=1) / n), np.diag(1 / n)]
    d = [zero, (at.P**2).sum(axis=1), np.ones(5)]
    V2, d2 = {}, {}
    for k in range(15):
        row, t = divmod(k, 3)
        e, side = D[row], (at.P @ S)[:, t]
        V.append(at.a * (np.outer(e, side) + np.outer(side, e)) + 2 * at.tau2 * at.P[row, t] / n[row] * np.outer(e, e))
        d.append(2 * at.tau2 * at.P[row, t] * e)
        V2[0, 3 + k] = np.outer(e, side) + np.outer(side, e)
        V2[1, 3 + k], d2[1, 3 + k] = 2 * at.P[row, t] / n[row] * np.outer(e, e), 2 * at.P[row, t] * e
        for m in range(15):
            other, u = divmod(m, 3)
            V2[3 + k, 3 + m] = at.a * S[t, u] * (np.outer(e, D[other]) + np.outer(D[other], e))
            if k == m:
                V2[3 + k, 3 + m] = V2[3 + k, 3 + m] + 2 * at.tau2 / n[row] * np.outer(e, e)
                d2[3 + k, 3 + m] = 2 * at.tau2 * e
    return V, d, V2, d2


def partition_terms(case: SimpleNamespace, at: SimpleNamespace, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (G, 19) and second derivatives (G, 19, 19) of `log f(s_g | j)` by (mu_0, a, tau^2, omega^2, P)."""
    p, n, W, genes = posterior(case, at), case.n, case.W, len(case.s)
    V, d, V2, d2 = derivatives(case, at, C)
    inverse = np.linalg.inv(np.diag(p.E) + at.a * at.P @ C @ C.T @ at.P.T)
    w, one, size = p.r @ inverse, np.ones(5), 1 + len(V)
    by_d, twice = (W / p.d**2 - (n - 1) / p.d) / 2, (n - 1) / (2 * p.d**2) - W / p.d**3
    s, D = np.zeros((genes, size)), np.zeros((genes, size, size))
    s[:, 0], D[:, 0, 0] = w.sum(axis=1), -one @ inverse @ one
    for k, first in enumerate(V):
        s[:, 1 + k] = (np.einsum("gs,st,gt->g", w, first, w) - np.trace(inverse @ first)) / 2 + by_d @ d[k]
        D[:, 0, 1 + k] = D[:, 1 + k, 0] = -w @ (first @ inverse @ one)
        for m, other in enumerate(V):
            value = -np.einsum("gs,st,gt->g", w, first @ inverse @ other, w)
            value += np.trace(inverse @ first @ inverse @ other) / 2 + twice @ (d[k] * d[m])
            key = (k, m) if (k, m) in V2 else (m, k)
            if key in V2:
                value += (np.einsum("gs,st,gt->g", w, V2[key], w) - np.trace(inverse @ V2[key])) / 2
            if key in d2:
                value += by_d @ d2[key]
            D[:, 1 + k, 1 + m] = value
    return s, D


def test_second_derivatives_are_those_printed(case: SimpleNamespace) -> None:
    at = case.at  # [PART-3]
    p, terms = posterior(case, at), [partition_terms(case, at, C) for C in BLOCKS]
    rho, own = ratios(p, at), sum(p.R[:, [j]] * terms[j][0] for j in range(5))
    inner = (
        sum(np.einsum("g,gab->ab", p.R[:, j], D) + (p.R[:, [j]] * s).T @ s for j, (s, D) in enumerate(terms))
        - own.T @ own
    )
    crossed = np.array([rho[:, j] @ (s - own) for j, (s, _) in enumerate(terms)])
    printed = np.block([[inner, crossed.T], [crossed, -rho.T @ rho]])
    np.testing.assert_allclose(own.sum(axis=0), score(case, pack(at))[:-5], atol=1e-8)
    vector = pack(at)
    numeric = np.array([gradient(lambda v, k=k: float(score(case, v)[k]), vector) for k in range(len(vector))])
    np.testing.assert_allclose(printed, numeric, atol=DIFFERENCE, rtol=1e-6)


def test_the_score_of_an_empty_partition_says_whether_it_would_help(case: SimpleNamespace) -> None:
    pi = np.array([0.5, 0.2, 0.0, 0.1, 0.2])  # [PART-3]
    at = changed(case.at, pi=pi)
    with np.errstate(divide="ignore"):
        p = posterior(case, at)
        f = np.exp(p.log_f) @ pi
    rho = np.exp(p.log_f) / f[:, None]
    taken = pi.copy()
    taken[2], taken[0] = 1e-7, 0.5 - 1e-7
    gained = (log_likelihood(case, changed(at, pi=taken)) - log_likelihood(case, at)) / 1e-7
    # One-sided: half the curvature times 1e-7, and rounding of 1e-13 over 1e-7.
    assert rho[:, 2].sum() - rho[:, 0].sum() == pytest.approx(gained, abs=1e-3)
