"""Maxima under restrictions: a variance or a proportion held at a value, or several variances at 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import nnls

from varmix.errors import ConvergenceWarning, warn
from varmix.iteration import Backtracking, Outcome, Stopping, iterate
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.restricted import RestrictedNewton
from varmix.models.linear.statistics import summarise_linear
from varmix.typing import Matrix, Vector

TOLERANCE = 1e-6
"""Distance from the restricted optimum in standard errors: its log-likelihood is then right to 1e-12."""
NEAR = 1e-3
"""Distance at which a climb that rounding has stopped is good enough: its log-likelihood is right to 5e-7."""
MAX_ITERATIONS = 200
"""Newton takes about ten; far more only where halved steps creep along a bound."""


class Restricted:
    """Restricted maximisation from a warm start: each maximum starts where the last one ended."""

    def __init__(self, model: VarianceComponents, variances: Vector) -> None:
        self.model = model
        self.estimate = variances
        floor = 1e-3 / np.maximum(model.traces / model.traces[-1], np.finfo(float).tiny)
        self._floor = floor
        self._start = np.maximum(variances, floor)

    def maximum(self, offset: Vector, directions: Matrix, start: Vector) -> tuple[float, Vector]:
        """Log-likelihood (internal units) and theta at the best t >= 0 of `offset + directions t`.

        Where the climb from `start` does not arrive, others are tried; a ConvergenceWarning tells if none does. On a
        ray the best scale is known: `V = t V_1` has its maximum at `t = y'P_1 y / N`, N rows with a residual.
        """
        if directions.shape[1] == 1 and not offset.any():
            return self._on_ray(directions[:, 0])
        best = self._climb(offset, directions, start)
        for again in self._further_starts(offset, directions):
            if _reached(best[0]):
                break
            best = max(best, self._climb(offset, directions, again), key=_rank)
        outcome, variances = best
        if not _reached(outcome) and np.isfinite(outcome.objective):
            _tell(outcome)
        return outcome.objective, variances

    def _climb(self, offset: Vector, directions: Matrix, start: Vector) -> tuple[Outcome[Any, Any], Vector]:
        scheme = RestrictedNewton(criterion=self.model.criterion, offset=offset, directions=directions)
        outcome = iterate(
            scheme,
            VarianceParams(start),
            [self.model.piece],
            stopping=Stopping(tolerance=TOLERANCE, max_iterations=MAX_ITERATIONS),
            accelerator=Backtracking(halvings=40),
        )
        return outcome, scheme.variances(outcome.params)

    def _further_starts(self, offset: Vector, directions: Matrix) -> Iterator[Vector]:
        """The points of the restriction nearest to the estimate, and to equal shares of its variance."""
        traces = self.model.traces
        equal = float(self.estimate @ traces) / len(traces) / traces
        for wanted in (np.maximum(self.estimate, self._floor), equal):
            # Nearest in contributions to the variance, which have one scale.
            nearest = nnls(directions * traces[:, None], (wanted - offset) * traces)[0]
            least = 1e-3 * float(wanted @ traces) / (directions * traces[:, None]).sum(axis=0)
            yield np.maximum(nearest, least)

    def _on_ray(self, direction: Vector) -> tuple[float, Vector]:
        stats = summarise_linear(self.model.piece, direction, self.model.criterion)
        scale = float(direction @ stats.quad) / stats.errors
        if not scale > 0.0:
            return -np.inf, direction
        change = 0.5 * stats.errors * (scale - 1.0 - np.log(scale))
        return stats.log_likelihood + change, scale * direction

    def with_variance(self, component: int, value: float) -> float:
        """Profile log-likelihood of one variance."""
        others = [k for k in range(len(self.estimate)) if k != component]
        offset = np.zeros(len(self.estimate))
        offset[component] = value
        return self._remember(offset, np.eye(len(self.estimate))[:, others], self._start[others])

    def with_proportion(self, component: int, value: float) -> float:
        """Profile log-likelihood of one proportion of variance [VC-9].

        Free are the contributions tau_j of the other components, scaled so that theta_k t_k = value * sum tau.
        """
        traces, count = self.model.traces, len(self.estimate)
        zero = np.zeros(count)
        if value >= 1.0:
            direction = np.zeros((count, 1))
            direction[component] = 1.0 / traces[component]
            total = float((self._start * traces).sum())
            return self.maximum(zero, direction, np.array([total]))[0]
        others = [k for k in range(count) if k != component]
        directions = np.zeros((count, len(others)))
        for column, k in enumerate(others):
            directions[k, column] = (1.0 - value) / traces[k]
            directions[component, column] = value / traces[component]
        parts = (self._start * traces)[others]
        start = parts / parts.sum() * float((self._start * traces).sum())
        return self._remember(zero, directions, start)

    def without(self, components: list[int]) -> tuple[float, Vector]:
        """Maximum with these variances at 0, and where."""
        others = [k for k in range(len(self.estimate)) if k not in components]
        zero = np.zeros(len(self.estimate))
        start = self._start[others]
        lost = float((self.estimate * self.model.traces)[components].sum()) / float(self.model.traces[-1])
        start = start + (lost if others and others[-1] == len(self.estimate) - 1 else 0.0) * np.eye(len(others))[-1]
        return self.maximum(zero, np.eye(len(self.estimate))[:, others], start)

    def _remember(self, offset: Vector, directions: Matrix, start: Vector) -> float:
        log_likelihood, variances = self.maximum(offset, directions, start)
        if np.isfinite(log_likelihood):
            self._start = np.maximum(variances, 1e-6 * self._start.max())
        return log_likelihood


def _reached(outcome: Outcome[Any, Any]) -> bool:
    return outcome.status.arrived or outcome.certificate.newton_decrement <= NEAR


def _rank(found: tuple[Outcome[Any, Any], Vector]) -> tuple[bool, float]:
    return _reached(found[0]), found[0].objective


def _tell(outcome: Outcome[Any, Any]) -> None:
    warn(
        f"A maximum under a restriction was not reached ({outcome.status.name}, "
        f"{outcome.certificate.newton_decrement:.1e} standard errors away): the profile interval or test that rests on "
        "it may be off. Compare it with a bootstrap.",
        ConvergenceWarning,
    )
