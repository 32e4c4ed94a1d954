"""Intervals by profile likelihood, right at a boundary: they invert the likelihood-ratio test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, stats

from varmix.inference.wald import LEVEL, check_level

RELATIVE = 1e-7
"""Accuracy of an end point relative to its distance from the estimate: the coverage it costs is of that order."""
FAR = 1e6
"""What stands for an infinite drop, in quantiles."""
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
    quantile = math.sqrt(float(stats.chi2.ppf(level, 1)))

    known = {profile.estimate: -quantile}

    def excess(value: float) -> float:
        """Signed root of the likelihood ratio, nearly linear in the parameter, less its quantile.

        Each value is asked for once: the maximum over the others may have several modes, and which one is found may
        depend on where the last one was.
        """
        if value not in known:
            difference = profile.maximum - profile.log_likelihood(value)
            finite = math.isfinite(difference)
            known[value] = math.sqrt(max(2.0 * difference, 0.0)) - quantile if finite else FAR * quantile
        return known[value]

    return _end(profile, excess, -1.0, quantile), _end(profile, excess, 1.0, quantile)


def _end(profile: Profile, excess: Callable[[float], float], direction: float, quantile: float) -> float:
    inside, bound = profile.estimate, profile.lower if direction < 0.0 else profile.upper
    if inside == bound:
        return bound
    step = profile.step if math.isfinite(profile.step) and profile.step > 0.0 else max(abs(inside), 1.0)
    step *= 1.1 * quantile
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
