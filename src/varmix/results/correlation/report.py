"""The report of a genetic correlation from individual data: tables and actions on demand."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.inference.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from varmix.inference.wald import LEVEL, check_level, wald_interval
from varmix.iteration import Certificate, Outcome, Status
from varmix.models.linear.correlation.climb import climb_held
from varmix.models.linear.correlation.estimates import EDGE, GeneticCorrelation
from varmix.models.linear.correlation.likelihood import PairParams, PairStats
from varmix.results.correlation.advice import advice_on
from varmix.results.correlation.broom import correlation_titles, tidy_correlation
from varmix.results.correlation.coefficients import coefficients_table
from varmix.results.correlation.intervals import rho_interval
from varmix.results.correlation.responses import CORRELATION, PairedResponses
from varmix.results.correlation.rows import rows_table
from varmix.results.correlation.tables import components_table, correlation_table
from varmix.results.report import Facts, Report

IntervalKind = Literal["profile", "wald", "jackknife"]
PROFILED_ROWS = 1000
"""Rows of both responses up to which the table has profile intervals: each end takes some twenty factorisations."""


class CorrelationReport(Report):
    """Tables and actions of one fit; `found` holds its numbers."""

    kind = "genetic_correlation"

    def __init__(
        self,
        responses: PairedResponses,
        found: GeneticCorrelation,
        method: str,
        outcome: Outcome[PairParams, PairStats] | None,
        sample: pd.DataFrame,
    ) -> None:
        self.responses = responses
        self.found = found
        self.method = method
        self.outcome = outcome
        self.sample = sample

    @property
    def status(self) -> Status:
        """Why the fit ended."""
        return self.found.status

    @property
    def certificate(self) -> Certificate:
        """Distance from the optimum."""
        if self.outcome is None:
            return Certificate(projected_gradient=math.nan, newton_decrement=math.nan)
        return self.outcome.certificate

    @property
    def facts(self) -> Facts:
        """One line each, JSON values only."""
        responses, outcome = self.responses, self.outcome
        n, c = sum(responses.rows), sum(responses.covariates)
        by_ml = outcome is not None and responses.criterion == "ml"
        parameters = responses.pair.count + (c if by_ml else 0)
        likelihood = math.nan if outcome is None else responses.log_likelihood_outward(outcome.objective)
        facts: dict[str, Any] = {
            "model": "genetic correlation",
            "response": " and ".join(responses.names),
            "method": self.method,
            "criterion": "moments" if outcome is None else responses.criterion,
            "log_likelihood": likelihood,
            "deviance": -2.0 * likelihood,
            "aic": -2.0 * likelihood + 2.0 * parameters,
            "bic": -2.0 * likelihood + math.log(responses.pair.rows) * parameters,
            "parameters": parameters,
            "n": n,
            "n1": responses.rows[0],
            "n2": responses.rows[1],
            "covariates": c,
            "df_residual": n - c,
            "sigma": math.nan,
            "steps": 0 if outcome is None else len(outcome.progress.steps) - 1,
            "evaluations": 1 if outcome is None else outcome.progress.last.evaluations,
            "scheme": self.method if outcome is None else outcome.progress.steps[0].scheme,
            "finished_by": self.method if outcome is None else outcome.scheme,
            "algebra": self._algebra,
            "advice": advice_on(self.found, by_moments=outcome is None),
        }
        if outcome is not None and self.status.arrived:
            test = self.zero_test
            null = responses.log_likelihood_outward(self._null)
            facts |= {"test_statistic": test.statistic, "test_p": test.p_value, "null_log_likelihood": null}
        return facts

    @property
    def _algebra(self) -> str:
        dense = f"dense, of order {self.responses.pair.rows:,}"
        left = self.found.without_block
        return dense if left is None else f"{dense}; jackknife over {len(left)} blocks of variants"

    @property
    def titles(self) -> dict[str, str]:
        """The correlation first, what stands behind it last."""
        return correlation_titles(super().titles, self.tables)

    def tidy(self, level: float) -> pd.DataFrame:
        """Parameters in broom.mixed's columns."""
        return tidy_correlation(self, level)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        if self.outcome is not None:
            return ("correlation", "components", "coefficients", "progress", "sample", "augment")
        return (
            "correlation",
            "components",
            *(("jackknife",) if self.found.without_block is not None else ()),
            "sample",
        )

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers = {
            "correlation": self._correlation,
            "components": lambda: components_table(self.responses, self.found, bounded=self.outcome is not None),
            "coefficients": lambda: coefficients_table(self.responses, self._params),
            "progress": self._progress,
            "jackknife": self._jackknife,
            "sample": self.sample.copy,
            "augment": lambda: rows_table(self.responses, self._params),
        }
        if name not in self.tables:
            self._refuse(name)
        return makers[name]()

    def _correlation(self) -> pd.DataFrame:
        kind: str = self._default_kind if self.status.arrived else "none"
        lower, upper = self._interval_of_rho(self._default_kind, LEVEL)
        found = self.found
        edge = self.outcome is not None and (math.isnan(found.rho) or abs(found.rho) >= 1.0 - EDGE)
        return correlation_table(found.rho, found.se, (lower, upper), kind, on_boundary=edge)

    @property
    def _default_kind(self) -> IntervalKind:
        if self.outcome is None:
            return "wald"
        small = self.responses.pair.rows <= PROFILED_ROWS
        return "profile" if small or math.isnan(self.found.se) else "wald"

    def _interval_of_rho(self, kind: IntervalKind, level: float) -> tuple[float, float]:
        check_level(level)
        found, outcome = self.found, self.outcome
        if not self.status.arrived:
            return math.nan, math.nan
        if kind == "profile":
            return rho_interval(self.responses.pair, self._climbed, found.se, level)
        error = np.array(found.jackknife_errors[-1] if kind == "jackknife" else found.se)
        bound = 1.0 if outcome is not None else math.inf
        ends = wald_interval(np.array(found.rho), error, level=level, lower=-bound, upper=bound)
        return float(ends[0]), float(ends[1])

    @property
    def _climbed(self) -> Outcome[PairParams, PairStats]:
        if self.outcome is None:
            raise NotAvailableError(
                "Moments have no likelihood to profile or test: read the standard errors, or fit by method='newton'."
            )
        return self.outcome

    @property
    def _params(self) -> PairParams:
        return self._climbed.params

    def _jackknife(self) -> pd.DataFrame:
        errors = self.found.jackknife_errors
        estimates = np.append(self.found.estimates, self.found.rho)
        return pd.DataFrame({"term": [*self.responses.terms, CORRELATION], "estimate": estimates, "se": errors})

    def _progress(self) -> pd.DataFrame:
        """One row per step: scheme, evaluations so far, log-likelihood, certificate, and each parameter."""
        responses = self.responses
        rows = []
        for number, step in enumerate(self._climbed.progress.steps):
            row = {
                "step": number,
                "scheme": step.scheme,
                "evaluations": step.evaluations,
                "log_likelihood": responses.log_likelihood_outward(step.objective),
                "projected_gradient": step.certificate.projected_gradient,
                "newton_decrement": step.certificate.newton_decrement,
            }
            rows.append(row | dict(zip(responses.terms, responses.outward(step.vector), strict=True)))
        return pd.DataFrame(rows)

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """Of "correlation": `kind` profile, wald or jackknife, and `level`; of another parameter, Wald's."""
        kind, level = options.pop("kind", None), options.pop("level", LEVEL)
        _refuse_options(options)
        if kind is not None and kind not in get_args(IntervalKind):
            raise OptionError(f"kind={kind!r} is not known. Use one of {', '.join(get_args(IntervalKind))}.")
        if name == CORRELATION:
            return self._interval_of_rho(kind or self._default_kind, level)
        if name not in self.responses.terms:
            raise OptionError(
                f"There is no parameter '{name}'. The fit has: {', '.join((CORRELATION, *self.responses.terms))}."
            )
        if kind not in (None, "wald"):
            raise NotAvailableError(f"'{name}' has Wald intervals only; '{CORRELATION}' has {kind} intervals.")
        table = components_table(self.responses, self.found, bounded=self.outcome is not None, level=level)
        row = table.loc[table["term"] == name].iloc[0]
        return float(row["lower"]), float(row["upper"])

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """Profile log-likelihood of "correlation": `points` over the interval of level `level` (0.999)."""
        points, level = options.pop("points", 41), options.pop("level", 0.999)
        _refuse_options(options)
        self._only_correlation((name,), "profile")
        outcome = self._climbed
        lower, upper = self._interval_of_rho("profile", level)
        values = np.linspace(lower, upper, points)
        if not math.isnan(self.found.rho):
            values = np.unique(np.append(values, self.found.rho))
        start = outcome.params.values
        drops = [climb_held(self.responses.pair, float(rho), start).objective - outcome.objective for rho in values]
        return pd.DataFrame({"value": values, "log_likelihood": np.minimum(drops, 0.0)})

    @cached_property
    def _null(self) -> float:
        """The log-likelihood with rho at 0, internal units."""
        return climb_held(self.responses.pair, 0.0, self._params.values).objective

    @cached_property
    def zero_test(self) -> LikelihoodRatio:
        """Of rho = 0, an interior point: chi-square with one degree of freedom [VC-8]."""
        if not self.status.arrived:
            raise NotAvailableError(f"This fit is not at an optimum, so nothing can be tested. {self.status.advice}")
        return likelihood_ratio(self._climbed.objective, self._null, np.array([0.0, 1.0]), (CORRELATION,))

    def test(self, names: tuple[str, ...]) -> LikelihoodRatio:
        """Likelihood-ratio test that the correlation is 0."""
        self._only_correlation(names, "test")
        return self.zero_test

    def _only_correlation(self, names: tuple[str, ...], verb: str) -> None:
        if names != (CORRELATION,):
            raise OptionError(f"This fit has a {verb} of '{CORRELATION}' only: fit.{verb}('{CORRELATION}').")

    def covariance(self, kind: str) -> pd.DataFrame:
        """Covariance of the estimates: by expected information, or the sandwich of moments."""
        if kind != "expected":
            raise NotAvailableError(f"information={kind!r} is not available here. Use 'expected'.")
        terms = list(self.responses.terms)
        return pd.DataFrame(self.found.covariance, index=terms, columns=terms)


def _refuse_options(options: dict[str, Any]) -> None:
    if options:
        raise OptionError(f"Unknown option '{next(iter(options))}'.")
