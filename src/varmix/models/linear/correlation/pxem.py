"""EM and parameter-expanded EM for the 2 x 2 covariance of effects [VC-8]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.linear.correlation.likelihood import PairParams, PairStats, matrix_of, summarise_pair, triple_of
from varmix.models.linear.correlation.pair import Pair
from varmix.models.linear.correlation.scheme import PairScheme
from varmix.typing import Square, Vector


def _expected(matrix: Square, gap: Square, count: int) -> Square:
    """`(1/p) sum_j E[b_j b_j'] = Sigma + Sigma (Q - T) Sigma / p`."""
    return np.asarray(matrix + matrix @ gap @ matrix / count)


def _residuals(values: Vector, stats: PairStats) -> Vector:
    """The residual parameters by EM: pairs of residuals are effects of kernels I, O, I."""
    if values.size == 6:
        return triple_of(_expected(matrix_of(values[3:]), stats.error_gap, stats.people))
    return np.asarray(values[3:] + values[3:] ** 2 * stats.error_gap.diagonal() / stats.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEM(PairScheme):
    """Effects and residuals of both responses are the missing data."""

    name: str = "em"
    monotone: bool = True

    def update(self, params: PairParams, stats: PairStats, /) -> PairParams:
        """Both 2 x 2 matrices by their expected second moments [EM-1]."""
        effects = triple_of(_expected(matrix_of(params.values[:3]), stats.effect_gap, stats.effects))
        return params.moved_to(np.concatenate([effects, _residuals(params.values, stats)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPXEM(PairScheme):
    """Expands the effects of each variant by a full 2 x 2 matrix Delta.

    Without people in both, the residual variances follow from the same M-step. With, their matrix and the effects' are
    not updated together: either alone raises the likelihood, and the one of which the score expects more is made.
    """

    name: str = "pxem"
    monotone: bool = True

    def summarise(self, params: PairParams, piece: Pair, /) -> PairStats:
        """Statistics with the normal equations of Delta."""
        return summarise_pair(piece, params.values, expand=True)

    def update(self, params: PairParams, stats: PairStats, /) -> PairParams:
        """Delta by weighted least squares in expectation, then the reduction `Sigma <- Delta Sigma* Delta'` [PX-1]."""
        values = params.values
        assert stats.expansion is not None
        assert stats.projection is not None
        assert stats.residual_squares is not None
        star = _expected(matrix_of(values[:3]), stats.effect_gap, stats.effects)
        Delta = np.linalg.lstsq(stats.expansion, stats.projection, rcond=1e-13)[0].reshape(2, 2)
        effects = triple_of(Delta @ star @ Delta.T)
        residuals = values[3:]
        if values.size == 6:
            either = (np.concatenate([effects, residuals]), np.concatenate([values[:3], _residuals(values, stats)]))
            return params.moved_to(max(either, key=lambda new: float(stats.score @ (new - values))))
        # c' delta is weighted by 1/e_i; the new e_i = (r'r - c'delta)/n_i is not.
        explained = (stats.projection.reshape(2, 2) * Delta).sum(axis=1) * residuals
        return params.moved_to(np.concatenate([effects, (stats.residual_squares - explained) / stats.sizes]))
