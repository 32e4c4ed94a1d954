"""A gene's own scale of noise integrated out, whatever its densities at a given scale are [PART-5]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import logsumexp

from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.moderated import log_prior, scale_nodes
from varmix.models.partition.weighted_scores import LARGEST_RATIO
from varmix.typing import Array, Matrix, Square, Vector

NUDGE = 1e-3
"""Step in 1/lambda: densities of some tens of samples change by a few per cent."""


class AtScales(Protocol):
    """A piece at a point, with densities at any scale of its noise."""

    @property
    def genes(self) -> Genes:
        """The piece."""
        ...

    @property
    def squares_sum(self) -> Vector:
        """Sum of squares over variances without any block, (G,): it bounds where the scale's posterior can be."""
        ...

    def log_densities(self, between: float, scale: Matrix, /) -> Array:
        """`log f(s_g | j, lambda)` at scales (G, L): shape (J, G, L)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weighed:
    """At scales (G, L): `densities`, log of density times quadrature weight, and `posterior` of both, (J, G, L);
    `log_density` (G,) over partitions and scales."""

    scale: Matrix
    densities: Array
    posterior: Array
    log_density: Vector

    @classmethod
    def of(cls, params: HeteroscedasticParams, prepared: AtScales) -> Weighed:
        """Over the nodes of each gene, or at the scale 1 where the spread is 0."""
        return cls.from_densities(params, *weighted_densities(params, prepared))

    @classmethod
    def from_densities(cls, params: HeteroscedasticParams, densities: Array, scale: Matrix) -> Weighed:
        """From log of density times quadrature weight (J, G, L) at scales (G, L)."""
        joint = densities + _log_shares(params)
        total = logsumexp(joint, axis=(0, 2))
        return cls(scale=scale, densities=densities, posterior=np.exp(joint - total[:, None]), log_density=total)

    def score_shares(self, shares: Vector) -> Vector:
        """`sum_g f(s_g | j) / f(s_g)`, shape (J,)."""
        return np.asarray(self._ratios(shares).sum(axis=1))

    def share_products(self, shares: Vector) -> Square:
        """`sum_g f(s_g | j) f(s_g | k) / f(s_g)^2`, (J, J): minus the second derivatives by shares [PART-3]."""
        ratios = self._ratios(shares)
        return np.asarray(ratios @ ratios.T)

    def _ratios(self, shares: Vector) -> Matrix:
        """`f(s_g | j) / f(s_g)` (J, G): responsibilities over shares, or where a share is 0 the ratio itself."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.asarray(self.posterior.sum(axis=2) / shares[:, None])
        for j in np.flatnonzero(shares == 0.0):
            ratio = logsumexp(self.densities[j], axis=1) - self.log_density
            ratios[j] = np.exp(np.minimum(ratio, LARGEST_RATIO))
        return ratios


def weighted_densities(params: HeteroscedasticParams, prepared: AtScales) -> tuple[Array, Matrix]:
    """Log of density x quadrature weight (J, G, L), and the scales (G, L)."""
    if params.spread == 0.0:
        scale = np.ones((len(prepared.genes), 1))
        return prepared.log_densities(params.between, scale), scale
    log_shares = _log_shares(params)

    def log_integrand(eta: Matrix) -> Matrix:
        densities = prepared.log_densities(params.between, np.exp(eta))
        densities += log_shares
        top = np.maximum(densities.max(axis=0), np.finfo(np.float64).min)  # -inf less -inf is no number
        densities -= top
        np.exp(densities, out=densities)
        with np.errstate(divide="ignore"):
            mixed = np.log(densities.sum(axis=0)) + top
        return np.asarray(mixed + log_prior(eta, params.spread))

    shape = 1.0 / params.spread + 0.5 * float(prepared.genes.counts.sum())
    eta = scale_nodes(log_integrand, prepared.squares_sum, shape, params.spread)
    step = np.log(eta[:, 1:2] - eta[:, :1])
    scale = np.exp(eta)
    return prepared.log_densities(params.between, scale) + (log_prior(eta, params.spread) + step), scale


def score_of_no_spread(params: HeteroscedasticParams, prepared: AtScales) -> float:
    """Derivative of the log-likelihood by the spread at 0: half the curvature of the density in u = 1/lambda [PART-5].

    By differences of a density that is smooth in u: good to four digits, where the sign and size matter.
    """
    nodes = 1.0 / np.array([1.0 - NUDGE, 1.0, 1.0 + NUDGE])
    scale = np.broadcast_to(nodes, (len(prepared.genes), 3))
    densities = prepared.log_densities(params.between, scale)
    low, at, high = logsumexp(densities + _log_shares(params), axis=0).T
    return 0.5 * float((np.expm1(low - at) + np.expm1(high - at)).sum()) / NUDGE**2


def _log_shares(params: HeteroscedasticParams) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(params.shares)[:, None, None])
