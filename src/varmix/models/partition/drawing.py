"""Genes drawn from the model, with what is hidden in data kept beside [PART-1] [PART-5]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from varmix.errors import NotIdentifiedError, OptionError, ShapeError
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.typing import Index, Matrix, Vector

TINY = 1e-300
"""Smallest 1 / lambda: a gamma variable of small shape can round to 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """`values` (G, n) and the truth: `partition` (G,) positions, `means` (G, T) of the cell types, and `scale` (G,),
    the factor lambda_g of each gene's noise, 1 where all genes share one."""

    values: Matrix
    partition: Index
    means: Matrix
    scale: Vector


def draw_genes(
    params: PartitionParams | HeteroscedasticParams,
    partitions: Partitions,
    sample_type: Index,
    count: int,
    rng: Generator,
    *,
    levels: Matrix | None = None,
) -> Draw:
    """`count` genes in samples of types `sample_type` (n,), rows of P, in the units of `params`.

    Noise that differs between genes depends on a type's level, which in data is its mean. `levels` (G, D) are such
    means: those of data (NaN where a gene has no sample of a type) draw other data by the model as it was fitted, which
    is conditional on them. Without, levels are what is expected: of scatter the mixtures of block means, of lack of fit
    and of samples the mixtures of the cell types' means. Raises OptionError, ShapeError, NotIdentifiedError.
    """
    _check(params, sample_type, count, levels)
    label = np.array(partitions.labels)
    partition = rng.choice(len(label), size=count, p=params.shares)
    blocks = params.mean + math.sqrt(params.between) * rng.standard_normal((count, label.shape[1]))
    means = np.take_along_axis(blocks, label[partition], axis=1)
    scale = np.ones(count)
    if isinstance(params, PartitionParams):
        centres, variances = means @ params.proportions.T, params.noise()[None, :]
    else:
        if params.spread > 0.0:
            scale = 1.0 / np.maximum(rng.gamma(1.0 / params.spread, params.spread, size=count), TINY)
        means, centres, variances = _scattered(params, means, np.sqrt(scale)[:, None], levels, rng)
    # Cells count through their mixture alone: their noise is part of d.
    noise = np.sqrt(scale[:, None] * variances)[:, sample_type]
    values = centres[:, sample_type] + noise * rng.standard_normal((count, len(sample_type)))
    return Draw(values=values, partition=partition, means=means, scale=scale)


def _scattered(
    params: HeteroscedasticParams, blocks: Matrix, root: Matrix, levels: Matrix | None, rng: Generator
) -> tuple[Matrix, Matrix, Matrix]:
    """Means of the cell types (G, T), the types' means with their lack of fit (G, D), and d at the scale 1 (G, D)."""
    P, noise, trend = params.proportions, params.noise, params.trend
    squares, many = (P * P).sum(axis=1), np.full(len(P), np.inf)  # of infinitely many samples lack of fit is left
    shown = np.full((len(blocks), len(P)), np.nan) if levels is None else np.asarray(levels, dtype=np.float64)
    seen = ~np.isnan(shown)

    highest = np.where(seen.any(axis=1, keepdims=True), np.where(seen, shown, -np.inf), blocks @ P.T)
    scatter = noise.variances(squares, trend.levels(highest), many).scatter
    means = blocks + root * np.sqrt(scatter)[:, None] * rng.standard_normal(blocks.shape)
    expected = means @ P.T
    at = noise.variances(squares, trend.levels(np.where(seen, shown, expected)), many)
    return means, expected + root * np.sqrt(at.mean) * rng.standard_normal(expected.shape), at.sample


def _check(
    params: PartitionParams | HeteroscedasticParams, sample_type: Index, count: int, levels: Matrix | None
) -> None:
    rows = params.proportions
    if count < 1:
        raise OptionError(f"{count} genes cannot be drawn. Ask for at least 1.")
    if len(sample_type) == 0 or sample_type.min() < 0 or sample_type.max() >= len(rows):
        raise ShapeError(
            f"The types of the samples must be numbers from 0 to {len(rows) - 1}, one per sample: the proportions have "
            f"{len(rows)} rows."
        )
    if not np.isfinite(rows).all():
        raise NotIdentifiedError(
            "Some proportions are not known (NaN): samples cannot be mixed. Give all, or fit them."
        )
    if levels is None:
        return
    if isinstance(params, PartitionParams):
        raise OptionError("The noise is the same for all genes and has no levels. Leave levels=None.")
    if np.shape(levels) != (count, len(rows)):
        raise ShapeError(
            f"Levels have shape {np.shape(levels)} for {count} genes in {len(rows)} sample types. Give the mean of "
            "each gene in each type, NaN where there is none."
        )
