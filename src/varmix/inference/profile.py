"""Intervals by profile likelihood, right at a boundary: they invert the likelihood-ratio test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
    towards: Callable[[float], Iterator[tuple[float, float]]] | None = None
    """Values on the way outwards to a value and their log-likelihoods, the last at the value itself; fewer where the
    profile ends before it, as a local maximum that is followed may. None where every value has a profile."""


def profile_interval(profile: Profile, *, level: float = LEVEL) -> tuple[float, float]:
    """All values whose profile log-likelihood is within half the chi-square quantile of the maximum.

    An end at the bound of the parameter space is that bound: the interval is then one-sided. An end that is not reached
    is infinite, and NaN where the profile itself ends before it has fallen so far.
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
        for value in _on_the_way(profile, outside):
            if excess(value) > 0.0:
                reach = abs(value - profile.estimate)
                return float(optimize.brentq(excess, inside, value, xtol=RELATIVE * reach, rtol=1e-14))
            inside = value
        if inside != outside:
            return math.nan
        if outside == bound:
            return bound
        step *= 2.0
    return direction * math.inf


def _on_the_way(profile: Profile, outside: float) -> Iterator[float]:
    if profile.towards is None:
        yield outside
    else:
        yield from (value for value, _ in profile.towards(outside))
