"""Confidence intervals, profiles and tests of variances and proportions."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError, warn
from varmix.inference.bootstrap import Bootstrap, parametric_bootstrap
from varmix.inference.branch import Branch
from varmix.inference.likelihood_ratio import (
    LikelihoodRatio,
    chi_bar_weights,
    efficient_information,
    likelihood_ratio,
)
from varmix.inference.profile import Profile, profile_interval
from varmix.inference.proportion import proportion_covariance, proportions
from varmix.inference.wald import LEVEL, wald_interval
from varmix.models.linear.climb import Climb
from varmix.models.linear.feasible import inside
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.starting import good_starts
from varmix.models.linear.statistics import summarise_linear
from varmix.results.variance_components.estimates import Estimates
from varmix.results.variance_components.followed import Followed
from varmix.results.variance_components.restricted import Restricted, reached
from varmix.typing import Vector

Of = Literal["variance", "proportion"]
SURE = 1.0 - 1e-12
"""The largest level whose quantile still has digits."""


class Intervals:
    """Intervals at an optimum; `estimates` must be that of a likelihood fit."""

    def __init__(self, estimates: Estimates, log_likelihood: float) -> None:
        self.estimates = estimates
        self.log_likelihood = log_likelihood
        """In internal units."""

    @property
    def _names(self) -> tuple[str, ...]:
        return self.estimates.model.names

    def scale(self, of: Of) -> tuple[Vector, Vector, Vector]:
        """Estimate, standard error (internal units) and factor to the user's units, each of shape (K,)."""
        estimates, traces = self.estimates, self.estimates.model.traces
        covariance = estimates.covariance()
        if of == "variance":
            return estimates.variances, np.sqrt(covariance.diagonal()), estimates.outward
        if of != "proportion":
            raise OptionError(f"of={of!r} is not known. Use 'variance' or 'proportion'.")
        spread = proportion_covariance(estimates.variances, traces, covariance)
        share = proportions(estimates.variances, traces)
        return share, np.sqrt(spread.diagonal()), np.ones(len(share))

    def wald(self, component: int, of: Of, level: float) -> tuple[float, float]:
        """Estimate -+ quantile x standard error, cut to the parameter space."""
        estimate, error, factor = self.scale(of)
        upper = 1.0 if of == "proportion" else np.inf
        if estimate[component] in (0.0, upper):
            return math.nan, math.nan  # at an edge of its range an estimate has no standard error
        ends = wald_interval(estimate[component], error[component], level=level, lower=0.0, upper=upper)
        return float(ends[0] * factor[component]), float(ends[1] * factor[component])

    def profile(self, component: int, of: Of, level: float) -> tuple[float, float]:
        """By profile likelihood: right at the boundary, where it is one-sided."""
        factor = self.scale(of)[2][component]
        lower, upper = profile_interval(self.profiled(component, of)[0], level=level)
        self._tell_ends(component, of, lower, upper)
        return lower * factor, upper * factor

    def _tell_ends(self, component: int, of: Of, lower: float, upper: float) -> None:
        missing = " and ".join(name for name, end in (("lower", lower), ("upper", upper)) if math.isnan(end))
        if missing:
            warn(
                f"The {of} of '{self._names[component]}' has no {missing} limit: the maximum of this fit, followed as "
                f"the {of} is held at other values, ends or rises before the log-likelihood has fallen far enough. By "
                "ML the likelihood may grow without bound elsewhere: use criterion='reml'.",
                ConvergenceWarning,
            )

    def profiled(self, component: int, of: Of) -> tuple[Profile, Branch | None]:
        """The profile log-likelihood in internal units; by ML it is that of a branch, which may end."""
        estimate, error, _ = self.scale(of)
        restricted = Restricted(self.estimates.model, self.estimates.variances)
        single = of == "proportion" and len(estimate) == 1
        if single:
            raise NotAvailableError("The only component has all the variance: its proportion is 1 by definition.")
        step = float(error[component])
        if not np.isfinite(step) or step == 0.0:
            step = self._typical_step(component, of)
        branch = None
        if self._may_be_unbounded:
            followed = Followed(restricted, self.log_likelihood)
            branch = (followed.variance if of == "variance" else followed.proportion)(component, step)
        hold = restricted.with_variance if of == "variance" else restricted.with_proportion
        return Profile(
            estimate=float(estimate[component]),
            maximum=self.log_likelihood,
            log_likelihood=partial(hold, component) if branch is None else branch.log_likelihood,
            lower=0.0,
            upper=1.0 if of == "proportion" else np.inf,
            step=step,
            towards=None if branch is None else branch.towards,
        ), branch

    @property
    def _may_be_unbounded(self) -> bool:
        """Whether the likelihood sees covariates, in whose direction a kernel may be 0 or negative."""
        model = self.estimates.model
        return model.criterion == "ml" and model.design.c > 0

    def _typical_step(self, component: int, of: Of) -> float:
        """A standard error as if the component at the boundary were inside and the others known."""
        information = float(self.estimates.information()[component, component])
        step = 1.0 / np.sqrt(information) if information > 0.0 else 1.0
        traces = self.estimates.model.traces
        total = float((self.estimates.variances * traces).sum())
        return float(step if of == "variance" else min(0.5, step * traces[component] / total))

    def path(self, component: int, of: Of, points: int, reach: float) -> pd.DataFrame:
        """Profile log-likelihood relative to its maximum on a grid of at least `points` values.

        The grid ends where the profile has fallen by `reach` times 1.92 (half the 95 % quantile of chi-square with one
        degree of freedom), at the bounds, or where the profile itself ends. Raises OptionError for a `reach` that is
        not positive.
        """
        if not 0.0 < reach < np.inf or points < 2:
            raise OptionError(f"reach={reach} must be positive (in units of 1.92) and points={points} at least 2.")
        profile, branch = self.profiled(component, of)
        level = min(float(stats.chi2.cdf(reach * stats.chi2.ppf(LEVEL, 1), 1)), SURE)
        lower, upper = profile_interval(profile, level=level)
        if branch is not None:
            lower = branch.end(-1.0) if math.isnan(lower) else lower
            upper = branch.end(1.0) if math.isnan(upper) else upper
        upper = upper if np.isfinite(upper) else profile.estimate + 10.0 * profile.step
        values = np.unique(np.append(np.linspace(lower, upper, points), profile.estimate))
        drops = np.array([profile.log_likelihood(float(value)) - profile.maximum for value in values])
        factor = self.scale(of)[2][component]
        return pd.DataFrame({"value": values * factor, "log_likelihood": np.minimum(drops, 0.0)})

    def test(self, tested: tuple[str, ...]) -> LikelihoodRatio:
        """Likelihood-ratio test that these variances are all 0, with the chi-bar-square null."""
        components = [self._names.index(name) for name in tested]
        if len(components) == len(self._names):
            raise OptionError("All components cannot be 0 at once: leave at least one out of the test.")
        null, at = self._null(components)
        if not np.isfinite(null):
            return likelihood_ratio(self.log_likelihood, -np.inf, np.array([0.0, 1.0]), tested)
        model = self.estimates.model
        information = summarise_linear(model.piece, at, model.criterion, expected=True).expected_information
        assert information is not None
        free = [k for k in range(len(at)) if k not in components and at[k] > 0.0]
        weights = chi_bar_weights(efficient_information(information, components, free))
        return likelihood_ratio(self.log_likelihood, null, weights, tested)

    def _null(self, components: list[int]) -> tuple[float, Vector]:
        """Maximum with these variances at 0, and where; by ML on the branch of the fit's maximum.

        Raises NotAvailableError where that branch ends before.
        """
        restricted = Restricted(self.estimates.model, self.estimates.variances)
        restriction, start = restricted.null(components)
        if not self._may_be_unbounded or restriction.is_ray:
            return restricted.maximum(restriction, start)
        followed = Followed(restricted, self.log_likelihood)
        outcome, variances = restricted.search(restriction, start)
        if reached(outcome) and followed.belongs(outcome.objective):
            return outcome.objective, variances
        found = followed.without(components)
        if found is None:
            names = ", ".join(self._names[k] for k in components)
            raise NotAvailableError(
                f"Without {names} the ML likelihood has no maximum that belongs to this fit's: it grows without bound "
                "as the residual variance goes to 0. Use criterion='reml'."
            )
        return found

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Bootstrap:
        """Refit draws from the fitted model; statistics are all variances, then all proportions.

        Where the climb from the estimate does not arrive, the starts of an ordinary fit are tried.
        """
        estimates, model = self.estimates, self.estimates.model
        start = np.maximum(estimates.variances, 1e-3 * estimates.variances.max())
        climb = Climb(criterion=model.criterion)

        def replicate(generator: np.random.Generator) -> Vector:
            draw = model.piece.system.draw(estimates.variances, generator)
            piece = model.piece.with_complement(draw)
            outcome = climb.run_inside([piece], VarianceParams(inside(piece, start, model.criterion)))
            for begin in [] if outcome.status.arrived else good_starts(piece, model.criterion):
                if not outcome.status.arrived:
                    outcome = climb.run_inside([piece], begin)
            values = outcome.params.values if outcome.status.arrived else np.full(len(start), np.nan)
            return np.concatenate([values * estimates.outward, proportions(values, model.traces)])

        names = (*self._names, *(f"proportion of {name}" for name in self._names))
        return parametric_bootstrap(replicate, names, replicates, rng)
