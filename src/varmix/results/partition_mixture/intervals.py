"""Intervals of a fit of partitions: Wald's inside the range of a parameter, by profile or a quadratic at its edge."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError, warn
from varmix.inference.profile import Profile, profile_interval
from varmix.inference.wald import LEVEL, check_level, wald_interval
from varmix.iteration import Outcome, Status
from varmix.models.partition.noise_point import NoisePoint
from varmix.models.partition.problem import VARIANCE, free_parameters
from varmix.results.partition_mixture.estimates import Estimates
from varmix.typing import Vector

NEAR_EDGE = 3.0
"""Standard errors from an edge within which an interval is by profile."""

AFFORDABLE = 200_000
"""Genes times partitions up to which tables hold profile intervals: each takes tens of evaluations of all of them."""

FEW = 20
"""Estimated parameters up to which they do: many have many intervals, and each restricted maximum is dearer then, up to
a minute per interval for 600 genes in 14 mixtures of unknown proportions whose noise grows."""

NEAR = 1e-3
"""Standard errors from a restricted maximum at which its log-likelihood is right to 5e-7."""

HIGHER = 1e-6
"""A restricted maximum this far above the fit's is another optimum."""

LOST = 10.0
"""Drop from the maximum, far beyond any interval, at which a climb from a neighbour may have lost its way: another is
made from the fit."""

KINDS = ("profile", "wald", "bootstrap")


class UnreachedWarning(ConvergenceWarning):
    """A maximum with a coordinate held that was not reached; that one is above the fit's is another matter."""


