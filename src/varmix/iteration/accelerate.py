"""Ways to take a step: plainly, or by extrapolation that is kept only where it climbs.

Extrapolation works on the coordinates of `Params.vector` and falls back to the plain update, so that a monotone scheme
stays monotone whatever the extrapolation proposes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from varmix.iteration.scheme import Evaluate, Point, Scheme
from varmix.typing import Vector

AnyPoint = Point[Any, Any]
AnyScheme = Scheme[Any, Any]
AnyEvaluate = Evaluate[Any, Any]


NOISE = 1e-13
"""Share of 1 + |l| below which a difference of two log-likelihoods is rounding."""


class Accelerator(Protocol):
    """Takes one step of a scheme. `fresh` gives the accelerator a fit starts with (those with memory return a copy)."""

    def fresh(self) -> Accelerator:
        """An accelerator without memory of earlier fits."""
        ...

    def step(self, scheme: AnyScheme, point: AnyPoint, evaluate: AnyEvaluate) -> AnyPoint:
        """The next point, evaluated."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """The scheme's own step."""

    def fresh(self) -> Accelerator:
        """Itself: it has no memory."""
        return self

    def step(self, scheme: AnyScheme, point: AnyPoint, evaluate: AnyEvaluate) -> AnyPoint:
        """One update."""
        return evaluate(scheme.update(point.params, point.stats))


@dataclass(frozen=True, slots=True)
class Backtracking:
    """For schemes that promise a direction of ascent but not the length: halve until the objective rises.

    After `halvings` failures one step of `fallback` (a monotone scheme on the same statistics) is taken instead. A fall
    within rounding counts as none: near the optimum the last digits of a log-likelihood are noise.
    """

    fallback: AnyScheme | None = None
    halvings: int = 12

    def fresh(self) -> Accelerator:
        """Itself: it has no memory."""
        return self

    def step(self, scheme: AnyScheme, point: AnyPoint, evaluate: AnyEvaluate) -> AnyPoint:
        """The longest of the halved steps that does not lower the objective."""
        start = point.params.vector()
        proposal = scheme.update(point.params, point.stats).vector()
        floor = point.objective - NOISE * (1.0 + abs(point.objective))
        for halving in range(self.halvings):
            candidate = evaluate(point.params.moved_to(start + 0.5**halving * (proposal - start)))
            if candidate.objective >= floor:
                return candidate
        if self.fallback is None:
            return point
        candidate = evaluate(self.fallback.update(point.params, point.stats))
        return candidate if candidate.objective >= floor else point


@dataclass(frozen=True, slots=True)
class Squarem:
    """SQUAREM, third step length (Varadhan and Roland 2008), kept only where it climbs beyond two plain steps."""

    def fresh(self) -> Accelerator:
        """Itself: it has no memory."""
        return self

    def step(self, scheme: AnyScheme, point: AnyPoint, evaluate: AnyEvaluate) -> AnyPoint:
        """Two plain steps and, where it climbs further, their extrapolation followed by a plain step."""
        first = evaluate(scheme.update(point.params, point.stats))
        if not first.objective > -math.inf:
            return first
        second = evaluate(scheme.update(first.params, first.stats))
        if not second.objective > -math.inf:
            return first
        start = point.params.vector()
        change = first.params.vector() - start
        bend = second.params.vector() - first.params.vector() - change
        bend_norm = float(np.linalg.norm(bend))
        if bend_norm == 0.0:
            return second
        length = max(1.0, float(np.linalg.norm(change)) / bend_norm)
        if length == 1.0:
            return second
        leap = evaluate(point.params.moved_to(start + 2.0 * length * change + length**2 * bend))
        if not leap.objective > second.objective:
            return second
        landed = evaluate(scheme.update(leap.params, leap.stats))
        return landed if landed.objective >= leap.objective else leap


@dataclass(slots=True)
class Anderson:
    """Anderson mixing of the last `depth` plain steps, kept only where it climbs at least as far as the plain step."""

    depth: int = 3
    _points: list[Vector] = field(default_factory=list, repr=False)
    _images: list[Vector] = field(default_factory=list, repr=False)

    def fresh(self) -> Accelerator:
        """A copy with an empty memory."""
        return Anderson(self.depth)

    def step(self, scheme: AnyScheme, point: AnyPoint, evaluate: AnyEvaluate) -> AnyPoint:
        """The mixed step where it climbs, else the plain one (and the memory is cleared)."""
        plain_params = scheme.update(point.params, point.stats)
        self._points.append(point.params.vector())
        self._images.append(plain_params.vector())
        del self._points[: -self.depth - 1], self._images[: -self.depth - 1]
        mixed = self._mixed()
        plain = evaluate(plain_params)
        if mixed is None:
            return plain
        candidate = evaluate(point.params.moved_to(mixed))
        if math.isfinite(candidate.objective) and candidate.objective >= max(plain.objective, point.objective):
            return candidate
        self._points.clear()
        self._images.clear()
        return plain

    def _mixed(self) -> Vector | None:
        if len(self._points) < 2:
            return None
        images = np.array(self._images)
        residuals = images - np.array(self._points)
        differences = np.diff(residuals, axis=0).T
        weights = np.linalg.lstsq(differences, residuals[-1], rcond=1e-10)[0]
        mixed: Vector = images[-1] - np.diff(images, axis=0).T @ weights
        return mixed if bool(np.isfinite(mixed).all()) else None
