"""Levels of expression that noise grows with, and the trend that replicates alone show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes
from varmix.models.partition.noise import Noise
from varmix.typing import Matrix, Vector

LOWEST = 1e-3
"""Share of the reference below which a level counts as this share: a mean may be 0 or negative, a variance may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Levels are means in units of `reference`, so that the terms of a power law are variances at that level."""

    reference: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.reference) and self.reference > 0.0):
            raise OptionError(
                f"The reference level of the trend is {self.reference}: it must be positive. Use 1, or the median of "
                "the genes' means."
            )

    @classmethod
    def of(cls, pieces: Sequence[Genes]) -> Trend:
        """Reference at the median of all means that are above 0. Raises OptionError where none is."""
        means = np.concatenate([piece.means.ravel() for piece in pieces])
        above = means[means > 0.0]
        return cls(reference=float(np.median(above)) if above.size else float("nan"))

    def levels(self, means: Matrix) -> Matrix:
        """Levels of means of any shape, at least `LOWEST`."""
        return np.maximum(means / self.reference, LOWEST)


def replicate_trend(pieces: Sequence[Genes], trend: Trend, start: Noise, *, floor: bool = True) -> Noise:
    """`start` with the measurement terms that fit the sums of squares within types best (cell and misfit as given).

    Maximum likelihood of W_gs ~ d_gs chi-square(n_s - 1), `d = measurement + proportional level^exponent`, the first
    only with a `floor`; without replicates `start` comes back unchanged.
    """
    freedom = np.concatenate([np.tile(piece.counts - 1.0, len(piece)) for piece in pieces])
    within = np.concatenate([piece.within.ravel() for piece in pieces])
    log_level = np.log(np.concatenate([trend.levels(piece.means).ravel() for piece in pieces]))
    known = freedom > 0.0
    if not known.any() or not (within[known] > 0.0).any():
        return start
    freedom, within, log_level = freedom[known], within[known], log_level[known]
    scale = within.sum() / freedom.sum()

    def negative(point: Vector) -> tuple[float, Vector]:
        power = np.exp(point[2] * log_level)
        variance = point[0] ** 2 + point[1] ** 2 * power
        ratio = within / (scale * variance)
        by_variance = 0.5 * (freedom - ratio) / variance
        gradient = [
            2.0 * point[0] * by_variance.sum(),
            2.0 * point[1] * (by_variance * power).sum(),
            (by_variance * point[1] ** 2 * power * log_level).sum(),
        ]
        return float(0.5 * (freedom * np.log(variance) + ratio).sum()), np.array(gradient)

    found = minimize(
        negative,
        np.array([0.3 * floor, 0.3, start.exponent]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1e-6, None) if floor else (0.0, 0.0), (0.0 if floor else 1e-6, None), (0.0, 4.0)],
    )
    constant, slope, exponent = found.x
    return replace(start, measurement=scale * constant**2, proportional=scale * slope**2, exponent=float(exponent))
