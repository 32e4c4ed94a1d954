"""Where the residual variance may have its best value: a scan on a sample of units [SLOPE-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.models.random_effect_mixture.directional import variance_grid
from varmix.models.random_effect_mixture.share_profile import ShareProfile
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Tick, Vector

SCAN_UNITS = 2_000
"""Units of the sample on which the residual variance is scanned for local maxima."""

SCAN_POINTS = 14
"""Residual variances scanned, from `SCAN_DEPTH` of the largest possible one upwards: one and a third per octave."""

SCAN_DEPTH, SCAN_DEEPER = 1e-3, 1e-12
"""Residual variances, as a share of the largest possible one, where the scan ends, and where it ends if the likelihood
still rises there."""

LEVEL = 1e-6
"""Share of the largest residual variance below which the likelihood is level as a rule: 0 is tried as well."""

SCAN_GRID = 30
"""Points of the scan's grids: it has to find a maximum, not to place it."""

SCAN_GAP = 1e-5
"""Gap per unit to which shares are solved during the scan."""

PROMINENCE = 0.1
"""Log-likelihood of the sample by which the scan has to fall between two local maxima: grids that change with the
residual variance make waves of a fifth of that."""

SUMMITS = 2
"""Local maxima of the scan that are climbed with all units."""


def summits(pieces: Sequence[Units], grid: Vector | None, tick: Tick | None) -> list[float]:
    """Residual variances at the local maxima of a scan, the highest first; 0 stands for the low end of the scan, where
    the likelihood still rises or no longer changes.

    At a maximum the mean of h^2 / tau is 1, and tau >= s: the mean of h^2 is the largest residual variance possible.
    Raises NotIdentifiedError where every response is 0.
    """
    sample, highest = sampled(pieces, SCAN_UNITS), mean_square(pieces)
    if highest <= 0.0:
        raise NotIdentifiedError(
            "The response is 0 in every unit: no residual variance is the best one. Check the response, or give the "
            "residual variance."
        )
    residuals = highest * np.geomspace(1.0, SCAN_DEPTH, SCAN_POINTS)
    values = _scanned(sample, residuals, grid, tick)
    noise = 1e-9 * (1.0 + abs(float(values.max())))
    if values[-1] >= values.max() - noise and values[-1] > values[-2]:
        deeper = highest * np.geomspace(SCAN_DEPTH, SCAN_DEEPER, 2 * SCAN_POINTS)[1:]
        residuals = np.concatenate([residuals, deeper])
        values = np.concatenate([values, _scanned(sample, deeper, grid, tick)])
        deepest = int(np.argmax(values))
        if deepest == len(values) - 1:
            return [0.0]
        if residuals[deepest] < LEVEL * highest:
            return [0.0, float(residuals[deepest])]
    padded = np.concatenate([[-math.inf], values, [-math.inf]])
    # On a flat stretch the largest residual variance stands for all.
    tops = np.flatnonzero((values > padded[:-2] + noise) & (values >= padded[2:] - noise))
    order = tops[np.argsort(-values[tops], kind="stable")] if tops.size else np.array([np.argmax(values)])
    kept: list[int] = []
    for top in order.tolist():
        between = [values[min(top, other) : max(top, other) + 1].min() for other in kept]
        if all(values[top] - dip > PROMINENCE for dip in between):
            kept.append(top)
    return [float(residuals[top]) for top in kept[:SUMMITS]]


def _scanned(sample: Units, residuals: Vector, grid: Vector | None, tick: Tick | None) -> Vector:
    """The log-likelihood of the sample at each residual variance, every one on the grid that suits it."""
    values, start = np.empty(len(residuals)), None
    for i, residual in enumerate(residuals.tolist()):
        around = variance_grid([sample], residual, SCAN_GRID) if grid is None else grid
        found = ShareProfile([sample], around, SCAN_GAP, tick).at(residual, start)
        values[i], start = found.log_likelihood, found.outcome.shares if grid is not None else None
    return values


def sampled(pieces: Sequence[Units], units: int) -> Units:
    """An evenly spread sample of units, with its share of what informs the residual variance alone."""
    count = sum(len(piece) for piece in pieces)
    part = min(1.0, units / count)
    chosen = np.sort(np.random.default_rng(0).choice(count, min(count, units), replace=False))
    q, h2, weights, position = [], [], [], 0
    for piece in pieces:
        first, last = np.searchsorted(chosen, [position, position + len(piece)])
        inside = chosen[first:last] - position
        q.append(piece.q[inside])
        h2.append(piece.h2[inside])
        weights.append(np.ones(len(inside)) if piece.weight is None else piece.weight[inside])
        position += len(piece)
    return Units(
        q=np.concatenate(q),
        h2=np.concatenate(h2),
        weight=np.concatenate(weights),
        rest=part * sum(piece.rest for piece in pieces),
        rest_rows=part * sum(piece.rest_rows for piece in pieces),
    )


def mean_square(pieces: Sequence[Units]) -> float:
    """Of h and of the coordinates without an effect, weighted."""
    square, rows = 0.0, 0.0
    for piece in pieces:
        square += piece.rest + float(piece.h2.sum() if piece.weight is None else piece.weight @ piece.h2)
        rows += piece.rest_rows + piece.total
    return square / rows if rows > 0.0 else 0.0
