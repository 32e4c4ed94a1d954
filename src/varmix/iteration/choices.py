"""What every climb lets its user choose, checked in one place."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.iteration.accelerate import Accelerator, Anderson, Plain, Squarem

ACCELERATORS: dict[str, Accelerator] = {"none": Plain(), "squarem": Squarem(), "anderson": Anderson()}


def check_choices(*, accelerate: Any, polish: Any, max_iterations: Any, tolerance: Any) -> None:
    """Raise OptionError for an unknown acceleration, or for options of a wrong type or without a meaning."""
    if not isinstance(accelerate, str):
        raise OptionError(f"accelerate={accelerate!r} must be one of {', '.join(map(repr, ACCELERATORS))}.")
    if accelerate not in ACCELERATORS:
        raise OptionError(f"accelerate={accelerate!r} is not known. Use one of {', '.join(ACCELERATORS)}.")
    if not isinstance(polish, (bool, np.bool_)):
        raise OptionError(f"polish={polish!r} must be True or False.")
    if isinstance(max_iterations, bool) or not (isinstance(max_iterations, Integral) and int(max_iterations) >= 1):
        raise OptionError(f"max_iterations={max_iterations!r} must be a whole number of at least 1.")
    if isinstance(tolerance, bool) or not (isinstance(tolerance, Real) and 0.0 < float(tolerance) < math.inf):
        raise OptionError(f"tolerance={tolerance!r} must be positive and finite (a distance in standard errors).")
