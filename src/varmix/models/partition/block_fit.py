"""The whole fit with a variance per gene, partition and block, and its posterior [PART-5] [PART-8].

Kept for fidelity to the source note: see `noise_per_gene_block` for why its shares of partitions mean little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import NotIdentifiedError, OptionError
from varmix.iteration import Backtracking, Certificate, Outcome, Point, Progress, Status, Stopping, iterate
from varmix.iteration.accelerate import AnyEvaluate, AnyPoint, AnyScheme
from varmix.models.cone import smallest_eigenvalue
from varmix.models.partition.block_density import BLOCK_DENSITIES
from varmix.models.partition.block_profile import BlockPiece, BlockPoint, BlockStats, profile
from varmix.models.partition.covariance import FLAT, covariance_of
from varmix.models.partition.genes import Genes
from varmix.models.partition.noise_per_gene_block import (
    check_replicates,
    mean_squares,
    pooled_variances,
    variance_floors,
)
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.reduced import Reduced
from varmix.typing import Matrix, Square

BLOCK = 1_024
"""Genes at a time: each has matrices of its own."""

TOLERANCE = 1e-6
"""Newton decrement that counts as arrival: the variances' own climbs end near 1e-7 of a standard error."""

BACKTRACKING = Backtracking()

AT_FLOOR = 1.0 + 1e-9
"""Factor of its floor up to which a variance counts as being there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockFit:
    """How a fit ended; `params` have tau^2 = omega^2 = 0, their place is taken by `variances`.

    `variances` are per partition (G, B_j), genes in the order of the data, in squared units of expression; `floored` is
    the share of them at their floors. `residual` is the largest of their climbs (see `BlockVariances`). `covariance`
    (K, K) is that of (mu_0, a, pi), the inverse of the information of the profile likelihood; NaN for
    what is held or at an edge, infinite for what is not told apart. The variances count as if they were known to be at
    their best: with so many of them, that is no more than a lower bound of the uncertainty.
    """

    outcome: Outcome[BlockPoint, BlockStats]
    likelihood: str
    floored: float
    covariance: Square

    @property
    def params(self) -> PartitionParams:
        """The parameters that genes share."""
        return self.outcome.params.params

    @property
    def stats(self) -> BlockStats:
        """Sums over genes at the end."""
        return self.outcome.stats

    @property
    def variances(self) -> tuple[Matrix, ...]:
        """The best variances of every gene."""
        return self.outcome.stats.variances

    @property
    def residual(self) -> float:
        """The largest that the climbs of the variances left."""
        return self.outcome.stats.residual

    @property
    def certificate(self) -> Certificate:
        """Of the parameters that genes share."""
        return self.outcome.certificate

    @property
    def progress(self) -> Progress:
        """The path."""
        return self.outcome.progress

    @property
    def status(self) -> Status:
        """Why it stopped."""
        return self.outcome.status

    @property
    def log_likelihood(self) -> float:
        """Of the data, at the best variances of every gene."""
        return self.stats.log_likelihood

    @property
    def converged(self) -> bool:
        """Whether this is an optimum with its certificate."""
        return self.status.arrived


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockNewton:
    """Newton's method on the profile likelihood, within a >= 0 and the simplex; `Warm` sees to the length of a step."""

    partitions: Partitions
    likelihood: str
    name: str = "newton"
    monotone: bool = True

    def summarise(self, params: BlockPoint, piece: BlockPiece, /) -> BlockStats:
        """Statistics of one piece."""
        return profile(params, self.partitions, piece, self.likelihood)

    def objective(self, params: BlockPoint, stats: BlockStats, /) -> float:
        """The log-likelihood."""
        return stats.log_likelihood if math.isfinite(stats.log_likelihood) else -math.inf

    def update(self, params: BlockPoint, stats: BlockStats, /) -> BlockPoint:
        """The step of the observed information where it is that of a maximum, else of a matrix that points upwards."""
        reduced = moving(params, stats)
        return params.moved_to(
            reduced.target(
                params.vector(),
                reduced.pull(stats.score),
                -reduced.pull_square(stats.hessian),
                reduced.pull_square(stats.outer),
            )
        )

    def certificate(self, params: BlockPoint, stats: BlockStats, /) -> Certificate:
        """Distance from the optimum in the parameters that genes share."""
        at_zero = (params.vector() == 0.0) & ~params.held
        at_zero[0] = False
        boundary = tuple(int(k) for k in np.flatnonzero(at_zero))
        reduced = moving(params, stats)
        return reduced.certificate(reduced.pull(stats.score), -reduced.pull_square(stats.hessian), boundary)


