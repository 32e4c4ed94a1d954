"""What units say about a mixture: log-likelihood, its two derivatives, and the sums that every scheme updates from.

Arrays are (classes, units), in blocks that stay in the processor's cache: the data are read once per evaluation and
nothing of size classes x units is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Array, Matrix, Square, Vector

LOG_2PI = math.log(2.0 * math.pi)

BLOCK = 32_768
"""Entries of a (classes, units) array that is worked on at a time: some ten of them fit a megabyte of cache."""

SMALLEST_BLOCK = 512
"""Units below which a block's calls cost more than its arithmetic."""

HIGHEST_EXPONENT = 300.0
"""Where a class of share 0 would explain a row better than all others by more than exp of this, that much counts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixtureStats:
    """Sums over units at (v, s, pi); coordinates of derivatives are (v, s, pi), shape (2K + 1,).

    With responsibilities r, weights a and tau = q v + s:
    """

    log_likelihood: float
    total: float
    """Sum of a over the units with q > 0."""
    counts: Vector
    """`sum a r`, shape (K,)."""
    quad: Matrix
    """`sum a r q^p h^2 / tau^2` for p = 0, 1, 2, shape (K, 3)."""
    trace: Matrix
    """`sum a r q^p / tau` for p = 0, 1, shape (K, 2)."""
    score: Vector
    """Gradient of the log-likelihood [SLOPE-6]; that of a share is `sum a f_k / f`, also where the share is 0."""
    hessian: Square
    """Second derivatives of the log-likelihood [SLOPE-6]."""
    outer: Square
    """Sum of the products of the units' own scores: positive semidefinite wherever the fit stands."""
    rest: float
    rest_rows: float

    def __add__(self, other: MixtureStats) -> MixtureStats:
        return MixtureStats(
            log_likelihood=self.log_likelihood + other.log_likelihood,
            total=self.total + other.total,
            counts=self.counts + other.counts,
            quad=self.quad + other.quad,
            trace=self.trace + other.trace,
            score=self.score + other.score,
            hessian=self.hessian + other.hessian,
            outer=self.outer + other.outer,
            rest=self.rest + other.rest,
            rest_rows=self.rest_rows + other.rest_rows,
        )


VANISHED = 1e-150
"""Residual variance (internal units) whose square leaves the range of numbers: left-over rows then have no curvature,
and only those that are exactly 0 lead there."""


def defined(params: MixtureParams, units: Units) -> bool:
    """Whether every unit has a density: s > 0, or no class (empty ones included) and no left-over row needs it."""
    if params.residual > 0.0:
        return units.rest_rows == 0.0 or params.residual > VANISHED
    return units.rest_rows == 0.0 and bool((params.variances > 0.0).all())


def ratios(
    params: MixtureParams, q: Vector, h2: Vector, work: Matrix | None = None
) -> tuple[Array, Array, Array, Vector]:
    """Class densities over the mixture's, `f_k / f` (K, n); `1 / tau`, `h^2 / tau` (K, n); and `log f` (n,) [SLOPE-2].

    The class of largest variance among those with a share has the least negative exponent in every row: taking it out
    of all of them needs no search for a maximum, and one logarithm a row instead of one per class. `work`, shape
    (4K + 1, n), is written over and holds the answers, where one piece of memory is to serve many blocks.
    """
    shares, variances, count = params.shares, params.variances, params.classes
    if work is None:
        work = np.empty((4 * count + 1, len(q)))
    density, inverse, scaled = work[:count], work[count : 2 * count], work[2 * count : 3 * count]
    mixture, spare = work[3 * count], work[3 * count + 1 :]
    np.multiply.outer(variances, q, out=inverse)
    inverse += params.residual
    np.reciprocal(inverse, out=inverse)
    np.multiply(inverse, h2, out=scaled)
    top = int(np.argmax(np.where(shares > 0.0, variances, -1.0)))
    np.subtract(scaled[top], scaled, out=density)
    density *= 0.5
    if bool((variances[shares == 0.0] > variances[top]).any()):
        np.minimum(density, HIGHEST_EXPONENT, out=density)
    np.exp(density, out=density)
    density *= np.sqrt(inverse, out=spare)
    np.matmul(shares, density, out=mixture)
    density /= mixture
    log_density = np.log(mixture, out=mixture)
    log_density -= np.multiply(scaled[top], 0.5, out=spare[0])
    return density, inverse, scaled, log_density


