"""Whether a dense symmetric matrix is a covariance, at the price of one Cholesky factor."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from varmix.linalg.symmetric import INDEFINITE_PER_ROW, check_not_indefinite
from varmix.typing import Square


def check_covariance(K: Square, name: str) -> None:
    """Pass when K (n x n, symmetric) has no eigenvalue that is negative beyond float32 rounding.

    The eigenvalues are computed only when one factorisation leaves doubt. Raises KernelError, NotFiniteError.
    """
    allowed = INDEFINITE_PER_ROW * len(K) * float(np.abs(K.diagonal()).max(initial=0.0))
    shifted = np.array(K, order="F")
    shifted.ravel(order="K")[:: len(K) + 1] += allowed
    if allowed == 0.0 or lapack.dpotrf(shifted, lower=1, overwrite_a=1)[1]:
        check_not_indefinite(np.asarray(np.linalg.eigvalsh(K), dtype=np.float64), name)
