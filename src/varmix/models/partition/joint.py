"""The joint likelihood of a gene's samples given its partition, and what it says about the types' means [PART-2].

Block means are integrated out in the space of cell types: with `H = P'E^-1 P` and `t = P'E^-1 r` a partition costs a
few products of T x B, whatever the number of samples.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.special import logsumexp

from varmix.models.partition import projected, quadratic
from varmix.models.partition.curvature import curvature, joint_scores
from varmix.models.partition.genes import Genes
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.statistics import PartitionStats, spread
from varmix.typing import Array, Matrix, Vector

LOG_2PI = math.log(2.0 * math.pi)

BLOCK = 4096
"""Genes at a time: arrays of some columns then stay in cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """What every gene shares at a point: per partition `K_j^-1` and half its log-determinant."""

    inverse: tuple[Matrix, ...]
    half_log_determinants: Vector
    indicators: tuple[Matrix, ...]

    @classmethod
    def at(cls, between: float, information: Matrix, partitions: Partitions) -> Blocks:
        """`K_j = I + a C_j'H C_j` with H the information (T, T) on the types' means."""
        inverse: list[Matrix] = []
        halves: list[float] = []
        for indicator in partitions.indicators:
            matrix = np.eye(indicator.shape[1]) + between * indicator.T @ information @ indicator
            lower = np.linalg.cholesky(matrix)
            halves.append(float(np.log(lower.diagonal()).sum()))
            inverse.append(np.asarray(np.linalg.inv(matrix), dtype=np.float64))
        return cls(inverse=tuple(inverse), half_log_determinants=np.array(halves), indicators=partitions.indicators)


def log_densities(params: PartitionParams, partitions: Partitions, genes: Genes) -> Matrix:
    """`log f(s_g | j)` of each gene and partition, shape (G, J) [PART-2]."""
    return _expected(params, partitions, genes)[0]


def responsibilities(params: PartitionParams, partitions: Partitions, genes: Genes) -> tuple[Matrix, Vector]:
    """Posterior over partitions, shape (G, J), and the genes' log densities, shape (G,) [PART-8]."""
    return normalised(log_densities(params, partitions, genes), params.shares)


def summarise(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    """Statistics of one piece, in the space that suits what is known and how many sample types there are."""
    if quadratic.serves(params, genes):
        return quadratic.summarise(params, partitions, genes)
    if projected.serves(params, genes):
        return projected.summarise(params, partitions, genes)
    return summarise_by_partition(params, partitions, genes)


def summarise_by_partition(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    """One partition after another; the scores are those of the complete data, averaged: Fisher's identity [PART-3]."""
    parts = [_summarised(params, partitions, part) for part in genes.blocks(BLOCK)]
    return reduce(operator.add, parts)


def _summarised(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    densities, t, information, blocks = _expected(params, partitions, genes)
    posterior, log_density = normalised(densities, params.shares)
    counts, types = posterior.sum(axis=0), genes.types
    P, noise = params.proportions[types], params.noise()[types]
    error = noise / genes.counts
    size, count, n = P.shape[1], len(genes), genes.counts
    first, cross, covariance = np.zeros((count, size)), np.zeros((size, size)), np.zeros((size, size))
    quad = trace = drawn = 0.0
    for j, (inverse, indicator) in enumerate(zip(blocks.inverse, blocks.indicators, strict=True)):
        weight = posterior[:, j : j + 1]
        slope = (t @ indicator) @ inverse  # Q'V^-1 r
        deviation = params.between * slope @ indicator.T
        weighted = weight * deviation
        first += weighted
        cross += weighted.T @ deviation
        covariance += counts[j] * params.between * indicator @ inverse @ indicator.T
        quad += float((weight * slope * slope).sum())
        trace += float(counts[j] * np.trace(inverse @ indicator.T @ information @ indicator))
        drawn += float(counts[j] * indicator.shape[1])
    r = genes.means - params.mean
    crossed, moment = r.T @ first, cross + covariance
    squares = (r * r).sum(axis=0)
    left = squares - 2.0 * (P * crossed).sum(axis=1) + ((P @ cross) * P).sum(axis=1)  # sum (sbar - P dev)^2
    unknown = ((P @ covariance) * P).sum(axis=1)
    within = genes.within.sum(axis=0)
    every = len(params.proportions)
    scores = joint_scores(params, genes)
    score, hessian, outer = curvature(scores, params, partitions, genes, densities, posterior, log_density)
    return PartitionStats(
        log_likelihood=float(log_density.sum()),
        counts=counts,
        score_mean=float(((r - first @ P.T) / error).sum()),
        quad_between=quad,
        trace_between=trace,
        blocks=drawn,
        quad_noise=spread(left / error**2 / n + within / noise**2, types, every),
        trace_noise=spread((count - unknown / error) / error / n + count * (n - 1.0) / noise, types, every),
        samples=spread(n * count, types, every),
        linear=spread(n * r.sum(axis=0), types, every),
        squares=spread(n * squares + within, types, every),
        firsts=spread(np.outer(n, first.sum(axis=0)), types, every),
        crossed=spread(n[:, None] * crossed, types, every),
        moments=spread(n[:, None, None] * moment, types, every),
        score=score,
        hessian=hessian,
        outer=outer,
    )


def _expected(params: PartitionParams, partitions: Partitions, genes: Genes) -> tuple[Matrix, Matrix, Matrix, Blocks]:
    """Log densities (G, J), `t = P'E^-1 r` (G, T), H (T, T) and what the partitions share."""
    P, noise = params.proportions[genes.types], params.noise()[genes.types]
    error = noise / genes.counts
    r = genes.means - params.mean
    scaled = P / error[:, None]
    t, information = r @ scaled, P.T @ scaled
    blocks = Blocks.at(params.between, information, partitions)
    constant = -0.5 * float(
        ((genes.counts - 1.0) * (LOG_2PI + np.log(noise)) + np.log(genes.counts) + LOG_2PI + np.log(error)).sum()
    )
    common = constant - 0.5 * ((genes.within / noise).sum(axis=1) + (r * r / error).sum(axis=1))
    densities = np.empty((len(genes), len(partitions)))
    for j, (inverse, indicator) in enumerate(zip(blocks.inverse, blocks.indicators, strict=True)):
        u = t @ indicator
        densities[:, j] = 0.5 * params.between * np.einsum("gb,gb->g", u @ inverse, u)
    densities += common[:, None]
    densities -= blocks.half_log_determinants
    return densities, t, information, blocks


def normalised(densities: Matrix, shares: Vector) -> tuple[Array, Vector]:
    """Posterior over partitions (G, J) and log densities (G,) from the densities given each partition."""
    with np.errstate(divide="ignore"):
        weighted = densities + np.log(shares)
    total = logsumexp(weighted, axis=1, keepdims=True)
    return np.exp(weighted - total), total[:, 0]
