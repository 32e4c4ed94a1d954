"""What a further class could add: the directional derivative of the log-likelihood towards a variance [SLOPE-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import BLOCK, SMALLEST_BLOCK, ratios
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Matrix, Vector

TAIL_PER_DECADE = 4
"""Points beyond the grid: one unit's density, over log v, is several times wider than their distance."""

CANDIDATES = 6
"""Local maxima on a grid that are followed to their tops."""

STEPS = 60
"""Newton or halving steps to a top: halving alone has the interval down to rounding by then."""


class Peak(NamedTuple):
    """The variance at which D is largest, and D there."""

    variance: float
    value: float


def directional(params: MixtureParams, pieces: Sequence[Units], variances: Vector) -> Vector:
    """`D(v) = sum a f(y_g | v) / f(y_g) / sum a` at each of `variances` (internal units) [SLOPE-8].

    For the residual variance as it is, no mixture of any number of classes has a log-likelihood higher than this one's
    by more than `sum a * log max D`; at the best mixture D is 1 on its support and nowhere above.
    """
    return np.asarray(_derivatives(params, pieces, variances, orders=1)[0])


def directional_peak(params: MixtureParams, pieces: Sequence[Units], grid: Vector | None = None) -> Peak:
    """The largest D(v) over all v >= 0: on a grid with a coarse tail up to where every density falls, then between
    its points by Newton's method [SLOPE-8]."""
    inner = variance_grid(pieces, params.residual) if grid is None else np.unique(grid)
    largest = largest_variance(pieces, params.residual)
    points = np.unique(np.concatenate([[0.0], inner, _tail(float(inner[-1]), largest)]))
    if params.residual <= 0.0:
        points = points[points > 0.0]
    values = directional(params, pieces, points)
    padded = np.concatenate([[-math.inf], values, [-math.inf]])
    tops = np.flatnonzero((values >= padded[:-2]) & (values >= padded[2:]))
    tops = tops[np.argsort(-values[tops], kind="stable")[:CANDIDATES]]
    low, high = points[np.maximum(tops - 1, 0)], points[np.minimum(tops + 1, len(points) - 1)]
    best = Peak(float(points[tops[0]]), float(values[tops[0]])) if tops.size else Peak(0.0, 1.0)
    at = points[tops].copy()
    for _ in range(STEPS):
        value, slope, bend = _derivatives(params, pieces, at, orders=3)
        top = int(np.argmax(value))
        if value[top] > best.value:
            best = Peak(float(at[top]), float(value[top]))
        low, high = np.where(slope > 0.0, at, low), np.where(slope > 0.0, high, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = at - slope / bend
        inside = (bend < 0.0) & (step > low) & (step < high)
        following = np.where(inside, step, 0.5 * (low + high))
        # What a step over the interval could still add, to first order, is beyond the digits of a sum of ratios.
        if not (np.abs(slope) * np.minimum(high - low, np.abs(following - at) * 2.0) > 1e-15 * value).any():
            break
        at = following
    return best


def largest_variance(pieces: Sequence[Units], residual: float) -> float:
    """The maximum of `(h^2 - s) / q`, at which the most extreme unit would be typical: beyond it every density falls
    with v [SLOPE-8]. 0 where no unit suggests any."""
    return max([0.0, *(float(((piece.h2 - residual) / piece.q).max()) for piece in pieces if len(piece))])


def variance_grid(pieces: Sequence[Units], residual: float, points: int = 60) -> Vector:
    """0 and a geometric grid of variances, from where no unit can tell them from 0 to where some unit would be typical.

    Shape (points,), internal units. Units that noise alone could have made as large do not count by themselves: a unit
    with next to no q suggests any variance [SLOPE-8].
    """
    if points == 1:
        return np.zeros(1)
    count = sum(len(piece) for piece in pieces)
    beyond_noise = residual * (2.0 * math.log(max(count, 1)) + 6.0)
    limit, telling, finest, top, bottom = largest_variance(pieces, residual), 0.0, 0.0, 0.0, 0.0
    for piece in pieces:
        if not len(piece):
            continue
        telling = max(telling, float(np.where(piece.h2 > beyond_noise, (piece.h2 - residual) / piece.q, 0.0).max()))
        finest = max(finest, float(piece.q.max()))
        weighted = piece.q if piece.weight is None else piece.q * piece.weight
        top, bottom = top + float(weighted @ (piece.h2 - residual)), bottom + float(weighted @ piece.q)
    moment = top / bottom if bottom > 0.0 else 0.0
    largest = min(limit, max(telling, 20.0 * moment))
    if largest <= 0.0:
        largest = residual / finest if finest > 0.0 and residual > 0.0 else 1.0
    smallest = min(largest / 10.0, 0.01 * residual / finest if residual > 0.0 else 1e-8 * largest)
    return np.concatenate([[0.0], np.geomspace(smallest, largest, points - 1)])


def _tail(start: float, end: float) -> Vector:
    if not 0.0 < start < end:
        return np.array([end])
    return np.geomspace(start, end, 2 + math.ceil(TAIL_PER_DECADE * math.log10(end / start)))


def _derivatives(params: MixtureParams, pieces: Sequence[Units], variances: Vector, *, orders: int) -> Matrix:
    """D and its first derivatives in v, shape (orders, len(variances)): `f_v' = q d f_v`, and the second with
    `q^2 (e + d^2)`, where `(e + d^2) tau^2 = (t^2 - 6 t + 3) / 4`, `t = h^2 / tau` [SLOPE-6]."""
    count, more = params.classes, len(variances)
    wide = MixtureParams(
        variances=np.concatenate([params.variances, variances]),
        residual=params.residual,
        shares=np.concatenate([params.shares, np.zeros(more)]),
        held=np.ones(2 * (count + more) + 1, dtype=np.bool_),
    )
    size = max(SMALLEST_BLOCK, BLOCK // wide.classes)
    sums, total = np.zeros((orders, more)), 0.0
    work = np.empty((4 * wide.classes + 1, size))
    for piece in pieces:
        for q, h2, weight in piece.blocks(size):
            part = np.ones(len(q)) if weight is None else weight
            with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
                ratio, inverse, scaled, _ = ratios(wide, q, h2, work[:, : len(q)])
                ratio, inverse, scaled = ratio[count:], inverse[count:], scaled[count:]
                sums[0] += ratio @ part
                if orders > 1:
                    inverse *= q
                    ratio *= inverse
                    sums[1] += 0.5 * ((scaled - 1.0) * ratio) @ part
                    sums[2] += 0.25 * (((scaled - 6.0) * scaled + 3.0) * inverse * ratio) @ part
            total += float(part.sum())
    if not total > 0.0:
        sums[:] = 0.0
        sums[0] = 1.0
        return sums
    return sums / total
