"""Samples reduced to what the likelihood needs: means and sums of squares of each gene in each sample type [PART-2]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from varmix.typing import Array, Index, Mask, Matrix, Vector

EXACT = 1e-10
"""Standard deviation within a type, relative to its mean, that is rounding: such replicates are equal."""

CACHED = 1 << 17
"""Numbers of the genes at a time: a megabyte."""


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

    @property
    def varying(self) -> Mask:
        """Where samples of a type differ by more than rounding, (G, D)."""
        return np.asarray(self.within > self.counts * (EXACT * self.means) ** 2)

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
    if not len(values):
        return ()
    order = np.argsort(sample_type, kind="stable")
    per_type = np.bincount(sample_type, minlength=types)
    there = np.flatnonzero(per_type)
    runs = per_type[there]
    starts = np.cumsum(runs) - runs
    alone = bool((runs == 1).all())
    means, within = np.zeros((2, len(values), len(there)))
    counts: Array = np.empty((len(values), len(there)), dtype=np.min_scalar_type(int(runs.max(initial=0))))
    at_once = max(1, CACHED // max(1, len(order)))
    complete = True
    for begin in range(0, len(values), at_once):
        part = slice(begin, begin + at_once)
        block = values[part].take(order, axis=1)
        missing = np.isnan(block)
        gaps = bool(missing.any())
        complete = complete and not gaps
        counts[part] = runs
        if gaps:
            counts[part] -= _summed(missing.astype(counts.dtype), starts)
            block[missing] = 0.0
        if alone:
            means[part] = block
            continue
        means[part] = _summed(block, starts)
        np.divide(means[part], counts[part], out=means[part], where=counts[part] > 0)
        block -= np.repeat(means[part], runs, axis=1)
        block[missing] = 0.0
        within[part] = _summed(np.square(block, out=block), starts)
    if complete:
        every = np.arange(len(values))
        return (Genes(means=means, within=within, counts=runs.astype(np.float64), types=there, positions=every),)
    return _by_pattern(means, within, counts, there)


def _by_pattern(means: Matrix, within: Matrix, counts: Array, types: Index) -> tuple[Genes, ...]:
    """A piece for each row of counts (G, D') that there is."""
    whole = counts.view(np.dtype((np.void, counts.itemsize * counts.shape[1]))).ravel()  # compared as bytes
    _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    grouped = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    pieces = []
    for pattern, rows in zip(counts[first], grouped, strict=True):
        seen = np.flatnonzero(pattern > 0)
        pieces.append(
            Genes(
                means=np.ascontiguousarray(means[np.ix_(rows, seen)]),
                within=np.ascontiguousarray(within[np.ix_(rows, seen)]),
                counts=pattern[seen].astype(np.float64),
                types=types[seen],
                positions=rows,
            )
        )
    return tuple(pieces)


def _summed(values: Array, starts: Index) -> Array:
    """Sums of runs of columns that begin at `starts`, shape (G, D')."""
    if not starts.size:
        return np.zeros((len(values), 0))
    return np.asarray(np.add.reduceat(values, starts, axis=1, dtype=values.dtype))
