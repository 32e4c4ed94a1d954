"""Which reduction to use, by measured crossover."""

from __future__ import annotations

from typing import Final

from varmix.linalg.band import BandReduction
from varmix.linalg.reduction import Reduction
from varmix.linalg.spectral import SpectralReduction
from varmix.linalg.tridiagonal import TridiagonalReduction
from varmix.typing import Square

BAND_FROM: Final = 800
"""Order from which the band reduction is used; see the timing below."""


def reduce_in_place(A: Square, vectors: bool = False) -> Reduction:
    """Reduce a symmetric matrix (m x m), destroying it: to a band or tridiagonal form, or, with vectors, to a diagonal.

    Ask for vectors when thousands of right-hand sides are to be rotated; a few are faster without.
    Raises ShapeError when A is not a square float64 array with consecutive rows or columns, NotFiniteError on NaN.
    """
    if vectors:
        return SpectralReduction(A)
    return BandReduction(A) if A.shape[0] >= BAND_FROM else TridiagonalReduction(A)
