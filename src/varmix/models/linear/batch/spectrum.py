"""What all responses share after the reduction: eigenvalues `h l + 1 - h` of V at a share h of variance [VC-7]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import solve_triangular

from varmix.errors import NotAvailableError
from varmix.linalg.spectral import SpectralReduction
from varmix.linalg.spectrum import smallest_allowed
from varmix.marginal.complement import WithComplement
from varmix.marginal.factor import System
from varmix.marginal.one_kernel import OneKernel
from varmix.marginal.piece import Piece, Structure
from varmix.models.linear.statistics import Criterion
from varmix.typing import Matrix, Vector

INDISTINCT: Final = 1e-10
"""Spread of the eigenvalues, as a share of their mean, below which the kernel cannot be told from the residual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSpectrum:
    """`V = sigma^2 (h K/kbar + (1 - h) I)`, diagonal in the reduction's basis.

    kbar is the mean eigenvalue of the projected kernel, so that h is the proportion of variance [VC-9] and sigma^2 the
    total. m coordinates; the last one of a narrow design stands for many, hence the counts.
    """

    eigenvalues: Vector
    """`l / kbar` of the projected kernel, shape (m,): they weigh the response."""
    counts: Vector
    """How often each counts in determinants and traces, shape (m,)."""
    determinant_eigenvalues: Vector
    """Those of `log |V|`: the same for REML; for ML those of the kernel with the covariates in it."""
    determinant_counts: Vector
    mean_eigenvalue: float
    """kbar, in internal units."""
    kernel_unit: float
    """Power of two the kernel was divided by."""
    errors: int
    """n - c for REML, n for ML: the divisor of sigma^2."""
    rows: int
    loadings: Matrix
    """`K_AU R^-T / kbar`, shape (m, c): what the fixed effects owe to each coordinate."""
    fixed_inverse: Matrix
    """`R^-1`, shape (c, c)."""
    fixed_kernel: Vector
    """Diagonal of `R^-1 K_UU R^-T / kbar`, shape (c,)."""
    fixed_residual: Vector
    """Diagonal of `R^-1 R^-T`, shape (c,)."""
    log_determinant_covariates: float
    """`log |Z'Z|` for REML, 0 for ML [VC-2]."""
    criterion: Criterion

    @property
    def columns(self) -> int:
        """c."""
        return int(self.fixed_inverse.shape[0])

    @property
    def shares_determinant(self) -> bool:
        """Whether the determinant has the response's own eigenvalues."""
        return self.determinant_eigenvalues is self.eigenvalues

    @property
    def smallest(self) -> float:
        """The least eigenvalue that V may be asked to have at h = 1."""
        return min(float(self.eigenvalues.min()), float(self.determinant_eigenvalues.min()))

    @property
    def largest(self) -> float:
        """The greatest eigenvalue."""
        return max(float(self.eigenvalues.max()), float(self.determinant_eigenvalues.max()))

    @property
    def rounding(self) -> float:
        """Eigenvalues below this cannot be told from 0."""
        return smallest_allowed(self.largest, self.eigenvalues.size)

    @property
    def identified(self) -> bool:
        """Whether h changes the distribution at all: the kernel varies outside the covariates, unlike the residual."""
        return self.mean_eigenvalue > 0.0 and float(np.abs(self.eigenvalues - 1.0).max()) > INDISTINCT


