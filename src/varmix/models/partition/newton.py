"""Newton's method on the observed log-likelihood, within variances >= 0 and the simplexes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.params import PartitionParams
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.scheme import PartitionScheme
from varmix.models.partition.statistics import PartitionStats


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
        return params.moved_to(target)
