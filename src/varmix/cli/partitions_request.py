"""What `varmix partitions` was asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from varmix.cli.choices import Acceleration
from varmix.errors import OptionError


class Variance(StrEnum):
    """Whose variances of noise."""

    shared = "shared"
    moderated = "moderated"
    per_gene_block = "per_gene_block"


class Likelihood(StrEnum):
    """Of the samples of a gene: together, or as if they were independent."""

    joint = "joint"
    composite = "composite"


class PartitionMethod(StrEnum):
    """How to climb. `auto` is Newton, or what the noise asks for."""

    auto = "auto"
    newton = "newton"
    em = "em"
    pxem = "pxem"
    mm = "mm"


class OnMissing(StrEnum):
    """What to do about missing expression."""

    mask = "mask"
    drop = "drop"
    error = "error"


class PartitionSet(StrEnum):
    """Sets of partitions that have a name."""

    all = "all"
    one_vs_rest = "one_vs_rest"
    two_blocks = "two_blocks"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFiles:
    """Where the tables are, and what is known of the proportions."""

    expression: Path
    proportions: Path | None
    types: Path | None
    types_column: str | None
    free: str | None
    dirichlet: float | None
    strength: float | None
    cell_types: tuple[str, ...]
    known: Path | None
    predict: Path | None
    on_missing: OnMissing | None
    stream: bool
    """Read the expression in pieces, without holding it."""

    def __post_init__(self) -> None:
        asked = {
            "--proportions": self.proportions if self.strength is None else None,
            "--free": self.free,
            "--dirichlet": self.dirichlet,
            "--strength": self.strength,
        }
        given = [name for name, value in asked.items() if value is not None]
        if self.strength is not None and self.proportions is None:
            raise OptionError("--strength is of a prior around proportions: give them with --proportions.")
        if not given:
            raise OptionError(
                "Nothing is said of the proportions. Give --proportions FILE where they are known, --dirichlet 1.05 "
                "with --cell-types, or --free with their names or number."
            )
        if len(given) > 1:
            raise OptionError(f"{given[0]} and {given[1]} exclude each other: give one of them.")
        if self.cell_types and self.dirichlet is None:
            raise OptionError("--cell-types are of --dirichlet; --free takes their names itself. Leave them out.")
        if self.dirichlet is not None and not self.cell_types:
            raise OptionError("--dirichlet needs --cell-types: their names, or their number.")
        if self.types_column is not None and self.types is None and self.proportions is None:
            raise OptionError("--sample-type-column is a column of --sample-type or --proportions: give one of them.")

    @property
    def names(self) -> list[str] | int | None:
        """Cell types by name or number, where no table names them."""
        given = self.cell_types if self.free is None else tuple(_split(self.free))
        if not given:
            return None
        if len(given) == 1 and given[0].lstrip("+-").isdigit():
            return int(given[0])
        return list(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsRequest:
    """How to fit; None leaves the library's default."""

    partitions: PartitionSet | None
    partition: tuple[str, ...]
    variance: Variance
    likelihood: Likelihood
    noise: str
    margin: float | None
    method: PartitionMethod
    accelerate: Acceleration | None
    polish: bool | None
    max_iterations: int | None
    tolerance: float | None
    starts: int | None
    seed: int
    workers: int | None

    def options(self) -> dict[str, Any]:
        """Arguments of `partition_mixture`. Raises OptionError for options that do not belong together."""
        if self.partition and self.partitions is not None:
            raise OptionError("--partitions and --partition exclude each other: a set by name, or one by one.")
        given = {
            "margin": self.margin,
            "accelerate": None if self.accelerate is None else self.accelerate.value,
            "polish": self.polish,
            "max_iterations": self.max_iterations,
            "tolerance": self.tolerance,
            "starts": self.starts,
            "workers": self.workers,
        }
        terms = _split(self.noise)
        return {
            "partitions": list(self.partition) or (self.partitions or PartitionSet.all).value,
            "variance": self.variance.value,
            "likelihood": self.likelihood.value,
            "noise": terms[0] if len(terms) == 1 else terms,
            "method": self.method.value,
            "rng": self.seed,
            **{name: value for name, value in given.items() if value is not None},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsOutput:
    """What to tell and to write."""

    folder: Path | None
    level: float
    bootstrap: int | None
    seed: int
    figures: bool
    json: bool
    quiet: bool

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise OptionError(f"--level {self.level:g} is not between 0 and 1. Give for instance 0.95.")

    def check_files(self, files: PartitionFiles) -> None:
        """Raise OptionError for tables that have nowhere to go."""
        if files.predict is not None and self.folder is None:
            raise OptionError("--predict writes tables: give the folder for them with --out.")


def split_names(given: Sequence[str] | None) -> tuple[str, ...]:
    """Names separated by commas, or in repeated options."""
    return tuple(name for text in given or () for name in _split(text))


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
