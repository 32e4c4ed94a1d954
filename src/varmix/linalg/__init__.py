"""Matrices, no statistics: reductions of a symmetric matrix, covariate bases, random signs, checks of a kernel."""

from varmix.linalg.band import BandReduction
from varmix.linalg.householder import CovariateBasis, pivoted_columns
from varmix.linalg.indefinite import NegativeEigenvalues, negative_eigenvalues, negative_in_reduction
from varmix.linalg.reduce import reduce_in_place
from varmix.linalg.reduction import Reduction, Shifted
from varmix.linalg.spectral import SpectralReduction
from varmix.linalg.symmetric import check_symmetric
from varmix.linalg.traces import rademacher
from varmix.linalg.tridiagonal import TridiagonalReduction

__all__ = [
    "BandReduction",
    "CovariateBasis",
    "NegativeEigenvalues",
    "Reduction",
    "Shifted",
    "SpectralReduction",
    "TridiagonalReduction",
    "check_symmetric",
    "negative_eigenvalues",
    "negative_in_reduction",
    "pivoted_columns",
    "rademacher",
    "reduce_in_place",
]
