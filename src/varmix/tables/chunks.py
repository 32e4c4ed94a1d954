"""Tables in chunks, read as often as they are needed: frames, functions that make them, and files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from varmix.errors import DataError, FileFormatError, MissingExtraError, MissingFileError, OptionError
from varmix.tables.frame import try_frame

Source = Callable[[Sequence[str]], Iterator[Any]]
"""Gives the chunks from the first on, each time it is called; of files only the columns of these names."""

CHUNK_ROWS = 131_072
"""Rows of a file that are read at a time: a megabyte a column."""

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
PARQUET = (".parquet", ".pq")


def open_source(source: Any, *, text: Sequence[str] = (), rows: int = CHUNK_ROWS) -> Source:
    """What `source` gives, chunk by chunk, as often as it is asked.

    `source` is a data frame; a list or another collection of data frames (or of mappings of arrays); a function that
    returns an iterator of them; or a path, a folder of Parquet files, or a list of paths: Parquet, else text with a
    header, separated by tabs, commas or blanks, compressed or not, read `rows` at a time. Of text files the columns
    `text` stay as they are, whatever their entries look like.

    Raises OptionError (an iterator, which can be read only once; what is none of these), MissingFileError,
    FileFormatError, MissingExtraError (Parquet without pyarrow).
    """
    if isinstance(source, str | PathLike):
        return _files([source], text, rows)
    if isinstance(source, Mapping) or try_frame(source) is not None:
        return _Frames((source,))
    if hasattr(source, "__next__"):
        raise OptionError(
            f"The source is a {type(source).__name__}, which can be read only once, and a fit reads its data again for "
            "the posterior. Pass a function that makes a new one, for instance data=lambda: make_chunks()."
        )
    if callable(source):
        return _Function(source)
    if isinstance(source, Iterable):
        chunks = source if isinstance(source, list | tuple) else None
        if chunks and all(isinstance(item, str | PathLike) for item in chunks):
            return _files(chunks, text, rows)
        return _Frames(source)
    raise OptionError(
        f"A source of type {type(source).__name__} is not known. Pass data frames, a function that returns an iterator "
        "of them, or paths of text or Parquet files."
    )


@dataclass(frozen=True, slots=True)
class _Frames:
    """Frames in memory."""

    chunks: Iterable[Any]

    def __call__(self, names: Sequence[str]) -> Iterator[Any]:
        return iter(self.chunks)


@dataclass(frozen=True, slots=True)
class _Function:
    """What makes an iterator of frames each time."""

    make: Callable[[], Any]

    def __call__(self, names: Sequence[str]) -> Iterator[Any]:
        chunks = self.make()
        if try_frame(chunks) is not None or not isinstance(chunks, Iterable):
            raise OptionError(
                f"The source is a function that returned a {type(chunks).__name__}; it must return an iterator of data "
                "frames, for instance by yielding them."
            )
        return iter(chunks)


@dataclass(frozen=True, slots=True)
class _Files:
    """Tables in files, one after the other."""

    files: tuple[Path, ...]
    text: tuple[str, ...]
    rows: int

    def __call__(self, names: Sequence[str]) -> Iterator[Any]:
        for file in self.files:
            parquet = file.suffix.lower() in PARQUET
            yield from _parquet(file, names, self.rows) if parquet else _text(file, names, self.text, self.rows)


def _files(paths: Iterable[str | PathLike[str]], text: Sequence[str], rows: int) -> Source:
    return _Files(files=tuple(file for path in paths for file in _listed(Path(path))), text=tuple(text), rows=rows)


def _listed(path: Path) -> list[Path]:
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET)
        if not inside:
            raise MissingFileError(f"The folder {path} holds no Parquet file. Name files, or another folder.")
        return inside
    if not path.is_file():
        raise MissingFileError(f"There is no file {path}. Check the path.")
    return [path]


def _text(path: Path, names: Sequence[str], text: Sequence[str], rows: int) -> Iterator[Any]:
    # A label is what it reads, whatever the other rows of its chunk would make of it. All columns are read: pandas
    # does not notice lines with too many fields where it is to read only some.
    types = dict.fromkeys(text, str)
    try:
        with pd.read_csv(path, sep=_separator(path), dtype=types, na_values=["."], chunksize=rows) as reader:
            for chunk in reader:
                _refuse_absent(path, list(chunk.columns), names)
                yield chunk[list(names)]
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, *DAMAGED) as error:
        raise FileFormatError(f"{path} cannot be read as a table: {str(error).strip()}. Correct the file.") from error


def _separator(path: Path) -> str:
    with COMPRESSED.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8-sig") as file:
        line = file.readline()
    return next((mark for mark in ("\t", ",") if mark in line), r"\s+")


def _parquet(path: Path, names: Sequence[str], rows: int) -> Iterator[Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(
            'Parquet files need pyarrow, which is not installed: pip install "varmix[dask]".'
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            _refuse_absent(path, file.schema_arrow.names, names)
            for batch in file.iter_batches(batch_size=rows, columns=list(names)):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as Parquet: {str(error).strip()}. Correct the file.") from error


def _refuse_absent(path: Path, there: Sequence[str], names: Sequence[str]) -> None:
    absent = [name for name in names if name not in there]
    if absent:
        shown = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
        raise DataError(f"{path} has no column '{absent[0]}'. It has {shown}. Name the columns as the file does.")
