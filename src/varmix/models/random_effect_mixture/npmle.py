"""The best mixing distribution on a grid of variances, whatever its number of classes [SLOPE-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import NotIdentifiedError, OptionError
from varmix.iteration import Status
from varmix.models.random_effect_mixture.directional import Peak, directional_peak, variance_grid
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.residual_scan import LEVEL, SCAN_DEEPER, mean_square, sampled, summits
from varmix.models.random_effect_mixture.share_profile import (
    DECREMENT,
    LARGEST_MATRIX,
    NpmleStep,
    ShareProfile,
    ShareProfilePoint,
    summed,
)
from varmix.models.random_effect_mixture.shares import GAP_TOLERANCE
from varmix.models.random_effect_mixture.statistics import HIGHEST_EXPONENT
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Index, Tick, Vector

GRID_POINTS = 60
"""Between neighbours of the default grid a class loses some 1e-3 of a log-likelihood per hundred units: the dual bound
over all variances says how much it is here."""

WIDENINGS = 3
"""Times that the default grid is stretched because a variance beyond it would add to the likelihood."""

WORTH = 1e-3
"""Log-likelihood that variances beyond the default grid could add at most, and that is not worth stretching it."""

SAMPLE_GAP = 1e-8
"""Gap per unit to which shares are solved on a part of large data."""

UNKNOWN = HIGHEST_EXPONENT - 30.0
"""Logarithm of a ratio of densities from which it may have been cut."""

FLAT = 1e-9
"""Curvature in log s per unit, below which the data cannot tell the residual variance from what the classes add."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Npmle:
    """The best mixing distribution over `variances` (K,), with its certificates; internal units [SLOPE-8].

    `gap` bounds what other shares of the grid could still gain in log-likelihood, `bound` what any mixture with any
    variances could, both at this residual variance; `steepest` is the variance at which the bound is reached. Where
    the residual variance was estimated, `decrement` is its distance from the best one in standard errors.
    """

    variances: Vector
    shares: Vector
    residual: float
    residual_held: bool
    log_likelihood: float
    gap: float
    bound: float
    steepest: float
    decrement: float
    status: Status
    steps: tuple[NpmleStep, ...]

    @property
    def support(self) -> Index:
        """Points of the grid with a share."""
        return np.flatnonzero(self.shares)

    @property
    def params(self) -> MixtureParams:
        """The classes with a share, as a point that may move freely but for a residual variance that is known."""
        found = MixtureParams.free(self.variances[self.support], self.residual, self.shares[self.support])
        return found.holding(found.classes, self.residual) if self.residual_held else found


def npmle(
    pieces: Sequence[Units],
    *,
    residual: float | None = None,
    grid: Vector | None = None,
    points: int = GRID_POINTS,
    tolerance: float = GAP_TOLERANCE,
    tick: Tick | None = None,
) -> Npmle:
    """The mixing distribution of highest likelihood on a grid of variances >= 0, `residual` known or estimated (None).

    `grid` (K,) replaces the default one of so many `points`; `tolerance` is the duality gap per unit. With an estimated
    residual variance all local maxima of a scan are climbed. Densities are kept up to 2e7 entries of units x classes;
    larger data are read in blocks. `tick` is called once per residual variance tried. All in internal units.
    Raises NotIdentifiedError where no unit informs the effects, OptionError on an impossible residual or grid
    [SLOPE-8].
    """
    pieces = [piece for piece in pieces if len(piece) or piece.rest_rows > 0.0]
    if not sum(len(piece) for piece in pieces):
        raise NotIdentifiedError(
            "No unit has a regressor other than 0: the data say nothing about effects. Give rows with x other than 0."
        )
    if residual is not None and not (math.isfinite(residual) and residual >= 0.0):
        raise OptionError(f"The residual variance is {residual}: give a finite number >= 0, or None to estimate it.")
    if residual == 0.0 and not _noiseless(pieces):
        raise OptionError(
            "A residual variance of 0 leaves some units without a density: give one above 0, or None to estimate it."
        )
    chosen = _checked_grid(grid, points)
    best = _best(pieces, residual, chosen, points, tolerance, tick)
    for _ in range(WIDENINGS if chosen is None else 0):
        if best.bound <= WORTH or best.steepest <= best.variances[-1]:
            break
        first = float(best.variances[best.variances > 0.0].min())
        wider = np.concatenate([[0.0], np.geomspace(first, 2.0 * best.steepest, points - 1)])
        best = _best(pieces, residual, wider, points, tolerance, tick)
    return best


