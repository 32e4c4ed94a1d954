"""EM with partitions and block means as missing data [PART-4]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.params import PartitionParams
from varmix.models.partition.proportions import RowSums, improved_rows
from varmix.models.partition.scheme import PartitionScheme
from varmix.models.partition.statistics import PartitionStats
from varmix.typing import Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EM(PartitionScheme):
    """Shares, mean and variance of block means in closed form; then proportions, then noise."""

    name: str = "em"
    monotone: bool = True

    def update(self, params: PartitionParams, stats: PartitionStats, /) -> PartitionParams:
        """The M-step."""
        return m_step(self, params, stats, shift=0.0, stretch=1.0)


def m_step(
    scheme: PartitionScheme, params: PartitionParams, stats: PartitionStats, *, shift: float, stretch: float
) -> PartitionParams:
    """Block deviations `b ~ N(delta, a)` with cell types at `shift + stretch b`: 0 and 1 are plain EM [PART-4].

    `sum E b = a dl/dmu_0` and `sum E b^2 = a^2 (quad - trace) + a blocks`. Of noise
    `v + 2 v^2 (dl/dv) / n` for tau^2 and omega^2 each: what EM does where every sample has an error of either kind.
    """
    a = params.between
    move = 0.0 if params.held[0] else a * stats.score_mean / stats.blocks
    square = a * a * (stats.quad_between - stats.trace_between) / stats.blocks + a
    sums = RowSums.of(stats).moved(shift, stretch)
    rows = improved_rows(params, sums, scheme.concentration)
    noise = _noise(params, rows, sums)
    scalars = [params.mean + shift + stretch * move, stretch**2 * (square - move * move), *noise]
    return params.moved_to(np.concatenate([scalars, stats.counts, rows.ravel()]))


def _noise(params: PartitionParams, proportions: Matrix, sums: RowSums) -> tuple[float, float]:
    seen = np.flatnonzero(sums.samples > 0.0)
    loads = (proportions**2).sum(axis=1)[seen]
    n, noise = sums.samples[seen], params.cell * loads + params.measurement
    if not float(noise.min()) > 0.0:
        return params.cell, params.measurement
    slope = (sums.left(proportions)[seen] / noise - n) / noise
    total = float(n.sum())
    cell = params.cell + params.cell**2 * float(loads @ slope) / total
    return cell, params.measurement + params.measurement**2 * float(slope.sum()) / total
