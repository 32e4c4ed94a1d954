"""What a first pass over rows learns: their number, their size, and what they identify. Facts of parts add."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from varmix.linalg.powers import nearest_power
from varmix.models.random_effect_mixture.number_range import without_vanishing
from varmix.models.random_effect_mixture.ratios import ResponseRatios
from varmix.models.random_effect_mixture.reduction import Reduction, Scales
from varmix.models.random_effect_mixture.stream.rows import CheckedChunk
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Vector

DISTINCT = 64
"""Distinct values of |x| that are told apart: no model here needs to know of more."""

OUTLINED = 1024
"""Units of an outline: more than anyone asks for classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnitude:
    """Sum of squares as `square * 4^exponent`, 0.25 <= largest entry / 2^exponent < 1: no data overflow it."""

    count: int = 0
    """Entries that are not 0."""
    square: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: Vector) -> Magnitude:
        """Of an array."""
        largest = float(np.abs(values).max(initial=0.0))
        if largest == 0.0:
            return cls()
        exponent = math.frexp(largest)[1]
        scaled = np.ldexp(values, -exponent)
        return cls(count=int(np.count_nonzero(values)), square=float(scaled @ scaled), exponent=exponent)

    def __add__(self, other: Magnitude) -> Magnitude:
        if not (self.count and other.count):
            return self if self.count else other
        low, high = sorted((self, other), key=lambda item: item.exponent)
        return Magnitude(
            count=self.count + other.count,
            square=high.square + math.ldexp(low.square, 2 * (low.exponent - high.exponent)),
            exponent=high.exponent,
        )

    @property
    def power_of_two(self) -> float:
        """The power of two next above the root mean square of what is not 0; 1 where all is 0."""
        if not self.count:
            return 1.0
        return nearest_power(math.frexp(math.sqrt(self.square / self.count))[1] + self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowFacts:
    """Of rows divided by their known errors; of those with a positive weight from `regressed` on.

    `regressed` counts rows with x other than 0, `zeros` those of them with y = 0; `distinct` holds the smallest of
    their distinct |x|, at most `DISTINCT`, and `largest` the largest. `left_rows` is the weight of rows with x = 0,
    `left` the size of their y; `ratios` are counts of y as given.
    """

    rows: int = 0
    dropped: int = 0
    chunks: int = 0
    weight: float = 0.0
    log_errors: float = 0.0
    response: Magnitude = field(default_factory=Magnitude)
    regressor: Magnitude = field(default_factory=Magnitude)
    regressed: int = 0
    zeros: int = 0
    distinct: Vector = field(default_factory=lambda: np.empty(0))
    largest: float = 0.0
    left_rows: float = 0.0
    left: Magnitude = field(default_factory=Magnitude)
    ratios: ResponseRatios = field(default_factory=ResponseRatios)

    @classmethod
    def of(cls, chunk: CheckedChunk) -> RowFacts:
        """Of one chunk."""
        rows = chunk.rows
        weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        counted, seen = weight > 0.0, rows.x != 0.0
        size = np.abs(rows.x[counted & seen])
        return cls(
            rows=len(rows),
            dropped=len(chunk.kept) - len(rows),
            chunks=1,
            weight=rows.total,
            log_errors=chunk.log_errors,
            response=Magnitude.of(rows.y),
            regressor=Magnitude.of(rows.x),
            regressed=len(size),
            zeros=int((counted & seen & (rows.y == 0.0)).sum()),
            distinct=_distinct(size),
            largest=float(size.max(initial=0.0)),
            left_rows=float(weight[~seen].sum()),
            left=Magnitude.of(rows.y[counted & ~seen]),
            ratios=ResponseRatios.of(chunk.y, chunk.x),
        )

    def __add__(self, other: RowFacts) -> RowFacts:
        return RowFacts(
            rows=self.rows + other.rows,
            dropped=self.dropped + other.dropped,
            chunks=self.chunks + other.chunks,
            weight=self.weight + other.weight,
            log_errors=self.log_errors + other.log_errors,
            response=self.response + other.response,
            regressor=self.regressor + other.regressor,
            regressed=self.regressed + other.regressed,
            zeros=self.zeros + other.zeros,
            distinct=_distinct(np.concatenate([self.distinct, other.distinct])),
            largest=max(self.largest, other.largest),
            left_rows=self.left_rows + other.left_rows,
            left=self.left + other.left,
            ratios=self.ratios + other.ratios,
        )

    @property
    def scales(self) -> Scales:
        """Powers of two that bring all rows to order one."""
        return Scales(response=self.response.power_of_two, regressor=self.regressor.power_of_two)

    def log_jacobian(self) -> float:
        """What to add to the log-likelihood of the reduced rows for that of the data."""
        return -self.log_errors - self.weight * math.log(self.scales.response)

    @property
    def squares(self) -> Vector:
        """`distinct^2` in internal units, shape (m,); 0 where they count as rows without x."""
        return without_vanishing((self.distinct / self.scales.regressor) ** 2)

    def outline(self) -> Reduction:
        """Units that identify what all rows without groups identify, for `check_identified` and `unbounded_rows`.

        As many as there are up to `OUTLINED`, from the smallest to the largest x'x, and as many without a response as
        there are; a row with x = 0 stands for all of them. Where some of `squares` are 0 see `outline_of`: which rows
        these are was not known when they were counted.
        """
        scales = self.scales
        left = math.ldexp(self.left.square, 2 * self.left.exponent - 2 * round(math.log2(scales.response)))
        q = np.append(self.squares, (self.largest / scales.regressor) ** 2)
        return _outline(q, self.regressed, self.zeros, left, self.left_rows, scales)


def outline_of(pieces: Iterable[Units], scales: Scales) -> Reduction:
    """As `RowFacts.outline`, from the units themselves: one pass over them."""
    ends: list[float] = []
    count, zeros, rest, rest_rows = 0, 0, 0.0, 0.0
    for piece in pieces:
        counted = np.ones(len(piece), dtype=np.bool_) if piece.weight is None else piece.weight > 0.0
        q = piece.q[counted]
        if q.size:
            ends = [min([*ends, float(q.min())]), max([*ends, float(q.max())])]
        count, zeros = count + len(q), zeros + int((piece.h2[counted] == 0.0).sum())
        rest, rest_rows = rest + piece.rest, rest_rows + piece.rest_rows
    return _outline(np.array(ends), count, zeros, rest, rest_rows, scales)


def _outline(q: Vector, regressed: int, zeros: int, rest: float, rest_rows: float, scales: Scales) -> Reduction:
    """Units with these q, the last one repeated, and as many without a response."""
    count = max(min(regressed, OUTLINED), zeros)
    squares = np.full(count, q[-1] if q.size else 0.0)
    squares[: len(q)] = q[:count]
    h2 = np.ones(count)
    h2[:zeros] = 0.0
    return Reduction(
        units=Units(q=squares, h2=h2, rest=rest, rest_rows=rest_rows),
        q=squares,
        xy=np.sqrt(h2 * squares),
        rows=np.ones(count),
        informative=np.arange(count),
        scales=scales,
        log_jacobian=0.0,
    )


def _distinct(values: Vector) -> Vector:
    """The smallest of the distinct values; those that cannot be among them are left out before the sort."""
    if len(values) > 16 * DISTINCT:
        first = np.unique(values[: 16 * DISTINCT])
        if len(first) >= DISTINCT:
            values = values[values <= first[DISTINCT - 1]]
    return np.unique(values)[:DISTINCT]
