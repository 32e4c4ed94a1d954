"""The model: reduced genes, the partitions, and what is known of noise and proportions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import NotIdentifiedError, OptionError, ShapeError
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions, renumbered
from varmix.models.partition.scheme import LIKELIHOODS
from varmix.typing import Index, Mask, Matrix

NOISES = ("cell", "measurement", "both")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionMixture:
    """Genes with latent partitions [PART-1]; `noise` is "cell" (tau^2), "measurement" (omega^2) or "both" [PART-5].

    `known` (D, T) holds proportions with NaN for those to estimate; `concentration` (D, T) of their Dirichlet prior
    [PART-7]. `pieces` are in internal units: data divided by `scale`, a power of two.
    """

    partitions: Partitions
    pieces: tuple[Genes, ...]
    known: Matrix
    noise: str = "cell"
    likelihood: str = "joint"
    concentration: Matrix | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise OptionError(f"noise={self.noise!r} is not known. Use one of {', '.join(NOISES)}.")
        if self.likelihood not in LIKELIHOODS:
            raise OptionError(f"likelihood={self.likelihood!r} is not known. Use 'joint' or 'composite'.")
        if self.known.shape[1] != len(self.partitions.types):
            raise ShapeError(
                f"The proportions have {self.known.shape[1]} columns for {len(self.partitions.types)} cell types "
                f"({', '.join(self.partitions.types)}). Give one column per cell type."
            )
        if not self.pieces:
            raise NotIdentifiedError("There are no genes. Give at least one row of expression.")

    @classmethod
    def of(
        cls,
        values: Matrix,
        sample_type: Index,
        partitions: Partitions,
        known: Matrix,
        *,
        noise: str = "cell",
        likelihood: str = "joint",
        concentration: Matrix | None = None,
    ) -> PartitionMixture:
        """From values (G, n) with NaN where missing, and the type of each sample, numbered from 0."""
        spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
        if not spread > 0.0:
            raise NotIdentifiedError("All values are equal or missing: there is nothing to tell genes or types apart.")
        scale = 2.0 ** round(math.log2(spread))
        return cls(
            partitions=partitions,
            pieces=reduce_samples(values / scale, sample_type, len(known)),
            known=np.asarray(known, dtype=np.float64),
            noise=noise,
            likelihood=likelihood,
            concentration=concentration,
            scale=scale,
        )

    @classmethod
    def reduced(
        cls,
        pieces: Sequence[Genes],
        partitions: Partitions,
        known: Matrix,
        *,
        noise: str = "cell",
        likelihood: str = "joint",
        concentration: Matrix | None = None,
    ) -> PartitionMixture:
        """From genes in the units of the data that are reduced already, for instance chunk by chunk."""
        spread = _spread(pieces)
        if not spread > 0.0:
            raise NotIdentifiedError("All values are equal or missing: there is nothing to tell genes or types apart.")
        scale = 2.0 ** round(math.log2(spread))
        return cls(
            partitions=partitions,
            pieces=tuple(
                replace(piece, means=piece.means / scale, within=piece.within / scale / scale) for piece in pieces
            ),
            known=np.asarray(known, dtype=np.float64),
            noise=noise,
            likelihood=likelihood,
            concentration=concentration,
            scale=scale,
        )

    @property
    def held(self) -> Mask:
        """Coordinates that are known, shape (4 + J + DT,); rows of types without a sample are held, too."""
        left_out = [False, False, self.noise == "measurement", self.noise == "cell"]
        shares = np.full(len(self.partitions), len(self.partitions) == 1)
        known = ~np.isnan(self.known)
        if self.concentration is None:
            known = known | ~self.seen[:, None]
        return np.concatenate([left_out, shares, known.ravel()])

    @property
    def seen(self) -> Mask:
        """Sample types with a sample, shape (D,)."""
        mask = np.zeros(len(self.known), dtype=np.bool_)
        for piece in self.pieces:
            mask[piece.types] = True
        return mask

    @property
    def samples(self) -> float:
        """Values that were seen, in all genes and types."""
        return sum(len(piece) * float(piece.counts.sum()) for piece in self.pieces)

    @property
    def genes(self) -> int:
        """G."""
        return sum(len(piece) for piece in self.pieces)

    @property
    def label_symmetry(self) -> bool:
        """Whether any order of the cell types fits as well: nothing known of P tells them apart [PART-7]."""
        if not np.isnan(self.known).all():
            return False
        alpha = self.concentration
        symmetric = alpha is None or bool((alpha == alpha[:, :1]).all())
        size, labels = len(self.partitions.types), set(self.partitions.labels)
        swaps = [(t, t + 1) for t in range(size - 1)]
        return symmetric and all(_swapped(label, swap) in labels for label in labels for swap in swaps)

    @property
    def notes(self) -> tuple[str, ...]:
        """What an estimate of proportions cannot tell."""
        told = []
        free = np.isnan(self.known)
        if self.label_symmetry:
            size = len(self.partitions.types)
            told.append(
                f"Proportions are free: every one of the {math.factorial(size):,} orders of the cell types fits as "
                "well. Their names are arbitrary; name them by a known sample."
            )
        if free.any() and self.concentration is None:
            told.append("Proportions without a prior are weakly identified: compare several starts.")
        if free.any(axis=1).sum() and len(self.known) < len(self.partitions.types):
            told.append(
                f"There are {len(self.known)} sample types for {len(self.partitions.types)} cell types: proportions "
                "are not identified. Give some of them."
            )
        return tuple(told)

    def point(self, params: PartitionParams) -> PartitionParams:
        """A point with what is known at its value and held (internal units)."""
        unknown = np.isnan(self.known)
        left = 1.0 - np.where(unknown, 0.0, self.known).sum(axis=1, keepdims=True)
        guess = np.where(unknown, params.proportions, 0.0)
        total = guess.sum(axis=1, keepdims=True)
        filled = np.divide(guess * left, total, out=np.zeros_like(guess), where=total > 0.0)
        return replace(
            params,
            cell=0.0 if self.noise == "measurement" else params.cell,
            measurement=0.0 if self.noise == "cell" else params.measurement,
            proportions=np.where(unknown, filled, self.known),
            fixed=self.held,
        )

    def outward(self, params: PartitionParams) -> PartitionParams:
        """A point in the units of the data."""
        return _scaled(params, self.scale)

    def inward(self, params: PartitionParams) -> PartitionParams:
        """A point in internal units, from one in those of the data."""
        return _scaled(params, 1.0 / self.scale)

    def log_likelihood_outward(self, inner: float) -> float:
        """Log-likelihood of the data from that in internal units."""
        return inner - self.samples * math.log(self.scale)


def _spread(pieces: Sequence[Genes]) -> float:
    """Standard deviation of all samples of all genes; squares are taken beside the largest, so that none overflows."""
    there = [piece for piece in pieces if piece.means.size]
    total = sum(len(piece) * float(piece.counts.sum()) for piece in there)
    if not total > 0.0:
        return 0.0
    mean = sum(float((piece.means @ (piece.counts / total)).sum()) for piece in there)
    away = max(float(np.abs(piece.means - mean).max()) for piece in there)
    largest = max(away, math.sqrt(max(float(piece.within.max()) for piece in there)))
    if not largest > 0.0:
        return 0.0
    squares = sum(
        float((((piece.means - mean) / largest) ** 2 @ piece.counts).sum())
        + float((piece.within / largest / largest).sum())
        for piece in there
    )
    return largest * math.sqrt(squares / total)


def _scaled(params: PartitionParams, scale: float) -> PartitionParams:
    return replace(
        params,
        mean=params.mean * scale,
        between=params.between * scale**2,
        cell=params.cell * scale**2,
        measurement=params.measurement * scale**2,
    )


def _swapped(label: tuple[int, ...], swap: tuple[int, int]) -> tuple[int, ...]:
    moved = list(label)
    moved[swap[0]], moved[swap[1]] = moved[swap[1]], moved[swap[0]]
    return renumbered(moved)
