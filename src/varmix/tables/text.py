"""Text files opened in one way, whatever the compression, without a byte order mark; lines cut into cells."""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from varmix.errors import FileFormatError, MissingFileError, VarmixError

COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""First bytes of what is decompressed, whatever the name: downloads lose their endings."""
ENDINGS = (".gz", ".bz2", ".xz")
"""Names that promise one of these; a file that breaks the promise is not what its owner thinks."""
REFUSED = {
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard. Decompress it first: zstd -d FILE",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook. Unpack it, or save the table as text",
    b"PAR1": "a Parquet file, where text is needed. Write it as text",
    b"\xff\xfe": "text in UTF-16. Save it as UTF-8, for instance: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "text in UTF-16. Save it as UTF-8, for instance: iconv -f UTF-16 -t UTF-8",
}
"""First bytes of what is not read, and what to do about it."""
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
"""What a compressed file gives that is cut short."""
QUOTED = re.compile(r'"(?:[^"]|"")*"')
WORD = re.compile(r"[^ \t\r\n]+")
"""What stands between blanks and tabs. Blanks of other kinds (no-break spaces) are part of a word, as for PLINK."""
CELL = re.compile(r'"((?:[^"]|"")*)"(?=[ \t\r\n]|$)|([^ \t\r\n]+)')
"""A word, or a cell in quotes; a quote that is never closed is part of its word."""


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """The text of a file for reading: plain, .gz, .bz2 or .xz by its content; line ends of any system become '\\n'.

    Raises MissingFileError, and, also for what is read within the `with`, FileFormatError: a byte that is not UTF-8
    (with its line), a compressed file cut short, what is no text at all.
    """
    check_there(path)
    try:
        with _binary(path) as content:
            if b"\x00" in content.peek(1):
                raise FileFormatError(f"{path} holds zero bytes: it is not text. Check that it is the right file.")
            with io.TextIOWrapper(content, encoding="utf-8-sig") as handle:
                yield handle
    except VarmixError:
        raise  # some of them are errors of the system too
    except UnicodeDecodeError as error:
        line = _undecodable_line(path)
        raise FileFormatError(
            f"{path} is not text in UTF-8 (byte {error.object[error.start]:#04x} in line {line}). Check that it is the "
            "right file, or save it as UTF-8."
        ) from error
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system, not of the content: permissions, a device
        raise FileFormatError(
            f"{path} cannot be read as text: {error}. It is damaged or cut short; copy it again."
        ) from error


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, without their ends, with numbers counted from 1. Raises what `open_text` raises."""
    with open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            if "\x00" in line:
                raise FileFormatError(f"{path}, line {number} holds zero bytes: the file is damaged. Copy it again.")
            if line.strip():
                yield number, line.rstrip("\n")


def separator_of(line: str) -> str | None:
    """Tab or comma where the line has one outside of quotes, None for blanks."""
    bare = QUOTED.sub("", line)
    return next((mark for mark in ("\t", ",") if mark in bare), None)


def split_cells(line: str, mark: str | None) -> list[str]:
    """Cells of one line, stripped, out of their quotes; `mark` as `separator_of` gives it for the header."""
    if '"' not in line:
        cells = WORD.findall(line) if mark is None else line.rstrip("\r\n").split(mark)
        return [cell.strip() for cell in cells]
    if mark is None:
        return [
            (found[1].replace('""', '"') if found[2] is None else found[2]).strip() for found in CELL.finditer(line)
        ]
    reader = csv.reader([line.rstrip("\r\n")], delimiter=mark, skipinitialspace=True)
    return [cell.strip() for cell in next(reader)]


def split_words(line: str) -> list[str]:
    """What stands between blanks and tabs, as it is: for files that know no quotes."""
    return WORD.findall(line)


def check_there(path: Path) -> None:
    """Raise MissingFileError, which names similar files there."""
    if not path.is_file():
        there = sorted(item.name for item in path.parent.iterdir()) if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, there, n=3)
        hint = f"Similar files there: {', '.join(near)}." if near else "Check the path."
        raise MissingFileError(f"{path} is not there. {hint}")


@contextmanager
def _binary(path: Path) -> Iterator[Any]:
    """The file's bytes, decompressed; something with `peek`."""
    with path.open("rb") as raw:
        head = raw.peek(8)
        for start, told in REFUSED.items():
            if head.startswith(start):
                raise FileFormatError(f"{path} is {told}.")
        unpack = next((opener for start, opener in COMPRESSED.items() if head.startswith(start)), None)
        if unpack is None and path.suffix.lower() in ENDINGS:
            raise FileFormatError(
                f"{path} cannot be read as text: its name says that it is compressed, and it is not. Copy it again, or "
                f"name it {path.stem} if it is plain text."
            )
        if unpack is None:
            yield raw
        else:
            with unpack(raw) as content:
                yield content


def _undecodable_line(path: Path) -> int:
    with _binary(path) as content:
        for number, line in enumerate(content, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
