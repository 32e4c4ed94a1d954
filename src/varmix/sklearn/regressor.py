"""One set of random effects, with fixed effects beside them, as a regressor."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from varmix.api import variance_components
from varmix.errors import OptionError
from varmix.results.variance_components.report import VarianceComponentsReport
from varmix.typing import Index, Vector

TERM = "features"
"""Name of the random term in `fit_` and `components_`."""


class VarianceComponentsRegressor(RegressorMixin, BaseEstimator):
    """Predict by the posterior means of random effects of the columns of X [VC-1], [VC-6].

    All columns of X but those named in `covariates` share one variance of effects; covariates and the intercept are
    fixed. The amount of shrinkage is what the criterion estimates, so there is no penalty to search for.

    `method`, `criterion`, `scaling`, `accelerate`, `polish`, `max_iterations`, `tolerance`, `start` and `starts` are
    those of `varmix.variance_components`; `accelerate` to `tolerance` are for the likelihood methods alone and left out
    for `method="moments"`. `covariates` are positions or, for data frames, names of columns. `fit_intercept=False`
    leaves the intercept out. `random_state` seeds random starts.

    Fitted: `coef_` (p,) and `intercept_` on the scale of X as given, `components_` (the data frame of variances),
    `fit_` (the Fit), `n_features_in_`, `feature_names_in_`.

    `fit` raises OptionError for options that are not known, subclasses of ValueError for data that cannot be used, and
    NotAvailableError where a moment estimate of the residual variance is negative, which predicts nothing.
    """

    def __init__(
        self,
        *,
        method: str = "newton",
        criterion: str = "reml",
        scaling: str = "sample",
        covariates: Sequence[int | str] | int | str | None = None,
        fit_intercept: bool = True,
        accelerate: str = "none",
        polish: bool = True,
        max_iterations: int = 500,
        tolerance: float = 1e-8,
        start: Any = "auto",
        starts: int = 1,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.criterion = criterion
        self.scaling = scaling
        self.covariates = covariates
        self.fit_intercept = fit_intercept
        self.accelerate = accelerate
        self.polish = polish
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.start = start
        self.starts = starts
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> VarianceComponentsRegressor:
        """Estimate the variances from X (n, p) and y (n,), then the effects."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        fixed = self._covariate_columns()
        random = np.setdiff1d(np.arange(X.shape[1]), fixed)
        if random.size == 0:
            raise OptionError("Every column of X is a covariate: leave at least one for the random effects.")
        self.fit_ = variance_components(
            y,
            designs={TERM: X[:, random]},
            covariates=X[:, fixed] if fixed.size else None,
            method=self.method,
            criterion=cast(Any, self.criterion),
            scaling=cast(Any, self.scaling),
            intercept=self.fit_intercept,
            start=self.start,
            starts=self.starts,
            rng=check_random_state(self.random_state).randint(2**31 - 1) if self.starts > 1 else None,
            **self._climbing(),
        )
        self.components_ = self.fit_.components
        self.coef_, self.intercept_ = self._linear(random, fixed)
        return self

    def predict(self, X: Any) -> Vector:
        """Expected responses of new rows (m, p), shape (m,): `X coef_ + intercept_`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(X @ self.coef_ + self.intercept_)

    def _climbing(self) -> dict[str, Any]:
        if self.method == "moments":
            return {}
        return {
            "accelerate": self.accelerate,
            "polish": self.polish,
            "max_iterations": self.max_iterations,
            "tolerance": self.tolerance,
        }

    def _covariate_columns(self) -> Index:
        """Positions of the covariates among the columns of X, in their order there."""
        given = self.covariates
        if given is None:
            return np.empty(0, dtype=np.intp)
        asked = [given] if isinstance(given, (int, np.integer, str)) else list(given)
        count = int(self.n_features_in_)
        names = list(getattr(self, "feature_names_in_", []))
        found = []
        for item in asked:
            if isinstance(item, str):
                if item not in names:
                    raise OptionError(f"covariates names '{item}', which X has not. It has: {_told(names)}.")
                found.append(names.index(item))
            else:
                found.append(_position(item, count))
        return np.unique(np.array(found, dtype=np.intp))

    def _linear(self, random: Index, fixed: Index) -> tuple[Vector, float]:
        """Effects on the columns of X as given, and the constant: centring and scaling undone."""
        report = cast(VarianceComponentsReport, self.fit_.report)
        design = report.model.terms[0].design
        assert design is not None
        effects = report.prediction.design_effects(0) / design.scale
        coefficients = np.zeros(random.size + fixed.size)
        coefficients[random[design.kept]] = effects
        estimates = self.fit_.coefficients["estimate"].to_numpy()
        kept = (
            report.model.design.encoder.kept
        )  # among the columns of Z, where the constant stands first if it was added
        first = int(report.model.design.encoder.adds_intercept)
        whole = np.zeros(first + fixed.size)
        whole[kept] = estimates
        coefficients[fixed] = whole[first:]
        return coefficients, float(whole[:first].sum() - design.centre @ effects)


def _position(item: Any, count: int) -> int:
    """A column counted from either end, as one counted from the first. Raises OptionError."""
    try:
        at = operator.index(item)
    except TypeError:
        at = count
    if not -count <= at < count:
        raise OptionError(f"covariates has {item!r}; X has columns 0 to {count - 1}.")
    return at % count


def _told(names: Sequence[str]) -> str:
    if not names:
        return "no names (pass a data frame, or positions)"
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
