"""Covariance of the estimates of a pair by expected information [VC-4]."""

from __future__ import annotations

import math

import numpy as np

from varmix.models.linear.correlation.climb import HeldParams
from varmix.models.linear.correlation.likelihood import PairParams, solve_pair
from varmix.models.linear.correlation.pair import Pair
from varmix.typing import Square


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
