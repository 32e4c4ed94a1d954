"""Fit all responses that share one kernel, as one batch: grid, Newton, and what is reported at the maximum [VC-7]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from varmix.errors import NotFiniteError, NotIdentifiedError, ShapeError
from varmix.iteration import Status
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.marginal.piece import Structure
from varmix.models.linear.batch.derivatives import share_information
from varmix.models.linear.batch.grid import ShareGrid, share_grid
from varmix.models.linear.batch.outcome import Unfitted
from varmix.models.linear.batch.refine import cache_blocks, sums_at
from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.batch.rotation import RotatedBlock, Rotation
from varmix.models.linear.batch.search import Peaks, find_peaks, log_likelihoods
from varmix.models.linear.batch.side_by_side import side_by_side
from varmix.models.linear.batch.spectrum import SharedSpectrum, shared_spectrum
from varmix.models.linear.batch.sums import ShareSums, SpectrumArrays, fixed_sums, grid_sums, log_determinants
from varmix.models.linear.statistics import Criterion
from varmix.typing import Index, Matrix, Vector

BLOCK_BYTES: Final = 2**24
"""One block of responses: wide enough for full speed of the matrix products, and memory stays that of a few blocks."""


def fit_batch(structure: Structure, responses: Matrix, criterion: Criterion = "reml") -> BatchFit:
    """Fit responses (n, r), finite, on a structure of one kernel built with `eigenvectors=True`.

    The global maximum over h in [0, 1] of each response [VC-5]. Raises ShapeError, NotFiniteError, NotAvailableError
    (no eigenvectors), NotIdentifiedError (the kernel cannot be told from the residual).
    """
    _check(structure, responses)
    spectrum = shared_spectrum(structure, criterion)
    if not spectrum.identified:
        raise NotIdentifiedError(
            "outside the covariates the kernel is zero or a multiple of the identity, so its variance cannot be told "
            "from the residual's. Use other covariates or another kernel."
        )
    arrays = SpectrumArrays(
        spectrum.eigenvalues,
        spectrum.counts,
        spectrum.determinant_eigenvalues,
        spectrum.determinant_counts,
        spectrum.shares_determinant,
    )
    rotation, grid, step = Rotation.of(structure), share_grid(spectrum), max(1, BLOCK_BYTES // (8 * spectrum.rows))

    def one_block(start: int) -> BatchFit:
        return _fit_block(rotation.block(responses[:, start : start + step]), spectrum, arrays, grid)

    return BatchFit.joined(side_by_side(one_block, range(0, responses.shape[1], step)))


def _check(structure: Structure, responses: Matrix) -> None:
    rows = structure.blank.rows
    if responses.ndim != 2 or responses.shape[0] != rows or responses.shape[1] == 0:
        raise ShapeError(f"responses of shape {responses.shape} for {rows} rows. Give one row per sample: n x r.")
    if not np.isfinite([responses.max(), responses.min()]).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(responses))[0])
        raise NotFiniteError(
            f"response {column} is {responses[row, column]} in row {row}. Group responses by their missing rows first."
        )


@dataclass(frozen=True, slots=True)
class CompleteProblem:
    """Responses without missing rows: sums over the shared eigenvalues."""

    squares: Matrix
    """Of the rotated responses, (b, m)."""
    spectrum: SharedSpectrum
    arrays: SpectrumArrays

    @property
    def errors(self) -> Vector:
        """See ShareProblem."""
        return np.full(self.squares.shape[0], float(self.spectrum.errors))

    @property
    def constant(self) -> float:
        """See ShareProblem."""
        return self.spectrum.log_determinant_covariates

    def on_grid(self, grid: ShareGrid) -> ShareSums:
        """See ShareProblem."""
        return grid_sums(self.squares, self.arrays, grid.kernel, grid.residual)

    def at(self, response: Index, kernel: Vector, residual: Vector) -> ShareSums:
        """See ShareProblem."""
        return sums_at(self.squares, self.arrays, response, kernel, residual)

    def log_determinants(self, response: Index, kernel: Vector, residual: Vector) -> Vector:
        """See ShareProblem."""
        parts = cache_blocks(kernel.size, self.squares.shape[1])
        return np.concatenate([log_determinants(self.arrays, kernel[part], residual[part]) for part in parts])


def _fit_block(block: RotatedBlock, spectrum: SharedSpectrum, arrays: SpectrumArrays, grid: ShareGrid) -> BatchFit:
    count = block.units.size
    result = BatchFit.blank(count, 2, spectrum.columns, rows=spectrum.rows, why=Unfitted.CONSTANT)
    use = np.flatnonzero(~block.constant)
    if use.size == 0:
        return result
    rotated = block.complement if use.size == count else block.complement[use]
    peaks = find_peaks(CompleteProblem(rotated * rotated, spectrum, arrays), grid)
    result.status[use] = Unfitted.UNBOUNDED
    if peaks.response.size < use.size:
        use, rotated = use[peaks.response], rotated[peaks.response]
    _fill(result, use, peaks, block, rotated, spectrum, arrays)
    return result


def _fill(
    result: BatchFit,
    use: Index,
    peaks: Peaks,
    block: RotatedBlock,
    rotated: Matrix,
    spectrum: SharedSpectrum,
    arrays: SpectrumArrays,
) -> None:
    units, errors = block.units[use], spectrum.errors
    h, rest = peaks.kernel, peaks.residual
    sigma2 = peaks.sums.quadratic / errors
    variance = 1.0 / share_information(peaks.sums, np.array(float(errors)))
    tilt = peaks.sums.slope / errors
    square = units * units
    # The covariance of (h, log sigma^2) is the inverse information; the delta method takes it to (s, s_e) [VC-4].
    kernel_spread = 2.0 * h**2 / errors + variance * (1.0 - h * tilt) ** 2
    residual_spread = 2.0 * rest**2 / errors + variance * (1.0 + rest * tilt) ** 2
    scales = np.stack([sigma2 / (spectrum.mean_eigenvalue * spectrum.kernel_unit) * square, sigma2 * square], axis=1)
    result.variances[use] = scales * np.stack([h, rest], axis=1)
    result.variances_se[use] = scales * np.sqrt(np.stack([kernel_spread, residual_spread], axis=1))
    result.total[use] = sigma2 * square
    result.proportions[use, 0], result.proportions_se[use, 0] = h, np.sqrt(variance)
    jacobian = errors * np.log(units)
    result.log_likelihood[use] = peaks.log_likelihood - jacobian
    null = log_likelihoods(
        np.vecdot(rotated, rotated), 0.0, np.array(float(errors)), spectrum.log_determinant_covariates
    )
    result.null_log_likelihood[use] = null - jacobian
    result.iterations[use], result.decrement[use] = peaks.steps, peaks.decrement
    status = np.full(use.size, Status.CONVERGED, dtype=np.object_)
    status[(h == 0.0) | (rest == 0.0)] = Status.ON_BOUNDARY
    status[~(peaks.decrement <= DECREMENT_TOLERANCE)] = Status.STALLED
    result.status[use] = status
    if spectrum.columns:
        estimate, variances = _fixed_effects(block.fixed[use], peaks, rotated, sigma2, spectrum, arrays)
        result.fixed[use] = estimate * units[:, None]
        result.fixed_se[use] = np.sqrt(variances) * units[:, None]


def _fixed_effects(
    fixed: Matrix, peaks: Peaks, rotated: Matrix, sigma2: Vector, spectrum: SharedSpectrum, arrays: SpectrumArrays
) -> tuple[Matrix, Matrix]:
    """Generalised least squares and its variances, shape (b, c) each; of the covariance only the diagonal [VC-2]."""
    h, rest = peaks.kernel[:, None], peaks.residual[:, None]
    parts = [
        fixed_sums(rotated[part], arrays, spectrum.loadings, peaks.kernel[part], peaks.residual[part])
        for part in cache_blocks(rotated.shape[0], rotated.shape[1])
    ]
    of_response, of_squares = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    estimate = fixed @ spectrum.fixed_inverse.T - h * of_response
    covariance = h * spectrum.fixed_kernel + rest * spectrum.fixed_residual - h * h * of_squares
    return estimate, np.maximum(covariance, 0.0) * sigma2[:, None]
