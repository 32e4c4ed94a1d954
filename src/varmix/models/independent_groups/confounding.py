"""Slopes that no data of this design can tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.scheme import Piece
from varmix.models.independent_groups.starting import evaluate

CONFOUNDED = 1e-10
"""Smallest eigenvalue of the scaled information, relative to the largest, that still tells variances apart."""

SHARE = 1e-2
"""Squared weight in a direction without information from which a component counts as part of it."""


def confounded(params: GroupParams, pieces: Sequence[Piece]) -> tuple[int, ...]:
    """Positions of the variances that some direction without expected information mixes; empty if none.

    Kernels `x_k x_k'` (and I) are linearly dependent or not whatever the variances are: `params` may be any point
    inside. What is held is known.
    """
    free = np.flatnonzero(~params.held)
    inner = evaluate(params, pieces).pairs[np.ix_(free, free)]
    diagonal = inner.diagonal()
    if len(free) < 2 or not np.isfinite(inner).all() or not (diagonal > 0.0).all():
        return ()
    scale = 1.0 / np.sqrt(diagonal)
    eigenvalues, basis = np.linalg.eigh(inner * np.outer(scale, scale))
    flat = basis[:, eigenvalues < CONFOUNDED * eigenvalues[-1]]
    mixed = (flat**2).sum(axis=1) > SHARE
    return tuple(int(k) for k in free[mixed])
