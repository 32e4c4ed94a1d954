"""Tables in broom.mixed's columns, with names that Python can spell (`std.error` is `std_error`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from varmix.inference.wald import check_level, wald_interval

if TYPE_CHECKING:
    from varmix.results.report import Report

Naming = Callable[[pd.DataFrame], tuple[Any, Any]]
"""From a table of components to broom's `group` and `term`."""

COLUMNS = ["effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]


def tidy_rows(report: Report, level: float, naming: Naming | None = None) -> pd.DataFrame:
    """Fixed effects, then variance parameters (`ran_pars`), as far as the fit has them."""
    check_level(level)
    parts = []
    if "coefficients" in report.tables:
        parts.append(fixed_rows(report.table("coefficients"), level))
    if "components" in report.tables:
        parts.append(variance_rows(report, level, naming or of_one_response))
    return in_columns(parts)


def in_columns(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The parts one below the other, in broom's columns."""
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)


def fixed_rows(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Rows of fixed effects."""
    low, high = table["lower"], table["upper"]
    if level != 0.95:
        df = float(table["df"].iloc[0]) if len(table) else np.inf
        low, high = wald_interval(table["estimate"].to_numpy(), table["se"].to_numpy(), level=level, df=df)
    return pd.DataFrame(
        {
            "effect": "fixed",
            "group": None,
            "term": table.index.astype(str),
            "estimate": table["estimate"].to_numpy(),
            "std_error": table["se"].to_numpy(),
            "statistic": table["statistic"].to_numpy(),
            "df": table["df"].to_numpy(),
            "p_value": table["p"].to_numpy(),
            "conf_low": np.asarray(low),
            "conf_high": np.asarray(high),
        }
    )


def variance_rows(report: Report, level: float, naming: Naming) -> pd.DataFrame:
    """Rows of variance parameters."""
    table = report.table("components")
    low, high = table["lower"].to_numpy(), table["upper"].to_numpy()
    if level != 0.95:
        ends = [report.interval(term, level=level) for term in table["term"]]
        low, high = np.array([end[0] for end in ends]), np.array([end[1] for end in ends])
    group, names = naming(table)
    return pd.DataFrame(
        {
            "effect": "ran_pars",
            "group": group,
            "term": names,
            "estimate": table["estimate"].to_numpy(),
            "std_error": table["se"].to_numpy(),
            "statistic": np.nan,
            "df": np.nan,
            "p_value": np.nan,
            "conf_low": low,
            "conf_high": high,
        }
    )


def of_one_response(table: pd.DataFrame) -> tuple[Any, Any]:
    """The residual, and effects that each row has one of."""
    residual = table["term"] == "residual"
    return np.where(residual, "Residual", table["term"]), np.where(residual, "var__Observation", "var__(Intercept)")


def glance_row(facts: Mapping[str, Any]) -> pd.DataFrame:
    """One row of facts; what a model does not tell is NaN."""
    criterion = "REMLcrit" if facts["criterion"] == "reml" else "deviance"
    columns = {"nobs": "n", "sigma": "sigma", "logLik": "log_likelihood", "AIC": "aic", "BIC": "bic"}
    row = {name: facts.get(fact, np.nan) for name, fact in columns.items()}
    return pd.DataFrame([row | {criterion: facts["deviance"], "df_residual": facts.get("df_residual", np.nan)}])
