"""When to stop: on a certificate, never on a small change."""

from __future__ import annotations

import math
from dataclasses import dataclass

from varmix.iteration.progress import Progress
from varmix.iteration.status import Status

DECREMENT_TOLERANCE = 1e-8
"""Distance to the optimum in standard errors. The log-likelihood is then within 1e-16 of its maximum; 1e-6 relative
error in a variance asks for 1e-6 / (relative standard error), and relative standard errors above 100 are rare."""

RATE_WINDOW = 20
"""Steps over which the linear rate is read: long enough to pass the transient of EM, short beside its usual
hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Ends the loop when the Newton decrement is small enough, or says why it will not become so.

    With `give_up_when_slow`, the verdict is SUBLINEAR as soon as the rate of the last steps shows that the tolerance
    will not be reached within `max_iterations`.
    """

    tolerance: float = DECREMENT_TOLERANCE
    max_iterations: int = 500
    give_up_when_slow: bool = False

    def __call__(self, progress: Progress) -> Status | None:
        """The verdict on the newest step, or None to go on."""
        steps, certificate = progress.steps, progress.last.certificate
        if not progress.last.objective > -math.inf:
            return Status.UNDEFINED
        if certificate.newton_decrement <= self.tolerance:
            return Status.ON_BOUNDARY if certificate.on_boundary else Status.CONVERGED
        if len(steps) > 1 and _same_point(progress):
            return Status.STALLED
        if len(steps) > self.max_iterations:
            return Status.STEP_LIMIT
        watched = self.give_up_when_slow and len(steps) > RATE_WINDOW
        if watched and self._steps_to_go(progress) > self.max_iterations - len(steps):
            return Status.SUBLINEAR
        return None

    def _steps_to_go(self, progress: Progress) -> float:
        now = progress.last.certificate.newton_decrement
        before = progress.steps[-1 - RATE_WINDOW].certificate.newton_decrement
        if not now < before:
            return math.inf
        return RATE_WINDOW * math.log(now / self.tolerance) / math.log(before / now)


def _same_point(progress: Progress) -> bool:
    last, before = progress.steps[-1], progress.steps[-2]
    return last.scheme == before.scheme and bool((last.vector == before.vector).all())
