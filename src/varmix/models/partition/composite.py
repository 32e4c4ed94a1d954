"""The likelihood that takes a gene's samples as independent given its partition: `sum_j pi_j prod_i N(s_i; mu_0, v)`.

Block means are shared by samples, so this is not the likelihood of the model: it is kept because it is simple, and to
show what is lost [PART-6]. Each sample counts as if it had block means of its own.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce

import numpy as np

from varmix.models.partition.curvature import curvature
from varmix.models.partition.genes import Genes
from varmix.models.partition.joint import BLOCK, LOG_2PI, normalised
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.statistics import PartitionStats, spread
from varmix.models.partition.weighted_scores import WeightedScores
from varmix.typing import Matrix, Square, Vector


def log_densities(params: PartitionParams, partitions: Partitions, genes: Genes) -> Matrix:
    """`sum_i log N(s_ig; mu_0, v_j)` of each gene and partition, shape (G, J), `v_j = a |p'C_j|^2 + d` [PART-6]."""
    variances = marginal_variances(params, partitions)[:, genes.types]
    constant = -0.5 * (genes.counts * (LOG_2PI + np.log(variances))).sum(axis=1)
    return np.asarray(constant - 0.5 * _squares(params, genes) @ (1.0 / variances).T)


def marginal_variances(params: PartitionParams, partitions: Partitions) -> Matrix:
    """Variance of a sample of each type given each partition, shape (J, D)."""
    P = params.proportions
    shared = np.stack([((P @ indicator) ** 2).sum(axis=1) for indicator in partitions.indicators])
    return np.asarray(params.between * shared + params.noise())


def responsibilities(params: PartitionParams, partitions: Partitions, genes: Genes) -> tuple[Matrix, Vector]:
    """Posterior over partitions, shape (G, J), and the genes' log densities, shape (G,) [PART-8]."""
    return normalised(log_densities(params, partitions, genes), params.shares)


