"""Minorise-maximise: square roots of ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme, stepped, without_vestiges
from varmix.models.random_effect_mixture.statistics import MixtureStats


@dataclass(frozen=True, slots=True, kw_only=True)
class MM(MixtureScheme):
    """Each variance times the root of its quadratic form over its trace."""

    name: str = "mm"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """`v_k sqrt(sum r q h^2/tau^2 / sum r q/tau)`, and s alike with the rows that carry no effect [SLOPE-5]."""
        s = params.residual
        with np.errstate(divide="ignore", invalid="ignore"):
            variances = params.variances * np.sqrt(stats.quad[:, 1] / stats.trace[:, 1])
        quad = s * s * float(stats.quad[:, 0].sum()) + stats.rest
        trace = s * float(stats.trace[:, 0].sum()) + stats.rest_rows
        # Both sums times s^2 and s: s is then outside the root, and s = 0 stays where it is.
        residual = s * math.sqrt(quad / (s * trace)) if s > 0.0 else 0.0
        return without_vestiges(stepped(params, variances, residual, stats.counts), params, stats)
