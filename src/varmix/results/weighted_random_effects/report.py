"""The report of a fit of independent groups: tables and actions on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.formula import Design
from varmix.inference.bootstrap import Bootstrap
from varmix.inference.generator import generator_of
from varmix.inference.information import standard_errors
from varmix.inference.likelihood_ratio import LikelihoodRatio
from varmix.inference.wald import LEVEL, wald_interval, wald_test
from varmix.iteration import Certificate, Outcome, Starts, Status
from varmix.models.independent_groups.model import IndependentGroups
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.posterior import posterior_slopes
from varmix.results import broom
from varmix.results.report import Facts, Report
from varmix.results.weighted_random_effects.advice import advice_on
from varmix.results.weighted_random_effects.compare import compare_fits
from varmix.results.weighted_random_effects.intervals import Intervals
from varmix.results.weighted_random_effects.saved import state_of
from varmix.results.weighted_random_effects.steps import progress_table, starts_table
from varmix.typing import Index, Vector

FEW = 50_000
"""Rows up to which intervals in tables are by profile: above, they are Wald's inside (a profile is asked for by
`fit.interval`), where the two agree."""

ROUNDING, LEAST_FALL = 1e-13, 1e-3
"""Share of a log-likelihood that is rounding; where that is more than this of a fall, no profile can be read (weights
of 1e15)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimation:
    """How the estimate was found; `mixed` are the positions of variances that the design cannot tell apart."""

    method: str
    outcome: Outcome[Any, Any]
    starts: Starts[Any, Any]
    mixed: tuple[int, ...]
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Of rows and groups; `design` codes new covariates, None without any; `groups` None where each row is its own."""

    positions: Index
    groups: pd.Index[Any] | None
    design: Design | None
    sample: Callable[[], pd.DataFrame]


class WeightedRandomEffectsReport(Report):
    """Tables and actions of one fit."""

    kind = "weighted_random_effects"

    def __init__(self, model: IndependentGroups, estimation: Estimation, labels: Labels) -> None:
        self.model = model
        self.estimation = estimation
        self.labels = labels
        self.params: GroupParams = estimation.outcome.params
        self.against = Intervals(model, self.params, estimation.outcome.objective)

    @property
    def status(self) -> Status:
        """Why the fit ended."""
        return self.estimation.outcome.status

    @property
    def certificate(self) -> Certificate:
        """Distance from the optimum."""
        return self.estimation.outcome.certificate

    @cached_property
    def variances(self) -> Vector:
        """In the units of the data, residual last, shape (K + 1,)."""
        return self.model.outward(self.params.values)

    @cached_property
    def fixed(self) -> Vector:
        """Fixed effects in the units of the data, shape (c,)."""
        return self.model.reduced.fixed(self.against.closed.fixed)

    @cached_property
    def facts(self) -> Facts:
        """One line each, JSON values only; `groups` and `weight` say over how many the likelihood is a sum."""
        rows, outcome, starts = self.model.rows, self.estimation.outcome, self.estimation.starts
        value = self.model.log_likelihood_outward(outcome.objective)
        parameters = int((~self.params.held).sum()) + rows.W.shape[1]
        return {
            "model": "weighted random effects",
            "advice": advice_on(self.status),
            "response": self.model.response_name,
            "method": self.estimation.method,
            "criterion": "ml",
            "log_likelihood": value,
            "deviance": -2.0 * value,
            "aic": -2.0 * value + 2.0 * parameters,
            "bic": -2.0 * value + math.log(float(rows.weight.sum())) * parameters,
            "parameters": parameters,
            "residual": "estimated" if self.model.residual is None else float(self.model.residual),
            "n": len(rows.y),
            "groups": rows.groups,
            "weight": float(rows.weight.sum()),
            "covariates": rows.W.shape[1],
            "df_residual": len(rows.y) - rows.W.shape[1],
            "sigma": math.sqrt(float(self.variances[-1])),
            "steps": len(outcome.progress.steps) - 1,
            "evaluations": outcome.progress.last.evaluations,
            "scheme": outcome.progress.steps[0].scheme,
            "finished_by": outcome.scheme,
            "starts": len(starts.runs),
            "starts_at_best": starts.reached_best,
            **self.estimation.notes,
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        coefficients = () if self.labels.design is None else ("coefficients",)
        return ("components", *coefficients, "progress", "starts", "sample", "augment")

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers: dict[str, Callable[[], pd.DataFrame]] = {
            "components": lambda: self.components(LEVEL),
            "coefficients": lambda: self.coefficients(LEVEL),
            "progress": lambda: progress_table(self.model, self.estimation.outcome),
            "starts": lambda: starts_table(self.model, self.estimation.starts),
            "sample": self.labels.sample,
            "augment": self.augment,
        }
        if name not in self.tables:
            self._refuse(name)
        return makers[name]()

    @property
    def intervals(self) -> Intervals:
        """Intervals against the maximum. Raises NotAvailableError away from one."""
        if not self.status.arrived:
            raise NotAvailableError(
                f"This fit is not at a maximum ({self.status.name}), so that nothing can be held against it: no "
                "intervals, tests or bootstrap. Refit with polish=True or method='newton'; fit.status.advice says more."
            )
        return self.against

    def components(self, level: float) -> pd.DataFrame:
        """One row per variance, residual last."""
        rows = []
        factors = self.model.reduced.outward
        for component, name in enumerate(self.model.components):
            value, held = float(self.variances[component]), bool(self.params.held[component])
            lower, upper, used = self._interval(component, level, None)
            error = float(self.against.errors[component]) if self.status.arrived else math.nan
            rows.append(
                {
                    "term": name,
                    "name": "variance",
                    "estimate": value,
                    "sd": math.sqrt(value),
                    "se": error * float(factors[component]),
                    "lower": lower,
                    "upper": upper,
                    "interval": used,
                    "on_boundary": value == 0.0 and not held,
                }
            )
        return pd.DataFrame(rows)

    def _interval(self, component: int, level: float, kind: str | None) -> tuple[float, float, str]:
        if self.params.held[component]:
            return math.nan, math.nan, "known"
        if not self.status.arrived or component in self.estimation.mixed:
            return math.nan, math.nan, "none"
        if kind is None:
            inside = self.params.values[component] > 0.0
            lost = ROUNDING * abs(self.facts["log_likelihood"]) > LEAST_FALL
            kind = "wald" if inside and (len(self.model.rows.y) > FEW or lost) else "profile"
        ends = self.intervals.profile if kind == "profile" else self.intervals.wald
        return (*ends(component, level), kind)

    def coefficients(self, level: float) -> pd.DataFrame:
        """Fixed effects with t tests on n - c degrees of freedom."""
        assert self.labels.design is not None
        reduced, df = self.model.reduced, float(self.facts["df_residual"])
        error = np.full(len(self.fixed), np.nan)
        if np.isfinite(self.against.closed.precision).all():
            spread = reduced.basis @ np.linalg.inv(self.against.closed.precision * reduced.weight) @ reduced.basis.T
            error = standard_errors(spread) * reduced.response
        statistic, p = wald_test(self.fixed, error, df=df)
        lower, upper = wald_interval(self.fixed, error, level=level, df=df)
        columns = {"estimate": self.fixed, "se": error, "df": df, "statistic": statistic, "p": p}
        table = pd.DataFrame({**columns, "lower": lower, "upper": upper}, index=list(self.labels.design.names))
        return table.rename_axis("term")

    @cached_property
    def _slopes(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        rows = self.model.rows
        mean, sd = posterior_slopes(rows, rows.y - rows.W @ self.fixed, self.variances)
        index = self.labels.groups
        index = pd.Index(self.labels.positions, name="row") if index is None else index.rename("group")
        names = list(self.model.names)
        return pd.DataFrame(mean, index=index, columns=names), pd.DataFrame(sd, index=index, columns=names)

    def _fitted(self) -> Vector:
        rows, slopes = self.model.rows, self._slopes[0].to_numpy()
        own = slopes if rows.group is None else slopes[rows.group]
        return np.asarray(rows.W @ self.fixed + (rows.X * own).sum(axis=1))

    def augment(self) -> pd.DataFrame:
        """One row per row used: response, covariates' part, fitted value (with the groups' slopes) and residual."""
        rows, fitted = self.model.rows, self._fitted()
        table = pd.DataFrame({"row": self.labels.positions, "y": rows.y, "fixed": rows.W @ self.fixed})
        table["fitted"], table["resid"] = fitted, rows.y - fitted
        return table

    def tidy(self, level: float) -> pd.DataFrame:
        """Fixed effects and variances in broom's columns; a slope's variance is that of its column by group."""
        return broom.tidy_rows(self, level, _slopes_by_group)

    def _component(self, name: str) -> int:
        if name not in self.model.components:
            raise OptionError(f"There is no component '{name}'. The fit has: {', '.join(self.model.components)}.")
        return self.model.components.index(name)

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means of a column's slopes, one row per group in the order of their first rows."""
        if self._component(term) == len(self.model.names):
            raise OptionError("The residual has no effects: read fit.augment() for residuals.")
        mean, spread = self._slopes
        table = pd.DataFrame({"estimate": mean[term]})
        return table.assign(sd=spread[term]) if sd else table

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """`kind` profile, wald or bootstrap (with `replicates` and `rng`), `level`."""
        kind, level = options.pop("kind", None), options.pop("level", LEVEL)
        component = self._component(name)
        _refuse_proportion(options)
        if self.params.held[component]:
            raise OptionError(f"'{name}' is known in this model, not estimated: it has no interval.")
        if kind == "bootstrap":
            replicates, rng = options.pop("replicates", 200), options.pop("rng", None)
            _refuse_options(options)
            lower, upper = self.bootstrap(replicates, generator_of(rng)).interval(level=level)
            return float(lower[component]), float(upper[component])
        _refuse_options(options)
        if kind not in (None, "profile", "wald"):
            raise OptionError(f"kind={kind!r} is not known. Use 'profile', 'wald' or 'bootstrap'.")
        _ = self.intervals
        return self._interval(component, level, kind)[:2]

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """Columns `value` and `log_likelihood` relative to the maximum; `points` and `reach` as options."""
        component, points, reach = self._component(name), options.pop("points", 41), options.pop("reach", 1.5)
        _refuse_proportion(options)
        _refuse_options(options)
        if self.params.held[component] or component in self.estimation.mixed:
            raise OptionError(f"'{name}' is known or cannot be told apart in this model: it has no profile.")
        return self.intervals.path(component, points, reach)

    def test(self, names: tuple[str, ...]) -> LikelihoodRatio:
        """Likelihood-ratio test that these variances are 0."""
        if not names or any(self._component(name) == len(self.model.names) for name in names):
            raise OptionError(f"Name slopes to test, for instance fit.test('{self.model.names[0]}').")
        return self.intervals.test(tuple(dict.fromkeys(names)))

    def compare(self, other: Report, **options: Any) -> LikelihoodRatio:
        """Test of the smaller of two fits within the larger: columns or covariates added."""
        _refuse_options(options)
        if not isinstance(other, WeightedRandomEffectsReport):
            raise OptionError("Only two fits of weighted random effects that hold their data can be compared.")
        return compare_fits(self, other)

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Bootstrap:
        """Variances refitted to draws from the fit."""
        return self.intervals.bootstrap(replicates, rng)

    def covariance(self, kind: str) -> pd.DataFrame:
        """Covariance of the variances by observed or expected information."""
        scale, names = self.model.reduced.outward, list(self.model.components)
        return pd.DataFrame(self.against.covariance(kind) * np.outer(scale, scale), index=names, columns=names)

    def predict(self, new: Any, **options: Any) -> Vector:
        """The covariates' part for new rows, whose groups are new, too; without `new`, the fitted values."""
        _refuse_options(options)
        if new is None:
            return self._fitted()
        if self.labels.design is None:
            raise NotAvailableError("This model has no covariates: a response of a new group is expected to be 0.")
        return np.asarray(self.labels.design.encode(new) @ self.fixed)

    def simulate(self, rng: np.random.Generator) -> Vector:
        """A response of the rows used, drawn from the fitted model (whatever the weights), shape (n,)."""
        return self.model.draw(self.variances, self.fixed, rng)

    def prediction_state(self) -> Mapping[str, Any]:
        """What predictions of a saved fit need."""
        effects = {name: self.effects(name, sd=False) for name in self.model.names}
        return state_of(self.labels.design, self.fixed, self._fitted(), effects)


def _slopes_by_group(table: pd.DataFrame) -> tuple[Any, Any]:
    residual = table["term"] == "residual"
    return np.where(residual, "Residual", "group"), "var__" + table["term"].where(~residual, "Observation")


def _refuse_proportion(options: dict[str, Any]) -> None:
    if options.pop("of", "variance") != "variance":
        raise OptionError(
            "Rows differ in what slopes add to their variance, so there are no proportions: use variances."
        )


def _refuse_options(options: Mapping[str, Any]) -> None:
    if options:
        raise OptionError(f"Unknown option '{next(iter(options))}'.")
