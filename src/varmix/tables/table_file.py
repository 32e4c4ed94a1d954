"""Tables in files, text or Parquet: their headers, and their cells a block of lines at a time."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, FileFormatError, MissingExtraError
from varmix.tables.identifiers import id_text
from varmix.tables.text import check_there, open_text, separator_of, split_cells
from varmix.typing import Index

PARQUET = (".parquet", ".pq")
MISSING_TOKENS = ("NA", "nan", "NaN", "NAN", ".", "")
"""How missing cells are written, in labels too."""
MISSING_NUMBERS = (*MISSING_TOKENS, "N/A", "n/a", "#N/A", "NULL", "null", "None", "<NA>", "-nan", "-NaN")
"""How missing numbers are written besides."""
READ_CHARACTERS = 2**24
"""Text that is read at once: some 10^5 lines of a narrow table."""
UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
"""Parquet columns that hold the row numbers of a pandas frame that was sorted or filtered."""
BLOCK_LINES = 131_072
"""Lines that are read at a time: a megabyte a column of numbers."""
SHOWN_NAMES = 12
"""Columns of a file that an error lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A file with its header: `names` of the columns in order, without the '#' before the first.

    Of text: `mark` separates cells (None: blanks), `header` is the number of the header's line (0: none), and with
    `row_names` lines have a cell more than the header, as R writes them: it comes first, under the name "".
    """

    path: Path
    names: tuple[str, ...]
    mark: str | None = None
    header: int = 0
    row_names: bool = False
    parquet: bool = False

    def column(self, name: str) -> int:
        """Position of a column. Raises DataError for one that is not there or is there twice."""
        count = self.names.count(name)
        if count == 1:
            return self.names.index(name)
        if count:
            raise DataError(f"{self.path} has {count} columns named '{name}'. Give every column its own name.")
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise DataError(f"{self.path} has no column '{name}'.{hint} It has {self.shown()}.")

    def shown(self) -> str:
        """The names as an error lists them."""
        return ", ".join(self.names[:SHOWN_NAMES]) + (", ..." if len(self.names) > SHOWN_NAMES else "")

    def refuse_twice(self) -> None:
        """Raise FileFormatError for two columns of a name."""
        twice = [name for at, name in enumerate(self.names) if name in self.names[:at]]
        if twice:
            raise FileFormatError(f"{self.path} has two columns named '{twice[0]}'. Give every column its own name.")

    def frames(
        self, numbers: Sequence[str], labels: Sequence[str], *, rows: int = BLOCK_LINES, strict: bool = True
    ) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Columns of numbers (float64) and of labels (text, None where missing), `rows` lines at a time.

        Without `strict` a column of `numbers` that holds other cells is left
        as text. Raises DataError (a cell that is no finite number: line, column, value; a column that is not there),
        FileFormatError (ragged or damaged).
        """
        for name in (*numbers, *labels):
            self.column(name)
        if self.parquet:
            yield from _parquet_frames(self, numbers, labels, rows, strict)
            return
        for block in self.blocks(rows):
            yield block.columns(numbers, labels, strict=strict)

    def blocks(self, rows: int = BLOCK_LINES) -> Iterator[Block]:
        """Lines below the header that are not blank. Raises FileFormatError for one with another number of cells."""
        with open_text(self.path) as handle:
            for _ in range(self.header):
                handle.readline()
            for first, text in _cut(handle, rows):
                block = Block(file=self, first=self.header + first, text=self._plainly_quoted(text).encode())
                if block.checked_length():
                    yield block

    def _plainly_quoted(self, text: str) -> str:
        """Lines with quotes written anew: pandas would read a quote that is never closed on into other lines."""
        if '"' not in text:
            return text
        return "\n".join(self._requoted(line) if '"' in line else line for line in text.split("\n"))

    def _requoted(self, line: str) -> str:
        cells = (cell.replace('"', '""') for cell in split_cells(line, self.mark))
        return (self.mark or " ").join(f'"{cell}"' for cell in cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some lines of a text file, the first of which has the number `first` in it; blank ones count for nothing."""

    file: TableFile
    first: int
    text: bytes = field(repr=False)

    def checked_length(self) -> int:
        """Number of lines that are not blank. Raises FileFormatError for one with another number of cells."""
        mark, width = self.file.mark, len(self.file.names)
        if b'"' not in self.text:  # quotes may hide marks
            counts = _cells_per_line(self.text, mark)
            if (counts == width).all():
                return len(counts)
        found = 0
        for number, line in self.numbered():
            found += 1
            cells = len(split_cells(line, mark))
            if cells != width:
                more = " Tables that R wrote have it with row names: write them with row.names=FALSE."
                raise FileFormatError(
                    f"{self.file.path}, line {number}: {cells} columns where the header has {width}."
                    f"{more if cells == width + 1 else ' Check the file.'}"
                )
        return found

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Lines that are not blank with their numbers in the file."""
        lines = self.text.decode().split("\n")
        return ((number, line) for number, line in enumerate(lines, start=self.first) if line.strip())

    def columns(
        self, numbers: Sequence[str], labels: Sequence[str], *, strict: bool
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Columns of numbers (float64) and of labels, as `TableFile.frames` gives them."""
        both = [name for name in labels if name in numbers]
        read = self._read(numbers, [name for name in labels if name not in both])
        text = read if not both else {**read, **self._read((), both)}
        values = {name: self._numbers(read[name], name, strict=strict) for name in numbers}
        index = pd.RangeIndex(len(next(iter(read.values()), ())))
        words = {name: _words(text[name]) for name in labels}
        return pd.DataFrame(values, index=index), pd.DataFrame(words, index=index, dtype=object)

    def _numbers(self, column: pd.Series[Any], name: str, *, strict: bool) -> Any:
        if column.dtype.kind in "fiu":
            values = column.to_numpy(dtype=np.float64)
            if not np.isinf(values).any():
                return values
        if not strict and column.dtype.kind not in "fiu":
            return _words(self._read((), [name])[name])
        return self._checked(name) if strict else column.to_numpy(dtype=np.float64)

    def _checked(self, name: str) -> Any:
        cells = self._read((), [name])[name].str.strip()
        cells = cells.where(~cells.isin(MISSING_NUMBERS))
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = cells.notna().to_numpy() & ~np.isfinite(values)
        if wrong.any():
            at = int(wrong.argmax())
            raise DataError(
                f"{self.file.path}, line {next(islice(self.numbered(), at, None))[0]}, column '{name}': "
                f"'{cells.iloc[at]}' is not a finite number ({int(wrong.sum()):,} such cells). Missing values are "
                "written NA."
            )
        return values

    def _read(self, numbers: Sequence[str], labels: Sequence[str]) -> dict[str, pd.Series[Any]]:
        """The columns by name, those of labels as text; a column of numbers may turn out to hold other cells."""
        places = {name: self.file.column(name) for name in (*numbers, *labels)}
        table = pd.read_csv(
            io.BytesIO(self.text),
            sep=self.file.mark or r"\s+",
            header=None,
            names=range(len(self.file.names)),
            usecols=sorted(places.values()),
            dtype={places[name]: str for name in labels},
            index_col=False,
            na_values={places[name]: list(MISSING_NUMBERS) for name in numbers},
            keep_default_na=False,
            skipinitialspace=True,
            low_memory=False,
        )
        return {name: table[place] for name, place in places.items()}


def _words(cells: pd.Series[Any]) -> Any:
    """Cells without blanks around them, None where missing."""
    words = cells.str.strip()
    return words.where(~words.isin(MISSING_TOKENS)).to_numpy(dtype=object, na_value=None)


def _cut(handle: IO[str], rows: int) -> Iterator[tuple[int, str]]:
    """The text in parts of so many lines, and the number of the first line of each, from 1."""
    first, held = 1, ""
    while more := handle.read(READ_CHARACTERS):
        held, start = held + more, 0
        while (end := _after_lines(held, start, rows)) is not None:
            yield first, held[start:end]
            first, start = first + rows, end
        held = held[start:]
    if held:
        yield first, held


def _after_lines(text: str, start: int, rows: int) -> int | None:
    """Where so many lines from `start` on end, None where there are fewer."""
    end = start
    for _ in range(rows):
        end = text.find("\n", end) + 1
        if not end:
            return None
    return end


def _cells_per_line(text: bytes, mark: str | None) -> Index:
    """Cells of each line, (lines,), where nothing is quoted."""
    letters = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    if not text.endswith(b"\n"):
        ends = np.append(ends, len(letters))
    if mark is not None:
        starts, more = np.flatnonzero(letters == ord(mark)), 1
    else:
        blank = (letters == ord(" ")) | (letters == ord("\t")) | (letters == ord("\n"))
        starts, more = np.flatnonzero(~blank & np.append(True, blank[:-1])), 0
    return np.diff(np.searchsorted(starts, ends), prepend=0) + more


def open_table(path: Path, *, header: bool = True, row_names: bool = False) -> TableFile:
    """The header of a file. Lines before it that begin with '##' are left out; text may be compressed.

    Without `header` columns are named by their numbers, from 0. With `row_names` lines may have a cell more than the
    header, and the unnamed index of a pandas frame in Parquet is a column. Raises MissingFileError, FileFormatError
    (empty, not text, damaged), MissingExtraError (Parquet without pyarrow).
    """
    if path.suffix.lower() in PARQUET:
        check_there(path)
        with _pyarrow(path) as parquet:
            names = parquet.read_schema(path).names
        kept = [name for name in names if row_names or not UNNAMED_INDEX.fullmatch(name)]
        return TableFile(path=path, names=tuple(kept), parquet=True)
    with open_text(path) as handle:
        lines = ((number, line) for number, line in enumerate(handle, start=1) if line.strip())
        first = list(islice((item for item in lines if not item[1].startswith("##")), 2))
    if not first:
        raise FileFormatError(f"{path} is empty. It needs a header with the names of the columns, and a line per row.")
    mark = separator_of(first[0][1])
    names = split_cells(first[0][1], mark)
    if not header:
        return TableFile(path=path, names=tuple(map(str, range(len(names)))), mark=mark, header=0)
    names[0] = names[0].removeprefix("#")
    more = row_names and len(first) > 1 and len(split_cells(first[1][1], mark)) == len(names) + 1
    names = ["", *names] if more else names
    return TableFile(path=path, names=tuple(names), mark=mark, header=first[0][0], row_names=more)


def label_column(file: TableFile) -> str:
    """Of a Parquet file the column that names its rows: the index of pandas, else the first of text, or the first."""
    with _pyarrow(file.path) as parquet:
        schema = parquet.read_schema(file.path)
    index = [name for name in (schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(name, str)]
    texts = [name for name, kind in zip(schema.names, schema.types, strict=True) if _is_text(str(kind))]
    return str([*index, *texts, *schema.names][0])


def _is_text(kind: str) -> bool:
    return kind in ("string", "large_string", "string_view") or kind.startswith("dictionary")


def _parquet_frames(
    file: TableFile, numbers: Sequence[str], labels: Sequence[str], rows: int, strict: bool
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    with _pyarrow(file.path) as parquet, parquet.ParquetFile(file.path) as table:
        for batch in table.iter_batches(batch_size=rows, columns=list(dict.fromkeys((*numbers, *labels)))):
            index = pd.RangeIndex(batch.num_rows)
            columns = {name: batch.column(batch.schema.get_field_index(name)) for name in (*numbers, *labels)}
            values = {name: _parquet_numbers(columns[name], name, file.path, strict) for name in numbers}
            names = {name: id_text(columns[name].to_pylist(), f"{file.path}, column '{name}'") for name in labels}
            yield pd.DataFrame(values, index=index), pd.DataFrame(names, index=index, dtype=object)


def _parquet_numbers(column: Any, name: str, path: Path, strict: bool) -> Any:
    cells = column.to_pandas()
    if cells.dtype.kind in "fiub":
        return cells.astype(np.float64)
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    if str(column.type) == "bool":  # with missing ones
        return cells.astype(np.float64)
    if strict:
        raise DataError(f"{path}, column '{name}' holds {column.type}, not numbers. Choose another column.")
    return cells


@contextmanager
def _pyarrow(path: Path) -> Iterator[Any]:
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
        raise FileFormatError(
            f"{path} cannot be read as Parquet: {str(error).strip()}. Check that it is whole."
        ) from error
