"""Maxima under restrictions: a variance or a proportion held at a value, or several variances at 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import nnls

from varmix.errors import ConvergenceWarning, warn
from varmix.iteration import Backtracking, Outcome, Stopping, iterate
from varmix.models.linear.feasible import HALVINGS, defined
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.restricted import RestrictedNewton
from varmix.models.linear.statistics import summarise_linear
from varmix.results.variance_components.restriction import Restriction, proportion_held, shrunk, variance_held
from varmix.typing import Vector

TOLERANCE = 1e-6
"""Distance from the restricted optimum in standard errors: its log-likelihood is then right to 1e-12."""
NEAR = 1e-3
"""Distance at which a climb that rounding has stopped is good enough: its log-likelihood is right to 5e-7."""
MAX_ITERATIONS = 200
"""Newton takes about ten; far more only where halved steps creep along a bound."""
VESTIGE = 1e-6
"""Share of the largest variance from which a variance at 0 starts, so that it may leave it."""


class Restricted:
    """Restricted maximisation from a warm start: each maximum starts where the last one ended."""

    def __init__(self, model: VarianceComponents, variances: Vector) -> None:
        self.model = model
        self.estimate = variances
        floor = 1e-3 / np.maximum(model.traces / model.traces[-1], np.finfo(float).tiny)
        self._floor = floor
        self.start = np.maximum(variances, floor)

    def maximum(self, restriction: Restriction, start: Vector) -> tuple[float, Vector]:
        """Log-likelihood (internal units) and theta at the best t >= 0 of a restriction.

        Where the climb from `start` does not arrive, others are tried; a ConvergenceWarning tells if none does. On a
        ray the best scale is known: `V = t V_1` has its maximum at `t = y'P_1 y / N`, N rows with a residual.
        """
        if restriction.is_ray:
            return self.on_ray(restriction.directions[:, 0])
        outcome, variances = self.search(restriction, start)
        if not reached(outcome) and np.isfinite(outcome.objective):
            _tell(outcome)
        return outcome.objective, variances

    def search(self, restriction: Restriction, start: Vector) -> tuple[Outcome[Any, Any], Vector]:
        """The best end of the climbs from `start` and, where that does not arrive, from others."""
        best = self._climb(restriction, start)
        for again in self._further_starts(restriction):
            if reached(best[0]):
                break
            best = max(best, self._climb(restriction, again), key=_rank)
        return best

    def _climb(self, restriction: Restriction, start: Vector) -> tuple[Outcome[Any, Any], Vector]:
        return self.climb(restriction, start, Stopping(tolerance=TOLERANCE, max_iterations=MAX_ITERATIONS))

    def climb(self, restriction: Restriction, start: Vector, stopping: Any) -> tuple[Outcome[Any, Any], Vector]:
        """Newton within a restriction from t = `start`, moved to where V is positive definite."""
        scheme = RestrictedNewton(
            criterion=self.model.criterion, offset=restriction.offset, directions=restriction.directions
        )
        outcome = iterate(
            scheme,
            VarianceParams(self._inside(restriction, start)),
            [self.model.piece],
            stopping=stopping,
            accelerator=Backtracking(halvings=40),
        )
        return outcome, scheme.variances(outcome.params)

    def _inside(self, restriction: Restriction, start: Vector) -> Vector:
        """With negative eigenvalues: more of the residual, or less of the kernels where the residual is held."""
        piece, residual = self.model.piece, restriction.directions[-1]
        values = np.array(start)
        for _ in range(HALVINGS if piece.negative else 0):
            theta = restriction.offset + restriction.directions @ values
            if defined(piece, theta, self.model.criterion):
                break
            values[residual == 0.0] *= 0.5
            if residual.any():
                values[int(residual.argmax())] += float(start.max())
        return values

    def _further_starts(self, restriction: Restriction) -> Iterator[Vector]:
        """The points of the restriction nearest to the estimate, and to equal shares of its variance."""
        traces = self.model.traces
        contributions = restriction.directions * traces[:, None]
        equal = float(self.estimate @ traces) / len(traces) / traces
        for wanted in (np.maximum(self.estimate, self._floor), equal):
            # Nearest in contributions to the variance, which have one scale.
            nearest = nnls(contributions, (wanted - restriction.offset) * traces)[0]
            least = 1e-3 * float(wanted @ traces) / contributions.sum(axis=0)
            yield np.maximum(nearest, least)

    def on_ray(self, direction: Vector) -> tuple[float, Vector]:
        """Log-likelihood and theta at the best multiple of `direction`; -inf where V is not positive definite."""
        stats = summarise_linear(self.model.piece, direction, self.model.criterion)
        scale = float(direction @ stats.quad) / stats.errors
        if not scale > 0.0:
            return -np.inf, direction
        change = 0.5 * stats.errors * (scale - 1.0 - np.log(scale))
        return stats.log_likelihood + change, scale * direction

    def with_variance(self, component: int, value: float) -> float:
        """Profile log-likelihood of one variance."""
        restriction = variance_held(component, value, len(self.estimate))
        return self._remember(restriction, np.delete(self.start, component))

    def with_proportion(self, component: int, value: float) -> float:
        """Profile log-likelihood of one proportion of variance [VC-9]."""
        restriction = proportion_held(component, value, self.model.traces)
        if value >= 1.0:
            return self.maximum(restriction, np.array([float((self.start * self.model.traces).sum())]))[0]
        return self._remember(restriction, proportion_start(component, self.start, self.model.traces))

    def without(self, components: list[int]) -> tuple[float, Vector]:
        """Maximum with these variances at 0, and where."""
        return self.maximum(*self.null(components))

    def null(self, components: list[int]) -> tuple[Restriction, Vector]:
        """These variances at 0, and a start that gives what they had to the residual."""
        others = [k for k in range(len(self.estimate)) if k not in components]
        start = self.start[others]
        lost = float((self.estimate * self.model.traces)[components].sum()) / float(self.model.traces[-1])
        start = start + (lost if others and others[-1] == len(self.estimate) - 1 else 0.0) * np.eye(len(others))[-1]
        return shrunk(components, 0.0, self.estimate), start

    def _remember(self, restriction: Restriction, start: Vector) -> float:
        log_likelihood, variances = self.maximum(restriction, start)
        if np.isfinite(log_likelihood):
            self.start = np.maximum(variances, VESTIGE * self.start.max())
        return log_likelihood


def proportion_start(component: int, variances: Vector, traces: Vector) -> Vector:
    """Contributions of the other components than one whose proportion is held, adding up to all there are."""
    parts = np.delete(variances * traces, component)
    return np.asarray(parts / parts.sum() * float((variances * traces).sum()))


def reached(outcome: Outcome[Any, Any]) -> bool:
    """Whether a climb ended at its maximum, or as near as rounding lets it."""
    return outcome.status.arrived or outcome.certificate.newton_decrement <= NEAR


def _rank(found: tuple[Outcome[Any, Any], Vector]) -> tuple[bool, float]:
    return reached(found[0]), found[0].objective


def _tell(outcome: Outcome[Any, Any]) -> None:
    warn(
        f"A maximum under a restriction was not reached ({outcome.status.name}, "
        f"{outcome.certificate.newton_decrement:.1e} standard errors away): the profile interval or test that rests on "
        "it may be off. Compare it with a bootstrap.",
        ConvergenceWarning,
    )
