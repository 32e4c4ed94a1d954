"""Reduction of a symmetric matrix to band form by blocks of Householder reflections: all of it matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final, final

import numpy as np

from varmix.errors import OptionError
from varmix.linalg import native
from varmix.linalg.band_matrix import BandMatrix
from varmix.linalg.band_shifted import BandShifted
from varmix.linalg.columns import like, own_columns
from varmix.linalg.reflector import BlockReflector
from varmix.linalg.scale import scale_into_range, square_view
from varmix.linalg.spectrum import eigenvalues_of_tridiagonal
from varmix.typing import Matrix, Square, Vector

BAND_HALF_WIDTH: Final = 48
"""Half-width of the band. Order 3000, one thread, seconds for reduction + the band's eigenvalues, and milliseconds
of one evaluation without eigenvalues: 32: .98 + .30, 8; 48: .90 + .36, 10; 64: .87 + .43, 12; 96: .82 + .51, 18.
(`eigh` takes 4.0 s there.)"""


@final
class BandReduction:
    """T = Q'AQ with T of half-width b, A (m x m) symmetric, in (4/3) m^3 flops of matrix products.

    The buffer of A is destroyed: it keeps the reflectors of Q below the band, so the object holds on to it. Besides it,
    O(m b) numbers are allocated. Only the triangle below the diagonal of the column-wise view of A is read. [VC-5]

    Raises ShapeError when A is not a square float64 matrix with consecutive rows or columns, or is read-only.
    """

    def __init__(self, A: Square, half_width: int = BAND_HALF_WIDTH) -> None:
        if half_width < 1:
            raise OptionError(
                f"half_width is {half_width}; a band has a half-width of at least 1 (default {BAND_HALF_WIDTH})."
            )
        A = square_view(A)
        self.size: Final = A.shape[0]
        self.half_width: Final = max(1, min(half_width, self.size - 1))
        scale = scale_into_range(A)
        self._reflectors: Final = self._reduce_into(A)
        band = np.zeros((self.half_width + 1, self.size), order="F")
        for offset in range(min(self.half_width + 1, self.size)):
            band[offset, : self.size - offset] = np.diagonal(A, -offset)
        self.band: Final = BandMatrix(entries=band * scale)

    def _reduce_into(self, A: Square) -> tuple[BlockReflector, ...]:
        width, reflectors = self.half_width, []
        work = np.empty((self.size, 3 * width), order="F")
        for start in range(width, self.size - 1, width):
            reflector = BlockReflector.eliminate_into(A[start:, start - width : start])
            used = 3 * reflector.coefficients.shape[0]
            reflector.rotate_symmetric_into(A[start:, start:], work[start:, :used])
            reflectors.append(reflector)
        return tuple(reflectors)

    def _steps(self) -> Iterator[tuple[int, BlockReflector]]:
        return ((self.half_width * (step + 1), reflector) for step, reflector in enumerate(self._reflectors))

    @cached_property
    def eigenvalues(self) -> Vector:
        """Ascending eigenvalues of A, shape (m,); computed at the first call and kept."""
        d, e = np.empty(self.size), np.empty(max(self.size - 1, 0))
        entries = self.band.entries.copy(order="F")
        scale = scale_into_range(entries)
        native.tridiagonalise_band_into(entries, d, e)
        return eigenvalues_of_tridiagonal(d, e) * scale

    @property
    def largest_diagonal(self) -> float:
        """Largest absolute diagonal entry of T: a lower bound of the spectral norm of A."""
        return float(np.abs(self.band.entries[0]).max(initial=0.0))

    @property
    def trace(self) -> float:
        """tr A."""
        return float(self.band.entries[0].sum())

    @property
    def square(self) -> float:
        """tr A^2."""
        return float(2.0 * (self.band.entries**2).sum() - (self.band.entries[0] ** 2).sum())

    def rotate(self, B: Matrix) -> Matrix:
        """Q'B as a new array, for B of shape (m, r) or (m,)."""
        out = own_columns(B, self.size)
        for start, reflector in self._steps():
            reflector.multiply_into(out[start:], transpose=True)
        return like(out, B)

    def rotate_back(self, B: Matrix) -> Matrix:
        """Q B as a new array, for B of shape (m, r) or (m,)."""
        out = own_columns(B, self.size)
        for start, reflector in reversed(list(self._steps())):
            reflector.multiply_into(out[start:], transpose=False)
        return like(out, B)

    def multiply(self, B: Matrix) -> Matrix:
        """T B as a new array, for B of shape (m, r) or (m,)."""
        return self.band.multiply(B)

    def shifted(self, a: float, b: float) -> BandShifted | None:
        """a T + b I made ready in O(m w^2), w the half-width; None when it is not positive definite beyond rounding.

        Traces use the eigenvalues if these are there already, and otherwise a recursion over blocks in O(m w^2).
        """
        return BandShifted.factor(self.band, a, b, self.__dict__.get("eigenvalues"))