def summarise(params: MixtureParams, units: Units) -> MixtureStats:
    """Statistics of one piece, the data read once [SLOPE-6]; log-likelihood -inf where the model is undefined."""
    count = params.classes
    if not defined(params, units):
        return _undefined(count, units)
    size = max(SMALLEST_BLOCK, BLOCK // count)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        sums = _rest(params, units)
        work = np.empty((8 * count + 5, min(size, len(units))))
        for q, h2, weight in units.blocks(size):
            sums = sums + _block(params, q, h2, weight, work[:, : len(q)])
    return sums


def _block(params: MixtureParams, q: Vector, h2: Vector, weight: Vector | None, work: Matrix) -> MixtureStats:
    """Statistics of a block; `work` (8K + 5, n) is memory to write over: fresh memory for every block and product
    would take several times as long as the arithmetic, in faults of pages."""
    count = params.classes
    scores, powers = work[: 2 * count + 1], work[-3:]
    ratio, inverse, scaled, log_density = ratios(params, q, h2, work[count + 1 : 5 * count + 2])
    sides = work[4 * count + 2 : -3]
    change, weighted, curved, squared = sides.reshape(4, count, -1)
    powers[0], powers[1] = 1.0 if weight is None else weight, q
    np.multiply(q, q, out=powers[2])
    if weight is not None:
        powers[1:] *= weight
    share = params.shares[:, None]

    np.subtract(scaled, 1.0, out=change)  # d of [SLOPE-6] is change / (2 tau)
    change *= inverse
    change *= 0.5
    change *= ratio  # f_k/f d
    np.multiply(change, share, out=squared)
    np.multiply(squared, q, out=scores[:count])
    np.sum(squared, axis=0, out=scores[count])
    given = scores if weight is None else np.multiply(scores, weight, out=sides[count : 3 * count + 1])
    outer = _products(scores, given)

    np.multiply(ratio, share, out=weighted)
    weighted *= inverse  # r / tau
    np.subtract(scaled, 6.0, out=curved)
    curved *= scaled
    curved += 3.0
    curved *= 0.25
    curved *= inverse  # (e + d^2) tau = (t^2 - 6 t + 3) / (4 tau), t = h^2 / tau
    curved *= weighted
    np.multiply(weighted, scaled, out=squared)
    sums = np.stack([sides @ power for power in powers], axis=1)
    crossed, trace, curvature, quad = sums.reshape(4, count, 3)
    inflow = ratio.sum(axis=1) if weight is None else ratio @ weight

    hessian = np.zeros((2 * count + 1, 2 * count + 1))
    index = np.arange(count)
    hessian[index, index] = curvature[:, 2]
    hessian[index, count] = hessian[count, index] = curvature[:, 1]
    hessian[count, count] = curvature[:, 0].sum()
    hessian[index, count + 1 + index] = hessian[count + 1 + index, index] = crossed[:, 1]
    hessian[count, count + 1 :] = hessian[count + 1 :, count] = crossed[:, 0]
    total = float(len(q)) if weight is None else float(weight.sum())
    log_likelihood = float(log_density.sum() if weight is None else weight @ log_density)
    score = np.concatenate(
        [0.5 * (quad[:, 1] - trace[:, 1]), [0.5 * float(quad[:, 0].sum() - trace[:, 0].sum())], inflow]
    )
    return MixtureStats(
        log_likelihood=log_likelihood - 0.5 * LOG_2PI * total,
        total=total,
        counts=params.shares * inflow,
        quad=quad,
        trace=trace[:, :2],
        score=score,
        hessian=hessian - outer,
        outer=outer,
        rest=0.0,
        rest_rows=0.0,
    )


def _products(scores: Matrix, given: Matrix) -> Square:
    """`scores @ given.T`, which is symmetric: a row at a time, as so few long rows are not worth a matrix product."""
    products = np.empty((len(scores), len(scores)))
    for row in range(len(scores)):
        products[row, : row + 1] = products[: row + 1, row] = scores[: row + 1] @ given[row]
    return products


def _rest(params: MixtureParams, units: Units) -> MixtureStats:
    """What the coordinates without an effect say: R ~ s chi2 [SLOPE-2]."""
    count, residual = params.classes, params.residual
    score, hessian, outer = np.zeros(2 * count + 1), np.zeros((2 * count + 1,) * 2), np.zeros((2 * count + 1,) * 2)
    log_likelihood = 0.0
    if units.rest_rows > 0.0:
        rows, rest = units.rest_rows, units.rest
        log_likelihood = -0.5 * (rows * (LOG_2PI + math.log(residual)) + rest / residual)
        score[count] = 0.5 * (rest / residual - rows) / residual
        hessian[count, count] = (0.5 * rows - rest / residual) / residual**2
        outer[count, count] = 0.5 * rows / residual**2
    return MixtureStats(
        log_likelihood=log_likelihood,
        total=0.0,
        counts=np.zeros(count),
        quad=np.zeros((count, 3)),
        trace=np.zeros((count, 2)),
        score=score,
        hessian=hessian,
        outer=outer,
        rest=units.rest,
        rest_rows=units.rest_rows,
    )


def _undefined(count: int, units: Units) -> MixtureStats:
    size = 2 * count + 1
    return MixtureStats(
        log_likelihood=-math.inf,
        total=units.total,
        counts=np.full(count, math.nan),
        quad=np.full((count, 3), math.nan),
        trace=np.full((count, 2), math.nan),
        score=np.full(size, math.nan),
        hessian=np.full((size, size), math.nan),
        outer=np.full((size, size), math.nan),
        rest=units.rest,
        rest_rows=units.rest_rows,
    )
