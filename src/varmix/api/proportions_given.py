"""Proportions as they are given: tables, mappings, arrays, priors; and the names of cell types [PART-7]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.dirichlet import Dirichlet
from varmix.api.partition_choice import names_in
from varmix.errors import AlignmentError, DataError, OptionError, ShapeError
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import label_text
from varmix.tables.named_rows import named_rows
from varmix.tables.numbers import real_numbers
from varmix.tables.sample_types import refuse_twice
from varmix.typing import Matrix

FREE = "free"
ACCEPTED = (
    "a data frame of sample types x cell types, an array, a mapping from sample types to rows, 'free', or "
    "Dirichlet(...)"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Given:
    """Rows as given: names of rows and columns where there are any, values (R, T); without `values` all is free."""

    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    values: Matrix | None = None


def read_given(proportions: Any) -> Given:
    """The table of proportions, or of the concentration of a prior, as it is. Raises OptionError (what it cannot be),
    AlignmentError (names twice), ShapeError, DataError (text)."""
    if isinstance(proportions, Dirichlet):
        if np.ndim(proportions.concentration) == 0 and try_frame(proportions.concentration) is None:
            return Given()
        return read_given(proportions.concentration)
    if isinstance(proportions, str):
        if proportions == FREE:
            return Given()
        raise OptionError(f"proportions={proportions!r} is not known. Give {ACCEPTED}.")
    if proportions is None:
        raise OptionError(f"Give proportions: {ACCEPTED}.")
    if isinstance(proportions, Mapping):
        try:
            proportions = pd.DataFrame.from_dict(dict(proportions), orient="index")
        except (ValueError, TypeError, AttributeError) as error:
            raise OptionError(
                f"proportions is a mapping that makes no table: {error}. Give each sample type one list of as many "
                "numbers, or a mapping by cell type."
            ) from error
        unnamed = isinstance(proportions.columns, pd.RangeIndex)
        rows = tuple(label_text(name) for name in proportions.index)
        return Given(rows=rows, columns=None if unnamed else _texts(proportions.columns), values=_numbers(proportions))
    if try_frame(proportions) is not None:
        table = named_rows(proportions)
        rows, columns = tuple(label_text(name) for name in table.index), _texts(table.columns)
        advice = "Give each a name of its own."
        refuse_twice(rows, "rows of the proportions", AlignmentError, advice)
        refuse_twice(columns, "columns of the proportions", AlignmentError, advice)
        return Given(rows=rows, columns=columns, values=_numbers(table))
    values = np.asarray(real_numbers(proportions, "The table of proportions"), dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ShapeError(
            f"The proportions have shape {values.shape}. Give one row per sample type and one column per cell type."
        )
    return Given(values=values)


def _texts(names: Any) -> tuple[str, ...]:
    return tuple(label_text(name).strip() for name in names)


def _numbers(table: pd.DataFrame) -> Matrix:
    for name, (_, column) in zip(table.columns, table.items(), strict=True):
        wrong = [item for item in column if isinstance(item, str)]
        if wrong:
            raise DataError(
                f"Column '{name}' of the proportions holds text (for instance '{wrong[0]}'). Give numbers, and the "
                "names of sample types as the index or the first column."
            )
    if not table.size:
        raise ShapeError(
            f"The table of proportions has shape {table.shape}: it holds no number. Check how it was read."
        )
    values = table.astype(object).where(table.notna(), np.nan).to_numpy()
    return np.asarray(real_numbers(values, "The table of proportions"), dtype=np.float64)


def read_cell_types(cell_types: Any) -> tuple[str, ...] | int | None:
    """Names (T,), their number, or None. Raises OptionError for anything else."""
    if cell_types is None:
        return None
    if isinstance(cell_types, int | np.integer) and not isinstance(cell_types, bool):
        if cell_types < 1:
            raise OptionError(f"cell_types={cell_types} must be names, or a whole number of at least 2.")
        return int(cell_types)
    try:
        names = _texts([cell_types] if isinstance(cell_types, str) else cell_types)
    except TypeError as error:
        raise OptionError(f"cell_types={cell_types!r} is not known. Give names, or a whole number.") from error
    if not names:
        raise OptionError("cell_types is empty. Give names, or a whole number of at least 2.")
    return names


def agreed(first: tuple[str, ...] | int | None, second: tuple[str, ...] | int | None) -> tuple[str, ...] | int | None:
    """The one that says more. Raises OptionError for two that differ."""
    if first is None or second is None or first == second:
        return second if first is None else first
    if isinstance(first, int) and not isinstance(second, int) and len(second) == first:
        return second
    if isinstance(second, int) and not isinstance(first, int) and len(first) == second:
        return first
    raise OptionError(
        f"cell_types is {second!r}, and {first!r} in the Dirichlet prior. Give it once, or the same names."
    )


def cell_type_names(given: Given, cell_types: tuple[str, ...] | int | None, partitions: Any) -> tuple[str, ...]:
    """Names of the cell types (T,): those given, the columns' or the partitions'; else "cell 1", "cell 2", ...

    Raises OptionError (not known, or a name that words of partitions cannot hold), AlignmentError (twice), ShapeError.
    """
    width = None if given.values is None else given.values.shape[1]
    if isinstance(cell_types, int):
        if width is not None and width != cell_types:
            raise ShapeError(
                f"cell_types is {cell_types}, and the proportions have {width} columns. Give one column per cell type."
            )
        known = names_in(partitions) if width is None else given.columns
        names = known if known is not None and len(known) == cell_types else _counted(cell_types)
    elif cell_types is not None:
        names = cell_types
    elif width is not None:
        names = given.columns or _counted(width)
    else:
        found = names_in(partitions)
        if found is None:
            raise OptionError(
                "How many cell types there are is not known where proportions are free: give cell_types=, their names "
                "or their number, or partitions as a list in words."
            )
        names = found
    refuse_twice(names, "cell types", AlignmentError, "Give each a name of its own.")
    odd = [name for name in names if not name or "|" in name or "=" in name]
    if odd:
        raise OptionError(
            f"A cell type cannot be called '{odd[0]}': names are not empty and hold no '|' or '=', which write "
            "partitions. Rename it."
        )
    if width is not None and given.columns is None and len(names) != width:
        raise ShapeError(
            f"There are {len(names)} cell types ({', '.join(names)}) and {width} columns of proportions. Give one "
            "column per cell type."
        )
    return names


def _counted(count: int) -> tuple[str, ...]:
    return tuple(f"cell {number}" for number in range(1, count + 1))


def with_columns(given: Given, names: tuple[str, ...]) -> Given:
    """Columns in the order of the cell types. Raises AlignmentError for names that differ."""
    if given.columns is None or given.values is None or given.columns == names:
        return given
    absent = [name for name in names if name not in given.columns]
    surplus = [name for name in given.columns if name not in names]
    if surplus and not absent:
        raise AlignmentError(
            f"The proportions have a column '{surplus[0]}', which is none of the cell types ({', '.join(names)}): rows "
            "would not sum to 1 without it. Name it, or leave cell_types out."
        )
    if absent:
        raise AlignmentError(
            f"The proportions have no column '{absent[0]}': they have {', '.join(given.columns)}. Name the columns as "
            "the cell types."
        )
    order = [given.columns.index(name) for name in names]
    return Given(rows=given.rows, columns=names, values=given.values[:, order])
