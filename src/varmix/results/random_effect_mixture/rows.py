"""The rows behind the units: posterior in input order, predictions and draws, from memory or from a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.typing import Vector

LONGEST = 200_000
"""Rows up to which a saved fit holds what it says of each of them: JSON takes some 400 bytes a row."""

BY_ROW = ("classes", "augment")


def saved(tables: tuple[str, ...], rows: int) -> tuple[str, ...]:
    """The tables that a file holds."""
    return tables if rows <= LONGEST else tuple(name for name in tables if name not in BY_ROW)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Callables, so that a report does not care where rows are kept. All take points in internal units."""

    count: int
    """Rows used."""
    posterior: Callable[[MixtureParams], pd.DataFrame]
    """One row per effect in input order: its label, then the columns of `posterior_table`."""
    augment: Callable[[Vector], pd.DataFrame]
    """From posterior means of the effects (G,) to one row per row: y, x, fitted, resid."""
    draw: Callable[[MixtureParams, np.random.Generator], Vector]
    """Responses drawn, in the units of the data, shape (n,)."""
