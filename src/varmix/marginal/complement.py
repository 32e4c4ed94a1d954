"""Fewer design columns than rows: all kernels live in p dimensions, the other m - p see only the residual.

Those m - p coordinates are rotated so that y has its whole length on the first of them. The system then has p + 1
coordinates, the last standing for m - p: it counts so often in determinants and traces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.marginal.factor import Factor, System
from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True)
class ComplementFactor:
    """The inner factor beside `s_e I` in `copies` further dimensions."""

    inner: Factor
    residual: float
    copies: int
    last: int
    """Number of the residual component."""

    @property
    def log_determinant(self) -> float:
        """`log |V|`."""
        return self.inner.log_determinant + self.copies * math.log(self.residual)

    def solve(self, right: Matrix) -> Matrix:
        """`V^-1 B`."""
        return np.concatenate([self.inner.solve(right[:-1]), right[-1:] / self.residual])

    def _extra(self, power: int, *components: int) -> float:
        return self.copies / self.residual**power if all(k == self.last for k in components) else 0.0

    def trace(self, component: int) -> float:
        """`tr(V^-1 K_k)`."""
        return self.inner.trace(component) + self._extra(1, component)

    def trace_pair(self, first: int, second: int) -> float:
        """`tr(V^-1 K_k V^-1 K_l)`."""
        return self.inner.trace_pair(first, second) + self._extra(2, first, second)

    def trace_cross(self, first: int, second: int) -> float:
        """`tr(K_k V^-1 K_l)`."""
        return self.inner.trace_cross(first, second) + self._extra(1, first, second)


@dataclass(frozen=True, slots=True)
class WithComplement:
    """A system of size p beside `copies` dimensions that see only the residual; size p + 1."""

    inner: System
    copies: int

    @property
    def size(self) -> int:
        """Coordinates of the inner system and one more."""
        return self.inner.size + 1

    @property
    def components(self) -> int:
        """As inside."""
        return self.inner.components

    @property
    def pairs_are_cheap(self) -> bool:
        """As inside."""
        return self.inner.pairs_are_cheap

    def factor(self, variances: Vector) -> ComplementFactor | None:
        """The factor at theta, or None where V is not positive definite (a residual variance of 0 always is not)."""
        residual = float(variances[-1])
        inner = self.inner.factor(variances) if residual > 0.0 else None
        return None if inner is None else ComplementFactor(inner, residual, self.copies, self.components - 1)

    def multiply(self, component: int, right: Matrix) -> Matrix:
        """`K_k B`."""
        if component == self.components - 1:
            return right
        return np.concatenate([self.inner.multiply(component, right[:-1]), np.zeros_like(right[-1:])])

    def kernel_trace(self, component: int) -> float:
        """`tr K_k`."""
        return self.inner.kernel_trace(component) + self._extra(component)

    def kernel_pair(self, first: int, second: int) -> float:
        """`tr(K_k K_l)`."""
        return self.inner.kernel_pair(first, second) + self._extra(first, second)

    def _extra(self, *components: int) -> float:
        return float(self.copies) if all(k == self.components - 1 for k in components) else 0.0

    def moment_covariance(self, variances: Vector) -> Matrix:
        """`2 tr(K_k V K_l V)`."""
        covariance = self.inner.moment_covariance(variances)
        covariance[-1, -1] += 2.0 * self.copies * float(variances[-1]) ** 2
        return covariance

    def rotate(self, right: Matrix) -> Matrix:
        """Rotate the first p coordinates."""
        return np.concatenate([self.inner.rotate(right[:-1]), right[-1:]])

    def rotate_back(self, right: Matrix) -> Matrix:
        """Rotate the first p coordinates back."""
        return np.concatenate([self.inner.rotate_back(right[:-1]), right[-1:]])

    def draw(self, variances: Vector, rng: np.random.Generator) -> Vector:
        """One draw: the last coordinate is the length of the complement's part, s_e chi with `copies` degrees."""
        length = math.sqrt(float(variances[-1]) * float(rng.chisquare(self.copies)))
        return np.append(self.inner.draw(variances, rng), length)
