"""Coordinates that no slope reaches: rows with x = 0, and what is left of a group once its slopes have theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from varmix.models.independent_groups.statistics import GroupStats
from varmix.typing import Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rest:
    """`total` (C, C), the weighted sum of [W, y]'[W, y] over `rows` (weighted) coordinates of variance s [SLOPE-2]."""

    slopes: int
    rows: float
    total: Square


def rest_statistics(values: Vector, units: Rest) -> GroupStats:
    """Statistics at theta, shape (K + 1,)."""
    residual, columns = float(values[-1]), len(units.total)
    result = GroupStats.blank(units.slopes, columns)
    if units.rows == 0.0:
        return result
    if not residual > 0.0:
        return GroupStats.undefined(units.slopes, columns)
    result.trace[-1] = units.rows / residual
    result.pairs[-1, -1] = units.rows / residual**2
    result.quad[-1] = units.total / residual**2
    result.curve[-1, -1] = units.total / residual**3
    return GroupStats(
        rows=units.rows,
        log_determinant=units.rows * math.log(residual),
        trace=result.trace,
        pairs=result.pairs,
        quad=result.quad,
        curve=result.curve,
        total=units.total,
        effects=result.effects,
    )
