"""One piece of data, `y ~ N(Zw, sum_k s_k K_k + s_e I)`, with the covariates rotated out.

With `H'Z = [R; 0]` the rows split into a block U of c and a block A of m = n - c. `y_A` alone carries REML; block U
adds the fixed effects and, for ML, the Schur complement `C = V_UU - V_UA V_AA^-1 V_AU` [VC-2].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from varmix.linalg.indefinite import NegativeEigenvalues
from varmix.marginal.coordinates import Coordinates, Rotated
from varmix.marginal.factor import System
from varmix.typing import Matrix, Square, Vector


def power_of_two(value: float) -> float:
    """The nearest power of two: dividing by it is exact. 1 for 0."""
    return 1.0 if value == 0.0 else 2.0 ** round(math.log2(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Powers of two that bring y and every kernel to order one, so that no scale of the data can over- or underflow."""

    response: float
    kernels: Vector
    """Each kernel is divided by its unit, shape (k,)."""

    @property
    def _kernels(self) -> Vector:
        return np.append(self.kernels, 1.0)

    def inward(self, variances: Vector) -> Vector:
        """Variances in the user's units to internal ones, shape (K,) with the residual last."""
        return variances / self.response * self._kernels / self.response

    def outward(self, variances: Vector) -> Vector:
        """Internal variances (or their standard errors) to the user's units."""
        return variances / self._kernels * self.response * self.response


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A system with the data in its coordinates (internal units)."""

    system: System
    coordinates: Coordinates
    response: Rotated
    cross: tuple[Matrix, ...]
    """`K_AU` of each kernel in the system's coordinates, shape (system.size, c)."""
    corner: tuple[Square, ...]
    """`K_UU` of each kernel, shape (c, c)."""
    triangle: Square
    """R of `H'Z = [R; 0]`, shape (c, c)."""
    rows: int
    """n."""
    effects: Vector
    """Number of effects behind each kernel (at most the rows), shape (k,)."""
    negative: tuple[NegativeEigenvalues, ...] = ()
    """Of the kernels outside the covariates, in the user's units; those of rounding are left out. Where there are any,
    V is positive definite on a part of the cone of variances only."""

    @property
    def y(self) -> Vector:
        """Block A of the response."""
        return self.response.complement

    @property
    def y_fixed(self) -> Vector:
        """Block U of the response."""
        return self.response.fixed

    @property
    def columns(self) -> int:
        """c."""
        return int(self.triangle.shape[0])

    @property
    def log_determinant_covariates(self) -> float:
        """`log |Z'Z|`."""
        return 2.0 * float(np.log(np.abs(self.triangle.diagonal())).sum())

    def with_response(self, response: Rotated) -> Piece:
        """The same system with another response."""
        return replace(self, response=response)

    def with_complement(self, complement: Vector) -> Piece:
        """The same system with another block A (a draw from the model); block U and the rest are unknown and 0."""
        return self.with_response(Rotated(fixed=np.zeros(self.columns), complement=complement, rest=np.zeros(0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """All of a piece but its response: covariates rotated out, kernels reduced."""

    blank: Piece
    """The piece with y = 0."""
    kernel_units: Vector
    projected_traces: Vector
    """`tr(M K_k)` of each kernel in the user's units, shape (k,) [VC-9]."""
    algebra: str
    """Which algebra was chosen, and why, for reports."""

    def piece(self, y: Vector) -> tuple[Piece, Units]:
        """The piece of response y (n,), and units that bring the part of y outside the covariates to order one."""
        spread = power_of_two(float(np.abs(y).max(initial=0.0)))
        raw = self.blank.coordinates.from_rows(y / spread)
        deviation = math.sqrt(float(raw.complement @ raw.complement) / max(1, self.blank.rows - self.blank.columns))
        unit = power_of_two(deviation)
        response = Rotated(fixed=raw.fixed / unit, complement=raw.complement / unit, rest=raw.rest)
        return self.blank.with_response(response), Units(response=unit * spread, kernels=self.kernel_units)
