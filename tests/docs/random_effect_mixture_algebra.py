"""What `docs/theory/random_effect_mixtures.md` prints, written down for the tests of the page.

Nothing of varmix is used here: the page must be right on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

# Central differences with step 1e-4 of quantities of order 1 to 100: truncation about 1e-7, rounding about 1e-10.
DIFFERENCE = 1e-5
# Sums of tens of terms of order one.
ROUNDING = 1e-9


def units_of_all_kinds() -> SimpleNamespace:
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
