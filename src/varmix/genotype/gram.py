"""XX' added up in place, one triangle at a time."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk

from varmix.errors import ShapeError
from varmix.typing import Matrix, Square


def add_gram_into(K: Square, block: Matrix) -> None:
    """Add block block' to the lower triangle of K, (n, n) in Fortran order; block is (n, b)."""
    result = dsyrk(1.0, block, beta=1.0, c=K, lower=1, overwrite_c=1)
    if not np.shares_memory(result, K):
        raise ShapeError("The matrix to add XX' to must be a writeable float64 array in Fortran order.")
