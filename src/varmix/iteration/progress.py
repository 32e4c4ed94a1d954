"""The path of a fit: one row per step, recorded, never printed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from varmix.errors import AscentError
from varmix.iteration.scheme import Certificate
from varmix.typing import Vector

ROUNDING = 1e-9
"""A fall of the log-likelihood below this share of 1 + |l| is rounding: sums of n <= 1e6 terms lose about 1e-10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of the path."""

    scheme: str
    evaluations: int
    objective: float
    vector: Vector
    certificate: Certificate


@dataclass(slots=True)
class Progress:
    """Rows so far. Recording checks the promise of ascent."""

    steps: list[Step] = field(default_factory=list)

    @property
    def last(self) -> Step:
        """The newest row."""
        return self.steps[-1]

    def record(self, step: Step, *, monotone: bool) -> None:
        """Append a row.

        Raises AscentError when a monotone scheme lowered the objective by more than rounding.
        """
        if monotone and self.steps and math.isfinite(before := self.last.objective):
            fall = before - step.objective
            if fall > ROUNDING * (1.0 + abs(before)):
                raise AscentError(
                    f"The {step.scheme} step {len(self.steps)} lowered the log-likelihood by {fall:.3g} "
                    f"(from {before:.10g}). The scheme guarantees ascent, so this is a defect: please report it "
                    f"with the data; method='newton' may serve meanwhile."
                )
        self.steps.append(step)