class Intervals:
    """By name or coordinate, in the units of the data."""

    def __init__(self, estimates: Estimates) -> None:
        self.estimates = estimates
        self._known: dict[tuple[int, float], tuple[float, float, str]] = {}
        self._reached: dict[float, Vector] = {}

    def default(self, at: int, level: float) -> tuple[float, float, str]:
        """Ends, and their kind: "wald", "profile", "quadratic", or "none" where there is no quadratic either."""
        if (at, level) not in self._known:
            self._known[at, level] = self._default(at, level)
        return self._known[at, level]

    def _default(self, at: int, level: float) -> tuple[float, float, str]:
        if not self.estimates.outcome.status.arrived:
            return math.nan, math.nan, "none"
        value, error = self.estimates.values[at], self.estimates.standard_errors[at]
        lower, upper = self._range(at)
        away = min(value - lower, upper - value) > NEAR_EDGE * error  # False for NaN
        if away or not self._affordable:
            return self.quick(at, level)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UnreachedWarning)
                return *self.profile(at, level), "profile"
        except (NotAvailableError, UnreachedWarning):  # that is told where a profile is asked for
            return self.quick(at, level)

    def quick(self, at: int, level: float) -> tuple[float, float, str]:
        """Wald's inside and a quadratic's at an edge: where each of many parameters would be a profile of its own."""
        if not self.estimates.outcome.status.arrived:
            return math.nan, math.nan, "none"
        if np.isfinite(self.estimates.standard_errors[at]):
            return *self.wald(at, level), "wald"
        reach = float(self._reach(level)[at])
        if math.isnan(reach) or self.estimates.problem.base.likelihood == "composite":
            return math.nan, math.nan, "none"
        value = float(self.estimates.values[at])
        lower, upper = self._range(at)
        ends = (lower, min(value + reach, upper)) if value == 0.0 else (max(value - reach, lower), upper)
        return *ends, "quadratic"

    def _reach(self, level: float) -> Vector:
        """Of all coordinates, once per level."""
        check_level(level)
        if level not in self._reached:
            self._reached[level] = self.estimates.reach(0.5 * float(stats.chi2.ppf(level, 1)))
        return self._reached[level]

    def wald(self, at: int, level: float) -> tuple[float, float]:
        """Cut to the range of the parameter; NaN at an edge."""
        lower, upper = self._range(at)
        value, error = self.estimates.values[[at]], self.estimates.standard_errors[[at]]
        ends = wald_interval(value, error, level=level, lower=lower, upper=upper)
        return float(ends[0][0]), float(ends[1][0])

    def profile(self, at: int, level: float) -> tuple[float, float]:
        """Inverts the likelihood-ratio test. Raises NotAvailableError for a likelihood that is none, and where
        restricted maxima are not offered."""
        check_level(level)
        ends = profile_interval(self._profile(at), level=level)
        factor = self.estimates.factors[at]
        return ends[0] * factor, ends[1] * factor

    def path(self, at: int, points: int, reach: float) -> pd.DataFrame:
        """The profile at `points` values over `reach` times its 95 % interval in drop: value, log_likelihood."""
        given: Any = points
        if not isinstance(given, (int, np.integer)) or points < 2 or not reach > 0.0:
            raise OptionError(f"points={points!r} must be at least 2 and reach={reach!r} positive.")
        profile = self._profile(at)
        level = min(float(stats.chi2.cdf(reach * stats.chi2.ppf(LEVEL, 1), 1)), 1.0 - 1e-12)
        lower, upper = profile_interval(profile, level=level)
        upper = upper if np.isfinite(upper) else profile.estimate + 10.0 * profile.step
        lower = lower if np.isfinite(lower) else profile.estimate - 10.0 * profile.step
        values = np.unique(np.append(np.linspace(lower, upper, points), profile.estimate))
        drops = [0.0 if v == profile.estimate else profile.log_likelihood(v) - profile.maximum for v in values]
        return pd.DataFrame({"value": values * self.estimates.factors[at], "log_likelihood": np.minimum(drops, 0.0)})

    @property
    def _affordable(self) -> bool:
        problem = self.estimates.problem
        return free_parameters(problem) <= FEW and problem.base.genes * len(problem.base.partitions) <= AFFORDABLE

    def at_upper(self, at: int) -> bool:
        """Whether a climb ended at the most that it may give a term of the noise."""
        params = self.estimates.outcome.params
        return isinstance(params, NoisePoint) and bool(params.at_upper[at])

    def _range(self, at: int) -> tuple[float, float]:
        """In the units of the data."""
        lower, upper = self._bounds(at)
        return lower * self.estimates.factors[at], upper * self.estimates.factors[at]

    def _bounds(self, at: int) -> tuple[float, float]:
        """In internal units: climbs take lack of fit, scatter and exponents no further, and neither do intervals."""
        scalars, params = self.estimates.problem.scalars, self.estimates.outcome.params
        if at >= len(scalars):
            return 0.0, 1.0
        upper = float(params.upper[at]) if isinstance(params, NoisePoint) else math.inf
        return (-math.inf if scalars[at].name == "mean" else 0.0), upper

    def _profile(self, at: int) -> Profile:
        problem, outcome = self.estimates.problem, self.estimates.outcome
        if problem.base.likelihood == "composite":
            raise NotAvailableError(
                "A product over samples that are not independent has no likelihood-ratio intervals. Use kind='wald', "
                "which rests on the sandwich, or kind='bootstrap'."
            )
        error = float(self.estimates.standard_errors[at] / self.estimates.factors[at])
        inner = float(self.estimates.inner[at])
        lower, upper = self._bounds(at)
        known: list[tuple[float, Outcome[Any, Any]]] = [(inner, outcome)]

        def height(value: float) -> float:
            nearest = min(known, key=lambda item: abs(item[0] - value))[1]
            found = problem.restricted(nearest.params, at, value)
            if outcome.objective - found.objective > LOST and nearest is not outcome:
                found = max(found, problem.restricted(outcome.params, at, value), key=lambda end: end.objective)
            known.append((value, found))
            self._check(at, found)
            return found.objective

        return Profile(
            estimate=inner,
            maximum=outcome.objective,
            log_likelihood=height,
            lower=lower,
            upper=upper,
            step=error if np.isfinite(error) and error > 0.0 else self._typical(at),
        )

    def _typical(self, at: int) -> float:
        """A first step from an edge."""
        scalars, inner = self.estimates.problem.scalars, self.estimates.inner
        if at >= len(scalars):
            return 0.02
        variances = [v for v, scalar in zip(inner, scalars, strict=False) if scalar.power == VARIANCE]
        return 0.02 * max(variances) if scalars[at].power == VARIANCE else 0.1

    def _check(self, at: int, found: Outcome[Any, Any]) -> None:
        outcome, name = self.estimates.outcome, self.estimates.names[at]
        near = found.status.arrived or found.certificate.newton_decrement <= NEAR
        if found.objective > outcome.objective + HIGHER * (1.0 + 1e-4 * abs(outcome.objective)):
            warn(
                f"With {name} held the log-likelihood is {found.objective - outcome.objective:.3g} above the fit's, "
                "which is therefore not at the maximum: fit again with more starts.",
                ConvergenceWarning,
            )
        elif not near and outcome.status is not Status.CONFOUNDED and math.isfinite(found.objective):
            warn(
                f"A maximum with {name} held was not reached ({found.status.name}): the profile interval resting on "
                "it may be off. Compare it with a bootstrap.",
                UnreachedWarning,
            )
