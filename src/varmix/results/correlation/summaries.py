"""The report of a genetic correlation from z scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.inference.wald import LEVEL, wald_interval
from varmix.iteration import Certificate, Status
from varmix.models.linear.correlation.summary import SummaryCorrelation
from varmix.results.correlation.advice import moment_advice
from varmix.results.correlation.broom import correlation_titles, tidy_correlation
from varmix.results.correlation.responses import CORRELATION, KINDS, TERMS
from varmix.results.correlation.tables import correlation_table
from varmix.results.report import Facts, Report

STUDIES = ("study1", "study2")


class SummaryCorrelationReport(Report):
    """Tables of one fit; `found` holds its numbers. All errors are the jackknife's."""

    kind = "genetic_correlation_from_summaries"

    def __init__(
        self, found: SummaryCorrelation, sizes: tuple[float, float], fixed: tuple[bool, ...], sample: pd.DataFrame
    ) -> None:
        self.found = found
        self.sizes = sizes
        self.fixed = fixed
        self.sample = sample

    @property
    def status(self) -> Status:
        """Closed form, flagged when the estimates are not those of a covariance."""
        inside = self.found.within_cone and not math.isnan(self.found.rho)
        return Status.CLOSED_FORM if inside else Status.OUTSIDE_CONE

    @property
    def certificate(self) -> Certificate:
        """Nothing was iterated."""
        return Certificate(projected_gradient=math.nan, newton_decrement=math.nan)

    @property
    def facts(self) -> Facts:
        """One line each, JSON values only; n counts variants, n1 and n2 people (means over variants)."""
        variants = int(self.sample.loc[self.sample["cause"] == "variants used", "count"].iloc[0])
        outside = self.status is Status.OUTSIDE_CONE
        return {
            "model": "genetic correlation",
            "response": " and ".join(STUDIES),
            "method": "moments" if all(self.fixed) else "LD score regression",
            "criterion": "moments",
            "log_likelihood": math.nan,
            "deviance": math.nan,
            "aic": math.nan,
            "bic": math.nan,
            "parameters": 3 + self.fixed.count(False),
            "n": variants,
            "n1": self.sizes[0],
            "n2": self.sizes[1],
            "covariates": 0,
            "df_residual": variants - 3 - self.fixed.count(False),
            "sigma": math.nan,
            "steps": 0,
            "evaluations": 1,
            "scheme": "moments",
            "finished_by": "moments",
            "algebra": f"sums over variants; jackknife over {len(self.found.without_block)} blocks of them",
            "advice": moment_advice(self.found.rho, outside=outside) or self.status.advice,
        }

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
        return ("correlation", "components", "intercepts", "sample")

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers = {
            "correlation": self._correlation,
            "components": lambda: self._components(LEVEL),
            "intercepts": self._intercepts,
            "sample": self.sample.copy,
        }
        if name not in makers:
            self._refuse(name)
        return makers[name]()

    def _correlation(self) -> pd.DataFrame:
        ends = self._interval_of_rho(LEVEL)
        return correlation_table(self.found.rho, self.found.se, ends, "jackknife", on_boundary=False)

    def _interval_of_rho(self, level: float) -> tuple[float, float]:
        lower, upper = wald_interval(np.array(self.found.rho), np.array(self.found.se), level=level)
        return float(lower), float(upper)

    def _components(self, level: float) -> pd.DataFrame:
        """Shares of variance (responses have variance 1) and their covariance."""
        estimate = self.found.estimates[:3]
        error = np.sqrt(self.found.covariance.diagonal()[:3])
        lower, upper = wald_interval(estimate, error, level=level)
        variance = np.array([kind == "variance" for kind in KINDS])
        return pd.DataFrame(
            {
                "term": list(TERMS[:3]),
                "name": list(KINDS),
                "group": "genetic",
                "response": [*STUDIES, ".".join(STUDIES)],
                "estimate": estimate,
                "sd": np.sqrt(np.where(variance & (estimate >= 0.0), estimate, np.nan)),
                "se": error,
                "lower": lower,
                "upper": upper,
                "interval": "jackknife",
                "on_boundary": False,
            }
        )

    def _intercepts(self) -> pd.DataFrame:
        """Of z_1^2, z_2^2 and z_1 z_2; an error of 0 where fixed."""
        return pd.DataFrame(
            {
                "term": ["z1 squared", "z2 squared", "z1 z2"],
                "estimate": self.found.intercepts,
                "se": self.found.intercept_errors,
                "fixed": list(self.fixed),
            }
        )

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """Estimate -+ quantile x jackknife standard error; `level`."""
        kind, level = options.pop("kind", None), options.pop("level", LEVEL)
        if options:
            raise OptionError(f"Unknown option '{next(iter(options))}'.")
        if kind not in (None, "wald", "jackknife"):
            raise NotAvailableError("z scores have no likelihood to profile: use kind='jackknife'.")
        if name == CORRELATION:
            return self._interval_of_rho(level)
        if name not in TERMS[:3]:
            raise OptionError(f"There is no parameter '{name}'. The fit has: {', '.join((CORRELATION, *TERMS[:3]))}.")
        row = self._components(level).iloc[TERMS.index(name)]
        return float(row["lower"]), float(row["upper"])

    def covariance(self, kind: str) -> pd.DataFrame:
        """The jackknife's, of the three components and the correlation."""
        names = [*TERMS[:3], CORRELATION]
        return pd.DataFrame(self.found.covariance, index=names, columns=names)
