"""Tables with a header, text or Parquet: their names, and the columns that were asked for."""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, FileFormatError, MissingExtraError, MissingFileError, OptionError
from varmix.tables.encoding import text_of
from varmix.tables.people import MISSING_TOKENS

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PARQUET = (".parquet", ".pq")
SHOWN_NAMES = 20
"""Columns of a file that an error lists."""
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
"""What a compressed file gives that is cut short or none."""


def read_columns(path: Path, numbers: Mapping[str, str | None], labels: Mapping[str, str | None]) -> pd.DataFrame:
    """The columns named by options, rows in the order of the file: float64 for `numbers`, text for `labels`.

    Both map options to names, None where an option was not given. Tabs, commas or blanks separate, as the header line
    has them; NA, nan, '.' and nothing are missing; a '#' before the first name is ignored, and so are lines before it
    that start with '##'. Raises MissingFileError, FileFormatError (empty, ragged, damaged), OptionError (a column that
    is not there, or is there twice), DataError (a cell that is not a finite number: line, column, value),
    MissingExtraError (Parquet without pyarrow).
    """
    check_there(path)
    wanted = {option: name for option, name in {**numbers, **labels}.items() if name is not None}
    as_numbers = [name for name in dict.fromkeys(numbers.values()) if name is not None]
    as_text = [name for name in dict.fromkeys(labels.values()) if name is not None]
    if path.suffix.lower() in PARQUET:
        return _read_parquet(path, wanted, as_numbers, as_text)
    try:
        with text_of(path):
            return _read_text(path, wanted, as_numbers, as_text)
    except (*BROKEN, pd.errors.ParserError) as error:
        raise _damaged(path, error) from error


def column_names(path: Path) -> list[str]:
    """Names of the columns. Raises MissingFileError, FileFormatError, MissingExtraError."""
    check_there(path)
    if path.suffix.lower() in PARQUET:
        with _parquet(path) as parquet:
            return list(parquet.read_schema(path).names)
    try:
        with text_of(path):
            return _opening(path)[1]
    except BROKEN as error:
        raise _damaged(path, error) from error


def check_there(path: Path) -> None:
    """Raise MissingFileError, which names similar files there."""
    if not path.is_file():
        there = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, there, n=3)
        hint = f"Similar files there: {', '.join(near)}." if near else "Check the path."
        raise MissingFileError(f"{path} is not there. {hint}")


def _damaged(path: Path, error: BaseException) -> FileFormatError:
    return FileFormatError(f"{path} cannot be read as a table: {error}. Check that it is whole.")


