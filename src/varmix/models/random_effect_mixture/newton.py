"""Newton's method on the observed log-likelihood, within variances >= 0 and the simplex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.cone import quadratic_step
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme, Reduced, smallest_eigenvalue
from varmix.models.random_effect_mixture.statistics import MixtureStats

DEFINITE = 1e-10
"""Smallest eigenvalue of the scaled information from which a quadratic model can be maximised."""

SHORT_OF_EMPTY = 0.9
"""Part of the largest share that one step may take from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newton(MixtureScheme):
    """Proposes the maximiser of a quadratic model within the cone, so that variances and shares can reach and leave 0.

    `Backtracking` sees to the length of the step; with it the log-likelihood never falls [SLOPE-6].
    """

    name: str = "newton"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """The step of the observed information where it is that of a maximum, else of the scores' products, which point
        upwards everywhere."""
        reduced = Reduced.at(params)
        gradient = reduced.pull(stats.score)
        information = -reduced.pull_square(stats.hessian)
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            return params
        free = np.flatnonzero(reduced.free(gradient))
        if not free.size:
            return params
        inner = information[np.ix_(free, free)]
        if not smallest_eigenvalue(inner) > DEFINITE:
            inner = reduced.pull_square(stats.outer)[np.ix_(free, free)]
        step = np.zeros(len(gradient))
        step[free] = quadratic_step(reduced.values[free], gradient[free], inner)
        move = reduced.directions @ step
        if reduced.reference is not None:
            largest, taken = params.vector()[reduced.reference], -float(move[reduced.reference])
            if taken > SHORT_OF_EMPTY * largest:
                move *= SHORT_OF_EMPTY * largest / taken
        return params.moved_to(params.vector() + move)
