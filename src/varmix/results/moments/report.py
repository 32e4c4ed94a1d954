"""The report of randomised moments: estimates and errors from passes over the variants, without an n x n matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.formula.design import Design
from varmix.inference.information import standard_errors
from varmix.inference.proportion import proportion_covariance, proportions
from varmix.inference.wald import LEVEL, wald_interval, wald_test
from varmix.iteration import Certificate, Status
from varmix.models.linear.model import RESIDUAL
from varmix.results.report import Facts, Report
from varmix.results.variance_components.advice import advice_on
from varmix.typing import Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MomentEstimates:
    """Variances in units of `unit` squared, residual last, and least-squares fixed effects in units of `unit`."""

    variances: Vector
    covariance: Square
    traces: Vector
    """`tr(M K_k)` and n - c."""
    projected: Vector
    fixed: Vector
    fixed_covariance: Square
    unit: float


class MomentsReport(Report):
    """Tables of one fit."""

    kind = "randomised_moments"

    def __init__(
        self,
        design: Design,
        names: tuple[str, ...],
        estimates: MomentEstimates,
        sample: Callable[[], pd.DataFrame],
        notes: Mapping[str, Any],
    ) -> None:
        self.design = design
        self.names = (*names, RESIDUAL)
        self.estimates = estimates
        self.sample = sample
        self.notes = notes

    @property
    def status(self) -> Status:
        """Closed form, flagged when an estimate is negative."""
        return Status.OUTSIDE_CONE if (self.estimates.variances < 0.0).any() else Status.CLOSED_FORM

    @property
    def certificate(self) -> Certificate:
        """Nothing was iterated."""
        return Certificate(projected_gradient=math.nan, newton_decrement=math.nan)

    @property
    def facts(self) -> Facts:
        """One line each, JSON values only."""
        estimates = self.estimates
        projected = estimates.projected * estimates.unit * estimates.unit
        return {
            "model": "variance components",
            "advice": advice_on(self.status),
            "response": self.design.response_names[0],
            "method": "moments",
            "criterion": "moments",
            "log_likelihood": math.nan,
            "deviance": math.nan,
            "aic": math.nan,
            "bic": math.nan,
            "parameters": len(self.names),
            "n": self.design.n,
            "covariates": self.design.c,
            "df_residual": self.design.n - self.design.c,
            "sigma": math.sqrt(max(float(estimates.variances[-1]), 0.0)) * estimates.unit,
            "steps": 0,
            "evaluations": 1,
            "scheme": "moments",
            "finished_by": "moments",
            "algebra": "randomised traces, the variants read block by block: no n x n matrix",
            "projected": [float(value) for value in projected],
            **self.notes,
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return ("components", "proportions", "coefficients", "sample", "augment")

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers = {
            "components": self._components,
            "proportions": self._proportions,
            "coefficients": self._coefficients,
            "sample": self.sample,
            "augment": self.augment,
        }
        if name not in makers:
            self._refuse(name)
        return makers[name]()

    def _scaled(self, of: str) -> tuple[Vector, Vector, float]:
        estimates = self.estimates
        if of == "variance":
            return estimates.variances, standard_errors(estimates.covariance), estimates.unit * estimates.unit
        if of != "proportion":
            raise OptionError(f"of={of!r} is not known. Use 'variance' or 'proportion'.")
        spread = proportion_covariance(estimates.variances, estimates.traces, estimates.covariance)
        return proportions(estimates.variances, estimates.traces), standard_errors(spread), 1.0

    def _components(self) -> pd.DataFrame:
        estimate, error, unit = self._scaled("variance")
        lower, upper = wald_interval(estimate, error)
        return pd.DataFrame(
            {
                "term": self.names,
                "name": "variance",
                "estimate": estimate * unit,
                "sd": np.sqrt(np.where(estimate >= 0.0, estimate, np.nan)) * self.estimates.unit,
                "se": error * unit,
                "lower": lower * unit,
                "upper": upper * unit,
                "interval": "wald",
                "on_boundary": estimate == 0.0,
            }
        )

    def _proportions(self) -> pd.DataFrame:
        estimate, error, _ = self._scaled("proportion")
        lower, upper = wald_interval(estimate, error)
        return pd.DataFrame(
            {"term": self.names, "estimate": estimate, "se": error, "lower": lower, "upper": upper, "interval": "wald"}
        )

    def _coefficients(self) -> pd.DataFrame:
        estimates, df = self.estimates, self.design.n - self.design.c
        estimate, error = estimates.fixed * estimates.unit, standard_errors(estimates.fixed_covariance) * estimates.unit
        statistic, p = wald_test(estimate, error, df=df)
        lower, upper = wald_interval(estimate, error, df=df)
        columns = {"estimate": estimate, "se": error, "df": float(df), "statistic": statistic, "p": p}
        table = pd.DataFrame({**columns, "lower": lower, "upper": upper}, index=list(self.design.names))
        return table.rename_axis("term")

    def augment(self) -> pd.DataFrame:
        """One row per row used: response, fixed part by least squares, fitted and residual.

        Fitted is the fixed part alone: what is read block by block predicts no effects.
        """
        design = self.design
        fixed = design.Z @ (self.estimates.fixed * self.estimates.unit)
        columns = {"row": design.rows, "y": design.y, "fixed": fixed, "fitted": fixed, "resid": design.y - fixed}
        table, ids = pd.DataFrame(columns), design.sample_ids
        return table if ids is None else pd.concat([ids.reset_index(drop=True), table], axis=1)

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """Wald interval of a variance or (`of="proportion"`) a proportion."""
        of, level = options.pop("of", "variance"), options.pop("level", LEVEL)
        if options.pop("kind", "wald") not in (None, "wald") or options:
            raise NotAvailableError("Moments have Wald intervals only. Fit by method='newton' for profile intervals.")
        if name not in self.names:
            raise OptionError(f"There is no component '{name}'. The fit has: {', '.join(self.names)}.")
        estimate, error, unit = self._scaled(of)
        lower, upper = wald_interval(estimate, error, level=level)
        position = self.names.index(name)
        return float(lower[position] * unit), float(upper[position] * unit)

    def covariance(self, kind: str) -> pd.DataFrame:
        """Covariance of the estimates."""
        unit = self.estimates.unit
        with np.errstate(over="ignore"):
            scaled = self.estimates.covariance * unit * unit * unit * unit
        return pd.DataFrame(scaled, index=list(self.names), columns=list(self.names))
