"""Parametric bootstrap: simulate from the fit, fit again, read the spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError, warn
from varmix.inference.wald import LEVEL, check_level
from varmix.typing import Matrix, Vector

FAILED = 0.01
"""Share of failed refits above which they are told: they are not failures at random, and what is left understates the
tails, by about this share in a tail of 2.5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Replicates of a vector of statistics, shape (replicates, statistics); a refit that failed is a row of NaN."""

    replicates: Matrix
    names: tuple[str, ...]

    @property
    def failed(self) -> int:
        """Refits that failed: standard errors and intervals are those of the others."""
        return int(np.isnan(self.replicates).all(axis=1).sum())

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

    A replicate that failed returns NaN throughout. Warns (ConvergenceWarning) where more than 1 % did. Raises
    OptionError for fewer than two replicates, NotAvailableError where fewer than two succeeded.
    """
    given: Any = count
    if not isinstance(given, (int, np.integer)) or count < 2:
        raise OptionError(f"{count!r} bootstrap replicates tell nothing: ask for at least 2 (usually 200 or more).")
    result = Bootstrap(replicates=np.stack([replicate(child) for child in rng.spawn(count)]), names=names)
    if count - result.failed < 2:
        raise NotAvailableError(
            f"{result.failed} of {count} refits to draws from this fit did not arrive, so that there is no bootstrap. "
            "Use profile intervals, or criterion='reml'."
        )
    if result.failed > FAILED * count:
        warn(
            f"{result.failed} of {count} refits to draws from this fit did not arrive: standard errors and intervals "
            "are those of the others, and may be too short. Compare them with profile intervals.",
            ConvergenceWarning,
        )
    return result
