"""What the data say about each gene: its partition, which cell types share, and the types' means [PART-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from varmix.models.partition import composite, joint
from varmix.models.partition.genes import Genes
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.typing import Array, Index, Matrix, Vector

NOISELESS = 1e-8
"""Noise variance relative to a that is taken where there is none, as the composite likelihood's maximum often has."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TypeDifferences:
    """Differences of K pairs of cell types: `pairs` (K, 2) positions, all others (G, K) [PART-8].

    `together` is the probability that the two share a block: of a difference of exactly 0 where blocks do not scatter.
    """

    pairs: Index
    estimates: Matrix
    sds: Matrix
    together: Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GenePosterior:
    """Genes in the order of the data, in its units; a gene without any sample has its prior [PART-8].

    `probabilities` (G, J) of partitions; `means` (G, T) and `covariances` (G, T, T) of the cell types over partitions
    and all else that is hidden; `log_densities` (G,) of the genes' samples; `scale` (G,) is the mean of the factor
    lambda_g of a gene's noise, 1 where all genes share one.
    """

    partitions: Partitions
    probabilities: Matrix
    means: Matrix
    covariances: Array
    log_densities: Vector
    scale: Vector

    @property
    def sds(self) -> Matrix:
        """Standard deviations of the cell types' means, shape (G, T)."""
        return np.asarray(np.sqrt(np.maximum(np.einsum("gtt->gt", self.covariances), 0.0)))

    @property
    def together(self) -> Array:
        """Probability that cell types t and u share a block, shape (G, T, T)."""
        return np.asarray(np.tensordot(self.probabilities, self.partitions.together, axes=1))

    @property
    def local_false_discovery_rate(self) -> Vector:
        """Probability that all cell types are equal, shape (G,)."""
        equal = [j for j, label in enumerate(self.partitions.labels) if max(label) == 0]
        return np.asarray(self.probabilities[:, equal].sum(axis=1))

    @property
    def q_values(self) -> Vector:
        """Expected share of false discoveries in the list that ends with each gene, shape (G,): the mean of the local
        rates up to its own. Genes of equal rates enter together."""
        rates = self.local_false_discovery_rate
        ordered = np.sort(rates)
        means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
        return np.asarray(means[np.searchsorted(ordered, rates, side="right") - 1])

    @property
    def best(self) -> Index:
        """Position of the most probable partition of each gene, shape (G,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def differences(self, pairs: Sequence[tuple[int, int]] | None = None) -> TypeDifferences:
        """First less second cell type of `pairs` of positions; None: all T (T - 1) / 2."""
        chosen = list(combinations(range(self.means.shape[1]), 2)) if pairs is None else list(pairs)
        at = np.array(chosen, dtype=np.intp).reshape(-1, 2)
        first, second = at.T
        V = self.covariances
        variances = V[:, first, first] - 2.0 * V[:, first, second] + V[:, second, second]
        return TypeDifferences(
            pairs=at,
            estimates=self.means[:, first] - self.means[:, second],
            sds=np.sqrt(np.maximum(variances, 0.0)),
            together=self.together[:, first, second],
        )


def gene_posterior(model: PartitionMixture, params: PartitionParams) -> GenePosterior:
    """At a point in internal units. Means of cell types given a partition are those of the joint likelihood; with
    likelihood="composite" only the partitions' probabilities and the log densities are the composite's."""
    size = 1 + max(int(piece.positions.max()) for piece in model.pieces)
    count, types = len(model.partitions), len(model.partitions.types)
    probabilities = np.tile(params.shares, (size, 1))
    means = np.full((size, types), params.mean)
    prior = params.between * np.tensordot(params.shares, model.partitions.together, axes=1)
    covariances = np.tile(prior, (size, 1, 1))
    log_densities = np.zeros(size)
    weigh = composite.responsibilities if model.likelihood == "composite" else joint.responsibilities
    for piece in model.pieces:
        if not len(piece.types):
            continue
        for part in piece.blocks(joint.BLOCK):
            posterior, log_density = weigh(params, model.partitions, part)
            first, spread = type_moments(params, model.partitions, part, posterior)
            at = part.positions
            probabilities[at], means[at] = posterior.reshape(-1, count), params.mean + first
            covariances[at] = spread
            log_densities[at] = log_density - float(part.counts.sum()) * math.log(model.scale)
    return GenePosterior(
        partitions=model.partitions,
        probabilities=probabilities,
        means=means * model.scale,
        covariances=covariances * model.scale**2,
        log_densities=log_densities,
        scale=np.ones(size),
    )


def type_moments(
    params: PartitionParams, partitions: Partitions, genes: Genes, posterior: Matrix
) -> tuple[Matrix, Array]:
    """Mean (G, T) and covariance (G, T, T) of cell types' deviations from mu_0, partitions weighted by `posterior`.

    Two passes: a variance far below the square of its mean keeps its digits.
    """
    P = params.proportions[genes.types]
    noise = np.maximum(params.noise()[genes.types], NOISELESS * params.between)
    scaled = P / (noise / genes.counts)[:, None]
    t, information = (genes.means - params.mean) @ scaled, P.T @ scaled
    blocks = joint.Blocks.at(params.between, information, partitions)
    within = [
        params.between * indicator @ inverse @ indicator.T
        for inverse, indicator in zip(blocks.inverse, blocks.indicators, strict=True)
    ]
    mean = np.zeros((len(genes), P.shape[1]))
    for weight, covariance in zip(posterior.T, within, strict=True):
        mean += weight[:, None] * (t @ covariance)
    spread = np.tensordot(posterior, np.stack(within), axes=1)
    for weight, covariance in zip(posterior.T, within, strict=True):
        away = t @ covariance - mean
        spread += weight[:, None, None] * away[:, :, None] * away[:, None, :]
    return mean, spread
