"""Columns of any data frame, with their missing entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, NotFiniteError, ShapeError
from varmix.tables.identifiers import EXACT_INTEGERS
from varmix.typing import Index, Mask


def try_frame(data: Any) -> nw.DataFrame[Any] | None:
    """A data frame of any kind, or None for what is not one. Raises DataError for two columns of the same name."""
    try:
        frame = nw.from_native(data, eager_only=True, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise DataError("The data have two columns of the same name. Give every column its own name.") from error
    return frame if isinstance(frame, nw.DataFrame) else None


def column_names(data: Any) -> list[str]:
    """The names of a data frame's columns, in order. Raises DataError for what is not a data frame."""
    return [str(name) for name in _frame(data).columns]


def select_columns(data: Any, names: Iterable[str] | None = None) -> pd.DataFrame:
    """The columns as pandas columns, rows numbered from 0.

    They hold float64 (integers where float64 would merge some), bool, text (None when missing) or Categorical. `data`
    is any data frame narwhals accepts, or a mapping of columns. Raises DataError (not a data frame, a column that is
    neither numbers nor text), NotFiniteError (infinity: column and row).
    """
    frame = _frame(data)
    given = {str(name): series for name, series in zip(frame.columns, frame.iter_columns(), strict=True)}
    columns = {name: _column(cast("nw.Series[Any]", given[name]), name) for name in (given if names is None else names)}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def missing_rows(frame: pd.DataFrame, names: Iterable[str]) -> Mask:
    """Rows with any of the columns missing, shape (n,)."""
    absent = np.zeros(len(frame), dtype=np.bool_)
    for name in names:
        absent |= frame[name].isna().to_numpy()
    return absent


def take_rows(frame: pd.DataFrame, rows: Index) -> pd.DataFrame:
    """Some rows, numbered from 0; categories that no longer occur are dropped, and complete truth values
    become bool."""
    part = frame.iloc[rows].reset_index(drop=True)
    for name in part.columns:
        column = part[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            part[name] = column.cat.remove_unused_categories()
        elif (
            column.dtype == object and len(column) and column.map(lambda item: isinstance(item, bool | np.bool_)).all()
        ):
            part[name] = column.astype(bool)
    return part


def mapping_frame(data: Any) -> Any:
    """A mapping of columns as a data frame, what narwhals wraps as it was before; anything else as it is.

    Raises ShapeError for columns of other lengths, AlignmentError for series of different indexes beside columns that
    have none.
    """
    if not isinstance(data, Mapping):
        return nw.to_native(data, pass_through=True)
    series = {name: column.index for name, column in data.items() if isinstance(column, pd.Series)}
    first = next(iter(series), None)
    other = next((name for name, index in series.items() if not index.equals(series[first])), None)
    plain = next((name for name, column in data.items() if name not in series and np.ndim(column)), None)
    if other is not None and plain is not None:
        raise AlignmentError(
            f"Columns '{first}' and '{other}' are series with different indexes, and '{plain}' has none: whose rows it "
            "follows would be a guess. Give all of them an index, or none (.to_numpy())."
        )
    try:
        return pd.DataFrame(dict(data))
    except (ValueError, pd.errors.InvalidIndexError) as error:
        raise ShapeError(f"The columns do not make a table: {error}. Give columns of the same length.") from error


def _frame(data: Any) -> nw.DataFrame[Any]:
    frame = try_frame(mapping_frame(data))
    if frame is None:
        raise DataError(f"A formula needs a data frame (pandas, polars, pyarrow, ...), not {type(data).__name__}.")
    return frame


def _column(series: nw.Series[Any], name: str) -> Any:
    kind = series.dtype
    if kind.is_integer() and not series.is_null().any():
        whole = series.to_numpy()
        if np.abs(whole.astype(np.float64)).max(initial=0.0) > EXACT_INTEGERS:
            return whole  # float64 would merge neighbours, which matters for categories
    if kind.is_numeric():
        values = np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
        infinite = np.isinf(values)
        if infinite.any():
            raise NotFiniteError(
                f"Column '{name}' is infinite in row {int(infinite.argmax())} (counted from 0; {int(infinite.sum()):,} "
                "such rows). Correct it, or mark it missing."
            )
        return values
    absent = series.is_null().to_numpy().astype(np.bool_)
    if kind == nw.Boolean and not absent.any():
        return series.to_numpy().astype(np.bool_)
    cells = np.array(series.to_list(), dtype=object)
    cells[absent] = None
    if isinstance(kind, nw.Enum) or _is_pandas_categorical(series):
        return pd.Categorical(cells, categories=series.cat.get_categories().to_list())
    if kind == nw.Categorical:
        return cells
    wrong = [item for item in cells if item is not None and not isinstance(item, str | bool | np.bool_)]
    if wrong:
        held = getattr(series.to_native(), "dtype", kind)
        raise DataError(
            f"Column '{name}' holds {type(wrong[0]).__name__} values ({held}), neither numbers nor text. Convert it "
            "first."
        )
    return cells


def _is_pandas_categorical(series: nw.Series[Any]) -> bool:
    return isinstance(getattr(series.to_native(), "dtype", None), pd.CategoricalDtype)
