"""A genetic correlation with everything that was asked of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError
from varmix.iteration import Certificate, Status
from varmix.models.linear.correlation.interval import CorrelationTest
from varmix.models.linear.correlation.likelihood import correlation_of
from varmix.models.linear.correlation.pair import NAMES
from varmix.models.linear.moment_jackknife import jackknife_covariance
from varmix.typing import Array, Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneticCorrelation:
    """Correlation of the effects of the same variants on two responses, in the users' units.

    `estimates` (K,) and `covariance` (K, K) follow `names`: s_1, s_2, s_12 (variances and covariance of the effects of
    a whole design), e_1, e_2 and, for people in both, e_12 (residuals). `interval` is the profile's for likelihood
    methods, Wald's for moments. `rho` is NaN where a variance is not positive, its `se` also on the edge |rho| = 1.
    `counts` says what was used.
    """

    rho: float
    se: float
    interval: tuple[float, float]
    interval_kind: str
    level: float
    estimates: Vector
    covariance: Square
    method: str
    criterion: str | None
    status: Status
    certificate: Certificate | None
    log_likelihood: float
    test: CorrelationTest | None
    counts: Mapping[str, int]
    iterations: int
    without_block: Array | None = None
    """Moments without each block of variants, shape (J, K)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return NAMES[: self.estimates.size]

    @property
    def standard_errors(self) -> Vector:
        """Of the parameters, shape (K,); NaN for one held at 0."""
        return np.asarray(np.sqrt(self.covariance.diagonal()))

    @property
    def jackknife_errors(self) -> Vector:
        """Standard errors of the parameters and rho, shape (K + 1,), from leaving out blocks of variants.

        Raises NotAvailableError when that was not asked for.
        """
        if self.without_block is None:
            raise NotAvailableError("No jackknife was made. Pass method='moments' and blocks=, the number of blocks.")
        rho = np.array([correlation_of(values) for values in self.without_block])
        return np.asarray(np.sqrt(jackknife_covariance(np.column_stack([self.without_block, rho])).diagonal()))

    @property
    def genetic_variances(self) -> tuple[float, float]:
        """s_1 and s_2."""
        return float(self.estimates[0]), float(self.estimates[1])

    @property
    def genetic_covariance(self) -> float:
        """s_12."""
        return float(self.estimates[2])

    @property
    def residual_variances(self) -> tuple[float, float]:
        """e_1 and e_2."""
        return float(self.estimates[3]), float(self.estimates[4])

    @property
    def residual_covariance(self) -> float:
        """e_12; 0 where nobody is in both."""
        return float(self.estimates[5]) if self.estimates.size == 6 else 0.0

    @property
    def within_cone(self) -> bool:
        """Whether the effects' 2 x 2 matrix is a covariance."""
        first, second, cross = self.estimates[:3]
        return bool(first >= 0.0 and second >= 0.0 and cross**2 <= first * second * (1.0 + 1e-9))

    def tidy(self) -> pd.DataFrame:
        """One row per parameter and one for rho: name, estimate, se, lower, upper (the latter two for rho only)."""
        rows = [
            (name, float(value), float(error), math.nan, math.nan)
            for name, value, error in zip(self.names, self.estimates, self.standard_errors, strict=True)
        ]
        rows.append(("rho", self.rho, self.se, *self.interval))
        return pd.DataFrame(rows, columns=["name", "estimate", "se", "lower", "upper"])

    def summary(self) -> str:
        """A page of text."""
        how = self.method if self.criterion is None else f"{self.method}, {self.criterion.upper()}"
        lines = [
            f"Genetic correlation ({how})",
            ", ".join(f"{key} {value:,}" for key, value in self.counts.items()),
            "",
        ]
        lines += [
            f"  {name:<5} {value:>12.6g}  (se {_number(error)})"
            for name, value, error in zip(self.names, self.estimates, self.standard_errors, strict=True)
        ]
        low, high = self.interval
        lines.append(
            f"  rho   {_number(self.rho):>12}  (se {_number(self.se)}; {self.level:.0%} {self.interval_kind} interval "
            f"{_number(low)} to {_number(high)})"
        )
        if self.without_block is not None:
            lines.append(
                f"  jackknife over {len(self.without_block)} blocks: se of rho {_number(self.jackknife_errors[-1])}"
            )
        if self.test is not None:
            lines.append(f"  test of rho = 0: chi-square {self.test.statistic:.4g} on 1, p = {self.test.p:.3g}")
        return "\n".join([*lines, "", self._advice()])

    def _advice(self) -> str:
        if math.isnan(self.rho):
            return self.status.advice + " rho is not defined: a genetic variance is not positive."
        if not self.within_cone:
            return "|rho| exceeds 1: moments are unconstrained. Use method='newton', which stays within."
        if abs(self.rho) >= 1.0 - 1e-12:
            reached = "The certificate is met. " if self.status.arrived else self.status.advice + " "
            return (
                reached + "|rho| is exactly 1, the edge of its range: use the profile interval, not a standard error."
            )
        return self.status.advice


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.4g}"
