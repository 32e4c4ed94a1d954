"""Minorise-maximise: every variance times the root of its quadratic form over its trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.scheme import PartitionScheme
from varmix.models.partition.statistics import PartitionStats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MM(PartitionScheme):
    """For known proportions: the covariance is then linear in a, tau^2 and omega^2 [PART-2]."""

    name: str = "mm"
    monotone: bool = True

    def update(self, params: PartitionParams, stats: PartitionStats, /) -> PartitionParams:
        """Shares and mean as EM has them; roots of ratios for the variances.

        Raises OptionError where proportions may move.
        """
        if not params.held_proportions.all():
            raise OptionError("method='mm' is for known proportions. Use 'newton', 'em' or 'pxem' to estimate them.")
        a = params.between
        move = 0.0 if params.held[0] else a * stats.score_mean / stats.blocks
        square = a * a * stats.quad_between - stats.blocks * move * move
        between = math.sqrt(max(square, 0.0) / stats.trace_between)
        loads = (params.proportions**2).sum(axis=1)
        cell = params.cell * _root(float(loads @ stats.quad_noise), float(loads @ stats.trace_noise))
        measurement = params.measurement * _root(float(stats.quad_noise.sum()), float(stats.trace_noise.sum()))
        scalars = [params.mean + move, between, cell, measurement]
        return params.moved_to(np.concatenate([scalars, stats.counts, params.proportions.ravel()]))


def _root(quad: float, trace: float) -> float:
    return math.sqrt(quad / trace)
