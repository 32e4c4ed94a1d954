"""One small data set behind every algebra that `marginal` offers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from dense_model import DenseModel, Simulated, simulate

from varmix.genotype import standardise
from varmix.linalg.band import BandReduction
from varmix.marginal import build
from varmix.marginal.build import Kernels, build_structure
from varmix.marginal.piece import Structure

ROWS = 40
NARROW, WIDE = (15,), (70,)
SEVERAL_NARROW, SEVERAL = (9, 14), (25, 60, 12)


def _designs(data: Simulated) -> Kernels:
    return Kernels(designs=[standardise(X) for X in data.X])


def uncentred(data: Simulated) -> list[np.ndarray]:
    """Kernels of columns with a mean: they have full rank, where centred ones never reach the intercept."""
    return [(X + 0.4) @ (X + 0.4).T / X.shape[1] for X in data.X]


def _matrices(data: Simulated) -> Kernels:
    names = [f"k{number}" for number in range(len(data.X))]
    return Kernels(matrices=[np.asfortranarray(K) for K in uncentred(data)], matrix_names=names)


def _banded(data: Simulated) -> Structure:
    """As for large kernels: a band (here of half-width 6) whose traces come without eigenvalues."""
    original = build.reduce_in_place
    build.reduce_in_place = lambda A, vectors=False: BandReduction(A, half_width=6)
    try:
        return build_structure(data.Z, _designs(data))
    finally:
        build.reduce_in_place = original


ALGEBRAS: dict[str, tuple[tuple[int, ...], Callable[[Simulated], Structure]]] = {
    "tridiagonal": (WIDE, lambda data: build_structure(data.Z, _designs(data))),
    "band": (WIDE, _banded),
    "spectral": (WIDE, lambda data: build_structure(data.Z, _designs(data), eigenvectors=True)),
    "kernel given": (WIDE, lambda data: build_structure(data.Z, _matrices(data))),
    "kernel of low rank": (NARROW, lambda data: build_structure(data.Z, _matrices(data))),
    "narrow": (NARROW, lambda data: build_structure(data.Z, _designs(data))),
    "narrow, band": (NARROW, _banded),
    "narrow, spectral": (NARROW, lambda data: build_structure(data.Z, _designs(data), eigenvectors=True)),
    "several": (SEVERAL, lambda data: build_structure(data.Z, _designs(data))),
    "several given": (SEVERAL, lambda data: build_structure(data.Z, _matrices(data))),
    "several narrow": (SEVERAL_NARROW, lambda data: build_structure(data.Z, _designs(data))),
}


UNBOUNDED = ("tridiagonal", "band", "spectral", "several")
"""Centred columns of rank n - 1: by ML the likelihood is unbounded as the residual variance goes to 0."""


def case(algebra: str, seed: int = 5) -> tuple[DenseModel, Structure]:
    """The dense definition and the structure of one algebra."""
    widths, build_it = ALGEBRAS[algebra]
    truth = (*(0.4 + 0.3 * number for number in range(len(widths))), 1.0)
    data = simulate(seed, ROWS, widths, truth)
    given = algebra in ("kernel given", "kernel of low rank", "several given")
    dense = DenseModel.of(data.y, data.Z, uncentred(data)) if given else data.dense
    return dense, build_it(data)
