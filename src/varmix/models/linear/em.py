"""Expectation maximisation for variance components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.linear.params import VarianceParams
from varmix.models.linear.scheme import LinearScheme
from varmix.models.linear.statistics import LinearStats


@dataclass(frozen=True, slots=True, kw_only=True)
class EM(LinearScheme):
    """Effects and errors are the missing data; fixed effects are profiled out. Sublinear where a variance goes to 0."""

    name: str = "em"
    monotone: bool = True

    def update(self, params: VarianceParams, stats: LinearStats, /) -> VarianceParams:
        """`s_k + s_k^2 (quad_k - trace_k) / q_k` [EM-1]."""
        values, count = params.values, np.append(stats.effects, stats.errors)
        return VarianceParams(np.maximum(values + values**2 * (stats.quad - stats.trace) / count, 0.0))
