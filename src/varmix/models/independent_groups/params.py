"""A point of the model: variances of the slopes and of the residual, and which of them are held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.typing import Mask, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupParams:
    """Variances (v_1, ..., v_K, s) >= 0, shape (K + 1,); `held` marks those that no step moves.

    Fixed effects are no coordinates: at every point they take their best values.
    """

    values: Vector
    held: Mask

    @classmethod
    def free(cls, values: Vector) -> GroupParams:
        """A point at which every variance may move."""
        return cls(values=np.asarray(values, dtype=np.float64), held=np.zeros(len(values), dtype=np.bool_))

    def vector(self) -> Vector:
        """The variances, residual last."""
        return self.values

    def moved_to(self, vector: Vector) -> GroupParams:
        """The nearest point of the cone; what is held stays."""
        return replace(self, values=np.where(self.held, self.values, np.maximum(vector, 0.0)))

    def holding(self, coordinate: int, value: float) -> GroupParams:
        """The point with one more variance held, at `value`."""
        values, held = self.values.copy(), self.held.copy()
        values[coordinate], held[coordinate] = value, True
        return GroupParams(values=values, held=held)
