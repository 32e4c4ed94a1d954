"""The joint likelihood of a gene's samples given its partition, and what it says about the types' means [PART-2].

Block means are integrated out in the space of cell types: with `H = P'E^-1 P` and `t = P'E^-1 r` a partition costs a
few products of T x B, whatever the number of samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from varmix.models.partition.genes import Genes
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.typing import Array, Matrix, Vector

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointStats:
    """Sums over genes at a point, with responsibilities R (G, J).

    `score_*` are derivatives of the log-likelihood [PART-3]; `score_proportions` (D, T) treats entries as free.
    """

    log_likelihood: float
    counts: Vector
    """`sum_g R`, shape (J,)."""
    score_mean: float
    score_between: float
    score_noise: Vector
    """By the noise variance d of each type, shape (D,)."""
    score_proportions: Matrix
    """At constant d, shape (D, T)."""

    def __add__(self, other: JointStats) -> JointStats:
        return JointStats(
            log_likelihood=self.log_likelihood + other.log_likelihood,
            counts=self.counts + other.counts,
            score_mean=self.score_mean + other.score_mean,
            score_between=self.score_between + other.score_between,
            score_noise=self.score_noise + other.score_noise,
            score_proportions=self.score_proportions + other.score_proportions,
        )


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
    return _normalised(log_densities(params, partitions, genes), params.shares)


def summarise(params: PartitionParams, partitions: Partitions, genes: Genes) -> JointStats:
    """Statistics of one piece. The scores are those of the complete data, averaged: Fisher's identity [PART-3]."""
    densities, t, information, blocks = _expected(params, partitions, genes)
    posterior, log_density = _normalised(densities, params.shares)
    a, types = params.between, genes.types
    P, noise = params.proportions[types], params.noise()[types]
    error = noise / genes.counts
    size = P.shape[1]
    first = np.zeros((len(genes), size))
    second = np.zeros((len(genes), size * size))
    between = 0.0
    for j, (inverse, indicator) in enumerate(zip(blocks.inverse, blocks.indicators, strict=True)):
        weight = posterior[:, j : j + 1]
        slope = (t @ indicator) @ inverse  # Q'V^-1 r
        deviation = a * slope @ indicator.T
        weighted = weight * deviation
        first += weighted
        second += (weighted[:, :, None] * deviation[:, None, :]).reshape(len(genes), -1)
        second += weight * (a * indicator @ inverse @ indicator.T).ravel()
        trace = float(np.trace(inverse @ indicator.T @ information @ indicator))
        between += 0.5 * (float((weight * slope * slope).sum()) - trace * float(weight.sum()))
    r = genes.means - params.mean
    crossed = (first @ P.T) * r
    squared = second @ (P[:, :, None] * P[:, None, :]).reshape(len(P), -1).T
    left = (r * r - 2.0 * crossed + squared).sum(axis=0)  # E (sbar - P x)^2
    count = len(genes)
    score_noise = np.zeros(len(params.proportions))
    score_noise[types] = (
        0.5 * (left / error - count) / error / genes.counts
        + 0.5 * (genes.within.sum(axis=0) / noise - count * (genes.counts - 1.0)) / noise
    )
    score_proportions = np.zeros_like(params.proportions)
    moment = second.sum(axis=0).reshape(size, size)
    score_proportions[types] = (r.T @ first - P @ moment) / error[:, None]
    return JointStats(
        log_likelihood=float(log_density.sum()),
        counts=posterior.sum(axis=0),
        score_mean=float(((r - first @ P.T) / error).sum()),
        score_between=between,
        score_noise=score_noise,
        score_proportions=score_proportions,
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


def _normalised(densities: Matrix, shares: Vector) -> tuple[Array, Vector]:
    with np.errstate(divide="ignore"):
        weighted = densities + np.log(shares)
    total = logsumexp(weighted, axis=1, keepdims=True)
    return np.exp(weighted - total), total[:, 0]
