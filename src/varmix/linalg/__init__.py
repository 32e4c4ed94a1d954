"""Matrices, no statistics: reductions of a symmetric matrix, covariate bases, randomised traces, checks of a kernel."""

from varmix.linalg.band import BandReduction
from varmix.linalg.householder import CovariateBasis, pivoted_columns
from varmix.linalg.reduce import reduce_in_place
from varmix.linalg.reduction import Reduction, Shifted
from varmix.linalg.spectral import SpectralReduction
from varmix.linalg.symmetric import check_not_indefinite, check_reduction_not_indefinite, check_symmetric
from varmix.linalg.traces import TraceEstimate, hutch_plus_plus, hutchinson, rademacher, trace_from_probes
from varmix.linalg.tridiagonal import TridiagonalReduction

__all__ = [
    "BandReduction",
    "CovariateBasis",
    "Reduction",
    "Shifted",
    "SpectralReduction",
    "TraceEstimate",
    "TridiagonalReduction",
    "check_not_indefinite",
    "check_reduction_not_indefinite",
    "check_symmetric",
    "hutch_plus_plus",
    "hutchinson",
    "pivoted_columns",
    "rademacher",
    "reduce_in_place",
    "trace_from_probes",
]