def summarise(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    """Statistics of one piece, of the same kinds as those of the joint likelihood."""
    parts = [_summarised(params, partitions, part) for part in genes.blocks(BLOCK)]
    return reduce(operator.add, parts)


def _summarised(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    densities = log_densities(params, partitions, genes)
    posterior, log_density = normalised(densities, params.shares)
    counts, types, n, a = posterior.sum(axis=0), genes.types, genes.counts, params.between
    P, variances = params.proportions[types], marginal_variances(params, partitions)[:, types]
    squares, sums = _squares(params, genes), n * (genes.means - params.mean)
    weighted, linear = posterior.T @ squares, posterior.T @ sums  # (J, D)
    every, size = len(params.proportions), P.shape[1]
    score_mean = quad = trace = drawn = 0.0
    quad_noise, trace_noise = np.zeros(len(P)), np.zeros(len(P))
    firsts, crossed, moments = np.zeros((len(P), size)), np.zeros((len(P), size)), np.zeros((len(P), size, size))
    for j, indicator in enumerate(partitions.indicators):
        v, together, samples = variances[j], indicator @ indicator.T, counts[j] * n
        loads = P @ together
        shared = (loads * P).sum(axis=1)
        score_mean += float((linear[j] / v).sum())
        quad += float((shared * weighted[j] / v**2).sum())
        trace += float((shared * samples / v).sum())
        drawn += float(samples.sum() * indicator.shape[1])
        quad_noise += weighted[j] / v**2
        trace_noise += samples / v
        firsts += a * loads * (linear[j] / v)[:, None]
        crossed += a * loads * (weighted[j] / v)[:, None]
        gap = (weighted[j] / v - samples) / v
        moments += a * a * gap[:, None, None] * loads[:, :, None] * loads[:, None, :]
        moments += a * samples[:, None, None] * together
    if params.held_proportions.all():
        score, hessian, outer = _of_known(params, partitions, genes, densities, posterior, log_density)
    else:
        scores = CompositeScores.at(params, genes)
        score, hessian, outer = curvature(scores, params, partitions, genes, densities, posterior, log_density)
    return PartitionStats(
        log_likelihood=float(log_density.sum()),
        counts=counts,
        score_mean=score_mean,
        quad_between=quad,
        trace_between=trace,
        blocks=drawn,
        quad_noise=spread(quad_noise, types, every),
        trace_noise=spread(trace_noise, types, every),
        samples=spread(n * len(genes), types, every),
        linear=spread(sums.sum(axis=0), types, every),
        squares=spread(squares.sum(axis=0), types, every),
        firsts=spread(firsts, types, every),
        crossed=spread(crossed, types, every),
        moments=spread(moments, types, every),
        score=score,
        hessian=hessian,
        outer=outer,
    )


def _squares(params: PartitionParams, genes: Genes) -> Matrix:
    """`sum_i (s_ig - mu_0)^2`, shape (G, D)."""
    return np.asarray(genes.within + genes.counts * (genes.means - params.mean) ** 2)


def _of_known(
    params: PartitionParams,
    partitions: Partitions,
    genes: Genes,
    densities: Matrix,
    posterior: Matrix,
    log_density: Vector,
) -> tuple[Vector, Square, Square]:
    """Score, Hessian and products of scores where proportions are known: all partitions at once."""
    n, P, r = genes.counts, params.proportions[genes.types], genes.means - params.mean
    v = marginal_variances(params, partitions)[:, genes.types]
    shared = np.stack([((P @ indicator) ** 2).sum(axis=1) for indicator in partitions.indicators])
    by = [shared, np.broadcast_to((P * P).sum(axis=1), v.shape), np.ones_like(v)]
    squares, counts = _squares(params, genes), posterior.sum(axis=0)
    scores = np.empty((SCALARS, len(v), len(genes)))
    np.matmul(n / v, r.T, out=scores[0])
    for k, one in enumerate(by, start=1):
        np.matmul(0.5 * one / v**2, squares.T, out=scores[k])
        scores[k] -= 0.5 * (n * one / v).sum(axis=1)[:, None]
    weighted = np.ascontiguousarray(posterior.T)
    bend = (0.5 * counts[:, None] * n - (weighted @ squares) / v) / v**2
    pulled = (weighted @ r) * n / v**2
    curved = np.empty((SCALARS, SCALARS))
    curved[0, 0] = -float((counts[:, None] * n / v).sum())
    for k, one in enumerate(by, start=1):
        curved[0, k] = curved[k, 0] = -float((pulled * one).sum())
        for m, other in enumerate(by, start=1):
            curved[k, m] = float((bend * one * other).sum())
    sums = WeightedScores.empty(SCALARS, params.shares)
    sums.add(scores, np.ascontiguousarray(densities.T), weighted, log_density)
    return sums.derivatives(curved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompositeScores:
    """Scores of a partition and its expected second derivatives, by P too: one variance per sample type."""

    params: PartitionParams
    genes: Genes
    squares: Matrix

    @classmethod
    def at(cls, params: PartitionParams, genes: Genes) -> CompositeScores:
        """What every partition shares."""
        return cls(params=params, genes=genes, squares=_squares(params, genes))

    def partition(self, indicator: Matrix, weight: Vector) -> tuple[Matrix, Square]:
        """Scores of each gene, and `sum_g R` times the second derivatives of the log density."""
        n, a, cell = self.genes.counts, self.params.between, self.params.cell
        P = self.params.proportions[self.genes.types]
        types, size = P.shape
        together = indicator @ indicator.T
        loads, q = P @ together, (P * P).sum(axis=1)
        shared = (loads * P).sum(axis=1)
        v = a * shared + self.params.noise()[self.genes.types]
        by = np.zeros((types, SCALARS + types * size))
        by[:, 1:SCALARS] = np.stack([shared, q, np.ones(types)], axis=1)
        for s in range(types):
            by[s, SCALARS + s * size : SCALARS + (s + 1) * size] = 2.0 * (a * loads[s] + cell * P[s])
        r = self.genes.means - self.params.mean
        slopes = 0.5 * (self.squares / v - n) / v
        scores = slopes @ by
        scores[:, 0] = r @ (n / v)
        slope = weight @ slopes
        bend = weight @ (0.5 * n - self.squares / v) / (v * v)
        expected = by.T @ (bend[:, None] * by)
        expected[0] = -((weight @ r) * n / v**2) @ by
        expected[:, 0] = expected[0]
        expected[0, 0] = -float(weight.sum() * (n / v).sum())
        for row, mixed in ((1, loads), (2, P)):
            expected[row, SCALARS:] += (2.0 * slope[:, None] * mixed).ravel()
            expected[SCALARS:, row] = expected[row, SCALARS:]
        expected[SCALARS:, SCALARS:] += np.kron(np.diag(2.0 * slope), a * together + cell * np.eye(size))
        return scores, expected
