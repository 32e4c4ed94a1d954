"""Fit responses with few missing rows on the structure of all rows: what is reported at the maximum [VC-7]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from varmix.iteration import Status
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.linalg.threads import threads_for
from varmix.marginal.piece import Structure
from varmix.models.linear.batch.bordered import BorderedProblem
from varmix.models.linear.batch.derivatives import share_information
from varmix.models.linear.batch.grid import share_grid
from varmix.models.linear.batch.outcome import Unfitted
from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.batch.rotation import Rotation
from varmix.models.linear.batch.search import Peaks, find_peaks, log_likelihoods
from varmix.models.linear.batch.spectrum import SharedSpectrum, shared_spectrum
from varmix.models.linear.batch.sums import SpectrumArrays, fixed_sums
from varmix.typing import Index, Mask, Matrix, Vector

BLOCK: Final = 64
"""Responses at a time: their rotated indicators are held, d n numbers each."""

BORDER: Final = 250.0
"""Operations per m d^2 of fitting one response with d missing rows, as long as 9 n^3 of a reduction: 0.25 s for 1,000
rows, beside 18 ms for 60 missing and 71 ms for 120 (two cores, minimum of repeats)."""

EACH: Final = 2.5e7
"""The same for its small calls: about 0.5 ms."""

REDUCTION: Final = 9.0
"""Operations per n^3 of eigenvectors and a rotation."""


def cheaper_together(rows: Index, counts: Index, total: int, width: int) -> Mask:
    """Which patterns with `rows` rows and `counts` responses cost less on one reduction of all rows.

    All arrays (patterns,); `width` is the number of design columns, at least `total` for a kernel. None where the one
    reduction costs more than it saves.
    """
    narrow = np.minimum(rows, width)
    own = REDUCTION * narrow.astype(float) ** 3 + 4.0 * rows * narrow.astype(float) ** 2 * (narrow < rows)
    together = counts * (BORDER * total * (total - rows.astype(float)) ** 2 + EACH)
    cheap = np.asarray((together < own) & (rows < total))
    saved = float((own - together)[cheap].sum())
    return cheap if saved > REDUCTION * float(total) ** 3 else np.zeros_like(cheap)


def fit_few_missing(structure: Structure, responses: Matrix) -> tuple[BatchFit, Mask]:
    """Fit responses (n, r), each with NaN in some rows, by REML on a structure of all rows with eigenvectors.

    With the estimates comes for which responses, (r,), they hold: the others need a structure of their own rows (a
    covariate that lives on the missing rows, a kernel that is singular with them only, no certificate). Raises
    NotAvailableError for a structure without eigenvectors.
    """
    spectrum = shared_spectrum(structure, "reml")
    rows, count = responses.shape
    result = BatchFit.blank(count, 2, spectrum.columns, rows=rows, why=Unfitted.UNBOUNDED)
    fitted = np.zeros(count, dtype=np.bool_)
    if not spectrum.identified or spectrum.smallest < 0.0:
        return result, fitted
    rotation = Rotation.of(structure)
    indicators = np.ascontiguousarray(rotation.matrix)
    with threads_for(0.0):  # many small products: two threads would wait for each other in every one
        for start in range(0, count, BLOCK):
            part = np.arange(start, min(start + BLOCK, count))
            fitted[part] = _fit_block(result, part, responses[:, part], rotation, indicators, spectrum)
    return result, fitted


def _fit_block(
    result: BatchFit, part: Index, responses: Matrix, rotation: Rotation, indicators: Matrix, spectrum: SharedSpectrum
) -> Mask:
    absent = np.isnan(responses)
    # Any value serves in a missing row: the mean loses fewest digits.
    block = rotation.block(np.where(absent, np.nanmean(responses, axis=0), responses))
    columns = spectrum.columns
    missing = [np.flatnonzero(column) for column in absent.T]
    arrays = SpectrumArrays(spectrum.eigenvalues, spectrum.counts, spectrum.eigenvalues, spectrum.counts, True)

    def problem_of(which: Index) -> BorderedProblem:
        borders = tuple(indicators[missing[j], columns:] for j in which.tolist())
        return BorderedProblem(block.complement[which], borders, spectrum, arrays)

    fitted = np.zeros(part.size, dtype=np.bool_)
    usable = np.flatnonzero(~block.constant)
    if usable.size == 0:
        return fitted
    sound, mean = problem_of(usable).sound()
    usable, mean = usable[sound], mean[sound]
    if usable.size == 0:
        return fitted
    problem = problem_of(usable)
    peaks = find_peaks(problem, share_grid(spectrum))
    chosen = usable[peaks.response]
    fixed = [np.vstack([block.fixed[j], indicators[missing[j], :columns]]) for j in chosen.tolist()]
    _fill(result, part[chosen], peaks, problem, mean[peaks.response], block.units[chosen], fixed)
    fitted[chosen] = peaks.decrement <= DECREMENT_TOLERANCE
    return fitted


def _fill(
    result: BatchFit,
    rows: Index,
    peaks: Peaks,
    problem: BorderedProblem,
    mean: Vector,
    units: Vector,
    fixed: Sequence[Matrix],
) -> None:
    """Shares of all rows' mean eigenvalue become those of the rows that are there, `mean` times as large [VC-9]."""
    spectrum, errors = problem.spectrum, problem.errors[peaks.response]
    h, rest, square = peaks.kernel, peaks.residual, units * units
    sigma2, variance = peaks.sums.quadratic / errors, 1.0 / share_information(peaks.sums, errors)
    tilt, whole = peaks.sums.slope / errors, h * mean + rest
    # The covariance of (h, log sigma^2) is the inverse information; the delta method takes it to (s, s_e) [VC-4].
    kernel_spread = 2.0 * h**2 / errors + variance * (1.0 - h * tilt) ** 2
    residual_spread = 2.0 * rest**2 / errors + variance * (1.0 + rest * tilt) ** 2
    scales = np.stack([sigma2 / (spectrum.mean_eigenvalue * spectrum.kernel_unit) * square, sigma2 * square], axis=1)
    result.variances[rows] = scales * np.stack([h, rest], axis=1)
    result.variances_se[rows] = scales * np.sqrt(np.stack([kernel_spread, residual_spread], axis=1))
    result.total[rows] = sigma2 * whole * square
    result.proportions[rows, 0] = h * mean / whole
    result.proportions_se[rows, 0] = np.sqrt(variance) * mean / whole**2
    jacobian = errors * np.log(units)
    result.log_likelihood[rows] = peaks.log_likelihood - jacobian
    none = np.zeros(rows.size)
    null = problem.at(peaks.response, none, none + 1.0).quadratic
    determinants = problem.log_determinants(peaks.response, none, none + 1.0)
    result.null_log_likelihood[rows] = log_likelihoods(null, determinants, errors, problem.constant) - jacobian
    result.iterations[rows], result.decrement[rows] = peaks.steps, peaks.decrement
    status = np.full(rows.size, Status.CONVERGED, dtype=np.object_)
    status[(h == 0.0) | (rest == 0.0)] = Status.ON_BOUNDARY
    result.status[rows] = status
    result.rows[rows] = errors.astype(np.int64) + spectrum.columns
    for at, row in enumerate(rows.tolist()):
        estimate, spread = _fixed_effects(problem, int(peaks.response[at]), float(h[at]), float(rest[at]), fixed[at])
        result.fixed[row] = estimate * units[at]
        result.fixed_se[row] = np.sqrt(spread * sigma2[at]) * units[at]


def _fixed_effects(
    problem: BorderedProblem, response: int, kernel: float, residual: float, fixed: Matrix
) -> tuple[Vector, Vector]:
    """Generalised least squares beside the indicators and its variances over sigma^2, (c,) each [VC-2].

    `fixed` (1 + d, c) is block U of the response and of the indicators.
    """
    spectrum, border = problem.spectrum, problem.borders[response]
    columns = np.vstack([problem.rotated[response], border])
    share, left = np.full(len(columns), kernel), np.full(len(columns), residual)
    images, squares = fixed_sums(columns, problem.arrays, spectrum.loadings, share, left)
    alone = fixed @ spectrum.fixed_inverse.T - kernel * images
    effects, inverse = problem.corrections(response, kernel, residual)
    variances = kernel * spectrum.fixed_kernel + residual * spectrum.fixed_residual - kernel**2 * squares[0]
    variances = variances + np.einsum("ij,ik,kj->j", alone[1:], inverse, alone[1:])
    return alone[0] - effects @ alone[1:], np.maximum(variances, 0.0)
