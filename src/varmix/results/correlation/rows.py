"""What a pair of responses says about each row [VC-6]."""

from __future__ import annotations

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError
from varmix.models.linear.correlation.likelihood import PairParams, matrix_of, solve_pair
from varmix.results.correlation.responses import PairedResponses


def rows_table(responses: PairedResponses, params: PairParams) -> pd.DataFrame:
    """One row per response and person used: `y`, the covariates' part `fixed`, `fitted`, and `resid = y - fitted`.

    Residuals are their posterior means given both responses, `R V^-1 (y - Zw)` with R the residual covariance; they and
    the rest are in the units of the data. Raises NotAvailableError where V is singular.
    """
    whole, values = responses.by_rows, params.values
    solved = solve_pair(whole, values)
    if solved is None:
        raise NotAvailableError("V is singular at this estimate, so there are no residuals.")
    first, second = (solved.a[whole.cut(i, i)[0]] for i in (0, 1))
    residual = [values[3] * first, values[4] * second]
    if whole.overlap is not None:
        covariance = matrix_of(values[3:])[0, 1]
        residual[0] = residual[0] + covariance * (whole.overlap @ second)
        residual[1] = residual[1] + covariance * (whole.overlap.T @ first)
    scale = np.repeat(responses.scales, responses.rows)
    y, rest = whole.response * scale, np.concatenate(residual) * scale
    people = pd.concat(responses.people, ignore_index=True)
    people.insert(0, "response", np.repeat(responses.names, responses.rows))
    return people.assign(y=y, fixed=y - solved.r * scale, fitted=y - rest, resid=rest)
