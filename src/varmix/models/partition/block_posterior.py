"""What a fit with a variance per gene, partition and block says about each gene [PART-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from varmix.models.partition.block_climb import climb_blocks
from varmix.models.partition.block_density import BLOCK_DENSITIES, JointBlocks, Setting
from varmix.models.partition.block_fit import BLOCK, BlockFit, floored_pieces
from varmix.models.partition.genes import Genes
from varmix.models.partition.joint import normalised
from varmix.models.partition.noise_per_gene_block import check_replicates, pooled_variances
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.posterior import GenePosterior
from varmix.typing import Array, Matrix


def block_posterior(
    fit: BlockFit, partitions: Partitions, pieces: Sequence[Genes], *, scale: float = 1.0
) -> GenePosterior:
    """Of the genes of a fit, at its variances; see `posterior_at`. Values are in units of 1 / `scale`."""
    return _posterior(fit.params, partitions, pieces, fit.variances, likelihood=fit.likelihood, scale=scale)


def posterior_at(
    params: PartitionParams,
    partitions: Partitions,
    pieces: Sequence[Genes],
    *,
    likelihood: str = "joint",
    scale: float = 1.0,
) -> GenePosterior:
    """Of any genes at the parameters of a fit, their variances at their own maximum [PART-8].

    Means given a partition are those of the joint likelihood at the best variances; with "composite" only the
    partitions' probabilities and the log densities are the composite's. That variances are estimates is not in the sds.
    Raises OptionError where no sample type has replicates.
    """
    genes = 1 + max(int(piece.positions.max()) for piece in pieces)
    variances = tuple(np.zeros((genes, indicator.shape[1])) for indicator in partitions.indicators)
    check_replicates(pieces)
    for piece in floored_pieces(pieces):
        for indicator, every in zip(partitions.indicators, variances, strict=True):
            setting, begin = Setting.of(params, indicator, piece.genes), pooled_variances(piece.genes, every.shape[1])
            found = climb_blocks(BLOCK_DENSITIES[likelihood], setting, begin, piece.floor)
            every[piece.genes.positions] = found.variances
    return _posterior(params, partitions, pieces, variances, likelihood=likelihood, scale=scale)


def _posterior(
    params: PartitionParams,
    partitions: Partitions,
    pieces: Sequence[Genes],
    variances: tuple[Matrix, ...],
    *,
    likelihood: str,
    scale: float,
) -> GenePosterior:
    count = len(partitions.types)
    genes = len(variances[0])
    probabilities = np.tile(params.shares, (genes, 1))
    means, log_densities = np.full((genes, count), params.mean), np.zeros(genes)
    prior = params.between * np.tensordot(params.shares, partitions.together, axes=1)
    covariances = np.tile(prior, (genes, 1, 1))
    density = BLOCK_DENSITIES[likelihood]
    for part in (block for piece in pieces for block in piece.blocks(BLOCK)):
        if not len(part.types):
            continue
        at, densities, moments = part.positions, [], []
        for indicator, own in zip(partitions.indicators, variances, strict=True):
            setting = Setting.of(params, indicator, part)
            densities.append(density.at(setting, own[at]).log_density)
            moments.append(_deviations(setting, indicator, own[at]))
        posterior, log_density = normalised(np.stack(densities, axis=1), params.shares)
        first = np.zeros((len(part), count))
        for weight, (mean, _) in zip(posterior.T, moments, strict=True):
            first += weight[:, None] * mean
        spread = np.zeros((len(part), count, count))
        for weight, (mean, covariance) in zip(posterior.T, moments, strict=True):
            away = mean - first
            spread += weight[:, None, None] * (away[:, :, None] * away[:, None, :] + covariance)
        probabilities[at], means[at], covariances[at] = posterior, params.mean + first, spread
        log_densities[at] = log_density - float(part.counts.sum()) * math.log(scale)
    return GenePosterior(
        partitions=partitions,
        probabilities=probabilities,
        means=means * scale,
        covariances=covariances * scale**2,
        log_densities=log_densities,
        scale=np.ones(genes),
    )


def _deviations(setting: Setting, indicator: Matrix, variances: Matrix) -> tuple[Matrix, Array]:
    """Means (G, T) and covariances (G, T, T) of the types' deviations from mu_0 given the partition."""
    spectrum = JointBlocks.at(setting, variances).spectrum
    shrunk = setting.between / (1.0 + setting.between * spectrum.values)
    basis = indicator @ spectrum.basis
    covariance = (basis * shrunk[:, None, :]) @ basis.transpose(0, 2, 1)
    return np.einsum("gtb,gb->gt", basis, shrunk * spectrum.slope), covariance
