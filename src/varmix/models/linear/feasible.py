"""Where V is positive definite, for kernels with negative eigenvalues: a convex part of the cone of variances."""

from __future__ import annotations

import numpy as np

from varmix.marginal.one_kernel import OneKernel
from varmix.marginal.piece import Piece
from varmix.models.linear.fixed_block import schur_complement
from varmix.models.linear.statistics import Criterion
from varmix.typing import Vector

HALVINGS = 60
"""Of the kernels' part of V: more than the digits of a double, so that V is then the residual's multiple of I."""


def defined(piece: Piece, variances: Vector, criterion: Criterion) -> bool:
    """Whether the log-likelihood is finite at theta: V_AA, and for ML its Schur complement C, are positive definite."""
    factor = piece.system.factor(variances)
    if factor is None:
        return False
    return criterion == "reml" or not piece.columns or schur_complement(piece, factor, variances).definite


def inside(piece: Piece, variances: Vector, criterion: Criterion) -> Vector:
    """The variances, with half of every kernel's moved to the residual until the log-likelihood is finite.

    As they are where no kernel has negative eigenvalues.
    """
    if not piece.negative:
        return variances
    values = np.array(variances)
    weights = np.array([piece.system.kernel_trace(k) for k in range(len(values))]) / (piece.rows - piece.columns)
    for _ in range(HALVINGS):
        if defined(piece, values, criterion):
            break
        values[-1] += 0.5 * float(values[:-1] @ weights[:-1])
        values[:-1] *= 0.5
    return values


def largest_share(piece: Piece) -> float:
    """The share of variance of one kernel up to which V_AA is positive definite: 1 without negative eigenvalues."""
    if not piece.negative or not isinstance(piece.system, OneKernel):
        return 1.0
    reduction = piece.system.reduction
    lowest = float(reduction.eigenvalues.min()) * (piece.rows - piece.columns) / reduction.trace
    return 1.0 / (1.0 - min(lowest, 0.0))


def nearly_singular(piece: Piece, variances: Vector, share: float) -> bool:
    """Whether an eigenvalue of the Schur complement C is below `share` of the variances: what only ML runs towards."""
    factor = piece.system.factor(variances) if piece.columns else None
    if factor is None:
        return False
    covariance = schur_complement(piece, factor, variances).covariance
    return bool(np.linalg.eigvalsh(covariance)[0] < share * float(variances.sum()))
