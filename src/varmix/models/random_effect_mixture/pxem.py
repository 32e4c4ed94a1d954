"""EM with a redundant scale of the effects in each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme, stepped, without_vestiges
from varmix.models.random_effect_mixture.statistics import MixtureStats


@dataclass(frozen=True, slots=True, kw_only=True)
class PXEM(MixtureScheme):
    """The data, regressed on the expected effects, say by how much a class's effects are too small or too large."""

    name: str = "pxem"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """`d_k = sum r sqrt(q) h mhat / sum r q (mhat^2 + c)`, `v_k <- d_k^2 v_k(EM)` [SLOPE-4]; a held class has
        d_k = 1."""
        v, s, counts = params.variances, params.residual, stats.counts
        # One more power of tau in the denominator: 1 / tau = (q v + s) / tau^2.
        explained = v * (v * stats.quad[:, 2] + s * stats.quad[:, 1])
        second = v * v * stats.quad[:, 2] + v * s * stats.trace[:, 1]
        total = v * v * stats.quad[:, 2] + 2.0 * v * s * stats.quad[:, 1] + s * s * stats.quad[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = explained / second
            moment = (v * v * stats.quad[:, 1] + v * s * stats.trace[:, 0]) / counts
        scale = np.where(params.held[: params.classes] | ~np.isfinite(scale), 1.0, scale)
        missing = total - 2.0 * scale * explained + scale**2 * second
        residual = (stats.rest + float(missing.sum())) / (stats.rest_rows + stats.total)
        return without_vestiges(stepped(params, scale**2 * moment, residual, counts), params, stats)
