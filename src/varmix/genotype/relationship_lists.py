"""Relationship matrices pair by pair in text: GCTA's .grm.gz, PLINK's --make-grm-gz and PLINK 2's --make-grm-list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import FileFormatError
from varmix.linalg.householder import mirror_lower_into
from varmix.tables.text import open_text, split_words, text_lines
from varmix.typing import Square

COLUMNS = ("i", "j", "N", "value")


def read_pairs(path: Path, n: int) -> tuple[Square, NDArray[np.float32]]:
    """The matrix (n, n) and the packed counts (n (n + 1) / 2,) of lines `i j N value`, people counted from 1.

    Every pair is there once, in any order, on either side of the diagonal. Raises FileFormatError (cells, people that
    are not in the .grm.id, pairs that are absent or there twice) with the line.
    """
    table = _read_table(path)
    cells = table.to_numpy(dtype=np.float64)
    pairs = cells[:, :2]
    outside = ((pairs < 1) | (pairs > n) | (pairs != np.floor(pairs))).any(axis=1)
    if outside.any():
        at = int(outside.argmax())
        raise FileFormatError(
            f"{path}, line {_line(path, at)}: the pair {pairs[at, 0]:g}, {pairs[at, 1]:g} is not of the {n:,} people "
            "of the .grm.id, counted from 1. Use the .grm.id written together with it."
        )
    whole = pairs.astype(np.int64)
    high, low = whole.max(axis=1), whole.min(axis=1)
    place = high * (high - 1) // 2 + low - 1
    seen = np.bincount(place, minlength=n * (n + 1) // 2)
    if (seen != 1).any():
        raise FileFormatError(_told_pairs(path, place, seen))
    values = np.zeros((n, n))
    values[high - 1, low - 1] = cells[:, 3]
    mirror_lower_into(values)
    counts = np.empty(place.size, dtype=np.float32)
    counts[place] = cells[:, 2]
    return values, counts


def _read_table(path: Path) -> pd.DataFrame:
    try:
        with open_text(path) as handle:
            table = pd.read_csv(handle, sep=r"\s+", header=None, quoting=3, na_values=["nan", "-nan"], index_col=False)
    except pd.errors.EmptyDataError as error:
        raise FileFormatError(f"{path} is empty. It needs one line of i, j, N and value per pair.") from error
    except pd.errors.ParserError as error:
        _refuse_cells(path)
        raise FileFormatError(f"{path} cannot be read as i, j, N and value: {error}. Correct the file.") from error
    numbers = table.shape[1] == len(COLUMNS) and all(kind.kind in "iuf" for kind in table.dtypes)
    if not numbers or table.isna().any(axis=None):  # pandas fills lines up that are cut short
        _refuse_cells(path)
    return table


def _refuse_cells(path: Path) -> None:
    """Raise FileFormatError for the first line that is not four numbers, of which only the value may be nan."""
    for number, line in text_lines(path):
        words = split_words(line)
        if len(words) != len(COLUMNS):
            raise FileFormatError(
                f"{path}, line {number}: {len(words)} columns where i, j, N and value are needed. Correct the line."
            )
        for name, word in zip(COLUMNS, words, strict=True):
            number_there = pd.to_numeric(word, errors="coerce")
            if np.isnan(number_there) and not (name == "value" and word.lower().lstrip("-") == "nan"):
                raise FileFormatError(
                    f"{path}, line {number}: {name} is '{word}', not a number. Columns are i, j, N and value, without "
                    "a header."
                )


def _line(path: Path, at: int) -> int:
    """The number of the line of entry `at`, from 0."""
    return next(number for entry, (number, _) in enumerate(text_lines(path)) if entry == at)


def _told_pairs(path: Path, place: NDArray[np.int64], seen: NDArray[np.int64]) -> str:
    at = int((seen != 1).argmax())
    row = int((np.sqrt(8.0 * at + 1.0) - 1.0) / 2.0)
    row += (row + 1) * (row + 2) // 2 <= at
    pair = f"{row + 1}, {at - row * (row + 1) // 2 + 1}"
    if seen[at] > 1:
        line = _line(path, int(np.flatnonzero(place == at)[1]))
        return f"{path}, line {line}: the pair {pair} is there a second time. Give every pair once."
    return (
        f"{path} has {place.size:,} of {seen.size:,} pairs; the first absent is {pair}. It is cut short, or belongs to "
        "another .grm.id."
    )
