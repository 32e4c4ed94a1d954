"""What EM, PX-EM, MM and Newton share: the statistics they read, the objective and the certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.iteration import Certificate
from varmix.marginal.piece import Piece
from varmix.models.cone import certify
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.statistics import Criterion, LinearStats, summarise_linear
from varmix.typing import Vector

NEGLIGIBLE = 1e-12
"""Share of the largest variance (kernels have mean diagonal about 1) below which a variance that still falls is 0:
steps by a ratio shrink it for ever, and the certificate is met from about 1e-16 on."""


def without_vestiges(values: Vector, stats: LinearStats) -> Vector:
    """Variances with 0 for those that are negligible and whose score is negative: going there raises the likelihood."""
    vestige = (values < NEGLIGIBLE * values.max()) & (stats.score < 0.0)
    return np.where(vestige, 0.0, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearScheme:
    """Summaries of a piece at theta under a criterion; the schemes add `name`, `monotone` and `update`."""

    criterion: Criterion = "reml"

    def summarise(self, params: VarianceParams, piece: Piece, /) -> LinearStats:
        """Statistics of one piece."""
        return summarise_linear(piece, params.values, self.criterion)

    def objective(self, params: VarianceParams, stats: LinearStats, /) -> float:
        """The (restricted) log-likelihood."""
        return stats.log_likelihood

    def certificate(self, params: VarianceParams, stats: LinearStats, /) -> Certificate:
        """From the expected information where it is cheap, else from the average information."""
        information = stats.expected_information
        if information is None:
            information = stats.average_information
        return certify(params.values, stats.score, information)
