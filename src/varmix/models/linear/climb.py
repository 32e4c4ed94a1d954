"""Run a scheme to its certificate: start, accelerate, and finish with Newton where the scheme alone would not
arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from varmix.errors import OptionError
from varmix.iteration import (
    ACCELERATORS,
    Accelerator,
    Backtracking,
    Outcome,
    Status,
    check_choices,
    iterate_and_finish,
)
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.marginal.piece import Piece
from varmix.models.linear.average_information import Newton
from varmix.models.linear.em import EM
from varmix.models.linear.feasible import nearly_singular
from varmix.models.linear.mm import MM
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.pxem import PXEM
from varmix.models.linear.scheme import LinearScheme
from varmix.models.linear.statistics import Criterion

SCHEMES: dict[str, type[LinearScheme]] = {"newton": Newton, "em": EM, "pxem": PXEM, "mm": MM}

VANISHING = 1e-6
"""Share of the largest variance below which a residual variance that still falls is on its way to 0."""

EXPLAINED = 1e-20
"""Share below which a positive residual variance is the rounding of a response that the kernels explain exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """How to climb. With `polish`, a scheme that would not arrive within `max_iterations` is finished by Newton."""

    scheme: str = "newton"
    criterion: Criterion = "reml"
    accelerate: str = "none"
    polish: bool = True
    max_iterations: int = 500
    tolerance: float = DECREMENT_TOLERANCE

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(f"method={self.scheme!r} is not known. Use one of {', '.join(SCHEMES)} or 'moments'.")
        if self.criterion not in ("reml", "ml"):
            raise OptionError(f"criterion={self.criterion!r} is not known. Use 'reml' or 'ml'.")
        check_choices(
            accelerate=self.accelerate,
            polish=self.polish,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
        )

    def run(self, pieces: Sequence[Piece], start: VarianceParams) -> Outcome[Any, Any]:
        """Climb from `start` (internal units).

        Raises OptionError for EM, PX-EM and MM where a kernel has negative eigenvalues.
        """
        negative = [found for piece in pieces for found in piece.negative]
        if negative and self.scheme != "newton":
            raise OptionError(
                f"method='{self.scheme}' needs kernels that are covariances, and '{negative[0].name}' has "
                f"{negative[0]}. Use method='newton', or negative_eigenvalues='clip'."
            )
        accelerator = self._backtracking() if self.scheme == "newton" else ACCELERATORS[self.accelerate]
        return self._run(pieces, start, accelerator)

    def _run(self, pieces: Sequence[Piece], start: VarianceParams, accelerator: Accelerator) -> Outcome[Any, Any]:
        polished = self.polish and self.scheme != "newton"
        outcome = iterate_and_finish(
            SCHEMES[self.scheme](criterion=self.criterion),
            start,
            pieces,
            finish=Newton(criterion=self.criterion) if polished else None,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            accelerator=accelerator,
            finisher=self._backtracking(),
        )
        return self._diagnosed(outcome, pieces)

    def _diagnosed(self, outcome: Outcome[Any, Any], pieces: Sequence[Piece]) -> Outcome[Any, Any]:
        """Tell a likelihood without a maximum from a fit that got stuck."""
        variances = outcome.params.values
        if 0.0 < variances[-1] < EXPLAINED * variances.max():
            return replace(outcome, status=Status.UNBOUNDED)
        vanishing = variances[-1] < VANISHING * variances.max()
        if self.criterion != "ml" or outcome.status.arrived:
            return outcome
        if vanishing or any(nearly_singular(piece, variances, VANISHING) for piece in pieces):
            return replace(outcome, status=Status.UNBOUNDED)
        return outcome

    def run_inside(self, pieces: Sequence[Piece], start: VarianceParams) -> Outcome[Any, Any]:
        """As `run`; where long steps leave for an unbounded edge, MM's short ones look for a maximum inside."""
        outcome = self.run(pieces, start)
        plain = self.scheme == "mm" and self.accelerate == "none"
        if outcome.status is not Status.UNBOUNDED or plain or not self.polish:
            return outcome
        # With negative eigenvalues MM is a direction of ascent whose length has to be looked for.
        accelerator = Backtracking() if any(piece.negative for piece in pieces) else ACCELERATORS["none"]
        slower = replace(self, scheme="mm", accelerate="none")._run(pieces, start, accelerator)
        return slower if slower.status.arrived else outcome

    def _backtracking(self) -> Backtracking:
        fallback: Any = MM(criterion=self.criterion)
        return Backtracking(fallback=fallback)
