"""EM with the slopes as missing data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.independent_groups.closed import close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.scheme import GroupScheme
from varmix.models.independent_groups.statistics import GroupStats


@dataclass(frozen=True, slots=True, kw_only=True)
class EM(GroupScheme):
    """Fixed effects are profiled out. Sublinear where a variance goes to 0."""

    name: str = "em"
    monotone: bool = True

    def update(self, params: GroupParams, stats: GroupStats, /) -> GroupParams:
        """`v_k + v_k^2 (quad_k - trace_k) / n_k` with n_k the (weighted) groups that have the slope [SLOPE-3]."""
        closed, count = close(params.values, stats), np.append(stats.effects, stats.rows)
        values = params.values
        return params.moved_to(values + values**2 * (closed.quad - stats.trace) / count)
