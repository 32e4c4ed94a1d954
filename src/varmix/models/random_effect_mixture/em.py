"""EM with the effects as missing data, which gives the M-step a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme, stepped, without_vestiges
from varmix.models.random_effect_mixture.statistics import MixtureStats


@dataclass(frozen=True, slots=True, kw_only=True)
class EM(MixtureScheme):
    """Near a variance of 0 its step is proportional to the variance squared: it creeps there and never arrives."""

    name: str = "em"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """`v_k = sum r (mhat^2 + c) / n_k`; s from the residuals and what is not known of the effects [SLOPE-3].

        `mhat^2 = v^2 q h^2 / tau^2`, `c = v s / tau`, `(h - sqrt(q) mhat)^2 = s^2 h^2 / tau^2`.
        """
        v, s, counts = params.variances, params.residual, stats.counts
        with np.errstate(divide="ignore", invalid="ignore"):
            variances = (v * v * stats.quad[:, 1] + v * s * stats.trace[:, 0]) / counts
        missing = s * s * stats.quad[:, 0] + v * s * stats.trace[:, 1]
        residual = (stats.rest + float(missing.sum())) / (stats.rest_rows + stats.total)
        return without_vestiges(stepped(params, variances, residual, counts), params, stats)
