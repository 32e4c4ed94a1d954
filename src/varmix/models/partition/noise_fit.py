"""Hyper-parameters of the noise by maximum marginal likelihood, with the proportions held or free [PART-3] [PART-5]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from varmix.errors import OptionError, ShapeError
from varmix.iteration import Certificate, Progress, Status, Step
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise_coordinates import Coordinates
from varmix.models.partition.noise_curvature import NoisePosterior
from varmix.models.partition.noise_newton import polish
from varmix.models.partition.noise_point import SCALARS
from varmix.models.partition.partitions import Partitions
from varmix.typing import Matrix, Square, Vector

TOLERANCE = 1e-10
"""Relative gain in the objective below which L-BFGS-B ends: hundredths of a standard error."""

CLIMBING = 0.6
"""Part of the steps that L-BFGS-B may take: where it creeps along a ridge, Newton's steps are the better use."""

UNREACHABLE = 1e300
"""Objective where the densities are not finite: line searches turn back from it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseFit:
    """How a fit ended: the point and its statistics, `progress`, and why it stopped with which `certificate`.

    `objective` is the log-likelihood plus the Dirichlet log density (up to its constant) of entries of P that move.
    `covariance` (K, K) of the coordinates of a `NoisePoint` is the inverse of the observed information, parameters at
    an edge taken as known; NaN for what is held or at an edge, and for all where the information is singular.
    """

    params: HeteroscedasticParams
    stats: HeteroscedasticStats
    objective: float
    certificate: Certificate
    progress: Progress
    status: Status
    covariance: Square

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
        """Steps of L-BFGS-B and of Newton."""
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
    max_iterations: int = 500,
) -> NoiseFit:
    """Climb from `start` by L-BFGS-B with exact gradients, then Newton to a certificate; `free` is among `FREE`.

    With "proportions" free, `known` (D, T) holds those that are known all the same, NaN where they are estimated, and
    `concentration` (D, T) is that of a Dirichlet prior on the entries that move [PART-7]. Raises OptionError for names
    that are no parameters and a concentration below 1 (its density has no maximum inside), ShapeError for other shapes.
    """
    coordinates = Coordinates.of(start, free, known)
    posterior = NoisePosterior(partitions=partitions, excess=_excess(concentration, start.proportions.shape))
    progress = _climbed(coordinates, posterior, pieces, max_iterations)
    point = coordinates.point(coordinates.start, pieces, excess=posterior.excess).placed(progress.last.vector)
    left = max_iterations - (len(progress.steps) - 1)
    outcome, curvature = polish(posterior, point, pieces, max_iterations=max(left, 0))
    gradient = curvature.frame.pull(posterior.score(outcome.params, outcome.stats))
    return NoiseFit(
        params=outcome.params.params,
        stats=outcome.stats,
        objective=outcome.objective,
        certificate=outcome.certificate,
        progress=_joined(progress, outcome.progress),
        status=outcome.status,
        covariance=curvature.covariance(gradient),
    )


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


def _joined(first: Progress, later: Progress) -> Progress:
    """The path of both: the end of the first is the start of the second, which knows its certificate."""
    before = first.last.evaluations
    tail = [replace(step, evaluations=step.evaluations + before) for step in later.steps]
    return Progress([*first.steps[:-1], *tail])


def _errors(covariance: Square) -> Vector:
    return np.sqrt(covariance.diagonal())
