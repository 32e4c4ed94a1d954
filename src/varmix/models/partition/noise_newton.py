"""Newton's method where noise differs between genes and types: steps share one information until they slow down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from varmix.iteration import Backtracking, Certificate, Outcome, Progress, Status, Step, Stopping, iterate
from varmix.iteration.accelerate import NOISE
from varmix.models.cone import smallest_eigenvalue
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats
from varmix.models.partition.noise_curvature import NoisePosterior
from varmix.models.partition.noise_point import SCALARS, NoisePoint
from varmix.models.partition.reduced import Reduced
from varmix.typing import Mask, Square, Vector

NoiseOutcome = Outcome[NoisePoint, HeteroscedasticStats]

TOLERANCE = 1e-6
"""Newton decrement that counts as arrival: a millionth of a standard error, and a gain below rounding."""

ROUNDED = 1e-4
"""Newton decrement that counts as arrival where no step climbs: what is left to gain, half its square, is the rounding
of a log-likelihood of 1e5 over 1e4 terms."""

SLOWED = 0.3
"""Steps go on with one information while each leaves less than this share of the decrement."""

CLOSER = 0.3
"""Steps go on with one information to this share of the tolerance: a new one may find what is left to be more."""

NEARER = 0.9
"""Share of the decrement that must be left at most by steps that gain nothing but rounding, or they are the last."""

FLAT = 1e-6
"""Scaled eigenvalues of an information by differences of which the sign is not known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curvature:
    """The observed information of a point in the coordinates of its `frame`; those `pinned` at upper bounds are out."""

    frame: Reduced
    information: Square
    pinned: Mask
    shares: int
    """Partitions."""

    @classmethod
    def at(cls, posterior: NoisePosterior, point: NoisePoint, pieces: Sequence[Genes]) -> Curvature:
        """Of a point with finite statistics."""
        score = posterior.score(point, posterior.total(point, pieces))
        pinned = point.at_upper & (score > 0.0) & ~point.held
        frame = Reduced.at(replace(point, fixed=point.fixed | pinned))
        information = posterior.information(point, frame, pieces)
        return cls(frame=frame, information=information, pinned=pinned, shares=len(point.params.shares))

    def times(self, factor: float) -> Curvature:
        """About that of `factor` times as many genes."""
        return replace(self, information=factor * self.information)

    def covariance(self, gradient: Vector) -> Square:
        """Of all coordinates (K, K), those at an edge taken as known; NaN where there is no estimate of it."""
        full = np.full((len(self.frame.directions),) * 2, np.nan)
        free = np.flatnonzero(self.frame.free(gradient))
        inner = self.information[np.ix_(free, free)]
        if not free.size or not np.isfinite(inner).all() or smallest_eigenvalue(inner) < FLAT:
            return full
        directions = self.frame.directions[:, free]
        told = np.flatnonzero(directions.any(axis=1))
        full[np.ix_(told, told)] = directions[told] @ np.linalg.solve(inner, directions[told].T)
        return full

    @property
    def evaluations(self) -> int:
        """About as many summaries of the data as it took: two per coordinate that is no share."""
        return 2 + 2 * int((~self.of_shares).sum())

    @property
    def of_shares(self) -> Mask:
        """Which moving coordinates of the frame are shares of partitions."""
        first = len(SCALARS)
        return np.asarray((self.frame.moving >= first) & (self.frame.moving < first + self.shares))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseNewton:
    """The scheme with a given `curvature`; `Backtracking` sees to the length of the step [PART-3]."""

    posterior: NoisePosterior
    curvature: Curvature
    name: str = "newton"
    monotone: bool = True

    def summarise(self, params: NoisePoint, piece: Genes, /) -> HeteroscedasticStats:
        """Statistics of one piece."""
        return self.posterior.summarise(params, piece)

    def objective(self, params: NoisePoint, stats: HeteroscedasticStats, /) -> float:
        """Log-likelihood and log prior."""
        return self.posterior.objective(params, stats)

    def update(self, params: NoisePoint, stats: HeteroscedasticStats, /) -> NoisePoint:
        """The step within the cone, cut where it meets the first upper bound."""
        gradient, frame, vector = self._gradient(params, stats), self._frame(params), params.vector()
        if not np.isfinite(gradient).all():
            return params
        information = self._information(stats)
        move = frame.target(vector, gradient, information, np.zeros_like(information)) - vector
        meets = move > 0.0
        room = np.full(len(vector), np.inf)
        room[meets] = np.maximum(params.upper[meets] - vector[meets], 0.0) / move[meets]
        room[params.held | self.curvature.pinned] = np.inf
        return params.moved_to(vector + min(1.0, float(room.min())) * move)

    def certificate(self, params: NoisePoint, stats: HeteroscedasticStats, /) -> Certificate:
        """Distance from the optimum by the information at hand."""
        boundary = tuple(int(k) for k in np.flatnonzero(params.at_edge))
        gradient = self._gradient(params, stats)
        return self._frame(params).certificate(gradient, self._information(stats), boundary, saddle=FLAT)

    def _information(self, stats: HeteroscedasticStats) -> Square:
        """The curvature's, with the block of the shares exact at the point."""
        information, frame = self.curvature.information.copy(), self.curvature.frame
        shares = np.flatnonzero(self.curvature.of_shares)
        first = len(SCALARS)
        own = frame.directions[first : first + self.curvature.shares, shares]
        information[np.ix_(shares, shares)] = own.T @ stats.share_products @ own
        return information

    def _frame(self, params: NoisePoint) -> Reduced:
        return replace(self.curvature.frame, values=params.vector()[self.curvature.frame.moving])

    def _gradient(self, params: NoisePoint, stats: HeteroscedasticStats) -> Vector:
        return self.curvature.frame.pull(self.posterior.score(params, stats))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Ends steps with one information: where it is new by the usual rules, later when it should be renewed."""

    tolerance: float
    max_iterations: int

    def __call__(self, progress: Progress) -> Status | None:
        """The verdict on the newest step."""
        tolerance = self.tolerance if len(progress.steps) == 1 else CLOSER * self.tolerance
        verdict = Stopping(tolerance=tolerance, max_iterations=self.max_iterations)(progress)
        if verdict or len(progress.steps) == 1:
            return verdict
        before, now = (step.certificate.newton_decrement for step in progress.steps[-2:])
        return None if now < SLOWED * before else Status.SUBLINEAR


def polish(
    posterior: NoisePosterior,
    point: NoisePoint,
    pieces: Sequence[Genes],
    *,
    max_iterations: int,
    tolerance: float = TOLERANCE,
    nearby: Curvature | None = None,
) -> tuple[NoiseOutcome, Curvature]:
    """Newton steps from `point` until a new information certifies arrival, no step climbs, or the limit is reached.

    Gives the end and the curvature there. `nearby`, a curvature that is about that of `point`, serves the first steps;
    it certifies nothing.
    """
    steps: list[Step] = []
    evaluations, worth = 0, True
    if nearby is not None:
        scheme = NoiseNewton(posterior=posterior, curvature=nearby)
        limit = Round(tolerance=tolerance, max_iterations=max_iterations)
        begun = iterate(scheme, point, pieces, stopping=limit, accelerator=Backtracking())
        steps, evaluations, point = begun.progress.steps, begun.progress.last.evaluations, begun.params
    while True:
        curvature = Curvature.at(posterior, point, pieces)
        evaluations += curvature.evaluations
        scheme = NoiseNewton(posterior=posterior, curvature=curvature)
        left = max_iterations - max(len(steps) - 1, 0) if worth else 0
        limit = Round(tolerance=tolerance, max_iterations=left)
        found = iterate(scheme, point, pieces, stopping=limit, accelerator=Backtracking())
        path = [replace(step, evaluations=step.evaluations + evaluations) for step in found.progress.steps]
        steps, evaluations, point = [*steps[:-1], *path], path[-1].evaluations, found.params
        if bool((path[0].vector == path[-1].vector).all()):
            break
        worth = _gained(path[0], path[-1])
    if found.status is Status.STEP_LIMIT and not worth:
        found = replace(found, status=Status.STALLED)
    if found.status is Status.STALLED and found.certificate.newton_decrement <= ROUNDED:
        found = replace(found, status=Status.ON_BOUNDARY if found.certificate.on_boundary else Status.CONVERGED)
    found = replace(found, progress=Progress(steps))
    return _diagnosed(found, posterior, curvature), curvature


def _gained(before: Step, after: Step) -> bool:
    """Whether steps raised the objective beyond rounding or brought the optimum nearer."""
    nearer = after.certificate.newton_decrement < NEARER * before.certificate.newton_decrement
    return nearer or after.objective - before.objective > NOISE * (1.0 + abs(before.objective))


def _diagnosed(found: NoiseOutcome, posterior: NoisePosterior, curvature: Curvature) -> NoiseOutcome:
    """Tell an optimum at which the data cannot tell parameters apart."""
    gradient = curvature.frame.pull(posterior.score(found.params, found.stats))
    free = np.flatnonzero(curvature.frame.free(gradient))
    inner = curvature.information[np.ix_(free, free)]
    if found.status.arrived and free.size and smallest_eigenvalue(inner) < FLAT:
        return replace(found, status=Status.CONFOUNDED)
    return found
