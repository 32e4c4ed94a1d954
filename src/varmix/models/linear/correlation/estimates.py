"""The numbers of a genetic correlation in the units of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.errors import NotAvailableError
from varmix.iteration import Outcome, Status
from varmix.models.linear.correlation.information import likelihood_covariance
from varmix.models.linear.correlation.likelihood import PairParams, PairStats, correlation_of
from varmix.models.linear.correlation.moments import correlation_error, pair_moments
from varmix.models.linear.correlation.pair import NAMES, Pair
from varmix.models.linear.moment_jackknife import jackknife_covariance
from varmix.typing import Array, Square, Vector

EDGE = 1e-12
"""Distance of |rho| from 1 that counts as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneticCorrelation:
    """Correlation of the effects of the same variants on two responses, in the users' units.

    `estimates` (K,) and `covariance` (K, K) follow `names`: s_1, s_2, s_12 (variances and covariance of the effects of
    a whole design), e_1, e_2 and, for people in both, e_12 (residuals). `rho` is NaN where a variance is not positive,
    its `se` also on the edge |rho| = 1 of a likelihood.
    """

    rho: float
    se: float
    estimates: Vector
    covariance: Square
    status: Status
    without_block: Array | None = None
    """Moments without each block of variants, shape (J, K)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return NAMES[: self.estimates.size]

    @property
    def standard_errors(self) -> Vector:
        """Of the parameters, shape (K,); NaN for one held at 0."""
        return np.asarray(np.sqrt(self.covariance.diagonal()))

    @property
    def jackknife_errors(self) -> Vector:
        """Standard errors of the parameters and rho, shape (K + 1,), from leaving out blocks of variants.

        Raises NotAvailableError when that was not asked for.
        """
        if self.without_block is None:
            raise NotAvailableError("No jackknife was made. Pass method='moments' and blocks=, the number of blocks.")
        rho = np.array([correlation_of(values) for values in self.without_block])
        return np.asarray(np.sqrt(jackknife_covariance(np.column_stack([self.without_block, rho])).diagonal()))

    @property
    def within_cone(self) -> bool:
        """Whether the effects' 2 x 2 matrix is a covariance."""
        first, second, cross = self.estimates[:3]
        return bool(first >= 0.0 and second >= 0.0 and cross**2 <= first * second * (1.0 + 1e-9))


def by_moments(pair: Pair, unit: Vector, without_block: Array | None) -> GeneticCorrelation:
    """Solve the moment equations; `unit` (K,) turns the pair's parameters into those of the data [VC-8] [MOM-2].

    Raises NotIdentifiedError.
    """
    solved = pair_moments(pair)
    values, covariance = solved.values * unit, solved.covariance * np.outer(unit, unit)
    rho = correlation_of(values)
    outside = values[:2].min() < 0.0 or values[3:5].min() < 0.0 or abs(rho) > 1.0
    return GeneticCorrelation(
        rho=rho,
        se=correlation_error(values, covariance),
        estimates=values,
        covariance=covariance,
        status=Status.OUTSIDE_CONE if outside else Status.CLOSED_FORM,
        without_block=None if without_block is None else without_block * unit,
    )


def by_likelihood(pair: Pair, unit: Vector, outcome: Outcome[PairParams, PairStats]) -> GeneticCorrelation:
    """What a climb found, with the inverse of the expected information [VC-4]."""
    values, rho = outcome.params.values, outcome.params.correlation
    covariance = likelihood_covariance(pair, outcome.params)
    edge = math.isnan(rho) or abs(rho) >= 1.0 - EDGE
    return GeneticCorrelation(
        rho=rho,
        se=math.nan if edge else correlation_error(values, covariance),
        estimates=values * unit,
        covariance=covariance * np.outer(unit, unit),
        status=outcome.status,
    )
