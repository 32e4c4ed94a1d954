"""Tables in broom.mixed's columns, with names that Python can spell (`std.error` is `std_error`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    group = np.where(table["term"] == "residual", "Residual", table["term"])
    return pd.DataFrame(
        {
            "effect": "ran_pars",
            "group": group,
            "term": np.where(table["term"] == "residual", "var__Observation", "var__(Intercept)"),
            "estimate": table["estimate"].to_numpy(),
            "std_error": table["se"].to_numpy(),
            "statistic": np.nan,
            "df": np.nan,
            "p_value": np.nan,
            "conf_low": low,
            "conf_high": high,
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
