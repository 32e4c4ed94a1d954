"""A grid of shares for all responses at once: the sign of the derivative brackets every local maximum [VC-7]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from varmix.linalg.indefinite import INDEFINITE_PER_ROW
from varmix.models.linear.batch.spectrum import SharedSpectrum, largest_share, odds_range
from varmix.typing import Array, Index, Mask, Vector

SPACING: Final = 0.8
"""Of the grid in logit h. A term of the likelihood is analytic within pi of the real axis there and bends on a scale of
2 to 4: two maxima within one interval are not to be feared, and cubic interpolation is good to about 1e-3."""

MARGIN: Final = 4.0
"""Logits beyond the last bend, `exp(-4)`: further out the likelihood is smooth in h or in 1 - h."""

WIDEST: Final = 30.0
"""Largest logit: 1 - h is then 1e-13, where rounding of the eigenvalues takes over."""

EDGE_NODES: Final = 28
"""Nodes towards the share at which a negative eigenvalue makes V singular, each `exp(-SPACING)` times as far from it as
the last: the likelihood bends in the logarithm of that distance. The last is 1e-10 away, six digits above rounding."""

BISECTIONS: Final = 30
"""Halvings of an interval of the interpolant, 1e-9 of it: far below the error of the interpolation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareGrid:
    """Nodes from h = 0 to the last one where V is positive definite, shape (G,)."""

    kernel: Vector
    """h."""
    residual: Vector
    """1 - h, exact near h = 1."""
    logits: Vector
    """Infinite at h = 0 and h = 1."""
    closed: bool
    """Whether the last node is h = 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brackets:
    """Candidate maxima, one entry each, in the smaller of h and 1 - h, called t; shape (k,)."""

    response: Index
    """Position of the response in its block."""
    upper: Mask
    """Whether t is 1 - h."""
    low: Vector
    high: Vector
    start: Vector
    held: Mask
    """Ends of the range with a derivative that does not point inside: the maximum is exactly there."""


def share_grid(spectrum: SharedSpectrum) -> ShareGrid:
    """The nodes that suit a spectrum; logit 0 is one of them, so that no interval crosses h = 1/2."""
    low, high = odds_range(spectrum, MARGIN, WIDEST)
    closed = largest_share(spectrum)[1]
    edge = _indefinite_edge(spectrum)
    inmost = high if edge is None else edge - SPACING
    below = np.linspace(low, 0.0, int(np.ceil(-low / SPACING)) + 1)
    if inmost > 0.0:
        inner = np.append(below, np.linspace(0.0, inmost, int(np.ceil(inmost / SPACING)) + 1)[1:])
    else:
        inner = np.append(below[below < inmost], inmost)
    if edge is not None:
        inner = np.append(inner, edge - SPACING * np.exp(-SPACING * np.arange(1.0, EDGE_NODES + 1.0)))
    kernel, residual = 1.0 / (1.0 + np.exp(-inner)), 1.0 / (1.0 + np.exp(inner))
    last = [1.0] if closed else []
    return ShareGrid(
        kernel=np.concatenate([[0.0], kernel, last]),
        residual=np.concatenate([[1.0], residual, [0.0] * len(last)]),
        logits=np.concatenate([[-np.inf], inner, [np.inf] * len(last)]),
        closed=closed,
    )


def _indefinite_edge(spectrum: SharedSpectrum) -> float | None:
    """The logit of h at which a negative eigenvalue makes V singular; None where rounding alone is negative."""
    if spectrum.smallest >= -INDEFINITE_PER_ROW * spectrum.rows * spectrum.largest:
        return None
    return -math.log(-spectrum.smallest)


def find_brackets(slope: Array, bend: Array, grid: ShareGrid) -> Brackets:
    """Every local maximum of the profile likelihood of each response, from its derivatives on the grid, (b, G) each.

    None for a response whose likelihood grows without bound where V becomes singular: a response without noise, or ML
    with covariates in the null space of the kernel and no maximum elsewhere.
    """
    at_zero = np.flatnonzero(slope[:, 0] <= 0.0)
    at_one = np.flatnonzero(slope[:, -1] >= 0.0) if grid.closed else np.zeros(0, dtype=np.intp)
    response, left = np.nonzero((slope[:, :-1] > 0.0) & (slope[:, 1:] < 0.0))
    parts = [
        _inside(response, left, slope, bend, grid),
        _ends(at_zero, upper=False),
        _ends(at_one, upper=True),
    ]
    return Brackets(
        response=np.concatenate([part.response for part in parts]),
        upper=np.concatenate([part.upper for part in parts]),
        low=np.concatenate([part.low for part in parts]),
        high=np.concatenate([part.high for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        held=np.concatenate([part.held for part in parts]),
    )


def _ends(response: Index, *, upper: bool) -> Brackets:
    zeros = np.zeros(response.size)
    return Brackets(
        response=response,
        upper=np.full(response.size, upper),
        low=zeros,
        high=zeros,
        start=zeros,
        held=np.ones(response.size, dtype=np.bool_),
    )


def _inside(response: Index, left: Index, slope: Array, bend: Array, grid: ShareGrid) -> Brackets:
    """Intervals with a change of sign, and the root of the cubic that has the derivatives of both ends."""
    right = left + 1
    finite = np.isfinite(grid.logits[left]) & np.isfinite(grid.logits[right])
    upper = grid.kernel[left] >= 0.5
    width = np.where(upper, grid.residual[left] - grid.residual[right], grid.kernel[right] - grid.kernel[left])
    width = np.where(finite, grid.logits[right] - np.where(finite, grid.logits[left], 0.0), width)
    values, rates = [], []
    for node in (left, right):
        h, rest, first, second = grid.kernel[node], grid.residual[node], slope[response, node], bend[response, node]
        product = h * rest
        values.append(np.where(finite, first * product, first))
        rates.append(np.where(finite, (second * product + first * (rest - h)) * product, second) * width)
    share = _hermite_root(values[0], values[1], rates[0], rates[1])
    logit = np.where(finite, grid.logits[left], 0.0) + share * width
    start = np.where(upper, grid.residual[left] - share * width, grid.kernel[left] + share * width)
    start = np.where(finite, 1.0 / (1.0 + np.exp(np.abs(logit))), start)
    low = np.where(upper, grid.residual[right], grid.kernel[left])
    high = np.where(upper, grid.residual[left], grid.kernel[right])
    return Brackets(
        response=response,
        upper=upper,
        low=low,
        high=high,
        start=np.clip(start, low, high),
        held=np.zeros(response.size, dtype=np.bool_),
    )


def _hermite_root(left: Vector, right: Vector, left_rate: Vector, right_rate: Vector) -> Vector:
    """Where on [0, 1] the cubic with these values (left > 0 > right) and derivatives vanishes, by bisection."""
    low, high = np.zeros_like(left), np.ones_like(left)
    for _ in range(BISECTIONS):
        s = 0.5 * (low + high)
        rest = 1.0 - s
        value = rest * rest * ((1.0 + 2.0 * s) * left + s * left_rate)
        value += s * s * ((1.0 + 2.0 * rest) * right - rest * right_rate)
        above = value > 0.0
        low, high = np.where(above, s, low), np.where(above, high, s)
    return 0.5 * (low + high)
