"""Fixed effects of two responses, by generalised least squares at the estimate [VC-6]."""

from __future__ import annotations

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError
from varmix.inference.wald import wald_interval, wald_test
from varmix.models.linear.correlation.likelihood import PairParams, solve_pair
from varmix.results.correlation.responses import PairedResponses


def coefficients_table(responses: PairedResponses, params: PairParams) -> pd.DataFrame:
    """One row per response and covariate, named "response: column"; t tests on the smaller n_i - c_i.

    Raises NotAvailableError where V is singular.
    """
    whole = responses.by_rows
    solved = solve_pair(whole, params.values)
    if solved is None:
        raise NotAvailableError("V is singular at this estimate, so there are no fixed effects.")
    covariance = np.linalg.inv(solved.inner)
    counts = responses.covariates
    scale = np.repeat(responses.scales, counts)
    estimate = (covariance @ (solved.W.T @ whole.response)) * scale
    error = np.sqrt(covariance.diagonal()) * scale
    df = min(n - c for n, c in zip(responses.rows, counts, strict=True))
    statistic, p = wald_test(estimate, error, df=df)
    lower, upper = wald_interval(estimate, error, df=df)
    index = [
        f"{name}: {column}"
        for name, columns in zip(responses.names, responses.columns, strict=True)
        for column in columns
    ]
    columns = {"estimate": estimate, "se": error, "df": float(df), "statistic": statistic, "p": p}
    return pd.DataFrame({**columns, "lower": lower, "upper": upper}, index=index).rename_axis("term")
