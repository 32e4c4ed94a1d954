"""What a further class could add: the directional derivative of the log-likelihood towards a variance [SLOPE-8]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import BLOCK, SMALLEST_BLOCK, ratios
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Vector


def directional(params: MixtureParams, pieces: Sequence[Units], variances: Vector) -> Vector:
    """`D(v) = sum a f(y_g | v) / f(y_g) / sum a` at each of `variances` (internal units) [SLOPE-8].

    For the residual variance as it is, no mixture of any number of classes has a log-likelihood higher than this one's
    by more than `sum a * log max D`; at the best mixture D is 1 on its support and nowhere above.
    """
    count = params.classes
    wide = MixtureParams(
        variances=np.concatenate([params.variances, variances]),
        residual=params.residual,
        shares=np.concatenate([params.shares, np.zeros(len(variances))]),
        held=np.ones(2 * (count + len(variances)) + 1, dtype=np.bool_),
    )
    size = max(SMALLEST_BLOCK, BLOCK // wide.classes)
    sums, total = np.zeros(len(variances)), 0.0
    for piece in pieces:
        for q, h2, weight in piece.blocks(size):
            with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
                ratio = ratios(wide, q, h2)[0][count:]
            sums += ratio.sum(axis=1) if weight is None else ratio @ weight
            total += float(len(q)) if weight is None else float(weight.sum())
    return sums / total if total > 0.0 else np.ones(len(variances))


def variance_grid(pieces: Sequence[Units], residual: float, points: int = 60) -> Vector:
    """0 and a geometric grid of variances, from where no unit can tell them from 0 to the largest that any suggests.

    Shape (points,), internal units. The largest is the maximum of `(h^2 - s) / q`, at which the most extreme unit would
    be typical: beyond it every density falls with v [SLOPE-8].
    """
    largest, finest = 0.0, 0.0
    for piece in pieces:
        if len(piece):
            largest = max(largest, float(((piece.h2 - residual) / piece.q).max()))
            finest = max(finest, float(piece.q.max()))
    if largest <= 0.0:
        largest = residual / finest if finest > 0.0 and residual > 0.0 else 1.0
    smallest = min(largest / 10.0, 0.01 * residual / finest if residual > 0.0 else 1e-8 * largest)
    return np.concatenate([[0.0], np.geomspace(smallest, largest, points - 1)])
