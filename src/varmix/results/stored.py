"""The report of a fit that was loaded: what was told, and predictions; nothing that needs the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pandas as pd

from varmix.errors import NotAvailableError
from varmix.iteration import Certificate, Status
from varmix.results.report import Facts, Report
from varmix.results.variance_components.saved import effects_of, predict_saved
from varmix.typing import Vector


class StoredReport(Report):
    """Facts and tables as they were saved."""

    def __init__(
        self,
        *,
        kind: str,
        status: Status,
        certificate: Certificate,
        facts: Facts,
        tables: Mapping[str, pd.DataFrame],
        prediction: Mapping[str, Any],
    ) -> None:
        self.kind = kind
        self._status = status
        self._certificate = certificate
        self._facts = facts
        self._tables = tables
        self._prediction = prediction

    @property
    def facts(self) -> Facts:
        """As saved."""
        return self._facts

    @property
    def status(self) -> Status:
        """As saved."""
        return self._status

    @property
    def certificate(self) -> Certificate:
        """As saved."""
        return self._certificate

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that were saved."""
        return tuple(self._tables)

    def table(self, name: str) -> pd.DataFrame:
        """A table as it was saved."""
        if name not in self._tables:
            self._refuse(name)
        return self._tables[name]

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means as saved."""
        if sd:
            self._refuse("standard deviations of effects")
        return effects_of(self._prediction, term)

    def predict(self, new: Any, **options: Any) -> Vector:
        """Expected responses of new rows, as the fit would have given them."""
        return predict_saved(self._prediction, new, options)

    def prediction_state(self) -> Mapping[str, Any]:
        """As saved."""
        return self._prediction

    def _refuse(self, what: str) -> NoReturn:
        raise NotAvailableError(
            f"This fit was loaded from a file, which keeps tables and predictions but not the data that '{what}' "
            f"needs. Fit again, or read one of its tables: {', '.join(self.tables)}."
        )