def _read_text(path: Path, wanted: Mapping[str, str], numbers: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    comments, names, mark = _opening(path)
    _check_columns(wanted, names, path)
    return _read_cells(path, comments, names, mark, numbers, labels)


def _opening(path: Path) -> tuple[int, list[str], str | None]:
    """Lines before the header, the names in it, and what separates them."""
    with _open(path) as handle:
        comments, first = _header_line(handle)
    if not first.strip():
        raise FileFormatError(
            f"{path} is empty. It needs a header with the names of the columns, and one line per row."
        )
    mark = "\t" if "\t" in first else "," if "," in first else None
    names = _fields(first, mark)
    names[0] = names[0].removeprefix("#")
    return comments, names, mark


def _read_cells(
    path: Path, comments: int, names: list[str], mark: str | None, numbers: Sequence[str], labels: Sequence[str]
) -> pd.DataFrame:
    if not _check_lines(path, comments, len(names), mark):
        raise FileFormatError(f"{path} has a header and no further line.")

    def read(columns: Sequence[str], **options: Any) -> pd.DataFrame:
        with _open(path) as handle:
            return pd.read_csv(
                handle,
                sep=mark or r"\s+",
                skiprows=comments + 1,
                header=None,
                names=range(len(names)),
                usecols=[names.index(name) for name in columns],
                index_col=False,
                na_values=list(MISSING_TOKENS),
                keep_default_na=False,
                skipinitialspace=True,
                **options,
            ).rename(columns=dict(enumerate(names)))

    values = read(numbers, low_memory=False)
    for name in numbers:
        column = values[name]
        if column.dtype.kind not in "fiu" or np.isinf(column).any():
            cells = read([name], dtype=str)[name]
            values[name] = _numbers(cells, name, path, comments)
    table = values.astype(np.float64)
    if labels:
        table = pd.concat([table, read(labels, dtype=str).add_prefix(LABEL)], axis=1)
    return table


LABEL = "label:"
"""Put before the names of label columns: one column may be both, numbers for a variance and a label."""


def _read_parquet(path: Path, wanted: Mapping[str, str], numbers: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    with _parquet(path) as parquet:
        _check_columns(wanted, list(parquet.read_schema(path).names), path)
        table = parquet.read_table(path, columns=list(dict.fromkeys([*numbers, *labels]))).to_pandas()
    if not len(table):
        raise FileFormatError(f"{path} has no rows.")
    for name in numbers:
        if table[name].dtype.kind not in "fiu":
            kind = table[name].dtype
            raise DataError(f"{path}, column '{name}' holds {kind}, not numbers. Choose another column.")
    text = table[list(labels)].astype(object).add_prefix(LABEL)
    return pd.concat([table[list(numbers)].astype(np.float64), text], axis=1)


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """pyarrow's reader. Raises MissingExtraError, FileFormatError."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(
            'Parquet files need pyarrow, which is not installed: pip install "varmix[dask]".'
        ) from error
    try:
        yield parquet
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as Parquet: {error}. Check that it is whole.") from error


def _open(path: Path) -> IO[str]:
    handle: IO[str] = COMPRESSED.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8-sig", newline="")
    return handle


def _header_line(handle: IO[str]) -> tuple[int, str]:
    """Number of lines before the header, and the header."""
    for number, line in enumerate(handle):
        if not line.startswith("##") and line.strip():
            return number, line
    return 0, ""


def _fields(line: str, mark: str | None) -> list[str]:
    if mark is None and '"' not in line:
        return line.split()
    reader = csv.reader([line.strip("\r\n") if mark else line.strip()], delimiter=mark or " ", skipinitialspace=True)
    return [cell.strip() for cell in next(reader)]


def _check_columns(wanted: Mapping[str, str], names: list[str], path: Path) -> None:
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    for option, name in wanted.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise OptionError(f"{option} {name}: {path} has no such column.{hint} It has: {shown}.")
        if names.count(name) > 1:
            raise OptionError(
                f"{option} {name}: {path} has {names.count(name)} columns of this name. Give every column its own name."
            )


def _body(path: Path, comments: int) -> Iterator[tuple[int, str]]:
    """Lines below the header that are not blank, with their numbers counted from 1."""
    with _open(path) as handle:
        yield from (item for item in islice(enumerate(handle, start=1), comments + 1, None) if item[1].strip())


def _check_lines(path: Path, comments: int, width: int, mark: str | None) -> int:
    """Number of lines. Raises FileFormatError for one with another number of columns than the header."""
    count = 0
    for number, line in _body(path, comments):
        count += 1
        plain = mark is not None and '"' not in line
        found = line.count(mark) + 1 if plain and mark else len(_fields(line, mark))
        if found != width:
            more = " Tables that R wrote have it with row names: write them with row.names=FALSE."
            raise FileFormatError(
                f"{path}, line {number}: {found} columns where the header has {width}."
                f"{more if found == width + 1 else ' Check the file.'}"
            )
    return count


def _numbers(cells: pd.Series[str], name: str, path: Path, comments: int) -> pd.Series[float]:
    """Cells as numbers. Raises DataError for the first that is none, or not finite."""
    values = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    wrong = (cells.notna() & ~np.isfinite(values)).to_numpy()
    if wrong.any():
        at = int(wrong.argmax())
        line = next(islice(_body(path, comments), at, None))[0]
        raise DataError(
            f"{path}, line {line}, column '{name}': '{cells.iloc[at]}' is not a finite number ({int(wrong.sum()):,} "
            "such cells). Missing values are written NA."
        )
    return values
