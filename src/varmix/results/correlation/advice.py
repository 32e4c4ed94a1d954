"""What the status of a genetic correlation means, where rho is on an edge or not defined."""

from __future__ import annotations

import math

from varmix.iteration import Status
from varmix.models.linear.correlation.estimates import EDGE, GeneticCorrelation

NEGATIVE = "The moment equations are solved exactly and a variance is negative: there is no evidence of it."
OUTSIDE = (
    "The moment equations are solved exactly and |rho| exceeds 1: moments are unconstrained. Use method='newton', "
    "which stays within."
)
UNDEFINED = "rho is not defined: a genetic variance is not positive."
ON_EDGE = (
    "|rho| is exactly 1, the edge of its range: use the profile interval of the correlation, not a standard error."
)


def advice_on(found: GeneticCorrelation, *, by_moments: bool) -> str:
    """The advice of the status, or what fits better."""
    status = found.status
    if by_moments:
        return moment_advice(found.rho, outside=status is Status.OUTSIDE_CONE) or status.advice
    if math.isnan(found.rho):
        return f"{status.advice} {UNDEFINED}"
    if abs(found.rho) >= 1.0 - EDGE:
        return f"The certificate is met. {ON_EDGE}" if status.arrived else f"{status.advice} {ON_EDGE}"
    return status.advice


def moment_advice(rho: float, *, outside: bool) -> str:
    """What to make of moment estimates outside the cone; empty inside."""
    if math.isnan(rho):
        return f"{NEGATIVE} {UNDEFINED}"
    if abs(rho) > 1.0:
        return OUTSIDE
    return NEGATIVE if outside else ""
