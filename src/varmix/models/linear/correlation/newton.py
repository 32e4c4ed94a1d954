"""Newton's method for a pair of responses: |rho| = 1 can be reached exactly and left again [NEWTON-1]."""

from __future__ import annotations

from dataclasses import dataclass

from varmix.models.linear.correlation.cone import cone_step
from varmix.models.linear.correlation.likelihood import PairParams, PairStats
from varmix.models.linear.correlation.scheme import PairScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class PairNewton(PairScheme):
    """Proposes the maximiser of the average-information model over semidefinite Sigma; `Backtracking` halves."""

    name: str = "newton"
    monotone: bool = True

    def update(self, params: PairParams, stats: PairStats, /) -> PairParams:
        """`theta + d`."""
        step = cone_step(params.values, stats.score, stats.information)
        return params.moved_to(params.values + step)
