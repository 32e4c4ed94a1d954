"""A point in the cone of variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Vector


@dataclass(frozen=True, slots=True)
class VarianceParams:
    """Variances theta >= 0, residual last, shape (K,). Steps are taken in theta itself: its zero is an ordinary
    point."""

    values: Vector

    def vector(self) -> Vector:
        """The variances."""
        return self.values

    def moved_to(self, vector: Vector) -> VarianceParams:
        """The nearest point of the cone."""
        return VarianceParams(np.maximum(vector, 0.0))
