"""Groups whose slopes meet in the same rows: a K x K covariance each, all of them factored at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.independent_groups.statistics import GroupStats
from varmix.typing import Array, Mask, Vector

BLOCK = 4_096
"""Groups worked on at a time: the K x K arrays of a few slopes then stay in cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """G groups in orthonormal coordinates: `X_g = Q_g T_g`; the last axis of every array counts groups.

    `triangle` T is (K, K, G) upper triangular, `responses` (K, C, G) are `Q'[W, y]`; `real` (K, G) says which of the K
    coordinates a group has (rows of T that it has not are 0); `weight` (G,) are the likelihood weights.
    """

    triangle: Array
    responses: Array
    real: Mask
    weight: Vector

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def slopes(self) -> int:
        """K."""
        return len(self.triangle)

    def part(self, start: int, stop: int) -> Blocks:
        """Some of the groups (views)."""
        return Blocks(
            triangle=self.triangle[:, :, start:stop],
            responses=self.responses[:, :, start:stop],
            real=self.real[:, start:stop],
            weight=self.weight[start:stop],
        )


def block_statistics(values: Vector, units: Blocks) -> GroupStats:
    """Statistics at theta, shape (K + 1,)."""
    sums = GroupStats.blank(len(units.triangle), units.responses.shape[1])
    for start in range(0, len(units), BLOCK):
        sums = sums + _block(values, units.part(start, start + BLOCK))
    return sums


def _block(values: Vector, units: Blocks) -> GroupStats:
    T, Y, weight = units.triangle, units.responses, units.weight
    slopes, columns = len(T), Y.shape[1]
    V = np.einsum("ikg,jkg->ijg", T * values[:-1, None], T)
    # A coordinate that a group has not is cut off by a 1 on the diagonal: nothing else refers to it.
    V[np.arange(slopes), np.arange(slopes)] += np.where(units.real, values[-1], 1.0)
    L = cholesky_into(V)
    if L is None:
        return GroupStats.undefined(slopes, columns)
    log_determinant = 2.0 * float(sum(weight @ np.log(L[k, k]) for k in range(slopes)))
    unit = np.eye(slopes)[:, :, None] * units.real
    white = solve_lower(L, np.concatenate([T, Y, unit], axis=1))
    wT, wY, root = white[:, :slopes], white[:, slopes : slopes + columns], white[:, slopes + columns :]
    inverse = np.einsum("jkg,jlg->klg", root, root)
    C = np.einsum("jkg,jlg->klg", wT, wT)  # T' V^-1 T
    B = np.einsum("jkg,jcg->kcg", wT, wY)  # T' V^-1 Y
    U = np.einsum("jkg,jcg->kcg", root, wY)  # V^-1 Y
    S = np.einsum("jkg,jlg->klg", root, wT)  # V^-1 T
    D = np.einsum("jkg,jcg->kcg", S, U)  # T' V^-2 Y
    back = np.einsum("jkg,jcg->kcg", inverse, U)  # V^-2 Y
    result = GroupStats.blank(slopes, columns)
    result.trace[:-1] = np.einsum("kkg,g->k", C, weight)
    result.trace[-1] = np.einsum("kkg,g->", inverse, weight)
    result.pairs[:-1, :-1] = (C * C) @ weight
    result.pairs[:-1, -1] = result.pairs[-1, :-1] = (S * S).sum(axis=0) @ weight
    result.pairs[-1, -1] = float((inverse * inverse).sum(axis=(0, 1)) @ weight)
    for k in range(slopes):
        heavy = B[k] * weight
        result.quad[k] = heavy @ B[k].T
        result.quad[-1] += (U[k] * weight) @ U[k].T
        result.curve[-1, -1] += _symmetric((U[k] * weight) @ back[k].T)
        result.curve[k, -1] = result.curve[-1, k] = _symmetric(heavy @ D[k].T)
        for m in range(k, slopes):
            result.curve[k, m] = result.curve[m, k] = _symmetric((heavy * C[k, m]) @ B[m].T)
    return GroupStats(
        rows=float((units.real @ weight).sum()),
        log_determinant=log_determinant,
        trace=result.trace,
        pairs=result.pairs,
        quad=result.quad,
        curve=result.curve,
        total=sum((Y[k] * weight) @ Y[k].T for k in range(slopes)),
        effects=(T != 0.0).any(axis=0) @ weight,
    )


def cholesky_into(V: Array) -> Array | None:
    """Lower factors of the matrices V, shape (K, K, G), written over their lower triangles; None if one is singular."""
    for j in range(len(V)):
        V[j, j] -= (V[j, :j] ** 2).sum(axis=0)
        if not V[j, j].min(initial=1.0) > 0.0:
            return None
        np.sqrt(V[j, j], out=V[j, j])
        for i in range(j + 1, len(V)):
            V[i, j] -= (V[i, :j] * V[j, :j]).sum(axis=0)
            V[i, j] /= V[j, j]
    return V


def solve_lower(L: Array, B: Array) -> Array:
    """`L^-1 B` for each group, in place of B, shape (K, r, G)."""
    for j in range(len(L)):
        for i in range(j):
            B[j] -= L[j, i] * B[i]
        B[j] /= L[j, j]
    return B


def _symmetric(matrix: Array) -> Array:
    return np.asarray(0.5 * (matrix + matrix.T))
