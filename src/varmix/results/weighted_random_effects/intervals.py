"""Intervals, profiles, tests and bootstrap of the variances, all against the maximum that was found."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from varmix.errors import OptionError
from varmix.inference.bootstrap import Bootstrap, parametric_bootstrap
from varmix.inference.information import covariance_from_information, standard_errors
from varmix.inference.likelihood_ratio import LikelihoodRatio, chi_bar_weights, efficient_information, likelihood_ratio
from varmix.inference.profile import Profile, profile_interval
from varmix.inference.wald import LEVEL, wald_interval
from varmix.iteration import from_every_start
from varmix.models.independent_groups.climb import Climb
from varmix.models.independent_groups.closed import Closed
from varmix.models.independent_groups.model import IndependentGroups
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.starting import good_starts
from varmix.typing import Square, Vector

TOLERANCE = 1e-6
"""Distance from a restricted optimum in standard errors: its log-likelihood is then right to 1e-12."""

OFF_ZERO = 0.1
"""Standard errors from 0 at which a variance begins where it is climbed anew: at 0 itself a model may be undefined."""

SURE = 1.0 - 1e-12
"""Highest level of a profile's ends."""


class Intervals:
    """Against the maximum at `params`, whose internal log-likelihood is `objective`."""

    def __init__(self, model: IndependentGroups, params: GroupParams, objective: float) -> None:
        self.model = model
        self.params = params
        self.log_likelihood = model.log_likelihood_outward(objective)

    @cached_property
    def closed(self) -> Closed:
        """Derivatives at the estimate."""
        return self.model.closed(self.params)

    def covariance(self, kind: str = "observed") -> Square:
        """Of the variances, internal units; NaN where known or at 0. Raises OptionError."""
        if kind not in ("observed", "expected"):
            raise OptionError(f"information={kind!r} is not known. Use 'observed' or 'expected'.")
        information = self.closed.observed if kind == "observed" else self.closed.expected
        information = information * self.model.reduced.weight
        return covariance_from_information(information, (self.params.values > 0.0) & ~self.params.held)

    @cached_property
    def errors(self) -> Vector:
        """Standard errors by the observed information, internal units."""
        return standard_errors(self.covariance())

    def wald(self, component: int, level: float) -> tuple[float, float]:
        """Estimate -+ quantile x standard error, cut at 0; NaN at 0."""
        lower, upper = wald_interval(self.params.values[[component]], self.errors[[component]], level=level, lower=0.0)
        factor = float(self.model.reduced.outward[component])
        return float(lower[0]) * factor, float(upper[0]) * factor

    def profile(self, component: int, level: float) -> tuple[float, float]:
        """By profile likelihood: right at the boundary, where it is one-sided."""
        lower, upper = profile_interval(self.profiled(component), level=level)
        factor = float(self.model.reduced.outward[component])
        return lower * factor, upper * factor

    def profiled(self, component: int) -> Profile:
        """The profile log-likelihood in internal units."""
        step = float(self.errors[component])
        if not (math.isfinite(step) and step > 0.0):
            step = 1.0 / math.sqrt(self.model.reduced.weight * float(self.closed.expected[component, component]))
        return Profile(
            estimate=float(self.params.values[component]),
            maximum=self.log_likelihood,
            log_likelihood=lambda value: self.restricted({component: value})[0],
            lower=0.0,
            upper=math.inf,
            step=step,
        )

    def restricted(self, values: dict[int, float]) -> tuple[float, GroupParams]:
        """Maximum of the log-likelihood with these variances held (internal units), and where.

        At s = 0 a group that no slope explains has no density: the maximum is then -inf.
        """
        floor = OFF_ZERO / np.sqrt(self.closed.expected.diagonal())
        inside = np.maximum(self.params.values, floor)
        start = replace(self.params, values=np.where(self.params.held, self.params.values, inside))
        for component, value in values.items():
            start = start.holding(component, value)
        outcome = self.model.climb(start, Climb(tolerance=TOLERANCE))
        return self.model.log_likelihood_outward(outcome.objective), outcome.params

    def path(self, component: int, points: int, reach: float) -> pd.DataFrame:
        """Profile log-likelihood relative to its maximum on a grid of at least `points` values, in the data's units.

        The grid ends where the profile has fallen by `reach` times 1.92, or at 0.
        """
        if not 0.0 < reach < math.inf or points < 2:
            raise OptionError(f"reach={reach} must be positive (in units of 1.92) and points={points} at least 2.")
        profile = self.profiled(component)
        level = min(float(stats.chi2.cdf(reach * stats.chi2.ppf(LEVEL, 1), 1)), SURE)
        lower, upper = profile_interval(profile, level=level)
        upper = upper if math.isfinite(upper) else profile.estimate + 10.0 * profile.step
        values = np.unique(np.append(np.linspace(lower, upper, points), profile.estimate))
        drops = np.array([profile.log_likelihood(float(value)) - profile.maximum for value in values])
        factor = self.model.reduced.outward[component]
        return pd.DataFrame({"value": values * factor, "log_likelihood": np.minimum(drops, 0.0)})

    def test(self, tested: tuple[str, ...]) -> LikelihoodRatio:
        """Likelihood-ratio test that these variances are all 0, with the chi-bar-square null."""
        names = self.model.components
        components = [names.index(name) for name in tested]
        null, at = self.restricted(dict.fromkeys(components, 0.0))
        if not math.isfinite(null):
            return likelihood_ratio(self.log_likelihood, -math.inf, np.array([0.0, 1.0]), tested)
        free = [k for k in range(len(names)) if k not in components and at.values[k] > 0.0 and not self.params.held[k]]
        information = efficient_information(self.model.closed(at).expected, components, free)
        return likelihood_ratio(self.log_likelihood, null, chi_bar_weights(information), tested)

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Bootstrap:
        """Refit draws from the fitted model; statistics are the variances of the data's units."""
        model, outward = self.model, self.model.outward(self.params.values)
        fixed = model.reduced.fixed(self.closed.fixed)

        def replicate(generator: np.random.Generator) -> Vector:
            again = replace(model, rows=replace(model.rows, y=model.draw(outward, fixed, generator)))
            begin = good_starts(again.reduced.pieces, again.known)
            best = from_every_start(again.climb, begin).best
            return again.outward(best.params.values) if best.status.arrived else np.full(len(outward), np.nan)

        return parametric_bootstrap(replicate, model.components, replicates, rng)
