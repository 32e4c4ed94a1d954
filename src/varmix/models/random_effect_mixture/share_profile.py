"""The likelihood of the residual variance with the mixing distribution on a grid at its best [SLOPE-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.densities import UnitDensities, all_weights
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.shares import SharesOutcome, best_shares
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Tick, Vector

LARGEST_MATRIX = 20_000_000
"""Entries of units x classes (160 megabytes) up to which densities are kept; beyond, they are made anew where read."""

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
        held = densities.held() if densities.units * densities.classes <= LARGEST_MATRIX else densities
        outcome = best_shares(held, self.weight, start=start, tolerance=self.tolerance)
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

    def climb(self, start: float, *, floor: float = 0.0) -> ShareProfilePoint:
        """Newton's method in s, halved until the log-likelihood rises; it ends below `floor`."""
        now = self.at(start)
        while now.decrement > DECREMENT and now.residual > floor and len(self.steps) < SEARCH_STEPS:
            target = now.residual * math.exp(_log_step(now))
            following = self._risen(now, target)
            if following is None:
                break
            now = following
        return now

    def _risen(self, now: ShareProfilePoint, target: float) -> ShareProfilePoint | None:
        """The longest of the halved steps that does not lower the log-likelihood."""
        noise = 1e-13 * (1.0 + abs(now.log_likelihood))
        for halving in range(12):
            residual = now.residual + 0.5**halving * (target - now.residual)
            shares = now.outcome.shares.copy()
            shares[now.outcome.support] += now.response * (residual - now.residual)
            found = self.at(residual, np.maximum(shares, 0.0))
            if found.log_likelihood >= now.log_likelihood - noise:
                return found
        return None


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
