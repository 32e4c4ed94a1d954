"""Scores and second derivatives of a partition where proportions are known, by matrices over the T cell types [PART-3].

Their cost is linear in the number of sample types: each of them may be a sample with proportions of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.genes import Genes
from varmix.models.partition.params import PartitionParams
from varmix.typing import Matrix, Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """Sums over sample types with weights k: `k'r^2` (G,), `P'K r` (G, T), `P'K P`, `1'K r` (G,), `P'K 1`, `1'k`."""

    square: Vector
    crossed: Matrix
    matrix: Square
    linear: Vector
    row: Vector
    total: float

    @classmethod
    def each(cls, r: Matrix, P: Matrix, weights: Matrix) -> tuple[Moment, ...]:
        """From residuals (G, D), proportions (D, T) and weights (D, m), all of them in one product."""
        size, count = P.shape[1], weights.shape[1]
        scaled = P[:, None, :] * weights[:, :, None]  # (D, m, T)
        crossed = (r @ scaled.reshape(len(P), count * size)).reshape(len(r), count, size)
        square, linear = (r * r) @ weights, r @ weights
        return tuple(
            cls(
                square=square[:, k],
                crossed=np.ascontiguousarray(crossed[:, k]),
                matrix=P.T @ scaled[:, k],
                linear=linear[:, k],
                row=scaled[:, k].sum(axis=0),
                total=float(weights[:, k].sum()),
            )
            for k in range(count)
        )

    def left(self, x: Matrix) -> Matrix:
        """`P'K (r - P x)`, shape (G, T)."""
        return np.asarray(self.crossed - x @ self.matrix)

    def square_left(self, x: Matrix) -> Vector:
        """`(r - P x)'K (r - P x)`, shape (G,)."""
        return np.asarray(self.square - (x * (self.crossed + self.left(x))).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownProportions:
    """Scores (G, 4) of a partition and its expected second derivatives by (mu_0, a, tau^2, omega^2)."""

    between: float
    plain: Moment
    """Weights 1/E."""
    noise: tuple[Moment, Moment]
    """Weights `E_w / E^2` for w = tau^2 and omega^2."""
    pairs: tuple[tuple[Moment, Moment], tuple[Moment, Moment]]
    """Weights `E_w E_v / E^3`."""
    traces: Square
    """`sum E_w E_v / E^2`, with the sums `E_w / E` in `totals`."""
    totals: Vector
    within: Matrix
    """Scores of the sums of squares within types, shape (G, 2)."""
    bends: Matrix
    """Their second derivatives, shape (G, 4)."""

    @classmethod
    def at(cls, params: PartitionParams, genes: Genes) -> KnownProportions:
        """What every partition shares."""
        P, d, n = params.proportions[genes.types], params.noise()[genes.types], genes.counts
        r, error = genes.means - params.mean, d / n
        by_noise = np.stack([(P * P).sum(axis=1), np.ones(len(P))], axis=1)
        weights = by_noise / n[:, None]

        relative = weights / error[:, None]
        own, mixed, other = relative[:, 0] ** 2, relative[:, 0] * relative[:, 1], relative[:, 1] ** 2
        kinds = np.stack([np.ones(len(P)), *relative.T, own, mixed, other], axis=1) / error[:, None]
        plain, cell, measurement, first, crossed, second = Moment.each(r, P, kinds)
        products = (by_noise[:, :, None] * by_noise[:, None, :]).reshape(len(P), 4)
        spare = 0.5 * (n - 1.0) / d
        return cls(
            between=params.between,
            plain=plain,
            noise=(cell, measurement),
            pairs=((first, crossed), (crossed, second)),
            traces=relative.T @ relative,
            totals=relative.sum(axis=0),
            within=genes.within @ (0.5 * by_noise / (d * d)[:, None]) - spare @ by_noise,
            bends=(spare / d) @ products - genes.within @ (products / (d**3)[:, None]),
        )

    def partition(self, indicator: Matrix, weight: Vector) -> tuple[Matrix, Square]:
        """Scores of each gene, and `sum_g R` times the second derivatives of `log f(s_g | j)`."""
        a, total = self.between, float(weight.sum())
        H, h = self.plain.matrix, self.plain.row
        inner = indicator.T @ H @ indicator
        inverse = np.linalg.inv(np.eye(len(inner)) + a * inner)
        inverse = 0.5 * (inverse + inverse.T)
        S = a * indicator @ inverse @ indicator.T
        X = inverse @ inner
        slope = self.plain.crossed @ indicator @ inverse
        x = a * slope @ indicator.T
        toward = indicator @ inverse
        scores = np.empty((len(x), 4))
        scores[:, 0] = self.plain.linear - x @ h
        scores[:, 1] = 0.5 * ((slope * slope).sum(axis=1) - np.trace(X))
        second = np.empty((4, 4))
        pulled = weight @ slope
        second[0, 0] = -total * (self.plain.total - h @ S @ h)
        second[0, 1] = -float((h - H @ S @ h) @ indicator @ pulled)
        second[1, 1] = 0.5 * total * (X * X.T).sum() - float(weight @ ((slope @ X) * slope).sum(axis=1))
        left = [moment.left(x) for moment in self.noise]
        for w, moment in enumerate(self.noise):
            scores[:, 2 + w] = self.within[:, w] + 0.5 * (
                moment.square_left(x) - self.totals[w] + (moment.matrix * S).sum()
            )
            second[0, 2 + w] = -float(weight @ (moment.linear - x @ moment.row - left[w] @ (S @ h)))
            second[1, 2 + w] = 0.5 * total * float(np.trace(toward.T @ moment.matrix @ toward)) - float(
                weight @ (slope * (left[w] @ toward)).sum(axis=1)
            )
            for v in range(w, 2):
                pair = self.pairs[w][v]
                trace = self.traces[w, v] - 2.0 * (S * pair.matrix).sum()
                trace += np.trace(S @ moment.matrix @ S @ self.noise[v].matrix)
                square = pair.square_left(x) - ((left[w] @ S) * left[v]).sum(axis=1)
                second[2 + w, 2 + v] = 0.5 * total * trace - float(weight @ (square - self.bends[:, 2 * w + v]))
        lower = np.tril_indices(4, -1)
        second[lower] = second.T[lower]
        return scores, second
