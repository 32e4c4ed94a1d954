"""What the data say about each gene: its partition, which cell types share, and the types' means [PART-8]."""

from __future__ import annotations

from dataclasses import dataclass

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
class GenePosterior:
    """Genes in the order of the data: posterior over partitions (G, J), cell types' means and their sds (G, T).

    Means and sds are in the units of the data; a gene without any sample has its prior.
    """

    partitions: Partitions
    probabilities: Matrix
    means: Matrix
    sds: Matrix

    @property
    def together(self) -> Array:
        """Probability that cell types t and u share a block, shape (G, T, T)."""
        return np.asarray(np.einsum("gj,jtu->gtu", self.probabilities, self.partitions.together))

    @property
    def local_false_discovery_rate(self) -> Vector:
        """Probability that all cell types are equal, shape (G,)."""
        equal = [j for j, label in enumerate(self.partitions.labels) if max(label) == 0]
        return np.asarray(self.probabilities[:, equal].sum(axis=1))

    @property
    def best(self) -> Index:
        """Position of the most probable partition of each gene, shape (G,)."""
        return np.asarray(self.probabilities.argmax(axis=1))


def gene_posterior(model: PartitionMixture, params: PartitionParams) -> GenePosterior:
    """At a point in internal units. Means of cell types given a partition are those of the joint likelihood; with
    likelihood="composite" only the partitions' probabilities are the composite's."""
    size = 1 + max(int(piece.positions.max()) for piece in model.pieces)
    count, types = len(model.partitions), len(model.partitions.types)
    probabilities = np.tile(params.shares, (size, 1))
    means = np.full((size, types), params.mean)
    squares = np.full((size, types), params.between)
    weigh = composite.responsibilities if model.likelihood == "composite" else joint.responsibilities
    for piece in model.pieces:
        for part in piece.blocks(joint.BLOCK):
            posterior, _ = weigh(params, model.partitions, part)
            first, second = type_deviations(params, model.partitions, part, posterior)
            at = part.positions
            probabilities[at], means[at] = posterior.reshape(-1, count), params.mean + first
            squares[at] = np.maximum(second - first * first, 0.0)
    return GenePosterior(
        partitions=model.partitions,
        probabilities=probabilities,
        means=means * model.scale,
        sds=np.sqrt(squares) * model.scale,
    )


def type_deviations(
    params: PartitionParams, partitions: Partitions, genes: Genes, posterior: Matrix
) -> tuple[Matrix, Matrix]:
    """First and second moments (G, T) of cell types' deviations from mu_0, over partitions weighted by `posterior`."""
    P = params.proportions[genes.types]
    noise = np.maximum(params.noise()[genes.types], NOISELESS * params.between)
    scaled = P / (noise / genes.counts)[:, None]
    t, information = (genes.means - params.mean) @ scaled, P.T @ scaled
    blocks = joint.Blocks.at(params.between, information, partitions)
    first, second = np.zeros((len(genes), P.shape[1])), np.zeros((len(genes), P.shape[1]))
    for j, (inverse, indicator) in enumerate(zip(blocks.inverse, blocks.indicators, strict=True)):
        weight, covariance = posterior[:, j : j + 1], params.between * indicator @ inverse @ indicator.T
        deviation = t @ covariance
        first += weight * deviation
        second += weight * (deviation**2 + covariance.diagonal())
    return first, second
