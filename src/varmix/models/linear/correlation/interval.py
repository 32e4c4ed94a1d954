"""What the likelihood says about rho: standard errors, the profile interval, and the test of rho = 0 [VC-8]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from varmix.iteration import Outcome
from varmix.models.linear.correlation.climb import HeldParams, climb_held
from varmix.models.linear.correlation.likelihood import PairParams, PairStats, solve_pair
from varmix.models.linear.correlation.pair import Pair
from varmix.typing import Square

RHO_DIGITS = 1e-5
"""Width to which an end of the interval is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationTest:
    """Likelihood-ratio test of rho = 0, an interior point: chi-square with one degree of freedom."""

    statistic: float
    p: float
    null_log_likelihood: float


def likelihood_covariance(pair: Pair, params: PairParams) -> Square:
    """Inverse expected information [VC-4], (K, K), along the edge where |rho| = 1; NaN for a variance at 0."""
    values = params.values
    count = values.size
    solved = solve_pair(pair, values)
    covariance = np.full((count, count), np.nan)
    if solved is None:
        return covariance
    information = 0.5 * pair.pairs(solved.T)
    rho = params.correlation
    if math.isnan(rho):
        free = np.array([k for k in range(count) if k > 2 or (k < 2 and values[k] > 0.0)])
        covariance[np.ix_(free, free)] = np.linalg.inv(information[np.ix_(free, free)])
        return covariance
    if abs(rho) < 1.0 - 1e-12:
        return np.asarray(np.linalg.inv(information))
    edge = HeldParams(np.concatenate([np.sqrt(values[:2]), values[3:]]), rho).jacobian
    return np.asarray(edge @ np.linalg.inv(edge.T @ information @ edge) @ edge.T)


def zero_ratio(pair: Pair, outcome: Outcome[PairParams, PairStats]) -> CorrelationTest:
    """Twice the log-likelihood lost by holding rho at 0."""
    null = climb_held(pair, 0.0, outcome.params.values).objective
    statistic = max(2.0 * (outcome.objective - null), 0.0)
    return CorrelationTest(statistic=statistic, p=float(chi2.sf(statistic, 1)), null_log_likelihood=null)


def profile_interval(pair: Pair, outcome: Outcome[PairParams, PairStats], level: float) -> tuple[float, float]:
    """Values of rho within the chi-square limit of the best; within [-1, 1], all of it where rho is undefined."""
    rho = outcome.params.correlation
    if math.isnan(rho):
        return -1.0, 1.0
    limit = float(chi2.ppf(level, 1))
    return (
        _end(pair, outcome, rho, -1.0, limit),
        _end(pair, outcome, rho, 1.0, limit),
    )


def _end(pair: Pair, outcome: Outcome[PairParams, PairStats], rho: float, edge: float, limit: float) -> float:
    """Where the profile crosses the limit between rho and the edge, or the edge."""
    # Every point starts from the optimum: a neighbour's fit may have lost a variance to 0, which a root never leaves.
    start = outcome.params.values

    def excess(held: float) -> float:
        if abs(held - rho) < 1e-12:
            return -math.sqrt(limit)
        fit = climb_held(pair, held, start)
        # The root of the deviance is nearly linear in rho, which the search for a zero likes.
        return math.sqrt(max(2.0 * (outcome.objective - fit.objective), 0.0)) - math.sqrt(limit)

    if abs(edge - rho) < 1e-12 or excess(edge) <= 0.0:
        return edge
    return float(brentq(excess, rho, edge, xtol=RHO_DIGITS))
