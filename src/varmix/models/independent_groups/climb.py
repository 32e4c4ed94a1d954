"""Run a scheme to its certificate, and finish with Newton where the scheme alone would not arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from varmix.errors import OptionError
from varmix.iteration import (
    ACCELERATORS,
    Backtracking,
    Outcome,
    Status,
    check_choices,
    iterate_and_finish,
)
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.models.independent_groups.em import EM
from varmix.models.independent_groups.mm import MM
from varmix.models.independent_groups.newton import Newton
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.pxem import PXEM
from varmix.models.independent_groups.scheme import GroupScheme, Piece

SCHEMES: dict[str, type[GroupScheme]] = {"newton": Newton, "em": EM, "pxem": PXEM, "mm": MM}

VANISHING = 1e-6
"""Share of the typical residual variance below which one that still falls is on its way to 0."""

EXPLAINED = 1e-20
"""Share below which a positive residual variance is the rounding of groups that the slopes explain exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """How to climb. With `polish`, a scheme that would not arrive within `max_iterations` is finished by Newton."""

    scheme: str = "newton"
    accelerate: str = "none"
    polish: bool = True
    max_iterations: int = 500
    tolerance: float = DECREMENT_TOLERANCE

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(f"method={self.scheme!r} is not known. Use one of {', '.join(SCHEMES)}.")
        check_choices(
            accelerate=self.accelerate,
            polish=self.polish,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
        )

    def run(self, pieces: Sequence[Piece], start: GroupParams) -> Outcome[Any, Any]:
        """Climb from `start` (internal units)."""
        newton = self.scheme == "newton"
        fallback: Any = MM()
        outcome = iterate_and_finish(
            SCHEMES[self.scheme](),
            start,
            pieces,
            finish=Newton() if self.polish and not newton else None,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            accelerator=Backtracking(fallback=fallback) if newton else ACCELERATORS[self.accelerate],
            finisher=Backtracking(fallback=fallback),
        )
        return _diagnosed(outcome)


def _diagnosed(outcome: Outcome[Any, Any]) -> Outcome[Any, Any]:
    """Tell a likelihood without a maximum from a fit that got stuck. Internal units: responses are of order one."""
    residual = float(outcome.params.values[-1])
    if outcome.params.held[-1]:
        return outcome
    if 0.0 < residual < EXPLAINED or (residual < VANISHING and not outcome.status.arrived):
        return replace(outcome, status=Status.UNBOUNDED)
    return outcome
