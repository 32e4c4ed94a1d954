"""The joint likelihood of genes seen in few sample types, proportions known: all of it quadratic forms [PART-3].

With whitened residuals `b = E^-1/2 r` log densities, scores and second derivatives of a gene and partition are
quadratic in b. Products `b b'` (D (D + 1) / 2 numbers) are formed once for all partitions, so that an evaluation is a
few matrix products over genes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.models.partition.genes import Genes
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.statistics import PartitionStats, spread
from varmix.models.partition.weighted_scores import WeightedScores, posterior_of
from varmix.typing import Array, Index, Matrix, Square, Vector

LOG_2PI = math.log(2.0 * math.pi)

MOST_SAMPLE_TYPES = 16
"""Sample types up to which 136 products of a gene cost less than projections on cell types."""

LARGEST_SIGNAL = 1e6
"""Largest `a tr H`, variance of means over that of errors, with products: residuals that cancel lose this many eps."""

CACHED = 1 << 16
"""Numbers of an array over partitions and some genes at a time: half a megabyte, which stays in cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forms:
    """What partitions make of whitened residuals at a point, over J partitions, D sample types and T cell types.

    With `B = E^-1/2 P C` (blocks padded to T): `inverse` is `K^-1`, `applied` is `U = B K^-1`, `left` is
    `M = I - a U B'`, so that `V^-1 = E^-1/2 M E^-1/2`; `between` is `U U'` and `turned` is `B'U`.
    """

    params: PartitionParams
    genes: Genes
    noise: Vector
    error: Vector
    indicators: Array
    inverse: Array
    half_log_determinants: Vector
    applied: Array
    left: Array
    between: Array
    turned: Array
    kinds: tuple[int, ...]
    """Which of (tau^2, omega^2), 0 and 1, may move."""
    by_noise: Matrix
    """Derivatives of d by those, shape (D, m)."""

    @classmethod
    def at(cls, params: PartitionParams, partitions: Partitions, genes: Genes, root: Matrix) -> Forms:
        """With `root` for `E^-1/2 P`: itself, or its triangle R. Raises numpy's LinAlgError where noise is rounding
        beside a."""
        P, noise, a = params.proportions[genes.types], params.noise()[genes.types], params.between
        size = P.shape[1]
        indicators = np.zeros((len(partitions), size, size))
        for j, indicator in enumerate(partitions.indicators):
            indicators[j, :, : indicator.shape[1]] = indicator
        design = root @ indicators
        turned = design.transpose(0, 2, 1)
        matrix = np.eye(size) + a * turned @ design
        lower = np.linalg.cholesky(matrix)
        inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        applied = design @ inverse
        product = applied @ turned
        kinds = tuple(kind for kind in (0, 1) if not params.held[2 + kind])
        return cls(
            params=params,
            genes=genes,
            noise=noise,
            error=noise / genes.counts,
            indicators=indicators,
            inverse=inverse,
            half_log_determinants=np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1),
            applied=applied,
            left=np.eye(len(root)) - 0.5 * a * (product + product.transpose(0, 2, 1)),
            between=applied @ applied.transpose(0, 2, 1),
            turned=turned @ applied,
            kinds=kinds,
            by_noise=np.stack([(P * P).sum(axis=1), np.ones(len(P))], axis=1)[:, list(kinds)],
        )

    @property
    def relative(self) -> Matrix:
        """Derivatives of log d by the kinds of noise, shape (m, D)."""
        return np.asarray((self.by_noise / self.noise[:, None]).T)

    @property
    def ones(self) -> Vector:
        """`E^-1/2 1`."""
        return np.asarray(1.0 / np.sqrt(self.error))

    def told_of_mean(self) -> Matrix:
        """`M E^-1/2 1`, shape (J, D): `U 1` where proportions sum to 1, and then no difference of large numbers."""
        P = self.params.proportions[self.genes.types]
        rest = self.ones * (1.0 - P.sum(axis=1))
        return np.asarray(self.applied.sum(axis=2) + rest @ self.left)

    def of_scores(self) -> tuple[Array, Matrix]:
        """Forms (1 + m, J, D, D) and traces (1 + m, J) of the scores by a and by noise: half of form less trace."""
        forms, traces = [self.between], [np.trace(self.turned, axis1=1, axis2=2)]
        for weight in self.relative:
            forms.append((self.left * weight) @ self.left)
            traces.append((np.diagonal(self.left, axis1=1, axis2=2) * weight).sum(axis=1))
        return np.stack(forms), np.stack(traces)

    def second(self, counts: Vector, first: Matrix, square: Array) -> Square:
        """`sum_gj R` times second derivatives of `log f(s_g | j)` by (mu_0, a, noise), from `sum_g R` (J,), `sum_g R b`
        (J, D) and `sum_g R b b'` (J, D, D), without those of sums of squares within types."""
        weights = self.relative
        result = np.empty((2 + len(weights), 2 + len(weights)))
        mean = self.told_of_mean()
        pulled = np.matmul(self.left, first[:, :, None])[:, :, 0]
        gap = self.left @ square
        result[0, 0] = -float(counts @ (mean @ self.ones))
        result[0, 1] = -float(((self.ones @ self.between) * first).sum())
        inner = self.applied.transpose(0, 2, 1) @ square @ self.applied
        result[1, 1] = 0.5 * float(counts @ (self.turned**2).sum(axis=(1, 2))) - float((inner * self.turned).sum())
        for w, one in enumerate(weights):
            result[0, 2 + w] = -float((mean * one * pulled).sum())
            trace = np.diagonal(self.between, axis1=1, axis2=2) @ one
            result[1, 2 + w] = 0.5 * float(counts @ trace) - trace_of(self.between * one, gap)
            moved = (self.left * one) @ self.left
            for v in range(w, len(weights)):
                trace = np.einsum("i,jik,k->j", one, self.left**2, weights[v])
                result[2 + w, 2 + v] = 0.5 * float(counts @ trace) - trace_of(moved * weights[v], gap)
        lower = np.tril_indices(len(result), -1)
        result[lower] = result.T[lower]
        return result


