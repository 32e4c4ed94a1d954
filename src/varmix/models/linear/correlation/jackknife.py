"""The moments of a pair without each block of variants [VC-8]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from varmix.errors import OptionError
from varmix.genotype.design import StandardisedDesign
from varmix.linalg.householder import CovariateBasis
from varmix.models.linear.correlation.moments import moment_values
from varmix.models.linear.correlation.pair import Pair
from varmix.models.linear.moment_blocks import design_columns
from varmix.typing import Array, Matrix, Vector


def leave_variants_out(
    pair: Pair,
    designs: tuple[StandardisedDesign, StandardisedDesign],
    covariates: tuple[Matrix, Matrix],
    signs: Vector,
    widths: tuple[float, float],
    blocks: int,
) -> Array:
    """Moment estimates without each of `blocks` blocks of neighbouring columns, shape (J, K), in the pair's units.

    `pair` is in REML's coordinates. Kernels without p_j of p columns are scaled by p / (p - p_j), so that every
    estimate is of the same variances. Costs O(n^2 p + J n^2). Raises OptionError for fewer than 2 blocks or over p.
    """
    p = designs[0].p
    if not 2 <= blocks <= p:
        raise OptionError(f"blocks={blocks} must be from 2 to the number of variants, {p:,}.")
    bases = [CovariateBasis(Z) for Z in covariates]
    edges = np.linspace(0, p, blocks + 1).round().astype(int)
    estimates = []
    for j in range(blocks):
        part = slice(int(edges[j]), int(edges[j + 1]))
        first, second = (
            _rotated(design, part, basis, width) for design, basis, width in zip(designs, bases, widths, strict=True)
        )
        second = second * signs[part]
        scale = p / (p - (part.stop - part.start))
        removed = (first @ first.T, first @ second.T, second @ second.T)
        kernels = [scale * (whole - block) for whole, block in zip(pair.kernels, removed, strict=True)]
        estimates.append(moment_values(replace(pair, kernels=(kernels[0], kernels[1], kernels[2])))[0])
    return np.array(estimates)


def _rotated(design: StandardisedDesign, part: slice, basis: CovariateBasis, width: float) -> Matrix:
    columns = np.array(design_columns(design, part).array(), order="F")
    basis.rotate_into(columns)
    return np.asarray(columns[basis.columns :] / width)
