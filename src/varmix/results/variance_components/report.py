"""The report of a variance-components fit: tables and actions on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.inference.bootstrap import Bootstrap
from varmix.inference.information import standard_errors
from varmix.inference.likelihood_ratio import LikelihoodRatio
from varmix.inference.wald import LEVEL, wald_interval, wald_test
from varmix.iteration import Certificate, Outcome, Starts, Status
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.params import VarianceParams
from varmix.results.report import Facts, Report
from varmix.results.variance_components.advice import advice_on
from varmix.results.variance_components.compare import compare_fits
from varmix.results.variance_components.estimates import Estimates, Information
from varmix.results.variance_components.intervals import Intervals, Of
from varmix.results.variance_components.prediction import Prediction
from varmix.results.variance_components.saved import state_of
from varmix.results.variance_components.steps import progress_table, starts_table
from varmix.typing import Square, Vector

IntervalKind = Literal["profile", "wald", "bootstrap", "open", "none"]
"""How an interval was made; "open" by a profile that ends before it has fallen far enough (that limit is NaN), "none"
away from an optimum, where there is no maximum to hold a profile against."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimation:
    """How the estimate was found: by climbing (an Outcome) or by moments."""

    method: str
    outcome: Outcome[Any, Any]
    starts: Starts[Any, Any] | None = None
    covariance: Square | None = None
    """Of the moment estimates, internal units; None where the information gives it."""
    notes: Mapping[str, Any]
    """Further facts: moment diagnostics, the projected solution, the algebra."""

    @property
    def by_moments(self) -> bool:
        """Whether intervals rest on a covariance rather than on a likelihood."""
        return self.covariance is not None


