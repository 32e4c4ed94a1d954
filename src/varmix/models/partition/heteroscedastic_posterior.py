"""Posterior of genes whose noise differs: the scale of a gene's noise and the scatter of its cell types are integrated
over as well [PART-5] [PART-8]."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import BLOCK, Prepared, Spectrum
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.joint import normalised
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.posterior import NOISELESS, GenePosterior
from varmix.models.partition.scale_integral import weighted_densities
from varmix.typing import Array, Matrix, Vector

LogDensities = Callable[[HeteroscedasticParams, Partitions, Genes], Matrix]
"""`log f(s_g | j)` of a piece, shape (G, J)."""


def noise_posterior(
    params: HeteroscedasticParams,
    partitions: Partitions,
    pieces: Sequence[Genes],
    *,
    scale: float = 1.0,
    densities: LogDensities | None = None,
) -> GenePosterior:
    """At a point in internal units (data divided by `scale`); the posterior is in the units of the data.

    A cell type's mean is that of its block and its own scatter about it. `densities` of another likelihood, such as the
    composite's, weigh the partitions; means, covariances and scales given one are those of the joint likelihood. A gene
    without samples has its prior, with scatter at the level mu_0. The mean of lambda_g is infinite where a spread of 1
    or more meets too few samples, and so are then the variances of cell types that scatter.
    """
    size = 1 + max(int(piece.positions.max()) for piece in pieces)
    probabilities = np.tile(params.shares, (size, 1))
    means = np.full((size, len(partitions.types)), params.mean)
    unseen, factor = _prior(params, partitions)
    noisy = _with_noise(params)
    covariances, scales, totals = np.tile(unseen, (size, 1, 1)), np.full(size, factor), np.zeros(size)
    for piece in pieces:
        for part in piece.blocks(BLOCK) if len(piece.types) else ():
            at = part.positions
            prepared = Prepared.at(noisy, partitions, part)
            weighted, nodes = weighted_densities(noisy, prepared)
            joint = logsumexp(weighted, axis=2)
            own = joint.T if densities is None else densities(params, partitions, part)
            weight, total = normalised(own, params.shares)
            given = np.exp(weighted - joint[:, :, None])  # lambda given the samples and the partition, (J, G, L)
            deviations, covariances[at], scales[at] = _moments(noisy, prepared, weight, given, nodes)
            probabilities[at], means[at] = weight, params.mean + deviations
            totals[at] = total - float(part.counts.sum()) * math.log(scale)
    return GenePosterior(
        partitions=partitions,
        probabilities=probabilities,
        means=means * scale,
        covariances=covariances * scale**2,
        log_densities=totals,
        scale=scales,
    )


def _with_noise(params: HeteroscedasticParams) -> HeteroscedasticParams:
    """Samples of a type with a variance: a maximum of the composite likelihood may have none [PART-6]."""
    noise = params.noise
    if noise.cell + noise.measurement + noise.proportional > 0.0:
        return params
    return replace(params, noise=replace(noise, measurement=NOISELESS * params.between))


def _moments(
    params: HeteroscedasticParams, prepared: Prepared, weight: Matrix, given: Array, scale: Matrix
) -> tuple[Matrix, Array, Vector]:
    """Mean (G, T) and covariance (G, T, T) of the types' deviations from mu_0 and the mean of lambda (G,), from the
    partitions' probabilities (G, J) and those `given` them of the scales (G, L).

    Given blocks b and lambda, x is normal with mean `A (k t + C b)` and covariance `lambda k A`, A = (I + k H)^-1: the
    means do not depend on lambda, so that moments of C b over partitions and scales are all that is needed.
    """
    factor = (np.einsum("gj,jgl->gl", weight, given) * scale).sum(axis=1)
    if params.spread and 1.0 / params.spread + 0.5 * float(prepared.genes.counts.sum()) <= 1.0:
        factor = np.full(len(scale), math.inf)
    types = prepared.proportions.shape[1]
    means, spread = np.empty((len(given), len(scale), types)), np.zeros((len(scale), types, types))
    for j, (spectrum, nodes) in enumerate(zip(prepared.spectra, given, strict=True)):
        means[j], within = _block_moments(spectrum, nodes, scale, params.between)
        spread += weight[:, j, None, None] * within
    blocks = np.einsum("gj,jgt->gt", weight, means)
    for share, mean in zip(weight.T, means, strict=True):
        away = mean - blocks
        spread += share[:, None, None] * away[:, :, None] * away[:, None, :]
    scatter = prepared.scatter
    if not scatter.variance.any():
        return blocks, spread, factor
    A, k = scatter.shrinkage, scatter.variance
    centre = np.einsum("gtu,gu->gt", A, k[:, None] * scatter.raw + blocks)
    own = k * np.where(np.isfinite(factor), factor, 0.0)
    covariance = own[:, None, None] * A + A @ spread @ A.transpose(0, 2, 1)
    covariance[np.isinf(factor) & (k > 0.0)] += _infinite(A.shape[1])
    return centre, covariance, factor


def _block_moments(spectrum: Spectrum, nodes: Matrix, scale: Matrix, between: float) -> tuple[Matrix, Array]:
    """Mean (G, T) and covariance (G, T, T) of the blocks' deviations C b given a partition, over nodes (G, L)."""
    shrunk = (between / scale)[:, :, None]
    factor = 1.0 + shrunk * spectrum.values[:, None, :]
    at_nodes = shrunk * spectrum.slope[:, None, :] / factor  # (G, L, B)
    mean = np.einsum("gl,glb->gb", nodes, at_nodes)
    away = at_nodes - mean[:, None, :]
    inner = (nodes[:, :, None] * away).transpose(0, 2, 1) @ away
    index = np.arange(inner.shape[1])
    inner[:, index, index] += between * np.einsum("gl,glb->gb", nodes, 1.0 / factor)
    basis = spectrum.basis
    return np.einsum("gtb,gb->gt", basis, mean), basis @ inner @ basis.transpose(0, 2, 1)


def _prior(params: HeteroscedasticParams, partitions: Partitions) -> tuple[Matrix, float]:
    """Covariance (T, T) of the cell types of a gene without samples, and its mean of lambda."""
    factor = 1.0 / (1.0 - params.spread) if params.spread < 1.0 else math.inf
    shared = params.between * np.tensordot(params.shares, partitions.together, axes=1)
    level = params.trend.levels(np.array([[params.mean]]))
    k = float(params.noise.variances(np.ones(1), level, np.ones(1)).scatter[0])
    if not k:
        return np.asarray(shared), factor
    own = factor * k * np.eye(len(shared)) if math.isfinite(factor) else _infinite(len(shared))
    return np.asarray(shared + own), factor


def _infinite(types: int) -> Matrix:
    """A diagonal of infinite variances, without infinity times 0 beside it."""
    return np.asarray(np.where(np.eye(types) > 0.0, math.inf, 0.0))
