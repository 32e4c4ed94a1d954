"""Fit a pair of responses: start, climb, finish with Newton; the same with rho held fixed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from varmix.iteration import Backtracking, Certificate, Outcome, Plain, Stopping, iterate
from varmix.linalg.threads import threads_for
from varmix.models.cone import certify, quadratic_step
from varmix.models.linear.correlation.likelihood import PairParams, PairStats, summarise_pair
from varmix.models.linear.correlation.newton import PairNewton
from varmix.models.linear.correlation.pair import Pair
from varmix.models.linear.correlation.pxem import PairEM, PairPXEM
from varmix.typing import Matrix, Square, Vector

PROFILE_TOLERANCE = 1e-5
"""Distance in standard errors at which a profile point ends: its log-likelihood is then right to 1e-10."""


FAR = 1e3
"""Distance of a free parameter from the bound that it does not have, in units of the largest: beyond any step."""

NEAR_EDGE = 1e-5
"""Distance of |rho| from 1 at which PX-EM may stand that is on its way to 1: it stops 1e-8 standard errors short."""


def equal_start(pair: Pair) -> PairParams:
    """Half of each variance in the effects and half in the residuals, nothing shared."""
    values = np.zeros(pair.count)
    for i, y in enumerate(pair.y):
        mean = float(pair.kernel(i, i).trace()) / y.size
        left = y
        if pair.Z[i].shape[1]:
            left = y - pair.Z[i] @ np.linalg.lstsq(pair.Z[i], y, rcond=None)[0]
        half = 0.5 * float(left @ left) / y.size
        values[i], values[3 + i] = half / mean, half
    return PairParams(values)


def climb_pair(
    pair: Pair,
    *,
    method: Literal["newton", "pxem"] = "newton",
    start: PairParams | None = None,
    max_iterations: int = 500,
) -> Outcome[PairParams, PairStats]:
    """Climb to the certificate; PX-EM ends with Newton when it would not arrive by itself."""
    with threads_for(float(pair.rows) ** 3):
        return _climb(pair, method, equal_start(pair) if start is None else start, max_iterations)


def _climb(
    pair: Pair, method: Literal["newton", "pxem"], begin: PairParams, max_iterations: int
) -> Outcome[PairParams, PairStats]:
    newton: Any = PairNewton()
    careful = Backtracking(fallback=PairEM())
    if method == "newton":
        return iterate(newton, begin, [pair], stopping=Stopping(max_iterations=max_iterations), accelerator=careful)
    scheme: Any = PairPXEM()
    patient = Stopping(max_iterations=max_iterations, give_up_when_slow=True)
    outcome = iterate(scheme, begin, [pair], stopping=patient, accelerator=Plain())
    if outcome.status.arrived and not _near_edge(outcome.params):
        return outcome
    # One step first: a point within the tolerance of the edge |rho| = 1 is to end on it.
    onward = newton.update(outcome.params, outcome.stats)
    if not newton.summarise(onward, pair).log_likelihood >= outcome.objective:
        onward = outcome.params
    finish = iterate(newton, onward, [pair], stopping=Stopping(max_iterations=max_iterations), accelerator=careful)
    return outcome.followed_by(finish)


def _near_edge(params: PairParams) -> bool:
    rho = params.correlation
    return (
        math.isnan(rho)
        or 1.0 - abs(rho) < NEAR_EDGE
        or bool((params.values[:2] < NEAR_EDGE * params.values[3:5]).any())
    )


@dataclass(frozen=True, slots=True)
class HeldParams:
    """`sqrt s_1, sqrt s_2` and the residual parameters, with `s_12 = rho sqrt(s_1 s_2)`."""

    roots: Vector
    rho: float

    def vector(self) -> Vector:
        """The roots and the residual parameters."""
        return self.roots

    def moved_to(self, vector: Vector) -> HeldParams:
        """The nearest point with roots and residual variances not below 0."""
        roots = np.array(vector)
        roots[:2] = np.maximum(roots[:2], 0.0)
        roots[2:] = PairParams(roots).moved_to(np.concatenate([np.zeros(3), roots[2:]])).values[3:]
        return HeldParams(roots, self.rho)

    @property
    def values(self) -> Vector:
        """All parameters."""
        a, b = self.roots[:2]
        return np.concatenate([[a * a, b * b, self.rho * a * b], self.roots[2:]])

    @property
    def jacobian(self) -> Matrix:
        """`d values / d roots`."""
        a, b = self.roots[:2]
        count = self.roots.size
        J = np.zeros((count + 1, count))
        J[:3, :2] = [[2.0 * a, 0.0], [0.0, 2.0 * b], [self.rho * b, self.rho * a]]
        J[3:, 2:] = np.eye(count - 2)
        return J


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNewton:
    """Newton with rho held, in the square roots of the variances."""

    name: str = "newton, rho held"
    monotone: bool = True

    def summarise(self, params: HeldParams, piece: Pair, /) -> PairStats:
        """Statistics of one pair."""
        return summarise_pair(piece, params.values)

    def objective(self, params: HeldParams, stats: PairStats, /) -> float:
        """The (restricted) log-likelihood."""
        return stats.log_likelihood

    def update(self, params: HeldParams, stats: PairStats, /) -> HeldParams:
        """The step with the curvature of the roots where it leaves the model concave."""
        if not math.isfinite(stats.log_likelihood):
            return params
        score, information = self._pulled(params, stats)
        bend = np.zeros_like(information)
        g = stats.score
        bend[:2, :2] = [[2.0 * g[0], params.rho * g[2]], [params.rho * g[2], 2.0 * g[1]]]
        curved = information - bend
        if float(np.linalg.eigvalsh(curved)[0]) > 1e-6 * float(np.linalg.eigvalsh(information)[-1]):
            information = curved
        return params.moved_to(params.roots + quadratic_step(_within_bounds(params.roots), score, information))

    def certificate(self, params: HeldParams, stats: PairStats, /) -> Certificate:
        """In the roots."""
        if not math.isfinite(stats.log_likelihood):
            return Certificate(projected_gradient=math.inf, newton_decrement=math.inf)
        return certify(_within_bounds(params.roots), *self._pulled(params, stats))

    def _pulled(self, params: HeldParams, stats: PairStats) -> tuple[Vector, Square]:
        J = params.jacobian
        return J.T @ stats.score, J.T @ stats.information @ J


def _within_bounds(values: Vector) -> Vector:
    """The roots with a residual covariance, which may be negative, put far above the bound of 0 that the step keeps."""
    if values.size == 4:
        return values
    far = values.copy()
    far[4] = FAR * float(np.abs(values).max())
    return far


def climb_held(pair: Pair, rho: float, start: Vector, max_iterations: int = 60) -> Outcome[HeldParams, PairStats]:
    """The best fit with this rho, from full parameters `start`."""
    roots = np.concatenate([np.sqrt(np.maximum(start[:2], 1e-8 * np.maximum(start[3:5], 1e-300))), start[3:]])
    scheme: Any = HeldNewton()
    stopping = Stopping(tolerance=PROFILE_TOLERANCE, max_iterations=max_iterations)
    with threads_for(float(pair.rows) ** 3):
        return iterate(scheme, HeldParams(roots, rho), [pair], stopping=stopping, accelerator=Backtracking())
