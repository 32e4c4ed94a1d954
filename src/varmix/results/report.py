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
from varmix.typing import Vector

Facts = Mapping[str, Any]


class Report:
    """Base of the reports: every table and action, none of them available."""

    kind = "model"

    @property
    def facts(self) -> Facts:
        """What is told in one line each: method, criterion, log-likelihood, rows, ... (JSON values only)."""
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

    def compare(self, other: Report) -> Any:
        """A test of one fit within another."""
        self._refuse("compare")

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Any:
        """A parametric bootstrap."""
        self._refuse("bootstrap")

    def predict(self, new: Any, **options: Any) -> Vector:
        """Expected responses of new rows."""
        self._refuse("predict")

    def simulate(self, rng: np.random.Generator) -> Vector:
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
