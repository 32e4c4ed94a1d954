"""A point of the partition model with noise that differs between genes and types."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition.noise import Noise
from varmix.models.partition.trend import Trend
from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeteroscedasticParams:
    """`mean` mu_0, `between` a, `noise`, `trend`, `spread`, `shares` pi (J,), `proportions` P (D, T).

    A gene's noise variances are all multiplied by lambda_g, `1 / lambda_g` gamma with mean 1 and variance `spread`;
    0 is one scale for all [PART-5]. Raises OptionError for a variance that is negative or not finite.
    """

    mean: float
    between: float
    noise: Noise
    trend: Trend
    shares: Vector
    proportions: Matrix
    spread: float = 0.0

    def __post_init__(self) -> None:
        for name in ("between", "spread"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise OptionError(f"The parameter {name} is {value}: it must be at least 0 and finite.")
