"""What the schemes share: statistics, objective with its prior, and the certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from varmix.errors import OptionError
from varmix.iteration import Certificate
from varmix.models.partition import composite, joint
from varmix.models.partition.curvature import coordinates
from varmix.models.partition.genes import Genes
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.statistics import PartitionStats, undefined
from varmix.typing import Matrix, Square, Vector

LIKELIHOODS = {"joint": joint.summarise, "composite": composite.summarise}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionScheme:
    """Statistics of a piece, the objective and its certificate; schemes add `name` and `update`.

    `concentration` (D, T) are those of a Dirichlet prior on the rows of P [PART-7], at least 1; None is no prior.
    """

    partitions: Partitions
    likelihood: str = "joint"
    concentration: Matrix | None = None

    def __post_init__(self) -> None:
        if self.likelihood not in LIKELIHOODS:
            raise OptionError(f"likelihood={self.likelihood!r} is not known. Use 'joint' or 'composite'.")
        if self.concentration is not None and not bool((self.concentration >= 1.0).all()):
            raise OptionError(
                f"A Dirichlet concentration is {self.concentration.min():.6g}: below 1 the density of a "
                "proportion of 0 is infinite and nothing has a maximum. Give values of at least 1."
            )

    def summarise(self, params: PartitionParams, piece: Genes, /) -> PartitionStats:
        """Statistics of one piece; where a sample would have no variance there is no density."""
        types, size = params.proportions.shape
        without = undefined(len(self.partitions), types, size, coordinates(params))
        variances = params.noise()[piece.types]
        if self.likelihood == "composite":
            variances = composite.marginal_variances(params, self.partitions)[:, piece.types]
        if not (np.isfinite(params.vector()).all() and (variances > 0.0).all()):
            return without
        try:
            return LIKELIHOODS[self.likelihood](params, self.partitions, piece)
        except np.linalg.LinAlgError:  # noise that is rounding beside a: the point is as good as without any
            return without

    def objective(self, params: PartitionParams, stats: PartitionStats, /) -> float:
        """The log-likelihood, and the log of the prior's density up to its constant."""
        value = stats.log_likelihood + self.log_prior(params)
        return value if math.isfinite(value) else -math.inf

    def log_prior(self, params: PartitionParams) -> float:
        """`sum (alpha - 1) log p` over the entries that may move."""
        if self.concentration is None:
            return 0.0
        free = ~params.held_proportions
        return float(xlogy(self.concentration - 1.0, params.proportions)[free].sum())

    def derivatives(self, params: PartitionParams, stats: PartitionStats) -> tuple[Vector, Square, Square]:
        """Score, Hessian and products of scores of the objective; the prior adds its curvature to both matrices."""
        if self.concentration is None or params.held_proportions.all():
            return stats.score, stats.hessian, stats.outer
        score, hessian, outer = stats.score.copy(), stats.hessian.copy(), stats.outer.copy()
        excess = np.where(params.held_proportions, 0.0, self.concentration - 1.0).ravel()
        told = np.flatnonzero(excess)
        where, p = SCALARS + len(params.shares) + told, params.proportions.ravel()[told]
        with np.errstate(divide="ignore"):
            score[where] += excess[told] / p
            hessian[where, where] -= excess[told] / p**2
            outer[where, where] += excess[told] / p**2
        return score, hessian, outer

    def certificate(self, params: PartitionParams, stats: PartitionStats, /) -> Certificate:
        """From the observed information; a point where it is not that of a maximum is none, however flat."""
        at_zero = (params.vector() == 0.0) & ~params.held
        at_zero[0] = False
        boundary = tuple(int(k) for k in np.flatnonzero(at_zero))
        score, hessian, _ = self.derivatives(params, stats)
        if not (np.isfinite(score).all() and np.isfinite(hessian).all()):
            return Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=boundary)
        reduced = Reduced.at(params)
        return reduced.certificate(reduced.pull(score), -reduced.pull_square(hessian), boundary)
