"""Newton's method on the observed log-likelihood, within variances >= 0 and the simplex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.cone import quadratic_step, smallest_eigenvalue
from varmix.models.random_effect_mixture.em import EM
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme, Reduced
from varmix.models.random_effect_mixture.statistics import MixtureStats
from varmix.typing import Square

DEFINITE = 1e-10
"""Smallest eigenvalue of the scaled information from which a quadratic model can be maximised."""

SHORT_OF_EMPTY = 0.9
"""Part of the largest share that one step may take from it."""


SILENT = 1e-12
"""Relative size of its own score below which a coordinate says nothing here: the variance of an empty class, a share
between two classes that coincide. Such a coordinate waits until the others have moved."""

TELLING = 1e-2
"""Smallest eigenvalue of the scaled products of the scores from which their step is better than one along the
curvature."""

CURVED = 1e-5
"""Least curvature, relative to the largest, of a direction along which the likelihood is flat or curves upwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newton(MixtureScheme):
    """Proposes the maximiser of a quadratic model within the cone, so that variances and shares can reach and leave 0.

    `Backtracking` sees to the length of the step; with it the log-likelihood never falls [SLOPE-6].
    """

    name: str = "newton"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """The step of the observed information where it is that of a maximum, else of a matrix that points upwards."""
        reduced = Reduced.at(params)
        if not (np.isfinite(stats.score).all() and np.isfinite(stats.hessian).all()):
            return params
        gradient = reduced.pull(stats.score)
        information = -reduced.pull_square(stats.hessian)
        outer = reduced.pull_square(stats.outer)
        telling = outer.diagonal() > SILENT * stats.outer.diagonal()[reduced.moving]
        free = np.flatnonzero(reduced.free(gradient) & telling)
        if not free.size:
            return params
        inner = information[np.ix_(free, free)]
        if not smallest_eigenvalue(inner) > DEFINITE:
            with np.errstate(over="ignore", invalid="ignore"):
                inner = _ascending(inner, outer[np.ix_(free, free)])
        if not np.isfinite(inner).all():  # curvatures very far from the data, beyond numbers: EM needs none
            return EM().update(params, stats)
        step = np.zeros(len(gradient))
        step[free] = quadratic_step(reduced.values[free], gradient[free], inner)
        move = reduced.directions @ step
        if reduced.reference is not None:
            largest, taken = params.vector()[reduced.reference], -float(move[reduced.reference])
            if taken > SHORT_OF_EMPTY * largest:
                move *= SHORT_OF_EMPTY * largest / taken
        return params.moved_to(params.vector() + move)


def _ascending(information: Square, outer: Square) -> Square:
    """A positive definite matrix for where the observed information is not that of a maximum.

    The products of the scores, unless two classes nearly coincide: those are then flat in the shares of the two, and a
    step would have to be halved to nothing. There it is the information with its eigenvalues made positive.
    """
    if smallest_eigenvalue(outer) > TELLING:
        return outer
    scale = 1.0 / np.sqrt(
        np.maximum(np.maximum(outer.diagonal(), np.abs(information.diagonal())), np.finfo(float).tiny)
    )
    eigenvalues, basis = np.linalg.eigh(information * np.outer(scale, scale))
    positive = np.maximum(np.abs(eigenvalues), CURVED * np.abs(eigenvalues).max())
    return np.asarray((basis * positive) @ basis.T / np.outer(scale, scale))
