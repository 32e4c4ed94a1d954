"""Components that the data cannot tell apart."""

from __future__ import annotations

import numpy as np

from varmix.models.linear.statistics import LinearStats
from varmix.typing import Vector

CONFOUNDED = 1e-10
"""Smallest eigenvalue of the scaled information, relative to the largest, that still tells components apart: standard
errors are then 1e5 times what they would be alone. Rounding of the information is near 1e-14."""

SHARE = 1e-2
"""Squared weight in a direction without information from which a component counts as part of it."""


def confounded(variances: Vector, stats: LinearStats) -> tuple[int, ...]:
    """Positions of the components among those above 0 that some direction without information mixes; empty if none."""
    information = stats.expected_information if stats.expected_information is not None else stats.average_information
    free = np.flatnonzero(variances > 0.0)
    inner = information[np.ix_(free, free)]
    diagonal = inner.diagonal()
    if len(free) < 2 or not np.isfinite(inner).all() or not (diagonal > 0.0).all():
        return ()
    scale = 1.0 / np.sqrt(diagonal)
    eigenvalues, basis = np.linalg.eigh(inner * np.outer(scale, scale))
    flat = basis[:, eigenvalues < CONFOUNDED * eigenvalues[-1]]
    mixed = (flat**2).sum(axis=1) > SHARE
    return tuple(int(k) for k in free[mixed])
