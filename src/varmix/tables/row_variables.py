"""Variables with one entry per row: from arrays, from series, or columns of one table by name, joined by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotFiniteError, OptionError, RepairWarning, ShapeError, warn
from varmix.tables.alignment import join, warn_of_loss
from varmix.tables.frame import column_names, mapping_frame, select_columns, try_frame
from varmix.tables.labels import Labels, labelled, rows_at
from varmix.tables.numbers import real_numbers
from varmix.typing import Array, Index, Mask, Vector

SHOWN = 20
"""Columns of a table that an error lists."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowVariables:
    """Variables by role, joined: `values[role]` without labels, for the rows `rows` (n,) of the first one given.

    `labels` are those of these rows, `lost` how many rows of the first are not in every variable.
    """

    values: Mapping[str, Any]
    rows: Index
    labels: Labels
    lost: int


def row_variables(
    given: Mapping[str, Any], data: Any = None, *, drop: bool, labels: Sequence[str] = (), several: Sequence[str] = ()
) -> RowVariables:
    """`given` maps roles to arrays, series, data frames, or names of columns of `data`; None is left out.

    Columns of roles in `labels` are kept as they are; those in `several` may be lists of names. Rows are joined on
    labels where both sides have any, else by position; with `drop` rows that are not in all are left out. Raises
    OptionError (names that are no columns), ShapeError (other numbers of rows), AlignmentError, DataError.
    """
    named = {role: value for role, value in given.items() if _is_names(value, role in several)}
    if data is None and named:
        role, value = next(iter(named.items()))
        raise OptionError(f"{role}={value!r} names a column: pass the data frame that has it by data=.")
    there = {role: value for role, value in given.items() if value is not None and role not in named}
    tables: dict[str, Any] = {}
    known: dict[str, Labels] = {}
    for role, value in there.items():
        known[role], tables[role] = labelled(value if role in several else _one_column(value, role), role)
    if data is not None:
        if not named:
            raise OptionError("data= is a data frame whose columns y, x, ... name: give at least y= and x= as names.")
        columns = _columns(data, named, labels)
        own = labelled(data, "data")[0] if there else Labels(rows=len(next(iter(columns.values()))))
        known |= dict.fromkeys(columns, own)
        tables |= columns
    known = {role: known[role] for role in given if role in known}
    _check_lengths(known)
    places = join(known, on_missing="drop" if drop else "error", remedy='Pass on_missing="drop" to leave them out.')
    warn_of_loss(places)
    first = next(iter(known))
    whole = places.n == known[first].rows and places.matched_by == "position"
    values = {role: table if whole else rows_at(table, places.positions[role]) for role, table in tables.items()}
    return RowVariables(
        values=values, rows=places.positions[first], labels=known[first], lost=known[first].rows - places.n
    )


def real_vector(values: Any, role: str) -> Vector:
    """A variable as float64, (n,), NaN where missing. Raises ShapeError, DataError (text), NotFiniteError (row)."""
    if try_frame(values) is not None:
        frame = select_columns(values)
        for name in frame.columns:
            if frame[name].dtype.kind not in "fiub":
                raise DataError(f"Column '{name}' ({role}) is not numeric. Give a column of numbers.")
        array: Array = frame.to_numpy(dtype=np.float64)
    else:
        array = np.asarray(real_numbers(values, role), dtype=np.float64)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or not array.size:
        raise ShapeError(f"{role} has shape {array.shape}. Give one number per row.")
    return np.ascontiguousarray(array)


def refuse_infinity(values: Vector, role: str) -> None:
    """Raise NotFiniteError naming the first row of (n,) that is infinite."""
    infinite = np.isinf(values)
    if infinite.any():
        raise NotFiniteError(
            f"{role} is infinite in row {int(infinite.argmax())} (counted from 0; {int(infinite.sum()):,} such "
            "rows). Correct it, or mark it missing with NaN."
        )


def complete_rows(absent: Mapping[str, Mask], *, drop: bool, lost: int = 0) -> tuple[Mask, dict[str, int]]:
    """Rows that miss nothing (n,), and counts of the others by cause; `lost` rows were left out before.

    Warns (RepairWarning) with counts. Raises NotFiniteError unless `drop`, DataError where no row is complete.
    """
    gone: dict[str, int] = {"dropped, not in every variable": lost} if lost else {}
    wrong: Mask = np.logical_or.reduce(list(absent.values()))
    if not wrong.any():
        return ~wrong, gone
    told = ", ".join(f"{role} missing in {int(mask.sum()):,}" for role, mask in absent.items() if mask.any())
    if not drop:
        raise NotFiniteError(
            f"{int(wrong.sum()):,} of {len(wrong):,} rows are incomplete ({told}; first: row {int(wrong.argmax())}, "
            f'counted from 0). Pass on_missing="drop" to use the {int((~wrong).sum()):,} complete rows.'
        )
    if wrong.all():
        raise DataError(f"No row is complete ({told}). Check which columns are {', '.join(absent)}.")
    warn(f"{int(wrong.sum()):,} of {len(wrong):,} rows were dropped ({told}).", RepairWarning)
    return ~wrong, {**gone, "dropped, incomplete": int(wrong.sum())}


def _one_column(value: Any, role: str) -> Any:
    """An array of one row or one column as a vector, the column of a frame that has no other, whatever its name.

    Raises ShapeError for one number.
    """
    frame = try_frame(value)
    if frame is not None and frame.shape[1] == 1:
        return frame[frame.columns[0]].to_native()
    if np.ndim(value) == 0 and not isinstance(value, str) and frame is None:
        told = "is one number" if role == "se" else "has shape ()"
        raise ShapeError(f"{role} {told}. Give one per row, for instance np.full(len(y), 0.1).")
    return value.reshape(-1) if isinstance(value, np.ndarray) and value.ndim == 2 and 1 in value.shape else value


def _columns(data: Any, named: Mapping[str, str | Sequence[str]], labels: Sequence[str]) -> dict[str, Any]:
    """Columns of a table by role."""
    data = mapping_frame(data)
    frame = try_frame(data)
    if frame is None:
        raise DataError(f"data= must be a data frame (pandas, polars, pyarrow, ...), not {type(data).__name__}.")
    known = column_names(data)
    for role, value in named.items():
        for name in [value] if isinstance(value, str) else value:
            if name not in known:
                raise OptionError(f"{role}={name!r} is no column of data. It has: {', '.join(known[:SHOWN])}.")
    return {
        role: _plain(frame, str(value)) if role in labels else select_columns(data, _listed(value))
        for role, value in named.items()
    }


def _plain(frame: Any, name: str) -> Any:
    """A column as it is, by position."""
    series = frame[name].to_native()
    return series.reset_index(drop=True) if isinstance(series, pd.Series) else series


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _check_lengths(known: Mapping[str, Labels]) -> None:
    lengths = {role: labels.rows for role, labels in known.items()}
    if len(set(lengths.values())) > 1 and not all(labels.known for labels in known.values()):
        told = ", ".join(f"{role} {length:,}" for role, length in lengths.items())
        raise ShapeError(f"The columns have different numbers of rows: {told}. Give one entry per row in each.")


def _is_names(value: Any, several: bool) -> bool:
    if isinstance(value, str):
        return True
    texts = isinstance(value, Sequence) and len(value) > 0 and all(isinstance(item, str) for item in value)
    return several and texts
