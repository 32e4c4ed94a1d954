"""The joint likelihood where every gene and type has its own error variance, in the space of cell types [PART-2].

`H_g = P'E_g^-1 P` now differs between genes. Its blocks are diagonalised once per partition, so that any number of
scales of a gene's noise (`variance="moderated"`) costs vector operations only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import logsumexp

from varmix.models.partition.block_systems import BlockSystems
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.moderated import prior_score
from varmix.models.partition.noise import NoiseVariances
from varmix.models.partition.noise_scatter import Scatter
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.scale_integral import Weighed, score_of_no_spread, weighted_densities
from varmix.typing import Array, Matrix, Square, Vector

LOG_2PI = math.log(2.0 * math.pi)

BLOCK = 1_024
"""Genes at a time: the (genes, partitions, nodes) arrays of a handful of partitions stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeteroscedasticStats:
    """Sums over genes; `score_*` are derivatives of the log-likelihood [PART-3].

    `score_noise` is in the order of `noise.NAMES`; `score_shares` (J,) and `score_proportions` (D, T) treat entries as
    free, the latter with what P does to the cell noise. `score_spread` is 0 at a spread of 0: see `spread_score`.
    `share_products` (J, J) is minus the second derivatives by the shares, exact [PART-3].
    """

    log_likelihood: float
    counts: Vector
    score_mean: float
    score_between: float
    score_noise: Vector
    score_spread: float
    score_shares: Vector
    score_proportions: Matrix
    share_products: Square

    def __add__(self, other: HeteroscedasticStats) -> HeteroscedasticStats:
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return HeteroscedasticStats(**sums)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """`C_j'H_g C_j` in its eigenvectors: `values` (G, B), `basis` (G, T, B) = C_j U_g, `slope` (G, B) = U_g'C_j't_g."""

    values: Matrix
    basis: Array
    slope: Matrix

    @classmethod
    def of(cls, information: Array, t: Matrix, indicator: Matrix) -> Spectrum:
        """From H (G, T, T), t (G, T) and block indicators (T, B)."""
        inner = indicator.T @ information @ indicator
        if indicator.shape[1] == 1:
            basis = np.broadcast_to(indicator, (len(t), *indicator.shape))
            return cls(values=inner[:, :, 0], basis=basis, slope=t @ indicator)
        values, vectors = np.linalg.eigh(inner)
        basis = indicator @ vectors
        return cls(values=np.maximum(values, 0.0), basis=basis, slope=np.einsum("gt,gtb->gb", t, basis))

    def gain(self, between: float, scale: Matrix) -> Matrix:
        """What the blocks add to the log density without them, at scales lambda (G, L): shape (G, L)."""
        shrunk = between / scale
        out, determinant = np.zeros_like(scale), np.ones_like(scale)
        for b in range(self.values.shape[1]):
            factor = shrunk * self.values[:, b, None]
            factor += 1.0
            determinant *= factor
            out += np.divide(self.slope[:, b, None] ** 2, factor, out=factor)
        out *= shrunk / scale
        out -= np.log(determinant, out=determinant)
        out *= 0.5
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A piece at a point: residuals, variances, and per partition the spectra."""

    genes: Genes
    residual: Matrix
    proportions: Matrix
    squares: Vector
    variances: NoiseVariances
    scatter: Scatter
    spectra: tuple[Spectrum, ...]
    constant: Vector
    """Log density without blocks at lambda = 1, without its sum of squares, (G,)."""
    squares_sum: Vector
    """Sum of squares over variances, within types and of the means, (G,)."""

    @classmethod
    def at(
        cls, params: HeteroscedasticParams, partitions: Partitions, genes: Genes, *, spectra: bool = True
    ) -> Prepared:
        """Without `spectra` no other scale of noise than 1 can be asked for."""
        P = params.proportions[genes.types]
        squares = (P * P).sum(axis=1)
        found = params.noise.variances(squares, params.trend.levels(genes.means), genes.counts)
        r = genes.means - params.mean
        size = P.shape[1]
        inverse = 1.0 / found.mean
        information = (inverse @ (P[:, :, None] * P[:, None, :]).reshape(len(P), -1)).reshape(-1, size, size)
        scatter = Scatter.of(found.scatter, information, (r * inverse) @ P)
        freedom = genes.counts - 1.0
        constant = -0.5 * (
            float((LOG_2PI * genes.counts + np.log(genes.counts)).sum())
            + np.log(found.sample) @ freedom
            + np.log(found.mean).sum(axis=1)
            + scatter.log_determinant
        )
        return cls(
            genes=genes,
            residual=r,
            proportions=P,
            squares=squares,
            variances=found,
            scatter=scatter,
            spectra=tuple(
                Spectrum.of(scatter.information, scatter.shrunk, indicator)
                for indicator in (partitions.indicators if spectra else ())
            ),
            constant=constant,
            squares_sum=(genes.within / found.sample).sum(axis=1) + (r * r * inverse).sum(axis=1) - scatter.explained,
        )

    def log_densities(self, between: float, scale: Matrix) -> Array:
        """`log f(s_g | j, lambda)` at scales (G, L): shape (J, G, L)."""
        common = (
            self.constant[:, None]
            - 0.5 * float(self.genes.counts.sum()) * np.log(scale)
            - 0.5 * self.squares_sum[:, None] / scale
        )
        return np.stack([spectrum.gain(between, scale) for spectrum in self.spectra]) + common


def log_densities(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> Matrix:
    """`log f(s_g | j)`, the scale of the gene's noise integrated out, shape (G, J) [PART-2] [PART-5]."""
    out = np.empty((len(genes), len(partitions)))
    start = 0
    for block in genes.blocks(BLOCK):
        prepared = Prepared.at(params, partitions, block)
        out[start : start + len(block)] = logsumexp(weighted_densities(params, prepared)[0], axis=2).T
        start += len(block)
    return out


