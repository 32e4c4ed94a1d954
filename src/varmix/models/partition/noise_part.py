"""A random part of very many genes, on which a climb of the noise begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from varmix.models.partition.genes import Genes

LARGE = 4_000
"""Genes above which a climb begins on a part: below, what the part saves is less than a second."""

PART = 2_000
"""Genes of the part: its optimum is then within a few standard errors of all genes', where Newton's steps converge, and
its information within some per cent per gene of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Some genes of each piece; `share` is how many of all there are."""

    pieces: tuple[Genes, ...]
    share: float


def drawn_part(pieces: Sequence[Genes], rng: Generator) -> Part | None:
    """`PART` genes, from each piece in proportion and one at least; None up to `LARGE` genes."""
    total = sum(len(piece) for piece in pieces)
    if total <= LARGE:
        return None
    chosen = []
    for piece in pieces:
        size = max(1, round(PART * len(piece) / total))
        chosen.append(_rows(piece, np.sort(rng.choice(len(piece), size, replace=False))))
    return Part(pieces=tuple(chosen), share=sum(len(piece) for piece in chosen) / total)


def _rows(piece: Genes, rows: np.ndarray) -> Genes:
    return Genes(
        means=piece.means[rows],
        within=piece.within[rows],
        counts=piece.counts,
        types=piece.types,
        positions=piece.positions[rows],
    )
