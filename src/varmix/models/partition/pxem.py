"""Parameter-expanded EM: where cell types are and how far apart is a regression, undone in the block means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.em import m_step
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.scheme import PartitionScheme
from varmix.models.partition.statistics import PartitionStats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PXEM(PartitionScheme):
    """EM's update at cell types `nu + kappa x`, with both from a weighted regression of samples on `p'x` [PART-4]."""

    name: str = "pxem"
    monotone: bool = True

    def update(self, params: PartitionParams, stats: PartitionStats, /) -> PartitionParams:
        """Regression at the noise of now, then the M-step; kappa stays 1 where a is held, nu 0 where mu_0 is."""
        if params.held[1] or not float(params.noise().min()) > 0.0:
            return m_step(self, params, stats, shift=0.0, stretch=1.0)
        weight = 1.0 / params.noise()
        P = params.proportions
        square = float(weight @ np.einsum("dt,dtu,du->d", P, stats.moments, P))
        crossed = float(weight @ (P * stats.crossed).sum(axis=1))
        if not square > 0.0:
            return m_step(self, params, stats, shift=0.0, stretch=1.0)
        if params.held[0]:
            return m_step(self, params, stats, shift=0.0, stretch=crossed / square)
        mixed = float(weight @ (P * stats.firsts).sum(axis=1))
        total, linear = float(weight @ stats.samples), float(weight @ stats.linear)
        stretch = (crossed - mixed * linear / total) / (square - mixed * mixed / total)
        return m_step(self, params, stats, shift=(linear - stretch * mixed) / total, stretch=stretch)
