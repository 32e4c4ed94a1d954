"""Two cohorts brought together: the people and the variants they share [VC-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, NotIdentifiedError, OptionError, ShapeError
from varmix.genotype.design import StandardisedDesign
from varmix.genotype.matching import match_variants
from varmix.marginal.piece import power_of_two
from varmix.tables.identifiers import NO_FAMILY
from varmix.typing import Index, Matrix, Vector

Overlap: TypeAlias = Literal["auto", "none"] | tuple[Sequence[int], Sequence[int]]
"""Who is in both: by sample id, nobody, or row positions in y1 and in y2."""

EXACT = 1e-10
"""Relative size below which what is left of a response is rounding."""

MULTIPLE = 1e-6
"""Distance of a correlation from 1 at which two responses count as one: the covariance has then lost half its
digits."""


def check_variation(
    responses: tuple[Vector, Vector], covariates: tuple[Matrix, Matrix], shared: tuple[Index, Index] | None
) -> None:
    """Raises NotIdentifiedError for a response without variation of its own, or two that are multiples of each other.

    The second check is of the rows of `shared` people, where the likelihood of multiples has no maximum.
    """
    left = []
    for y, Z, name in zip(responses, covariates, ("y1", "y2"), strict=True):
        if y.size - Z.shape[1] < 2:
            raise NotIdentifiedError(
                f"{name} has {y.size} rows for {Z.shape[1]} independent columns of covariates: nothing is left to fit. "
                "Use fewer covariates or more rows."
            )
        rest = y - Z @ np.linalg.lstsq(Z, y, rcond=None)[0]
        if not np.linalg.norm(rest) > EXACT * np.linalg.norm(y):
            raise NotIdentifiedError(
                f"{name} does not vary beyond its covariates, so there is nothing to fit. Check it."
            )
        left.append(rest)
    if shared is None or shared[0].size < 2:
        return
    first, second = left[0][shared[0]], left[1][shared[1]]
    product = float(first @ second) / max(float(np.linalg.norm(first) * np.linalg.norm(second)), np.finfo(float).tiny)
    if 1.0 - abs(product) < MULTIPLE:
        raise NotIdentifiedError(
            "y2 is a multiple of y1 in the people that are in both, so their residuals are not two. Use different "
            "responses, or method='moments'."
        )


def told_people(
    overlap: tuple[Sequence[int], Sequence[int]], given: tuple[int, int], used: tuple[Index, Index]
) -> tuple[Index, Index]:
    """Positions among the rows `used` of people told by their positions among the rows `given`.

    Raises OptionError, ShapeError, AlignmentError.
    """
    if len(overlap) != 2:
        raise OptionError("overlap must be two arrays: positions in y1 and in y2 of the same people.")
    first, second = (np.asarray(part, dtype=np.intp) for part in overlap)
    if first.shape != second.shape or first.ndim != 1:
        raise ShapeError(f"overlap has arrays of shapes {first.shape} and {second.shape}; they must be equal vectors.")
    places = []
    for part, total, kept, name in zip((first, second), given, used, ("y1", "y2"), strict=True):
        if part.size and (part.min() < 0 or part.max() >= total or np.unique(part).size < part.size):
            raise AlignmentError(
                f"overlap names rows of {name} that are repeated or outside 0 to {total - 1}. Name each once."
            )
        place = np.full(total, -1, dtype=np.intp)
        place[kept] = np.arange(kept.size)
        places.append(place[part])
    there = (places[0] >= 0) & (places[1] >= 0)
    return places[0][there], places[1][there]


def same_people(first: pd.DataFrame | None, second: pd.DataFrame | None) -> tuple[Index, Index]:
    """Positions of the same people in two tables of sample ids; nobody where either has none.

    By FID and IID, or by IID where one of them has no family ids (all '0'). Raises AlignmentError for an IID that
    stands for several people then.
    """
    if first is None or second is None:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    first, second = (table.assign(row=np.arange(len(table))) for table in (first, second))
    families = all(bool((table["FID"] != NO_FAMILY).any()) for table in (first, second))
    both: Any = first.merge(second, on=["FID", "IID"] if families else ["IID"], suffixes=("_1", "_2"))
    twice = both["IID"][both["row_1"].duplicated() | both["row_2"].duplicated()]
    if len(twice):
        raise AlignmentError(
            f"IID '{twice.iloc[0]}' stands for several people in one cohort, and the other has no family ids to tell "
            "them apart, so who is in both is not known. Add FIDs to both, or tell by overlap=."
        )
    return both["row_1"].to_numpy(dtype=np.intp), both["row_2"].to_numpy(dtype=np.intp)


def variant_signs(design1: StandardisedDesign, design2: StandardisedDesign) -> tuple[Vector, int]:
    """-1 where design2 counts the other allele, and their number. Raises AlignmentError for other variants."""
    if design1.p != design2.p:
        raise AlignmentError(
            f"Design '{design1.name}' has {design1.p:,} variants and '{design2.name}' {design2.p:,}. Restrict both to "
            "the variants that vary in both cohorts."
        )
    if design1 is design2:
        return np.ones(design1.p), 0
    match = match_variants(design1.source, design1.kept, design2.source)
    if not np.array_equal(match.positions, design2.kept):
        at = int(np.flatnonzero(match.positions != design2.kept)[0])
        raise AlignmentError(
            f"Column {at} of design '{design2.name}' is another variant than in '{design1.name}'. Give both designs "
            "the same variants in the same order."
        )
    turned = match.flipped.copy()
    for design in (design1, design2):
        if design.flipped is not None:
            turned ^= design.flipped
    return np.where(turned, -1.0, 1.0), int(turned.sum())


def joint_kernels(
    design1: StandardisedDesign, design2: StandardisedDesign, signs: Vector
) -> tuple[tuple[Matrix, Matrix, Matrix], tuple[float, float]]:
    """`K_11, K_12, K_22` of columns divided by powers of two, and those powers."""
    own = []
    for design in (design1, design2):
        K = np.zeros((design.n, design.n), order="F")
        design.gram_into(K)
        own.append(K)
    cross = np.zeros((design1.n, design2.n))
    aligned = replace(design2, block_size=design1.block_size)
    for (part, left), (_, right) in zip(design1.blocks(), aligned.blocks(), strict=True):
        cross += (left * signs[part]) @ right.T
    widths = tuple(power_of_two(math.sqrt(float(K.trace()) / len(K))) for K in own)
    return (own[0] / widths[0] ** 2, cross / (widths[0] * widths[1]), own[1] / widths[1] ** 2), (widths[0], widths[1])
