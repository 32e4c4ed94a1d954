"""Blocks of responses into the coordinates of a structure, by matrix products, each in units of its own [VC-7]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from varmix.errors import NotAvailableError
from varmix.linalg.spectral import SpectralReduction
from varmix.marginal.coordinates import Narrow, Wide
from varmix.marginal.piece import Structure
from varmix.models.linear.batch.spectrum import one_spectral
from varmix.typing import Mask, Matrix, Vector

NO_VARIATION: Final = 64 * float(np.finfo(np.float64).eps)
"""Times sqrt(n): the part of a response outside the covariates, as a share of its length, that rounding leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedBlock:
    """b responses of mean square about 1 outside the covariates."""

    complement: Matrix
    """Block A in the system's coordinates, shape (b, m)."""
    fixed: Matrix
    """Block U, shape (b, c)."""
    units: Vector
    """Powers of two the responses were divided by, shape (b,)."""
    constant: Mask
    """Responses that the covariates explain up to rounding, shape (b,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Made once for all blocks of a structure."""

    rows: int
    columns: int
    matrix: Matrix
    """Wide: covariates' and kernel's rotation in one, shape (n, n). Narrow: the kernel's, shape (p, p)."""
    narrow: Narrow | None

    @classmethod
    def of(cls, structure: Structure) -> Rotation:
        """Raises NotAvailableError for a structure without eigenvectors."""
        piece = structure.blank
        reduction = one_spectral(piece.system)[0].reduction
        coordinates, rows, columns = piece.coordinates, piece.rows, piece.columns
        if isinstance(reduction, SpectralReduction) and isinstance(coordinates, Wide):
            matrix = np.zeros((rows, rows), order="F")
            matrix[:columns, :columns] = np.eye(columns)
            matrix[columns:, columns:] = reduction.vectors
            coordinates.basis.rotate_back_into(matrix)
            return cls(rows=rows, columns=columns, matrix=matrix, narrow=None)
        if isinstance(reduction, SpectralReduction) and isinstance(coordinates, Narrow):
            return cls(rows=rows, columns=columns, matrix=reduction.vectors, narrow=coordinates)
        raise NotAvailableError(
            "a batch of responses cannot be rotated into these coordinates. Build the structure with eigenvectors=True."
        )

    def block(self, responses: Matrix) -> RotatedBlock:
        """Rotate responses (n, b), finite."""
        block = np.array(responses.T, dtype=np.float64, order="C")
        spread = powers_of_two(np.maximum(block.max(axis=1), -block.min(axis=1)))
        block /= spread[:, None]
        lengths = np.sqrt(np.vecdot(block, block))
        rotated = block @ self.matrix if self.narrow is None else self._narrow(block, self.narrow)
        complement = rotated[:, self.columns :]
        remaining = np.sqrt(np.vecdot(complement, complement))
        units = powers_of_two(remaining / np.sqrt(self.rows - self.columns))
        rotated /= units[:, None]
        return RotatedBlock(
            complement=complement,
            fixed=rotated[:, : self.columns],
            units=units * spread,
            constant=remaining <= NO_VARIATION * np.sqrt(self.rows) * lengths,
        )

    def _narrow(self, block: Matrix, coordinates: Narrow) -> Matrix:
        """By reflectors; what no design column reaches becomes its length, which differences of squares would spoil."""
        first, last = self.columns, self.columns + self.matrix.shape[0]
        coordinates.basis.rotate_into(block.T)
        coordinates.inner.multiply_into(block[:, first:].T, transpose=True)
        rotated = np.empty((block.shape[0], last + 1))
        rotated[:, :first] = block[:, :first]
        np.matmul(block[:, first:last], self.matrix, out=rotated[:, first:last])
        rotated[:, last] = np.sqrt(np.vecdot(block[:, last:], block[:, last:]))
        return rotated


def powers_of_two(values: Vector) -> Vector:
    """The nearest power of two of each value, 1 for 0: dividing by it is exact."""
    exponents: NDArray[np.int64] = np.rint(np.log2(np.where(values > 0.0, values, 1.0))).astype(np.int64)
    return np.ldexp(1.0, exponents)
