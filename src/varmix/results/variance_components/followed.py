"""The local maximum of an ML fit, followed as variances are held: ML may grow without bound elsewhere.

With as many centred columns as rows the kernel is 0 in the direction of the intercept, and the ML likelihood grows
without bound as the residual variance goes to 0. A restricted climb that leaves the branch of the fit's maximum ends
there, and what it found would say nothing about the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from varmix.inference.branch import Branch, Node
from varmix.iteration import Progress, Status, Stopping
from varmix.models.linear.statistics import summarise_linear
from varmix.results.variance_components.restricted import (
    TOLERANCE,
    VESTIGE,
    Restricted,
    proportion_start,
    reached,
)
from varmix.results.variance_components.restriction import Restriction, proportion_held, shrunk, variance_held
from varmix.typing import Vector

STEPS = 50
"""Newton takes about five from a neighbour; one that takes more is leaving."""

ABOVE = 1.0
"""Log-likelihood above the fit's at which a climb has left the branch for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Ends a climb that stands above the fit's maximum, which no restricted maximum of its branch does."""

    ceiling: float
    inner: Stopping

    def __call__(self, progress: Progress) -> Status | None:
        """UNBOUNDED above the ceiling, else the verdict of `inner`."""
        return Status.UNBOUNDED if progress.last.objective > self.ceiling else self.inner(progress)


class Followed:
    """Branches through the fit's maximum, `maximum` in internal units."""

    def __init__(self, restricted: Restricted, maximum: float) -> None:
        self._restricted = restricted
        self._maximum = maximum
        self._traces = restricted.model.traces
        inner = Stopping(tolerance=TOLERANCE, max_iterations=STEPS)
        self._stopping = Leaving(ceiling=maximum + ABOVE, inner=inner)

    def variance(self, component: int, step: float) -> Branch:
        """With one variance held."""
        estimate = self._restricted.estimate
        return self._branch(
            float(estimate[component]),
            lambda value: variance_held(component, value, len(estimate)),
            lambda state: np.delete(state, component),
            lambda value, theta, score: float(score[component]),
            step,
        )

    def proportion(self, component: int, step: float) -> Branch:
        """With one proportion of variance held."""
        parts = self._restricted.estimate * self._traces
        return self._branch(
            float(parts[component] / parts.sum()),
            lambda value: proportion_held(component, value, self._traces),
            lambda state: proportion_start(component, state, self._traces),
            partial(self._slope_in_proportion, component),
            step,
        )

    def without(self, components: list[int]) -> tuple[float, Vector] | None:
        """Maximum with these variances at 0 on the branch, along which they shrink together; None where it ends."""
        estimate = self._restricted.estimate

        def slope(factor: float, theta: Vector, score: Vector) -> float:
            return float(score[components] @ estimate[components])

        branch = self._branch(
            1.0,
            lambda factor: shrunk(components, factor, estimate),
            lambda state: np.delete(state, components),
            slope,
            1.0,
        )
        node = branch.node(0.0)
        return None if node is None else (node.log_likelihood, node.state)

    def belongs(self, log_likelihood: float) -> bool:
        """Whether a restricted maximum is not above the fit's, beyond rounding."""
        return log_likelihood <= self._maximum + 1e-6 * (1.0 + 1e-4 * abs(self._maximum))

    def _branch(
        self,
        at: float,
        restriction_of: Callable[[float], Restriction],
        start_of: Callable[[Vector], Vector],
        slope_of: Callable[[float, Vector, Vector], float],
        step: float,
    ) -> Branch:
        def node(value: float, log_likelihood: float, theta: Vector) -> Node:
            model = self._restricted.model
            score = summarise_linear(model.piece, theta, model.criterion).score
            state = np.maximum(theta, VESTIGE * theta.max())
            return Node(value=value, log_likelihood=log_likelihood, slope=slope_of(value, theta, score), state=state)

        def solve(value: float, state: Vector) -> Node | None:
            restriction = restriction_of(value)
            if restriction.is_ray:
                found = self._restricted.on_ray(restriction.directions[:, 0])
                return node(value, *found) if np.isfinite(found[0]) else None
            outcome, theta = self._restricted.climb(restriction, start_of(state), self._stopping)
            return node(value, outcome.objective, theta) if reached(outcome) else None

        return Branch(node(at, self._maximum, self._restricted.estimate), solve, step)

    def _slope_in_proportion(self, component: int, value: float, theta: Vector, score: Vector) -> float:
        """By the contributions t of the others, which stay: `theta_k = (1 - value) t_k / trace_k`."""
        if value >= 1.0:
            return float("nan")
        change = -theta / (1.0 - value)
        change[component] = float(theta @ self._traces) / self._traces[component]
        return float(score @ change)