def summarise(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> HeteroscedasticStats:
    """Statistics of one piece, with the scores of the complete data averaged: Fisher's identity [PART-3]."""
    parts = iter(_block_stats(params, partitions, block) for block in genes.blocks(BLOCK))
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def spread_score(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> float:
    """Derivative of the log-likelihood by the spread at 0: half the curvature of the density in u = 1/lambda [PART-5].

    By differences of a density that is smooth in u: good to four digits, where the sign and size matter.
    """
    blocks = genes.blocks(BLOCK)
    return float(sum(score_of_no_spread(params, Prepared.at(params, partitions, block)) for block in blocks))


def _block_stats(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> HeteroscedasticStats:
    one_scale = params.spread == 0.0
    prepared = Prepared.at(params, partitions, genes, spectra=not one_scale)
    weighed, moments = (_at_one_scale if one_scale else _over_scales)(params, partitions, prepared)
    joint, scale = weighed.posterior, weighed.scale
    P, r, at = prepared.proportions, prepared.residual, prepared.variances
    precision = (joint.sum(axis=0) / scale).sum(axis=1)  # E[1 / lambda]
    first, second, between = moments
    by_scatter = prepared.scatter.score(precision, first, second)
    first, second = prepared.scatter.moments(precision, first, second)
    first_at, second_at = first @ P.T, second.reshape(len(genes), -1)
    squared = second_at @ (P[:, :, None] * P[:, None, :]).reshape(len(P), -1).T
    left = precision[:, None] * r * r - 2.0 * first_at * r + squared
    by_mean = 0.5 * (left / at.mean - 1.0) / at.mean
    by_sample = by_mean / genes.counts
    by_sample += 0.5 * (precision[:, None] * genes.within / at.sample - (genes.counts - 1.0)) / at.sample
    score_proportions = np.zeros_like(params.proportions)
    inverse = 1.0 / at.mean
    moment = (inverse.T @ second.reshape(len(genes), -1)).reshape(len(P), *second.shape[1:])
    score_proportions[genes.types] = (
        (r * inverse).T @ first
        - np.einsum("st,stu->su", P, moment)
        + 2.0 * params.noise.cell * by_sample.sum(axis=0)[:, None] * P
    )
    spread = float((joint.sum(axis=0) * prior_score(np.log(scale), params.spread)).sum()) if params.spread else 0.0
    return HeteroscedasticStats(
        log_likelihood=float(weighed.log_density.sum()),
        counts=joint.sum(axis=(1, 2)),
        score_mean=float(((precision[:, None] * r - first_at) * inverse).sum()),
        score_between=between,
        score_noise=params.noise.pull(
            at, prepared.squares, by_sample=by_sample, by_mean=by_mean, by_scatter=by_scatter
        ),
        score_spread=spread,
        score_shares=weighed.score_shares(params.shares),
        share_products=weighed.share_products(params.shares),
        score_proportions=score_proportions,
    )


Moments = tuple[Matrix, Array, float]
"""Of deviations of cell types over lambda: first (G, T) and second (G, T, T) over partitions, scales; score of a."""


def _over_scales(params: HeteroscedasticParams, partitions: Partitions, prepared: Prepared) -> tuple[Weighed, Moments]:
    weighed, P = Weighed.of(params, prepared), prepared.proportions
    first, between = np.zeros((len(prepared.residual), P.shape[1])), 0.0
    second = np.zeros((*first.shape, P.shape[1]))
    for spectrum, weight in zip(prepared.spectra, weighed.posterior, strict=True):
        mean, square, score = _block_moments(spectrum, weight, weighed.scale, params.between)
        between += score
        first += mean
        second += square
    return weighed, (first, second, between)


def _at_one_scale(params: HeteroscedasticParams, partitions: Partitions, prepared: Prepared) -> tuple[Weighed, Moments]:
    """The same without eigenvectors, for all partitions of a number of blocks at once."""
    a, genes = params.between, len(prepared.residual)
    systems = BlockSystems.of(a, prepared.scatter.information, prepared.scatter.shrunk, partitions)
    densities = np.empty((len(partitions), genes))
    for system in systems:
        densities[system.positions] = system.gain
    densities += prepared.constant - 0.5 * prepared.squares_sum
    weighed = Weighed.from_densities(params, densities[:, :, None], np.ones((genes, 1)))
    parts = [system.moments(a, weighed.posterior[system.positions, :, 0]) for system in systems]
    first, second = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return weighed, (np.asarray(first), np.asarray(second), sum(part[2] for part in parts))


def _block_moments(spectrum: Spectrum, weight: Matrix, scale: Matrix, between: float) -> tuple[Matrix, Array, float]:
    """Of one partition: what it adds to E[Cb / lambda] (G, T), to E[Cbb'C' / lambda] (G, T, T), and the score of a."""
    over = weight / scale
    shrunk = between / scale
    count = spectrum.values.shape[1]
    pull = [
        (spectrum.slope[:, b, None] / scale) / (1.0 + shrunk * spectrum.values[:, b, None]) for b in range(count)
    ]  # slopes Q'V^-1 r in the eigenvectors, (G, L)
    inner = np.empty((len(weight), count, count))
    mean = np.empty((len(weight), count))
    trace = 0.0
    for b in range(count):
        eigen = spectrum.values[:, b, None]
        factor = 1.0 + shrunk * eigen
        mean[:, b] = between * (over * pull[b]).sum(axis=1)
        trace += 0.5 * float((weight * (pull[b] ** 2 - eigen / (scale * factor))).sum())
        for c in range(b + 1):
            inner[:, b, c] = inner[:, c, b] = between**2 * (over * pull[b] * pull[c]).sum(axis=1)
        inner[:, b, b] += between * (over / factor).sum(axis=1)
    basis = spectrum.basis
    return np.einsum("gtb,gb->gt", basis, mean), basis @ inner @ basis.transpose(0, 2, 1), trace
