"""Moment estimates for a pair of responses, with the sandwich of all of them together [VC-8] [MOM-2]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.models.linear.correlation.likelihood import correlation_of
from varmix.models.linear.correlation.pair import NAMES, Pair
from varmix.models.linear.moments import sandwich_covariance
from varmix.typing import Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMoments:
    """Unconstrained estimates, shape (K,), and their joint covariance, (K, K)."""

    values: Vector
    covariance: Square


def pair_moments(pair: Pair) -> PairMoments:
    """Solve `tr(A_k A_l) s = y'A_k y` in the coordinates without covariates, for both cohorts and what they share.

    The equations of either cohort are those of [MOM-1]; the covariance's is `y'M_1K_12M_2z = s_12 tr(M_1K_12M_2K_12')`,
    with a second one for the residual covariance where people are in both. Raises NotIdentifiedError.
    """
    values, equations = moment_values(pair)
    spread = 2.0 * pair.pairs(pair.covariance(values))
    return PairMoments(values=values, covariance=sandwich_covariance(equations, spread))


def moment_values(pair: Pair) -> tuple[Vector, Square]:
    """The solution (K,) and the equations (K, K). Raises NotIdentifiedError."""
    equations = pair.gram()
    check_identified(equations)
    y = pair.response[:, None]
    quadratics = np.array([float(np.vdot(y, pair.times(k, y))) for k in range(pair.count)])
    return np.linalg.solve(equations, quadratics), equations


def check_identified(equations: Square) -> None:
    """Raises NotIdentifiedError naming the parameters that the kernels cannot tell apart."""
    diagonal = equations.diagonal()
    scale = np.sqrt(np.maximum(diagonal, np.finfo(float).tiny))
    scaled = equations / np.outer(scale, scale)
    empty = diagonal <= 1e-20 * float(diagonal.max())
    if empty.any():
        raise NotIdentifiedError(
            f"The data say nothing on {NAMES[int(empty.argmax())]}: its kernel is 0 once covariates are taken out. "
            "Check that both designs hold variants that vary."
        )
    eigenvalues, basis = np.linalg.eigh(scaled)
    if eigenvalues[0] < 1e-13 * eigenvalues[-1]:
        names = ", ".join(NAMES[k] for k in np.flatnonzero(np.abs(basis[:, 0]) > 0.1))
        raise NotIdentifiedError(
            f"The data cannot tell {names} apart: their kernels are proportional once covariates are taken out. Use "
            "more variants or people."
        )


def correlation_error(values: Vector, covariance: Square) -> float:
    """Standard error of rho by the delta method; NaN where rho is not defined."""
    rho = correlation_of(values)
    if math.isnan(rho):
        return math.nan
    slope = np.zeros(len(values))
    slope[:3] = [-0.5 * rho / values[0], -0.5 * rho / values[1], 1.0 / math.sqrt(values[0] * values[1])]
    return math.sqrt(max(float(slope @ covariance @ slope), 0.0))
