"""Groups to orthonormal coordinates, all of them at once: `X_g = Q_g T_g`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Array, Index, Mask, Matrix, Square, Vector

COLLINEAR = 1e-12
"""Share of its length that a column must keep beside those before it to be a direction of its own in its group."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Orthogonal:
    """`triangle` T (K, K, G), `responses` Q'[W, y] (K, C, G), `real` (K, G) the coordinates that exist; and what the
    columns do not reach: weighted sums `rest` (C, C) of squares and `rest_rows` of coordinates."""

    triangle: Array
    responses: Array
    real: Mask
    rest: Square
    rest_rows: float

    @property
    def diagonal(self) -> Mask:
        """Groups of which every column lies in one coordinate: these are then independent, shape (G,)."""
        return np.asarray(((self.triangle != 0.0).sum(axis=0) <= 1).all(axis=0))


def orthogonalise(X: Matrix, Y: Matrix, group: Index, weights: Vector) -> Orthogonal:
    """Modified Gram-Schmidt of columns X (K, n) and Y (C, n) within groups numbered from 0; `weights` (G,).

    Responses are orthogonalised with the columns, which is as stable as Householder reflections, and what is left of
    them is summed without any cancellation.
    """
    X, Y, count = X.copy(), Y.copy(), len(weights)
    slopes, columns = len(X), len(Y)
    triangle, responses = np.zeros((slopes, slopes, count)), np.zeros((slopes, columns, count))
    real = np.zeros((slopes, count), dtype=np.bool_)

    def sums(values: Vector) -> Vector:
        return np.asarray(np.bincount(group, values, minlength=count), dtype=np.float64)

    lengths = [np.sqrt(sums(column * column)) for column in X]
    for j in range(slopes):
        length = np.sqrt(sums(X[j] * X[j]))
        real[j] = length > COLLINEAR * lengths[j]
        triangle[j, j] = np.where(real[j], length, 0.0)
        direction = X[j] * np.divide(1.0, length, out=np.zeros(count), where=real[j])[group]
        for k in range(j + 1, slopes):
            triangle[j, k] = sums(direction * X[k])
            X[k] -= triangle[j, k][group] * direction
        for k in range(columns):
            responses[j, k] = sums(direction * Y[k])
            Y[k] -= responses[j, k][group] * direction
    return Orthogonal(
        triangle=triangle,
        responses=responses,
        real=real,
        rest=(Y * weights[group]) @ Y.T,
        rest_rows=float((sums(np.ones(len(group))) - real.sum(axis=0)) @ weights),
    )
