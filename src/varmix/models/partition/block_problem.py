"""The model with a variance per gene, partition and block, as a problem [PART-5]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.iteration import Outcome
from varmix.models.partition.block_fit import fit_per_gene_block, moving
from varmix.models.partition.block_profile import SHARED, BlockPoint
from varmix.models.partition.covariance import Quadratic
from varmix.models.partition.genes import Genes
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.problem import INSIDE, LENGTH, VARIANCE, Scalar, refuse_restricted
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.remembered import Remembered
from varmix.models.partition.starting import default_starts
from varmix.typing import Mask, Square, Vector

COORDINATES = (
    Scalar(name="mean", power=LENGTH, words="of block means"),
    Scalar(name="blocks", power=VARIANCE, words="block means between genes"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockProblem:
    """All proportions are known: free ones make the likelihood unbounded."""

    base: PartitionMixture
    max_iterations: int = 200

    def __post_init__(self) -> None:
        if np.isnan(self.base.known).any():
            raise NotIdentifiedError(
                f"{int(np.isnan(self.base.known).sum()):,} proportions are not known: the likelihood of "
                "variance='per_gene_block' is then unbounded. Give all proportions, or use variance='shared'."
            )

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """mu_0 and a."""
        return COORDINATES

    @property
    def held(self) -> Mask:
        """Proportions."""
        return np.concatenate([np.zeros(SHARED, dtype=np.bool_), self.base.held[SCALARS:]])

    def starts(self, count: int, rng: np.random.Generator) -> list[tuple[str, PartitionParams]]:
        """Moments, then random ones; the variances start from sums of squares within types."""
        return default_starts(self.base, count, rng)

    def climb(self, start: PartitionParams) -> Outcome[Any, Any]:
        """Newton on the likelihood with all variances at their maximum."""
        base = self.base
        return fit_per_gene_block(
            base.pieces,
            base.partitions,
            base.known,
            start,
            likelihood=base.likelihood,
            max_iterations=self.max_iterations,
        ).outcome

    def vector(self, params: BlockPoint) -> Vector:
        """(mu_0, a, pi, P)."""
        return params.vector()

    def quadratic(self, outcome: Outcome[Any, Any]) -> Quadratic:
        """As if each gene's variances were known to be at their best: no more than a lower bound of the uncertainty."""
        frame, stats = moving(outcome.params, outcome.stats), outcome.stats
        return Quadratic(frame=frame, gradient=frame.pull(stats.score), information=-frame.pull_square(stats.hessian))

    def products(self, outcome: Outcome[Any, Any], frame: Reduced) -> Square:
        """Of all genes."""
        return frame.pull_square(outcome.stats.outer)

    def log_likelihood(self, outcome: Outcome[Any, Any]) -> float:
        """At the best variances of every gene."""
        return float(outcome.stats.log_likelihood)

    def remember(self, params: BlockPoint) -> Remembered:
        """The parameters that genes share: variances of any gene are found from its samples."""
        return Remembered(
            kind="per_gene_block",
            partitions=self.base.partitions,
            likelihood=self.base.likelihood,
            scalars=params.vector()[:SHARED],
            shares=params.params.shares,
            proportions=params.params.proportions,
            scale=self.base.scale,
        )

    def with_pieces(self, pieces: tuple[Genes, ...]) -> BlockProblem:
        """The same model of other genes."""
        return replace(self, base=replace(self.base, pieces=pieces))

    def nearby(self, params: BlockPoint) -> PartitionParams:
        """No share at 0."""
        shares = np.maximum(params.params.shares, INSIDE)
        return replace(params.params, shares=shares / shares.sum())

    def remarks(self, params: Any) -> tuple[str, ...]:
        """None."""
        return ()

    def restricted(self, params: Any, coordinate: int, value: float) -> Outcome[Any, Any]:
        """Raises NotAvailableError."""
        raise refuse_restricted("variance='per_gene_block'")
