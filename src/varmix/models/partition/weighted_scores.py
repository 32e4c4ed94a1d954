"""Scores of genes given each partition, weighted by the posterior and summed into derivatives [PART-3]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Array, Matrix, Square, Vector

LARGEST_RATIO = 300.0
"""Largest log of `f(s_g | j) / f(s_g)` of a partition with share 0: its square is still a number."""

RARE = 1e-100
"""Share from which `f(s_g | j) / f(s_g)` is the posterior over the share; below, it is computed by itself."""


def posterior_of(densities: Matrix, shares: Vector) -> tuple[Matrix, Vector]:
    """Posterior (J, G) and log densities (G,) of genes from those given each partition, shape (J, G)."""
    with np.errstate(divide="ignore"):
        weighted = densities + np.log(shares)[:, None]
    top = weighted.max(axis=0)
    weighted -= top
    np.exp(weighted, out=weighted)
    total = weighted.sum(axis=0)
    weighted /= total
    return weighted, top + np.log(total)


@dataclass(slots=True, kw_only=True, eq=False)
class WeightedScores:
    """Sums over genes, filled block by block; scores are by k coordinates other than the shares."""

    shares: Vector
    counts: Vector
    second: Square
    """`sum_gj R s s'`, shape (k, k)."""
    crossed: Matrix
    """`sum_g rho s`, shape (k, J), with `rho = f(s_g | j) / f(s_g)`."""
    outer: Square
    """Products of the genes' scores by (coordinates, pi), shape (k + J, k + J)."""
    score: Vector
    log_likelihood: float

    @classmethod
    def empty(cls, coordinates: int, shares: Vector) -> WeightedScores:
        """Before any gene."""
        count = len(shares)
        return cls(
            shares=shares,
            counts=np.zeros(count),
            second=np.zeros((coordinates, coordinates)),
            crossed=np.zeros((coordinates, count)),
            outer=np.zeros((coordinates + count, coordinates + count)),
            score=np.zeros(coordinates + count),
            log_likelihood=0.0,
        )

    def add(self, scores: Array, densities: Matrix, posterior: Matrix, log_density: Vector) -> None:
        """Some genes: scores (k, J, G), log densities and posterior (J, G), log densities of all partitions (G,)."""
        size = len(scores)
        weighted = scores * posterior
        every = np.empty((size + len(posterior), posterior.shape[1]))
        weighted.sum(axis=1, out=every[:size])
        common = self.shares >= RARE
        if common.all():
            np.divide(posterior, self.shares[:, None], out=every[size:])
            self.crossed += weighted.sum(axis=2) / self.shares
        else:
            np.exp(np.minimum(densities - log_density, LARGEST_RATIO), out=every[size:])
            self.crossed += np.einsum("jg,kjg->kj", every[size:], scores)
        self.second += weighted.reshape(size, -1) @ scores.reshape(size, -1).T
        self.outer += every @ every.T
        self.score += every.sum(axis=1)
        self.counts += posterior.sum(axis=1)
        self.log_likelihood += float(log_density.sum())

    def derivatives(self, curved: Square) -> tuple[Vector, Square, Square]:
        """Score, Hessian and products of scores by (coordinates, pi), from `sum R` times second derivatives (k, k)."""
        size, hessian = len(self.second), -self.outer
        hessian[:size, :size] += self.second + curved
        hessian[:size, size:] += self.crossed
        hessian[size:, :size] += self.crossed.T
        return self.score, hessian, self.outer
