"""A band matrix a T + b I: Cholesky solves, and traces of its inverse without eigenvalues."""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple, final

import numpy as np

from varmix.errors import KernelError
from varmix.linalg import native
from varmix.linalg.band_matrix import BandMatrix
from varmix.linalg.columns import like, own_columns
from varmix.linalg.spectrum import ShiftedSpectrum, smallest_allowed
from varmix.typing import Matrix, Square, Vector

_INVERSE_STEPS: Final = 2
"""Inverse iterations that look for an eigenvalue at rounding level: such a one dominates the rest by many orders of
magnitude, so that two steps from any start find it."""


class _Traces(NamedTuple):
    inverse: float
    inverse_squared: float


@final
class BandShifted:
    """M = a T + b I, positive definite, T a band matrix of order m and half-width w."""

    def __init__(self, *, matrix: BandMatrix, factor: Matrix, spectrum: ShiftedSpectrum | None) -> None:
        self._matrix: Final = matrix
        self._factor: Final = factor
        self._spectrum: Final = spectrum

    @classmethod
    def factor(cls, T: BandMatrix, a: float, b: float, eigenvalues: Vector | None) -> BandShifted | None:
        """Cholesky factor in O(m w^2); None when M is not positive definite beyond rounding."""
        spectrum = None
        if eigenvalues is not None and (spectrum := ShiftedSpectrum.of(eigenvalues, a, b)) is None:
            return None
        entries = a * T.entries
        entries[0] += b
        factor = entries.copy(order="F")
        if not native.factor_band_into(factor):
            return None
        if spectrum is None and not _definite_beyond_rounding(factor, float(entries[0].max(initial=0.0))):
            return None
        return cls(matrix=BandMatrix(entries=entries), factor=factor, spectrum=spectrum)

    @property
    def log_determinant(self) -> float:
        """log|M|."""
        return 2.0 * float(np.log(self._factor[0]).sum())

    @property
    def trace_inverse(self) -> float:
        """tr M^-1."""
        return self._spectrum.trace_inverse if self._spectrum is not None else self._traces.inverse

    @property
    def trace_inverse_squared(self) -> float:
        """tr M^-2."""
        return self._spectrum.trace_inverse_squared if self._spectrum is not None else self._traces.inverse_squared

    def solve(self, B: Matrix) -> Matrix:
        """M^-1 B as a new array, for B of shape (m, r) or (m,)."""
        out = own_columns(B, self._matrix.size)
        native.solve_band_into(self._factor, out)
        return like(out, B)

    def correlate(self, z: Vector) -> Vector:
        """L z, shape (m,), L the band Cholesky factor."""
        out = self._factor[0] * z
        for below in range(1, min(self._factor.shape)):
            out[below:] += self._factor[below, :-below] * z[:-below]
        return np.asarray(out)

    @cached_property
    def _traces(self) -> _Traces:
        """First and second derivative of log|M| in b, from the pivots S of M's block Cholesky factor. [VC-5]

        S+ = D - E S^-1 E' (D a diagonal block, E the block to its left) gives, with X = S^-1 E',
        S+' = I + X'S'X and S+'' = X'S''X - 2 X'S'S^-1S'X. As log|M| = sum log|S|,
        tr M^-1 = sum tr S^-1 S' and tr M^-2 = sum tr (S^-1 S')^2 - tr S^-1 S''. S'' is negative semidefinite: nothing
        cancels.
        """
        matrix, width = self._matrix, self._matrix.half_width
        first = second = 0.0
        if matrix.size == 0:
            return _Traces(first, second)
        S = matrix.diagonal_block(0)
        S1, S2 = np.eye(S.shape[0]), np.zeros_like(S)  # S', S''
        for start in range(0, matrix.size, width):
            inverse = _inverse(S)
            G = inverse @ S1
            first += float(np.trace(G))
            second += float(np.vdot(G, G.T)) - float(np.vdot(inverse, S2))
            if start + width < matrix.size:
                E = matrix.block_below(start)
                X = inverse @ E.T
                S1X = S1 @ X
                S = matrix.diagonal_block(start + width) - E @ X
                S2 = X.T @ (S2 @ X) - 2.0 * (S1X.T @ (G @ X))
                S1 = X.T @ S1X
                S1.flat[:: S1.shape[0] + 1] += 1.0
        return _Traces(first, second)


def _inverse(S: Square) -> Square:
    """NumPy's, not SciPy's: alternating with NumPy's products would set two thread pools against each other."""
    try:
        inverse = np.linalg.inv(S)
    except np.linalg.LinAlgError as singular:
        raise KernelError(
            "a shifted matrix is singular within rounding and the trace of its inverse is not reliable. Read "
            "`eigenvalues` of the reduction first, or use a larger shift."
        ) from singular
    symmetric: Square = (inverse + inverse.T) / 2.0
    return symmetric


def _definite_beyond_rounding(factor: Matrix, largest: float) -> bool:
    size = factor.shape[1]
    if size == 0:
        return True
    x = np.asfortranarray(np.cos(np.arange(1.0, size + 1.0))[:, None])
    for _ in range(_INVERSE_STEPS):
        x /= np.abs(x).max()
        native.solve_band_into(factor, x)
    return float(np.abs(x).max()) * smallest_allowed(largest, size) < 1.0
