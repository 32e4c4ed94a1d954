"""What EM, PX-EM, MM and Newton share: the statistics they read, the objective and the certificate."""

from __future__ import annotations

from dataclasses import dataclass

from varmix.iteration import Certificate
from varmix.marginal.piece import Piece
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.quadratic_step import certify
from varmix.models.linear.statistics import Criterion, LinearStats, summarise_linear


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearScheme:
    """Summaries of a piece at theta under a criterion; the schemes add `name`, `monotone` and `update`."""

    criterion: Criterion = "reml"

    def summarise(self, params: VarianceParams, piece: Piece, /) -> LinearStats:
        """Statistics of one piece."""
        return summarise_linear(piece, params.values, self.criterion)

    def objective(self, stats: LinearStats, /) -> float:
        """The (restricted) log-likelihood."""
        return stats.log_likelihood

    def certificate(self, params: VarianceParams, stats: LinearStats, /) -> Certificate:
        """From the expected information where it is cheap, else from the average information."""
        information = stats.expected_information
        if information is None:
            information = stats.average_information
        return certify(params.values, stats.score, information)
