"""The profile interval of rho: it inverts the likelihood-ratio test, with rho held [VC-8]."""

from __future__ import annotations

import math

from varmix.inference.profile import Profile, profile_interval
from varmix.iteration import Outcome
from varmix.models.linear.correlation.climb import climb_held
from varmix.models.linear.correlation.likelihood import PairParams, PairStats
from varmix.models.linear.correlation.pair import Pair

WIDEST_STEP = 0.5
"""First step outwards in rho where its standard error is larger, or not known as at an edge."""


def rho_interval(
    pair: Pair, outcome: Outcome[PairParams, PairStats], error: float, level: float
) -> tuple[float, float]:
    """Values of rho within the chi-square limit of the best; within [-1, 1], all of it where rho is undefined.

    `error` is the standard error of rho or NaN. Raises OptionError for a level outside (0, 1).
    """
    rho = outcome.params.correlation
    # Every point starts from the optimum: a neighbour's fit may have lost a variance to 0, which a root never leaves.
    start = outcome.params.values
    profile = Profile(
        estimate=rho,
        maximum=outcome.objective,
        log_likelihood=lambda held: climb_held(pair, held, start).objective,
        lower=-1.0,
        upper=1.0,
        step=min(error, WIDEST_STEP) if error > 0.0 else WIDEST_STEP,
    )
    return (-1.0, 1.0) if math.isnan(rho) else profile_interval(profile, level=level)
