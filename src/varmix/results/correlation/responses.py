"""Two responses in internal units, and the way back to the units of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from varmix.models.linear.correlation.pair import Criterion, Pair
from varmix.typing import Vector

TERMS = ("genetic_1", "genetic_2", "genetic_12", "residual_1", "residual_2", "residual_12")
"""Names of s_1, s_2, s_12, e_1, e_2, e_12 in tables [VC-8]."""
CORRELATION = "correlation"
"""Name of rho."""
KINDS = ("variance", "variance", "covariance")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedResponses:
    """The data of a fit: `pair` is what was fitted, `by_rows` the same with its rows and covariates as they are."""

    pair: Pair
    by_rows: Pair
    unit: Vector
    """What the pair's parameters are multiplied with, shape (K,)."""
    scales: tuple[float, float]
    """What the responses were divided by."""
    names: tuple[str, str]
    columns: tuple[tuple[str, ...], tuple[str, ...]]
    """Names of the covariates."""
    criterion: Criterion
    people: tuple[pd.DataFrame, pd.DataFrame]
    """Of either response the rows used: FID and IID when known, and `row`, the position in the input."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the parameters, K of them."""
        return TERMS[: self.pair.count]

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of either response."""
        return self.by_rows.sizes

    @property
    def covariates(self) -> tuple[int, int]:
        """Columns of either response's covariates."""
        return len(self.columns[0]), len(self.columns[1])

    def log_likelihood_outward(self, inner: float) -> float:
        """In the units of the data."""
        sizes = self.pair.sizes
        return inner - sum(m * math.log(scale) for m, scale in zip(sizes, self.scales, strict=True))

    def of_terms(self) -> list[str]:
        """Which responses each parameter is about."""
        first, second = self.names
        both = f"{first}.{second}"
        return [first, second, both, first, second, both][: self.pair.count]

    def kinds(self) -> list[str]:
        """Variance or covariance, by parameter."""
        return [*KINDS, *KINDS][: self.pair.count]

    def outward(self, values: Vector) -> Vector:
        """Parameters in the units of the data, shape (K,)."""
        return np.asarray(values * self.unit)


def told_apart(first: str, second: str) -> tuple[str, str]:
    """Names of two responses, numbered where they are the same."""
    return (first, second) if first != second else (f"{first}1", f"{second}2")
