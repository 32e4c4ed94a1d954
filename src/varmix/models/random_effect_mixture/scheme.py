"""What the schemes share: statistics, objective, the reduced coordinates of the simplex, and the certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.iteration import Certificate
from varmix.models.cone import certify, smallest_eigenvalue
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Index, Mask, Matrix, Square, Vector

SADDLE = 1e-9
"""Most negative eigenvalue of the scaled observed information that is still rounding of a flat direction."""

NEGLIGIBLE = 1e-12
"""Share of the largest variance below which a class variance that still falls is 0: steps by a ratio shrink it for
ever."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """Coordinates in which the simplex is a cone: the largest free share takes up what the others give [SLOPE-6].

    `directions` (2K + 1, d) maps a step in the moving coordinates to one in (v, s, pi); `values` are the moving
    coordinates, all bounded by 0 below; `reference` is the position of the share that gives way, None without one.
    """

    directions: Matrix
    values: Vector
    moving: Index
    reference: int | None

    @classmethod
    def at(cls, params: MixtureParams) -> Reduced:
        """The moving coordinates of a point."""
        count, vector = params.classes, params.vector()
        free = ~params.held
        reference = None
        if params.free_shares.any():
            reference = count + 1 + int(np.argmax(np.where(params.free_shares, params.shares, -1.0)))
            free[reference] = False
        moving = np.flatnonzero(free)
        directions = np.zeros((len(vector), len(moving)))
        directions[moving, np.arange(len(moving))] = 1.0
        if reference is not None:
            directions[reference, moving > count] = -1.0
        return cls(directions=directions, values=vector[moving], moving=moving, reference=reference)

    def pull(self, score: Vector) -> Vector:
        """Gradient in the moving coordinates."""
        return np.asarray(self.directions.T @ score)

    def pull_square(self, matrix: Square) -> Square:
        """Second derivatives in the moving coordinates."""
        return np.asarray(self.directions.T @ matrix @ self.directions)

    def free(self, gradient: Vector) -> Mask:
        """Coordinates that are inside, or at 0 with the gradient pointing inside."""
        return np.asarray((self.values > 0.0) | (gradient > 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureScheme:
    """Summaries of a piece, the observed log-likelihood and its certificate; schemes add `name` and `update`."""

    def summarise(self, params: MixtureParams, piece: Units, /) -> MixtureStats:
        """Statistics of one piece."""
        return summarise(params, piece)

    def objective(self, params: MixtureParams, stats: MixtureStats, /) -> float:
        """The log-likelihood."""
        return stats.log_likelihood if math.isfinite(stats.log_likelihood) else -math.inf

    def certificate(self, params: MixtureParams, stats: MixtureStats, /) -> Certificate:
        """From the observed information; a point where it is not that of a maximum is none, however flat."""
        reduced = Reduced.at(params)
        boundary = tuple(int(k) for k in np.flatnonzero((params.vector() == 0.0) & ~params.held))
        away = Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=boundary)
        if not (np.isfinite(stats.score).all() and np.isfinite(stats.hessian).all()):
            return away
        gradient, information = reduced.pull(stats.score), -reduced.pull_square(stats.hessian)
        free = np.flatnonzero(reduced.free(gradient))
        inner = information[np.ix_(free, free)]
        if smallest_eigenvalue(inner) < -SADDLE:
            return away
        found = certify(reduced.values[free], gradient[free], inner)
        return Certificate(
            projected_gradient=found.projected_gradient, newton_decrement=found.newton_decrement, on_boundary=boundary
        )


def stepped(params: MixtureParams, variances: Vector, residual: float, counts: Vector) -> MixtureParams:
    """The point a closed-form update reaches, with shares in proportion to counts; a class without any keeps its
    variance."""
    alive = counts > 0.0
    variances = np.where(alive & np.isfinite(variances), variances, params.variances)
    return params.moved_to(np.concatenate([variances, [residual], counts]))


def without_vestiges(params: MixtureParams, before: MixtureParams, stats: MixtureStats) -> MixtureParams:
    """Class variances that are negligible and whose score is negative, at 0: going there raises the likelihood."""
    count = params.classes
    vestige = (params.variances < NEGLIGIBLE * max(params.variances.max(), params.residual)) & (
        stats.score[:count] < 0.0
    )
    if params.residual <= 0.0 or not (vestige & ~params.held[:count]).any():
        return params
    return params.moved_to(np.concatenate([np.where(vestige, 0.0, params.variances), [params.residual], params.shares]))
