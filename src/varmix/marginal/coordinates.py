"""Between the n rows of the data and the coordinates of a system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from varmix.linalg.householder import CovariateBasis
from varmix.linalg.reflector import BlockReflector
from varmix.marginal.complement import WithComplement
from varmix.marginal.factor import System
from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """A response in a system's coordinates."""

    fixed: Vector
    """Block U, shape (c,)."""
    complement: Vector
    """Block A in the system's coordinates, shape (system.size,)."""
    rest: Vector
    """Unit vector of the part that no design column reaches, shape (m - p,); empty when there is none."""


class Coordinates(Protocol):
    """The rotation of one piece."""

    def from_rows(self, y: Vector) -> Rotated:
        """Rotate a response of n rows."""
        ...

    def to_rows(self, fixed: Vector, complement: Vector, rest: Vector) -> Vector:
        """Rotate blocks U and A back to n rows."""
        ...

    def columns_from_rows(self, values: Matrix) -> tuple[Matrix, Matrix]:
        """Blocks U (c, r) and A (system.size, r) of an n x r matrix that lies in the span of covariates and kernels."""
        ...


def _turned(rotate_into: Callable[[Matrix], None], vector: Vector) -> Vector:
    column = np.array(vector, dtype=np.float64)[:, None]
    rotate_into(column)
    return column[:, 0]


@dataclass(frozen=True, slots=True)
class Wide:
    """Kernels of the full size: covariates out, then the system's own rotation."""

    basis: CovariateBasis
    system: System

    def from_rows(self, y: Vector) -> Rotated:
        """Rotate a response of n rows."""
        rotated, columns = _turned(self.basis.rotate_into, y), self.basis.columns
        return Rotated(fixed=rotated[:columns], complement=self.system.rotate(rotated[columns:]), rest=np.zeros(0))

    def to_rows(self, fixed: Vector, complement: Vector, rest: Vector) -> Vector:
        """Rotate blocks U and A back to n rows."""
        return _turned(self.basis.rotate_back_into, np.concatenate([fixed, self.system.rotate_back(complement)]))

    def columns_from_rows(self, values: Matrix) -> tuple[Matrix, Matrix]:
        """Blocks U and A of the columns."""
        rotated = np.array(values, dtype=np.float64, order="F")
        self.basis.rotate_into(rotated)
        return rotated[: self.basis.columns], self.system.rotate(rotated[self.basis.columns :])


@dataclass(frozen=True, slots=True)
class Narrow:
    """Designs narrower than the rows: after the covariates, an orthogonal factor of the designs themselves."""

    basis: CovariateBasis
    inner: BlockReflector
    system: WithComplement

    def from_rows(self, y: Vector) -> Rotated:
        """Rotate a response of n rows."""
        rotated, columns, width = (
            _turned(self.basis.rotate_into, y),
            self.basis.columns,
            self.inner.coefficients.shape[0],
        )
        below = _turned(self._inner_into, rotated[columns:])
        largest = float(np.abs(below[width:]).max(initial=0.0))
        length = float(np.linalg.norm(below[width:] / largest)) * largest if largest > 0.0 else 0.0
        rest = below[width:] / length if length > 0.0 else below[width:]
        complement = self.system.rotate(np.append(below[:width], length))
        return Rotated(fixed=rotated[:columns], complement=complement, rest=rest)

    def to_rows(self, fixed: Vector, complement: Vector, rest: Vector) -> Vector:
        """Rotate blocks U and A back to n rows."""
        within = self.system.rotate_back(complement)
        below = _turned(self._inner_back_into, np.concatenate([within[:-1], within[-1] * rest]))
        return _turned(self.basis.rotate_back_into, np.concatenate([fixed, below]))

    def columns_from_rows(self, values: Matrix) -> tuple[Matrix, Matrix]:
        """Blocks U and A of the columns; what lies outside the designs is 0 by assumption."""
        rotated = np.array(values, dtype=np.float64, order="F")
        self.basis.rotate_into(rotated)
        below = np.array(rotated[self.basis.columns :], order="F")
        self._inner_into(below)
        below = below[: self.inner.coefficients.shape[0] + 1]
        below[-1] = 0.0
        return rotated[: self.basis.columns], self.system.rotate(below)

    def _inner_into(self, right: Matrix) -> None:
        self.inner.multiply_into(right, transpose=True)

    def _inner_back_into(self, right: Matrix) -> None:
        self.inner.multiply_into(right, transpose=False)
