"""Predictive performance by scikit-learn's cross-validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold, cross_validate

from varmix.sklearn.regressor import VarianceComponentsRegressor
from varmix.typing import Vector

FOLDS = 5


def predictive_performance(
    X: Any,
    y: Any,
    *,
    estimator: Any = None,
    cv: Any = FOLDS,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """How well rows are predicted that the fit has not seen: one row per fold.

    Columns: `fold`, `n_train`, `n_test`, `correlation` (of response and prediction; NaN where all predictions are
    equal), `r2` (scikit-learn's, against the mean of the fold), `mse` (unit of y squared), `seconds`. `estimator` is
    `VarianceComponentsRegressor()` unless given, and may be any regressor or pipeline; `cv` a number of folds, shuffled
    by `random_state`, or a splitter of scikit-learn. Errors are those of `sklearn.model_selection.cross_validate`; a
    fold that cannot be fitted raises.
    """
    splitter = KFold(cv, shuffle=True, random_state=random_state) if isinstance(cv, (int, np.integer)) else cv
    scores = cross_validate(
        VarianceComponentsRegressor() if estimator is None else estimator,
        X,
        y,
        cv=splitter,
        n_jobs=n_jobs,
        scoring={
            "correlation": make_scorer(_correlation),
            "r2": "r2",
            "mse": "neg_mean_squared_error",
        },
        return_indices=True,
        error_score="raise",
    )
    return pd.DataFrame(
        {
            "fold": np.arange(1, len(scores["test_r2"]) + 1),
            "n_train": [len(rows) for rows in scores["indices"]["train"]],
            "n_test": [len(rows) for rows in scores["indices"]["test"]],
            "correlation": scores["test_correlation"],
            "r2": scores["test_r2"],
            "mse": -scores["test_mse"],
            "seconds": scores["fit_time"],
        }
    )


def _correlation(observed: Vector, predicted: Vector) -> float:
    """Pearson's; NaN where one side does not vary."""
    observed, predicted = observed - np.mean(observed), predicted - np.mean(predicted)
    size = float(np.linalg.norm(observed) * np.linalg.norm(predicted))
    # Predictions that differ by rounding alone do not vary: 1e-12 of a response's spread is far below any effect.
    if np.linalg.norm(predicted) <= 1e-12 * np.linalg.norm(observed):
        return float("nan")
    return float(observed @ predicted) / size if size > 0.0 else float("nan")
