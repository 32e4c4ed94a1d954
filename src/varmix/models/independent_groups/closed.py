"""Statistics with the fixed effects at their best: log-likelihood of the variances and its derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.models.independent_groups.statistics import LOG_2PI, GroupStats
from varmix.typing import Square, Vector

CANCELLED = 1e-9
"""Share of `y'V^-1 y` below which what the fixed effects leave of it is rounding: the point then counts as undefined.
Only a likelihood that grows without bound leads there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closed:
    """At theta and the w that is best there; with r = y - W w and K_k the kernels, residual last."""

    log_likelihood: float
    fixed: Vector
    """w, shape (c,), internal units."""
    precision: Square
    """`W' V^-1 W`, shape (c, c)."""
    quad: Vector
    """`r' V^-1 K_k V^-1 r`, shape (K + 1,)."""
    squares: float
    """`r'r`."""
    score: Vector
    """Gradient, shape (K + 1,): `(quad - trace) / 2` [SLOPE-6]."""
    observed: Square
    """Minus the Hessian of the profile log-likelihood, shape (K + 1, K + 1)."""
    expected: Square
    """Its expectation, `tr(V^-1 K_k V^-1 K_l) / 2`."""


def close(values: Vector, stats: GroupStats) -> Closed:
    """Solve for w and take every form at it; NaN and a log-likelihood of -inf where the model is undefined.

    `-H = r'V^-1 K_k V^-1 K_l V^-1 r - tr(V^-1 K_k V^-1 K_l) / 2 - c_k' (W'V^-1 W)^-1 c_l` with
    `c_k = W'V^-1 K_k V^-1 r`; without fixed effects that is [SLOPE-6] for one class.
    """
    size, count = len(values), len(stats.total) - 1
    form = np.einsum("k,kab->ab", values, stats.quad)  # Y' V^-1 Y, since V is the sum of its kernels
    if not (math.isfinite(stats.log_determinant) and np.isfinite(form).all()):
        return _undefined(size, count)
    precision = form[:count, :count]
    fixed = solve_definite(precision, form[:count, count])
    if fixed is None:
        return _undefined(size, count)
    left = np.append(-fixed, 1.0)
    quad = np.einsum("a,kab,b->k", left, stats.quad, left)
    if count and not float(values @ quad) > CANCELLED * float(form[count, count]):
        return _undefined(size, count)
    bend = np.einsum("a,klab,b->kl", left, stats.curve, left)
    crossed = stats.quad[:, :count, :] @ left
    observed = bend - 0.5 * stats.pairs
    if count:
        solved = solve_definite(precision, crossed.T)
        assert solved is not None
        observed = observed - crossed @ solved
    return Closed(
        log_likelihood=-0.5 * (stats.rows * LOG_2PI + stats.log_determinant + float(values @ quad)),
        fixed=fixed,
        precision=precision,
        quad=quad,
        squares=float(left @ stats.total @ left),
        score=0.5 * (quad - stats.trace),
        observed=0.5 * (observed + observed.T),
        expected=0.5 * stats.pairs,
    )


def solve_definite(matrix: Square, right: Vector) -> Vector | None:
    """`matrix^-1 right` by a scaled Cholesky factor; None where the matrix is not positive definite."""
    if not len(matrix):
        return np.zeros(right.shape)
    diagonal = matrix.diagonal()
    if not (diagonal > 0.0).all():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    try:
        factor = np.linalg.cholesky(matrix * np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return None
    scaled = (right.T * scale).T
    return np.asarray((np.linalg.solve(factor.T, np.linalg.solve(factor, scaled)).T * scale).T)


def _undefined(size: int, count: int) -> Closed:
    return Closed(
        log_likelihood=-math.inf,
        fixed=np.full(count, math.nan),
        precision=np.full((count, count), math.nan),
        quad=np.full(size, math.nan),
        squares=math.nan,
        score=np.full(size, math.nan),
        observed=np.full((size, size), math.nan),
        expected=np.full((size, size), math.nan),
    )
