"""Bring a symmetric buffer into the range where sums of products neither overflow nor vanish."""

from __future__ import annotations

from math import frexp, isfinite
from typing import Final

import numpy as np

from varmix.errors import NotFiniteError, ShapeError
from varmix.linalg.native import column_view
from varmix.typing import Square

SAFE_EXPONENT: Final = 300
"""Matrices whose largest entry lies within 2^-300 and 2^300 are left as they are: the reductions form sums of products
of three entries at most, and 2^900 is still a number."""


def square_view(A: Square) -> Square:
    """A, or its transpose, with columns consecutive, ready to be overwritten; raises ShapeError when it cannot be."""
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ShapeError(f"a symmetric matrix must be square, not of shape {A.shape}. Pass an (m, m) array.")
    if not A.flags.writeable:
        raise ShapeError("the matrix is read-only and the reduction overwrites it. Pass a writable copy.")
    return column_view(A, "the matrix")


def scale_into_range(A: Square) -> float:
    """Multiply A in place by a power of two (no rounding) if it needs that; returns the factor that undoes it.

    Raises NotFiniteError on NaN or infinity.
    """
    largest = max(float(A.max(initial=0.0)), -float(A.min(initial=0.0)))
    if not isfinite(largest):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(A))[0])
        raise NotFiniteError(f"entry ({row}, {column}) of the matrix is {A[row, column]}. Remove or impute it first.")
    exponent = frexp(largest)[1] if largest > 0.0 else 0
    if abs(exponent) <= SAFE_EXPONENT:
        return 1.0
    exponent = min(max(exponent, -1000), 1000)  # both 2^1000 and 2^-1000 are numbers with full precision
    A *= 2.0**-exponent
    return float(2.0**exponent)
