"""Likelihood-ratio tests, with the chi-bar-square null where variances are tested at 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from varmix.typing import Square, Vector

DRAWS = 20_000
"""Draws for the weights of three and more tested variances: their error is then below 0.004."""
ROUNDING = 1e-10
"""A statistic below this share of 1 + |l| is the rounding of two equal log-likelihoods."""
SEED = 1
"""The draws are fixed, so that a p-value does not change from call to call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """Statistic `2 (l_1 - l_0)`, the weights of chi-square with 0, 1, 2, ... degrees of freedom, and the p-value."""

    statistic: float
    weights: tuple[float, ...]
    p_value: float
    tested: tuple[str, ...]

    def __str__(self) -> str:
        parts = " + ".join(f"{weight:.3g} chi2({df})" for df, weight in enumerate(self.weights) if weight)
        return f"{', '.join(self.tested)} = 0: statistic {self.statistic:.4f}, p = {self.p_value:.3g} (null: {parts})"


def likelihood_ratio(alternative: float, null: float, weights: Vector, tested: tuple[str, ...]) -> LikelihoodRatio:
    """Test from two maximised log-likelihoods; a difference below rounding counts as 0."""
    statistic = 2.0 * (alternative - null)
    if statistic <= ROUNDING * (1.0 + abs(alternative)):
        statistic = 0.0
    return LikelihoodRatio(
        statistic=statistic,
        weights=tuple(float(weight) for weight in weights),
        p_value=chi_bar_square_tail(statistic, weights),
        tested=tested,
    )


def chi_bar_square_tail(statistic: float, weights: Vector) -> float:
    """`P(X >= statistic)` for a mixture of chi-squares with 0, 1, 2, ... degrees of freedom."""
    if statistic <= 0.0:
        return 1.0
    return float(sum(weight * stats.chi2.sf(statistic, df) for df, weight in enumerate(weights) if df > 0))


def chi_bar_weights(information: Square) -> Vector:
    """Weights for testing that q variances are all 0, shape (q + 1,), from their efficient information (q, q).

    One variance: (1/2, 1/2). Two: from the angle of the cone. More: the share of normal draws whose projection onto the
    cone has 0, 1, ..., q positive entries (Self and Liang 1987; Shapiro 1988).
    """
    count = len(information)
    if count == 0:
        return np.ones(1)
    if count == 1:
        return np.array([0.5, 0.5])
    scale = 1.0 / np.sqrt(information.diagonal())
    correlation = information * np.outer(scale, scale)
    if count == 2:
        full = math.acos(min(1.0, max(-1.0, float(correlation[0, 1])))) / (2.0 * math.pi)
        return np.array([0.5 - full, 0.5, full])
    lower = np.linalg.cholesky(correlation)
    draws = np.random.default_rng(SEED).standard_normal((DRAWS, count))
    positive = [int((optimize.nnls(lower.T, draw)[0] > 0.0).sum()) for draw in draws]
    return np.bincount(positive, minlength=count + 1) / DRAWS


def efficient_information(information: Square, tested: list[int], free: list[int]) -> Square:
    """Information on the tested parameters once the free ones are estimated (a Schur complement)."""
    inner = information[np.ix_(tested, tested)]
    if not free:
        return np.asarray(inner)
    cross = information[np.ix_(tested, free)]
    return np.asarray(inner - cross @ np.linalg.solve(information[np.ix_(free, free)], cross.T))
