"""Where to begin: the local maxima of a scan over the share of variance that the slopes have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from varmix.iteration import Serial
from varmix.models.independent_groups.closed import close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.scheme import Piece, summarise_groups
from varmix.models.independent_groups.statistics import GroupStats
from varmix.typing import Vector

SHARES = (0.003, 0.03, 0.15, 0.4, 0.7, 0.93, 0.997)
"""Shares of the slopes that are tried: even in the logit, where a likelihood of variances has its hills."""


def evaluate(params: GroupParams, pieces: Sequence[Piece]) -> GroupStats:
    """Statistics of all pieces."""
    return Serial().map_add(lambda piece: summarise_groups(params, piece), pieces)


def good_starts(pieces: Sequence[Piece], residual: float | None) -> list[GroupParams]:
    """The maxima of a scan of equal contributions of all slopes, each point at its best scale.

    A maximum at an end of the scan may draw to an edge of the space: the middle is then a start, too.
    `residual` (internal units) is held where it is known; the slopes' variances are then scanned beside it.
    """
    typical = _typical(pieces)
    size = len(typical)
    found = []
    for share in SHARES:
        values = np.append(share / (size - 1) / typical[:-1], 1.0 - share)
        if residual is not None:
            values *= residual / values[-1]
        found.append(_scaled(point(values, residual), pieces, residual))
    heights = np.array([height for height, _ in found])
    padded = np.concatenate([[-np.inf], heights, [-np.inf]])
    top = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:])
    if top[0] or top[-1]:
        top[len(found) // 2] = True
    chosen = [params for (height, params), is_top in zip(found, top, strict=True) if is_top and np.isfinite(height)]
    return chosen or [max(found, key=lambda pair: pair[0])[1]]


def random_start(pieces: Sequence[Piece], residual: float | None, rng: np.random.Generator) -> GroupParams:
    """Contributions drawn evenly from the simplex, at their best scale."""
    typical = _typical(pieces)
    values = rng.dirichlet(np.ones(len(typical))) / typical
    if residual is not None:
        values *= residual / values[-1]
    return _scaled(point(values, residual), pieces, residual)[1]


def point(values: Vector, residual: float | None) -> GroupParams:
    """A point with the residual variance held where it is known."""
    params = GroupParams.free(values)
    return params if residual is None else params.holding(len(values) - 1, residual)


def _typical(pieces: Sequence[Piece]) -> Vector:
    """What a variance of 1 adds to that of a row it reaches, shape (K + 1,)."""
    params = GroupParams.free(np.append(np.zeros(pieces[0].slopes), 1.0))
    stats = evaluate(params, pieces)
    return np.append(stats.trace[:-1] / stats.rows, 1.0)


def _scaled(params: GroupParams, pieces: Sequence[Piece], residual: float | None) -> tuple[float, GroupParams]:
    """Log-likelihood and point at the best scale `r'V^-1 r / rows` of all variances."""
    stats = evaluate(params, pieces)
    closed = close(params.values, stats)
    if residual is not None or not np.isfinite(closed.log_likelihood):
        return closed.log_likelihood, params
    scale = float(params.values @ closed.quad) / stats.rows
    if not scale > 0.0:
        return -np.inf, params
    gain = 0.5 * stats.rows * (scale - 1.0 - np.log(scale))
    return closed.log_likelihood + gain, params.moved_to(scale * params.values)
