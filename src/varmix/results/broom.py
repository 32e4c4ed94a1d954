"""Tables in broom.mixed's columns, with names that Python can spell (`std.error` is `std_error`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from varmix.inference.wald import check_level, wald_interval

if TYPE_CHECKING:
    from varmix.results.fit import Fit

COLUMNS = ["effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]


def tidy(fit: Fit, level: float) -> pd.DataFrame:
    """Fixed effects, then variance parameters (`ran_pars`), then shares, as far as the fit has them."""
    check_level(level)
    parts = []
    if "coefficients" in fit.report.tables:
        parts.append(_fixed(fit.coefficients, level))
    if "components" in fit.report.tables:
        parts.append(_variances(fit, level))
    if "correlation" in fit.report.tables:
        parts.append(_correlation(fit, level))
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)


def _fixed(table: pd.DataFrame, level: float) -> pd.DataFrame:
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


def _variances(fit: Fit, level: float) -> pd.DataFrame:
    table = fit.components
    low, high = table["lower"].to_numpy(), table["upper"].to_numpy()
    if level != 0.95:
        ends = [fit.interval(term, level=level) for term in table["term"]]
        low, high = np.array([end[0] for end in ends]), np.array([end[1] for end in ends])
    group, names = _of_one_response(table) if "response" not in table else _of_two_responses(table)
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


def _of_one_response(table: pd.DataFrame) -> tuple[Any, Any]:
    residual = table["term"] == "residual"
    return np.where(residual, "Residual", table["term"]), np.where(residual, "var__Observation", "var__(Intercept)")


def _of_two_responses(table: pd.DataFrame) -> tuple[Any, Any]:
    group = np.where(table["group"] == "residual", "Residual", table["group"])
    return group, table["name"].map({"variance": "var__", "covariance": "cov__"}) + table["response"]


def _correlation(fit: Fit, level: float) -> pd.DataFrame:
    table = fit.table("correlation")
    ends = [fit.interval("correlation", level=level)] if level != 0.95 else None
    both = fit.components.loc[fit.components["name"] == "covariance", "response"].iloc[0]
    return pd.DataFrame(
        {
            "effect": "ran_pars",
            "group": "genetic",
            "term": f"cor__{both}",
            "estimate": table["estimate"].to_numpy(),
            "std_error": table["se"].to_numpy(),
            "statistic": np.nan,
            "df": np.nan,
            "p_value": np.nan,
            "conf_low": table["lower"].to_numpy() if ends is None else ends[0][0],
            "conf_high": table["upper"].to_numpy() if ends is None else ends[0][1],
        }
    )


def glance(fit: Fit) -> pd.DataFrame:
    """One row of facts."""
    facts = fit.report.facts
    criterion = "REMLcrit" if facts["criterion"] == "reml" else "deviance"
    return pd.DataFrame(
        [
            {
                "nobs": facts["n"],
                "sigma": facts["sigma"],
                "logLik": facts["log_likelihood"],
                "AIC": facts["aic"],
                "BIC": facts["bic"],
                criterion: facts["deviance"],
                "df_residual": facts["df_residual"],
            }
        ]
    )
