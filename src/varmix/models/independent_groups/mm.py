"""Minorise-maximise: each variance times the root of its quadratic form over its trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.independent_groups.closed import close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.scheme import GroupScheme, without_vestiges
from varmix.models.independent_groups.statistics import GroupStats


@dataclass(frozen=True, slots=True, kw_only=True)
class MM(GroupScheme):
    """Monotone with the fixed effects at their best before each step."""

    name: str = "mm"
    monotone: bool = True

    def update(self, params: GroupParams, stats: GroupStats, /) -> GroupParams:
        """`v_k sqrt(quad_k / trace_k)`, and s alike [SLOPE-5]."""
        closed = close(params.values, stats)
        ratio = np.maximum(closed.quad, 0.0) / np.where(stats.trace > 0.0, stats.trace, 1.0)
        return without_vestiges(params.moved_to(params.values * np.sqrt(ratio)), params, closed)
