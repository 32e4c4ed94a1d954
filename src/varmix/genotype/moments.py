"""Centre and spread of the columns of a block, safe against cancellation and overflow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Index, Mask, Matrix, Vector

ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""A column whose sd is below this share of its mean is constant: such a spread is rounding in the values themselves."""
SAFE_SQUARES = (1e-280, 1e280)
"""Sums of squares outside this range may have lost digits or overflowed; those columns are rescaled first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMoments:
    """Per column of a block, shape (b,): mean = shift + offset over the calls present, sd with divisor n
    after imputation."""

    shift: Vector
    offset: Vector
    sd: Vector
    missing: Index
    constant: Mask

    @property
    def mean(self) -> Vector:
        """Shape (b,)."""
        return self.shift + self.offset

    @staticmethod
    def joined(parts: list[ColumnMoments]) -> ColumnMoments:
        """The moments of blocks laid side by side."""
        return ColumnMoments(
            shift=np.concatenate([part.shift for part in parts]),
            offset=np.concatenate([part.offset for part in parts]),
            sd=np.concatenate([part.sd for part in parts]),
            missing=np.concatenate([part.missing for part in parts]),
            constant=np.concatenate([part.constant for part in parts]),
        )


def centre_columns_into(block: Matrix) -> ColumnMoments:
    """Centre the columns of a Fortran-ordered (n, b) block in place, missing calls to 0, and return their moments.

    The first call present is subtracted before summing, so that 1e8 plus small noise keeps its digits and the sums for
    0, 1, 2 are exact. Each column is treated alone: blocks of any size give the same bits. Source: [VC-1].
    """
    n = block.shape[0]
    columns = block.T  # C order: one contiguous row per variant
    shift = columns[:, 0].copy()
    _skip_missing(columns, shift)
    columns -= shift[:, None]
    total = columns.sum(axis=1)
    missing = np.zeros(total.size, dtype=np.intp)
    holes = np.flatnonzero(~np.isfinite(total))
    absent: Matrix | None = None
    if holes.size:
        part = columns[holes]
        absent = np.isnan(part)
        part[absent] = 0.0
        columns[holes] = part
        missing[holes] = absent.sum(axis=1)
        total[holes] = part.sum(axis=1)
    offset = total / np.maximum(n - missing, 1)
    columns -= offset[:, None]
    if absent is not None:
        part = columns[holes]
        part[absent] = 0.0
        columns[holes] = part
    sd = _spread(columns, n)
    constant = sd <= ROUNDING * np.abs(shift + offset)
    return ColumnMoments(shift=shift, offset=offset, sd=sd, missing=missing, constant=constant)


def subtract_centre_into(block: Matrix, shift: Vector, offset: Vector) -> int:
    """Centre a block with moments found before, in the same order of operations; missing calls to 0. Returns
    their number."""
    block -= shift
    block -= offset
    holes = np.flatnonzero(np.isnan(block.sum(axis=0)))
    count = 0
    if holes.size:
        part = block[:, holes]
        absent = np.isnan(part)
        part[absent] = 0.0
        block[:, holes] = part
        count = int(absent.sum())
    return count


def _skip_missing(columns: Matrix, shift: Vector) -> None:
    for column in np.flatnonzero(np.isnan(shift)):
        present = ~np.isnan(columns[column])
        at = int(present.argmax())
        shift[column] = columns[column, at] if present[at] else 0.0


def _spread(columns: Matrix, n: int) -> Vector:
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", columns, columns)
    sd: Vector = np.sqrt(squares / n)
    low, high = SAFE_SQUARES
    for column in np.flatnonzero(~((squares > low) & (squares < high))):
        largest = float(np.abs(columns[column]).max())
        if largest > 0.0:
            sd[column] = largest * np.sqrt(np.mean((columns[column] / largest) ** 2))
    return sd
