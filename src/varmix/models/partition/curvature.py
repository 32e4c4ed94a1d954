"""Second derivatives of the joint likelihood, exact: in the space of sample types where proportions are free, in that
of cell types where they are known [PART-3]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from varmix.models.partition.genes import Genes
from varmix.models.partition.known_curvature import KnownProportions
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.weighted_scores import LARGEST_RATIO
from varmix.typing import Array, Index, Matrix, Square, Vector


class PartitionScores(Protocol):
    """What a likelihood says about one partition."""

    def partition(self, indicator: Matrix, weight: Vector, /) -> tuple[Matrix, Square]:
        """Scores of each gene by (mu_0, a, tau^2, omega^2, P), and `sum_g R` times the second derivatives of
        `log f(s_g | j)`; without P where all of it is held."""
        ...


def joint_scores(params: PartitionParams, genes: Genes) -> PartitionScores:
    """Those of the joint likelihood, in the space that suits what is known."""
    known = bool(params.held_proportions.all())
    return KnownProportions.at(params, genes) if known else FreeProportions.at(params, genes)


def curvature(
    model: PartitionScores,
    params: PartitionParams,
    partitions: Partitions,
    genes: Genes,
    densities: Matrix,
    posterior: Matrix,
    log_density: Vector,
) -> tuple[Vector, Square, Square]:
    """Score, Hessian and products of the genes' scores by (mu_0, a, tau^2, omega^2, pi, P), with free entries of pi, P.

    Where all of P is held it is left out: there may be many rows of it.
    """
    ratio = np.exp(np.minimum(densities - log_density[:, None], LARGEST_RATIO))
    second: Any = 0.0
    own: Any = 0.0
    crossed = []
    for j, indicator in enumerate(partitions.indicators):
        scores, expected = model.partition(indicator, posterior[:, j])
        weighted = posterior[:, j : j + 1] * scores
        second = second + expected + weighted.T @ scores
        own = own + weighted
        crossed.append(ratio[:, j] @ scores)
    count = len(partitions)
    proportions = own[:, SCALARS:]
    every = np.hstack([own[:, :SCALARS], ratio, proportions])
    outer = every.T @ every
    hessian = -outer
    inner = np.r_[0:SCALARS, SCALARS + count : every.shape[1]]
    hessian[np.ix_(inner, inner)] += second
    shares = np.arange(SCALARS, SCALARS + count)
    hessian[np.ix_(shares, inner)] += np.stack(crossed)
    hessian[np.ix_(inner, shares)] += np.stack(crossed).T
    where = _positions(count, params.proportions.shape, genes.types, bool(proportions.shape[1]))
    size = coordinates(params)
    score = np.zeros(size)
    score[where] = every.sum(axis=0)
    return score, _placed(hessian, where, size), _placed(outer, where, size)


def coordinates(params: PartitionParams) -> int:
    """Coordinates of the derivatives: 4 + J, and DT where any of P is free."""
    rows = 0 if params.held_proportions.all() else params.proportions.size
    return SCALARS + len(params.shares) + rows


def _positions(count: int, shape: tuple[int, ...], types: Index, free: bool) -> Index:
    rows = (types[:, None] * shape[1] + np.arange(shape[1])).ravel() if free else np.zeros(0, dtype=np.intp)
    return np.concatenate([np.arange(SCALARS + count), SCALARS + count + rows])


def _placed(matrix: Square, where: Index, size: int) -> Square:
    result = np.zeros((size, size))
    result[np.ix_(where, where)] = matrix
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FreeProportions:
    """Scores (G, 4 + DT) of a partition and its expected second derivatives, by matrices over the D sample types."""

    params: PartitionParams
    genes: Genes
    proportions: Matrix
    noise: Vector
    by_noise: Matrix
    """Derivatives of d by the coordinates, shape (D, 4 + DT)."""
    within: Matrix
    """Scores by d of the sums of squares within types, shape (G, D)."""

    @classmethod
    def at(cls, params: PartitionParams, genes: Genes) -> FreeProportions:
        """What every partition shares."""
        P, d = params.proportions[genes.types], params.noise()[genes.types]
        types, size = P.shape
        by_noise = np.zeros((types, SCALARS + types * size))
        by_noise[:, 2] = (P * P).sum(axis=1)
        by_noise[:, 3] = 1.0
        for s in range(types):
            by_noise[s, SCALARS + s * size : SCALARS + (s + 1) * size] = 2.0 * params.cell * P[s]
        within = 0.5 * (genes.within / d - (genes.counts - 1.0)) / d
        return cls(params=params, genes=genes, proportions=P, noise=d, by_noise=by_noise, within=within)

    def partition(self, indicator: Matrix, weight: Vector) -> tuple[Matrix, Square]:
        """Scores of each gene, and `sum_g R` times the second derivatives of `log f(s_g | j)`."""
        P, a, n = self.proportions, self.params.between, self.genes.counts
        together = indicator @ indicator.T
        spread = P @ together  # P C C'
        inverse = np.linalg.inv(np.diag(self.noise / n) + a * spread @ P.T)
        inverse = 0.5 * (inverse + inverse.T)
        r = self.genes.means - self.params.mean
        y = r @ inverse
        deviation = a * y @ spread
        directions = self._directions(spread)
        applied = inverse @ directions  # V^-1 dV
        half_trace = 0.5 * np.trace(applied, axis1=1, axis2=2)
        by_error = 0.5 * y * y / n + self.within
        scores = by_error @ self.by_noise - half_trace
        scores[:, 0] = y.sum(axis=1)
        scores[:, 1] = 0.5 * ((y @ P @ indicator) ** 2).sum(axis=1) - half_trace[1]
        scores[:, SCALARS:] += (y[:, :, None] * deviation[:, None, :]).reshape(len(y), -1)
        total, gap = float(weight.sum()), y.T @ (weight[:, None] * y)
        mean = weight @ y
        flat = applied.reshape(len(applied), -1)
        turned = applied.transpose(0, 2, 1).reshape(len(applied), -1)
        expected = 0.5 * total * flat @ turned.T - flat @ (directions @ gap).reshape(len(applied), -1).T
        expected[0] = -(applied @ mean).sum(axis=1)
        expected[:, 0] = expected[0]
        expected[0, 0] = -total * inverse.sum()
        self._add_second(expected, gap - total * inverse, together, spread, weight)
        return scores, expected

    def _directions(self, spread: Matrix) -> Array:
        """Derivatives of V by each coordinate, shape (4 + DT, D, D); that by mu_0 is 0."""
        types, size = self.proportions.shape
        result = np.zeros((SCALARS + types * size, types, types))
        diagonal = np.arange(types)
        result[:, diagonal, diagonal] = (self.by_noise / self.genes.counts[:, None]).T
        result[1] = spread @ self.proportions.T
        inner = result[SCALARS:].reshape(types, size, types, types)
        for s in range(types):
            inner[s, :, s, :] += self.params.between * spread.T
            inner[s, :, :, s] += self.params.between * spread.T
        return result

    def _add_second(self, expected: Square, gap: Square, together: Square, spread: Matrix, weight: Vector) -> None:
        """Adds what comes from the second derivatives of V and of d."""
        P, d, n = self.proportions, self.noise, self.genes.counts
        types, size = P.shape
        slope = 0.5 * gap.diagonal() / n + weight @ self.within  # by d
        bend = weight @ (0.5 * (n - 1.0) - self.genes.within / d) / (d * d)
        expected += self.by_noise.T @ (bend[:, None] * self.by_noise)
        mixed = (gap @ spread).ravel()
        cell = (2.0 * P * slope[:, None]).ravel()
        expected[1, SCALARS:] += mixed
        expected[SCALARS:, 1] += mixed
        expected[2, SCALARS:] += cell
        expected[SCALARS:, 2] += cell
        inner = self.params.between * np.kron(gap, together)
        inner[np.diag_indices(types * size)] += np.repeat(2.0 * self.params.cell * slope, size)
        expected[SCALARS:, SCALARS:] += inner
