"""XX' added up in place, one triangle at a time."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk

from varmix.errors import ShapeError
from varmix.typing import Matrix, Square

TILE = 512
"""Side of the squares copied at once when one triangle is mirrored: two fit in the cache of one core."""


def add_gram_into(K: Square, block: Matrix) -> None:
    """Add block block' to the lower triangle of K, (n, n) in Fortran order; block is (n, b)."""
    result = dsyrk(1.0, block, beta=1.0, c=K, lower=1, overwrite_c=1)
    if not np.shares_memory(result, K):
        raise ShapeError("The matrix to add XX' to must be a writeable float64 array in Fortran order.")


def mirror_lower_into(K: Square) -> None:
    """Copy the lower triangle of (n, n) K over the upper one, tile by tile."""
    n = K.shape[0]
    for left in range(0, n, TILE):
        right = min(left + TILE, n)
        corner = K[left:right, left:right]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        for top in range(right, n, TILE):
            bottom = min(top + TILE, n)
            K[left:right, top:bottom] = K[top:bottom, left:right].T
