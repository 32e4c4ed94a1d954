"""Any data frame as pandas, with the names of its rows as the index."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from varmix.errors import DataError
from varmix.tables.frame import try_frame


def named_rows(data: Any) -> pd.DataFrame:
    """Rows are named by the index of a pandas frame, or by the first column where that holds text.

    Cells are left as they are, but for nulls of numeric columns, which are NaN. Raises DataError for two columns of one
    name and for what is no data frame.
    """
    table = unnamed_rows(data)
    index = table.index
    own = not isinstance(index, pd.RangeIndex) and (index.dtype.kind not in "iu" or index.name is not None)
    if own or not table.shape[1] or pd.api.types.is_numeric_dtype(table.dtypes.iloc[0]):
        return table
    first = table.iloc[:, 0]
    if not any(isinstance(item, str) for item in first):
        return table
    return table.iloc[:, 1:].set_axis(pd.Index(first, dtype=object), axis=0)


def unnamed_rows(data: Any) -> pd.DataFrame:
    """The same without a look at the first column: only pandas frames have an index of their own."""
    data = nw.to_native(data, pass_through=True)
    frame = try_frame(data)
    if frame is None:
        raise DataError(f"A data frame (pandas, polars, pyarrow, ...) is needed, not a {type(data).__name__}.")
    if isinstance(data, pd.DataFrame):
        return data
    columns = {}
    for name, series in zip(frame.columns, frame.iter_columns(), strict=True):
        numeric = series.dtype.is_numeric()
        columns[str(name)] = series.cast(nw.Float64).to_numpy() if numeric else series.to_list()
    return pd.DataFrame(columns)
