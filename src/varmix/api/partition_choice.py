"""The partitions of a fit, and those among them that known proportions cannot tell apart [PART-2], [PART-7]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition.partitions import (
    MOST_TYPES,
    Partitions,
    all_partitions,
    bell,
    given_partitions,
    one_vs_rest,
    two_blocks,
)
from varmix.typing import Matrix

CHOICES: dict[str, Callable[[Sequence[str]], Partitions]] = {
    "all": all_partitions,
    "one_vs_rest": one_vs_rest,
    "two_blocks": two_blocks,
}

MANY_TYPES = 6
"""Cell types from which the number of partitions (203) is told before they are enumerated."""

SAME = 1e-7
"""Distance of scaled covariances below which they are one: rounding of proportions with seven digits."""

SHIFT = 0.1234567
"""Moves round numbers off the edges of the bins they are compared in."""


def choose_partitions(
    chosen: Any, cell_types: Sequence[str], tell: Callable[[str], Any] | None = None
) -> tuple[Partitions, str]:
    """Partitions by name, from a list, or as they are, and a sentence on their number.

    `tell` hears of many before they are enumerated. Raises OptionError for what is unknown or too many.
    """
    count = len(cell_types)
    if isinstance(chosen, Partitions):
        if chosen.types != tuple(cell_types):
            raise OptionError(
                f"The partitions are of {', '.join(chosen.types)}; the proportions of {', '.join(cell_types)}. Give "
                "both the same cell types in the same order."
            )
        found = chosen
    elif isinstance(chosen, str):
        if chosen not in CHOICES:
            hint = f" One partition in words goes in a list: [{chosen!r}]." if "=" in chosen or "|" in chosen else ""
            raise OptionError(
                f"partitions={chosen!r} is not known. Use {', '.join(map(repr, CHOICES))} or a list.{hint}"
            )
        if tell is not None and chosen == "all" and MANY_TYPES <= count <= MOST_TYPES:
            tell(f"{count} cell types have {bell(count):,} partitions: enumerating them all.")
        found = CHOICES[chosen](cell_types)
    else:
        try:
            found = given_partitions(cell_types, list(chosen))
        except TypeError as error:
            raise OptionError(
                f"partitions={chosen!r} cannot be read ({error}). Give {', '.join(map(repr, CHOICES))}, or a list of "
                "partitions in words or as block labels per cell type."
            ) from error
    total = bell(count)
    if len(found) == total:
        return found, f"All {total:,} partitions of {count} cell types."
    return found, f"{len(found):,} of the {total:,} partitions of {count} cell types."


def names_in(chosen: Any) -> tuple[str, ...] | None:
    """The cell types that a list of partitions in words names, in order; None where it names none."""
    if isinstance(chosen, Partitions):
        return chosen.types
    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        return None
    first = next(iter(chosen), None)
    if not isinstance(first, str):
        return None
    return tuple(part.strip() for block in first.split("|") for part in block.split("="))


def confused(partitions: Partitions, proportions: Matrix) -> list[tuple[str, ...]]:
    """Groups of partitions j whose P C_j C_j' P' coincide: the data share them out as the prior does [PART-2].

    None where P (D, T) has rank T. In the space that P spans, so that the number of sample types does not matter.
    """
    _, singular, right = np.linalg.svd(proportions, full_matrices=False)
    rank = int((singular > SAME * singular[0]).sum())
    if rank == proportions.shape[1]:
        return []
    loads = (singular[:rank, None] * right[:rank]) / singular[0]
    groups: dict[bytes, list[str]] = {}
    for indicator, words in zip(partitions.indicators, partitions.words, strict=True):
        seen = loads @ indicator
        bins = np.round((seen @ seen.T) / SAME + SHIFT).astype(np.int64)
        groups.setdefault(bins.tobytes(), []).append(words)
    return [tuple(group) for group in groups.values() if len(group) > 1]
