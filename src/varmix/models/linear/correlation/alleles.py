"""Two tables of z scores brought to the same variants and alleles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError, NotFiniteError, ShapeError
from varmix.tables.numbers import real_numbers
from varmix.tables.study_scores import StudyScores, study_scores
from varmix.typing import Mask, Vector

COMPLEMENT = str.maketrans("ACGT", "TGCA")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedStudies:
    """z scores (p,) and sample sizes (p,) of two studies for the same variants, in the order of the first.

    `counts`: variants in either, shared, flipped (z of the second turned), read from the other strand, dropped for
    other alleles, and dropped because their alleles are complements (A/T, C/G), so that strands cannot be told apart.
    """

    ids: NDArray[np.object_]
    z1: Vector
    z2: Vector
    n1: Vector
    n2: Vector
    counts: Mapping[str, int]


def match_studies(
    study1: Any, study2: Any, *, n1: Any = None, n2: Any = None, drop_ambiguous: bool = True
) -> MatchedStudies:
    """Join two tables, as `study_scores` reads them, by id; `n1` and `n2` are sample sizes for tables without n.

    The z of a variant whose alleles are exchanged in the second table is turned. Raises what `study_scores` raises, and
    AlignmentError where nothing is shared.
    """
    first, second = study_scores(study1, "first", n1), study_scores(study2, "second", n2)
    place = pd.Index(second.ids, dtype=object).get_indexer(pd.Index(first.ids, dtype=object))
    rows1 = np.flatnonzero(place >= 0)
    rows2 = place[rows1]
    if not rows1.size:
        raise AlignmentError(
            f"No id is in both studies (the first starts with {_opening(first)}, the second with {_opening(second)}). "
            "Use the same ids in both."
        )
    first_1, second_1 = first.a1[rows1], first.a2[rows1]
    first_2, second_2 = second.a1[rows2], second.a2[rows2]
    other_1, other_2 = (_complement(part) for part in (first_2, second_2))
    same = (first_1 == first_2) & (second_1 == second_2)
    turned = (first_1 == second_2) & (second_1 == first_2) & ~same
    strand = (first_1 == other_1) & (second_1 == other_2) & ~same & ~turned
    strand_turned = (first_1 == other_2) & (second_1 == other_1) & ~same & ~turned & ~strand
    matched = np.asarray(same | turned | strand | strand_turned, dtype=np.bool_)
    ambiguous: Mask = np.asarray(_complement(first_1) == second_1, dtype=np.bool_) & matched
    kept = matched & ~ambiguous if drop_ambiguous else matched
    flip = np.asarray(turned | strand_turned, dtype=np.bool_)
    lost = {"dropped from the first, incomplete": first.dropped, "dropped from the second, incomplete": second.dropped}
    counts = {
        "variants in the first": first.given,
        "variants in the second": second.given,
        **{cause: count for cause, count in lost.items() if count},
        "variants shared": len(rows1),
        "flipped": int((flip & kept).sum()),
        "other strand": int(((strand | strand_turned) & kept).sum()),
        "dropped for other alleles": int((~matched).sum()),
        "dropped as ambiguous": int(ambiguous.sum()) if drop_ambiguous else 0,
    }
    if not kept.any():
        raise AlignmentError(f"The studies share no variant that can be used ({counts}). Check ids and alleles.")
    return MatchedStudies(
        ids=first.ids[rows1][kept],
        z1=first.z[rows1][kept],
        z2=(second.z[rows2] * np.where(flip, -1.0, 1.0))[kept],
        n1=first.n[rows1][kept],
        n2=second.n[rows2][kept],
        counts=counts,
    )


def _opening(study: StudyScores) -> str:
    return f"'{study.ids[0]}'" if study.ids.size else "no row"


def _complement(alleles: NDArray[np.object_]) -> NDArray[np.object_]:
    return np.array([allele.translate(COMPLEMENT) for allele in alleles], dtype=object)


def check_scores(z: Any, n: Any, length: int, name: str) -> tuple[Vector, Vector]:
    """z (p,) and sample sizes (p,) as arrays. Raises ShapeError, DataError (not numbers), NotFiniteError."""
    scores = np.asarray(real_numbers(z, f"z of the {name} study"), dtype=np.float64)
    if scores.shape != (length,):
        raise ShapeError(f"{name} study: z scores of shape {scores.shape} for LD of {length:,} variants.")
    bad = ~np.isfinite(scores)
    if bad.any():
        raise NotFiniteError(
            f"{int(bad.sum()):,} z scores of the {name} study are not finite (first: variant {int(bad.argmax())}). "
            "Drop those variants."
        )
    sizes = np.asarray(real_numbers(n, f"n of the {name} study"), dtype=np.float64)
    if sizes.ndim > 1 or (sizes.ndim == 1 and sizes.shape != (length,)):
        raise ShapeError(f"Sample sizes of the {name} study have shape {sizes.shape}; give one number or {length:,}.")
    if not (np.isfinite(sizes).all() and (sizes > 0.0).all()):
        raise NotFiniteError(f"Sample sizes of the {name} study must be positive numbers; the least is {sizes.min()}.")
    return scores, np.broadcast_to(sizes, (length,)).copy()
