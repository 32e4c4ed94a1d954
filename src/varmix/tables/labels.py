"""What the rows of a table are called: ids of people, or the index of a data frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError
from varmix.tables.frame import mapping_frame, try_frame
from varmix.tables.identifiers import NO_FAMILY, column_cells, id_columns, id_table, id_text
from varmix.typing import Index

SEPARATOR = "\t"
"""Between the parts of a label: ids are read from text split at blanks or tabs, so neither contains it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Names of n rows.

    `ids` are FID and IID as text; `index` the text of a data frame's own index. `sliced`: that index is unnamed whole
    numbers, which is what sorting and slicing leave, and less than a name. `counted`: the rows of a data frame that are
    numbered from 0, which is no label; `numbers` are those of the rows that are left of it (None: all).
    """

    rows: int
    ids: pd.DataFrame | None = None
    index: pd.Index[Any] | None = None
    sliced: bool = False
    counted: bool = False
    numbers: Index | None = None

    def at(self, rows: Index) -> Labels:
        """Those of some rows, by position."""
        numbers = None
        if self.counted:
            numbers = rows if self.numbers is None else self.numbers[rows]
        return Labels(
            rows=len(rows),
            ids=None if self.ids is None else self.ids.iloc[rows].reset_index(drop=True),
            index=None if self.index is None else self.index[rows],
            sliced=self.sliced,
            counted=self.counted,
            numbers=numbers,
        )

    @property
    def known(self) -> bool:
        """Whether the rows are called anything."""
        return self.ids is not None or self.index is not None

    @property
    def families(self) -> bool:
        """Whether anybody has a family id."""
        return self.ids is not None and bool((self.ids["FID"] != NO_FAMILY).any())

    @property
    def individuals(self) -> pd.Index[Any]:
        """The IIDs, shape (n,)."""
        assert self.ids is not None
        return pd.Index(self.ids["IID"].to_numpy(dtype=object))

    @property
    def people(self) -> pd.Index[Any]:
        """FID and IID in one, shape (n,)."""
        assert self.ids is not None
        return pd.Index((self.ids["FID"] + SEPARATOR + self.ids["IID"]).to_numpy(dtype=object))

    def table(self) -> pd.DataFrame | None:
        """FID and IID of the rows, for results; names of an index are IIDs, unless slicing left them or one is missing
        or stands twice."""
        if self.ids is not None or self.index is None or self.sliced or self.index.hasnans or not self.index.is_unique:
            return self.ids
        return pd.DataFrame({"FID": NO_FAMILY, "IID": self.index.to_numpy(dtype=object)}, dtype=object)

    def shown(self, row: int) -> str:
        """The label of a row as a message shows it: "f1 i1", without a family "i1"."""
        if self.ids is not None:
            family, individual = self.ids["FID"].iloc[row], self.ids["IID"].iloc[row]
            return f"{family} {individual}" if self.families else str(individual)
        return str(self.index[row]).replace(SEPARATOR, " ") if self.index is not None else str(row)


def labelled(data: Any, name: str, id_column: str | None = None) -> tuple[Labels, Any]:
    """The labels of a table, and what is left of it: without columns of ids, rows numbered from 0.

    People are named by columns FID and IID (any case, '#' before the first), by levels of a pandas index with these
    names (one may be a column and the other a level), or by the column `id_column`; rows of pandas objects also by
    their index, unless it counts from 0. Arrays, and frames of other libraries without such columns, have no labels.
    Raises AlignmentError (FID without IID, a missing IID), DataError.
    """
    data = mapping_frame(data)
    frame = try_frame(data)
    length = _length(data)
    there = {} if frame is None else id_columns(frame.columns)
    if id_column is not None and frame is not None and id_column in frame.columns:
        there["IID"] = id_column
    index = data.index if isinstance(data, pd.DataFrame | pd.Series) else None
    levels = {} if index is None else id_columns(index.names)
    parts = {key: _cells(index.get_level_values(level)) for key, level in levels.items() if index is not None}
    parts |= {key: _cells(column_cells(frame[column])) for key, column in there.items() if frame is not None}
    if there and "IID" not in parts:
        raise AlignmentError(f"'{name}' has a column {there['FID']} and no IID. Give both, or IID alone.")
    ids = id_table(pd.DataFrame(parts), name) if "IID" in parts else None
    if there and frame is not None:
        data = data.drop(columns=list(there.values())) if index is not None else frame.drop(
            list(there.values())
        ).to_native()  # fmt: skip
    if index is None:
        return Labels(rows=length, ids=ids), data
    if ids is not None and levels:
        return Labels(rows=length, ids=ids), data.reset_index(drop=True)
    counted = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None
    if counted:
        return Labels(rows=length, ids=ids, counted=True), data
    own = Labels(rows=length, ids=ids, index=index_text(index, name), sliced=_is_sliced(index))
    return own, data.reset_index(drop=True)


def column_labels(table: Any, name: str) -> Labels:
    """The names of a data frame's columns as labels; names that a library counted up are none."""
    if isinstance(table, pd.DataFrame):
        return labelled(pd.Series(0, index=table.columns), name)[0]
    names = [str(column) for column in getattr(try_frame(table), "columns", ())]
    counted = names == [f"column_{number}" for number in range(len(names))]
    return Labels(rows=len(names), index=None if counted else pd.Index(names, dtype=object))


def index_text(index: pd.Index[Any], name: str) -> pd.Index[Any]:
    """Labels of an index as text, its levels joined."""
    if isinstance(index, pd.MultiIndex):
        parts = [id_text(index.get_level_values(level), f"The index of '{name}'") for level in range(index.nlevels)]
        return pd.Index(np.array([SEPARATOR.join(map(str, row)) for row in zip(*parts, strict=True)], dtype=object))
    return pd.Index(id_text(column_cells(index), f"The index of '{name}'"), dtype=object)


def rows_at(data: Any, positions: Index) -> Any:
    """Rows of a table or array, without their labels."""
    if isinstance(data, pd.DataFrame | pd.Series):
        return data.iloc[positions].reset_index(drop=True)
    frame = nw.from_native(data, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(frame, nw.DataFrame | nw.Series):
        return frame[positions.tolist()].to_native()
    return np.asarray(data)[positions] if not isinstance(data, np.ma.MaskedArray) else data[positions]


def _length(data: Any) -> int:
    """Rows of what may be anything: whoever reads it tells what it cannot be."""
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else 1
    return len(data) if hasattr(data, "__len__") else 1


def _is_sliced(index: pd.Index[Any]) -> bool:
    whole = pd.api.types.is_integer_dtype(index.dtype) or pd.api.types.is_float_dtype(index.dtype)
    return not isinstance(index, pd.MultiIndex) and whole and index.name is None


def _cells(values: Any) -> NDArray[np.object_]:
    listed = list(values)
    cells = np.empty(len(listed), dtype=object)
    cells[:] = listed
    return cells
