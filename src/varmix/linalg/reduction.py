"""One symmetric matrix reduced once, A = Q T Q', and what every later evaluation asks of it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from varmix.typing import Matrix, Vector


@runtime_checkable
class Shifted(Protocol):
    """M = a T + b I, positive definite; in the rotated basis where y is Q'y. [VC-5]"""

    @property
    def log_determinant(self) -> float:
        """log|M|."""
        ...

    @property
    def trace_inverse(self) -> float:
        """tr M^-1."""
        ...

    @property
    def trace_inverse_squared(self) -> float:
        """tr M^-2."""
        ...

    def solve(self, B: Matrix) -> Matrix:
        """M^-1 B as a new array, for B of shape (m, r) or (m,)."""
        ...

    def correlate(self, z: Vector) -> Vector:
        """L z, shape (m,), for a fixed L with M = L L': turns white noise into noise of covariance M."""
        ...


@runtime_checkable
class Reduction(Protocol):
    """A = Q T Q' with Q orthogonal (m x m, never formed) and T compact."""

    @property
    def size(self) -> int:
        """m."""
        ...

    @property
    def eigenvalues(self) -> Vector:
        """Ascending eigenvalues of A, shape (m,); computed at the first call and kept."""
        ...

    @property
    def largest_diagonal(self) -> float:
        """Largest absolute diagonal entry of T: a lower bound of the spectral norm of A."""
        ...

    @property
    def trace(self) -> float:
        """tr A."""
        ...

    @property
    def square(self) -> float:
        """tr A^2."""
        ...

    def rotate(self, B: Matrix) -> Matrix:
        """Q'B as a new array, for B of shape (m, r) or (m,)."""
        ...

    def rotate_back(self, B: Matrix) -> Matrix:
        """Q B as a new array, for B of shape (m, r) or (m,)."""
        ...

    def multiply(self, B: Matrix) -> Matrix:
        """T B as a new array, for B of shape (m, r) or (m,)."""
        ...

    def shifted(self, a: float, b: float) -> Shifted | None:
        """a T + b I made ready; None when it is not positive definite beyond rounding."""
        ...
