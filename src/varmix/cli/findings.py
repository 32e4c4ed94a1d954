"""Tables of a fit as the command line tells and writes them: intervals at a level, ratios, tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError
from varmix.inference.wald import LEVEL, wald_interval
from varmix.results import Fit

TEST_COLUMNS = ["term", "statistic", "p", "null"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """A fit with its tables at one level.

    `proportions` has a column `ratio`, the variance over the sum of variances: another number than the proportion of
    variance [VC-9] unless every kernel has mean diagonal 1 once covariates are taken out. `tests` has a row per kernel:
    likelihood-ratio statistic, p-value, and the weights of its chi-bar-square null; empty where there are none.
    """

    fit: Fit
    level: float
    components: pd.DataFrame = field(repr=False)
    proportions: pd.DataFrame = field(repr=False)
    coefficients: pd.DataFrame = field(repr=False)
    tests: pd.DataFrame = field(repr=False)


def find(fit: Fit, *, level: float, tests: bool) -> Findings:
    """Derive the tables. Raises OptionError for a level that is not between 0 and 1."""
    components, proportions = fit.components, fit.proportions
    coefficients = fit.coefficients
    if level != LEVEL:
        components = _at_level(fit, components, "variance", level)
        proportions = _at_level(fit, proportions, "proportion", level)
        df = float(coefficients["df"].iloc[0]) if len(coefficients) else np.inf
        estimate, error = coefficients["estimate"].to_numpy(), coefficients["se"].to_numpy()
        coefficients["lower"], coefficients["upper"] = wald_interval(estimate, error, level=level, df=df)
    proportions.insert(3, "ratio", components["estimate"] / components["estimate"].sum())
    tested = _tests(fit) if tests and fit.status.arrived else pd.DataFrame(columns=TEST_COLUMNS)
    return Findings(
        fit=fit,
        level=level,
        components=components,
        proportions=proportions,
        coefficients=coefficients,
        tests=tested,
    )


def _at_level(fit: Fit, table: pd.DataFrame, of: str, level: float) -> pd.DataFrame:
    ends = [fit.interval(str(term), of=of, level=level) for term in table["term"]]
    return table.assign(lower=[end[0] for end in ends], upper=[end[1] for end in ends])


def _tests(fit: Fit) -> pd.DataFrame:
    rows = []
    for term in fit.components["term"].iloc[:-1]:
        try:
            test = fit.test(str(term))
        except NotAvailableError:
            continue
        null = " + ".join(f"{weight:.4g} chi2({df})" for df, weight in enumerate(test.weights) if weight)
        rows.append({"term": term, "statistic": test.statistic, "p": test.p_value, "null": null})
    return pd.DataFrame(rows, columns=TEST_COLUMNS)
