"""Tables of expression and proportions in text and Parquet files: their headers, and whole tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from varmix.errors import DataError, FileFormatError
from varmix.tables.chunks import listed_files
from varmix.tables.table_file import UNNAMED_INDEX, TableFile, label_column, open_table

CHUNK_GENES = 4096
"""Genes that are read at a time: 16 MB of 500 samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChunks:
    """Tables of files, one after the other, as pandas frames whose index names the rows."""

    files: tuple[TableFile, ...]
    rows: int

    def __call__(self, names: Any = ()) -> Iterator[pd.DataFrame]:
        """A new iterator. Raises FileFormatError, DataError (a cell that is not a number: line, column, value)."""
        for file in self.files:
            label = _label(file)
            numbers = [name for name in file.names if name != label and not UNNAMED_INDEX.fullmatch(name)]
            for values, text in file.frames(numbers, [label], rows=self.rows):
                yield values.set_axis(pd.Index(text[label].to_numpy(dtype=object)), axis=0)


def file_chunks(paths: Any, rows: int = CHUNK_GENES) -> FileChunks:
    """Chunks of the tables in one path or several, which have the same columns: text (tabs, commas or blanks, .gz and
    others too) whose first column names the rows, or Parquet.

    Raises MissingFileError, FileFormatError, MissingExtraError (Parquet without pyarrow), DataError (columns that
    differ between files).
    """
    files = tuple(_opened(path) for path in listed_files(paths))
    for other in files[1:]:
        differ = sorted(set(other.names) ^ set(files[0].names))
        if differ:
            raise DataError(
                f"{other.path} and {files[0].path} differ in their columns (first: '{differ[0]}'). Give files of the "
                "same samples."
            )
    return FileChunks(files=files, rows=rows)


def read_table_of_expression(path: str | PathLike[str]) -> pd.DataFrame:
    """Genes x samples, float64, NaN where missing; the first column of the file is the index.

    Raises MissingFileError, FileFormatError (not a table, cells that are not numbers: column, row, value).
    """
    return _numeric_table(path)


def read_table_of_proportions(path: str | PathLike[str]) -> pd.DataFrame:
    """Sample types (or samples) x cell types, float64, NaN where missing; the first column of the file is the index.

    Raises MissingFileError, FileFormatError (not a table, cells that are not numbers: column, row, value).
    """
    return _numeric_table(path)


def _numeric_table(path: str | PathLike[str]) -> pd.DataFrame:
    chunks = list(file_chunks(path)())
    if not any(len(chunk) for chunk in chunks):
        raise FileFormatError(f"{path} has a header and no further line.")
    return pd.concat(chunks)


def _opened(path: Path) -> TableFile:
    file = open_table(path, row_names=True)
    if len(file.names) < 2:
        raise FileFormatError(
            f"{path} has one column, '{file.names[0]}'. It needs names in the first and numbers in the others, "
            "separated by tabs, commas or blanks."
        )
    unnamed = [at for at, name in enumerate(file.names, start=1) if at > 1 and not name]
    if unnamed:
        raise FileFormatError(
            f"{path}: column {unnamed[0]} of {len(file.names)} has no name. Name it, or end lines without a separator."
        )
    file.refuse_twice()
    return file


def _label(file: TableFile) -> str:
    """The column of names: of text the first, of Parquet what `label_column` says."""
    return file.names[0] if not file.parquet else label_column(file)
