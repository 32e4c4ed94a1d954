"""A coordinate held at a value, and what that leaves of its simplex."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from varmix.typing import Index, Mask, Vector


def held_at(
    vector: Vector, held: Mask, simplexes: Sequence[Index], coordinate: int, value: float
) -> tuple[Vector, Mask]:
    """Copies of a point's coordinates and of its mask with `coordinate` held at `value` (K,).

    Others of its simplex that may move share what it leaves, in the same proportions; where it leaves nothing they are
    held at 0 too.
    """
    vector, held = vector.copy(), held.copy()
    for group in simplexes:
        if coordinate not in group:
            continue
        rest = group[group != coordinate]
        others = rest[~held[rest]]
        left = max(1.0 - value - float(vector[rest[held[rest]]].sum()), 0.0)
        total = float(vector[others].sum())
        vector[others] = vector[others] * (left / total) if total > 0.0 else left / max(len(others), 1)
        held[others] |= left <= 0.0
    vector[coordinate], held[coordinate] = value, True
    return np.asarray(vector), held
