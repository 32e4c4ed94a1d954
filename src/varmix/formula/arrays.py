"""Responses and numeric covariates as arrays, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from varmix.errors import DataError, NotFiniteError, ShapeError
from varmix.tables.frame import select_columns, try_frame
from varmix.tables.numbers import real_numbers
from varmix.typing import Array, Matrix


def response_array(y: Any) -> tuple[Array, tuple[str, ...]]:
    """Responses as float64, (n,) or (n, r), NaN for missing, and their names; one column counts as a vector.

    Raises ShapeError, DataError (not numeric), NotFiniteError (infinity: position).
    """
    if try_frame(y) is not None:
        table = select_columns(y)
        for name in table.columns:
            if table[name].dtype.kind not in "fbiu":
                raise DataError(f"Response '{name}' is not numeric. Code it as numbers.")
        values, names = table.to_numpy(dtype=np.float64), tuple(str(name) for name in table.columns)
    else:
        values = _floats(y, "The response")
        own = getattr(y, "name", None) or "y"
        count = values.shape[1] if values.ndim == 2 else 1
        names = (str(own),) if count == 1 else tuple(f"y{number}" for number in range(1, count + 1))
    if values.ndim not in (1, 2) or values.size == 0:
        raise ShapeError(f"The response has shape {values.shape}. Give n numbers, or n x r for r responses.")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    _refuse_infinity(values.reshape(len(values), -1), names, "The response")
    return values, names


def covariate_array(covariates: Any, names: Sequence[str] | None) -> tuple[Matrix, list[str]]:
    """Covariates as float64, (n, c), NaN for missing, and their names (z1, z2, ... unless given). Raises like
    the response."""
    values = _floats(covariates, "The array of covariates")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise ShapeError(f"The covariates have shape {values.shape}. Give n x c.")
    chosen = (
        [f"z{number}" for number in range(1, values.shape[1] + 1)] if names is None else [str(name) for name in names]
    )
    if len(chosen) != values.shape[1]:
        raise ShapeError(
            f"There are {values.shape[1]} covariate columns and {len(chosen)} names. Give one name per column."
        )
    _refuse_infinity(values, chosen, "The covariates")
    return values, chosen


def _floats(values: Any, what: str) -> Array:
    return np.asarray(real_numbers(values, what), dtype=np.float64)


def _refuse_infinity(values: Matrix, names: Sequence[str], what: str) -> None:
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return
    infinite = np.isinf(values)
    if infinite.any():
        row, column = (int(item) for item in np.argwhere(infinite)[0])
        raise NotFiniteError(
            f"{what} '{names[column]}' is infinite in row {row} (counted from 0; {int(infinite.sum()):,} such "
            "entries). Correct it, or mark it missing with NaN."
        )
