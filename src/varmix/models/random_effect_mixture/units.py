"""Independent units reduced to what the likelihood needs: rows that share an effect become two numbers [SLOPE-2]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from varmix.typing import Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """Units that inform the effects, and what the other coordinates say about the residual variance.

    `q = x'x > 0` and `h2 = (x'y)^2 / q` have shape (n,); `weight` holds likelihood weights, None for all 1. What is
    left of a unit once its effect has taken its coordinate is R ~ s chi2 on m - 1 degrees of freedom: only the weighted
    sums `rest` and `rest_rows` of R and m - 1 matter (rows with x = 0 are counted there with all their coordinates).
    """

    q: Vector
    h2: Vector
    weight: Vector | None = None
    rest: float = 0.0
    rest_rows: float = 0.0

    def __len__(self) -> int:
        return len(self.q)

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self.q)) if self.weight is None else float(self.weight.sum())

    def split(self, pieces: int) -> tuple[Units, ...]:
        """The same units in consecutive pieces of equal size (views); the first carries what is left."""
        size = max(1, -(-len(self) // max(1, pieces)))
        parts = tuple(self._part(start, start + size) for start in range(0, len(self), size)) or (self,)
        first = Units(
            q=parts[0].q, h2=parts[0].h2, weight=parts[0].weight, rest=self.rest, rest_rows=self.rest_rows
        )  # fmt: skip
        return (first, *parts[1:])

    def blocks(self, size: int) -> Iterator[tuple[Vector, Vector, Vector | None]]:
        """Views of (q, h2, weight) of at most `size` units."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self.q[part], self.h2[part], None if self.weight is None else self.weight[part]

    def _part(self, start: int, stop: int) -> Units:
        weight = None if self.weight is None else self.weight[start:stop]
        return Units(q=self.q[start:stop], h2=self.h2[start:stop], weight=weight)
