"""The global maximum over h of each response of a block: grid, Newton, and the best of what was found [VC-7]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.models.linear.batch.derivatives import profile_derivatives, share_information
from varmix.models.linear.batch.grid import ShareGrid, find_brackets
from varmix.models.linear.batch.refine import LAST_STEP, Maxima, refine
from varmix.models.linear.batch.sums import ShareSums
from varmix.models.linear.statistics import LOG_2PI
from varmix.typing import Array, Index, Vector

STRICT: Final = 1e-9
"""Decrement for the few brackets that the first pass leaves short of the certificate."""


class ShareProblem(Protocol):
    """What b responses say at shares of variance."""

    @property
    def errors(self) -> Vector:
        """N, the divisor of sigma^2, shape (b,)."""

    @property
    def constant(self) -> float:
        """What the covariates add to the log-determinants."""

    def on_grid(self, grid: ShareGrid) -> ShareSums:
        """Sums at all nodes: (b, G), or (G,) where they are those of all responses."""

    def at(self, response: Index, kernel: Vector, residual: Vector) -> ShareSums:
        """Sums of responses (positions, shape (k,)) at a share each."""

    def log_determinants(self, response: Index, kernel: Vector, residual: Vector) -> Vector:
        """`log |V| - N log sigma^2` of responses (k,) at a share each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The maximum of each response that has one, k of them."""

    response: Index
    """Positions in the block; those that are not here have a likelihood without bound."""
    kernel: Vector
    residual: Vector
    sums: ShareSums
    log_likelihood: Vector
    decrement: Vector
    steps: NDArray[np.int64]


def find_peaks(problem: ShareProblem, grid: ShareGrid) -> Peaks:
    """Every local maximum of every response, refined; of each response the highest, in internal units."""
    slope, bend = profile_derivatives(problem.on_grid(grid), problem.errors[:, None])
    maxima = Maxima.of(find_brackets(slope, bend, grid))
    owner = maxima.brackets.response
    refine(maxima, np.arange(maxima.t.size), problem.at, problem.errors, LAST_STEP)
    sums = problem.at(owner, *maxima.shares())
    short = np.flatnonzero(_decrement(maxima, sums, problem.errors) > DECREMENT_TOLERANCE)
    if short.size:
        refine(maxima, short, problem.at, problem.errors, STRICT)
        sums = problem.at(owner, *maxima.shares())
    determinants = problem.log_determinants(owner, *maxima.shares())
    logs = log_likelihoods(sums.quadratic, determinants, problem.errors[owner], problem.constant)
    bounded = np.flatnonzero(np.bincount(owner, minlength=problem.errors.size))
    chosen = _best(owner, logs, bounded)
    kernel, residual = maxima.shares(chosen)
    return Peaks(
        response=bounded,
        kernel=kernel,
        residual=residual,
        sums=ShareSums(*(part[chosen] for part in sums)),
        log_likelihood=logs[chosen],
        decrement=_decrement(maxima, sums, problem.errors)[chosen],
        steps=maxima.steps[chosen],
    )


def log_likelihoods(quadratic: Array, log_determinant: Array | float, errors: Array, constant: float) -> Array:
    """[VC-2] at the best sigma^2, in internal units."""
    offset = errors * (LOG_2PI + 1.0 - np.log(errors)) + constant
    value: Array = -0.5 * (errors * np.log(quadratic) + log_determinant + offset)
    return value


def _decrement(maxima: Maxima, sums: ShareSums, errors: Vector) -> Vector:
    own = errors[maxima.brackets.response]
    slope = profile_derivatives(sums, own)[0]
    return np.where(maxima.brackets.held, 0.0, np.abs(slope) / np.sqrt(share_information(sums, own)))


def _best(response: Index, values: Vector, wanted: Index) -> Index:
    """Position of the candidate with the largest value for each wanted response."""
    order = np.lexsort((values, response))
    return np.asarray(order[np.searchsorted(response[order], wanted, side="right") - 1])
