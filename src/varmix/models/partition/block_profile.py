"""The likelihood with every gene's block variances at their maximum, as a function of mu_0, a and the shares [PART-5].

The variances maximise each gene's density given the partition, whatever the shares. By the envelope theorem the scores
are those at the variances held; the second derivatives lose what the variances take up: with h a gene's matrix of them
by (variances, theta), `h_theta,theta - h_theta,v h_vv^-1 h_v,theta` over the variances above their floors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.models.partition.block_climb import climb_blocks, free_variances, scaled, sizes
from varmix.models.partition.block_density import BLOCK_DENSITIES, Derivatives, Setting
from varmix.models.partition.genes import Genes
from varmix.models.partition.joint import normalised
from varmix.models.partition.params import SCALARS, PartitionParams, groups
from varmix.models.partition.partitions import Partitions
from varmix.typing import Array, Index, Mask, Matrix, Square, Vector

SHARED = 2
"""Coordinates before the shares: mu_0 and a."""

NOISES = slice(SHARED, SCALARS)
"""Where the parameters have tau^2 and omega^2, which are 0 here: variances of blocks take their place."""

LARGEST_RATIO = 300.0
"""Largest log of `f(s_g | j) / f(s_g)` of a partition with share 0: its square is still a number."""

TAKEN_UP = 1e-9
"""Part of the score by a and of the information on it that is rounding, and what the variances' climbs leave."""

RANK = 1e-10
"""Share of the largest curvature below which a gene's variances are not told apart and take up nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPiece:
    """Genes seen in the same numbers of samples, with the floors of their variances (G,)."""

    genes: Genes
    floor: Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPoint:
    """`params` without cell and measurement noise, P held; `seeds` per partition (all genes, B_j): where the climbs of
    the variances begin. Coordinates are (mu_0, a, pi, P row by row), K = 2 + J + DT."""

    params: PartitionParams
    seeds: tuple[Matrix, ...]

    @property
    def held(self) -> Mask:
        """Coordinates that no step moves."""
        return np.delete(self.params.held, NOISES)

    @property
    def simplexes(self) -> list[Index]:
        """Positions of the shares and of each row of P."""
        return groups(SHARED, len(self.params.shares), self.params.proportions.shape)

    def vector(self) -> Vector:
        """Coordinates that genes share; variances are none."""
        return np.delete(self.params.vector(), NOISES)

    def moved_to(self, vector: Vector) -> BlockPoint:
        """The point with these coordinates and the same seeds."""
        whole = np.concatenate([vector[:SHARED], np.zeros(SCALARS - SHARED), vector[SHARED:]])
        return replace(self, params=self.params.moved_to(whole))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockStats:
    """Sums over genes; `variances` per partition (all genes, B_j), 0 for genes of other pieces; largest `residual`.

    `score`, `hessian` and `outer` (products of scores) are by (mu_0, a, pi). `between` (2,) are the score by a and the
    information on it that known variances would predict.
    """

    log_likelihood: float
    counts: Vector
    score: Vector
    hessian: Square
    outer: Square
    variances: tuple[Matrix, ...]
    residual: float
    between: Vector

    @property
    def between_taken_up(self) -> bool:
        """Whether the variances of blocks take up whatever a is: nothing but rounding is left of its score."""
        trace, known = TAKEN_UP * self.between
        return bool(abs(self.score[1]) <= trace and abs(self.hessian[1, 1]) <= known)

    def __add__(self, other: BlockStats) -> BlockStats:
        return BlockStats(
            log_likelihood=self.log_likelihood + other.log_likelihood,
            counts=self.counts + other.counts,
            score=self.score + other.score,
            hessian=self.hessian + other.hessian,
            outer=self.outer + other.outer,
            variances=tuple(mine + yours for mine, yours in zip(self.variances, other.variances, strict=True)),
            residual=max(self.residual, other.residual),
            between=self.between + other.between,
        )


def profile(point: BlockPoint, partitions: Partitions, piece: BlockPiece, likelihood: str) -> BlockStats:
    """Statistics of one piece, the variances at their maximum from the point's seeds."""
    genes, density, params = piece.genes, BLOCK_DENSITIES[likelihood], point.params
    densities, scores, seconds, between, variances, residual = [], [], [], [], [], 0.0
    for indicator, seeds in zip(partitions.indicators, point.seeds, strict=True):
        setting = Setting.of(params, indicator, genes)
        found = climb_blocks(density, setting, seeds[genes.positions], piece.floor)
        there = density.at(setting, found.variances)
        derivatives = there.derivatives()
        densities.append(there.log_density)
        scores.append(derivatives.gradient[:, -2:])
        seconds.append(_profiled(derivatives, found.variances, piece.floor[:, None]))
        between.append(derivatives.between)
        every = np.zeros_like(seeds)
        every[genes.positions] = found.variances
        variances.append(every)
        residual = max(residual, float(found.residual.max(initial=0.0)))
    posterior, log_density = normalised(np.stack(densities, axis=1), params.shares)
    ratio = np.exp(np.minimum(np.stack(densities, axis=1) - log_density[:, None], LARGEST_RATIO))
    score, hessian, outer = _mixed(posterior, ratio, scores, seconds)
    return BlockStats(
        log_likelihood=float(log_density.sum()),
        counts=posterior.sum(axis=0),
        score=score,
        hessian=hessian,
        outer=outer,
        variances=tuple(variances),
        residual=residual,
        between=np.einsum("gj,jgk->k", posterior, np.stack(between)),
    )


def _profiled(found: Derivatives, variances: Matrix, floors: Matrix) -> Array:
    """Second derivatives by (mu_0, a) of densities at their best variances, (G, 2, 2)."""
    count = variances.shape[1]
    free, size = free_variances(found, variances, floors), sizes(found, variances)
    values, vectors = np.linalg.eigh(scaled(-found.hessian[:, :count, :count], size, free))
    crossed = np.where(free[:, :, None], size[:, :, None] * found.hessian[:, :count, count:], 0.0)
    told = values > RANK * np.abs(values).max(axis=1, keepdims=True)
    root = np.where(told, 1.0 / np.sqrt(np.where(told, values, 1.0)), 0.0)
    taken = root[:, :, None] * (vectors.transpose(0, 2, 1) @ crossed)
    return np.asarray(found.hessian[:, count:, count:] + taken.transpose(0, 2, 1) @ taken)


def _mixed(
    posterior: Matrix, ratio: Matrix, scores: list[Matrix], seconds: list[Array]
) -> tuple[Vector, Square, Square]:
    """Score, Hessian and products of scores by (mu_0, a, pi), from those given partitions [PART-3]."""
    count = posterior.shape[1]
    own, inner, crossed = np.zeros((len(posterior), SHARED)), np.zeros((2, 2)), np.zeros((count, 2))
    for j, (score, second) in enumerate(zip(scores, seconds, strict=True)):
        weighted = posterior[:, j : j + 1] * score
        own += weighted
        inner += np.einsum("g,gbc->bc", posterior[:, j], second) + weighted.T @ score
        crossed[j] = ratio[:, j] @ score
    every = np.hstack([own, ratio])
    outer = every.T @ every
    hessian = -outer
    hessian[:SHARED, :SHARED] += inner
    hessian[SHARED:, :SHARED] += crossed
    hessian[:SHARED, SHARED:] += crossed.T
    return every.sum(axis=0), hessian, outer
