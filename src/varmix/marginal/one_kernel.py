"""One kernel: reduced once, then every evaluation is linear in its size [VC-5].

A tridiagonal or diagonal reduction has its eigenvalues at hand. A band reduction (large kernels) does without them: a
fit asks for about ten traces, each cheaper than all eigenvalues, and only a nearly vanishing kernel needs the
eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from varmix.errors import NotAvailableError
from varmix.linalg.reduction import Reduction, Shifted
from varmix.typing import Matrix, Square, Vector

DILUTED = 1e-2
"""Below this ratio of the kernel's largest diagonal entry (times s) to s_e, `tr V^-1 K = (m - s_e tr V^-1) / s` would
lose more than two digits to cancellation, `tr V^-1 K V^-1 K` more than four: eigenvalues are used there."""


@dataclass(frozen=True, kw_only=True)
class OneKernelFactor:
    """`V = s K + s_e I`. Traces are made when first asked for: a scan of the likelihood needs none."""

    system: OneKernel
    shifted: Shifted
    kernel: float
    residual: float

    @cached_property
    def _spectrum(self) -> Vector | None:
        """Eigenvalues of V where those of K are at hand, or K nearly vanishes."""
        reduction = self.system.reduction
        diluted = self.kernel * reduction.largest_diagonal < DILUTED * self.residual
        return self.kernel * reduction.eigenvalues + self.residual if self.system.has_eigenvalues or diluted else None

    @cached_property
    def log_determinant(self) -> float:
        """`log |V|`."""
        if self.system.has_eigenvalues and self._spectrum is not None:
            return float(np.log(self._spectrum).sum())
        return self.shifted.log_determinant

    @cached_property
    def _sums(self) -> tuple[Vector, Square]:
        """`tr V^-1 K`, `tr V^-1`, and the traces of pairs."""
        if self._spectrum is not None:
            weights = np.stack([self.system.reduction.eigenvalues / self._spectrum, 1.0 / self._spectrum])
            return weights.sum(axis=1), weights @ weights.T
        once, twice = self.shifted.trace_inverse, self.shifted.trace_inverse_squared
        of_kernel = (self.system.size - self.residual * once) / self.kernel
        mixed = (once - self.residual * twice) / self.kernel
        pairs = np.array([[(of_kernel - self.residual * mixed) / self.kernel, mixed], [mixed, twice]])
        return np.array([of_kernel, once]), pairs

    def solve(self, right: Matrix) -> Matrix:
        """`V^-1 B`."""
        return self.shifted.solve(right)

    def trace(self, component: int) -> float:
        """`tr(V^-1 K_k)`."""
        return float(self._sums[0][component])

    def trace_pair(self, first: int, second: int) -> float:
        """`tr(V^-1 K_k V^-1 K_l)`."""
        return float(self._sums[1][first, second])

    def trace_cross(self, first: int, second: int) -> float:
        """`tr(K_k V^-1 K_l)`."""
        if first != second:
            return self.trace(0)
        if first == 1:
            return self.trace(1)
        if self._spectrum is not None:
            return float((self.system.reduction.eigenvalues**2 / self._spectrum).sum())
        return float(self.system.reduction.trace - self.residual * self.trace(0)) / self.kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class OneKernel:
    """The system of one kernel and the residual."""

    reduction: Reduction
    has_eigenvalues: bool
    """Whether the reduction has them at hand."""

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.reduction.size

    @property
    def components(self) -> int:
        """Two: the kernel and the residual."""
        return 2

    @property
    def pairs_are_cheap(self) -> bool:
        """All traces come from the same sums."""
        return True

    def factor(self, variances: Vector) -> OneKernelFactor | None:
        """The factor at (s, s_e), or None where V is not positive definite."""
        kernel, residual = float(variances[0]), float(variances[1])
        if not kernel >= 0.0 or not residual >= 0.0 or kernel == residual == 0.0:
            return None
        shifted = self.reduction.shifted(kernel, residual)
        if shifted is None:
            return None
        return OneKernelFactor(system=self, shifted=shifted, kernel=kernel, residual=residual)

    def multiply(self, component: int, right: Matrix) -> Matrix:
        """`K_k B`."""
        return self.reduction.multiply(right) if component == 0 else right

    def kernel_trace(self, component: int) -> float:
        """`tr K_k`."""
        return self.reduction.trace if component == 0 else float(self.size)

    def kernel_pair(self, first: int, second: int) -> float:
        """`tr(K_k K_l)`."""
        return (float(self.size), self.reduction.trace, self.reduction.square)[(first == 0) + (second == 0)]

    def moment_covariance(self, variances: Vector) -> Square:
        """`2 tr(K_k V K_l V)`."""
        eigenvalues = self.reduction.eigenvalues
        spectrum = float(variances[0]) * eigenvalues + float(variances[1])
        weighted = np.stack([eigenvalues * spectrum, spectrum])
        return np.asarray(2.0 * weighted @ weighted.T)

    def rotate(self, right: Matrix) -> Matrix:
        """Into the reduction's basis."""
        return self.reduction.rotate(right)

    def rotate_back(self, right: Matrix) -> Matrix:
        """Out of the reduction's basis."""
        return self.reduction.rotate_back(right)

    def draw(self, variances: Vector, rng: np.random.Generator) -> Vector:
        """One draw from N(0, V)."""
        shifted = self.reduction.shifted(float(variances[0]), float(variances[1]))
        if shifted is None:
            raise NotAvailableError("V is not positive definite at these variances, so nothing can be drawn from it.")
        return shifted.correlate(rng.standard_normal(self.size))
