"""What one piece says about the variances: likelihood, score and information, for ML and REML alike.

Everything is computed in block A (the complement of the covariates); ML adds block U through its Schur complement
[VC-2].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from varmix.marginal.factor import Factor
from varmix.marginal.piece import Piece
from varmix.models.linear.fixed_block import FixedBlock, fixed_block
from varmix.typing import Array, Square, Vector

Criterion = Literal["reml", "ml"]
LOG_2PI = math.log(2.0 * math.pi)
SINGULAR = 1e-10
"""Smallest eigenvalue of the scaled average information below which it lacks a direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearStats:
    """Statistics of one piece at theta, or the sum over pieces."""

    log_likelihood: float
    quad: Vector
    """`y'P K_k P y`, shape (K,) with the residual last [VC-3]."""
    trace: Vector
    """`tr(P K_k)` for REML, `tr(V^-1 K_k)` for ML [VC-3]."""
    average_information: Square
    """`1/2 y'P K_k P K_l P y`, shape (K, K) [VC-4]."""
    expected_information: Square | None
    """`1/2 tr(P K_k P K_l)` (ML: V^-1 for P), where it is cheap or was asked for [VC-4]."""
    effects: Vector
    """Effects behind each kernel, shape (K - 1,)."""
    errors: int
    """Rows that carry a residual: n - c for REML, n for ML."""
    cross_quad: Square
    """`y'P K_k K_l P y` over the rows that carry a residual, shape (K, K) [PX-1]."""
    cross_trace: Square | None
    """`tr(K_k V^-1 K_l)` for k != l (diagonal unused), where it was asked for [PX-1]."""

    @property
    def score(self) -> Vector:
        """Gradient of the log-likelihood in theta [VC-3]."""
        return 0.5 * (self.quad - self.trace)

    @property
    def curvature(self) -> Square:
        """Observed information `2 AI - I` where it is known and positive definite, else the average information; the
        expected one where that is singular, with fewer rows than components."""
        average, expected = self.average_information, self.expected_information
        if expected is None or not np.isfinite(average).all():
            return average
        observed = 2.0 * average - expected
        if np.linalg.eigvalsh(observed)[0] > 0.0:
            return observed
        return average if _is_definite(average) else expected

    def __add__(self, other: LinearStats) -> LinearStats:
        return LinearStats(
            log_likelihood=self.log_likelihood + other.log_likelihood,
            quad=self.quad + other.quad,
            trace=self.trace + other.trace,
            average_information=self.average_information + other.average_information,
            expected_information=_sum(self.expected_information, other.expected_information),
            effects=self.effects + other.effects,
            errors=self.errors + other.errors,
            cross_quad=self.cross_quad + other.cross_quad,
            cross_trace=_sum(self.cross_trace, other.cross_trace),
        )


def _is_definite(information: Square) -> bool:
    scale = 1.0 / np.sqrt(np.maximum(information.diagonal(), np.finfo(float).tiny))
    return bool(np.linalg.eigvalsh(information * np.outer(scale, scale))[0] > SINGULAR)


def _sum(left: Array | None, right: Array | None) -> Array | None:
    return None if left is None or right is None else left + right


def undefined(piece: Piece, criterion: Criterion) -> LinearStats:
    """Statistics where V is not positive definite: log-likelihood -inf, nothing else known."""
    size = piece.system.components
    return LinearStats(
        log_likelihood=-math.inf,
        quad=np.full(size, math.nan),
        trace=np.full(size, math.nan),
        average_information=np.full((size, size), math.nan),
        expected_information=None,
        effects=piece.effects,
        errors=_errors(piece, criterion),
        cross_quad=np.full((size, size), math.nan),
        cross_trace=None,
    )


def _errors(piece: Piece, criterion: Criterion) -> int:
    return piece.rows - piece.columns if criterion == "reml" else piece.rows


def summarise_linear(
    piece: Piece, variances: Vector, criterion: Criterion, *, expected: bool = False, crossed: bool = False
) -> LinearStats:
    """Statistics of one piece at theta [VC-2] [VC-3] [VC-4].

    `expected` asks for the expected information even where it is dear; `crossed` for the traces that PX-EM with several
    kernels needs.
    """
    system = piece.system
    factor = system.factor(variances)
    if factor is None:
        return undefined(piece, criterion)
    size = system.components
    solved = factor.solve(piece.y)
    images = np.stack([system.multiply(k, solved) for k in range(size)], axis=1)
    trace = np.array([factor.trace(k) for k in range(size)])
    log_determinant, cross_quad = factor.log_determinant, images.T @ images
    block = None
    if criterion == "ml" and piece.columns:
        block = fixed_block(piece, factor, variances)
        if not block.definite:
            return undefined(piece, criterion)
        log_determinant += block.log_determinant
        trace += [float((block.inverse * slope).sum()) for slope in block.slopes]
        upper = np.stack([cross.T @ solved for cross in piece.cross] + [np.zeros(piece.columns)], axis=1)
        cross_quad += upper.T @ upper
    errors = _errors(piece, criterion)
    log_likelihood = -0.5 * (errors * LOG_2PI + log_determinant + float(piece.y @ solved))
    if criterion == "reml":
        log_likelihood -= 0.5 * piece.log_determinant_covariates
    return LinearStats(
        log_likelihood=log_likelihood if math.isfinite(log_likelihood) else -math.inf,
        quad=images.T @ solved,
        trace=trace,
        average_information=0.5 * images.T @ factor.solve(images),
        expected_information=_expected(factor, block, size) if expected or system.pairs_are_cheap else None,
        effects=piece.effects,
        errors=errors,
        cross_quad=cross_quad,
        cross_trace=_cross_traces(piece, factor, block, size) if crossed else None,
    )


def _expected(factor: Factor, block: FixedBlock | None, size: int) -> Square:
    """`1/2 tr(P K_k P K_l)`, or with V^-1 for P when block U counts [VC-4]."""
    information = np.empty((size, size))
    if block is not None:
        stacked = np.hstack(block.images)
        crossed = (stacked.T @ factor.solve(stacked)).reshape(size, len(block.inverse), size, len(block.inverse))
        shrunk = [block.inverse @ slope for slope in block.slopes]
    for k in range(size):
        for j in range(k + 1):
            value = factor.trace_pair(k, j)
            if block is not None:
                value += float((shrunk[k] * shrunk[j].T).sum())
                value += 2.0 * float((block.inverse * crossed[k, :, j, :].T).sum())
            information[k, j] = information[j, k] = 0.5 * value
    return information


def _cross_traces(piece: Piece, factor: Factor, block: FixedBlock | None, size: int) -> Square:
    """`tr(K_k V^-1 K_l)` for k != l between kernels; the rows and columns of the residual stay 0 (unused)."""
    traces = np.zeros((size, size))
    for k in range(size - 1):
        for j in range(k):
            value = factor.trace_cross(k, j)
            if block is not None:
                value += float((piece.cross[k] * factor.solve(piece.cross[j])).sum())
                upper = [piece.corner[i] + piece.cross[i].T @ block.weights for i in (k, j)]
                value += float((block.inverse * (upper[0].T @ upper[1] + block.images[k].T @ block.images[j])).sum())
            traces[k, j] = traces[j, k] = value
    return traces
