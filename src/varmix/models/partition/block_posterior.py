"""What a fit with a variance per gene, partition and block says about each gene [PART-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from varmix.models.partition.block_density import BLOCK_DENSITIES, JointBlocks, Setting
from varmix.models.partition.block_fit import BLOCK, BlockFit
from varmix.models.partition.genes import Genes
from varmix.models.partition.joint import normalised
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.posterior import GenePosterior
from varmix.typing import Array, Matrix


def block_posterior(
    fit: BlockFit, partitions: Partitions, pieces: Sequence[Genes], *, scale: float = 1.0
) -> GenePosterior:
    """Posterior over partitions, and means and covariances of cell types given the variances, in units of 1 / `scale`.

    Means given a partition are those of the joint likelihood at the fit's variances; with "composite" only the
    partitions' probabilities and the log densities are the composite's. That variances are estimates is not in the sds.
    """
    params, count = fit.params, len(partitions.types)
    genes = len(fit.variances[0])
    probabilities = np.tile(params.shares, (genes, 1))
    means, log_densities = np.full((genes, count), params.mean), np.zeros(genes)
    prior = params.between * np.tensordot(params.shares, partitions.together, axes=1)
    covariances = np.tile(prior, (genes, 1, 1))
    density = BLOCK_DENSITIES[fit.likelihood]
    for part in (block for piece in pieces for block in piece.blocks(BLOCK)):
        if not len(part.types):
            continue
        at, densities, moments = part.positions, [], []
        for indicator, variances in zip(partitions.indicators, fit.variances, strict=True):
            setting = Setting.of(params, indicator, part)
            densities.append(density.at(setting, variances[at]).log_density)
            moments.append(_deviations(setting, indicator, variances[at]))
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
