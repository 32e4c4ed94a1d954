"""What every climb lets its user choose, checked in one place."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from varmix.errors import OptionError
from varmix.iteration.accelerate import Accelerator, Anderson, Plain, Squarem

ACCELERATORS: dict[str, Accelerator] = {"none": Plain(), "squarem": Squarem(), "anderson": Anderson()}


def check_choices(*, accelerate: Any, polish: Any, max_iterations: Any, tolerance: Any) -> None:
    """Raise OptionError for an unknown acceleration, or for options of a wrong type or without a meaning."""
    if accelerate not in ACCELERATORS:
        raise OptionError(f"accelerate={accelerate!r} is not known. Use one of {', '.join(ACCELERATORS)}.")
    if polish not in (True, False):
        raise OptionError(f"polish={polish!r} must be True or False.")
    if not (_is_number(max_iterations) and max_iterations >= 1 and int(max_iterations) == max_iterations):
        raise OptionError(f"max_iterations={max_iterations!r} must be a whole number of at least 1.")
    if not (_is_number(tolerance) and tolerance > 0.0):
        raise OptionError(f"tolerance={tolerance!r} must be positive and finite (a distance in standard errors).")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value)
