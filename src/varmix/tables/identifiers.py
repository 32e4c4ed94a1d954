"""Sample and variant identifiers as text: what was read as a number is written as its digits."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError, DataError

SAMPLE_COLUMNS = ("FID", "IID")
VARIANT_COLUMNS = ("chromosome", "id", "position", "allele_1", "allele_2")
NO_FAMILY = "0"
"""PLINK's family id for people without one."""
EXACT_BITS = 53
EXACT_INTEGERS = 2.0**EXACT_BITS
"""Whole numbers up to here are the same in float64."""


def id_columns(names: Iterable[Any]) -> dict[str, Any]:
    """Which of the names are those of FID and IID: as PLINK writes them, else in any case, with '#' before them."""
    listed = list(names)
    found = {}
    for wanted in SAMPLE_COLUMNS:
        alike = [name for name in listed if str(name).strip().removeprefix("#").casefold() == wanted.casefold()]
        exact = [name for name in alike if name == wanted]
        if alike:
            found[wanted] = (exact or alike)[0]
    return found


def sample_table(ids: Any, name: str) -> pd.DataFrame:
    """FID and IID as text, in the order given; plain ids become IIDs with FID '0', as do people without FID.

    `ids` is any data frame with IID and, if known, FID, or n plain ids. Integers become their digits, whole floats too.
    Raises AlignmentError for a table without IID, a missing IID, and for a person listed twice.
    """
    table = id_table(ids, name)
    refuse_duplicates(table, name)
    return table


def id_table(ids: Any, name: str) -> pd.DataFrame:
    """As `sample_table`, where a person may be listed twice."""
    if isinstance(ids, pd.MultiIndex):
        ids = ids.to_frame(index=False)
    frame = nw.from_native(ids, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        there = id_columns(frame.columns)
        if "IID" not in there:
            raise AlignmentError(
                f"The sample ids of '{name}' have columns {list(frame.columns)}. A column IID is needed (and FID, if "
                "known)."
            )
        individual = id_text(column_cells(frame[there["IID"]]), f"IID of '{name}'")
        family = np.array([None] * len(individual), dtype=object)
        if "FID" in there:
            family = id_text(column_cells(frame[there["FID"]]), f"FID of '{name}'")
    else:
        if np.ndim(ids) != 1:
            raise AlignmentError(
                f"The sample ids of '{name}' have shape {np.shape(ids)}. Give n ids, or a data frame with IID and FID."
            )
        individual = id_text(ids, f"The ids of '{name}'")
        family = np.array([None] * len(individual), dtype=object)
    family = np.array([item if item and item.strip() else NO_FAMILY for item in family], dtype=object)
    absent = np.array([not (item and item.strip()) for item in individual], dtype=np.bool_)
    if absent.any():
        raise AlignmentError(
            f"'{name}' has no IID in row {int(absent.argmax())} (counted from 0; {int(absent.sum()):,} such rows). "
            "Give every person an id, or leave these rows out."
        )
    return pd.DataFrame({"FID": family, "IID": individual}, columns=list(SAMPLE_COLUMNS), dtype=object)


def id_text(values: Any, what: str = "A column of ids") -> NDArray[np.object_]:
    """Ids as text, shape (n,), None where missing: integers as their digits, as are floats that are whole.

    Tables with gaps hold whole numbers as floats, and up to 2^53 these are exact (up to 2^24 in float32). Raises
    DataError, naming `what`, for floats beyond, among which neighbouring ids are one number.
    """
    text = np.empty(len(values), dtype=object)
    if (
        len(values)
        and isinstance(values, list | np.ndarray)
        and pd.api.types.infer_dtype(values, skipna=False) == "string"
    ):
        text[:] = values
        return text
    for at, item in enumerate(values):
        text[at] = item if type(item) is str else _one_id(item, what)
    return text


def column_cells(column: Any) -> list[Any]:
    """Cells of a column or an index; floats in their own width, which says up to where whole numbers are exact."""
    narrow = str(column.dtype).lower() in ("float16", "float32")
    return list(column.to_numpy()) if narrow else list(column.to_list())


def label_text(label: Any) -> str:
    """One label as text, as `id_text` writes it; a missing one is empty."""
    return label if type(label) is str else _one_id(label, "A label") or ""


def _one_id(item: Any, what: str) -> str | None:
    if item is None or item is pd.NA or item is pd.NaT or item is np.ma.masked:
        return None
    if isinstance(item, float | np.floating):
        number = float(item)
        if np.isnan(number):
            return None
        bits = np.finfo(item).nmant + 1 if isinstance(item, np.floating) else EXACT_BITS
        if number.is_integer() and abs(number) > 2.0**bits:
            raise DataError(
                f"{what} holds {item!r}: a float beyond 2^{bits}, among which neighbouring ids are one number. Read "
                "the column as text, or as integers that may be missing (pandas: dtype='Int64')."
            )
        return str(int(number)) if number.is_integer() else str(item)
    if isinstance(item, decimal.Decimal) and item.is_finite() and item == item.to_integral_value():
        return str(int(item))
    if isinstance(item, dt.datetime | np.datetime64):
        return _date_text(pd.Timestamp(item))
    return item.decode(errors="backslashreplace") if isinstance(item, bytes) else str(item)


def _date_text(moment: Any) -> str | None:
    """A day without time reads as a date does, whatever the type of the column."""
    if moment is pd.NaT:
        return None
    return str(moment.date()) if moment == moment.normalize() and moment.tz is None else str(moment)


def refuse_duplicates(table: pd.DataFrame, name: str) -> None:
    """Raise AlignmentError naming the first person that `table` (FID, IID) lists twice."""
    repeated = table.duplicated(subset=list(SAMPLE_COLUMNS)).to_numpy()
    if not repeated.any():
        return
    at = int(repeated.argmax())
    family, individual = table["FID"].iloc[at], table["IID"].iloc[at]
    first = int(((table["FID"] == family) & (table["IID"] == individual)).to_numpy().argmax())
    raise AlignmentError(
        f"'{name}' lists {int(repeated.sum()):,} people more than once; the first is FID '{family}', IID "
        f"'{individual}' (entries {first + 1} and {at + 1}). Keep one entry per person."
    )
