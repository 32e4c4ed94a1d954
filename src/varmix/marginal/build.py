"""From covariates, designs and kernels to one structure: which algebra serves, and why.

- One kernel: `OneKernel`, the kernel reduced in place [VC-5].
- Several: `DenseKernels`.
- Designs with fewer columns than rows, and no kernels: either of them in p dimensions, `WithComplement`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.genotype.design import StandardisedDesign
from varmix.linalg.band import BandReduction
from varmix.linalg.householder import CovariateBasis, mirror_lower_into
from varmix.linalg.indefinite import NegativeEigenvalues, negative_in_matrix, negative_in_reduction
from varmix.linalg.reduce import reduce_in_place
from varmix.linalg.reflector import BlockReflector
from varmix.linalg.threads import threads_for
from varmix.marginal.complement import WithComplement
from varmix.marginal.coordinates import Narrow, Rotated, Wide
from varmix.marginal.dense import DenseKernels
from varmix.marginal.factor import System
from varmix.marginal.one_kernel import OneKernel
from varmix.marginal.piece import Piece, Structure, power_of_two
from varmix.typing import Matrix, Square

ABSORBED = 1e-13
"""Times n: the share of its trace that rounding leaves outside the covariates of a kernel within their span."""

SILENT = 16.0
"""Roundings of the largest possible eigenvalue below which a kernel says nothing in a covariate's direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """What the model adds up: standardised designs, then kernels (n x n, symmetric; overwritten)."""

    designs: Sequence[StandardisedDesign] = ()
    matrices: Sequence[Square] = ()
    matrix_names: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Designs, then kernels."""
        return [*(design.name for design in self.designs), *self.matrix_names]


def build_structure(covariates: Matrix, kernels: Kernels, *, eigenvectors: bool = False) -> Structure:
    """Rotate the covariates (n x c, full column rank) out and reduce the kernels.

    With `eigenvectors` one kernel is diagonalised (for many responses) rather than reduced. Negative eigenvalues beyond
    rounding are kept and told in `Piece.negative`. Raises KernelError for a kernel with too many or too low ones
    (`negative_eigenvalues`), NotIdentifiedError for one that the covariates span.
    """
    with threads_for(_flops(covariates.shape[0], kernels)):
        return _build(CovariateBasis(covariates), kernels, eigenvectors)


def _flops(rows: int, kernels: Kernels) -> float:
    """About those of the reductions and products ahead."""
    widths = [min(design.p, rows) for design in kernels.designs] + [rows] * len(kernels.matrices)
    return sum(4.0 / 3.0 * width**3 + rows**2 * width for width in widths)


def _build(basis: CovariateBasis, kernels: Kernels, eigenvectors: bool) -> Structure:
    width = sum(design.p for design in kernels.designs)
    if kernels.designs and not kernels.matrices and width < basis.rows - basis.columns:
        return _narrow(basis, kernels, eigenvectors)
    several = len(kernels.names) > 1
    blocks = [_block(basis, _lower_gram(design, basis.rows), design.p, several) for design in kernels.designs]
    blocks += [_block(basis, np.asfortranarray(kernel), basis.rows, several) for kernel in kernels.matrices]
    size = basis.rows - basis.columns
    _check_identified(blocks, kernels.names, basis.rows)
    system, negative, algebra = _system(blocks, kernels.names, size, eigenvectors)
    cross = [system.rotate(block.cross) for block in blocks]
    return _structure(basis, blocks, cross, negative, Wide(basis, system), algebra)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One kernel in the covariates' basis, divided by `unit`; of `complement` the lower triangle counts."""

    corner: Square
    cross: Matrix
    complement: Square
    unit: float
    effects: int
    projected_trace: float
    """`tr(M K)` in the user's units; taken before the reduction overwrites `complement`."""


def _check_identified(blocks: list[_Block], names: list[str], rows: int) -> None:
    for name, block in zip(names, blocks, strict=True):
        whole = block.projected_trace + float(block.corner.trace()) * block.unit
        if abs(block.projected_trace) <= ABSORBED * rows * abs(whole):
            raise NotIdentifiedError(
                f"Nothing is left of '{name}' once the covariates are taken out, so the data cannot tell its variance. "
                "Drop it, or the covariates (the intercept counts as one) that span it."
            )


def _lower_gram(design: StandardisedDesign, rows: int) -> Square:
    kernel = np.zeros((rows, rows), order="F")
    design.lower_gram_into(kernel)
    return kernel


def _block(basis: CovariateBasis, kernel: Square, effects: int, contiguous: bool) -> _Block:
    """Only the lower triangle of `kernel` (Fortran order) is read, and only that of `complement` is right."""
    columns = basis.columns
    unit = power_of_two(float(np.abs(kernel.diagonal()).mean()))
    if unit != 1.0:
        kernel /= unit
    basis.rotate_lower_into(kernel)
    lower, complement = np.tril(kernel[:columns, :columns]), kernel[columns:, columns:]
    corner, cross = _silent(lower + np.tril(lower, -1).T, kernel[columns:, :columns].copy(), basis.rows)
    if contiguous:
        complement = _moved_to_front(kernel, columns)
    return _Block(
        corner=corner,
        cross=cross,
        complement=complement,
        unit=unit,
        effects=min(effects, basis.rows),
        projected_trace=float(complement.trace()) * unit,
    )


