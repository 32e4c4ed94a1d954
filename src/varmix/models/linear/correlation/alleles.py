"""Two tables of z scores brought to the same variants and alleles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError, NotFiniteError, ShapeError
from varmix.typing import Mask, Vector

COLUMNS = ("id", "a1", "a2", "z", "n")
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


def match_studies(study1: pd.DataFrame, study2: pd.DataFrame, *, drop_ambiguous: bool = True) -> MatchedStudies:
    """Join two tables with columns id, a1 (the allele that z counts), a2, z and n.

    The z of a variant whose alleles are exchanged in the second table is turned. Raises AlignmentError for missing
    columns, repeated ids and nothing shared.
    """
    for table, name in ((study1, "first"), (study2, "second")):
        missing = [column for column in COLUMNS if column not in table.columns]
        if missing:
            raise AlignmentError(f"The {name} study has no column {', '.join(missing)}. It needs {', '.join(COLUMNS)}.")
        repeated = table["id"].duplicated()
        if repeated.any():
            first = table["id"][repeated].iloc[0]
            raise AlignmentError(
                f"The {name} study lists {int(repeated.sum()):,} variants twice (first: '{first}'). Keep one row each."
            )
    both = study1[list(COLUMNS)].merge(study2[list(COLUMNS)], on="id", suffixes=("_1", "_2"))
    first_1, second_1, first_2, second_2 = (
        both[column].astype(str).str.upper().to_numpy(dtype=object) for column in ("a1_1", "a2_1", "a1_2", "a2_2")
    )
    other_1, other_2 = (_complement(part) for part in (first_2, second_2))
    same = (first_1 == first_2) & (second_1 == second_2)
    turned = (first_1 == second_2) & (second_1 == first_2) & ~same
    strand = (first_1 == other_1) & (second_1 == other_2) & ~same & ~turned
    strand_turned = (first_1 == other_2) & (second_1 == other_1) & ~same & ~turned & ~strand
    matched = np.asarray(same | turned | strand | strand_turned, dtype=np.bool_)
    ambiguous: Mask = np.asarray(_complement(first_1) == second_1, dtype=np.bool_) & matched
    kept = matched & ~ambiguous if drop_ambiguous else matched
    flip = np.asarray(turned | strand_turned, dtype=np.bool_)
    counts = {
        "variants in the first": len(study1),
        "variants in the second": len(study2),
        "variants shared": len(both),
        "flipped": int((flip & kept).sum()),
        "other strand": int(((strand | strand_turned) & kept).sum()),
        "dropped for other alleles": int((~matched).sum()),
        "dropped as ambiguous": int(ambiguous.sum()) if drop_ambiguous else 0,
    }
    if not kept.any():
        raise AlignmentError(f"The studies share no variant that can be used ({counts}). Check ids and alleles.")
    z2 = both["z_2"].to_numpy(dtype=np.float64) * np.where(flip, -1.0, 1.0)
    return MatchedStudies(
        ids=both["id"].to_numpy(dtype=object)[kept],
        z1=both["z_1"].to_numpy(dtype=np.float64)[kept],
        z2=z2[kept],
        n1=both["n_1"].to_numpy(dtype=np.float64)[kept],
        n2=both["n_2"].to_numpy(dtype=np.float64)[kept],
        counts=counts,
    )


def _complement(alleles: NDArray[np.object_]) -> NDArray[np.object_]:
    return np.array([allele.translate(COMPLEMENT) for allele in alleles], dtype=object)


def check_scores(z: Vector, n: float | Vector, length: int, name: str) -> tuple[Vector, Vector]:
    """z (p,) and sample sizes (p,) as arrays. Raises ShapeError, NotFiniteError."""
    scores = np.asarray(z, dtype=np.float64)
    if scores.shape != (length,):
        raise ShapeError(f"{name} study: z scores of shape {scores.shape} for LD of {length:,} variants.")
    bad = ~np.isfinite(scores)
    if bad.any():
        raise NotFiniteError(
            f"{int(bad.sum()):,} z scores of the {name} study are not finite (first: variant {int(bad.argmax())}). "
            "Drop those variants."
        )
    sizes = np.asarray(n, dtype=np.float64)
    if sizes.ndim > 1 or (sizes.ndim == 1 and sizes.shape != (length,)):
        raise ShapeError(f"Sample sizes of the {name} study have shape {sizes.shape}; give one number or {length:,}.")
    if not (np.isfinite(sizes).all() and (sizes > 0.0).all()):
        raise NotFiniteError(f"Sample sizes of the {name} study must be positive numbers; the least is {sizes.min()}.")
    return scores, np.broadcast_to(sizes, (length,)).copy()
