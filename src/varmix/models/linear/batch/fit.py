"""Fit all responses that share one kernel, as one batch: grid, Newton, and what is reported at the maximum [VC-7]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from varmix.errors import NotFiniteError, NotIdentifiedError, ShapeError
from varmix.iteration import Status
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.marginal.piece import Structure
from varmix.models.linear.batch.derivatives import profile_derivatives, share_information
from varmix.models.linear.batch.grid import ShareGrid, find_brackets, share_grid
from varmix.models.linear.batch.outcome import Unfitted
from varmix.models.linear.batch.refine import LAST_STEP, Maxima, cache_blocks, refine, sums_at
from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.batch.rotation import RotatedBlock, Rotation
from varmix.models.linear.batch.side_by_side import side_by_side
from varmix.models.linear.batch.spectrum import SharedSpectrum, shared_spectrum
from varmix.models.linear.batch.sums import ShareSums, SpectrumArrays, fixed_sums, log_determinants
from varmix.models.linear.statistics import LOG_2PI, Criterion
from varmix.typing import Array, Index, Matrix, Vector

BLOCK_BYTES: Final = 2**24
"""One block of responses: wide enough for full speed of the matrix products, and memory stays that of a few blocks."""

STRICT: Final = 1e-9
"""Decrement for the few brackets that the first pass leaves short of the certificate."""


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


def _fit_block(block: RotatedBlock, spectrum: SharedSpectrum, arrays: SpectrumArrays, grid: ShareGrid) -> BatchFit:
    count = block.units.size
    result = BatchFit.blank(count, 2, spectrum.columns, rows=spectrum.rows, why=Unfitted.CONSTANT)
    use = np.flatnonzero(~block.constant)
    if use.size == 0:
        return result
    rotated = block.complement if use.size == count else block.complement[use]
    squares = rotated * rotated
    maxima = Maxima.of(find_brackets(squares, spectrum, arrays, grid))
    everything = np.arange(maxima.t.size)
    refine(maxima, everything, squares, spectrum, arrays, LAST_STEP)
    sums = _sums(maxima, squares, arrays)
    short = np.flatnonzero(_decrement(maxima, sums, spectrum) > DECREMENT_TOLERANCE)
    if short.size:
        refine(maxima, short, squares, spectrum, arrays, STRICT)
        sums = _sums(maxima, squares, arrays)
    logs = _log_likelihoods(sums.quadratic, _log_determinants(maxima, squares, arrays), spectrum)
    bounded = np.flatnonzero(np.bincount(maxima.brackets.response, minlength=use.size))
    result.status[use] = Unfitted.UNBOUNDED
    chosen = _best(maxima.brackets.response, logs, bounded)
    kernel, residual = maxima.shares(chosen)
    point = _Point(
        kernel=kernel,
        residual=residual,
        sums=ShareSums(*(part[chosen] for part in sums)),
        log_likelihood=logs[chosen],
        decrement=_decrement(maxima, sums, spectrum)[chosen],
        steps=maxima.steps[chosen],
    )
    if bounded.size < use.size:
        use, rotated = use[bounded], rotated[bounded]
    _fill(result, use, point, block, rotated, spectrum, arrays)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """The maximum of each response."""

    kernel: Vector
    residual: Vector
    sums: ShareSums
    log_likelihood: Vector
    decrement: Vector
    steps: NDArray[np.int64]


def _sums(maxima: Maxima, squares: Matrix, arrays: SpectrumArrays) -> ShareSums:
    return sums_at(squares, arrays, maxima.brackets.response, *maxima.shares())


def _decrement(maxima: Maxima, sums: ShareSums, spectrum: SharedSpectrum) -> Vector:
    slope = profile_derivatives(sums, spectrum.errors)[0]
    decrement = np.abs(slope) / np.sqrt(share_information(sums, spectrum.errors))
    return np.where(maxima.brackets.held, 0.0, decrement)


def _log_determinants(maxima: Maxima, squares: Matrix, arrays: SpectrumArrays) -> Vector:
    kernel, residual = maxima.shares()
    parts = cache_blocks(kernel.size, squares.shape[1])
    return np.concatenate([log_determinants(arrays, kernel[part], residual[part]) for part in parts])


def _log_likelihoods(quadratic: Array, log_determinant: Array | float, spectrum: SharedSpectrum) -> Array:
    """[VC-2] at the best sigma^2, in internal units."""
    errors = spectrum.errors
    constant = errors * (LOG_2PI + 1.0 - math.log(errors)) + spectrum.log_determinant_covariates
    return -0.5 * (errors * np.log(quadratic) + log_determinant + constant)


def _best(response: Index, values: Vector, wanted: Index) -> Index:
    """Position of the candidate with the largest value for each wanted response."""
    order = np.lexsort((values, response))
    return np.asarray(order[np.searchsorted(response[order], wanted, side="right") - 1])


def _fill(
    result: BatchFit,
    use: Index,
    point: _Point,
    block: RotatedBlock,
    rotated: Matrix,
    spectrum: SharedSpectrum,
    arrays: SpectrumArrays,
) -> None:
    units, errors = block.units[use], spectrum.errors
    h, rest = point.kernel, point.residual
    sigma2 = point.sums.quadratic / errors
    variance = 1.0 / share_information(point.sums, errors)
    tilt = point.sums.slope / errors
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
    result.log_likelihood[use] = point.log_likelihood - jacobian
    result.null_log_likelihood[use] = _log_likelihoods(np.vecdot(rotated, rotated), 0.0, spectrum) - jacobian
    result.iterations[use], result.decrement[use] = point.steps, point.decrement
    status = np.full(use.size, Status.CONVERGED, dtype=np.object_)
    status[(h == 0.0) | (rest == 0.0)] = Status.ON_BOUNDARY
    status[~(point.decrement <= DECREMENT_TOLERANCE)] = Status.STALLED
    result.status[use] = status
    if spectrum.columns:
        estimate, variances = _fixed_effects(block.fixed[use], point, rotated, sigma2, spectrum, arrays)
        result.fixed[use] = estimate * units[:, None]
        result.fixed_se[use] = np.sqrt(variances) * units[:, None]


def _fixed_effects(
    fixed: Matrix, point: _Point, rotated: Matrix, sigma2: Vector, spectrum: SharedSpectrum, arrays: SpectrumArrays
) -> tuple[Matrix, Matrix]:
    """Generalised least squares and its variances, shape (b, c) each; of the covariance only the diagonal [VC-2]."""
    h, rest = point.kernel[:, None], point.residual[:, None]
    parts = [
        fixed_sums(rotated[part], arrays, spectrum.loadings, point.kernel[part], point.residual[part])
        for part in cache_blocks(rotated.shape[0], rotated.shape[1])
    ]
    of_response, of_squares = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    estimate = fixed @ spectrum.fixed_inverse.T - h * of_response
    covariance = h * spectrum.fixed_kernel + rest * spectrum.fixed_residual - h * h * of_squares
    return estimate, np.maximum(covariance, 0.0) * sigma2[:, None]