def _moved_to_front(kernel: Square, columns: int) -> Square:
    """`kernel[columns:, columns:]`, contiguous in Fortran order, in the memory of `kernel`, which is overwritten."""
    rows = kernel.shape[0]
    size = rows - columns
    memory = kernel.reshape(-1, order="F")
    for column in range(size):
        start = (column + columns) * rows + columns
        memory[column * size : (column + 1) * size] = memory[start : start + size]
    return memory[: size * size].reshape(size, size, order="F")


def _silent(corner: Square, cross: Matrix, rows: int) -> tuple[Square, Matrix]:
    """Put `K u` to exactly 0 for a covariate's direction u that the kernel lacks, as a centred one lacks the constant.

    What rounding leaves there would be all that log|C| sees once s_e is small. A kernel of unit scale has norm <= n.
    """
    size = np.sqrt((corner**2).sum(axis=0) + (cross**2).sum(axis=0))
    lacking = size <= SILENT * np.finfo(float).eps * rows
    corner[lacking, :] = corner[:, lacking] = 0.0
    cross[:, lacking] = 0.0
    return corner, cross


def _narrow(basis: CovariateBasis, kernels: Kernels, eigenvectors: bool) -> Structure:
    """Fewer columns than rows: a QR factor of the projected designs moves everything to p dimensions."""
    columns, width = basis.columns, sum(design.p for design in kernels.designs)
    stacked = np.empty((basis.rows, width), order="F")
    np.concatenate([design.array() for design in kernels.designs], axis=1, out=stacked)
    basis.rotate_into(stacked)
    inner = BlockReflector.eliminate_into(stacked[columns:])
    triangle = np.triu(inner.panel[:width])
    blocks, start = [], 0
    for design in kernels.designs:
        upper, factor = stacked[:columns, start : start + design.p], triangle[:, start : start + design.p]
        kernel = np.asfortranarray(factor @ factor.T)
        unit = power_of_two((float((upper**2).sum()) + float(kernel.trace())) / basis.rows)
        kernel /= unit
        corner, cross = _silent(upper @ upper.T / unit, factor @ upper.T / unit, basis.rows)
        blocks.append(
            _Block(
                corner=corner,
                cross=cross,
                complement=kernel,
                unit=unit,
                effects=design.p,
                projected_trace=float(kernel.trace()) * unit,
            )
        )
        start += design.p
    _check_identified(blocks, kernels.names, basis.rows)
    within, negative, algebra = _system(blocks, kernels.names, width, eigenvectors)
    system = WithComplement(within, basis.rows - columns - width)
    rotated = [np.vstack([within.rotate(block.cross), np.zeros((1, columns))]) for block in blocks]
    algebra += f" in the {width} dimensions of the designs, fewer than the {basis.rows} rows"
    return _structure(basis, blocks, rotated, negative, Narrow(basis, inner, system), algebra)


def _system(
    blocks: list[_Block], names: list[str], size: int, eigenvectors: bool
) -> tuple[System, list[NegativeEigenvalues], str]:
    """The system of the kernels in block A, their negative eigenvalues, and why; one kernel is reduced in place."""
    if len(blocks) == 1:
        reduction = reduce_in_place(blocks[0].complement, vectors=eigenvectors)
        found = negative_in_reduction(reduction, names[0])
        at_hand = not isinstance(reduction, BandReduction)
        return (
            OneKernel(reduction=reduction, has_eigenvalues=at_hand),
            [] if found is None else [found.times(blocks[0].unit)],
            "one kernel, reduced once: every evaluation is linear in its size",
        )
    negative = []
    for name, block in zip(names, blocks, strict=True):
        mirror_lower_into(block.complement)
        if (found := negative_in_matrix(block.complement, name)) is not None:
            negative.append(found.times(block.unit))
    complements = tuple(block.complement for block in blocks)
    return DenseKernels(complements, size), negative, f"{len(blocks)} kernels: dense Cholesky factor per evaluation"


def _structure(
    basis: CovariateBasis,
    blocks: list[_Block],
    cross: list[Matrix],
    negative: list[NegativeEigenvalues],
    coordinates: Wide | Narrow,
    algebra: str,
) -> Structure:
    system = coordinates.system
    blank = Piece(
        system=system,
        coordinates=coordinates,
        response=Rotated(fixed=np.zeros(basis.columns), complement=np.zeros(system.size), rest=np.zeros(0)),
        cross=tuple(cross),
        corner=tuple(block.corner for block in blocks),
        triangle=basis.R,
        rows=basis.rows,
        effects=np.array([float(block.effects) for block in blocks]),
        negative=tuple(negative),
    )
    return Structure(
        blank=blank,
        kernel_units=np.array([block.unit for block in blocks]),
        projected_traces=np.array([block.projected_trace for block in blocks]),
        algebra=algebra,
    )
