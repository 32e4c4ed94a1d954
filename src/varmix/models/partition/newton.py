"""Newton's method on the observed log-likelihood, within variances >= 0 and the simplexes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.scheme import PartitionScheme
from varmix.models.partition.statistics import PartitionStats
from varmix.typing import Mask, Vector

STARVED = 2.0
"""Factor by which EM raises a share from which its value is taken: Newton can but double a share that is far too small,
where a gene or two ask for it with a density larger by any power of ten."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newton(PartitionScheme):
    """Proposes the maximiser of a quadratic model within the cone, so that variances, shares and proportions can reach
    and leave 0. `Backtracking` sees to the length of the step [PART-3]."""

    name: str = "newton"
    monotone: bool = True

    def update(self, params: PartitionParams, stats: PartitionStats, /) -> PartitionParams:
        """The step of the observed information where it is that of a maximum, else of a matrix that points upwards."""
        score, hessian, products = self.derivatives(params, stats)
        if not (np.isfinite(score).all() and np.isfinite(hessian).all() and np.isfinite(products).all()):
            return params
        reduced = Reduced.at(params)
        target = reduced.target(
            params.vector(), reduced.pull(score), -reduced.pull_square(hessian), reduced.pull_square(products)
        )
        held, count = params.held[SCALARS : SCALARS + len(params.shares)], len(params.shares)
        shares = _fed(params.shares, target[SCALARS : SCALARS + count], stats.counts / stats.counts.sum(), held)
        return params.moved_to(np.concatenate([target[:SCALARS], shares, target[SCALARS + count :]]))


def _fed(before: Vector, shares: Vector, likely: Vector, held: Mask) -> Vector:
    """Newton's shares, with EM's `likely` ones in place of those that are starved."""
    starved = (likely > STARVED * before) & (likely > shares) & ~held
    return np.where(starved, likely, shares)
