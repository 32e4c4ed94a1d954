"""Genetic correlations in broom.mixed's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.results import broom
from varmix.results.report import Report

LAST = {
    "intercepts": "Intercepts of the products of z scores",
    "jackknife": "Standard errors without each block of variants",
}


def correlation_titles(common: Mapping[str, str], tables: tuple[str, ...]) -> dict[str, str]:
    """Titles of the tables of a summary, in order."""
    return {"correlation": "Genetic correlation", **common} | {k: v for k, v in LAST.items() if k in tables}


def tidy_correlation(report: Report, level: float) -> pd.DataFrame:
    """Fixed effects, variances and covariances of two responses, and the correlation."""
    rows = broom.tidy_rows(report, level, _of_two_responses)
    return broom.in_columns([rows, _correlation(report, level)])


def _of_two_responses(table: pd.DataFrame) -> tuple[Any, Any]:
    group = np.where(table["group"] == "residual", "Residual", table["group"])
    return group, table["name"].map({"variance": "var__", "covariance": "cov__"}) + table["response"]


def _correlation(report: Report, level: float) -> pd.DataFrame:
    table = report.table("correlation")
    ends = [report.interval("correlation", level=level)] if level != 0.95 else None
    components = report.table("components")
    both = components.loc[components["name"] == "covariance", "response"].iloc[0]
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
