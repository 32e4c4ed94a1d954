"""Run a scheme to its certificate, and do not take an empty class for an optimum while one elsewhere would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.iteration import (
    ACCELERATORS,
    Backtracking,
    Outcome,
    Runner,
    Serial,
    Status,
    check_choices,
    iterate_and_finish,
)
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.models.cone import smallest_eigenvalue
from varmix.models.random_effect_mixture.directional import directional, variance_grid
from varmix.models.random_effect_mixture.em import EM
from varmix.models.random_effect_mixture.glm import GLM
from varmix.models.random_effect_mixture.mm import MM
from varmix.models.random_effect_mixture.newton import Newton
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.pxem import PXEM
from varmix.models.random_effect_mixture.scheme import MixtureScheme, Reduced
from varmix.models.random_effect_mixture.units import Units

SCHEMES = ("newton", "em", "pxem", "mm", "glm")

WORTH = 1e-8
"""Excess of the directional derivative over 1 that makes moving an idle class worth a climb: the certificate leaves an
excess of its square."""

SEATED_SHARE = 0.02
"""Share of a class that was moved to where it is wanted."""

RESEATINGS = 8
"""Times that idle classes are moved; each raises the log-likelihood."""

SAME_CLASS = 1e-6
"""Relative difference of two class variances below which they are one class written twice."""

FLAT = 1e-9
"""Smallest eigenvalue of the scaled observed information below which parameters cannot be told apart."""

SERIAL = Serial()


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """How to climb. With `polish`, a scheme that would not arrive within `max_iterations` is finished by Newton."""

    scheme: str = "newton"
    accelerate: str = "none"
    polish: bool = True
    max_iterations: int = 500
    tolerance: float = DECREMENT_TOLERANCE
    runner: Runner = SERIAL

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(
                f"method={self.scheme!r} is not known. Use 'auto', 'npmle' or one of {', '.join(SCHEMES)}."
            )
        check_choices(
            accelerate=self.accelerate,
            polish=self.polish,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
        )
        if self.accelerate != "none" and self.scheme == "newton":
            raise OptionError("accelerate is for em, pxem, mm and glm: Newton's steps need no extrapolation.")

    def run(self, pieces: Sequence[Units], start: MixtureParams) -> Outcome[Any, Any]:
        """Climb from `start` (internal units); a class that is idle while one elsewhere would help is moved."""
        outcome = self._run(pieces, start)
        for _ in range(RESEATINGS if self.polish else 0):
            if not outcome.status.arrived or (better := reseated(outcome.params, pieces)) is None:
                break
            onwards = replace(self, scheme="newton", accelerate="none")._run(pieces, better)
            if not onwards.objective > outcome.objective:
                break
            outcome = outcome.followed_by(onwards)
        return _diagnosed(outcome)

    def _run(self, pieces: Sequence[Units], start: MixtureParams) -> Outcome[Any, Any]:
        newton, backtracking = self.scheme == "newton", Backtracking(fallback=EM())
        return iterate_and_finish(
            self._scheme(pieces),
            start,
            pieces,
            finish=Newton() if self.polish and not newton else None,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            accelerator=backtracking if newton else ACCELERATORS[self.accelerate],
            finisher=backtracking,
            runner=self.runner,
        )

    def _scheme(self, pieces: Sequence[Units]) -> MixtureScheme:
        if self.scheme == "glm":
            return GLM(pieces=pieces, runner=self.runner)
        schemes: dict[str, type[Any]] = {"newton": Newton, "em": EM, "pxem": PXEM, "mm": MM}
        scheme: MixtureScheme = schemes[self.scheme]()
        return scheme


def idle_class(params: MixtureParams) -> int | None:
    """A class that could be moved at no loss: one without a share, or the second of two that coincide."""
    count = params.classes
    movable = ~params.held[:count] & params.free_shares
    empty = np.flatnonzero(movable & (params.shares == 0.0))
    if empty.size:
        return int(empty[0])
    order = np.argsort(params.variances, kind="stable")
    scale = SAME_CLASS * params.variances
    for lower, upper in pairwise(order):
        same = params.variances[upper] - params.variances[lower] <= scale[upper]
        if same and (movable[lower] or movable[upper]) and params.free_shares[[lower, upper]].all():
            return int(upper if movable[upper] else lower)
    return None


def reseated(params: MixtureParams, pieces: Sequence[Units]) -> MixtureParams | None:
    """The point with an idle class where the directional derivative is largest; None where there is nothing to gain."""
    idle = idle_class(params)
    if idle is None:
        return None
    grid = variance_grid(pieces, params.residual)
    if params.residual <= 0.0:  # without noise a class of variance 0 has no density
        grid = grid[grid > 0.0]
    slope = directional(params, pieces, grid)
    best = int(np.argmax(slope))
    if not slope[best] > 1.0 + WORTH:
        return None
    vector, count = params.vector(), params.classes
    shares = vector[count + 1 :]
    twin = int(np.argmin(np.where(np.arange(count) == idle, np.inf, np.abs(params.variances - params.variances[idle]))))
    if shares[idle] > 0.0:
        shares[twin] += shares[idle]
    shares *= 1.0 - SEATED_SHARE
    shares[idle] = SEATED_SHARE
    vector[idle] = grid[best]
    return params.moved_to(vector)


def _diagnosed(outcome: Outcome[Any, Any]) -> Outcome[Any, Any]:
    """Tell an optimum at which the data cannot tell parameters apart."""
    if not outcome.status.arrived:
        return outcome
    reduced = Reduced.at(outcome.params)
    gradient = reduced.pull(outcome.stats.score)
    free = np.flatnonzero(reduced.free(gradient))
    information = -reduced.pull_square(outcome.stats.hessian)[np.ix_(free, free)]
    if free.size and smallest_eigenvalue(information) < FLAT:
        return replace(outcome, status=Status.CONFOUNDED)
    return outcome
