"""What `varmix vc` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varmix.cli.choices import (
    Acceleration,
    CriterionChoice,
    ErrorsChoice,
    Method,
    NegativeEigenvaluesChoice,
    ReferenceChoice,
    ScalingChoice,
    TracesChoice,
)
from varmix.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """How to fit each trait; None leaves the library's default."""

    method: Method
    criterion: CriterionChoice | None
    scaling: ScalingChoice
    reference: ReferenceChoice
    negative_eigenvalues: NegativeEigenvaluesChoice
    accelerate: Acceleration | None
    polish: bool | None
    max_iterations: int | None
    tolerance: float | None
    starts: int
    seed: int
    traces: TracesChoice | None = None
    errors: ErrorsChoice | None = None
    probes: int | None = None
    blocks: int | None = None

    def options(self) -> dict[str, Any]:
        """Arguments of `variance_components`. Raises OptionError where method and criterion differ."""
        method, criterion = self.method.value, None if self.criterion is None else self.criterion.value
        if self.method in (Method.reml, Method.ml):
            if criterion is not None and criterion != method:
                raise OptionError(
                    f"--method {method} and --criterion {criterion} exclude each other: give one of them."
                )
            method, criterion = "newton", method
        if self.method is Method.moments and self.starts > 1:
            raise OptionError(
                "--starts has no meaning with --method moments, which solves its equations at once. Leave it out."
            )
        moments = {"traces": self.traces, "errors": self.errors, "probes": self.probes, "blocks": self.blocks}
        asked = [name for name, value in moments.items() if value is not None]
        if asked and self.method is not Method.moments:
            raise OptionError(f"--{asked[0]} is an option of --method moments, not of --method {self.method.value}.")
        given = {
            "traces": None if self.traces is None else self.traces.value,
            "errors": None if self.errors is None else self.errors.value,
            "probes": self.probes,
            "blocks": self.blocks,
            "accelerate": None if self.accelerate is None else self.accelerate.value,
            "polish": self.polish,
            "max_iterations": self.max_iterations,
            "tolerance": self.tolerance,
        }
        return {
            "method": method,
            "criterion": criterion or "reml",
            "scaling": self.scaling.value,
            "reference": self.reference.value,
            "negative_eigenvalues": self.negative_eigenvalues.value,
            "starts": self.starts,
            "rng": self.seed,
            **{name: value for name, value in given.items() if value is not None},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRequest:
    """What to tell and to write about each trait."""

    folder: Path | None
    level: float
    tests: bool
    effects: bool
    figures: bool
    json: bool
    quiet: bool
    debug: bool

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise OptionError(f"--level {self.level:g} is not between 0 and 1. Give for instance 0.95.")