def _best(
    pieces: Sequence[Units],
    residual: float | None,
    grid: Vector | None,
    points: int,
    tolerance: float,
    tick: Tick | None,
) -> Npmle:
    if residual is not None:
        profile = ShareProfile(pieces, _grid_at(pieces, residual, grid, points), tolerance, tick)
        return _record(profile, profile.at(residual), held=True, status=None)
    found = [_climbed(pieces, s, grid, points, tolerance, tick) for s in summits(pieces, grid, tick)]
    best = max(found, key=lambda result: result.log_likelihood)
    return replace(best, steps=tuple(step for result in found for step in result.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class GainBound:
    """What any number of classes could still gain over a mixture, for its residual variance [SLOPE-8].

    `slope_bound` is `sum a log max D`, reached at `variance`; `exact_bound` is the log-likelihood of the best mixing
    distribution, with its own bound, less that of the mixture (None where it was not asked for); `bound` is the lower.
    """

    bound: float
    slope_bound: float
    exact_bound: float | None
    variance: float


def gain_bound(params: MixtureParams, pieces: Sequence[Units], *, exact: bool = False) -> GainBound:
    """The bound at a point; `exact` finds the best mixing distribution too, and a bound that is several times lower.

    Whatever the mixture holds (a null class, its variances), the bound is on all mixtures with its residual variance
    [SLOPE-8].
    """
    peak = directional_peak(params, pieces)
    slope_bound = peak_bound(peak, pieces)
    exact_bound = None
    if exact and any(len(piece) > 0 for piece in pieces):
        own = variance_grid(pieces, params.residual)
        # With the mixture's own variances on the grid the best one cannot be lower.
        grid = np.union1d(own[1:] if params.residual <= 0.0 else own, params.variances[params.shares > 0.0])
        best = npmle(pieces, residual=params.residual, grid=np.union1d(grid, [peak.variance]))
        exact_bound = max(0.0, best.log_likelihood + best.bound - summed(params, pieces).log_likelihood)
    return GainBound(
        bound=slope_bound if exact_bound is None else min(slope_bound, exact_bound),
        slope_bound=slope_bound,
        exact_bound=exact_bound,
        variance=peak.variance,
    )


def _climbed(
    pieces: Sequence[Units], start: float, grid: Vector | None, points: int, tolerance: float, tick: Tick | None
) -> Npmle:
    """From a local maximum of the scan; where it lies at the edge, the edge itself."""
    floor, noiseless = SCAN_DEEPER * mean_square(pieces), _noiseless(pieces)
    if start <= 0.0 and not noiseless:
        profile = ShareProfile(pieces, _grid_at(pieces, floor, grid, points), tolerance, tick)
        return _record(profile, profile.at(floor), held=False, status=Status.UNBOUNDED)
    found = None
    if start > 0.0:
        profile = ShareProfile(pieces, _grid_at(pieces, start, grid, points), tolerance, tick)
        nearer, shares = _nearer(profile, start)
        found = profile.climb(nearer, shares=shares, floor=floor if noiseless else 0.0)
        if found.residual > LEVEL / SCAN_DEEPER * floor or not noiseless:
            return _record(profile, found, held=False, status=None)
    # So near to 0 the likelihood is level or rises towards it, as a rule: 0 itself then stands for all of that.
    edge = ShareProfile(pieces, _grid_at(pieces, 0.0, grid, points), tolerance, tick)
    at_edge = edge.at(0.0)
    if found is None or found.decrement > DECREMENT or at_edge.log_likelihood >= found.log_likelihood:
        return _record(edge, at_edge, held=False, status=Status.ON_BOUNDARY)
    return _record(profile, found, held=False, status=None)


def _nearer(profile: ShareProfile, start: float) -> tuple[float, Vector | None]:
    """Where a part of the data, as large as may be kept, has its maximum: one look at all of a large data set costs as
    much as the whole of that."""
    most = LARGEST_MATRIX // len(profile.grid)
    if sum(len(piece) for piece in profile.pieces) <= most:
        return start, None
    part = ShareProfile([sampled(profile.pieces, most // 2)], profile.grid, SAMPLE_GAP, profile.tick)
    found = part.climb(start)
    return found.residual, found.outcome.shares


def _record(profile: ShareProfile, found: ShareProfilePoint, *, held: bool, status: Status | None) -> Npmle:
    """The result at a residual variance, with the bound over all variances."""
    support = found.outcome.support
    params = MixtureParams.free(profile.grid[support], found.residual, found.outcome.shares[support])
    peak = directional_peak(params, profile.pieces, profile.grid)
    return Npmle(
        variances=profile.grid,
        shares=found.outcome.shares,
        residual=found.residual,
        residual_held=held,
        log_likelihood=found.log_likelihood,
        gap=found.outcome.gap,
        bound=peak_bound(peak, profile.pieces),
        steepest=peak.variance,
        decrement=0.0 if held or status is Status.ON_BOUNDARY else found.decrement,
        status=status or _status(profile.pieces, found, held),
        steps=tuple(profile.steps),
    )


def _status(pieces: Sequence[Units], found: ShareProfilePoint, held: bool) -> Status:
    if not found.outcome.converged:
        return Status.STALLED
    if held:
        return Status.CONVERGED
    total = sum(piece.total + piece.rest_rows for piece in pieces)
    flat = FLAT * total
    if abs(found.slope) * found.residual <= flat and abs(found.bend) * found.residual**2 <= flat:
        return Status.CONFOUNDED
    return Status.CONVERGED if found.decrement <= DECREMENT else Status.STALLED


def peak_bound(peak: Peak, pieces: Sequence[Units]) -> float:
    """`sum a log max D`: what any mixture could gain; infinite where a ratio of densities is too large to know
    [SLOPE-8]."""
    if math.log(max(1.0, peak.value * max(1, sum(len(piece) for piece in pieces)))) > UNKNOWN:
        return math.inf
    return sum(piece.total for piece in pieces) * math.log(max(1.0, peak.value))


def _noiseless(pieces: Sequence[Units]) -> bool:
    return all(piece.rest_rows == 0.0 and bool((piece.h2 > 0.0).all()) for piece in pieces)


def _grid_at(pieces: Sequence[Units], residual: float, grid: Vector | None, points: int) -> Vector:
    """The grid given, or the default one; without noise, v = 0 explains no unit and is left out."""
    if grid is None:
        grid = variance_grid(pieces, residual, points)
    if residual > 0.0:
        return grid
    if not (grid > 0.0).any():
        raise OptionError("A residual variance of 0 asks for variances above 0: give a grid that has some.")
    return grid[grid > 0.0]


def _checked_grid(grid: Vector | None, points: int) -> Vector | None:
    if grid is None:
        if points < 2:
            raise OptionError(
                f"A grid of {points} points has no variance but 0: give points >= 2, or a grid of your own."
            )
        return None
    grid = np.unique(np.asarray(grid, dtype=np.float64))
    if not grid.size or not np.isfinite(grid).all() or grid[0] < 0.0:
        raise OptionError("The grid is empty, or has variances below 0 or not finite: give variances >= 0.")
    return grid
