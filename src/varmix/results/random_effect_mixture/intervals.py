"""Confidence intervals and profiles of class variances, the residual variance and shares."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError, warn
from varmix.inference.profile import Profile, profile_interval
from varmix.inference.wald import LEVEL, wald_interval
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.scheme import Reduced
from varmix.results.random_effect_mixture.estimates import Estimates
from varmix.results.random_effect_mixture.restricted import Restricted

HIGHER = 1e-6
"""A restricted maximum this far above the fit's is another optimum, not rounding."""

CHECKED = 1e-6
"""An end counts as checked when a thorough search finds no more than this above what the neighbours led to."""

ROUNDS = 6
"""Times that an end is sought again after a thorough search found a higher branch of the profile there."""

SEARCHED = 8
"""Points of a path at which a thorough search is made; the others start between their neighbours."""

SURE = 1.0 - 1e-12
"""The largest level whose quantile still has digits."""


class Intervals:
    """Intervals at an optimum, by name: 'v_1', ..., 's', 'pi_1', ...; 'pi' is 'pi_1' of two classes [SLOPE-10].

    `log_likelihood` is the maximum in internal units; `climb` lends its runner.
    """

    def __init__(self, estimates: Estimates, log_likelihood: float, climb: Climb) -> None:
        self.estimates = estimates
        self.log_likelihood = log_likelihood
        self.climb = climb

    @cached_property
    def _restricted(self) -> Restricted:
        return Restricted(self.estimates.model, self.estimates.params, self.log_likelihood, self.climb)

    def coordinate(self, name: str) -> int:
        """Position of a parameter in (v, s, pi). Raises OptionError, and NotAvailableError for what is known."""
        position = self.estimates.position(name)
        if self.estimates.params.held[position]:
            raise NotAvailableError(f"{name} is known in this model, not estimated: it has no interval.")
        return position

    def bounds(self, coordinate: int) -> tuple[float, float]:
        """Range of a parameter."""
        return 0.0, 1.0 if coordinate > self.estimates.model.classes else math.inf

    def wald(self, name: str, level: float = LEVEL) -> tuple[float, float]:
        """Estimate -+ quantile x standard error, cut to the range; NaN at an edge of it, where there is no such error.

        Raises OptionError, NotAvailableError.
        """
        at = self.coordinate(name)
        estimate, error = self.estimates.values[at], self.estimates.standard_errors[at]
        lower, upper = self.bounds(at)
        ends = wald_interval(estimate, error, level=level, lower=lower, upper=upper)
        return float(ends[0]), float(ends[1])

    def profile(self, name: str, level: float = LEVEL) -> tuple[float, float]:
        """By profile likelihood: all values that the likelihood-ratio test with chi-square(1) does not reject.

        At a bound the interval is one-sided, and the quantile stays that of chi-square(1). The (1/2, 1/2) mixture of
        chi-square(0) and chi-square(1) is the law of the statistic for the value 0 alone; at a value c > 0 standard
        errors from 0 a quantile read from it would cover as little as 90 % of a 95 % interval, since both tails are
        then inside. With chi-square(1) the coverage is `level` far from the bound, never below it (to first order: the
        lower miss has probability `Phi(-(c^2 + z^2) / 2c) <= Phi(-z)`), and at 0 it is (1 + level) / 2: 0 is left out
        when the one-sided test rejects it at (1 - level) / 2 [SLOPE-10]. Raises OptionError, NotAvailableError; warns
        (ConvergenceWarning) where a restricted maximum is above the fit's.
        """
        at = self.coordinate(name)
        lower, upper = self._inner_interval(at, level)
        factor = float(self.estimates.factors[at])
        return lower * factor, upper * factor

    def path(self, name: str, points: int = 41, reach: float = 2.0) -> pd.DataFrame:
        """Profile log-likelihood relative to its maximum on a grid of at least `points` values.

        Columns `value` (units of the data) and `log_likelihood`. The grid ends where the profile has fallen by `reach`
        times 1.92 (half the 95 % quantile of chi-square(1)), or at the bounds. Raises OptionError, NotAvailableError.
        """
        given: Any = points
        if not 0.0 < reach < np.inf or not isinstance(given, (int, np.integer)) or points < 2:
            raise OptionError(
                f"reach={reach} must be positive (in units of 1.92) and points={points!r} a whole number of at least 2."
            )
        at = self.coordinate(name)
        profile = self._profiled(at)
        level = min(float(stats.chi2.cdf(reach * stats.chi2.ppf(LEVEL, 1), 1)), SURE)
        lower, upper = self._inner_interval(at, level)
        upper = upper if np.isfinite(upper) else profile.estimate + 10.0 * profile.step
        values = np.unique(np.append(np.linspace(lower, upper, points), profile.estimate))
        for value in values[:: max(1, len(values) // SEARCHED)]:
            self._at(at, float(value), thorough=True)
        heights = np.array([self._at(at, float(value)) for value in values])
        drops = np.minimum(heights - self.log_likelihood, 0.0)
        drops[values == profile.estimate] = 0.0
        return pd.DataFrame({"value": values * self.estimates.factors[at], "log_likelihood": drops})

    def _inner_interval(self, at: int, level: float) -> tuple[float, float]:
        """Ends in internal units, sought again while a thorough search finds a higher branch of the profile there."""
        profile = self._profiled(at)
        ends = profile_interval(profile, level=level)
        for _ in range(ROUNDS):
            higher = False
            for end in ends:
                if np.isfinite(end) and end not in (profile.lower, profile.estimate, profile.upper):
                    near = self._at(at, end)
                    higher |= self._at(at, end, thorough=True) > near + CHECKED
            if not higher:
                break
            ends = profile_interval(profile, level=level)
        return ends

    def _profiled(self, at: int) -> Profile:
        estimate = float(self.estimates.params.vector()[at])
        lower, upper = self.bounds(at)
        return Profile(
            estimate=estimate,
            maximum=self.log_likelihood,
            log_likelihood=lambda value: self._at(at, value),
            lower=lower,
            upper=upper,
            step=self._step(at),
        )

    def _step(self, at: int) -> float:
        """A standard error; where there is none, one as if all else were known."""
        variance = float(self.estimates.inner_covariance[at, at])
        if not (np.isfinite(variance) and variance > 0.0):
            reduced = Reduced.at(self.estimates.params)
            place = np.flatnonzero(reduced.moving == at)
            outer = reduced.pull_square(self.estimates.stats.outer)
            own = float(outer[place[0], place[0]]) if place.size else 0.0
            variance = 1.0 / own if own > 0.0 else 1.0
        return min(math.sqrt(variance), 0.25 if at > self.estimates.model.classes else math.inf)

    def _at(self, at: int, value: float, *, thorough: bool = False) -> float:
        height = self._restricted.maximum(at, value, thorough=thorough)
        if height > self.log_likelihood + max(HIGHER, 1e-10 * abs(self.log_likelihood)):
            name, outward = self.estimates.model.names[at], value * float(self.estimates.factors[at])
            warn(
                f"With {name} = {outward:.6g} the log-likelihood is {height - self.log_likelihood:.3g} above the "
                "fit's, which is therefore not at the maximum: fit again with more starts. Intervals count this as no "
                "drop.",
                ConvergenceWarning,
            )
        return height