def shared_spectrum(structure: Structure, criterion: Criterion) -> SharedSpectrum:
    """The spectrum of a structure of one kernel that was built with `eigenvectors=True`.

    Raises NotAvailableError for any other structure.
    """
    piece = structure.blank
    inner, copies = one_spectral(piece.system)
    within = inner.reduction.eigenvalues
    columns = piece.columns
    count = piece.rows - columns
    trace = float(within.sum())
    mean = trace / count if trace > 0.0 else 0.0
    scale = 1.0 / mean if mean > 0.0 else 0.0
    eigenvalues, counts = _with_copies(_without_rounding(within * scale), copies)
    determinant = (eigenvalues, counts)
    if criterion == "ml" and columns:
        full: Vector = np.linalg.eigvalsh(_bordered(piece, within)).astype(np.float64) * scale
        determinant = _with_copies(_without_rounding(full), copies)
    inverse = solve_triangular(piece.triangle, np.eye(columns)) if columns else np.zeros((0, 0))
    return SharedSpectrum(
        eigenvalues=eigenvalues,
        counts=counts,
        determinant_eigenvalues=determinant[0],
        determinant_counts=determinant[1],
        mean_eigenvalue=mean,
        kernel_unit=float(structure.kernel_units[0]),
        errors=count if criterion == "reml" else piece.rows,
        rows=piece.rows,
        loadings=piece.cross[0] @ inverse.T * scale,
        fixed_inverse=inverse,
        fixed_kernel=np.einsum("ja,ab,jb->j", inverse, piece.corner[0], inverse) * scale,
        fixed_residual=np.einsum("ja,ja->j", inverse, inverse),
        log_determinant_covariates=piece.log_determinant_covariates if criterion == "reml" else 0.0,
        criterion=criterion,
    )


def one_spectral(system: System) -> tuple[OneKernel, int]:
    """The diagonalised kernel within a system, and how many dimensions stand beside it. Raises NotAvailableError."""
    inner, copies = (system.inner, system.copies) if isinstance(system, WithComplement) else (system, 0)
    if not isinstance(inner, OneKernel) or not isinstance(inner.reduction, SpectralReduction):
        raise NotAvailableError(
            "a batch of responses needs one kernel with its eigenvectors, and this structure has neither. Build it "
            "from one kernel with eigenvectors=True, or fit the responses one by one."
        )
    return inner, copies


def _without_rounding(eigenvalues: Vector) -> Vector:
    """Eigenvalues that rounding alone keeps from 0 become 0; the negative ones of a kernel in float32 stay."""
    allowed = smallest_allowed(float(np.abs(eigenvalues).max(initial=0.0)), eigenvalues.size)
    return np.where(np.abs(eigenvalues) <= allowed, 0.0, eigenvalues)


def _with_copies(eigenvalues: Vector, copies: int) -> tuple[Vector, Vector]:
    if copies == 0:
        return eigenvalues, np.ones(eigenvalues.size)
    return np.append(eigenvalues, 0.0), np.append(np.ones(eigenvalues.size), float(copies))


def _bordered(piece: Piece, eigenvalues: Vector) -> Matrix:
    """The kernel with the covariates' block in it, in the reduction's basis."""
    columns, size = piece.columns, eigenvalues.size
    whole = np.zeros((columns + size, columns + size))
    whole[:columns, :columns] = piece.corner[0]
    whole[columns:, :columns] = piece.cross[0][:size]
    whole[:columns, columns:] = piece.cross[0][:size].T
    whole.ravel()[columns * (columns + size + 1) :: columns + size + 1] = eigenvalues
    return whole


def largest_share(spectrum: SharedSpectrum) -> tuple[float, bool]:
    """The end of the range of h: 1, or less for an indefinite kernel; and whether V is positive definite there."""
    smallest = spectrum.smallest
    if smallest < 0.0:
        return 1.0 / (1.0 - smallest), False
    return 1.0, smallest > spectrum.rounding


def odds_range(spectrum: SharedSpectrum, margin: float, widest: float) -> tuple[float, float]:
    """Logits of h between which the likelihood bends: outside, every `h l` or every `1 - h` is negligible."""
    both = np.concatenate([spectrum.eigenvalues, spectrum.determinant_eigenvalues])
    positive = both[both > spectrum.rounding]
    low = -math.log(float(positive.max())) - margin
    high = -math.log(float(positive.min())) + margin
    end, closed = largest_share(spectrum)
    if not closed:
        high = widest  # where K is singular the optimum is as near to 1 as the data are free of noise
    if end < 1.0:
        high = min(high, math.log(end / (1.0 - end)) - 1e-3)
    return min(max(low, -widest), -1.0), max(min(high, widest), 1.0) if end == 1.0 else min(high, widest)
