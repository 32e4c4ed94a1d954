"""Samples reduced to what the likelihood needs: means and sums of squares of each gene in each sample type [PART-2]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from varmix.typing import Index, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Genes:
    """Genes that were seen in the same numbers of samples.

    `means` and `within` (sums of squares about the means) have shape (G, D) over D sample types, `counts` (D,) are
    samples per type; `types` (D,) are the types' positions among all (those without a sample are left out) and
    `positions` (G,) the genes' among all.
    """

    means: Matrix
    within: Matrix
    counts: Vector
    types: Index
    positions: Index

    def __len__(self) -> int:
        return len(self.means)

    def blocks(self, size: int) -> Iterator[Genes]:
        """Views of at most `size` genes."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Genes(
                means=self.means[part],
                within=self.within[part],
                counts=self.counts,
                types=self.types,
                positions=self.positions[part],
            )


def reduce_samples(values: Matrix, sample_type: Index, types: int) -> tuple[Genes, ...]:
    """Genes from `values` (G, n) with NaN where a sample is missing; `sample_type` (n,) numbers types from 0.

    Genes with one pattern of counts form one piece. Two passes, so that sums of squares keep their digits.
    """
    indicator = np.zeros((values.shape[1], types))
    indicator[np.arange(len(sample_type)), sample_type] = 1.0
    seen = ~np.isnan(values)
    complete = bool(seen.all())
    counts = np.broadcast_to(indicator.sum(axis=0), (len(values), types)) if complete else seen @ indicator
    filled = values if complete else np.where(seen, values, 0.0)
    means = np.divide(filled @ indicator, counts, out=np.zeros((len(values), types)), where=counts > 0.0)
    spread = filled - means[:, sample_type]
    if not complete:
        spread[~seen] = 0.0
    within = (spread * spread) @ indicator
    patterns, number = np.unique(counts, axis=0, return_inverse=True) if not complete else (counts[:1], None)
    pieces = []
    for at, pattern in enumerate(patterns):
        rows = np.arange(len(values)) if number is None else np.flatnonzero(number.ravel() == at)
        there = np.flatnonzero(pattern > 0.0)
        pieces.append(
            Genes(
                means=np.ascontiguousarray(means[np.ix_(rows, there)]),
                within=np.ascontiguousarray(within[np.ix_(rows, there)]),
                counts=pattern[there].copy(),
                types=there,
                positions=rows,
            )
        )
    return tuple(pieces)
