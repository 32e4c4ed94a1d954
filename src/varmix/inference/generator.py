"""Where random numbers come from: a generator that the caller passed, or the seed of one."""

from __future__ import annotations

import numpy as np

from varmix.errors import OptionError


def generator_of(rng: np.random.Generator | int | None) -> np.random.Generator:
    """The generator itself, or one of that seed. Raises OptionError."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise OptionError(f"rng={rng!r} is no generator and no seed ({error}). Give for instance rng=1.") from error
