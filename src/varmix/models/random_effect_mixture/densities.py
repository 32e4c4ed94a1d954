"""Densities of units under classes, as what solves for shares reads them: block by block, held or made anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Index, Matrix, Vector

BLOCK = 8_192
"""Units of a block: the rows of a few dozen classes then stay in the processor's cache."""


class Densities(Protocol):
    """Densities of n units under K classes, each unit's up to a positive factor of its own."""

    @property
    def classes(self) -> int:
        """K."""
        ...

    @property
    def units(self) -> int:
        """n."""
        ...

    def blocks(self, classes: Index | None) -> Iterator[tuple[slice, Matrix]]:
        """Consecutive units and their densities under these classes (None: all), shape (len(classes), units)."""
        ...

    def at(self, units: Index) -> Matrix:
        """Densities of some units, in ascending order, under all classes, shape (K, len(units))."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeldDensities:
    """A class-major matrix (K, n) in memory."""

    matrix: Matrix

    @property
    def classes(self) -> int:
        """K."""
        return len(self.matrix)

    @property
    def units(self) -> int:
        """n."""
        return int(self.matrix.shape[1])

    def blocks(self, classes: Index | None) -> Iterator[tuple[slice, Matrix]]:
        """Views of all classes, copies of some."""
        for start in range(0, self.units, BLOCK):
            part = slice(start, min(start + BLOCK, self.units))
            yield part, self.matrix[:, part] if classes is None else self.matrix[classes, part]

    def at(self, units: Index) -> Matrix:
        """A copy of some columns."""
        return self.matrix[:, units]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitDensities:
    """Normal densities of units at a residual variance and class variances (K,), made anew whenever they are read.

    Relative to the class of largest variance, under which no unit's density underflows [SLOPE-8].
    """

    pieces: Sequence[Units]
    variances: Vector
    residual: float

    @property
    def classes(self) -> int:
        """K."""
        return len(self.variances)

    @property
    def units(self) -> int:
        """n."""
        return sum(len(piece) for piece in self.pieces)

    def blocks(self, classes: Index | None) -> Iterator[tuple[slice, Matrix]]:
        """Made for these classes alone."""
        variances = self.variances if classes is None else self.variances[classes]
        position = 0
        for piece in self.pieces:
            for q, h2, _ in piece.blocks(BLOCK):
                yield slice(position, position + len(q)), self._relative(variances, q, h2)
                position += len(q)

    def at(self, units: Index) -> Matrix:
        """From the pieces that these units lie in."""
        parts, position = [], 0
        for piece in self.pieces:
            first, last = np.searchsorted(units, [position, position + len(piece)])
            inside = units[first:last] - position
            parts.append(self._relative(self.variances, piece.q[inside], piece.h2[inside]))
            position += len(piece)
        return np.hstack(parts)

    def held(self) -> HeldDensities:
        """The same in memory, K x n."""
        matrix = np.empty((self.classes, self.units))
        for part, block in self.blocks(None):
            matrix[:, part] = block
        return HeldDensities(matrix)

    def _relative(self, variances: Vector, q: Vector, h2: Vector) -> Matrix:
        top = float(self.variances.max()) * q + self.residual
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            inverse = np.multiply.outer(variances, q)
            inverse += self.residual
            np.reciprocal(inverse, out=inverse)
            density = inverse * h2
            np.subtract(h2 / top, density, out=density)
            density *= 0.5
            np.exp(density, out=density)
            inverse *= top
            density *= np.sqrt(inverse, out=inverse)
        if self.residual == 0.0:
            density[variances == 0.0] = 0.0  # without noise, no effect explains nothing but h = 0
        return density


def all_weights(pieces: Sequence[Units]) -> Vector | None:
    """Weights of the units of all pieces (n,), None where all are 1."""
    if all(piece.weight is None for piece in pieces):
        return None
    return np.concatenate([np.ones(len(piece)) if piece.weight is None else piece.weight for piece in pieces])
