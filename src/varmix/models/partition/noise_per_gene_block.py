"""One free cell variance per gene, partition and block: the source note's first section, kept for fidelity [PART-5].

Over-parametrised: a gene with n samples pays for as many variances as its partition has blocks, and finer partitions
are free to fit better, so shares of partitions mean little. The likelihood is bounded only by the floor below where a
gene is constant within types, and is unbounded where the proportions are free (they can put a gene's means on the
span of its blocks). Use `shared` or `moderated` for inference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import LOG_2PI, Spectrum
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.typing import Array, Matrix, Vector

FLOOR = 1e-8
"""Share of a gene's mean square about mu_0 below which a variance does not fall: constant genes would go to 0."""

STEPS = 500
"""MM steps at most: a variance that falls to its floor does so slowly, and gains nothing any more."""

GAIN = 1e-8
"""Gain per step in any gene's log density below which the climb ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockVariances:
    """`log_densities` (G, J) at the best variances, and those: per partition (G, B_j), in squared units of expression.

    `converged` is whether every gene and partition came to rest.
    """

    log_densities: Matrix
    variances: tuple[Matrix, ...]
    converged: bool


def fit_block_variances(params: PartitionParams, partitions: Partitions, genes: Genes) -> BlockVariances:
    """Maximise `log f(s_g | j)` over the variances of the blocks of every gene and partition, at mu_0, a, P held.

    Variances `tau_gjB^2` take the place of tau^2: `d_gs = sum_B tau_gjB^2 sum_(t in B) p_st^2 + omega^2`. As shares
    weigh densities with positive weights, this is also the maximum of the whole likelihood over these variances. MM:
    each step multiplies a variance by the root of (what the data show / what it predicts), and raises every density.
    Raises OptionError where no sample type has replicates: the densities are then unbounded.
    """
    if not (genes.counts > 1.0).any():
        raise OptionError(
            "variance='per_gene_block' needs sample types with two samples or more: without sums of squares within "
            "types its densities are unbounded. Use variance='shared' or 'moderated'."
        )
    densities, variances, converged = [], [], True
    for indicator in partitions.indicators:
        found, values, rested = _climb(params, indicator, genes)
        densities.append(values)
        variances.append(found)
        converged &= rested
    return BlockVariances(log_densities=np.stack(densities, axis=1), variances=tuple(variances), converged=converged)


def _climb(params: PartitionParams, indicator: Matrix, genes: Genes) -> tuple[Matrix, Vector, bool]:
    P = params.proportions[genes.types]
    loading = (P * P) @ indicator  # d = loading . tau^2 + omega^2
    spread = genes.within.sum(axis=1) / max(float((genes.counts - 1.0).sum()), 1.0)
    square = ((genes.means - params.mean) ** 2).mean(axis=1) + spread
    floor = FLOOR * np.where(square > 0.0, square, 1.0)[:, None]
    variances = np.maximum(np.repeat(spread[:, None], indicator.shape[1], axis=1), floor)
    before, shown, predicted = _density(params, P, loading, indicator, genes, variances)
    for _ in range(STEPS):
        ratio = np.divide(shown @ loading, predicted @ loading, out=np.ones_like(variances), where=loading.any(axis=0))
        following = np.maximum(variances * np.sqrt(ratio), floor)
        after, shown, predicted = _density(params, P, loading, indicator, genes, following)
        variances, gain, before = following, float(np.abs(after - before).max(initial=0.0)), after
        if gain < GAIN:
            return variances, before, True
    return variances, before, False


def _density(
    params: PartitionParams, P: Matrix, loading: Matrix, indicator: Matrix, genes: Genes, variances: Matrix
) -> tuple[Vector, Matrix, Matrix]:
    """Log density (G,), and the positive and negative parts of twice its derivative by d, both (G, D) [PART-3]."""
    sample = variances @ loading.T + params.measurement
    inverse = genes.counts / sample
    r, freedom, size = genes.means - params.mean, genes.counts - 1.0, P.shape[1]
    information: Array = (inverse @ (P[:, :, None] * P[:, None, :]).reshape(len(P), -1)).reshape(-1, size, size)
    spectrum = Spectrum.of(information, (r * inverse) @ P, indicator)
    factor = 1.0 + params.between * spectrum.values
    shown_by = P @ spectrum.basis  # Q in the eigenvectors, (G, D, B)
    mean = np.einsum("gdb,gb->gd", shown_by, params.between * spectrum.slope / factor)
    weight = (r - mean) * inverse  # V^-1 r
    diagonal = inverse - inverse**2 * np.einsum("gdb,gb->gd", shown_by**2, params.between / factor)
    density = spectrum.gain(params.between, np.ones((len(r), 1)))[:, 0] - 0.5 * (
        float((LOG_2PI * genes.counts + np.log(genes.counts)).sum())
        + np.log(sample) @ freedom
        - np.log(inverse).sum(axis=1)
        + (genes.within / sample).sum(axis=1)
        + (r * r * inverse).sum(axis=1)
    )
    shown = genes.within / sample**2 + weight**2 / genes.counts
    return density, shown, freedom / sample + np.maximum(diagonal, 0.0) / genes.counts
