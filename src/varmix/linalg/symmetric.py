"""Checks of a relationship matrix: finite and symmetric."""

from __future__ import annotations

from typing import Final

import numpy as np

from varmix.errors import KernelError, NotFiniteError, ShapeError
from varmix.typing import Square

ASYMMETRY: Final = 1e-5
"""Largest |K_ij - K_ji| allowed, times the largest |K_ij|: sums over variants in float32 (6e-8 per term, growing with
the root of their number) and text files with six digits stay below; a matrix that is not symmetric does not."""

_BLOCK: Final = 512
"""Rows compared at a time, so that no second n x n array is needed."""


def check_symmetric(K: Square, name: str) -> None:
    """Pass when K (n x n) is finite and symmetric up to rounding to float32.

    Raises ShapeError when it is not square, NotFiniteError at a NaN or infinity, KernelError with the worst pair.
    """
    if K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise ShapeError(f"{name}: a kernel must be square, not of shape {K.shape}. Designs (n x p) go to `designs`.")
    largest = _largest_finite(K, name)
    worst, where = 0.0, (0, 0)
    for start in range(0, K.shape[0], _BLOCK):
        rows = slice(start, start + _BLOCK)
        difference = np.abs(K[rows, start:] - K[start:, rows].T)
        found = float(difference.max(initial=0.0))
        if found > worst:
            row, column = np.unravel_index(int(difference.argmax()), difference.shape)
            worst, where = found, (start + int(row), start + int(column))
    if worst > ASYMMETRY * largest:
        i, j = where
        raise KernelError(
            f"{name} is not symmetric: entry ({i}, {j}) is {K[i, j]:.6g} and entry ({j}, {i}) is {K[j, i]:.6g}, "
            f"{worst / largest:.2g} of the largest entry apart (allowed {ASYMMETRY:g}). Pass (K + K.T) / 2 if meant."
        )


def _largest_finite(K: Square, name: str) -> float:
    largest = max(float(K.max(initial=0.0)), -float(K.min(initial=0.0)))
    if not np.isfinite(largest):
        for start in range(0, K.shape[0], _BLOCK):
            bad = np.argwhere(~np.isfinite(K[start : start + _BLOCK]))
            if bad.size:
                i, j = start + int(bad[0, 0]), int(bad[0, 1])
                raise NotFiniteError(
                    f"{name}: entry ({i}, {j}) is {K[i, j]}. Drop that row and column, or impute the entry."
                )
    return largest
