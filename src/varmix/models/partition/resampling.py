"""Genes drawn with replacement: they are the independent units of the model."""

from __future__ import annotations

import numpy as np

from varmix.models.partition.genes import Genes


def resampled(pieces: tuple[Genes, ...], rng: np.random.Generator) -> tuple[Genes, ...]:
    """As many genes as there are, drawn with replacement from all pieces. Positions number the draws anew."""
    sizes = np.array([len(piece) for piece in pieces])
    ends = np.cumsum(sizes)
    drawn = np.sort(rng.integers(ends[-1], size=ends[-1]))
    parts, first, done = [], 0, 0
    for piece, end in zip(pieces, ends.tolist(), strict=True):
        rows = drawn[(drawn >= first) & (drawn < end)] - first
        first = end
        if rows.size:
            parts.append(
                Genes(
                    means=piece.means[rows],
                    within=piece.within[rows],
                    counts=piece.counts,
                    types=piece.types,
                    positions=np.arange(done, done + len(rows)),
                )
            )
            done += len(rows)
    return tuple(parts)
