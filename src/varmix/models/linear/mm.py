"""Minorise-maximise for variance components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.linear.params import VarianceParams
from varmix.models.linear.scheme import LinearScheme, without_vestiges
from varmix.models.linear.statistics import LinearStats


@dataclass(frozen=True, slots=True, kw_only=True)
class MM(LinearScheme):
    """Each variance times the square root of its quadratic form over its trace."""

    name: str = "mm"
    monotone: bool = True

    def update(self, params: VarianceParams, stats: LinearStats, /) -> VarianceParams:
        """`s_k sqrt(quad_k / trace_k)` [MM-1]. A kernel that is 0 in the complement of the covariates stays as
        it is."""
        trace = np.where(stats.trace > 0.0, stats.trace, 1.0)
        quad = np.where(stats.trace > 0.0, np.maximum(stats.quad, 0.0), 1.0)
        return VarianceParams(without_vestiges(params.values * np.sqrt(quad / trace), stats))
