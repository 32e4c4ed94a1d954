"""Negative eigenvalues of a relationship matrix: rounding, few and small enough to live with, or too many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.linalg import lapack

from varmix.errors import KernelError, NotFiniteError
from varmix.linalg.householder import mirror_lower_into
from varmix.linalg.reduction import Reduction
from varmix.typing import Square, Vector

INDEFINITE_PER_ROW: Final = 1e-7
"""Most negative eigenvalue that is rounding, times n and the largest eigenvalue: entries rounded to float32 move an
eigenvalue by up to 6e-8 sqrt(n) of the largest, sums accumulated in float32 by up to about n times that unit."""

GROSS: Final = 0.1
"""Share of the largest eigenvalue beyond which a negative one is no matter of calls that are missing pair by pair.
Relationship matrices with 1, 5, 20 and 50 % of their calls missing (500 people, 200 variants) reach 0.4, 1.4, 5 and
11 %; with half of the calls missing some go further and are refused; differences and negated kernels are far beyond."""

MASS: Final = 0.5
"""Share of the sum of the positive eigenvalues that the negative ones may have: 5, 20 and 50 % of calls missing in the
case above take 3, 13 and 40 %. Distances, of one large positive eigenvalue, that of the constant, take 100 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativeEigenvalues:
    """Those of a symmetric matrix that are negative beyond rounding."""

    name: str
    count: int
    lowest: float
    largest: float

    @property
    def share(self) -> float:
        """The lowest over the largest, between -`GROSS` and 0."""
        return self.lowest / self.largest

    def times(self, unit: float) -> NegativeEigenvalues:
        """Those of the matrix times `unit` > 0."""
        return replace(self, lowest=self.lowest * unit, largest=self.largest * unit)

    def __str__(self) -> str:
        plural = "eigenvalues, the lowest" if self.count > 1 else "eigenvalue,"
        return (
            f"{self.count:,} negative {plural} {self.lowest:.4g} ({100.0 * self.share:.2g} % of the largest, "
            f"{self.largest:.4g})"
        )


def negative_eigenvalues(eigenvalues: Vector, name: str) -> NegativeEigenvalues | None:
    """Those beyond float32 rounding among all eigenvalues, shape (n,); None where there are none.

    Raises KernelError where the lowest is beyond `GROSS` or the negative ones add up to more than `MASS`,
    NotFiniteError.
    """
    if not np.isfinite(eigenvalues).all():
        raise NotFiniteError(
            f"{name}: eigenvalue {int(np.argmin(np.isfinite(eigenvalues)))} is not finite. Check the matrix for NaN."
        )
    smallest, largest = float(eigenvalues.min(initial=0.0)), float(eigenvalues.max(initial=0.0))
    allowed = INDEFINITE_PER_ROW * eigenvalues.size * largest
    if smallest >= -allowed:
        return None
    positive = float(eigenvalues.sum(where=eigenvalues > 0.0))
    if smallest < -GROSS * largest or -float(eigenvalues.sum(where=eigenvalues < 0.0)) > MASS * positive:
        raise KernelError(
            f"{name} has a negative eigenvalue, {smallest:.4g} beside the largest {largest:.4g} (allowed "
            f"{-GROSS:.0%} of it, and {MASS:.0%} of the positive ones in sum): it is not a covariance, nor one with "
            "calls missing pair by pair. Rebuild it from standardised columns; distances and differences are no "
            "kernels."
        )
    return NegativeEigenvalues(name=name, count=int((eigenvalues < -allowed).sum()), lowest=smallest, largest=largest)


def negative_in_reduction(reduction: Reduction, name: str) -> NegativeEigenvalues | None:
    """The same of a reduced matrix; the eigenvalues are computed only when one factorisation leaves doubt."""
    allowed = INDEFINITE_PER_ROW * reduction.size * reduction.largest_diagonal
    if allowed == 0.0 or reduction.shifted(1.0, allowed) is None:
        return negative_eigenvalues(reduction.eigenvalues, name)
    return None


def negative_in_matrix(K: Square, name: str) -> NegativeEigenvalues | None:
    """The same of a dense symmetric matrix (n x n, both triangles); one Cholesky factor where that leaves no doubt."""
    allowed = INDEFINITE_PER_ROW * len(K) * float(np.abs(K.diagonal()).max(initial=0.0))
    shifted = np.array(K, order="F")
    shifted.ravel(order="K")[:: len(K) + 1] += allowed
    if allowed == 0.0 or lapack.dpotrf(shifted, lower=1, overwrite_a=1)[1]:
        return negative_eigenvalues(np.asarray(np.linalg.eigvalsh(K), dtype=np.float64), name)
    return None


def clip_negative_into(K: Square, name: str) -> NegativeEigenvalues | None:
    """Put the negative eigenvalues of K (n x n, Fortran order, lower triangle read, both written) to 0, in place.

    Gives what they were, None where rounding alone is negative (K is then left as it is). Raises as
    `negative_eigenvalues`.
    """
    mirror_lower_into(K)
    found = negative_in_matrix(K, name)
    if found is None:
        return None
    eigenvalues, basis = np.linalg.eigh(K)
    below = eigenvalues < 0.0
    K -= (basis[:, below] * eigenvalues[below]) @ basis[:, below].T
    mirror_lower_into(K)
    return found
