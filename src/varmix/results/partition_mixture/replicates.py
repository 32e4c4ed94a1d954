"""Bootstrap of a fit of partitions: genes drawn with replacement, refitted from the fit."""

from __future__ import annotations

import numpy as np

from varmix.inference.bootstrap import Bootstrap, parametric_bootstrap
from varmix.models.partition.resampling import resampled
from varmix.results.partition_mixture.estimates import Estimates
from varmix.typing import Vector


def bootstrap(estimates: Estimates, replicates: int, rng: np.random.Generator) -> Bootstrap:
    """Statistics are all coordinates in the units of the data, named as in `estimates.names`.

    Genes are independent given the parameters, whatever the noise is like: drawing them anew needs no model of it. Each
    refit starts from the fit, which keeps cell types whose labels are arbitrary by their names.
    """
    return parametric_bootstrap(lambda generator: replicate(estimates, generator), estimates.names, replicates, rng)


def replicate(estimates: Estimates, rng: np.random.Generator) -> Vector:
    """Coordinates (K,) of one refit; NaN throughout where it did not arrive."""
    problem = estimates.problem
    drawn = problem.with_pieces(resampled(problem.base.pieces, rng))
    outcome = drawn.climb(problem.nearby(estimates.outcome.params))
    if not outcome.status.arrived:
        return np.full(len(estimates.names), np.nan)
    return np.asarray(drawn.vector(outcome.params) * estimates.factors)
