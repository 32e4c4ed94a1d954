"""Matrix products by SciPy's BLAS whatever the order of memory, for loops over SciPy's LAPACK.

NumPy and SciPy carry separate copies of OpenBLAS whose idle threads spin; a loop that alternates between the two pays
several times the work itself. Small products of NumPy (below about 100 x 100 by a vector) use no threads.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas

from varmix.typing import Matrix, Square, Vector


def multiply(A: Matrix, B: Matrix) -> Matrix:
    """A B, shape (m, r) in Fortran order, for A (m, n) and B (n, r) contiguous in either order or blocks of such."""
    if 0 in A.shape or 0 in B.shape:
        return np.zeros((A.shape[0], B.shape[1]), order="F")
    left, turned = (A, 0) if A.flags.f_contiguous else (A.T, 1)
    right, over = (B, 0) if B.flags.f_contiguous else (B.T, 1)
    return np.asarray(blas.dgemm(1.0, left, right, trans_a=turned, trans_b=over))


def multiply_vector(A: Matrix, b: Vector) -> Vector:
    """A b, shape (m,)."""
    if 0 in A.shape:
        return np.zeros(A.shape[0])
    return np.asarray(blas.dgemv(1.0, A, b) if A.flags.f_contiguous else blas.dgemv(1.0, A.T, b, trans=1))


def symmetric_multiply(A: Square, B: Matrix) -> Matrix:
    """A B for a symmetric A (n, n), of which the lower triangle in Fortran order is read, and B (n, r)."""
    if 0 in B.shape:
        return np.zeros(B.shape, order="F")
    columnwise = A if A.flags.f_contiguous else A.T
    return np.asarray(blas.dsymm(1.0, columnwise, np.asfortranarray(B), lower=1))
