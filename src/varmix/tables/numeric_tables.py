"""Tables of expression and proportions in text and Parquet files: their headers, and whole tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from varmix.errors import DataError, FileFormatError, MissingExtraError
from varmix.tables.chunks import COMPRESSED, DAMAGED, PARQUET, Source, open_source
from varmix.tables.named_rows import unnamed_rows

CHUNK_GENES = 4096
"""Genes that are read at a time: 16 MB of 500 samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Names of a table's columns in order; `rows` is that with the names of rows, None where these have no header."""

    names: tuple[str, ...]
    rows: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChunks:
    """Tables of files, one after the other, as pandas frames whose index names the rows."""

    source: Source
    header: Header

    def __call__(self, names: Any = ()) -> Any:
        """A new iterator. Raises FileFormatError."""
        for chunk in self.source(self.header.names):
            table = unnamed_rows(chunk)
            if self.header.rows is None:
                yield table
            else:
                labels = pd.Index(table[self.header.rows].astype(object), name=None)
                yield table.drop(columns=self.header.rows).set_axis(labels, axis=0)


def file_chunks(paths: Any, rows: int = CHUNK_GENES) -> FileChunks:
    """Chunks of the tables in one path or several, which have the same columns: text (tabs, commas or blanks, .gz and
    others too) whose first column names the rows, or Parquet.

    Raises MissingFileError, FileFormatError, MissingExtraError (Parquet without pyarrow), DataError (columns that
    differ between files).
    """
    files: Any = open_source(paths)
    header = header_of(files.files[0])
    for file in files.files[1:]:
        other = header_of(file)
        differ = sorted(set(other.names) ^ set(header.names))
        if differ:
            raise DataError(
                f"{file} and {files.files[0]} differ in their columns (first: '{differ[0]}'). Give files of the same "
                "samples."
            )
    text = () if header.rows is None else (header.rows,)
    return FileChunks(source=open_source(paths, text=text, rows=rows), header=header)


def header_of(path: Path) -> Header:
    """Names of the columns. Raises FileFormatError (empty, one column, two of a name)."""
    parquet = path.suffix.lower() in PARQUET
    header = _parquet_header(path) if parquet else _text_header(path)
    if len(header.names) - (header.rows is not None) < 1:
        raise FileFormatError(
            f"{path} has one column, '{header.names[0]}'. It needs names in the first and numbers in the others, "
            "separated by tabs, commas or blanks."
        )
    twice = [name for at, name in enumerate(header.names) if name in header.names[:at]]
    if twice:
        raise FileFormatError(f"{path} has two columns named '{twice[0]}'. Give every column its own name.")
    return header


def read_table_of_expression(path: str | PathLike[str]) -> pd.DataFrame:
    """Genes x samples, float64, NaN where missing; the first column of the file is the index.

    Raises MissingFileError, FileFormatError (not a table, cells that are not numbers: column, row, value).
    """
    return _numeric_table(path, "gene")


def read_table_of_proportions(path: str | PathLike[str]) -> pd.DataFrame:
    """Sample types (or samples) x cell types, float64, NaN where missing; the first column of the file is the index.

    Raises MissingFileError, FileFormatError (not a table, cells that are not numbers: column, row, value).
    """
    return _numeric_table(path, "row")


def _numeric_table(path: str | PathLike[str], row: str) -> pd.DataFrame:
    chunks = list(file_chunks(path)())
    if not any(len(chunk) for chunk in chunks):
        raise FileFormatError(f"{path} has a header and no further line.")
    table = pd.concat(chunks)
    for name, kind in table.dtypes.items():
        if pd.api.types.is_numeric_dtype(kind):
            continue
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = (numbers.isna() & table[name].notna()).to_numpy()
        if wrong.any():
            at = int(wrong.argmax())
            raise FileFormatError(
                f"{path}, column '{name}', {row} '{table.index[at]}': '{table[name].iloc[at]}' is not a number "
                f"({int(wrong.sum()):,} such cells). Missing values are written NA."
            )
        table[name] = numbers
    return table.astype("float64")


def _text_header(path: Path) -> Header:
    try:
        with COMPRESSED.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            lines = list(islice(file, 2))
    except (UnicodeDecodeError, *DAMAGED) as error:
        raise FileFormatError(f"{path} cannot be read as text: {str(error).strip()}. Correct the file.") from error
    if not lines or not lines[0].strip():
        raise FileFormatError(f"{path} is empty. It needs a header and one line per row.")
    mark = next((mark for mark in ("\t", ",") if mark in lines[0]), " ")
    fields = [_fields(line, mark) for line in lines]
    names = [name if name else f"Unnamed: {at}" for at, name in enumerate(fields[0])]
    headless = len(fields) > 1 and len(fields[1]) == len(names) + 1
    return Header(names=tuple(names), rows=None if headless else names[0])


def _fields(line: str, mark: str) -> list[str]:
    line = line.rstrip("\r\n")
    return next(csv.reader([line.strip() if mark == " " else line], delimiter=mark, skipinitialspace=mark == " "))


def _parquet_header(path: Path) -> Header:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(
            'Parquet files need pyarrow, which is not installed: pip install "varmix[dask]".'
        ) from error
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as Parquet: {str(error).strip()}. Correct the file.") from error
    index = [name for name in (schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(name, str)]
    texts = [name for name, kind in zip(schema.names, schema.types, strict=True) if _is_text(pa, kind)]
    return Header(names=tuple(schema.names), rows=[*index, *texts, *schema.names][0])


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))
