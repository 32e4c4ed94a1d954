"""Reduction of a symmetric matrix to tridiagonal form, in place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np

from varmix.linalg import native
from varmix.linalg.columns import like, own_columns
from varmix.linalg.scale import scale_into_range, square_view
from varmix.linalg.spectrum import ShiftedSpectrum, eigenvalues_of_tridiagonal
from varmix.typing import Matrix, Square, Vector


@final
class TridiagonalReduction:
    """T = Q'AQ tridiagonal with diagonal d and off-diagonal e, for A (m x m) symmetric.

    The buffer of A is destroyed: it keeps the reflectors of Q, so the object holds on to it. Besides it, O(m) numbers
    are allocated. Only the triangle below the diagonal of the column-wise view of A is read. [VC-5]

    Raises ShapeError when A is not a square float64 matrix with consecutive rows or columns, or is read-only.
    """

    def __init__(self, A: Square) -> None:
        A = square_view(A)
        self.size: Final = A.shape[0]
        scale = scale_into_range(A)
        between = max(self.size - 1, 0)
        d, e, tau = np.empty(self.size), np.empty(between), np.empty(between)
        native.tridiagonalise_into(A, d, e, tau)
        self._reflectors: Final = A
        self._tau: Final = tau
        self.d: Final[Vector] = d * scale
        self.e: Final[Vector] = e * scale

    def __getstate__(self) -> dict[str, Any]:
        """In column order: pickling would store a view by rows, which LAPACK does not read."""
        return self.__dict__ | {"_reflectors": np.asfortranarray(self._reflectors)}

    @cached_property
    def eigenvalues(self) -> Vector:
        """Ascending eigenvalues of A, shape (m,); computed at the first call and kept."""
        return eigenvalues_of_tridiagonal(self.d, self.e)

    @property
    def largest_diagonal(self) -> float:
        """Largest absolute diagonal entry of T: a lower bound of the spectral norm of A."""
        return float(np.abs(self.d).max(initial=0.0))

    @property
    def trace(self) -> float:
        """tr A."""
        return float(self.d.sum())

    @property
    def square(self) -> float:
        """tr A^2."""
        return float(self.d @ self.d + 2.0 * (self.e @ self.e))

    def rotate(self, B: Matrix) -> Matrix:
        """Q'B as a new array, for B of shape (m, r) or (m,)."""
        out = own_columns(B, self.size)
        native.multiply_by_tridiagonal_q_into(self._reflectors, self._tau, out, transpose=True)
        return like(out, B)

    def rotate_back(self, B: Matrix) -> Matrix:
        """Q B as a new array, for B of shape (m, r) or (m,)."""
        out = own_columns(B, self.size)
        native.multiply_by_tridiagonal_q_into(self._reflectors, self._tau, out, transpose=False)
        return like(out, B)

    def multiply(self, B: Matrix) -> Matrix:
        """T B as a new array, for B of shape (m, r) or (m,)."""
        given = own_columns(B, self.size)
        out = self.d[:, None] * given
        out[1:] += self.e[:, None] * given[:-1]
        out[:-1] += self.e[:, None] * given[1:]
        return like(out, B)

    def shifted(self, a: float, b: float) -> TridiagonalShifted | None:
        """a T + b I made ready in O(m) after the eigenvalues; None when it is not positive definite beyond rounding."""
        spectrum = ShiftedSpectrum.of(self.eigenvalues, a, b)
        if spectrum is None:
            return None
        diagonal, below = a * self.d + b, a * self.e
        if not native.factor_tridiagonal_into(diagonal, below):
            return None
        return TridiagonalShifted(spectrum=spectrum, pivots=diagonal, multipliers=below)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TridiagonalShifted:
    """M = a T + b I as L D L' (`pivots` D, shape (m,); `multipliers` of L, shape (m - 1,)) and its eigenvalues."""

    spectrum: ShiftedSpectrum
    pivots: Vector
    multipliers: Vector

    @property
    def log_determinant(self) -> float:
        """log|M|."""
        return self.spectrum.log_determinant

    @property
    def trace_inverse(self) -> float:
        """tr M^-1."""
        return self.spectrum.trace_inverse

    @property
    def trace_inverse_squared(self) -> float:
        """tr M^-2."""
        return self.spectrum.trace_inverse_squared

    def solve(self, B: Matrix) -> Matrix:
        """M^-1 B as a new array, for B of shape (m, r) or (m,)."""
        out = own_columns(B, self.pivots.size)
        native.solve_tridiagonal_into(self.pivots, self.multipliers, out)
        return like(out, B)

    def correlate(self, z: Vector) -> Vector:
        """L D^(1/2) z, shape (m,)."""
        scaled = np.sqrt(self.pivots) * z
        out = scaled.copy()
        out[1:] += self.multipliers * scaled[:-1]
        return out
