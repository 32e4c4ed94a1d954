"""The best shares of given classes: a convex problem, solved by active sets and Newton with its duality gap [SLOPE-8].

The problem is taken homogeneous: the maximum of `sum a log(sum_k pi_k L_k) - sum a sum_k pi_k` over pi >= 0 has shares
that sum to 1. Every step maximises a quadratic model within pi >= 0, so shares become 0 exactly and can come back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from varmix.errors import DataError, NotFiniteError, OptionError, ShapeError
from varmix.linalg.threads import one_thread
from varmix.models.cone import quadratic_step
from varmix.models.random_effect_mixture.densities import Densities, HeldDensities
from varmix.typing import Index, Matrix, Square, Vector

GAP_TOLERANCE = 1e-11
"""Duality gap per unit of weight: the log-likelihood is within 1e-11 of a unit's worth per unit, and rounding of
max D, some 1e-14, is far below it."""

MAX_ITERATIONS = 100
"""Newton steps; some ten are usual, and a hundred mean that rounding is all that is left."""

SAMPLE = 2_500
"""Units of the sample that finds which classes matter before all units are asked."""

SAMPLE_GAP = 1e-4
"""Gap to which the sample is solved: its own error is of the order of one over its size."""

BEGINNING = 5
"""EM steps from equal shares before the first Newton step: they find the scale of the shares."""

SUFFICIENT = 1e-4
"""Part of the gain promised by the slope that a step has to keep (Armijo)."""

HALVINGS = 40
"""A step cut 40 times is a millionth of a millionth of its length: none is left."""

CLOSE = 1e-6
"""Gap from which steps are taken from an orthogonal factor: the directions that are then left are too flat for the
digits of a matrix of products, and the classes that are left are few."""

ROUNDING = 4e-16
"""Change of a mean log-likelihood, relative to 1 + |l|, that is none."""

PATIENCE = 3
"""Steps without a smaller gap or a higher log-likelihood after which rounding is taken to be all that is left."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharesOutcome:
    """Shares (K,) on the simplex, their log-likelihood, and the certificate [SLOPE-8].

    `directional` (K,) is `D_k = sum a L_k / f / sum a`: at the optimum 1 where the share is positive and nowhere above.
    `gap` is `sum a log max D`: no shares have a log-likelihood higher by more. `converged` tells whether
    `max D - 1 <= tolerance`; rounding may stop it short. `path` holds the log-likelihood of every step.
    """

    shares: Vector
    log_likelihood: float
    gap: float
    directional: Vector
    iterations: int
    converged: bool
    path: Vector

    @property
    def support(self) -> Index:
        """Classes with a share."""
        return np.flatnonzero(self.shares)


