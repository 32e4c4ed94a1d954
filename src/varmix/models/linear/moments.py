"""The method of moments: quadratic forms of y equated to their expectations, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.marginal.piece import Piece
from varmix.typing import Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentStats:
    """Normal equations `S s = q` [MOM-1]; those of independent pieces add."""

    equations: Square
    """`S_kl = tr(M K_k M K_l)`, shape (K, K), residual last."""
    quadratics: Vector
    """`q_k = y'M K_k M y`, shape (K,)."""

    def __add__(self, other: MomentStats) -> MomentStats:
        return MomentStats(equations=self.equations + other.equations, quadratics=self.quadratics + other.quadratics)


def summarise_moments(piece: Piece) -> MomentStats:
    """Exact moments of one piece: its coordinates are those of the complement of the covariates, so M is the
    identity."""
    system, count = piece.system, piece.system.components
    equations = np.empty((count, count))
    for k in range(count):
        for j in range(k + 1):
            equations[k, j] = equations[j, k] = system.kernel_pair(k, j)
    return MomentStats(
        equations=equations,
        quadratics=np.array([float(piece.y @ system.multiply(k, piece.y)) for k in range(count)]),
    )


def solve_moments(stats: MomentStats) -> Vector:
    """Unconstrained solution, which may be negative [MOM-1].

    Raises NotIdentifiedError when two components have proportional kernels in the complement of the covariates.
    """
    scale = 1.0 / np.sqrt(stats.equations.diagonal())
    scaled = stats.equations * np.outer(scale, scale)
    if not np.isfinite(scaled).all() or np.linalg.cond(scaled) > 1.0 / (10 * len(scale) * np.finfo(float).eps):
        raise NotIdentifiedError(
            "The moment equations are singular: two components have proportional kernels once covariates are taken out "
            "(a kernel proportional to the identity cannot be told from the residual). Drop or merge one of them."
        )
    return np.asarray(np.linalg.solve(scaled, stats.quadratics * scale) * scale)


def project_moments(stats: MomentStats) -> Vector:
    """The point of the cone nearest to the solution in the metric of the equations (NNLS)."""
    from varmix.models.cone import quadratic_step

    zero = np.zeros_like(stats.quadratics)
    return np.asarray(quadratic_step(zero, stats.quadratics, stats.equations))


def sandwich_covariance(equations: Square, moment_covariance: Square) -> Square:
    """`S^-1 Cov(q) S^-1` [MOM-2]."""
    half = np.linalg.solve(equations, moment_covariance)
    return np.asarray(np.linalg.solve(equations, half.T))
