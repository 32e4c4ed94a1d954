"""Block means of many partitions and genes at once, where a gene's noise has one scale [PART-2] [PART-3].

`K_gj = I + a C_j'H_g C_j` is at most T x T and there are G J of them: factors are taken entry by entry, each entry an
array over partitions and genes, which costs a tenth of as many calls of a library for matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from varmix.models.partition.partitions import Partitions
from varmix.typing import Array, Index, Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockSystems:
    """Partitions of one number of blocks B, `positions` (j,) among all; pairs of blocks are rows of a lower triangle.

    `members` (B j, T) are block indicators, block by block, and `paired` (B (B + 1) / 2 j, T T) their products.
    `information` C'HC and `inverse` K^-1, (pairs, j, G); `pull` u = K^-1 C't (B, j, G); `gain` (j, G), what block means
    add to the log density.
    """

    positions: Index
    members: Matrix
    paired: Matrix
    information: Array
    inverse: Array
    pull: Array
    gain: Matrix

    @classmethod
    def of(cls, between: float, information: Array, t: Matrix, partitions: Partitions) -> tuple[BlockSystems, ...]:
        """For every number of blocks that occurs, from a, H (G, T, T) and t (G, T)."""
        flat = np.ascontiguousarray(information.reshape(len(t), -1).T)
        return tuple(cls._of(between, flat, t, *layout) for layout in _layouts(partitions))

    @classmethod
    def _of(
        cls, between: float, flat: Matrix, t: Matrix, positions: Index, members: Matrix, paired: Matrix
    ) -> BlockSystems:
        shape = (-1, len(positions), len(t))
        inner, slope = (paired @ flat).reshape(shape), (members @ t.T).reshape(shape)
        count, at = len(slope), 0
        inverse, log_determinant = _inverted(between, inner, count)
        pull = np.zeros_like(slope)
        for b in range(count):
            for c in range(b + 1):
                pull[b] += inverse[at] * slope[c]
                if b != c:
                    pull[c] += inverse[at] * slope[b]
                at += 1
        gain = 0.5 * (between * (slope * pull).sum(axis=0) - log_determinant)
        return cls(
            positions=positions,
            members=members,
            paired=paired,
            information=inner,
            inverse=inverse,
            pull=pull,
            gain=gain,
        )

    def moments(self, between: float, weight: Matrix) -> tuple[Matrix, Array, float]:
        """Of deviations of cell types, weighted by probabilities (j, G): first (G, T) and second (G, T, T) moments, and
        the score of a [PART-3]."""
        count, genes, types = len(self.pull), self.pull.shape[2], self.members.shape[1]
        pulled = weight * self.pull
        first = between * (pulled.reshape(-1, genes).T @ self.members)
        second = np.empty_like(self.inverse)
        score, at = 0.0, 0
        for b in range(count):
            for c in range(b + 1):
                weighted = weight * self.inverse[at]
                trace = float(np.vdot(weighted, self.information[at]))
                score -= trace if b == c else 2.0 * trace
                second[at] = between * (weighted + between * pulled[b] * self.pull[c])
                if b == c:
                    second[at] *= 0.5
                    score += float(np.vdot(pulled[b], self.pull[b]))
                at += 1
        half = (second.reshape(-1, genes).T @ self.paired).reshape(genes, types, types)
        return first, half + half.transpose(0, 2, 1), 0.5 * score


@lru_cache(maxsize=8)
def _layouts(partitions: Partitions) -> tuple[tuple[Index, Matrix, Matrix], ...]:
    """Per number of blocks: `positions`, `members` and `paired`."""
    indicators = partitions.indicators
    sizes, found = np.array([indicator.shape[1] for indicator in indicators]), []
    for count in np.unique(sizes):
        positions = np.flatnonzero(sizes == count)
        columns = np.moveaxis(np.stack([indicators[j] for j in positions]), 2, 0)  # (B, j, T)
        types = columns.shape[2]
        low = [(b, c) for b in range(count) for c in range(b + 1)]
        products = [columns[b][:, :, None] * columns[c][:, None, :] for b, c in low]
        found.append((positions, columns.reshape(-1, types), np.stack(products).reshape(-1, types * types)))
    return tuple(found)


def _inverted(between: float, inner: Array, count: int) -> tuple[Array, Matrix]:
    """`K^-1` of `K = I + a inner` (lower triangles, (pairs, j, G)) and `log |K|` (j, G), by Cholesky factors.

    What rounding has made negative comes out as NaN.
    """
    at = {(b, c): b * (b + 1) // 2 + c for b in range(count) for c in range(b + 1)}
    if count == 1:
        K = 1.0 + between * inner
        return 1.0 / K, np.log(K[0])
    factor = between * inner
    inverse = np.empty_like(factor)  # of the factor, then of K
    log_determinant = np.zeros(inner.shape[1:])
    for c in range(count):
        pivot = factor[at[c, c]]
        pivot += 1.0
        for k in range(c):
            pivot -= factor[at[c, k]] ** 2
        log_determinant += np.log(pivot)
        np.divide(1.0, np.sqrt(pivot), out=inverse[at[c, c]])
        for b in range(c + 1, count):
            entry = factor[at[b, c]]
            for k in range(c):
                entry -= factor[at[b, k]] * factor[at[c, k]]
            entry *= inverse[at[c, c]]
    for c in range(count):
        for b in range(c + 1, count):
            total = factor[at[b, c]] * inverse[at[c, c]]
            for k in range(c + 1, b):
                total += factor[at[b, k]] * inverse[at[k, c]]
            np.multiply(total, -inverse[at[b, b]], out=inverse[at[b, c]])
    for b in range(count):
        for c in range(b + 1):  # in place: later entries need none of those that are replaced
            total = inverse[at[b, b]] * inverse[at[b, c]]
            for k in range(b + 1, count):
                total += inverse[at[k, b]] * inverse[at[k, c]]
            inverse[at[b, c]] = total
    return inverse, log_determinant
