"""Right-hand sides: a vector or a matrix comes in, one of the same shape goes out."""

from __future__ import annotations

import numpy as np

from varmix.errors import ShapeError
from varmix.typing import Array, Matrix


def own_columns(B: Array, rows: int) -> Matrix:
    """A column-ordered copy of B, shape (rows, r); r = 1 for a vector. Raises ShapeError on another number of rows."""
    if B.ndim not in (1, 2) or B.shape[0] != rows:
        raise ShapeError(f"an array of shape {B.shape} cannot meet a matrix of order {rows}. Pass ({rows}, r).")
    copy: Matrix = np.array(B.reshape(rows, B.shape[1] if B.ndim == 2 else 1), dtype=np.float64, order="F", copy=True)
    return copy


def like(columns: Matrix, B: Array) -> Array:
    """`columns` as a vector when B is one."""
    return columns[:, 0] if B.ndim == 1 else columns
