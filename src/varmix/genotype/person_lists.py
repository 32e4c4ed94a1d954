"""The people of a relationship matrix: .grm.id and .rel.id as GCTA, PLINK 1 and PLINK 2 write them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from varmix.errors import AlignmentError, FileFormatError
from varmix.tables.identifiers import NO_FAMILY, SAMPLE_COLUMNS, refuse_duplicates
from varmix.tables.text import split_words, text_lines

HEADED = ("FID", "IID", "SID")
"""Columns that a header names; SID numbers the samples of one person, and is left out."""


def read_people(path: Path) -> pd.DataFrame:
    """FID and IID, one person a line: `FID IID`, `IID` alone (FID is then '0'), or what the header names.

    A header is a first line of #FID, FID, #IID or IID with what PLINK 2 puts beside them; without one, a third column
    must be 0 throughout, as PLINK 2 writes an SID that is absent. Raises FileFormatError with the line, AlignmentError
    (a person listed twice).
    """
    lines = [(number, split_words(line)) for number, line in text_lines(path)]
    names = header_names(lines[0][1]) if lines else None
    if names is not None:
        _check_header(path, lines.pop(0), names)
    if not lines:
        raise FileFormatError(f"{path} is empty. It needs one line with FID and IID per person.")
    width = len(lines[0][1]) if names is None else len(names)
    for number, words in lines:
        if len(words) != width or (names is None and (width > len(HEADED) or words[2:] not in ([], ["0"]))):
            raise FileFormatError(
                f"{path}, line {number}: {len(words)} columns where FID and IID are needed"
                f"{'' if len(words) == width else f' and the first line has {width}'}. Correct the line."
            )
    named = names or (["IID"] if width == 1 else list(HEADED[:width]))
    columns = dict(zip(named, zip(*(words for _, words in lines), strict=True), strict=True))
    columns.setdefault("FID", (NO_FAMILY,) * len(lines))
    table = pd.DataFrame({name: list(columns[name]) for name in SAMPLE_COLUMNS}, dtype=object)
    refuse_duplicates(table, path.name)
    return table


def write_people(path: Path, people: pd.DataFrame) -> None:
    """One line of FID and IID, with a tab between them, per person. Raises what `check_writable` raises."""
    check_writable(people)
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(f"{family}\t{person}\n" for family, person in zip(people["FID"], people["IID"], strict=True))


def check_writable(people: pd.DataFrame) -> None:
    """Raise AlignmentError for an id that `read_people` would not give back: empty, with blanks, or like a header."""
    for at, (family, person) in enumerate(zip(people["FID"], people["IID"], strict=True)):
        line = f"{family}\t{person}"
        odd = not set(line).isdisjoint("\r\n\x00\ufeff") or split_words(line) != [family, person]
        if odd or (at == 0 and header_names([family, person]) is not None):
            raise AlignmentError(
                f"FID '{family}', IID '{person}' (entry {at + 1}) cannot be written to a file whose columns are "
                "separated by blanks. Give ids without blanks, tabs and line ends that are not the names FID and IID."
            )


def header_names(words: list[str]) -> list[str] | None:
    """Names of the columns when the words of a first line are a header with an IID, in capitals and without '#'."""
    names = [word.upper() for word in words]
    names[0] = names[0].removeprefix("#")
    return names if names[0] in ("FID", "IID") and (words[0].startswith("#") or set(names) <= set(HEADED)) else None


def _check_header(path: Path, line: tuple[int, list[str]], names: list[str]) -> None:
    if "IID" not in names or len(set(names)) < len(names):
        raise FileFormatError(
            f"{path}, line {line[0]}: the header '{' '.join(line[1])}' must name IID, and each column once."
        )
