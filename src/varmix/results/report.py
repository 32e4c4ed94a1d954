"""What a model tells about a fit of it. `Fit` presents it; tables are derived when asked for.

A model implements the methods that make sense for it; the rest raise NotAvailableError here, so that `Fit` has one
face.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError
from varmix.iteration import Certificate, Status
from varmix.results import broom

Facts = Mapping[str, Any]

TITLES = {
    "shares": "Shares",
    "components": "Variance components",
    "proportions": "Proportions of variance",
    "coefficients": "Fixed effects",
}
"""What a summary shows unless a model says otherwise."""


class Report:
    """Base of the reports: every table and action, none of them available."""

    kind = "model"
    information = "expected"
    """What the covariance of the estimates rests on unless another is asked for."""

    @property
    def facts(self) -> Facts:
        """What is told in one line each, JSON values only.

        Every model has: model, response, method, criterion, log_likelihood, deviance, n, steps, evaluations, scheme,
        finished_by. Of use to text and tables where there: advice (in place of the status's own), algebra, warnings,
        aic, bic, sigma, df_residual.
        """
        self._refuse("facts")

    @property
    def status(self) -> Status:
        """Why the fit ended."""
        self._refuse("status")

    @property
    def certificate(self) -> Certificate:
        """Distance from the optimum."""
        self._refuse("certificate")

    def table(self, name: str) -> pd.DataFrame:
        """A table by name: components, coefficients, proportions, shares, classes, progress, starts, sample,
        augment."""
        self._refuse(name)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that this model has."""
        return ()

    @property
    def saved_tables(self) -> tuple[str, ...]:
        """Those that go into a file; all of them unless a model has some that are too long for one."""
        return self.tables

    @property
    def titles(self) -> Mapping[str, str]:
        """Tables that a summary shows, in order, with their titles."""
        return {name: title for name, title in TITLES.items() if name in self.tables}

    def tidy(self, level: float) -> pd.DataFrame:
        """Parameters in broom.mixed's columns."""
        return broom.tidy_rows(self, level)

    def glance(self) -> pd.DataFrame:
        """One row of facts in broom.mixed's columns."""
        return broom.glance_row(self.facts)

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means of the hidden effects of a term."""
        self._refuse("effects")

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """A confidence interval."""
        self._refuse("interval")

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """A profile log-likelihood."""
        self._refuse("profile")

    def test(self, names: tuple[str, ...]) -> Any:
        """A likelihood-ratio test of parameters at 0."""
        self._refuse("test")

    def compare(self, other: Report, **options: Any) -> Any:
        """A test of one fit within another."""
        self._refuse("compare")

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Any:
        """A parametric bootstrap."""
        self._refuse("bootstrap")

    def predict(self, new: Any, **options: Any) -> Any:
        """Expected responses of new rows."""
        self._refuse("predict")

    def simulate(self, rng: np.random.Generator) -> Any:
        """A response drawn from the fitted model."""
        self._refuse("simulate")

    def covariance(self, kind: str) -> pd.DataFrame:
        """Covariance of the estimates."""
        self._refuse("covariance")

    def prediction_state(self) -> Mapping[str, Any]:
        """What `predict` needs of a fit that was saved, as JSON values and arrays."""
        return {}

    def _refuse(self, what: str) -> NoReturn:
        raise NotAvailableError(f"A fit of kind '{self.kind}' has no '{what}'. It has: {', '.join(self.tables)}.")
