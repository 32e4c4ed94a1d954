"""Tables in chunks, read as often as they are needed: frames, functions that make them, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from varmix.errors import MissingFileError, OptionError
from varmix.tables.frame import try_frame
from varmix.tables.table_file import BLOCK_LINES, PARQUET, open_table
from varmix.tables.text import check_there

Source = Callable[[Sequence[str]], Iterator[Any]]
"""Gives the chunks from the first on, each time it is called; of files only the columns of these names."""


def open_source(source: Any, *, text: Sequence[str] = (), rows: int = BLOCK_LINES) -> Source:
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
        labels = [name for name in names if name in self.text]
        numbers = [name for name in names if name not in self.text]
        for path in self.files:
            for values, text in open_table(path, row_names=True).frames(numbers, labels, rows=self.rows, strict=False):
                yield pd.concat([values, text], axis=1)[list(names)]


def _files(paths: Iterable[str | PathLike[str]], text: Sequence[str], rows: int) -> Source:
    return _Files(files=listed_files(paths), text=tuple(text), rows=rows)


def listed_files(paths: str | PathLike[str] | Iterable[str | PathLike[str]]) -> tuple[Path, ...]:
    """The files of one path or several, with the Parquet files of folders. Raises MissingFileError."""
    given = [paths] if isinstance(paths, str | PathLike) else paths
    return tuple(file for path in given for file in _listed(Path(path)))


def _listed(path: Path) -> list[Path]:
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET)
        if not inside:
            raise MissingFileError(f"The folder {path} holds no Parquet file. Name files, or another folder.")
        return inside
    check_there(path)
    return [path]
