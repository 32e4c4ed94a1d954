"""What `varmix effects` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from varmix.cli.choices import Acceleration
from varmix.errors import OptionError

DRAWS = 200
"""Refits of a bootstrap of which the number was not given."""
REPLICATES = 99
"""Draws per test of a number of classes: with them a p-value can be 0.01."""


class EffectsMethod(StrEnum):
    """How to fit. `auto` is Newton from every start."""

    auto = "auto"
    newton = "newton"
    em = "em"
    pxem = "pxem"
    mm = "mm"
    glm = "glm"
    npmle = "npmle"


class IntervalKind(StrEnum):
    """How intervals are found."""

    profile = "profile"
    wald = "wald"
    bootstrap = "bootstrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectColumns:
    """Where the table is and what its columns are."""

    path: Path
    y: str
    x: str
    se: str | None
    group: str | None
    weights: str | None
    names: str | None
    stream: bool
    """Read in pieces, as often as needed, without holding the rows."""

    def __post_init__(self) -> None:
        if self.names is not None and self.stream:
            raise OptionError("--id and --stream exclude each other: rows of a stream are numbered in classes.tsv.")
        if self.group is not None and self.names is not None:
            raise OptionError("--id names rows, and with --group there is one effect per group. Give one of them.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsRequest:
    """How to fit; None leaves the library's default."""

    classes: int | None
    null: bool
    residual: str | None
    method: EffectsMethod
    accelerate: Acceleration | None
    polish: bool | None
    max_iterations: int | None
    tolerance: float | None
    points: int | None
    starts: int | None
    seed: int
    workers: int | None

    def options(self) -> dict[str, Any]:
        """Arguments of `random_effect_mixture`. Raises OptionError for options that do not belong together."""
        grid = self.method is EffectsMethod.npmle
        climbing = {
            "classes": self.classes,
            "accelerate": None if self.accelerate is None else self.accelerate.value,
            "polish": self.polish,
            "max_iterations": self.max_iterations,
            "starts": self.starts,
        }
        for name, value in climbing.items():
            if grid and value is not None:
                raise OptionError(
                    f"--{name.replace('_', '-')} has no meaning with --method npmle, which has neither classes nor "
                    "starts. Leave it out."
                )
        if self.points is not None and not grid:
            raise OptionError(f"--points is an option of --method npmle, not of --method {self.method.value}.")
        given = {
            **climbing,
            "residual": self._residual(),
            "tolerance": self.tolerance,
            "points": self.points,
            "workers": self.workers,
        }
        return {
            "method": self.method.value,
            "null": self.null,
            "rng": self.seed,
            **{name: value for name, value in given.items() if value is not None},
        }

    @property
    def bars(self) -> int | None:
        """Length of the progress bar: starts, where there are any."""
        return None if self.method is EffectsMethod.npmle else self.starts

    def _residual(self) -> float | str | None:
        if self.residual is None or self.residual == "estimated":
            return self.residual
        try:
            return float(self.residual)
        except ValueError as error:
            raise OptionError(f"--residual {self.residual} is neither a number nor the word estimated.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsOutput:
    """What to tell and to write."""

    folder: Path | None
    interval: IntervalKind | None
    level: float
    bootstrap: int | None
    most_classes: int | None
    replicates: int | None
    plan: bool
    seed: int
    figures: bool
    json: bool
    quiet: bool

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise OptionError(f"--level {self.level:g} is not between 0 and 1. Give for instance 0.95.")
        if self.bootstrap is not None and self.interval not in (None, IntervalKind.bootstrap):
            raise OptionError(f"--bootstrap and --interval {self.interval.value} exclude each other: give one of them.")
        if self.replicates is not None and self.most_classes is None:
            raise OptionError("--replicates are of the tests of the number of classes: give --max-classes, too.")

    def check_stream(self) -> None:
        """Raise OptionError for what needs all rows at once."""
        if self.json:
            raise OptionError("--json and --stream exclude each other: the JSON holds every effect. Use --out.")

    def check_method(self, method: EffectsMethod) -> None:
        """Raise OptionError for what a mixing distribution on a grid does not have."""
        asked = {
            "interval": self.interval,
            "bootstrap": self.bootstrap,
            "max-classes": self.most_classes,
            "plan": self.plan or None,
        }
        for name, value in asked.items():
            if method is EffectsMethod.npmle and value is not None:
                raise OptionError(
                    f"--{name} has no meaning with --method npmle: a distribution on a grid has no parameters. Leave "
                    "it out, or use another method."
                )

    @property
    def draws(self) -> int | None:
        """Refits of a bootstrap, or None without."""
        return self.bootstrap or (DRAWS if self.interval is IntervalKind.bootstrap else None)
