"""A scheme on an affine part of the cone, `theta = offset + directions t`, t >= 0: profiles and null hypotheses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.iteration import Certificate
from varmix.marginal.piece import Piece
from varmix.models.cone import certify, quadratic_step
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.statistics import Criterion, LinearStats, summarise_linear
from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictedNewton:
    """Newton in t; statistics are those of theta, pulled back by the chain rule."""

    criterion: Criterion
    offset: Vector
    directions: Matrix
    """Shape (K, number of free coordinates), entries >= 0."""
    name: str = "newton"
    monotone: bool = True

    def variances(self, params: VarianceParams) -> Vector:
        """theta at t."""
        return np.asarray(self.offset + self.directions @ params.values)

    def summarise(self, params: VarianceParams, piece: Piece, /) -> LinearStats:
        """Statistics of theta."""
        return summarise_linear(piece, self.variances(params), self.criterion)

    def objective(self, params: VarianceParams, stats: LinearStats, /) -> float:
        """The (restricted) log-likelihood."""
        return stats.log_likelihood

    def certificate(self, params: VarianceParams, stats: LinearStats, /) -> Certificate:
        """In the coordinates t."""
        information = stats.expected_information
        if information is None:
            information = stats.average_information
        return certify(params.values, self.directions.T @ stats.score, self._pull(information))

    def update(self, params: VarianceParams, stats: LinearStats, /) -> VarianceParams:
        """The quadratic step in t [NEWTON-1]."""
        step = quadratic_step(params.values, self.directions.T @ stats.score, self._pull(stats.curvature))
        return params.moved_to(params.values + step)

    def _pull(self, information: Matrix) -> Matrix:
        return np.asarray(self.directions.T @ information @ self.directions)
