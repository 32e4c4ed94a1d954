"""What a posterior needs of a fit: a point and its model without the genes it was found from [PART-8]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from varmix.models.partition import composite_heteroscedastic, heteroscedastic
from varmix.models.partition.block_posterior import posterior_at
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.heteroscedastic_posterior import noise_posterior
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise import NAMES, Noise
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.posterior import GenePosterior, gene_posterior
from varmix.models.partition.trend import Trend
from varmix.typing import Matrix, Vector

DENSITIES = {
    "joint": heteroscedastic.log_densities,
    "composite": composite_heteroscedastic.log_densities,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remembered:
    """A point of `kind` "shared", "noise" or "per_gene_block": `scalars` before the shares (internal units), `shares`
    (J,), `proportions` (D, T), the `scale` of internal units and, of noise that grows, the `reference` of its levels
    (0: none)."""

    kind: str
    partitions: Partitions
    likelihood: str
    scalars: Vector
    shares: Vector
    proportions: Matrix
    scale: float
    reference: float = 0.0

    def posterior(self, pieces: Sequence[Genes]) -> GenePosterior:
        """Of any genes (internal units), in the units of the data."""
        known = {"shared": self._shared, "noise": self._noise, "per_gene_block": self._per_gene_block}
        return known[self.kind](pieces)

    def params(self) -> PartitionParams:
        """The point of a model with one variance for all genes, or without noise of its own."""
        mean, between, cell, measurement = [*self.scalars.tolist(), 0.0, 0.0][:SCALARS]
        return PartitionParams(
            mean=mean,
            between=between,
            cell=cell,
            measurement=measurement,
            shares=self.shares,
            proportions=self.proportions,
        )

    def noise_params(self) -> HeteroscedasticParams:
        """The point of a model whose noise differs."""
        mean, between, spread, *noise = self.scalars.tolist()
        return HeteroscedasticParams(
            mean=mean,
            between=between,
            noise=Noise(**dict(zip(NAMES, noise, strict=True))),
            trend=Trend(reference=self.reference),
            shares=self.shares,
            proportions=self.proportions,
            spread=spread,
        )

    def _shared(self, pieces: Sequence[Genes]) -> GenePosterior:
        model = PartitionMixture(
            partitions=self.partitions,
            pieces=tuple(pieces),
            known=np.asarray(self.proportions),
            noise="both",
            likelihood=self.likelihood,
            scale=self.scale,
        )
        return gene_posterior(model, self.params())

    def _per_gene_block(self, pieces: Sequence[Genes]) -> GenePosterior:
        return posterior_at(self.params(), self.partitions, pieces, likelihood=self.likelihood, scale=self.scale)

    def _noise(self, pieces: Sequence[Genes]) -> GenePosterior:
        densities = DENSITIES[self.likelihood]
        return noise_posterior(self.noise_params(), self.partitions, pieces, scale=self.scale, densities=densities)
