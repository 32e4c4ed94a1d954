"""Maxima under restrictions: a variance or a proportion held at a value, or several variances at 0."""

from __future__ import annotations

import numpy as np

from varmix.iteration import Backtracking, Stopping, iterate
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.restricted import RestrictedNewton
from varmix.models.linear.statistics import summarise_linear
from varmix.typing import Matrix, Vector

TOLERANCE = 1e-6
"""Distance from the restricted optimum in standard errors: its log-likelihood is then right to 1e-12."""


class Restricted:
    """Restricted maximisation from a warm start: each maximum starts where the last one ended."""

    def __init__(self, model: VarianceComponents, variances: Vector) -> None:
        self.model = model
        self.estimate = variances
        floor = 1e-3 / np.maximum(model.traces / model.traces[-1], np.finfo(float).tiny)
        self._start = np.maximum(variances, floor)

    def maximum(self, offset: Vector, directions: Matrix, start: Vector) -> tuple[float, Vector]:
        """Log-likelihood (internal units) and theta at the best t >= 0 of `offset + directions t`.

        On a ray the best scale is known: `V = t V_1` has its maximum at `t = y'P_1 y / N`, N rows with a residual.
        """
        if directions.shape[1] == 1 and not offset.any():
            return self._on_ray(directions[:, 0])
        scheme = RestrictedNewton(criterion=self.model.criterion, offset=offset, directions=directions)
        outcome = iterate(
            scheme,
            VarianceParams(start),
            [self.model.piece],
            stopping=Stopping(tolerance=TOLERANCE, max_iterations=200),
            accelerator=Backtracking(halvings=40),
        )
        return outcome.objective, scheme.variances(outcome.params)

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
