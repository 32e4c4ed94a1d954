"""Proportions that are known, to hold estimated ones against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, ShapeError
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import label_text
from varmix.tables.named_rows import named_rows
from varmix.typing import Matrix

ROUNDED = 1e-3
"""Distance from 0 and 1 that proportions written with a few digits can have."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownProportions:
    """`values` (D, T), NaN where not known, in the order of a fit's sample types; columns are `cell_types`.

    `named` says whether the names of the columns were given, or are those of the fit.
    """

    values: Matrix
    cell_types: tuple[str, ...]
    named: bool


def read_known(known: Any, sample_types: Sequence[str], cell_types: Sequence[str]) -> KnownProportions:
    """From a data frame with a row per sample type (others are passed over) or an array (D, T) in the fit's order.

    Raises ShapeError (another number of cell types or rows), AlignmentError (sample types that are missing, names
    twice), DataError (text, entries outside of 0 to 1, nothing known of a cell type).
    """
    if not isinstance(known, pd.DataFrame) and try_frame(known) is not None:
        known = named_rows(known)
    named = isinstance(known, pd.DataFrame)
    table = _of_types(known, sample_types) if named else known
    try:
        values = np.array(table, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The known proportions are no table of numbers ({error}). Give sample types x cell types, names of sample "
            "types as the index of a data frame."
        ) from error
    if values.shape != (len(sample_types), len(cell_types)):
        raise ShapeError(
            f"The known proportions have shape {values.shape}; the fit has {len(sample_types)} sample types and "
            f"{len(cell_types)} cell types ({', '.join(cell_types)}). Give a row and a column for each."
        )
    names = tuple(label_text(name).strip() for name in known.columns) if named else tuple(cell_types)
    _check(values, sample_types, names)
    return KnownProportions(values=values, cell_types=names, named=named)


def _of_types(known: pd.DataFrame, sample_types: Sequence[str]) -> pd.DataFrame:
    """Rows in the order of the fit's sample types."""
    rows = [label_text(name) for name in known.index]
    columns = [label_text(name).strip() for name in known.columns]
    for names, what in ((rows, "rows"), (columns, "columns")):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise AlignmentError(f"'{twice[0]}' is twice among the {what} of the known proportions. Name each once.")
    odd = [name for name in columns if not name or "|" in name or "=" in name]
    if odd:
        raise AlignmentError(
            f"The cell type '{odd[0]}' has a name that is empty or holds '|' or '=', which write partitions."
        )
    places = {name: at for at, name in enumerate(rows)}
    if missing := [name for name in sample_types if name not in places]:
        raise AlignmentError(
            f"{len(missing):,} of the fit's {len(sample_types):,} sample types have no row in the known proportions "
            f"(first: '{missing[0]}'; rows: {', '.join(rows[:4])}{', ...' if len(rows) > 4 else ''}). Add them, with "
            "NaN for what is not known."
        )
    return known.iloc[[places[name] for name in sample_types]]


def _check(values: Matrix, rows: Sequence[str], columns: Sequence[str]) -> None:
    outside = (values < -ROUNDED) | (values > 1.0 + ROUNDED)
    if outside.any():
        row, column = (int(at) for at in np.argwhere(outside)[0])
        raise DataError(
            f"The known proportion of '{columns[column]}' in '{rows[row]}' is {values[row, column]:.6g} "
            f"({int(outside.sum()):,} such entries): proportions are between 0 and 1. Correct them."
        )
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        raise DataError(
            f"Nothing is known of '{columns[int(empty.argmax())]}': all of its proportions are NaN. Give some."
        )
