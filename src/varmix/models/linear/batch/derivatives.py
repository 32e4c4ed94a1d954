"""The likelihood in h alone, sigma^2 profiled out: derivatives and information from the sums [VC-5] [VC-9]."""

from __future__ import annotations

import numpy as np

from varmix.models.linear.batch.sums import ShareSums
from varmix.typing import Array


def profile_derivatives(sums: ShareSums, errors: Array) -> tuple[Array, Array]:
    """First and second derivative in h of `-1/2 (N log Q + log|D|)`, with the shape of the sums [VC-3].

    Q is the quadratic form; `sigma^2 = Q / N`, N the number of errors, of a shape that goes with the sums.
    """
    ratio = sums.first / sums.quadratic
    first = 0.5 * (errors * ratio - sums.slope)
    second = 0.5 * (sums.bend - errors * (2.0 * sums.second / sums.quadratic - ratio * ratio))
    return first, second


def share_information(sums: ShareSums, errors: Array) -> Array:
    """Expected information on h with sigma^2 profiled out [VC-4]: `1/2 (sum t^2 - (sum t)^2 / N)`."""
    information: Array = np.maximum(0.5 * (sums.bend - sums.slope * sums.slope / errors), np.finfo(np.float64).tiny)
    return information