def maximise_shares(
    density: Matrix,
    weights: Vector | None = None,
    *,
    start: Vector | None = None,
    tolerance: float = GAP_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> SharesOutcome:
    """Shares that maximise `sum a log(sum_k pi_k L_kg)`, for densities L (K, n) and weights a (n,) (None: all 1).

    Units with weight 0 may have any densities. Raises ShapeError, NotFiniteError, and DataError where a density is
    negative or a unit has density 0 under every class [SLOPE-8].
    """
    density = np.ascontiguousarray(density, dtype=np.float64)
    if density.ndim != 2 or 0 in density.shape:
        raise ShapeError(
            f"Densities have shape {density.shape}: pass a matrix of classes x units with at least one of each."
        )
    weight = _checked_weights(weights, density.shape[1])
    if weight is not None and not weight.all():
        density, weight = np.ascontiguousarray(density[:, weight > 0.0]), weight[weight > 0.0]
    density, logs = _scaled(density)
    total = float(density.shape[1]) if weight is None else float(weight.sum())
    outcome = best_shares(
        HeldDensities(density), weight, start=start, tolerance=tolerance, max_iterations=max_iterations
    )
    if logs is None:
        return outcome
    offset = float(logs.sum() if weight is None else weight @ logs)
    return SharesOutcome(
        shares=outcome.shares,
        log_likelihood=outcome.log_likelihood + offset,
        gap=total * math.log(max(1.0, float(outcome.directional.max()))),
        directional=outcome.directional,
        iterations=outcome.iterations,
        converged=outcome.converged,
        path=outcome.path + offset,
    )


def best_shares(
    densities: Densities,
    weight: Vector | None,
    *,
    start: Vector | None = None,
    tolerance: float = GAP_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
) -> SharesOutcome:
    """`maximise_shares` for densities of any source: it reads blocks of units and keeps n numbers [SLOPE-8].

    Every unit's weight (n,) is positive, and every unit has a density > 0 under some class.
    """
    count, units = densities.classes, densities.units
    total = float(units) if weight is None else float(weight.sum())
    part = np.full(units, 1.0 / units) if weight is None else weight / total
    with one_thread():  # blocks are too small to share
        if start is not None:
            shares = _usable(start, count)
        else:
            shares = _from_sample(densities, part) if units > 4 * SAMPLE else _begun(densities, part, count)
        return _climb(densities, part, shares, total, tolerance, max_iterations)


def _climb(
    densities: Densities, part: Vector, shares: Vector, total: float, tolerance: float, max_iterations: int
) -> SharesOutcome:
    mixture = mixture_density(densities, shares)
    if not (mixture > 0.0).all():
        shares = 0.5 * shares + 0.5 / len(shares)
        mixture = mixture_density(densities, shares)
    value = float(part @ np.log(mixture))
    path, gained = [value], True
    best, waited = math.inf, 0  # the gap may widen while the log-likelihood still rises
    while True:
        slope = slopes(densities, part / mixture)
        gap = float(slope.max()) - 1.0
        waited = 0 if gap < best or gained else waited + 1
        best = min(best, gap)
        if gap <= tolerance or waited >= PATIENCE or len(path) > max_iterations:
            break
        working = np.flatnonzero((shares > 0.0) | (slope > 1.0))
        if not working.size:  # densities that are no numbers; NNLS without columns would end the process
            break
        root = np.sqrt(part)
        if gap > CLOSE and not waited:
            # Classes that the data cannot tell apart differ in the total of the shares alone: its square holds that.
            curved = curvature(densities, working, root / mixture) + 1.0
            step = quadratic_step(shares[working], slope[working] - 1.0, curved)
        else:
            step = _careful_step(densities, working, root, mixture, shares[working])
        found = _searched(densities, part, shares, mixture, value, working, step, float(step @ (slope[working] - 1.0)))
        if found is None:
            break
        gained = found[2] - value > ROUNDING * (1.0 + abs(value))
        shares, mixture, value = found
        path.append(value)
    return SharesOutcome(
        shares=shares,
        log_likelihood=total * value,
        gap=total * math.log1p(max(0.0, gap)),
        directional=slope,
        iterations=len(path) - 1,
        converged=gap <= tolerance,
        path=total * np.array(path),
    )


def _searched(
    densities: Densities,
    part: Vector,
    shares: Vector,
    mixture: Vector,
    value: float,
    working: Index,
    step: Vector,
    promise: float,
) -> tuple[Vector, Vector, float] | None:
    """The longest of the halved steps that keeps enough of its promise, rescaled to the simplex; None without one."""
    move = np.zeros_like(mixture)
    for units, block in densities.blocks(working):
        move[units] = step @ block
    floor = value - ROUNDING * (1.0 + abs(value))
    length = 1.0
    for _ in range(HALVINGS):
        target = shares.copy()
        target[working] = np.maximum(shares[working] + length * step, 0.0)
        size = float(target.sum())
        trial = mixture + length * move
        if size > 0.0 and trial.min() > 0.0:
            reached = float(part @ np.log(trial)) - math.log(size)
            if reached >= floor + SUFFICIENT * length * promise or (reached >= floor and promise < 1e-13):
                target /= size
                trial /= size
                return target, trial, reached
        length *= 0.5
    return None


def _careful_step(densities: Densities, classes: Index, root: Vector, mixture: Vector, shares: Vector) -> Vector:
    """The same step from an orthogonal factor of `root L / f`, whose condition is the root of that of its square.

    With S the rows `root L / f` over a row of ones, `S'S` is the curvature and the step ends at the x >= 0 that brings
    S x nearest to (2 root, 0).
    """
    factor: Matrix = np.zeros((len(classes) + 1,) * 2)
    factor[0, :-1] = 1.0
    for units, block in densities.blocks(classes):
        scaled = np.vstack([block / mixture[units], np.full(block.shape[1], 2.0)]) * root[units]
        factor = np.asarray(np.linalg.qr(np.vstack([factor, scaled.T]), mode="r"))
    return np.asarray(nnls(factor[:, :-1], factor[:, -1])[0] - shares)


def mixture_density(densities: Densities, shares: Vector) -> Vector:
    """`f = sum_k pi_k L_k`, shape (n,): reads the classes with a share."""
    support = np.flatnonzero(shares)
    weights = shares[support]
    result = np.empty(densities.units)
    for units, block in densities.blocks(support):
        np.matmul(weights, block, out=result[units])
    return result


def slopes(densities: Densities, ratio: Vector) -> Vector:
    """`D_k = sum_g ratio_g L_kg` with `ratio = a / f / sum a`, shape (K,)."""
    result = np.zeros(densities.classes)
    for units, block in densities.blocks(None):
        result += block @ ratio[units]
    return result


def curvature(densities: Densities, classes: Index, root: Vector) -> Square:
    """`sum_g root_g^2 L_jg L_kg` over some classes, with `root = sqrt(a / sum a) / f`."""
    result = np.zeros((len(classes),) * 2)
    for units, block in densities.blocks(classes):
        scaled = block * root[units]
        result += scaled @ scaled.T
    return result


def _begun(densities: Densities, part: Vector, count: int) -> Vector:
    shares = np.full(count, 1.0 / count)
    for _ in range(BEGINNING):
        shares = shares * slopes(densities, part / mixture_density(densities, shares))
    return np.asarray(shares / shares.sum())


def _from_sample(densities: Densities, part: Vector) -> Vector:
    """Shares of an evenly spread sample of units; every class keeps a trace, so that no unit is left without."""
    count = densities.classes
    # A fixed stride may beat with the order of the data; a seeded draw does not, and repeats.
    chosen = np.sort(np.random.default_rng(0).choice(densities.units, SAMPLE, replace=False))
    sample = HeldDensities(np.ascontiguousarray(densities.at(chosen)))
    inner = part[chosen] / part[chosen].sum()
    outcome = _climb(sample, inner, _begun(sample, inner, count), 1.0, SAMPLE_GAP, MAX_ITERATIONS)
    return outcome.shares


def _usable(start: Vector, count: int) -> Vector:
    start = np.asarray(start, dtype=np.float64)
    if start.shape != (count,) or not (np.isfinite(start).all() and (start >= 0.0).all() and start.sum() > 0.0):
        raise OptionError(
            f"start has to be {count} shares that are not negative and not all 0: leave it out for equal shares."
        )
    return np.asarray(start / start.sum())


def _checked_weights(weights: Vector | None, units: int) -> Vector | None:
    if weights is None:
        return None
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (units,):
        raise ShapeError(
            f"There are {weights.size:,} weights for {units:,} units: pass one per column of the densities."
        )
    if not np.isfinite(weights).all():
        raise NotFiniteError("Some weights are NaN or infinite: give finite weights.")
    if (weights < 0.0).any() or not weights.any():
        raise DataError("Weights are negative or all 0: give weights >= 0 with at least one above.")
    return weights


def _scaled(density: Matrix) -> tuple[Matrix, Vector | None]:
    """Densities, by their largest per unit where they are not of order one, and the logarithms of that factor."""
    total = np.ones(len(density)) @ density
    if not np.isfinite(total).all():
        raise NotFiniteError("Some densities are NaN or infinite: scale every unit's densities by their largest.")
    if density.min() < 0.0:
        raise DataError("Some densities are negative: pass densities, not their logarithms.")
    if total.min() > 1e-100 and total.max() < 1e100:
        return density, None
    largest = density.max(axis=0)
    if not (largest > 0.0).all():
        where = int(np.argmin(largest))
        raise DataError(
            f"{int((largest == 0.0).sum()):,} units have density 0 under every class (first: column {where}): scale "
            "each unit's densities by their largest before they underflow, or add a class that allows for those units."
        )
    return density / largest, np.log(largest)
