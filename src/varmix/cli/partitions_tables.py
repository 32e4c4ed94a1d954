"""The tables of `varmix partitions`: expression, what is known of proportions, types of samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.dirichlet import Dirichlet
from varmix.cli.partitions_request import PartitionFiles
from varmix.errors import AlignmentError, DataError, OptionError
from varmix.tables.columns import LABEL, column_names, read_columns
from varmix.tables.numeric_tables import read_table_of_expression, read_table_of_proportions
from varmix.tables.text import check_there


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionTables:
    """What was read.

    `expression` is a frame (genes x samples), or of a stream the path; `proportions` and `cell_types` are arguments of
    `partition_mixture`; `types` is the type of each sample by its name, None where samples tell it by their
    proportions. `estimated` says whether any proportion is.
    """

    expression: pd.DataFrame | str
    proportions: Any
    cell_types: list[str] | int | None
    types: dict[str, str] | None
    estimated: bool
    known: pd.DataFrame | None
    new: pd.DataFrame | None


def read_partition_tables(files: PartitionFiles) -> PartitionTables:
    """Read all tables. Raises MissingFileError, FileFormatError, DataError (cells, samples without a type),
    AlignmentError (samples twice), OptionError (columns that are not there)."""
    for path in (files.expression, files.proportions, files.types, files.known, files.predict):
        if path is not None:
            check_there(path)
    proportions, types = _proportions(files)
    if files.types is not None:
        types = _types(files.types, files.types_column)
    return PartitionTables(
        expression=str(files.expression) if files.stream else read_table_of_expression(files.expression),
        proportions=proportions,
        cell_types=files.names,
        types=types,
        estimated=not isinstance(proportions, pd.DataFrame) or bool(proportions.isna().to_numpy().any()),
        known=None if files.known is None else read_table_of_proportions(files.known),
        new=None if files.predict is None else read_table_of_expression(files.predict),
    )


def _proportions(files: PartitionFiles) -> tuple[Any, dict[str, str] | None]:
    """The argument, and types that are a column of the table."""
    if files.free is not None:
        return "free", None
    if files.dirichlet is not None:
        return Dirichlet(files.dirichlet), None
    assert files.proportions is not None
    own = files.types_column if files.types is None else None
    if own is None:
        table, types = read_table_of_proportions(files.proportions), None
    else:
        table, types = _with_types(files.proportions, own)
    if files.strength is None:
        return table, types
    return Dirichlet.around(table, files.strength), types


def _with_types(path: Path, own: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Proportions of samples, and the column of their types."""
    first, *names = column_names(path)
    cells = {f"column {number}": name for number, name in enumerate(names, start=2) if name != own}
    read = read_columns(path, cells, {"column 1": first, "--sample-type-column": own})
    read = read.set_axis(pd.Index(read[LABEL + first].astype(str), name=None), axis=0)
    return read[list(cells.values())], _labels(read[LABEL + own], path)


def _types(path: Path, column: str | None) -> dict[str, str]:
    """The type of each sample: first column samples; the column of types, or the only other."""
    names = column_names(path)
    if column is None:
        if len(names) != 2:
            raise OptionError(
                f"--sample-type {path} has {len(names)} columns ({', '.join(names[:8])}). Name the one of the types by "
                "--sample-type-column; the first names the samples."
            )
        column = names[1]
    if column == names[0]:
        raise OptionError(f"--sample-type-column {column} is the first column of {path}, which names the samples.")
    table = read_columns(path, {}, {"--sample-type": names[0], "--sample-type-column": column})
    return _labels(table.set_index(LABEL + names[0])[LABEL + column], path)


def _labels(column: pd.Series[Any], path: Path) -> dict[str, str]:
    absent = column.index[column.isna()]
    if len(absent):
        raise DataError(f"{path}: sample '{absent[0]}' has no type ({len(absent):,} have none). Give it one.")
    twice = column.index[column.index.duplicated()]
    if len(twice):
        raise AlignmentError(f"{path} names sample '{twice[0]}' twice. Give each sample one line.")
    return dict(zip(column.index.astype(str), column.astype(str), strict=True))


def of_types(table: pd.DataFrame, sample_types: tuple[str, ...], types: dict[str, str] | None) -> pd.DataFrame:
    """Rows of a table of proportions for the sample types of a fit: it has them, or it has their samples.

    Raises AlignmentError for types that are not there.
    """
    if not table.index.is_unique:
        raise AlignmentError(f"--known-proportions names '{table.index[table.index.duplicated()][0]}' twice.")
    if set(sample_types) <= set(table.index):
        return table.loc[list(sample_types)]
    by_sample = {label: sample for sample, label in (types or {}).items() if sample in table.index}
    rows = [by_sample.get(name) for name in sample_types]
    if None in rows:
        absent = [name for name in sample_types if name not in table.index]
        raise AlignmentError(
            f"--known-proportions has no row for {len(absent):,} of {len(sample_types):,} sample types (first: "
            f"'{absent[0]}'; rows: {', '.join(table.index[:6])}{', ...' if len(table) > 6 else ''}). Its rows are the "
            "sample types of the fit, or their samples."
        )
    return table.loc[rows].set_axis(pd.Index(sample_types, dtype=object), axis=0)


def types_of(new: pd.DataFrame, types: dict[str, str] | None) -> np.ndarray[Any, Any] | None:
    """Types of the samples of a new table, where all of them are told; else they are the fit's."""
    if types is None or not all(name in types for name in new.columns):
        return None
    return np.array([types[name] for name in new.columns], dtype=object)
