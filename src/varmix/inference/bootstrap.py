"""Parametric bootstrap: simulate from the fit, fit again, read the spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from varmix.errors import OptionError
from varmix.inference.wald import LEVEL, check_level
from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Replicates of a vector of statistics, shape (replicates, statistics); a refit that failed is a row of NaN."""

    replicates: Matrix
    names: tuple[str, ...]

    @property
    def standard_errors(self) -> Vector:
        """Standard deviation over replicates."""
        return np.asarray(np.nanstd(self.replicates, axis=0, ddof=1))

    def interval(self, *, level: float = LEVEL) -> tuple[Vector, Vector]:
        """Percentile intervals."""
        check_level(level)
        tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
        lower, upper = np.nanquantile(self.replicates, tails, axis=0)
        return lower, upper


def parametric_bootstrap(
    replicate: Callable[[np.random.Generator], Vector], names: tuple[str, ...], count: int, rng: np.random.Generator
) -> Bootstrap:
    """`count` calls of `replicate`, each with a generator of its own spawned from `rng`.

    Raises OptionError for fewer than two replicates.
    """
    if count < 2:
        raise OptionError(f"{count} bootstrap replicates tell nothing: ask for at least 2 (usually 200 or more).")
    return Bootstrap(replicates=np.stack([replicate(child) for child in rng.spawn(count)]), names=names)
