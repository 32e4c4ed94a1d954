"""LD scores from reference genotypes: sums of squared correlations between variants [VC-8]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import NotFiniteError, ShapeError
from varmix.genotype.design import StandardisedDesign
from varmix.typing import Index, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LdScores:
    """`l_1j = sum_k r_1jk^2`, `l_2j` and `l_12j = sum_k r_1jk r_2jk`, shape (p,) each, and the variants summed over.

    `variants` is the number of variants that carry effects (often more than p). Raises ShapeError, NotFiniteError.
    """

    first: Vector
    second: Vector
    cross: Vector
    variants: int

    def __post_init__(self) -> None:
        if not self.first.shape == self.second.shape == self.cross.shape or self.first.ndim != 1:
            shapes = (self.first.shape, self.second.shape, self.cross.shape)
            raise ShapeError(f"LD scores have shapes {shapes}; give three vectors of the same length.")
        for name, values in (("first", self.first), ("second", self.second), ("cross", self.cross)):
            if not np.isfinite(values).all():
                raise NotFiniteError(f"The {name} LD scores hold NaN or infinity. Drop those variants.")

    @classmethod
    def single(cls, scores: Vector, variants: int | None = None) -> LdScores:
        """The same scores (p,) for both studies and for their cross products."""
        values = np.asarray(scores, dtype=np.float64)
        return cls(first=values, second=values, cross=values, variants=values.size if variants is None else variants)

    def taken(self, positions: Index) -> LdScores:
        """At some of the variants; the number that carries effects stays."""
        return LdScores(
            first=self.first[positions],
            second=self.second[positions],
            cross=self.cross[positions],
            variants=self.variants,
        )


def ld_scores(design: StandardisedDesign) -> LdScores:
    """Of one panel (n x p) for both studies, corrected for the panel's size: `l - (p - l)/(n - 2)`.

    The correlations of n people have squares too large by `(1 - r^2)/(n - 2)`. Every pair of variants counts. Costs
    O(n^2 p); raises ShapeError for fewer than 4 people.
    """
    raw = _cross_scores(design, design, None)
    if design.n < 4:
        raise ShapeError(f"The panel '{design.name}' has {design.n} people: LD needs at least 4.")
    return LdScores.single(raw - (design.p - raw) / (design.n - 2))


def paired_ld_scores(design1: StandardisedDesign, design2: StandardisedDesign, signs: Vector | None = None) -> LdScores:
    """Of two panels of different people, one per study; the cross scores need no correction.

    `signs` (p,) turn columns of the second that count the other allele. Raises ShapeError.
    """
    if design1.p != design2.p:
        raise ShapeError(f"The panels have {design1.p:,} and {design2.p:,} variants. Give both the same variants.")
    return LdScores(
        first=ld_scores(design1).first,
        second=ld_scores(design2).first,
        cross=_cross_scores(design1, design2, signs),
        variants=design1.p,
    )


def _cross_scores(design1: StandardisedDesign, design2: StandardisedDesign, signs: Vector | None) -> Vector:
    """`x_1j' (sum_k x_1k x_2k') x_2j` with columns of length 1."""
    kernel = np.zeros((design1.n, design2.n))
    for left, right in _unit_blocks(design1, design2, signs):
        kernel += left @ right.T
    parts = [np.einsum("ij,ij->j", left, kernel @ right) for left, right in _unit_blocks(design1, design2, signs)]
    return np.concatenate(parts)


def _unit_blocks(
    design1: StandardisedDesign, design2: StandardisedDesign, signs: Vector | None
) -> Iterator[tuple[Matrix, Matrix]]:
    aligned = replace(design2, block_size=design1.block_size)
    for (part, left), (_, right) in zip(design1.blocks(), aligned.blocks(), strict=True):
        turned = _unit(right) if signs is None else _unit(right) * signs[part]
        yield _unit(left), turned


def _unit(block: Matrix) -> Matrix:
    lengths = np.sqrt(np.einsum("ij,ij->j", block, block))
    return np.asarray(block / np.where(lengths > 0.0, lengths, 1.0))
