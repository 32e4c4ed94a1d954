"""Variance components as an estimator of scikit-learn, for its cross-validation, searches and pipelines."""

from __future__ import annotations

from varmix.errors import MissingExtraError

try:
    import sklearn as _sklearn  # noqa: F401 - asked for here so that the error names the extra
except ImportError as error:  # pragma: no cover - the tests run it in a process of its own
    raise MissingExtraError(
        'varmix.sklearn needs scikit-learn, which is not installed: pip install "varmix[sklearn]".'
    ) from error

from varmix.sklearn.cross_validation import predictive_performance
from varmix.sklearn.regressor import VarianceComponentsRegressor

__all__ = ["VarianceComponentsRegressor", "predictive_performance"]
