"""The simplexes as cones: the coordinates that move, the step within the cone, and the certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from varmix.iteration import Certificate
from varmix.models.cone import certify, quadratic_step, smallest_eigenvalue
from varmix.typing import Index, Mask, Matrix, Square, Vector

SADDLE = 1e-9
"""Most negative eigenvalue of the scaled observed information that is still rounding of a flat direction."""

DEFINITE = 1e-10
"""Smallest eigenvalue of the scaled information from which a quadratic model can be maximised."""

CURVED = 1e-5
"""Least curvature, relative to the largest, of a direction along which the likelihood is flat or curves upwards."""

TELLING = 1e-2
"""Smallest eigenvalue of the scaled products of scores from which their step is better than one along the curvature."""

SHORT_OF_EMPTY = 0.9
"""Part of the largest share of a simplex that one step may take from it."""

NOTHING = 1e-12
"""Share or proportion that moves no log-likelihood by more than rounding."""


class SimplexPoint(Protocol):
    """A point of which the first coordinate is unbounded, all others are at least 0, and some sum to 1 in groups."""

    def vector(self) -> Vector:
        """All coordinates."""
        ...

    @property
    def held(self) -> Mask:
        """Coordinates that no step moves."""
        ...

    @property
    def simplexes(self) -> list[Index]:
        """Positions of each group that sums to 1."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """Coordinates in which each simplex is a cone: its largest free entry takes up what the others give [PART-3].

    `directions` (K, k) maps a step in the k moving coordinates to one in all K of the point. All `values` (k,) but
    that of the first coordinate (where `bounded` is False) have 0 as their lower bound.
    """

    directions: Matrix
    values: Vector
    bounded: Mask
    moving: Index
    references: Index

    @classmethod
    def at(cls, params: SimplexPoint) -> Reduced:
        """The moving coordinates of a point."""
        vector, free, references = params.vector(), ~params.held, []
        gives = np.full(len(vector), -1)
        for group in params.simplexes:
            inside = group[free[group]]
            if inside.size:
                reference = int(inside[np.argmax(vector[inside])])
                references.append(reference)
                gives[inside] = reference
        free[references] = False
        moving = np.flatnonzero(free)
        directions = np.zeros((len(vector), len(moving)))
        directions[moving, np.arange(len(moving))] = 1.0
        paired = np.flatnonzero(gives[moving] >= 0)
        directions[gives[moving[paired]], paired] = -1.0
        return cls(
            directions=directions,
            values=vector[moving],
            bounded=moving > 0,
            moving=moving,
            references=np.array(references, dtype=np.intp),
        )

    def pull(self, score: Vector) -> Vector:
        """Gradient in the moving coordinates."""
        return np.asarray(self.directions[: len(score)].T @ score)

    def pull_square(self, matrix: Square) -> Square:
        """Second derivatives in the moving coordinates."""
        seen = self.directions[: len(matrix)]
        return np.asarray(seen.T @ matrix @ seen)

    def free(self, gradient: Vector) -> Mask:
        """Coordinates without a bound, inside theirs, or at 0 with the gradient pointing inside."""
        return np.asarray(~self.bounded | (self.values > 0.0) | (gradient > 0.0))

    def target(self, vector: Vector, gradient: Vector, information: Square, products: Square) -> Vector:
        """Where Newton's step from `vector` (K,) leads, with no simplex's reference emptied.

        `products` of scores stand in where the information is not that of a maximum.
        """
        emptied = self._emptied(gradient)
        free = np.flatnonzero(self.free(gradient) & ~emptied)
        step = np.where(emptied, -self.values, 0.0)
        if free.size:
            inner = information[np.ix_(free, free)]
            if not smallest_eigenvalue(inner) > DEFINITE:
                inner = ascending(inner, products[np.ix_(free, free)])
            step[free] = cone_step(self.values[free], self.bounded[free], gradient[free], inner)
        move = self.directions @ step
        longest = float((-move[self.references] / vector[self.references]).max(initial=0.0))
        if longest > SHORT_OF_EMPTY:
            move *= SHORT_OF_EMPTY / longest
        return np.asarray(vector + move)

    def _emptied(self, gradient: Vector) -> Mask:
        """Shares and proportions of next to nothing that should be 0: the information of what they do to the other
        coordinates is no reason to step short of it."""
        paired = (self.directions < 0.0).any(axis=0)
        return np.asarray(paired & (self.values < NOTHING) & (gradient <= 0.0))

    def certificate(
        self, gradient: Vector, information: Square, on_boundary: tuple[int, ...], *, saddle: float = SADDLE
    ) -> Certificate:
        """From the observed information; a point where it is not that of a maximum is none, however flat."""
        away = Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=on_boundary)
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            return away
        free = np.flatnonzero(self.free(gradient))
        inner, slope, bounded = information[np.ix_(free, free)], gradient[free], self.bounded[free]
        if smallest_eigenvalue(inner) < -saddle or bool((inner.diagonal()[~bounded] <= 0.0).any()):
            return away
        inside, outside = np.flatnonzero(bounded), np.flatnonzero(~bounded)
        if not outside.size:
            found, gain = certify(self.values[free], slope, inner), 0.0
        else:
            left, rest = _maximised_out(inner, slope, inside, outside)
            found = certify(self.values[free][inside], left, rest)
            gain = float(slope[outside] @ np.linalg.solve(inner[np.ix_(outside, outside)], slope[outside]))
        return Certificate(
            projected_gradient=max(found.projected_gradient, math.sqrt(gain)),
            newton_decrement=math.hypot(found.newton_decrement, math.sqrt(gain)),
            on_boundary=on_boundary,
        )


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


def cone_step(values: Vector, bounded: Mask, gradient: Vector, information: Square) -> Vector:
    """The step of the quadratic model within the cone, where some coordinates have no bound: those are maximised out
    [PART-3]."""
    inside, outside = np.flatnonzero(bounded), np.flatnonzero(~bounded)
    step = np.zeros(len(values))
    if not outside.size:
        return quadratic_step(values, gradient, information)
    own = information[np.ix_(outside, outside)]
    mixed = information[np.ix_(outside, inside)]
    if inside.size:
        left, rest = _maximised_out(information, gradient, inside, outside)
        step[inside] = quadratic_step(values[inside], left, rest)
    step[outside] = np.linalg.solve(own, gradient[outside] - mixed @ step[inside])
    return step


def _maximised_out(information: Square, gradient: Vector, inside: Index, outside: Index) -> tuple[Vector, Square]:
    own = information[np.ix_(outside, outside)]
    mixed = information[np.ix_(outside, inside)]
    left = gradient[inside] - mixed.T @ np.linalg.solve(own, gradient[outside])
    rest = information[np.ix_(inside, inside)] - mixed.T @ np.linalg.solve(own, mixed)
    return left, rest
