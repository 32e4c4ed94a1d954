"""Rows to pieces: bring to order one, take out a first fit of the fixed effects, and give groups their coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.linalg.powers import power_of_two
from varmix.models.independent_groups.blocks import Blocks
from varmix.models.independent_groups.orthogonal import orthogonalise
from varmix.models.independent_groups.rest import Rest
from varmix.models.independent_groups.scalars import Scalars
from varmix.models.independent_groups.scheme import Piece
from varmix.typing import Index, Matrix, Vector

EXACT = 1e-14
"""Share of its size that a response may keep beside covariates that explain it exactly: rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows as given, of positive weight: y (n,), X (n, K), W (n, c) of full rank, weight (n,) constant within `group`.

    `group` (n,) numbers the groups 0, 1, ...; None where each row is its own.
    """

    y: Vector
    X: Matrix
    W: Matrix
    weight: Vector
    group: Index | None

    @property
    def groups(self) -> int:
        """G."""
        return len(self.y) if self.group is None else int(self.group.max()) + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """Pieces in internal units. `outward` (K + 1,) are the factors from internal variances to those of the data.

    Fixed effects of the data are `response * (offset + basis w)` with w internal; their log-likelihood is `weight`
    times the internal one, plus `log_jacobian`.
    """

    pieces: tuple[Piece, ...]
    outward: Vector
    response: float
    weight: float
    offset: Vector
    basis: Matrix
    log_jacobian: float
    exact: bool
    """Whether the covariates explain the response exactly."""

    @property
    def rest(self) -> Rest:
        """What no slope reaches: the last piece."""
        last = self.pieces[-1]
        assert isinstance(last, Rest)
        return last

    def fixed(self, internal: Vector) -> Vector:
        """w in the units of the data."""
        return np.asarray(self.response * (self.offset + self.basis @ internal))


def reduce_rows(rows: Rows) -> Reduced:
    """Scale by powers of two, fit W by weighted least squares, orthogonalise, and sort coordinates into pieces."""
    response, regressors = (
        power_of_two(rows.y),
        np.array([power_of_two(column) for column in rows.X.T]),
    )
    # The optimum and its certificate must not depend on the size of the weights.
    weight = 0.5 * power_of_two(rows.weight)
    scaled = rows.weight / weight
    y, X = rows.y / response, np.ascontiguousarray(rows.X.T) / regressors[:, None]
    left, W, offset, basis = _without_fixed(y, rows.W, scaled / (1.0 + (X * X).sum(axis=0)))
    # y is replaced by what a first fit leaves (rows with large slopes weigh less, as they will), W by an orthonormal
    # basis of its span: later sums do not cancel.
    exact = bool(np.abs(left).max() <= EXACT * np.abs(y).max())
    Y = np.vstack([W.T, left])
    with np.errstate(over="ignore", under="ignore"):
        outward = np.append((response / regressors) ** 2, response**2)
    return Reduced(
        pieces=_pieces(X, Y, scaled, rows.group),
        outward=outward,
        response=response,
        weight=weight,
        offset=offset,
        basis=basis,
        log_jacobian=-float(rows.weight.sum()) * math.log(response),
        exact=exact,
    )


def _without_fixed(y: Vector, W: Matrix, weight: Vector) -> tuple[Vector, Matrix, Vector, Matrix]:
    """With b by weighted least squares: `y - W b`; columns that span those of W; b; and the `basis` that makes these
    columns `W basis`."""
    if not W.shape[1]:
        return y, W, np.zeros(0), np.zeros((0, 0))
    scale = np.array([power_of_two(column) for column in W.T])
    root = np.sqrt(weight / weight.max())
    Q, R = np.linalg.qr((W / scale) * root[:, None])
    b = np.linalg.solve(R, Q.T @ (y * root))
    basis = np.linalg.inv(R) * math.sqrt(len(y))
    return y - (W / scale) @ b, (W / scale) @ basis, b / scale, basis / scale[:, None]


def _pieces(X: Matrix, Y: Matrix, weight: Vector, group: Index | None) -> tuple[Piece, ...]:
    slopes = len(X)
    if group is None:
        squares, responses = X * X, Y
        without = ~(X != 0.0).any(axis=0)
        rest = Rest(
            slopes=slopes,
            rows=float(weight[without].sum()),
            total=(Y[:, without] * weight[without]) @ Y[:, without].T,
        )
        if without.any():
            squares, responses, weight = squares[:, ~without], responses[:, ~without], weight[~without]
        return (*_scalars(squares, responses, weight), rest)
    weights = np.zeros(int(group.max()) + 1)
    weights[group] = weight
    whole = orthogonalise(X, Y, group, weights)
    apart = whole.diagonal
    chosen = [np.flatnonzero(apart & whole.real[j]) for j in range(slopes)]
    squares = np.concatenate([whole.triangle[j][:, at] ** 2 for j, at in enumerate(chosen)], axis=1)
    responses = np.concatenate([whole.responses[j][:, at] for j, at in enumerate(chosen)], axis=1)
    pieces: list[Piece] = _scalars(squares, responses, weights[np.concatenate(chosen)])
    if not apart.all():
        pieces.append(
            Blocks(
                triangle=np.ascontiguousarray(whole.triangle[:, :, ~apart]),
                responses=np.ascontiguousarray(whole.responses[:, :, ~apart]),
                real=np.ascontiguousarray(whole.real[:, ~apart]),
                weight=weights[~apart],
            )
        )
    return (*pieces, Rest(slopes=slopes, rows=whole.rest_rows, total=whole.rest))


def _scalars(squares: Matrix, responses: Matrix, weight: Vector) -> list[Piece]:
    """One piece per slope for the coordinates that only one reaches, one more for the others."""
    slopes = len(squares)
    reached = (squares > 0.0).sum(axis=0)
    pieces: list[Piece] = []
    for k in range(slopes):
        alone = np.flatnonzero((reached == 1) & (squares[k] > 0.0))
        if alone.size:
            pieces.append(_part(np.array([k]), squares, responses, weight, alone))
    several = np.flatnonzero(reached > 1)
    if several.size:
        pieces.append(_part(np.arange(slopes), squares, responses, weight, several))
    return pieces


def _part(columns: Index, squares: Matrix, responses: Matrix, weight: Vector, at: Index) -> Scalars:
    return Scalars(
        slopes=len(squares),
        columns=columns,
        squares=np.ascontiguousarray(squares[np.ix_(columns, at)]),
        responses=np.ascontiguousarray(responses[:, at]),
        weight=weight[at],
    )
