"""What predictions of a saved fit need: the coding of covariates, fixed effects, fitted values and slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.formula import Design
from varmix.formula.encode import encode_saved
from varmix.typing import Vector


def state_of(
    design: Design | None, fixed: Vector, fitted: Vector, effects: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """The state, as JSON values, arrays and data frames."""
    return {
        "coefficients": fixed,
        "columns": [] if design is None else list(design.names),
        "coding": None if design is None else design.encoder.state(),
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
    return np.asarray(encode_saved(columns, state["coding"], new, None) @ state["coefficients"])
