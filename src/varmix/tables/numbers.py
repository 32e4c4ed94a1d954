"""Arrays of numbers as users give them: masks made NaN; what is not made of real numbers is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError


def real_numbers(values: Any, what: str) -> NDArray[Any]:
    """An array of truth values, integers or floats, shared with `values` where it is one already.

    Masked entries become NaN. Raises DataError naming `what` for sparse matrices, complex numbers, dates, text and
    other objects.
    """
    if is_sparse(values):
        raise DataError(f"{what} is a sparse matrix, and arrays are dense here. Convert it with .toarray().")
    try:
        array = np.asanyarray(values)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise DataError(f"{what} cannot be read as numbers: {error}. Give a numeric array.") from error
    kind = array.dtype.kind
    if kind in "mM":
        raise DataError(f"{what} holds dates or times ({array.dtype}). Convert them to numbers, for instance days.")
    if kind in "cUSTV":
        _refuse(array.flat[0] if array.size else array.dtype, what)
    if kind == "O":
        for item in array.flat:
            if isinstance(item, str | bytes | complex | np.complexfloating | np.datetime64 | np.timedelta64):
                _refuse(item, what)
        if any(item is pd.NA for item in array.flat):
            array = array.copy()
            array[pd.isna(array)] = np.nan
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{what} holds objects, not numbers: {error}. Give a numeric array.") from error
    if isinstance(array, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(array)
        return np.where(hidden, np.nan, array.data) if hidden.any() else np.asarray(array.data)
    return np.asarray(array)


def is_sparse(values: Any) -> bool:
    """Whether it is a sparse matrix or array of SciPy, which NumPy would wrap as one object."""
    return type(values).__module__.startswith("scipy.sparse")


def is_masked(values: Any) -> bool:
    """Whether a NumPy array hides entries behind a mask."""
    return isinstance(values, np.ma.MaskedArray) and bool(np.ma.getmaskarray(values).any())


def _refuse(item: Any, what: str) -> None:
    if isinstance(item, complex | np.complexfloating):
        raise DataError(f"{what} holds complex numbers (for instance {item}). Give real ones, for instance with .real.")
    kind = "text" if isinstance(item, str | bytes) else type(item).__name__
    raise DataError(f"{what} holds {kind}, not numbers (for instance {item!s}). Code it as numbers.")
