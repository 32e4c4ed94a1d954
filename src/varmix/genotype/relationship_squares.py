"""Relationship matrices row by row: PLINK's .rel in text and .rel.bin, square, square with zeros above, or triangle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from varmix.errors import FileFormatError
from varmix.linalg.householder import mirror_lower_into
from varmix.tables.text import split_words, text_lines
from varmix.typing import Square, Vector

ASYMMETRY = 1e-5
"""Halves of one matrix may differ by the rounding of their text, which PLINK writes with six digits."""


def read_rows(path: Path, n: int) -> Square:
    """The matrix (n, n) of a text file: line i has n numbers, or the i of the lower triangle.

    Raises FileFormatError (number of lines or cells, a cell that is not a number, halves that differ) with the line.
    """
    values = np.zeros((n, n))
    row = 0
    triangle = n > 1
    for number, line in text_lines(path):
        words = split_words(line.replace(",", " "))
        if row == 0:
            triangle = n > 1 and len(words) == 1
        expected = min(row + 1, n) if triangle else n
        if row == n or len(words) != expected:
            raise FileFormatError(
                f"{path}, line {number}: {len(words):,} cells where the {n:,} people of the .id file need "
                f"{'no further line' if row == n else f'{expected:,}'}. Use the .id file written together with it."
            )
        values[row, : len(words)] = _numbers(words, path, number)
        row += 1
    if row < n:
        raise FileFormatError(
            f"{path} has {row:,} lines and its .id file {n:,} people. Use the .id file written together with it."
        )
    return _whole(values, path, triangle)


def read_binary(path: Path, n: int) -> Square:
    """The matrix (n, n) of a .rel.bin: doubles or singles, square or triangle, told apart by its size.

    Raises FileFormatError (a size of none of these, halves that differ).
    """
    entries = {n * n: False, n * (n + 1) // 2: True}
    found = path.stat().st_size
    for count, triangle in entries.items():
        for kind in ("<f8", "<f4"):
            if found == count * np.dtype(kind).itemsize:
                flat = np.fromfile(path, dtype=kind)
                values = np.zeros((n, n))
                if triangle:
                    values[np.tril_indices(n)] = flat
                else:
                    values[:] = flat.reshape(n, n)
                return _whole(values, path, triangle)
    raise FileFormatError(
        f"{path} has {found:,} bytes, which fit no matrix of the {n:,} people of its .rel.id (square: {8 * n * n:,} or "
        f"{4 * n * n:,}). Use the .rel.id written together with it."
    )


def _numbers(words: list[str], path: Path, number: int) -> Vector:
    try:
        return np.array(words, dtype=np.float64)
    except ValueError:
        pass
    for at, word in enumerate(words, start=1):
        try:
            float(word)
        except ValueError as error:
            raise FileFormatError(
                f"{path}, line {number}, column {at}: '{word}' is not a number. Correct the file."
            ) from error
    raise FileFormatError(f"{path}, line {number} cannot be read as numbers. Correct the file.")


def _whole(values: Square, path: Path, triangle: bool) -> Square:
    """Both halves of a matrix of which the upper is there, zero, or not there."""
    if not triangle and np.triu(values, 1).any():
        size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        with np.errstate(invalid="ignore"):  # infinities of both halves
            wrong = np.abs(values - values.T) > ASYMMETRY * size
        if wrong.any():
            row, column = (int(at) for at in np.argwhere(np.tril(wrong))[0])
            raise FileFormatError(
                f"{path} is not symmetric: row {row + 1} and column {column + 1} have {values[row, column]:g}, the "
                f"other way round {values[column, row]:g}. Check that it is a relationship matrix."
            )
    mirror_lower_into(values)
    return values
