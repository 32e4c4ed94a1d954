"""Claims about text files of any compression, encoding and separator."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from varmix.errors import FileFormatError, MissingFileError
from varmix.tables.text import open_text, separator_of, split_cells, text_lines

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_are_the_same_in_every_compression_with_every_line_end(
    tmp_path: Path, pack: str, named: bool, end: bytes
) -> None:
    path = tmp_path / f"table.txt{pack if named else ''}"
    path.write_bytes(PACK[pack](b"\xef\xbb\xbfid x" + end + end + "\u00e9\u2028a 1".encode() + end + b"b 2"))
    assert list(text_lines(path)) == [(1, "id x"), (3, "\u00e9\u2028a 1"), (4, "b 2")]


@pytest.mark.parametrize("pack", PACK)
def test_a_byte_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path, pack: str) -> None:
    path = tmp_path / f"table.txt{pack}"
    # Far into the file: beyond the first block that is decoded.
    path.write_bytes(PACK[pack](b"id\n" + b"a\n" * 50_000 + b"M\xfcller\n"))
    with pytest.raises(FileFormatError, match=r"table\.txt.* not text in UTF-8 \(byte 0xfc in line 50002\)"):
        list(text_lines(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x28\xb5\x2f\xfd\x00", "Zstandard.*zstd -d"),
        (b"PK\x03\x04 ", "Excel"),
        (b"PAR1 ", "Parquet"),
        ("id x\n".encode("utf-16"), "UTF-16"),
        ("id x\n".encode("utf-16-le"), "zero bytes"),
        (gzip.compress(b"id x\n" * 1000)[:-20], "cut short"),
        (bz2.compress(b"id x\n" * 1000)[:-20], "cut short"),
        (lzma.compress(b"id x\n" * 1000)[:-20], "cut short"),
        (b"BZh9 is no bzip2", "cut short"),
    ],
    ids=["zstd", "zip", "parquet", "utf-16", "utf-16 without mark", "gz cut", "bz2 cut", "xz cut", "no bz2"],
)
def test_what_is_no_text_is_told_with_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "table").write_bytes(content)
    with pytest.raises(FileFormatError, match=words):
        list(text_lines(tmp_path / "table"))


def test_a_compressed_name_without_compression_and_a_missing_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "table.csv.gz").write_text("id,x\n")
    with pytest.raises(FileFormatError, match=r"is compressed, and it is not.*name it table\.csv"):
        list(text_lines(tmp_path / "table.csv.gz"))
    with (
        pytest.raises(MissingFileError, match=r"Similar files there: table\.csv\.gz"),
        open_text(tmp_path / "table.gz"),
    ):
        pass


def test_a_hole_of_zeros_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(b"id\n" * 10_000 + b"\x00" * 512 + b"\n")
    with pytest.raises(FileFormatError, match="line 10001 holds zero bytes"):
        list(text_lines(tmp_path / "table"))


def test_errors_of_the_reader_pass_through(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("id\n")
    with pytest.raises(PermissionError), open_text(tmp_path / "table"):
        raise PermissionError(13, "no")
    with pytest.raises(MissingFileError, match="other"), open_text(tmp_path / "table"):
        raise MissingFileError("other")


@pytest.mark.parametrize(
    ("line", "mark", "cells"),
    [
        ("a b  c ", None, ["a", "b", "c"]),
        (" a\tb c", "\t", ["a", "b c"]),
        ("a, b,,c", ",", ["a", "b", "", "c"]),
        ('"a,b" c "d ""e"""', None, ["a,b", "c", 'd "e"']),
        ('"a,b","c"', ",", ["a,b", "c"]),
        ('"a\tb" ,1', ",", ["a\tb", "1"]),
        ('5" "" x', None, ['5"', "", "x"]),
        ('"never closed', None, ['"never', "closed"]),
        ("a\t\tb", "\t", ["a", "", "b"]),
    ],
)
def test_lines_are_cut_at_what_separates_them_outside_of_quotes(line: str, mark: str | None, cells: list[str]) -> None:
    assert separator_of(line) == mark
    assert split_cells(line, mark) == cells
