"""The best mixing distribution without a grid: atoms move, come and go until no variance has anything to add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from varmix.iteration import Backtracking, Status, Stopping, iterate
from varmix.models.random_effect_mixture.densities import UnitDensities, all_weights
from varmix.models.random_effect_mixture.directional import directional_peak
from varmix.models.random_effect_mixture.em import EM
from varmix.models.random_effect_mixture.newton import Newton
from varmix.models.random_effect_mixture.npmle import Npmle, peak_bound
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.share_profile import DECREMENT, NpmleStep, summed
from varmix.models.random_effect_mixture.shares import best_shares
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Index, Tick, Vector

BOUND = 1e-6
"""Log-likelihood that any mixture may still gain: far below what any data can tell."""

ROUNDS = 40
"""Times that an atom is added; each round raises the log-likelihood, and some five are usual."""

NEWTON_STEPS = 60
"""Steps per round: atoms that merge make Newton's steps short, and the next round merges them."""

SAME = 1e-3
"""Relative difference of variances, beside the residual one at a typical q, of atoms that are tried as one."""


def refine(found: Npmle, pieces: Sequence[Units], *, tolerance: float = BOUND, tick: Tick | None = None) -> Npmle:
    """The mixing distribution of highest likelihood over all variances >= 0, from the best one on a grid.

    Its variances are its atoms; `bound` and `gap` are what any mixture could still gain, at most `tolerance` where the
    status is CONVERGED. A residual variance that was estimated moves with the atoms. `tick` is called once per round.
    Internal units [SLOPE-8].
    """
    pieces = [piece for piece in pieces if len(piece) or piece.rest_rows > 0.0]
    params, steps = _clustered(found), list(found.steps)
    best: Npmle | None = None
    for _ in range(ROUNDS):
        params = _without_twins(_climbed(params, pieces), pieces)
        candidate = _record(params, pieces, found, steps)
        if tick is not None:
            tick(1)
        if best is not None and not candidate.log_likelihood > best.log_likelihood:
            best = candidate if candidate.bound < best.bound else best
            break
        best = candidate
        if candidate.bound <= tolerance:
            break
        params = _with_atom(params, pieces, candidate.steepest)
    assert best is not None  # there is at least one round
    return replace(best, status=_status(best, found, tolerance), steps=tuple(steps))


def _status(best: Npmle, found: Npmle, tolerance: float) -> Status:
    if found.status is Status.UNBOUNDED:
        return Status.UNBOUNDED
    if best.bound > tolerance or best.decrement > DECREMENT:
        return Status.STALLED
    return Status.ON_BOUNDARY if best.residual == 0.0 and not best.residual_held else Status.CONVERGED


def _clustered(found: Npmle) -> MixtureParams:
    """Neighbours on the grid as one atom at their mean: they stand for one variance between them."""
    support = found.support
    label = np.cumsum(np.concatenate([[0], np.diff(support) > 1]))
    shares = _binned(label, found.shares[support])
    means = _binned(label, found.shares[support] * found.variances[support]) / shares
    return _point(means, found.residual, shares, found.residual_held or found.residual == 0.0)


def _binned(label: Index, values: Vector) -> Vector:
    return np.asarray(np.bincount(label, values), dtype=np.float64)


def _point(variances: Vector, residual: float, shares: Vector, held: bool) -> MixtureParams:
    params = MixtureParams.free(variances, residual, shares / shares.sum())
    return params.holding(params.classes, residual) if held else params


def _climbed(params: MixtureParams, pieces: Sequence[Units]) -> MixtureParams:
    """Newton in all atoms; those that lost their share are dropped."""
    stopping = Stopping(max_iterations=NEWTON_STEPS)
    outcome = iterate(Newton(), params, pieces, stopping=stopping, accelerator=Backtracking(fallback=EM()))
    reached = outcome.params
    alive = reached.shares > 0.0
    return _point(reached.variances[alive], reached.residual, reached.shares[alive], _held(reached))


def _held(params: MixtureParams) -> bool:
    return bool(params.held[params.classes])


def _without_twins(params: MixtureParams, pieces: Sequence[Units]) -> MixtureParams:
    """Nearly equal atoms as one, where that costs nothing in log-likelihood."""
    order = np.argsort(params.variances, kind="stable")
    variances, shares = params.variances[order], params.shares[order]
    heaviest = max(float(piece.q.mean()) for piece in pieces if len(piece))
    near = np.diff(variances) <= SAME * (variances[1:] + params.residual / heaviest)
    if not near.any():
        return params
    label = np.cumsum(np.concatenate([[0], ~near]))
    mass = _binned(label, shares)
    merged = _point(_binned(label, shares * variances) / mass, params.residual, mass, _held(params))
    before, after = summed(params, pieces).log_likelihood, summed(merged, pieces).log_likelihood
    return merged if after >= before - 1e-3 * BOUND else params


def _with_atom(params: MixtureParams, pieces: Sequence[Units], variance: float) -> MixtureParams:
    """An atom where the directional derivative is largest, with the best shares of all."""
    variances = np.concatenate([params.variances, [variance]])
    densities = UnitDensities(pieces=pieces, variances=variances, residual=params.residual)
    start = np.concatenate([0.98 * params.shares, [0.02]])
    shares = best_shares(densities, all_weights(pieces), start=start).shares
    alive = shares > 0.0
    return _point(variances[alive], params.residual, shares[alive], _held(params))


def _record(params: MixtureParams, pieces: Sequence[Units], found: Npmle, steps: list[NpmleStep]) -> Npmle:
    order = np.argsort(params.variances, kind="stable")
    variances, shares = params.variances[order], params.shares[order]
    params = _point(variances, params.residual, shares, _held(params))
    stats = summed(params, pieces)
    peak = directional_peak(params, pieces)
    bound = peak_bound(peak, pieces)
    slope = float(stats.score[params.classes])
    certificate = Newton().certificate(params, stats)
    steps.append(NpmleStep(residual=params.residual, log_likelihood=stats.log_likelihood, slope=slope, gap=bound))
    return Npmle(
        variances=variances,
        shares=shares,
        residual=params.residual,
        residual_held=found.residual_held,
        log_likelihood=stats.log_likelihood,
        gap=bound,
        bound=bound,
        steepest=peak.variance,
        decrement=0.0 if _held(params) else certificate.newton_decrement,
        status=found.status,
        steps=(),
    )
