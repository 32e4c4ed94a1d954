"""Labels of groups: which rows belong together, whatever the labels are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError, ShapeError
from varmix.tables.identifiers import id_text
from varmix.typing import Index, Mask

MOST = np.iinfo(np.int64).max


def group_labels(values: Any, what: str) -> tuple[NDArray[Any], Mask]:
    """One label per row and which are missing, each (n,); equal labels are equal as text.

    Integers of any size stay integers, floats that are whole become integers; text, truth values and other floats stay;
    dates, UUIDs, decimals and columns of several kinds become their text. Raises ShapeError (two columns), DataError
    (floats beyond 2^53, among which neighbours are one; lists and the like).
    """
    frame = nw.from_native(values, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        if frame.shape[1] != 1:
            raise ShapeError(f"{what} has shape {frame.shape}. Give one label per row.")
        frame = frame[frame.columns[0]]
    if isinstance(frame, nw.Series):
        kind, absent = frame.dtype, frame.is_null().to_numpy().astype(np.bool_)
        if kind.is_integer() and not absent.any():
            return _narrowed(np.asarray(frame.to_numpy())), absent
        if not kind.is_float():
            return _of_cells(frame.to_list(), what)
        values = frame.to_numpy()
    array = values if isinstance(values, np.ndarray) else _objects(values)
    if array.ndim != 1:
        raise ShapeError(f"{what} has shape {array.shape}. Give one label per row.")
    if isinstance(array, np.ma.MaskedArray):
        return _of_cells(list(array), what)
    if array.dtype.kind in "iub":
        return _narrowed(array), np.zeros(len(array), dtype=np.bool_)
    if array.dtype.kind == "f":
        return _of_floats(array, what)
    return _of_cells(array.tolist() if array.dtype.kind != "M" else list(array), what)


def numbered(labels: NDArray[Any]) -> tuple[Index, pd.Index[Any]]:
    """Groups numbered from 0 in the order of their first rows (n,), and their labels."""
    numbers, names = pd.factorize(labels, sort=False)
    return np.asarray(numbers, dtype=np.intp), pd.Index(names)


def text_labels(labels: pd.Index[Any]) -> pd.Index[Any]:
    """Labels as text."""
    return pd.Index(id_text(labels.tolist()))


def group_positions(known: pd.Index[Any], labels: NDArray[Any]) -> Index:
    """Where labels (n,) are among those known, -1 where they are not; compared as text if they are typed
    differently."""
    given = pd.Index(labels)
    if known.dtype != given.dtype:
        known, given = text_labels(known), text_labels(given)
    return np.asarray(known.get_indexer(given), dtype=np.intp)


def joined_labels(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Labels of parts of a table one after the other; as text where the parts are typed differently.

    Unsigned integers beyond int64 are another type: NumPy would make float64 of both, which merges neighbours.
    """
    if len({part.dtype.kind for part in parts}) == 1:
        return np.concatenate(parts)
    return np.concatenate([id_text(part.tolist()) for part in parts])


def _narrowed(whole: NDArray[Any]) -> NDArray[Any]:
    """Integers of any width as int64 where they fit, so that equal ones are typed alike."""
    fits = whole.dtype.kind in "iu" and (whole.dtype != np.uint64 or not whole.size or whole.max() <= MOST)
    return np.asarray(whole, dtype=np.int64) if fits else whole


def _objects(values: Any) -> NDArray[Any]:
    try:
        listed = list(values)
    except TypeError as error:
        raise ShapeError(f"group is {values!r}, one value. Give one label per row.") from error
    cells = np.empty(len(listed), dtype=object)
    cells[:] = listed
    return cells


def _of_floats(values: NDArray[np.floating[Any]], what: str) -> tuple[NDArray[Any], Mask]:
    absent: Mask = np.isnan(values)
    there = values[~absent]
    finite = np.isfinite(there)
    largest = np.abs(there[finite]).max(initial=0.0)
    id_text([largest], what)  # refuses whole numbers that are not exact
    if not finite.all() or not (np.floor(there) == there).all():
        return values.astype(np.float64), absent
    return np.where(absent, 0.0, values).astype(np.int64), absent


def _of_cells(cells: list[Any], what: str) -> tuple[NDArray[Any], Mask]:
    if cells and pd.api.types.infer_dtype(cells, skipna=False) == "string":
        return id_text(cells, what), np.zeros(len(cells), dtype=np.bool_)
    for cell in cells:
        if isinstance(cell, list | tuple | dict | set | np.ndarray) and cell is not np.ma.masked:
            raise DataError(f"{what} holds a {type(cell).__name__}, which is no label. Give numbers or text.")
    text = id_text(cells, what)
    absent = np.array([item is None for item in text], dtype=np.bool_)
    there = [cell for cell, gone in zip(cells, absent, strict=True) if not gone]
    if there and all(type(cell) is int or isinstance(cell, np.integer) for cell in there):
        try:
            whole = np.array([0 if gone else int(cell) for cell, gone in zip(cells, absent, strict=True)])
        except OverflowError:
            return text, absent
        return (_narrowed(whole), absent) if whole.dtype.kind in "iu" else (text, absent)
    if there and all(isinstance(cell, float | np.floating) for cell in there):
        return _of_floats(np.array([np.nan if gone else cell for cell, gone in zip(cells, absent, strict=True)]), what)
    return text, absent
