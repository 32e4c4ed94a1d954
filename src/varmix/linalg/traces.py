"""Randomised traces of symmetric operators given by their products, with the error from the spread over probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan, sqrt
from typing import TypeAlias

import numpy as np

from varmix.errors import OptionError
from varmix.typing import Matrix, Vector

Operator: TypeAlias = Callable[[Matrix], Matrix]
"""B (n x r) -> A B (n x r), A symmetric (n x n)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEstimate:
    """An unbiased estimate of a trace.

    `standard_error` is that of the mean over probes; NaN for a single probe. `samples`, shape (probes,), average to
    `value`.
    """

    value: float
    standard_error: float
    samples: Vector

    @classmethod
    def from_samples(cls, samples: Vector) -> TraceEstimate:
        """Mean and standard error of independent unbiased samples, shape (probes,)."""
        count = samples.size
        error = float(samples.std(ddof=1)) / sqrt(count) if count > 1 else nan
        return cls(value=float(samples.mean()), standard_error=error, samples=samples)


def rademacher(rng: np.random.Generator, rows: int, count: int) -> Matrix:
    """Independent signs -1 and 1 with equal probability, shape (rows, count), columns consecutive. [MOM-3]"""
    signs = rng.integers(0, 2, size=(count, rows), dtype=np.int8)
    return np.asarray(2.0 * signs - 1.0, dtype=np.float64).T


def trace_from_probes(probes: Matrix, left: Matrix, right: Matrix | None = None) -> TraceEstimate:
    """tr(A B) from probes U and left = A U, right = B U (probes themselves when omitted), all (n, count). [MOM-3]"""
    return TraceEstimate.from_samples(np.einsum("ij,ij->j", left, probes if right is None else right))


def hutchinson(operator: Operator, size: int, *, probes: int, rng: np.random.Generator) -> TraceEstimate:
    """tr A (n = size) from `probes` products with random signs: relative error of order |A|_F / tr A. [MOM-3]

    Raises OptionError when probes < 1.
    """
    if probes < 1:
        raise OptionError(f"probes is {probes}; a trace needs at least 1 (10 to 100 are usual).")
    signs = rademacher(rng, size, probes)
    return trace_from_probes(signs, operator(signs))


def hutch_plus_plus(operator: Operator, size: int, *, products: int, rng: np.random.Generator) -> TraceEstimate:
    """tr A (n = size) from `products` columns multiplied: exact on a random subspace, random signs on the rest.

    A third of the products finds the subspace Q, a third gives tr Q'AQ, a third estimates tr (I - QQ')A(I - QQ'). Much
    more precise than `hutchinson` when few eigenvalues dominate, as with related people; for nearly equal eigenvalues
    it is not. Exact (standard error 0) when the subspace is everything. [MOM-4]

    Raises OptionError when products < 3.
    """
    if products < 3:
        raise OptionError(f"products is {products}; the subspace, its trace and the rest need at least 1 each.")
    third = products // 3
    if third >= size:
        exact = float(np.trace(operator(np.eye(size, order="F")))) if size else 0.0
        return TraceEstimate(value=exact, standard_error=0.0, samples=np.full(1, exact))
    Q = np.linalg.qr(operator(rademacher(rng, size, third)))[0]
    within = float(np.vdot(Q, operator(Q)))
    signs = rademacher(rng, size, products - 2 * third)
    signs -= Q @ (Q.T @ signs)
    return TraceEstimate.from_samples(within + np.einsum("ij,ij->j", signs, operator(signs)))
