"""Parameter-expanded EM for variance components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.marginal.piece import Piece
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.scheme import LinearScheme, without_vestiges
from varmix.models.linear.statistics import LinearStats, summarise_linear


@dataclass(frozen=True, slots=True, kw_only=True)
class PXEM(LinearScheme):
    """EM in a model with one more parameter delta_k for each kernel, the regression of y on its expected effect."""

    name: str = "pxem"
    monotone: bool = True

    def summarise(self, params: VarianceParams, piece: Piece, /) -> LinearStats:
        """Statistics of one piece, with the cross traces that several kernels need."""
        return summarise_linear(piece, params.values, self.criterion, crossed=piece.system.components > 2)

    def update(self, params: VarianceParams, stats: LinearStats, /) -> VarianceParams:
        """Expansion `A delta = c`, variances with the new delta, reduction `s_k <- delta_k^2 s_k` [PX-1]."""
        s, s_e = params.values[:-1], float(params.values[-1])
        quad, trace, product = stats.quad[:-1], stats.trace[:-1], stats.cross_quad[:-1, :-1]
        spread = self._spread(s, s_e, trace, stats)
        inner = np.outer(s, s) * product + spread
        outer = s * (product @ s + s_e * quad)
        active = s > 0.0
        delta = np.ones_like(s)
        if active.any():
            delta[active] = np.linalg.lstsq(inner[np.ix_(active, active)], outer[active], rcond=None)[0]
        left = (1.0 - delta) * s
        squares = left @ product @ left + 2.0 * s_e * (left @ quad) + s_e**2 * float(stats.quad[-1])
        second_moment = (s**2 * (quad - trace) + s * stats.effects) / stats.effects
        residual = (squares + delta @ spread @ delta) / stats.errors
        return VarianceParams(without_vestiges(np.append(delta**2 * second_moment, residual).clip(0.0), stats))

    def _spread(self, s: np.ndarray, s_e: float, trace: np.ndarray, stats: LinearStats) -> np.ndarray:
        """`tr(X_k'X_l S_lk)`: the part of the expansion that comes from the conditional covariance of the effects.

        Its diagonal is `s_k tr(K_k V^-1 (V - s_k K_k))`, written without the cancellation.
        """
        if stats.cross_trace is None:
            return np.diag(s * s_e * trace)
        pair = np.outer(s, s) * stats.cross_trace[:-1, :-1]
        np.fill_diagonal(pair, 0.0)
        return np.diag(pair.sum(axis=1) + s * s_e * trace) - pair
