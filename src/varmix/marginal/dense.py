"""Several kernels: a dense Cholesky factor per evaluation, traces exact from the inverse."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import lapack

from varmix.errors import NotAvailableError
from varmix.linalg.householder import mirror_lower_into
from varmix.typing import Matrix, Square, Vector

FEW_ROWS = 3
"""Rows per component up to which all pairs of traces are worth their price: the average information has no more rank
than there are rows, and with few of them a fit that relies on it alone can neither move nor tell that it has not
arrived."""


@dataclass(slots=True)
class DenseFactor:
    """Cholesky factor of V, size m; the inverse and the products with kernels are made when first asked for."""

    kernels: tuple[Square, ...]
    lower: Square
    _inverse: Square | None = field(default=None, repr=False)
    _products: dict[int, Square] = field(default_factory=dict, repr=False)

    @property
    def log_determinant(self) -> float:
        """`log |V|`."""
        return 2.0 * float(np.log(self.lower.diagonal()).sum())

    def solve(self, right: Matrix) -> Matrix:
        """`V^-1 B`."""
        solution: Matrix = lapack.dpotrs(self.lower, right, lower=1)[0]
        return solution.reshape(right.shape)

    @property
    def inverse(self) -> Square:
        """`V^-1`, both triangles."""
        if self._inverse is None:
            inverse = lapack.dpotri(self.lower, lower=1)[0]
            mirror_lower_into(inverse)
            self._inverse = inverse
        return self._inverse

    def _product(self, component: int) -> Square:
        """`V^-1 K_k`."""
        if component == len(self.kernels):
            return self.inverse
        if component not in self._products:
            self._products[component] = self.solve(self.kernels[component])
        return self._products[component]

    def trace(self, component: int) -> float:
        """`tr(V^-1 K_k)`: both are symmetric, so the order of memory does not matter."""
        if component == len(self.kernels):
            return float(self.inverse.trace())
        return _inner(self.inverse, self.kernels[component])

    def trace_pair(self, first: int, second: int) -> float:
        """`tr(V^-1 K_k V^-1 K_l)`."""
        return float(np.einsum("ij,ji->", self._product(first), self._product(second)))

    def trace_cross(self, first: int, second: int) -> float:
        """`tr(K_k V^-1 K_l)`."""
        last = len(self.kernels)
        if last in (first, second):
            return self.trace(min(first, second)) if first != second else float(self.inverse.trace())
        return _inner(self.kernels[first], self._product(second))


def _inner(left: Square, right: Square) -> float:
    """`sum_ij left_ij right_ij` for contiguous arrays of which at least one is symmetric, so that memory order is
    free."""
    return float(np.vdot(left.ravel(order="K"), right.ravel(order="K")))


@dataclass(frozen=True, slots=True)
class DenseKernels:
    """The system of any number of kernels (contiguous m x m arrays, both triangles) and the residual."""

    kernels: tuple[Square, ...]
    size: int

    @property
    def components(self) -> int:
        """Kernels and the residual."""
        return len(self.kernels) + 1

    @property
    def pairs_are_cheap(self) -> bool:
        """A pair of traces costs matrix products, cheap on few rows."""
        return self.size <= FEW_ROWS * self.components

    def _covariance(self, variances: Vector) -> Square:
        covariance = np.zeros((self.size, self.size), order="F")
        scratch = np.empty_like(covariance)
        for variance, kernel in zip(variances, self.kernels, strict=False):
            if variance != 0.0:
                np.multiply(kernel, variance, out=scratch)
                covariance += scratch
        covariance.ravel(order="F")[:: self.size + 1] += variances[-1]
        return covariance

    def factor(self, variances: Vector) -> DenseFactor | None:
        """The factor at theta, or None where V is not positive definite."""
        lower, fault = lapack.dpotrf(self._covariance(variances), lower=1, clean=1, overwrite_a=1)
        return None if fault else DenseFactor(self.kernels, lower)

    def multiply(self, component: int, right: Matrix) -> Matrix:
        """`K_k B`."""
        return right if component == len(self.kernels) else self.kernels[component] @ right

    def kernel_trace(self, component: int) -> float:
        """`tr K_k`."""
        return float(self.size) if component == len(self.kernels) else float(self.kernels[component].trace())

    def kernel_pair(self, first: int, second: int) -> float:
        """`tr(K_k K_l)`."""
        last = len(self.kernels)
        if last in (first, second):
            return self.kernel_trace(min(first, second))
        return _inner(self.kernels[first], self.kernels[second])

    def moment_covariance(self, variances: Vector) -> Matrix:
        """`2 tr(K_k V K_l V)`."""
        covariance = self._covariance(variances)
        products = [kernel @ covariance for kernel in self.kernels] + [covariance]
        result = np.empty((self.components, self.components))
        for k, left in enumerate(products):
            for j, right in enumerate(products[: k + 1]):
                result[k, j] = result[j, k] = 2.0 * float(np.einsum("ij,ji->", left, right))
        return result

    def rotate(self, right: Matrix) -> Matrix:
        """The system's own coordinates: nothing to do."""
        return right

    def rotate_back(self, right: Matrix) -> Matrix:
        """Nothing to undo."""
        return right

    def draw(self, variances: Vector, rng: np.random.Generator) -> Vector:
        """One draw from N(0, V)."""
        lower, fault = lapack.dpotrf(self._covariance(variances), lower=1, clean=1, overwrite_a=1)
        if fault:
            raise NotAvailableError("V is not positive definite at these variances, so nothing can be drawn from it.")
        sample: Vector = lower @ rng.standard_normal(self.size)
        return sample
