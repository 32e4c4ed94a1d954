"""The likelihood of the residual variance with the mixing distribution on a grid at its best [SLOPE-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.densities import HeldDensities, UnitDensities, all_weights
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.shares import SharesOutcome, best_shares, mixture_density, slopes
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Mask, Tick, Vector

LARGEST_MATRIX = 20_000_000
"""Entries of units x classes (160 megabytes) up to which densities are kept; beyond, they are made anew where read."""

SAMPLE = 20_000
"""Units of the sample that says which classes of a larger data set may have a share."""

GENERATIONS = 30
"""Times that classes join those that may have a share; two or three are usual."""

DECREMENT = 1e-7
"""Distance from the best residual variance, in standard errors, at which its search ends."""

SEARCH_STEPS = 60
"""Residual variances tried per summit; some six are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmleStep:
    """One residual variance tried: its best log-likelihood on the grid, and the slope and the gap there."""

    residual: float
    log_likelihood: float
    slope: float
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareProfilePoint:
    """The best shares at one residual variance."""

    residual: float
    outcome: SharesOutcome
    log_likelihood: float
    slope: float
    bend: float
    response: Vector
    """Change of the supported shares with the residual variance."""

    @property
    def decrement(self) -> float:
        """Distance from the top in standard errors, by the curvature where it is that of a top."""
        curved = -self.bend if self.bend < 0.0 else math.inf
        return abs(self.slope) / math.sqrt(curved) if math.isfinite(curved) else math.inf


class ShareProfile:
    """The likelihood of the residual variance, every other parameter at its best: shares on one grid."""

    def __init__(self, pieces: Sequence[Units], grid: Vector, tolerance: float, tick: Tick | None) -> None:
        self.pieces, self.grid, self.tolerance, self.tick = pieces, grid, tolerance, tick
        self.weight = all_weights(pieces)
        self.steps: list[NpmleStep] = []

    def at(self, residual: float, start: Vector | None = None) -> ShareProfilePoint:
        """The best shares, and two derivatives of their log-likelihood in s."""
        densities = UnitDensities(pieces=self.pieces, variances=self.grid, residual=residual)
        if densities.units * densities.classes <= LARGEST_MATRIX:
            outcome = best_shares(densities.held(), self.weight, start=start, tolerance=self.tolerance)
        else:
            outcome = generated_shares(densities, self.weight, start=start, tolerance=self.tolerance)
        support = outcome.support
        params = MixtureParams.free(self.grid[support], residual, outcome.shares[support])
        stats = summed(params, self.pieces)
        count = params.classes
        across, inner = stats.hessian[count + 1 :, count], -stats.hessian[count + 1 :, count + 1 :]
        # Along the homogeneous problem the supported shares follow s by one solve; those at 0 stay there.
        response = np.asarray(np.linalg.lstsq(inner, across, rcond=1e-13)[0], dtype=np.float64)
        found = ShareProfilePoint(
            residual=residual,
            outcome=outcome,
            log_likelihood=stats.log_likelihood,
            slope=float(stats.score[count]),
            bend=float(stats.hessian[count, count] + across @ response),
            response=response,
        )
        self.steps.append(
            NpmleStep(residual=residual, log_likelihood=found.log_likelihood, slope=found.slope, gap=outcome.gap)
        )
        if self.tick is not None:
            self.tick(1)
        return found

    def climb(self, start: float, *, floor: float = 0.0, shares: Vector | None = None) -> ShareProfilePoint:
        """Newton's method in s, halved until the log-likelihood rises; it ends below `floor`."""
        now = self.at(start, shares)
        while now.decrement > DECREMENT and now.residual > floor and len(self.steps) < SEARCH_STEPS:
            target = now.residual * math.exp(_log_step(now))
            following = self._risen(now, target)
            if following is None:
                break
            now = following
        return now

    def _risen(self, now: ShareProfilePoint, target: float) -> ShareProfilePoint | None:
        """The longest of the halved steps that does not lower the log-likelihood."""
        noise = 1e-13 * (1.0 + abs(now.log_likelihood)) + now.outcome.gap
        for halving in range(12):
            residual = now.residual + 0.5**halving * (target - now.residual)
            shares = now.outcome.shares.copy()
            shares[now.outcome.support] += now.response * (residual - now.residual)
            found = self.at(residual, np.maximum(shares, 0.0))
            if found.log_likelihood >= now.log_likelihood - noise:
                return found
        return None


def generated_shares(
    densities: UnitDensities, weight: Vector | None, *, start: Vector | None, tolerance: float
) -> SharesOutcome:
    """The best shares where units x classes are too many to keep: solved for few classes, whose densities may fit, and
    read over once for all classes to see which others want a share, until none does [SLOPE-8]."""
    total = float(densities.units) if weight is None else float(weight.sum())
    if start is None:
        start = _sample_shares(densities, weight)
    working, path = _widened(start > 0.0), np.empty(0)
    for _ in range(GENERATIONS):
        few = np.flatnonzero(working)
        some = UnitDensities(pieces=densities.pieces, variances=densities.variances[few], residual=densities.residual)
        source = some.held() if some.units * some.classes <= LARGEST_MATRIX else some
        inner = best_shares(source, weight, start=start[few] if start[few].any() else None, tolerance=tolerance)
        start = np.zeros(densities.classes)
        start[few] = inner.shares
        path = np.concatenate([path, inner.path])
        slope = slopes(densities, (1.0 if weight is None else weight) / (total * mixture_density(source, inner.shares)))
        gap = float(slope.max()) - 1.0
        wanted = slope > 1.0 + tolerance
        if gap <= tolerance or not (wanted & ~working).any():
            break
        working = _widened(start > 0.0) | wanted
    return SharesOutcome(
        shares=start,
        log_likelihood=inner.log_likelihood,
        gap=total * math.log1p(max(0.0, gap)),
        directional=slope,
        iterations=len(path),
        converged=gap <= tolerance,
        path=path,
    )


def _sample_shares(densities: UnitDensities, weight: Vector | None) -> Vector:
    chosen = np.sort(np.random.default_rng(0).choice(densities.units, min(SAMPLE, densities.units), replace=False))
    part = None if weight is None else weight[chosen]
    return best_shares(HeldDensities(densities.at(chosen)), part, tolerance=1.0 / SAMPLE).shares


def _widened(support: Mask) -> Mask:
    """With neighbours on both sides, and the class of largest variance, under which no density underflows."""
    wide = support.copy()
    wide[1:] |= support[:-1]
    wide[:-1] |= support[1:]
    wide[-1] = True
    return wide


def _log_step(now: ShareProfilePoint) -> float:
    """Newton's step in log s, at most an octave; uphill where the curvature is not that of a top."""
    slope, bend = now.slope * now.residual, now.bend * now.residual**2 + now.slope * now.residual
    step = -slope / bend if bend < 0.0 else math.copysign(math.log(2.0), slope)
    return min(max(step, -math.log(2.0)), math.log(2.0))


def summed(params: MixtureParams, pieces: Sequence[Units]) -> MixtureStats:
    """Statistics of all pieces."""
    stats = summarise(params, pieces[0])
    for piece in pieces[1:]:
        stats = stats + summarise(params, piece)
    return stats