class VarianceComponentsReport(Report):
    """Tables and actions of one fit."""

    kind = "variance_components"

    def __init__(self, model: VarianceComponents, estimation: Estimation, sample: Callable[[], pd.DataFrame]) -> None:
        self.model = model
        self.estimation = estimation
        self.sample = sample
        params: VarianceParams = estimation.outcome.params
        self.estimates = Estimates(model, params.values, covariance=estimation.covariance)
        self.prediction = Prediction(self.estimates)

    @property
    def status(self) -> Status:
        """Why the fit ended."""
        return self.estimation.outcome.status

    @property
    def certificate(self) -> Certificate:
        """Distance from the optimum."""
        return self.estimation.outcome.certificate

    @cached_property
    def log_likelihood(self) -> float:
        """At the estimate, in the units of the data; NaN where V is not positive definite (moments)."""
        inner = self.estimation.outcome.objective
        return self.model.log_likelihood_outward(inner) if math.isfinite(inner) else math.nan

    @cached_property
    def facts(self) -> Facts:
        """One line each, JSON values only."""
        model, outcome = self.model, self.estimation.outcome
        log_likelihood, count = self.log_likelihood, len(model.names)
        parameters = count + (model.design.c if model.criterion == "ml" else 0)
        return {
            "model": "variance components",
            "advice": advice_on(self.status),
            "response": model.design.response_names[0],
            "method": self.estimation.method,
            "criterion": "moments" if self.estimation.by_moments else model.criterion,
            "log_likelihood": log_likelihood,
            "deviance": -2.0 * log_likelihood,
            "aic": -2.0 * log_likelihood + 2.0 * parameters,
            "bic": -2.0 * log_likelihood + math.log(model.errors) * parameters,
            "parameters": parameters,
            "n": model.design.n,
            "covariates": model.design.c,
            "df_residual": model.design.n - model.design.c,
            "sigma": math.sqrt(max(float(self._variances[-1]), 0.0)),
            "steps": len(outcome.progress.steps) - 1,
            "evaluations": outcome.progress.last.evaluations,
            "scheme": outcome.progress.steps[0].scheme,
            "finished_by": outcome.scheme,
            "algebra": model.structure.algebra,
            **self.estimation.notes,
            **self._warnings,
        }

    @property
    def _warnings(self) -> Facts:
        """Notes of the estimation, and one where coefficients have no standard error."""
        told = list(self.estimation.notes.get("warnings", []))
        if without := self.estimates.without_errors:
            told.append(
                f"With the residual variance {self._variances[-1]:.3g} (negative counts as 0) the model claims to know "
                f"{', '.join(without)} exactly: no standard error is given, because no data can show that. Check for "
                "duplicated rows and for kernels that explain every row by itself."
            )
        return {"warnings": told} if told or "warnings" in self.estimation.notes else {}

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return ("components", "proportions", "coefficients", "progress", "starts", "sample", "augment")

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers = {
            "components": lambda: self.components(LEVEL, None),
            "proportions": lambda: self.proportions(LEVEL, None),
            "coefficients": lambda: self.coefficients(LEVEL),
            "progress": lambda: progress_table(self.model, self.estimation.outcome),
            "starts": lambda: starts_table(self.model, self.estimation),
            "sample": self.sample,
            "augment": self.augment,
        }
        if name not in makers:
            self._refuse(name)
        return makers[name]()

    @property
    def _variances(self) -> Vector:
        return self.model.units.outward(self.estimates.variances)

    @cached_property
    def intervals(self) -> Intervals:
        """Likelihood-based intervals and tests. Raises NotAvailableError for moments and away from a maximum."""
        if self.estimation.by_moments:
            raise NotAvailableError(
                "Moments have no likelihood to profile or test: read the standard errors, or fit by method='newton'."
            )
        if not self.status.arrived:
            raise NotAvailableError(
                f"This fit is not at a maximum ({self.status.name}), so that nothing can be held against it: no "
                "intervals, tests or bootstrap. Refit with polish=True or method='newton'; fit.status.advice says more."
            )
        return Intervals(self.estimates, self.estimation.outcome.objective)

    def components(self, level: float, kind: IntervalKind | None) -> pd.DataFrame:
        """One row per variance, residual last. Profile intervals where they are cheap or a variance is at 0."""
        estimates = self.estimates
        errors = standard_errors(estimates.covariance()) * estimates.outward
        variances = self._variances
        rows = []
        for component, name in enumerate(self.model.names):
            lower, upper, used = self._interval(component, "variance", level, kind)
            rows.append(
                {
                    "term": name,
                    "name": "variance",
                    "estimate": variances[component],
                    "sd": math.sqrt(variances[component]) if variances[component] >= 0.0 else math.nan,
                    "se": errors[component],
                    "lower": lower,
                    "upper": upper,
                    "interval": used,
                    "on_boundary": bool(variances[component] == 0.0),
                }
            )
        return pd.DataFrame(rows)

    def proportions(self, level: float, kind: IntervalKind | None) -> pd.DataFrame:
        """One row per component: proportion of variance with delta-method error and interval [VC-9]."""
        share, error = self._proportions
        rows = []
        for component, name in enumerate(self.model.names):
            lower, upper, used = self._interval(component, "proportion", level, kind)
            rows.append(
                {
                    "term": name,
                    "estimate": share[component],
                    "se": error[component],
                    "lower": lower,
                    "upper": upper,
                    "interval": used,
                }
            )
        return pd.DataFrame(rows)

    @cached_property
    def _proportions(self) -> tuple[Vector, Vector]:
        share, error, _ = Intervals(self.estimates, math.nan).scale("proportion")
        at_bound = (self.estimates.variances == 0.0) | (share == 1.0)
        return share, np.where(at_bound & (not self.estimation.by_moments), np.nan, error)

    def _interval(
        self, component: int, of: Of, level: float, kind: IntervalKind | None
    ) -> tuple[float, float, IntervalKind]:
        if self.estimation.by_moments:
            estimate, error, factor = Intervals(self.estimates, math.nan).scale(of)
            ends = wald_interval(estimate[component], error[component], level=level)
            return float(ends[0] * factor[component]), float(ends[1] * factor[component]), "wald"
        if not self.status.arrived:
            return math.nan, math.nan, "none"
        if kind is None:
            cheap = self.model.piece.system.pairs_are_cheap
            kind = "profile" if cheap or self.estimates.variances[component] == 0.0 else "wald"
            if of == "proportion" and not (self.estimates.variances[:-1] > 0.0).any():
                kind = "profile"  # the residual's share is at its bound of 1, too
        ends_of = self.intervals.profile if kind == "profile" else self.intervals.wald
        lower, upper = ends_of(component, of, level)
        if kind == "profile" and (math.isnan(lower) or math.isnan(upper)):
            kind = "open"
        return float(lower), float(upper), kind

    def coefficients(self, level: float) -> pd.DataFrame:
        """Fixed effects with t tests on n - c degrees of freedom (exact where no kernel has variance)."""
        model, fixed = self.model, self.estimates.fixed
        estimate = fixed.estimate * model.units.response
        error = standard_errors(fixed.covariance) * model.units.response
        df = model.design.n - model.design.c
        statistic, p = wald_test(estimate, error, df=df)
        lower, upper = wald_interval(estimate, error, level=level, df=df)
        columns = {"estimate": estimate, "se": error, "df": float(df), "statistic": statistic, "p": p}
        table = pd.DataFrame({**columns, "lower": lower, "upper": upper}, index=list(model.design.names))
        return table.rename_axis("term")

    def augment(self) -> pd.DataFrame:
        """One row per row used: response, covariates' part, fitted value and residual."""
        response, residual = self.model.design.y, self.prediction.residuals()
        table = pd.DataFrame({"row": self.model.design.rows, "y": response, "fixed": self.prediction.fixed_part()})
        table["fitted"] = response - residual
        table["resid"] = residual
        ids = self.model.design.sample_ids
        return table if ids is None else pd.concat([ids.reset_index(drop=True), table], axis=1)

    def _component(self, name: str) -> int:
        if name not in self.model.names:
            raise OptionError(f"There is no component '{name}'. The fit has: {', '.join(self.model.names)}.")
        return self.model.names.index(name)

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means of a design's effects, or of a kernel's values on the rows [VC-6]."""
        component = self._component(term)
        if component == len(self.model.names) - 1:
            raise OptionError("The residual has no effects: read fit.augment() for residuals.")
        return self.prediction.effects(component, sd=sd)

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """`of` variance or proportion, `kind` profile, wald or bootstrap (with `replicates` and `rng`), `level`."""
        of, kind = options.pop("of", "variance"), options.pop("kind", None)
        level = options.pop("level", LEVEL)
        component = self._component(name)
        if kind == "bootstrap":
            replicates, rng = options.pop("replicates", 200), options.pop("rng", None)
            _refuse_options(options)
            lower, upper = self.bootstrap(replicates, np.random.default_rng(rng)).interval(level=level)
            position = component + (len(self.model.names) if of == "proportion" else 0)
            return float(lower[position]), float(upper[position])
        _refuse_options(options)
        if kind not in (None, "profile", "wald"):
            raise OptionError(f"kind={kind!r} is not known. Use 'profile', 'wald' or 'bootstrap'.")
        if kind == "profile" or (kind == "wald" and not self.estimation.by_moments):
            _ = self.intervals  # say so where there are none
        return self._interval(component, of, level, kind)[:2]

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """Columns `value` and `log_likelihood` relative to the maximum; `of`, `points`, `reach` as options."""
        of, points, reach = options.pop("of", "variance"), options.pop("points", 41), options.pop("reach", 1.5)
        _refuse_options(options)
        return self.intervals.path(self._component(name), of, points, reach)

    def test(self, names: tuple[str, ...]) -> LikelihoodRatio:
        """Likelihood-ratio test that these variances are 0."""
        for name in names:
            self._component(name)
        if not names:
            raise OptionError(f"Name what to test, for instance fit.test('{self.model.names[0]}').")
        return self.intervals.test(tuple(dict.fromkeys(names)))

    def compare(self, other: Report, **options: Any) -> LikelihoodRatio:
        """Test of the smaller of two fits within the larger; see `Fit.compare`."""
        _refuse_options(options)
        if not isinstance(other, VarianceComponentsReport):
            raise OptionError("Only two variance-component fits that hold their data can be compared. Refit the other.")
        return compare_fits(self, other)

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Bootstrap:
        """Variances and proportions refitted to draws from the fit."""
        return self.intervals.bootstrap(replicates, rng)

    def predict(self, new: Any, **options: Any) -> Vector:
        """Expected responses of new rows; without anything new, the fitted values."""
        designs, kernels = options.pop("designs", None), options.pop("kernels", None)
        rows = options.pop("rows", None)
        _refuse_options(options)
        if new is None and designs is None and kernels is None:
            return np.asarray(self.model.design.y - self.prediction.residuals())
        return self.prediction.predict(new, designs, kernels, rows)

    def simulate(self, rng: np.random.Generator) -> Vector:
        """A response drawn from the fitted model, shape (n,)."""
        return self.prediction.simulate(rng)

    def covariance(self, kind: str) -> pd.DataFrame:
        """Covariance of the variances by expected, observed or average information (moments: the sandwich)."""
        information: Information = kind  # type: ignore[assignment]
        inner = self.estimates.covariance(information)
        scale = self.estimates.outward
        with np.errstate(over="ignore"):
            return pd.DataFrame(
                inner * np.outer(scale, scale), index=list(self.model.names), columns=list(self.model.names)
            )

    def prediction_state(self) -> Mapping[str, Any]:
        """What predictions of a saved fit need."""
        return state_of(self.prediction)


def _refuse_options(options: Mapping[str, Any]) -> None:
    if options:
        raise OptionError(f"Unknown option '{next(iter(options))}'.")
