"""Data and options that leave the range of numbers, refused the same way in memory and in streams."""

from __future__ import annotations

import math

import numpy as np

from varmix.errors import DataError
from varmix.typing import Vector

LARGEST = 2.0**960
"""Scales of the variances beyond which, or below whose inverse, estimates leave the range of numbers."""

LIGHTEST, HEAVIEST = 1e-8, 1e100
"""Likelihood weights all below the first make any point look like an optimum, since distances from it are measured in
standard errors; weights above the second overflow where they are squared."""

FARTHEST = 1e100
"""Ratio of a known residual variance to the squares of y beyond which products of both leave the range of numbers."""

SMALLEST = 1e-280
"""x'x, where that of others is of order one, which is none: effects of variance `h^2 / x'x` would leave the range."""


def without_vanishing(squares: Vector) -> Vector:
    """x'x in internal units, (n,), with what is nothing beside the others at 0."""
    return np.where(squares < SMALLEST, 0.0, squares)


def check_scales(response: float, regressor: float) -> None:
    """Raise DataError where variances in the units of the data would leave the range of numbers."""
    ratio, limit = math.log2(response) - math.log2(regressor), math.log2(LARGEST)
    for what, scale in (("Effects y / x", ratio), ("Responses", math.log2(response))):
        if abs(2.0 * scale) > limit:
            raise DataError(
                f"{what} of size 1e{scale * math.log10(2.0):.0f} have a variance beyond the range of numbers. "
                "Rescale y and x, for instance divide each by its largest entry."
            )


def check_weight(weight: float) -> None:
    """Raise DataError where likelihood weights of this size leave the range of numbers or say next to nothing."""
    if not LIGHTEST <= weight <= HEAVIEST:
        raise DataError(f"The largest of the weights is {weight:.3g}. Rescale them, for instance to a mean of 1.")


def check_residual(residual: float | None, scale: float) -> None:
    """Raise DataError where a known residual variance is too far from the squares of y, whose size is `scale`."""
    if residual is not None and not 1.0 / FARTHEST <= residual / scale <= FARTHEST:
        raise DataError(
            f"residual={residual:.3g} is further from the squares of y than numbers reach. Check the units of both."
        )
