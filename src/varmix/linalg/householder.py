"""The orthogonal complement of a few columns, kept as reflectors: what removes fixed effects from a kernel."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from varmix.errors import NotFiniteError, NotIdentifiedError, ShapeError
from varmix.linalg.reflector import BlockReflector
from varmix.linalg.scale import square_view
from varmix.typing import Index, Matrix, Square, Vector

COLLINEAR: Final = 1e-7
"""A column whose part outside the span of the earlier ones is below this share of its norm counts as dependent: the
rule and the tolerance of R's `qr`, above the rounding of covariates stored as float32 (6e-8). Norms are those of the
centred columns, for a year or a position on a chromosome varies little beside its offset."""

_ROUNDING: Final = 8.0 * float(np.finfo(np.float64).eps)
"""Of a column's norm: the digits that are not there. What is left of a column below it is rounding."""

_MULTIPLE: Final = 10.0
"""Times the limit of dependence: the multiple of the constant, as a share of the means it is made of, that is real."""

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
        columns = _Centred.of(Z, None)
        self.rows: Final = columns.values.shape[0]
        self.columns: Final = columns.values.shape[1]
        if self.columns > self.rows:
            raise ShapeError(f"{self.columns} columns for {self.rows} rows. Keep the ones `pivoted_columns` returns.")
        dependent = _eliminate(columns).dropped
        if dependent:
            raise NotIdentifiedError(
                f"column {dependent[0]} of the covariates depends on the columns before it. "
                "Keep the ones `pivoted_columns` returns."
            )
        panel = np.ldexp(Z, -columns.exponents, order="F", dtype=np.float64)
        constant = next(iter(columns.constant()), None)
        if constant is not None:  # the columns after it are centred: the same span and the same H
            panel[:, constant + 1 :] = columns.values[:, constant + 1 :]
        lengths = _norms(panel)
        panel /= lengths
        self._reflector: Final = BlockReflector.eliminate_into(panel)
        R = np.triu(panel[: self.columns]) * lengths
        logs = np.log(np.abs(np.diagonal(R))) + np.log(2.0) * columns.exponents
        self.log_determinant: Final = 2.0 * float(logs.sum())
        """log|Z'Z|."""
        if constant is not None:
            R[:, constant + 1 :] += R[:, [constant]] * (columns.means[constant + 1 :] / columns.means[constant])
        self.R: Final[Square] = np.ldexp(R, columns.exponents)

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
    intercept put first is only dropped if it is zero. Columns are judged by how they vary: neither their scale nor an
    offset that leaves them digits changes the decision. `names` label the columns in errors. Raises ShapeError,
    NotFiniteError.
    """
    rank = _eliminate(_Centred.of(Z, names))
    return np.array(rank.kept, dtype=np.intp), np.array(rank.dropped, dtype=np.intp)


def spans_constant(Z: Matrix) -> bool:
    """Whether the constant is a linear combination of the columns of Z (n x c). Raises ShapeError, NotFiniteError."""
    return _eliminate(_Centred.of(Z, None)).spans_constant


@dataclass(frozen=True, slots=True, kw_only=True)
class _Centred:
    """Columns written as `(values + means) 2^exponents`, of order one before that power."""

    values: Matrix
    """(n, c), Fortran order, centred."""
    means: Vector
    lengths: Vector
    """Norms of `values`; 0 for a column that varies by rounding only."""
    blur: Vector
    """Rounding of the columns themselves, as a share of `lengths`."""
    exponents: NDArray[np.int32]

    @classmethod
    def of(cls, Z: Matrix, names: Sequence[str] | None) -> _Centred:
        if Z.ndim != 2:
            raise ShapeError(
                f"covariates must be a matrix, not of shape {Z.shape}. Use z[:, None] for a single column."
            )
        largest = np.abs(Z).max(axis=0, initial=0.0)
        if not np.isfinite(largest).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(Z))[0])
            label = names[column] if names is not None else column
            raise NotFiniteError(
                f"covariate {label} is {Z[row, column]} in row {row}. Drop the row or impute the value first."
            )
        exponents = np.frexp(largest)[1].astype(np.int32)
        values = np.ldexp(Z, -exponents, order="F", dtype=np.float64)  # exact: beside an offset every digit counts
        rows = max(len(values), 1)
        means = values.sum(axis=0) / rows
        values -= means
        rest = values.sum(axis=0) / rows  # beside a large offset the first mean is off by its last digit
        values -= rest
        means += rest
        lengths = _norms(values)
        rounding = _ROUNDING * np.hypot(lengths, np.sqrt(rows) * means)
        lengths[lengths <= rounding] = 0.0
        blur = rounding / np.where(lengths > 0.0, lengths, np.inf)
        return cls(values=values, means=means, lengths=lengths, blur=blur, exponents=exponents)

    def constant(self) -> list[int]:
        """Positions of the columns that are constant and not zero."""
        return [int(at) for at in np.flatnonzero((self.lengths == 0.0) & (self.means != 0.0))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rank:
    kept: list[int]
    dropped: list[int]
    spans_constant: bool


def _eliminate(columns: _Centred) -> _Rank:
    """Which columns depend on the columns before them, and whether the constant is in their span.

    The constant is put first, and the centred columns are orthogonalised one by one. That drops one column too many
    when the constant is in the span: the first that depends on the columns before it with the help of the constant.
    """
    units = columns.values / np.where(columns.lengths > 0.0, columns.lengths, np.inf)
    rows, count = units.shape
    basis = np.empty((rows, min(rows, count + 1)), order="F")
    basis[:, :1] = 1.0 / np.sqrt(max(rows, 1))
    kept: list[int] = []
    blur, limits = np.zeros(basis.shape[1]), np.full(count, COLLINEAR)
    work = units.copy(order="F")
    for start in range(0, count, _PANEL):
        panel, first = work[:, start : start + _PANEL], len(kept) + 1
        before = basis[:, :first]
        weights = before.T @ panel
        for _ in range(2):  # twice is enough for orthogonality to rounding (Kahan and Parlett)
            panel -= before @ (before.T @ panel)
        for offset in range(panel.shape[1]):
            at, filled = start + offset, len(kept) + 1
            if filled >= basis.shape[1]:
                break
            column, fresh = panel[:, offset], basis[:, first:filled]
            inherited = np.concatenate([weights[:, offset], fresh.T @ column]) * blur[:filled]
            for _ in range(2):
                column -= fresh @ (fresh.T @ column)
            left, noise = float(np.linalg.norm(column)), float(np.hypot(columns.blur[at], np.linalg.norm(inherited)))
            limits[at] = max(COLLINEAR, noise)
            if left > limits[at]:
                unit = column / left
                unit -= basis[:, :filled] @ (basis[:, :filled].T @ unit)
                basis[:, filled], blur[filled] = unit / np.linalg.norm(unit), noise / left
                kept.append(at)
    dropped = np.setdiff1d(np.arange(count), kept).tolist()
    brings = _brings_constant(columns, units, basis[:, 1 : len(kept) + 1], kept, dropped, limits)
    if brings is not None:
        kept, dropped = sorted([*kept, brings]), [at for at in dropped if at != brings]
    return _Rank(kept=kept, dropped=dropped, spans_constant=brings is not None)


def _brings_constant(
    columns: _Centred, units: Matrix, basis: Matrix, kept: list[int], dropped: list[int], limits: Vector
) -> int | None:
    """The first of the dropped columns that is a combination of those before it *plus* a multiple of the constant."""
    if not dropped:
        return None
    R, targets = basis.T @ units[:, kept], basis.T @ units[:, dropped]
    slopes = columns.means[kept] / columns.lengths[kept]
    for at, target in zip(dropped, targets.T, strict=True):
        before = bisect_left(kept, at)
        weights = solve_triangular(R[:before, :before], target[:before]) if before else np.zeros(0)
        parts = columns.lengths[at] * weights * slopes[:before]
        multiple = columns.means[at] - parts.sum()
        if abs(multiple) > _MULTIPLE * limits[at] * (abs(columns.means[at]) + np.abs(parts).sum()):
            return at
    return None


def _norms(columns: Matrix) -> Vector:
    norms: Vector = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    return norms
