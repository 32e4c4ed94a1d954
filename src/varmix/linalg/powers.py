"""Powers of two between data and order one: dividing by them is exact."""

from __future__ import annotations

import math

import numpy as np

from varmix.typing import Vector

HIGHEST_POWER = 1023
"""Exponent of the largest power of two."""


def nearest_power(exponent: int) -> float:
    """2 to this exponent, or the largest power of two."""
    return math.ldexp(1.0, min(exponent, HIGHEST_POWER))


def power_of_two(values: Vector) -> float:
    """The power of two nearest to the root mean square of what is not 0; 1 where all is 0. Never overflows."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return 1.0
    scaled = values / largest
    mean_square = float((scaled * scaled).sum()) / max(1, int(np.count_nonzero(values)))
    return nearest_power(math.frexp(largest * math.sqrt(mean_square))[1])
