"""Intervals by profile likelihood, right at a boundary: they invert the likelihood-ratio test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, stats

from varmix.inference.wald import LEVEL, check_level

RELATIVE = 1e-8
"""Accuracy of an end point relative to its distance from the estimate."""
DOUBLINGS = 60
"""Steps outwards before an end is called infinite: 2^60 first steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A scalar parameter with its profile log-likelihood."""

    estimate: float
    maximum: float
    """Log-likelihood at the estimate."""
    log_likelihood: Callable[[float], float]
    """Maximum over all other parameters at a value of this one."""
    lower: float
    upper: float
    """Bounds of the parameter space."""
    step: float
    """A first step outwards, about a standard error."""


def profile_interval(profile: Profile, *, level: float = LEVEL) -> tuple[float, float]:
    """All values whose profile log-likelihood is within half the chi-square quantile of the maximum.

    An end at the bound of the parameter space is that bound: the interval is then one-sided. An end that is not reached
    is infinite.
    """
    check_level(level)
    drop = 0.5 * float(stats.chi2.ppf(level, 1))

    def excess(value: float) -> float:
        difference = profile.maximum - profile.log_likelihood(value) - drop
        return difference if math.isfinite(difference) else 1e6 * drop

    return _end(profile, excess, -1.0, profile.lower), _end(profile, excess, 1.0, profile.upper)


def _end(profile: Profile, excess: Callable[[float], float], direction: float, bound: float) -> float:
    inside = profile.estimate
    if inside == bound:
        return bound
    step = profile.step if math.isfinite(profile.step) and profile.step > 0.0 else max(abs(inside), 1.0)
    for _ in range(DOUBLINGS):
        outside = inside + direction * step
        if direction * (outside - bound) >= 0.0:
            outside = bound
        if excess(outside) > 0.0:
            reach = abs(outside - profile.estimate)
            return float(optimize.brentq(excess, inside, outside, xtol=RELATIVE * reach, rtol=1e-14))
        if outside == bound:
            return bound
        inside, step = outside, 2.0 * step
    return direction * math.inf
