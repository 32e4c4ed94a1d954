"""The product over samples where every gene and type has its own error variance [PART-5] [PART-6].

It keeps the diagonal of the joint likelihood's covariance: given the partition and the gene's scale lambda, samples are
independent `N(mu_0, v)`, `v = a |p'C_j|^2 + lambda (d + l + k sum_t p_t^2)`. Lack of fit l and scatter k are drawn anew
for every sample: a product knows no error that replicates share, so l is told from d only by how it grows with
expression and averages over nothing.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.special import logsumexp

from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import BLOCK, LOG_2PI, HeteroscedasticStats
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.moderated import prior_score
from varmix.models.partition.noise import NoiseVariances
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.scale_integral import Weighed, score_of_no_spread, weighted_densities
from varmix.typing import Array, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A piece at a point: `squares` (G, D) of samples about mu_0, their variances `error` (G, D) at the scale 1."""

    genes: Genes
    residual: Matrix
    proportions: Matrix
    loads: Vector
    """`sum_t p_t^2`, (D,)."""
    variances: NoiseVariances
    squares: Matrix
    error: Matrix
    shared: tuple[Vector, ...]
    """`|p'C_j|^2` of each partition, (D,)."""

    @classmethod
    def at(cls, params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> Prepared:
        """Nothing that depends on a gene's scale."""
        P = params.proportions[genes.types]
        loads = (P * P).sum(axis=1)
        found = params.noise.variances(loads, params.trend.levels(genes.means), genes.counts)
        r = genes.means - params.mean
        averaged_out = found.sample * (1.0 - 1.0 / genes.counts)
        return cls(
            genes=genes,
            residual=r,
            proportions=P,
            loads=loads,
            variances=found,
            squares=genes.within + genes.counts * r * r,
            error=found.mean + averaged_out + found.scatter[:, None] * loads,
            shared=tuple(((P @ indicator) ** 2).sum(axis=1) for indicator in partitions.indicators),
        )

    @property
    def squares_sum(self) -> Vector:
        """Sum of squares over variances without any block, (G,).

        Samples without error bound no scale. Where none has any, the nodes end where the scale's own density still has
        a tail: 1e-8 of it at a spread of 0.5, 1e-3 at 2, which then says nothing anyway.
        """
        return np.asarray(
            np.divide(self.squares, self.error, out=np.zeros_like(self.squares), where=self.error > 0.0).sum(axis=1)
        )

    def log_densities(self, between: float, scale: Matrix) -> Array:
        """`log f(s_g | j, lambda)` at scales (G, L): shape (J, G, L)."""
        out = np.full((len(self.shared), *scale.shape), -0.5 * LOG_2PI * float(self.genes.counts.sum()))
        for s, count in enumerate(self.genes.counts):
            noise, squares = scale * self.error[:, s, None], self.squares[:, s, None]
            for j, shared in enumerate(self.shared):
                v = between * shared[s] + noise
                out[j] -= 0.5 * (count * np.log(v) + squares / v)
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """Posterior means over partitions and scales of what the scores are made of."""

    pull: Matrix
    """`E[1 / v]`, (G, D)."""
    by_error: Matrix
    """Derivatives by the error at the scale 1, (G, D)."""
    by_shared: Matrix
    """Derivatives by `a |p'C_j|^2`, summed over genes, (J, D)."""

    @classmethod
    def at(cls, prepared: Prepared, between: float, weighed: Weighed) -> Slopes:
        """By Fisher's identity [PART-3]."""
        pull, by_error = np.zeros_like(prepared.error), np.zeros_like(prepared.error)
        by_shared = np.zeros((len(prepared.shared), prepared.error.shape[1]))
        for s, count in enumerate(prepared.genes.counts):
            noise, squares = weighed.scale * prepared.error[:, s, None], prepared.squares[:, s, None]
            for j, shared in enumerate(prepared.shared):
                v = between * shared[s] + noise
                inverse = weighed.posterior[j] / v
                slope = 0.5 * inverse * (squares / v - count)
                pull[:, s] += inverse.sum(axis=1)
                by_error[:, s] += (slope * weighed.scale).sum(axis=1)
                by_shared[j, s] += slope.sum()
        return cls(pull=pull, by_error=by_error, by_shared=by_shared)


def log_densities(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> Matrix:
    """`log f(s_g | j)` of the product, the scale of the gene's noise integrated out, shape (G, J) [PART-6]."""
    blocks = [Prepared.at(params, partitions, block) for block in genes.blocks(BLOCK)]
    return np.concatenate([logsumexp(weighted_densities(params, block)[0], axis=2).T for block in blocks])


def summarise(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> HeteroscedasticStats:
    """Statistics of one piece, of the same kinds as those of the joint likelihood."""
    return reduce(operator.add, (_block_stats(params, partitions, block) for block in genes.blocks(BLOCK)))


def spread_score(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> float:
    """Derivative of the log-likelihood by the spread at 0: half the curvature of the density in u = 1/lambda."""
    blocks = genes.blocks(BLOCK)
    return float(sum(score_of_no_spread(params, Prepared.at(params, partitions, block)) for block in blocks))


def _block_stats(params: HeteroscedasticParams, partitions: Partitions, genes: Genes) -> HeteroscedasticStats:
    prepared = Prepared.at(params, partitions, genes)
    weighed = Weighed.of(params, prepared)
    slopes = Slopes.at(prepared, params.between, weighed)
    P, by_error = prepared.proportions, slopes.by_error
    scatter = prepared.variances.scatter
    score_proportions = np.zeros_like(params.proportions)
    score_proportions[genes.types] = 2.0 * (params.noise.cell * by_error.sum(axis=0) + scatter @ by_error)[
        :, None
    ] * P + 2.0 * params.between * np.einsum("js,su,jut->st", slopes.by_shared, P, partitions.together)
    return HeteroscedasticStats(
        log_likelihood=float(weighed.log_density.sum()),
        counts=weighed.posterior.sum(axis=(1, 2)),
        score_mean=float((genes.counts * prepared.residual * slopes.pull).sum()),
        score_between=float((slopes.by_shared * np.stack(prepared.shared)).sum()),
        score_noise=params.noise.pull(
            prepared.variances,
            prepared.loads,
            by_sample=by_error,
            by_mean=by_error,
            by_scatter=by_error @ prepared.loads,
        ),
        score_spread=_score_spread(params, weighed),
        score_shares=weighed.score_shares(params.shares),
        share_products=weighed.share_products(params.shares),
        score_proportions=score_proportions,
    )


def _score_spread(params: HeteroscedasticParams, weighed: Weighed) -> float:
    if params.spread == 0.0:
        return 0.0
    return float((weighed.posterior.sum(axis=0) * prior_score(np.log(weighed.scale), params.spread)).sum())
