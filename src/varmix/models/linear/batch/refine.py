"""Safeguarded Newton in h for many brackets at once; those that have arrived leave the arrays [VC-7] [NEWTON-1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from varmix.models.linear.batch.derivatives import profile_derivatives, share_information
from varmix.models.linear.batch.grid import Brackets
from varmix.models.linear.batch.sums import ShareSums, SpectrumArrays, share_sums
from varmix.typing import Index, Mask, Matrix, Vector

BLOCK_NUMBERS: Final = 2**15
"""Numbers in one array of a block (256 KiB): the three arrays of an evaluation stay in the second-level cache."""

LAST_STEP: Final = 1e-5
"""Decrement, in standard errors, from which one more Newton step goes below the tolerance of the certificate."""

MAX_STEPS: Final = 200
"""Newton needs two to five; bisection through the whole range of floating point numbers would need about this many."""


SumsOf: TypeAlias = Callable[[Index, Vector, Vector], ShareSums]
"""Of responses (positions) at h and 1 - h, shape (k,) each."""


@dataclass(slots=True)
class Maxima:
    """The state of k brackets, changed in place."""

    brackets: Brackets
    t: Vector
    """The smaller of h and 1 - h."""
    steps: NDArray[np.int64]

    @classmethod
    def of(cls, brackets: Brackets) -> Maxima:
        """At the starts."""
        return cls(brackets, brackets.start.copy(), np.zeros(brackets.start.size, dtype=np.int64))

    def shares(self, which: Index | slice = slice(None)) -> tuple[Vector, Vector]:
        """h and 1 - h, each to full relative precision."""
        upper, t = self.brackets.upper[which], self.t[which]
        return np.where(upper, 1.0 - t, t), np.where(upper, t, 1.0 - t)


def sums_at(squares: Matrix, arrays: SpectrumArrays, response: Index, kernel: Vector, residual: Vector) -> ShareSums:
    """The sums of responses (positions into `squares`, (b, m)) at a share each, in blocks that fit the cache."""
    parts = [
        share_sums(squares[response[part]], arrays, kernel[part], residual[part])
        for part in cache_blocks(response.size, squares.shape[1])
    ]
    return ShareSums(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def cache_blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of `count` rows of `size` numbers; one empty slice when there is nothing."""
    step = max(1, BLOCK_NUMBERS // size)
    return (slice(start, start + step) for start in range(0, max(count, 1), step))


def refine(maxima: Maxima, which: Index, sums_of: SumsOf, errors: Vector, last_step: float) -> None:
    """Move the brackets `which` to their maxima: Newton where it stays inside and the profile is concave, else halving.

    `sums_of` gives the sums of responses (positions) at a share each, `errors` (b,) their divisors of sigma^2.

    A bracket is done after the step that follows a decrement of at most `last_step`, or when no step moves it.
    """
    brackets = maxima.brackets
    active = which[~brackets.held[which]]
    low, high = brackets.low.copy(), brackets.high.copy()
    sign = np.where(brackets.upper, -1.0, 1.0)
    for _ in range(MAX_STEPS):
        if active.size == 0:
            return
        response = brackets.response[active]
        sums = sums_of(response, *maxima.shares(active))
        slope, bend = profile_derivatives(sums, errors[response])
        decrement = np.abs(slope) / np.sqrt(share_information(sums, errors[response]))
        slope *= sign[active]
        t = maxima.t[active]
        low[active] = np.where(slope > 0.0, t, low[active])
        high[active] = np.where(slope < 0.0, t, high[active])
        maxima.t[active] = moved = _step(t, slope, bend, low[active], high[active])
        maxima.steps[active] += 1
        active = active[(decrement > last_step) & (moved != t)]


def _step(t: Vector, slope: Vector, bend: Vector, low: Vector, high: Vector) -> Vector:
    concave = bend < 0.0
    newton = t - slope / np.where(concave, bend, -1.0)
    inside: Mask = concave & (newton > low) & (newton < high)
    halved = np.where(low > 0.0, np.sqrt(low) * np.sqrt(high), 0.5 * high)
    halved = np.where(high > 2.0 * low, halved, 0.5 * (low + high))
    return np.where(slope == 0.0, t, np.where(inside, newton, halved))
