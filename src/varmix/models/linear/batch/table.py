"""The estimates of a batch as a data frame, one row per response."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from scipy.special import erfc

from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.statistics import Criterion
from varmix.typing import Vector


def batch_table(
    fit: BatchFit,
    *,
    names: Sequence[Hashable],
    kernels: Sequence[str],
    covariates: Sequence[str],
    criterion: Criterion,
) -> pd.DataFrame:
    """Columns `s_`, `se_`, `proportion`, `log_likelihood`, the test of no kernel, fixed effects, and how the fit ended.

    With one kernel it is called `kernel` (`s_kernel`) and its share `proportion`; several go by their names
    (`s_snps`, `proportion_snps`).
    """
    one = len(kernels) == 1
    labels = ["kernel"] if one else list(kernels)
    shares = ["proportion"] if one else [f"proportion_{label}" for label in labels]
    columns: dict[str, object] = {}
    for position, label in enumerate([*labels, "residual"]):
        columns[f"s_{label}"] = fit.variances[:, position]
        columns[f"se_{label}"] = fit.variances_se[:, position]
    for position, share in enumerate(shares):
        columns[share] = fit.proportions[:, position]
        columns[f"se_{share}"] = fit.proportions_se[:, position]
    statistic = np.maximum(2.0 * (fit.log_likelihood - fit.null_log_likelihood), 0.0)
    statistic[(fit.proportions == 0.0).all(axis=1)] = 0.0  # without the rounding of two equal log-likelihoods
    columns |= {
        "total": fit.total,
        "log_likelihood": fit.log_likelihood,
        "criterion": np.full(fit.total.size, criterion, dtype=object),
        "lr_statistic": statistic,
        "lr_p": half_chi_square_p(statistic) if one else np.full(fit.total.size, np.nan),
    }
    for position, covariate in enumerate(covariates):
        columns[f"fixed_{covariate}"] = fit.fixed[:, position]
        columns[f"se_fixed_{covariate}"] = fit.fixed_se[:, position]
    columns |= {
        "iterations": fit.iterations,
        "decrement": fit.decrement,
        "status": np.array([status.name for status in fit.status], dtype=object),
        "rows": fit.rows,
    }
    return pd.DataFrame(columns, index=pd.Index(list(names), name="response"))


def half_chi_square_p(statistic: Vector) -> Vector:
    """Tail of `1/2 chi2_0 + 1/2 chi2_1`, the law of the statistic when the variance is 0; 1 at 0."""
    p: Vector = np.where(statistic > 0.0, 0.5 * erfc(np.sqrt(0.5 * statistic)), 1.0)
    return np.where(np.isnan(statistic), np.nan, p)
