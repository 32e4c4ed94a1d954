"""Newton's method on the observed log-likelihood, within variances >= 0 and the simplexes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.params import PartitionParams
from varmix.models.partition.scheme import PartitionScheme, Reduced, cone_step, smallest_eigenvalue
from varmix.models.partition.statistics import PartitionStats
from varmix.typing import Square

DEFINITE = 1e-10
"""Smallest eigenvalue of the scaled information from which a quadratic model can be maximised."""

CURVED = 1e-5
"""Least curvature, relative to the largest, of a direction along which the likelihood is flat or curves upwards."""

TELLING = 1e-2
"""Smallest eigenvalue of the scaled products of scores from which their step is better than one along the curvature."""

SHORT_OF_EMPTY = 0.9
"""Part of the largest share of a simplex that one step may take from it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newton(PartitionScheme):
    """Proposes the maximiser of a quadratic model within the cone, so that variances, shares and proportions can reach
    and leave 0. `Backtracking` sees to the length of the step [PART-3]."""

    name: str = "newton"
    monotone: bool = True

    def update(self, params: PartitionParams, stats: PartitionStats, /) -> PartitionParams:
        """The step of the observed information where it is that of a maximum, else of a matrix that points upwards."""
        score, hessian, products = self.derivatives(params, stats)
        if not (np.isfinite(score).all() and np.isfinite(hessian).all() and np.isfinite(products).all()):
            return params
        reduced = Reduced.at(params)
        gradient, information = reduced.pull(score), -reduced.pull_square(hessian)
        free = np.flatnonzero(reduced.free(gradient))
        if not free.size:
            return params
        inner = information[np.ix_(free, free)]
        if not smallest_eigenvalue(inner) > DEFINITE:
            inner = ascending(inner, reduced.pull_square(products)[np.ix_(free, free)])
        step = np.zeros(len(gradient))
        step[free] = cone_step(reduced.values[free], reduced.bounded[free], gradient[free], inner)
        move, vector = reduced.directions @ step, params.vector()
        taken = -move[reduced.references] / vector[reduced.references]
        longest = float(taken.max(initial=0.0))
        if longest > SHORT_OF_EMPTY:
            move *= SHORT_OF_EMPTY / longest
        return params.moved_to(vector + move)


def ascending(information: Square, products: Square) -> Square:
    """A positive definite matrix for where the observed information is not that of a maximum: the products of scores
    where they tell all coordinates apart, else the information with its eigenvalues made positive."""
    if smallest_eigenvalue(products) > TELLING:
        return products
    diagonal = np.maximum(products.diagonal(), np.abs(information.diagonal()))
    scale = 1.0 / np.sqrt(np.maximum(diagonal, np.finfo(float).tiny))
    eigenvalues, basis = np.linalg.eigh(information * np.outer(scale, scale))
    positive = np.maximum(np.abs(eigenvalues), CURVED * np.abs(eigenvalues).max())
    return np.asarray((basis * positive) @ basis.T / np.outer(scale, scale))
