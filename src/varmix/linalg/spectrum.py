"""Eigenvalues of a + b shifts: everything but the solve is a sum over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from varmix.errors import KernelError
from varmix.linalg import native
from varmix.typing import Vector

ROUNDING: Final = 4 * float(np.finfo(np.float64).eps)
"""Times sqrt(m) and the largest eigenvalue: below this an eigenvalue cannot be told from 0, because reduction and
eigenvalues are backward stable with errors of that size (observed: 10 to 60 times eps at m = 100 to 5000)."""


def eigenvalues_of_tridiagonal(d: Vector, e: Vector) -> Vector:
    """Ascending eigenvalues, shape (m,), from diagonal d (m) and off-diagonal e (m - 1); the arrays are not kept."""
    values, work = d.copy(), e.copy()
    if not native.tridiagonal_eigenvalues_into(values, work):
        raise KernelError("the eigenvalues of the matrix did not converge. Check it for NaN or infinite entries.")
    return values


def smallest_allowed(largest: float, size: int) -> float:
    """What the smallest eigenvalue must exceed for a matrix of this order and spectral norm to count as definite."""
    return ROUNDING * float(np.sqrt(size)) * abs(largest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedSpectrum:
    """Eigenvalues a l_i + b of a shifted matrix, all positive."""

    values: Vector

    @classmethod
    def of(cls, eigenvalues: Vector, a: float, b: float) -> ShiftedSpectrum | None:
        """None when one of them is not positive beyond rounding."""
        values = a * eigenvalues + b
        rounding = smallest_allowed(max(float(values.max(initial=0.0)), 0.0), values.size)
        return cls(values=values) if values.size == 0 or float(values.min()) > rounding else None

    @property
    def log_determinant(self) -> float:
        return float(np.log(self.values).sum())

    @property
    def trace_inverse(self) -> float:
        return float((1.0 / self.values).sum())

    @property
    def trace_inverse_squared(self) -> float:
        return float((1.0 / self.values**2).sum())
