"""What the schemes share: statistics, objective with its prior, the simplexes as cones, and the certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from varmix.errors import OptionError
from varmix.iteration import Certificate
from varmix.models.cone import certify, quadratic_step
from varmix.models.partition import composite, joint
from varmix.models.partition.curvature import coordinates
from varmix.models.partition.genes import Genes
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.statistics import PartitionStats, undefined
from varmix.typing import Index, Mask, Matrix, Square, Vector

LIKELIHOODS = {"joint": joint.summarise, "composite": composite.summarise}

SADDLE = 1e-9
"""Most negative eigenvalue of the scaled observed information that is still rounding of a flat direction."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """Coordinates in which each simplex is a cone: its largest free entry takes up what the others give [PART-3].

    `directions` (4 + J + DT, k) maps a step in the moving coordinates to one in (mu_0, a, tau^2, omega^2, pi, P).
    All `values` (k,) but that of mu_0 (where `bounded` is False) have 0 as their lower bound.
    """

    directions: Matrix
    values: Vector
    bounded: Mask
    moving: Index
    references: Index

    @classmethod
    def at(cls, params: PartitionParams) -> Reduced:
        """The moving coordinates of a point."""
        vector, free, references = params.vector(), ~params.held, []
        gives = np.full(len(vector), -1)
        for group in simplexes(params):
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


def simplexes(params: PartitionParams) -> list[Index]:
    """Positions of the shares and of each row of P among the coordinates."""
    count, (types, size) = len(params.shares), params.proportions.shape
    rows = SCALARS + count + np.arange(types * size).reshape(types, size)
    return [SCALARS + np.arange(count), *rows]


def smallest_eigenvalue(information: Square) -> float:
    """Of the matrix scaled to absolute diagonal 1; 0 without any coordinate."""
    if not len(information):
        return 0.0
    scale = 1.0 / np.sqrt(np.maximum(np.abs(information.diagonal()), np.finfo(float).tiny))
    return float(np.linalg.eigvalsh(information * np.outer(scale, scale))[0])


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionScheme:
    """Statistics of a piece, the objective and its certificate; schemes add `name` and `update`.

    `concentration` (D, T) are those of a Dirichlet prior on the rows of P [PART-7], at least 1; None is no prior.
    """

    partitions: Partitions
    likelihood: str = "joint"
    concentration: Matrix | None = None

    def __post_init__(self) -> None:
        if self.likelihood not in LIKELIHOODS:
            raise OptionError(f"likelihood={self.likelihood!r} is not known. Use 'joint' or 'composite'.")
        if self.concentration is not None and not bool((self.concentration >= 1.0).all()):
            raise OptionError(
                f"A Dirichlet concentration is {self.concentration.min():.6g}: below 1 the density of a "
                "proportion of 0 is infinite and nothing has a maximum. Give values of at least 1."
            )

    def summarise(self, params: PartitionParams, piece: Genes, /) -> PartitionStats:
        """Statistics of one piece; where a sample would have no variance there is no density."""
        types, size = params.proportions.shape
        without = undefined(len(self.partitions), types, size, coordinates(params))
        variances = params.noise()[piece.types]
        if self.likelihood == "composite":
            variances = composite.marginal_variances(params, self.partitions)[:, piece.types]
        if not (np.isfinite(params.vector()).all() and (variances > 0.0).all()):
            return without
        try:
            return LIKELIHOODS[self.likelihood](params, self.partitions, piece)
        except np.linalg.LinAlgError:  # noise that is rounding beside a: the point is as good as without any
            return without

    def objective(self, params: PartitionParams, stats: PartitionStats, /) -> float:
        """The log-likelihood, and the log of the prior's density up to its constant."""
        value = stats.log_likelihood + self.log_prior(params)
        return value if math.isfinite(value) else -math.inf

    def log_prior(self, params: PartitionParams) -> float:
        """`sum (alpha - 1) log p` over the entries that may move."""
        if self.concentration is None:
            return 0.0
        free = ~params.held_proportions
        return float(xlogy(self.concentration - 1.0, params.proportions)[free].sum())

    def derivatives(self, params: PartitionParams, stats: PartitionStats) -> tuple[Vector, Square, Square]:
        """Score, Hessian and products of scores of the objective; the prior adds its curvature to both matrices."""
        if self.concentration is None or params.held_proportions.all():
            return stats.score, stats.hessian, stats.outer
        score, hessian, outer = stats.score.copy(), stats.hessian.copy(), stats.outer.copy()
        excess = np.where(params.held_proportions, 0.0, self.concentration - 1.0).ravel()
        told = np.flatnonzero(excess)
        where, p = SCALARS + len(params.shares) + told, params.proportions.ravel()[told]
        with np.errstate(divide="ignore"):
            score[where] += excess[told] / p
            hessian[where, where] -= excess[told] / p**2
            outer[where, where] += excess[told] / p**2
        return score, hessian, outer

    def certificate(self, params: PartitionParams, stats: PartitionStats, /) -> Certificate:
        """From the observed information; a point where it is not that of a maximum is none, however flat."""
        at_zero = (params.vector() == 0.0) & ~params.held
        at_zero[0] = False
        boundary = tuple(int(k) for k in np.flatnonzero(at_zero))
        away = Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=boundary)
        score, hessian, _ = self.derivatives(params, stats)
        if not (np.isfinite(score).all() and np.isfinite(hessian).all()):
            return away
        reduced = Reduced.at(params)
        gradient, information = reduced.pull(score), -reduced.pull_square(hessian)
        free = np.flatnonzero(reduced.free(gradient))
        inner, slope, bounded = information[np.ix_(free, free)], gradient[free], reduced.bounded[free]
        if smallest_eigenvalue(inner) < -SADDLE or bool((inner.diagonal()[~bounded] <= 0.0).any()):
            return away
        inside, outside = np.flatnonzero(bounded), np.flatnonzero(~bounded)
        if not outside.size:
            found, gain = certify(reduced.values[free], slope, inner), 0.0
        else:
            left, rest = _maximised_out(inner, slope, inside, outside)
            found = certify(reduced.values[free][inside], left, rest)
            gain = float(slope[outside] @ np.linalg.solve(inner[np.ix_(outside, outside)], slope[outside]))
        return Certificate(
            projected_gradient=max(found.projected_gradient, math.sqrt(gain)),
            newton_decrement=math.hypot(found.newton_decrement, math.sqrt(gain)),
            on_boundary=boundary,
        )
