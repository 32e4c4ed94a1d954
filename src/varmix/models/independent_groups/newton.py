"""Newton's method on the profile log-likelihood of the variances, within the cone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.cone import quadratic_step, smallest_eigenvalue
from varmix.models.independent_groups.closed import close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.scheme import SADDLE, GroupScheme, movable
from varmix.models.independent_groups.statistics import GroupStats

DEFINITE = 1e-10
"""Smallest eigenvalue of the scaled information from which a quadratic model can be maximised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newton(GroupScheme):
    """Proposes the maximiser of a quadratic model within variances >= 0, which reach and leave 0 exactly.

    `Backtracking` sees to the length of the step; with it the log-likelihood never falls [SLOPE-6].
    """

    name: str = "newton"
    monotone: bool = True

    def update(self, params: GroupParams, stats: GroupStats, /) -> GroupParams:
        """The step of the observed information where it is that of a maximum, else of the expected (Fisher scoring, the
        Gamma regression's own step [SLOPE-7])."""
        closed = close(params.values, stats)
        if not (np.isfinite(closed.score).all() and np.isfinite(closed.observed).all()):
            return params
        free = np.flatnonzero(movable(params, closed))
        if not free.size:
            return params
        inner, expected = closed.observed[np.ix_(free, free)], closed.expected[np.ix_(free, free)]
        # Where the design cannot tell variances apart both are flat, and a step leaves that direction alone.
        least = DEFINITE if smallest_eigenvalue(expected) > DEFINITE else -SADDLE
        if not smallest_eigenvalue(inner) > least:
            inner = expected
        values = params.values.copy()
        values[free] += quadratic_step(values[free], closed.score[free], inner)
        return params.moved_to(values)
