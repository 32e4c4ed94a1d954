"""The report of a fit that was loaded: what was told, and predictions; nothing that needs the data."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NoReturn

import pandas as pd

from varmix.errors import NotAvailableError
from varmix.inference.wald import LEVEL
from varmix.iteration import Certificate, Status
from varmix.results.report import Facts, Report

RESTORERS = {
    "variance_components": "varmix.results.variance_components.saved",
    "weighted_random_effects": "varmix.results.weighted_random_effects.saved",
}
"""Per kind of model, the module with `effects_of(state, term)` and `predict_saved(state, new, options)`."""

BY_TABLE = {
    "random_effect_mixture": "varmix.results.random_effect_mixture.saved",
    "mixing_distribution": "varmix.results.random_effect_mixture.saved",
    "partition_mixture": "varmix.results.partition_mixture.saved",
}
"""Of kinds whose effects are in a saved table, with sd: the module with `effects_in(tables, term, sd=)` instead."""


class StoredReport(Report):
    """Facts and tables as they were saved."""

    def __init__(
        self,
        *,
        kind: str,
        status: Status,
        certificate: Certificate,
        facts: Facts,
        titles: Mapping[str, str],
        tables: Mapping[str, pd.DataFrame],
        tidy: pd.DataFrame,
        prediction: Mapping[str, Any],
    ) -> None:
        self.kind = kind
        self._status = status
        self._certificate = certificate
        self._facts = facts
        self._titles = titles
        self._tables = tables
        self._tidy = tidy
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

    @property
    def titles(self) -> Mapping[str, str]:
        """As saved."""
        return self._titles

    def tidy(self, level: float) -> pd.DataFrame:
        """As saved, at the level of the tables."""
        if level != LEVEL:
            self._refuse(f"intervals of level {level}")
        return self._tidy.copy()

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means as saved."""
        if self.kind in BY_TABLE:
            found: pd.DataFrame = self._restorer.effects_in(self._tables, term, sd=sd)
            return found
        if sd:
            self._refuse("standard deviations of effects")
        return self._restorer.effects_of(self._prediction, term)

    def predict(self, new: Any, **options: Any) -> Any:
        """Expected responses of new rows, or tables of new genes, as the fit would have given them."""
        return self._restorer.predict_saved(self._prediction, new, options)

    @property
    def _restorer(self) -> Any:
        """What knows the saved state of a kind of model."""
        known = RESTORERS | BY_TABLE
        if self.kind not in known:
            raise NotAvailableError(f"A saved fit of kind '{self.kind}' keeps no predictions. Fit again.")
        return importlib.import_module(known[self.kind])

    def prediction_state(self) -> Mapping[str, Any]:
        """As saved."""
        return self._prediction

    def _refuse(self, what: str) -> NoReturn:
        raise NotAvailableError(
            f"This fit was loaded from a file, which keeps tables and predictions but not the data that '{what}' "
            f"needs. Fit again, or read one of its tables: {', '.join(self.tables)}."
        )
