"""What EM, PX-EM and Newton share for a pair of responses."""

from __future__ import annotations

from dataclasses import dataclass

from varmix.iteration import Certificate
from varmix.models.linear.correlation.cone import certify_pair
from varmix.models.linear.correlation.likelihood import PairParams, PairStats, summarise_pair
from varmix.models.linear.correlation.pair import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScheme:
    """Summaries of a pair at theta; the schemes add `name`, `monotone` and `update`. The pair knows its criterion."""

    def summarise(self, params: PairParams, piece: Pair, /) -> PairStats:
        """Statistics of one pair of cohorts."""
        return summarise_pair(piece, params.values)

    def objective(self, params: PairParams, stats: PairStats, /) -> float:
        """The (restricted) log-likelihood."""
        return stats.log_likelihood

    def certificate(self, params: PairParams, stats: PairStats, /) -> Certificate:
        """From the average information within the cone."""
        return certify_pair(params.values, stats.score, stats.information)
