"""Intervals and tests from an estimate and its standard error."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy import stats

from varmix.errors import OptionError
from varmix.typing import Vector

LEVEL = 0.95
"""Confidence level wherever none is asked for."""


def check_level(level: float) -> None:
    """Raise OptionError unless 0 < level < 1."""
    if not isinstance(level, Real) or not 0.0 < level < 1.0:
        raise OptionError(f"level={level!r} must lie between 0 and 1, for instance 0.95.")


def wald_interval(
    estimate: Vector,
    error: Vector,
    *,
    level: float = LEVEL,
    df: float = np.inf,
    lower: float = -np.inf,
    upper: float = np.inf,
) -> tuple[Vector, Vector]:
    """`estimate -+ quantile * error`, cut to [lower, upper]; t quantiles for finite `df`."""  # fmt: skip
    check_level(level)
    reach = stats.t.ppf(0.5 + level / 2.0, df) * error
    return np.clip(estimate - reach, lower, upper), np.clip(estimate + reach, lower, upper)


def wald_test(estimate: Vector, error: Vector, *, df: float = np.inf) -> tuple[Vector, Vector]:
    """Statistics `estimate / error` and two-sided p-values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / error
    return statistic, 2.0 * stats.t.sf(np.abs(statistic), df)