def serves(params: PartitionParams, genes: Genes) -> bool:
    """Whether products of residuals are cheaper than other ways, and as exact."""
    return len(genes.types) <= MOST_SAMPLE_TYPES and exact(params, genes)


def exact(params: PartitionParams, genes: Genes) -> bool:
    """Whether proportions are known and noise is not so small that quadratic forms lose digits."""
    if not params.held_proportions.all():
        return False
    P, error = params.proportions[genes.types], params.noise()[genes.types] / genes.counts
    return params.between * float(((P * P).sum(axis=1) / error).sum()) <= LARGEST_SIGNAL


def summarise(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    """Statistics of one piece; the score by a noise that is held is left at 0.

    Raises numpy's LinAlgError where noise is rounding beside a.
    """
    forms = Forms.at(params, partitions, genes, root_of(params, genes))
    count, types, size = len(partitions), len(genes.types), len(genes)
    products = np.triu_indices(types)
    twice = np.where(products[0] == products[1], 1.0, 2.0)
    by_score, traces = forms.of_scores()
    of_density = -0.5 * forms.left[:, products[0], products[1]] * twice
    of_score = 0.5 * by_score[:, :, products[0], products[1]] * twice
    of_mean = forms.told_of_mean()
    squares, spare = 0.5 / forms.noise**2, 0.5 * (genes.counts - 1.0) / forms.noise
    sums = WeightedScores.empty(2 + len(forms.kinds), params.shares)
    first, second = np.zeros((count, types)), np.zeros((count, len(twice)))
    linear, diagonal = np.zeros(types), np.zeros(types)
    at_once = max(64, CACHED // max(count, len(twice), 1))
    for part in genes.blocks(at_once):
        b = np.ascontiguousarray(((part.means - params.mean) * forms.ones).T)  # (D, G)
        pairs = pairs_of(b, len(twice))
        densities = of_density @ pairs
        densities -= forms.half_log_determinants[:, None]
        densities += common(forms, part)
        scores = np.empty((2 + len(forms.kinds), count, len(part)))
        np.matmul(of_mean, b, out=scores[0])
        np.matmul(of_score, pairs, out=scores[1:])
        scores[1:] -= 0.5 * traces[:, :, None]
        within = part.within @ (squares[:, None] * forms.by_noise) - spare @ forms.by_noise
        scores[2:] += within.T[:, None, :]
        posterior, log_density = posterior_of(densities, params.shares)
        sums.add(scores, densities, posterior, log_density)
        first += posterior @ b.T
        second += posterior @ pairs.T
        linear += b.sum(axis=1)
        diagonal += (b * b).sum(axis=1)
    square = np.empty((count, types, types))
    square[:, products[0], products[1]] = second
    square[:, products[1], products[0]] = second
    curved = forms.second(sums.counts, first, square)
    curved[2:, 2:] += bends(forms, genes, size)
    known = square @ forms.applied  # sum_g R b (U'b)'
    crossed = params.between * (known @ forms.indicators.transpose(0, 2, 1)).sum(axis=0)
    score_mean = float((of_mean * first).sum())
    moments = Moments(first=first, square=square, linear=linear, diagonal=diagonal, crossed=crossed)
    return told(forms, sums, moments, curved, score_mean, partitions)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Weighted sums over genes of whitened residuals x (D,) and what partitions see of them, b: x itself or `Q'x`."""

    first: Matrix
    """`sum_g R b`, by partition."""
    square: Array
    """`sum_g R b b'`."""
    linear: Vector
    """`sum_g x`, shape (D,)."""
    diagonal: Vector
    """`sum_g x^2`."""
    crossed: Matrix
    """`sum_g x E y'` with y the deviations of cell types, shape (D, T)."""


def root_of(params: PartitionParams, genes: Genes) -> Matrix:
    """`E^-1/2 P`, shape (D, T)."""
    scale = np.sqrt(genes.counts / params.noise()[genes.types])
    return np.asarray(scale[:, None] * params.proportions[genes.types])


def common(forms: Forms, genes: Genes) -> Vector:
    """Part of the log densities that is the same for all partitions but for b, shape (G,)."""
    n, noise, error = forms.genes.counts, forms.noise, forms.error
    constant = ((n - 1.0) * (LOG_2PI + np.log(noise)) + np.log(n) + LOG_2PI + np.log(error)).sum()
    return np.asarray(-0.5 * (float(constant) + genes.within @ (1.0 / noise)))


def pairs_of(b: Matrix, count: int) -> Matrix:
    """Products of the rows of b (D, G), shape (D (D + 1) / 2, G), in the order of the upper triangle."""
    result, at = np.empty((count, b.shape[1])), 0
    for row in range(len(b)):
        left = len(b) - row
        np.multiply(b[row], b[row:], out=result[at : at + left])
        at += left
    return result


def bends(forms: Forms, genes: Genes, size: int) -> Square:
    """Second derivatives by noise of what sums of squares within types say, all genes."""
    d, n = forms.noise, genes.counts
    bend = size * 0.5 * (n - 1.0) / d**2 - genes.within.sum(axis=0) / d**3
    return np.asarray(forms.by_noise.T @ (bend[:, None] * forms.by_noise))


def _placed(sums: WeightedScores, curved: Square, own: Index) -> tuple[Vector, Square, Square]:
    """Score, Hessian and products of scores among (mu_0, a, tau^2, omega^2, pi)."""
    score, hessian, outer = sums.derivatives(curved)
    where = np.concatenate([own, SCALARS + np.arange(len(sums.counts))])
    size = SCALARS + len(sums.counts)
    placed = np.zeros(size)
    placed[where] = score
    matrices = np.zeros((2, size, size))
    matrices[0][np.ix_(where, where)] = hessian
    matrices[1][np.ix_(where, where)] = outer
    return placed, matrices[0], matrices[1]


def told(
    forms: Forms,
    sums: WeightedScores,
    moments: Moments,
    curved: Square,
    score_mean: float,
    partitions: Partitions,
) -> PartitionStats:
    """Derivatives, and what EM and MM ask for, from weighted moments of b alone."""
    genes, params, counts, a = forms.genes, forms.params, sums.counts, forms.params.between
    n, noise, error, size = genes.counts, forms.noise, forms.error, len(genes)
    P, root, every = params.proportions[genes.types], np.sqrt(error), len(params.proportions)
    pulled, transposed = forms.applied.transpose(0, 2, 1), forms.indicators.transpose(0, 2, 1)
    slopes = pulled @ moments.square @ forms.applied
    deviations = a * (forms.indicators @ pulled @ moments.first[:, :, None])[:, :, 0].sum(axis=0)
    crossed = root[:, None] * moments.crossed
    cross = a * a * (forms.indicators @ slopes @ transposed).sum(axis=0)
    covariance = a * (counts[:, None, None] * (forms.indicators @ forms.inverse @ transposed)).sum(axis=0)
    r2, within = error * moments.diagonal, genes.within.sum(axis=0)
    left = r2 - 2.0 * (P * crossed).sum(axis=1) + ((P @ cross) * P).sum(axis=1)
    unknown = ((P @ covariance) * P).sum(axis=1)
    own = np.array([0, 1, *(2 + kind for kind in forms.kinds)], dtype=np.intp)
    score, hessian, outer = _placed(sums, curved, own)
    return PartitionStats(
        log_likelihood=sums.log_likelihood,
        counts=counts,
        score_mean=score_mean,
        quad_between=float(np.trace(slopes, axis1=1, axis2=2).sum()),
        trace_between=float(counts @ np.trace(forms.turned, axis1=1, axis2=2)),
        blocks=float(counts @ np.array([max(label) + 1.0 for label in partitions.labels])),
        quad_noise=spread(left / error**2 / n + within / noise**2, genes.types, every),
        trace_noise=spread((size - unknown / error) / error / n + size * (n - 1.0) / noise, genes.types, every),
        samples=spread(n * size, genes.types, every),
        linear=spread(n * root * moments.linear, genes.types, every),
        squares=spread(n * r2 + within, genes.types, every),
        firsts=spread(np.outer(n, deviations), genes.types, every),
        crossed=spread(n[:, None] * crossed, genes.types, every),
        moments=spread(n[:, None, None] * (cross + covariance), genes.types, every),
        score=score,
        hessian=hessian,
        outer=outer,
    )


def trace_of(one: Array, other: Array) -> float:
    """Sum over partitions of `tr(one other)`."""
    return float((one * other.transpose(0, 2, 1)).sum())
