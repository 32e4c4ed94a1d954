"""Newton's method within the cone, with average or observed information."""

from __future__ import annotations

from dataclasses import dataclass

from varmix.models.cone import quadratic_step
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.scheme import LinearScheme
from varmix.models.linear.statistics import LinearStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Newton(LinearScheme):
    """Proposes the maximiser of a quadratic model over theta >= 0, so that a variance can reach 0 and leave it.

    The length of the step is the business of `Backtracking`; with it the log-likelihood never falls [NEWTON-1].
    """

    name: str = "newton"
    monotone: bool = True

    def update(self, params: VarianceParams, stats: LinearStats, /) -> VarianceParams:
        """`theta + d` with d from the observed information where it is cheap and positive definite, else from AI."""
        step = quadratic_step(params.values, stats.score, stats.curvature)
        return params.moved_to(params.values + step)
