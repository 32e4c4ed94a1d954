"""Scatter of cell types about the mean of their block, integrated out before the blocks are.

With `x | block ~ N(C b, k I)`, `A = (I + k H)^-1`: the blocks see `A H` and `A t` in place of H and t [PART-2].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Array, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scatter:
    """`variance` k (G,), `shrinkage` A and `information` A H (G, T, T), `raw` t and `shrunk` A t (G, T).

    `log_determinant` is that of I + k H and `explained` is `k t'A t`, both (G,).
    """

    variance: Vector
    shrinkage: Array
    information: Array
    raw: Matrix
    shrunk: Matrix
    log_determinant: Vector
    explained: Vector

    @classmethod
    def of(cls, variance: Vector, information: Array, t: Matrix) -> Scatter:
        """From H (G, T, T) and t (G, T)."""
        eye = np.eye(information.shape[1])
        if not variance.any():
            nothing = np.zeros(len(t))
            return cls(
                variance=variance,
                shrinkage=np.broadcast_to(eye, information.shape),
                information=information,
                raw=t,
                shrunk=t,
                log_determinant=nothing,
                explained=nothing,
            )
        matrix = eye + variance[:, None, None] * information
        shrinkage: Array = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        product = shrinkage @ information
        shrunk = np.einsum("gtu,gu->gt", shrinkage, t)
        return cls(
            variance=variance,
            shrinkage=shrinkage,
            information=0.5 * (product + product.transpose(0, 2, 1)),
            raw=t,
            shrunk=shrunk,
            log_determinant=np.linalg.slogdet(matrix)[1],
            explained=variance * (t * shrunk).sum(axis=1),
        )

    def moments(self, precision: Vector, first: Matrix, second: Array) -> tuple[Matrix, Array]:
        """E[x / lambda] (G, T) and E[xx' / lambda] (G, T, T) of the types, from those of their blocks' means."""
        if not self.variance.any():
            return first, second
        A, k, t = self.shrinkage, self.variance[:, None], self.raw
        cross = (k * t)[:, :, None] * first[:, None, :]
        pulled = (precision[:, None] * k * k * t)[:, :, None] * t[:, None, :]
        inner = pulled + cross + cross.transpose(0, 2, 1) + second
        mean = np.einsum("gtu,gu->gt", A, precision[:, None] * k * t + first)
        return mean, k[:, :, None] * A + A @ inner @ A.transpose(0, 2, 1)

    def score(self, precision: Vector, first: Matrix, second: Array) -> Vector:
        """Derivative of each gene's log density by k, finite at 0, from the moments of the blocks' means [PART-3]."""
        H, t = self.information, self.shrunk
        crossed = np.einsum("gt,gtu,gu->g", t, H, first)
        squared = np.einsum("gtu,gtu->g", H @ second, H)
        trace = np.einsum("gtt->g", H)
        return np.asarray(0.5 * (precision * (t * t).sum(axis=1) - 2.0 * crossed + squared - trace))
