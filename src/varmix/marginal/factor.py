"""What a scheme may ask of the marginal covariance `V = sum_k theta_k K_k + theta_e I`, whatever the linear algebra
behind it.

Components are numbered 0 .. k-1 for kernels; the last one, k, is the residual, whose kernel is the identity.
Coordinates are those of the system: the complement of the covariates, rotated as suits the algebra.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from varmix.typing import Matrix, Vector


class Factor(Protocol):
    """`V(theta)` ready to use, size m."""

    @property
    def log_determinant(self) -> float:
        """`log |V|`."""
        ...

    def solve(self, right: Matrix) -> Matrix:
        """`V^-1 B` for B of shape (m,) or (m, r)."""
        ...

    def trace(self, component: int) -> float:
        """`tr(V^-1 K_k)`."""
        ...

    def trace_pair(self, first: int, second: int) -> float:
        """`tr(V^-1 K_k V^-1 K_l)`."""
        ...

    def trace_cross(self, first: int, second: int) -> float:
        """`tr(K_k V^-1 K_l)`."""
        ...


class System(Protocol):
    """The kernels of one piece of data with the covariates rotated out; gives a Factor for every theta."""

    @property
    def size(self) -> int:
        """Number of coordinates m."""
        ...

    @property
    def components(self) -> int:
        """Number of components, the residual included."""
        ...

    @property
    def pairs_are_cheap(self) -> bool:
        """Whether `trace_pair` costs O(m), so that Newton may use the observed information."""
        ...

    def factor(self, variances: Vector) -> Factor | None:
        """The factor at theta, or None where V is not positive definite."""
        ...

    def multiply(self, component: int, right: Matrix) -> Matrix:
        """`K_k B`."""
        ...

    def kernel_trace(self, component: int) -> float:
        """`tr K_k`."""
        ...

    def kernel_pair(self, first: int, second: int) -> float:
        """`tr(K_k K_l)`."""
        ...

    def moment_covariance(self, variances: Vector) -> Matrix:
        """`2 tr(K_k V K_l V)` for all pairs, residual included: the covariance of the moment statistics [MOM-2]."""
        ...

    def rotate(self, right: Matrix) -> Matrix:
        """From the complement of the covariates to the system's coordinates."""
        ...

    def rotate_back(self, right: Matrix) -> Matrix:
        """The inverse of `rotate`."""
        ...

    def draw(self, variances: Vector, rng: np.random.Generator) -> Vector:
        """One draw from N(0, V) in the system's coordinates, shape (m,)."""
        ...
