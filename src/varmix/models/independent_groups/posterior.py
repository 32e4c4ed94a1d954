"""What the data say about every group's own slopes, given the variances."""

from __future__ import annotations

import numpy as np

from varmix.models.independent_groups.blocks import cholesky_into, solve_lower
from varmix.models.independent_groups.orthogonal import orthogonalise
from varmix.models.independent_groups.reduction import Rows
from varmix.typing import Array, Mask, Matrix, Vector


def posterior_slopes(rows: Rows, residuals: Vector, values: Vector) -> tuple[Matrix, Matrix]:
    """Means `D X'V^-1 r` and standard deviations, the roots of `diag(D - D X'V^-1 X D)`, each of shape (G, K).

    `residuals` are r = y - W w (n,), `values` the variances (K + 1,), all in the units of the data or all internal.
    """
    v, s = values[:-1], float(values[-1])
    X = np.ascontiguousarray(rows.X.T)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        if rows.group is None:
            tau = v @ (X * X) + s
            mean = v[:, None] * X * (residuals / tau)
            left = v[:, None] * (1.0 - v[:, None] * X * X / tau)
        else:
            whole = orthogonalise(X, residuals[None], rows.group, np.ones(rows.groups))
            mean, left = _grouped(whole.triangle, whole.responses, whole.real, v, s)
    return mean.T, np.sqrt(np.maximum(left, 0.0)).T


def _grouped(T: Array, h: Array, real: Mask, v: Vector, s: float) -> tuple[Matrix, Matrix]:
    slopes = len(T)
    V = np.einsum("ikg,jkg->ijg", T * v[:, None], T)
    V[np.arange(slopes), np.arange(slopes)] += np.where(real, s, 1.0)
    L = cholesky_into(V)
    if L is None:
        return np.full((slopes, T.shape[2]), np.nan), np.full((slopes, T.shape[2]), np.nan)
    white = solve_lower(L, np.concatenate([T, h], axis=1))
    wT, wh = white[:, :slopes], white[:, slopes]
    mean = v[:, None] * np.einsum("jkg,jg->kg", wT, wh)
    return mean, v[:, None] * (1.0 - v[:, None] * (wT * wT).sum(axis=0))
