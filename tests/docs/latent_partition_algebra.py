"""The model of `docs/theory/latent_partitions.md` in dense algebra and as the page prints it.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

# Central differences with step 1e-5 of quantities up to 1e3: truncation about 1e-8, rounding about 1e-8 after division.
DIFFERENCE = 2e-5
# Sums of tens to hundreds of terms of order one.
ROUNDING = 1e-9

LABELS = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)]
BLOCKS = [np.eye(max(label) + 1)[list(label)] for label in LABELS]


def example() -> SimpleNamespace:
    """Three cell types in five sample types of one to four samples, 30 genes, at a point that is no optimum."""
    rng = np.random.default_rng(20250301)
    n = np.array([1, 2, 4, 3, 1])
    P = rng.dirichlet([0.8, 0.8, 0.8], size=5)
    of = np.repeat(np.arange(5), n)
    x = rng.normal(4.0, 1.5, size=(30, 3))
    x[::2, 1] = x[::2, 0]
    samples = x @ P[of].T + rng.normal(scale=0.6, size=(30, len(of)))
    at = SimpleNamespace(mu=3.7, a=1.7, tau2=0.3, omega2=0.1, pi=rng.dirichlet(np.ones(5)), P=P)
    return SimpleNamespace(samples=samples, of=of, n=n, at=at, **reduced(samples, of, 5))


def reduced(samples: np.ndarray, of: np.ndarray, types: int) -> dict[str, np.ndarray]:
    means = np.stack([samples[:, of == t].mean(axis=1) for t in range(types)], axis=1)
    return {"s": means, "W": np.stack([((samples - means[:, of]) ** 2)[:, of == t].sum(1) for t in range(types)], 1)}


def changed(at: SimpleNamespace, **changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(at), **changes})


def noise(at: SimpleNamespace) -> np.ndarray:
    if "d" in vars(at):  # held apart from P
        return np.asarray(at.d)
    return np.asarray(at.tau2 * (at.P**2).sum(axis=1) + at.omega2)


def covariance(at: SimpleNamespace, of: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Of the samples themselves, by the model's words."""
    q = (at.P @ C)[of]
    return np.asarray(at.a * q @ q.T + np.diag(noise(at)[of]))


def dense(samples: np.ndarray, of: np.ndarray, at: SimpleNamespace) -> np.ndarray:
    """Log densities (genes, partitions) in the space of samples."""
    mean = np.full(len(of), at.mu)
    return np.stack([multivariate_normal(mean, covariance(at, of, C)).logpdf(samples) for C in BLOCKS], axis=1)


def log_likelihood(case: SimpleNamespace, at: SimpleNamespace) -> float:
    return float(logsumexp(dense(case.samples, case.of, at), b=at.pi, axis=1).sum())


def posterior(case: SimpleNamespace, at: SimpleNamespace) -> SimpleNamespace:
    """Everything of [PART-2] and [PART-3] in the space of cell types."""
    d, P = noise(at), at.P
    E, r = d / case.n, case.s - at.mu
    H, t = P.T @ (P / E[:, None]), r @ (P / E[:, None])
    own = -0.5 * ((case.n - 1) * np.log(2 * np.pi * d) + np.log(case.n) + case.W / d).sum(axis=1)
    K = [np.eye(C.shape[1]) + at.a * C.T @ H @ C for C in BLOCKS]
    error = norm.logpdf(r, scale=np.sqrt(E)).sum(axis=1)
    log_f = []
    for C, k in zip(BLOCKS, K, strict=True):
        y = t @ C
        explained = np.einsum("gb,bc,gc->g", y, np.linalg.inv(k), y)
        log_f.append(own + error + at.a / 2 * explained - np.linalg.slogdet(k)[1] / 2)
    weighted = np.stack(log_f, axis=1) + np.log(at.pi)
    R = np.exp(weighted - logsumexp(weighted, axis=1, keepdims=True))
    u = [t @ C @ np.linalg.inv(k) for C, k in zip(BLOCKS, K, strict=True)]
    x = sum(R[:, [j]] * at.a * u[j] @ C.T for j, C in enumerate(BLOCKS))
    Z = sum(
        R[:, j, None, None]
        * (at.a**2 * np.einsum("gt,gu->gtu", u[j] @ C.T, u[j] @ C.T) + at.a * C @ np.linalg.inv(K[j]) @ C.T)
        for j, C in enumerate(BLOCKS)
    )
    L = r**2 - 2 * r * (x @ P.T) + np.einsum("st,gtu,su->gs", P, Z, P)
    quad = sum(float(R[:, j] @ (u[j] ** 2).sum(axis=1)) for j in range(5))
    trace = sum(R[:, j].sum() * np.trace(np.linalg.inv(K[j]) @ C.T @ H @ C) for j, C in enumerate(BLOCKS))
    return SimpleNamespace(
        d=d, E=E, r=r, H=H, t=t, K=K, u=u, R=R, x=x, Z=Z, L=L, log_f=np.stack(log_f, axis=1), quad=quad, trace=trace
    )


def scores(case: SimpleNamespace, at: SimpleNamespace) -> SimpleNamespace:
    """The second form of [PART-3]."""
    p, n = posterior(case, at), case.n
    by_d = ((p.L / p.E - 1) / (n * p.E) + (case.W / p.d - (n - 1)) / p.d).sum(axis=0) / 2
    by_P = (p.r.T @ p.x - at.P @ p.Z.sum(axis=0)) / p.E[:, None]
    return SimpleNamespace(
        mu=float(((p.r - p.x @ at.P.T) / p.E).sum()),
        a=(p.quad - p.trace) / 2,
        d=by_d,
        P=by_P,
        tau2=float(by_d @ (at.P**2).sum(axis=1)),
        omega2=float(by_d.sum()),
        log_pi=p.R.sum(axis=0) - len(p.R) * at.pi,
        total=by_P + 2 * at.tau2 * by_d[:, None] * at.P,
    )


def gradient(f: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    moves = step * np.eye(at.size).reshape(at.size, *at.shape)
    return np.array([(f(at + move) - f(at - move)) / (2 * step) for move in moves]).reshape(at.shape)
