"""Hyper-parameters of the noise by maximum marginal likelihood, with the proportions held or free [PART-3] [PART-5]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.optimize import OptimizeResult, minimize

from varmix.errors import OptionError, ShapeError
from varmix.iteration import Certificate, Progress, Status, Step
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise_coordinates import Coordinates
from varmix.models.partition.noise_curvature import NoisePosterior
from varmix.models.partition.noise_newton import NoiseOutcome, polish
from varmix.models.partition.noise_part import drawn_part
from varmix.models.partition.noise_point import SCALARS
from varmix.models.partition.partitions import Partitions
from varmix.typing import Matrix, Square, Vector

TOLERANCE = 1e-10
"""Relative gain in the objective below which L-BFGS-B ends: hundredths of a standard error."""

CLIMBING = 0.6
"""Part of the steps that L-BFGS-B may take: where it creeps along a ridge, Newton's steps are the better use."""

MIXING = frozenset({"proportions", "shares", "mean"})
"""What the first stage of a staged climb moves."""

STAGE = 100
"""Most steps of the first stage: its end is a start."""

UNREACHABLE = 1e300
"""Objective where the densities are not finite: line searches turn back from it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseFit:
    """How a fit ended: its `outcome`, of which the path is that over all genes, and the `covariance` there.

    `covariance` (K, K) of the coordinates of a `NoisePoint` is the inverse of the observed information, parameters at
    an edge taken as known; NaN for what is held or at an edge, and for all where the information is singular.
    """

    outcome: NoiseOutcome
    covariance: Square

    @property
    def params(self) -> HeteroscedasticParams:
        """The point that was reached."""
        return self.outcome.params.params

    @property
    def stats(self) -> HeteroscedasticStats:
        """Statistics there."""
        return self.outcome.stats

    @property
    def objective(self) -> float:
        """The log-likelihood, plus the Dirichlet log density (up to its constant) of entries of P that move."""
        return self.outcome.objective

    @property
    def certificate(self) -> Certificate:
        """Distance from an optimum."""
        return self.outcome.certificate

    @property
    def progress(self) -> Progress:
        """The path."""
        return self.outcome.progress

    @property
    def status(self) -> Status:
        """Why it stopped."""
        return self.outcome.status

    @property
    def log_likelihood(self) -> float:
        """Of the data."""
        return self.stats.log_likelihood

    @property
    def converged(self) -> bool:
        """Whether this is an optimum with its certificate."""
        return self.status.arrived

    @property
    def iterations(self) -> int:
        """Steps of L-BFGS-B and of Newton over all genes."""
        return len(self.progress.steps) - 1

    @property
    def standard_errors(self) -> dict[str, float]:
        """Of the parameters before the shares, in their own units; NaN where there is none."""
        return dict(zip(SCALARS, _errors(self.covariance)[: len(SCALARS)].tolist(), strict=True))

    @property
    def share_errors(self) -> Vector:
        """Standard errors of the shares of partitions, shape (J,); NaN where there is none."""
        return _errors(self.covariance)[len(SCALARS) : len(SCALARS) + len(self.params.shares)]

    @property
    def proportion_errors(self) -> Matrix:
        """Standard errors of the proportions, shape (D, T); NaN where they are held or at 0."""
        errors = _errors(self.covariance)[len(SCALARS) + len(self.params.shares) :]
        return errors.reshape(self.params.proportions.shape)


def fit_noise(
    pieces: Sequence[Genes],
    partitions: Partitions,
    start: HeteroscedasticParams,
    *,
    free: frozenset[str],
    known: Matrix | None = None,
    concentration: Matrix | None = None,
    likelihood: str = "joint",
    staged: bool = False,
    rng: Generator | None = None,
    max_iterations: int = 500,
) -> NoiseFit:
    """Climb from `start` by L-BFGS-B with exact gradients, then Newton to a certificate; `free` is among `FREE`.

    With "proportions" free, `known` (D, T) holds those that are known all the same, NaN where they are estimated, and
    `concentration` (D, T) is that of a Dirichlet prior on the entries that move [PART-7]. `staged` climbs proportions,
    shares and mean first, with the noise of the start: noise that may move at once takes the place of cell types that
    are not found yet. Many genes are climbed on a part that `rng` draws first; None: on all from the start. Each climb
    has `max_iterations` of its own; the certificate is that of all genes.

    Raises OptionError for names that are no parameters, a likelihood that is not known and a concentration below 1 (its
    density has no maximum inside), ShapeError for other shapes.
    """
    coordinates = Coordinates.of(start, free, known)
    excess = _excess(concentration, start.proportions.shape)
    posterior = NoisePosterior(partitions=partitions, excess=excess, likelihood=likelihood)
    part = None if rng is None else drawn_part(pieces, rng)
    some = pieces if part is None else part.pieces
    of_some = posterior if part is None else posterior.of_share(part.share)
    evaluations = 0
    if staged:
        mixing = Coordinates.of(coordinates.start, free & MIXING, known)
        first = _climbed(mixing, of_some, some, min(max_iterations, STAGE))
        evaluations = first.last.evaluations
        reached = mixing.point(mixing.start, some, excess=excess).placed(first.last.vector).params
        coordinates = Coordinates.of(replace(coordinates.start, proportions=reached.proportions), free, known)
    progress = _climbed(coordinates, of_some, some, max_iterations)
    point = coordinates.point(coordinates.start, pieces, excess=excess).placed(progress.last.vector)
    left = max(max_iterations - (len(progress.steps) - 1), 0)
    outcome, curvature = polish(of_some, point, some, max_iterations=left)
    outcome = replace(outcome, progress=_joined(progress, outcome.progress, evaluations))
    if part is not None:
        evaluations = math.ceil(part.share * outcome.progress.last.evaluations)
        nearby = curvature.times(1.0 / part.share)
        outcome, curvature = polish(posterior, outcome.params, pieces, max_iterations=max_iterations, nearby=nearby)
        outcome = replace(outcome, progress=_later(outcome.progress, evaluations))
    gradient = curvature.frame.pull(posterior.score(outcome.params, outcome.stats))
    return NoiseFit(outcome=outcome, covariance=curvature.covariance(gradient))


def _climbed(
    coordinates: Coordinates, posterior: NoisePosterior, pieces: Sequence[Genes], max_iterations: int
) -> Progress:
    """The path of L-BFGS-B, certified nowhere: a deviation at 0 has the slope 0 whatever its variance has."""
    progress, evaluations = Progress(), 0
    start = coordinates.point(coordinates.start, pieces, excess=posterior.excess)

    def negative(vector: Vector) -> tuple[float, Vector]:
        nonlocal evaluations
        evaluations += 1
        params = coordinates.params(vector)
        stats = posterior.total(replace(start, params=params), pieces)
        value, gradient = stats.log_likelihood, coordinates.pull(vector, params, stats)
        if posterior.excess is not None:
            prior, slope = coordinates.log_prior(vector, posterior.excess)
            value, gradient = value + prior, gradient + slope
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            return UNREACHABLE, np.zeros_like(vector)
        return -value, -gradient

    def record(intermediate_result: OptimizeResult) -> None:
        step = Step(
            scheme="lbfgs",
            evaluations=evaluations,
            objective=-float(intermediate_result.fun),
            vector=replace(start, params=coordinates.params(intermediate_result.x)).vector(),
            certificate=Certificate(projected_gradient=math.inf, newton_decrement=math.inf),
        )
        progress.record(step, monotone=False)

    vector, limit = coordinates.vector, max(int(CLIMBING * max_iterations), 1)
    record(OptimizeResult(x=vector, fun=negative(vector)[0]))
    if vector.size:
        minimize(
            negative,
            vector,
            jac=True,
            method="L-BFGS-B",
            bounds=coordinates.bounds,
            callback=record,
            options={"maxiter": limit, "maxfun": 2 * limit, "ftol": TOLERANCE, "maxcor": 30},
        )
    return progress


def _excess(concentration: Matrix | None, shape: tuple[int, ...]) -> Matrix | None:
    if concentration is None:
        return None
    if concentration.shape != shape:
        raise ShapeError(
            f"The concentrations have the shape {concentration.shape}, proportions {shape}. Give the same."
        )
    if not (concentration >= 1.0).all():
        raise OptionError(
            f"A Dirichlet concentration is {concentration.min():.6g}: below 1 the density of a proportion of 0 is "
            "infinite and nothing has a maximum. Give values of at least 1."
        )
    return concentration - 1.0


def _joined(first: Progress, later: Progress, evaluations: int) -> Progress:
    """The path of both: the end of the first is the start of the second, which knows its certificate."""
    before = first.last.evaluations
    return _later(Progress([*first.steps[:-1], *_later(later, before).steps]), evaluations)


def _later(progress: Progress, evaluations: int) -> Progress:
    return Progress([replace(step, evaluations=step.evaluations + evaluations) for step in progress.steps])


def _errors(covariance: Square) -> Vector:
    return np.sqrt(covariance.diagonal())
