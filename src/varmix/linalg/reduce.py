"""Which reduction to use, by measured crossover."""

from __future__ import annotations

from typing import Final

from varmix.linalg.band import BandReduction
from varmix.linalg.reduction import Reduction
from varmix.linalg.spectral import SpectralReduction
from varmix.linalg.tridiagonal import TridiagonalReduction
from varmix.typing import Square

BAND_FROM: Final = 1000
"""Order from which the band form is used. A fit of ten evaluations, milliseconds, tridiagonal against band: order 1000:
48 / 66 with one thread, 136 / 54 with two; 1400: 116 / 135, 150 / 110; 2000: 335 / 330, 270 / 230; 3000: 1670 / 990."""


def reduce_in_place(A: Square, vectors: bool = False) -> Reduction:
    """Reduce a symmetric matrix (m x m), destroying it: to a band or tridiagonal form, or, with vectors, to a diagonal.

    Ask for vectors when thousands of right-hand sides are to be rotated; a few are faster without.
    Raises ShapeError when A is not a square float64 array with consecutive rows or columns, NotFiniteError on NaN.
    """
    if vectors:
        return SpectralReduction(A)
    return BandReduction(A) if A.shape[0] >= BAND_FROM else TridiagonalReduction(A)
