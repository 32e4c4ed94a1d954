"""A symmetric band matrix and its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.lib.stride_tricks import as_strided

from varmix.linalg.columns import like, own_columns
from varmix.typing import Matrix, Square


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BandMatrix:
    """Lower band storage of a symmetric matrix of order m and half-width w.

    `entries[i - j, j]` is entry (i, j), i >= j; shape (w + 1, m), columns consecutive. That memory read with a leading
    dimension of w is the dense lower band itself, so blocks of w rows are views of it up to a triangle.
    """

    entries: Matrix

    @property
    def size(self) -> int:
        """m."""
        return int(self.entries.shape[1])

    @property
    def half_width(self) -> int:
        """w."""
        return int(self.entries.shape[0]) - 1

    def diagonal_block(self, start: int) -> Square:
        """Block of rows and columns start to start + w (or m): a new symmetric array."""
        stop = min(start + self.half_width, self.size)
        lower = np.tril(self._window(start, start, stop - start, stop - start))
        return np.asfortranarray(lower + np.tril(lower, -1).T)

    def block_below(self, start: int) -> Matrix:
        """Block of rows start + w onwards (w of them, or what is left), columns start to start + w: a new array."""
        row = start + self.half_width
        stop = min(row + self.half_width, self.size)
        return np.asfortranarray(np.triu(self._window(row, start, stop - row, self.half_width)))

    def _window(self, row: int, column: int, rows: int, columns: int) -> Matrix:
        flat = self.entries.reshape(-1, order="F")
        step = flat.itemsize
        return as_strided(flat[column * self.half_width + row :], (rows, columns), (step, step * self.half_width))

    def multiply(self, B: Matrix) -> Matrix:
        """The product with B of shape (m, r) or (m,), a new array."""
        given, width = own_columns(B, self.size), self.half_width
        out = np.empty_like(given)
        for start in range(0, self.size, width):
            out[start : start + width] = self.diagonal_block(start) @ given[start : start + width]
        for start in range(0, self.size - width, width):
            below = self.block_below(start)
            out[start + width : start + 2 * width] += below @ given[start : start + width]
            out[start : start + width] += below.T @ given[start + width : start + 2 * width]
        return like(out, B)
