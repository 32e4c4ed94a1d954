"""The orthogonal complement of a few columns, kept as reflectors: what removes fixed effects from a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import numpy as np

from varmix.errors import NotFiniteError, NotIdentifiedError, ShapeError
from varmix.linalg.reflector import BlockReflector
from varmix.linalg.scale import square_view
from varmix.typing import Index, Matrix, Square, Vector

COLLINEAR: Final = 1e-7
"""A column whose part outside the span of the earlier ones is below this share of its norm counts as dependent: the
rule and the tolerance of R's `qr`, above the rounding of covariates stored as float32 (6e-8)."""

_PANEL: Final = 32
"""Columns orthogonalised one by one between two products with everything before them."""

_MIRROR: Final = 256
"""Block of the copy of one triangle onto the other: two blocks of this order fit in the cache."""


@final
class CovariateBasis:
    """The complete orthogonal H (n x n) with H'Z = [R; 0], for Z (n x c) of full column rank.

    The first c rows of H'y carry the fixed effects, the other n - c none: they are the data of REML. Kept in O(n c).
    Raises ShapeError when Z is not a matrix or has more columns than rows, NotFiniteError, and NotIdentifiedError when
    a column depends on earlier ones (`pivoted_columns` says which to keep).
    """

    def __init__(self, Z: Matrix) -> None:
        panel, lengths = _unit_columns(Z, None)
        self.rows: Final = panel.shape[0]
        self.columns: Final = panel.shape[1]
        if self.columns > self.rows:
            raise ShapeError(f"{self.columns} columns for {self.rows} rows. Keep the ones `pivoted_columns` returns.")
        self._reflector: Final = BlockReflector.eliminate_into(panel)
        R = np.triu(panel[: self.columns])
        dependent = np.flatnonzero(np.abs(np.diagonal(R)) <= COLLINEAR)
        if dependent.size:
            raise NotIdentifiedError(
                f"column {dependent[0]} of the covariates depends on the columns before it. "
                "Keep the ones `pivoted_columns` returns."
            )
        self.R: Final[Square] = R * lengths
        self.log_determinant: Final = 2.0 * float((np.log(np.abs(np.diagonal(R))) + np.log(lengths)).sum())
        """log|Z'Z|."""

    def rotate_into(self, B: Matrix) -> None:
        """B (n x r, float64, rows or columns consecutive) becomes H'B."""
        self._reflector.multiply_into(B, transpose=True)

    def rotate_back_into(self, B: Matrix) -> None:
        """B (n x r, float64, rows or columns consecutive) becomes H B."""
        self._reflector.multiply_into(B, transpose=False)

    def rotate_symmetric_into(self, K: Square) -> None:
        """K (n x n, symmetric, rows or columns consecutive) becomes H'KH, exactly symmetric, in O(n^2 c)."""
        self.rotate_lower_into(K)
        mirror_lower_into(square_view(K))

    def rotate_lower_into(self, K: Square) -> None:
        """As `rotate_symmetric_into` for the triangle below the diagonal of the column-wise view of K, the one read."""
        view = square_view(K)
        if view.shape[0] != self.rows:
            raise ShapeError(f"a kernel of order {view.shape[0]} for covariates with {self.rows} rows.")
        if self.columns:
            self._reflector.rotate_symmetric_into(view)


def mirror_lower_into(A: Square) -> None:
    """Copy the triangle below the diagonal of A (m x m) onto the one above."""
    size = A.shape[0]
    for start in range(0, size, _MIRROR):
        stop = min(start + _MIRROR, size)
        corner = A[start:stop, start:stop]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        A[start:stop, stop:] = A[stop:, start:stop].T


def pivoted_columns(Z: Matrix, names: Sequence[str] | None = None) -> tuple[Index, Index]:
    """Positions of the columns kept and dropped so that Z (n x c) has full column rank and the same span.

    A column is dropped when it depends on the columns before it, so the first of several equivalent ones stays: an
    intercept put first is only dropped if it is zero. The decision does not depend on the scale of any column.
    `names` label the columns in errors. Raises ShapeError, NotFiniteError.
    """
    columns, lengths = _unit_columns(Z, names)
    rows, count = columns.shape
    basis = np.empty((rows, min(rows, count)), order="F")
    kept: list[int] = []
    for start in range(0, count, _PANEL):
        panel = columns[:, start : start + _PANEL]
        before = basis[:, : len(kept)]
        for _ in range(2):  # twice is enough for orthogonality to rounding (Kahan and Parlett)
            panel -= before @ (before.T @ panel)
        first = len(kept)
        for offset in range(panel.shape[1]):
            if len(kept) == basis.shape[1]:
                break
            column, fresh = panel[:, offset], basis[:, first : len(kept)]
            for _ in range(2):
                column -= fresh @ (fresh.T @ column)
            left = float(np.linalg.norm(column))
            if lengths[start + offset] > 0.0 and left > COLLINEAR:
                unit = column / left
                unit -= basis[:, : len(kept)] @ (basis[:, : len(kept)].T @ unit)
                basis[:, len(kept)] = unit / np.linalg.norm(unit)
                kept.append(start + offset)
    keep = np.array(kept, dtype=np.intp)
    return keep, np.setdiff1d(np.arange(count, dtype=np.intp), keep)


def _unit_columns(Z: Matrix, names: Sequence[str] | None) -> tuple[Matrix, Vector]:
    """Columns of unit norm (zero columns stay zero) in a new array, and their lengths."""
    if Z.ndim != 2:
        raise ShapeError(f"covariates must be a matrix, not of shape {Z.shape}. Use z[:, None] for a single column.")
    columns = np.array(Z, dtype=np.float64, order="F", copy=True)
    largest = np.abs(columns).max(axis=0, initial=0.0)
    if not np.isfinite(largest).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(columns))[0])
        label = names[column] if names is not None else column
        raise NotFiniteError(
            f"covariate {label} is {columns[row, column]} in row {row}. Drop the row or impute the value first."
        )
    columns /= np.where(largest > 0.0, largest, 1.0)
    norms = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    columns /= np.where(norms > 0.0, norms, 1.0)
    return columns, norms * largest
