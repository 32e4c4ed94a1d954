"""What predictions of a saved fit need: the coding of covariates, fixed effects, fitted values and slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.formula import Design
from varmix.formula.encode import Encoder
from varmix.typing import Vector


def state_of(
    design: Design | None, fixed: Vector, fitted: Vector, effects: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """The state, as JSON values, arrays and data frames."""
    coding = None
    if design is not None and design.encoder.spec is None:
        encoder = design.encoder
        coding = {"n_columns": encoder.n_columns, "adds_intercept": encoder.adds_intercept, "kept": encoder.kept}
    return {
        "coefficients": fixed,
        "columns": [] if design is None else list(design.names),
        "coding": coding,
        "fitted": fitted,
        "effects": dict(effects),
    }


def effects_of(state: Mapping[str, Any], term: str) -> pd.DataFrame:
    """Posterior means of a column's slopes. Raises OptionError for a column that is not there."""
    effects = state.get("effects", {})
    if term not in effects:
        raise OptionError(f"There is no term '{term}'. The fit has: {', '.join(effects) or 'none'}.")
    table: pd.DataFrame = effects[term]
    return table.copy()


def predict_saved(state: Mapping[str, Any], new: Any, options: dict[str, Any]) -> Vector:
    """As the report's `predict`, from the state alone. Raises NotAvailableError, OptionError, and as encoding does."""
    if options:
        raise OptionError(f"Unknown option '{next(iter(options))}'.")
    if new is None:
        fitted: Vector = state["fitted"]
        return fitted.copy()
    columns = state["columns"]
    if not columns:
        raise NotAvailableError("This model has no covariates: a response of a new group is expected to be 0.")
    if state["coding"] is not None:
        encoder = Encoder(spec=None, variables=(), **state["coding"])
        return np.asarray(encoder.encode(new, None) @ state["coefficients"])
    table, wanted = pd.DataFrame(new), [name for name in columns if name != "(Intercept)"]
    if any(name not in table for name in wanted):
        raise NotAvailableError(
            "A saved fit keeps the coded columns of a table of covariates rather than how they were coded: pass a "
            f"table with the columns {', '.join(wanted)}."
        )
    parts = [np.ones(len(table)) if name == "(Intercept)" else table[name].to_numpy(dtype=float) for name in columns]
    return np.asarray(np.column_stack(parts) @ state["coefficients"])
