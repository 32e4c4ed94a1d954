"""Sample and variant identifiers as tables of text."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError

SAMPLE_COLUMNS = ("FID", "IID")
VARIANT_COLUMNS = ("chromosome", "id", "position", "allele_1", "allele_2")
NO_FAMILY = "0"
"""PLINK's family id for people without one."""
EXACT_INTEGERS = 2.0**53
"""Whole numbers up to here are the same in float64."""


def sample_table(ids: Any, name: str) -> pd.DataFrame:
    """FID and IID as text, in the order given; plain ids become IIDs with FID '0', as do people without FID.

    `ids` is any data frame with IID and, if known, FID, or n plain ids. Integers become their digits, whole floats too.
    Raises AlignmentError for a table without IID, a missing IID, and for a person listed twice.
    """
    frame = nw.from_native(ids, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        if "IID" not in frame.columns:
            raise AlignmentError(
                f"The sample ids of '{name}' have columns {list(frame.columns)}. A column IID is needed (and FID, if "
                "known)."
            )
        individual = id_text(frame["IID"].to_list())
        family = id_text(frame["FID"].to_list()) if "FID" in frame.columns else np.array([None] * len(frame))
    else:
        if np.ndim(ids) != 1:
            raise AlignmentError(
                f"The sample ids of '{name}' have shape {np.shape(ids)}. Give n ids, or a data frame with IID and FID."
            )
        individual = id_text(ids)
        family = np.array([None] * len(individual))
    family = np.array([NO_FAMILY if item is None else item for item in family], dtype=object)
    absent = np.array([item is None for item in individual], dtype=np.bool_)
    if absent.any():
        raise AlignmentError(
            f"'{name}' has no IID in row {int(absent.argmax())} (counted from 0; {int(absent.sum()):,} such rows). "
            "Give every person an id, or leave these rows out."
        )
    table = pd.DataFrame({"FID": family, "IID": individual}, columns=list(SAMPLE_COLUMNS), dtype=object)
    refuse_duplicates(table, name)
    return table


def id_text(values: Any) -> NDArray[np.object_]:
    """Ids as text, shape (n,), None where missing: integers as their digits, as are floats that are whole.

    Tables with gaps hold whole numbers as floats, and up to 2^53 these are exact.
    """
    text = np.empty(len(values), dtype=object)
    for at, item in enumerate(values):
        text[at] = _one_id(item)
    return text


def _one_id(item: Any) -> str | None:
    if item is None or item is pd.NA or item is pd.NaT or item is np.ma.masked:
        return None
    if isinstance(item, float | np.floating):
        number = float(item)
        if np.isnan(number):
            return None
        return str(int(number)) if number.is_integer() and abs(number) <= EXACT_INTEGERS else str(item)
    return item.decode() if isinstance(item, bytes) else str(item)


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
