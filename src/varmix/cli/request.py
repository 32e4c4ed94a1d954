"""What `varmix vc` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varmix.cli.choices import Acceleration, CriterionChoice, Method, ReferenceChoice, ScalingChoice
from varmix.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """How to fit each trait; None leaves the library's default."""

    method: Method
    criterion: CriterionChoice | None
    scaling: ScalingChoice
    reference: ReferenceChoice
    accelerate: Acceleration | None
    polish: bool | None
    max_iterations: int | None
    tolerance: float | None
    starts: int
    seed: int | None

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
        given = {
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
