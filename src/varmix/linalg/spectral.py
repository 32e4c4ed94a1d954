"""Full spectral decomposition: for thousands of responses, where every evaluation must be a product with a diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from varmix.errors import KernelError
from varmix.linalg import native
from varmix.linalg.columns import like, own_columns
from varmix.linalg.scale import scale_into_range, square_view
from varmix.linalg.spectrum import ShiftedSpectrum
from varmix.typing import Matrix, Square, Vector


@final
class SpectralReduction:
    """T = Q'AQ diagonal, for A (m x m) symmetric; the buffer of A becomes the eigenvectors Q. [VC-5]

    LAPACK's divide and conquer takes a workspace of 2 m^2 numbers while it runs; afterwards O(m) besides the buffer.
    Raises ShapeError as the other reductions do, KernelError when the iteration fails.
    """

    def __init__(self, A: Square) -> None:
        A = square_view(A)
        self.size: Final = A.shape[0]
        scale = scale_into_range(A)
        values = np.empty(self.size)
        if not native.eigenvectors_into(A, values):
            raise KernelError("the eigenvectors of the matrix did not converge. Check it for NaN or infinite entries.")
        self.vectors: Final[Square] = A
        self.eigenvalues: Final[Vector] = values * scale

    @property
    def largest_diagonal(self) -> float:
        """The spectral norm of A."""
        return float(np.abs(self.eigenvalues).max(initial=0.0))

    @property
    def trace(self) -> float:
        """tr A."""
        return float(self.eigenvalues.sum())

    @property
    def square(self) -> float:
        """tr A^2."""
        return float(self.eigenvalues @ self.eigenvalues)

    def rotate(self, B: Matrix) -> Matrix:
        """Q'B as a new array, for B of shape (m, r) or (m,)."""
        return like(self.vectors.T @ own_columns(B, self.size), B)

    def rotate_back(self, B: Matrix) -> Matrix:
        """Q B as a new array, for B of shape (m, r) or (m,)."""
        return like(self.vectors @ own_columns(B, self.size), B)

    def multiply(self, B: Matrix) -> Matrix:
        """T B as a new array, for B of shape (m, r) or (m,)."""
        return like(self.eigenvalues[:, None] * own_columns(B, self.size), B)

    def shifted(self, a: float, b: float) -> SpectralShifted | None:
        """a T + b I in O(m); None when it is not positive definite beyond rounding."""
        spectrum = ShiftedSpectrum.of(self.eigenvalues, a, b)
        return None if spectrum is None else SpectralShifted(spectrum=spectrum)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralShifted:
    """M = a T + b I, a diagonal matrix."""

    spectrum: ShiftedSpectrum

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
        return like(own_columns(B, self.spectrum.values.size) / self.spectrum.values[:, None], B)

    def correlate(self, z: Vector) -> Vector:
        """M^(1/2) z, shape (m,)."""
        return np.asarray(np.sqrt(self.spectrum.values) * z)
