"""One free cell variance per gene, partition and block: the source note's first section, kept for fidelity [PART-5].

Over-parametrised: a gene with n samples pays for as many variances as its partition has blocks, and finer partitions
are free to fit better, so shares of partitions mean little. The likelihood is bounded only by the floor below where a
gene is constant within types, and is unbounded where the proportions are free (they can put a gene's means on the
span of its blocks). Use `shared` or `moderated` for inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition.block_climb import RESIDUAL, climb_blocks
from varmix.models.partition.block_density import BLOCK_DENSITIES, Setting
from varmix.models.partition.genes import Genes
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.typing import Matrix, Vector

FLOOR = 1e-8
"""Share of a gene's mean square about a centre below which a variance does not fall: constant genes would go to 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockVariances:
    """`log_densities` (G, J) at the best variances, and those: per partition (G, B_j), in squared units of expression.

    `residuals` (G, J) are the gains per sample, to first order, that a variance has left on its way to its floor or up
    by its size. `converged` is whether every gene and partition came to rest.
    """

    log_densities: Matrix
    variances: tuple[Matrix, ...]
    residuals: Matrix

    @property
    def converged(self) -> bool:
        """Whether no residual is above what counts as arrival."""
        return bool((self.residuals <= RESIDUAL).all())


def fit_block_variances(
    params: PartitionParams,
    partitions: Partitions,
    genes: Genes,
    *,
    likelihood: str = "joint",
    start: tuple[Matrix, ...] | None = None,
    floor: Vector | None = None,
) -> BlockVariances:
    """Maximise `log f(s_g | j)` over the variances of the blocks of every gene and partition, at mu_0, a, P held.

    Variances `tau_gjB^2` take the place of tau^2: `d_gs = sum_B tau_gjB^2 sum_(t in B) p_st^2 + omega^2`. As shares
    weigh densities with positive weights, this is also the maximum of the whole likelihood over these variances.
    `start` are variances per partition (G, B_j), pooled ones within types where None; `floor` (G,) is that of
    `variance_floors` about mu_0 where None. Raises OptionError where no sample type has replicates (the densities are
    then unbounded) and for an unknown likelihood.
    """
    if likelihood not in BLOCK_DENSITIES:
        raise OptionError(f"likelihood={likelihood!r} is not known. Use 'joint' or 'composite'.")
    check_replicates([genes])
    density, lowest = BLOCK_DENSITIES[likelihood], variance_floors(genes, params.mean) if floor is None else floor
    densities, variances, residuals = [], [], []
    for j, indicator in enumerate(partitions.indicators):
        setting = Setting.of(params, indicator, genes)
        begin = pooled_variances(genes, indicator.shape[1]) if start is None else start[j]
        found = climb_blocks(density, setting, begin, lowest)
        densities.append(density.at(setting, found.variances).log_density)
        variances.append(found.variances)
        residuals.append(found.residual)
    return BlockVariances(
        log_densities=np.stack(densities, axis=1),
        variances=tuple(variances),
        residuals=np.stack(residuals, axis=1),
    )


def check_replicates(pieces: Sequence[Genes]) -> None:
    """Raise OptionError where no sample type of any gene has two samples."""
    if not any((piece.counts > 1.0).any() for piece in pieces):
        raise OptionError(
            "variance='per_gene_block' needs sample types with two samples or more: without sums of squares within "
            "types its densities are unbounded. Use variance='shared' or 'moderated'."
        )


def variance_floors(genes: Genes, centre: float, typical: float | None = None) -> Vector:
    """`FLOOR` times each gene's mean square about a centre, (G,), and this at least `FLOOR` times a `typical` one.

    None: the mean of these genes. Genes that lie at the centre without any scatter then have a floor, too.
    """
    square = mean_squares(genes, centre)
    usual = float(square.mean()) if typical is None else typical
    return np.asarray(FLOOR * np.maximum(square, FLOOR * (usual or 1.0)))


def mean_squares(genes: Genes, centre: float) -> Vector:
    """Of each gene's samples about a centre, (G,)."""
    samples = max(float(genes.counts.sum()), 1.0)
    return np.asarray((genes.within.sum(axis=1) + ((genes.means - centre) ** 2) @ genes.counts) / samples)


def pooled_variances(genes: Genes, blocks: int) -> Matrix:
    """Each gene's variance within types, for all of its blocks, (G, `blocks`)."""
    spread = genes.within.sum(axis=1) / max(float((genes.counts - 1.0).sum()), 1.0)
    return np.asarray(np.repeat(spread[:, None], blocks, axis=1))