@dataclass(frozen=True, slots=True)
class Warm:
    """Halves steps like `Backtracking`, all of them from the variances found at the point."""

    inner: Backtracking = BACKTRACKING

    def fresh(self) -> Warm:
        """Itself: it has no memory."""
        return self

    def step(self, scheme: AnyScheme, point: AnyPoint, evaluate: AnyEvaluate) -> AnyPoint:
        """The longest of the halved steps that does not lower the objective."""
        seeded = replace(point.params, seeds=point.stats.variances)
        return self.inner.step(scheme, Point(seeded, point.stats, point.objective), evaluate)


def fit_per_gene_block(
    pieces: Sequence[Genes],
    partitions: Partitions,
    proportions: Matrix,
    start: PartitionParams,
    *,
    likelihood: str = "joint",
    max_iterations: int = 200,
) -> BlockFit:
    """Maximise over mu_0, a, the shares and every gene's block variances, with omega^2 = 0, from `start`.

    `proportions` (D, T) are known; of `start` its mean, a and shares count. "composite" is section 1 of the note as it
    is printed, with the gradient corrected. A variance stays above `FLOOR` of its gene's mean square about the mean of
    all genes' types. Raises NotIdentifiedError where proportions are unknown (NaN: the likelihood is unbounded),
    OptionError where no sample type has replicates and for an unknown likelihood.
    """
    if likelihood not in BLOCK_DENSITIES:
        raise OptionError(f"likelihood={likelihood!r} is not known. Use 'joint' or 'composite'.")
    if np.isnan(proportions).any():
        raise NotIdentifiedError(
            f"{int(np.isnan(proportions).any(axis=1).sum())} sample types have unknown proportions: the "
            "likelihood of variance='per_gene_block' is then unbounded. Give all proportions, or use variance='shared'."
        )
    check_replicates(pieces)
    scheme = BlockNewton(partitions=partitions, likelihood=likelihood)
    outcome = iterate(
        scheme,
        _starting_point(pieces, partitions, proportions, start),
        floored_pieces(pieces),
        stopping=Stopping(tolerance=TOLERANCE, max_iterations=max_iterations),
        accelerator=Warm(),
    )
    return _finished(outcome, floored_pieces(pieces), likelihood)


def moving(point: BlockPoint, stats: BlockStats) -> Reduced:
    """The moving coordinates: not a where the variances take up whatever it is."""
    if not stats.between_taken_up:
        return Reduced.at(point)
    fixed = point.params.held.copy()
    fixed[1] = True
    return Reduced.at(replace(point, params=replace(point.params, fixed=fixed)))


def _starting_point(
    pieces: Sequence[Genes], partitions: Partitions, proportions: Matrix, start: PartitionParams
) -> BlockPoint:
    count = len(partitions)
    fixed = np.ones(SCALARS + count + proportions.size, dtype=np.bool_)
    fixed[:2] = False
    fixed[SCALARS : SCALARS + count] = count == 1
    genes = 1 + max(int(piece.positions.max()) for piece in pieces)
    seeds = []
    for indicator in partitions.indicators:
        every = np.zeros((genes, indicator.shape[1]))
        for piece in pieces:
            every[piece.positions] = pooled_variances(piece, indicator.shape[1])
        seeds.append(every)
    known = replace(
        start, cell=0.0, measurement=0.0, proportions=np.asarray(proportions, dtype=np.float64), fixed=fixed
    )
    return BlockPoint(params=known, seeds=tuple(seeds))


def floored_pieces(pieces: Sequence[Genes]) -> list[BlockPiece]:
    """Blocks of genes with their floors, which hang on the data alone: the envelope theorem needs bounds at rest."""
    total = max(sum(len(piece) * float(piece.counts.sum()) for piece in pieces), 1.0)
    centre = sum(float((piece.means @ piece.counts).sum()) for piece in pieces) / total
    square = sum(float(mean_squares(piece, centre).sum() * piece.counts.sum()) for piece in pieces) / total
    return [
        BlockPiece(genes=part, floor=variance_floors(part, centre, square))
        for piece in pieces
        for part in piece.blocks(BLOCK)
    ]


def _finished(outcome: Outcome[BlockPoint, BlockStats], pieces: list[BlockPiece], likelihood: str) -> BlockFit:
    stats, point = outcome.stats, outcome.params
    reduced, status = moving(point, stats), outcome.status
    gradient, information = reduced.pull(stats.score), -reduced.pull_square(stats.hessian)
    free = np.flatnonzero(reduced.free(gradient))
    flat = bool(free.size) and smallest_eigenvalue(information[np.ix_(free, free)]) < FLAT
    if status.arrived and (flat or stats.between_taken_up):
        status = Status.CONFOUNDED
    size = len(stats.score)
    covariance = covariance_of(reduced, information)[:size, :size]
    low = [
        (values[piece.genes.positions] <= AT_FLOOR * piece.floor[:, None]).ravel()
        for values in stats.variances
        for piece in pieces
    ]
    return BlockFit(
        outcome=replace(outcome, status=status),
        likelihood=likelihood,
        floored=float(np.concatenate(low).mean()),
        covariance=covariance,
    )
