"""Expression of the cell types in one sample: their means, and the sample's own noise of cells [PART-8]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from varmix.errors import ShapeError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.posterior import GenePosterior
from varmix.typing import Mask, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleExpression:
    """`means` and `sds` (G, T) of the cell types' expression in one sample, in the units of the data."""

    means: Matrix
    sds: Matrix


def sample_expression(
    posterior: GenePosterior,
    params: PartitionParams | HeteroscedasticParams,
    pieces: Sequence[Genes],
    values: Vector,
    sample_type: int,
    *,
    scale: float = 1.0,
) -> SampleExpression:
    """From the sample's `values` (G,) in the units of the data, NaN where missing: one of those that `pieces` were made
    from and `posterior` was told, of the type numbered `sample_type`.

    `params` and `pieces` are in internal units, data divided by `scale`. Cells pull a sample from the mean of its type;
    lack of fit, which replicates share, is told from them by the replicates. Where a gene is missing the noise of cells
    adds to the variance of its means. Raises ShapeError for values of genes or types that the pieces do not have.
    """
    size = len(posterior.means)
    if values.shape != (size,):
        raise ShapeError(
            f"The sample has values of shape {values.shape} for {size} genes. Give one value per gene, NaN where it is "
            "missing."
        )
    p, cell = params.proportions[sample_type], _cell(params)
    mean, covariance = posterior.means / scale, posterior.covariances / scale**2
    kept, pull, own = np.ones(size), np.zeros((size, len(p))), np.tile(cell * np.eye(len(p)), (size, 1, 1))
    about = np.zeros(size)
    for piece in pieces:
        at, where = piece.positions, np.flatnonzero(piece.types == sample_type)
        seen = ~np.isnan(values[at])
        if seen.any() and not where.size:
            raise ShapeError(
                f"The sample has a value of gene {int(at[seen][0]) + 1}, of which its type {sample_type + 1} has no "
                "sample. Give a sample of those that were fitted, and its type."
            )
        if not (seen.any() and cell > 0.0):
            continue
        at, s = at[seen], int(where[0])
        noise, misfit = _variances(params, piece, s, seen)
        shown, count = piece.means[seen, s], float(piece.counts[s])
        kept[at] = noise / (noise + count * misfit)
        pull[at] = (cell / noise)[:, None] * p
        alone = (1.0 - misfit / (noise + count * misfit)) / noise  # of the inverse covariance of replicates
        own[at] -= cell**2 * alone[:, None, None] * np.outer(p, p)
        about[at] = (values[at] / scale - shown) + kept[at] * (shown - mean[at] @ p)
    moved = np.eye(len(p)) - (kept[:, None] * pull)[:, :, None] * p
    variances = moved @ covariance @ moved.transpose(0, 2, 1)
    if cell > 0.0:
        variances += posterior.scale[:, None, None] * own
    return SampleExpression(
        means=(mean + pull * about[:, None]) * scale,
        sds=np.sqrt(np.maximum(np.einsum("gtt->gt", variances), 0.0)) * scale,
    )


def _cell(params: PartitionParams | HeteroscedasticParams) -> float:
    return params.cell if isinstance(params, PartitionParams) else params.noise.cell


def _variances(
    params: PartitionParams | HeteroscedasticParams, piece: Genes, s: int, seen: Mask
) -> tuple[Vector, Vector]:
    """Variance d about the type's mean and lack of fit l of the genes seen, both (G,), at the scale 1."""
    if isinstance(params, PartitionParams):
        return np.full(int(seen.sum()), params.noise()[piece.types[s]]), np.zeros(int(seen.sum()))
    squares = (params.proportions[piece.types] ** 2).sum(axis=1)
    none = np.full(len(piece.types), np.inf)  # of infinitely many replicates lack of fit alone is left
    found = params.noise.variances(squares, params.trend.levels(piece.means[seen]), none)
    return found.sample[:, s], found.mean[:, s]
