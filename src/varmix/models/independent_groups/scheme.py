"""What the schemes share: statistics of a piece, the log-likelihood and the certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.iteration import Certificate
from varmix.models.cone import certify, smallest_eigenvalue
from varmix.models.independent_groups.blocks import Blocks, block_statistics
from varmix.models.independent_groups.closed import Closed, close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.rest import Rest, rest_statistics
from varmix.models.independent_groups.scalars import Scalars, scalar_statistics
from varmix.models.independent_groups.statistics import GroupStats
from varmix.typing import Mask

Piece = Scalars | Blocks | Rest
"""Groups of one kind; a model is a few of them."""

SADDLE = 1e-9
"""Most negative eigenvalue of the scaled observed information that is still rounding of a flat direction."""

NEGLIGIBLE = 1e-12
"""Share of the largest variance below which a slope's variance that still falls is 0: steps by a ratio shrink it for
ever."""


def summarise_groups(params: GroupParams, piece: Piece) -> GroupStats:
    """Statistics of one piece of any kind."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if isinstance(piece, Scalars):
            return scalar_statistics(params.values, piece)
        if isinstance(piece, Blocks):
            return block_statistics(params.values, piece)
        return rest_statistics(params.values, piece)


def movable(params: GroupParams, closed: Closed) -> Mask:
    """Variances that are not held and are inside, or at 0 with the gradient pointing inside."""
    return np.asarray(~params.held & ((params.values > 0.0) | (closed.score > 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScheme:
    """Summaries and certificate; the schemes add `name`, `monotone` and `update`."""

    def summarise(self, params: GroupParams, piece: Piece, /) -> GroupStats:
        """Statistics of one piece."""
        return summarise_groups(params, piece)

    def objective(self, params: GroupParams, stats: GroupStats, /) -> float:
        """The log-likelihood, at the best fixed effects."""
        value = close(params.values, stats).log_likelihood
        return value if math.isfinite(value) else -math.inf

    def certificate(self, params: GroupParams, stats: GroupStats, /) -> Certificate:
        """From the observed information; a point where it is not that of a maximum is none, however flat."""
        boundary = tuple(int(k) for k in np.flatnonzero((params.values == 0.0) & ~params.held))
        away = Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=boundary)
        closed = close(params.values, stats)
        if not (np.isfinite(closed.score).all() and np.isfinite(closed.observed).all()):
            return away
        free = np.flatnonzero(movable(params, closed))
        inner = closed.observed[np.ix_(free, free)]
        if smallest_eigenvalue(inner) < -SADDLE:
            return away
        found = certify(params.values[free], closed.score[free], inner)
        return Certificate(
            projected_gradient=found.projected_gradient, newton_decrement=found.newton_decrement, on_boundary=boundary
        )


def without_vestiges(params: GroupParams, before: GroupParams, closed: Closed) -> GroupParams:
    """Variances of slopes that are negligible and whose score is negative, at 0: going there raises the likelihood."""
    vestige = (params.values < NEGLIGIBLE * params.values.max()) & (closed.score < 0.0)
    vestige[-1] = False
    return params.moved_to(np.where(vestige, 0.0, params.values)) if before.values[-1] > 0.0 else params
